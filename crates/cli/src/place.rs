//! Where things are on this machine, and how the parts below are made: one place, so that every command agrees.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent::{EngineProgram, WayOut};
use image::registry::RegistryOptions;
use image::unpack::Converter;
use image::{ImageError, LayerForm, Store, StoreOptions};
use model::rung::Rung;
use queue::{Layers, Offer};
use sandbox::guest::Guests;
use sandbox::gvisor::Gvisor;
use sandbox::local::{Local, LocalConfig};
use sandbox::microvm::{MicroVm, MicroVmConfig, MonitorKind, most_layers};
use sandbox::net::EgressOnDemand;
use sandbox::{Check, Driver, Finding, Pending, Probe};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::{Elsewhere, Network};
use crate::failure::{CommandFailure, Exit};
use crate::standing::Standing;

/// First word of the command line of a conversion's child.
pub const UNPACK_CHILD: &str = "unpack-child";

/// First word of the command line of the process that evaluates a run.
pub const ENGINE: &str = "engine";

/// This program once more, as what evaluates a run.
pub fn engine_program() -> EngineProgram {
    // Also where its file has been replaced since.
    EngineProgram { program: "/proc/self/exe".into(), words: vec![ENGINE.into()] }
}

/// Folder of images and working data.
pub fn home(given: Option<&Path>) -> PathBuf {
    let home = given.map_or_else(Store::default_root, Path::to_owned);
    // The launcher has a folder of its own.
    std::path::absolute(&home).unwrap_or(home)
}

/// The image store, for commands.
pub fn store(given: Option<&Path>) -> Result<Store, CommandFailure> {
    Ok(open_store(given)?)
}

/// The image store.
pub fn open_store(given: Option<&Path>) -> Result<Store, ImageError> {
    let root = home(given);
    let converter = Converter::of_this_program([UNPACK_CHILD.into()]).map_err(|error| ImageError::Store {
        path: root.clone(),
        reason: format!("this program cannot start itself: {error}"),
    })?;
    let options = StoreOptions { registry: RegistryOptions::from_env()?, ..StoreOptions::new(converter) };
    Store::open(root, options)
}

/// The guests that virtual machines boot.
pub fn guests(given: Option<&Path>) -> Guests {
    Guests::new(home(given).join("guests"))
}

/// The programs of the Docker Engine that machines have, where there is one.
fn engine(given: Option<&Path>) -> Option<PathBuf> {
    guests(given).newest_engine().map(|engine| engine.root())
}

/// The drivers of this host that need nothing but its kernel.
#[derive(Clone)]
pub struct Drivers {
    /// What they are made of.
    pub local: Local,
    /// For jobs without an image.
    pub process: Arc<dyn Driver>,
    /// For jobs with one.
    pub container: Arc<dyn Driver>,
}

/// Starts the launcher of this process and its drivers.
pub fn drivers() -> Result<Drivers, CommandFailure> {
    let config = LocalConfig::default();
    let local = Local::open(&config).map_err(|error| {
        CommandFailure::new(Exit::Infrastructure, agent::explain(&error)).with_hint(remedy(&config))
    })?;
    Ok(Drivers { process: local.process(), container: local.container(), local })
}

/// What a run on this host can choose from.
pub fn set_of(
    drivers: &Drivers,
    elsewhere: Option<Elsewhere>,
    monitor: &MonitorKind,
    given: Option<&Path>,
    standing: Option<&Arc<Standing>>,
) -> agent::Drivers {
    let mut set = agent::Drivers::default();
    for offer in offers(None, elsewhere.as_ref(), monitor, given) {
        let name = offer.driver;
        let elsewhere = elsewhere.clone().filter(|elsewhere| elsewhere.driver() == name);
        let (drivers, monitor, given) = (drivers.clone(), monitor.clone(), given.map(Path::to_owned));
        let standing = standing.cloned();
        let open = move || {
            let (elsewhere, drivers, monitor) = (elsewhere.clone(), drivers.clone(), monitor.clone());
            let (given, standing) = (given.clone(), standing.clone());
            let mut of = drivers.local.launcher_pid().to_string();
            if name == "microvm" {
                let guest = guests(given.as_deref()).newest().map(|guest| guest.kernel());
                of = format!("{of} {guest:?} {:?}", engine(given.as_deref()));
            }
            let opening = async move {
                match elsewhere {
                    Some(elsewhere) => open_elsewhere(elsewhere).await,
                    None => open_driver(name, &drivers, &monitor, given.as_deref()),
                }
            };
            let opened: Pending<'static, _> = match standing {
                Some(standing) => Box::pin(async move { standing.driver(name, of, opening).await }),
                None => Box::pin(opening),
            };
            opened
        };
        set.add(offer, Box::new(open));
    }
    set
}

