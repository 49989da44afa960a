//! What can go wrong between a host and init.

use std::io;

use wire::frame::FrameError;
use wire::init::OperationError;

/// Why a call on a [`super::Session`] failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Init answered that it could not do it: the workload's fault, or the kernel's.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// The session has ended; nothing that was under way will be answered.
    #[error("the sandbox is gone: {0}")]
    Closed(CloseReason),
    /// Init did not greet in time or speaks another version.
    #[error("init did not answer as expected: {0}")]
    Handshake(&'static str),
    /// What the caller asked for does not fit into a message.
    #[error("the request is too large for init: {0}")]
    Request(#[source] FrameError),
    /// Reading what should be sent, or writing what was received, failed on the host's side.
    #[error("the host's side of a transfer failed: {0}")]
    Host(#[source] io::Error),
    /// A process outlived SIGKILL for longer than it should.
    #[error("a process did not end {0} s after SIGKILL")]
    Unkillable(u64),
    /// A file is larger than the caller wants.
    #[error("the file exceeds {0} bytes")]
    TooLarge(u64),
}

impl SessionError {
    /// The operation failed because a path does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, SessionError::Operation(error) if error.is_not_found())
    }
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// Init closed the stream or died.
    #[error("its first process has ended")]
    Ended,
    /// The stream failed.
    #[error("the stream to it failed: {0}")]
    Stream(io::ErrorKind),
    /// Init sent something that is no message.
    #[error("it sent rubbish: {0}")]
    Frame(FrameError),
    /// Init broke a rule of the protocol.
    #[error("it broke the protocol: {0}")]
    Offence(&'static str),
    /// All handles of the host were dropped.
    #[error("the host has let go of it")]
    Released,
}
