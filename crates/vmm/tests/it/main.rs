//! Conversations with stand-ins for the monitors, and with the monitors themselves where they are.

mod facts;
mod generated;
mod openapi;
mod real;
mod server;
mod stand_in;
mod vsock;

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use vmm::cloud_hypervisor::CloudHypervisor;
use vmm::firecracker::Firecracker;
use vmm::http::HttpError;
use vmm::machine::{Disk, FromSnapshot, Mac, Machine, Network, Tap, descriptor};
use vmm::monitor::{Method, Process};
use vmm::{Api, Monitor, Request, Unfit};

use crate::facts::{CLOUD_HYPERVISOR, FIRECRACKER, Facts};
use crate::server::Log;
use crate::stand_in::StandIn;

const PATIENCE: Duration = Duration::from_secs(10);

fn firecracker() -> Firecracker {
    Firecracker { pci: true }
}

fn named(name: &str) -> Tap {
    Tap::Named(name.into())
}

/// A machine with one of everything.
fn machine(tap: Option<Tap>) -> Machine {
    let disk = |number, read_only| Disk { path: descriptor(number), read_only };
    Machine {
        memory_bytes: (128 << 20) + 1,
        processors: 2,
        kernel: descriptor(4),
        initrd: descriptor(5),
        cmdline: "console=ttyS0 \"quoted\" panic=-1".into(),
        disks: vec![disk(6, true), disk(7, false)],
        network: tap.map(|tap| Network { mac: Mac([2, 0, 0, 0, 0xab, 1]), tap }),
        vsock: descriptor(3).join("vsock"),
        console: true,
    }
}

fn copy(tap: Option<Tap>) -> FromSnapshot {
    FromSnapshot { snapshot: descriptor(8), tap, vsock: descriptor(3).join("vsock") }
}

/// Asks a stand-in for all of it, and finds that nothing was wrong.
async fn grant(facts: &str, monitor: &dyn Monitor, requests: &[Vec<Request>]) -> Log {
    let facts = Facts::read(facts);
    let stand_in = StandIn::start(&facts);
    let mut api = Api::connect(&stand_in.socket, PATIENCE).await.expect("a connection");
    let answer = api.ask(&monitor.ready(), None, PATIENCE).await.expect("an answer").expect("content");
    assert_eq!(monitor.version(&answer), Some(facts.version));
    let tap = std::fs::File::open("/dev/null").expect("a descriptor");
    for requests in requests {
        api.ask_all(requests, Some(tap.as_fd()), PATIENCE).await.expect("granted");
    }
    drop(api);
    let log = stand_in.finish();
    assert_eq!(log.faults, Vec::<String>::new());
    log
}

#[tokio::test]
async fn firecracker_boots_saves_and_ends() {
    let monitor = firecracker();
    let life = [
        monitor.boot(&machine(Some(named("tap0")))).unwrap(),
        monitor.pause(),
        monitor.save(Path::new("/proc/self/fd/8")).unwrap(),
        monitor.resume(),
        monitor.end(),
    ];
    let log = grant(FIRECRACKER, &monitor, &life).await;
    assert_eq!((log.state.as_str(), log.descriptors, log.granted.len()), ("running", 0, 12));
}

#[tokio::test]
async fn firecracker_loads() {
    let monitor = firecracker();
    let load = monitor.load(&copy(Some(named("tap1")))).unwrap();
    let log = grant(FIRECRACKER, &monitor, &[load, monitor.resume()]).await;
    assert_eq!(log.granted[1..], ["PUT /snapshot/load", "PATCH /vm"]);
    let without = monitor.load(&copy(None)).unwrap();
    assert_eq!(grant(FIRECRACKER, &monitor, &[without]).await.state, "paused");
}

#[tokio::test]
async fn cloud_hypervisor_boots_saves_and_ends() {
    for (tap, descriptors) in [(Some(Tap::Descriptor), 1), (Some(named("tap0")), 0), (None, 0)] {
        let monitor = CloudHypervisor;
        let life = [
            monitor.boot(&machine(tap)).unwrap(),
            monitor.pause(),
            monitor.save(Path::new("/proc/self/fd/8")).unwrap(),
            monitor.resume(),
            monitor.end(),
        ];
        let log = grant(CLOUD_HYPERVISOR, &monitor, &life).await;
        assert_eq!((log.state.as_str(), log.descriptors), ("off", descriptors));
    }
}

