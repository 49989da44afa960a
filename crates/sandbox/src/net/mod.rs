//! Network for sandboxes: the internet yes; private networks, metadata services, the host and the neighbours no. All of it is
//! decided outside of the sandbox, in a namespace that no workload can touch.
//!
//! Never: an `ip` or `nft` process, a bridge, a name that outlives the process, an address that a sandbox could choose. The
//! only thing that stays on the host after a kill is its `ip_forward` setting, until the next run or `cofferdam clean`.
//!
//! Start reading at [`EgressOnDemand`] and [`Egress`]; `gateway` is where the policy stands.

mod error;
mod firewall;
pub mod forwarding;
mod gateway;
mod links;
pub(crate) mod machine;
mod names;
mod netlink;
mod on_demand;
#[cfg(test)]
mod real;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::AbortHandle;

pub use error::EgressError;
use error::step;
use firewall::Fence;
use gateway::Gateway;
use links::{MAIN, Network, Via};
use netlink::Socket;
pub use on_demand::{EgressOnDemand, available, obstacles};

/// Connections of all sandboxes of a process at once. A host tracks 65,536 and more; but the kernel walks a list for each new
/// one, and four times as many would cost a millisecond each.
const MAX_CONNECTIONS: u32 = 4096;

/// A network namespace that is ready for a sandbox. It lives as long as its descriptor or a process in it.
#[derive(Debug)]
pub struct SandboxNetns {
    /// The namespace.
    pub netns: OwnedFd,
    /// The sandbox's address in it.
    pub address: Ipv4Addr,
    /// What belongs into the sandbox's `/etc/resolv.conf`.
    pub resolv_conf: String,
}

/// The way out for the sandboxes of this process. Dropping it closes the way; so does the end of the process.
pub struct Egress {
    pool: Option<Mutex<mpsc::Receiver<Result<SandboxNetns, EgressError>>>>,
    maker: Option<JoinHandle<()>>,
    names: AbortHandle,
    links: Socket,
    uplink: u32,
    /// The host forwarded no packets before us.
    was_no_router: bool,
    /// The number of connections has a limit.
    bounded: bool,
    /// Holds the table of the firewall.
    firewall: Option<Socket>,
}

/// A block of addresses for one process: 198.18.0.0/15 is set aside for benchmarks and used by nobody's network.
#[derive(Clone, Copy)]
struct Block {
    number: u32,
}

impl Block {
    const PREFIX: u8 = 22;
    const COUNT: u32 = 128;
    const RESERVED: u32 = 4;
    /// How many sandboxes have room in one.
    const SANDBOXES: u32 = (1 << (32 - Block::PREFIX as u32)) - Block::RESERVED - 1;

    fn at(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() + (self.number << (32 - Block::PREFIX)) + offset)
    }

    fn network(self) -> Network {
        Network { address: self.at(0), prefix: Block::PREFIX }
    }

    fn host(self) -> Ipv4Addr {
        self.at(1)
    }

    fn gateway(self) -> Ipv4Addr {
        self.at(2)
    }

    fn sandbox(self, number: u32) -> Ipv4Addr {
        self.at(Block::RESERVED + number % Block::SANDBOXES)
    }

    fn interface(self) -> String {
        format!("cofferdam{}", self.number)
    }
}

