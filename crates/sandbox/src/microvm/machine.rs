//! The command line of the monitor: a machine of QEMU's `microvm` type, with nothing but what a sandbox needs.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use launcher::guest::{CONTROL, NETWORK, STREAM};

use super::tsc;
use crate::Finding;

/// Who executes the instructions of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// A machine.
pub(super) struct Machine {
    pub(super) acceleration: Acceleration,
    pub(super) memory_bytes: u64,
    pub(super) processors: u32,
    /// How many disks it has.
    pub(super) disks: usize,
    /// Its address, and its only neighbour; its interface's descriptor comes after those of the disks.
    pub(super) network: Option<(Ipv4Addr, Ipv4Addr)>,
}

/// The descriptors that the monitor is given, in this order; disks follow.
const FIRST: usize = 3;
const CONTROL_FD: usize = FIRST;
const STREAM_FD: usize = FIRST + 1;
const KERNEL_FD: usize = FIRST + 2;
const INITRD_FD: usize = FIRST + 3;
const DISK_FD: usize = FIRST + 4;

/// Where the guest finds a disk.
pub(super) fn disk(index: usize) -> PathBuf {
    let letter = char::from(b'a' + u8::try_from(index).unwrap_or(25));
    PathBuf::from(format!("/dev/vd{letter}"))
}

impl Machine {
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut add = |option: &str, value: String| words.extend([option.to_owned(), value]);
        add("-nodefaults", String::new());
        add("-no-user-config", String::new());
        add("-no-reboot", String::new());
        add("-machine", "microvm,acpi=on,x-option-roms=off,rtc=on,isa-serial=on".into());
        add("-accel", self.accelerator());
        add("-cpu", "max".into());
        add("-m", format!("{}M", self.memory_bytes.div_ceil(1 << 20)));
        add("-smp", self.processors.to_string());
        add("-display", "none".into());
        add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny".into());
        add("-kernel", format!("/proc/self/fd/{KERNEL_FD}"));
        add("-initrd", format!("/proc/self/fd/{INITRD_FD}"));
        let network = self.network.map(|(address, neighbour)| format!(" {NETWORK}={address},{neighbour}"));
        let network = network.unwrap_or_default();
        add(
            "-append",
            format!("console=ttyS0 quiet panic=-1 reboot=t tsc=reliable tsc_early_khz={}{network}", tsc::khz()),
        );
        add("-chardev", "stdio,id=console,signal=off".into());
        add("-serial", "chardev:console".into());
        add("-device", "virtio-serial-device,max_ports=3".into());
        for (number, name, fd) in [(1, CONTROL, CONTROL_FD), (2, STREAM, STREAM_FD)] {
            add("-chardev", format!("socket,id=port{number},fd={fd}"));
            add("-device", format!("virtserialport,chardev=port{number},name={name},nr={number}"));
        }
        add("-device", "virtio-rng-device".into());
        if self.network.is_some() {
            add("-netdev", format!("tap,id=net,fd={}", DISK_FD + self.disks));
            add("-device", "virtio-net-device,netdev=net".into());
        }
        for index in 0..self.disks {
            add("-add-fd", format!("fd={},set={index}", DISK_FD + index));
            let file = format!(
                "driver=raw,node-name=disk{index},read-only=on,file.driver=file,file.filename=/dev/fdset/{index},file.locking=off"
            );
            add("-blockdev", file);
            // The machine's first device gets the last place: its kernel counts them from behind.
            add("-device", format!("virtio-blk-device,drive=disk{index}"));
        }
        words.retain(|word| !word.is_empty());
        words
    }

    fn accelerator(&self) -> String {
        match self.acceleration {
            Acceleration::Kvm => "kvm".into(),
            // A small cache of translations: machines are many, and short-lived.
            Acceleration::Tcg => "tcg,tb-size=64".into(),
        }
    }
}
