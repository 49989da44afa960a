//! One operation under way: a process (of the workload, or one that works on files), its pipes and its window.
//!
//! ```text
//!   starting --start pipe ends--> running --main process reaped--> draining --all told--> gone
//!      \--start pipe holds an error--> failed, told when reaped
//! ```
//! The end of the main process decides: what it wrote is still in the pipes and is sent; what processes that it left behind
//! add is waited for only briefly, and their pipes are then emptied into nothing, so that they live on undisturbed.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use model::ids::ExecId;
use wire::blob::Blob;
use wire::init::{
    Event, Exit, MAX_CHUNK_BYTES, MIN_COST_BYTES, OperationError, Status, Stream, TerminalSize, Usage, WINDOW_BYTES,
    cost,
};

use crate::peer::{Lost, Peer};
use crate::spawn::{self, Spawned};
use crate::worker::{self, Worker};
use crate::{sys, terminal};

/// After the main process ended: its output is complete when nothing came for this long.
const QUIET: Duration = Duration::from_millis(50);
/// And in any case after this long, or this much, from processes that it left behind.
const DRAIN_TIME: Duration = Duration::from_millis(500);
const DRAIN_BYTES: u64 = 256 * 1024;

pub(crate) struct Operation {
    pub(crate) id: ExecId,
    pub(crate) pid: libc::pid_t,
    kind: Kind,
    inlet: Option<Inlet>,
    /// Input costs that the host is owed although nobody reads them.
    unread: u32,
    outlets: Vec<Outlet>,
    window: u32,
    limit: Option<u64>,
    limit_told: bool,
    dropped: u64,
    end: Option<End>,
}

enum Kind {
    Exec { program: String, start: Option<OwnedFd>, error: Option<OperationError>, is_terminal: bool },
    File { reply: Option<OwnedFd>, bytes: Vec<u8> },
}

struct Inlet {
    fd: OwnedFd,
    queue: VecDeque<Blob>,
    written: usize,
    queued_cost: u32,
    closing: bool,
}

struct Outlet {
    stream: Stream,
    fd: OwnedFd,
    /// What the main process had written when it ended, and is not yet read.
    owed: u64,
}

struct End {
    status: Status,
    usage: Usage,
    since: Instant,
    last_data: Instant,
    extra: u64,
}

/// A descriptor of an operation.
#[derive(Clone, Copy)]
pub(crate) enum Port {
    Start,
    Reply,
    Inlet,
    Outlet(usize),
}

impl Operation {
    pub(crate) fn exec(id: ExecId, spawned: Spawned, program: String, limit: Option<u64>) -> Operation {
        let Spawned { pid, start, input, outlets, is_terminal } = spawned;
        let kind = Kind::Exec { program, start: Some(start), error: None, is_terminal };
        let outlets = outlets.into_iter().map(|(stream, fd)| Outlet { stream, fd, owed: 0 }).collect();
        Operation::new(id, pid, kind, input, outlets, limit)
    }

    pub(crate) fn file(id: ExecId, worker: Worker) -> Operation {
        let Worker { pid, input, output, reply } = worker;
        let kind = Kind::File { reply: Some(reply), bytes: Vec::new() };
        let outlets = vec![Outlet { stream: Stream::Stdout, fd: output, owed: 0 }];
        Operation::new(id, pid, kind, Some(input), outlets, None)
    }

    fn new(
        id: ExecId,
        pid: libc::pid_t,
        kind: Kind,
        input: Option<OwnedFd>,
        outlets: Vec<Outlet>,
        limit: Option<u64>,
    ) -> Operation {
        let inlet = input.map(|fd| Inlet { fd, queue: VecDeque::new(), written: 0, queued_cost: 0, closing: false });
        Operation {
            id,
            pid,
            kind,
            inlet,
            unread: 0,
            outlets,
            window: WINDOW_BYTES,
            limit,
            limit_told: false,
            dropped: 0,
            end: None,
        }
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File { .. })
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    fn is_starting(&self) -> bool {
        matches!(self.kind, Kind::Exec { start: Some(_), .. })
    }

    /// Tells which descriptors to poll for what.
    pub(crate) fn interests(&self, peer_has_room: bool, mut add: impl FnMut(RawFd, libc::c_short, Port)) {
        match &self.kind {
            Kind::Exec { start: Some(fd), .. } => add(fd.as_raw_fd(), libc::POLLIN, Port::Start),
            Kind::File { reply: Some(fd), .. } => add(fd.as_raw_fd(), libc::POLLIN, Port::Reply),
            _ => {}
        }
        if let Some(inlet) = self.inlet.as_ref().filter(|inlet| !inlet.queue.is_empty()) {
            add(inlet.fd.as_raw_fd(), libc::POLLOUT, Port::Inlet);
        }
        if !self.is_starting() && (self.limit_told || (peer_has_room && self.window >= MIN_COST_BYTES)) {
            for (index, outlet) in self.outlets.iter().enumerate() {
                add(outlet.fd.as_raw_fd(), libc::POLLIN, Port::Outlet(index));
            }
        }
    }

