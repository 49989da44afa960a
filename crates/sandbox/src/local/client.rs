//! The driver's side of the conversation with the launcher.
//!
//! Requests are sent by whoever makes them; one thread reads the replies and wakes those who wait. Each sandbox has an entry
//! from the request on, which stays, so that `destroy` can be asked again.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use launcher::channel;
use launcher::protocol::{End, Fault, FaultKind, Features, Made, Plan, Reply, Request, Settings, Usage as Counters};
use model::ids::SandboxId;
use model::limits::Limits;
use tokio::sync::{oneshot, watch};

use super::{LocalConfig, launch, subordinate_ids};
use crate::driver::wait_ended;
use crate::records::Records;
use crate::{CreateError, DriverError, EndCause, Ended, LimitKind, LimitMet, Sandbox, Usage, policy};

/// Sandbox ids are unique within the process, whatever driver gave them out.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The sender's half of [`Client`], and what the reading thread shares with it.
pub(super) struct Client {
    features: Features,
    shared: Arc<Shared>,
    pid: u32,
    reader: Option<JoinHandle<()>>,
}

struct Shared {
    socket: OwnedFd,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    gone: bool,
    entries: Records<u64, Entry>,
    sweeps: Vec<oneshot::Sender<Vec<String>>>,
}

/// Who its workload is, and the folder of its monitor.
type Created = (Made, Option<OwnedFd>);

struct Entry {
    limits: Limits,
    of_kernel: OfKernel,
    /// Waits for the sandbox to be made.
    creating: Option<oneshot::Sender<Result<Created, Fault>>>,
    ended: watch::Sender<Option<Ended>>,
    usage: Vec<oneshot::Sender<Usage>>,
}

/// What a kernel of the sandbox's own needs beside the sandbox's limits. Where it has one that is a process of the host, the host's
/// kernel can end nothing smaller.
#[derive(Clone, Copy, Default)]
pub(crate) struct OfKernel {
    pub(crate) memory_bytes: u64,
    /// Processes and threads that it always has.
    pub(crate) processes: u32,
    /// Those of the host for each of the sandbox.
    pub(crate) processes_each: u32,
}

impl OfKernel {
    /// What the launcher is to enforce.
    fn beside(&self, limits: Limits) -> Limits {
        let processes = limits.processes.saturating_mul(self.processes_each.max(1));
        Limits {
            memory_bytes: limits.memory_bytes.saturating_add(self.memory_bytes),
            processes: processes.saturating_add(self.processes),
            ..limits
        }
    }
}

impl Client {
    pub(super) fn start(config: &LocalConfig) -> Result<Client, DriverError> {
        launch::prepare_state(&config.state_dir)?;
        let (child, socket) = launch::launch()?;
        let pid = child.id();
        // Compiled while the launcher starts.
        let settings = match settings(config) {
            Ok(settings) => settings,
            Err(error) => {
                drop(socket);
                reap(child);
                return Err(error);
            }
        };
        let fail = |what: &str, source: io::Error| DriverError::Start { what: what.into(), source };
        channel::send(&socket, &Request::Start(Box::new(settings)), &[])
            .map_err(|errno| fail("it does not listen", errno.into()))?;
        let features = match channel::receive::<Reply>(&socket) {
            Ok(Some((Reply::Ready(features), _))) => features,
            Ok(Some((Reply::Failed { fault, .. }, _))) => {
                reap(child);
                return Err(fail(&fault.what, io::Error::from_raw_os_error(fault.errno)));
            }
            Ok(_) => {
                reap(child);
                return Err(fail("it ended", io::Error::from(io::ErrorKind::UnexpectedEof)));
            }
            Err(errno) => return Err(fail("it does not answer", errno.into())),
        };
        let shared = Arc::new(Shared { socket, state: Mutex::default() });
        let reader = Arc::clone(&shared);
        let reader = std::thread::Builder::new()
            .name("cofferdam-launcher".into())
            .spawn(move || reader.read(child))
            .map_err(|error| fail("no thread for its replies", error))?;
        Ok(Client { features, shared, pid, reader: Some(reader) })
    }

