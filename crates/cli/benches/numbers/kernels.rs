//! Sandboxes on kernels of their own: gVisor's, and machines that boot, that are copies of one that has booted, and that wait in a
//! pool. Without KVM a machine's instructions are translated.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use sandbox::guest::{Guests, Source, build};
use sandbox::gvisor::Gvisor;
use sandbox::microvm::{MicroVm, MicroVmConfig, MonitorKind};
use sandbox::warm::{Warm, WarmConfig};
use sandbox::{Driver, SandboxSpec};

use super::measure::{Contender, Table};
use super::memory::{children, field, pss};
use super::peers::{self, Docker, NOOP, run};
use super::starts::{self, Place};

const ROUNDS: usize = 12;
/// A machine that boots takes seconds.
const EVERY: usize = 4;
/// Small machines, so that many fit.
const MEMORY: u64 = 256 << 20;
/// How long a pool may take for the next one.
const PATIENCE: Duration = Duration::from_secs(60);

/// All drivers with a kernel of their own, over one launcher.
struct Kernels {
    place: Place,
    gvisor: Option<Arc<dyn Driver>>,
    machines: Option<Machines>,
    notes: Vec<String>,
}

struct Machines {
    boots: Arc<dyn Driver>,
    copies: Arc<dyn Driver>,
    waits: Arc<Warm>,
    acceleration: String,
}

/// Drivers for the engine that `docker run` speaks to.
struct Engines {
    docker: docker::Docker,
    swarm: docker::Swarm,
    image: String,
    _registry: peers::Registry,
}

