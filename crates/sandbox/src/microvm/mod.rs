//! The `microvm` driver: each sandbox on a kernel of its own.
//!
//! ```text
//!   this process ── Plan with a program ──▶ launcher ──▶ jail (walls of the process rung): the monitor, QEMU
//!        │                                                    │ disks: layers, read-only, as open descriptors
//!        │ control port: requests and replies                 ▼
//!        ├───────────────────────────────▶ guest's first process ──▶ launcher ──▶ sandbox (walls of the container rung)
//!        └── stream port ─────────────────────────────────────────────────────▶ init, process 1
//! ```
//!
//! The monitor is a process in a sandbox of the process rung: own user, own root without files of the host but its tools, own
//! namespaces and cgroup, no capability, a system call list. It is given nothing but open descriptors. What a guest says is
//! hostile input, believed only as far as it concerns its own sandbox.
//!
//! Start reading at [`MicroVm`]; `machine` is the monitor's command line, `guest_link` the conversation with the guest.

mod guest_link;
mod machine;
mod tsc;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use launcher::protocol::{LayerSource, Plan, Program, Role};
use model::ids::SandboxId;
use model::limits::Limits;
use model::rung::Rung;
use tokio::sync::{OnceCell, Semaphore, watch};

use self::guest_link::GuestLink;
use self::machine::Machine;
use crate::console::Console;
use crate::driver::wait_ended;
use crate::guest::Guest;
use crate::local::{Local, OfKernel, plan as plan_of, topmost};
use crate::{
    Check, CreateError, Driver, DriverError, EndCause, Ended, Finding, NetworkSource, Pending, Probe, RootSpec,
    Sandbox, SandboxSpec, Usage,
};

pub use self::machine::Acceleration;

/// The monitor's program.
const MONITOR: &str = "/usr/bin/qemu-system-x86_64";
/// What a machine needs to run on the processor itself.
const KVM: &str = "/dev/kvm";
/// How long the first machine may take there: a guest that the processor runs starts in a tenth of that.
const KVM_PATIENCE: Duration = Duration::from_secs(3);
/// How long a machine may take from its start to its launcher's first word.
const BOOT_PATIENCE: Duration = Duration::from_secs(120);
/// Layers that have room as disks beside the machine's other devices.
const MAX_LAYERS: usize = 20;
/// What the guest's kernel, launcher and page cache need beside the sandbox's own memory.
const GUEST_MEMORY: u64 = 96 << 20;
/// What the monitor needs beside the guest's memory.
const MONITOR_MEMORY: u64 = 256 << 20;
/// A machine whose guest does not end its sandbox in time is ended from outside this much later.
const WALL_GRACE_MS: u64 = 30_000;

/// How machines are made on this host.
#[derive(Clone, Debug)]
pub struct MicroVmConfig {
    /// What they boot.
    pub guest: Guest,
    /// Who executes their instructions; `None`: the processor where a machine boots on it, else QEMU.
    pub acceleration: Option<Acceleration>,
}

/// The driver.
pub struct MicroVm {
    local: Local,
    config: MicroVmConfig,
    machines: Mutex<HashMap<SandboxId, Arc<Living>>>,
    /// Who executes instructions, once it is known.
    acceleration: OnceCell<Acceleration>,
    /// Machines that may boot at once: more than there are processors only makes each of them late.
    boots: Semaphore,
}

/// A machine from its start on; stays, so that `destroy` can be asked again.
struct Living {
    link: GuestLink,
    ended: watch::Sender<Option<Ended>>,
}

impl MicroVm {
    /// A driver whose monitors are jailed by `local`'s launcher.
    pub fn new(local: Local, config: MicroVmConfig) -> MicroVm {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let acceleration = OnceCell::new_with(config.acceleration);
        MicroVm { local, config, machines: Mutex::default(), acceleration, boots: Semaphore::new(processors) }
    }

    /// Why machines can have no network here.
    pub fn without_network() -> Option<String> {
        let opened = File::options().read(true).write(true).open("/dev/net/tun");
        opened.err().map(|error| format!("/dev/net/tun: {error}"))
    }

    /// Whether this host has the monitor.
    pub fn is_installed() -> bool {
        std::path::Path::new(MONITOR).exists()
    }

