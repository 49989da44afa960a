//! The `microvm` driver: each sandbox on a kernel of its own.
//!
//! ```text
//!   this process ── Plan with a program ──▶ launcher ──▶ jail (walls of the process rung): the monitor
//!        │                                                    │ disks: layers, read-only, as open descriptors
//!        │ control port: requests and replies                 ▼
//!        ├───────────────────────────────▶ guest's first process ──▶ launcher ──▶ sandbox (walls of the container rung)
//!        └── stream port ─────────────────────────────────────────────────────▶ init, process 1
//! ```
//!
//! The monitor is a process in a sandbox: own user, own read-only root with nothing of the host but copies of its program and what
//! that needs to start (`root`), own namespaces and cgroup, no capability, a system call list. It is given nothing but open descriptors. What a guest says is
//! hostile input, believed only as far as it concerns its own sandbox.
//!
//! The monitor is QEMU, which is told everything by its command line (`qemu`) and whose machines can be copied (`template`), or
//! Firecracker or Cloud Hypervisor, which are asked over a socket (`asked`), run on the processor only; Firecracker's are copied too (`saved`).
//!
//! What is written in a machine is written to a disk of its own (`scratch`). A machine of QEMU may have a Docker Engine (`engine`),
//! with images of the host's store (`offers`).
//!
//! Start reading at [`MicroVm`]; `order` is what a machine is made for, `guest_link` the conversation with the guest.

mod asked;
mod engine;
mod guest_link;
mod kept;
mod kvm;
mod machine;
mod offers;
mod order;
mod originals;
mod qemu;
mod qmp;
mod root;
mod running;
mod saved;
mod scratch;
mod template;
mod tsc;

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use launcher::guest::Places;
use launcher::protocol::Made;
use model::ids::SandboxId;
use model::limits::Limits;
use model::rung::Rung;
use tokio::sync::{OnceCell, Semaphore, watch};

use self::asked::{Asked, Begun};
use self::guest_link::GuestLink;
use self::kvm::Found;
use self::machine::Shape;
use self::order::Order;
use self::originals::{Cell, Original, Originals};
use self::qemu::{Memory, Qemu};
use self::running::{Ports, Running, ports};
use self::saved::Saved;
use self::template::Template;
use crate::driver::wait_ended;
use crate::guest::Guest;
use crate::local::Local;
use crate::records::Records;
use crate::{
    Check, CreateError, Driver, DriverError, EndCause, Ended, Finding, Pending, Probe, Sandbox, SandboxSpec, Usage,
};

pub use self::machine::Acceleration;
pub use self::order::most_layers;

/// How long a machine may take from its start to its launcher's first word.
const BOOT_PATIENCE: Duration = Duration::from_secs(120);
/// How long a copy may take until its sandbox is there; one that takes longer is given up for a machine that boots.
const COPY_PATIENCE: Duration = Duration::from_secs(30);
/// What the guest's kernel, launcher and page cache need beside the sandbox's own memory.
const GUEST_MEMORY: u64 = 96 << 20;

/// What a machine needs of a host's memory at most beside what its sandbox may use, in bytes: one with an engine.
pub const OVERHEAD: u64 = GUEST_MEMORY + engine::MEMORY + machine::MONITOR_MEMORY + machine::ENGINE_TRANSLATIONS;

/// How machines are made on this host.
#[derive(Clone, Debug)]
pub struct MicroVmConfig {
    /// What makes them.
    pub monitor: MonitorKind,
    /// What they boot.
    pub guest: Guest,
    /// Who executes their instructions; `None`: the processor where a machine boots on it, else QEMU.
    pub acceleration: Option<Acceleration>,
    /// Boot one machine of each shape, and copy it for each sandbox; else each boots. Not where a copy would share no memory with the others
    /// (Cloud Hypervisor).
    pub copies: bool,
    /// The programs of a Docker Engine, for sandboxes that are to have one. Only QEMU's machines have.
    pub engine: Option<PathBuf>,
    /// Folder for disks that machines write to; they have no name there.
    pub scratch: PathBuf,
}

/// A monitor of machines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MonitorKind {
    /// QEMU, of this host's packages.
    #[default]
    Qemu,
    /// This program of Firecracker. It needs a processor that boots machines.
    Firecracker(PathBuf),
    /// This program of Cloud Hypervisor. As Firecracker.
    CloudHypervisor(PathBuf),
}

