//! What runs of a server wait for of each other: locks, and milestones.
//!
//! A lock excludes the runs of its space: of a project, or of all that say the same `locks`. Strangers' code has a space for each branch or
//! pull request: it keeps nobody else from anything. What a run has locked is its own until it ends, also where it waits for another agent meanwhile.

use std::time::Duration;

use model::ids::{RequestId, RunId};
use model::lock::LockWish;
use model::request::{Failure, FailureKind, Reply};
use model::run::superseded;
use model::rung::Trust;
use store::{Actor, Claimant, Millis, Run, StoreError};
use tokio::time::Instant;

use super::{Keeper, ToKeeper};
use crate::app::App;
use crate::http::end;

/// Locks that a run has or waits for at once, at most: whoever takes one looks at all that are held.
const MOST_LOCKS: u64 = 500;

impl Keeper {
    /// Has a lock, or waits for it.
    pub(super) async fn lock(&mut self, id: RequestId, wish: LockWish, asked_at: Millis) -> Result<(), StoreError> {
        if wish.is_too_much() {
            let message = "lock: these are more names than are taken".to_owned();
            return self.answer(id, Reply::Failed(Failure { kind: FailureKind::Workload, message, hint: None })).await;
        }
        if self.app.store.locks_of(self.run.id).await?.all >= MOST_LOCKS {
            let message = format!("lock: a run has at most {MOST_LOCKS} locks at once");
            return self.answer(id, Reply::Failed(Failure { kind: FailureKind::Workload, message, hint: None })).await;
        }
        let space = self.lock_space().await?;
        if self.app.store.want_lock(&space, (self.run.id, id), &wish, asked_at).await? {
            return self.answer(id, Reply::Done).await;
        }
        if wish.skips {
            return self.answer(id, Reply::Bool(false)).await;
        }
        if let Some(most) = wish.most_ms {
            let left = asked_at.saturating_add(most).saturating_sub(self.app.now()).min(most);
            self.timers.insert((Instant::now() + Duration::from_millis(left), id));
        }
        self.locks.insert(id);
        Ok(())
    }

    /// It has what it has waited for.
    pub(super) async fn locked(&mut self, id: RequestId) -> Result<(), StoreError> {
        if !self.locks.remove(&id) {
            return Ok(());
        }
        self.timers.retain(|(_, timer)| *timer != id);
        self.answer(id, Reply::Done).await
    }

    /// It waits for that no more: it is not to, or has waited long enough. False: it does not.
    pub(super) async fn waits_no_more(&mut self, id: RequestId, reply: Reply) -> Result<bool, StoreError> {
        if !self.locks.remove(&id) {
            return Ok(false);
        }
        self.timers.retain(|(_, timer)| *timer != id);
        tell(&self.app, self.app.store.leave_lock((self.run.id, id)).await?);
        self.answer(id, reply).await?;
        Ok(true)
    }

    /// Has it no more.
    pub(super) async fn unlock(&mut self, id: RequestId, lock: RequestId) -> Result<(), StoreError> {
        tell(&self.app, self.app.store.leave_lock((self.run.id, lock)).await?);
        self.answer(id, Reply::Done).await
    }

    /// Comes so far, unless a newer run of its branch has.
    pub(super) async fn milestone(&mut self, id: RequestId, ordinal: i64) -> Result<(), StoreError> {
        match self.app.store.pass_milestone(self.run.id, ordinal).await? {
            Ok(older) => {
                supersede(&self.app, self.run.number, older).await?;
                self.answer(id, Reply::Done).await
            }
            Err(by) => self.answer(id, Reply::Superseded { by }).await,
        }
    }

    async fn lock_space(&self) -> Result<String, StoreError> {
        let shared = self.config().await?.and_then(|config| config.locks);
        let space =
            shared.map_or_else(|| format!("project {}", self.run.project_name), |name| format!("shared {name}"));
        let of = self.run.facts.branch().or(self.run.revision.as_deref()).unwrap_or_default();
        Ok(if self.run.trust == Trust::Stranger { format!("strangers in {of} of {space}") } else { space })
    }
}

/// Those who wait for what is free have it, and hear of it.
pub(crate) async fn pass_locks(app: &App) -> Result<(), StoreError> {
    tell(app, app.store.pass_locks().await?);
    Ok(())
}

/// Runs have ended: older ones that are no further end.
pub(crate) async fn runs_ended(app: &App, runs: &[Run]) -> Result<(), StoreError> {
    for run in runs {
        supersede(app, run.number, app.store.superseded_by_end(run.id).await?).await?;
    }
    Ok(())
}

/// Those hear that they have what they wait for. Who is away asks again when it comes back.
fn tell(app: &App, have: Vec<Claimant>) {
    for (run, id) in have {
        app.hub.tell_keeper(run, ToKeeper::Locked { id });
    }
}

/// A newer run is where these have not come.
async fn supersede(app: &App, number: u64, older: Vec<RunId>) -> Result<(), StoreError> {
    for older in older {
        // Asked once: a second time would end what it does at its end.
        if let Some(older) = app.store.run(older).await?.filter(|older| older.abort_reason.is_none()) {
            end(app, &Actor::server(), &older, &superseded(number)).await?;
        }
    }
    Ok(())
}
