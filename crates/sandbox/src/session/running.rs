//! A process in a sandbox, as its caller sees it.

use std::sync::Arc;
use std::time::Duration;

use model::ids::ExecId;
use tokio::sync::watch;
use wire::init::{Command, Event, Exit, SignalTarget, Stream, TerminalSize};

use super::error::SessionError;
use super::link::{Input, Link, Operation};

/// How long a process may take to disappear after SIGKILL before the caller is told.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// What a process tells while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Bytes that it wrote, cut anywhere.
    Data {
        /// Which stream; `Stdout` where both are merged.
        stream: Stream,
        /// What.
        data: Vec<u8>,
    },
    /// It wrote more than its limit; the rest is dropped.
    LimitReached,
    /// It was stopped by this signal and waits until somebody continues it.
    Stopped(i32),
}

/// A process that runs. Dropping it kills the process and its session.
///
/// Output must be taken ([`Running::next`]) for the process to go on once the window is full, and for its end to be reported.
pub struct Running {
    operation: Operation,
    pid: u32,
    exit: watch::Sender<Option<Exit>>,
}

impl Running {
    /// Waits until the program runs or could not be started.
    pub(super) async fn begin(mut operation: Operation) -> Result<Running, SessionError> {
        match operation.next().await? {
            Event::Started { pid, .. } => Ok(Running { operation, pid, exit: watch::Sender::new(None) }),
            Event::Failed { error, .. } => Err(error.into()),
            _ => Err(SessionError::Handshake("output came before the start of a process")),
        }
    }

    /// Its process id inside the sandbox.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The sending side of its standard input (where the spec asked for a pipe or a terminal). Dropping that closes it.
    pub fn input(&self) -> Input {
        self.operation.input()
    }

    /// A handle that signals it while output is being read.
    pub fn control(&self) -> Control {
        Control { link: Arc::clone(&self.operation.link), id: self.operation.id, exit: self.exit.subscribe() }
    }

    /// The next output; `None` when the process has ended and all was taken. Safe to cancel.
    pub async fn next(&mut self) -> Result<Option<Output>, SessionError> {
        if self.exit.borrow().is_some() {
            return Ok(None);
        }
        loop {
            return Ok(Some(match self.operation.next().await? {
                Event::Output { stream, data, .. } => Output::Data { stream, data: data.0 },
                Event::OutputLimit { .. } => Output::LimitReached,
                Event::Stopped { signal, .. } => Output::Stopped(signal),
                Event::Exited { exit, .. } => {
                    self.exit.send_replace(Some(exit));
                    return Ok(None);
                }
                Event::Failed { error, .. } => return Err(error.into()),
                _ => continue,
            }));
        }
    }

    /// Waits for the end and drops output that was not taken.
    pub async fn wait(&mut self) -> Result<Exit, SessionError> {
        while self.next().await?.is_some() {}
        let exit = *self.exit.borrow();
        exit.ok_or_else(|| self.operation.link.closed())
    }

    /// SIGTERM, then SIGKILL after `grace`; drops output that was not taken. To keep reading, use [`Running::control`].
    pub async fn terminate(&mut self, grace: Duration) -> Result<Exit, SessionError> {
        let mut control = self.control();
        let (exit, ended) = tokio::join!(self.wait(), control.terminate(tokio::time::sleep(grace)));
        ended.and(exit)
    }
}

/// Signals a process.
#[derive(Clone)]
pub struct Control {
    link: Arc<Link>,
    id: ExecId,
    exit: watch::Receiver<Option<Exit>>,
}

impl Control {
    /// Sends one signal. A process that has ended is no error.
    pub fn signal(&self, signal: i32, target: SignalTarget) -> Result<(), SessionError> {
        self.link.send(&Command::Signal { id: self.id, signal, target })
    }

    /// Tells the size of its terminal.
    pub fn resize(&self, size: TerminalSize) -> Result<(), SessionError> {
        self.link.send(&Command::Resize { id: self.id, size })
    }

    /// SIGTERM to the process group (continued if it was stopped), and SIGKILL to the whole session when `patience` resolves.
    /// Resolves when the end was reported, for which somebody must take the output.
    pub async fn terminate(&mut self, patience: impl Future<Output = ()>) -> Result<(), SessionError> {
        self.signal(libc::SIGTERM, SignalTarget::Group)?;
        self.signal(libc::SIGCONT, SignalTarget::Group)?;
        if self.has_ended_before(patience).await? {
            return Ok(());
        }
        self.signal(libc::SIGKILL, SignalTarget::Session)?;
        if self.has_ended_before(tokio::time::sleep(KILL_PATIENCE)).await? {
            return Ok(());
        }
        Err(SessionError::Unkillable(KILL_PATIENCE.as_secs()))
    }

    async fn has_ended_before(&mut self, patience: impl Future<Output = ()>) -> Result<bool, SessionError> {
        tokio::select! {
            end = self.exit.wait_for(Option::is_some) => end.map(|_| true).map_err(|_| self.link.closed()),
            reason = self.link.ended() => Err(SessionError::Closed(reason)),
            () = patience => Ok(false),
        }
    }
}
