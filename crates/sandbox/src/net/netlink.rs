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

    /// Sends one message and waits for its acknowledgement.
    pub(super) fn request(&mut self, message: Message) -> io::Result<()> {
        self.requests(vec![message], 1)
    }

    /// Sends messages in one piece; waits for `acks` acknowledgements or the first error.
    pub(super) fn requests(&mut self, messages: Vec<Message>, acks: usize) -> io::Result<()> {
        let mut bytes = Vec::new();
        for message in messages {
            self.sequence += 1;
            bytes.extend(message.finish(self.sequence));
        }
        // SAFETY: the buffer is readable for its length.
        let sent = unsafe { libc::send(self.fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut acknowledged = 0;
        let mut buffer = [0u8; 16 * 1024];
        while acknowledged < acks {
            // SAFETY: the buffer is writable for its length.
            let n = unsafe { libc::recv(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            let n = usize::try_from(n).map_err(|_| io::Error::last_os_error())?;
            acknowledged += count_acks(&buffer[..n])?;
        }
        Ok(())
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + size_of::<u32>())?.try_into().ok()?))
}

/// How many acknowledgements a datagram holds; an error if it reports one.
fn count_acks(mut bytes: &[u8]) -> io::Result<usize> {
    let mut acks = 0;
    while let Some(length) = word(bytes, 0) {
        let length = length as usize;
        if length < HEADER_BYTES || length > bytes.len() {
            break;
        }
        let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
        if i32::from(kind) == libc::NLMSG_ERROR {
            match word(bytes, HEADER_BYTES).map(u32::cast_signed) {
                Some(0) => acks += 1,
                Some(code) => return Err(io::Error::from_raw_os_error(-code)),
                None => break,
            }
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(acks)
}
