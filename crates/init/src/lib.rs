//! `cofferdam-init`: the first process (PID 1) of every sandbox, whatever made it.
//!
//! It runs commands, moves files, streams output, reaps everything and reports exit codes and resource use, over one byte
//! stream to the host ([`wire::init`]). A launcher that has made the namespaces calls [`run`] in the same process; what others
//! have made starts it as a [`program`].
//!
//! Never: makes namespaces, mounts anything, opens a connection, keeps a secret, or trusts the workload. It blocks on nothing
//! but its own `poll`: work on files, which a workload can make slow, is done in processes of its own. When the stream ends
//! it exits, and with it, by the rules of PID namespaces, everything else in the sandbox.
//!
//! Start reading at `server`, the event loop; `spawn` starts processes, `operation` is one of them, `files` works on files.

mod credentials;
mod files;
mod operation;
mod peer;
mod program;
mod quirk;
mod server;
mod spawn;
mod sys;
mod terminal;
mod worker;

use std::os::fd::OwnedFd;

pub use program::program;

/// How init treats the processes that it starts. The switches exist for tests of the defences: a probe proves something
/// only if it fires without its defence.
#[derive(Clone)]
pub struct InitConfig {
    /// Seccomp program that every process of the workload, and every process that works on files with the workload's ids,
    /// gets just before it starts, after its ids and capabilities were dropped. Empty: none.
    pub filter: Vec<libc::sock_filter>,
    /// Capabilities (bit N for capability N) that a workload with user id 0 has. Nobody else has any.
    pub root_capabilities: u64,
    /// Capabilities and the bounding set are dropped.
    pub drop_capabilities: bool,
    /// A set-user-id program gives nothing.
    pub no_new_privs: bool,
    /// Nothing but the standard streams is inherited.
    pub close_descriptors: bool,
}

impl Default for InitConfig {
    fn default() -> Self {
        InitConfig {
            filter: Vec::new(),
            root_capabilities: 0,
            drop_capabilities: true,
            no_new_privs: true,
            close_descriptors: true,
        }
    }
}

/// The way to the host.
pub enum Stream {
    /// One descriptor for both directions.
    Both(OwnedFd),
    /// One for each, as an engine gives a container two pipes.
    Pair {
        /// What the host says.
        input: OwnedFd,
        /// What it hears.
        output: OwnedFd,
    },
}

/// Serves the protocol on `stream` until it ends, then exits. The calling process must be PID 1 of a PID namespace and have
/// one thread; it has all that it needs of capabilities (`CAP_SETUID`, `CAP_SETGID`, `CAP_SETPCAP`, `CAP_KILL`, for
/// file operations without a user also `CAP_CHOWN`, `CAP_DAC_OVERRIDE`, `CAP_FOWNER`); what it starts gets none, no new
/// privileges, and no descriptor except its standard streams.
///
/// The standard streams of the calling process are replaced by `/dev/null`.
pub fn run(stream: Stream, config: InitConfig) -> ! {
    let code = match server::Server::new(stream, config) {
        Ok(server) => server.serve(),
        Err(_) => EXIT_UNUSABLE,
    };
    sys::exit(code)
}

/// The process is not PID 1 of a PID namespace, or the stream cannot be used.
const EXIT_UNUSABLE: i32 = 70;
