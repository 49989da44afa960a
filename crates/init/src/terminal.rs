//! A terminal of the sandbox's own: nothing of the host's terminal ever enters a sandbox.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use wire::init::TerminalSize;

use crate::sys::check;

/// Byte that a terminal in its usual mode takes as the end of input.
pub(crate) const END_OF_INPUT: u8 = 0x04;

/// A new terminal: (our side, the process's side).
pub(crate) fn open(size: TerminalSize) -> io::Result<(OwnedFd, OwnedFd)> {
    let ours = open_multiplexer()?;
    let mut unlocked: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int.
    check(unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCSPTLCK, &raw mut unlocked) })?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes flags by value and returns a descriptor.
    let theirs = check(unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTPEER, flags) })?;
    // SAFETY: the kernel has just given us this descriptor.
    let theirs = unsafe { OwnedFd::from_raw_fd(theirs) };
    resize(&ours, size)?;
    Ok((ours, theirs))
}

fn open_multiplexer() -> io::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    let mut last = io::Error::from_raw_os_error(libc::ENOENT);
    for path in [c"/dev/ptmx", c"/dev/pts/ptmx"] {
        // SAFETY: the path is a terminated string.
        match check(unsafe { libc::open(path.as_ptr(), flags) }) {
            // SAFETY: the kernel has just given us this descriptor.
            Ok(fd) => return Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Sets the size of a terminal; its processes get SIGWINCH.
pub(crate) fn resize(terminal: &OwnedFd, size: TerminalSize) -> io::Result<()> {
    let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one winsize.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }).map(drop)
}

/// Makes descriptor 0, a terminal, the controlling terminal of the calling session leader.
pub(crate) fn take_control() -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes an integer.
    check(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) }).map(drop)
}