    fn machines(&self) -> MutexGuard<'_, HashMap<SandboxId, Arc<Living>>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who executes the instructions of this driver's machines. The first time a machine is booted on the processor: that
    /// `/dev/kvm` is there proves nothing.
    pub async fn acceleration(&self) -> Acceleration {
        let find = || async {
            let verdict = Verdict::of(&self.config.guest);
            // The node for the jail is root's to make.
            if !rustix::process::getuid().is_root() || !std::path::Path::new(KVM).exists() {
                return Acceleration::Tcg;
            }
            if let Some(known) = verdict.read() {
                return known;
            }
            match self.boots_on_processor().await {
                Ok(true) => {
                    verdict.write(Acceleration::Kvm);
                    Acceleration::Kvm
                }
                Ok(false) => {
                    verdict.write(Acceleration::Tcg);
                    Acceleration::Tcg
                }
                // Nothing was found out: the next driver asks again.
                Err(reason) => {
                    tracing::warn!(%reason, "cannot try whether machines boot on the processor");
                    Acceleration::Tcg
                }
            }
        };
        *self.acceleration.get_or_init(find).await
    }

    /// Whether one boots there in time; an error where none could be started.
    async fn boots_on_processor(&self) -> Result<bool, String> {
        let limits = Limits { memory_bytes: 64 << 20, wall_ms: KVM_PATIENCE.as_millis() as u64, ..Limits::default() };
        let machine = Machine {
            acceleration: Acceleration::Kvm,
            memory_bytes: limits.memory_bytes + GUEST_MEMORY,
            processors: 1,
            disks: 0,
            network: None,
        };
        let say = |error: CreateError| explain(&error);
        let (control, their_control) = UnixStream::pair().map_err(|error| error.to_string())?;
        let (_stream, their_stream) = UnixStream::pair().map_err(|error| error.to_string())?;
        let mut given: Vec<OwnedFd> = vec![their_control.into(), their_stream.into()];
        for path in [self.config.guest.kernel(), self.config.guest.initrd()] {
            given.push(open(&path).map_err(say)?.into());
        }
        let jail = self
            .local
            .jail(jail_plan(&machine, &limits, given.len()), OfKernel::default(), None, given)
            .await
            .map_err(say)?;
        let guard = Guard { local: Some(self.local.clone()), id: jail.id };
        let console = Console::of(jail.stream);
        let link = GuestLink::new(control).map_err(|error| error.to_string())?;
        let settings = self.local.settings().map_err(|error| error.to_string())?;
        let greeted = tokio::time::timeout(KVM_PATIENCE, link.greet(settings)).await;
        drop(guard);
        wait_ended(jail.ended).await;
        let reason = match greeted {
            Ok(Ok(())) => return Ok(true),
            Ok(Err(error)) => explain(&console.explain(error)),
            Err(_) => format!("a machine did not start on {KVM} within {} s", KVM_PATIENCE.as_secs()),
        };
        tracing::info!(%reason, "machines are translated");
        Ok(false)
    }

