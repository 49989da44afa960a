//! A network for a machine as a job has it, in a world of the test's own: whatever leaves the machine, it leaves none of these namespaces.
//!
//! ```text
//!   guest ══ tap0, eth0 ── gateway ── cofferdam0, host ── world0 ══ out0, everything out there
//!                neighbour ───┘
//! ```
//! Each is a network namespace (the host's is that of the test's thread), and has canaries: somebody who listens and must hear nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use sandbox::NetworkSource;
use sandbox::net::{Egress, SandboxNetns};

use super::canaries::check_alone;
use super::ear::Ear;
use crate::place;

/// May be reached, and tells whoever comes where from. An address of relays that are no more (RFC 7526): nobody has it outside either.
const ALLOWED: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 88, 99, 34), 80);
/// The host's, as who is out there knows it.
pub(super) const HOST: Ipv4Addr = Ipv4Addr::new(192, 88, 99, 1);
/// What is out there too, and must not be reached: a metadata service, private networks, the control channel of a cloud.
const FORBIDDEN: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(10, 1, 2, 3),
    Ipv4Addr::new(192, 168, 7, 7),
    Ipv4Addr::new(168, 63, 129, 16),
];
/// Where canaries listen.
const PORT: u16 = 8080;
/// Of the allowed one, where only a gateway may ask.
const NAMES: u16 = 853;
/// The only neighbour that a guest has (`net::machine`).
const ROUTER: Ipv4Addr = Ipv4Addr::new(169, 254, 100, 1);
/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Words: the test's process, its descriptor of what is out there, the host's address, the allowed one, the forbidden ones.
const SCRIPT: &str = r#"out=/proc/$1/fd/$2 host=$3 allowed=$4; shift 4
inside() { nsenter --net=$out "$@"; }
ip link set lo up; inside ip link set lo up
ip link add world0 type veth peer name out0 netns $out
for name in all default; do
    echo 1 > /proc/sys/net/ipv6/conf/$name/disable_ipv6; inside sh -c "echo 1 > /proc/sys/net/ipv6/conf/$name/disable_ipv6"
done
ip addr add $host/24 dev world0; ip link set world0 up; ip route add default via $allowed
inside ip addr add $allowed/24 dev out0
for address; do inside ip addr add $address/32 dev out0; done
inside ip link set out0 up"#;

pub(super) struct World {
    /// Of the machine, and of another sandbox.
    machine: SandboxNetns,
    neighbour: SandboxNetns,
    canaries: Vec<Canary>,
    /// Of all that is out there.
    pub(super) ear: Ear,
    pub(super) ear_of_neighbour: Ear,
    /// Keeps the way out open.
    _egress: Egress,
}

/// Runs a test in the host's place, if this host can make such a world.
pub(super) fn in_a_world(test: impl AsyncFnOnce() + Send + 'static) {
    let tools = ["/usr/sbin/ip", "/usr/bin/nsenter"];
    if !rustix::process::getuid().is_root() || !tools.iter().all(|tool| Path::new(tool).exists()) {
        println!("skipped: needs root, ip and nsenter");
        return;
    }
    place::in_a_network_of_its_own(test);
}

impl World {
    /// Around the calling thread, whose network has nothing but loopback so far.
    pub(super) async fn new() -> World {
        assert_eq!(interfaces(), BTreeSet::from(["lo".to_owned()]), "a network that is not the test's own");
        let out = std::thread::spawn(|| {
            // SAFETY: this thread alone moves, and ends.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
            current()
        });
        let (host, out) = (current(), out.join().unwrap());
        let numbers = [std::process::id().to_string(), out.as_raw_fd().to_string()].into_iter();
        let addresses = [HOST, ALLOWED.0].into_iter().chain(FORBIDDEN).map(|address| address.to_string());
        let made = Command::new("sh").args(["-ec", SCRIPT, "sh"]).args(numbers.chain(addresses)).status();
        assert!(made.unwrap().success());
        let egress = Egress::start(vec![(ALLOWED.0, 53).into()], 1).unwrap();
        let (machine, neighbour) = (egress.netns().await.unwrap(), egress.netns().await.unwrap());
        let any = Ipv4Addr::UNSPECIFIED;
        let mut canaries = vec![
            Canary::new("the host", &host, (any, PORT), &out, (HOST, PORT)),
            Canary::new("a neighbour", &neighbour.netns, (any, PORT), &neighbour.netns, (neighbour.address, PORT)),
        ];
        let local = (Ipv4Addr::LOCALHOST, PORT);
        canaries.push(Canary::new("loopback around the monitor", &machine.netns, local, &machine.netns, local));
        for place in FORBIDDEN.map(|address| (address, PORT)).into_iter().chain([(ALLOWED.0, NAMES)]) {
            canaries.push(Canary::new("what is out there", &out, place, &host, place));
        }
        let ear = within(&out, || {
            let listener = TcpListener::bind(ALLOWED).unwrap();
            std::thread::spawn(move || answer_with_peer(&listener));
            assert_eq!(interfaces(), BTreeSet::from(["lo", "out0"].map(str::to_owned)));
            Ear::new()
        });
        let ear_of_neighbour = within(&neighbour.netns, Ear::new);
        World { machine, neighbour, canaries, ear, ear_of_neighbour, _egress: egress }
    }

    /// For the machine.
    pub(super) fn network(&self) -> NetworkSource {
        let netns = self.machine.netns.try_clone().unwrap();
        NetworkSource::Netns { netns, resolv_conf: self.machine.resolv_conf.clone() }
    }

