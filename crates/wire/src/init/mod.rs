//! The protocol between a host and `cofferdam-init`, the first process of every sandbox, over one byte stream.
//!
//! ```text
//!   host                                        init
//!    |  Command::Hello  ------------------------> |
//!    | <------------------------  Event::Hello    |   versions must be equal
//!    |  Command::Exec { id }  ------------------> |
//!    | <-------------- Event::Started { id }      |   or Event::Failed { id }: it never ran
//!    | <-------------- Event::Output { id } *     |   within the window of `id`
//!    |  Command::Credit { id } *  --------------> |   the host has used so many bytes
//!    | <-------------- Event::Exited { id }       |   the last word on `id`
//!    |  Command::File { id }  ------------------> |
//!    | <-------------- Event::Data / Credit *     |
//!    | <-------------- Event::Done / Failed       |   the last word on `id`
//! ```
//!
//! Many operations run at once; each has an id that the host chose and that is never used twice. **Flow control:** whoever
//! sends bytes for an id (output and file content by init, input and tar streams by the host) may have at most
//! [`WINDOW_BYTES`] of them (as [`cost`] counts) outstanding, and gets room back by `Credit`. So a slow reader stops one operation and no other,
//! and both sides hold a bounded amount of memory. More than the window is an offence against the protocol.
//!
//! The host treats everything that comes from init as hostile: by the time a workload runs, init may be the workload.

mod command;
mod event;
pub mod listing;

pub use command::{Command, ExecSpec, FileOp, InputMode, OutputMode, Resource, Rlimit, TerminalSize, User};
pub use command::{SignalTarget, TarLimits};
pub use event::{Event, Exit, FileKind, FileReply, FileStatus, OperationError, Skipped, Status, Stream, Usage};

/// Version of these messages; both sides must have the same. It rises with every change of a message.
pub const VERSION: u32 = 3;
/// Bytes that may be under way for one operation and direction.
pub const WINDOW_BYTES: u32 = 256 * 1024;
/// Largest piece of data in one message: leaves room in a frame for the rest of the message.
pub const MAX_CHUNK_BYTES: usize = 32 * 1024;
/// Operations that may be under way at once.
pub const MAX_LIVE_OPERATIONS: usize = 1024;
/// How many skipped files a reply names; the rest is counted.
pub const MAX_SKIPPED_NAMES: usize = 50;

/// What a piece of data takes of the window: its length, but never less than what it costs to keep it in a queue, so that
/// a million pieces of one byte are not for free.
pub fn cost(data: &[u8]) -> u32 {
    u32::try_from(data.len()).unwrap_or(u32::MAX).max(MIN_COST_BYTES)
}

/// See [`cost`].
pub const MIN_COST_BYTES: u32 = 64;

const _: () = assert!(MAX_CHUNK_BYTES + 1024 <= model::limits::MAX_FRAME_BYTES);
