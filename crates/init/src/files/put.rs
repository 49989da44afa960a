//! Extracts a tar stream below a folder. Every name is resolved by the kernel beneath that folder (`openat2`), whatever
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
use tar::EntryType;
use wire::init::{FileReply, OperationError, Skipped, TarLimits};

use super::{failed, limit_error, make_all, skip};

const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Permissions that an entry may set: none of the special bits.
const MODE_BITS: u32 = 0o777;

struct Put<'a> {
    dir: &'a str,
    root: OwnedFd,
    owner: Option<(Uid, Gid)>,
    entries: u64,
    bytes: u64,
    skipped: Skipped,
    /// Folder of the last entry: the next one is usually in the same.
    parent: Option<(Vec<u8>, OwnedFd)>,
    /// Permissions of folders that would keep their own content out; set at the end.
    late_modes: BTreeMap<Vec<u8>, Mode>,
}

pub(super) fn put_tar(
    dir: &str,
    owner: Option<(u32, u32)>,
    limits: TarLimits,
    input: File,
) -> Result<FileReply, OperationError> {
    make_all(dir.as_ref(), 0o755).map_err(failed("make the folder", dir))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(dir, flags, Mode::empty()).map_err(|e| failed("open the folder", dir)(e.into()))?;
    let owner = owner.map(|(uid, gid)| (Uid::from_raw(uid), Gid::from_raw(gid)));
    let mut put = Put {
        dir,
        root,
        owner,
        entries: 0,
        bytes: 0,
        skipped: Skipped::default(),
        parent: None,
        late_modes: BTreeMap::new(),
    };
    let mut archive = tar::Archive::new(io::BufReader::with_capacity(READ_BUFFER_BYTES, input));
    for entry in archive.entries().map_err(failed("extract to", dir))? {
        let mut entry = entry.map_err(failed("extract to", dir))?;
        put.entries += 1;
        put.bytes = put.bytes.saturating_add(entry.size());
        if put.entries > limits.entries {
            return Err(limit_error("extract to", dir, format_args!("{} entries", limits.entries)));
        }
        if put.bytes > limits.bytes {
            return Err(limit_error("extract to", dir, format_args!("{} bytes", limits.bytes)));
        }
        put.entry(&mut entry)?;
    }
    put.set_late_modes();
    // Padding after the end marker, so that the sender is not surprised by a closed pipe.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(failed("extract to", dir))?;
    let Put { entries, bytes, skipped, .. } = put;
    Ok(FileReply::Put { entries: entries.saturating_sub(skipped.count), bytes, skipped })
}

/// A relative name without `.`; `None` where it leads up.
fn plain_path(name: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return None,
            part if part.contains(&0) => return None,
            part => parts.push(part),
        }
    }
    Some(parts)
}

