//! What a machine leaves on its host while it runs, and after: memory, files, processes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::limits::Limits;
use sandbox::microvm::OVERHEAD;

use super::canaries::Host;
use crate::{microvm, place};

/// What the others may grow by, whatever a guest does: they hold one frame of what it says, and the last of its console.
pub(super) const OF_OTHERS: u64 = 4 << 20;
/// No mapping of a monitor's own is so long, in bytes.
const LARGE: u64 = 128 << 20;
/// How often is looked while something goes on.
const INTERVAL: Duration = Duration::from_millis(10);

/// What a machine of these tests may have of the host's memory: that of its guest, which has the usual limits, and what goes with it.
pub(super) fn of_machine() -> u64 {
    Limits::default().memory_bytes + OVERHEAD
}

/// Of the one machine that a launcher has.
pub(super) struct Traces {
    monitor: Witness,
    /// Those that hear the guest, or end it.
    others: [Witness; 2],
    /// The monitor's control groups, which all that it could start would be in.
    groups: String,
    open: Files,
    stored: Files,
}

/// Lengths and names of files, by what tells them apart.
type Files = BTreeMap<(u64, u64), (u64, PathBuf)>;

impl Traces {
    /// From now on.
    pub(super) fn of(host: &Host) -> Traces {
        let launcher = host.local.launcher_pid();
        let monitor = microvm::monitors(launcher).pop().expect("the monitor is a child of the launcher");
        let groups = groups(monitor).unwrap();
        assert!(groups.contains("cofferdam"), "{groups}");
        let others = [Witness::new("the launcher", launcher), Witness::new("this process", std::process::id())];
        let (open, stored) = (open_files([monitor, launcher]), stored_files());
        Traces { monitor: Witness::new("the monitor", monitor), others, groups, open, stored }
    }

    /// Looks at memory again and again until this has come about.
    pub(super) async fn until<T>(&mut self, something: impl Future<Output = T>) -> T {
        tokio::pin!(something);
        let mut ticks = tokio::time::interval(INTERVAL);
        loop {
            tokio::select! {
                done = &mut something => break done,
                _ = ticks.tick() => {}
            }
            self.look();
        }
    }

    /// Bytes that the monitor has written so far, to everything.
    pub(super) fn written(&self) -> u64 {
        number(self.monitor.pid, "io", "wchar:").unwrap()
    }

    fn look(&mut self) {
        self.monitor.look();
        self.others.iter_mut().for_each(Witness::look);
    }

    /// Bytes at most that the monitor has grown by, and each of the others.
    pub(super) fn check_memory(&mut self, of_monitor: u64, of_others: u64) {
        self.look();
        println!("{:?} {:?}", self.monitor, self.others);
        assert!(self.monitor.peak <= of_machine() && self.monitor.growth() <= of_monitor, "{:?}", self.monitor);
        self.check_others(of_others);
    }

    /// The same of all but the monitor, which has a limit.
    pub(super) fn check_others(&mut self, of_others: u64) {
        self.look();
        for other in &self.others {
            assert!(other.pid == std::process::id() && !is_alone() || other.growth() <= of_others, "{other:?}");
        }
    }

    /// A file that was there is as long as it was, and what was opened since holds nothing.
    pub(super) fn check_files(&self) {
        for (key, (length, path)) in &open_files([self.monitor.pid, self.others[0].pid]) {
            let before = self.open.get(key).map_or(0, |(before, _)| *before);
            assert!(*length <= before, "{} has grown from {before} to {length} bytes", path.display());
        }
        let now = stored_files();
        for (key, (before, path)) in &self.stored {
            let length = now.get(key).map_or(0, |(length, _)| *length);
            assert!(length <= *before, "{} has grown from {before} to {length} bytes", path.display());
        }
    }

    /// The machine has ended: no process that it had is left.
    pub(super) fn check_end(&self) {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let pid = entry.file_name().to_string_lossy().parse();
            let left = pid.is_ok_and(|pid| groups(pid).as_ref() == Some(&self.groups));
            assert!(!left, "{} is left", entry.path().display());
        }
    }
}

fn groups(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()
}

/// A process that has to do with a machine, and what it has of the host's memory, in bytes.
#[derive(Debug)]
struct Witness {
    #[expect(dead_code, reason = "for whoever reads why a test has failed")]
    what: &'static str,
    pid: u32,
    before: u64,
    peak: u64,
    /// What there was before of the guest's memory, and of the translation of its code.
    of_guest: u64,
}

impl Witness {
    fn new(what: &'static str, pid: u32) -> Witness {
        // Its peak is that of the time from now on. Source: proc(5), `clear_refs`.
        fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
        let before = number(pid, "status", "VmRSS:").unwrap() << 10;
        Witness { what, pid, before, peak: before, of_guest: of_guest(pid).unwrap_or(0) }
    }

    fn look(&mut self) {
        // One that has ended grows no more.
        self.peak = self.peak.max(number(self.pid, "status", "VmHWM:").unwrap_or(0) << 10);
    }

    /// Without what the guest itself has used anew: the longer it runs, and the busier the host, the more that is.
    fn growth(&self) -> u64 {
        let of_guest = of_guest(self.pid).map_or(0, |now| now.saturating_sub(self.of_guest));
        (self.peak - self.before).saturating_sub(of_guest)
    }
}

/// Bytes that a process has of its large mappings. A monitor's are the guest's memory and what the code of the guest is translated into;
/// what it keeps of what a guest says is on its heap. Source: proc(5), `smaps`.
fn of_guest(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).ok()?;
    let value = |line: &str, field: &str| line.strip_prefix(field)?.trim().trim_end_matches(" kB").parse::<u64>().ok();
    let (mut is_large, mut sum) = (false, 0);
    for line in text.lines() {
        if let Some(size) = value(line, "Size:") {
            is_large = size << 10 >= LARGE;
        } else if let Some(resident) = value(line, "Rss:").filter(|_| is_large) {
            sum += resident << 10;
        }
    }
    Some(sum)
}

fn number(pid: u32, file: &str, field: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// With cargo-nextest each test has a process of its own; without, others grow and open files in this one.
fn is_alone() -> bool {
    std::env::var_os("NEXTEST").is_some()
}

/// Those that these processes and this one have open.
fn open_files(processes: [u32; 2]) -> Files {
    let mut found = BTreeMap::new();
    for pid in processes.into_iter().chain(is_alone().then(std::process::id)) {
        collect(Path::new(&format!("/proc/{pid}/fd")), &mut found);
    }
    found
}

/// Those in the folders that machines are made from.
fn stored_files() -> Files {
    let mut found = BTreeMap::new();
    let folders = ["state", "scratch"].map(|name| place::base().join(name));
    for folder in folders.into_iter().chain([microvm::guest().unwrap().folder]) {
        collect(&folder, &mut found);
    }
    found
}

fn collect(folder: &Path, found: &mut Files) {
    // A process that has ended has none open.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        // What other processes are making is theirs.
        let is_made = !entry.file_name().to_string_lossy().starts_with("making-");
        match fs::metadata(entry.path()) {
            Ok(_) if is_folder && is_made => collect(&entry.path(), found),
            Ok(file) if file.is_file() => {
                let path = fs::read_link(entry.path()).unwrap_or_else(|_| entry.path());
                found.insert((file.dev(), file.ino()), (file.len(), path));
            }
            _ => {}
        }
    }
}
