//! Whether machines boot on the processor: that `/dev/kvm` is there proves nothing, so one is booted, once for a guest and a kernel
//! of the host.

use std::path::PathBuf;
use std::time::Duration;

use model::limits::Limits;

use super::machine::{Acceleration, Memory, Monitor, Shape};
use super::running::{Running, ports};
use super::{GUEST_MEMORY, explain, open};
use crate::CreateError;
use crate::driver::wait_ended;
use crate::guest::Guest;
use crate::local::Local;

/// What a machine needs to run on the processor itself.
const KVM: &str = "/dev/kvm";
/// How long the first machine may take there: a guest that the processor runs starts in a tenth of that.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who executes the instructions of a guest on this host.
pub(super) async fn acceleration(local: &Local, guest: &Guest) -> Acceleration {
    let verdict = Verdict::of(guest);
    // The node for the jail is root's to make.
    if !rustix::process::getuid().is_root() || !std::path::Path::new(KVM).exists() {
        return Acceleration::Tcg;
    }
    if let Some(known) = verdict.read() {
        return known;
    }
    match boots(local, guest).await {
        Ok(true) => {
            verdict.write(Acceleration::Kvm);
            Acceleration::Kvm
        }
        Ok(false) => {
            verdict.write(Acceleration::Tcg);
            Acceleration::Tcg
        }
        // Nothing was found out: the next driver asks again.
        Err(error) => {
            tracing::warn!(reason = explain(&error), "cannot try whether machines boot on the processor");
            Acceleration::Tcg
        }
    }
}

/// Whether one boots there in time; an error where none could be started.
async fn boots(local: &Local, guest: &Guest) -> Result<bool, CreateError> {
    let limits = Limits { memory_bytes: 64 << 20, wall_ms: PATIENCE.as_millis() as u64, ..Limits::default() };
    let shape = Shape::new(Acceleration::Kvm, limits.memory_bytes + GUEST_MEMORY, 1);
    let (ours, control, stream) = ports()?;
    let mut monitor = Monitor::new(shape, Memory::Own, control, stream);
    monitor.boot(open(&guest.kernel())?.into(), open(&guest.initrd())?.into());
    let machine = Running::start(local, monitor, ours.control, None, &limits).await?;
    let greeted = tokio::time::timeout(PATIENCE, machine.link.prepare(local.settings()?, false)).await;
    let (console, ended) = machine.end();
    wait_ended(ended).await;
    let reason = match greeted {
        Ok(Ok(())) => return Ok(true),
        Ok(Err(error)) => explain(&console.explain(error)),
        Err(_) => format!("a machine did not start on {KVM} within {} s", PATIENCE.as_secs()),
    };
    tracing::info!(%reason, "machines are translated");
    Ok(false)
}

/// What was found out about a guest on this host's kernel, kept beside the guest: a probe costs up to [`PATIENCE`].
struct Verdict {
    path: PathBuf,
    host: String,
}

impl Verdict {
    fn of(guest: &Guest) -> Verdict {
        let host = rustix::system::uname();
        let host = format!("{} {}", host.release().to_string_lossy(), host.version().to_string_lossy());
        Verdict { path: guest.kernel().with_file_name("processor"), host }
    }

    fn read(&self) -> Option<Acceleration> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        let (verdict, host) = text.trim_end().split_once(' ')?;
        match (verdict, host == self.host && std::path::Path::new(KVM).exists()) {
            ("boots", true) => Some(Acceleration::Kvm),
            ("translated", true) => Some(Acceleration::Tcg),
            _ => None,
        }
    }

    fn write(&self, found: Acceleration) {
        let verdict = if found == Acceleration::Kvm { "boots" } else { "translated" };
        // Whoever cannot keep it asks again.
        let _ = std::fs::write(&self.path, format!("{verdict} {}\n", self.host));
    }
}
