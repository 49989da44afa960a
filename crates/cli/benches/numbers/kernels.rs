//! Sandboxes on kernels of their own: gVisor's, and machines that boot, that are copies of one that has booted, and that wait in a
//! pool. Without KVM a machine's instructions are translated.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sandbox::Driver;
use sandbox::warm::Warm;

use super::drivers::{self, Demand, Engines, Kernels, MEMORY};
use super::measure::{Contender, Table};
use super::peers::{self, DOCKER_RUN, Docker, run};
use super::starts::{self, Place};

const ROUNDS: usize = 12;
/// A machine that boots takes seconds.
const EVERY: usize = 4;
/// Most machines that wait.
const WAITING: u32 = 3;
/// How long a pool may take for the next one.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits, uncounted, until one is ready.
fn filled(place: &Place, pool: &Warm) {
    let until = Instant::now() + PATIENCE;
    place.runtime.block_on(async {
        while pool.ready() == 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("a kernel of its own: create → /bin/true → destroyed");
    let Some((root, kernels)) = Kernels::prepare(scratch, &mut table) else { return table };
    let place = &kernels.place;
    let once = |driver: &dyn Driver| place.runtime.block_on(place.start_on(driver, MEMORY));
    let container = place.local.container();
    let docker = Docker::with_busybox(scratch, &root);
    let engines = docker.as_ref().map_err(Clone::clone).and_then(|docker| Engines::new(docker, scratch, place));
    let podman = starts::podman(&root, scratch);
    let bundle = peers::bundle(scratch, &root);
    let demand = Demand { factor: 2.0, half_life: Duration::from_secs(60) };
    let waits =
        kernels.machines.as_ref().map(|machines| drivers::pool(place, Arc::clone(&machines.copies), WAITING, demand));
    if let Some(pool) = &waits {
        // Else the first claim would wait for what nobody has asked for.
        place.runtime.block_on(async { pool.expect(&place.spec(MEMORY), 1) });
    }
    let mut contenders = vec![Contender::new("cofferdam, container", || once(&*container))];
    if let Some(gvisor) = &kernels.gvisor {
        contenders.push(Contender::new("cofferdam, gvisor", || once(&**gvisor)));
        if let Ok(bundle) = &bundle {
            contenders.push(Contender::new(peers::RUNSC_RUN, || run(&mut peers::runsc_run(bundle, scratch))));
        }
    }
    if let Some(machines) = &kernels.machines {
        contenders.push(Contender::new("cofferdam, microvm that boots", || once(&*machines.boots)).every(EVERY));
        contenders.push(Contender::new("cofferdam, microvm, copy", || once(&*machines.copies)));
    }
    if let Some(pool) = &waits {
        let from_pool = Contender::new("cofferdam, microvm from the pool", || once(pool));
        contenders.push(from_pool.before(|| filled(place, pool)));
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
            contenders.push(Contender::new(starts::PODMAN_RUN, || run(&mut starts::podman_run(base))).every(EVERY));
        }
        Err(error) => table.notes.push(format!("skipped: podman: {error}")),
    }
    match &docker {
        Ok(docker) => contenders.push(Contender::new(DOCKER_RUN, || run(&mut docker.run_noop()))),
        Err(error) => table.notes.push(format!("skipped: docker: {error}")),
    }
    table.interleave(ROUNDS, contenders);
    table.ratio_to = Some(DOCKER_RUN.to_owned());
    table.notes.extend(kernels.notes.iter().cloned());
    if let Some(machines) = &kernels.machines {
        table.notes.push(format!("machines: {}", machines.acceleration));
    }
    if let Some(pool) = &waits {
        place.runtime.block_on(pool.close());
    }
    table
}
