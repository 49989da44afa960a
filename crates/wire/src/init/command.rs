//! What a host asks of init.

use model::ids::ExecId;
use model::request::{ArchiveFormat, FileSet, Unpacking};
use serde::{Deserialize, Serialize};

use crate::blob::Blob;

/// A message from the host to init.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// First message.
    Hello {
        /// [`super::VERSION`] of the host.
        version: u32,
    },
    /// Start a process. Answered by `Started`, `Output`…, `Exited`; or by `Failed` alone where it could not start.
    Exec {
        /// Chosen by the host, never used twice.
        id: ExecId,
        /// What to run.
        spec: Box<ExecSpec>,
    },
    /// Bytes for the standard input of a process, or the content of `WriteFile`, `AppendFile` and `PutTar`.
    Input {
        /// Whose.
        id: ExecId,
        /// At most [`super::MAX_CHUNK_BYTES`].
        data: Blob,
    },
    /// No more input follows.
    CloseInput {
        /// Whose.
        id: ExecId,
    },
    /// The host has used bytes that init sent for an operation.
    Credit {
        /// Which.
        id: ExecId,
        /// How many.
        bytes: u32,
    },
    /// The terminal of a process has a new size.
    Resize {
        /// Whose.
        id: ExecId,
        /// The size.
        size: TerminalSize,
    },
    /// Send a signal. An operation that has ended is ignored; a file operation is killed by any signal.
    Signal {
        /// To whom.
        id: ExecId,
        /// Number.
        signal: i32,
        /// How far it reaches.
        target: SignalTarget,
    },
    /// Kill every process of the sandbox except init. Answered by `Done` when the last one is gone.
    KillAll {
        /// Id of this operation.
        id: ExecId,
    },
    /// Work on files. Answered by `Data`…, `Done` or `Failed`.
    File {
        /// Id of this operation.
        id: ExecId,
        /// Whose rights it has; `None`: those of init itself.
        user: Option<User>,
        /// What to do.
        op: FileOp,
    },
    /// Kill everything and end.
    Shutdown,
}

/// A process to start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecSpec {
    /// Program and arguments; a program without `/` is looked up in `PATH` of `env`.
    pub argv: Vec<String>,
    /// The whole environment: nothing is inherited.
    pub env: Vec<(String, String)>,
    /// Absolute folder to start in.
    pub cwd: String,
    /// Ids of the process.
    pub user: User,
    /// Standard input.
    pub input: InputMode,
    /// Standard output and standard error.
    pub output: OutputMode,
    /// Output above this many bytes is read and dropped; reported once by `OutputLimit`, counted in `Exited`.
    pub output_limit: Option<u64>,
    /// Limits to lower for this process.
    pub rlimits: Vec<Rlimit>,
}

/// Ids that a process or a file operation runs with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User id inside the sandbox.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups, replacing all others.
    pub groups: Vec<u32>,
}

/// Where standard input comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum InputMode {
    /// `/dev/null`.
    #[default]
    Null,
    /// `Input` messages.
    Pipe,
}

/// How output is collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputMode {
    /// Standard output and error through one pipe, so that their order is kept: a log.
    #[default]
    Merged,
    /// Each through its own pipe: standard output is captured.
    Split,
    /// A terminal of the sandbox's own, for input too.
    Terminal(TerminalSize),
}

/// Size of a terminal in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Height.
    pub rows: u16,
    /// Width.
    pub columns: u16,
}

/// A limit of a process (`setrlimit`). A value above the current hard limit is lowered to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// What is limited.
    pub resource: Resource,
    /// Soft and hard value.
    pub value: u64,
}

/// What an [`Rlimit`] limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    /// CPU time in seconds.
    CpuSeconds,
    /// Largest file in bytes.
    FileBytes,
    /// Open files.
    OpenFiles,
    /// Processes of the user.
    Processes,
    /// Address space in bytes.
    AddressSpaceBytes,
    /// Stack in bytes.
    StackBytes,
}

/// How far a signal reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignalTarget {
    /// The process that was started, alone.
    Process,
    /// Its process group.
    Group,
    /// Its process group and every other process of its session.
    Session,
}

