//! The event loop: one `poll`, nothing else ever waits.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use model::ids::ExecId;
use wire::init::{
    Command, Event, ExecSpec, FileOp, FileReply, MAX_LIVE_OPERATIONS, OperationError, SignalTarget, User,
};

use crate::operation::{Operation, Port};
use crate::peer::{Lost, Peer};
use crate::spawn;
use crate::sys::{self, Reaped};
use crate::worker;
use crate::{InitConfig, Stream};

/// Pipes of processes that were left behind are emptied up to this many; beyond, the oldest is closed.
const MAX_LEFTOVER_PIPES: usize = 256;
/// Open files that init wants for itself.
const OPEN_FILES: u64 = 8192;
const SCRATCH_BYTES: usize = 64 * 1024;

/// What to poll, and whose it is.
#[derive(Clone, Copy)]
enum Source {
    Children,
    Host,
    Operation(ExecId, Port),
    Leftover(usize),
}

pub(crate) struct Server {
    peer: Peer,
    config: InitConfig,
    children: OwnedFd,
    null: OwnedFd,
    /// The limit that init came with; what it starts gets that one.
    open_files: libc::rlimit,
    live: BTreeMap<ExecId, Operation>,
    leftover: VecDeque<OwnedFd>,
    killing: Vec<ExecId>,
    greeted: bool,
    ending: bool,
    scratch: Vec<u8>,
}

/// Why the loop ended: exit code.
const CODE_ENDED: i32 = 0;
const CODE_LOST: i32 = 71;

