//! The disks of a machine's Docker Engine: the programs, which all machines share, and the data, which each has for itself.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};

use launcher::protocol::EngineDisks;
use rustix::fs::{CWD, Mode, OFlags, openat};

use super::{MicroVmConfig, kernel, machine};
use crate::CreateError;

/// How many disks a machine has for it: programs and data. They come first.
pub(super) const DISKS: usize = 2;
/// What the engine itself needs of a machine's memory.
pub(super) const MEMORY: u64 = 320 << 20;
/// The file system alone needs some.
const SMALLEST_DISK: u64 = 256 << 20;

/// The size of the data's disk, where a sandbox may write so much.
pub(super) fn disk_bytes(limit: u64) -> u64 {
    limit.max(SMALLEST_DISK).next_multiple_of(1 << 20)
}

/// Where the guest finds both.
pub(super) fn disks() -> EngineDisks {
    EngineDisks { programs: machine::disk(0), data: machine::disk(1) }
}

/// The file with the programs.
pub(super) fn programs(config: &MicroVmConfig) -> Result<&Path, CreateError> {
    config.engine.as_deref().ok_or_else(|| CreateError::Unsupported {
        reason: "there is no Docker Engine for machines: `cofferdam guest build --engine` makes one".into(),
    })
}

/// A file that goes with whoever has it open.
pub(super) fn empty_file(config: &MicroVmConfig) -> io::Result<File> {
    std::fs::create_dir_all(&config.scratch)?;
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(openat(CWD, &config.scratch, flags, Mode::from(0o600))?.into())
}

/// A disk with an empty file system. What is not written takes no room.
pub(super) fn new_disk(config: &MicroVmConfig, bytes: u64) -> Result<File, CreateError> {
    let disk = empty_file(config).map_err(kernel("make a disk"))?;
    disk.set_len(bytes).map_err(kernel("make a disk"))?;
    // No journal: it never outlives its machine.
    let made = Command::new("mkfs.ext4")
        .args(["-q", "-F", "-m", "0", "-O", "^has_journal"])
        .args(["-E", "lazy_itable_init=1,nodiscard,root_owner=0:0"])
        .arg(format!("/proc/{}/fd/{}", std::process::id(), disk.as_raw_fd()))
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .output()
        .map_err(kernel("start mkfs.ext4 (package e2fsprogs)"))?;
    match made.status.success() {
        true => Ok(disk),
        false => {
            let said = String::from_utf8_lossy(&made.stderr).trim().to_owned();
            Err(CreateError::Unsupported { reason: format!("mkfs.ext4: {said}") })
        }
    }
}
