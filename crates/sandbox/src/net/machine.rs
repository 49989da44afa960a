//! A machine in place of a sandbox: hands the way out of a network namespace on to a guest.
//!
//! ```text
//!   gateway ── eth0 (in the sandbox's namespace, without an address now) ── tap0 ══ monitor ══ eth0 of the guest
//! ```
//!
//! The guest gets the address that the namespace had. The namespace itself only forwards: on its one side it answers for the
//! guest, on the other it is the guest's only neighbour. Whoever fences the namespace from outside sees no difference.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::gateway::{enter, set};
use super::links::{self, MAIN, Network, Via};
use super::netlink::Socket;

/// What the guest's only neighbour is called there: link-local, because nothing else can have it.
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(169, 254, 100, 1);
const INTERFACE: &str = "eth0";
const TAP: &str = "tap0";

/// Settings of the namespace: it forwards, answers for the guest at once, and lets nobody send from another address.
const SETTINGS: [(&str, &str); 6] = [
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv4/conf/all/rp_filter", "1"),
    ("net/ipv4/conf/default/rp_filter", "1"),
    ("net/ipv4/conf/eth0/proxy_arp", "1"),
    ("net/ipv4/neigh/eth0/proxy_delay", "0"),
    ("net/ipv4/conf/tap0/accept_redirects", "0"),
];

/// The host's end of a guest's interface.
#[derive(Debug)]
pub(crate) enum Tap {
    /// The interface lives as long as somebody has a descriptor of it.
    Held(OwnedFd),
    /// The interface lives as long as its namespace. Whoever is there and has `/dev/net/tun` can open it by this name, once: nobody
    /// but the monitor is.
    Named(&'static str),
}

/// A guest's interface, as its monitor and the guest are told of it.
#[derive(Debug)]
pub(crate) struct MachineLink {
    /// For the monitor.
    pub(crate) tap: Tap,
    /// The guest's address.
    pub(crate) address: Ipv4Addr,
    /// Its way to everything.
    pub(crate) neighbour: Ipv4Addr,
}

/// Turns a namespace with an interface [`INTERFACE`] and a default route into one that serves a guest. `by_name`: the monitor opens
/// the interface itself.
pub(crate) fn hand_on(netns: BorrowedFd<'_>, by_name: bool) -> io::Result<MachineLink> {
    std::thread::scope(|scope| {
        // A thread of its own: it does not come back to the host's namespace.
        let worker = scope.spawn(|| enter(netns).and_then(|()| hand_on_here(by_name)));
        worker.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
    })
}

/// A namespace in which nothing is but the host's end of a machine's interface, for a machine that talks to nobody.
pub(crate) fn lone_tap(by_name: bool) -> io::Result<(OwnedFd, Tap)> {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            // SAFETY: one thread, which ends with this and shares nothing that this changes.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
            let tap = open_tap()?;
            let netns = File::open("/proc/thread-self/ns/net")?.into();
            Ok((netns, if by_name { leave(tap)? } else { Tap::Held(tap) }))
        });
        worker.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
    })
}

fn hand_on_here(by_name: bool) -> io::Result<MachineLink> {
    let mut links = Socket::open(libc::NETLINK_ROUTE)?;
    let outer = links::index(INTERFACE)?;
    let address = links::address(INTERFACE)?;
    let gateway = links::default_gateway()?;
    let tap = open_tap()?;
    let inner = links::index(TAP)?;
    for (name, value) in SETTINGS {
        set(name, value)?;
    }
    let alone = |address| Network { address, prefix: 32 };
    // With its address the interface loses its routes.
    links::remove_address(&mut links, outer, alone(address))?;
    // Were it to ask the gateway from this address, the gateway would not answer.
    links::add_silent_address(&mut links, inner, alone(NEIGHBOUR))?;
    links::set_up(&mut links, inner)?;
    links::add_route(&mut links, MAIN, alone(address), Via::Link(inner))?;
    links::add_route(&mut links, MAIN, alone(gateway), Via::Link(outer))?;
    let everything = Network { address: Ipv4Addr::UNSPECIFIED, prefix: 0 };
    links::add_route(&mut links, MAIN, everything, Via::Gateway(outer, gateway))?;
    let tap = if by_name { leave(tap)? } else { Tap::Held(tap) };
    Ok(MachineLink { tap, address, neighbour: NEIGHBOUR })
}

/// A new interface whose packets whoever holds the descriptor reads and writes.
fn open_tap() -> io::Result<OwnedFd> {
    let file = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(TAP.bytes()) {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: a descriptor of our own, and the structure that belongs to this request.
    match unsafe { libc::ioctl(file.as_fd().as_raw_fd(), libc::TUNSETIFF as _, &raw const request) } {
        0 => Ok(file.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The interface stays when its descriptor is closed.
fn leave(tap: OwnedFd) -> io::Result<Tap> {
    // SAFETY: a descriptor of our own; the argument of this request is a number.
    match unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETPERSIST as _, 1) } {
        0 => Ok(Tap::Named(TAP)),
        _ => Err(io::Error::last_os_error()),
    }
}
