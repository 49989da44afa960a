//! `cofferdam clean`: what killed runs have left behind.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sandbox::Driver;

use crate::args::{CleanArgs, Elsewhere, OutputFormat};
use crate::failure::{CommandFailure, Exit};
use crate::place;

/// Sweeps and prints what was removed.
pub async fn run(args: &CleanArgs, home: Option<&Path>) -> Result<Exit, CommandFailure> {
    let drivers = place::drivers()?;
    let mut removed = Vec::new();
    let failed = |error: sandbox::DriverError| CommandFailure::new(Exit::Infrastructure, agent::explain(&error));
    // Not as for jobs: then what is removed would be told to the log.
    let elsewhere: Option<Arc<dyn Driver>> = match args.engines.elsewhere().map_err(CommandFailure::usage)? {
        Some(Elsewhere::Docker(config)) => Some(Arc::new(docker::Docker::open(config).await.map_err(failed)?)),
        Some(Elsewhere::Swarm(config)) => Some(Arc::new(docker::Swarm::open(config).await.map_err(failed)?)),
        None => None,
    };
    for driver in [&drivers.process, &drivers.container].into_iter().chain(&elsewhere) {
        removed.extend(driver.sweep().await.map_err(failed)?);
    }
    match sandbox::net::forwarding::put_back() {
        Ok(true) => removed.push("setting net.ipv4.ip_forward: switched off again".to_owned()),
        Ok(false) => {}
        Err(error) => {
            return Err(CommandFailure::new(Exit::Infrastructure, format!("cannot put ip_forward back: {error}")));
        }
    }
    // Opening the store repairs it. Where there is none, none is made.
    if place::home(home).exists() {
        place::store(home)?;
    }
    removed.extend(place::sweep_scratch(home)?);
    removed.extend(sweep_guests(place::guests(home).folder())?);
    match args.output {
        OutputFormat::Json => println!("{}", serde_json::json!({ "removed": removed })),
        OutputFormat::Text if removed.is_empty() => println!("nothing was left behind"),
        OutputFormat::Text => removed.iter().for_each(|line| println!("{line}")),
    }
    Ok(Exit::Success)
}

/// Removes what processes that are gone were making for machines: guests and engine roots, saved machines, and what monitors start from.
fn sweep_guests(guests: &Path) -> Result<Vec<String>, CommandFailure> {
    let mut folders = vec![guests.to_owned()];
    for kept in entries(guests)? {
        folders.extend([kept.join("templates"), kept]);
    }
    let mut removed = Vec::new();
    for folder in folders {
        for path in entries(&folder)? {
            let Some(_held) = half_made(&path) else { continue };
            let (what, done) = match path.is_dir() {
                true => ("folder", fs::remove_dir_all(&path)),
                false => ("file", fs::remove_file(&path)),
            };
            match done {
                Err(error) if path.exists() => return Err(CommandFailure::io("remove", &path, &error)),
                // Another one was faster, or not.
                _ => removed.push(format!("{what} {}", path.display())),
            }
        }
    }
    Ok(removed)
}

/// What lies in a folder, which may be none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, CommandFailure> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) if matches!(error.kind(), NotADirectory | NotFound) => Ok(Vec::new()),
        Err(error) => Err(CommandFailure::io("read", folder, &error)),
    }
}

/// `making-PID-…`, or a file that is `NAME-PID` until it is whole, where that process is gone and nobody holds it: a lock on it. A
/// process of another namespace cannot be seen here, but its lock can.
fn half_made(path: &Path) -> Option<File> {
    let name = path.file_name()?.to_str()?;
    let pid = match name.strip_prefix("making-") {
        Some(rest) => rest.split('-').next(),
        None => ["vmlinux-", "plain-initrd-"].iter().find_map(|prefix| name.strip_prefix(prefix)),
    };
    let pid: u32 = pid?.parse().ok()?;
    let lives = Path::new("/proc").join(pid.to_string()).exists();
    File::open(path).ok().filter(|file| !lives && file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_being_made_goes_with_who_made_it() {
        let home = tempfile::tempdir().unwrap();
        let guests = home.path().join("guests");
        assert_eq!(sweep_guests(&guests).unwrap(), Vec::<String>::new(), "there are none");
        // No process has this number: it is above the kernel's largest.
        let (dead, living) = (4_194_305, std::process::id());
        let folder = |path: String| {
            let path = guests.join(path);
            fs::create_dir_all(path.join("below")).unwrap();
            fs::write(path.join("below/file"), "some").unwrap();
            path
        };
        let file = |path: String| {
            fs::write(guests.join(&path), "some").unwrap();
            guests.join(path)
        };
        let kept = [
            "sha256-0f/below",
            "engines/sha256-0f",
            "sha256-0f/templates/0f",
            "sha256-0f/monitor-4194305",
            &format!("making-{living}-0"),
            &format!("sha256-0f/templates/making-{living}-0f"),
        ]
        .map(|path| folder(path.to_owned()));
        let whole = ["kernel", "vmlinux", "plain-initrd", &format!("vmlinux-{living}")]
            .map(|name| file(format!("sha256-0f/{name}")));
        let gone = [
            folder(format!("making-{dead}-0")),
            folder(format!("engines/making-{dead}-3")),
            folder(format!("sha256-0f/making-{dead}-root-1")),
            folder(format!("sha256-0f/templates/making-{dead}-0f")),
            file(format!("sha256-0f/vmlinux-{dead}")),
            file(format!("sha256-0f/plain-initrd-{dead}")),
        ];
        let held = folder(format!("making-{dead}-1"));
        let lock = File::open(&held).unwrap();
        lock.lock().unwrap();

        let mut said = sweep_guests(&guests).unwrap();
        said.sort();
        let is_folder = |path: &Path| path.to_string_lossy().contains("making-");
        let mut expect = gone.each_ref().map(|path| {
            let what = if is_folder(path) { "folder" } else { "file" };
            format!("{what} {}", path.display())
        });
        expect.sort();
        assert_eq!(said, expect);
        assert!(gone.iter().all(|path| !path.exists()));
        assert!(kept.iter().chain(&whole).chain([&held]).all(|path| path.exists()));
        drop(lock);
        assert_eq!(sweep_guests(&guests).unwrap().len(), 1, "nobody holds it any more");
    }
}
