//! Work on files in a process of its own: a fork without an exec, with the ids of whoever the work is for. A named pipe, a
//! hanging file system or a directory of a million entries then stops nobody else, and can be killed.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use wire::init::{FileOp, FileReply, OperationError, User};

use crate::InitConfig;
use crate::credentials::become_user;
use crate::files;
use crate::sys::{self, Forked};

/// A process that works on files.
pub(crate) struct Worker {
    pub(crate) pid: libc::pid_t,
    pub(crate) input: OwnedFd,
    pub(crate) output: OwnedFd,
    /// Holds the encoded result when the process has ended.
    pub(crate) reply: OwnedFd,
}

const REPLY_FD: i32 = 3;
/// What may lie in its memory at once, in bytes: a name in an archive is read whole, however long it says that it is.
const MAX_DATA_BYTES: libc::rlim_t = 256 << 20;
/// Largest encoded result that is believed.
pub(crate) const MAX_REPLY_BYTES: usize = 128 * 1024;

/// Forks a process that performs `op`.
pub(crate) fn start(
    op: &FileOp,
    user: Option<&User>,
    config: &InitConfig,
    null: &OwnedFd,
) -> Result<Worker, OperationError> {
    let failed = |error: std::io::Error| OperationError::new("start work on files", sys::errno(&error));
    let (child_input, input) = sys::pipe().map_err(failed)?;
    let (output, child_output) = sys::pipe().map_err(failed)?;
    let (reply, child_reply) = sys::pipe().map_err(failed)?;
    for fd in [&input, &output, &reply] {
        sys::set_nonblocking(fd).map_err(failed)?;
    }
    match sys::fork().map_err(failed)? {
        Forked::Parent(pid) => Ok(Worker { pid, input, output, reply }),
        Forked::Child => child(op, user, config, [&child_input, &child_output, null, &child_reply]),
    }
}

fn child(op: &FileOp, user: Option<&User>, config: &InitConfig, fds: [&OwnedFd; 4]) -> ! {
    let result = catch_unwind(AssertUnwindSafe(|| {
        set_up(user, config, fds)?;
        // SAFETY: `set_up` has made 0 and 1 ours; nothing else in this process uses them.
        let (input, output) = unsafe { (File::from_raw_fd(0), File::from_raw_fd(1)) };
        files::perform(op, input, output)
    }));
    let result = result.unwrap_or_else(|_| Err(OperationError::new("work on files: a bug in cofferdam-init", 0)));
    send(&result);
    sys::exit(0)
}

fn set_up(user: Option<&User>, config: &InitConfig, fds: [&OwnedFd; 4]) -> Result<(), OperationError> {
    let failed = |error: std::io::Error| OperationError::new("start work on files", sys::errno(&error));
    for (number, fd) in (0..).zip(fds) {
        sys::dup_to(fd.as_raw_fd(), number).map_err(failed)?;
    }
    sys::close_from(REPLY_FD + 1);
    sys::reset_signals();
    // SAFETY: take integers. A reader that is gone is an error of a write, not a death; a session of its own keeps it out of
    // reach of signals to others.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::setsid();
        libc::umask(0o022);
    }
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is writable and readable. Nobody may have more than was left to it.
    let is_set = unsafe {
        libc::getrlimit(libc::RLIMIT_DATA, &raw mut limit) == 0 && {
            limit.rlim_max = limit.rlim_max.min(MAX_DATA_BYTES);
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) == 0
        }
    };
    if !is_set {
        return Err(failed(std::io::Error::last_os_error()));
    }
    match user {
        Some(user) => become_user(user, config).map_err(|(step, error)| OperationError::new(step, sys::errno(&error))),
        None => Ok(()),
    }
}

fn send(result: &Result<FileReply, OperationError>) {
    let mut bytes = Vec::new();
    if wire::frame::encode(result, &mut bytes).is_err() {
        return;
    }
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        // SAFETY: the buffer is readable for its length.
        let n = unsafe { libc::write(REPLY_FD, rest.as_ptr().cast(), rest.len()) };
        match usize::try_from(n) {
            Ok(n) => rest = &rest[n..],
            // Nobody listens any more.
            Err(_) => return,
        }
    }
}

/// The result that a worker left, if it did.
pub(crate) fn decode(bytes: &[u8]) -> Option<Result<FileReply, OperationError>> {
    let mut decoder = wire::frame::Decoder::new();
    decoder.push(bytes);
    decoder.message().ok().flatten()
}
