//! A network of namespaces that plays the world: an outer one for the host, and one that holds everything out there, the
//! internet, the LAN and a metadata service. Nothing leaves the machine.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::links::{self, MAIN, Network, Via};
use super::netlink::Socket;
use super::{Egress, SandboxNetns, forwarding, gateway};

pub(super) const INTERNET: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 34);
pub(super) const HOST_PUBLIC: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 1);
/// What stands out there and must not be reached, each reachable for the host.
pub(super) const FORBIDDEN: [Ipv4Addr; 9] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(192, 168, 7, 7),
    Ipv4Addr::new(10, 1, 2, 3),
    Ipv4Addr::new(172, 17, 0, 9),
    Ipv4Addr::new(100, 64, 3, 3),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(203, 0, 113, 5),
    Ipv4Addr::new(198, 19, 255, 1),
];
/// No refusal takes longer: it is told, not waited for.
pub(super) const AT_ONCE: Duration = Duration::from_millis(500);

/// Runs `test` in a thread of its own that sits in the outer namespace of a new world. False where this host cannot.
pub(super) fn in_a_world(test: impl FnOnce(&World) + Send + 'static) {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    let thread = std::thread::spawn(|| {
        let world = World::make().expect("namespaces for a test");
        test(&world);
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

pub(super) struct World {
    outer: OwnedFd,
    outside: OwnedFd,
}

impl World {
    fn make() -> std::io::Result<World> {
        let outside = gateway::enter_new()?;
        let mut links = Socket::open(libc::NETLINK_ROUTE)?;
        links::set_up(&mut links, links::index("lo")?)?;
        let inner = outside.try_clone()?;
        let outer = gateway::enter_new()?;
        let mut links = Socket::open(libc::NETLINK_ROUTE)?;
        links::set_up(&mut links, links::index("lo")?)?;
        links::add_pair(&mut links, "world0", "host0", inner.as_fd())?;
        let index = links::index("world0")?;
        links::add_address(&mut links, index, Network { address: HOST_PUBLIC, prefix: 24 })?;
        links::set_up(&mut links, index)?;
        links::add_route(
            &mut links,
            MAIN,
            Network { address: Ipv4Addr::UNSPECIFIED, prefix: 0 },
            Via::Gateway(index, INTERNET),
        )?;
        within(&inner, || {
            let mut links = Socket::open(libc::NETLINK_ROUTE)?;
            let index = links::index("host0")?;
            links::add_address(&mut links, index, Network { address: INTERNET, prefix: 24 })?;
            for address in FORBIDDEN {
                links::add_address(&mut links, index, Network { address, prefix: 32 })?;
            }
            links::set_up(&mut links, index)?;
            let http = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80))?;
            std::thread::spawn(move || answer_with_peer(&http));
            let names = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 53))?;
            std::thread::spawn(move || echo_names(&names));
            let names = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 53))?;
            std::thread::spawn(move || answer_with_peer(&names));
            Ok::<(), std::io::Error>(())
        })?;
        Ok(World { outer, outside })
    }

    fn host(&self) {
        gateway::enter(self.outer.as_fd()).unwrap();
    }
}

/// Tells whoever connects the address that it came from.
pub(super) fn answer_with_peer(listener: &TcpListener) {
    while let Ok((mut stream, peer)) = listener.accept() {
        // The client may be gone.
        let _ = write!(stream, "{}", peer.ip());
    }
}

fn echo_names(socket: &UdpSocket) {
    let mut buffer = [0; 4096];
    while let Ok((length, client)) = socket.recv_from(&mut buffer) {
        let _ = socket.send_to(&buffer[..length], client);
    }
}

/// Runs something in another namespace, in a thread of its own.
fn within<T: Send>(netns: &OwnedFd, run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            gateway::enter(netns.as_fd()).unwrap();
            run()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What somebody answers there, or the error.
fn ask(address: Ipv4Addr, port: u16) -> Result<String, std::io::Error> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, port)), Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub(super) fn resolver() -> Vec<SocketAddr> {
    vec![(INTERNET, 53).into()]
}

/// A way out, made in a world, with as many sandboxes.
async fn start(sandboxes: usize) -> (Egress, Vec<SandboxNetns>) {
    let egress = Egress::start(resolver(), 2).unwrap();
    let mut netns = Vec::new();
    for _ in 0..sandboxes {
        netns.push(egress.netns().await.unwrap());
    }
    (egress, netns)
}

