//! A sandbox from its plan to its end.
//!
//! ```text
//!   Hatching --made--> Alive --process 1 has ended--> clearing --cgroups empty-> reported
//!      \--fault, death--> Failed(fault) -----------------^
//! ```
//!
//! `Living::step` is the one place that changes the state.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::fs::{StatVfs, fstatvfs};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Signal, pidfd_send_signal};

use crate::cgroup::{Cgroups, Group};
use crate::embryo::{Embryo, Hatched};
use crate::fault::{Doing, Result};
use crate::ids::Mapping;
use crate::{census, channel};
use model::limits::Limits;

use crate::protocol::{End, Fault, FaultKind, Made, Reply, Usage};
use crate::stall::Watch;
use crate::sys;

/// The mount of a workspace that the next sharer gets. Taking part in a sandbox uses it up; the sharer gives a new one.
pub(crate) type Spare = Rc<RefCell<Option<OwnedFd>>>;

enum State {
    Hatching,
    Alive,
    Failed(Fault),
}

/// A sandbox whose process 1 lives.
pub(crate) struct Living {
    pub(crate) token: u64,
    pub(crate) embryo: Embryo,
    pub(crate) workspace: Spare,
    /// For those that join it; it ends with the last sandbox in it.
    network: Option<OwnedFd>,
    /// Text of its `/etc/resolv.conf`.
    pub(crate) resolv_conf: String,
    state: State,
    upper: Option<OwnedFd>,
    /// For the driver, until it is told that the sandbox is there.
    pub(crate) folder: Option<OwnedFd>,
    /// File systems in memory besides the writable layer.
    in_memory: Vec<OwnedFd>,
    end: Option<End>,
    deadline: Instant,
    /// Limit of processes, where no cgroup counts them.
    uncounted: Option<u32>,
    /// How often that many were there when they were counted.
    full: u64,
    /// When they were.
    counted: Instant,
    /// Where its control group tells enough.
    watch: Option<Watch>,
    /// Processes that were killed because nothing went on any more.
    stalled: u64,
}

/// A sandbox whose process 1 was reaped, and whose cgroups are still to be empty.
pub(crate) struct Clearing {
    group: Option<Group>,
    reply: Reply,
}

impl Living {
    pub(crate) fn new(token: u64, embryo: Embryo, workspace: Spare, limits: &Limits, uncounted: Option<u32>) -> Living {
        let wall = Duration::from_millis(limits.wall_ms);
        let now = Instant::now();
        // Beyond the clock means never.
        let deadline = now.checked_add(wall).unwrap_or(now + Duration::from_secs(u32::MAX.into()));
        let watch = embryo.group.tells_memory().then(|| Watch::new(now));
        Living {
            token,
            embryo,
            workspace,
            network: None,
            resolv_conf: String::new(),
            state: State::Hatching,
            upper: None,
            folder: None,
            in_memory: Vec::new(),
            end: None,
            deadline,
            uncounted,
            full: 0,
            counted: now,
            watch,
            stalled: 0,
        }
    }

