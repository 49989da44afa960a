//! Folders in which guests and engine roots are made.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::GuestError;

/// Names of what is being made begin with it, and with the number of the process behind it.
pub(crate) const PREFIX: &str = "making-";

/// A folder of its own, gone when dropped.
pub(super) struct Scratch {
    path: PathBuf,
    /// Held locked: another namespace does not know this process.
    _held: File,
}

impl Scratch {
    /// Below `parent`, from where what was made can be renamed to its place. Removes what dead processes left there.
    pub(super) fn new(parent: &Path) -> Result<Scratch, GuestError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        sweep(parent);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
        let held = fs::create_dir_all(&path).and_then(|()| {
            let held = hold(&path)?;
            // Nobody else looks at, or changes, what is not finished.
            held.set_permissions(fs::Permissions::from_mode(0o700))?;
            Ok(held)
        });
        match held {
            Ok(held) => Ok(Scratch { path, _held: held }),
            Err(source) => Err(GuestError::File { path, source }),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Says that what is being made is not left over, to those who cannot see this process. While the file is open.
pub(crate) fn hold(making: &Path) -> io::Result<File> {
    let held = File::open(making)?;
    held.lock()?;
    Ok(held)
}

/// Removes what processes were making that are gone.
pub(crate) fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let dead = pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        if dead && File::open(entry.path()).is_ok_and(|folder| folder.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_left_is_swept_and_what_lives_stays() {
        let folder = tempfile::tempdir().unwrap();
        // No process has this number: it is above the kernel's largest.
        let [dead, held, living] =
            ["making-4194305-0", "making-4194306-0", "making-1-0"].map(|name| folder.path().join(name));
        for path in [&dead, &held, &living] {
            fs::create_dir(path).unwrap();
        }
        let lock = File::open(&held).unwrap();
        lock.lock().unwrap();
        let scratches = [0, 1].map(|_| Scratch::new(folder.path()).unwrap());
        assert!(!dead.exists() && held.exists() && living.exists());
        let own = scratches.each_ref().map(|scratch| scratch.path().to_owned());
        assert!(own[0] != own[1] && own.iter().all(|path| path.exists()));
        drop(scratches);
        assert!(own.iter().all(|path| !path.exists()));
    }
}
