//! Data while the archive comes in, names when it has ended.

use std::cell::Cell;
use std::collections::btree_map;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fchown,
    fsetxattr, futimens, linkat, mkdirat, mknodat, openat2, renameat, symlinkat, utimensat,
};
use rustix::io::Errno;

use super::remove::remove_content;
use crate::unpack::fault::Fault;
use crate::unpack::layer::{Inode, InodeId, Kind, Layer, Meta, Place, ROOT};
use crate::unpack::tar::TarReader;
use crate::unpack::{LayerReport, UnpackLimits, child};

const NOBODY: u32 = 65534;
const PRIVATE_FILE: Mode = Mode::from_raw_mode(0o600);
const PRIVATE_DIRECTORY: Mode = Mode::from_raw_mode(0o700);

/// Writes the archive into the empty directory `folder`.
pub(super) fn write(folder: &OwnedFd, limits: &UnpackLimits, input: impl Read) -> Result<LayerReport, Fault> {
    let data = make_directory(folder.as_fd(), b"data")?;
    let root = make_directory(folder.as_fd(), b"fs")?;
    let mut reader = TarReader::new(input);
    let mut layer = Layer::new(*limits);
    let writer = Writer { data, foreign: Cell::new(0) };
    while let Some(entry) = reader.next_entry()? {
        if let Some(id) = layer.add(&entry)? {
            writer.store(layer.inode(id), id, &mut reader)?;
            layer.set_place(id, Place::At(u64::from(id)))?;
        }
    }
    layer.neutralised.trailing_bytes = reader.drain()?;
    let inodes = writer.name_all(&layer, root)?;
    layer.neutralised.owners = writer.foreign.get();
    remove_content(writer.data)?;
    rustix::fs::unlinkat(folder, c"data", AtFlags::REMOVEDIR).map_err(failed)?;
    Ok(child::report(layer, 0, inodes))
}

fn failed(error: Errno) -> Fault {
    Fault::Output(error.into())
}

fn open(at: BorrowedFd<'_>, name: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Fault> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat2(at, name, flags, mode, resolve | ResolveFlags::NO_XDEV).map_err(failed)
}

