//! How a sandbox lives and ends. One task watches over each, and is the only one that ends it.
//!
//! ```text
//!   living ──▶ process 1 ended ──────────┐
//!     │──────▶ asked for, driver dropped ┤
//!     │──────▶ wall clock limit          ├──▶ its last usage ──▶ removed, until the engine knows it no more ──▶ `ended` is set
//!     │──────▶ caller closed its stream ─┤
//!     └──────▶ the engine is gone ───────┘    (then nothing can be removed: it is kept in mind for the next sweep)
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bollard::errors::Error;
use bollard::query_parameters::{RemoveContainerOptionsBuilder, WaitContainerOptionsBuilder};
use futures_util::StreamExt as _;
use model::ids::SandboxId;
use model::limits::Limits;
use sandbox::records::Records;
use sandbox::{DriverError, EndCause, Ended, LimitKind, LimitMet, Usage, wait_ended};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::engine::{Engine, failed, is_conflict, is_missing};
use crate::oom::Ooms;
use crate::pulse::Pulse;
use crate::usage;

/// How long an engine may take to remove a container.
const REMOVAL: Duration = Duration::from_secs(120);
/// How often it is asked whether it has.
const PAUSE: Duration = Duration::from_millis(10);
/// How long an engine may take to say what a sandbox used that is about to end.
const LAST_LOOK: Duration = Duration::from_millis(100);
/// How long init may take to end after its stream did.
const FAREWELL: Duration = Duration::from_secs(3);
/// Process 1 was killed.
const KILLED: i64 = 128 + 9;
/// The last signal.
const MAX_SIGNAL: i64 = 64;

/// Sandbox ids are unique within the process: other drivers count from elsewhere.
static NEXT: AtomicU64 = AtomicU64::new(1 << 41);

/// Where a sandbox is.
#[derive(Clone)]
pub(crate) struct Place {
    /// The engine of its container.
    pub(crate) engine: Engine,
    pub(crate) container: String,
    /// A Swarm's manager, and the service there.
    pub(crate) service: Option<(Engine, String)>,
}

/// What is heard of an engine, whoever's containers it has.
pub(crate) struct Heard {
    pub(crate) ooms: Ooms,
    pub(crate) pulse: Pulse,
}

impl Heard {
    /// Of the containers of an owner.
    pub(crate) fn of(engine: &Engine, owner: &str) -> Arc<Heard> {
        Arc::new(Heard { ooms: Ooms::listen(engine.clone(), owner), pulse: Pulse::of(engine.clone()) })
    }
}

type Table = Records<SandboxId, Arc<Living>>;

/// A sandbox; stays for a while, so that `destroy` can be asked again.
pub(crate) struct Living {
    place: Place,
    heard: Arc<Heard>,
    limits: Limits,
    asked: watch::Sender<bool>,
    ended: watch::Sender<Option<Ended>>,
    measured: Mutex<Usage>,
}

/// All sandboxes of a driver. With this value they end.
pub(crate) struct Sandboxes {
    table: Arc<Mutex<Table>>,
    closing: watch::Sender<()>,
    /// What an engine that was gone could not remove.
    lost: Arc<Mutex<Vec<Place>>>,
}

/// What ended a sandbox.
enum Why {
    Exited(Option<i64>),
    Asked,
    Wall,
    EngineGone,
}

