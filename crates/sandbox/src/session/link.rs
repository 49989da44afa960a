//! The two directions of the stream: one task moves frames, and routes what arrives to the operation that waits for it.
//!
//! Bounded by construction: what waits here for an operation is at most its window, because a peer that sends more has
//! broken the protocol and the session ends; what waits to be written is at most [`OUTGOING_BYTES`] of data plus one small
//! message for each call that somebody made.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::ids::ExecId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use wire::frame::{self, Decoder};
use wire::init::{Command, Event, WINDOW_BYTES, cost};

use super::error::{CloseReason, SessionError};

const OUTGOING_BYTES: usize = 1024 * 1024;
const READ_BYTES: usize = 64 * 1024;

/// A frame to write, and the room that it takes until then.
pub(super) struct Outgoing {
    frame: Vec<u8>,
    _room: Option<OwnedSemaphorePermit>,
}

/// Shared by the session, its operations and its task.
pub(super) struct Link {
    outgoing: mpsc::UnboundedSender<Outgoing>,
    room: Arc<Semaphore>,
    routes: Arc<Routes>,
    next: AtomicU64,
}

/// Operations under way.
#[derive(Default)]
struct Routes {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    closed: Option<CloseReason>,
    live: HashMap<ExecId, Route>,
}

/// Where the events of one operation go, and what init may still send for it.
struct Route {
    events: mpsc::UnboundedSender<Event>,
    window: u32,
    started: bool,
    limit_told: bool,
    stops_waiting: u8,
    input: Arc<Semaphore>,
}

/// How many reports of "stopped by a signal" are kept for one operation; a workload can make any number of them.
const MAX_STOPS: u8 = 16;

/// An operation as its caller sees it: the events that come, and the right to send input.
pub(super) struct Operation {
    pub(super) link: Arc<Link>,
    pub(super) id: ExecId,
    events: mpsc::UnboundedReceiver<Event>,
    input: Arc<Semaphore>,
    owed: u32,
    ended: bool,
}

impl Link {
    /// Starts the task of a session whose greeting is done; `decoder` holds what came after it.
    pub(super) fn start<S>(stream: S, decoder: Decoder) -> Arc<Link>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (outgoing, queue) = mpsc::unbounded_channel();
        let routes = Arc::new(Routes::default());
        let link = Link {
            outgoing,
            room: Arc::new(Semaphore::new(OUTGOING_BYTES)),
            routes: Arc::clone(&routes),
            next: AtomicU64::new(1),
        };
        tokio::spawn(async move {
            let (reader, writer) = tokio::io::split(stream);
            let reason = tokio::select! {
                reason = read(reader, decoder, &routes) => reason,
                reason = write(writer, queue) => reason,
            };
            routes.close(reason);
        });
        Arc::new(link)
    }

    /// Registers an operation and sends the command that begins it.
    pub(super) fn begin(self: &Arc<Self>, command: impl FnOnce(ExecId) -> Command) -> Result<Operation, SessionError> {
        let id = ExecId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, events) = mpsc::unbounded_channel();
        let input = Arc::new(Semaphore::new(WINDOW_BYTES as usize));
        let route = Route {
            events: sender,
            window: WINDOW_BYTES,
            started: false,
            limit_told: false,
            stops_waiting: 0,
            input: Arc::clone(&input),
        };
        {
            let mut table = self.routes.lock();
            if let Some(reason) = table.closed {
                return Err(SessionError::Closed(reason));
            }
            table.live.insert(id, route);
        }
        let operation = Operation { link: Arc::clone(self), id, events, input, owed: 0, ended: false };
        // On error the operation is dropped here, which takes its route away.
        self.send(&command(id))?;
        Ok(operation)
    }

    /// Queues a small message.
    pub(super) fn send(&self, command: &Command) -> Result<(), SessionError> {
        self.queue(command, None)
    }

    async fn send_data(&self, command: &Command, bytes: u32) -> Result<(), SessionError> {
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        self.queue(command, Some(room.map_err(|_| self.closed())?))
    }

    fn queue(&self, command: &Command, room: Option<OwnedSemaphorePermit>) -> Result<(), SessionError> {
        let mut bytes = Vec::new();
        frame::encode(command, &mut bytes).map_err(SessionError::Request)?;
        self.outgoing.send(Outgoing { frame: bytes, _room: room }).map_err(|_| self.closed())
    }

    /// The error for a session that has ended.
    pub(super) fn closed(&self) -> SessionError {
        SessionError::Closed(self.routes.lock().closed.unwrap_or(CloseReason::Ended))
    }

    /// Resolves when the session has ended.
    pub(super) async fn ended(&self) -> CloseReason {
        self.outgoing.closed().await;
        self.routes.lock().closed.unwrap_or(CloseReason::Ended)
    }
}