    /// Every address that a guest could know. `local`: a port on which somebody listens on the host's loopback.
    pub(super) fn addresses(&self, local: u16) -> String {
        let gateway: Ipv4Addr = self.machine.resolv_conf.trim().rsplit(' ').next().unwrap().parse().unwrap();
        let side_of_host = Ipv4Addr::from_bits(gateway.to_bits() - 1);
        serde_json::json!({
            "own": self.machine.address, "router": ROUTER, "gateway": gateway, "hosts": [HOST, side_of_host],
            "neighbour": self.neighbour.address, "forbidden": FORBIDDEN, "ports": [PORT, local],
            "allowed": ALLOWED.0, "port": ALLOWED.1, "names": NAMES,
        })
        .to_string()
    }

    /// What the namespace around the monitor has counted.
    pub(super) fn counts(&self) -> Counts {
        within(&self.machine.netns, || {
            let devices = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
            let tap = devices.lines().find_map(|line| line.trim().strip_prefix("tap0:")).unwrap();
            let received: Vec<u64> = tap.split_whitespace().map(|number| number.parse().unwrap()).collect();
            let text = fs::read_to_string("/proc/thread-self/net/netstat").unwrap();
            // A line of names, and one of numbers.
            let lines: Vec<_> = text.lines().filter(|line| line.starts_with("TcpExt:")).collect();
            let mut counted = lines[0].split(' ').zip(lines[1].split(' '));
            let refused = counted.find(|(name, _)| *name == "IPReversePathFilter").unwrap().1.parse().unwrap();
            Counts { bytes: received[0], frames: received[1], refused }
        })
    }

    /// The guest's station, as the namespace around its monitor has learned it, is from now on taken for granted: a device without a
    /// driver does not answer when it is asked. Then it is sent something again and again.
    pub(super) fn feed(&self) -> Feed {
        let guest = self.machine.address;
        let socket = within(&self.machine.netns, || {
            let known = fs::read_to_string("/proc/thread-self/net/arp").unwrap();
            let known =
                known.lines().find(|line| line.starts_with(&format!("{guest} "))).expect("the guest has spoken");
            let words = format!(
                "neigh replace {guest} lladdr {} dev tap0 nud permanent",
                known.split_whitespace().nth(3).unwrap()
            );
            assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success());
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            socket.connect((guest, 9)).unwrap();
            socket
        });
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let pause = Duration::from_millis(2);
            while stopped.recv_timeout(pause) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                // Nobody takes it at times.
                let _ = socket.send(&[0x5a; 200]);
            }
        });
        Feed { stop: Some(stop), thread: Some(thread) }
    }

    pub(super) fn is_untouched(&self) {
        self.canaries.iter().for_each(Canary::is_untouched);
    }

    /// The control: whoever may reach them is seen, and the neighbour has its way out.
    pub(super) fn end(self) {
        self.is_untouched();
        self.canaries.iter().for_each(Canary::would_tell);
        let answer = within(&self.neighbour.netns, || {
            let mut stream = TcpStream::connect_timeout(&ALLOWED.into(), PATIENCE).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).map(|_| text).unwrap()
        });
        assert_eq!(answer, HOST.to_string());
    }
}

/// Since the machine has its network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    /// Out of the guest.
    pub(super) frames: u64,
    pub(super) bytes: u64,
    /// Packets whose sender is not behind the interface that they came from.
    pub(super) refused: u64,
}

/// Sends until it is dropped.
pub(super) struct Feed {
    stop: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.take();
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Somebody who listens, for connections and for datagrams.
struct Canary {
    what: &'static str,
    connections: TcpListener,
    datagrams: UdpSocket,
    /// Who may come, and to which address.
    from: OwnedFd,
    place: SocketAddr,
}

impl Canary {
    fn new(what: &'static str, at: &OwnedFd, bound: (Ipv4Addr, u16), from: &OwnedFd, place: (Ipv4Addr, u16)) -> Canary {
        let (connections, datagrams) =
            within(at, || (TcpListener::bind(bound).unwrap(), UdpSocket::bind(bound).unwrap()));
        connections.set_nonblocking(true).unwrap();
        datagrams.set_nonblocking(true).unwrap();
        Canary { what, connections, datagrams, from: from.try_clone().unwrap(), place: place.into() }
    }

    /// Whoever came would still stand in the queue, gone or not.
    fn is_untouched(&self) {
        let how = format!("{} was found at {}", self.what, self.place);
        check_alone(&how, self.connections.accept());
        check_alone(&how, self.datagrams.recv_from(&mut [0; 100]));
    }

    fn would_tell(&self) {
        within(&self.from, || {
            drop(TcpStream::connect_timeout(&self.place, PATIENCE).unwrap());
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap().send_to(b"control", self.place).unwrap();
        });
        self.datagrams.set_nonblocking(false).unwrap();
        self.connections.set_nonblocking(false).unwrap();
        self.datagrams.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut text = [0; 100];
        let (count, _) = self.datagrams.recv_from(&mut text).unwrap();
        assert_eq!(&text[..count], b"control", "{}", self.what);
        self.connections.accept().unwrap();
    }
}

fn answer_with_peer(listener: &TcpListener) {
    while let Ok((mut stream, peer)) = listener.accept() {
        // Whoever asked may be gone.
        let _ = write!(stream, "{}", peer.ip());
    }
}

/// The calling thread's network namespace.
fn current() -> OwnedFd {
    fs::File::open("/proc/thread-self/ns/net").unwrap().into()
}

/// Interfaces of the calling thread's.
fn interfaces() -> BTreeSet<String> {
    let text = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

/// Runs something in another namespace, in a thread of its own.
fn within<T: Send>(netns: &OwnedFd, run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            run()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