/// Reaches what makes containers elsewhere.
pub async fn open_elsewhere(elsewhere: Elsewhere) -> Result<Arc<dyn Driver>, agent::Trouble> {
    let trouble = |error: &sandbox::DriverError| agent::Trouble::infrastructure(agent::explain(error));
    let driver: Arc<dyn Driver> = match elsewhere {
        Elsewhere::Docker(config) => Arc::new(docker::Docker::open(config).await.map_err(|error| trouble(&error))?),
        Elsewhere::Swarm(config) => Arc::new(docker::Swarm::open(config).await.map_err(|error| trouble(&error))?),
    };
    // What killed ones have left there.
    match driver.sweep().await {
        Ok(swept) => swept.iter().for_each(|what| tracing::info!("removed, for nobody has it any more: {what}")),
        Err(error) => tracing::warn!("left-overs of an engine: {}", agent::explain(&error)),
    }
    let asked = Arc::clone(&driver);
    let probe = tokio::task::spawn_blocking(move || asked.probe()).await;
    for check in probe.iter().flat_map(|probe| &probe.checks) {
        // Walls that are lower than elsewhere, and limits that are none, are not passed over in silence.
        if let Finding::Reduced { reason, .. } = &check.finding {
            eprintln!("note: driver {}: {}: {reason}", driver.name(), check.what);
        }
    }
    Ok(driver)
}

/// What an engine elsewhere can do.
pub fn probe_elsewhere(elsewhere: &Elsewhere) -> Probe {
    match elsewhere {
        Elsewhere::Docker(config) => docker::Docker::probe(config),
        Elsewhere::Swarm(config) => docker::Swarm::probe(config),
    }
}

/// Why an engine elsewhere will be refused, as far as its address says that.
fn refused_elsewhere(elsewhere: &Elsewhere) -> Option<String> {
    let (endpoint, shared, server) = match elsewhere {
        Elsewhere::Docker(config) => (&config.endpoint, config.shared_machine, &config.control_plane),
        Elsewhere::Swarm(config) => (&config.manager, config.shared_machine, &config.control_plane),
    };
    docker::refused_by_address(endpoint, shared, server.as_deref())
}

fn plain(driver: &'static str, rung: Rung, unusable: Option<String>) -> Offer {
    let engine = Err("its sandboxes have no kernel that a Docker Engine could have to itself".to_owned());
    let all = Ok(());
    let (shares, network, nested, images) = (all.clone(), all.clone(), all.clone(), all);
    let (memory_bytes, layers, refuses) = (None, None, None);
    Offer { driver, rung, engine, shares, network, nested, images, memory_bytes, layers, unusable, refuses }
}

/// The drivers that there are, whether they can be used or not. `probes` are those of the local drivers; without them these are taken
/// to be usable, for a launcher that runs has proved it, and so is what is elsewhere. No engine there is asked.
pub fn offers(
    probes: Option<&[Probe]>,
    elsewhere: Option<&Elsewhere>,
    monitor: &MonitorKind,
    given: Option<&Path>,
) -> Vec<Offer> {
    let blocker = |rung| {
        let probe = probes?.iter().find(|probe| probe.rung == rung)?;
        let check = probe.blockers().next()?;
        match &check.finding {
            Finding::Missing { reason, .. } => Some(format!("{}: {reason}", check.what)),
            _ => Some(check.what.to_owned()),
        }
    };
    let jail = blocker(Rung::Process);
    let engine = match engine(given) {
        Some(_) if *monitor != MonitorKind::Qemu => Err("only machines of QEMU have one".to_owned()),
        Some(_) => Ok(()),
        None => Err("there is none for its machines: `cofferdam guest build --engine` makes one".to_owned()),
    };
    let missing = microvm_missing(monitor, given).map(str::to_owned).or_else(|| monitor_blocked(monitor, given));
    let microvm = plain("microvm", Rung::Microvm, missing.or(jail.clone()));
    // Before the local one, because it was asked for.
    let elsewhere = elsewhere.map(|elsewhere| {
        let shares = Err("its containers share no workspace".to_owned());
        let no_network = "an engine has networks of its own, and none was named (`--docker-network`)";
        let network = if elsewhere.has_network() { Ok(()) } else { Err(no_network.to_owned()) };
        let nested = Err("its containers have no namespaces within".to_owned());
        // Who opens it hears that of it; here a name may have to be looked up.
        let refuses = probes.and_then(|_| refused_elsewhere(elsewhere));
        Offer { shares, network, nested, refuses, ..plain(elsewhere.driver(), Rung::Container, None) }
    });
    let local = [
        plain("process", Rung::Process, jail.clone()),
        plain("container", Rung::Container, blocker(Rung::Container)),
        Offer {
            nested: Err("its kernel lets no program mount in namespaces of its own".to_owned()),
            ..plain("gvisor", Rung::Gvisor, gvisor_missing().map(str::to_owned).or(jail))
        },
        Offer {
            engine,
            images: layers_are_files(),
            layers: Some(Layers { seen: most_layers(false), stacked: most_layers(true) }),
            memory_bytes: Some(memory_for_a_machine()),
            ..microvm
        },
    ];
    elsewhere.into_iter().chain(local).collect()
}

