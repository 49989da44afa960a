//! Removing a folder, from inside the user namespace that owns its files.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, SeekFrom, openat2, seek, unlinkat};
use rustix::io::Errno;

use crate::unpack::fault::Fault;

const LISTING: usize = 32 * 1024;

/// A directory that is being emptied.
struct Level {
    handle: OwnedFd,
    /// Directories in it that are still there.
    directories: Vec<CString>,
}

/// Removes everything in the directory, but not the directory.
pub(super) fn remove_content(folder: OwnedFd) -> Result<(), Fault> {
    let failed = |error: Errno| Fault::Output(error.into());
    let mut path = vec![empty(folder).map_err(failed)?];
    while let Some(level) = path.last() {
        let Some(name) = level.directories.last() else {
            path.pop();
            if let Some(above) = path.last_mut()
                && let Some(name) = above.directories.pop()
            {
                unlinkat(&above.handle, &name, AtFlags::REMOVEDIR).map_err(failed)?;
            }
            continue;
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let inner = openat2(level.handle.as_fd(), name, flags, Mode::empty(), resolve).map_err(failed)?;
        path.push(empty(inner).map_err(failed)?);
    }
    Ok(())
}

/// Removes what is no directory and lists what is.
fn empty(handle: OwnedFd) -> Result<Level, Errno> {
    let mut directories = vec![];
    let mut buffer = vec![MaybeUninit::uninit(); LISTING];
    // A listing may miss entries when others are removed under it: read until one finds nothing to remove.
    loop {
        directories.clear();
        let mut removed = false;
        seek(&handle, SeekFrom::Start(0))?;
        let mut listing = RawDir::new(&handle, &mut buffer);
        while let Some(entry) = listing.next() {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if entry.file_type() != FileType::Directory {
                match unlinkat(&handle, name, AtFlags::empty()) {
                    // A file system that does not say what is a directory.
                    Err(Errno::ISDIR) => {}
                    other => {
                        other?;
                        removed = true;
                        continue;
                    }
                }
            }
            directories.push(name.to_owned());
        }
        if !removed {
            return Ok(Level { handle, directories });
        }
    }
}
