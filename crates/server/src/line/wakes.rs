//! Runs that have begun, wait for an agent that has what they need, and are to hear something meanwhile: that time has passed, or that they are to
//! end. Their engine alone knows what follows, and can be at any agent; so there they go.

use std::sync::Arc;

use model::ids::RunId;
use model::run::RunEnd;
use queue::line::{Event, Expression};
use store::{Millis, Run, Status, StoreError};

use super::{Waiting, said_of, wait};
use crate::app::App;
use crate::config::ProjectConfig;

/// How long one that is to end waits for an agent for that, in milliseconds: then it ends as it is. Its project may want more memory than any agent has
/// that is there.
pub(super) const LONGEST_END_MS: u64 = 600_000;
/// After so long it is tried again to have one wait for any agent, in milliseconds: the store was away.
const PAUSE_MS: u64 = 2_000;

impl Waiting {
    /// From that time on the run is to wait for any agent, as far as it waits still, and anew as it is then.
    pub(crate) fn wakes(&self, run: RunId, at: Millis) {
        self.state().wakes.insert((at, run));
    }

    /// The same as its row says.
    pub(super) fn will_wake(&self, run: &Run) {
        let at = if run.abort_reason.is_some() { Some(0) } else { run.wakes_at };
        let mut state = self.state();
        if let Some(at) = at.filter(|_| has_begun(run) && !state.awake.contains(&run.id)) {
            state.wakes.insert((at, run.id));
        }
    }

    /// Those for which it is time.
    fn due(&self, time: Millis) -> Vec<RunId> {
        let mut state = self.state();
        let mut due = Vec::new();
        while let Some((_, run)) = state.wakes.first().copied().filter(|(at, _)| *at <= time) {
            state.wakes.pop_first();
            due.push(run);
        }
        due
    }
}

/// Whether it waits for any agent now.
pub(super) fn is_awake(app: &App, run: &Run) -> bool {
    run.status == Status::Queued
        && has_begun(run)
        && (run.abort_reason.is_some() || run.wakes_at.is_some_and(|at| at <= app.now()))
}

/// Whether an engine has something to say of it.
fn has_begun(run: &Run) -> bool {
    run.definition.is_some() && run.held.is_none()
}

/// What it asks of an agent that is to have its engine.
pub(super) fn needed(run: &Run, config: Option<&ProjectConfig>) -> Expression {
    super::needed(&Run { needs: None, ..run.clone() }, config)
}

/// Whether a run that is to end can be told so: an agent is there for its engine.
pub(crate) async fn can_be_told(app: &App, run: &Run) -> Result<bool, StoreError> {
    let project = app.store.project(&run.project_name).await?;
    let config = project.and_then(|project| serde_json::from_value::<ProjectConfig>(project.config).ok());
    Ok(has_begun(run) && config.is_some() && app.hub.somebody_fits(&needed(run, config.as_ref())))
}

/// Somebody wants a run to end that waits, as was written down: what has begun is told so, if there is anybody to tell it, and all else ends here.
/// So does what somebody wants to end again.
pub(crate) async fn end(app: &App, run: &Run, reason: &str, is_first: bool) -> Result<(), StoreError> {
    match is_first && can_be_told(app, run).await? {
        true => app.waiting.wakes(run.id, 0),
        false => {
            let end = RunEnd::aborted(reason);
            if app.store.end_queued(run.id, &end, app.now()).await? {
                app.counted.ended(run, &end, app.now());
            }
            app.hub.keep_for_later(app.waiting.tell(Event::Withdrawn { run: run.id }));
            app.changed(run.id);
        }
    }
    app.hub.wake();
    Ok(())
}

/// Has those wait for any agent for which it is time.
pub(crate) async fn wake(app: &Arc<App>) -> Result<(), StoreError> {
    let mut done = Ok(());
    for id in app.waiting.due(app.now()) {
        if let Err(error) = wake_one(app, id).await {
            app.waiting.wakes(id, app.now().saturating_add(PAUSE_MS));
            done = Err(error);
        }
    }
    done
}

async fn wake_one(app: &Arc<App>, id: RunId) -> Result<(), StoreError> {
    let Some(run) = app.store.run(id).await?.filter(|run| run.status == Status::Queued && run.held.is_none()) else {
        return Ok(());
    };
    let said = said_of(app, &run).await?;
    {
        let mut state = app.waiting.state();
        if is_awake(app, &run) {
            state.awake.insert(id);
        } else {
            state.awake.remove(&id);
            state.wakes.extend(run.wakes_at.map(|at| (at, id)));
        }
    }
    wait(app, &run, said.as_ref()).await
}
