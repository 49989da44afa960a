//! The launcher's own mount namespace, and what all its sandboxes take clones of: `/dev`, the empty things that masks are
//! made of, the host's tools.
//!
//! The stage is a file system in memory, mounted where only the launcher sees it; it is the launcher's working folder, and all
//! paths of this crate without a leading `/` are relative to it. It vanishes with the launcher.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, makedev, mkdirat, mknodat, openat, symlinkat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, mount, mount_bind, mount_change, move_mount};
use rustix::thread::UnshareFlags;

use crate::fault::{Doing, Result};
use crate::layers::clone_tree;
use crate::protocol::Settings;
use crate::sys;

/// Symbolic links of `/dev`.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Makes the stage and goes there. `privileged`: started by root, not in a user namespace of our own.
pub(crate) fn enter(settings: &Settings, privileged: bool) -> Result<()> {
    // SAFETY: this process has one thread, and the descriptor table is not unshared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.doing(|| "make a mount namespace".into())?;
    // What the host unmounts goes here too; what is mounted here stays here.
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .doing(|| "separate the mount namespace".into())?;
    let stage = settings.state_dir.join("stage");
    match mkdirat(CWD, &stage, Mode::from(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        result => result.doing(|| format!("make {}", stage.display()))?,
    }
    mount("stage", &stage, "tmpfs", MountFlags::NOSUID, c"mode=0755,size=64m")
        .doing(|| format!("mount {}", stage.display()))?;
    mount_change(&stage, MountPropagationFlags::PRIVATE).doing(|| format!("separate {}", stage.display()))?;
    rustix::process::chdir(&stage).doing(|| format!("go to {}", stage.display()))?;
    for folder in ["dev", "empty", "box", "layers", "sys", "ahead", "ahead/dev", "ahead/proc", "ahead/sys"] {
        folder_at(folder)?;
    }
    devices(settings, privileged)?;
    sys_folder()
}

fn folder_at(path: &str) -> Result<()> {
    mkdirat(CWD, path, Mode::from(0o755)).doing(|| format!("make {path}"))
}

/// `/dev` as all sandboxes see it: one read-only file system with nothing but these nodes.
fn devices(settings: &Settings, privileged: bool) -> Result<()> {
    mount("dev", "dev", "tmpfs", MountFlags::NOSUID | MountFlags::NOEXEC, c"mode=0755,size=64k")
        .doing(|| "mount dev".into())?;
    for name in &settings.devices {
        let (host, own) = (format!("/dev/{name}"), format!("dev/{name}"));
        let Ok(found) = std::fs::metadata(&host) else { continue };
        if privileged {
            let (major, minor) = (rustix::fs::major(found.rdev()), rustix::fs::minor(found.rdev()));
            mknodat(CWD, &own, FileType::CharacterDevice, Mode::from(0o666), makedev(major, minor))
                .doing(|| format!("make {own}"))?;
            rustix::fs::chmodat(CWD, &own, Mode::from(0o666), AtFlags::empty()).doing(|| format!("chmod {own}"))?;
        } else {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            openat(CWD, &own, flags, Mode::from(0o666)).doing(|| format!("make {own}"))?;
            mount_bind(&host, &own).doing(|| format!("bind {host}"))?;
        }
    }
    for (name, target) in LINKS {
        symlinkat(target, CWD, format!("dev/{name}")).doing(|| format!("make dev/{name}"))?;
    }
    folder_at("dev/pts")?;
    folder_at("dev/shm")?;
    let tree = openat(CWD, "dev", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).doing(|| "open dev".into())?;
    let attributes = sys::ATTR_RDONLY | sys::ATTR_NOSUID | sys::ATTR_NOEXEC;
    sys::mount_setattr(tree.as_fd(), attributes, None, true).doing(|| "make dev read-only".into())
}

/// A node of a device of the host that this user of the host alone can open, as a mount.
pub(crate) fn device_for(user: u32, name: &str) -> Result<OwnedFd> {
    let found = std::fs::metadata(format!("/dev/{name}")).doing(|| format!("look at /dev/{name}"))?;
    let (folder, path) = ("machines", format!("machines/{}-{user}", name.replace('/', "-")));
    if !Path::new(folder).exists() {
        folder_at(folder)?;
    }
    let device = makedev(rustix::fs::major(found.rdev()), rustix::fs::minor(found.rdev()));
    match mknodat(CWD, &path, FileType::CharacterDevice, Mode::from(0o600), device) {
        // That of an earlier machine with the same ids.
        Ok(()) | Err(Errno::EXIST) => {}
        result => result.doing(|| format!("make {path}"))?,
    }
    let owner = (Some(rustix::fs::Uid::from_raw(user)), Some(rustix::fs::Gid::from_raw(user)));
    rustix::fs::chownat(CWD, &path, owner.0, owner.1, AtFlags::empty()).doing(|| format!("chown {path}"))?;
    clone_tree(Path::new(&path), false)
}

/// `/sys` as all sandboxes see it: how many processors there are, a place for the own cgroups, and nothing else.
fn sys_folder() -> Result<()> {
    mount("sys", "sys", "tmpfs", MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV, c"mode=0755,size=64k")
        .doing(|| "mount sys".into())?;
    for folder in ["sys/fs", "sys/fs/cgroup", "sys/devices", "sys/devices/system", "sys/devices/system/cpu"] {
        folder_at(folder)?;
    }
    for controller in ["memory", "cpu", "cpuacct", "cpuset", "pids"] {
        folder_at(&format!("sys/fs/cgroup/{controller}"))?;
    }
    if let Ok(processors) = clone_tree(Path::new("/sys/devices/system/cpu"), false) {
        move_mount(&processors, "", CWD, "sys/devices/system/cpu", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .doing(|| "attach sys/devices/system/cpu".into())?;
    }
    let tree = openat(CWD, "sys", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).doing(|| "open sys".into())?;
    let attributes = sys::ATTR_RDONLY | sys::ATTR_NOSUID | sys::ATTR_NOEXEC | sys::ATTR_NODEV;
    sys::mount_setattr(tree.as_fd(), attributes, None, true).doing(|| "make sys read-only".into())
}