impl MonitorKind {
    /// `None`: it is told by its command line.
    fn asked(&self) -> Option<Asked> {
        match self {
            MonitorKind::Qemu => None,
            MonitorKind::Firecracker(program) => Some(Asked::firecracker(program)),
            MonitorKind::CloudHypervisor(program) => Some(Asked::cloud_hypervisor(program)),
        }
    }
}

/// The driver.
pub struct MicroVm {
    local: Local,
    config: MicroVmConfig,
    /// Where the monitor is asked for machines.
    asked: Option<Asked>,
    machines: Arc<Mutex<Machines>>,
    /// Who executes instructions, once it is known.
    acceleration: OnceCell<Found>,
    /// Machines that may start at once: more than there are processors only makes each of them late.
    starts: Semaphore,
    /// One for each shape; none where it could not be made.
    originals: Mutex<Originals>,
}

type Machines = Records<SandboxId, Arc<Living>>;

/// A machine from its start on; stays for a while, so that `destroy` can be asked again.
struct Living {
    /// Closed when it has ended: a record stays, descriptors do not.
    link: Mutex<Option<Arc<GuestLink>>>,
    /// It was to be destroyed.
    is_unwanted: AtomicBool,
    ended: watch::Sender<Option<Ended>>,
}

impl Living {
    /// `None`: it has ended.
    fn link(&self) -> Option<Arc<GuestLink>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl MicroVm {
    /// A driver whose monitors are jailed by `local`'s launcher.
    pub fn new(local: Local, config: MicroVmConfig) -> MicroVm {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let acceleration = OnceCell::new_with(config.acceleration.map(Found::given));
        let starts = Semaphore::new(processors);
        let asked = config.monitor.asked();
        MicroVm { local, config, asked, machines: Arc::default(), acceleration, starts, originals: Mutex::default() }
    }

    /// Why machines can have no network here.
    pub fn without_network() -> Option<String> {
        let opened = File::options().read(true).write(true).open("/dev/net/tun");
        opened.err().map(|error| format!("/dev/net/tun: {error}"))
    }

    /// Why this monitor makes no machines of that guest here, as far as that is known without booting one.
    pub fn blocker(monitor: &MonitorKind, guest: &Guest) -> Option<String> {
        let asked = monitor.asked()?;
        kvm::known(guest, Some(&asked))?.blocker(&asked)
    }

    /// Whether this host has QEMU.
    pub fn is_installed() -> bool {
        Path::new(qemu::PROGRAM).exists()
    }

    fn machines(&self) -> MutexGuard<'_, Machines> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who executes the instructions of this driver's machines. The first time a machine is booted on the processor.
    pub async fn acceleration(&self) -> Acceleration {
        self.found().await.acceleration
    }

    async fn found(&self) -> &Found {
        self.acceleration.get_or_init(|| kvm::find(&self.local, &self.config, self.asked.as_ref())).await
    }

    async fn make(&self, spec: SandboxSpec) -> Result<Sandbox, CreateError> {
        let order = Order::of(self, spec).await?;
        let _turn = self.starts.acquire().await.map_err(|_| DriverError::Gone)?;
        let copied = match self.original(order.shape).await.get().and_then(Option::as_ref) {
            None => None,
            Some(original) => match self.copy(original, &order).await {
                Ok(made) => {
                    self.originals().copied(order.shape);
                    Some(made)
                }
                // What is wrong with the order is wrong with it in a fresh machine too.
                Err(
                    error @ (CreateError::Spec { .. } | CreateError::UnknownUser { .. } | CreateError::Layer { .. }),
                ) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(reason = explain(&error), "a copy of a machine did not start; one is booted");
                    self.copy_failed(order.shape);
                    None
                }
            },
        };
        let (machine, made, stream) = match copied {
            Some(copied) => copied,
            None => self.boot(&order).await?,
        };
        let Order { plan, limits, .. } = order;
        let (id, (link, jail_ended)) = (machine.id, machine.hand_over());
        let (ended, ended_later) = watch::channel(None);
        let link = Arc::new(link);
        let kept = Mutex::new(Some(Arc::clone(&link)));
        let living = Arc::new(Living { link: kept, is_unwanted: AtomicBool::new(false), ended });
        self.machines().insert(id, Arc::clone(&living));
        let (machines, local) = (Arc::clone(&self.machines), self.local.clone());
        tokio::spawn(async move {
            watch_over(living, link, local, id, limits, jail_ended).await;
            machines.lock().unwrap_or_else(PoisonError::into_inner).ended(id);
        });
        let Made { user, groups, home } = made;
        let (workspace, hostname) = (plan.workspace, plan.hostname);
        Ok(Sandbox { id, stream, user, groups, home, workspace, hostname, end: ended_later })
    }

