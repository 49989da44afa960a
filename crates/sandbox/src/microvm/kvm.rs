//! Whether machines boot on the processor: that `/dev/kvm` is there proves nothing, so one is booted, once for a guest and a kernel
//! of the host.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::limits::Limits;

use super::asked::{Asked, Parts};
use super::machine::{Acceleration, Shape};
use super::qemu::{Memory, Qemu};
use super::running::{Running, ports};
use super::{GUEST_MEMORY, MicroVmConfig, explain, open};
use crate::driver::wait_ended;
use crate::guest::Guest;
use crate::local::Local;
use crate::{CreateError, Finding};

/// What a machine needs to run on the processor itself.
pub(super) const KVM: &str = "/dev/kvm";
/// How long the first machine may take there: a guest that the processor runs starts in a tenth of that.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long it counts that a machine did not start in that time: the host may only have been busy.
const LATE_COUNTS: Duration = Duration::from_secs(24 * 60 * 60);

/// Who executes the instructions of a guest on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) acceleration: Acceleration,
    /// Why it is not the processor; empty where that was not asked.
    reason: String,
}

impl Found {
    /// Not found, but said.
    pub(super) fn given(acceleration: Acceleration) -> Found {
        Found { acceleration, reason: String::new() }
    }

    fn not(reason: impl Into<String>) -> Found {
        Found { acceleration: Acceleration::Tcg, reason: reason.into() }
    }

    /// Why this monitor can make no machines here.
    pub(super) fn blocker(&self, asked: &Asked) -> Option<String> {
        if self.acceleration == Acceleration::Kvm {
            return None;
        }
        let why = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        Some(format!("{} runs machines on the processor only, and here none boots there{why}", asked.monitor.name()))
    }

    pub(super) fn finding(&self, asked: Option<&Asked>) -> Finding {
        match asked.and_then(|asked| self.blocker(asked)) {
            Some(reason) => Finding::Missing {
                reason,
                remedy: "a host whose /dev/kvm boots the guest, or QEMU as the monitor".into(),
            },
            None => self.acceleration.finding(),
        }
    }
}

/// What is known without booting a machine: what the host lacks, or what was found out before. `None`: it has to be tried.
pub(super) fn known(guest: &Guest, asked: Option<&Asked>) -> Option<Found> {
    // The node for the jail is root's to make.
    if !rustix::process::getuid().is_root() {
        return Some(Found::not(format!("only root can give a monitor {KVM}")));
    }
    if !Path::new(KVM).exists() {
        return Some(Found::not(format!("this host has no {KVM}")));
    }
    if let Err(error) = File::options().read(true).write(true).open(KVM) {
        return Some(Found::not(format!("{KVM}: {error}")));
    }
    Verdict::of(guest, asked).read()
}

/// Finds out, with the monitor that is to be used.
pub(super) async fn find(local: &Local, config: &MicroVmConfig, asked: Option<&Asked>) -> Found {
    if let Some(known) = known(&config.guest, asked) {
        return known;
    }
    let verdict = Verdict::of(&config.guest, asked);
    let begun = Instant::now();
    match boots(local, config, asked).await {
        Ok(found) => {
            verdict.write(&found, begun.elapsed() >= PATIENCE);
            found
        }
        // Nothing was found out: the next driver asks again.
        Err(error) => {
            let reason = explain(&error);
            tracing::warn!(reason, "cannot try whether machines boot on the processor");
            Found::not(reason)
        }
    }
}

/// Whether one boots there in time; an error where none could be started.
async fn boots(local: &Local, config: &MicroVmConfig, asked: Option<&Asked>) -> Result<Found, CreateError> {
    let limits = Limits { memory_bytes: 64 << 20, wall_ms: PATIENCE.as_millis() as u64, ..Limits::default() };
    let shape = Shape::new(Acceleration::Kvm, &limits, GUEST_MEMORY, false);
    let scratch = shape.scratch.make(&config.scratch)?;
    let guest = &config.guest;
    let late = || format!("a machine did not start on {KVM} within {} s", PATIENCE.as_secs());
    let machine = match asked {
        None => {
            let (ours, control, stream) = ports()?;
            let mut qemu = Qemu::new(shape, Memory::Own, control, stream);
            qemu.boot(open(&guest.kernel())?.into(), open(&guest.initrd())?.into());
            qemu.own_disks(scratch, config)?;
            Running::start(local, qemu, ours.control, None, &limits).await?
        }
        Some(asked) => {
            let parts =
                Parts { shape, guest, scratch, disks: &[], tap: None, netns: None, limits: &limits, saved: None };
            match asked.boot(local, parts, PATIENCE).await {
                Ok(begun) => begun.machine,
                // It was there, and said no, or its guest said nothing.
                Err(CreateError::Unsupported { reason }) => return Ok(refused(reason)),
                Err(error) => return Err(error),
            }
        }
    };
    let greeted = tokio::time::timeout(PATIENCE, machine.link.prepare(local.settings()?, shape)).await;
    let (console, ended) = machine.end();
    wait_ended(ended).await;
    match greeted {
        Ok(Ok(())) => Ok(Found::given(Acceleration::Kvm)),
        Ok(Err(error)) => Ok(refused(explain(&console.explain(error)))),
        Err(_) => Ok(refused(late())),
    }
}

