//! The command line of the monitor: a machine of QEMU's `microvm` type, with nothing but what a sandbox needs.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use launcher::guest::{CONTROL, Places, STREAM};
use launcher::protocol::{Plan, Program, Role};
use model::limits::Limits;

use super::tsc;
use crate::guest::acpi;
use crate::local::plan as plan_of;
use crate::{CreateError, Finding, NetworkSource, SandboxSpec};

/// The monitor's program.
pub(super) const MONITOR: &str = "/usr/bin/qemu-system-x86_64";
/// What the monitor needs beside the guest's memory.
const MONITOR_MEMORY: u64 = 256 << 20;
/// A machine whose guest does not end its sandbox in time is ended from outside this much later.
const WALL_GRACE_MS: u64 = 30_000;
/// The first descriptor that a program is given.
const FIRST: usize = 3;

/// Who executes the instructions of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acceleration {
    /// The processor.
    Kvm,
    /// QEMU, by translating them: slower, and anywhere.
    Tcg,
}

impl Acceleration {
    pub(super) fn finding(self) -> Finding {
        match self {
            Acceleration::Kvm => Finding::Good("KVM".into()),
            Acceleration::Tcg => Finding::Reduced {
                reason: "QEMU translates the guest's instructions, many times slower than a processor runs them".into(),
                remedy: "a host whose /dev/kvm boots the guest".into(),
            },
        }
    }

    fn words(self, engine: bool) -> &'static str {
        match self {
            Acceleration::Kvm => "kvm",
            // A small cache of translations: machines are many, and short-lived. An engine's programs need more.
            Acceleration::Tcg if engine => "tcg,tb-size=256",
            Acceleration::Tcg => "tcg,tb-size=64",
        }
    }
}

/// What is the same for all machines that can be copies of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    pub(super) acceleration: Acceleration,
    /// A multiple of [`Shape::MEMORY_UNIT`].
    pub(super) memory_bytes: u64,
    pub(super) processors: u32,
    /// It has a Docker Engine, whose disk has so many bytes.
    pub(super) engine: Option<u64>,
}

impl Shape {
    const MEMORY_UNIT: u64 = 1 << 20;

    pub(super) fn new(acceleration: Acceleration, memory_bytes: u64, processors: u32) -> Shape {
        let memory_bytes = memory_bytes.next_multiple_of(Shape::MEMORY_UNIT);
        Shape { acceleration, memory_bytes, processors, engine: None }
    }

    /// The places of further devices in a copy. QEMU's own table names what the saved machine had, ours all other places and, once
    /// more, those of an engine's disks.
    pub(super) fn places(self, count: u32) -> Places {
        let of_engine = if self.engine.is_some() { ENGINE_DISKS } else { 0 };
        let first = acpi::TAKEN as u32 + 2 * of_engine;
        Places { first, count }
    }
}

/// Disks of an engine: programs and data. They come first.
pub(super) const ENGINE_DISKS: u32 = 2;

/// Where a machine's memory is.
pub(super) enum Memory {
    /// The monitor's own.
    Own,
    /// A file that holds all of it when the machine has been saved.
    Saved(OwnedFd),
    /// A file that is not written to: what the machine changes is its own.
    CopyOf(OwnedFd),
}

/// A monitor to be started.
pub(super) struct Monitor {
    shape: Shape,
    words: Vec<String>,
    given: Vec<OwnedFd>,
    disks: usize,
    has_network: bool,
}

/// Where the guest finds a disk.
pub(super) fn disk(index: usize) -> PathBuf {
    let letter = char::from(b'a' + u8::try_from(index).unwrap_or(25));
    PathBuf::from(format!("/dev/vd{letter}"))
}

impl Monitor {
    /// A machine with nothing but ports and random numbers.
    pub(super) fn new(shape: Shape, memory: Memory, control: OwnedFd, stream: OwnedFd) -> Monitor {
        let mut monitor = Monitor { shape, words: Vec::new(), given: Vec::new(), disks: 0, has_network: false };
        let size = shape.memory_bytes >> 20;
        let own = matches!(memory, Memory::Own);
        for word in ["-nodefaults", "-no-user-config", "-no-reboot"] {
            monitor.words.push(word.to_owned());
        }
        let backend = if own { "" } else { ",memory-backend=ram" };
        monitor.add("-machine", format!("microvm,acpi=on,x-option-roms=off,rtc=on,isa-serial=on{backend}"));
        monitor.add("-accel", shape.acceleration.words(shape.engine.is_some()).to_owned());
        monitor.add("-cpu", "max".to_owned());
        monitor.add("-m", format!("{size}M"));
        monitor.add("-smp", shape.processors.to_string());
        monitor.add("-display", "none".to_owned());
        monitor.add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny".to_owned());
        match memory {
            Memory::Own => {}
            Memory::Saved(file) => monitor.memory(file, size, "on"),
            Memory::CopyOf(file) => monitor.memory(file, size, "off"),
        }
        monitor.add("-chardev", "stdio,id=console,signal=off".to_owned());
        monitor.add("-serial", "chardev:console".to_owned());
        monitor.add("-device", "virtio-serial-device,max_ports=3".to_owned());
        for (number, name, fd) in [(1, CONTROL, control), (2, STREAM, stream)] {
            let fd = monitor.give(fd);
            monitor.add("-chardev", format!("socket,id=port{number},fd={fd}"));
            monitor.add("-device", format!("virtserialport,chardev=port{number},name={name},nr={number}"));
        }
        monitor.add("-device", "virtio-rng-device".to_owned());
        monitor
    }

