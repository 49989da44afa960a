//! A process that stays in the cgroups of a slot, from one sandbox to the next, and forks the first process of each there.
//!
//! With version 1 a process can only be born where its parent is. Moving one later waits for all processors (4 to 10 ms) and
//! holds up other work on cgroups on the whole host, so it is done once for each slot, ahead of need. What a nursery forks is a
//! child of the launcher, and has no more than what the launcher itself would have given it. A nursery sees nothing of a sandbox:
//! it has the channel to the launcher, and the network namespace of an order while it forks.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::cgroup::Group;
use crate::embryo::{Birth, clone_child};
use crate::fault::{Doing, Result};
use crate::protocol::{Settings, Walls};
use crate::sys::{self, Cloned};
use crate::{channel, child};

/// What the launcher wants. Descriptors: the child's channel, and its network namespace where one is given.
#[derive(Serialize, Deserialize)]
struct Order {
    walls: Walls,
    time_namespace: bool,
}

/// What a nursery says.
#[derive(Serialize, Deserialize)]
enum Word {
    /// It is in its cgroups.
    Ready,
    /// Id of the new process.
    Born(i32),
    /// Error number.
    Failed(i32),
}

/// The launcher's side.
pub(crate) struct Nursery {
    pid: i32,
    pidfd: OwnedFd,
    channel: OwnedFd,
    ready: bool,
}

impl Nursery {
    /// Starts one, and does not wait until it is where it belongs.
    pub(crate) fn start(settings: &Settings, group: &Group) -> Result<Nursery> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .doing(|| "make a socket pair".into())?;
        match sys::clone(0, None).doing(|| "start a nursery".into())? {
            Cloned::Child => serve(settings, group, theirs),
            Cloned::Parent(pid, pidfd) => Ok(Nursery { pid, pidfd, channel: ours, ready: false }),
        }
    }

    /// Whether it can work; `None`: it is dead.
    pub(crate) fn is_ready(&mut self) -> Option<bool> {
        if !self.ready {
            match channel::receive_now::<Word>(&self.channel) {
                Ok(Some((Word::Ready, _))) => self.ready = true,
                Err(Errno::AGAIN) => {}
                _ => return None,
            }
        }
        Some(self.ready)
    }

    /// Waits until it can work; `false`: it is dead.
    pub(crate) fn wait(&mut self) -> bool {
        if !self.ready {
            self.ready = matches!(channel::receive::<Word>(&self.channel), Ok(Some((Word::Ready, _))));
        }
        self.ready
    }

    /// Has a child forked. It belongs to the launcher like one that the launcher forks.
    pub(crate) fn bear(
        &self,
        walls: &Walls,
        netns: Option<BorrowedFd<'_>>,
        time_namespace: bool,
        theirs: &OwnedFd,
    ) -> rustix::io::Result<(i32, OwnedFd)> {
        let mut descriptors = vec![theirs.as_fd()];
        descriptors.extend(netns);
        channel::send(&self.channel, &Order { walls: walls.clone(), time_namespace }, &descriptors)?;
        match channel::receive::<Word>(&self.channel)? {
            Some((Word::Born(pid), _)) => {
                // Nobody but the launcher can reap it, so the number is still its own.
                let id = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
                Ok((pid, pidfd_open(id, PidfdFlags::empty())?))
            }
            Some((Word::Failed(errno), _)) => Err(Errno::from_raw_os_error(errno)),
            _ => Err(Errno::PIPE),
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Ends it.
    pub(crate) fn end(self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = sys::reap(self.pid);
    }
}

/// Runs as the nursery; returns never, but in each child that it forks it becomes that child.
fn serve(settings: &Settings, group: &Group, channel: OwnedFd) -> ! {
    if group.join().is_err() {
        sys::exit_now(child::NOT_MADE);
    }
    let Ok(channel) = child::shed(channel) else { sys::exit_now(child::NOT_MADE) };
    sys::set_name(c"cofferdam-nurse");
    let mut said = Word::Ready;
    loop {
        if channel::send(&channel, &said, &[]).is_err() {
            sys::exit_now(0);
        }
        let Ok(Some((order, descriptors))) = channel::receive::<Order>(&channel) else { sys::exit_now(0) };
        let mut descriptors = descriptors.into_iter();
        let (Some(theirs), netns) = (descriptors.next(), descriptors.next()) else { sys::exit_now(child::NOT_MADE) };
        let mut time_namespace = order.time_namespace;
        let birth = Birth { walls: &order.walls, netns: netns.as_ref().map(AsFd::as_fd), group: None, to_parent: true };
        said = match clone_child(settings, &birth, &mut time_namespace, theirs) {
            Ok((pid, _)) => Word::Born(pid),
            Err(fault) => Word::Failed(if fault.errno == 0 { Errno::IO.raw_os_error() } else { fault.errno }),
        };
    }
}
