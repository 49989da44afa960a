//! Monitors that are asked over a socket of theirs: Firecracker and Cloud Hypervisor.
//!
//! ```text
//!   this process ──────── requests ───────▶ folder/api ─┐
//!        │                                              ├─ monitor, in its jail, in an empty root ── guest
//!        └── control, stream: CONNECT port ▶ folder/vsock ┘
//! ```
//!
//! The folder is in memory and attached nowhere: the jail has a descriptor of it, and so has this process until its connections
//! stand. What the monitor is to open it opens by the number of a descriptor, as its own user.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use launcher::guest::{CONTROL_PORT, POWER_OFF, STREAM_PORT, VSOCK};
use launcher::protocol::{self, Program, Role};
use model::limits::Limits;
use vmm::cloud_hypervisor::CloudHypervisor;
use vmm::firecracker::Firecracker;
use vmm::http::HttpError;
use vmm::machine::{Disk, FromSnapshot, Mac, Network, Tap, descriptor};
use vmm::monitor::{API_SOCKET, Ending, Interface, Kernel, Process as Given, VSOCK_SOCKET};
use vmm::{Api, Machine, Monitor, Unfit, vsock};

use super::kvm::KVM;
use super::machine::{self, Acceleration, FIRST, Jail, Shape};
use super::running::{Process, Running};
use super::{explain, kernel, open, root};
use crate::guest::Guest;
use crate::local::Local;
use crate::net::machine as net;
use crate::{CreateError, SandboxSpec};

/// How long a monitor may take for its socket, and for one answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// A monitor of this kind.
pub(super) struct Asked {
    pub(super) monitor: Box<dyn Monitor>,
    pub(super) program: PathBuf,
}

/// A machine to be made.
pub(super) struct Parts<'a> {
    pub(super) shape: Shape,
    pub(super) guest: &'a Guest,
    pub(super) scratch: File,
    /// Read-only.
    pub(super) disks: &'a [PathBuf],
    pub(super) tap: Option<&'a net::Tap>,
    pub(super) netns: Option<OwnedFd>,
    /// Of the sandbox inside.
    pub(super) limits: &'a Limits,
    /// Folder of a saved machine: one to be saved, or to be copied.
    pub(super) saved: Option<&'a OwnedFd>,
}

/// A machine whose guest listens, its stream, and the way to its monitor.
pub(super) struct Begun {
    pub(super) machine: Running,
    pub(super) stream: UnixStream,
    pub(super) api: Api,
}

impl Asked {
    /// Devices on a PCI bus, for as many layers as QEMU's machines have places for.
    pub(super) fn firecracker(program: &Path) -> Asked {
        Asked { monitor: Box::new(Firecracker { pci: true }), program: program.to_owned() }
    }

    pub(super) fn cloud_hypervisor(program: &Path) -> Asked {
        Asked { monitor: Box::new(CloudHypervisor), program: program.to_owned() }
    }

    /// Whether it opens a machine's interface by its name, or takes a descriptor of it.
    pub(super) fn opens_by_name(&self) -> bool {
        self.monitor.interface() == Interface::Opens
    }

    /// Boots a machine; gives up after `patience`.
    pub(super) async fn boot(&self, local: &Local, parts: Parts<'_>, patience: Duration) -> Result<Begun, CreateError> {
        let Hardware { mut files, disks, network } = self.give(&parts)?;
        let (kernel, initrd) = files_of(parts.guest, self.monitor.kernel()).await?;
        let machine = Machine {
            memory_bytes: parts.shape.memory_bytes,
            processors: parts.shape.processors,
            kernel: push(&mut files, for_everybody(&kernel)?),
            initrd: push(&mut files, for_everybody(&initrd)?),
            cmdline: self.cmdline(),
            disks,
            network,
            vsock: self.process().vsock(),
            console: true,
        };
        let requests = self.monitor.boot(&machine).map_err(unfit)?;
        self.begin(local, parts, files, &requests, patience).await
    }

    /// Makes a machine of a saved one; gives up after `patience`.
    pub(super) async fn copy(&self, local: &Local, parts: Parts<'_>, patience: Duration) -> Result<Begun, CreateError> {
        // Under the same numbers as what the saved one had.
        let Hardware { files, network, .. } = self.give(&parts)?;
        let tap = network.map(|network| network.tap);
        let copy = FromSnapshot { snapshot: saved(), tap, vsock: self.process().vsock() };
        let mut requests = self.monitor.load(&copy).map_err(unfit)?;
        requests.extend(self.monitor.resume());
        self.begin(local, parts, files, &requests, patience).await
    }

