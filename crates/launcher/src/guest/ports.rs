//! The guest's two ways to the host: control, and the stream of its sandbox.
//!
//! ```text
//!   QEMU          a serial device with two ports, found by their names
//!   the others    two ports of vsock, listened on by number; the host connects to each once
//! ```
//!
//! Over vsock both connections stand before the first word is said, and nobody listens any more when a workload starts. A machine
//! that is to be saved lets go of both and listens once more: whoever comes then is the host of a copy.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};

use super::{CONTROL, CONTROL_PORT, STREAM, STREAM_PORT, VSOCK, boot};
use crate::fault::{Doing, Result};
use crate::protocol::Fault;
use crate::sys;

/// How long the ports may take to appear, and the host to come to a machine that has booted.
const PATIENCE: Duration = Duration::from_secs(10);
/// The host's number among virtual machines.
const HOST: u32 = libc::VMADDR_CID_HOST;

/// The way that is left when control is open.
pub(super) enum Stream {
    /// A port that is opened by its name.
    Named,
    /// A connection, until somebody takes it.
    Connected(Option<OwnedFd>),
}

/// Control, and what will be the stream.
pub(super) fn open() -> Result<(OwnedFd, Stream)> {
    if !boot::is_told(VSOCK) {
        return Ok((named(CONTROL)?, Stream::Named));
    }
    Listeners::open()?.accept(Some(PATIENCE))
}

/// Both ports of vsock, which the host has yet to come to.
pub(super) struct Listeners {
    control: OwnedFd,
    stream: OwnedFd,
}

impl Listeners {
    pub(super) fn open() -> Result<Listeners> {
        let listen = |port| sys::listen_vsock(port).doing(|| format!("listen on port {port} of vsock"));
        Ok(Listeners { control: listen(CONTROL_PORT)?, stream: listen(STREAM_PORT)? })
    }

    /// `None`: however long that takes.
    pub(super) fn accept(self, patience: Option<Duration>) -> Result<(OwnedFd, Stream)> {
        let until = patience.map(|patience| Instant::now() + patience);
        let control = accept(&self.control, CONTROL_PORT, until)?;
        Ok((control, Stream::Connected(Some(accept(&self.stream, STREAM_PORT, until)?))))
    }
}

impl Stream {
    /// For a sandbox's process 1.
    pub(super) fn take(&mut self) -> Result<OwnedFd> {
        match self {
            Stream::Named => named(STREAM),
            Stream::Connected(stream) => stream.take().ok_or_else(|| Fault::spec("the stream has been used")),
        }
    }
}

/// A port by its name, once the kernel has found it.
fn named(name: &str) -> Result<OwnedFd> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(path) = find(name) {
            return openat(CWD, &path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
                .doing(|| format!("open {}", path.display()));
        }
        if Instant::now() > until {
            return Err(Fault::spec(format!("this machine has no port {name}")));
        }
        let _ = poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 1_000_000 }));
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let ports = std::fs::read_dir("/sys/class/virtio-ports").ok()?;
    let is_it = |path: &Path| std::fs::read_to_string(path.join("name")).is_ok_and(|found| found.trim() == name);
    let found = ports.flatten().find(|port| is_it(&port.path()))?;
    Some(Path::new("/dev").join(found.file_name()))
}

/// The host's connection.
fn accept(listener: &OwnedFd, port: u32, until: Option<Instant>) -> Result<OwnedFd> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout =
            left.map(|left| Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() });
        let came = poll(&mut [PollFd::new(listener, PollFlags::IN)], timeout.as_ref());
        if came.doing(|| "wait for the host".into())? == 0 {
            return Err(Fault::spec(format!("nobody came to port {port}")));
        }
        let (connection, from) = sys::accept_vsock(listener.as_fd()).doing(|| format!("accept on port {port}"))?;
        if from == HOST {
            return Ok(connection);
        }
    }
}
