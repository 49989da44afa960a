//! The stream to the host: frames in and out, without ever waiting.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use wire::frame::{self, Decoder};
use wire::init::{Command, Event};

use crate::{Stream, sys};

/// Output of processes is not read while more than this waits to be sent.
const DATA_BACKLOG_BYTES: usize = 256 * 1024;
/// Commands are not read while more than this waits to be sent.
const COMMAND_BACKLOG_BYTES: usize = 1024 * 1024;

/// The host.
pub(crate) struct Peer {
    input: OwnedFd,
    /// Where it is another than `input`.
    output: Option<OwnedFd>,
    decoder: Decoder,
    out: Vec<u8>,
    sent: usize,
}

/// The host is gone or talks nonsense; there is nothing left to do.
#[derive(Debug)]
pub(crate) struct Lost;

impl Peer {
    pub(crate) fn new(stream: Stream) -> io::Result<Peer> {
        let (input, output) = match stream {
            Stream::Both(stream) => (stream, None),
            Stream::Pair { input, output } => (input, Some(output)),
        };
        for fd in [Some(&input), output.as_ref()].into_iter().flatten() {
            sys::set_close_on_exec(fd)?;
            sys::set_nonblocking(fd)?;
        }
        Ok(Peer { input, output, decoder: Decoder::new(), out: Vec::new(), sent: 0 })
    }

    fn output(&self) -> &OwnedFd {
        self.output.as_ref().unwrap_or(&self.input)
    }

    fn backlog(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Whether data of processes may be added.
    pub(crate) fn has_room(&self) -> bool {
        self.backlog() < DATA_BACKLOG_BYTES
    }

    /// What to poll for what.
    pub(crate) fn interests(&self, mut add: impl FnMut(RawFd, libc::c_short)) {
        let read = if self.backlog() < COMMAND_BACKLOG_BYTES { libc::POLLIN } else { 0 };
        let write = if self.backlog() > 0 { libc::POLLOUT } else { 0 };
        match &self.output {
            None => add(self.input.as_raw_fd(), read | write),
            Some(output) => {
                add(self.input.as_raw_fd(), read);
                // Where nothing is to be written, its end is told all the same.
                add(output.as_raw_fd(), write);
            }
        }
    }

    /// Whether an event of this descriptor says that nobody listens any more.
    pub(crate) fn is_deaf(&self, fd: RawFd, events: libc::c_short) -> bool {
        let output = self.output.as_ref().is_some_and(|output| output.as_raw_fd() == fd);
        output && events & (libc::POLLERR | libc::POLLHUP) != 0
    }

    /// Queues an event and sends what the stream takes.
    pub(crate) fn send(&mut self, event: &Event) -> Result<(), Lost> {
        frame::encode(event, &mut self.out).map_err(|_| Lost)?;
        self.flush()
    }

    /// Sends what the stream takes.
    pub(crate) fn flush(&mut self) -> Result<(), Lost> {
        while self.backlog() > 0 {
            match sys::write(self.output(), &self.out[self.sent..]) {
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
        match sys::read(&self.input, buffer) {
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
