//! The root file system of a sandbox, while it is built: layers below, a writable layer above, in memory or on a machine's own disk.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, fstat, fstatfs, mkdirat, openat, openat2};
use rustix::io::Errno;
use rustix::mount::{
    MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, move_mount, open_tree, unmount,
};

use crate::fault::{Doing, Result};
use crate::layers::{clone_tree, new_mount};
use crate::protocol::{Fault, Ids, Plan, Tmpfs};
use crate::sys;

/// Where the writable layer, the layers and the new root are, on the stage.
const BOX: &str = "box";
/// Folders that every sandbox has.
const TOP_FOLDERS: [&str; 3] = ["dev", "proc", "sys"];
const OVERLAYFS_MAGIC: i64 = 0x794c_7630;
const TMPFS_MAGIC: i64 = 0x0102_1994;
const EXT4_MAGIC: i64 = 0xef53;
/// Links followed on the way to a folder; as the kernel.
const MAX_ATTEMPTS: usize = 64;

/// The new root. Every path that may have been prepared by the author of an image is resolved beneath it.
pub(super) struct Root {
    top: OwnedFd,
}

impl Root {
    /// Mounts layers and writable layer, the latter in memory where none is given; returns the root, and a handle on the writable
    /// layer.
    pub(super) fn build(plan: &Plan, layers: &[OwnedFd], writable: Option<OwnedFd>) -> Result<(Root, OwnedFd)> {
        match writable {
            Some(tree) => attach_at(tree.as_fd(), CWD, BOX)?,
            None => mount_memory(plan)?,
        }
        for (folder, mode) in [("up", 0o755), ("work", 0o755), ("root", 0o755), ("none", 0o755), ("shm", 0o1777)] {
            let path = format!("{BOX}/{folder}");
            mkdirat(CWD, &path, Mode::from(mode)).doing(|| format!("make {path}"))?;
            // Whatever the mask is.
            rustix::fs::chmodat(CWD, &path, Mode::from(mode), AtFlags::empty()).doing(|| format!("chmod {path}"))?;
        }
        // An image may have anything there: a folder above hides what is no folder below.
        for folder in TOP_FOLDERS {
            let path = format!("{BOX}/up/{folder}");
            mkdirat(CWD, &path, Mode::from(0o755)).doing(|| format!("make {path}"))?;
        }
        let mut lower = String::new();
        for (index, layer) in layers.iter().enumerate().rev() {
            let path = format!("{BOX}/l{index}");
            mkdirat(CWD, &path, Mode::from(0o755)).doing(|| format!("make {path}"))?;
            attach_at(layer.as_fd(), CWD, &path)?;
            lower.push_str(&path);
            lower.push(':');
        }
        // An image of no layers is an empty folder.
        lower.push_str(if layers.is_empty() { "box/none" } else { "" });
        let options =
            format!("lowerdir={},upperdir={BOX}/up,workdir={BOX}/work,userxattr\0", lower.trim_end_matches(':'));
        let options = std::ffi::CStr::from_bytes_with_nul(options.as_bytes()).map_err(|_| Fault::spec("layers"))?;
        let handle = |path: &str| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            openat(CWD, path, flags, Mode::empty()).doing(|| format!("open {path}"))
        };
        let build = || {
            mount("sandbox", "box/root", "overlay", restrictions(plan), options).doing(|| "mount the root".into())?;
            Ok::<_, Fault>(Root { top: handle("box/root")? })
        };
        let mut root = build()?;
        if root.folder("/etc").is_err() {
            // A file, or a link that leads nowhere inside. One that leads somewhere stays: some images are made so.
            drop(root);
            unmount("box/root", UnmountFlags::empty()).doing(|| "unmount the root".into())?;
            mkdirat(CWD, "box/up/etc", Mode::from(0o755)).doing(|| "make /etc".into())?;
            root = build()?;
        }
        Ok((root, handle("box/up")?))
    }

    /// A mount for shared memory. Where the writable layer is in memory it is part of that, so that both together have one limit.
    pub(super) fn shared_memory(&self, plan: &Plan) -> Result<OwnedFd> {
        if plan.writable.is_some() {
            let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
                | MountAttrFlags::MOUNT_ATTR_NODEV
                | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            // As the kernel sizes one that is asked for without a size.
            let bytes = (plan.limits.memory_bytes / 2).to_string();
            return new_mount("tmpfs", &[("size", &bytes), ("mode", "1777")], attributes);
        }
        let tree = clone_tree(Path::new("box/shm"), false)?;
        let attributes = sys::ATTR_NOSUID | sys::ATTR_NODEV | sys::ATTR_NOEXEC;
        sys::mount_setattr(tree.as_fd(), attributes, None, false).doing(|| "restrict /dev/shm".into())?;
        Ok(tree)
    }

    /// Opens something by its path inside.
    pub(super) fn open(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let path = path.trim_start_matches('/');
        let path = if path.is_empty() { "." } else { path };
        // While something is renamed or mounted anywhere on the host, the kernel cannot prove that `..` stays inside, and asks
        // to be asked again.
        let open = || openat2(&self.top, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
        (0..1000).map(|_| open()).find(|opened| !matches!(opened, Err(Errno::AGAIN))).unwrap_or(Err(Errno::AGAIN))
    }

    /// One of [`TOP_FOLDERS`]; it is no link, whatever the image has there.
    pub(super) fn top_folder(&self, name: &str) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.top, name, flags, Mode::empty()).doing(|| format!("open /{name}"))
    }

    /// A folder for steps to write to, made with its parents; links lead where they lead inside.
    pub(super) fn folder(&self, path: &str) -> Result<OwnedFd> {
        if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return Err(Fault::spec(format!("{path:?} is not an absolute path without `..`")));
        }
        let mut made = String::new();
        let mut folder = self.open("/", OFlags::PATH | OFlags::DIRECTORY).doing(|| "open /".into())?;
        for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
            made = format!("{made}/{part}");
            folder = self.step(&folder, &made, part)?;
        }
        let kind = fstatfs(&folder).doing(|| format!("look at {path}"))?.f_type;
        if ![OVERLAYFS_MAGIC, TMPFS_MAGIC, EXT4_MAGIC].contains(&kind) {
            return Err(Fault::spec(format!("{path} leads into a file system of the kernel")));
        }
        Ok(folder)
    }

    fn step(&self, parent: &OwnedFd, path: &str, name: &str) -> Result<OwnedFd> {
        for _ in 0..MAX_ATTEMPTS {
            match self.open(path, OFlags::PATH | OFlags::DIRECTORY) {
                Err(Errno::NOENT) => match mkdirat(parent, name, Mode::from(0o755)) {
                    Ok(()) => {}
                    Err(Errno::EXIST) => return Err(Fault::spec(format!("{path} is a link to nowhere"))),
                    result => result.doing(|| format!("make {path}"))?,
                },
                Err(Errno::NOTDIR) => return Err(Fault::spec(format!("{path} is no folder"))),
                result => return result.doing(|| format!("open {path}")),
            }
        }
        Err(Fault::spec(format!("{path} cannot be made")))
    }

    /// Writes a file, in place of whatever was there; its folder is made.
    pub(super) fn put(&self, path: &str, mode: u32, content: &mut dyn std::io::Read) -> Result<()> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self.folder(&format!("{folder}/"))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // What is a folder there stays, and the file is not made.
        let _ = rustix::fs::unlinkat(&folder, name, AtFlags::empty());
        let file = openat(&folder, name, flags, Mode::from(mode)).doing(|| format!("make {path}"))?;
        std::io::copy(content, &mut std::fs::File::from(file)).doing(|| format!("write {path}"))?;
        Ok(())
    }

    /// Attaches a detached mount to a folder, or that of a file to a file.
    pub(super) fn attach(&self, tree: BorrowedFd<'_>, path: &str) -> Result<()> {
        let kind = |fd: BorrowedFd<'_>| fstat(fd).map(|found| FileType::from_raw_mode(found.st_mode));
        let is_folder = kind(tree).doing(|| format!("look at what goes to {path}"))? == FileType::Directory;
        if !is_folder {
            let open = || self.open(path, OFlags::PATH);
            // The same by another way, where a folder of the path is a link.
            if open().is_ok_and(|there| kind(there.as_fd()) == kind(tree)) {
                return Ok(());
            }
            self.put(path, 0o644, &mut std::io::empty())?;
            return attach_at(tree, open().doing(|| format!("open {path}"))?.as_fd(), "");
        }
        let folder = self.folder(path)?;
        attach_at(tree, folder.as_fd(), "")
    }

    /// A file system in memory of at most so many files; returns its mount.
    pub(super) fn tmpfs(&self, spec: &Tmpfs, inodes: u64) -> Result<OwnedFd> {
        let folder = self.folder(&spec.path)?;
        let (size, mode) = (spec.bytes.to_string(), format!("{:o}", spec.mode & 0o7777));
        let inodes = inodes.max(64).to_string();
        let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        if !spec.exec {
            attributes |= MountAttrFlags::MOUNT_ATTR_NOEXEC;
        }
        let tree = new_mount("tmpfs", &[("size", &size), ("nr_inodes", &inodes), ("mode", &mode)], attributes)?;
        attach_at(tree.as_fd(), folder.as_fd(), "")?;
        Ok(tree)
    }

    /// Makes the workspace; returns a mount of it to share with other sandboxes.
    pub(super) fn workspace(&self, plan: &Plan, user: Ids, shared: Option<OwnedFd>) -> Result<OwnedFd> {
        let path = plan.workspace.trim_end_matches('/');
        if path.is_empty() {
            return Err(Fault::spec("the workspace cannot be /"));
        }
        let folder = self.folder(path)?;
        if let Some(shared) = shared {
            attach_at(shared.as_fd(), folder.as_fd(), "")?;
            return clone_of(shared.as_fd());
        }
        own(&folder, user)?;
        // Jenkins keeps what belongs to a step, but not to the project, beside the workspace.
        own(&self.folder(&format!("{path}@tmp"))?, user)?;
        if plan.read_only_root {
            for writable in [path, &format!("{path}@tmp"), "/tmp"] {
                let folder = self.folder(writable)?;
                attach_at(clone_of(folder.as_fd())?.as_fd(), folder.as_fd(), "")?;
            }
        }
        clone_of(folder.as_fd())
    }

    /// A small root in memory, in which this one lies in `folder`.
    pub(super) fn surround(self, folder: &str, read_only: bool) -> Result<Root> {
        if read_only {
            sys::mount_setattr(self.top.as_fd(), sys::ATTR_RDONLY, None, false)
                .doing(|| "make the root read-only".into())?;
        }
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let top = new_mount("tmpfs", &[("size", "4m"), ("nr_inodes", "256"), ("mode", "0755")], attributes)?;
        // A root has to be a mount that is attached somewhere.
        attach_at(top.as_fd(), CWD, "empty")?;
        let around = Root { top };
        let inner = around.folder(folder)?;
        attach_at(self.top.as_fd(), inner.as_fd(), "")?;
        for folder in TOP_FOLDERS {
            around.folder(&format!("/{folder}"))?;
        }
        Ok(around)
    }

    /// Makes this the root of the process; the old one is gone.
    pub(super) fn enter(self, read_only: bool) -> Result<()> {
        if read_only {
            sys::mount_setattr(self.top.as_fd(), sys::ATTR_RDONLY, None, false)
                .doing(|| "make the root read-only".into())?;
        }
        rustix::process::fchdir(&self.top).doing(|| "go to the new root".into())?;
        rustix::process::pivot_root(".", ".").doing(|| "change the root".into())?;
        unmount(".", UnmountFlags::DETACH).doing(|| "let the old root go".into())?;
        rustix::process::chdir("/").doing(|| "go to /".into())
    }
}

