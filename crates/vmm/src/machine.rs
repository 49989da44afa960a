//! A machine, in words that no monitor has invented.

use std::fmt;
use std::path::PathBuf;

/// What a jailed process calls the open descriptor `number`.
///
/// The kernel follows it without a name being looked up. It opens the file once more, so the process's user must have the right
/// to: a descriptor that can be written is no help with a file that cannot.
pub fn descriptor(number: u32) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{number}"))
}

/// A machine. All paths are as the monitor sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Rounded up to whole MiB.
    pub memory_bytes: u64,
    /// How many processors it has.
    pub processors: u32,
    /// Its kernel; see [`Monitor::kernel`](crate::Monitor::kernel).
    pub kernel: PathBuf,
    /// Its initial file system.
    pub initrd: PathBuf,
    /// What its kernel is told.
    pub cmdline: String,
    /// The guest finds them in this order.
    pub disks: Vec<Disk>,
    /// `None`: it has no interface.
    pub network: Option<Network>,
    /// A socket that the monitor makes, where [`vsock::connect`](crate::vsock::connect) finds the guest's ports. It must not be
    /// there yet.
    pub vsock: PathBuf,
    /// Whether what the guest writes to its first serial port comes on the monitor's standard output.
    pub console: bool,
}

/// A disk. Its content is never looked at: it is raw, whatever it looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Its file.
    pub path: PathBuf,
    /// Whether the guest can only read it.
    pub read_only: bool,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its address.
    pub mac: Mac,
    /// The host's end.
    pub tap: Tap,
}

/// The host's end of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tap {
    /// The monitor opens it by its name in its own network namespace. It must be there, stay there without anybody holding it, and
    /// belong to the monitor's user; `/dev/net/tun` must be in the jail.
    Named(String),
    /// A descriptor of it goes along with the request that [says so](crate::Request::tap).
    Descriptor,
}

/// An address of the link layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A machine that comes from a snapshot.
///
/// Disks are not named again: the monitor opens them by the paths that the snapshot was made with, and the guest goes on believing
/// that each is as long as its file was then. So a place for a disk to come is saved with a file longer than any that will be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromSnapshot {
    /// The snapshot's folder, as the monitor sees it.
    pub snapshot: PathBuf,
    /// The host's end of its interface; `Some` exactly where the machine had one.
    pub tap: Option<Tap>,
    /// As [`Machine::vsock`]; for Cloud Hypervisor it must be the path that the snapshot was made with.
    pub vsock: PathBuf,
}