    /// Something happened on a descriptor. Outlets must be reported highest index first, as one may be removed.
    pub(crate) fn ready(&mut self, port: Port, peer: &mut Peer, scratch: &mut [u8]) -> Result<(), Lost> {
        match port {
            Port::Start => self.read_start(peer, scratch),
            Port::Reply => {
                self.read_reply(scratch);
                Ok(())
            }
            Port::Inlet => self.write_input(peer),
            Port::Outlet(index) => self.read_output(index, peer, scratch),
        }
    }

    fn read_start(&mut self, peer: &mut Peer, scratch: &mut [u8]) -> Result<(), Lost> {
        let Kind::Exec { start, error, program, .. } = &mut self.kind else { return Ok(()) };
        let Some(fd) = start else { return Ok(()) };
        let told = match sys::read(fd, scratch) {
            Ok(None) => return Ok(()),
            Ok(Some(n)) => &scratch[..n],
            Err(_) => &[],
        };
        *start = None;
        *error = spawn::start_error(told, program);
        if error.is_some() {
            return Ok(());
        }
        peer.send(&Event::Started { id: self.id, pid: u32::try_from(self.pid).unwrap_or(0) })
    }

    fn read_reply(&mut self, scratch: &mut [u8]) {
        let Kind::File { reply, bytes } = &mut self.kind else { return };
        let Some(fd) = reply else { return };
        match sys::read(fd, scratch) {
            Ok(None) => {}
            Ok(Some(n)) if n > 0 && bytes.len() + n <= worker::MAX_REPLY_BYTES => {
                bytes.extend_from_slice(&scratch[..n])
            }
            _ => *reply = None,
        }
    }

    fn read_output(&mut self, index: usize, peer: &mut Peer, scratch: &mut [u8]) -> Result<(), Lost> {
        if !self.limit_told && (!peer.has_room() || self.window < MIN_COST_BYTES) {
            return Ok(());
        }
        let most = match self.limit_told {
            true => scratch.len(),
            false => scratch.len().min(MAX_CHUNK_BYTES).min(self.window as usize),
        };
        let Some(outlet) = self.outlets.get_mut(index) else { return Ok(()) };
        let n = match sys::read(&outlet.fd, &mut scratch[..most]) {
            Ok(None) => return Ok(()),
            // A terminal whose last process is gone fails with EIO.
            Ok(Some(0)) | Err(_) => {
                self.outlets.remove(index);
                return Ok(());
            }
            Ok(Some(n)) => n,
        };
        let stream = outlet.stream;
        if let Some(end) = &mut self.end {
            let extra = (n as u64).saturating_sub(outlet.owed);
            end.extra += extra;
            end.last_data = Instant::now();
            outlet.owed = outlet.owed.saturating_sub(n as u64);
        }
        self.pass_on(stream, &scratch[..n], peer)
    }

    /// Sends output as far as its limit allows.
    fn pass_on(&mut self, stream: Stream, data: &[u8], peer: &mut Peer) -> Result<(), Lost> {
        let allowed =
            self.limit.map_or(data.len(), |left| usize::try_from(left).map_or(data.len(), |l| l.min(data.len())));
        let (passed, dropped) = data.split_at(allowed);
        if let Some(left) = &mut self.limit {
            *left -= allowed as u64;
        }
        if !passed.is_empty() {
            self.window = self.window.saturating_sub(cost(passed));
            let data = Blob::from(passed);
            peer.send(&match self.kind {
                Kind::Exec { .. } => Event::Output { id: self.id, stream, data },
                Kind::File { .. } => Event::Data { id: self.id, data },
            })?;
        }
        self.dropped += dropped.len() as u64;
        if !dropped.is_empty() && !std::mem::replace(&mut self.limit_told, true) {
            peer.send(&Event::OutputLimit { id: self.id })?;
        }
        Ok(())
    }

    /// The host has used output.
    pub(crate) fn credit(&mut self, bytes: u32) {
        self.window = self.window.saturating_add(bytes).min(WINDOW_BYTES);
    }

    /// Input has come. Where nobody reads it, it is dropped and given back at once.
    pub(crate) fn take_input(&mut self, data: Blob, peer: &mut Peer) -> Result<(), Lost> {
        let cost = cost(&data);
        match &mut self.inlet {
            Some(inlet) if !inlet.closing => {
                inlet.queued_cost = inlet.queued_cost.saturating_add(cost);
                if inlet.queued_cost > WINDOW_BYTES {
                    return Err(Lost);
                }
                inlet.queue.push_back(data);
                self.write_input(peer)
            }
            _ => self.give_back(cost, peer),
        }
    }

    fn give_back(&mut self, bytes: u32, peer: &mut Peer) -> Result<(), Lost> {
        self.unread += bytes;
        // One message for many small pieces, but never so late that the host waits for it.
        let idle = self.inlet.as_ref().is_none_or(|inlet| inlet.queue.is_empty());
        if self.unread < WINDOW_BYTES / 4 && !idle {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.unread);
        peer.send(&Event::Credit { id: self.id, bytes })
    }

