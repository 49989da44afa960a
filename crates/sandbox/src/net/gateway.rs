//! The gateway: one thread that lives in a network namespace of its own, enforces the policy there by its routing, and makes
//! the namespaces of sandboxes ahead.
//!
//! ```text
//!   sandbox eth0 198.18.x.4/32 ---- s4 \
//!   sandbox eth0 198.18.x.5/32 ---- s5  > gateway ---- uplink 198.18.x.2 ---- cofferdamN 198.18.x.1, host ---- the world
//!                                      /
//! ```
//! What comes in from a sandbox meets the firewall's table, which refuses at once, and then looks only into the routing table
//! [`EGRESS`], in which the same networks are prohibited once more; the rest goes to the host. What comes from the host looks into the main table, which knows the sandboxes. Strict reverse path
//! checks against that table drop forged senders. Namespaces and interfaces are held by descriptors only, so that nothing is
//! left when the process dies.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::error::{EgressError, step};
use super::links::{self, MAIN, Matching, Network, Via};
use super::netlink::Socket;
use super::{Block, SandboxNetns, firewall};

/// Routing table of what comes from sandboxes.
const EGRESS: u32 = 100;
/// Ports of name service: only our forwarder answers them.
const NAME_SERVICE: [(i32, u16); 4] =
    [(libc::IPPROTO_UDP, 53), (libc::IPPROTO_TCP, 53), (libc::IPPROTO_TCP, 853), (libc::IPPROTO_UDP, 853)];
const REFUSED: &str = include_str!("../../data/egress-refused.txt");

/// Settings of the gateway's namespace.
const SETTINGS: [(&str, &str); 10] = [
    ("net/ipv4/conf/all/rp_filter", "1"),
    ("net/ipv4/conf/default/rp_filter", "1"),
    ("net/ipv4/conf/all/send_redirects", "0"),
    ("net/ipv4/conf/default/send_redirects", "0"),
    ("net/ipv4/conf/all/accept_redirects", "0"),
    ("net/ipv4/conf/all/accept_source_route", "0"),
    // A refusal must be told each time: whoever waits for a timeout wastes a build's time.
    ("net/ipv4/icmp_ratelimit", "0"),
    ("net/ipv6/conf/all/disable_ipv6", "1"),
    ("net/ipv6/conf/default/disable_ipv6", "1"),
    ("net/ipv4/ip_forward", "1"),
];

/// The networks that no sandbox reaches.
pub(super) fn refused() -> impl Iterator<Item = Network> {
    let lines = REFUSED.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).filter_map(Network::parse)
}

/// Puts the calling thread into a new network namespace and returns it.
pub(super) fn enter_new() -> io::Result<OwnedFd> {
    // SAFETY: only the network namespace is unshared, which changes no memory or descriptor of this thread.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
    current()
}

/// The calling thread's network namespace.
pub(super) fn current() -> io::Result<OwnedFd> {
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}

/// Moves the calling thread.
pub(super) fn enter(netns: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::thread::move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))?)
}

