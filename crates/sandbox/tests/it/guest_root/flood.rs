//! What the host keeps of what a guest says: next to nothing, however much it is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use model::limits::Limits;
use sandbox::{Driver as _, EndCause};

use super::{Root, machine, setting, stream_of};
use crate::{microvm, place};

const FLOOD: &str = include_str!("flood.py");
const MIB: u64 = 1 << 20;
/// To the serial line: a monitor that translates takes 1 MiB of it in a second.
const SERIAL: u64 = 16 * MIB;
/// To each of the ports, if they take it.
const PORTS: u64 = 64 * MIB;

/// A process of the host that has to do with a machine.
struct Witness {
    what: &'static str,
    pid: u32,
    /// Its memory before the flood.
    before: u64,
    peak: u64,
}

impl Witness {
    fn new(what: &'static str, pid: u32) -> Witness {
        // Its peak is that of the time from now on.
        fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
        let before = memory(pid, "VmRSS:").unwrap();
        Witness { what, pid, before, peak: before }
    }

    fn look(&mut self) {
        // One that has ended grows no more.
        self.peak = self.peak.max(memory(self.pid, "VmHWM:").unwrap_or(0));
    }

    fn growth(&self) -> u64 {
        self.peak - self.before
    }
}

fn memory(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// Lengths of the files that these processes have open, and of those in the folders of machines; by what makes each one itself.
fn files(processes: &[u32]) -> BTreeMap<(u64, u64), (u64, String)> {
    let mut found = BTreeMap::new();
    let mut folders: Vec<_> = processes.iter().map(|pid| format!("/proc/{pid}/fd").into()).collect();
    folders.extend(["state", "scratch"].map(|name| place::base().join(name)));
    folders.push(microvm::guest().unwrap().folder);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            match fs::metadata(entry.path()) {
                Ok(file) if file.is_file() => {
                    let name = fs::read_link(entry.path()).unwrap_or(entry.path()).display().to_string();
                    found.insert((file.dev(), file.ino()), (file.len(), name));
                }
                Ok(file) if file.is_dir() && !is_link => folders.push(entry.path()),
                _ => {}
            }
        }
    }
    found
}

#[tokio::test]
async fn microvm_that_floods_the_host_leaves_nothing_there() {
    let Some((host, driver, layer)) = setting().await else { return };
    let sandbox = machine(&driver, vec![microvm::offered(layer)]).await;
    let words = format!("{SERIAL} {PORTS}");
    let mut root = Root::new(stream_of(&sandbox), FLOOD, &words, &[]).await;
    root.until_it_says("ready for serial").await;
    let launcher = host.local.launcher_pid();
    let monitor = monitor_of(launcher).unwrap();
    let mut all = [("the monitor", monitor), ("the launcher", launcher), ("this", std::process::id())]
        .map(|(what, pid)| Witness::new(what, pid));
    let pids: Vec<_> = all.iter().map(|w| w.pid).collect();
    let before = files(&pids);
    let show = |all: &mut [Witness], when: &str| {
        for w in all.iter_mut() {
            w.look();
            println!("{when}: {} {} KiB, grew {} KiB, peak {}", w.what, w.before >> 10, w.growth() >> 10, w.peak >> 10);
        }
    };
    let t = std::time::Instant::now();
    show(&mut all, "before");
    root.go_on().await;
    root.until_it_says("ready for ports").await;
    println!("{:?}", t.elapsed());
    show(&mut all, "serial");
    let after = files(&pids);
    for (k, (l, n)) in &after {
        if before.get(k).is_none_or(|b| b.0 != *l) {
            println!("changed {n} {l}");
        }
    }
    root.go_on().await;
    let t = std::time::Instant::now();
    while root.says_more().await {}
    println!("session ended {:?}", t.elapsed());
    let ended = sandbox.ended();
    tokio::pin!(ended);
    let ended = loop {
        tokio::select! { e = &mut ended => break e, () = tokio::time::sleep(Duration::from_millis(10)) => for w in &mut all { w.look(); } }
    };
    println!("ended {ended:?} {:?}", t.elapsed());
    show(&mut all, "ports");
    let after = files(&pids);
    for (k, (l, n)) in &after {
        if before.get(k).is_none_or(|b| b.0 != *l) {
            println!("changed {n} {l}");
        }
    }
    println!("{}", root.said);
    let _ = (Limits::default(), EndCause::Lost);
    driver.destroy(sandbox.id).await.unwrap();
    host.end().await;
}

pub(super) fn monitor_of(launcher: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{launcher}/task/{launcher}/children")).unwrap();
    let is_monitor = |pid: &&str| {
        fs::read_link(Path::new("/proc").join(pid).join("exe"))
            .is_ok_and(|exe| exe.to_string_lossy().contains("qemu-system"))
    };
    children.split_whitespace().find(is_monitor)?.parse().ok()
}
