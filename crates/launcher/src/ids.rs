//! Ranges of user and group ids: each living sandbox of root has 65536 that no other sandbox on the host has.
//!
//! A range is taken by a lock on one byte of a file that all launchers share. The kernel gives the lock up when the launcher
//! dies, so there is nothing to sweep.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::fault::{Doing, Result};
use crate::protocol::{Fault, FaultKind, Settings, Subordinate};
use crate::sys::{self, Cloned};

/// Ids of one sandbox.
pub(crate) const RANGE: u32 = 65536;

/// How the ids of a sandbox map to those of the launcher's user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// Index of the range; `None` where all sandboxes share one.
    slot: Option<u32>,
    first: u32,
    count: u32,
}

impl Mapping {
    /// The sandbox's root on the stage.
    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    /// Text for `uid_map` and `gid_map`.
    pub(crate) fn text(&self) -> String {
        match (self.slot, self.first) {
            // The user's own id is a range of its own, and no line may go over a border.
            (None, 0) if self.count > 1 => format!("0 0 1\n1 1 {}", self.count - 1),
            (_, first) => format!("0 {first} {}", self.count),
        }
    }
}

/// Gives mappings out and takes them back.
pub(crate) struct Ids {
    lock: OwnedFd,
    first: u32,
    ranges: u32,
    next: u32,
    shared: Option<Mapping>,
    as_user: Option<Mapping>,
    /// Index by slot: how many sandboxes use it (a shared workspace means shared ids), and its namespace for id-mapped mounts.
    held: Vec<Held>,
}

struct Held {
    mapping: Mapping,
    users: u32,
    /// Never entered: it only carries the map for `mount_setattr`, so it may be kept from one sandbox to the next.
    namespace: Option<OwnedFd>,
}

/// Freed ranges that stay locked for the next sandbox of this launcher.
const KEPT: usize = 64;

impl Ids {
    pub(crate) fn open(settings: &Settings, subordinate: Option<Subordinate>) -> Result<Ids> {
        let path = settings.state_dir.join("ids.lock");
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let lock = openat(CWD, &path, flags, Mode::from(0o600)).doing(|| format!("open {}", path.display()))?;
        // Inside the launcher's own user namespace id 0 is the user, and the subordinate ids follow it.
        let own = settings.own_ids.then_some(Mapping { slot: None, first: 0, count: RANGE });
        let shared = subordinate.map(|ids| Mapping { slot: None, first: 1, count: ids.count.min(RANGE) }).or(own);
        let as_user =
            subordinate.map(|ids| Mapping { slot: None, first: 0, count: ids.count.saturating_add(1).min(RANGE) });
        // Launchers start at different places, so that they seldom ask for the same byte.
        let next = std::process::id() % settings.id_ranges.max(1);
        Ok(Ids { lock, first: settings.first_id, ranges: settings.id_ranges, next, shared, as_user, held: Vec::new() })
    }

    /// A range that no living sandbox has.
    pub(crate) fn take(&mut self) -> Result<Mapping> {
        if let Some(mapping) = self.shared {
            return Ok(mapping);
        }
        if let Some(held) = self.held.iter_mut().find(|held| held.users == 0) {
            held.users = 1;
            return Ok(held.mapping);
        }
        for _ in 0..self.ranges {
            let slot = self.next;
            self.next = (self.next + 1) % self.ranges;
            if self.held.iter().any(|held| held.mapping.slot == Some(slot)) {
                continue;
            }
            if sys::lock_byte(self.lock.as_fd(), i64::from(slot), true).doing(|| "lock an id range".into())? {
                let mapping = Mapping { slot: Some(slot), first: self.first + slot * RANGE, count: RANGE };
                let namespace = user_namespace(&mapping)?;
                self.held.push(Held { mapping, users: 1, namespace: Some(namespace) });
                return Ok(mapping);
            }
        }
        Err(Fault { kind: FaultKind::NoIds, what: self.ranges.to_string(), errno: 0 })
    }

    /// Where all sandboxes share their ids: the mapping whose root is the user who runs the launcher, for the host's
    /// tools and for layers that belong to that user. Others are better off without it.
    pub(crate) fn as_user(&self) -> Option<Mapping> {
        self.as_user
    }

    /// One more user of a range that is in use.
    pub(crate) fn share(&mut self, mapping: Mapping) {
        if let Some(held) = self.held.iter_mut().find(|held| held.mapping == mapping) {
            held.users += 1;
        }
    }

    /// Gives a range back.
    pub(crate) fn free(&mut self, mapping: Mapping) {
        let Some(index) = self.held.iter().position(|held| held.mapping == mapping) else { return };
        self.held[index].users -= 1;
        let unused = self.held.iter().filter(|held| held.users == 0).count();
        if self.held[index].users == 0 && unused > KEPT {
            self.held.swap_remove(index);
            if let Some(slot) = mapping.slot {
                // A lock that stays costs one range, no more.
                let _ = sys::lock_byte(self.lock.as_fd(), i64::from(slot), false);
            }
        }
    }

    /// The namespace that id-maps mounts for a range; `None` where mounts need no mapping.
    pub(crate) fn namespace(&self, mapping: Mapping) -> Option<BorrowedFd<'_>> {
        self.held.iter().find(|held| held.mapping == mapping)?.namespace.as_ref().map(AsFd::as_fd)
    }
}

/// Makes a user namespace with this map; its only process ends at once.
fn user_namespace(mapping: &Mapping) -> Result<OwnedFd> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing(|| "make a pipe".into())?;
    match sys::clone(libc::CLONE_NEWUSER as u64, None).doing(|| "make a user namespace".into())? {
        Cloned::Child => {
            drop(write);
            let mut byte = [0];
            let _ = rustix::io::read(&read, &mut byte);
            sys::exit_now(0)
        }
        Cloned::Parent(pid, _pidfd) => {
            let namespace = write_maps(pid, mapping).and_then(|()| {
                let path = format!("/proc/{pid}/ns/user");
                openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).doing(|| format!("open {path}"))
            });
            drop(write);
            drop(read);
            sys::reap(pid).doing(|| "reap a child".into())?;
            namespace
        }
    }
}

/// Maps the ids of a new process.
pub(crate) fn write_maps(pid: i32, mapping: &Mapping) -> Result<()> {
    let text = mapping.text();
    for file in ["uid_map", "gid_map"] {
        let path = format!("/proc/{pid}/{file}");
        write_once(&path, text.as_bytes()).doing(|| format!("write {path}"))?;
    }
    Ok(())
}

/// Writes a kernel file with one call.
pub(crate) fn write_once(path: &str, text: &[u8]) -> rustix::io::Result<()> {
    let file = openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    write_to(file.as_fd(), text)
}

/// As [`write_once`] on an open file.
pub(crate) fn write_to(file: BorrowedFd<'_>, text: &[u8]) -> rustix::io::Result<()> {
    debug_assert!(file.as_raw_fd() >= 0);
    match rustix::io::write(file, text)? {
        written if written == text.len() => Ok(()),
        _ => Err(Errno::IO),
    }
}
