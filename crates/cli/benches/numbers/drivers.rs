//! All drivers whose sandboxes have a kernel of their own, and those that speak to engines, over one launcher.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sandbox::guest::{Guests, Source, build};
use sandbox::gvisor::Gvisor;
use sandbox::microvm::{MicroVm, MicroVmConfig, MonitorKind};
use sandbox::warm::{Warm, WarmConfig};
use sandbox::{Driver, SandboxSpec};

use super::measure::Table;
use super::peers::{self, Docker};
use super::starts::Place;

/// Small machines, so that many fit.
pub const MEMORY: u64 = 256 << 20;
/// What a machine takes while it waits; more than was measured.
const COST: u64 = 128 << 20;

pub struct Kernels {
    pub place: Place,
    pub gvisor: Option<Arc<dyn Driver>>,
    pub machines: Option<Machines>,
    /// What is not there.
    pub notes: Vec<String>,
}

pub struct Machines {
    pub boots: Arc<dyn Driver>,
    pub copies: Arc<dyn Driver>,
    /// Who executes their instructions.
    pub acceleration: String,
}

impl Kernels {
    /// With a root file system, or a note why not.
    pub fn prepare(scratch: &Path, table: &mut Table) -> Option<(PathBuf, Kernels)> {
        match peers::busybox_root(scratch) {
            Ok(root) if peers::is_root() => {
                let kernels = Kernels::new(scratch, &root);
                Some((root, kernels))
            }
            _ => {
                table.notes.push("skipped: needs root and busybox-static".to_owned());
                None
            }
        }
    }

    fn new(scratch: &Path, root: &Path) -> Kernels {
        let place = Place::new(scratch, root);
        let mut notes = Vec::new();
        let gvisor = Gvisor::find(place.local.clone()).map(|driver| Arc::new(driver) as Arc<dyn Driver>);
        if gvisor.is_none() {
            notes.push("skipped: gvisor: runsc is not installed".to_owned());
        }
        let machines = Machines::new(scratch, &place).map_err(|why| notes.push(format!("skipped: microvm: {why}")));
        Kernels { place, gvisor, machines: machines.ok(), notes }
    }
}

impl Machines {
    fn new(scratch: &Path, place: &Place) -> Result<Machines, String> {
        if !MicroVm::is_installed() {
            return Err("qemu-system-x86 is not installed".to_owned());
        }
        let guest = build(&Guests::new(scratch.join("guests")), &Source::Debian).map_err(|error| error.to_string())?;
        let machine = |copies| {
            let config = MicroVmConfig {
                monitor: MonitorKind::Qemu,
                guest: guest.clone(),
                acceleration: None,
                copies,
                engine: None,
                scratch: scratch.to_owned(),
            };
            Arc::new(MicroVm::new(place.local.clone(), config))
        };
        let copies = machine(true);
        let acceleration = format!("{:?}", place.runtime.block_on(copies.acceleration()));
        Ok(Machines { boots: machine(false), copies, acceleration })
    }
}

/// How demand becomes machines that wait.
pub struct Demand {
    pub factor: f64,
    pub half_life: Duration,
}

/// A pool of at most so many machines before a driver.
pub fn pool(place: &Place, driver: Arc<dyn Driver>, ceiling: u32, demand: Demand) -> Warm {
    let config = WarmConfig {
        ceiling,
        budget_bytes: COST * u64::from(ceiling),
        cost_bytes: COST,
        factor: demand.factor,
        half_life: demand.half_life,
        floor: Vec::new(),
        max_age: Duration::from_secs(3600),
    };
    let _tasks = place.runtime.enter();
    Warm::new(driver, config).expect("settings without contradictions")
}

/// Drivers for the engine that `docker run` speaks to.
pub struct Engines {
    pub docker: docker::Docker,
    pub swarm: docker::Swarm,
    image: String,
    _registry: peers::Registry,
}

impl Engines {
    pub fn new(engine: &Docker, scratch: &Path, place: &Place) -> Result<Engines, String> {
        let (registry, image) = engine.push(scratch, peers::BUSYBOX)?;
        engine.make_swarm()?;
        let socket = || docker::Endpoint::Unix(engine.host.trim_start_matches("unix://").into());
        let config = docker::DockerConfig { shared_machine: true, ..docker::DockerConfig::new(socket()) };
        let swarm = docker::SwarmConfig { shared_machine: true, ..docker::SwarmConfig::new(socket()) };
        let opened = place.runtime.block_on(async {
            Ok::<_, sandbox::DriverError>((docker::Docker::open(config).await?, docker::Swarm::open(swarm).await?))
        });
        let (docker, swarm) = opened.map_err(|error| agent::explain(&error))?;
        Ok(Engines { docker, swarm, image, _registry: registry })
    }

    pub fn spec(&self) -> SandboxSpec {
        let mut spec = SandboxSpec { image: Some(self.image.clone()), ..SandboxSpec::image(Vec::new()) };
        spec.limits.memory_bytes = MEMORY;
        spec
    }
}
