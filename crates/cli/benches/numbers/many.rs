//! Sandboxes on kernels of their own, ten and fifty at once, and what those that idle take.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use sandbox::{Driver, SandboxSpec};

use super::drivers::{Engines, Kernels, MEMORY};
use super::measure::{Contender, Table};
use super::memory::{descendants, field, pss};
use super::peers::{self, DOCKER_RUN, Docker, run_together};
use super::starts::{self, Place};
use super::stock::Stock;

const ROUNDS: usize = 3;
const COUNTS: [usize; 2] = [10, 50];
/// Rounds from one with fifty to the next, where those take ten seconds and more.
const EVERY: usize = 2;
/// Some that idle.
const IDLE: usize = 5;
/// Fifty machines share two processors; this long none of them needs.
const PATIENCE: Duration = Duration::from_secs(180);

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("kernels of their own, many at once, and what they take");
    table.pause = Duration::from_millis(300);
    let Some((root, kernels)) = Kernels::prepare(scratch, &mut table) else { return table };
    let place = &kernels.place;
    let container = place.local.container();
    let docker = Docker::with_busybox(scratch, &root);
    let engines = docker.as_ref().map_err(Clone::clone).and_then(|docker| Engines::new(docker, scratch, place));
    let podman = starts::podman(&root, scratch);
    let bundle = peers::bundle(scratch, &root);
    let stock = kernels.machines.as_ref().map(|machines| Stock::new(place, &machines.copies));
    let ours = |driver: &dyn Driver, count| together(place, driver, || place.spec(MEMORY), count);
    let mut contenders = herds("cofferdam, container", 1, |count| ours(&*container, count));
    if let Some(gvisor) = &kernels.gvisor {
        contenders.extend(herds("cofferdam, gvisor", 1, |count| ours(&**gvisor, count)));
        if let Ok(bundle) = &bundle {
            let run = |count| run_together((0..count).map(|_| peers::runsc_run(bundle, scratch)));
            contenders.extend(herds(peers::RUNSC_RUN, 1, run));
        }
    }
    if let Some(machines) = &kernels.machines {
        contenders.extend(herds("cofferdam, microvm, copies", EVERY, |count| ours(&*machines.copies, count)));
    }
    if let Some(stock) = &stock {
        let claims = herds("cofferdam, microvm from the pool", EVERY, |count| ours(&stock.pool, count));
        contenders.extend(
            claims.into_iter().zip(COUNTS).map(|(claim, count)| claim.before(move || stock.fill(place, count))),
        );
    }
    match &engines {
        Ok(engines) => {
            let run = |driver: &dyn Driver, count| together(place, driver, || engines.spec(), count);
            contenders.extend(herds("cofferdam, docker", EVERY, move |count| run(&engines.docker, count)));
            contenders.extend(herds("cofferdam, swarm", EVERY, move |count| run(&engines.swarm, count)));
        }
        Err(error) => table.notes.push(format!("skipped: drivers for engines: {error}")),
    }
    match &podman {
        Ok(base) => {
            let run = |count| run_together((0..count).map(|_| starts::podman_run(base)));
            contenders.extend(herds(starts::PODMAN_RUN, EVERY, run));
        }
        Err(error) => table.notes.push(format!("skipped: podman: {error}")),
    }
    match &docker {
        Ok(docker) => {
            let run = |count| run_together((0..count).map(|_| docker.run_noop()));
            contenders.extend(herds(DOCKER_RUN, 1, run));
        }
        Err(error) => table.notes.push(format!("skipped: docker: {error}")),
    }
    table.interleave(ROUNDS, contenders);
    if let Some(stock) = &stock {
        place.runtime.block_on(stock.pool.close());
        table.notes.push("the pool holds as many as are asked for, and is filled again after the sample".to_owned());
    }
    idle_of_launcher(&mut table, &kernels);
    if let (Ok(docker), Ok(engines)) = (&docker, &engines) {
        idle(&mut table, place, "docker, with its shim", &engines.docker, || engines.spec(), || of_engine(docker));
    }
    table.notes.extend(kernels.notes.iter().cloned());
    if let Some(machines) = &kernels.machines {
        table.notes.push(format!("machines: {}", machines.acceleration));
    }
    table
}

