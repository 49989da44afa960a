//! The host's side of the protocol with init: run processes and move files inside a sandbox, over any byte stream.
//!
//! Everything that comes from init is hostile input. A reply is believed only as far as it concerns the sandbox that sent it:
//! sizes are bounded, ids that nobody waits for are ignored, an offence against the protocol ends the session, and a peer that
//! dies resolves every pending call with [`SessionError::Closed`].

mod error;
mod link;
mod running;
#[cfg(test)]
mod tests;
mod transfer;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wire::frame::{self, Decoder};
use wire::init::{Command, Event, ExecSpec, FileReply, VERSION};

pub use error::{CloseReason, SessionError};
pub use link::Input;
use link::Link;
pub use running::{Control, Output, Running};
pub use transfer::{Appending, InArchive, TarPlace, TarSummary, Unpack};

/// How long init may take to greet.
const HELLO_PATIENCE: Duration = Duration::from_secs(10);
/// How long init may take to kill and reap everything.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// A connection to the init of one sandbox. Clones share it; the last one (and the last operation) that is dropped closes
/// the stream, on which init ends everything.
#[derive(Clone)]
pub struct Session {
    link: Arc<Link>,
}

impl Session {
    /// Greets init and starts to serve the stream; must be called within a tokio runtime.
    pub async fn start<S>(mut stream: S) -> Result<Session, SessionError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let greeting = tokio::time::timeout(HELLO_PATIENCE, greet(&mut stream)).await;
        let decoder = greeting.map_err(|_| SessionError::Handshake("no greeting in time"))??;
        Ok(Session { link: Link::start(stream, decoder) })
    }

    /// Starts a process. Resolves when the program runs, or with the reason why it cannot.
    pub async fn exec(&self, spec: ExecSpec) -> Result<Running, SessionError> {
        let operation = self.link.begin(|id| Command::Exec { id, spec: Box::new(spec) })?;
        Running::begin(operation).await
    }

    /// Kills every process of the sandbox except init, and resolves when the last one is gone.
    pub async fn kill_all(&self) -> Result<(), SessionError> {
        let mut operation = self.link.begin(|id| Command::KillAll { id })?;
        loop {
            match operation.next().await? {
                Event::Done { reply: FileReply::Done, .. } => return Ok(()),
                Event::Failed { error, .. } => return Err(error.into()),
                _ => {}
            }
        }
    }

    /// Asks init to end everything and itself, and resolves when the stream has ended.
    pub async fn shutdown(&self) -> Result<(), SessionError> {
        match self.link.send(&Command::Shutdown) {
            Ok(()) | Err(SessionError::Closed(_)) => {}
            Err(error) => return Err(error),
        }
        match tokio::time::timeout(END_PATIENCE, self.link.ended()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(SessionError::Unkillable(END_PATIENCE.as_secs())),
        }
    }

    /// Resolves when the sandbox has gone, whatever the reason.
    pub async fn ended(&self) -> CloseReason {
        self.link.ended().await
    }
}

/// Exchanges the greetings; returns the decoder with whatever came after init's.
async fn greet(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<Decoder, SessionError> {
    let stream_error = |error: std::io::Error| SessionError::Closed(CloseReason::Stream(error.kind()));
    let mut hello = Vec::new();
    frame::encode(&Command::Hello { version: VERSION }, &mut hello).map_err(SessionError::Request)?;
    stream.write_all(&hello).await.map_err(stream_error)?;
    stream.flush().await.map_err(stream_error)?;
    let mut decoder = Decoder::new();
    let mut buffer = [0; 1024];
    loop {
        match decoder.message::<Event>() {
            Ok(Some(Event::Hello { version: VERSION })) => return Ok(decoder),
            Ok(Some(Event::Hello { .. })) => return Err(SessionError::Handshake("it speaks another version")),
            Ok(Some(_)) => return Err(SessionError::Handshake("its first message is no greeting")),
            Ok(None) => {}
            Err(error) => return Err(SessionError::Closed(CloseReason::Frame(error))),
        }
        match stream.read(&mut buffer).await.map_err(stream_error)? {
            0 => return Err(SessionError::Closed(CloseReason::Ended)),
            n => decoder.push(&buffer[..n]),
        }
    }
}
