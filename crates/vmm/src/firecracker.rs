//! Firecracker's words, as of version 1.16.1.
//!
//! Source: `src/firecracker/swagger/firecracker.yaml` and, where that is silent, `src/vmm/src/rpc_interface.rs` of its repository.
//!
//! Never: MMDS (a guest could ask the monitor for what it was never given), a balloon, memory that is added later, devices that
//! come later, a second snapshot on top of one.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::machine::{FromSnapshot, Machine, Tap};
use crate::monitor::{self, Bounds, Ending, Kernel, Method, Monitor, Process, Request, Unfit, mebibytes, socket, text};

/// The monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firecracker {
    /// Devices on a PCI bus instead of each in a place of its own, which there are few of. The guest needs `virtio_pci` then, else
    /// `virtio_mmio` and ACPI.
    pub pci: bool,
}

const NAME: &str = "Firecracker";
/// `MAX_SUPPORTED_VCPUS`.
const PROCESSORS: u32 = 32;
/// `CMDLINE_MAX_SIZE` is 2048 with its end; the monitor adds words of its own, and with disks in places of their own up to 40
/// bytes for each.
const CMDLINE_BYTES: usize = 1024;
/// Of 19 interrupts, one each for the network, vsock and random numbers, two for what tells a guest that it is a copy.
const DISKS: usize = 14;
/// Of 31 places on the bus, one each for the network, vsock and random numbers.
const PCI_DISKS: usize = 28;
/// 0 to 2 have a meaning. The guest is the only one that its monitor speaks for.
const GUEST_CID: u32 = 3;
const INTERFACE: &str = "eth0";
/// In a snapshot's folder.
const STATE: &str = "state";
const MEMORY: &str = "memory";

impl Monitor for Firecracker {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kernel(&self) -> Kernel {
        Kernel::Elf
    }

    fn ending(&self) -> Ending {
        // By the keyboard's controller. A triple fault would end it too, as a failure.
        Ending::Restart("reboot=k")
    }

    fn shares_memory(&self) -> bool {
        // It maps the file.
        true
    }

    fn interface(&self) -> monitor::Interface {
        monitor::Interface::Opens
    }

    fn arguments(&self, process: &Process) -> Vec<String> {
        let socket = process.socket();
        // The guest's console and the monitor's own words come on the same stream: of the latter, only what went wrong.
        let words = ["--api-sock", &socket.to_string_lossy(), "--id", &process.id, "--level", "Error"];
        let pci = self.pci.then_some("--enable-pci");
        words.into_iter().chain(pci).map(str::to_owned).collect()
    }

    fn ready(&self) -> Request {
        Request::bare(Method::Get, "/version")
    }

    fn version(&self, answer: &Value) -> Option<String> {
        answer.get("firecracker_version")?.as_str().map(str::to_owned)
    }

    fn boot(&self, machine: &Machine) -> Result<Vec<Request>, Unfit> {
        let disks = if self.pci { PCI_DISKS } else { DISKS };
        Bounds { monitor: NAME, processors: PROCESSORS, cmdline_bytes: CMDLINE_BYTES, disks }.check(machine)?;
        let mut requests = vec![put("/machine-config", MachineConfig::of(machine)), boot_source(machine)?];
        for (index, disk) in machine.disks.iter().enumerate() {
            let drive = Drive {
                drive_id: drive(index),
                path_on_host: text(&disk.path)?,
                is_root_device: false,
                is_read_only: disk.read_only,
                // What a machine wrote is of no use once it is gone.
                cache_type: "Unsafe",
                io_engine: "Sync",
            };
            requests.push(put(format!("/drives/{}", drive.drive_id), drive));
        }
        if let Some(network) = &machine.network {
            let host_dev_name = tap_name(&network.tap)?;
            let interface = Interface { iface_id: INTERFACE, host_dev_name, guest_mac: Some(network.mac.to_string()) };
            requests.push(put(format!("/network-interfaces/{INTERFACE}"), interface));
        }
        // The socket is made now, and not when the machine starts.
        requests.push(put("/vsock", Vsock { guest_cid: GUEST_CID, uds_path: socket(&machine.vsock)? }));
        requests.push(put("/entropy", Entropy {}));
        if !machine.console {
            requests.push(put("/serial", Serial { serial_out_path: "/dev/null" }));
        }
        requests.push(put("/actions", Action { action_type: "InstanceStart" }));
        Ok(requests)
    }

