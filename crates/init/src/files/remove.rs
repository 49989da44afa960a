//! Removes a tree of any depth and breadth with a handful of descriptors and without ever following a link.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fchmod, fstat, openat, unlinkat};
use rustix::io::Errno;
use wire::init::{FileReply, OperationError};

const DIR_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// A folder above the one that is being emptied.
struct Above {
    /// Name of the folder below it that was entered.
    entered: CString,
    /// Device and inode: `..` must lead back here, or somebody is moving folders around.
    identity: (u64, u64),
}

pub(super) fn remove_tree(path: &str, keep_top: bool) -> Result<FileReply, OperationError> {
    let failed = |errno: Errno| OperationError::new(format!("remove {path}"), errno.raw_os_error());
    let path_c = CString::new(path).map_err(|_| failed(Errno::INVAL))?;
    if !keep_top {
        match unlinkat(CWD, &path_c, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(FileReply::Done),
            Err(Errno::ISDIR | Errno::PERM | Errno::ACCESS) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    let top = match openat(CWD, &path_c, DIR_FLAGS, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(FileReply::Done),
        Err(Errno::ACCESS) => open_denied(&path_c).map_err(failed)?,
        result => result.map_err(failed)?,
    };
    empty(top).map_err(|error| OperationError::new(format!("remove {path}"), crate::sys::errno(&error)))?;
    if !keep_top {
        match unlinkat(CWD, &path_c, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    Ok(FileReply::Done)
}

/// A folder of one's own without permission to read it: gives itself the permission.
fn open_denied(path: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::chmodat(CWD, path, Mode::RWXU, AtFlags::empty())?;
    openat(CWD, path, DIR_FLAGS, Mode::empty())
}

fn identity(dir: &OwnedFd) -> io::Result<(u64, u64)> {
    let stat = fstat(dir)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Empties a folder. Works at one level at a time; goes up by `..`, so that depth costs no descriptors.
fn empty(top: OwnedFd) -> io::Result<()> {
    let mut above: Vec<Above> = Vec::new();
    let mut dir = top;
    loop {
        match empty_level(&dir)? {
            Some(name) => {
                let below = enter(&dir, &name)?;
                above.push(Above { entered: name, identity: identity(&dir)? });
                dir = below;
            }
            None => {
                let Some(Above { entered, identity: expected }) = above.pop() else { return Ok(()) };
                dir = openat(&dir, c"..", DIR_FLAGS, Mode::empty())?;
                if identity(&dir)? != expected {
                    // Going on would remove what nobody asked to remove.
                    return Err(Errno::AGAIN.into());
                }
                match unlinkat(&dir, &entered, AtFlags::REMOVEDIR) {
                    Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
    }
}

/// Removes what can be removed at this level; returns a folder that must be emptied first.
fn empty_level(dir: &OwnedFd) -> io::Result<Option<CString>> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if entry.file_type() != FileType::Directory {
            match remove_one(dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => continue,
                // The kind may be unknown to readdir, or have changed.
                Err(Errno::ISDIR | Errno::PERM) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        match remove_one(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) => return Ok(Some(name.to_owned())),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(None)
}

/// Removes one name; a folder of one's own that is write-protected (Go's module cache) gives itself the permission first.
fn remove_one(dir: &OwnedFd, name: &CStr, flags: AtFlags) -> Result<(), Errno> {
    match unlinkat(dir, name, flags) {
        Err(Errno::ACCESS) => {
            fchmod(dir, Mode::RWXU)?;
            unlinkat(dir, name, flags)
        }
        result => result,
    }
}

fn enter(dir: &OwnedFd, name: &CStr) -> io::Result<OwnedFd> {
    match openat(dir, name, DIR_FLAGS, Mode::empty()) {
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(dir, name, Mode::RWXU, AtFlags::empty())?;
            Ok(openat(dir, name, DIR_FLAGS, Mode::empty())?)
        }
        result => Ok(result?),
    }
}
