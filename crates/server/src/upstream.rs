//! What follows from the end of runs: runs of other projects, and what other runs have waited for.
//!
//! Each end has one run of each project, however often it is looked at ([`crate::ended`]).
//!
//! Never: a run for the end of code that is not protected where it was run; a run of a project that would follow from itself.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use model::properties::Trigger;
use model::run::{BuildCause, RunFacts};
use model::rung::Trust;
use store::{Actor, NewRun, Run, StoreError};

use crate::app::App;
use crate::config::{ProjectConfig, UpstreamConfig};
use crate::schedules::of_branch;
use crate::{ended, keeper, properties};

/// How often is looked where nobody has told of anything new.
const LOOK: Duration = Duration::from_secs(5);
/// Between two turns, however much happens.
const REST: Duration = Duration::from_millis(200);
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
    while let Some(ended) = ended::next(app, MARK).await? {
        if !ended.runs.is_empty() {
            let followers = Followers::of(app).await?;
            for run in &ended.runs {
                followers.start(app, run).await?;
            }
            keeper::runs_ended(app, &ended.runs).await?;
        }
        ended::done(app, MARK, &ended).await?;
    }
    // Also where nothing has ended: somebody may have had it without hearing of it.
    keeper::pass_locks(app).await
}

/// What is run after others.
struct Follower {
    project: String,
    after: UpstreamConfig,
    /// What is run.
    new: NewRun,
    /// The branch whose definition wants it; `None`: the configuration does.
    branch: Option<String>,
}

struct Followers {
    all: Vec<Follower>,
    /// Of all projects.
    names: HashSet<String>,
}

impl Followers {
    /// Those that say so in their configuration, and protected branches whose definitions do.
    async fn of(app: &App) -> Result<Followers, StoreError> {
        let projects = app.store.projects().await?;
        let configs = projects.iter().filter_map(|project| {
            let config: ProjectConfig = serde_json::from_value(project.config.clone()).ok()?;
            let facts = RunFacts { has_scm: true, ..RunFacts::default() };
            let new = NewRun { facts, reports: config.reports(), trust: Some(Trust::Protected), ..NewRun::default() };
            Some(Follower { project: project.name.clone(), after: config.upstream?, new, branch: None })
        });
        let mut all: Vec<_> = configs.collect();
        for said in properties::all(app, &projects).await? {
            let is_protected = said.is_default() || said.config.trust_of(&said.branch) == Trust::Protected;
            if !is_protected || !properties::is_branch(&said.branch) {
                continue;
            }
            all.extend(said.properties.triggers.iter().filter_map(|trigger| match trigger {
                Trigger::Upstream { projects, threshold } => Some(Follower {
                    project: said.project.name.clone(),
                    after: UpstreamConfig { projects: projects.clone(), threshold: *threshold },
                    new: of_branch(&said),
                    branch: Some(said.branch.clone()),
                }),
                Trigger::Cron(_) | Trigger::PollScm(_) => None,
            }));
        }
        Ok(Followers { all, names: projects.into_iter().map(|project| project.name).collect() })
    }

    /// Whether a name of what is followed means that project, or a branch of it.
    fn is_of(&self, name: &str, project: &str) -> bool {
        let is_branch = name.strip_prefix(project).is_some_and(|rest| rest.starts_with('/'));
        name == project || is_branch && !self.names.contains(name)
    }

    /// Whether a project would follow from itself: by what configurations say, or by that and what definitions say. No definition is in the
    /// way of what a configuration says.
    fn is_circle(&self, project: &str, with_definitions: bool) -> bool {
        let (mut seen, mut next) = (HashSet::new(), vec![project]);
        while let Some(name) = next.pop() {
            let counts = |one: &&Follower| (with_definitions || one.branch.is_none()) && self.is_of(name, &one.project);
            for before in self.all.iter().filter(counts).flat_map(|one| &one.after.projects) {
                if self.is_of(before, project) {
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
        let branch = branch_of(app, ended).await?;
        let of_branch = format!("{}/{branch}", ended.project_name);
        let ends = |name: &String| *name == ended.project_name || *name == of_branch && !self.names.contains(name);
        for follower in &self.all {
            let project = &follower.project;
            if !follower.after.projects.iter().any(ends) || outcome > follower.after.threshold {
                continue;
            }
            if self.is_circle(project, follower.branch.is_some()) {
                tracing::warn!(project, "it would follow from itself, and is not run");
                continue;
            }
            let description =
                format!("Started by upstream project \"{}\" build number {}", ended.project_name, ended.number);
            let cause = BuildCause { class: "hudson.model.Cause$UpstreamCause".into(), description, user: None };
            // No name has a space.
            let name = follower.branch.as_ref().map_or(project.clone(), |branch| format!("{project} {branch}"));
            let mut new = NewRun { delivery: Some(format!("upstream {name} {}", ended.id)), ..follower.new.clone() };
            new.facts.causes = vec![cause];
            match app.create_run(&Actor("upstream".into()), project, new).await {
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

async fn branch_of(app: &App, run: &Run) -> Result<String, StoreError> {
    let project = app.store.project(&run.project_name).await?;
    let config = project.and_then(|project| serde_json::from_value::<ProjectConfig>(project.config).ok());
    Ok(config.as_ref().and_then(|config| properties::branch_of(run, config)).unwrap_or_default().into_owned())
}

/// Whether a project that is run after these would follow from itself.
///
/// # Errors
/// The database.
pub(crate) async fn is_circle(app: &App, project: &str, config: &UpstreamConfig) -> Result<bool, StoreError> {
    let mut followers = Followers::of(app).await?;
    followers.all.retain(|one| one.project != project || one.branch.is_some());
    let (project, after, new) = (project.to_owned(), config.clone(), NewRun::default());
    followers.all.push(Follower { project: project.clone(), after, new, branch: None });
    Ok(followers.is_circle(&project, false))
}
