//! Definitions that somebody wants to be read, and not run. The server reads none itself: an agent does, in an engine of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::request::{Failure, FailureKind};
use queue::line::Expression;
use store::Run;
use tokio::sync::{Semaphore, oneshot};
use wire::agent::{Check, Checked, Plan, ToAgent};
use wire::engine::Finding;

use crate::config::ProjectConfig;
use crate::hub::Hub;
use crate::line;

/// How long an agent may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same where it has to fetch a repository first.
const PATIENCE_TO_FETCH: Duration = Duration::from_secs(330);
/// So many are read at once; others wait for their turn.
const MOST: usize = 8;

/// What is known of it, or why it was not read.
type Found = Result<Checked, Failure>;
/// By the number that each has: which agent it was sent to, and who wants to hear.
type Asked = HashMap<u64, (u64, oneshot::Sender<Found>)>;

/// Nobody has read it, for this reason.
fn unread(reason: &str) -> Failure {
    Failure { kind: FailureKind::Infrastructure, message: reason.to_owned(), hint: None }
}

fn other() -> Failure {
    unread("the agent has answered another question")
}

/// What agents are asked to read.
pub(crate) struct Checks {
    asked: Mutex<Asked>,
    counted: AtomicU64,
    turns: Semaphore,
}

impl Default for Checks {
    fn default() -> Checks {
        Checks { asked: Mutex::default(), counted: AtomicU64::new(0), turns: Semaphore::new(MOST) }
    }
}

/// A question that nobody wants an answer to any more.
struct Forgotten<'a>(&'a Checks, u64);

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        self.0.asked().remove(&self.1);
    }
}

impl Checks {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is found in a definition.
    ///
    /// # Errors
    /// Why nobody has read it.
    pub(crate) async fn findings(&self, hub: &Hub, text: String) -> Result<Vec<Finding>, Failure> {
        match self.read(hub, &Expression::any(), Check::Text(text)).await? {
            Checked::Findings(findings) => Ok(findings),
            Checked::Plan(_) => Err(other()),
        }
    }

    /// What a run would ask for, as an agent of its project reads it: others may not reach its repository, and are not told its login.
    ///
    /// # Errors
    /// Why nobody has read it: the definition's fault, or the repository's, or nobody's who has made them.
    pub(crate) async fn plan(&self, hub: &Hub, run: &Run, config: &ProjectConfig) -> Result<Plan, Failure> {
        let facts = Box::new(config.facts_of(&run.facts));
        let (source, file, libraries) =
            (Box::new(config.source_of(run)), config.file.clone(), config.shared_libraries());
        let what = Check::Plan { run: run.id, source, file, facts, libraries };
        match self.read(hub, &line::of_project(config), what).await? {
            Checked::Plan(plan) => Ok(plan),
            Checked::Findings(_) => Err(other()),
        }
    }

    async fn read(&self, hub: &Hub, labels: &Expression, what: Check) -> Found {
        let _turn = self.turns.acquire().await.map_err(|error| unread(&error.to_string()))?;
        let id = self.counted.fetch_add(1, Ordering::Relaxed);
        let (agent, outbox) = hub
            .any_agent(labels, id)
            .ok_or_else(|| unread("no agent that may is connected, and only agents read definitions"))?;
        let (heard, answer) = oneshot::channel();
        self.asked().insert(id, (agent, heard));
        // Also where who wants to hear goes away.
        let _asked = Forgotten(self, id);
        let patience = if matches!(what, Check::Plan { .. }) { PATIENCE_TO_FETCH } else { PATIENCE };
        // One that has gone does not answer.
        outbox.say(ToAgent::Check { id, what });
        let answer = tokio::time::timeout(patience, answer).await;
        answer
            .ok()
            .and_then(Result::ok)
            .unwrap_or_else(|| Err(unread("the agent that was to read it has not answered")))
    }

    /// An agent has read one. What it was not asked for nobody hears.
    pub(crate) fn heard(&self, agent: u64, id: u64, found: Found) {
        let mut asked = self.asked();
        if asked.get(&id).is_some_and(|(of, _)| *of == agent)
            && let Some((_, heard)) = asked.remove(&id)
        {
            // Who wanted to hear may have gone.
            let _ = heard.send(found);
        }
    }
}