fn open_driver(
    name: &str,
    drivers: &Drivers,
    monitor: &MonitorKind,
    given: Option<&Path>,
) -> Result<Arc<dyn Driver>, agent::Trouble> {
    let missing = |reason: Option<&str>| {
        agent::Trouble::infrastructure(format!("driver {name}: {}", reason.unwrap_or("this host has none")))
    };
    Ok(match name {
        "process" => Arc::clone(&drivers.process),
        "container" => Arc::clone(&drivers.container),
        "gvisor" => Arc::new(Gvisor::find(drivers.local.clone()).ok_or_else(|| missing(gvisor_missing()))?),
        "microvm" => {
            let guest = guests(given).newest().ok_or_else(|| missing(microvm_missing(monitor, given)))?;
            let config = machines(monitor.clone(), guest, given);
            Arc::new(MicroVm::new(drivers.local.clone(), config))
        }
        _ => return Err(missing(None)),
    })
}

/// A machine has layers as disks.
fn layers_are_files() -> Result<(), String> {
    match LayerForm::detect() {
        LayerForm::Dir => Err("layers of images are folders here, for a user other than root or a kernel that mounts no EROFS; machines need files".to_owned()),
        LayerForm::Erofs => Ok(()),
    }
}

/// A machine has its memory for itself, so it has less than its host.
fn memory_for_a_machine() -> u64 {
    let host = rustix::system::sysinfo();
    (host.totalram as u64).saturating_mul(host.mem_unit.into()).saturating_sub(sandbox::microvm::OVERHEAD)
}

/// What was found of the drivers whose sandboxes have kernels of their own. A machine may be booted for it.
pub async fn kernel_probes(monitor: &MonitorKind, given: Option<&Path>) -> Vec<Probe> {
    let missing = |driver, rung, reason: &str| {
        let (reason, remedy) = reason.split_once(": ").unwrap_or((reason, ""));
        let finding = Finding::Missing { reason: reason.to_owned(), remedy: remedy.to_owned() };
        Probe { driver, rung, checks: vec![Check { what: "installed", finding }] }
    };
    let local = Local::open(&LocalConfig::default());
    let gvisor = match (gvisor_missing(), &local) {
        (Some(reason), _) => missing("gvisor", Rung::Gvisor, reason),
        (None, Err(error)) => missing("gvisor", Rung::Gvisor, &agent::explain(error)),
        (None, Ok(local)) => match Gvisor::find(local.clone()) {
            Some(driver) => driver.probe(),
            None => missing("gvisor", Rung::Gvisor, "runsc is gone"),
        },
    };
    let microvm = match (microvm_missing(monitor, given), &local, guests(given).newest()) {
        (None, Ok(local), Some(guest)) => {
            let driver = MicroVm::new(local.clone(), machines(monitor.clone(), guest, given));
            driver.acceleration().await;
            let mut probe = driver.probe();
            probe.checks.push(Check { what: "Docker Engine of a job's own", finding: engine_finding(monitor, given) });
            probe
        }
        (Some(reason), ..) => missing("microvm", Rung::Microvm, reason),
        (None, Err(error), _) => missing("microvm", Rung::Microvm, &agent::explain(error)),
        (None, Ok(_), None) => missing("microvm", Rung::Microvm, "there is no guest"),
    };
    vec![gvisor, microvm]
}

fn engine_finding(monitor: &MonitorKind, given: Option<&Path>) -> Finding {
    match engine(given) {
        _ if *monitor != MonitorKind::Qemu => Finding::Reduced {
            reason: "only machines of QEMU have one, so jobs that build or run containers are refused".into(),
            remedy: "--monitor qemu".into(),
        },
        Some(_) => Finding::Good("there".into()),
        None => Finding::Reduced {
            reason: "there is none, so jobs that build or run containers are refused".into(),
            remedy: "cofferdam guest build --engine".into(),
        },
    }
}

fn machines(monitor: MonitorKind, guest: sandbox::guest::Guest, given: Option<&Path>) -> MicroVmConfig {
    let scratch = home(given).join("scratch");
    MicroVmConfig { monitor, guest, acceleration: None, copies: true, engine: engine(given), scratch }
}

