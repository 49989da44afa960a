//! Fifty at once: how many starts a second.

use std::path::Path;
use std::process::Command;

use futures_util::future::try_join_all;

use super::measure::{Contender, Table};
use super::peers::{self, Docker, NOOP, run_together};
use super::starts::Place;

const ROUNDS: usize = 5;
const HERD: usize = 50;
const OURS: &str = "cofferdam, container";

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
    let docker = Docker::with_busybox(scratch, &root);
    let mut contenders = vec![
        Contender::new(OURS, || {
            place.runtime.block_on(async { try_join_all((0..HERD).map(|_| place.start())).await.map(drop) })
        })
        .rate(HERD),
        Contender::new("unshare -fUrnpimuC --mount-proc", || run_together((0..HERD).map(|_| unshare()))).rate(HERD),
    ];
    match &docker {
        Ok(docker) => contenders.push(
            Contender::new(peers::DOCKER_RUN, || run_together((0..HERD).map(|_| docker.run_noop())))
                .rate(HERD)
                .every(2),
        ),
        Err(error) => table.notes.push(format!("skipped: docker: {error}")),
    }
    table.interleave(ROUNDS, contenders);
    table.ratio_to = Some(OURS.to_owned());
    table
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["-fUrnpimuC", "--mount-proc"]).args(NOOP);
    command
}
