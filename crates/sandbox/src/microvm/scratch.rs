//! The disk of a machine for what is written in it: the sandbox's writable layer, the data of a Docker Engine. It is the only one
//! that a machine can write to, has no name on the host, belongs to that machine alone, and ends with it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};

use model::limits::Limits;
use rustix::fs::{CWD, Mode, OFlags, fchmod, openat};

use super::kernel;
use crate::CreateError;
use crate::local::SMALLEST_DISK;

const BLOCK: u64 = 4096;
const INODE: u64 = 256;
/// The kernel keeps a fiftieth of a file system for itself, and no more than this.
const MOST_KEPT_BACK: u64 = 16 << 20;
const UNIT: u64 = 1 << 20;

/// How large one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scratch {
    /// Of the file. What is not written takes no room.
    pub(super) bytes: u64,
    /// That it may hold; the file system may have made room for more.
    pub(super) inodes: u64,
}

impl Scratch {
    /// With room for what the limits allow, and for what the file system itself needs: about a hundredth more than that.
    pub(super) fn of(limits: &Limits) -> Scratch {
        let room = limits.disk_bytes.max(SMALLEST_DISK);
        let inodes = limits.inodes.clamp(64, (room / BLOCK).max(64));
        let itself = inodes * INODE + (room / 50).min(MOST_KEPT_BACK) + room / 128 + 2 * UNIT;
        Scratch { bytes: (room + itself).next_multiple_of(UNIT), inodes }
    }

    /// A disk with an empty file system.
    pub(super) fn make(&self, folder: &Path) -> Result<File, CreateError> {
        let disk = empty_file(folder, self.bytes).map_err(kernel("make a disk"))?;
        let made = Command::new("mkfs.ext4")
            // No journal: it never outlives its machine.
            .args(["-q", "-F", "-m", "0", "-O", "^has_journal,^resize_inode"])
            .args(["-b", &BLOCK.to_string(), "-I", &INODE.to_string(), "-N", &self.inodes.to_string()])
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
}

/// A file of that size that goes with whoever has it open.
pub(super) fn empty_file(folder: &Path, bytes: u64) -> io::Result<File> {
    std::fs::create_dir_all(folder)?;
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = openat(CWD, folder, flags, Mode::from(0o600))?;
    // For the monitor's own user, who may open it by its number. Nobody else has a number of it.
    fchmod(&file, Mode::from(0o666))?;
    let file = File::from(file);
    file.set_len(bytes)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `mkfs.ext4` leaves is at least what the limits allow, and hardly more.
    #[test]
    fn a_disk_has_the_room_of_its_limits() {
        if !["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"].iter().any(|path| Path::new(path).exists()) {
            println!("skipped: mkfs.ext4 (e2fsprogs) is not installed");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        for (mib, inodes) in [(0, 1), (8, 200), (512, 1_000_000), (8192, 1_000_000), (102_400, 1_000_000)] {
            let limits = Limits { disk_bytes: mib << 20, inodes, ..Limits::default() };
            let disk = Scratch::of(&limits).make(folder.path()).unwrap();
            let mut head = [0; 2048];
            std::os::unix::fs::FileExt::read_exact_at(&disk, &mut head, 0).unwrap();
            let number = |at: usize| u64::from(u32::from_le_bytes(head[1024 + at..1028 + at].try_into().unwrap()));
            // Of the superblock: free blocks, free inodes, in their lower halves.
            let (free, free_inodes) = (number(12) * BLOCK, number(16));
            let most = limits.disk_bytes + limits.disk_bytes / 20 + 4 * UNIT;
            assert!((limits.disk_bytes..=most).contains(&free), "{mib} MiB: {free}");
            let wanted = inodes.clamp(64, (limits.disk_bytes / BLOCK).max(64));
            assert!(free_inodes + 11 >= wanted && free_inodes <= wanted + wanted / 50 + 64, "{wanted}: {free_inodes}");
        }
    }
}
