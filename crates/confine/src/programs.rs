//! A wall for processes that are to have files, a network and threads, but never another program.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// Calls that start a program, or act on another process as if it were one's own.
const FORBIDDEN: [i64; 8] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
];

/// From now on neither this process nor anything that it becomes starts a program: the calls fail with "operation not permitted". Must be
/// called before any thread is started.
///
/// # Errors
/// The kernel refuses the filter.
pub fn no_programs() -> Result<(), String> {
    let rules: BTreeMap<_, _> = FORBIDDEN.into_iter().map(|call| (call, Vec::new())).collect();
    let architecture = std::env::consts::ARCH.try_into().map_err(|error| format!("{error}"))?;
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture);
    let filter: Result<BpfProgram, _> = filter.and_then(TryInto::try_into);
    let filter = filter.map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&filter).map_err(|error| format!("seccomp: {error}"))
}