#[test]
fn the_internet_is_reached_with_the_hosts_address() {
    in_a_world(|_| {
        runtime().block_on(async {
            let (_egress, sandboxes) = start(2).await;
            for sandbox in &sandboxes {
                let answer = within(&sandbox.netns, || ask(INTERNET, 80)).unwrap();
                assert_eq!(answer, HOST_PUBLIC.to_string());
            }
        });
    });
}

#[test]
fn private_networks_metadata_host_and_neighbours_are_refused_at_once() {
    in_a_world(|_| {
        runtime().block_on(async {
            let host_listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap();
            std::thread::spawn(move || answer_with_peer(&host_listener));
            let (_egress, sandboxes) = start(2).await;
            let neighbour = sandboxes[1].address;
            within(&sandboxes[1].netns, || {
                let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap();
                std::thread::spawn(move || answer_with_peer(&listener));
            });
            // The controls: all of this is there, for whoever stands elsewhere.
            for address in FORBIDDEN {
                ask(address, 80).unwrap();
            }
            ask(HOST_PUBLIC, 8080).unwrap();
            within(&sandboxes[1].netns, || ask(neighbour, 8080)).unwrap();
            let gateway = sandboxes[0].resolv_conf.trim().rsplit(' ').next().unwrap().parse::<Ipv4Addr>().unwrap();
            let host_side = Ipv4Addr::from_bits(gateway.to_bits() - 1);
            let forbidden = FORBIDDEN.iter().map(|address| (*address, 80));
            let more = [(HOST_PUBLIC, 8080), (host_side, 8080), (neighbour, 8080), (gateway, 8080), (INTERNET, 53)];
            for (address, port) in forbidden.chain(more) {
                let begin = Instant::now();
                let result = within(&sandboxes[0].netns, || ask(address, port));
                assert!(result.is_err(), "{address}:{port} was reached");
                assert!(begin.elapsed() < AT_ONCE, "{address}:{port} took {:?}: {result:?}", begin.elapsed());
            }
            // What is no connection is told too.
            within(&sandboxes[0].netns, || {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
                socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                for address in FORBIDDEN.into_iter().chain([HOST_PUBLIC, neighbour]) {
                    socket.connect((address, 9999)).unwrap();
                    let begin = Instant::now();
                    assert!(socket.send(b"x").and_then(|_| socket.recv(&mut [0; 10])).is_err());
                    assert!(begin.elapsed() < AT_ONCE, "{address}: {:?}", begin.elapsed());
                }
            });
            // No other family leads out.
            let result = within(&sandboxes[0].netns, || TcpStream::connect("[fd00::1]:80"));
            assert!(result.is_err());
            let interfaces = within(&sandboxes[0].netns, || std::fs::read_to_string("/proc/thread-self/net/if_inet6"));
            assert_eq!(interfaces.unwrap_or_default(), "");
        });
    });
}

#[test]
fn nobody_outside_begins_a_connection_to_a_sandbox() {
    in_a_world(|world| {
        runtime().block_on(async {
            let (_egress, sandboxes) = start(1).await;
            let address = sandboxes[0].address;
            within(&sandboxes[0].netns, || {
                let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap();
                std::thread::spawn(move || answer_with_peer(&listener));
            });
            // From out there, with a route that leads to it through the host.
            let reached = within(&world.outside, || {
                let mut links = Socket::open(libc::NETLINK_ROUTE).unwrap();
                let index = links::index("host0").unwrap();
                let block = Network { address, prefix: 32 };
                links::add_route(&mut links, MAIN, block, Via::Gateway(index, HOST_PUBLIC)).unwrap();
                TcpStream::connect_timeout(&(address, 8080).into(), Duration::from_millis(700)).is_ok()
            });
            assert!(!reached);
        });
    });
}

