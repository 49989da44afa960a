//! [`Driver`]: what makes and destroys sandboxes.

use std::future::Future;
use std::os::unix::net::UnixStream;
use std::pin::Pin;

use model::ids::SandboxId;
use model::rung::Rung;
use tokio::sync::watch;

use crate::{CreateError, DriverError, Ended, Ids, Probe, SandboxSpec, Usage};

/// A future that a [`Driver`] returns; boxed, so that drivers can stand behind `dyn Driver`.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Makes and destroys sandboxes of one rung.
///
/// This text is the specification; the module `conformance` checks every sentence of it that can be checked from outside.
///
/// **Order.** `probe` may be called at any time and changes nothing. `create` makes a sandbox and returns when its process 1
/// is about to answer on the stream; a sandbox that could not be made leaves nothing behind. `destroy` ends it. A sandbox is
/// never reused.
///
/// **Concurrency.** All methods may be called from any number of tasks at once. Dropping the future of `create` before it is
/// done destroys what was made; dropping that of `destroy` does not stop the destruction.
///
/// **Idempotence.** `destroy` of a sandbox that has ended, is being destroyed, or was destroyed before waits for and returns
/// the one [`Ended`] it has. An error is only an id that this driver never gave out, or one whose sandbox ended so long ago that
/// [many others](crate::records::MOST_ENDED) have ended since.
///
/// **End.** A sandbox ends because it was destroyed, because its process 1 ended, because of a limit of the whole sandbox
/// (wall clock), or because the process that made it died. However it ends, when [`Sandbox::ended`] or `destroy` has
/// returned: no process of it lives, none of its mounts, interfaces, cgroups, ids and files is left, and its writable layer is freed. No
/// result of a workload may be reported before that.
///
/// **Failure.** A driver whose helper process died reports [`DriverError::Gone`] from then on, and all its sandboxes have ended
/// with [`crate::EndCause::Lost`]. After kill -9 of the program at any moment no sandbox of it lives on; what cannot go by
/// itself (cgroup folders, lock files) goes with the next `sweep` of any driver of the same kind on the same state folder.
///
/// **Secrets.** None passes through a driver.
pub trait Driver: Send + Sync {
    /// Name in options and messages: `container`, `process`, `fake`.
    fn name(&self) -> &'static str;

    /// How strong its walls are.
    fn rung(&self) -> Rung;

    /// What this host can do for it.
    fn probe(&self) -> Probe;

    /// Makes a sandbox.
    fn create(&self, spec: SandboxSpec) -> Pending<'_, Result<Sandbox, CreateError>>;

    /// So many sandboxes like this will be asked for soon, as far as anybody knows. Who makes some ahead makes these; nobody has to.
    fn expect(&self, _spec: &SandboxSpec, _count: u64) {}

    /// What a living sandbox uses now, and which limits it has met since it was made; what it had used at its end after that.
    fn usage(&self, id: SandboxId) -> Pending<'_, Result<Usage, DriverError>>;

    /// Ends a sandbox and waits until nothing is left of it.
    fn destroy(&self, id: SandboxId) -> Pending<'_, Result<Ended, DriverError>>;

    /// Removes what dead processes have left on this host, and says what it was, one line each. Touches nothing of a
    /// living one.
    fn sweep(&self) -> Pending<'_, Result<Vec<String>, DriverError>>;
}

/// A living sandbox. Dropping it does not end it; [`Driver::destroy`] does, and so does the end of the driver.
#[derive(Debug)]
pub struct Sandbox {
    /// Its id, unique within the process.
    pub id: SandboxId,
    /// The stream to its process 1, for `session`.
    pub stream: UnixStream,
    /// Who the workload is, names resolved in the sandbox's own `/etc/passwd`.
    pub user: Ids,
    /// Its further groups, by the sandbox's `/etc/group`.
    pub groups: Vec<u32>,
    /// Home folder of that user by the same file, or `/`. A user whom the image does not know gets an entry and a home, where the
    /// image leaves a place for them.
    pub home: String,
    /// Absolute path of the workspace inside.
    pub workspace: String,
    /// Name of the machine, as the workload sees it.
    pub hostname: String,
    /// Set once, by the driver: how it ended, when nothing is left of it. See [`Sandbox::ended`].
    pub end: watch::Receiver<Option<Ended>>,
}

impl Sandbox {
    /// Waits until it has ended and nothing is left of it.
    pub fn ended(&self) -> impl Future<Output = Ended> + Send + 'static {
        wait_ended(self.end.clone())
    }
}

/// Waits for the report of an end; a driver that is gone has lost its sandboxes.
pub async fn wait_ended(mut ended: watch::Receiver<Option<Ended>>) -> Ended {
    match ended.wait_for(Option::is_some).await {
        Ok(report) => report.clone().unwrap_or_else(Ended::lost),
        Err(_) => Ended::lost(),
    }
}