    async fn make(&self, spec: SandboxSpec) -> Result<Sandbox, CreateError> {
        if let Some(id) = spec.workspace.share_with {
            if self.find(id).map_or(true, |living| living.ended.borrow().is_some()) {
                return Err(CreateError::SharedGone { id });
            }
            let reason = "the microvm driver shares no workspace between machines yet".into();
            return Err(CreateError::Unsupported { reason });
        }
        let layers = disks(&spec)?;
        let limits = spec.limits;
        let (mut plan, netns) = plan_of(spec)?;
        plan.layers = Some((0..layers.len()).map(|index| LayerSource::Erofs(machine::disk(index))).collect());
        let workspace = plan.workspace.clone();

        let kernel = |operation: &str| {
            let operation = operation.to_owned();
            move |source: io::Error| CreateError::Kernel { operation, source }
        };
        let link = netns.as_ref().map(|netns| crate::net::machine::hand_on(netns.as_fd())).transpose();
        let link = link.map_err(kernel("give the machine its network"))?;
        let (control, their_control) = UnixStream::pair().map_err(kernel("make a socket pair"))?;
        let (stream, their_stream) = UnixStream::pair().map_err(kernel("make a socket pair"))?;
        let machine = Machine {
            acceleration: self.acceleration().await,
            memory_bytes: limits.memory_bytes + GUEST_MEMORY,
            processors: limits.cpu_millis.div_ceil(1000).max(1),
            disks: layers.len(),
            network: link.as_ref().map(|link| (link.address, link.neighbour)),
        };
        let mut given: Vec<OwnedFd> = vec![their_control.into(), their_stream.into()];
        for path in [self.config.guest.kernel(), self.config.guest.initrd()] {
            given.push(open(&path)?.into());
        }
        for path in &layers {
            given.push(open(path)?.into());
        }
        given.extend(link.map(|link| link.tap));
        let _turn = self.boots.acquire().await.map_err(|_| DriverError::Gone)?;
        let jail =
            self.local.jail(jail_plan(&machine, &limits, given.len()), OfKernel::default(), netns, given).await?;
        let (id, jail_ended) = (jail.id, jail.ended.clone());
        // From here on: dropping this ends the machine.
        let mut guard = Guard { local: Some(self.local.clone()), id };

        let console = Console::of(jail.stream);
        let link = GuestLink::new(control).map_err(kernel("talk to the guest"))?;
        let settings = self.local.settings()?;
        let made = tokio::time::timeout(BOOT_PATIENCE, async {
            link.greet(settings).await?;
            link.start(plan).await
        });
        let made = match made.await {
            Ok(made) => made,
            Err(_) => Err(CreateError::Unsupported {
                reason: format!("the machine did not start within {} s", BOOT_PATIENCE.as_secs()),
            }),
        };
        let made = made.map_err(|error| console.explain(error))?;
        let (ended, ended_later) = watch::channel(None);
        let living = Arc::new(Living { link, ended });
        self.machines().insert(id, Arc::clone(&living));
        tokio::spawn(watch_over(living, self.local.clone(), id, limits, jail_ended));
        guard.local = None;
        let launcher::protocol::Made { user, groups, home } = made;
        Ok(Sandbox { id, stream, user, groups, home, workspace, ended: ended_later })
    }

    fn find(&self, id: SandboxId) -> Result<Arc<Living>, DriverError> {
        self.machines().get(&id).cloned().ok_or(DriverError::Unknown { id })
    }
}

/// What was found out about a guest on this host's kernel, kept beside the guest: a probe costs up to [`KVM_PATIENCE`].
struct Verdict {
    path: PathBuf,
    host: String,
}

impl Verdict {
    fn of(guest: &Guest) -> Verdict {
        let host = rustix::system::uname();
        let host = format!("{} {}", host.release().to_string_lossy(), host.version().to_string_lossy());
        Verdict { path: guest.kernel().with_file_name("processor"), host }
    }

    fn read(&self) -> Option<Acceleration> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        let (verdict, host) = text.trim_end().split_once(' ')?;
        match (verdict, host == self.host && std::path::Path::new(KVM).exists()) {
            ("boots", true) => Some(Acceleration::Kvm),
            ("translated", true) => Some(Acceleration::Tcg),
            _ => None,
        }
    }

    fn write(&self, found: Acceleration) {
        let verdict = if found == Acceleration::Kvm { "boots" } else { "translated" };
        // Whoever cannot keep it asks again.
        let _ = std::fs::write(&self.path, format!("{verdict} {}\n", self.host));
    }
}

/// Ends a machine whose making was given up.
struct Guard {
    local: Option<Local>,
    id: SandboxId,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(local) = self.local.take() {
            local.end(self.id);
        }
    }
}

/// Until nothing of a machine is left. What the guest says of the sandbox's end counts; the machine is ended with it.
async fn watch_over(
    living: Arc<Living>,
    local: Local,
    id: SandboxId,
    limits: Limits,
    jail: watch::Receiver<Option<Ended>>,
) {
    let jail_ended = wait_ended(jail);
    tokio::pin!(jail_ended);
    let (told, jail) = tokio::select! {
        told = living.link.ended() => (told, None),
        jail = &mut jail_ended => (None, Some(jail)),
    };
    local.end(id);
    let jail = match jail {
        Some(jail) => jail,
        None => jail_ended.await,
    };
    // A machine may be gone before its last words were read; its end of the line is closed now.
    let told = match told {
        Some(told) => Some(told),
        None => living.link.ended().await,
    };
    let ended = match told {
        Some((end, usage)) => Ended { cause: crate::local::cause(end, &usage, &limits), usage },
        None => Ended {
            cause: match jail.cause {
                // The jail's own end says nothing of the sandbox but that it was not asked for.
                EndCause::Destroyed | EndCause::Lost => jail.cause,
                _ => EndCause::Lost,
            },
            usage: living.link.last_usage(),
        },
    };
    living.ended.send_replace(Some(ended));
}