#[tokio::test]
async fn cloud_hypervisor_loads() {
    for (tap, descriptors) in [(Some(Tap::Descriptor), 1), (Some(named("tap0")), 0), (None, 0)] {
        let load = CloudHypervisor.load(&copy(tap)).unwrap();
        let log = grant(CLOUD_HYPERVISOR, &CloudHypervisor, &[load, CloudHypervisor.resume()]).await;
        assert_eq!((log.state.as_str(), log.descriptors), ("running", descriptors));
    }
}

/// A machine that differs in one thing, and what both say to it.
fn check_unfit(change: impl Fn(&mut Machine), firecracker_says: &str, cloud_hypervisor_says: &str) {
    let mut machine = machine(None);
    change(&mut machine);
    let say = |result: Result<Vec<Request>, Unfit>| result.map_or_else(|unfit| unfit.to_string(), |_| String::new());
    assert_eq!(say(firecracker().boot(&machine)), firecracker_says);
    assert_eq!(say(CloudHypervisor.boot(&machine)), cloud_hypervisor_says);
}

#[test]
fn machines_that_do_not_fit() {
    check_unfit(|_| {}, "", "");
    check_unfit(|machine| machine.processors = 33, "33 processors; Firecracker makes machines of 1 to 32", "");
    let none = |name: &str, most| format!("0 processors; {name} makes machines of 1 to {most}");
    check_unfit(|machine| machine.processors = 0, &none("Firecracker", 32), &none("Cloud Hypervisor", 254));
    check_unfit(|machine| machine.memory_bytes = 0, "a memory of 0 bytes", "a memory of 0 bytes");
    let long = |machine: &mut Machine| machine.cmdline = "x".repeat(1025);
    check_unfit(long, "a command line of 1025 bytes; Firecracker takes 1024", "");
    let disk = Disk { path: descriptor(9), read_only: true };
    let many = |machine: &mut Machine| machine.disks = vec![disk.clone(); 29];
    check_unfit(many, "29 disks; Firecracker has room for 28", "29 disks; Cloud Hypervisor has room for 28");
    let far = format!("the socket /{} has a path of more than 107 bytes", "x".repeat(107));
    check_unfit(|machine| machine.vsock = PathBuf::from(format!("/{}", "x".repeat(107))), &far, &far);
    let network = || Some(Network { mac: Mac([2; 6]), tap: Tap::Descriptor });
    let names = "Firecracker opens an interface by its name and takes no descriptor of it";
    check_unfit(|machine| machine.network = network(), names, "");
}

#[test]
fn processes_are_given_descriptors() {
    let process = Process { id: "job-1".into(), folder: 3 };
    let words = firecracker().arguments(&process).join(" ");
    assert_eq!(words, "--api-sock /proc/self/fd/3/api --id job-1 --level Error --enable-pci");
    assert_eq!(CloudHypervisor.arguments(&process).join(" "), "--api-socket path=/proc/self/fd/3/api --seccomp true");
}

