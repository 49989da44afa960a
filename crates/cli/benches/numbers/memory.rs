//! What a living sandbox costs: resident memory of its init, and of this process and the launcher per sandbox.

use std::path::Path;

use super::measure::Table;
use super::peers;
use super::starts::Place;

const SANDBOXES: usize = 20;

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("resident memory of a living sandbox");
    let root = match peers::busybox_root(scratch) {
        Ok(root) if peers::is_root() => root,
        _ => {
            table.notes.push("skipped: needs root and busybox-static".to_owned());
            return table;
        }
    };
    let place = Place::new(scratch, &root);
    let _ = place.once();
    let before = pss("self");
    let living = place.runtime.block_on(async {
        let mut living = Vec::new();
        for _ in 0..SANDBOXES {
            living.push(place.living().await);
        }
        living
    });
    let sandboxes: Vec<_> = living.into_iter().filter_map(Result::ok).collect();
    let own = std::process::id();
    let launchers = children(own);
    let inits: Vec<u32> = launchers.iter().flat_map(|launcher| children(*launcher)).collect();
    let of = |pid: &u32| pss(&pid.to_string()) as f64;
    table.push("init, proportional share", "KiB", inits.iter().map(of).collect());
    table.push(
        "init, resident",
        "KiB",
        inits.iter().map(|pid| field(&pid.to_string(), "status", "VmRSS:") as f64).collect(),
    );
    table.push(
        "launcher, proportional share, per sandbox",
        "KiB",
        vec![launchers.iter().map(of).sum::<f64>() / SANDBOXES as f64],
    );
    let grown = pss("self").saturating_sub(before) as f64 / SANDBOXES as f64;
    table.push("supervisor, proportional share, per sandbox", "KiB", vec![grown]);
    place.runtime.block_on(async {
        for sandbox in sandboxes {
            let _ = place.driver.destroy(sandbox.id).await;
        }
    });
    table
}

/// All processes below one.
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut found = children(pid);
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children(*pid));
        next += 1;
    }
    found
}

fn children(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    found
}

pub fn pss(pid: &str) -> u64 {
    field(pid, "smaps_rollup", "Pss:")
}

pub fn field(pid: &str, file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}