fn mount_memory(plan: &Plan) -> Result<()> {
    let options = format!("size={},nr_inodes={},mode=0755\0", plan.limits.disk_bytes, plan.limits.inodes.max(64));
    let options = std::ffi::CStr::from_bytes_with_nul(options.as_bytes()).map_err(|_| Fault::spec("size"))?;
    mount("writable", BOX, "tmpfs", restrictions(plan), options).doing(|| "mount the writable layer".into())
}

fn restrictions(plan: &Plan) -> MountFlags {
    if plan.walls.nosuid_nodev { MountFlags::NOSUID | MountFlags::NODEV } else { MountFlags::empty() }
}

fn own(folder: &OwnedFd, user: Ids) -> Result<()> {
    let (uid, gid) = (rustix::process::Uid::from_raw(user.uid), rustix::process::Gid::from_raw(user.gid));
    let given = rustix::fs::chownat(folder, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH);
    // An id without a mapping: a user with few subordinate ids.
    let why = if given == Err(Errno::INVAL) { ", beyond the ids that sandboxes may have here" } else { "" };
    given.doing(|| format!("give the workspace to {}:{}{why}", user.uid, user.gid))?;
    // The image may have the folder already, closed to its owner.
    let opened = || {
        let folder = openat(folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let mode = fstat(&folder)?.st_mode & 0o7777;
        if mode & 0o700 == 0o700 { Ok(()) } else { rustix::fs::fchmod(&folder, Mode::from(mode | 0o700)) }
    };
    opened().doing(|| "open the workspace to its owner".into())
}

/// Attaches a detached mount below `folder`, or to it where `path` is empty.
pub(super) fn attach_at(tree: BorrowedFd<'_>, folder: BorrowedFd<'_>, path: &str) -> Result<()> {
    let mut flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    if path.is_empty() {
        flags |= MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    }
    move_mount(tree, "", folder, path, flags).doing(|| format!("attach a mount {path}"))
}

/// A detached mount of an open folder.
pub(super) fn clone_of(folder: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(folder, "", flags).doing(|| "clone a mount".into())
}
