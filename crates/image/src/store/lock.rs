//! `flock(2)` on small files: the kernel lets go of them when their holder dies, however it dies.
//!
//! Waiting is done by asking again, so that a task that waits can be dropped. Two handles in one process exclude each
//! other as two processes do.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::ImageError;

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(40);

/// What a lock is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Relying on something.
    Shared,
    /// Making or removing it.
    Exclusive,
}

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock if nobody is in the way.
    pub(crate) fn try_take(path: &Path, mode: Mode) -> Result<Option<Self>, ImageError> {
        let operation = match mode {
            Mode::Shared => FlockOperation::NonBlockingLockShared,
            Mode::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(path)
                .map_err(|error| ImageError::io("open the lock", path, error))?;
            match retry(|| rustix::fs::flock(file.as_fd(), operation)) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(ImageError::io("lock", path, error.into())),
            }
            // Somebody may have removed the file between our opening and locking it; then we hold a lock on nothing.
            let links =
                rustix::fs::fstat(file.as_fd()).map_err(|error| ImageError::io("look at", path, error.into()))?;
            if links.st_nlink > 0 {
                return Ok(Some(Self { file }));
            }
        }
    }

    /// Takes the lock as soon as it is free. `on_wait` is called once if it is not free at once.
    pub(crate) async fn take(path: &Path, mode: Mode, on_wait: impl FnOnce()) -> Result<Self, ImageError> {
        let mut on_wait = Some(on_wait);
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(lock) = Self::try_take(path, mode)? {
                return Ok(lock);
            }
            if let Some(tell) = on_wait.take() {
                tell();
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The same, blocking the thread, for locks that are held for moments only.
    pub(crate) fn take_blocking(path: &Path, mode: Mode) -> Result<Self, ImageError> {
        loop {
            if let Some(lock) = Self::try_take(path, mode)? {
                return Ok(lock);
            }
            std::thread::sleep(FIRST_PAUSE);
        }
    }

    /// Turns an exclusive lock into a shared one. Somebody may come between, so what was true must be looked at again.
    pub(crate) fn share(self) -> Result<Self, Errno> {
        retry(|| rustix::fs::flock(self.file.as_fd(), FlockOperation::LockShared))?;
        Ok(self)
    }
}

fn retry(mut call: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excludes_and_survives_removal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let first = FileLock::try_take(&path, Mode::Shared).unwrap().unwrap();
        let second = FileLock::try_take(&path, Mode::Shared).unwrap();
        assert!(second.is_some());
        assert!(FileLock::try_take(&path, Mode::Exclusive).unwrap().is_none());
        drop((first, second));
        let writer = FileLock::try_take(&path, Mode::Exclusive).unwrap().unwrap();
        assert!(FileLock::try_take(&path, Mode::Shared).unwrap().is_none());
        let writer = writer.share().unwrap();
        assert!(FileLock::try_take(&path, Mode::Shared).unwrap().is_some());
        std::fs::remove_file(&path).unwrap();
        assert!(FileLock::try_take(&path, Mode::Exclusive).unwrap().is_some(), "a new file, a new lock");
        drop(writer);
    }
}
