//! Connects to a socket that a monitor has made, in a folder where it can make anything: a link there could lead to any socket of
//! the host, so links are not followed.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use tokio::net::UnixStream;

/// The path may be longer than the kernel takes for a socket.
pub(crate) async fn connect(path: &Path) -> io::Result<UnixStream> {
    let found: OwnedFd = open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&found)?.st_mode) != FileType::Socket {
        return Err(io::Error::other("that is no socket"));
    }
    UnixStream::connect(format!("/proc/self/fd/{}", found.as_raw_fd())).await
}

/// Whether a monitor that has just started may have it in a moment.
pub(crate) fn may_come(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::WouldBlock)
}
