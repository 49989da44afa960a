//! The seam: what differs between monitors is what they are asked, and in which order.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::machine::{FromSnapshot, Machine, descriptor};

/// Of the path of a unix socket, the kernel takes so many bytes.
pub const SOCKET_PATH_BYTES: usize = 107;

/// A monitor of machines. One process of it has one machine, once.
///
/// ```text
///   process ── ready ──▶ fresh ── boot ──▶ running ── pause ──▶ paused ── save ──▶ paused
///                          │                  ▲                   │ ▲
///                          │                  └────── resume ─────┘ │
///                          └── load ────────────────────────────────┘        end, or a killed process: from anywhere
/// ```
///
/// All answers are lists to be sent in their order, each after the last one was granted. One that is refused leaves a machine
/// that is good for nothing but to be ended. Nothing is sent twice. A refused `load` ends the process of Firecracker.
pub trait Monitor: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What kernels it boots.
    fn kernel(&self) -> Kernel;

    /// How a guest ends its machine, and the process with it.
    fn ending(&self) -> Ending;

    /// Whether machines that are loaded from one folder share what they have not changed of its memory.
    fn shares_memory(&self) -> bool;

    /// Where a machine's interface comes from.
    fn interface(&self) -> Interface;

    /// The words after the program's name.
    fn arguments(&self, process: &Process) -> Vec<String>;

    /// Granted as soon as it hears.
    fn ready(&self) -> Request;

    /// The version in the answer to [`ready`](Monitor::ready).
    fn version(&self, answer: &Value) -> Option<String>;

    /// Makes and starts a machine.
    fn boot(&self, machine: &Machine) -> Result<Vec<Request>, Unfit>;

    /// Stops its processors.
    fn pause(&self) -> Vec<Request>;

    /// Writes a paused machine into an empty folder. Its open connections over vsock end.
    fn save(&self, folder: &Path) -> Result<Vec<Request>, Unfit>;

    /// Makes a machine from a folder, paused. The folder stays in use as long as the machine.
    fn load(&self, copy: &FromSnapshot) -> Result<Vec<Request>, Unfit>;

    /// Lets its processors run on.
    fn resume(&self) -> Vec<Request>;

    /// Ends the process. Empty: only its killing does.
    fn end(&self) -> Vec<Request>;
}

/// What a monitor's process is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Letters, digits and `-`, 1 to 64 of them.
    pub id: String,
    /// Number of the descriptor of a folder that nothing but this machine uses, and in which the process may make sockets.
    pub folder: u32,
}

/// Name of the socket that a monitor makes in its folder to be spoken to.
pub const API_SOCKET: &str = "api";
/// Name of the socket in its folder that leads to the guest's ports.
pub const VSOCK_SOCKET: &str = "vsock";

impl Process {
    pub(crate) fn socket(&self) -> PathBuf {
        descriptor(self.folder).join(API_SOCKET)
    }

    /// For [`Machine::vsock`].
    pub fn vsock(&self) -> PathBuf {
        descriptor(self.folder).join(VSOCK_SOCKET)
    }
}

/// A format of kernels, for x86-64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// An ELF file (`vmlinux`) only; see [`vmlinux`](crate::vmlinux).
    Elf,
    /// That with an entry for PVH, and what distributions ship (`bzImage`).
    ElfOrBzImage,
}

/// How a monitor comes by the host's end of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// It opens it by its name: [`Tap::Named`](crate::machine::Tap::Named) only.
    Opens,
    /// It takes a descriptor too.
    Takes,
}

/// How a guest ends its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By a restart, if its kernel was told this word; a power-off would only stop it.
    Restart(&'static str),
    /// By a power-off; after a restart, of whatever kind, it runs once more.
    PowerOff,
}

/// How a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Asks.
    Get,
    /// Sets.
    Put,
    /// Changes.
    Patch,
}

impl Method {
    /// As it stands in a request's first line.
    pub fn word(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
        }
    }
}