    pub(super) fn features(&self) -> &Features {
        &self.features
    }

    pub(super) fn is_gone(&self) -> bool {
        self.shared.state().gone
    }

    pub(super) fn launcher_pid(&self) -> u32 {
        self.pid
    }

    /// Makes a sandbox; `given` are the descriptors of its program, where the plan has one. Returns with it the folder of its
    /// monitor, where the plan gives it one.
    pub(super) async fn create(
        &self,
        mut plan: Plan,
        of_kernel: OfKernel,
        netns: Option<OwnedFd>,
        given: Vec<OwnedFd>,
    ) -> Result<(Sandbox, Option<OwnedFd>), CreateError> {
        let token = NEXT.fetch_add(1, Ordering::Relaxed);
        let kernel = |operation: &str, source: io::Error| CreateError::Kernel { operation: operation.into(), source };
        let (stream, theirs) = UnixStream::pair().map_err(|error| kernel("make a socket pair", error))?;
        let (workspace, hostname) = (plan.workspace.clone(), plan.hostname.clone());
        let (shared_with, limits) = (plan.share_with, plan.limits);
        plan.limits = of_kernel.beside(limits);
        let (made, waiting) = oneshot::channel();
        let (ended, ended_later) = watch::channel(None);
        {
            let mut state = self.shared.state();
            if state.gone {
                return Err(DriverError::Gone.into());
            }
            state.entries.insert(token, Entry { limits, of_kernel, creating: Some(made), ended, usage: Vec::new() });
        }
        let mut descriptors = vec![theirs.as_fd()];
        descriptors.extend(netns.iter().chain(&given).map(AsFd::as_fd));
        if let Err(error) = self.shared.send(&Request::Create { token, plan: Box::new(plan) }, &descriptors) {
            self.shared.state().entries.remove(token);
            return Err(error.into());
        }
        drop((theirs, given));
        let (made, folder) = waiting.await.map_err(|_| DriverError::Gone)?.map_err(|fault| {
            self.shared.state().entries.remove(token);
            create_error(fault, shared_with)
        })?;
        let Made { user, groups, home } = made;
        let id = SandboxId(token);
        let sandbox = Sandbox { id, stream, user, groups, home, workspace, hostname, end: ended_later };
        Ok((sandbox, folder))
    }

    pub(super) async fn usage(&self, id: SandboxId) -> Result<Usage, DriverError> {
        let (usage, waiting) = oneshot::channel();
        let ended = {
            let mut state = self.shared.state();
            let gone = state.gone;
            let entry = state.entries.get_mut(id.0).ok_or(DriverError::Unknown { id })?;
            let report = entry.ended.borrow().clone();
            match report {
                Some(report) => return Ok(report.usage),
                None if gone => return Err(DriverError::Gone),
                None => entry.usage.push(usage),
            }
            entry.ended.subscribe()
        };
        self.shared.send(&Request::Usage { token: id.0 }, &[])?;
        match waiting.await {
            Ok(usage) => Ok(usage),
            Err(_) => Ok(wait_ended(ended).await.usage),
        }
    }

    pub(super) async fn destroy(&self, id: SandboxId) -> Result<Ended, DriverError> {
        let ended = {
            let state = self.shared.state();
            let entry = state.entries.get(id.0).ok_or(DriverError::Unknown { id })?;
            entry.ended.subscribe()
        };
        if ended.borrow().is_none() {
            // Where the launcher is gone, the reader reports the end.
            let _ = self.shared.send(&Request::Destroy { token: id.0 }, &[]);
        }
        Ok(wait_ended(ended).await)
    }

    /// Ends a sandbox, and waits for nothing.
    pub(super) fn end(&self, id: SandboxId) {
        // Where the launcher is gone, so is the sandbox.
        let _ = self.shared.send(&Request::Destroy { token: id.0 }, &[]);
    }

