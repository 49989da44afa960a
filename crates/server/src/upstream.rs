//! Runs that follow from the end of another project's.
//!
//! What has ended is read from the audit, behind a mark that stands in the store: what ended while there was no server is followed by the next
//! one, and each end has one run of each project, however often it is looked at.
//!
//! Never: a run for the end of code that is not protected where it was run; a run of a project that would follow from itself.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use model::ids::RunId;
use model::run::{BuildCause, RunFacts};
use model::rung::Trust;
use store::{Actor, NewRun, Run, StoreError};

use crate::app::App;
use crate::config::{ProjectConfig, UpstreamConfig};

/// How often is looked where nobody has told of anything new.
const LOOK: Duration = Duration::from_secs(5);
/// Between two turns, however much happens.
const REST: Duration = Duration::from_millis(200);
/// Rows of the audit that are read at once.
const PAGE: u32 = 500;
/// The store's name for how far the audit was read.
const MARK: &str = "upstream";

/// Until the server ends.
pub(crate) async fn watch(app: Arc<App>) {
    let mut changes = app.changed.subscribe();
    loop {
        if let Err(error) = turn(&app).await {
            tracing::warn!(%error, "what follows from runs that have ended cannot be looked at");
        }
        let _ = tokio::time::timeout(LOOK, changes.recv()).await;
        tokio::time::sleep(REST).await;
        // One look, which comes next, is enough for all of them.
        changes = changes.resubscribe();
    }
}

/// Starts what follows from all that has ended since the last turn.
async fn turn(app: &App) -> Result<(), StoreError> {
    let last = app.store.last_audit().await?;
    let mut at = match app.store.marked(MARK).await? {
        Some(at) => at,
        None => return app.store.mark(MARK, last).await,
    };
    if at >= last {
        return Ok(());
    }
    let followers = Followers::of(app).await?;
    while !followers.0.is_empty() {
        let rows = app.store.audit(at, PAGE).await?;
        for row in rows.iter().filter(|row| row.action == "run.finish") {
            let id = row.object.strip_prefix("run-").and_then(|number| number.parse().ok()).map(RunId);
            if let Some(id) = id
                && let Some(run) = app.store.run(id).await?
            {
                followers.start(app, &run).await?;
            }
        }
        let Some(read) = rows.last() else { break };
        at = read.seq;
        app.store.mark(MARK, at).await?;
    }
    if at < last { app.store.mark(MARK, last).await } else { Ok(()) }
}

/// Projects that are run after others, with what they have said of that, and whether their forge is told.
struct Followers(BTreeMap<String, (UpstreamConfig, bool)>);

impl Followers {
    async fn of(app: &App) -> Result<Followers, StoreError> {
        let config = |config| serde_json::from_value::<ProjectConfig>(config).ok();
        let all = app.store.projects().await?.into_iter().filter_map(|project| {
            let config = config(project.config)?;
            Some((project.name, (config.upstream?, config.report.is_some())))
        });
        Ok(Followers(all.collect()))
    }

    /// Whether a project would follow from itself.
    fn is_circle(&self, project: &str) -> bool {
        let (mut seen, mut next) = (HashSet::new(), vec![project]);
        while let Some(name) = next.pop() {
            for before in self.0.get(name).into_iter().flat_map(|(config, _)| &config.projects) {
                if before == project {
                    return true;
                }
                if seen.insert(before) {
                    next.push(before);
                }
            }
        }
        false
    }

    async fn start(&self, app: &App, ended: &Run) -> Result<(), StoreError> {
        let Some(outcome) = ended.outcome.filter(|_| ended.trust == Trust::Protected) else { return Ok(()) };
        for (project, (config, reports)) in &self.0 {
            if !config.projects.contains(&ended.project_name) || outcome > config.threshold {
                continue;
            }
            if self.is_circle(project) {
                tracing::warn!(project, "it would follow from itself, and is not run");
                continue;
            }
            let description =
                format!("Started by upstream project \"{}\" build number {}", ended.project_name, ended.number);
            let cause = BuildCause { class: "hudson.model.Cause$UpstreamCause".into(), description, user: None };
            let facts = RunFacts { causes: vec![cause], has_scm: true, ..RunFacts::default() };
            let delivery = Some(format!("upstream {project} {}", ended.id));
            let new = NewRun { facts, delivery, reports: *reports, ..NewRun::default() };
            match app.store.create_run(&Actor("upstream".into()), project, new, app.now()).await {
                Ok(run) => app.changed(run.id),
                // It was run and is forgotten, or the project is.
                Err(StoreError::Exists { .. } | StoreError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
            app.hub.wake();
        }
        Ok(())
    }
}

/// Whether a project that is run after these would follow from itself.
///
/// # Errors
/// The database.
pub(crate) async fn is_circle(app: &App, project: &str, config: &UpstreamConfig) -> Result<bool, StoreError> {
    let mut followers = Followers::of(app).await?;
    followers.0.insert(project.to_owned(), (config.clone(), false));
    Ok(followers.is_circle(project))
}