/// Why there is no such driver here, and what to do.
pub fn gvisor_missing() -> Option<&'static str> {
    let installed = Gvisor::is_installed();
    (!installed).then_some("runsc is not installed: `apt-get install runsc`, or a newer one from gvisor.dev")
}

/// Why there is no such driver here, and what to do.
pub fn microvm_missing(monitor: &MonitorKind, given: Option<&Path>) -> Option<&'static str> {
    if *monitor == MonitorKind::Qemu && !MicroVm::is_installed() {
        return Some("QEMU is not installed: apt-get install qemu-system-x86");
    }
    match guests(given).newest() {
        Some(_) => None,
        None => Some("there is no guest of this version: `cofferdam guest build` makes one in seconds"),
    }
}

/// Why that monitor makes no machines here, though its program and a guest are there. None is booted to find out.
fn monitor_blocked(monitor: &MonitorKind, given: Option<&Path>) -> Option<String> {
    let reason = MicroVm::blocker(monitor, &guests(given).newest()?)?;
    Some(format!("{reason} (`--monitor qemu` translates what they run)"))
}

/// What would let the launcher start: the first thing that is missing, as `doctor` finds it.
fn remedy(config: &LocalConfig) -> String {
    let probes = Local::probe(config);
    let causes = probes.iter().flat_map(Probe::blockers).filter(|check| check.what != "launcher");
    let remedy = causes.map(|check| &check.finding).find_map(|finding| match finding {
        Finding::Missing { remedy, .. } => Some(format!("{remedy}; `cofferdam doctor` says more")),
        _ => None,
    });
    remedy.unwrap_or_else(|| "`cofferdam doctor` says what is missing".to_owned())
}

/// Namespaces that are connected before a sandbox asks for one.
const NETWORKS_AHEAD: usize = 1;

/// The network of sandboxes, or why there is none. Nothing is made before the first sandbox wants it.
pub fn egress() -> Result<Arc<EgressOnDemand>, String> {
    match sandbox::net::available() {
        Ok(()) => Ok(Arc::new(EgressOnDemand::new(NETWORKS_AHEAD))),
        Err(error) => Err(agent::explain(&error)),
    }
}

/// The network of sandboxes that is asked for. An engine elsewhere has networks of its own, and its jobs are not quietly made here for
/// want of one.
pub fn way_out(network: Network, elsewhere: Option<&Elsewhere>) -> Result<WayOut, CommandFailure> {
    let way_out = match network {
        Network::None => WayOut::Unwanted,
        Network::Internet => egress().map_or_else(WayOut::Impossible, WayOut::Internet),
    };
    match elsewhere.filter(|elsewhere| !elsewhere.has_network()) {
        Some(elsewhere) if matches!(way_out, WayOut::Internet(_)) => {
            let message =
                format!("--{}: an engine has networks of its own, and none of them is named", elsewhere.driver());
            Err(CommandFailure::usage(message).with_hint("--docker-network NAME, or --network none"))
        }
        _ => Ok(way_out),
    }
}

/// SIGINT, SIGTERM and SIGHUP, as a person, a supervisor or a terminal that is closed sends them.
pub struct Interrupts {
    signals: Vec<Signal>,
}

/// Listens from now on.
pub fn interrupts() -> Result<Interrupts, CommandFailure> {
    let listen = |kind| {
        signal(kind)
            .map_err(|error| CommandFailure::new(Exit::Infrastructure, format!("cannot listen for signals: {error}")))
    };
    let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
    if !ignores_hangup() {
        kinds.push(SignalKind::hangup());
    }
    Ok(Interrupts { signals: kinds.into_iter().map(listen).collect::<Result<_, _>>()? })
}

/// Whoever starts a program with `nohup` wants it to outlive the terminal.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

impl Interrupts {
    /// Resolves at the next one.
    pub async fn next(&mut self) {
        std::future::poll_fn(|context| match self.poll(context) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        })
        .await;
    }

    fn poll(&mut self, context: &mut std::task::Context<'_>) -> bool {
        let mut came = false;
        for signal in &mut self.signals {
            // All of them, so that each wakes the caller.
            came |= signal.poll_recv(context).is_ready();
        }
        came
    }
}

/// Artifacts lie in the project's folder, where git should not see them.
pub fn keep_out_of_git(artifacts: &Path) {
    let Some(folder) = artifacts.parent().filter(|p| p.file_name().is_some_and(|n| n == ".cofferdam")) else { return };
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        // Not worth failing a run for. A project's own steps lie beside, and belong to it.
        let _ = std::fs::write(ignore, "*\n!/steps/\n!/steps/**\n");
    }
}