    /// The host has no more input.
    pub(crate) fn close_input(&mut self, peer: &mut Peer) -> Result<(), Lost> {
        let is_terminal = matches!(self.kind, Kind::Exec { is_terminal: true, .. });
        let Some(inlet) = &mut self.inlet else { return Ok(()) };
        if is_terminal && !inlet.closing {
            inlet.queue.push_back(Blob(vec![terminal::END_OF_INPUT]));
        }
        inlet.closing = true;
        self.write_input(peer)
    }

    fn write_input(&mut self, peer: &mut Peer) -> Result<(), Lost> {
        let mut used = 0;
        if let Some(inlet) = &mut self.inlet {
            let gone = loop {
                let Some(data) = inlet.queue.front() else { break inlet.closing };
                match sys::write(&inlet.fd, &data[inlet.written..]) {
                    Ok(None) => break false,
                    Ok(Some(n)) => inlet.written += n,
                    // Nobody will read it: what is queued and what comes later is dropped.
                    Err(_) => {
                        used += inlet.queue.iter().map(|data| cost(data)).sum::<u32>();
                        break true;
                    }
                }
                if inlet.written == data.len() {
                    used += cost(data);
                    inlet.queue.pop_front();
                    inlet.written = 0;
                }
            };
            inlet.queued_cost = inlet.queued_cost.saturating_sub(used);
            if gone {
                self.inlet = None;
            }
        }
        if used > 0 { self.give_back(used, peer) } else { Ok(()) }
    }

    /// Sets the size of the terminal, where there is one.
    pub(crate) fn resize(&self, size: TerminalSize) {
        if let (Kind::Exec { is_terminal: true, .. }, Some(outlet)) = (&self.kind, self.outlets.first()) {
            // A terminal that is going away has no size.
            let _ = terminal::resize(&outlet.fd, size);
        }
    }

    /// The main process has been reaped.
    pub(crate) fn ended(
        &mut self,
        status: Status,
        usage: Usage,
        peer: &mut Peer,
        scratch: &mut [u8],
    ) -> Result<(), Lost> {
        // What the start pipe told was told before the end.
        self.read_start(peer, scratch)?;
        let now = Instant::now();
        for outlet in &mut self.outlets {
            outlet.owed = sys::readable_bytes(&outlet.fd);
        }
        self.end = Some(End { status, usage, since: now, last_data: now, extra: 0 });
        // Whoever was left behind may keep the reading end open; nobody writes to it any more.
        if let Some(inlet) = &mut self.inlet {
            let unread = inlet.queue.iter().map(|data| cost(data)).sum::<u32>();
            self.inlet = None;
            if unread > 0 {
                self.give_back(unread, peer)?;
            }
        }
        Ok(())
    }

    /// When [`Operation::is_finished`] may change its mind without any descriptor being ready.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let end = self.end.as_ref()?;
        if self.is_file() || self.outlets.is_empty() || self.outlets.iter().any(|outlet| outlet.owed > 0) {
            return None;
        }
        Some((end.last_data + QUIET).min(end.since + DRAIN_TIME))
    }

    /// All has been told except the last word.
    pub(crate) fn is_finished(&self, now: Instant) -> bool {
        let Some(end) = &self.end else { return false };
        match &self.kind {
            Kind::File { reply, .. } => reply.is_none() && self.outlets.is_empty(),
            Kind::Exec { error: Some(_), .. } => true,
            Kind::Exec { .. } => {
                self.outlets.is_empty()
                    || (self.outlets.iter().all(|outlet| outlet.owed == 0)
                        && (end.extra >= DRAIN_BYTES || self.deadline().is_some_and(|deadline| now >= deadline)))
            }
        }
    }

    /// The last word, and the pipes that others still hold.
    pub(crate) fn finish(self) -> (Event, Vec<OwnedFd>) {
        let id = self.id;
        let (status, usage) = self.end.map_or((Status::Code(0), Usage::default()), |end| (end.status, end.usage));
        let event = match self.kind {
            Kind::Exec { error: Some(error), .. } => return (Event::Failed { id, error }, Vec::new()),
            Kind::Exec { .. } => {
                let exit = Exit { status, usage, dropped_bytes: self.dropped, left_behind: !self.outlets.is_empty() };
                Event::Exited { id, exit }
            }
            Kind::File { bytes, .. } => match worker::decode(&bytes) {
                Some(Ok(reply)) => Event::Done { id, reply },
                Some(Err(error)) => Event::Failed { id, error },
                None => Event::Failed { id, error: without_reply(status) },
            },
        };
        (event, self.outlets.into_iter().map(|outlet| outlet.fd).collect())
    }
}

fn without_reply(status: Status) -> OperationError {
    match status {
        Status::Signal(signal) => OperationError::new(format!("work on files: killed by signal {signal}"), 0),
        Status::Code(code) => OperationError::new(format!("work on files: ended with code {code}"), 0),
    }
}
