//! Cloud Hypervisor's words, as of version 53.
//!
//! Source: `vmm/src/api/openapi/cloud-hypervisor.yaml` and, where that is silent, `vmm/src/api/http/http_endpoint.rs` and
//! `vmm/src/vm_config.rs` of its repository.
//!
//! Never: a balloon, devices of the host, memory shared with another process, devices that come later.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::machine::{FromSnapshot, Machine, Network, Tap};
use crate::monitor::{self, Bounds, Ending, Kernel, Method, Monitor, Process, Request, Unfit, mebibytes, socket, text};

/// The monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloudHypervisor;

const NAME: &str = "Cloud Hypervisor";
/// `MAX_SUPPORTED_CPUS_LEGACY`: more of them need a guest that knows x2APIC.
const PROCESSORS: u32 = 254;
/// Linux keeps 2048 bytes on x86-64, with its end; the monitor would take more.
const CMDLINE_BYTES: usize = 2047;
/// Of 31 places on the first bus, one each for the network, vsock and random numbers.
const DISKS: usize = 28;
const GUEST_CID: u32 = 3;
const INTERFACE: &str = "net";
/// Of one pair of queues, the one for each direction.
const QUEUES: u32 = 2;

impl Monitor for CloudHypervisor {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kernel(&self) -> Kernel {
        Kernel::ElfOrBzImage
    }

    fn ending(&self) -> Ending {
        Ending::PowerOff
    }

    fn shares_memory(&self) -> bool {
        // It reads all of it; on demand it would take a right that no jail gives.
        false
    }

    fn interface(&self) -> monitor::Interface {
        monitor::Interface::Takes
    }

    fn arguments(&self, process: &Process) -> Vec<String> {
        let socket = format!("path={}", process.socket().display());
        vec!["--api-socket".into(), socket, "--seccomp".into(), "true".into()]
    }

    fn ready(&self) -> Request {
        Request::bare(Method::Get, "/api/v1/vmm.ping")
    }

    fn version(&self, answer: &Value) -> Option<String> {
        answer.get("version")?.as_str().map(str::to_owned)
    }

    fn boot(&self, machine: &Machine) -> Result<Vec<Request>, Unfit> {
        Bounds { monitor: NAME, processors: PROCESSORS, cmdline_bytes: CMDLINE_BYTES, disks: DISKS }.check(machine)?;
        let disk = |(index, disk): (usize, &crate::machine::Disk)| {
            Ok(Disk {
                id: format!("disk{index}"),
                path: text(&disk.path)?,
                readonly: disk.read_only,
                // Otherwise the guest could write a header there, and have it looked at next time.
                image_type: "Raw",
            })
        };
        let net = machine.network.as_ref().filter(|network| network.tap != Tap::Descriptor);
        let config = Config {
            cpus: Processors { boot_vcpus: machine.processors, max_vcpus: machine.processors, nested: false },
            memory: Memory { size: mebibytes(machine.memory_bytes) << 20 },
            payload: Payload {
                kernel: text(&machine.kernel)?,
                initramfs: text(&machine.initrd)?,
                cmdline: machine.cmdline.clone(),
            },
            disks: machine.disks.iter().enumerate().map(disk).collect::<Result<_, Unfit>>()?,
            net: net.into_iter().map(Interface::of).collect(),
            rng: Random { src: "/dev/urandom" },
            serial: Port { mode: if machine.console { "Tty" } else { "Off" } },
            console: Port { mode: "Off" },
            vsock: Vsock { cid: GUEST_CID, socket: socket(&machine.vsock)? },
        };
        let mut requests = vec![put("vm.create", config)];
        // Descriptors that come with `vm.create` are closed unused.
        if let Some(network) = machine.network.as_ref().filter(|network| network.tap == Tap::Descriptor) {
            requests.push(put("vm.add-net", Interface::of(network)).with_tap());
        }
        requests.push(plain("vm.boot"));
        Ok(requests)
    }

    fn pause(&self) -> Vec<Request> {
        vec![plain("vm.pause")]
    }

    fn save(&self, folder: &Path) -> Result<Vec<Request>, Unfit> {
        Ok(vec![put("vm.snapshot", Snapshot { destination_url: url(folder)? })])
    }

    fn load(&self, copy: &FromSnapshot) -> Result<Vec<Request>, Unfit> {
        socket(&copy.vsock)?;
        let by_descriptor = copy.tap == Some(Tap::Descriptor);
        let restore = Restore {
            source_url: url(&copy.snapshot)?,
            memory_restore_mode: "Copy",
            resume: false,
            net_fds: by_descriptor.then_some([Restored { id: INTERFACE, num_fds: 1 }]),
        };
        let request = put("vm.restore", restore);
        Ok(vec![if by_descriptor { request.with_tap() } else { request }])
    }

    fn resume(&self) -> Vec<Request> {
        vec![plain("vm.resume")]
    }

    fn end(&self) -> Vec<Request> {
        vec![plain("vmm.shutdown")]
    }
}

fn put(call: &str, body: impl Serialize) -> Request {
    Request::new(Method::Put, format!("/api/v1/{call}"), body)
}

/// A body, be it `{}`, would be refused.
fn plain(call: &str) -> Request {
    Request::bare(Method::Put, &format!("/api/v1/{call}"))
}

fn url(folder: &Path) -> Result<String, Unfit> {
    Ok(format!("file://{}", text(folder)?))
}

#[derive(Serialize)]
struct Config {
    cpus: Processors,
    memory: Memory,
    payload: Payload,
    disks: Vec<Disk>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    net: Vec<Interface>,
    rng: Random,
    serial: Port,
    console: Port,
    vsock: Vsock,
}

#[derive(Serialize)]
struct Processors {
    boot_vcpus: u32,
    max_vcpus: u32,
    /// Whether the guest can have machines of its own.
    nested: bool,
}

#[derive(Serialize)]
struct Memory {
    size: u64,
}

#[derive(Serialize)]
struct Payload {
    kernel: String,
    initramfs: String,
    cmdline: String,
}

#[derive(Serialize)]
struct Disk {
    id: String,
    path: String,
    readonly: bool,
    image_type: &'static str,
}

#[derive(Serialize)]
struct Interface {
    id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tap: Option<String>,
    mac: String,
    num_queues: u32,
}

impl Interface {
    fn of(network: &Network) -> Interface {
        let tap = match &network.tap {
            Tap::Named(name) => Some(name.clone()),
            Tap::Descriptor => None,
        };
        Interface { id: INTERFACE, tap, mac: network.mac.to_string(), num_queues: QUEUES }
    }
}

#[derive(Serialize)]
struct Random {
    src: &'static str,
}

#[derive(Serialize)]
struct Port {
    mode: &'static str,
}

#[derive(Serialize)]
struct Vsock {
    cid: u32,
    socket: String,
}

#[derive(Serialize)]
struct Snapshot {
    destination_url: String,
}

#[derive(Serialize)]
struct Restore {
    source_url: String,
    memory_restore_mode: &'static str,
    resume: bool,
    /// Not in the published description.
    #[serde(skip_serializing_if = "Option::is_none")]
    net_fds: Option<[Restored; 1]>,
}

#[derive(Serialize)]
struct Restored {
    id: &'static str,
    num_fds: u32,
}
