//! Netlink by hand: messages, attributes, and a socket that waits for acknowledgements. No `ip` or `nft` process is ever
//! started: each would cost more than a whole sandbox.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

const HEADER_BYTES: usize = 16;
/// How long the kernel may take for an answer; it answers within the call.
const PATIENCE_S: libc::time_t = 5;

/// A message under construction.
pub(super) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A message of `kind` with its fixed header. `NLM_F_REQUEST | NLM_F_ACK` are added to `flags`.
    pub(super) fn new(kind: u16, flags: i32, fixed: &[u8]) -> Message {
        Message::without_ack(kind, flags | libc::NLM_F_ACK, fixed)
    }

    /// The same without asking for an acknowledgement.
    pub(super) fn without_ack(kind: u16, flags: i32, fixed: &[u8]) -> Message {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        let flags = u16::try_from(flags | libc::NLM_F_REQUEST).unwrap_or(0);
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(fixed);
        Message { bytes }
    }

    /// Adds an attribute.
    pub(super) fn with(mut self, kind: u16, value: impl AsRef<[u8]>) -> Message {
        attribute(&mut self.bytes, kind, value.as_ref());
        self
    }

    /// Adds an attribute that holds attributes.
    pub(super) fn with_nested(self, kind: u16, content: Nested) -> Message {
        self.with(kind | NESTED, content.bytes)
    }

    fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

const NESTED: u16 = 1 << 15;

/// Content of a nested attribute.
#[derive(Clone, Default)]
pub(super) struct Nested {
    bytes: Vec<u8>,
}

impl Nested {
    pub(super) fn new() -> Nested {
        Nested::default()
    }

    /// Content that begins with a fixed header.
    pub(super) fn after(fixed: &[u8]) -> Nested {
        Nested { bytes: fixed.to_vec() }
    }

    pub(super) fn with(mut self, kind: u16, value: impl AsRef<[u8]>) -> Nested {
        attribute(&mut self.bytes, kind, value.as_ref());
        self
    }

    pub(super) fn with_nested(self, kind: u16, content: Nested) -> Nested {
        self.with(kind | NESTED, content.bytes)
    }
}

fn attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// A terminated string, as attributes want names.
pub(super) fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

/// A socket in the network namespace that the calling thread had when it was made.
pub(super) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// `NETLINK_ROUTE` or `NETLINK_NETFILTER`.
    pub(super) fn open(protocol: i32) -> io::Result<Socket> {
        // SAFETY: takes integers, returns a descriptor.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        rustix::net::sockopt::set_socket_timeout(
            fd.as_fd(),
            rustix::net::sockopt::Timeout::Recv,
            Some(std::time::Duration::from_secs(PATIENCE_S.unsigned_abs())),
        )?;
        Ok(Socket { fd, sequence: 0 })
    }

    /// Asks for a list; each element is given without its header, as fixed part and attributes.
    pub(super) fn dump(&mut self, kind: u16, fixed: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        self.send(vec![Message::without_ack(kind, libc::NLM_F_DUMP, fixed)])?;
        let mut list = Vec::new();
        let mut buffer = vec![0u8; 64 * 1024];
        loop {
            let n = self.receive(&mut buffer)?;
            for (kind, content) in messages(&buffer[..n]) {
                match i32::from(kind) {
                    libc::NLMSG_DONE => return Ok(list),
                    libc::NLMSG_ERROR => {
                        return Err(error_of(content).unwrap_or_else(|| io::ErrorKind::InvalidData.into()));
                    }
                    _ => list.push(content.to_vec()),
                }
            }
        }
    }

    /// Sends one message and waits for its acknowledgement.
    pub(super) fn request(&mut self, message: Message) -> io::Result<()> {
        self.requests(vec![message], 1)
    }

    /// Sends messages in one piece; waits for `acks` acknowledgements or the first error.
    pub(super) fn requests(&mut self, messages: Vec<Message>, acks: usize) -> io::Result<()> {
        self.send(messages)?;
        let mut acknowledged = 0;
        let mut buffer = vec![0u8; 16 * 1024];
        while acknowledged < acks {
            let n = self.receive(&mut buffer)?;
            for (_, content) in self::messages(&buffer[..n]).filter(|(kind, _)| i32::from(*kind) == libc::NLMSG_ERROR) {
                match error_of(content) {
                    None => acknowledged += 1,
                    Some(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, messages: Vec<Message>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for message in messages {
            self.sequence += 1;
            bytes.extend(message.finish(self.sequence));
        }
        // SAFETY: the buffer is readable for its length.
        let sent = unsafe { libc::send(self.fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: the buffer is writable for its length.
        let n = unsafe { libc::recv(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        usize::try_from(n).map_err(|_| io::Error::last_os_error())
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + size_of::<u32>())?.try_into().ok()?))
}

/// The error that a message reports; `None` for an acknowledgement.
fn error_of(content: &[u8]) -> Option<io::Error> {
    let code = word(content, 0).map_or(-libc::EIO, u32::cast_signed);
    (code != 0).then(|| io::Error::from_raw_os_error(-code))
}

/// The messages of a datagram: kind and content.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = word(bytes, 0)? as usize;
        let content = bytes.get(HEADER_BYTES..length)?;
        let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, content))
    })
}

/// The attributes of a message: kind and value.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(0..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?) & !NESTED;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}