impl Egress {
    /// Makes the gateway in the network namespace of the calling thread, which is the host's. Within a tokio runtime.
    /// `resolvers` are those that answer names; empty for those of `/etc/resolv.conf`. `ahead` namespaces (at least one) are
    /// made before anybody asks; one costs some 2 ms of a core, so a single run wants one and a build host a burst's worth.
    pub fn start(mut resolvers: Vec<SocketAddr>, ahead: usize) -> Result<Egress, EgressError> {
        if resolvers.is_empty() {
            resolvers = names::resolvers(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
        }
        if resolvers.is_empty() {
            return Err(EgressError::NoResolver);
        }
        let mut links = Socket::open(libc::NETLINK_ROUTE).map_err(step("open a netlink socket"))?;
        let (sender, pool) = mpsc::channel(ahead.max(1));
        let (made, gateway) = std::sync::mpsc::channel();
        let (go, wait) = oneshot::channel::<Block>();
        let (ready, report) = std::sync::mpsc::channel();
        let runtime = Handle::current();
        let maker = std::thread::Builder::new().name("egress".into());
        let maker = maker
            .spawn(move || live_in_gateway(&made, wait, &ready, &sender, &runtime))
            .map_err(step("start a thread"))?;
        let ended = |_| EgressError::Ended("its thread ended early".into());
        let netns = gateway.recv().map_err(ended)??;
        let (block, uplink) = add_uplink(&mut links, &netns)?;
        let was_no_router = forwarding::is_or_was_off().map_err(step("read whether the host forwards packets"))?;
        let name = block.interface();
        let mut firewall = Socket::open(libc::NETLINK_NETFILTER).map_err(step("open a netfilter socket"))?;
        let fence = Fence { table: &name, uplink, network: block.network(), was_no_router };
        // A connection that is refused room is dropped and tried again; see the function for why it may fail.
        let limits_connections =
            |firewall: &mut Socket| firewall::limit_connections(firewall, &name, uplink, MAX_CONNECTIONS).is_ok();
        let finish = firewall::install(&mut firewall, &fence)
            .map_err(step("install the firewall's table"))
            .and_then(|()| {
                // Only now: the table refuses what is not ours.
                forwarding::switch_on().map_err(step("switch forwarding on"))?;
                go.send(block).map_err(|_| EgressError::Ended("its thread ended early".into()))?;
                report.recv().map_err(ended)?
            })
            .and_then(|(udp, tcp)| {
                let udp = tokio::net::UdpSocket::from_std(udp).map_err(step("serve names"))?;
                let tcp = tokio::net::TcpListener::from_std(tcp).map_err(step("serve names"))?;
                Ok(tokio::spawn(names::forward(udp, tcp, resolvers)).abort_handle())
            });
        let names = finish.inspect_err(|_| {
            // Without its namespace nobody could use it, but it should not wait for that to be noticed.
            let _ = links::delete(&mut links, uplink);
        })?;
        let bounded = limits_connections(&mut firewall);
        let pool = Some(Mutex::new(pool));
        Ok(Egress { bounded, pool, maker: Some(maker), names, links, uplink, was_no_router, firewall: Some(firewall) })
    }

    /// A namespace for one sandbox, usually made ahead.
    pub async fn netns(&self) -> Result<SandboxNetns, EgressError> {
        let gone = || EgressError::Ended("it was closed".into());
        let pool = self.pool.as_ref().ok_or_else(gone)?;
        pool.lock().await.recv().await.ok_or_else(gone)?
    }

    /// The number of connections at once is limited; not every kernel can. For `doctor`.
    pub fn limits_connections(&self) -> bool {
        self.bounded
    }

    /// Forwarding was switched on in the host for this; for `doctor`.
    pub fn switched_forwarding_on(&self) -> bool {
        self.was_no_router
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        self.names.abort();
        self.pool = None;
        let (firewall, links, uplink) = (self.firewall.take(), &mut self.links, self.uplink);
        std::thread::scope(|scope| {
            // Each waits for all processors, some tens of milliseconds, so they do it together.
            scope.spawn(|| drop(firewall));
            // Gone already if the namespace is.
            let _ = links::delete(links, uplink);
        });
        if let Some(maker) = self.maker.take() {
            // A panic there was reported by its own thread.
            let _ = maker.join();
        }
        // Nobody to tell; the firewall of the last one refused what was not ours, from now on the host does.
        let _ = forwarding::put_back();
    }
}

/// What binds the gateway's address for names.
type NameSockets = (std::net::UdpSocket, std::net::TcpListener);

/// The gateway's thread: makes the namespace, waits until the host's side stands, then serves.
fn live_in_gateway(
    made: &std::sync::mpsc::Sender<Result<OwnedFd, EgressError>>,
    wait: oneshot::Receiver<Block>,
    ready: &std::sync::mpsc::Sender<Result<NameSockets, EgressError>>,
    pool: &mpsc::Sender<Result<SandboxNetns, EgressError>>,
    runtime: &Handle,
) {
    // A receiver that is gone has told its caller why; there is nobody to tell here.
    let entered = gateway::enter_new().and_then(|netns| Ok((netns.try_clone()?, netns)));
    let netns = match entered.map_err(step("make a network namespace")) {
        Ok((clone, netns)) => made.send(Ok(clone)).map(|()| netns).ok(),
        Err(error) => {
            let _ = made.send(Err(error));
            None
        }
    };
    let (Some(netns), Ok(block)) = (netns, wait.blocking_recv()) else { return };
    match Gateway::set_up(netns, block).and_then(|gateway| Ok((gateway.name_service()?, gateway))) {
        Ok((sockets, gateway)) => {
            if ready.send(Ok(sockets)).is_ok() {
                gateway.serve(pool, runtime);
            }
        }
        Err(error) => drop(ready.send(Err(error))),
    }
}

/// Takes a block of addresses that nobody uses, by making the interface that is named after it: the kernel decides who is
/// first. The pair's other end goes to the gateway.
fn add_uplink(links: &mut Socket, gateway: &OwnedFd) -> Result<(Block, u32), EgressError> {
    let routed = links::routed().map_err(step("read the host's routes"))?;
    let free = (0..Block::COUNT).map(|number| Block { number });
    for block in free.filter(|block| !routed.iter().any(|network| network.overlaps(block.network()))) {
        let name = block.interface();
        match links::add_pair(links, &name, "uplink", gateway.as_fd()) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => continue,
            result => result.map_err(step("make the gateway's uplink"))?,
        }
        let mut configure = || {
            let index = links::index(&name)?;
            links::add_address(links, index, Network { address: block.host(), prefix: 30 })?;
            gateway::set(&format!("net/ipv6/conf/{name}/disable_ipv6"), "1")?;
            links::set_up(links, index)?;
            links::add_route(links, MAIN, block.network(), Via::Gateway(index, block.gateway()))?;
            Ok(index)
        };
        return configure().map(|index| (block, index)).map_err(step("configure the gateway's uplink"));
    }
    Err(EgressError::NoAddresses)
}
