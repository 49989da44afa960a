//! Layers of images as mounts, kept for the next sandbox of the same image.
//!
//! A layer is mounted once for each launcher, inside its own mount namespace; each sandbox gets clones of these mounts, with its
//! own ids mapped onto the ids in the layer.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, chown, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};

use crate::fault::{Doing, Result};
use crate::protocol::{FaultKind, LayerSource, Walls};
use crate::sys;

/// Mounted EROFS layers that nobody asked for lately stay until there are more than this.
const KEPT: usize = 128;

/// The mounted layers.
pub(crate) struct Layers {
    mounted: HashMap<LayerSource, Entry>,
    clock: u64,
    loop_devices: bool,
}

struct Entry {
    point: String,
    used: u64,
}

impl Layers {
    pub(crate) fn new(loop_devices: bool) -> Layers {
        Layers { mounted: HashMap::new(), clock: 0, loop_devices }
    }

    /// A detached read-only mount of a layer, its ids mapped by `ids`.
    pub(crate) fn mount(&mut self, layer: &LayerSource, ids: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
        let tree = match layer {
            LayerSource::Dir(path) => clone_tree(path, false),
            LayerSource::Erofs(path) => self.erofs(layer, path),
        };
        let (LayerSource::Dir(path) | LayerSource::Erofs(path)) = layer;
        let of_layer = |fault: crate::protocol::Fault| crate::protocol::Fault {
            kind: FaultKind::Layer,
            what: path.display().to_string(),
            ..fault
        };
        let tree = tree.map_err(of_layer)?;
        let attributes = sys::ATTR_RDONLY | sys::ATTR_NODEV | sys::ATTR_NOSUID;
        sys::mount_setattr(tree.as_fd(), attributes, ids, false)
            .doing(|| format!("map the ids of {} (its file system must allow id-mapped mounts)", path.display()))?;
        Ok(tree)
    }

    fn erofs(&mut self, layer: &LayerSource, path: &Path) -> Result<OwnedFd> {
        self.clock += 1;
        if let Some(entry) = self.mounted.get_mut(layer) {
            entry.used = self.clock;
            return clone_tree(Path::new(&entry.point), false);
        }
        self.evict();
        let mount = if self.loop_devices {
            loop_mount(path)
        } else {
            match erofs_mount(path) {
                // Kernels before 6.12, and file systems whose files cannot back a mount.
                Err(Errno::NOTBLK | Errno::INVAL | Errno::OPNOTSUPP) => loop_mount(path),
                result => result,
            }
        };
        let mount = mount.doing(|| format!("mount {}", path.display()))?;
        let point = format!("layers/{}", self.clock);
        mkdirat(CWD, &point, Mode::from(0o755)).doing(|| format!("make {point}"))?;
        move_mount(&mount, "", CWD, &point, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .doing(|| format!("attach {point}"))?;
        self.mounted.insert(layer.clone(), Entry { point: point.clone(), used: self.clock });
        clone_tree(Path::new(&point), false)
    }

    fn evict(&mut self) {
        while self.mounted.len() >= KEPT {
            let oldest = self.mounted.iter().min_by_key(|(_, entry)| entry.used).map(|(layer, _)| layer.clone());
            let Some(entry) = oldest.and_then(|layer| self.mounted.remove(&layer)) else { return };
            // Sandboxes that still use the layer hold mounts of their own.
            let _ = unmount(&entry.point, UnmountFlags::DETACH);
            let _ = unlinkat(CWD, &entry.point, AtFlags::REMOVEDIR);
        }
    }
}

/// A detached copy of a mount below `path`.
pub(crate) fn clone_tree(path: &Path, recursive: bool) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(CWD, path, flags).doing(|| format!("open {}", path.display()))
}

/// A read-only mount of a folder of the host, its root's files owned by the sandbox's root where the file system can.
pub(crate) fn bind(folder: &Path, ids: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    let attributes = sys::ATTR_RDONLY | sys::ATTR_NODEV | sys::ATTR_NOSUID;
    let tree = clone_tree(folder, true)?;
    if sys::mount_setattr(tree.as_fd(), attributes, ids, true).is_ok() {
        return Ok(tree);
    }
    sys::mount_setattr(tree.as_fd(), attributes, None, true)
        .doing(|| format!("make {} read-only", folder.display()))?;
    Ok(tree)
}

/// A mount of a folder that is made for a sandbox's writable layer and belongs to its root.
pub(crate) fn writable(folder: &Path, root: u32, walls: &Walls) -> Result<OwnedFd> {
    let made = || {
        mkdirat(CWD, folder, Mode::from(0o755))?;
        chown(folder, Some(Uid::from_raw(root)), Some(Gid::from_raw(root)))
    };
    made().doing(|| format!("make {}", folder.display()))?;
    let tree = clone_tree(folder, false)?;
    if walls.nosuid_nodev {
        sys::mount_setattr(tree.as_fd(), sys::ATTR_NODEV | sys::ATTR_NOSUID, None, false)
            .doing(|| format!("restrict {}", folder.display()))?;
    }
    Ok(tree)
}

fn erofs_mount(source: &Path) -> rustix::io::Result<OwnedFd> {
    let context = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_flag(context.as_fd(), "ro")?;
    fsconfig_set_string(context.as_fd(), "source", source)?;
    fsconfig_create(context.as_fd())?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

#[repr(C)]
struct LoopConfig {
    file: u32,
    block_size: u32,
    /// `struct loop_info64`: 5 words, 4 half words, of which the last is the flags; names and keys are not used.
    words: [u64; 5],
    number: u32,
    encryption: [u32; 2],
    flags: u32,
    names: [u8; 64 + 64 + 32],
    init: [u64; 2],
    reserved: [u64; 8],
}

const LOOP_CTL_GET_FREE: u64 = 0x4C82;
const LOOP_CONFIGURE: u64 = 0x4C0A;
const READ_ONLY_AND_AUTOCLEAR: u32 = 1 | 4;
/// Somebody else may take the free device first; so often is it tried again.
const LOOP_ATTEMPTS: usize = 32;

fn loop_mount(path: &Path) -> rustix::io::Result<OwnedFd> {
    let read = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(CWD, path, read, Mode::empty())?;
    let control = openat(CWD, "/dev/loop-control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    for _ in 0..LOOP_ATTEMPTS {
        let number = sys::ioctl_int(control.as_fd(), LOOP_CTL_GET_FREE, 0)?;
        let device = format!("/dev/loop{number}");
        let opened = openat(CWD, &device, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        let config = LoopConfig {
            file: std::os::fd::AsRawFd::as_raw_fd(&file) as u32,
            block_size: 0,
            words: [0; 5],
            number: 0,
            encryption: [0; 2],
            flags: READ_ONLY_AND_AUTOCLEAR,
            names: [0; 160],
            init: [0; 2],
            reserved: [0; 8],
        };
        match sys::ioctl_read_from(opened.as_fd(), LOOP_CONFIGURE, &config) {
            // The device goes with the mount: it clears itself when the last user is gone.
            Ok(()) => return erofs_mount(Path::new(&device)),
            Err(Errno::BUSY) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::BUSY)
}

/// A new file system, not attached anywhere.
pub(crate) fn new_mount(kind: &str, options: &[(&str, &str)], attributes: MountAttrFlags) -> Result<OwnedFd> {
    let make = || {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (key, value) in options {
            fsconfig_set_string(context.as_fd(), *key, *value)?;
        }
        fsconfig_create(context.as_fd())?;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    make().doing(|| format!("make a file system of kind {kind}"))
}