/// Writes a setting of the calling thread's namespace; one that this kernel does not have is fine.
pub(super) fn set(name: &str, value: &str) -> io::Result<()> {
    match std::fs::write(format!("/proc/sys/{name}"), value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// The gateway's thread.
pub(super) struct Gateway {
    netns: OwnedFd,
    links: Socket,
    block: Block,
    next: u32,
}

impl Gateway {
    /// Sets up the namespace that the calling thread is in, after its uplink was put there.
    pub(super) fn set_up(netns: OwnedFd, block: Block) -> Result<Gateway, EgressError> {
        let mut links = Socket::open(libc::NETLINK_ROUTE).map_err(step("open a socket in the gateway"))?;
        for (name, value) in SETTINGS {
            set(name, value).map_err(step("set up the gateway"))?;
        }
        let configure = |links: &mut Socket| -> io::Result<u32> {
            links::set_up(links, links::index("lo")?)?;
            let uplink = links::index("uplink")?;
            links::add_address(links, uplink, Network { address: block.gateway(), prefix: 30 })?;
            links::set_up(links, uplink)?;
            let everything = Network { address: Ipv4Addr::UNSPECIFIED, prefix: 0 };
            links::add_route(links, MAIN, everything, Via::Gateway(uplink, block.host()))?;
            links::add_route(links, EGRESS, everything, Via::Gateway(uplink, block.host()))?;
            for network in refused() {
                links::add_route(links, EGRESS, network, Via::Prohibit)?;
            }
            links::add_rule(links, 100, Matching::From("uplink"), MAIN)?;
            links::add_rule(links, 101, Matching::From("lo"), MAIN)?;
            links::add_rule(links, 102, Matching::All, EGRESS)?;
            Ok(uplink)
        };
        let uplink = configure(&mut links).map_err(step("set up the gateway's routes"))?;
        let mut firewall = Socket::open(libc::NETLINK_NETFILTER).map_err(step("open a netfilter socket"))?;
        firewall::install_gateway(&mut firewall, uplink, block.gateway(), refused(), &NAME_SERVICE)
            .map_err(step("install the gateway's table"))?;
        Ok(Gateway { netns, links, block, next: 0 })
    }

    /// Sockets for name service, on the address that sandboxes are told.
    pub(super) fn name_service(&self) -> Result<(UdpSocket, TcpListener), EgressError> {
        let address = (self.block.gateway(), 53);
        let udp = UdpSocket::bind(address).map_err(step("listen for name service"))?;
        let tcp = TcpListener::bind(address).map_err(step("listen for name service"))?;
        udp.set_nonblocking(true).and_then(|()| tcp.set_nonblocking(true)).map_err(step("listen for name service"))?;
        Ok((udp, tcp))
    }

    /// Makes namespaces until nobody takes them any more. The channel is the pool: nothing is made before it has room.
    pub(super) fn serve(mut self, pool: &mpsc::Sender<Result<SandboxNetns, EgressError>>, runtime: &Handle) {
        while let Ok(place) = runtime.block_on(pool.reserve()) {
            let made = self.make().map_err(step("make a network namespace"));
            let failed = made.is_err();
            place.send(made);
            if failed && enter(self.netns.as_fd()).is_err() {
                // In the wrong namespace nothing may be made.
                return;
            }
        }
    }

    fn make(&mut self) -> io::Result<SandboxNetns> {
        for _ in 0..Block::SANDBOXES {
            let number = self.next;
            self.next = (self.next + 1) % Block::SANDBOXES;
            match self.make_numbered(number) {
                // Its last user is not quite gone.
                Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
                result => return result,
            }
        }
        Err(io::Error::from_raw_os_error(libc::EADDRNOTAVAIL))
    }

    fn make_numbered(&mut self, number: u32) -> io::Result<SandboxNetns> {
        let address = self.block.sandbox(number);
        let outer = format!("s{number}");
        if links::index(&outer).is_ok() {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        let netns = enter_new()?;
        let inside = self.set_up_inside(address, &outer);
        enter(self.netns.as_fd())?;
        inside?;
        let index = links::index(&outer)?;
        links::set_up(&mut self.links, index)?;
        links::add_route(&mut self.links, MAIN, Network { address, prefix: 32 }, Via::Link(index))?;
        let gateway = self.block.gateway();
        Ok(SandboxNetns { netns, address, resolv_conf: format!("nameserver {gateway}\n") })
    }

    /// In the sandbox's namespace: loopback and one interface, whose only neighbour is the gateway.
    fn set_up_inside(&self, address: Ipv4Addr, outer: &str) -> io::Result<()> {
        set("net/ipv6/conf/all/disable_ipv6", "1")?;
        set("net/ipv6/conf/default/disable_ipv6", "1")?;
        // No workload has the power of root to listen where root does; what listens is reached from this namespace alone.
        set("net/ipv4/ip_unprivileged_port_start", "0")?;
        let mut links = Socket::open(libc::NETLINK_ROUTE)?;
        links::set_up(&mut links, links::index("lo")?)?;
        links::add_pair(&mut links, "eth0", outer, self.netns.as_fd())?;
        let index = links::index("eth0")?;
        links::add_address(&mut links, index, Network { address, prefix: 32 })?;
        links::set_up(&mut links, index)?;
        let gateway = self.block.gateway();
        links::add_route(&mut links, MAIN, Network { address: gateway, prefix: 32 }, Via::Link(index))?;
        let everything = Network { address: Ipv4Addr::UNSPECIFIED, prefix: 0 };
        links::add_route(&mut links, MAIN, everything, Via::Gateway(index, gateway))
    }
}