/// A request to a monitor.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Whereto.
    pub path: String,
    /// What.
    pub body: Option<Value>,
    /// Whether the descriptor of the machine's interface goes along with it.
    pub tap: bool,
}

impl Request {
    pub(crate) fn bare(method: Method, path: &str) -> Request {
        Request { method, path: path.to_owned(), body: None, tap: false }
    }

    pub(crate) fn new(method: Method, path: impl Into<String>, body: impl Serialize) -> Request {
        // Structures of strings, numbers and lists: there is nothing in them that JSON has not.
        let body = serde_json::to_value(body).unwrap_or_default();
        Request { method, path: path.into(), body: Some(body), tap: false }
    }

    pub(crate) fn with_tap(self) -> Request {
        Request { tap: true, ..self }
    }
}

/// A machine that a monitor cannot make.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Too few or too many.
    #[error("{count} processors; {monitor} makes machines of 1 to {most}")]
    Processors {
        /// Which monitor.
        monitor: &'static str,
        /// Asked for.
        count: u32,
        /// It has.
        most: u32,
    },
    /// None, or more than any host has.
    #[error("a memory of {bytes} bytes")]
    Memory {
        /// Asked for.
        bytes: u64,
    },
    /// It would be cut or refused.
    #[error("a command line of {bytes} bytes; {monitor} takes {most}")]
    Cmdline {
        /// Which monitor.
        monitor: &'static str,
        /// Asked for.
        bytes: usize,
        /// It takes.
        most: usize,
    },
    /// The machine has no room for them.
    #[error("{count} disks; {monitor} has room for {most}")]
    Disks {
        /// Which monitor.
        monitor: &'static str,
        /// Asked for.
        count: usize,
        /// It takes.
        most: usize,
    },
    /// Requests are JSON.
    #[error("the path {path} is not UTF-8")]
    Path {
        /// As far as it can be shown.
        path: String,
    },
    /// The kernel takes no such path.
    #[error("the socket {path} has a path of more than {SOCKET_PATH_BYTES} bytes")]
    SocketPath {
        /// Which one.
        path: String,
    },
    /// Firecracker opens interfaces itself.
    #[error("{monitor} opens an interface by its name and takes no descriptor of it")]
    TapDescriptor {
        /// Which monitor.
        monitor: &'static str,
    },
}

/// What a monitor can do, checked in one place.
pub(crate) struct Bounds {
    pub(crate) monitor: &'static str,
    pub(crate) processors: u32,
    pub(crate) cmdline_bytes: usize,
    pub(crate) disks: usize,
}

impl Bounds {
    pub(crate) fn check(&self, machine: &Machine) -> Result<(), Unfit> {
        let monitor = self.monitor;
        if machine.processors == 0 || machine.processors > self.processors {
            return Err(Unfit::Processors { monitor, count: machine.processors, most: self.processors });
        }
        if machine.memory_bytes == 0 || machine.memory_bytes > 1 << 46 {
            return Err(Unfit::Memory { bytes: machine.memory_bytes });
        }
        if machine.cmdline.len() > self.cmdline_bytes {
            return Err(Unfit::Cmdline { monitor, bytes: machine.cmdline.len(), most: self.cmdline_bytes });
        }
        if machine.disks.len() > self.disks {
            return Err(Unfit::Disks { monitor, count: machine.disks.len(), most: self.disks });
        }
        Ok(())
    }
}

/// In whole MiB.
pub(crate) fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// As JSON can say it.
pub(crate) fn text(path: &Path) -> Result<String, Unfit> {
    path.to_str().map(str::to_owned).ok_or_else(|| Unfit::Path { path: path.display().to_string() })
}

/// As JSON and the kernel can take it.
pub(crate) fn socket(path: &Path) -> Result<String, Unfit> {
    let text = text(path)?;
    if text.len() > SOCKET_PATH_BYTES { Err(Unfit::SocketPath { path: text }) } else { Ok(text) }
}
