//! A run that only waits has no place.
//!
//! While it does nothing but wait for other runs, for what they have locked or for people, and has no sandbox, its place is somebody else's: runs
//! that wait for each other would otherwise have all places, and none for those that they wait for. Its engine stays where it is; before it may have
//! a sandbox again it waits for a place at that agent. Who has locked something waits for none: the place may be the one's that waits for the lock.

use std::time::Duration;

use model::ids::RequestId;
use model::request::{Reply, Request};
use store::{Millis, StoreError};
use tokio::time::Instant;

use super::Keeper;
use crate::line;

/// Where a run is without a place, and what it wants one for.
#[derive(Default)]
pub(super) struct Rest {
    is_resting: bool,
    /// When it tries again to give its place away; `None`: it has no reason to.
    tries_at: Option<Instant>,
    /// Asked for since, and when.
    wanted: Vec<(RequestId, Request, Millis)>,
}

/// How soon a run tries again to give its place away, where too many do already.
const PAUSE: Duration = Duration::from_secs(10);

impl Rest {
    /// When it is to try again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.tries_at
    }

    /// Whether nobody but this has heard of that request.
    pub(super) fn is_held_back(&self, id: RequestId) -> bool {
        self.wanted.iter().any(|(wanted, ..)| *wanted == id)
    }

    /// Whether a request is not done before the run has its place again.
    pub(super) fn holds_back(&self, request: &Request) -> bool {
        self.is_resting && matches!(request, Request::Allocate { .. } | Request::Library(_))
    }
}

impl Keeper {
    /// Gives its place away, if it only waits. Where its project says how many of its runs, or of a branch's, are under way at once, it still is.
    pub(super) async fn rest(&mut self) -> Result<(), StoreError> {
        self.rest.tries_at = None;
        let times = self.timers.iter().filter(|(_, id)| !self.locks.contains(id)).count();
        let of_others = self.builds.len() + self.locks.len() + self.questions.len();
        let Some(agent) = self.agent.filter(|_| !self.rest.is_resting && of_others > 0) else { return Ok(()) };
        if self.open.len() == times + of_others && !self.app.store.has_a_place(self.run.id).await? {
            self.rest.is_resting = line::rest(&self.app, self.run.id, agent);
            self.rest.tries_at = (!self.rest.is_resting).then(|| Instant::now() + PAUSE);
        }
        Ok(())
    }

    /// Wants something for which it has to have its place again.
    pub(super) async fn hold_back(&mut self, id: RequestId, request: Request, at: Millis) -> Result<(), StoreError> {
        self.open.insert(id);
        self.rest.wanted.push((id, request, at));
        let Some(agent) = self.agent else { return Ok(()) };
        if self.app.store.locks_of(self.run.id).await?.held > 0 {
            line::rise(&self.app, &self.run, agent).await?;
            return self.risen().await;
        }
        line::wait_to_rise(&self.app, &self.run, agent).await
    }

    /// It has its place again.
    pub(super) async fn risen(&mut self) -> Result<(), StoreError> {
        self.rest.is_resting = false;
        for (id, request, at) in std::mem::take(&mut self.rest.wanted) {
            // One that asks for the other; so this is of no size.
            Box::pin(self.ask(id, request, at)).await?;
        }
        Ok(())
    }

    /// Has its place again at once, and is asked anew for what it wants: after it was taken up again.
    pub(super) async fn rise(&mut self) -> Result<(), StoreError> {
        self.rest.wanted.clear();
        if let Some(agent) = self.agent.filter(|_| std::mem::take(&mut self.rest.is_resting)) {
            line::rise(&self.app, &self.run, agent).await?;
        }
        Ok(())
    }

    /// It wants that no more. False: it was not held back.
    pub(super) async fn cancel_wanted(&mut self, id: RequestId) -> Result<bool, StoreError> {
        let before = self.rest.wanted.len();
        self.rest.wanted.retain(|(wanted, ..)| *wanted != id);
        let was_wanted = self.rest.wanted.len() < before;
        if was_wanted {
            self.answer(id, Reply::Cancelled).await?;
        }
        Ok(was_wanted)
    }
}
