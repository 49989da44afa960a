//! `/dev`, `/proc` and `/sys`.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};

use super::root::{Root, attach_at, new_mount};
use crate::fault::{Doing, Result};
use crate::layers::clone_tree;
use crate::protocol::{Masks, Plan, Settings};
use crate::sys;

pub(super) fn mount_all(settings: &Settings, plan: &Plan, root: &Root) -> Result<()> {
    dev(plan, root)?;
    proc(settings, plan, root)?;
    let tree = clone_tree(Path::new("sys"), true)?;
    attach_at(tree.as_fd(), root.top_folder("sys")?.as_fd(), "")
}

fn dev(plan: &Plan, root: &Root) -> Result<()> {
    let tree = clone_tree(Path::new("dev"), true)?;
    attach_at(tree.as_fd(), root.top_folder("dev")?.as_fd(), "")?;
    let restricted = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let options = [("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")];
    let terminals = new_mount("devpts", &options, restricted)?;
    attach_at(terminals.as_fd(), tree.as_fd(), "pts")?;
    // Half of the memory, as the kernel's own default; it is charged to the memory limit like the writable layer.
    let size = (plan.limits.memory_bytes / 2).min(plan.limits.disk_bytes).max(4096).to_string();
    let inodes = plan.limits.inodes.max(64).to_string();
    let shared = new_mount(
        "tmpfs",
        &[("size", &size), ("nr_inodes", &inodes), ("mode", "1777")],
        restricted | MountAttrFlags::MOUNT_ATTR_NODEV,
    )?;
    attach_at(shared.as_fd(), tree.as_fd(), "shm")
}

fn proc(settings: &Settings, plan: &Plan, root: &Root) -> Result<()> {
    let restricted =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let tree = new_mount("proc", &[], restricted)?;
    attach_at(tree.as_fd(), root.top_folder("proc")?.as_fd(), "")?;
    if plan.walls.masks { mask(&settings.masks, &tree) } else { Ok(()) }
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