    /// It boots.
    pub(super) fn boot(&mut self, kernel: OwnedFd, initrd: OwnedFd) {
        let (kernel, initrd) = (self.give(kernel), self.give(initrd));
        self.add("-kernel", format!("/proc/self/fd/{kernel}"));
        self.add("-initrd", format!("/proc/self/fd/{initrd}"));
        // Nothing here could tell the kernel that its counter is wrong, but it would believe so.
        let clock = format!("tsc=reliable tsc_early_khz={}", tsc::khz());
        self.add("-append", format!("console=ttyS0 quiet panic=-1 reboot=t {clock}"));
    }

    /// It waits for a saved state. Returns the number of the state's descriptor.
    pub(super) fn wait_for(&mut self, state: OwnedFd) -> usize {
        self.add("-incoming", "defer".to_owned());
        self.give(state)
    }

    /// It can be spoken to itself.
    pub(super) fn listen(&mut self, qmp: OwnedFd) {
        let fd = self.give(qmp);
        self.add("-chardev", format!("socket,id=qmp,fd={fd}"));
        self.add("-mon", "chardev=qmp,mode=control".to_owned());
    }

    /// Its interface. Stands before all disks but an engine's.
    pub(super) fn network(&mut self, tap: OwnedFd) {
        let fd = self.give(tap);
        self.has_network = true;
        self.add("-netdev", format!("tap,id=net,fd={fd}"));
        self.add("-device", "virtio-net-device,netdev=net".to_owned());
    }

    /// Its next disk, read-only.
    pub(super) fn disk(&mut self, file: OwnedFd) {
        let (fd, index) = (self.give(file), self.disks);
        self.disks += 1;
        self.add("-add-fd", format!("fd={fd},set={index}"));
        let file = format!(
            "driver=raw,node-name=disk{index},read-only=on,file.driver=file,file.filename=/dev/fdset/{index},file.locking=off"
        );
        self.add("-blockdev", file);
        self.add("-device", format!("virtio-blk-device,drive=disk{index}"));
    }

    /// The disks of its engine, before everything else: programs, read-only, and data.
    pub(super) fn engine(&mut self, programs: OwnedFd, data: OwnedFd) {
        self.disk(programs);
        let (fd, index) = (self.give(data), self.disks);
        self.disks += 1;
        self.add("-add-fd", format!("fd={fd},set={index}"));
        // It ends with the machine: nothing has to reach the host's disk.
        let file = format!(
            "driver=raw,node-name=disk{index},discard=unmap,cache.no-flush=on,file.driver=file,file.filename=/dev/fdset/{index},file.locking=off"
        );
        self.add("-blockdev", file);
        self.add("-device", format!("virtio-blk-device,drive=disk{index}"));
    }

    /// Devices beside those that the saved machine had.
    pub(super) fn places(&self) -> Places {
        let of_engine = if self.shape.engine.is_some() { ENGINE_DISKS } else { 0 };
        let all = u32::try_from(self.disks + usize::from(self.has_network)).unwrap_or(u32::MAX);
        self.shape.places(all.saturating_sub(of_engine))
    }

    /// Its jail, and what it is given there. The sandbox inside has `limits`.
    pub(super) fn jail(self, limits: &Limits) -> Result<(Plan, Vec<OwnedFd>), CreateError> {
        let limits = Limits {
            memory_bytes: self.shape.memory_bytes + MONITOR_MEMORY,
            processes: 64 + self.shape.processors,
            disk_bytes: 1 << 20,
            wall_ms: limits.wall_ms.saturating_add(WALL_GRACE_MS),
            ..*limits
        };
        let spec = SandboxSpec { limits, network: NetworkSource::None, ..SandboxSpec::host_tools() };
        let (mut plan, _) = plan_of(spec)?;
        // The namespace that its interface is in.
        plan.netns = self.has_network;
        plan.program = Some(Program {
            argv: [MONITOR.to_owned()].into_iter().chain(self.words).collect(),
            descriptors: u32::try_from(self.given.len()).unwrap_or(u32::MAX),
            role: Role::Monitor { kvm: self.shape.acceleration == Acceleration::Kvm },
        });
        Ok((plan, self.given))
    }

    fn memory(&mut self, file: OwnedFd, size: u64, share: &str) {
        let fd = self.give(file);
        let backend = format!("memory-backend-file,id=ram,size={size}M,mem-path=/proc/self/fd/{fd},share={share}");
        self.add("-object", backend);
    }

    fn add(&mut self, option: &str, value: String) {
        self.words.extend([option.to_owned(), value]);
    }

    /// The number that it has there.
    fn give(&mut self, fd: OwnedFd) -> usize {
        self.given.push(fd);
        FIRST + self.given.len() - 1
    }
}