impl Driver for MicroVm {
    fn name(&self) -> &'static str {
        "microvm"
    }

    fn rung(&self) -> Rung {
        Rung::Microvm
    }

    fn probe(&self) -> Probe {
        let mut checks = vec![Check {
            what: "guest",
            finding: Finding::Good(format!("{} ({})", self.config.guest.description.release, self.config.guest.name())),
        }];
        if let Some(acceleration) = self.acceleration.get() {
            checks.push(Check { what: "acceleration", finding: acceleration.finding() });
        }
        Probe { driver: self.name(), rung: self.rung(), checks }
    }

    fn create(&self, spec: SandboxSpec) -> Pending<'_, Result<Sandbox, CreateError>> {
        Box::pin(self.make(spec))
    }

    fn usage(&self, id: SandboxId) -> Pending<'_, Result<Usage, DriverError>> {
        Box::pin(async move {
            let living = self.find(id)?;
            let ended = living.ended.borrow().clone();
            match ended {
                Some(ended) => Ok(ended.usage),
                None => Ok(living.link.usage().await),
            }
        })
    }

    fn destroy(&self, id: SandboxId) -> Pending<'_, Result<Ended, DriverError>> {
        Box::pin(async move {
            let living = self.find(id)?;
            if living.ended.borrow().is_none() {
                // What it used is worth a question, but no wait: the guest need not answer.
                living.link.usage().await;
                self.local.end(id);
            }
            Ok(wait_ended(living.ended.subscribe()).await)
        })
    }

    fn sweep(&self) -> Pending<'_, Result<Vec<String>, DriverError>> {
        // A monitor dies with its launcher; what it leaves is what any sandbox leaves.
        self.local.sweep()
    }
}

/// The files of the layers, lowest first.
fn disks(spec: &SandboxSpec) -> Result<Vec<PathBuf>, CreateError> {
    let refuse = |what: String| Err(CreateError::Spec { what });
    let RootSpec::Image(layers) = &spec.root else {
        return refuse("the microvm driver needs an image".into());
    };
    let layers = topmost(layers.clone());
    if layers.len() > MAX_LAYERS {
        return refuse(format!("an image of {} layers; a machine has room for {MAX_LAYERS}", layers.len()));
    }
    let file = |layer: &LayerSource| match layer {
        LayerSource::Erofs(path) => Ok(path.clone()),
        LayerSource::Dir(path) => {
            std::fs::metadata(path).map_err(|source| CreateError::Layer { path: path.clone(), source })?;
            Err(CreateError::Spec { what: format!("{} is a folder; a machine needs layers in files", path.display()) })
        }
    };
    layers.iter().map(file).collect()
}

/// The error and what caused it.
fn explain(error: &CreateError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

fn open(path: &std::path::Path) -> Result<File, CreateError> {
    File::open(path).map_err(|source| CreateError::Layer { path: path.to_owned(), source })
}

/// The monitor's jail.
fn jail_plan(machine: &Machine, limits: &Limits, descriptors: usize) -> Result<Plan, CreateError> {
    let limits = Limits {
        memory_bytes: machine.memory_bytes + MONITOR_MEMORY,
        processes: 64 + machine.processors,
        disk_bytes: 1 << 20,
        wall_ms: limits.wall_ms.saturating_add(WALL_GRACE_MS),
        ..*limits
    };
    let spec = SandboxSpec { limits, network: NetworkSource::None, ..SandboxSpec::host_tools() };
    let (mut plan, _) = plan_of(spec)?;
    // The namespace that its interface is in.
    plan.netns = machine.network.is_some();
    plan.program = Some(Program {
        argv: [MONITOR.to_owned()].into_iter().chain(machine.arguments()).collect(),
        descriptors: u32::try_from(descriptors).unwrap_or(u32::MAX),
        role: Role::Monitor { kvm: machine.acceleration == Acceleration::Kvm },
    });
    Ok(plan)
}
