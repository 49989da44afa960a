//! The folders of a store: making and checking them, unfinished work in `tmp/`, and clearing away what died.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::FlockOperation;

use super::lock::{FileLock, Mode};
use crate::unpack::{Converter, IdMap};
use crate::{Digest, ImageError};

const SUBFOLDERS: [&str; 5] = ["layers", "images", "refs", "locks", "tmp"];

/// The paths of a store, and what is needed to remove folders in it.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    pub(crate) root: PathBuf,
    pub(crate) converter: Converter,
    pub(crate) ids: IdMap,
}

impl Folders {
    pub(crate) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    pub(crate) fn refs(&self) -> PathBuf {
        self.root.join("refs")
    }

    fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// The file to lock for `kind` (`layer`, `image`, `name`) and a digest.
    pub(crate) fn lock(&self, kind: &str, digest: &Digest) -> PathBuf {
        self.root.join("locks").join(format!("{kind}-{}", digest.hex()))
    }

    /// Makes what is missing and refuses what somebody else could have prepared.
    pub(crate) fn prepare(&self) -> Result<(), ImageError> {
        fs::create_dir_all(&self.root).map_err(|error| ImageError::io("create", &self.root, error))?;
        for name in SUBFOLDERS {
            let path = self.root.join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(ImageError::io("create", &path, error));
                }
                _ => {}
            }
            let about = fs::symlink_metadata(&path).map_err(|error| ImageError::io("look at", &path, error))?;
            let unsafe_because = |reason: &str| ImageError::Store { path: path.clone(), reason: reason.to_owned() };
            if !about.is_dir() {
                return Err(unsafe_because("it is not a folder"));
            }
            if about.uid() != rustix::process::geteuid().as_raw() {
                return Err(unsafe_because("it belongs to another user"));
            }
            if about.mode() & 0o022 != 0 {
                return Err(unsafe_because("other users can write to it"));
            }
            // What cannot be looked into would seem to be empty.
            let access = rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
            rustix::fs::access(&path, access).map_err(|errno| ImageError::io("use", &path, errno.into()))?;
        }
        Ok(())
    }

    /// Removes unfinished work whose owner is dead. Returns how many things were removed.
    pub(crate) fn sweep(&self) -> Result<usize, ImageError> {
        let tmp = self.tmp();
        // New things are made and locked under this lock, so none is seen before its owner has locked it.
        let _quiet = FileLock::take_blocking(&self.making(), Mode::Exclusive)?;
        let mut removed = 0;
        for entry in fs::read_dir(&tmp).map_err(|error| ImageError::io("read", &tmp, error))? {
            let path = entry.map_err(|error| ImageError::io("read", &tmp, error))?.path();
            let opened = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&path);
            if let Ok(file) = opened
                && rustix::fs::flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive).is_err()
            {
                continue;
            }
            match self.remove(&path) {
                Ok(()) => removed += 1,
                Err(error) => tracing::warn!(path = %path.display(), %error, "cannot remove unfinished work"),
            }
        }
        Ok(removed)
    }

    /// Lock files that somebody may hold, but that are not needed where nobody does.
    pub(crate) fn idle_locks(&self) -> Result<Vec<PathBuf>, ImageError> {
        let folder = self.root.join("locks");
        let entries = fs::read_dir(&folder).map_err(|error| ImageError::io("read", &folder, error))?;
        Ok(entries.flatten().map(|entry| entry.path()).filter(|path| *path != self.making()).collect())
    }

    fn making(&self) -> PathBuf {
        self.root.join("locks").join("making")
    }

    fn remove(&self, path: &Path) -> Result<(), ImageError> {
        let result = match fs::symlink_metadata(path) {
            Ok(about) if about.is_dir() => {
                return self.converter.remove_folder(path, &self.ids).map_err(|error| ImageError::Store {
                    path: path.to_owned(),
                    reason: format!("it cannot be removed: {error}"),
                });
            }
            Ok(_) => fs::remove_file(path),
            Err(error) => Err(error),
        };
        match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ImageError::io("remove", path, error)),
            _ => Ok(()),
        }
    }

    /// Takes something out of sight at once and removes it then.
    pub(crate) fn discard(&self, path: &Path) -> Result<(), ImageError> {
        match fs::symlink_metadata(path) {
            Ok(about) if about.is_dir() => {
                let grave = self.tmp().join(fresh_name());
                fs::rename(path, &grave).map_err(|error| ImageError::io("remove", path, error))?;
                self.remove(&grave)
            }
            _ => self.remove(path),
        }
    }

    /// A new, empty, locked file in `tmp/`.
    pub(crate) fn temp_file(&self) -> Result<Temp, ImageError> {
        let _making = FileLock::take_blocking(&self.making(), Mode::Shared)?;
        let path = self.tmp().join(fresh_name());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| ImageError::io("create", &path, error))?;
        self.locked(path, file)
    }

    /// A new, empty, locked folder in `tmp/`.
    pub(crate) fn temp_folder(&self) -> Result<Temp, ImageError> {
        let _making = FileLock::take_blocking(&self.making(), Mode::Shared)?;
        let path = self.tmp().join(fresh_name());
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| ImageError::io("create", &path, error))?;
        let file = File::open(&path).map_err(|error| ImageError::io("open", &path, error))?;
        self.locked(path, file)
    }

    fn locked(&self, path: PathBuf, file: File) -> Result<Temp, ImageError> {
        rustix::fs::flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| ImageError::io("lock", &path, error.into()))?;
        Ok(Temp { path, file, folders: self.clone(), kept: false })
    }

    /// Writes a small file that is either there completely or not at all.
    pub(crate) fn write(&self, to: &Path, bytes: &[u8]) -> Result<(), ImageError> {
        let temp = self.temp_file()?;
        (&temp.file).write_all(bytes).map_err(|error| ImageError::io("write", to, error))?;
        temp.keep_as(to)
    }
}

