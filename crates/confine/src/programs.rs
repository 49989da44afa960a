//! A wall for processes that are to have files, a network and threads, but never another program.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, sock_filter};

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

/// The same calls have other numbers in the x32 mode of amd64, of which the filter knows nothing: from this one on. No other call of any architecture has
/// such a number.
const X32_BIT: u32 = 0x4000_0000;

/// Refuses those.
fn no_second_numbers() -> BpfProgram {
    let (load, is_at_least, answer) = (0x20, 0x35, 0x06);
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
    vec![
        // The number of the call comes first in what a filter is told.
        sock_filter { code: load, jt: 0, jf: 0, k: 0 },
        sock_filter { code: is_at_least, jt: 0, jf: 1, k: X32_BIT },
        sock_filter { code: answer, jt: 0, jf: 0, k: refuse },
    ]
}

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
    let mut program = no_second_numbers();
    program.extend(filter.map_err(|error| error.to_string())?);
    seccompiler::apply_filter(&program).map_err(|error| format!("seccomp: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::process::Command;

    use super::{X32_BIT, no_programs};

    fn refused(result: libc::c_long) -> bool {
        result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
    }

    /// All ways that there are, by a thread that alone is behind the filter, as are those that it starts.
    #[test]
    fn nothing_starts_a_program() {
        let behind = std::thread::spawn(|| {
            assert!(Command::new("/bin/true").status().is_ok(), "without it there is a way");
            no_programs().unwrap();
            let spawned = || Command::new("/bin/true").status().map_err(|error| error.raw_os_error());
            assert_eq!(spawned().unwrap_err(), Some(libc::EPERM));
            assert_eq!(std::thread::spawn(spawned).join().unwrap().unwrap_err(), Some(libc::EPERM));
            let (path, nothing) = (c"/bin/true".as_ptr(), std::ptr::null::<libc::c_char>());
            let list = [path, nothing];
            // SAFETY: the pointers are of texts and a list that live until the calls have been refused; one that is not becomes another program.
            unsafe {
                assert!(refused(libc::syscall(libc::SYS_execve, path, list.as_ptr(), [nothing].as_ptr())));
                let file = libc::memfd_create(c"program".as_ptr(), 0);
                let flags = libc::AT_EMPTY_PATH;
                let call = libc::SYS_execveat;
                assert!(refused(libc::syscall(call, file, c"".as_ptr(), list.as_ptr(), [nothing].as_ptr(), flags)));
                // `execve` of the x32 mode is 520.
                let other = libc::c_long::from(X32_BIT | 520);
                assert!(refused(libc::syscall(other, path, list.as_ptr(), [nothing].as_ptr())));
                assert!(refused(libc::syscall(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0)));
            }
            assert!(std::fs::read("/proc/self/status").is_ok(), "all else goes on");
        });
        behind.join().unwrap();
    }
}
