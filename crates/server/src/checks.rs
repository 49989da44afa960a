//! Definitions that somebody wants to be read, and not run. The server reads none itself: an agent does, in an engine of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use wire::agent::ToAgent;
use wire::engine::Finding;

use crate::hub::Hub;

/// How long an agent may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// So many are read at once; others wait for their turn.
const MOST: usize = 8;

/// What was found, or why it was not read.
type Findings = Result<Vec<Finding>, String>;
/// By the number that each has: which agent it was sent to, and who wants to hear.
type Asked = HashMap<u64, (u64, oneshot::Sender<Findings>)>;

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
    /// Why nobody has read it, in words.
    pub(crate) async fn read(&self, hub: &Hub, text: String) -> Findings {
        let _turn = self.turns.acquire().await.map_err(|error| error.to_string())?;
        let id = self.counted.fetch_add(1, Ordering::Relaxed);
        let (agent, sender) = hub.any_agent(id).ok_or("no agent is connected, and only agents read definitions")?;
        let (heard, answer) = oneshot::channel();
        self.asked().insert(id, (agent, heard));
        // Also where who wants to hear goes away.
        let _asked = Forgotten(self, id);
        // One that has gone does not answer.
        let _ = sender.send(ToAgent::Check { id, text });
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        answer.ok().and_then(Result::ok).unwrap_or_else(|| Err("the agent that was to read it has not answered".into()))
    }

    /// An agent has read one. What it was not asked for nobody hears.
    pub(crate) fn heard(&self, agent: u64, id: u64, findings: Findings) {
        let mut asked = self.asked();
        if asked.get(&id).is_some_and(|(of, _)| *of == agent)
            && let Some((_, heard)) = asked.remove(&id)
        {
            // Who wanted to hear may have gone.
            let _ = heard.send(findings);
        }
    }
}
