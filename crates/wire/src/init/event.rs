//! What init tells the host.

use model::ids::ExecId;
use serde::{Deserialize, Serialize};

use crate::blob::Blob;

/// A message from init to the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Answer to the host's `Hello`.
    Hello {
        /// [`super::VERSION`] of init.
        version: u32,
    },
    /// The program runs.
    Started {
        /// Which.
        id: ExecId,
        /// Its process id inside the sandbox.
        pid: u32,
    },
    /// Output of a process.
    Output {
        /// Whose.
        id: ExecId,
        /// Which stream; `Stdout` where both are merged.
        stream: Stream,
        /// At most [`super::MAX_CHUNK_BYTES`]; cut anywhere, also within a character.
        data: Blob,
    },
    /// The output limit is reached; the rest is dropped.
    OutputLimit {
        /// Whose.
        id: ExecId,
    },
    /// The main process was stopped by a signal and goes on only when somebody continues it.
    Stopped {
        /// Which.
        id: ExecId,
        /// By what.
        signal: i32,
    },
    /// The main process has ended, and its output was sent. Last message of the id.
    Exited {
        /// Which.
        id: ExecId,
        /// How.
        exit: Exit,
    },
    /// Content that a file operation reads.
    Data {
        /// Whose.
        id: ExecId,
        /// At most [`super::MAX_CHUNK_BYTES`].
        data: Blob,
    },
    /// Input of an operation was used; the host may send so much more.
    Credit {
        /// Which.
        id: ExecId,
        /// How many bytes.
        bytes: u32,
    },
    /// An operation other than `Exec` is done. Last message of the id.
    Done {
        /// Which.
        id: ExecId,
        /// Its result.
        reply: FileReply,
    },
    /// An operation failed, or a process could not be started. Last message of the id.
    Failed {
        /// Which.
        id: ExecId,
        /// Why.
        error: OperationError,
    },
}

/// An output stream of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Code or signal.
    pub status: Status,
    /// What it and the children that it waited for used.
    pub usage: Usage,
    /// Output that was dropped because of the output limit, in bytes.
    pub dropped_bytes: u64,
    /// Somebody still held its output open: a process that it left behind. What that one writes later is dropped.
    pub left_behind: bool,
}

/// Exit code or signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// `exit` code.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
}

impl Status {
    /// The code that a shell would report: 128 + N for signal N.
    pub fn code(self) -> i32 {
        match self {
            Status::Code(code) => code,
            Status::Signal(signal) => 128i32.saturating_add(signal),
        }
    }
}

/// Resources that a process used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time in user mode, in microseconds.
    pub user_us: u64,
    /// CPU time in the kernel, in microseconds.
    pub system_us: u64,
    /// Largest resident set of any one process, in KiB.
    pub max_rss_kib: u64,
}

/// Result of an operation on files (and of `KillAll`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileReply {
    /// It was done.
    Done,
    /// A file was sent.
    Read {
        /// Its size in bytes.
        bytes: u64,
    },
    /// What is at a path.
    Stat(Option<FileStatus>),
    /// A tar stream was extracted.
    Put {
        /// Files, folders and links that were made.
        entries: u64,
        /// Content in bytes.
        bytes: u64,
        /// What was not extracted: devices, names that lead out.
        skipped: Skipped,
    },
    /// A tar stream was sent.
    Got {
        /// Files and links in it.
        entries: u64,
        /// Content in bytes.
        bytes: u64,
        /// What matched but could not be read.
        skipped: Skipped,
    },
    /// An archive was looked through.
    Tested {
        /// Why it cannot be taken apart.
        flaw: Option<String>,
    },
}

/// Files that an operation passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// How many.
    pub count: u64,
    /// The first of them, each with the reason; at most [`super::MAX_SKIPPED_NAMES`].
    pub names: Vec<(String, String)>,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    /// What it is.
    pub kind: FileKind,
    /// Size in bytes.
    pub size: u64,
    /// Permissions.
    pub mode: u32,
    /// Owner inside the sandbox.
    pub uid: u32,
    /// Group inside the sandbox.
    pub gid: u32,
    /// Last change of the content, in seconds since 1970.
    pub modified_s: i64,
}

/// Kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileKind {
    /// Regular file.
    File,
    /// Folder.
    Dir,
    /// Symbolic link.
    Link,
    /// Device, socket or named pipe.
    Other,
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{operation}{}", describe(*errno))]
pub struct OperationError {
    /// What was tried, with its object (`open /a/b`).
    pub operation: String,
    /// Error number of the kernel; 0 where the reason is in `operation`.
    pub errno: i32,
}

impl OperationError {
    /// A failed call.
    pub fn new(operation: impl Into<String>, errno: i32) -> Self {
        OperationError { operation: operation.into(), errno }
    }

    /// Nothing is there.
    pub fn is_not_found(&self) -> bool {
        self.errno == 2
    }
}

fn describe(errno: i32) -> String {
    if errno == 0 { String::new() } else { format!(": {}", std::io::Error::from_raw_os_error(errno)) }
}
