//! What a monitor's jail has of the host's files: copies of its program, of the libraries that this needs, and of its firmware, in a
//! folder beside the guest, which is the one layer of the jail's root.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::kernel;
use crate::guest::scratch::{hold, making};
use crate::{CreateError, LayerSource};

/// Starts programs, and tells what libraries one would get.
const LOADERS: [&str; 2] = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
const WHOLE: &str = "monitor-";

/// A folder below `parent` with a program and what else of `files` there is on this host; all under the paths that they have
/// here. One that was made before is taken while the files are the same.
pub(super) fn layer(parent: &Path, program: &Path, files: &[&str]) -> Result<LayerSource, CreateError> {
    static KNOWN: Mutex<BTreeMap<(PathBuf, PathBuf), PathBuf>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    // What a running process has found it keeps: it would ask for every machine.
    let key = (parent.to_owned(), program.to_owned());
    if let Some(folder) = known.get(&key).filter(|folder| folder.exists()) {
        return Ok(LayerSource::Dir(folder.clone()));
    }
    let mut all = vec![program.to_owned()];
    all.extend(files.iter().map(PathBuf::from).filter(|path| path.exists()));
    let mut wanted = BTreeSet::new();
    for path in all {
        let found = libraries(&path).map_err(kernel(&format!("look for the libraries of {}", path.display())))?;
        wanted.extend(found);
        wanted.insert(path);
    }
    let made = make(parent, wanted.iter().map(PathBuf::as_path)).map_err(kernel("make the root of a monitor"))?;
    known.insert(key, made.clone());
    Ok(LayerSource::Dir(made))
}

/// The loader among them; none of a file that is no program, or a static one.
fn libraries(program: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(loader) = LOADERS.iter().find(|path| Path::new(path).exists()) else { return Ok(Vec::new()) };
    let output = Command::new(loader)
        .arg("--list")
        .arg(program)
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Ok(Vec::new());
    }
    // `name => /path (0x…)`, or `/path (0x…)`.
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(paths.chain([*loader]).map(PathBuf::from).collect())
}

/// Whole or not at all.
fn make<'a>(parent: &Path, files: impl Iterator<Item = &'a Path> + Clone) -> io::Result<PathBuf> {
    let mut digest = Sha256::new();
    for path in files.clone() {
        let found = fs::metadata(path)?;
        digest.update(format!("{path:?} {} {} {} {}\n", found.ino(), found.size(), found.mtime(), found.mtime_nsec()));
    }
    let key: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = parent.join(format!("{WHOLE}{key}"));
    if folder.exists() {
        return Ok(folder);
    }
    let folder_made = new_folder(parent)?;
    let _held = hold(&folder_made)?;
    let copied = files.clone().try_for_each(|path| {
        let place = folder_made.join(path.strip_prefix("/").unwrap_or(path));
        place.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::copy(path, &place)?;
        // Its user is nobody here.
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755))
    });
    match copied.and_then(|()| fs::rename(&folder_made, &folder)) {
        Err(error) if !folder.exists() => {
            let _ = fs::remove_dir_all(&folder_made);
            Err(error)
        }
        // Another process was first, or not.
        _ => {
            let _ = fs::remove_dir_all(&folder_made);
            Ok(folder)
        }
    }
}

fn new_folder(parent: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(parent)?;
    // What was made of files that have changed since goes with the guest.
    let path = parent.join(making("root"));
    fs::create_dir(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_comes_with_its_libraries_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let made = || match layer(parent.path(), Path::new("/bin/sh"), &["/etc/hostname", "/not/there"]).unwrap() {
            LayerSource::Dir(folder) => folder,
            LayerSource::Erofs(_) => unreachable!(),
        };
        let folder = made();
        assert_eq!(made(), folder);
        assert!(folder.join("bin/sh").exists() && folder.join("etc/hostname").exists());
        let loader = LOADERS.iter().find(|path| Path::new(path).exists()).unwrap();
        assert!(folder.join(loader.trim_start_matches('/')).exists(), "without its loader it does not start");
        assert!(!folder.join("usr/bin").exists() && fs::read_dir(folder.join("etc")).unwrap().count() == 1);
        let left = fs::read_dir(parent.path()).unwrap().count();
        assert_eq!(left, 1, "what was being made is left");
    }
}
