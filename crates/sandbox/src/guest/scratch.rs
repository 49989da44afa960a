//! Folders in which guests and engine roots are made.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::GuestError;

/// Names of what is being made begin with it.
pub(crate) const PREFIX: &str = "making-";

/// A name for what this process is about to make, which nobody else has: its number, when it began, how much it has made. `what`: for people.
pub fn making(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let own = std::process::id();
    let (began, count) = (began(own).unwrap_or_default(), COUNT.fetch_add(1, Ordering::Relaxed));
    format!("{PREFIX}{own}-{began}-{count}-{what}")
}

/// When a process began, in the kernel's ticks; `None`: there is none of this number. In a container each first process has the same number.
fn began(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may have any sign in it, the first is the third.
    text.rsplit_once(") ")?.1.split(' ').nth(22 - 3)?.parse().ok()
}

/// What a process was making that is gone, if this is such: locked, so that nobody else takes it away too. A process of another namespace
/// cannot be seen here, but its lock can.
pub fn half_made(path: &Path) -> Option<File> {
    let mut words = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.split('-');
    let mut number = || words.next()?.parse::<u64>().ok();
    let (pid, since) = (u32::try_from(number()?).ok()?, number()?);
    let lives = began(pid) == Some(since);
    File::open(path).ok().filter(|file| !lives && file.try_lock().is_ok())
}

/// A folder of its own, gone when dropped.
pub(super) struct Scratch {
    path: PathBuf,
    /// Held locked: another namespace does not know this process.
    _held: File,
}

impl Scratch {
    /// Below `parent`, from where what was made can be renamed to its place. Removes what dead processes left there.
    pub(super) fn new(parent: &Path) -> Result<Scratch, GuestError> {
        sweep(parent);
        let path = parent.join(making("folder"));
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
        if let Some(_held) = half_made(&entry.path()) {
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
        // No process has this number: it is above the kernel's largest. The last has that of one which began later.
        let own = std::process::id();
        let [dead, held, again, living] =
            ["making-4194305-7-0-x", "making-4194306-7-0-x", &format!("making-{own}-1-0-x"), &making("x")]
                .map(|name| folder.path().join(name));
        for path in [&dead, &held, &again, &living] {
            fs::create_dir(path).unwrap();
        }
        let lock = File::open(&held).unwrap();
        lock.lock().unwrap();
        let scratches = [0, 1].map(|_| Scratch::new(folder.path()).unwrap());
        assert!(!dead.exists() && !again.exists() && held.exists() && living.exists());
        let own = scratches.each_ref().map(|scratch| scratch.path().to_owned());
        assert!(own[0] != own[1] && own.iter().all(|path| path.exists()));
        drop(scratches);
        assert!(own.iter().all(|path| !path.exists()));
    }
}
