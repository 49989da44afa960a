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

mod engine;
mod guest_link;
mod kvm;
mod machine;
mod offers;
mod qmp;
mod running;
mod template;
mod tsc;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use launcher::guest::Offer;
use launcher::protocol::{LayerSource, Made, Plan};
use model::ids::SandboxId;
use model::limits::Limits;
use model::rung::Rung;
use tokio::sync::{OnceCell, Semaphore, watch};

use self::guest_link::GuestLink;
use self::machine::{ENGINE_DISKS, MONITOR, Memory, Monitor, Shape};
use self::running::{Ports, Running, ports};
use self::template::Template;
use crate::driver::wait_ended;
use crate::guest::Guest;
use crate::local::{Local, plan as plan_of, topmost};
use crate::{
    Check, CreateError, Driver, DriverError, EndCause, Ended, Finding, Pending, Probe, RootSpec, Sandbox, SandboxSpec,
    Usage,
};

pub use self::machine::Acceleration;

/// How long a machine may take from its start to its launcher's first word.
const BOOT_PATIENCE: Duration = Duration::from_secs(120);
/// How long a copy may take until its sandbox is there; one that takes longer is given up for a machine that boots.
const COPY_PATIENCE: Duration = Duration::from_secs(30);
/// Layers that have room as disks beside the machine's other devices.
const MAX_LAYERS: usize = 20;
/// What the guest's kernel, launcher and page cache need beside the sandbox's own memory.
const GUEST_MEMORY: u64 = 96 << 20;

/// How machines are made on this host.
#[derive(Clone, Debug)]
pub struct MicroVmConfig {
    /// What they boot.
    pub guest: Guest,
    /// Who executes their instructions; `None`: the processor where a machine boots on it, else QEMU.
    pub acceleration: Option<Acceleration>,
    /// Boot one machine of each shape, and copy it for each sandbox; else each boots.
    pub copies: bool,
    /// The programs of a Docker Engine, for sandboxes that are to have one.
    pub engine: Option<PathBuf>,
    /// Folder for disks that machines write to; they have no name there.
    pub scratch: PathBuf,
}

/// The driver.
pub struct MicroVm {
    local: Local,
    config: MicroVmConfig,
    machines: Mutex<HashMap<SandboxId, Arc<Living>>>,
    /// Who executes instructions, once it is known.
    acceleration: OnceCell<Acceleration>,
    /// Machines that may start at once: more than there are processors only makes each of them late.
    starts: Semaphore,
    /// One for each shape; none where it could not be made.
    templates: Mutex<BTreeMap<Shape, Arc<OnceCell<Option<Template>>>>>,
}

/// What a machine is made for.
struct Order {
    plan: Plan,
    shape: Shape,
    limits: Limits,
    disks: Vec<PathBuf>,
    /// What its engine is to find among them.
    offer: Option<Offer>,
    netns: Option<OwnedFd>,
    link: Option<crate::net::machine::MachineLink>,
}

/// A machine from its start on; stays, so that `destroy` can be asked again.
struct Living {
    link: GuestLink,
    /// It was to be destroyed.
    is_unwanted: AtomicBool,
    ended: watch::Sender<Option<Ended>>,
}

