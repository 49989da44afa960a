//! What a job would get, without making it: whatever decides that decides it once, also for what is made ahead.

use std::sync::{Arc, Mutex, PoisonError};

use agent::{Host, Performer};
use model::ids::{JobId, SandboxId};
use model::request::{AgentSpec, Reply, Request};
use model::rung::Rung;
use sandbox::{CreateError, Driver, DriverError, Ended, Pending, Probe, Sandbox, SandboxSpec, Usage};
use tokio::sync::{mpsc, oneshot};

/// What a driver was asked for.
pub struct Kind {
    /// Its name.
    pub driver: &'static str,
    /// The sandbox.
    pub spec: SandboxSpec,
}

/// Where that is written down.
pub type Note = Arc<Mutex<Option<Kind>>>;

/// What a job would get of a host whose drivers write it down. Pulls its image where the store has none.
///
/// # Errors
/// In words: the image cannot be had, or no driver fits.
pub async fn ask(mut host: Host, note: &Note, agent: AgentSpec, engine: Option<String>) -> Result<Kind, String> {
    // Nobody's runs have asked for it.
    host.drivers.noted = None;
    // Nobody listens to its progress.
    let (events, _) = mpsc::channel(1);
    let (_never, cancelled) = oneshot::channel();
    let request = Request::Allocate { job: JobId(0), agent, engine, shares: None };
    let reply = Performer::new(host, events).perform(request, cancelled).await;
    let noted = note.lock().unwrap_or_else(PoisonError::into_inner).take();
    noted.ok_or_else(|| match reply {
        Reply::Failed(failure) => failure.message,
        other => format!("no driver was asked, and the answer is {other:?}"),
    })
}

/// A driver that makes nothing, and writes down what was to be made.
pub(super) struct Asked {
    name: &'static str,
    driver: Arc<dyn Driver>,
    note: Note,
}

impl Asked {
    pub(super) fn new(name: &'static str, driver: Arc<dyn Driver>, note: &Note) -> Asked {
        Asked { name, driver, note: Arc::clone(note) }
    }
}

impl Driver for Asked {
    fn name(&self) -> &'static str {
        self.driver.name()
    }

    fn rung(&self) -> Rung {
        self.driver.rung()
    }

    fn probe(&self) -> Probe {
        self.driver.probe()
    }

    fn create(&self, spec: SandboxSpec) -> Pending<'_, Result<Sandbox, CreateError>> {
        let kind = Kind { driver: self.name, spec };
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = Some(kind);
        let reason = "it was only asked what it would be".to_owned();
        Box::pin(std::future::ready(Err(CreateError::Unsupported { reason })))
    }

    fn usage(&self, id: SandboxId) -> Pending<'_, Result<Usage, DriverError>> {
        self.driver.usage(id)
    }

    fn destroy(&self, id: SandboxId) -> Pending<'_, Result<Ended, DriverError>> {
        self.driver.destroy(id)
    }

    fn sweep(&self) -> Pending<'_, Result<Vec<String>, DriverError>> {
        self.driver.sweep()
    }
}