    /// Saves a machine into the folder that was among its parts. It stands still from then on.
    pub(super) async fn save(&self, api: &mut Api, patience: Duration) -> Result<(), CreateError> {
        let mut requests = self.monitor.pause();
        requests.extend(self.monitor.save(&saved()).map_err(unfit)?);
        let asked = api.ask_all(&requests, None, patience).await;
        asked.map_err(|error| CreateError::Unsupported { reason: explain(&error) })
    }

    async fn begin(
        &self,
        local: &Local,
        parts: Parts<'_>,
        given: Vec<OwnedFd>,
        requests: &[vmm::Request],
        patience: Duration,
    ) -> Result<Begun, CreateError> {
        let jail = self.jail(&parts, given)?;
        let mut process = Process::start(local, jail, parts.netns).await?;
        let Some(folder) = process.folder.take() else {
            return Err(CreateError::Unsupported { reason: "the launcher gave no folder for sockets".into() });
        };
        let tap = match parts.tap {
            Some(net::Tap::Held(tap)) => Some(tap.as_fd()),
            _ => None,
        };
        let made = tokio::select! {
            // What it said before it ended says more.
            biased;
            made = self.converse(&folder, requests, tap, patience) => made,
            _ = process.ended() => Err(format!("{} ended", self.monitor.name())),
        };
        match made {
            Ok((control, stream, api)) => Ok(Begun { machine: process.connect(control)?, stream, api }),
            Err(reason) => Err(process.explain(CreateError::Unsupported { reason })),
        }
    }

    /// From the monitor's first word to both connections to its guest.
    async fn converse(
        &self,
        folder: &OwnedFd,
        requests: &[vmm::Request],
        tap: Option<BorrowedFd<'_>>,
        patience: Duration,
    ) -> Result<(UnixStream, UnixStream, Api), String> {
        let here = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        let asked = async {
            let mut api = Api::connect(&here.join(API_SOCKET), ANSWER_PATIENCE).await?;
            let answer = api.ask(&self.monitor.ready(), None, ANSWER_PATIENCE).await?;
            let version = answer.and_then(|answer| self.monitor.version(&answer));
            tracing::debug!(monitor = self.monitor.name(), version, "a monitor hears");
            api.ask_all(requests, tap, ANSWER_PATIENCE).await?;
            Ok::<_, HttpError>(api)
        };
        let api = asked.await.map_err(|error| explain(&error))?;
        let socket = here.join(VSOCK_SOCKET);
        let connect = async |port| vsock::connect(&socket, port, patience).await.map_err(|error| explain(&error));
        Ok((connect(CONTROL_PORT).await?, connect(STREAM_PORT).await?, api))
    }

    /// What a machine is given, saved or not: its disks, and its interface.
    fn give(&self, parts: &Parts<'_>) -> Result<Hardware, CreateError> {
        let copied = |file: io::Result<File>| file.map_err(kernel("copy a descriptor"));
        let mut files = Vec::new();
        if let Some(folder) = parts.saved {
            push(&mut files, folder.try_clone().map_err(kernel("copy a descriptor"))?);
        }
        let scratch = push(&mut files, copied(parts.scratch.try_clone())?.into());
        let mut disks = vec![Disk { path: scratch, read_only: false }];
        for path in parts.disks {
            disks.push(Disk { path: push(&mut files, for_everybody(path)?), read_only: true });
        }
        let mac = Mac(machine::fresh_mac().map_err(kernel("read random numbers"))?);
        let network = parts.tap.map(|tap| Network {
            mac,
            tap: match tap {
                net::Tap::Held(_) => Tap::Descriptor,
                net::Tap::Named(name) => Tap::Named((*name).to_owned()),
            },
        });
        Ok(Hardware { files, disks, network })
    }

    fn cmdline(&self) -> String {
        let ending = match self.monitor.ending() {
            Ending::Restart(word) => word,
            Ending::PowerOff => POWER_OFF,
        };
        format!("console=ttyS0 quiet panic=-1 {ending} {VSOCK}")
    }

    fn process(&self) -> Given {
        Given { id: "machine".into(), folder: u32::try_from(FIRST).unwrap_or(u32::MAX) }
    }