impl Operation {
    /// The next event; an error once the session has ended. Not to be called again after the last event of the operation.
    pub(super) async fn next(&mut self) -> Result<Event, SessionError> {
        let event = self.events.recv().await.ok_or_else(|| self.link.closed())?;
        match &event {
            Event::Output { data, .. } | Event::Data { data, .. } => self.give_back(cost(data))?,
            Event::Stopped { .. } => {
                if let Some(route) = self.link.routes.lock().live.get_mut(&self.id) {
                    route.stops_waiting = route.stops_waiting.saturating_sub(1);
                }
            }
            Event::Exited { .. } | Event::Done { .. } | Event::Failed { .. } => self.ended = true,
            _ => {}
        }
        Ok(event)
    }

    /// Takes back what is owed to init once it is worth a message.
    fn give_back(&mut self, bytes: u32) -> Result<(), SessionError> {
        self.owed += bytes;
        if self.owed < WINDOW_BYTES / 4 {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.owed);
        if let Some(route) = self.link.routes.lock().live.get_mut(&self.id) {
            route.window += bytes;
        } else {
            return Ok(());
        }
        self.link.send(&Command::Credit { id: self.id, bytes })
    }

    /// The sending side of this operation, usable while its events are awaited.
    pub(super) fn input(&self) -> Input {
        Input { link: Arc::clone(&self.link), id: self.id, window: Arc::clone(&self.input), closed: false }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let forgotten = self.link.routes.lock().live.remove(&self.id).is_some();
        if forgotten && !self.ended {
            let target = wire::init::SignalTarget::Session;
            // A failure means that the session has ended, and the process with it.
            let _ = self.link.send(&Command::Signal { id: self.id, signal: libc::SIGKILL, target });
        }
    }
}

/// Standard input of a process, or the content for a file operation. Dropping it closes that input.
pub struct Input {
    link: Arc<Link>,
    id: ExecId,
    window: Arc<Semaphore>,
    closed: bool,
}

impl Input {
    /// Sends bytes, as fast as the process takes them. Resolves with an error once the session has ended; for an operation
    /// that has ended the bytes are dropped.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        for chunk in bytes.chunks(wire::init::MAX_CHUNK_BYTES) {
            // Dropped bytes wait for nothing, and whoever sends without end must not keep the others from going on.
            tokio::task::consume_budget().await;
            let cost = cost(chunk);
            match self.window.acquire_many(cost).await {
                Ok(permit) => permit.forget(),
                Err(_) => return self.link.routes.lock().closed.map_or(Ok(()), |r| Err(SessionError::Closed(r))),
            }
            self.link.send_data(&Command::Input { id: self.id, data: chunk.into() }, cost).await?;
        }
        Ok(())
    }

    /// Closes the input: the process sees its end.
    pub fn close(self) {}
}

impl Drop for Input {
    fn drop(&mut self) {
        if !self.closed {
            self.closed = true;
            // A failure means that the session has ended.
            let _ = self.link.send(&Command::CloseInput { id: self.id });
        }
    }
}

