//! The launcher as the first process of a virtual machine: a machine that runs one launcher, and that launcher one sandbox.
//!
//! ```text
//!   power on --> file systems, modules --> a root that can be left --> ports --> launcher (child) --> relay --> power off
//! ```
//!
//! So a sandbox in a machine has the same walls as one on the host, and the machine around them. What the host says comes on the
//! port [`CONTROL`] as framed [`Word`]s; each request goes to the launcher, each reply back. The sandbox's own stream is the port
//! [`STREAM`], the layers are the disks in their order. Where the kernel was told [`VSOCK`], the ports are [`CONTROL_PORT`] and
//! [`STREAM_PORT`] of vsock.
//!
//! Nothing here outlives the host's end of the control port: when it closes, or the launcher ends, the machine goes off: by a
//! restart, which most monitors are told to end with, or by a power-off where the kernel was told [`POWER_OFF`].

mod boot;
mod engine;
mod ports;

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};
use rustix::system::{RebootCommand, reboot};
use serde::{Deserialize, Serialize};
use wire::frame::{self, Decoder};

use crate::fault::{Doing, Result};
use crate::protocol::{Fault, Reply, Request};
use crate::sys::{self, Cloned};
use crate::{channel, server};

/// Name of the port for [`Word`]s and replies.
pub const CONTROL: &str = "cofferdam.control";
/// Name of the port that becomes the stream of the sandbox's process 1.
pub const STREAM: &str = "cofferdam.stream";

/// Number of the port for [`Word`]s and replies, where it is one of vsock.
pub const CONTROL_PORT: u32 = 1024;
/// Number of the port that becomes the stream, where it is one of vsock.
pub const STREAM_PORT: u32 = 1025;
/// A word on the kernel's command line: the ports are those of vsock.
pub const VSOCK: &str = "cofferdam.ports=vsock";
/// A word on the kernel's command line: a restart would not end this machine, a power-off does.
pub const POWER_OFF: &str = "cofferdam.end=off";

/// What the host says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// This machine is a copy of one that had started before: it must become one of its own before it learns anything.
    Fresh {
        /// For the random number generator.
        seed: [u8; 32],
        /// Nanoseconds since 1970.
        now_ns: u64,
        /// Devices in places that were empty when the machine was saved: interface, then disks.
        devices: Places,
        /// Its interface.
        network: Option<Network>,
    },
    /// A disk with an empty ext4, for everything that is written in this machine.
    Scratch {
        /// Where it is.
        disk: PathBuf,
        /// How many files it may hold, where `mkfs` has made room for more.
        inodes: u64,
    },
    /// A Docker Engine is to be started, whose programs are on this EROFS disk; its data goes to the scratch disk. Answered by
    /// [`Reply::EngineReady`], or [`Reply::Failed`] with token 0.
    Engine(PathBuf),
    /// Images for the engine, which is started anew. Answered as `Engine`.
    Offer(Offer),
    /// This machine is to be saved. It listens on its ports once more, answers [`Reply::Parting`] and lets go of the host; whoever
    /// comes next is the host of a copy. Only where the ports are those of vsock.
    Part,
    /// For the launcher.
    Request(Request),
}

/// A machine's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its way to everything.
    pub neighbour: Ipv4Addr,
    /// Its address of the link layer, where the device has that of the machine that was copied.
    pub mac: Option<[u8; 6]>,
}

/// Images that a Docker Engine is to take for its own. All paths but those of disks are in its root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Files; their folders are made.
    pub files: Vec<EngineFile>,
    /// Symbolic links: path and target.
    pub links: Vec<(String, String)>,
    /// Layers: an EROFS disk, and the folder that it is mounted on.
    pub mounts: Vec<(PathBuf, String)>,
}

/// A file for a Docker Engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFile {
    /// Absolute.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Text.
    pub content: String,
}

/// Places of a machine that were empty when it started, as its kernel numbers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// The first.
    pub first: u32,
    /// How many, one after the other.
    pub count: u32,
}

/// Where the scratch disk is mounted.
const SCRATCH: &str = "/scratch";
/// How often the dead of an engine are looked for.
const ORPHANS: rustix::event::Timespec = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
/// Read from the control port at once.
const READ_BYTES: usize = 16 * 1024;

/// Whether this process is the first one of a machine (and not of a PID namespace): nothing is mounted yet.
pub fn is_first_process() -> bool {
    std::process::id() == 1 && std::env::args_os().next().is_some_and(|name| name == "/init")
}

/// Runs as the first process; never returns.
pub fn run() -> ! {
    if let Err(fault) = boot::boot().and_then(|()| serve()) {
        // The console is a file that the host keeps for whoever looks into a machine that did not start.
        eprintln!("cofferdam guest: {fault}");
    }
    let _ = reboot(if boot::is_told(POWER_OFF) { RebootCommand::PowerOff } else { RebootCommand::Restart });
    // Not reached where the host lets a machine end.
    loop {
        let _ = poll(&mut [], None);
    }
}

