//! How the children that work in a folder begin.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};

use confine::{Enclosure, raise, set_limits};
use rustix::fs::{Mode, OFlags};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::{remove, write};
use crate::unpack::child::said;
use crate::unpack::fault::{Fault, Said};
use crate::unpack::{LayerReport, UnpackLimits};

/// The standard streams, and a few; besides a directory for every level.
const SPARE_FILES: u64 = 64;
/// What a child in a folder may ask the kernel for.
pub(in crate::unpack) const FOLDER_CALLS: &str = include_str!("../../../data/unpack-folder.calls");

/// Writes the archive on standard input into the folder.
pub(in crate::unpack) fn write(folder: Option<OsString>, limits: &UnpackLimits, mapped: bool) -> Said {
    enter(folder, limits, mapped, |folder, input| write::write(&folder, limits, input))
}

/// Removes what is in the folder.
pub(in crate::unpack) fn remove(folder: Option<OsString>, limits: &UnpackLimits, mapped: bool) -> Said {
    enter(folder, limits, mapped, |folder, _| {
        remove::remove_content(folder)?;
        Ok(LayerReport::default())
    })
}

fn enter(
    folder: Option<OsString>,
    limits: &UnpackLimits,
    mapped: bool,
    work: impl FnOnce(OwnedFd, File) -> Result<LayerReport, Fault>,
) -> Said {
    // SAFETY: both are open, and nothing else in this process uses them.
    let (mut input, mut output) = unsafe { (File::from_raw_fd(0), File::from_raw_fd(1)) };
    let files = u64::from(limits.depth) + SPARE_FILES;
    if let Err(message) = set_limits(limits.memory_bytes, limits.cpu_seconds, limits.content_bytes, files) {
        return Said::Confine(message);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let folder = match rustix::fs::open(folder.unwrap_or_default(), flags, Mode::empty()) {
        Ok(folder) => folder,
        Err(error) => return Said::Output(error.to_string()),
    };
    if mapped && let Err(error) = become_root_of_namespace(&mut input, &mut output) {
        return Said::IdMap(error.to_string());
    }
    drop(output);
    match keep_file_capabilities().and_then(|()| raise(Enclosure::of(&folder), FOLDER_CALLS)) {
        Err(message) => Said::Confine(message),
        Ok(walls) => said(work(folder, input), walls),
    }
}

/// Enters a new user namespace, tells the parent, waits for the maps, takes the ids.
fn become_root_of_namespace(input: &mut File, output: &mut File) -> io::Result<()> {
    // SAFETY: this process has a single thread.
    if unsafe { libc::unshare(libc::CLONE_NEWUSER) } != 0 {
        return Err(io::Error::last_os_error());
    }
    output.write_all(b"m")?;
    let mut go = [0];
    input.read_exact(&mut go)?;
    // SAFETY: plain integers, and an empty list that is not read.
    let taken = unsafe {
        // Denied where only the user's own group is mapped; there is nothing to give away then.
        libc::setgroups(0, std::ptr::null());
        libc::setresgid(0, 0, 0) == 0 && libc::setresuid(0, 0, 0) == 0
    };
    if taken { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Of root's powers keeps those that writing other people's files takes.
fn keep_file_capabilities() -> Result<(), String> {
    let kept = CapabilitySet::CHOWN | CapabilitySet::DAC_OVERRIDE | CapabilitySet::FOWNER | CapabilitySet::FSETID;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).map_err(|error| format!("capset: {error}"))
}
