//! The stream to the host: frames in and out, without ever waiting.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use wire::frame::{self, Decoder};
use wire::init::{Command, Event};

use crate::sys;

/// Output of processes is not read while more than this waits to be sent.
const DATA_BACKLOG_BYTES: usize = 256 * 1024;
/// Commands are not read while more than this waits to be sent.
const COMMAND_BACKLOG_BYTES: usize = 1024 * 1024;

/// The host.
pub(crate) struct Peer {
    stream: OwnedFd,
    decoder: Decoder,
    out: Vec<u8>,
    sent: usize,
}

/// The host is gone or talks nonsense; there is nothing left to do.
#[derive(Debug)]
pub(crate) struct Lost;

impl Peer {
    pub(crate) fn new(stream: OwnedFd) -> io::Result<Peer> {
        sys::set_close_on_exec(&stream)?;
        sys::set_nonblocking(&stream)?;
        Ok(Peer { stream, decoder: Decoder::new(), out: Vec::new(), sent: 0 })
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    fn backlog(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Whether data of processes may be added.
    pub(crate) fn has_room(&self) -> bool {
        self.backlog() < DATA_BACKLOG_BYTES
    }

    /// What to poll the stream for.
    pub(crate) fn interest(&self) -> libc::c_short {
        let read = if self.backlog() < COMMAND_BACKLOG_BYTES { libc::POLLIN } else { 0 };
        let write = if self.backlog() > 0 { libc::POLLOUT } else { 0 };
        read | write
    }

    /// Queues an event and sends what the stream takes.
    pub(crate) fn send(&mut self, event: &Event) -> Result<(), Lost> {
        frame::encode(event, &mut self.out).map_err(|_| Lost)?;
        self.flush()
    }

    /// Sends what the stream takes.
    pub(crate) fn flush(&mut self) -> Result<(), Lost> {
        while self.backlog() > 0 {
            match sys::write(&self.stream, &self.out[self.sent..]) {
                Ok(Some(n)) => self.sent += n,
                Ok(None) => break,
                Err(_) => return Err(Lost),
            }
        }
        if self.backlog() == 0 {
            self.out.clear();
            self.out.shrink_to(DATA_BACKLOG_BYTES / 4);
            self.sent = 0;
        } else if self.sent > DATA_BACKLOG_BYTES {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
        Ok(())
    }

    /// Reads once.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Lost> {
        match sys::read(&self.stream, buffer) {
            Ok(Some(0)) | Err(_) => Err(Lost),
            Ok(Some(n)) => {
                self.decoder.push(&buffer[..n]);
                Ok(())
            }
            Ok(None) => Ok(()),
        }
    }

    /// The next command that has come whole.
    pub(crate) fn command(&mut self) -> Result<Option<Command>, Lost> {
        self.decoder.message().map_err(|_| Lost)
    }
}