impl Put<'_> {
    /// Extracts one entry. An entry that cannot be is skipped; a disk that is full ends everything.
    fn entry<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<(), OperationError> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            self.entries -= 1;
            return Ok(());
        }
        let name = entry.path_bytes().into_owned();
        let Some(parts) = plain_path(&name) else {
            skip(&mut self.skipped, &name, "the name leads out of the folder");
            return Ok(());
        };
        let Some((last, folders)) = parts.split_last() else { return Ok(()) };
        let result = self.parent(folders).and_then(|parent| match kind {
            EntryType::Directory => self.folder(&parent, last, &parts, entry),
            EntryType::Symlink => self.symlink(&parent, last, entry),
            EntryType::Link => self.hard_link(&parent, last, entry),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => self.file(&parent, last, entry),
            _ => Err(io::Error::other("not a file, folder or link")),
        });
        match result {
            Ok(()) => Ok(()),
            Err(error) if is_fatal(&error) => {
                Err(failed("extract", &format!("{} to {}", String::from_utf8_lossy(&name), self.dir))(error))
            }
            Err(error) => {
                skip(&mut self.skipped, &name, error.to_string());
                Ok(())
            }
        }
    }

    /// The folder of an entry, made where it is missing.
    fn parent(&mut self, folders: &[&[u8]]) -> io::Result<OwnedFd> {
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

    fn folder<R: Read>(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        parts: &[&[u8]],
        entry: &tar::Entry<'_, R>,
    ) -> io::Result<()> {
        let mode = Mode::from_raw_mode(entry.header().mode()? & MODE_BITS);
        match mkdirat(parent, name, Mode::RWXU) {
            Ok(()) => self.give(parent, name)?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        // A link to a folder that was there stays a link; what is below goes through it, but not outside.
        let Ok(fd) = openat(parent, name, flags, Mode::empty()) else {
            return Ok(self.beneath(&parts.join(&b'/')).map(drop)?);
        };
        if mode.contains(Mode::RWXU) {
            // Somebody else's folder keeps its permissions.
            return fchmod(&fd, mode).or_else(|errno| if errno == Errno::PERM { Ok(()) } else { Err(errno.into()) });
        }
        self.late_modes.insert(parts.join(&b'/'), mode);
        Ok(())
    }

    fn symlink<R: Read>(&mut self, parent: &OwnedFd, name: &[u8], entry: &tar::Entry<'_, R>) -> io::Result<()> {
        let target = entry.link_name_bytes().ok_or_else(|| io::Error::other("a link without a target"))?;
        make_way(parent, name)?;
        // The target is text. Where it leads is decided whenever it is followed, by whoever follows it, inside.
        symlinkat(&*target, parent, name)?;
        self.give(parent, name)
    }

    fn hard_link<R: Read>(&mut self, parent: &OwnedFd, name: &[u8], entry: &tar::Entry<'_, R>) -> io::Result<()> {
        let target = entry.link_name_bytes().ok_or_else(|| io::Error::other("a link without a target"))?;
        let parts = plain_path(&target).ok_or_else(|| io::Error::other("the link leads out of the folder"))?;
        let (last, folders) = parts.split_last().ok_or_else(|| io::Error::other("a link without a target"))?;
        let from = self.beneath(&folders.join(&b'/'))?;
        make_way(parent, name)?;
        Ok(linkat(&from, *last, parent, name, AtFlags::empty())?)
    }

    fn file<R: Read>(&mut self, parent: &OwnedFd, name: &[u8], entry: &mut tar::Entry<'_, R>) -> io::Result<()> {
        let mode = Mode::from_raw_mode(entry.header().mode()? & MODE_BITS);
        let modified = entry.header().mtime()?;
        make_way(parent, name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?);
        io::copy(entry, &mut file)?;
        if let Some((uid, gid)) = self.owner {
            fchown(&file, Some(uid), Some(gid))?;
        }
        fchmod(&file, mode)?;
        let time = Timespec { tv_sec: i64::try_from(modified).unwrap_or(0), tv_nsec: 0 };
        Ok(futimens(&file, &Timestamps { last_access: time, last_modification: time })?)
    }

    fn set_late_modes(&mut self) {
        // Deepest first: a folder may close the way to those below it.
        for (path, mode) in std::mem::take(&mut self.late_modes).into_iter().rev() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let result = open_beneath(&self.root, &path, flags).and_then(|fd| fchmod(&fd, mode));
            if let Err(errno) = result {
                skip(&mut self.skipped, &path, io::Error::from(errno).to_string());
            }
        }
    }
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

/// A stream that is broken or a place that is full makes every further entry pointless.
fn is_fatal(error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(errno) => {
            matches!(errno, libc::ENOSPC | libc::EDQUOT | libc::EIO | libc::EROFS | libc::ENOMEM | libc::EMFILE)
        }
        None => matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData),
    }
}

#[cfg(test)]
mod tests {
    use super::plain_path;

    #[test]
    fn names_are_made_plain_or_refused() {
        let check = |name: &str, expect: Option<&str>| {
            let parts =
                plain_path(name.as_bytes()).map(|parts| String::from_utf8_lossy(&parts.join(&b'/')).into_owned());
            assert_eq!(parts.as_deref(), expect, "{name}");
        };
        check("a/b", Some("a/b"));
        check("./a//b/.", Some("a/b"));
        check("/etc/passwd", Some("etc/passwd"));
        check("a/../b", None);
        check("..", None);
        check("a\0b", None);
        check("./", Some(""));
    }
}
