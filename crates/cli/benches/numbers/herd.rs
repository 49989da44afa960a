//! Fifty at once: how many starts a second.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use futures_util::future::try_join_all;

use super::measure::Table;
use super::peers::{self, Docker, NOOP};
use super::starts::Place;

const HERD: usize = 50;

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("50 at once: starts a second");
    let root = match peers::busybox_root(scratch) {
        Ok(root) if peers::is_root() => root,
        _ => {
            table.notes.push("skipped: needs root and busybox-static".to_owned());
            return table;
        }
    };
    let place = Place::new(scratch, &root);
    let docker = Docker::start(scratch).and_then(|docker| docker.import(&root, "bench/busybox:1").map(|()| docker));
    let (mut ours, mut unshare, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..6 {
        let started = Instant::now();
        let all = try_join_all((0..HERD).map(|_| place.start()));
        if let Err(error) = place.runtime.block_on(all) {
            table.notes.push(format!("cofferdam failed: {error}"));
        }
        push(&mut ours, round, started);

        let started = Instant::now();
        spawn_all(|| {
            let mut command = Command::new("unshare");
            command.args(["-fUrnpimuC", "--mount-proc"]).args(NOOP);
            command
        });
        push(&mut unshare, round, started);

        if let (Ok(docker), true) = (&docker, round < 3) {
            let started = Instant::now();
            spawn_all(|| {
                let mut command = docker.command();
                command.args(["run", "--rm", "bench/busybox:1"]).args(NOOP);
                command
            });
            push(&mut theirs, round, started);
        }
    }
    table.push("cofferdam, container", "/s", ours);
    table.push("unshare -fUrnpimuC --mount-proc", "/s", unshare);
    match docker {
        Ok(_) => table.push("docker run --rm", "/s", theirs),
        Err(error) => table.notes.push(format!("skipped: docker: {error}")),
    }
    table.ratio_to = Some("cofferdam, container".to_owned());
    table
}

/// The first round warms up.
fn push(samples: &mut Vec<f64>, round: usize, started: Instant) {
    if round > 0 {
        samples.push(HERD as f64 / started.elapsed().as_secs_f64());
    }
}

fn spawn_all(command: impl Fn() -> Command) {
    let children: Vec<_> = (0..HERD)
        .filter_map(|_| command().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok())
        .collect();
    for mut child in children {
        let _ = child.wait();
    }
}