    pub(crate) fn is_hatching(&self) -> bool {
        matches!(self.state, State::Hatching)
    }

    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.state, State::Alive) && self.end.is_none()
    }

    pub(crate) fn mapping(&self) -> Mapping {
        self.embryo.mapping
    }

    /// Its network namespace, once it is made.
    pub(crate) fn network(&self) -> Result<OwnedFd> {
        let network = self.network.as_ref().ok_or_else(|| Fault::spec("the sandbox to join has no network yet"))?;
        fcntl_dupfd_cloexec(network, 0).doing(|| "copy a descriptor".into())
    }

    /// When it must be ended; `None` when it is being ended already.
    fn deadline(&self) -> Option<Instant> {
        self.end.is_none().then_some(self.deadline)
    }

    /// Reads what the child says; a reply where there is one now.
    pub(crate) fn step(&mut self) -> Option<Reply> {
        if !self.is_hatching() {
            return None;
        }
        match channel::receive_now::<Hatched>(&self.embryo.channel) {
            Ok(Some((Hatched::Made(made), descriptors))) => Some(self.made(made, descriptors)),
            Ok(Some((Hatched::Failed(fault), _))) => {
                self.state = State::Failed(fault);
                None
            }
            Err(Errno::AGAIN) => None,
            Ok(None) | Err(_) => {
                let what = "a process died while its sandbox was made".to_owned();
                self.state = State::Failed(Fault { kind: FaultKind::Kernel, what, errno: 0 });
                self.kill();
                None
            }
        }
    }

    fn made(&mut self, made: Made, descriptors: Vec<OwnedFd>) -> Reply {
        let mut descriptors = descriptors.into_iter();
        self.upper = descriptors.next();
        *self.workspace.borrow_mut() = descriptors.next();
        self.network = descriptors.next();
        self.in_memory = descriptors.collect();
        self.state = State::Alive;
        Reply::Created { token: self.token, made }
    }

    /// Ends it for this reason; the first one counts.
    pub(crate) fn end(&mut self, reason: End) {
        self.end.get_or_insert(reason);
        self.kill();
    }

    fn kill(&self) {
        // Everything in a process id namespace dies with its process 1. An error means that it is dead.
        let _ = pidfd_send_signal(&self.embryo.pidfd, Signal::KILL);
    }

    /// When there is something to do for it without anybody's word; `None` when it is being ended already.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        let count = self.uncounted.filter(|_| self.is_alive()).map(|_| self.counted + census::EVERY);
        let watch = self.watch.as_ref().filter(|_| self.is_alive()).map(Watch::next);
        [self.deadline(), count, watch].into_iter().flatten().min()
    }

    /// Ends it where its time is over, counts its processes where no cgroup does, and has one of them killed where nothing goes on.
    pub(crate) fn look(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.end(End::Wall);
        }
        if !self.is_alive() {
            return;
        }
        if now.duration_since(self.counted) >= census::EVERY {
            self.counted = now;
            self.count_processes();
        }
        let Embryo { group, pid, .. } = &self.embryo;
        if let Some(watch) = self.watch.as_mut().filter(|watch| watch.next() <= now)
            && watch.look(group.memory(), now)
        {
            self.stalled += u64::from(group.kill_largest(*pid));
        }
    }

    fn count_processes(&mut self) {
        if let Some(limit) = self.uncounted
            && self.is_alive()
        {
            self.full += u64::from(census::is_full(self.embryo.pid, limit));
        }
    }

    /// What it uses.
    pub(crate) fn usage(&mut self) -> Usage {
        self.count_processes();
        let mut usage = Usage { refused_forks: self.full, ..Usage::default() };
        self.embryo.group.count(&mut usage);
        usage.memory_kills += self.stalled;
        if let Some(found) = self.upper.as_ref().and_then(|upper| fstatvfs(upper).ok()) {
            usage.disk = Some(room(&found));
            usage.inodes = Some((found.f_files, found.f_ffree));
        }
        // The one with the least room.
        usage.tmpfs =
            self.in_memory.iter().filter_map(|tree| Some(room(&fstatvfs(tree).ok()?))).min_by_key(|(_, free)| *free);
        usage
    }

    /// Its process 1 has ended: reaps it, and gives up everything but the cgroups.
    pub(crate) fn bury(mut self) -> (Clearing, Mapping) {
        let mut usage = self.usage();
        let (status, resources) = sys::reap(self.embryo.pid).unwrap_or((0, no_resources()));
        usage.cpu_us = usage.cpu_us.or(Some(microseconds(resources.ru_utime) + microseconds(resources.ru_stime)));
        let end = self.end.unwrap_or(if libc::WIFSIGNALED(status) {
            End::Signalled(libc::WTERMSIG(status))
        } else {
            End::Exited(libc::WEXITSTATUS(status))
        });
        let reply = match self.state {
            State::Failed(fault) => Reply::Failed { token: self.token, fault },
            State::Hatching => {
                let what = "it was ended while it was made".to_owned();
                let fault = Fault { kind: FaultKind::Kernel, what, errno: Errno::CANCELED.raw_os_error() };
                Reply::Failed { token: self.token, fault }
            }
            State::Alive => Reply::Ended { token: self.token, end, usage },
        };
        (Clearing { group: Some(self.embryo.group), reply }, self.embryo.mapping)
    }
}

impl Clearing {
    /// The reply, once the cgroups are empty.
    pub(crate) fn finish(&mut self, cgroups: &mut Cgroups) -> Option<&Reply> {
        self.group = self.group.take().and_then(|group| cgroups.take_back(group));
        self.group.is_none().then_some(&self.reply)
    }

    pub(crate) fn reply(&self) -> &Reply {
        &self.reply
    }

    /// The cgroups, where they are not yet empty.
    pub(crate) fn into_group(self) -> Option<Group> {
        self.group
    }
}

/// Size, and free bytes for those who are not root of the machine.
fn room(found: &StatVfs) -> (u64, u64) {
    (found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)
}

fn microseconds(time: libc::timeval) -> u64 {
    time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64
}

fn no_resources() -> libc::rusage {
    // SAFETY: all-zero is a valid rusage.
    unsafe { std::mem::zeroed() }
}
