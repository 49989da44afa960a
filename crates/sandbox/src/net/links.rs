//! Interfaces, addresses, routes and rules: the few calls of rtnetlink that a gateway needs. Each acts in the network
//! namespace in which its [`Socket`] was opened.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::netlink::{Message, Nested, Socket, text};

const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_TABLE: u16 = 15;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_TABLE: u16 = 15;
const FR_ACT_TO_TBL: u8 = 1;
const RTPROT_STATIC: u8 = 4;
const FAMILY: u8 = libc::AF_INET as u8;
const CREATE: i32 = libc::NLM_F_CREATE | libc::NLM_F_EXCL;

/// The main routing table.
pub(super) const MAIN: u32 = 254;

/// A network: address and length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) address: Ipv4Addr,
    pub(super) prefix: u8,
}

impl Network {
    /// The bits that all its addresses share.
    pub(super) fn mask(self) -> u32 {
        if self.prefix == 0 { 0 } else { u32::MAX << (32 - self.prefix.min(32)) }
    }

    /// Whether both have an address in common.
    pub(super) fn overlaps(self, other: Network) -> bool {
        let mask = self.mask() & other.mask();
        self.address.to_bits() & mask == other.address.to_bits() & mask
    }

    /// `a.b.c.d/n`.
    pub(super) fn parse(text: &str) -> Option<Network> {
        let (address, prefix) = text.split_once('/')?;
        let prefix = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
        Some(Network { address: address.parse().ok()?, prefix })
    }
}

/// Number of an interface in the calling thread's network namespace.
pub(super) fn index(name: &str) -> io::Result<u32> {
    let name = std::ffi::CString::new(name)?;
    // SAFETY: a terminated string.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

fn link_header(index: u32, flags: i32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&flags.to_ne_bytes());
    header
}

/// Makes a pair of interfaces: `name` here, `peer` in another namespace.
pub(super) fn add_pair(socket: &mut Socket, name: &str, peer: &str, peer_netns: BorrowedFd<'_>) -> io::Result<()> {
    let netns = peer_netns.as_raw_fd().to_ne_bytes();
    let peer = Nested::after(&link_header(0, 0)).with(IFLA_IFNAME, text(peer)).with(IFLA_NET_NS_FD, netns);
    let data = Nested::new().with_nested(VETH_INFO_PEER, peer);
    let info = Nested::new().with(IFLA_INFO_KIND, "veth").with_nested(IFLA_INFO_DATA, data);
    let message = Message::new(libc::RTM_NEWLINK, CREATE, &link_header(0, 0));
    socket.request(message.with(IFLA_IFNAME, text(name)).with_nested(IFLA_LINKINFO, info))
}

/// Switches an interface on.
pub(super) fn set_up(socket: &mut Socket, index: u32) -> io::Result<()> {
    socket.request(Message::new(libc::RTM_NEWLINK, 0, &link_header(index, libc::IFF_UP)))
}

/// Removes an interface, and its peer with it.
pub(super) fn delete(socket: &mut Socket, index: u32) -> io::Result<()> {
    socket.request(Message::new(libc::RTM_DELLINK, 0, &link_header(index, 0)))
}

/// Gives an interface an address.
pub(super) fn add_address(socket: &mut Socket, index: u32, network: Network) -> io::Result<()> {
    add_address_of(socket, index, network, libc::RT_SCOPE_UNIVERSE)
}

/// The same, but the kernel never sends from it by itself.
pub(super) fn add_silent_address(socket: &mut Socket, index: u32, network: Network) -> io::Result<()> {
    add_address_of(socket, index, network, libc::RT_SCOPE_HOST)
}

fn add_address_of(socket: &mut Socket, index: u32, network: Network, scope: u8) -> io::Result<()> {
    let mut header = [FAMILY, network.prefix, 0, scope, 0, 0, 0, 0];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    let address = network.address.octets();
    let message = Message::new(libc::RTM_NEWADDR, CREATE, &header);
    socket.request(message.with(IFA_LOCAL, address).with(IFA_ADDRESS, address))
}

/// Takes an address from an interface.
pub(super) fn remove_address(socket: &mut Socket, index: u32, network: Network) -> io::Result<()> {
    let mut header = [FAMILY, network.prefix, 0, 0, 0, 0, 0, 0];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    socket.request(Message::new(libc::RTM_DELADDR, 0, &header).with(IFA_LOCAL, network.address.octets()))
}

/// The address of an interface of the calling thread's network namespace.
pub(super) fn address(name: &str) -> io::Result<Ipv4Addr> {
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: an open socket, and the structure that belongs to this request.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFADDR as _, &raw mut request) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has filled in an address of the internet's kind.
    let address = unsafe { (&raw const request.ifr_ifru.ifru_addr).cast::<libc::sockaddr_in>().read_unaligned() };
    Ok(Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes()))
}