/// Work on files inside the sandbox. Each runs in a process of its own, so that a slow one stops nothing else. Paths are
/// absolute and mean what they mean to the workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileOp {
    /// Send the content of a regular file. Done: `Read`.
    ReadFile {
        /// Which.
        path: String,
        /// Fail with `EFBIG` above this size.
        limit_bytes: u64,
    },
    /// Replace or make a file from `Input` until `CloseInput`, making missing parent folders. Done: `Done`.
    WriteFile {
        /// Which.
        path: String,
        /// Permissions of a new file.
        mode: u32,
    },
    /// Look at a path. Done: `Stat`, with `None` where there is nothing.
    Stat {
        /// Which.
        path: String,
        /// Look through a final symbolic link.
        follow: bool,
    },
    /// Make a folder with its parents; no error where it is there. Done: `Done`.
    MakeDir {
        /// Which.
        path: String,
        /// Permissions of new folders.
        mode: u32,
        /// Give the last folder to this user (needs `user: None`).
        owner: Option<(u32, u32)>,
    },
    /// Make a folder with its parents for a user, through no link (needs `user: None`). One that is there stays whose it is. Done: `Done`.
    MakeDirFor {
        /// Which.
        path: String,
        /// User and group.
        owner: (u32, u32),
    },
    /// Remove a file, or a folder with its content, never following links; no error where it is missing. Done: `Done`.
    RemoveTree {
        /// Which.
        path: String,
        /// Keep the folder itself.
        keep_top: bool,
    },
    /// Extract the tar stream that comes as `Input` below a folder (made where missing). Nothing is written outside of it,
    /// whatever the entries or links on the way say. Done: `Put`.
    PutTar {
        /// Where.
        dir: String,
        /// Give everything to this user instead of the one who extracts (needs `user: None`).
        owner: Option<(u32, u32)>,
        /// What to accept.
        limits: TarLimits,
    },
    /// Send the matching files as a tar stream in `Data`. Done: `Got`.
    GetTar {
        /// Which files; names in the stream are relative to its folder.
        files: FileSet,
        /// What to send at most.
        limits: TarLimits,
    },
    /// Send what matches as a list in `Data` (see [`super::listing`]). Done: `Got`.
    List {
        /// Which files; names are relative to its folder.
        files: FileSet,
        /// Folders too.
        folders: bool,
        /// What the folder itself has, and nothing below that.
        is_shallow: bool,
        /// How many at most; more fail with `EFBIG`.
        most: u64,
    },
    /// Set the time of a file; one that is missing is made, with its parent folders. Done: `Done`.
    Touch {
        /// Which.
        path: String,
        /// Milliseconds since 1970; `None`: now.
        time_ms: Option<i64>,
    },
    /// Pack the matching files into an archive, which replaces a file in its place; what links lead to is packed in their place.
    /// On an error there is none. Done: `Got`.
    Pack {
        /// Which files; names in the archive are relative to its folder.
        files: FileSet,
        /// Where the archive is made.
        archive: String,
        /// What it becomes.
        format: ArchiveFormat,
        /// What to pack at most.
        limits: TarLimits,
    },
    /// Take an archive apart. Nothing is written outside of the folder of the set, whatever its names or links on the way say. Sends the
    /// first files that it made, or all with their content (see [`super::listing`]), in `Data`. Done: `Put`, or `Tested`.
    Unpack {
        /// Which.
        archive: String,
        /// What it is.
        format: ArchiveFormat,
        /// Where to, and which of its files.
        files: FileSet,
        /// What for.
        purpose: Unpacking,
        /// How many of the files that were made are named.
        named: u64,
        /// What to accept: content as it is unpacked.
        limits: TarLimits,
    },
    /// Write `Input` until `CloseInput` at the end of a file, which is made where it is missing, with its parent folders. Done: `Done`.
    AppendFile {
        /// Which.
        path: String,
        /// Permissions of a new file.
        mode: u32,
    },
}

/// Bounds of a tar stream; exceeding one fails the operation with `EFBIG` and a text that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TarLimits {
    /// Content of all files.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

impl Default for TarLimits {
    fn default() -> Self {
        TarLimits { bytes: model::limits::MAX_STASH_BYTES, entries: 1_000_000 }
    }
}