    fn pause(&self) -> Vec<Request> {
        vec![state("Paused")]
    }

    fn save(&self, folder: &Path) -> Result<Vec<Request>, Unfit> {
        let create = SnapshotCreate {
            snapshot_type: "Full",
            snapshot_path: text(&folder.join(STATE))?,
            mem_file_path: text(&folder.join(MEMORY))?,
        };
        Ok(vec![put("/snapshot/create", create)])
    }

    fn load(&self, copy: &FromSnapshot) -> Result<Vec<Request>, Unfit> {
        let overrides = copy
            .tap
            .as_ref()
            .map(|tap| Ok(Interface { iface_id: INTERFACE, host_dev_name: tap_name(tap)?, guest_mac: None }));
        let load = SnapshotLoad {
            snapshot_path: text(&copy.snapshot.join(STATE))?,
            // The memory is mapped, and what a machine writes to it is its own.
            mem_backend: Backend { backend_type: "File", backend_path: text(&copy.snapshot.join(MEMORY))? },
            track_dirty_pages: false,
            resume_vm: false,
            network_overrides: overrides.into_iter().collect::<Result<_, Unfit>>()?,
            vsock_override: VsockOverride { uds_path: socket(&copy.vsock)? },
        };
        Ok(vec![put("/snapshot/load", load)])
    }

    fn resume(&self) -> Vec<Request> {
        vec![state("Resumed")]
    }

    fn end(&self) -> Vec<Request> {
        // `SendCtrlAltDel` is a wish to the guest.
        Vec::new()
    }
}

fn put(path: impl Into<String>, body: impl Serialize) -> Request {
    Request::new(Method::Put, path, body)
}

fn state(state: &'static str) -> Request {
    Request::new(Method::Patch, "/vm", State { state })
}

fn boot_source(machine: &Machine) -> Result<Request, Unfit> {
    let source = BootSource {
        kernel_image_path: text(&machine.kernel)?,
        initrd_path: text(&machine.initrd)?,
        boot_args: machine.cmdline.clone(),
    };
    Ok(put("/boot-source", source))
}

/// Letters, digits and `_` only.
fn drive(index: usize) -> String {
    format!("disk{index}")
}

fn tap_name(tap: &Tap) -> Result<String, Unfit> {
    match tap {
        Tap::Named(name) => Ok(name.clone()),
        Tap::Descriptor => Err(Unfit::TapDescriptor { monitor: NAME }),
    }
}

#[derive(Serialize)]
struct MachineConfig {
    vcpu_count: u32,
    mem_size_mib: u64,
    smt: bool,
    track_dirty_pages: bool,
}

impl MachineConfig {
    fn of(machine: &Machine) -> MachineConfig {
        MachineConfig {
            vcpu_count: machine.processors,
            mem_size_mib: mebibytes(machine.memory_bytes),
            smt: false,
            track_dirty_pages: false,
        }
    }
}

#[derive(Serialize)]
struct BootSource {
    kernel_image_path: String,
    initrd_path: String,
    boot_args: String,
}

#[derive(Serialize)]
struct Drive {
    drive_id: String,
    path_on_host: String,
    is_root_device: bool,
    is_read_only: bool,
    cache_type: &'static str,
    io_engine: &'static str,
}

#[derive(Serialize)]
struct Interface {
    iface_id: &'static str,
    host_dev_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    guest_mac: Option<String>,
}

#[derive(Serialize)]
struct Vsock {
    guest_cid: u32,
    uds_path: String,
}

/// Without a limit: the jail's share of the processor is one.
#[derive(Serialize)]
struct Entropy {}

#[derive(Serialize)]
struct Serial {
    serial_out_path: &'static str,
}

#[derive(Serialize)]
struct Action {
    action_type: &'static str,
}

#[derive(Serialize)]
struct State {
    state: &'static str,
}

#[derive(Serialize)]
struct SnapshotCreate {
    snapshot_type: &'static str,
    snapshot_path: String,
    mem_file_path: String,
}

#[derive(Serialize)]
struct SnapshotLoad {
    snapshot_path: String,
    mem_backend: Backend,
    track_dirty_pages: bool,
    resume_vm: bool,
    network_overrides: Vec<Interface>,
    vsock_override: VsockOverride,
}

#[derive(Serialize)]
struct Backend {
    backend_type: &'static str,
    backend_path: String,
}

#[derive(Serialize)]
struct VsockOverride {
    uds_path: String,
}
