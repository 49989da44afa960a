//! Runs that have begun, wait for an agent that has what they need, and are to hear something meanwhile: that time has passed, or that they are to
//! end. Their engine alone knows what follows, and can be at any agent; so there they go.

use std::sync::Arc;

use model::ids::RunId;
use model::run::RunEnd;
use queue::line::{Event, Expression};
use store::{Millis, Run, Status, StoreError};

use super::{Waiting, perform, queued};
use crate::app::App;
use crate::config::ProjectConfig;

impl Waiting {
    /// From that time on the run is to wait for any agent, as far as it waits still.
    pub(super) fn wakes(&self, run: RunId, at: Millis) {
        self.state().wakes.insert((at, run));
    }

    /// Those for which it is time.
    fn awake(&self, time: Millis) -> Vec<RunId> {
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
    has_begun(run) && (run.abort_reason.is_some() || run.wakes_at.is_some_and(|at| at <= app.now()))
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
pub(crate) async fn is_told(app: &App, run: &Run) -> Result<bool, StoreError> {
    let project = app.store.project(&run.project_name).await?;
    let config = project.and_then(|project| serde_json::from_value::<ProjectConfig>(project.config).ok());
    Ok(has_begun(run) && config.is_some() && app.hub.somebody_fits(&needed(run, config.as_ref())))
}

/// Somebody wants a run to end that waits, as was written down: what has begun is told so, if there is anybody to tell it, and all else ends here.
/// So does what somebody wants to end again.
pub(crate) async fn end(app: &App, run: &Run, reason: &str, is_first: bool) -> Result<(), StoreError> {
    match is_first && is_told(app, run).await? {
        true => app.waiting.wakes(run.id, 0),
        false => {
            app.store.end_queued(run.id, &RunEnd::aborted(reason), app.now()).await?;
            app.hub.keep_for_later(app.waiting.tell(Event::Withdrawn { run: run.id }));
        }
    }
    app.hub.wake();
    Ok(())
}

/// Has those wait for any agent for which it is time.
pub(crate) async fn wake(app: &Arc<App>) -> Result<(), StoreError> {
    for id in app.waiting.awake(app.now()) {
        if let Some(run) = app.store.run(id).await?.filter(|run| run.status == Status::Queued && run.held.is_none()) {
            // One that has a place keeps it.
            perform(app, app.waiting.tell(Event::Withdrawn { run: id })).await;
            queued(app, &run).await?;
        }
    }
    Ok(())
}