fn serve() -> Result<()> {
    let (control, stream) = ports::open()?;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .doing(|| "make a socket pair".into())?;
    match sys::clone(0, None).doing(|| "start the launcher".into())? {
        Cloned::Child => {
            drop((ours, control, stream));
            let served = sys::duplicate_to(std::os::fd::AsRawFd::as_raw_fd(&theirs), 0)
                .doing(|| "hand the socket over".into())
                .and_then(|()| server::serve());
            if let Err(fault) = &served {
                eprintln!("cofferdam guest: launcher: {fault}");
            }
            sys::exit_now(i32::from(served.is_err()))
        }
        Cloned::Parent(pid, _) => {
            drop(theirs);
            let ended = Relay {
                control: control.into(),
                stream,
                launcher: ours,
                launcher_pid: pid,
                decoder: Decoder::new(),
                engine: None,
            }
            .run();
            // It ends every sandbox when its socket is closed; whatever is left of it goes with the machine.
            let _ = sys::reap(pid);
            ended
        }
    }
}

/// Between the host and the launcher.
struct Relay {
    control: File,
    stream: ports::Stream,
    launcher: OwnedFd,
    launcher_pid: i32,
    decoder: Decoder,
    engine: Option<engine::Engine>,
}

impl Relay {
    /// Until one of them is gone.
    fn run(mut self) -> Result<()> {
        loop {
            let mut watched = [PollFd::new(&self.control, PollFlags::IN), PollFd::new(&self.launcher, PollFlags::IN)];
            let patience = self.engine.is_some().then_some(&ORPHANS);
            match poll(&mut watched, patience) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).doing(|| "wait".into()),
            }
            if self.engine.is_some() {
                self.bury_orphans();
            }
            let [host, launcher] = watched.map(|entry| !entry.revents().is_empty());
            if host && !self.hear_host()? || launcher && !self.hear_launcher()? {
                return Ok(());
            }
        }
    }

    /// `false`: the host is gone.
    fn hear_host(&mut self) -> Result<bool> {
        let mut bytes = [0; READ_BYTES];
        match self.control.read(&mut bytes) {
            Ok(0) => return Ok(false),
            Ok(count) => self.decoder.push(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(false),
        }
        let broken = |error: frame::FrameError| Fault::spec(format!("what the host says: {error}"));
        while let Some(word) = self.decoder.message::<Word>().map_err(broken)? {
            match word {
                Word::Fresh { seed, now_ns, devices, network } => {
                    boot::become_fresh(&seed, now_ns)?;
                    boot::find_devices(devices)?;
                    network.map_or(Ok(()), boot::network)?;
                }
                Word::Scratch { disk, inodes } => boot::scratch(&disk, inodes)?,
                Word::Engine(programs) => {
                    let started = engine::start(&programs);
                    self.take_engine(started)?;
                }
                Word::Offer(offer) => {
                    let again = match self.engine.take() {
                        Some(running) => running.with(&offer),
                        None => Err(Fault::spec("this machine has no Docker Engine")),
                    };
                    self.take_engine(again)?;
                }
                Word::Part => self.part()?,
                Word::Request(request) => self.pass_on(request)?,
            }
        }
        Ok(true)
    }

    /// Lets go of the host, and waits for another.
    fn part(&mut self) -> Result<()> {
        let listeners = ports::Listeners::open()?;
        self.tell_host(&Reply::Parting)?;
        self.stream = ports::Stream::Connected(None);
        shutdown(&self.control, Shutdown::Both).doing(|| "let go of the host".into())?;
        let (control, stream) = listeners.accept(None)?;
        (self.control, self.stream, self.decoder) = (control.into(), stream, Decoder::new());
        Ok(())
    }

    fn pass_on(&mut self, mut request: Request) -> Result<()> {
        let mut given = Vec::new();
        if let Request::Create { plan, .. } = &mut request {
            plan.writable = boot::writable();
            if self.engine.is_some() {
                engine::show(plan)?;
            }
            given.push(self.stream.take()?);
            if plan.netns {
                // The machine's own: it is there for nothing else.
                let own = openat(CWD, "/proc/self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
                given.push(own.doing(|| "open the network namespace".into())?);
            }
        }
        let descriptors: Vec<_> = given.iter().map(AsFd::as_fd).collect();
        channel::send(&self.launcher, &request, &descriptors).doing(|| "send to the launcher".into())
    }

    /// `false`: the launcher is gone.
    fn hear_launcher(&mut self) -> Result<bool> {
        let heard = channel::receive::<Reply>(&self.launcher).doing(|| "receive from the launcher".into())?;
        let Some((reply, _)) = heard else { return Ok(false) };
        self.tell_host(&reply)?;
        Ok(true)
    }

    fn tell_host(&mut self, reply: &Reply) -> Result<()> {
        let mut bytes = Vec::new();
        frame::encode(reply, &mut bytes).map_err(|error| Fault::spec(format!("a reply: {error}")))?;
        self.control.write_all(&bytes).doing(|| "send to the host".into())
    }

    fn take_engine(&mut self, started: Result<engine::Engine>) -> Result<()> {
        match started {
            Ok(engine) => {
                self.engine = Some(engine);
                self.tell_host(&Reply::EngineReady)
            }
            Err(fault) => self.tell_host(&Reply::Failed { token: 0, fault }),
        }
    }

    /// The first process of a machine is the parent of all whose own has ended: an engine's containers leave many.
    fn bury_orphans(&self) {
        while sys::reap_any().is_some_and(|pid| pid != self.launcher_pid) {}
    }
}