/// Something unfinished: removed when dropped, by the next start when we are killed.
#[derive(Debug)]
pub(crate) struct Temp {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    folders: Folders,
    kept: bool,
}

impl Temp {
    /// It is finished: gives it its name, in place of whatever has it.
    pub(crate) fn keep_as(mut self, to: &Path) -> Result<(), ImageError> {
        if self.path.is_dir() && to.exists() {
            self.folders.discard(to)?;
        }
        fs::rename(&self.path, to).map_err(|error| ImageError::io("create", to, error))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = self.folders.remove(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove unfinished work");
        }
    }
}

/// A name that nobody else uses at this moment.
fn fresh_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
    format!("{}-{}-{nanos:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(root: &Path) -> Folders {
        Folders { root: root.to_owned(), converter: Converter::new("/nonexistent", []), ids: IdMap::Host }
    }

    #[test]
    fn dead_work_is_swept_and_living_is_not() {
        let home = tempfile::tempdir().unwrap();
        let folders = folders(home.path());
        folders.prepare().unwrap();
        let living = folders.temp_file().unwrap();
        fs::write(home.path().join("tmp/dead"), "x").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", home.path().join("tmp/link")).unwrap();
        assert_eq!(folders.sweep().unwrap(), 2);
        assert!(living.path.exists() && Path::new("/etc/passwd").exists());
        let path = living.path.clone();
        drop(living);
        assert!(!path.exists());
    }

    #[test]
    fn files_appear_whole() {
        let home = tempfile::tempdir().unwrap();
        let folders = folders(home.path());
        folders.prepare().unwrap();
        let to = home.path().join("refs/a.json");
        folders.write(&to, b"1").unwrap();
        folders.write(&to, b"22").unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"22");
        assert_eq!(fs::read_dir(home.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn prepared_traps_are_refused() {
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/tmp", home.path().join("layers")).unwrap();
        assert!(matches!(folders(home.path()).prepare(), Err(ImageError::Store { .. })));
        fs::remove_file(home.path().join("layers")).unwrap();
        DirBuilder::new().create(home.path().join("layers")).unwrap();
        fs::set_permissions(home.path().join("layers"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        assert!(matches!(folders(home.path()).prepare(), Err(ImageError::Store { .. })));
    }
}
