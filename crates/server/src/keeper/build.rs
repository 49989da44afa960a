//! Runs of other projects that a run starts, and what it waits for of them.
//!
//! A project says whose runs may start its own (`started_by`), as one says after which it is run. Of strangers' code, and of branches that
//! are not protected, none is started: a run on a protected branch may have what that branch has.

use std::sync::Arc;
use std::time::Duration;

use model::build::{BuildWish, Built, MAX_BUILD_BYTES, MAX_BUILD_PARAMETERS, MAX_BUILDS, MAX_JOB_NAME_BYTES};
use model::copy::COMPLETED;
use model::ids::{RequestId, RunId};
use model::request::{Failure, FailureKind, Reply};
use model::run::{BuildCause, MAX_RUN_DEPTH, RunFacts};
use model::rung::Trust;
use store::{Actor, NewRun, Project, Run, Status, StoreError};
use wire::engine::Input;

use super::{Keeper, ToKeeper};
use crate::app::App;
use crate::changes::{env_of_person, held, of_person};
use crate::config::ProjectConfig;
use crate::http::end;
use crate::line;

/// Most runs of a project that are not over when one more is started: each of them may start others, and a herd of herds has no end.
const MOST_UNFINISHED: u64 = 500;
/// Most slashes of a name that is looked for.
const MOST_NAME_PARTS: usize = 20;
/// How often is looked where nobody has told of anything new.
const LOOK: Duration = Duration::from_secs(5);

impl Keeper {
    /// Starts a run of another project; once, however often it is asked for.
    pub(super) async fn build(&mut self, id: RequestId, wish: BuildWish) -> Result<(), StoreError> {
        let other = match self.start_other(id, &wish).await? {
            Ok(other) => other,
            Err(refused) => return self.answer(id, Reply::Failed(refused)).await,
        };
        if !wish.waits || other.status == Status::Done {
            return self.answer(id, Reply::Built(built(&other))).await;
        }
        self.builds.insert(id, other.id);
        let watch = watch(Arc::clone(&self.app), (self.run.id, id), other.id);
        self.watches.spawn(watch);
        Ok(())
    }

    /// One of them is over; `None`: it is forgotten.
    pub(super) async fn other_ended(&mut self, id: RequestId, other: Option<Run>) -> Result<(), StoreError> {
        if self.builds.remove(&id).is_none() {
            return Ok(());
        }
        let reply = match other {
            Some(other) => Reply::Built(built(&other)),
            None => Reply::Failed(forgotten()),
        };
        self.answer(id, reply).await
    }

    /// It is not waited for any more, and is to end.
    pub(super) async fn cancel_build(&mut self, id: RequestId) -> Result<bool, StoreError> {
        let Some(other) = self.builds.remove(&id) else { return Ok(false) };
        self.given_up += 1;
        // Who asks a second time has what it does at its end ended too.
        if let Some(other) = self.app.store.run(other).await?.filter(|other| other.abort_reason.is_none()) {
            let reason =
                format!("{} #{}, which waited for it, goes on without it", self.run.project_name, self.run.number);
            end(&self.app, &self.actor(), &other, &reason).await?;
        }
        self.answer(id, Reply::Cancelled).await?;
        Ok(true)
    }

    fn actor(&self) -> Actor {
        Actor(format!("run:{}#{}", self.run.project_name, self.run.number))
    }