fn refused(reason: String) -> Found {
    tracing::info!(%reason, "no machine boots on the processor");
    Found::not(reason)
}

/// What was found out about a guest and a monitor on this host's kernel, kept beside the guest: a probe costs up to [`PATIENCE`].
struct Verdict {
    path: PathBuf,
    host: String,
}

impl Verdict {
    fn of(guest: &Guest, asked: Option<&Asked>) -> Verdict {
        let host = rustix::system::uname();
        let host = format!("{} {}", host.release().to_string_lossy(), host.version().to_string_lossy());
        let Some(asked) = asked else {
            return Verdict { path: guest.kernel().with_file_name("processor"), host };
        };
        // Another version may do better.
        let program = std::fs::metadata(&asked.program).map(|found| (found.ino(), found.size(), found.mtime())).ok();
        let name = asked.monitor.name().to_lowercase().replace(' ', "-");
        let path = guest.kernel().with_file_name(format!("processor-{name}"));
        Verdict { path, host: format!("{host} {program:?}") }
    }

    fn read(&self) -> Option<Found> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        let age = std::fs::metadata(&self.path).and_then(|found| found.modified()).ok()?.elapsed().unwrap_or_default();
        let (first, reason) = text.split_once('\n')?;
        let (verdict, host) = first.split_once(' ')?;
        match (verdict, host == self.host && Path::new(KVM).exists()) {
            ("boots", true) => Some(Found::given(Acceleration::Kvm)),
            ("late", true) if age > LATE_COUNTS => None,
            ("translated" | "late", true) => Some(Found::not(reason.trim_end())),
            _ => None,
        }
    }

    fn write(&self, found: &Found, late: bool) {
        let verdict = match found.acceleration {
            Acceleration::Kvm => "boots",
            Acceleration::Tcg if late => "late",
            Acceleration::Tcg => "translated",
        };
        // Whoever cannot keep it asks again.
        let _ = std::fs::write(&self.path, format!("{verdict} {}\n{}\n", self.host, found.reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::Description;

    #[test]
    fn that_a_machine_was_late_counts_for_a_day() {
        if !Path::new(KVM).exists() {
            println!("skipped: this host has no {KVM}");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let verdict = Verdict { path: folder.path().join("processor"), host: "host 1".into() };
        let check = |late: bool, age: Duration, expect: Option<Found>| {
            verdict.write(&Found::not("reason"), late);
            let file = File::options().append(true).open(&verdict.path).unwrap();
            file.set_modified(std::time::SystemTime::now() - age).unwrap();
            assert_eq!(verdict.read(), expect);
        };
        let hour = Duration::from_secs(60 * 60);
        check(true, hour, Some(Found::not("reason")));
        check(true, 25 * hour, None);
        check(false, 25 * hour, Some(Found::not("reason")));
        let elsewhere = Verdict { path: verdict.path.clone(), host: "host 2".into() };
        assert_eq!(elsewhere.read(), None);
    }

    #[test]
    fn what_was_found_out_is_known_without_booting() {
        let folder = tempfile::tempdir().unwrap();
        let text = String::new;
        let description = Description { release: text(), package: text(), launcher: text(), digest: text() };
        let guest = Guest { folder: folder.path().to_owned(), description };
        let own = std::env::current_exe().unwrap();
        let (asked, other) = (Asked::firecracker(&own), Asked::cloud_hypervisor(&own));
        let blocker = || known(&guest, Some(&asked)).and_then(|found| found.blocker(&asked));
        if let Some(reason) = blocker() {
            assert!(reason.contains(KVM), "{reason}");
            println!("skipped: {reason}");
            return;
        }
        Verdict::of(&guest, Some(&asked)).write(&Found::not("it said no"), false);
        let told = "Firecracker runs machines on the processor only, and here none boots there: it said no";
        assert_eq!(blocker().as_deref(), Some(told));
        assert_eq!(known(&guest, Some(&other)), None, "another monitor may do better");
        Verdict::of(&guest, Some(&asked)).write(&Found::given(Acceleration::Kvm), false);
        assert_eq!(blocker(), None);
    }
}