/// What a stand-in refuses, of a process that has heard nothing yet.
const REFUSED: [(&str, &str, &str); 12] = [
    ("PUT", "/machine-config", r#"{"vcpu_count": 0, "mem_size_mib": 128}"#),
    ("PUT", "/machine-config", r#"{"vcpu_count": 33, "mem_size_mib": 128}"#),
    ("PUT", "/machine-config", r#"{"vcpu_count": 1}"#),
    ("PUT", "/machine-config", r#"{"vcpu_count": 1, "mem_size_mib": 128, "memory": 1}"#),
    (
        "PUT",
        "/drives/disk-0",
        r#"{"drive_id": "disk-0", "is_root_device": false, "is_read_only": true, "path_on_host": "/dev/null"}"#,
    ),
    (
        "PUT",
        "/drives/a",
        r#"{"drive_id": "b", "is_root_device": false, "is_read_only": true, "path_on_host": "/dev/null"}"#,
    ),
    ("PUT", "/drives/a", r#"{"drive_id": "a", "is_root_device": false}"#),
    ("PUT", "/actions", r#"{"action_type": "InstanceStart"}"#),
    ("PATCH", "/vm", r#"{"state": "Paused"}"#),
    ("PATCH", "/drives/a", r#"{"drive_id": "a", "path_on_host": "/dev/null"}"#),
    (
        "PUT",
        "/snapshot/load",
        r#"{"snapshot_path": "a", "mem_backend": {"backend_type": "Disk", "backend_path": "b"}}"#,
    ),
    ("PUT", "/shutdown", "{}"),
];

fn refused() -> impl Iterator<Item = Request> {
    REFUSED.into_iter().map(|(method, path, body)| Request {
        method: if method == "PUT" { Method::Put } else { Method::Patch },
        path: path.into(),
        body: Some(serde_json::from_str(body).expect("JSON")),
        tap: false,
    })
}

#[tokio::test]
async fn a_stand_in_refuses_what_a_monitor_would() {
    let stand_in = StandIn::start(&Facts::read(FIRECRACKER));
    let mut api = Api::connect(&stand_in.socket, PATIENCE).await.unwrap();
    for request in refused() {
        let refused = api.ask(&request, None, PATIENCE).await;
        assert!(matches!(&refused, Err(HttpError::Refused { status: 400, .. })), "{request:?}: {refused:?}");
    }
    drop(api);
    assert_eq!(stand_in.finish().faults.len(), REFUSED.len());
}

#[tokio::test]
async fn a_fault_is_told_in_the_words_of_the_monitor() {
    for (facts, monitor, fault) in [
        (FIRECRACKER, &firecracker() as &dyn Monitor, "PATCH /vm: 400: not while it is untouched"),
        (CLOUD_HYPERVISOR, &CloudHypervisor, "PUT /api/v1/vm.pause: 500: stand-in: not while it is empty"),
    ] {
        let stand_in = StandIn::start(&Facts::read(facts));
        let mut api = Api::connect(&stand_in.socket, PATIENCE).await.unwrap();
        let refused = api.ask_all(&monitor.pause(), None, PATIENCE).await.unwrap_err();
        assert_eq!(refused.to_string(), fault);
    }
}

#[tokio::test]
async fn a_silent_or_dead_monitor_is_no_riddle() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("api");
    let missing = Api::connect(&socket, Duration::from_millis(20)).await.unwrap_err();
    assert!(matches!(missing, HttpError::Connect { .. }), "{missing:?}");

    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut api = Api::connect(&socket, PATIENCE).await.unwrap();
    let late = api.ask(&firecracker().ready(), None, Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(late.to_string(), "the monitor did not answer in time: GET /version");

    let mut api = Api::connect(&socket, PATIENCE).await.unwrap();
    drop(listener);
    let gone = api.ask(&firecracker().ready(), None, PATIENCE).await.unwrap_err();
    assert_eq!(gone.to_string(), "the monitor is gone: GET /version");
}

#[tokio::test]
async fn a_descriptor_goes_where_it_is_said_to() {
    let stand_in = StandIn::start(&Facts::read(CLOUD_HYPERVISOR));
    let mut api = Api::connect(&stand_in.socket, PATIENCE).await.unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let unasked = api.ask(&CloudHypervisor.ready(), Some(null.as_fd()), PATIENCE).await.unwrap_err();
    assert!(matches!(unasked, HttpError::Descriptor { .. }), "{unasked:?}");
    let boot = CloudHypervisor.boot(&machine(Some(Tap::Descriptor))).unwrap();
    let without = api.ask_all(&boot, None, PATIENCE).await.unwrap_err();
    assert!(matches!(without, HttpError::Descriptor { .. }), "{without:?}");
}

#[test]
fn long_requests_are_not_sent() {
    let body = json!({ "cmdline": "x".repeat(60_000) });
    let request = Request { method: Method::Put, path: "/boot-source".into(), body: Some(body), tap: false };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(async {
        let stand_in = StandIn::start(&Facts::read(FIRECRACKER));
        let mut api = Api::connect(&stand_in.socket, PATIENCE).await.unwrap();
        api.ask(&request, None, PATIENCE).await.unwrap_err()
    });
    assert!(matches!(error, HttpError::TooLong { .. }), "{error:?}");
}
