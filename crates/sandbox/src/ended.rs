//! How a sandbox ended, what it had used, and which limits it met.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The end of a sandbox: reported once nothing is left of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Why.
    pub cause: EndCause,
    /// What it had used, and the limits it had met.
    pub usage: Usage,
}

impl Ended {
    pub(crate) fn lost() -> Ended {
        Ended { cause: EndCause::Lost, usage: Usage::default() }
    }
}

/// Why a sandbox ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndCause {
    /// [`crate::Driver::destroy`] was called.
    Destroyed,
    /// A limit of the whole sandbox ended it.
    Limit(LimitMet),
    /// Its process 1 ended by itself with this code.
    Exited(i32),
    /// Its process 1 was killed by this signal, by nobody here.
    Signalled(i32),
    /// The process that made it is gone.
    Lost,
}

/// What a sandbox uses or used. `None` where the host has no means to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Largest memory of all processes and the writable layer together, in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// CPU time in microseconds.
    pub cpu_us: Option<u64>,
    /// Bytes in the writable layer now.
    pub disk_bytes: Option<u64>,
    /// Files in the writable layer now.
    pub inodes: Option<u64>,
    /// Limits met so far, each kind once.
    pub limits_met: Vec<LimitMet>,
}

impl Usage {
    /// Limits met in `self` that were not met, or fewer times, in `before`: what a step that ran in between ran into.
    pub fn met_since<'a>(&'a self, before: &Usage) -> impl Iterator<Item = &'a LimitMet> {
        let before: Vec<_> = before.limits_met.iter().map(|m| (m.kind, m.times)).collect();
        self.limits_met.iter().filter(move |m| !before.iter().any(|(kind, times)| *kind == m.kind && *times >= m.times))
    }
}

/// A limit that a sandbox ran into. Prints as `memory limit of 4 GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitMet {
    /// Which.
    pub kind: LimitKind,
    /// Its value, in the unit of [`model::limits::Limits`].
    pub value: u64,
    /// How often the kernel counted it; 1 where it is only known to be met now.
    pub times: u64,
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LimitKind {
    /// [`model::limits::Limits::memory_bytes`]: the kernel killed a process.
    Memory,
    /// [`model::limits::Limits::processes`]: a fork was refused.
    Processes,
    /// [`model::limits::Limits::disk_bytes`]: the writable layer is full.
    Disk,
    /// The size of one of [`crate::SandboxSpec::tmpfs`]: it is full.
    Tmpfs,
    /// [`model::limits::Limits::inodes`]: the writable layer has no room for another file.
    Inodes,
    /// [`model::limits::Limits::log_bytes`]: what follows is not kept. No driver says this.
    Log,
    /// [`model::limits::Limits::wall_ms`]: the sandbox was ended.
    Wall,
}

impl fmt::Display for LimitMet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            LimitKind::Memory => write!(f, "memory limit of {}", Bytes(self.value)),
            LimitKind::Processes => write!(f, "limit of {} processes", self.value),
            LimitKind::Disk => write!(f, "disk limit of {}", Bytes(self.value)),
            LimitKind::Tmpfs => write!(f, "limit of {} of a file system in memory (--tmpfs)", Bytes(self.value)),
            LimitKind::Inodes => write!(f, "limit of {} files", self.value),
            LimitKind::Log => write!(f, "log limit of {}", Bytes(self.value)),
            LimitKind::Wall => write!(f, "time limit of {}", Duration(self.value)),
        }
    }
}

struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
            if self.0 >= unit {
                let tenths = self.0 * 10 / unit;
                return match tenths % 10 {
                    0 => write!(f, "{} {name}", tenths / 10),
                    tenth => write!(f, "{}.{tenth} {name}", tenths / 10),
                };
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

struct Duration(u64);

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms if ms % 3_600_000 == 0 => write!(f, "{} h", ms / 3_600_000),
            ms if ms % 60_000 == 0 => write!(f, "{} min", ms / 60_000),
            ms if ms % 1000 == 0 => write!(f, "{} s", ms / 1000),
            ms => write!(f, "{ms} ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(kind: LimitKind, value: u64) -> LimitMet {
        LimitMet { kind, value, times: 1 }
    }

    #[test]
    fn a_limit_is_named_with_its_unit() {
        assert_eq!(met(LimitKind::Memory, 4 << 30).to_string(), "memory limit of 4 GiB");
        assert_eq!(met(LimitKind::Disk, 1_610_612_736).to_string(), "disk limit of 1.5 GiB");
        assert_eq!(met(LimitKind::Disk, 700).to_string(), "disk limit of 700 bytes");
        assert_eq!(met(LimitKind::Tmpfs, 1 << 20).to_string(), "limit of 1 MiB of a file system in memory (--tmpfs)");
        assert_eq!(met(LimitKind::Processes, 64).to_string(), "limit of 64 processes");
        assert_eq!(met(LimitKind::Wall, 21_600_000).to_string(), "time limit of 6 h");
        assert_eq!(met(LimitKind::Wall, 1500).to_string(), "time limit of 1500 ms");
    }

    #[test]
    fn what_was_met_since_is_what_grew() {
        let before = Usage { limits_met: vec![met(LimitKind::Memory, 1), met(LimitKind::Disk, 1)], ..Usage::default() };
        let mut after = before.clone();
        assert_eq!(after.met_since(&before).count(), 0);
        after.limits_met[0].times = 2;
        after.limits_met.push(met(LimitKind::Processes, 5));
        let kinds: Vec<_> = after.met_since(&before).map(|m| m.kind).collect();
        assert_eq!(kinds, [LimitKind::Memory, LimitKind::Processes]);
    }
}
