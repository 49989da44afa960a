//! What machines have in common, whatever monitor makes them.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use launcher::protocol::{Plan, Program};
use model::limits::Limits;

use super::scratch::Scratch;
use crate::local::unconnected_plan;
use crate::{CreateError, Finding, SandboxSpec};

/// What a monitor needs beside the guest's memory, with a small cache of translated instructions.
pub(super) const MONITOR_MEMORY: u64 = 256 << 20;
/// How much larger that cache may become in a machine with an engine.
pub(super) const ENGINE_TRANSLATIONS: u64 = 192 << 20;
/// A machine whose guest does not end its sandbox in time is ended from outside this much later.
const WALL_GRACE_MS: u64 = 30_000;
/// The first descriptor that a program is given.
pub(super) const FIRST: usize = 3;

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
}

/// What is the same for all machines that can be copies of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    pub(super) acceleration: Acceleration,
    /// A multiple of [`Shape::MEMORY_UNIT`].
    pub(super) memory_bytes: u64,
    pub(super) processors: u32,
    /// Its scratch disk.
    pub(super) scratch: Scratch,
    /// It has a Docker Engine.
    pub(super) engine: bool,
    /// For disks that come with a copy, where the monitor must know of them before; else 0.
    pub(super) places: usize,
    /// Whether there is an interface, where the monitor must know that before.
    pub(super) interface: bool,
}

impl Shape {
    const MEMORY_UNIT: u64 = 1 << 20;

    /// For a sandbox with these limits. `beside`: what the machine needs of memory for itself.
    pub(super) fn new(acceleration: Acceleration, limits: &Limits, beside: u64, engine: bool) -> Shape {
        let memory_bytes = (limits.memory_bytes + beside).next_multiple_of(Shape::MEMORY_UNIT);
        let processors = limits.cpu_millis.div_ceil(1000).max(1);
        Shape {
            acceleration,
            memory_bytes,
            processors,
            scratch: Scratch::of(limits),
            engine,
            places: 0,
            interface: false,
        }
    }

    /// Disks that every machine of this shape has, before those of its sandbox: scratch, and an engine's programs.
    pub(super) fn own_disks(&self) -> usize {
        1 + usize::from(self.engine)
    }
}

/// Where the guest finds a disk.
pub(super) fn disk(index: usize) -> PathBuf {
    let letter = char::from(b'a' + u8::try_from(index).unwrap_or(25));
    PathBuf::from(format!("/dev/vd{letter}"))
}

/// An address of the link layer for one machine: random, local, of one station.
pub(super) fn fresh_mac() -> std::io::Result<[u8; 6]> {
    let mut mac = [0; 6];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut mac)?;
    mac[0] = mac[0] & 0xfc | 0x02;
    Ok(mac)
}

/// The jail of a monitor, and what it is given there.
pub(super) struct Jail {
    pub(super) plan: Plan,
    pub(super) given: Vec<OwnedFd>,
}

impl Jail {
    /// For a monitor of a machine of this shape, in which a sandbox has `limits`. With a network it is put into the namespace that
    /// its interface is in.
    pub(super) fn of(
        shape: Shape,
        spec: SandboxSpec,
        limits: &Limits,
        has_network: bool,
        program: Program,
        given: Vec<OwnedFd>,
    ) -> Result<Jail, CreateError> {
        let limits = Limits {
            memory_bytes: shape.memory_bytes + MONITOR_MEMORY + if shape.engine { ENGINE_TRANSLATIONS } else { 0 },
            processes: 64 + shape.processors,
            disk_bytes: 1 << 20,
            wall_ms: limits.wall_ms.saturating_add(WALL_GRACE_MS),
            ..*limits
        };
        let mut plan = unconnected_plan(SandboxSpec { limits, read_only_root: true, ..spec })?;
        plan.netns = has_network;
        plan.program = Some(program);
        Ok(Jail { plan, given })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_local_of_one_station_and_differ() {
        let [one, other] = [fresh_mac().unwrap(), fresh_mac().unwrap()];
        assert!(one != other && one[0] & 3 == 2 && other[0] & 3 == 2, "{one:?} {other:?}");
    }
}