fn herd(name: &str, count: usize) -> String {
    format!("{name}, {count} at once")
}

/// Contenders for each count, the fewest first: what is done once, they have done for the others.
fn herds<'a>(name: &str, every: usize, run: impl Fn(usize) -> Result<(), String> + Clone + 'a) -> Vec<Contender<'a>> {
    let contender = |(index, count)| {
        let run = run.clone();
        let contender = Contender::new(&herd(name, count), move || run(count)).rate(count);
        let contender = contender.against(&herd(DOCKER_RUN, count));
        if index == 0 { contender } else { contender.warm().every(every) }
    };
    COUNTS.into_iter().enumerate().map(contender).collect()
}

/// So many at the same time, each from nothing to nothing. Waits for all of them even where one fails.
fn together(place: &Place, driver: &dyn Driver, spec: impl Fn() -> SandboxSpec, count: usize) -> Result<(), String> {
    let all = async {
        let all = join_all((0..count).map(|_| place.start_with(driver, spec())));
        tokio::time::timeout(PATIENCE, all).await
    };
    let ended = place.runtime.block_on(all).map_err(|_| format!("not done within {} s", PATIENCE.as_secs()))?;
    let failed: Vec<String> = ended.into_iter().filter_map(Result::err).collect();
    match failed.first() {
        Some(first) => Err(format!("{} of {count} failed: {first}", failed.len())),
        None => Ok(()),
    }
}

fn idle_of_launcher(table: &mut Table, kernels: &Kernels) {
    let place = &kernels.place;
    let mut drivers = vec![("container", place.local.container())];
    drivers.extend(kernels.gvisor.iter().map(|driver| ("gvisor", driver.clone())));
    drivers.extend(kernels.machines.iter().map(|machines| ("microvm, copies", machines.copies.clone())));
    for (name, driver) in &drivers {
        let processes = || descendants(place.local.launcher_pid()).into_iter().collect();
        idle(table, place, name, &**driver, || place.spec(MEMORY), processes);
    }
}

/// Memory of some that idle: all of their processes, what is shared counted in shares.
fn idle(
    table: &mut Table,
    place: &Place,
    name: &str,
    driver: &dyn Driver,
    spec: impl Fn() -> SandboxSpec,
    processes: impl Fn() -> BTreeSet<u32>,
) {
    let made = place.runtime.block_on(async {
        let mut made = Vec::new();
        for _ in 0..IDLE {
            made.push(driver.create(spec()).await);
        }
        made
    });
    let living: Vec<_> = made.into_iter().filter_map(Result::ok).collect();
    let processes = processes();
    let total = |of: fn(&str) -> u64| processes.iter().map(|pid| of(&pid.to_string())).sum::<u64>();
    let (shares, resident) = (total(pss), total(|pid| field(pid, "status", "VmRSS:")));
    if living.len() == IDLE && shares > 0 {
        let mib = |kib: u64| vec![kib as f64 / 1024.0 / IDLE as f64];
        table.push(&format!("{name}, one of {IDLE} that idle, proportional share"), "MiB", mib(shares));
        table.push(&format!("{name}, one of {IDLE} that idle, resident"), "MiB", mib(resident));
    } else {
        table.notes.push(format!("skipped: {name}, idle: {} of {IDLE} were made, and take {shares} KiB", living.len()));
    }
    place.runtime.block_on(async {
        for sandbox in living {
            let _ = driver.destroy(sandbox.id).await;
        }
    });
}

/// Processes of the containers that the drivers have on an engine: each one's shim, and what is below that.
fn of_engine(engine: &Docker) -> BTreeSet<u32> {
    let ids = engine.ask(&["ps", "--quiet", "--filter", "label=cofferdam.owner"]).unwrap_or_default();
    let mut processes = BTreeSet::new();
    for id in ids {
        let init = engine.ask(&["inspect", "--format", "{{.State.Pid}}", &id]).unwrap_or_default();
        let shim = init.first().map_or(0, |pid| field(pid, "status", "PPid:"));
        if let Some(shim) = u32::try_from(shim).ok().filter(|pid| *pid > 1) {
            processes.insert(shim);
            processes.extend(descendants(shim));
        }
    }
    processes
}
