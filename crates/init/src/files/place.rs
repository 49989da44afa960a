//! A folder that files of an archive are put into. Every name is resolved by the kernel beneath that folder (`openat2`), whatever
//! links lie on the way; files are made new, never written through what was there; devices and privileges are left out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps, chownat, fchmod, fchown, futimens, linkat, mkdirat,
    openat, openat2, symlinkat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use wire::init::{FileReply, OperationError, Skipped};

use super::{failed, make_all, skip};

/// Permissions that an entry may set: none of the special bits.
const MODE_BITS: u32 = 0o777;

pub(super) struct Place {
    root: OwnedFd,
    owner: Option<(Uid, Gid)>,
    /// Folder of the last entry: the next one is usually in the same.
    parent: Option<(Vec<u8>, OwnedFd)>,
    /// Permissions of folders that would keep their own content out; set at the end.
    late_modes: BTreeMap<Vec<u8>, Mode>,
}

impl Place {
    /// Opens a folder, made where it is missing; what is made in it belongs to `owner`, if somebody else.
    pub(super) fn open(dir: &str, owner: Option<(u32, u32)>) -> Result<Place, OperationError> {
        make_all(dir.as_ref(), 0o755).map_err(failed("make the folder", dir))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(dir, flags, Mode::empty()).map_err(|e| failed("open the folder", dir)(e.into()))?;
        let owner = owner.map(|(uid, gid)| (Uid::from_raw(uid), Gid::from_raw(gid)));
        Ok(Place { root, owner, parent: None, late_modes: BTreeMap::new() })
    }

    /// The folder of an entry, made where it is missing.
    pub(super) fn parent(&mut self, folders: &[&[u8]]) -> io::Result<OwnedFd> {
        let path = folders.join(&b'/');
        if let Some((known, fd)) = &self.parent
            && *known == path
        {
            return fd.try_clone();
        }
        let fd = match self.beneath(&path) {
            Err(Errno::NOENT) => self.make_folders(folders)?,
            result => result?,
        };
        self.parent = Some((path, fd.try_clone()?));
        Ok(fd)
    }

    fn beneath(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        open_beneath(&self.root, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC)
    }