impl MicroVm {
    /// A driver whose monitors are jailed by `local`'s launcher.
    pub fn new(local: Local, config: MicroVmConfig) -> MicroVm {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let acceleration = OnceCell::new_with(config.acceleration);
        let starts = Semaphore::new(processors);
        MicroVm { local, config, machines: Mutex::default(), acceleration, starts, templates: Mutex::default() }
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

    /// Who executes the instructions of this driver's machines. The first time a machine is booted on the processor.
    pub async fn acceleration(&self) -> Acceleration {
        *self.acceleration.get_or_init(|| kvm::acceleration(&self.local, &self.config.guest)).await
    }

    async fn make(&self, spec: SandboxSpec) -> Result<Sandbox, CreateError> {
        let order = self.order(spec).await?;
        let _turn = self.starts.acquire().await.map_err(|_| DriverError::Gone)?;
        let copied = match self.template(order.shape).await.get().and_then(Option::as_ref) {
            None => None,
            Some(template) => match self.copy(template, &order).await {
                Ok(made) => Some(made),
                // What is wrong with the order is wrong with it in a fresh machine too.
                Err(error @ (CreateError::Spec { .. } | CreateError::UnknownUser { .. })) => return Err(error),
                Err(error) => {
                    tracing::warn!(reason = explain(&error), "a copy of a machine did not start; one is booted");
                    self.forget_template(order.shape);
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
        let living = Arc::new(Living { link, is_unwanted: AtomicBool::new(false), ended });
        self.machines().insert(id, Arc::clone(&living));
        tokio::spawn(watch_over(living, self.local.clone(), id, limits, jail_ended));
        let Made { user, groups, home } = made;
        Ok(Sandbox { id, stream, user, groups, home, workspace: plan.workspace, end: ended_later })
    }

    async fn order(&self, spec: SandboxSpec) -> Result<Order, CreateError> {
        if let Some(id) = spec.workspace.share_with {
            if self.find(id).map_or(true, |living| living.ended.borrow().is_some()) {
                return Err(CreateError::SharedGone { id });
            }
            let reason = "the microvm driver shares no workspace between machines yet".into();
            return Err(CreateError::Unsupported { reason });
        }
        let engine = spec.engine.clone();
        let wants_engine = engine.is_some();
        let first_disk = if wants_engine { ENGINE_DISKS as usize } else { 0 };
        let mut disks = disks(&spec, MAX_LAYERS - first_disk)?;
        let limits = spec.limits;
        let (mut plan, netns) = plan_of(SandboxSpec { engine: None, ..spec })?;
        let layers = (first_disk..).zip(&disks).map(|(index, _)| LayerSource::Erofs(machine::disk(index)));
        plan.layers = Some(match disks.is_empty() && wants_engine {
            // The engine's own tools.
            true => vec![LayerSource::Erofs(engine::disks().programs)],
            false => layers.collect(),
        });
        let next = first_disk + disks.len();
        let images = engine.map(|engine| engine.images).filter(|images| !images.is_empty());
        let offer = images.map(|images| offers::offer(&images, next, MAX_LAYERS - next)).transpose()?;
        let offer = offer.map(|(offer, layers)| {
            disks.extend(layers);
            offer
        });
        // What the engine publishes, the sandbox reaches.
        plan.netns |= wants_engine;
        let link = netns.as_ref().map(|netns| crate::net::machine::hand_on(netns.as_fd())).transpose();
        let link = link.map_err(kernel("give the machine its network"))?;
        let processors = limits.cpu_millis.div_ceil(1000).max(1);
        let memory = limits.memory_bytes + GUEST_MEMORY + if wants_engine { engine::MEMORY } else { 0 };
        let mut shape = Shape::new(self.acceleration().await, memory, processors);
        if wants_engine {
            engine::programs(&self.config)?;
            shape.engine = Some(engine::disk_bytes(limits.disk_bytes));
        }
        Ok(Order { plan, shape, limits, disks, offer, netns, link })
    }

    /// The machine to copy: whoever asks first makes it, and the others wait for it.
    async fn template(&self, shape: Shape) -> Arc<OnceCell<Option<Template>>> {
        if !self.config.copies {
            return Arc::default();
        }
        let cell = Arc::clone(self.templates().entry(shape).or_default());
        let make = || async {
            let made = Template::get(&self.local, &self.config, shape).await;
            made.inspect_err(|error| tracing::warn!(reason = explain(error), "machines of this shape boot each")).ok()
        };
        cell.get_or_init(make).await;
        cell
    }

    fn forget_template(&self, shape: Shape) {
        self.templates().insert(shape, Arc::new(OnceCell::new_with(Some(None))));
    }

    fn templates(&self) -> MutexGuard<'_, BTreeMap<Shape, Arc<OnceCell<Option<Template>>>>> {
        self.templates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn copy(&self, template: &Template, order: &Order) -> Result<(Running, Made, UnixStream), CreateError> {
        let (Ports { control, stream }, its_control, its_stream) = ports()?;
        let copied = template.copy(&self.config, order.shape, its_control, its_stream);
        let (mut monitor, state) = copied.map_err(kernel("copy a machine"))?;
        let (mut qmp, its_qmp) = UnixStream::pair().map_err(kernel("make a socket pair"))?;
        monitor.listen(its_qmp.into());
        order.equip(&mut monitor)?;
        qmp::restore(&mut qmp, state).map_err(kernel("talk to the monitor"))?;
        let devices = monitor.places();
        let machine = Running::start(&self.local, monitor, control, order.netns()?, &order.limits).await?;
        let made = async {
            machine.link.become_own(devices, order.addresses())?;
            if let Some(offer) = &order.offer {
                machine.link.offer(offer.clone()).await?;
            }
            machine.link.start(order.plan.clone()).await
        };
        let made = tokio::time::timeout(COPY_PATIENCE, made).await.unwrap_or_else(|_| Err(late(COPY_PATIENCE)));
        let made = made.map_err(|error| machine.explain(error))?;
        Ok((machine, made, stream))
    }

    async fn boot(&self, order: &Order) -> Result<(Running, Made, UnixStream), CreateError> {
        let (Ports { control, stream }, its_control, its_stream) = ports()?;
        let mut monitor = Monitor::new(order.shape, Memory::Own, its_control, its_stream);
        let guest = &self.config.guest;
        monitor.boot(open(&guest.kernel())?.into(), open(&guest.initrd())?.into());
        if let Some(bytes) = order.shape.engine {
            let data = engine::new_disk(&self.config, bytes)?;
            monitor.engine(open(engine::programs(&self.config)?)?.into(), data.into());
        }
        order.equip(&mut monitor)?;
        let machine = Running::start(&self.local, monitor, control, order.netns()?, &order.limits).await?;
        let settings = self.local.settings()?;
        let made = async {
            machine.link.prepare(settings, order.shape.engine.is_some()).await?;
            machine.link.become_own(launcher::guest::Places::default(), order.addresses())?;
            if order.shape.engine.is_some() {
                machine.link.start_engine(engine::disks()).await?;
            }
            if let Some(offer) = &order.offer {
                machine.link.offer(offer.clone()).await?;
            }
            machine.link.start(order.plan.clone()).await
        };
        let made = tokio::time::timeout(BOOT_PATIENCE, made).await.unwrap_or_else(|_| Err(late(BOOT_PATIENCE)));
        let made = made.map_err(|error| machine.explain(error))?;
        Ok((machine, made, stream))
    }

    fn find(&self, id: SandboxId) -> Result<Arc<Living>, DriverError> {
        self.machines().get(&id).cloned().ok_or(DriverError::Unknown { id })
    }
}

impl Order {
    /// Its interface and its disks, in the order in which the guest looks for them.
    fn equip(&self, monitor: &mut Monitor) -> Result<(), CreateError> {
        if let Some(link) = &self.link {
            monitor.network(link.tap.try_clone().map_err(kernel("copy a descriptor"))?);
        }
        for path in &self.disks {
            monitor.disk(open(path)?.into());
        }
        Ok(())
    }

    fn netns(&self) -> Result<Option<OwnedFd>, CreateError> {
        self.netns.as_ref().map(OwnedFd::try_clone).transpose().map_err(kernel("copy a descriptor"))
    }

    fn addresses(&self) -> Option<(Ipv4Addr, Ipv4Addr)> {
        self.link.as_ref().map(|link| (link.address, link.neighbour))
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
            // The jail's own end says nothing of the sandbox: a guest that has crashed or talks nonsense is ended with it.
            cause: match living.is_unwanted.load(Ordering::Relaxed) {
                true if jail.cause != EndCause::Lost => EndCause::Destroyed,
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

/// The files of the layers, lowest first.
fn disks(spec: &SandboxSpec, most: usize) -> Result<Vec<PathBuf>, CreateError> {
    let refuse = |what: String| Err(CreateError::Spec { what });
    let layers = match &spec.root {
        RootSpec::Image(layers) => layers,
        RootSpec::HostTools if spec.engine.is_some() => return Ok(Vec::new()),
        RootSpec::HostTools => return refuse("the microvm driver needs an image".into()),
    };
    let layers = topmost(layers.clone());
    if layers.len() > most {
        return refuse(format!("an image of {} layers; a machine has room for {most}", layers.len()));
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
