//! The kernel calls that no safe wrapper covers, each small enough to be checked at sight.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use wire::init::{Status, Usage};

/// Result of a call that returns -1 on error.
pub(crate) fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The error number of an error that came from the kernel; `EIO` for others.
pub(crate) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// Ends the process without unwinding or running exit handlers.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: `_exit` touches no memory of this process.
    unsafe { libc::_exit(code) }
}

/// A pipe, both ends closed on exec: (read, write).
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: the kernel has just given us these descriptors.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Makes reads and writes return `EAGAIN` where they would wait.
pub(crate) fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    let fd = fd.as_raw_fd();
    // SAFETY: these commands take and return integers.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) }).map(drop)
}

/// Marks a descriptor as closed on exec.
pub(crate) fn set_close_on_exec(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: the command takes an integer.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) }).map(drop)
}

/// One read; `None` where it would wait.
pub(crate) fn read(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    // SAFETY: `buffer` is writable for its length.
    let n = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    transferred(n)
}

/// One write; `None` where it would wait.
pub(crate) fn write(fd: &OwnedFd, bytes: &[u8]) -> io::Result<Option<usize>> {
    // SAFETY: `bytes` is readable for its length.
    let n = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
    transferred(n)
}

fn transferred(n: isize) -> io::Result<Option<usize>> {
    match usize::try_from(n) {
        Ok(n) => Ok(Some(n)),
        Err(_) => match io::Error::last_os_error() {
            error if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            error => Err(error),
        },
    }
}

/// Bytes that wait in a pipe or terminal.
pub(crate) fn readable_bytes(fd: &OwnedFd) -> u64 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
    if result < 0 { 0 } else { u64::try_from(bytes).unwrap_or(0) }
}

/// Waits for events; `timeout_ms` -1 waits for ever. An interrupted call reports nothing.
pub(crate) fn poll(fds: &mut [libc::pollfd], timeout_ms: i32) -> io::Result<()> {
    // SAFETY: `fds` is writable for its length.
    let result = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout_ms) };
    match check(result) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        Err(_) => {
            fds.iter_mut().for_each(|fd| fd.revents = 0);
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// Blocks SIGCHLD and returns a descriptor that is readable when one is pending. Ignores SIGPIPE.
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: an all-zero set is a valid object for sigemptyset to initialise, and all calls get valid pointers.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        check(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()))?;
        let fd = check(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Undoes in a child what [`child_signals`] and the runtime have set: nothing blocked, nothing ignored.
pub(crate) fn reset_signals() {
    // The kernel's own `sigaction`: handler, flags, restorer and a mask of 64 bits, all zero. libc's refuses the two numbers
    // that it keeps for itself, and a shell or supervisor further up may have ignored those too.
    let default = [0u64; 4];
    for signal in 1..=64 {
        let none = std::ptr::null_mut::<u64>();
        // SAFETY: the kernel reads the array and writes nothing. SIGKILL and SIGSTOP fail, which is fine.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, size_of::<u64>()) };
    }
    // SAFETY: an all-zero set is a valid object for sigemptyset to initialise, and both calls get valid pointers.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// What happened to a child.
pub(crate) enum Reaped {
    /// It is gone.
    Ended(libc::pid_t, Status, Usage),
    /// It was stopped by a signal.
    Stopped(libc::pid_t, i32),
    /// Nothing more has happened; there are children.
    NothingYet,
    /// There are no children.
    NoChildren,
}

/// The next thing that happened to any child.
pub(crate) fn reap() -> Reaped {
    let mut status = 0;
    // SAFETY: an all-zero rusage is valid, and both pointers are writable.
    let (pid, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(-1, &raw mut status, libc::WNOHANG | libc::WUNTRACED, &raw mut usage), usage)
    };
    if pid == 0 {
        return Reaped::NothingYet;
    }
    if pid < 0 {
        return match io::Error::last_os_error().raw_os_error() {
            Some(libc::ECHILD) => Reaped::NoChildren,
            _ => Reaped::NothingYet,
        };
    }
    if libc::WIFSTOPPED(status) {
        return Reaped::Stopped(pid, libc::WSTOPSIG(status));
    }
    let end = match libc::WIFSIGNALED(status) {
        true => Status::Signal(libc::WTERMSIG(status)),
        false => Status::Code(libc::WEXITSTATUS(status)),
    };
    let micros = |t: libc::timeval| {
        u64::try_from(t.tv_sec).unwrap_or(0).saturating_mul(1_000_000) + u64::try_from(t.tv_usec).unwrap_or(0)
    };
    let usage = Usage {
        user_us: micros(usage.ru_utime),
        system_us: micros(usage.ru_stime),
        max_rss_kib: u64::try_from(usage.ru_maxrss).unwrap_or(0),
    };
    Reaped::Ended(pid, end, usage)
}

/// Sends a signal; a target that is gone is no error.
pub(crate) fn kill(pid: libc::pid_t, signal: i32) -> bool {
    // SAFETY: takes integers.
    unsafe { libc::kill(pid, signal) == 0 }
}

/// Sends a signal to every process of a session, as far as `/proc` tells; for a process group that its leader has left.
pub(crate) fn kill_session(session: libc::pid_t, signal: i32) {
    let Ok(entries) = std::fs::read_dir("/proc") else { return };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<libc::pid_t>().ok()) else { continue };
        if pid > 1 && session_of(pid) == Some(session) {
            kill(pid, signal);
        }
    }
}

/// The fourth field after the command name, which is in parentheses and may itself contain anything.
fn session_of(pid: libc::pid_t) -> Option<libc::pid_t> {
    let mut text = Vec::new();
    File::open(format!("/proc/{pid}/stat")).ok()?.take(4096).read_to_end(&mut text).ok()?;
    let after = text.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(&text[after + 1..]).ok()?;
    rest.split_ascii_whitespace().nth(3)?.parse().ok()
}

/// Closes every descriptor from `first` on.
pub(crate) fn close_from(first: RawFd) {
    // SAFETY: takes integers; whoever calls this in a fresh child uses none of those descriptors afterwards.
    if unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) } == 0 {
        return;
    }
    // A kernel before 5.9, or gVisor's of 2022.
    for number in first..highest_descriptor() {
        // SAFETY: as above.
        unsafe { libc::close(number) };
    }
}

/// Where nobody says which are open.
const MOST_DESCRIPTORS: RawFd = 65536;

/// One above the highest descriptor that this process may have open.
fn highest_descriptor() -> RawFd {
    let names = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let highest = names.filter_map(|name| name.to_str()?.parse::<RawFd>().ok()).max();
    highest.map_or(MOST_DESCRIPTORS, |highest| highest + 1)
}

/// Duplicates `from` to the number `to`, not closed on exec.
pub(crate) fn dup_to(from: RawFd, to: RawFd) -> io::Result<()> {
    if from == to {
        // SAFETY: takes integers.
        return check(unsafe { libc::fcntl(to, libc::F_SETFD, 0) }).map(drop);
    }
    // SAFETY: takes integers.
    check(unsafe { libc::dup2(from, to) }).map(drop)
}

/// What `fork` returned.
pub(crate) enum Forked {
    /// In the new process.
    Child,
    /// In the old one.
    Parent(libc::pid_t),
}

/// Forks. Sound only in a process with one thread, which init is.
pub(crate) fn fork() -> io::Result<Forked> {
    // SAFETY: init has one thread, so the child may use the allocator and everything else.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid)),
    }
}
