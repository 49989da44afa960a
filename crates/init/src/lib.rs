//! `cofferdam-init`: the first process (PID 1) of every sandbox, whatever made it.
//!
//! It runs commands, moves files, streams output, reaps everything and reports exit codes and resource use, over one byte
//! stream to the host ([`wire::init`]). A launcher that has made the namespaces calls [`run`] in the same process; a virtual
//! machine starts the program of the same name.
//!
//! Never: makes namespaces, mounts anything, opens a connection, keeps a secret, or trusts the workload. When the stream
//! ends it exits, and with it, by the rules of PID namespaces, everything else in the sandbox.

use std::os::fd::OwnedFd;

/// How init treats the processes that it starts.
#[derive(Clone, Default)]
pub struct InitConfig {
    /// Seccomp program that every process of the workload, and every process that works on files with the workload's ids,
    /// gets just before it starts, after its ids and capabilities were dropped. Empty: none.
    pub filter: Vec<libc::sock_filter>,
}

/// Serves the protocol on `stream` until it ends, then exits. The calling process must be PID 1 of a PID namespace and have
/// one thread; it has all that it needs of capabilities (`CAP_SETUID`, `CAP_SETGID`, `CAP_SETPCAP`, `CAP_KILL`, for
/// file operations without a user also `CAP_CHOWN`, `CAP_DAC_OVERRIDE`, `CAP_FOWNER`); what it starts gets none, no new
/// privileges, and no descriptor except its standard streams.
pub fn run(stream: OwnedFd, config: InitConfig) -> ! {
    let _ = (stream, config);
    std::process::exit(70)
}