/// The gateway of the default route of the calling thread's network namespace.
pub(super) fn default_gateway() -> io::Result<Ipv4Addr> {
    let table = std::fs::read_to_string("/proc/thread-self/net/route")?;
    let gateway = table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let (to, gateway) = (fields.get(1)?, fields.get(2)?);
        let gateway = u32::from_str_radix(gateway, 16).ok().filter(|gateway| *to == "00000000" && *gateway != 0)?;
        Some(Ipv4Addr::from(gateway.to_ne_bytes()))
    });
    gateway.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no default route"))
}

/// Where packets to a network go.
#[derive(Clone, Copy)]
pub(super) enum Via {
    /// Straight out of this interface.
    Link(u32),
    /// To a neighbour behind this interface.
    Gateway(u32, Ipv4Addr),
    /// Nowhere: the sender is told at once that it is forbidden.
    Prohibit,
}

/// Adds a route; `EEXIST` where there is one.
pub(super) fn add_route(socket: &mut Socket, table: u32, to: Network, via: Via) -> io::Result<()> {
    let (scope, kind) = match via {
        Via::Link(_) => (libc::RT_SCOPE_LINK, libc::RTN_UNICAST),
        Via::Gateway(..) => (libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST),
        Via::Prohibit => (libc::RT_SCOPE_UNIVERSE, libc::RTN_PROHIBIT),
    };
    let header = [FAMILY, to.prefix, 0, 0, 0, RTPROT_STATIC, scope, kind, 0, 0, 0, 0];
    let mut message = Message::new(libc::RTM_NEWROUTE, CREATE, &header).with(RTA_TABLE, table.to_ne_bytes());
    if to.prefix > 0 {
        message = message.with(RTA_DST, to.address.octets());
    }
    socket.request(match via {
        Via::Link(index) => message.with(RTA_OIF, index.to_ne_bytes()),
        Via::Gateway(index, gateway) => message.with(RTA_OIF, index.to_ne_bytes()).with(RTA_GATEWAY, gateway.octets()),
        Via::Prohibit => message,
    })
}

/// Which packets a rule is about.
#[derive(Clone, Copy)]
pub(super) enum Matching<'a> {
    /// All.
    All,
    /// Those that came in here; `lo` for those that were made here.
    From(&'a str),
}

/// Adds a rule: packets look into `table`. Lower priorities first.
pub(super) fn add_rule(socket: &mut Socket, priority: u32, matching: Matching<'_>, table: u32) -> io::Result<()> {
    let header = [FAMILY, 0, 0, 0, 0, 0, 0, FR_ACT_TO_TBL, 0, 0, 0, 0];
    let message = Message::new(libc::RTM_NEWRULE, CREATE, &header)
        .with(FRA_PRIORITY, priority.to_ne_bytes())
        .with(FRA_TABLE, table.to_ne_bytes());
    socket.request(match matching {
        Matching::All => message,
        Matching::From(interface) => message.with(FRA_IIFNAME, text(interface)),
    })
}

/// Networks that the calling thread's namespace has routes to, except the default.
pub(super) fn routed() -> io::Result<Vec<Network>> {
    let table = std::fs::read_to_string("/proc/thread-self/net/route")?;
    Ok(table.lines().skip(1).filter_map(routed_line).filter(|network| network.prefix > 0).collect())
}

fn routed_line(line: &str) -> Option<Network> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let number = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::from_be);
    let address = number(fields.next()?)?;
    let mask = number(fields.nth(5)?)?;
    Some(Network { address: Ipv4Addr::from_bits(address), prefix: u8::try_from(mask.count_ones()).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_overlap_where_they_share_addresses() {
        let check = |a: &str, b: &str, expect: bool| {
            let (a, b) = (Network::parse(a).unwrap(), Network::parse(b).unwrap());
            assert_eq!((a.overlaps(b), b.overlaps(a)), (expect, expect), "{a:?} {b:?}");
        };
        check("10.0.0.0/8", "10.1.2.0/24", true);
        check("10.0.0.0/8", "11.0.0.0/8", false);
        check("0.0.0.0/0", "1.2.3.4/32", true);
        check("198.18.4.0/22", "198.18.8.0/22", false);
        assert_eq!(Network::parse("1.2.3.4"), None);
        assert_eq!(Network::parse("1.2.3.4/33"), None);
    }

    #[test]
    fn reads_the_kernels_table_of_routes() {
        let line = "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0";
        assert_eq!(routed_line(line), Network::parse("192.168.0.0/16"));
        assert_eq!(routed_line("rubbish"), None);
    }
}