    /// The machine to copy: whoever asks first makes it, and the others wait for it.
    async fn original(&self, shape: Shape) -> Cell {
        if !self.config.copies || self.asked.as_ref().is_some_and(|asked| !asked.monitor.shares_memory()) {
            return Arc::default();
        }
        let cell = self.originals().of(shape);
        let make = || async {
            let (local, config) = (&self.local, &self.config);
            let made = match &self.asked {
                None => Template::get(local, config, shape).await.map(Original::Template),
                Some(asked) => Saved::get(local, config, asked, shape).await.map(Original::Saved),
            };
            made.inspect_err(|error| tracing::warn!(reason = explain(error), "machines of this shape boot each")).ok()
        };
        cell.get_or_init(make).await;
        cell
    }

    fn copy_failed(&self, shape: Shape) {
        if self.originals().failed(shape) {
            let monitor = self.asked.as_ref().map_or(Path::new(qemu::PROGRAM), |asked| &*asked.program);
            if let Ok(settings) = self.local.settings() {
                kept::remove(&kept::place(&self.config, monitor, shape, &format!("{settings:?}")));
            }
        }
    }

    fn originals(&self) -> MutexGuard<'_, Originals> {
        self.originals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn copy(&self, original: &Original, order: &Order) -> Result<(Running, Made, UnixStream), CreateError> {
        // What the monitor of a template is told, it reads in its own time.
        let (machine, stream, devices, mac, _told) = match (original, &self.asked) {
            (Original::Saved(saved), Some(asked)) => {
                let (machine, stream) = saved.copy(&self.local, &self.config, asked, order).await?;
                // The device has that of the saved machine.
                let mac = machine::fresh_mac().map_err(kernel("read random numbers"))?;
                (machine, stream, Places::default(), Some(mac), None)
            }
            (Original::Template(template), _) => {
                let (machine, stream, devices, told) = self.copy_template(template, order).await?;
                (machine, stream, devices, None, Some(told))
            }
            (Original::Saved(_), None) => return Err(DriverError::Gone.into()),
        };
        let made = async {
            machine.link.become_own(devices, order.network(mac))?;
            if let Some(offer) = &order.offer {
                machine.link.offer(offer.clone()).await?;
            }
            machine.link.start(order.plan.clone()).await
        };
        let made = tokio::time::timeout(COPY_PATIENCE, made).await.unwrap_or_else(|_| Err(late(COPY_PATIENCE)));
        let made = made.map_err(|error| machine.explain(error))?;
        Ok((machine, made, stream))
    }

    /// A copy of a machine of QEMU, its stream, where its guest has to look for devices, and the way to the monitor, which is to stay open
    /// until the guest answers.
    async fn copy_template(
        &self,
        template: &Template,
        order: &Order,
    ) -> Result<(Running, UnixStream, Places, UnixStream), CreateError> {
        let (Ports { control, stream }, its_control, its_stream) = ports()?;
        let copied = template.copy(&self.config, order.shape, its_control, its_stream);
        let (mut qemu, state) = copied?;
        let (mut qmp, its_qmp) = UnixStream::pair().map_err(kernel("make a socket pair"))?;
        qemu.listen(its_qmp.into());
        order.equip(&mut qemu)?;
        qmp::restore(&mut qmp, state).map_err(kernel("talk to the monitor"))?;
        let devices = qemu.places();
        let machine = Running::start(&self.local, qemu, control, order.netns()?, &order.limits).await?;
        Ok((machine, stream, devices, qmp))
    }