#[test]
fn a_forged_sender_is_dropped() {
    in_a_world(|world| {
        runtime().block_on(async {
            let (_egress, sandboxes) = start(2).await;
            let (mine, other) = (&sandboxes[0], sandboxes[1].address);
            let forged = Ipv4Addr::new(8, 8, 8, 8);
            let witness = within(&world.outside, || {
                let witness = UdpSocket::bind((INTERNET, 7777)).unwrap();
                witness.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                witness
            });
            // A workload could not do this, it has no right to; here it has.
            within(&mine.netns, || {
                let mut links = Socket::open(libc::NETLINK_ROUTE).unwrap();
                let index = links::index("eth0").unwrap();
                for (address, text) in [(forged, "forged"), (other, "other"), (mine.address, "own")] {
                    if address != mine.address {
                        links::add_address(&mut links, index, Network { address, prefix: 32 }).unwrap();
                    }
                    let socket = UdpSocket::bind((address, 0)).unwrap();
                    socket.send_to(text.as_bytes(), (INTERNET, 7777)).unwrap();
                }
            });
            let mut buffer = [0; 100];
            let (length, _) = witness.recv_from(&mut buffer).unwrap();
            // The last that was sent is the first that arrives.
            assert_eq!(&buffer[..length], b"own");
        });
    });
}

#[test]
fn sandboxes_cannot_fill_the_hosts_table_of_connections() {
    in_a_world(|_| {
        runtime().block_on(async {
            let (egress, sandboxes) = start(1).await;
            if !egress.limits_connections() {
                println!("skipped: this kernel cannot count connections");
                return;
            }
            within(&sandboxes[0].netns, || {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
                for port in 1000..8000u16 {
                    // The other side may refuse: each is one more connection to track all the same.
                    let _ = socket.send_to(b"x", (INTERNET, port));
                }
            });
            let tracked = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count").unwrap();
            let tracked = tracked.trim().parse::<u32>().unwrap();
            println!("{tracked} connections are tracked");
            assert!(tracked <= super::MAX_CONNECTIONS + 100 && tracked > 1000, "{tracked}");
        });
    });
}

#[test]
fn names_are_asked_through_the_gateway_only() {
    in_a_world(|world| {
        let runtime = runtime();
        let (egress, sandboxes) = runtime.block_on(start(1));
        let server = sandboxes[0].resolv_conf.trim().strip_prefix("nameserver ").unwrap();
        let server: Ipv4Addr = server.parse().unwrap();
        let question = b"\x12\x34question".to_vec();
        let netns = sandboxes[0].netns.try_clone().unwrap();
        let asked = std::thread::spawn(move || {
            gateway::enter(netns.as_fd()).unwrap();
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut buffer = [0; 100];
            socket.send_to(&question, (server, 53)).unwrap();
            let (length, _) = socket.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], &question[..]);
            // By TCP the stand-in tells who asked: the host, not the sandbox.
            assert_eq!(ask(server, 53).unwrap(), HOST_PUBLIC.to_string());
            // Nobody else may be asked.
            socket.connect((INTERNET, 53)).unwrap();
            let refused = socket.send(&question).and_then(|_| socket.recv(&mut buffer));
            assert!(refused.is_err());
        });
        world.host();
        runtime.block_on(async {
            while !asked.is_finished() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        asked.join().unwrap();
        drop(egress);
    });
}

#[test]
fn nothing_is_left_after_the_end_and_two_can_live_side_by_side() {
    in_a_world(|_| {
        runtime().block_on(async {
            let first = Egress::start(resolver(), 2).unwrap();
            let second = Egress::start(resolver(), 2).unwrap();
            let (a, b) = (first.netns().await.unwrap(), second.netns().await.unwrap());
            assert_ne!(a.address, b.address);
            assert!(links::index("cofferdam0").is_ok() && links::index("cofferdam1").is_ok());
            assert!(tables().contains("cofferdam1") || tables().is_empty());
            drop(first);
            assert!(links::index("cofferdam0").is_err());
            assert_eq!(within(&b.netns, || ask(INTERNET, 80)).unwrap(), HOST_PUBLIC.to_string());
            assert!(within(&a.netns, || ask(INTERNET, 80)).is_err());
            drop(second);
            assert!(links::index("cofferdam1").is_err());
            assert!(!tables().contains("cofferdam"), "{}", tables());
            assert_eq!(links::routed().unwrap().len(), 1);
        });
    });
}

#[test]
fn sandboxes_come_and_go_faster_than_addresses_run_out() {
    in_a_world(|_| {
        runtime().block_on(async {
            let egress = Egress::start(resolver(), 2).unwrap();
            let begin = Instant::now();
            let count = 300;
            for _ in 0..count {
                drop(egress.netns().await.unwrap());
            }
            println!("a network namespace costs {:?}", begin.elapsed() / count);
            let last = egress.netns().await.unwrap();
            assert_eq!(within(&last.netns, || ask(INTERNET, 80)).unwrap(), HOST_PUBLIC.to_string());
        });
    });
}