    async fn start_other(&self, id: RequestId, wish: &BuildWish) -> Result<Result<Run, Failure>, StoreError> {
        let refused = |kind, message: String, hint: &str| {
            let hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
            Ok(Err(Failure { kind, message, hint }))
        };
        let facts = &self.run.facts;
        if self.run.trust != Trust::Protected {
            let message = format!("build: code of trust `{}` starts no run of another project", self.run.trust.name());
            return refused(FailureKind::Policy, message, "that of protected branches does");
        }
        let delivery = format!("build {} {}", self.run.id, id.0);
        // What was started before a restart is none more.
        let is_new = !self.app.store.knows_delivery(&delivery).await?;
        let bytes: usize = wish.parameters.iter().map(|(name, value)| name.len() + value.len()).sum();
        if wish.parameters.len() > MAX_BUILD_PARAMETERS || bytes > MAX_BUILD_BYTES {
            let message =
                format!("build: more than {MAX_BUILD_PARAMETERS} parameters, or {} KiB", MAX_BUILD_BYTES >> 10);
            return refused(FailureKind::Workload, message, "");
        }
        if is_new && (facts.depth >= MAX_RUN_DEPTH || self.started() >= MAX_BUILDS) {
            let message = format!("build: at most {MAX_BUILDS} runs, {MAX_RUN_DEPTH} deep, are started by one");
            return refused(FailureKind::Workload, message, "");
        }
        // Whether there is one that it may not start is nothing that it hears.
        let may = |config: &ProjectConfig| config.may_be_started_by(&self.run.project_name);
        let Some((project, config, branch)) = self.job_of(&wish.names, may).await? else {
            let name = wish.names.last().map_or("", String::as_str);
            let message = format!("No item named {name} found that {} may start", self.run.project_name);
            let hint = "a project says whose runs start it: `projects put NAME --started-by PROJECT`";
            return refused(FailureKind::Workload, message, hint);
        };
        let counts = self.app.store.run_counts_by_project().await?;
        let unfinished = counts.get(&project.name).map_or(0, |counts| counts.queued + counts.running);
        if is_new && unfinished >= MOST_UNFINISHED {
            let message = format!("build: {unfinished} runs of {} are not over, and no more are started", project.name);
            return refused(
                FailureKind::Workload,
                message,
                "wait for some of them (`wait: true`) before starting more",
            );
        }
        if wish.waits && project.name == self.run.project_name && config.at_once.is_some_and(|most| most <= 1) {
            let message =
                "build: of this project no run begins while another is under way, and this would wait for one";
            return refused(FailureKind::Workload, message.to_owned(), "`wait: false` does not wait");
        }
        let is_itself =
            project.name == self.run.project_name && branch.as_deref().is_none_or(|name| facts.branch() == Some(name));
        if wish.waits && is_itself && line::is_alone(&self.app, &self.run).await? {
            let message = "build: of this branch no run begins while another is under way, and this would wait for one";
            return refused(FailureKind::Workload, message.to_owned(), "`wait: false` does not wait");
        }
        let env = branch.as_deref().map(|branch| env_of_person(&config, branch)).unwrap_or_default();
        let (revision, trust) = of_person(&self.app, project.id, &config, branch).await?;
        let description =
            format!("Started by upstream project \"{}\" build number {}", facts.job_name, self.run.number);
        let cause = BuildCause { class: "hudson.model.Cause$UpstreamCause".into(), description, user: None };
        let new = NewRun {
            facts: RunFacts {
                causes: vec![cause],
                has_scm: true,
                params: wish.parameters.clone(),
                hidden: self.hidden_of(wish),
                depth: facts.depth + 1,
                env,
                ..RunFacts::default()
            },
            revision,
            reports: config.reports(),
            trust: Some(trust),
            held: held(&config, trust),
            delivery: Some(delivery),
            ..NewRun::default()
        };
        match self.app.create_run(&self.actor(), &project.name, new).await {
            Ok(other) => {
                self.app.changed(other.id);
                self.app.hub.wake();
                Ok(Ok(other))
            }
            Err(StoreError::Exists { .. } | StoreError::Missing { .. }) => Ok(Err(forgotten())),
            Err(error) => Err(error),
        }
    }

