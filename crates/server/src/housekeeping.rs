//! Forgets what projects do not keep, moves logs to blobs, and removes what nothing refers to any more.

use std::sync::Arc;
use std::time::Duration;

use model::ids::RunId;
use model::properties::Properties;
use store::{BranchRuns, Forget, Millis, Old, ProjectId, StoreError};
use tokio::time::Instant;

use crate::app::App;
use crate::artifacts;
use crate::config::ProjectConfig;
use crate::{logs, properties};

/// How often is looked.
const LOOK: Duration = Duration::from_secs(60);
/// Forgotten in one change: others want to write too.
const AT_ONCE: u32 = 100;
const DAY: u64 = 24 * 60 * 60 * 1000;

/// The store's name for when was looked last.
const MARK: &str = "house";
/// A clock that has gone on by more than a day since then is doubted for so long: what is forgotten by its age does not come back. A server that was
/// down as long forgets an hour later.
const DOUBT: Duration = Duration::from_secs(60 * 60);

/// Whether the time of day is believed.
#[derive(Default)]
struct Doubt {
    since: Option<Instant>,
}

impl Doubt {
    /// Now it is `at`; when was looked last it was `last`.
    fn believes(&mut self, last: Option<Millis>, at: Millis) -> bool {
        let has_jumped = last.is_some_and(|last| at > last.saturating_add(DAY));
        if has_jumped && self.since.is_none() {
            let days = (at - last.unwrap_or_default()) / DAY;
            tracing::warn!(
                days,
                "the clock has gone on by days since runs were last forgotten: none is forgotten by its age for an hour"
            );
        }
        self.since = has_jumped.then(|| self.since.unwrap_or_else(Instant::now));
        self.since.is_none_or(|since| since.elapsed() >= DOUBT)
    }
}

/// Until the server ends.
pub(crate) async fn keep_house(app: Arc<App>) {
    let mut doubt = Doubt::default();
    loop {
        if let Err(error) = turn(&app, &mut doubt).await {
            tracing::warn!(%error, "old runs cannot be forgotten");
        }
        if let Err(error) = forget_stashes(&app).await {
            tracing::warn!(%error, "what runs have stashed cannot be forgotten");
        }
        if let Err(error) = app.store.forget_tokens(app.now()).await {
            tracing::warn!(%error, "tokens that have expired cannot be forgotten");
        }
        if let Err(error) = logs::move_all(&app).await {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(%error, cause, "logs stay in the database for now");
        }
        if let Err(error) = artifacts::sweep(&app).await {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(%error, cause, "what was archived by runs that are forgotten is removed later");
        }
        // Looked at early, where somebody has said that there may be something.
        let _ = tokio::time::timeout(LOOK, app.house.notified()).await;
    }
}

async fn turn(app: &App, doubt: &mut Doubt) -> Result<(), StoreError> {
    let at = app.now();
    let at = doubt.believes(app.store.marked(MARK).await?, at).then_some(at);
    if let Some(at) = at {
        app.store.mark(MARK, at).await?;
    }
    let projects = app.store.projects().await?;
    for project in &projects {
        let Ok(config) = serde_json::from_value::<ProjectConfig>(project.config.clone()) else { continue };
        let old = old(at, config.keep_runs, config.keep_days);
        if is_any(old) {
            while app.store.forget_runs(project.id, old, AT_ONCE, app.now()).await? == u64::from(AT_ONCE) {}
        }
    }
    for said in properties::all(app, &projects).await? {
        let request = properties::request_at_branch(&said.branch);
        let branch = BranchRuns { name: &said.branch, is_default: said.is_default(), is_gone: false, request };
        let id = said.project.id;
        let stashes = Old { before: None, beyond: said.properties.stashes };
        if is_any(stashes) {
            while app.store.forget_of(id, branch, Forget::Stashes, stashes, AT_ONCE, app.now()).await?
                == u64::from(AT_ONCE)
            {}
        }
        keep(app, at, (id, branch), &said.properties).await?;
    }
    let gone = app.store.properties_of_gone().await?;
    for said in &gone {
        let request = properties::request_at_branch(&said.branch);
        let branch = BranchRuns { name: &said.branch, is_default: false, is_gone: true, request };
        keep(app, at, (said.project, branch), &said.properties).await?;
    }
    if gone.is_empty() { Ok(()) } else { app.store.forget_gone().await }
}

/// As a branch has said.
async fn keep(
    app: &App,
    at: Option<Millis>,
    (project, branch): (ProjectId, BranchRuns<'_>),
    properties: &Properties,
) -> Result<(), StoreError> {
    let Some(keep) = properties.keep else { return Ok(()) };
    for (what, old) in [
        (Forget::Runs, old(at, keep.runs, keep.days)),
        (Forget::Artifacts, old(at, keep.artifact_runs, keep.artifact_days)),
    ] {
        if is_any(old) {
            while app.store.forget_of(project, branch, what, old, AT_ONCE, app.now()).await? == u64::from(AT_ONCE) {}
        }
    }
    Ok(())
}

/// What runs have stashed goes with their end, where their branch does not say otherwise.
async fn forget_stashes(app: &App) -> Result<(), StoreError> {
    let mut after = RunId(0);
    loop {
        let ended = app.store.ended_with_stashes(after, AT_ONCE).await?;
        let Some(last) = ended.last() else { return Ok(()) };
        after = *last;
        for id in ended {
            let Some(run) = app.store.run(id).await? else { continue };
            let project = app.store.project(&run.project_name).await?;
            let config = project.and_then(|project| serde_json::from_value(project.config).ok());
            let said = match &config {
                Some(config) => properties::of_run(app, &run, config).await?,
                None => Properties::default(),
            };
            if said.stashes.is_none() || !properties::is_believed(&run) {
                app.store.forget_stashes(id, app.now()).await?;
            }
        }
    }
}

/// Whether any run can be old: else nobody need look.
fn is_any(old: Old) -> bool {
    old.before.is_some() || old.beyond.is_some()
}

/// What is not among so many of the last, or is from before so many days, where it is known what time it is.
fn old(at: Option<Millis>, runs: Option<u64>, days: Option<u64>) -> Old {
    let before = at.zip(days).map(|(at, days)| at.saturating_sub(days.saturating_mul(DAY)));
    Old { before, beyond: runs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_jumps_is_doubted() {
        let mut doubt = Doubt::default();
        let at = 1000 * DAY;
        assert!(
            doubt.believes(None, at) && doubt.believes(Some(at), at + 60_000) && doubt.believes(Some(at), at - DAY)
        );
        // Somebody corrects it in time.
        assert!(!doubt.believes(Some(at), at + 60 * DAY));
        tokio::time::advance(DOUBT / 2).await;
        assert!(!doubt.believes(Some(at), at + 60 * DAY) && doubt.believes(Some(at), at + 60_000));
        // Or it is so.
        assert!(!doubt.believes(Some(at), at + 60 * DAY));
        tokio::time::advance(DOUBT / 2).await;
        assert!(!doubt.believes(Some(at), at + 60 * DAY));
        tokio::time::advance(DOUBT / 2).await;
        assert!(doubt.believes(Some(at), at + 60 * DAY));
    }
}
