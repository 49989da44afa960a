//! `/dev`, `/proc` and `/sys`.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{
    MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_change, move_mount, open_tree,
};

use super::root::{Root, attach_at};
use crate::fault::{Doing, Result};
use crate::layers::{clone_tree, new_mount};
use crate::protocol::{Masks, Plan, Settings, Walls};
use crate::sys;

/// Where `/dev`, `/proc` and `/sys` are put together, on the stage; other processes see these folders empty.
const PLACES: [(&str, &str); 3] = [("ahead/dev", "dev"), ("ahead/proc", "proc"), ("ahead/sys", "sys")];
const RESTRICTED: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Puts together what is the same for all sandboxes.
pub(super) fn prepare(settings: &Settings, walls: &Walls) -> Result<()> {
    if walls.private_propagation {
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
            .doing(|| "make mounts private".into())?;
    }
    let devices = clone_tree(Path::new("dev"), true)?;
    attach_at(devices.as_fd(), CWD, "ahead/dev")?;
    let options = [("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")];
    attach_at(new_mount("devpts", &options, RESTRICTED)?.as_fd(), devices.as_fd(), "pts")?;
    let proc = new_mount("proc", &[], RESTRICTED | MountAttrFlags::MOUNT_ATTR_NODEV)?;
    attach_at(proc.as_fd(), CWD, "ahead/proc")?;
    if walls.masks {
        mask(&settings.masks, &proc)?;
    }
    attach_at(clone_tree(Path::new("sys"), true)?.as_fd(), CWD, "ahead/sys")
}

/// Moves it to where it belongs.
pub(super) fn mount_all(root: &Root, plan: &Plan) -> Result<()> {
    for (place, name) in PLACES {
        let target = root.top_folder(name)?;
        move_mount(CWD, place, &target, "", MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH)
            .doing(|| format!("move {place} to /{name}"))?;
    }
    attach_at(root.shared_memory(plan)?.as_fd(), root.top_folder("dev")?.as_fd(), "shm")
}

/// What a monitor needs beside the devices that it is given.
const NODES_OF_MONITOR: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// A `/dev` for a monitor that is given devices: the one of all sandboxes cannot be added to.
pub(super) fn add_devices(root: &Root, devices: &[(&str, OwnedFd)]) -> Result<()> {
    let options = [("size", "64k"), ("nr_inodes", "16"), ("mode", "0755")];
    let dev = new_mount("tmpfs", &options, RESTRICTED)?;
    attach_at(dev.as_fd(), root.top_folder("dev")?.as_fd(), "")?;
    let place = |name: &str| {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        openat(&dev, name, flags, Mode::from(0o644)).doing(|| format!("make /dev/{name}"))
    };
    for name in NODES_OF_MONITOR {
        attach_at(clone_tree(&Path::new("dev").join(name), false)?.as_fd(), place(name)?.as_fd(), "")?;
    }
    for (name, device) in devices {
        if let Some((folder, _)) = name.rsplit_once('/') {
            mkdirat(&dev, folder, Mode::from(0o755)).doing(|| format!("make /dev/{folder}"))?;
        }
        attach_at(device.as_fd(), place(name)?.as_fd(), "")?;
    }
    Ok(())
}

fn mask(masks: &Masks, proc: &OwnedFd) -> Result<()> {
    for path in &masks.hidden {
        let Some(target) = find(proc, path)? else { continue };
        let is_folder = FileType::from_raw_mode(fstat(&target).doing(|| format!("look at /proc/{path}"))?.st_mode)
            == FileType::Directory;
        // Both come from the stage, never from the image.
        let cover = clone_tree(Path::new(if is_folder { "empty" } else { "dev/null" }), false)?;
        if is_folder {
            let attributes = sys::ATTR_RDONLY | sys::ATTR_NOSUID | sys::ATTR_NODEV | sys::ATTR_NOEXEC;
            sys::mount_setattr(cover.as_fd(), attributes, None, false).doing(|| format!("hide /proc/{path}"))?;
        }
        attach_at(cover.as_fd(), target.as_fd(), "")?;
    }
    for path in &masks.read_only {
        let Some(target) = find(proc, path)? else { continue };
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::AT_RECURSIVE;
        let cover = open_tree(&target, "", flags).doing(|| format!("clone /proc/{path}"))?;
        sys::mount_setattr(cover.as_fd(), sys::ATTR_RDONLY, None, true)
            .doing(|| format!("make /proc/{path} read-only"))?;
        attach_at(cover.as_fd(), target.as_fd(), "")?;
    }
    Ok(())
}

fn find(proc: &OwnedFd, path: &str) -> Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(proc, path, flags, Mode::empty()) {
        Err(Errno::NOENT) => Ok(None),
        result => result.map(Some).doing(|| format!("open /proc/{path}")),
    }
}