    pub(super) async fn sweep(&self) -> Result<Vec<String>, DriverError> {
        let (swept, waiting) = oneshot::channel();
        self.shared.state().sweeps.push(swept);
        self.shared.send(&Request::Sweep, &[])?;
        waiting.await.map_err(|_| DriverError::Gone)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The launcher sees the end of the conversation, ends its sandboxes, and then itself; the reader reaps it. Whoever ends
        // after this leaves no process behind.
        let _ = rustix::net::shutdown(&self.shared.socket, rustix::net::Shutdown::Write);
        if let Some(reader) = self.reader.take() {
            // A panic there was reported by its own thread.
            let _ = reader.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Result<(), DriverError> {
        channel::send(&self.socket, request, descriptors).map_err(|errno| {
            tracing::warn!(%errno, "the launcher does not take a request");
            DriverError::Gone
        })
    }

    /// Until the launcher is gone.
    fn read(&self, child: Child) {
        loop {
            match channel::receive::<Reply>(&self.socket) {
                Ok(Some((reply, beside))) => self.handle(reply, beside.into_iter().next()),
                Ok(None) => break,
                Err(errno) => {
                    tracing::error!(%errno, "the launcher speaks another language");
                    break;
                }
            }
        }
        reap(child);
        let mut state = self.state();
        state.gone = true;
        state.sweeps.clear();
        for entry in state.entries.values_mut() {
            entry.creating = None;
            entry.usage.clear();
            entry.ended.send_if_modified(|ended| match ended {
                Some(_) => false,
                None => {
                    *ended = Some(Ended::lost());
                    true
                }
            });
        }
    }

    fn handle(&self, reply: Reply, folder: Option<OwnedFd>) {
        let mut state = self.state();
        match reply {
            Reply::Ready(_) | Reply::EngineReady | Reply::Parting => {}
            Reply::Created { token, made } => {
                let creating = state.entries.get_mut(token).and_then(|entry| entry.creating.take());
                let taken = creating.is_some_and(|creating| creating.send(Ok((made, folder))).is_ok());
                drop(state);
                if !taken {
                    // Whoever asked for it has gone away.
                    let _ = self.send(&Request::Destroy { token }, &[]);
                }
            }
            Reply::Failed { token, fault } => {
                if let Some(creating) = state.entries.get_mut(token).and_then(|entry| entry.creating.take())
                    && creating.send(Err(fault)).is_err()
                {
                    state.entries.remove(token);
                }
            }
            Reply::Usage { token, usage } => {
                if let Some(entry) = state.entries.get_mut(token) {
                    let usage = entry.report(usage);
                    for waiting in entry.usage.drain(..) {
                        let _ = waiting.send(usage.clone());
                    }
                }
            }
            Reply::Ended { token, end, usage } => {
                if let Some(entry) = state.entries.get_mut(token) {
                    let usage = entry.report(usage);
                    entry.usage.clear();
                    entry.ended.send_replace(Some(Ended { cause: entry.cause(end, &usage), usage }));
                    state.entries.ended(token);
                }
            }
            Reply::Swept(lines) => {
                if !state.sweeps.is_empty() {
                    let _ = state.sweeps.remove(0).send(lines);
                }
            }
        }
    }
}

impl Entry {
    fn report(&self, mut counters: Counters) -> Usage {
        counters.memory_peak = counters.memory_peak.map(|peak| peak.saturating_sub(self.of_kernel.memory_bytes));
        report(counters, &self.limits)
    }

    fn cause(&self, end: End, usage: &Usage) -> EndCause {
        let ended_it = |met: &&LimitMet| matches!(met.kind, LimitKind::Memory | LimitKind::Processes);
        match (end, usage.limits_met.iter().find(ended_it)) {
            // A kernel that was killed, or refused what it cannot do without.
            (End::Exited(code), Some(met)) if code != 0 && self.of_kernel.processes_each > 0 => EndCause::Limit(*met),
            _ => cause(end, usage, &self.limits),
        }
    }
}

fn reap(mut child: Child) {
    if let Err(error) = child.wait() {
        tracing::warn!(%error, "the launcher cannot be reaped");
    }
}

pub(super) fn settings(config: &LocalConfig) -> Result<Settings, DriverError> {
    let fail = |what: &str, why: String| DriverError::Start { what: what.into(), source: io::Error::other(why) };
    let filter = policy::seccomp_filter().to_vec();
    let subordinate = match rustix::process::getuid().is_root() {
        true => None,
        false => Some(subordinate_ids().map_err(|why| fail("no ids for sandboxes", why))?),
    };
    Ok(Settings {
        state_dir: config.state_dir.clone(),
        filter,
        nested_filter: policy::nested_seccomp_filter().to_vec(),
        masks: policy::masks(),
        devices: policy::devices(),
        tools: policy::tools(),
        file_capabilities: policy::file_capabilities(),
        ahead: config.ahead,
        first_id: config.first_id,
        id_ranges: config.id_ranges,
        subordinate,
        own_ids: false,
        cgroups: config.cgroups,
        loop_devices: config.loop_devices,
    })
}

pub(crate) fn create_error(fault: Fault, shared_with: Option<u64>) -> CreateError {
    let source = || io::Error::from_raw_os_error(fault.errno);
    match fault.kind {
        FaultKind::Kernel => CreateError::Kernel { operation: fault.what.clone(), source: source() },
        FaultKind::Layer => CreateError::Layer { path: fault.what.clone().into(), source: source() },
        FaultKind::Spec => CreateError::Spec { what: fault.what },
        FaultKind::UnknownUser => CreateError::UnknownUser { name: fault.what },
        FaultKind::NoIds => CreateError::NoIds { living: fault.what.parse().unwrap_or_default() },
        FaultKind::SharedGone => CreateError::SharedGone { id: SandboxId(shared_with.unwrap_or_default()) },
    }
}

/// A file system with no more room than this is full: programs give up before the last page.
const FULL_BYTES: u64 = 16 * 1024;

pub(crate) fn report(counters: Counters, limits: &Limits) -> Usage {
    let mut limits_met = Vec::new();
    let mut met = |kind, value, times| {
        if times > 0 {
            limits_met.push(LimitMet { kind, value, times });
        }
    };
    met(LimitKind::Memory, limits.memory_bytes, counters.memory_kills);
    met(LimitKind::Processes, limits.processes.into(), counters.refused_forks);
    let is_full = |size: u64, free: u64| u64::from(free < FULL_BYTES.min(size / 2));
    if let Some((_, free)) = counters.disk {
        met(LimitKind::Disk, limits.disk_bytes, is_full(limits.disk_bytes, free));
    }
    if let Some((size, free)) = counters.tmpfs {
        met(LimitKind::Tmpfs, size, is_full(size, free));
    }
    if let Some((_, free)) = counters.inodes {
        met(LimitKind::Inodes, limits.inodes, u64::from(free == 0));
    }
    let used = |pair: (u64, u64)| pair.0.saturating_sub(pair.1);
    Usage {
        memory_peak_bytes: counters.memory_peak,
        cpu_us: counters.cpu_us,
        disk_bytes: counters.disk.map(used),
        inodes: counters.inodes.map(used),
        limits_met,
    }
}

pub(crate) fn cause(end: End, usage: &Usage, limits: &Limits) -> EndCause {
    match end {
        End::Destroyed => EndCause::Destroyed,
        End::Wall => EndCause::Limit(LimitMet { kind: LimitKind::Wall, value: limits.wall_ms, times: 1 }),
        End::Exited(code) => EndCause::Exited(code),
        End::Signalled(signal) => match usage.limits_met.iter().find(|met| met.kind == LimitKind::Memory) {
            // The kernel chose its process 1.
            Some(met) if signal == libc::SIGKILL => EndCause::Limit(*met),
            _ => EndCause::Signalled(signal),
        },
    }
}
