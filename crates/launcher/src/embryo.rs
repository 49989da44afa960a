//! A process in namespaces of its own that waits to be told what it is to become. It is begun ahead of need, and used once.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use crate::cgroup::{Cgroups, Group};
use crate::fault::{Doing, Result};
use crate::ids::{self, Ids, Mapping};
use crate::protocol::{Fault, Made, Plan, Settings, Walls};
use crate::sys::{self, Cloned};
use crate::{channel, child};

/// The word to a child that it may become a sandbox. Descriptors: stream, shared workspace (if any), layers, writable layer (if not in memory), binds, those of its
/// program.
#[derive(Serialize, Deserialize)]
pub(crate) struct Hatch {
    pub(crate) plan: Plan,
    /// How many layers there are.
    pub(crate) layers: usize,
    /// Where the bound folders belong, relative to the root.
    pub(crate) binds: Vec<String>,
    /// A shared workspace is given.
    pub(crate) shared: bool,
    /// The kernel does not limit processes and memory by cgroups, so resource limits must.
    pub(crate) without: Without,
}

/// The word to a child that its ids are mapped. Not empty, because an empty message looks like the end.
#[derive(Serialize, Deserialize)]
pub(crate) struct Mapped(pub(crate) bool);

/// Controllers that are missing.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Without {
    pub(crate) memory: bool,
    pub(crate) processes: bool,
}

/// What a child says: that it is a sandbox (descriptors: the writable layer, the workspace, the network namespace, other file systems in
/// memory), or why not.
#[derive(Serialize, Deserialize)]
pub(crate) enum Hatched {
    Made(Made),
    Failed(Fault),
}

/// A waiting child.
pub(crate) struct Embryo {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) channel: OwnedFd,
    pub(crate) mapping: Mapping,
    pub(crate) group: Group,
}

/// What an embryo must already be at its beginning.
pub(crate) struct Shape<'a> {
    pub(crate) walls: &'a Walls,
    pub(crate) netns: Option<BorrowedFd<'a>>,
    /// Use this range instead of one of its own.
    pub(crate) mapping: Option<Mapping>,
}

/// What embryos are made with.
pub(crate) struct Nest<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) ids: &'a mut Ids,
    pub(crate) cgroups: &'a mut Cgroups,
    pub(crate) time_namespace: &'a mut bool,
}

/// Begins one.
pub(crate) fn begin(nest: &mut Nest<'_>, shape: &Shape<'_>) -> Result<Embryo> {
    let mapping = match shape.mapping {
        Some(mapping) => {
            nest.ids.share(mapping);
            mapping
        }
        None => nest.ids.take()?,
    };
    begin_with(nest, shape, mapping).inspect_err(|_| nest.ids.free(mapping))
}

fn begin_with(nest: &mut Nest<'_>, shape: &Shape<'_>, mapping: Mapping) -> Result<Embryo> {
    let mut group = nest.cgroups.make()?;
    let (pid, pidfd, channel) = match spawn(nest, shape, &group) {
        Ok(spawned) => spawned,
        Err(fault) => {
            group.remove();
            return Err(fault);
        }
    };
    let embryo = Embryo { pid, pidfd, channel, mapping, group };
    let mapped = ids::write_maps(pid, &mapping)
        .and_then(|()| channel::send(&embryo.channel, &Mapped(true), &[]).doing(|| "tell a child of its ids".into()));
    match mapped {
        Ok(()) => Ok(embryo),
        Err(fault) => {
            embryo.discard().remove();
            Err(fault)
        }
    }
}

fn spawn(nest: &mut Nest<'_>, shape: &Shape<'_>, group: &Group) -> Result<(i32, OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .doing(|| "make a socket pair".into())?;
    let (pid, pidfd) = clone_child(nest, shape, group, theirs)?;
    Ok((pid, pidfd, ours))
}

/// Forks it; returns in the caller only.
fn clone_child(nest: &mut Nest<'_>, shape: &Shape<'_>, group: &Group, theirs: OwnedFd) -> Result<(i32, OwnedFd)> {
    let own_network = shape.netns.map(switch_network).transpose()?;
    let cloned = loop {
        let time = if *nest.time_namespace { sys::CLONE_NEWTIME } else { 0 };
        match sys::clone(flags(shape.walls) | time, group.clone_into()) {
            Err(rustix::io::Errno::INVAL) if *nest.time_namespace => *nest.time_namespace = false,
            result => break result.doing(|| "make namespaces".into()),
        }
    };
    if let Ok(Cloned::Child) = cloned {
        child::run(nest.settings, shape.walls, shape.netns.is_some(), group, theirs)
    }
    if let Some(own) = own_network {
        move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::Network))
            .doing(|| "return to the own network namespace".into())?;
    }
    match cloned? {
        Cloned::Parent(pid, pidfd) => Ok((pid, pidfd)),
        Cloned::Child => child::run(nest.settings, shape.walls, shape.netns.is_some(), group, theirs),
    }
}

fn switch_network(netns: BorrowedFd<'_>) -> Result<OwnedFd> {
    let own = openat(CWD, "/proc/self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .doing(|| "open the own network namespace".into())?;
    move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))
        .doing(|| "enter the sandbox's network namespace".into())?;
    Ok(own)
}

/// Namespaces that have to be there from the first instruction; the child makes the others, so that the launcher does not
/// wait for them.
fn flags(walls: &Walls) -> u64 {
    let pid = if walls.pid_namespace { libc::CLONE_NEWPID } else { 0 };
    (libc::CLONE_NEWUSER | libc::CLONE_NEWNS | pid) as u64
}

impl Embryo {
    /// Sends it its plan.
    pub(crate) fn hatch(&mut self, hatch: &Hatch, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        self.group.limit(&hatch.plan.limits)?;
        channel::send(&self.channel, hatch, descriptors).doing(|| "send the plan".into())
    }

    /// Ends one that is not needed; its ids are the caller's to free, and its cgroups to keep or to remove.
    pub(crate) fn discard(self) -> Group {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
        let _ = sys::reap(self.pid);
        self.group
    }
}