impl Engines {
    fn new(engine: &Docker, scratch: &Path, place: &Place) -> Result<Engines, String> {
        let (registry, image) = engine.push(scratch, "bench/busybox:1")?;
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

    fn spec(&self) -> SandboxSpec {
        let mut spec = SandboxSpec { image: Some(self.image.clone()), ..SandboxSpec::image(Vec::new()) };
        spec.limits.memory_bytes = MEMORY;
        spec
    }
}

impl Kernels {
    fn new(scratch: &Path, root: &Path) -> Kernels {
        let place = Place::new(scratch, root);
        let mut notes = Vec::new();
        let gvisor = Gvisor::find(place.local.clone()).map(|driver| Arc::new(driver) as Arc<dyn Driver>);
        if gvisor.is_none() {
            notes.push("skipped: gvisor: runsc is not installed".to_owned());
        }
        let machines =
            Machines::new(scratch, &place).map_err(|why| notes.push(format!("skipped: microvm: {why}"))).ok();
        Kernels { place, gvisor, machines, notes }
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
        let config = WarmConfig {
            ceiling: 3,
            budget_bytes: 4 << 30,
            cost_bytes: 128 << 20,
            factor: 2.0,
            half_life: Duration::from_secs(60),
            floor: Vec::new(),
            max_age: Duration::from_secs(600),
            connect: None,
        };
        let _tasks = place.runtime.enter();
        let waits = Arc::new(Warm::new(Arc::clone(&copies) as _, config).map_err(|error| error.to_string())?);
        Ok(Machines { boots: machine(false), copies, waits, acceleration })
    }
}

/// Waits, uncounted, until one is ready.
fn filled(place: &Place, pool: &Warm) {
    let until = Instant::now() + PATIENCE;
    place.runtime.block_on(async {
        while pool.ready() == 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

/// A root file system and the drivers, or a note why not.
fn prepared(scratch: &Path, table: &mut Table) -> Option<(PathBuf, Kernels)> {
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

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("a kernel of its own: create → /bin/true → destroyed");
    let Some((root, kernels)) = prepared(scratch, &mut table) else { return table };
    let place = &kernels.place;
    let once = |driver: &Arc<dyn Driver>| place.runtime.block_on(place.start_on(&**driver, MEMORY));
    let container = place.local.container();
    let docker = Docker::start(scratch).and_then(|docker| docker.import(&root, "bench/busybox:1").map(|()| docker));
    let engines = docker.as_ref().map_err(Clone::clone).and_then(|docker| Engines::new(docker, scratch, place));
    let podman = starts::podman(&root, scratch);
    let bundle = peers::bundle(scratch, &root);
    let mut contenders = vec![Contender::new("cofferdam, container", || once(&container))];
    if let Some(gvisor) = &kernels.gvisor {
        contenders.push(Contender::new("cofferdam, gvisor", || once(gvisor)));
        if let Ok(bundle) = &bundle {
            let (mut turn, records) = (0, scratch.join("runsc"));
            contenders.push(Contender::new("runsc run", move || {
                turn += 1;
                run(Command::new("runsc")
                    .arg(format!("--root={}", records.display()))
                    .args(["--platform=ptrace", "--network=none", "--ignore-cgroups", "run", "--bundle"])
                    .arg(bundle)
                    .arg(format!("bench-{turn}")))
            }));
        }
    }
    if let Some(machines) = &kernels.machines {
        contenders.push(Contender::new("cofferdam, microvm that boots", || once(&machines.boots)).every(EVERY));
        contenders.push(Contender::new("cofferdam, microvm, copy", || once(&machines.copies)));
        let pool: Arc<dyn Driver> = Arc::clone(&machines.waits) as _;
        contenders.push(
            Contender::new("cofferdam, microvm from the pool", move || once(&pool))
                .before(|| filled(place, &machines.waits)),
        );
    }
    match &engines {
        Ok(engines) => {
            let once = |driver: &dyn Driver| place.runtime.block_on(place.start_with(driver, engines.spec()));
            contenders.push(Contender::new("cofferdam, docker", move || once(&engines.docker)));
            contenders.push(Contender::new("cofferdam, swarm", move || once(&engines.swarm)).every(EVERY));
        }
        Err(error) => table.notes.push(format!("skipped: drivers for engines: {error}")),
    }
    match &podman {
        Ok(base) => {
            contenders.push(Contender::new(starts::PODMAN_RUN, move || starts::podman_run(base)).every(EVERY));
        }
        Err(error) => table.notes.push(format!("skipped: podman: {error}")),
    }
    match &docker {
        Ok(docker) => contenders.push(Contender::new("docker run --rm", move || {
            run(docker.command().args(["run", "--rm", "bench/busybox:1"]).args(NOOP))
        })),
        Err(error) => table.notes.push(format!("skipped: docker: {error}")),
    }
    table.interleave(ROUNDS, contenders);
    table.ratio_to = Some("docker run --rm".to_owned());
    table.notes.extend(kernels.notes.iter().cloned());
    if let Some(machines) = &kernels.machines {
        table.notes.push(format!("machines: {}", machines.acceleration));
        place.runtime.block_on(machines.waits.close());
    }
    table
}

/// Many at once, and what those that idle take.
pub fn measure_many(scratch: &Path) -> Table {
    let mut table = Table::new("kernels of their own, many at once, and what they take");
    let Some((_, kernels)) = prepared(scratch, &mut table) else { return table };
    let place = &kernels.place;
    let mut drivers: Vec<(&str, Arc<dyn Driver>)> = vec![("container", place.local.container())];
    drivers.extend(kernels.gvisor.iter().map(|driver| ("gvisor", Arc::clone(driver))));
    drivers.extend(kernels.machines.iter().map(|machines| ("microvm, copies", Arc::clone(&machines.copies))));
    for (name, driver) in &drivers {
        // What is made once is not counted.
        let _ = place.runtime.block_on(place.start_on(&**driver, MEMORY));
        for count in [10_usize, 50] {
            let started = Instant::now();
            let all = try_join_all((0..count).map(|_| place.start_on(&**driver, MEMORY)));
            match place.runtime.block_on(all) {
                Ok(_) => {
                    let rate = count as f64 / started.elapsed().as_secs_f64();
                    table.push(&format!("{name}, {count} at once"), "/s", vec![rate]);
                }
                Err(error) => table.notes.push(format!("{name}, {count} at once: {error}")),
            }
        }
    }
    for (name, driver) in &drivers {
        idle(&mut table, place, name, &**driver);
    }
    table.notes.extend(kernels.notes);
    table
}

/// Memory of five that idle: all of their processes, what is shared counted in shares.
fn idle(table: &mut Table, place: &Place, name: &str, driver: &dyn Driver) {
    const COUNT: usize = 5;
    let living = place.runtime.block_on(async {
        let mut living = Vec::new();
        for _ in 0..COUNT {
            living.extend(place.living_on(driver, MEMORY).await);
        }
        living
    });
    let launcher = place.local.launcher_pid();
    let mut open = children(launcher);
    let (mut shares, mut resident) = (0, 0);
    while let Some(pid) = open.pop() {
        open.extend(children(pid));
        shares += pss(&pid.to_string());
        resident += field(&pid.to_string(), "status", "VmRSS:");
    }
    let mib = |kib: u64| vec![kib as f64 / 1024.0 / COUNT as f64];
    table.push(&format!("{name}, one of {COUNT} that idle, proportional share"), "MiB", mib(shares));
    table.push(&format!("{name}, one of {COUNT} that idle, resident"), "MiB", mib(resident));
    place.runtime.block_on(async {
        for sandbox in living {
            let _ = driver.destroy(sandbox.id).await;
        }
    });
}
