//! Hears every frame that comes into a network namespace.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// Room for all that a test sends, so that nothing is missed; it is only taken when it is needed.
const ROOM: libc::c_int = 256 << 20;
const LONGEST: usize = 128 << 10;

pub(super) struct Ear {
    socket: OwnedFd,
}

/// A frame of Ethernet.
pub(super) struct Frame(Vec<u8>);

impl Frame {
    pub(super) fn says(&self, word: &str) -> bool {
        self.0.windows(word.len()).any(|window| window == word.as_bytes())
    }

    fn kind(&self) -> Option<u16> {
        Some(u16::from_be_bytes(self.0.get(12..14)?.try_into().ok()?))
    }

    /// Who has sent it, of IPv4.
    pub(super) fn sender(&self) -> Option<Ipv4Addr> {
        let address: [u8; 4] = self.0.get(26..30)?.try_into().ok()?;
        (self.kind()? == 0x0800).then(|| address.into())
    }

    /// What every network is full of, and no other kind: IPv4 and the question who has an address.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.kind(), Some(0x0800 | 0x0806))
    }
}

impl Ear {
    /// Of the calling thread's network, from now on.
    pub(super) fn new() -> Ear {
        let all = i32::from((libc::ETH_P_ALL as u16).to_be());
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: a plain system call; what it returns is owned from here on, once it is known to be a descriptor.
        let socket = unsafe { libc::socket(libc::AF_PACKET, kind, all) };
        assert!(socket >= 0, "{}", io::Error::last_os_error());
        // SAFETY: as above.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let most = ROOM;
        let (room, bytes) = (&raw const most, size_of_val(&most) as libc::socklen_t);
        // SAFETY: an open socket, and a number with its size.
        let set =
            unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, room.cast(), bytes) };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
        Ear { socket }
    }

    /// What has come in since it was asked last; that was all.
    pub(super) fn heard(&self) -> Vec<Frame> {
        let (mut frames, mut room) = (Vec::new(), vec![0; LONGEST]);
        while let Some((bytes, is_outgoing)) = self.next(&mut room) {
            if !is_outgoing {
                frames.push(Frame(room[..bytes].to_vec()));
            }
        }
        assert_eq!(self.missed(), 0, "frames were missed");
        frames
    }

    /// Length of the next frame, and whether it went the other way.
    fn next(&self, room: &mut [u8]) -> Option<(usize, bool)> {
        // SAFETY: all-zero is a valid address of this kind.
        let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        let mut bytes = size_of_val(&from) as libc::socklen_t;
        let (to, most) = (room.as_mut_ptr().cast(), room.len());
        // SAFETY: an open socket; a buffer and an address with their sizes.
        let count =
            unsafe { libc::recvfrom(self.socket.as_raw_fd(), to, most, 0, (&raw mut from).cast(), &raw mut bytes) };
        Some((usize::try_from(count).ok()?, from.sll_pkttype == libc::PACKET_OUTGOING))
    }

    fn missed(&self) -> u32 {
        // Frames, and those that had no room. Source: packet(7), `PACKET_STATISTICS`.
        let mut counts = [0_u32; 2];
        let mut bytes = size_of_val(&counts) as libc::socklen_t;
        let (socket, level, name) = (self.socket.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS);
        // SAFETY: an open socket, and room with its size.
        let asked = unsafe { libc::getsockopt(socket, level, name, counts.as_mut_ptr().cast(), &raw mut bytes) };
        assert_eq!(asked, 0, "{}", io::Error::last_os_error());
        counts[1]
    }
}
