//! A folder of this host that files of strangers are put into: through no link, and nowhere but beneath it.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, openat2, renameat, statat, unlinkat};
use rustix::io::Errno;

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
/// Parts of a path.
const MOST_PARTS: usize = 256;

/// The parts of a relative path that stays below where it starts.
pub fn inside(path: &Path) -> Option<Vec<PathBuf>> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(PathBuf::from(part)),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty() && parts.len() < MOST_PARTS).then_some(parts)
}

/// The folder. Paths are parts, as [`inside`] gives them.
#[derive(Debug)]
pub struct Below {
    root: OwnedFd,
}

impl Below {
    /// Opens it; makes it where there is none.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn open(folder: &Path) -> std::io::Result<Below> {
        std::fs::create_dir_all(folder)?;
        Ok(Below { root: File::open(folder)?.into() })
    }

    /// Makes folders, each in the one before.
    ///
    /// # Errors
    /// A part is there and no folder.
    pub fn make_folders(&self, parts: &[PathBuf]) -> std::io::Result<()> {
        let mut path = PathBuf::new();
        for part in parts {
            let parent = self.folder(&path)?;
            match rustix::fs::mkdirat(&parent, part, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            path.push(part);
        }
        Ok(())
    }

    fn folder(&self, path: &Path) -> std::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat2(self.root.as_fd(), path, flags, Mode::empty(), BENEATH)?)
    }

    fn parent(&self, parts: &[PathBuf]) -> std::io::Result<(OwnedFd, PathBuf)> {
        let Some((name, folders)) = parts.split_last() else { return Err(Errno::NOENT.into()) };
        self.make_folders(folders)?;
        Ok((self.folder(&folders.iter().collect::<PathBuf>())?, name.clone()))
    }

    /// Writes a file. One that is there is replaced, not written into: it may be linked from elsewhere.
    ///
    /// # Errors
    /// It cannot be written, or a folder is there in its place.
    pub fn replace(&self, parts: &[PathBuf], executable: bool, content: &mut impl Read) -> std::io::Result<()> {
        let (parent, name) = self.parent(parts)?;
        match unlinkat(&parent, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let mut file = create(&parent, &name, if executable { 0o755 } else { 0o644 })?;
        std::io::copy(content, &mut file).map(drop)
    }

    /// Begins a file: until [`Begun::finish`] nothing of that name is changed.
    ///
    /// # Errors
    /// There is something in its place that is no file, or it cannot be written.
    pub fn begin(&self, parts: &[PathBuf]) -> std::io::Result<Begun> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let (parent, name) = self.parent(parts)?;
        no_other_thing(&parent, &name)?;
        let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let begun = PathBuf::from(format!(".cofferdam-{process}-{number}"));
        // Of a process that was killed, and had our number.
        let _ = unlinkat(&parent, &begun, AtFlags::empty());
        let file = create(&parent, &begun, 0o644)?;
        Ok(Begun { file, parent, begun, name })
    }

    /// Opens a file to read it.
    ///
    /// # Errors
    /// There is none.
    pub fn read(&self, parts: &[PathBuf]) -> std::io::Result<File> {
        let path = parts.iter().collect::<PathBuf>();
        // One that would wait for somebody is none.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(openat2(self.root.as_fd(), &path, flags, Mode::empty(), BENEATH)?))
    }
}

fn create(parent: &OwnedFd, name: &Path, mode: u32) -> std::io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat2(parent, name, flags, Mode::from_raw_mode(mode), BENEATH)?))
}

fn no_other_thing(parent: &OwnedFd, name: &Path) -> std::io::Result<()> {
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile => Ok(()),
        Ok(_) => Err(std::io::Error::new(std::io::ErrorKind::AlreadyExists, "it is there already, and no file")),
    }
}

/// A file that is being written. Dropped before its end, it leaves nothing.
#[derive(Debug)]
pub struct Begun {
    /// What it will have.
    pub file: File,
    parent: OwnedFd,
    begun: PathBuf,
    name: PathBuf,
}

impl Begun {
    /// From now on it is there, in the place of a file of that name.
    ///
    /// # Errors
    /// There is something in its place that is no file.
    pub fn finish(self) -> std::io::Result<()> {
        no_other_thing(&self.parent, &self.name)?;
        Ok(renameat(&self.parent, &self.begun, &self.parent, &self.name)?)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // Once it is finished there is none.
        let _ = unlinkat(&self.parent, &self.begun, AtFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn parts(path: &str) -> Vec<PathBuf> {
        inside(Path::new(path)).unwrap()
    }

    fn put(below: &Below, path: &str, text: &str) -> std::io::Result<()> {
        let mut begun = below.begin(&parts(path))?;
        begun.file.write_all(text.as_bytes())?;
        begun.finish()
    }

    #[test]
    fn a_file_is_there_at_its_end_and_over_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let below = Below::open(&dir.path().join("out")).unwrap();
        let at = |name: &str| dir.path().join("out").join(name);
        put(&below, "a/b", "one").unwrap();
        let mut begun = below.begin(&parts("a/b")).unwrap();
        begun.file.write_all(b"half").unwrap();
        drop(begun);
        assert_eq!(std::fs::read_to_string(at("a/b")).unwrap(), "one");
        put(&below, "a/b", "two").unwrap();
        assert_eq!(std::fs::read_to_string(at("a/b")).unwrap(), "two");
        assert_eq!(std::fs::read_dir(at("a")).unwrap().count(), 1, "nothing else is left");
        std::fs::write(dir.path().join("elsewhere"), "mine").unwrap();
        std::os::unix::fs::symlink("../elsewhere", at("link")).unwrap();
        std::os::unix::fs::symlink("..", at("up")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        for path in ["link", "up", "up/elsewhere", "fifo", "a", "a/b/c"] {
            assert!(put(&below, path, "x").is_err(), "{path}");
        }
        assert_eq!(std::fs::read_to_string(dir.path().join("elsewhere")).unwrap(), "mine");
        assert!(at("link").is_symlink() && !dir.path().join("c").exists());
    }
}
