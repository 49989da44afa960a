//! The three files of `/etc` that belong to the machine, not to the image.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::root::Root;
use crate::fault::{Doing, Result};
use crate::protocol::Plan;

pub(super) fn write(plan: &Plan, root: &Root) -> Result<()> {
    let etc = root.folder("/etc")?;
    let hostname = format!("{}\n", plan.hostname);
    for (name, text) in [("hostname", &hostname), ("hosts", &plan.hosts), ("resolv.conf", &plan.resolv_conf)] {
        replace(etc.as_fd(), name, text).doing(|| format!("write /etc/{name}"))?;
    }
    Ok(())
}

/// Whatever stood there, a link included, is replaced, not written through.
fn replace(folder: BorrowedFd<'_>, name: &str, text: &str) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match openat(folder, name, flags, Mode::from(0o644)) {
        Err(Errno::EXIST) => {
            match unlinkat(folder, name, AtFlags::empty()) {
                Err(Errno::ISDIR) => unlinkat(folder, name, AtFlags::REMOVEDIR)?,
                result => result?,
            }
            openat(folder, name, flags, Mode::from(0o644))?
        }
        result => result?,
    };
    let mut left = text.as_bytes();
    while !left.is_empty() {
        let written = rustix::io::write(&file, left)?;
        left = &left[written..];
    }
    Ok(())
}