    /// The parameters that are shown to nobody: passwords, and whatever has a value that this run must not show.
    fn hidden_of(&self, wish: &BuildWish) -> Vec<String> {
        let secrets: Vec<_> = self.run.facts.secrets().filter(|secret| !secret.is_empty()).collect();
        let is_secret = |value: &String| secrets.iter().any(|secret| value.contains(secret));
        let hidden = wish.parameters.iter().filter(|(name, value)| wish.hidden.contains(name) || is_secret(value));
        hidden.map(|(name, _)| name.clone()).collect()
    }

    /// How many it has started before.
    fn started(&self) -> usize {
        // Those that were given up are none of the answers, and are counted as long as this server keeps the run.
        let is_one = |input: &Input| matches!(input, Input::Answer { reply: Reply::Built(_), .. });
        let before = self.journal.iter().flat_map(|journal| journal.entries()).filter(|entry| is_one(&entry.input));
        before.count() + self.builds.len() + self.given_up
    }

    /// The project of these names that is this one, or lets it; with a branch, where a name is one of it. Of several the first whose branch
    /// has had a run, or else the last: seen from `app/topic` the name `app/main` is `app/app/main` as well.
    pub(super) async fn job_of(
        &self,
        names: &[String],
        may: impl Fn(&ProjectConfig) -> bool,
    ) -> Result<Option<(Project, ProjectConfig, Option<String>)>, StoreError> {
        let mut last = None;
        // No project has such a name, and each of its parts is looked for.
        let is_name = |name: &&String| name.len() <= MAX_JOB_NAME_BYTES && name.matches('/').count() <= MOST_NAME_PARTS;
        for name in names.iter().filter(is_name) {
            let splits = name.rmatch_indices('/').map(|(at, _)| (&name[..at], Some(&name[at + 1..])));
            for (project, branch) in std::iter::once((name.as_str(), None)).chain(splits) {
                let Some(found) = self.app.store.project(project).await? else { continue };
                let Ok(config) = serde_json::from_value::<ProjectConfig>(found.config.clone()) else { break };
                // Jenkins writes a slash of a branch so.
                let branch = branch.map(|branch| branch.replace("%2F", "/").replace("%2f", "/"));
                if (found.name != self.run.project_name && !may(&config)) || branch.is_some() && !config.has_branches()
                {
                    break;
                }
                let is_known = match &branch {
                    Some(branch) => self.app.store.last_ended(found.id, Some(branch), &COMPLETED).await?.is_some(),
                    None => true,
                };
                last = Some((found, config, branch));
                if is_known {
                    return Ok(last);
                }
                break;
            }
        }
        Ok(last)
    }
}

fn forgotten() -> Failure {
    let message = "build: the run that was started is forgotten, and how it ended with it".to_owned();
    Failure { kind: FailureKind::Workload, message, hint: None }
}

/// Tells a keeper when another run is over.
async fn watch(app: Arc<App>, (keeper, id): (RunId, RequestId), other: RunId) {
    let mut changes = app.changed.subscribe();
    loop {
        match app.store.run(other).await {
            Ok(run) if run.as_ref().is_none_or(|run| run.status == Status::Done) => {
                return app.hub.tell_keeper(keeper, ToKeeper::OtherEnded { id, run: run.map(Box::new) });
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a run that is waited for cannot be looked at"),
        }
        let told = async { while changes.recv().await.is_ok_and(|run| run != other) {} };
        let _ = tokio::time::timeout(LOOK, told).await;
    }
}

/// What whoever started it is told.
fn built(run: &Run) -> Built {
    let started_at_ms = run.started_at.unwrap_or(run.queued_at);
    Built {
        job_name: run.facts.job_name.clone(),
        number: run.number,
        outcome: run.outcome,
        url: run.facts.build_url(),
        started_at_ms,
        duration_ms: run.ended_at.unwrap_or(started_at_ms).saturating_sub(started_at_ms),
        // What is shown to nobody is not shown to it either.
        parameters: run.facts.params.iter().filter(|(name, _)| !run.facts.hidden.contains(name)).cloned().collect(),
    }
}