    async fn boot(&self, order: &Order) -> Result<(Running, Made, UnixStream), CreateError> {
        let (machine, stream) = self.power_on(order).await?;
        let settings = self.local.settings()?;
        let made = async {
            machine.link.become_own(Places::default(), order.network(None))?;
            machine.link.prepare(settings, order.shape).await?;
            if let Some(offer) = &order.offer {
                machine.link.offer(offer.clone()).await?;
            }
            machine.link.start(order.plan.clone()).await
        };
        let made = tokio::time::timeout(BOOT_PATIENCE, made).await.unwrap_or_else(|_| Err(late(BOOT_PATIENCE)));
        let made = made.map_err(|error| machine.explain(error))?;
        Ok((machine, made, stream))
    }

    /// A machine that boots, and its stream.
    async fn power_on(&self, order: &Order) -> Result<(Running, UnixStream), CreateError> {
        let guest = &self.config.guest;
        if let Some(asked) = &self.asked {
            let parts = order.parts(guest, order.shape.scratch.make(&self.config.scratch)?)?;
            let Begun { machine, stream, .. } = asked.boot(&self.local, parts, BOOT_PATIENCE).await?;
            return Ok((machine, stream));
        }
        let (Ports { control, stream }, its_control, its_stream) = ports()?;
        let mut qemu = Qemu::new(order.shape, Memory::Own, its_control, its_stream);
        qemu.boot(open(&guest.kernel())?.into(), open(&guest.initrd())?.into());
        qemu.own_disks(order.shape.scratch.make(&self.config.scratch)?, &self.config)?;
        order.equip(&mut qemu)?;
        let machine = Running::start(&self.local, qemu, control, order.netns()?, &order.limits).await?;
        Ok((machine, stream))
    }

    fn find(&self, id: SandboxId) -> Result<Arc<Living>, DriverError> {
        self.machines().get(id).cloned().ok_or(DriverError::Unknown { id })
    }
}

fn late(patience: Duration) -> CreateError {
    CreateError::Unsupported { reason: format!("the machine did not start within {} s", patience.as_secs()) }
}

fn kernel(operation: &str) -> impl FnOnce(io::Error) -> CreateError + use<> {
    let operation = operation.to_owned();
    move |source| CreateError::Kernel { operation, source }
}

/// Until nothing of a machine is left. What the guest says of the sandbox's end counts; the machine is ended with it.
async fn watch_over(
    living: Arc<Living>,
    link: Arc<GuestLink>,
    local: Local,
    id: SandboxId,
    limits: Limits,
    jail: watch::Receiver<Option<Ended>>,
) {
    let jail_ended = wait_ended(jail);
    tokio::pin!(jail_ended);
    let (told, jail) = tokio::select! {
        told = link.ended() => (told, None),
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
        None => link.ended().await,
    };
    let ended = match told {
        Some((end, usage)) => Ended { cause: crate::local::cause(end, &usage, &limits), usage },
        None => Ended {
            // The jail's own end says nothing of the sandbox: a guest that has crashed or talks nonsense is ended with it.
            cause: match living.is_unwanted.load(Ordering::Relaxed) {
                true if jail.cause != EndCause::Lost => EndCause::Destroyed,
                _ => EndCause::Lost,
            },
            usage: link.last_usage(),
        },
    };
    living.ended.send_replace(Some(ended));
    living.link.lock().unwrap_or_else(PoisonError::into_inner).take();
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
        if let Some(found) = self.acceleration.get() {
            checks.push(Check { what: "acceleration", finding: found.finding(self.asked.as_ref()) });
        }
        Probe { driver: self.name(), rung: self.rung(), checks }
    }

    fn create(&self, spec: SandboxSpec) -> Pending<'_, Result<Sandbox, CreateError>> {
        Box::pin(self.make(spec))
    }

    fn usage(&self, id: SandboxId) -> Pending<'_, Result<Usage, DriverError>> {
        Box::pin(async move {
            let living = self.find(id)?;
            match living.link() {
                Some(link) => Ok(link.usage().await),
                None => Ok(wait_ended(living.ended.subscribe()).await.usage),
            }
        })
    }

    fn destroy(&self, id: SandboxId) -> Pending<'_, Result<Ended, DriverError>> {
        Box::pin(async move {
            let living = self.find(id)?;
            if let Some(link) = living.link() {
                // What it used is worth a question, but no wait: the guest need not answer.
                link.usage().await;
                living.is_unwanted.store(true, Ordering::Relaxed);
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

/// The error and what caused it.
fn explain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

fn open(path: &Path) -> Result<File, CreateError> {
    File::open(path).map_err(|source| CreateError::Layer { path: path.to_owned(), source })
}