impl Sandboxes {
    pub(crate) fn new() -> Sandboxes {
        Sandboxes { table: Arc::default(), closing: watch::Sender::new(()), lost: Arc::default() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, id: SandboxId) -> Result<Arc<Living>, DriverError> {
        self.table().get(id).cloned().ok_or(DriverError::Unknown { id })
    }

    /// Watches over a container that was started. `exit` waits for its end, `closed` says when the caller has closed its stream.
    pub(crate) fn begin(
        &self,
        place: Place,
        heard: Arc<Heard>,
        limits: Limits,
        exit: JoinHandle<Result<Option<i64>, Error>>,
        closed: watch::Receiver<bool>,
    ) -> (SandboxId, watch::Receiver<Option<Ended>>) {
        let id = SandboxId(NEXT.fetch_add(1, Ordering::Relaxed));
        let (ended, ended_later) = watch::channel(None);
        let living =
            Living { place, heard, limits, asked: watch::Sender::new(false), ended, measured: Mutex::default() };
        let living = Arc::new(living);
        self.table().insert(id, Arc::clone(&living));
        let (table, closing, lost) = (Arc::clone(&self.table), self.closing.subscribe(), Arc::clone(&self.lost));
        tokio::spawn(async move {
            watch_over(living, exit, closed, closing, lost).await;
            table.lock().unwrap_or_else(PoisonError::into_inner).ended(id);
        });
        (id, ended_later)
    }

    /// Removes what could not be removed when it ended; a line for each. Whoever gives it up midway loses none.
    pub(crate) async fn remove_lost(&self) -> Vec<String> {
        let lost = self.lost().clone();
        let mut removed = Vec::new();
        for place in lost {
            match place.remove().await {
                Ok(()) => {
                    self.lost().retain(|other| other.container != place.container);
                    removed.push(format!("{place}, which the engine had lost"));
                }
                Err(error) => tracing::info!(%error, "what an engine lost stays"),
            }
        }
        removed
    }

    fn lost(&self) -> MutexGuard<'_, Vec<Place>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.service {
            Some((_, service)) => write!(f, "service {service}"),
            None => write!(f, "container {}", self.container),
        }
    }
}