fn make_directory(at: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Fault> {
    mkdirat(at, name, PRIVATE_DIRECTORY).map_err(failed)?;
    open(at, name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
}

/// A directory whose content is being named.
struct Open<'a> {
    id: InodeId,
    handle: OwnedFd,
    rest: btree_map::Iter<'a, Box<[u8]>, InodeId>,
}

struct Writer {
    /// The directory of files without a name.
    data: OwnedFd,
    /// Owners that the user namespace does not know.
    foreign: Cell<u64>,
}

impl Writer {
    /// Data of the reader's current entry, into the file with its number.
    fn store<R: Read>(&self, inode: &Inode, id: InodeId, reader: &mut TarReader<R>) -> Result<(), Fault> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let file = File::from(open(self.data.as_fd(), id.to_string().as_bytes(), flags, PRIVATE_FILE)?);
        let mut end = 0;
        while let Some((offset, chunk)) = reader.chunk()? {
            file.write_all_at(chunk, offset).map_err(Fault::Output)?;
            end = offset + chunk.len() as u64;
        }
        if let Kind::File(content) = &inode.kind
            && content.size > end
        {
            file.set_len(content.size).map_err(Fault::Output)?;
        }
        self.dress(file.as_fd(), inode)
    }

    /// Names everything, depth first. Returns the number of inodes.
    fn name_all(&self, layer: &Layer, root: OwnedFd) -> Result<u64, Fault> {
        let mut named = vec![false; layer.ids() as usize];
        let mut inodes = 1;
        let mut path: Vec<Open<'_>> = vec![];
        path.extend(opened(layer, ROOT, root));
        while let Some(here) = path.last_mut() {
            let Some((name, &id)) = here.rest.next() else {
                if let Some(done) = path.pop() {
                    self.dress(done.handle.as_fd(), layer.inode(done.id))?;
                }
                continue;
            };
            let is_first = !std::mem::replace(&mut named[id as usize], true);
            inodes += u64::from(is_first);
            let inode = layer.inode(id);
            if matches!(inode.kind, Kind::Directory(_)) {
                let handle = make_directory(here.handle.as_fd(), name)?;
                path.extend(opened(layer, id, handle));
            } else {
                self.name_file(inode, id, is_first, here.handle.as_fd(), name)?;
            }
        }
        Ok(inodes)
    }

    fn name_file(
        &self,
        inode: &Inode,
        id: InodeId,
        is_first: bool,
        at: BorrowedFd<'_>,
        name: &[u8],
    ) -> Result<(), Fault> {
        let number = id.to_string();
        let has_data = matches!(inode.kind, Kind::File(_));
        if inode.links == 1 && has_data {
            return renameat(&self.data, number, at, name).map_err(failed);
        }
        if inode.links == 1 {
            return self.make(inode, at, name);
        }
        if is_first && !has_data {
            // Made once, under its number; every name is a link to it.
            self.make(inode, self.data.as_fd(), number.as_bytes())?;
        }
        linkat(&self.data, number, at, name, AtFlags::empty()).map_err(failed)
    }

    /// Makes what has no data.
    fn make(&self, inode: &Inode, at: BorrowedFd<'_>, name: &[u8]) -> Result<(), Fault> {
        match &inode.kind {
            Kind::Symlink(target) => symlinkat(&**target, at, name).map_err(failed)?,
            Kind::Fifo => mknodat(at, name, FileType::Fifo, mode(&inode.meta), 0).map_err(failed)?,
            Kind::Whiteout => {
                return mknodat(at, name, FileType::CharacterDevice, Mode::empty(), 0).map_err(failed);
            }
            Kind::File(_) | Kind::Directory(_) | Kind::Gone => return Ok(()),
        }
        self.own(inode, |uid, gid| chownat(at, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW))?;
        if inode.kind == Kind::Fifo {
            // Fresh, in a directory that nobody else reaches: the name cannot lead elsewhere.
            rustix::fs::chmodat(at, name, mode(&inode.meta), AtFlags::empty()).map_err(failed)?;
        }
        utimensat(at, name, &times(&inode.meta), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)
    }

    /// Attributes, owner, permissions and time of an open file or directory; in an order in which none undoes another.
    fn dress(&self, file: BorrowedFd<'_>, inode: &Inode) -> Result<(), Fault> {
        for (name, value) in &inode.xattrs {
            match fsetxattr(file, &**name, value, XattrFlags::empty()) {
                // A file system without attributes, or with little room for them: an image does not fail over that.
                Err(Errno::NOTSUP | Errno::NOSPC | Errno::TOOBIG) => {}
                other => other.map_err(failed)?,
            }
        }
        if matches!(&inode.kind, Kind::Directory(directory) if directory.opaque) {
            fsetxattr(file, c"user.overlay.opaque", b"y", XattrFlags::empty()).map_err(failed)?;
        }
        self.own(inode, |uid, gid| fchown(file, uid, gid))?;
        fchmod(file, mode(&inode.meta)).map_err(failed)?;
        futimens(file, &times(&inode.meta)).map_err(failed)
    }

    /// Gives a file its owner; `nobody`, then root, where the user namespace does not know the owner.
    fn own(
        &self,
        inode: &Inode,
        give: impl Fn(Option<Uid>, Option<Gid>) -> rustix::io::Result<()>,
    ) -> Result<(), Fault> {
        let mut is_foreign = false;
        let uids = [inode.meta.uid, NOBODY, 0].map(|id| (Some(Uid::from_raw(id)), None));
        let gids = [inode.meta.gid, NOBODY, 0].map(|id| (None, Some(Gid::from_raw(id))));
        for candidates in [uids, gids] {
            for (uid, gid) in candidates {
                match give(uid, gid) {
                    Err(Errno::INVAL) => is_foreign = true,
                    other => {
                        other.map_err(failed)?;
                        break;
                    }
                }
            }
        }
        self.foreign.set(self.foreign.get() + u64::from(is_foreign));
        Ok(())
    }
}

fn opened(layer: &Layer, id: InodeId, handle: OwnedFd) -> Option<Open<'_>> {
    match &layer.inode(id).kind {
        Kind::Directory(directory) => Some(Open { id, handle, rest: directory.entries.iter() }),
        _ => None,
    }
}

fn mode(meta: &Meta) -> Mode {
    Mode::from_raw_mode(u32::from(meta.mode))
}

fn times(meta: &Meta) -> Timestamps {
    let time = Timespec { tv_sec: meta.mtime.seconds, tv_nsec: meta.mtime.nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}
