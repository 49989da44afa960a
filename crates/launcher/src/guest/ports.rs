//! The guest's two ways to the host: control, and the stream of its sandbox.
//!
//! ```text
//!   QEMU          a serial device with two ports, found by their names
//!   the others    two ports of vsock, listened on by number; the host connects to each once
//! ```
//!
//! Over vsock both connections stand before the first word is said, and nobody listens any more when a workload starts.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};

use super::{CONTROL, CONTROL_PORT, STREAM, STREAM_PORT, VSOCK, boot};
use crate::fault::{Doing, Result};
use crate::protocol::Fault;
use crate::sys;

/// How long the ports may take to appear, and the host to come.
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
    let listen = |port| sys::listen_vsock(port).doing(|| format!("listen on port {port} of vsock"));
    let (control, stream) = (listen(CONTROL_PORT)?, listen(STREAM_PORT)?);
    Ok((accept(&control, CONTROL_PORT)?, Stream::Connected(Some(accept(&stream, STREAM_PORT)?))))
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
fn accept(listener: &OwnedFd, port: u32) -> Result<OwnedFd> {
    let until = Instant::now() + PATIENCE;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        let came = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&timeout));
        if came.doing(|| "wait for the host".into())? == 0 {
            return Err(Fault::spec(format!("nobody came to port {port}")));
        }
        let (connection, from) = sys::accept_vsock(listener.as_fd()).doing(|| format!("accept on port {port}"))?;
        if from == HOST {
            return Ok(connection);
        }
    }
}