impl Living {
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// What it used before it is ended; an engine that has to think about it is not waited for.
    async fn last_usage(&self) -> Usage {
        let measured = tokio::time::timeout(LAST_LOOK, self.usage()).await;
        measured.unwrap_or_else(|_| self.measured.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    pub(crate) async fn usage(&self) -> Usage {
        if let Some(ended) = self.ended.borrow().as_ref() {
            return ended.usage.clone();
        }
        let measured = usage::measure(&self.place.engine, &self.place.container, &self.heard.ooms, &self.limits).await;
        let mut last = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(measured) = measured {
            *last = measured;
        }
        last.clone()
    }

    pub(crate) async fn destroy(&self) -> Ended {
        self.asked.send_replace(true);
        wait_ended(self.ended.subscribe()).await
    }
}

impl Place {
    /// Waits for the end of process 1; its exit code, where the engine still knows it. A container of the `docker` driver is removed
    /// by the engine then.
    pub(crate) async fn exit(self) -> Result<Option<i64>, Error> {
        let until = if self.service.is_some() { "not-running" } else { "removed" };
        let options = WaitContainerOptionsBuilder::default().condition(until).build();
        let mut waiting = std::pin::pin!(self.engine.client.wait_container(&self.container, Some(options)));
        match waiting.next().await {
            Some(Ok(ended)) => Ok(Some(ended.status_code)),
            Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(Some(code)),
            Some(Err(error)) if is_missing(&error) => Ok(None),
            Some(Err(error)) => Err(error),
            None => Err(Error::DockerStreamError { error: "the engine stopped answering".into() }),
        }
    }

    /// Ends and removes it, and returns when the engine knows it no more.
    pub(crate) async fn remove(&self) -> Result<(), DriverError> {
        if let Some((manager, service)) = &self.service {
            remove_service(manager, service).await?;
        }
        remove_container(&self.engine, &self.container).await
    }
}

/// A service that is gone is removed.
pub(crate) async fn remove_service(manager: &Engine, service: &str) -> Result<(), DriverError> {
    match manager.client.delete_service(service).await {
        Err(error) if !is_missing(&error) => Err(failed(format!("remove service {service}"))(error)),
        _ => Ok(()),
    }
}

/// Kills and removes a container with its volumes, and waits until it is gone.
pub(crate) async fn remove_container(engine: &Engine, container: &str) -> Result<(), DriverError> {
    let begun = Instant::now();
    loop {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let error = match engine.client.remove_container(container, Some(options)).await {
            Ok(()) => return Ok(()),
            Err(error) if is_missing(&error) => return Ok(()),
            Err(error) => error,
        };
        // Somebody, the engine itself perhaps, is at it; or it could not kill what had just ended.
        if begun.elapsed() > REMOVAL || !(is_conflict(&error) || engine.answers().await) {
            return Err(failed(format!("remove container {container}"))(error));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn watch_over(
    living: Arc<Living>,
    mut exit: JoinHandle<Result<Option<i64>, Error>>,
    mut closed: watch::Receiver<bool>,
    mut closing: watch::Receiver<()>,
    lost: Arc<Mutex<Vec<Place>>>,
) {
    let Living { place, heard, limits, .. } = &*living;
    let ooms = &heard.ooms;
    let mut gone = heard.pulse.gone();
    let mut asked = living.asked.subscribe();
    let why = tokio::select! {
        code = &mut exit => of_exit(code),
        () = said(&mut asked) => Why::Asked,
        () = said(&mut gone) => Why::EngineGone,
        () = tokio::time::sleep(Duration::from_millis(limits.wall_ms)) => Why::Wall,
        _ = closing.changed() => Why::Asked,
        () = said(&mut closed) => match tokio::time::timeout(FAREWELL, &mut exit).await {
            Ok(code) => of_exit(code),
            // A Swarm's task is not told that nobody speaks to it any more.
            Err(_) => Why::Asked,
        },
    };
    let killed = matches!(why, Why::Exited(Some(KILLED)));
    let measured = match why {
        Why::Asked | Why::Wall => living.last_usage().await,
        Why::Exited(_) | Why::EngineGone => living.measured.lock().unwrap_or_else(PoisonError::into_inner).clone(),
    };
    let removed = match why {
        Why::EngineGone if !place.engine.answers().await => Err(DriverError::Engine {
            operation: format!("remove {place}"),
            source: "the engine does not answer".into(),
        }),
        _ => place.remove().await,
    };
    let usage = usage::last(measured, &place.container, ooms, limits, killed).await;
    ooms.forget(&place.container);
    let cause = match (&removed, why) {
        (Err(error), _) => {
            tracing::warn!(%error, "a sandbox is lost");
            lost.lock().unwrap_or_else(PoisonError::into_inner).push(place.clone());
            EndCause::Lost
        }
        (Ok(()), Why::Asked) => EndCause::Destroyed,
        (Ok(()), Why::Wall) => EndCause::Limit(LimitMet { kind: LimitKind::Wall, value: limits.wall_ms, times: 1 }),
        (Ok(()), Why::Exited(Some(code))) => cause(code, &usage),
        (Ok(()), Why::Exited(None) | Why::EngineGone) => EndCause::Lost,
    };
    living.ended.send_replace(Some(Ended { cause, usage }));
    exit.abort();
}

fn of_exit(code: Result<Result<Option<i64>, Error>, tokio::task::JoinError>) -> Why {
    match code {
        Ok(Ok(code)) => Why::Exited(code),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the engine does not say when a container ends");
            Why::EngineGone
        }
        Err(_) => Why::EngineGone,
    }
}

/// Until it is said. A sender that is gone says nothing.
async fn said(it: &mut watch::Receiver<bool>) {
    if it.wait_for(|said| *said).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// An engine tells a signal as a shell does. Init itself ends with no such code.
fn cause(code: i64, usage: &Usage) -> EndCause {
    let met = usage.limits_met.iter().find(|met| met.kind == LimitKind::Memory);
    match (code, met) {
        // The kernel chose process 1.
        (KILLED, Some(met)) => EndCause::Limit(*met),
        (129.., _) if code <= 128 + MAX_SIGNAL => EndCause::Signalled((code - 128) as i32),
        _ => EndCause::Exited(i32::try_from(code).unwrap_or(i32::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_an_engine_is_read_as_it_is_meant() {
        let met = LimitMet { kind: LimitKind::Memory, value: 1, times: 1 };
        let (none, memory) = (Usage::default(), Usage { limits_met: vec![met], ..Usage::default() });
        assert_eq!(cause(0, &none), EndCause::Exited(0));
        assert_eq!(cause(71, &memory), EndCause::Exited(71));
        assert_eq!(cause(137, &none), EndCause::Signalled(9));
        assert_eq!(cause(137, &memory), EndCause::Limit(met));
        assert_eq!(cause(255, &none), EndCause::Exited(255));
    }
}
