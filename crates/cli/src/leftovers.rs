//! What killed processes have left in this machine's folder of images and working data.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sandbox::guest::half_made;

use crate::failure::CommandFailure;
use crate::place;

/// Removes it; a line for each.
///
/// # Errors
/// What cannot be read or removed.
pub fn sweep(home: Option<&Path>) -> Result<Vec<String>, CommandFailure> {
    let mut removed = sweep_scratch(home)?;
    removed.extend(sweep_guests(place::guests(home).folder())?);
    Ok(removed)
}

/// Removes named leftovers in the scratch folder: runs use unnamed files there, and folders that they hold a lock on.
fn sweep_scratch(given: Option<&Path>) -> Result<Vec<String>, CommandFailure> {
    let scratch = place::home(given).join("scratch");
    let mut removed = Vec::new();
    let entries = match fs::read_dir(&scratch) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(removed),
        Err(error) => return Err(CommandFailure::io("read", &scratch, &error)),
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if fs::remove_file(&path).is_ok() {
            removed.push(format!("file {}", path.display()));
        } else if let Some(_held) = abandoned(&path)
            && fs::remove_dir_all(&path).is_ok()
        {
            removed.push(format!("folder {}", path.display()));
        }
    }
    Ok(removed)
}

/// `git-PID-…`, whose process has died and that nobody holds: a lock on it.
fn abandoned(folder: &Path) -> Option<File> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let lives = name.split('-').nth(1).is_some_and(|pid| Path::new("/proc").join(pid).exists());
    File::open(folder).ok().filter(|file| !lives && file.try_lock().is_ok())
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

#[cfg(test)]
mod tests {
    use sandbox::guest::making;

    use super::*;

    #[test]
    fn what_was_being_made_goes_with_who_made_it() {
        let home = tempfile::tempdir().unwrap();
        let guests = home.path().join("guests");
        assert_eq!(sweep_guests(&guests).unwrap(), Vec::<String>::new(), "there are none");
        // No process has this number: it is above the kernel's largest.
        let dead = "making-4194305-7-0";
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
            &making("x"),
            &format!("sha256-0f/templates/{}", making("0f")),
        ]
        .map(|path| folder(path.to_owned()));
        let whole =
            ["kernel", "vmlinux", "plain-initrd", &making("vmlinux")].map(|name| file(format!("sha256-0f/{name}")));
        let gone = [
            folder(format!("{dead}-x")),
            folder(format!("engines/{dead}-x")),
            folder(format!("sha256-0f/{dead}-root")),
            folder(format!("sha256-0f/templates/{dead}-0f")),
            file(format!("sha256-0f/{dead}-vmlinux")),
            file(format!("sha256-0f/{dead}-plain-initrd")),
        ];
        let held = folder(format!("{dead}-held"));
        let lock = File::open(&held).unwrap();
        lock.lock().unwrap();

        let mut said = sweep_guests(&guests).unwrap();
        said.sort();
        let is_folder =
            |path: &Path| !path.to_string_lossy().ends_with("vmlinux") && !path.to_string_lossy().ends_with("initrd");
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
