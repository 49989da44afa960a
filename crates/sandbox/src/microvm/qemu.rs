//! QEMU's command line: a machine of its `microvm` type, with nothing but what a sandbox needs.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use launcher::guest::{CONTROL, Places, STREAM};
use launcher::protocol::{Program, Role};
use model::limits::Limits;

use super::machine::{Acceleration, FIRST, Jail, Shape};
use super::{MicroVmConfig, engine, open, root, tsc};
use crate::guest::acpi;
use crate::{CreateError, LayerSource, SandboxSpec};

/// QEMU's program.
pub(super) const PROGRAM: &str = "/usr/bin/qemu-system-x86_64";

/// What it opens beside its libraries, of Debian's packages or others'; what a release does not have, it does not open.
const FIRMWARE: [&str; 8] = [
    "/usr/share/qemu/bios-microvm.bin",
    "/usr/share/qemu/kvmvapic.bin",
    "/usr/share/qemu/linuxboot_dma.bin",
    "/usr/share/qemu/pvh.bin",
    "/usr/share/seabios/bios-microvm.bin",
    "/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so",
    "/usr/lib64/qemu/accel-tcg-x86_64.so",
    "/usr/lib/qemu/accel-tcg-x86_64.so",
];

/// Where a machine's memory is.
pub(super) enum Memory {
    /// The monitor's own.
    Own,
    /// A file that holds all of it when the machine has been saved.
    Saved(OwnedFd),
    /// A file that is not written to: what the machine changes is its own.
    CopyOf(OwnedFd),
}

/// A process of QEMU to be started.
pub(super) struct Qemu {
    shape: Shape,
    words: Vec<String>,
    given: Vec<OwnedFd>,
    disks: usize,
    has_network: bool,
    root: Vec<LayerSource>,
}

impl Qemu {
    /// A machine with nothing but ports and random numbers.
    pub(super) fn new(shape: Shape, memory: Memory, control: OwnedFd, stream: OwnedFd) -> Qemu {
        let mut qemu =
            Qemu { shape, words: Vec::new(), given: Vec::new(), disks: 0, has_network: false, root: Vec::new() };
        let size = shape.memory_bytes >> 20;
        let own = matches!(memory, Memory::Own);
        for word in ["-nodefaults", "-no-user-config", "-no-reboot"] {
            qemu.words.push(word.to_owned());
        }
        let backend = if own { "" } else { ",memory-backend=ram" };
        qemu.add("-machine", format!("microvm,acpi=on,x-option-roms=off,rtc=on,isa-serial=on{backend}"));
        qemu.add("-accel", words(shape).to_owned());
        qemu.add("-cpu", "max".to_owned());
        qemu.add("-m", format!("{size}M"));
        qemu.add("-smp", shape.processors.to_string());
        qemu.add("-display", "none".to_owned());
        qemu.add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny".to_owned());
        match memory {
            Memory::Own => {}
            Memory::Saved(file) => qemu.memory(file, size, "on"),
            Memory::CopyOf(file) => qemu.memory(file, size, "off"),
        }
        qemu.add("-chardev", "stdio,id=console,signal=off".to_owned());
        qemu.add("-serial", "chardev:console".to_owned());
        qemu.add("-device", "virtio-serial-device,max_ports=3".to_owned());
        for (number, name, fd) in [(1, CONTROL, control), (2, STREAM, stream)] {
            let fd = qemu.give(fd);
            qemu.add("-chardev", format!("socket,id=port{number},fd={fd}"));
            qemu.add("-device", format!("virtserialport,chardev=port{number},name={name},nr={number}"));
        }
        qemu.add("-device", "virtio-rng-device".to_owned());
        qemu
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

    /// Its interface. Stands before all disks but its own.
    pub(super) fn network(&mut self, tap: OwnedFd, mac: [u8; 6]) {
        let fd = self.give(tap);
        let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
        self.has_network = true;
        self.add("-netdev", format!("tap,id=net,fd={fd}"));
        self.add("-device", format!("virtio-net-device,netdev=net,mac={mac}"));
    }

    /// Its next disk, read-only.
    pub(super) fn disk(&mut self, file: OwnedFd) {
        self.attach(file, "read-only=on");
    }

    /// The root of its jail, and the disks that it has whatever its sandbox is, before everything else.
    pub(super) fn own_disks(&mut self, scratch: File, config: &MicroVmConfig) -> Result<(), CreateError> {
        self.root = vec![root::layer(&config.guest.folder, Path::new(PROGRAM), &FIRMWARE)?];
        // It ends with the machine: nothing has to reach the host's disk.
        self.attach(scratch.into(), "discard=unmap,cache.no-flush=on");
        if self.shape.engine {
            self.disk(open(engine::programs(config)?)?.into());
        }
        Ok(())
    }

    /// The places of devices that the saved machine did not have, in a copy. QEMU's own table names what that one had, ours all other
    /// places and, once more, those of its own disks.
    pub(super) fn places(&self) -> Places {
        let own = self.shape.own_disks();
        let all = self.disks + usize::from(self.has_network);
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Places { first: number(acpi::TAKEN + 2 * own), count: number(all.saturating_sub(own)) }
    }

    /// Its jail, and what it is given there. The sandbox inside has `limits`.
    pub(super) fn jail(self, limits: &Limits) -> Result<Jail, CreateError> {
        let program = Program {
            argv: [PROGRAM.to_owned()].into_iter().chain(self.words).collect(),
            descriptors: u32::try_from(self.given.len()).unwrap_or(u32::MAX),
            role: Role::Monitor {
                program: None,
                kvm: self.shape.acceleration == Acceleration::Kvm,
                tun: false,
                folder: false,
            },
        };
        Jail::of(self.shape, SandboxSpec::image(self.root), limits, self.has_network, program, self.given)
    }

    fn attach(&mut self, file: OwnedFd, options: &str) {
        let (fd, index) = (self.give(file), self.disks);
        self.disks += 1;
        self.add("-add-fd", format!("fd={fd},set={index}"));
        let file = format!(
            "driver=raw,node-name=disk{index},{options},file.driver=file,file.filename=/dev/fdset/{index},file.locking=off"
        );
        self.add("-blockdev", file);
        // Where the host's disk is full, the guest is told; else the machine would stand still without a word.
        self.add("-device", format!("virtio-blk-device,drive=disk{index},werror=report,rerror=report"));
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

fn words(shape: Shape) -> &'static str {
    match shape.acceleration {
        Acceleration::Kvm => "kvm",
        // A small cache of translations: machines are many, and short-lived. An engine's programs need more.
        Acceleration::Tcg if shape.engine => "tcg,tb-size=256",
        Acceleration::Tcg => "tcg,tb-size=64",
    }
}