    fn make_folders(&self, folders: &[&[u8]]) -> io::Result<OwnedFd> {
        let mut fd = self.beneath(b"")?;
        for end in 1..=folders.len() {
            match mkdirat(&fd, folders[end - 1], Mode::from_raw_mode(0o755)) {
                Ok(()) => self.give(fd.as_fd(), folders[end - 1])?,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
            fd = self.beneath(&folders[..end].join(&b'/'))?;
        }
        Ok(fd)
    }

    /// Gives a name that was just made to the owner.
    fn give(&self, parent: impl AsFd, name: &[u8]) -> io::Result<()> {
        let Some((uid, gid)) = self.owner else { return Ok(()) };
        Ok(chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Makes a folder, whose path from the top is `parts`, or takes the one that is there.
    pub(super) fn folder(&mut self, parent: &OwnedFd, parts: &[&[u8]], mode: u32) -> io::Result<()> {
        let Some(name) = parts.last() else { return Ok(()) };
        let mode = Mode::from_raw_mode(mode & MODE_BITS);
        match mkdirat(parent, *name, Mode::RWXU) {
            Ok(()) => self.give(parent, name)?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        // A link to a folder that was there stays a link; what is below goes through it, but not outside.
        let Ok(fd) = openat(parent, *name, flags, Mode::empty()) else {
            return Ok(self.beneath(&parts.join(&b'/')).map(drop)?);
        };
        if mode.contains(Mode::RWXU) {
            // Somebody else's folder keeps its permissions.
            return fchmod(&fd, mode).or_else(|errno| if errno == Errno::PERM { Ok(()) } else { Err(errno.into()) });
        }
        self.late_modes.insert(parts.join(&b'/'), mode);
        Ok(())
    }

    /// Makes a symbolic link. The target is text: where it leads is decided whenever it is followed, by whoever follows it, inside.
    pub(super) fn symlink(&self, parent: &OwnedFd, name: &[u8], target: &[u8]) -> io::Result<()> {
        make_way(parent, name)?;
        symlinkat(target, parent, name)?;
        self.give(parent, name)
    }

    /// Gives a file of the place one more name.
    pub(super) fn hard_link(&self, parent: &OwnedFd, name: &[u8], target: &[&[u8]]) -> io::Result<()> {
        let (last, folders) = target.split_last().ok_or_else(|| io::Error::other("a link without a target"))?;
        let from = self.beneath(&folders.join(&b'/'))?;
        make_way(parent, name)?;
        Ok(linkat(&from, *last, parent, name, AtFlags::empty())?)
    }

    /// Makes a file, in the place of one that is there. `modified_s`: in seconds since 1970; `None`: now.
    pub(super) fn file(
        &self,
        parent: &OwnedFd,
        name: &[u8],
        (mode, modified_s): (u32, Option<u64>),
        content: &mut impl Read,
    ) -> io::Result<()> {
        make_way(parent, name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?);
        io::copy(content, &mut file)?;
        if let Some((uid, gid)) = self.owner {
            fchown(&file, Some(uid), Some(gid))?;
        }
        fchmod(&file, Mode::from_raw_mode(mode & MODE_BITS))?;
        let Some(modified_s) = modified_s else { return Ok(()) };
        let time = Timespec { tv_sec: i64::try_from(modified_s).unwrap_or(0), tv_nsec: 0 };
        Ok(futimens(&file, &Timestamps { last_access: time, last_modification: time })?)
    }

    /// The last word on a place: permissions that would have been in the way.
    pub(super) fn finish(mut self, skipped: &mut Skipped) {
        // Deepest first: a folder may close the way to those below it.
        for (path, mode) in std::mem::take(&mut self.late_modes).into_iter().rev() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let result = open_beneath(&self.root, &path, flags).and_then(|fd| fchmod(&fd, mode));
            if let Err(errno) = result {
                skip(skipped, &path, io::Error::from(errno).to_string());
            }
        }
    }
}

/// Makes a folder and those above it, through no link: whoever may change one on the way would have a folder of somebody else's else.
pub(super) fn make_dir_for(path: &str, (uid, gid): (u32, u32)) -> Result<FileReply, OperationError> {
    let error = |errno: Errno| failed("make the folder", path)(errno.into());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder = rustix::fs::open("/", flags, Mode::empty()).map_err(error)?;
    let mut is_made = false;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if part == ".." {
            return Err(error(Errno::INVAL));
        }
        is_made = match mkdirat(&folder, part, Mode::from_raw_mode(0o755)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(error(errno)),
        };
        folder = openat(&folder, part, flags, Mode::empty()).map_err(error)?;
    }
    if is_made {
        fchown(&folder, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).map_err(error)?;
    }
    Ok(FileReply::Done)
}

/// Opens what lies below a folder; no link leads out of it.
fn open_beneath(root: &OwnedFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // While something is renamed or mounted anywhere on the host, the kernel cannot prove that `..` stays inside, and asks
    // to be asked again.
    let open = || openat2(root, path, flags, Mode::empty(), resolve);
    match (0..1000).map(|_| open()).find(|opened| !matches!(opened, Err(Errno::AGAIN))) {
        Some(Err(Errno::NOSYS)) => step_by_step(root, path, flags),
        opened => opened.unwrap_or(Err(Errno::AGAIN)),
    }
}

/// For kernels without `openat2` (gVisor's of 2022): through no link at all.
fn step_by_step(root: &OwnedFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut folder = root.try_clone().map_err(|_| Errno::MFILE)?;
    let mut parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        if part == b".." {
            return Err(Errno::XDEV);
        }
        let on_the_way = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let flags = if parts.peek().is_some() { on_the_way } else { flags };
        folder = openat(&folder, part, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(folder)
}

/// Removes what is in the way of a file or link; a folder only when it is empty.
fn make_way(parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
    let result = match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => unlinkat(parent, name, AtFlags::REMOVEDIR),
        result => result,
    };
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    /// Whoever may change a link on the way would have a folder that is not his.
    #[test]
    fn a_folder_for_a_user_is_made_through_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let make = |name: &str| make_dir_for(at(name).to_str().unwrap(), (rustix::process::getuid().as_raw(), 4321));
        std::fs::create_dir(at("real")).unwrap();
        symlink(at("real"), at("link")).unwrap();
        assert!(make("link/new").is_err() && make("link").is_err() && make("real/../up").is_err());
        assert!(!at("real/new").exists() && !at("up").exists());
        if rustix::process::geteuid().is_root() {
            make("real/a/b").unwrap();
            let group = |name: &str| std::fs::metadata(at(name)).unwrap().gid();
            assert_eq!((group("real/a/b"), group("real/a")), (4321, group("real")));
            // What is there stays whose it is.
            make("real").unwrap();
            assert_ne!(group("real"), 4321);
        }
    }
}