/// What the variable below tells this binary to be: a process with a way out that waits to be killed.
const VICTIM: &str = "COFFERDAM_TEST_EGRESS_VICTIM";

#[test]
fn victim_for_the_next_test() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    runtime().block_on(async {
        let egress = Egress::start(resolver(), 2).unwrap();
        let sandbox = egress.netns().await.unwrap();
        println!("ready {}", sandbox.address);
        std::io::stdout().flush().unwrap();
        std::future::pending::<()>().await;
    });
}

#[test]
fn nothing_is_left_after_kill_9() {
    let forwards = || std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim() == "1";
    in_a_world(move |_| {
        gateway::set("net/ipv4/ip_forward", "0").unwrap();
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["net::tests::victim_for_the_next_test", "--exact", "--nocapture"])
            .env(VICTIM, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = victim.stdout.take().unwrap();
        let (mut seen, mut buffer) = (String::new(), [0; 1000]);
        while !seen.contains("ready ") {
            let length = output.read(&mut buffer).unwrap();
            assert!(length > 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        assert!(links::index("cofferdam0").is_ok());
        assert!(!forwarding::put_back().unwrap() && forwards(), "not while somebody needs it");
        victim.kill().unwrap();
        victim.wait().unwrap();
        // The kernel takes namespaces apart in its own time.
        let end = Instant::now() + Duration::from_secs(10);
        while links::index("cofferdam0").is_ok() || tables().contains("cofferdam") {
            assert!(Instant::now() < end, "something is left: {}", tables());
            std::thread::yield_now();
        }
        assert_eq!(links::routed().unwrap().len(), 1);
        // This one the kernel does not know to be ours.
        assert!(forwards());
        assert!(forwarding::put_back().unwrap() && !forwards());
        assert!(!forwarding::put_back().unwrap(), "once");
    });
}

#[test]
fn a_host_that_was_a_router_stays_one() {
    in_a_world(|_| {
        gateway::set("net/ipv4/ip_forward", "1").unwrap();
        runtime().block_on(async {
            let egress = Egress::start(resolver(), 1).unwrap();
            assert!(!egress.switched_forwarding_on());
        });
        assert!(!forwarding::put_back().unwrap());
    });
}

#[test]
fn a_firewall_that_drops_what_is_forwarded_is_found() {
    in_a_world(|_| {
        assert!(super::obstacles().is_empty());
        let ruleset =
            "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }";
        if !Command::new("nft").arg(ruleset).status().is_ok_and(|status| status.success()) {
            println!("skipped: needs nft");
            return;
        }
        let found = super::obstacles();
        assert!(found.len() == 1 && found[0].contains("(chain filter FORWARD)"), "{found:?}");
        runtime().block_on(async {
            // And that is what it does.
            let (egress, sandboxes) = start(1).await;
            let result = within(&sandboxes[0].netns, || TcpStream::connect_timeout(&(INTERNET, 80).into(), AT_ONCE));
            assert!(result.is_err());
            // Our own chains are none.
            assert_eq!(super::obstacles().len(), 1);
            drop(egress);
        });
    });
}

#[test]
fn who_may_not_is_told() {
    let refused = std::thread::spawn(|| {
        if rustix::process::geteuid().is_root() {
            // The raw call is about this thread only.
            // SAFETY: takes integers.
            unsafe { libc::syscall(libc::SYS_setresuid, 54_321, 54_321, 54_321) };
        }
        runtime().block_on(async { (Egress::start(resolver(), 1).err(), super::available()) })
    });
    let (started, available) = refused.join().unwrap();
    assert!(matches!(started, Some(super::EgressError::NotRoot)), "{started:?}");
    assert!(matches!(available, Err(super::EgressError::NotRoot)));
}

#[test]
fn every_refused_network_is_read() {
    assert_eq!(gateway::refused().count(), REFUSED_NETWORKS);
    assert!(FORBIDDEN.iter().all(|address| {
        let one = Network { address: *address, prefix: 32 };
        gateway::refused().any(|network| network.overlaps(one))
    }));
    let internet = Network { address: INTERNET, prefix: 32 };
    assert!(!gateway::refused().any(|network| network.overlaps(internet)));
}

const REFUSED_NETWORKS: usize = 15;

/// Tables of the firewall here, as `nft` tells; empty without it.
fn tables() -> String {
    let output = Command::new("nft").args(["list", "ruleset"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