impl Server {
    pub(crate) fn new(stream: Stream, config: InitConfig) -> io::Result<Server> {
        if std::process::id() != 1 {
            // `kill(-1)` below means "everything in this sandbox" only for PID 1.
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        // SAFETY: takes integers.
        sys::check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) })?;
        let null = null_device()?;
        for number in 0..=2 {
            sys::dup_to(null.as_raw_fd(), number)?;
        }
        Ok(Server {
            peer: Peer::new(stream)?,
            config,
            children: sys::child_signals()?,
            null,
            open_files: raise_open_files()?,
            live: BTreeMap::new(),
            leftover: VecDeque::new(),
            killing: Vec::new(),
            greeted: false,
            ending: false,
            scratch: vec![0; SCRATCH_BYTES],
        })
    }

    /// Runs until the host is gone or says that it is over; returns the exit code.
    pub(crate) fn serve(mut self) -> i32 {
        let mut fds = Vec::new();
        let mut sources = Vec::new();
        loop {
            self.collect(&mut fds, &mut sources);
            if sys::poll(&mut fds, self.timeout_ms()).is_err() {
                return CODE_LOST;
            }
            match self.turn(&fds, &sources) {
                Ok(false) => {}
                Ok(true) => return CODE_ENDED,
                Err(Lost) => return CODE_LOST,
            }
        }
    }

    fn collect(&self, fds: &mut Vec<libc::pollfd>, sources: &mut Vec<Source>) {
        fds.clear();
        sources.clear();
        let mut add = |fd, events, source| {
            fds.push(libc::pollfd { fd, events, revents: 0 });
            sources.push(source);
        };
        add(self.children.as_raw_fd(), libc::POLLIN, Source::Children);
        self.peer.interests(|fd, events| add(fd, events, Source::Host));
        let room = self.peer.has_room();
        for (id, operation) in &self.live {
            operation.interests(room, |fd, events, port| add(fd, events, Source::Operation(*id, port)));
        }
        for (index, fd) in self.leftover.iter().enumerate() {
            add(fd.as_raw_fd(), libc::POLLIN, Source::Leftover(index));
        }
    }

    fn timeout_ms(&self) -> i32 {
        let Some(deadline) = self.live.values().filter_map(Operation::deadline).min() else { return -1 };
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so that the deadline has passed when the poll returns.
        i32::try_from(left.as_millis()).map_or(i32::MAX, |ms| ms.saturating_add(1))
    }

    /// Serves what is ready; true when all is over. Last sources first, because ports and leftovers are numbered and go away.
    fn turn(&mut self, fds: &[libc::pollfd], sources: &[Source]) -> Result<bool, Lost> {
        for (fd, source) in fds.iter().zip(sources).rev().filter(|(fd, _)| fd.revents != 0) {
            match *source {
                Source::Children => self.empty_signals(),
                Source::Host if self.peer.is_deaf(fd.fd, fd.revents) => return Err(Lost),
                Source::Host => self.serve_host(fd.revents)?,
                Source::Operation(id, port) => {
                    if let Some(operation) = self.live.get_mut(&id) {
                        operation.ready(port, &mut self.peer, &mut self.scratch)?;
                    }
                }
                Source::Leftover(index) => self.empty_leftover(index),
            }
        }
        self.reap()?;
        self.settle()?;
        Ok(self.ending && self.killing.is_empty())
    }

    fn empty_signals(&mut self) {
        while let Ok(Some(1..)) = sys::read(&self.children, &mut self.scratch) {}
    }

    fn empty_leftover(&mut self, index: usize) {
        let Some(fd) = self.leftover.get(index) else { return };
        if let Ok(Some(0)) | Err(_) = sys::read(fd, &mut self.scratch) {
            self.leftover.remove(index);
        }
    }

    fn serve_host(&mut self, events: libc::c_short) -> Result<(), Lost> {
        if events & libc::POLLOUT != 0 {
            self.peer.flush()?;
        }
        if events & (libc::POLLIN | libc::POLLHUP | libc::POLLERR) != 0 {
            self.peer.fill(&mut self.scratch)?;
            while let Some(command) = self.peer.command()? {
                self.obey(command)?;
            }
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) -> Result<(), Lost> {
        if !self.greeted && !matches!(command, Command::Hello { .. }) {
            return Err(Lost);
        }
        match command {
            Command::Hello { version } => {
                self.peer.send(&Event::Hello { version: wire::init::VERSION })?;
                self.greeted = true;
                if version == wire::init::VERSION { Ok(()) } else { Err(Lost) }
            }
            Command::Exec { id, spec } => self.exec(id, &spec),
            Command::File { id, user, op } => self.file(id, user.as_ref(), &op),
            Command::Input { id, data } => match self.live.get_mut(&id) {
                Some(operation) => operation.take_input(data, &mut self.peer),
                None => Ok(()),
            },
            Command::CloseInput { id } => match self.live.get_mut(&id) {
                Some(operation) => operation.close_input(&mut self.peer),
                None => Ok(()),
            },
            Command::Credit { id, bytes } => {
                if let Some(operation) = self.live.get_mut(&id) {
                    operation.credit(bytes);
                }
                Ok(())
            }
            Command::Resize { id, size } => {
                if let Some(operation) = self.live.get(&id) {
                    operation.resize(size);
                }
                Ok(())
            }
            Command::Signal { id, signal, target } => {
                self.signal(id, signal, target);
                Ok(())
            }
            Command::KillAll { id } => self.kill_all(id),
            Command::Shutdown => {
                self.ending = true;
                self.kill_all(ExecId(u64::MAX))
            }
        }
    }

    fn exec(&mut self, id: ExecId, spec: &ExecSpec) -> Result<(), Lost> {
        let result = self.has_place().and_then(|()| spawn::spawn(spec, &self.config, self.open_files, &self.null));
        match result {
            Ok(spawned) => {
                let program = spec.argv.first().cloned().unwrap_or_default();
                self.live.insert(id, Operation::exec(id, spawned, program, spec.output_limit));
                Ok(())
            }
            Err(error) => self.peer.send(&Event::Failed { id, error }),
        }
    }

    fn file(&mut self, id: ExecId, user: Option<&User>, op: &FileOp) -> Result<(), Lost> {
        let result = self.has_place().and_then(|()| worker::start(op, user, &self.config, &self.null));
        match result {
            Ok(worker) => {
                self.live.insert(id, Operation::file(id, worker));
                Ok(())
            }
            Err(error) => self.peer.send(&Event::Failed { id, error }),
        }
    }

    fn has_place(&self) -> Result<(), OperationError> {
        if self.live.len() < MAX_LIVE_OPERATIONS {
            return Ok(());
        }
        Err(OperationError::new(format!("more than {MAX_LIVE_OPERATIONS} operations at once"), libc::EAGAIN))
    }

    /// Only before the process was reaped: afterwards its number may belong to another.
    fn signal(&self, id: ExecId, signal: i32, target: SignalTarget) {
        let Some(operation) = self.live.get(&id).filter(|operation| !operation.has_ended()) else { return };
        let pid = operation.pid;
        if operation.is_file() {
            sys::kill(pid, libc::SIGKILL);
            return;
        }
        if target == SignalTarget::Process {
            sys::kill(pid, signal);
            return;
        }
        if target == SignalTarget::Session {
            sys::kill_session(pid, signal);
        }
        // A child that was forked just now has no group of its own yet.
        if !sys::kill(-pid, signal) {
            sys::kill(pid, signal);
        }
    }

    fn kill_all(&mut self, id: ExecId) -> Result<(), Lost> {
        self.killing.push(id);
        sys::kill(-1, libc::SIGKILL);
        Ok(())
    }

    /// Collects every child that has ended, whoever its parent was.
    fn reap(&mut self) -> Result<(), Lost> {
        loop {
            match sys::reap() {
                Reaped::Ended(pid, status, usage) => {
                    let operation = self.live.values_mut().find(|op| op.pid == pid && !op.has_ended());
                    if let Some(operation) = operation {
                        operation.ended(status, usage, &mut self.peer, &mut self.scratch)?;
                    }
                }
                Reaped::Stopped(pid, signal) => {
                    let operation = self.live.values().find(|op| op.pid == pid && !op.has_ended() && !op.is_file());
                    if let Some(operation) = operation {
                        self.peer.send(&Event::Stopped { id: operation.id, signal })?;
                    }
                }
                Reaped::NoChildren => return self.tell_killed(),
                Reaped::NothingYet => {
                    // Whoever was being forked while the last signal went round gets another one.
                    if !self.killing.is_empty() {
                        sys::kill(-1, libc::SIGKILL);
                    }
                    return Ok(());
                }
            }
        }
    }

    fn tell_killed(&mut self) -> Result<(), Lost> {
        for id in std::mem::take(&mut self.killing) {
            self.peer.send(&Event::Done { id, reply: FileReply::Done })?;
        }
        Ok(())
    }

    /// Says the last word on everything that is finished.
    fn settle(&mut self) -> Result<(), Lost> {
        let now = Instant::now();
        let finished: Vec<ExecId> =
            self.live.values().filter(|operation| operation.is_finished(now)).map(|operation| operation.id).collect();
        for id in finished {
            let Some(operation) = self.live.remove(&id) else { continue };
            let (event, pipes) = operation.finish();
            self.leftover.extend(pipes);
            while self.leftover.len() > MAX_LEFTOVER_PIPES {
                self.leftover.pop_front();
            }
            self.peer.send(&event)?;
        }
        Ok(())
    }
}

/// `/dev/null`, or where a sandbox has none, a pipe that ends at once.
fn null_device() -> io::Result<OwnedFd> {
    match std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") {
        Ok(file) => Ok(file.into()),
        Err(_) => sys::pipe().map(|(read, _write)| read),
    }
}

/// Raises the limit of open files for init itself; returns what it was.
fn raise_open_files() -> io::Result<libc::rlimit> {
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is writable.
    sys::check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut before) })?;
    let wanted = libc::rlimit { rlim_cur: before.rlim_max.min(OPEN_FILES).max(before.rlim_cur), ..before };
    // SAFETY: the pointer is readable. Without it init serves fewer operations at once.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) };
    Ok(before)
}
