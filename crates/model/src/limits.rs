//! Limits on everything that somebody else's code can make large. Each has its reason; each is asserted on both sides of
//! every wire. What a run may use of a machine is a [`Limits`] value, which policy may lower.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Largest pipeline definition in bytes. The largest public Jenkinsfile known is under 200 KiB.
pub const MAX_DEFINITION_BYTES: usize = (4 * MIB) as usize;
/// Longest log line kept whole, in bytes; the rest of a longer line is cut and counted.
pub const MAX_LOG_LINE_BYTES: usize = (64 * KIB) as usize;
/// What an engine says at once, in bytes: a turn of it ends where more waits, so that what a script says takes no memory.
pub const MAX_TURN_BYTES: usize = (8 * MIB) as usize;
/// What `env.X = …` holds in all, in bytes: every process is given it, and Linux gives none more than 6 MiB.
pub const MAX_ENV_BYTES: usize = (16 * MIB) as usize;
/// What one step is given, in bytes: twice the longest text of a script.
pub const MAX_ARGUMENT_BYTES: usize = (128 * MIB) as usize;
/// Largest frame on the stream to init, in bytes: bounds memory on both sides.
pub const MAX_FRAME_BYTES: usize = (256 * KIB) as usize;
/// Largest file that `readFile` returns and largest captured standard output, in bytes.
pub const MAX_CAPTURE_BYTES: usize = (32 * MIB) as usize;
/// Most files that one look finds: an answer travels as a whole, and is kept.
pub const MAX_FOUND_FILES: u64 = 50_000;
/// Most files that one step names in the log, each with a line of its own: an archive may have a million.
pub const MAX_NAMED_FILES: u64 = 1_000;
/// Longest name of a stash, in bytes.
pub const MAX_STASH_NAME_BYTES: usize = 500;
/// Most stashes of a run.
pub const MAX_STASHES: usize = 500;
/// Largest stash, or set of archived artifacts of one step, in bytes as a tar stream.
pub const MAX_STASH_BYTES: u64 = 4 * GIB;
/// Largest artifact that a server keeps, in bytes: no larger than what one step archives.
pub const MAX_ARTIFACT_BYTES: u64 = MAX_STASH_BYTES;
/// Artifacts of one run that a server keeps, in bytes: a few full steps. A disk that is full ends everybody's runs.
pub const MAX_RUN_ARTIFACT_BYTES: u64 = 4 * MAX_ARTIFACT_BYTES;
/// And how many files: a large set of HTML reports has some ten thousand.
pub const MAX_RUN_ARTIFACTS: u64 = 100_000;
/// Longest path of an artifact, in bytes: what an index of PostgreSQL takes, with room.
pub const MAX_ARTIFACT_PATH_BYTES: usize = 1024;
/// How deep block steps, stages and branches may stand in each other. Real pipelines stay below 20; each level costs memory.
pub const MAX_BLOCK_DEPTH: u32 = 500;
/// Most branches of a run at once (and cells of one matrix): each is a task with a fiber of its own.
pub const MAX_BRANCHES: usize = 10_000;
/// Most steps of one run. Large pipelines make some thousands; a loop around `echo` makes a log that nobody can keep.
pub const MAX_STEPS: u64 = 1_000_000;
/// How long a body that was told to end may go on before it is ended without being asked (Jenkins' grace period).
pub const INTERRUPT_GRACE: Duration = Duration::from_secs(60);
/// How long a process may take between SIGTERM and SIGKILL. Jenkins waits 20 s; a CI run that is being ended has no use for it.
pub const TERM_GRACE: Duration = Duration::from_secs(5);

/// What one sandbox may use. `None` is never "unlimited by the author": only the operator sets these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of all processes and of the writable layer, in bytes; swap is not added.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub processes: u32,
    /// Share of CPU time in thousandths of one core.
    pub cpu_millis: u32,
    /// Wall clock of the whole sandbox, in milliseconds.
    pub wall_ms: u64,
    /// Writable layer (and `/tmp`, workspace), in bytes.
    pub disk_bytes: u64,
    /// Files in the writable layer.
    pub inodes: u64,
    /// Open files of one process.
    pub open_files: u32,
    /// Log output of the whole job, in bytes.
    pub log_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory_bytes: 4 * GIB,
            processes: 4096,
            cpu_millis: 2000,
            wall_ms: 6 * 3600 * 1000,
            disk_bytes: 8 * GIB,
            inodes: 1_000_000,
            open_files: 4096,
            log_bytes: 2 * GIB,
        }
    }
}

/// A file system in memory (`--tmpfs PATH:size=…`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    /// Absolute path inside the sandbox.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Permission bits.
    pub mode: u32,
    /// Programs in it may be started.
    pub exec: bool,
}

/// What stands at the end of a line that was longer than [`MAX_LOG_LINE_BYTES`].
pub fn bytes_cut(bytes: u64) -> String {
    format!(" … [{bytes} bytes cut: a line has at most {} KiB]", MAX_LOG_LINE_BYTES / 1024)
}

/// What a run says of itself is no longer than that, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 4000;