    fn jail(&self, parts: &Parts<'_>, given: Vec<OwnedFd>) -> Result<Jail, CreateError> {
        let mut file = open(&self.program)?;
        let is_static = is_static(&mut file).map_err(kernel(&format!("read {}", self.program.display())))?;
        // What it needs at run time are libraries, or nothing.
        let layers = match is_static {
            true => Vec::new(),
            false => vec![root::layer(&parts.guest.folder, &self.program, &[])?],
        };
        let spec = SandboxSpec::image(layers);
        let words = self.monitor.arguments(&self.process());
        let program = Program {
            argv: [protocol::MONITOR.to_owned()].into_iter().chain(words).collect(),
            descriptors: u32::try_from(1 + given.len()).unwrap_or(u32::MAX),
            role: Role::Monitor {
                program: Some(self.program.clone()),
                // Where there is none, the monitor says so itself.
                kvm: parts.shape.acceleration == Acceleration::Kvm && Path::new(KVM).exists(),
                tun: matches!(parts.tap, Some(net::Tap::Named(_))),
                folder: true,
            },
        };
        Jail::of(parts.shape, spec, parts.limits, parts.netns.is_some(), program, given)
    }
}

/// What a machine is given.
struct Hardware {
    /// In the order of their numbers.
    files: Vec<OwnedFd>,
    disks: Vec<Disk>,
    network: Option<Network>,
}

/// One more of them, and what it is called.
fn push(files: &mut Vec<OwnedFd>, file: OwnedFd) -> PathBuf {
    files.push(file);
    // The first number is the folder's.
    descriptor(u32::try_from(FIRST + files.len()).unwrap_or(u32::MAX))
}

/// Where a saved machine is, if one is among the parts: after the folder for sockets.
fn saved() -> PathBuf {
    descriptor(u32::try_from(FIRST + 1).unwrap_or(u32::MAX))
}

fn unfit(unfit: Unfit) -> CreateError {
    CreateError::Spec { what: unfit.to_string() }
}

/// Kernel and initial file system of a guest in the form that a monitor takes.
async fn files_of(guest: &Guest, kernel: Kernel) -> Result<(PathBuf, PathBuf), CreateError> {
    let (path, guest) = (guest.folder.clone(), guest.clone());
    let made = tokio::task::spawn_blocking(move || {
        let kernel = match kernel {
            Kernel::Elf => guest.vmlinux()?,
            Kernel::ElfOrBzImage => guest.kernel(),
        };
        Ok((kernel, guest.plain_initrd()?))
    });
    let made = made.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    made.map_err(|source| CreateError::Layer { path, source })
}

/// Opens what the monitor opens once more, as a user that owns nothing here.
fn for_everybody(path: &Path) -> Result<OwnedFd, CreateError> {
    let file = open(path)?;
    let mode = file.metadata().map_err(kernel("look at a file"))?.mode();
    if mode & 0o004 == 0 {
        let source =
            io::Error::new(io::ErrorKind::PermissionDenied, "other users cannot read it, and its monitor is one");
        return Err(CreateError::Layer { path: path.to_owned(), source });
    }
    Ok(file.into())
}

/// Whether an ELF file names no program that is to load it.
fn is_static(file: &mut File) -> io::Result<bool> {
    const INTERPRETER: u32 = 3;
    let mut head = [0; 64];
    file.read_exact(&mut head)?;
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no program for this processor"));
    }
    let number = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let (entry_bytes, entries) = (number(54), number(56));
    let first = head[32..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    for entry in 0..entries {
        let at = first.saturating_add(u64::from(entry) * u64::from(entry_bytes));
        let mut kind = [0; 4];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut kind)?;
        if u32::from_le_bytes(kind) == INTERPRETER {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_program_is_told_from_another() {
        let mut own = File::open("/proc/self/exe").unwrap();
        assert!(!is_static(&mut own).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let launcher = folder.path().join("launcher");
        std::fs::write(&launcher, crate::local::launcher_program()).unwrap();
        assert!(is_static(&mut File::open(&launcher).unwrap()).unwrap());
        std::fs::write(&launcher, "#!/bin/sh\n".repeat(10)).unwrap();
        assert!(is_static(&mut File::open(&launcher).unwrap()).is_err());
    }

    #[test]
    fn a_guest_is_told_how_its_machine_ends() {
        let check = |asked: Asked, expect: &str| assert_eq!(asked.cmdline(), expect);
        check(Asked::firecracker(Path::new("/f")), "console=ttyS0 quiet panic=-1 reboot=k cofferdam.ports=vsock");
        check(
            Asked::cloud_hypervisor(Path::new("/c")),
            "console=ttyS0 quiet panic=-1 cofferdam.end=off cofferdam.ports=vsock",
        );
    }
}