impl Routes {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends everything: receivers see a closed channel, senders a closed semaphore.
    fn close(&self, reason: CloseReason) {
        let mut table = self.lock();
        table.closed.get_or_insert(reason);
        for (_, route) in table.live.drain() {
            route.input.close();
        }
    }

    /// Gives an event to its operation, after checking that init may send it. An id that nobody waits for is ignored: the
    /// caller has let go of the operation.
    fn route(&self, event: Event) -> Result<(), CloseReason> {
        let (id, last) = match &event {
            Event::Hello { .. } => return Err(CloseReason::Offence("a second greeting")),
            Event::Started { id, .. } | Event::Output { id, .. } | Event::OutputLimit { id } => (*id, false),
            Event::Stopped { id, .. } | Event::Data { id, .. } | Event::Credit { id, .. } => (*id, false),
            Event::Exited { id, .. } | Event::Done { id, .. } | Event::Failed { id, .. } => (*id, true),
        };
        let mut table = self.lock();
        let Some(route) = table.live.get_mut(&id) else { return Ok(()) };
        if route.admit(&event)? {
            // The receiver may be gone: its `Drop` is about to take the route away.
            let _ = route.events.send(event);
        }
        if last && let Some(route) = table.live.remove(&id) {
            route.input.close();
        }
        Ok(())
    }
}

impl Route {
    /// Whether to pass an event on; an error when init had no right to send it.
    fn admit(&mut self, event: &Event) -> Result<bool, CloseReason> {
        let once = |told: &mut bool| {
            if std::mem::replace(told, true) { Err(CloseReason::Offence("a repeated event")) } else { Ok(true) }
        };
        match event {
            Event::Output { data, .. } | Event::Data { data, .. } => {
                if data.len() > wire::init::MAX_CHUNK_BYTES {
                    return Err(CloseReason::Offence("a piece of data above the limit"));
                }
                self.window =
                    self.window.checked_sub(cost(data)).ok_or(CloseReason::Offence("more data than its window"))?;
                Ok(true)
            }
            Event::Credit { bytes, .. } => {
                if self.input.available_permits() + *bytes as usize > WINDOW_BYTES as usize {
                    return Err(CloseReason::Offence("more credit than was used"));
                }
                self.input.add_permits(*bytes as usize);
                Ok(false)
            }
            Event::Started { .. } => once(&mut self.started),
            Event::OutputLimit { .. } => once(&mut self.limit_told),
            Event::Stopped { .. } => {
                self.stops_waiting = self.stops_waiting.saturating_add(1).min(MAX_STOPS + 1);
                Ok(self.stops_waiting <= MAX_STOPS)
            }
            _ => Ok(true),
        }
    }
}

async fn read(mut reader: impl AsyncRead + Unpin, mut decoder: Decoder, routes: &Routes) -> CloseReason {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        loop {
            match decoder.message::<Event>() {
                Ok(Some(event)) => {
                    if let Err(reason) = routes.route(event) {
                        return reason;
                    }
                }
                Ok(None) => break,
                Err(error) => return CloseReason::Frame(error),
            }
        }
        match reader.read(&mut buffer).await {
            Ok(0) => return CloseReason::Ended,
            Ok(n) => decoder.push(&buffer[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return CloseReason::Ended,
            Err(error) => return CloseReason::Stream(error.kind()),
        }
    }
}

async fn write(mut writer: impl AsyncWrite + Unpin, mut queue: mpsc::UnboundedReceiver<Outgoing>) -> CloseReason {
    while let Some(mut outgoing) = queue.recv().await {
        loop {
            if let Err(error) = writer.write_all(&outgoing.frame).await {
                return CloseReason::Stream(error.kind());
            }
            match queue.try_recv() {
                Ok(next) => outgoing = next,
                Err(_) => break,
            }
        }
        if let Err(error) = writer.flush().await {
            return CloseReason::Stream(error.kind());
        }
    }
    CloseReason::Released
}
