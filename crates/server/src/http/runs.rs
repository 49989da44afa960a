//! Runs: asked for, looked at, followed, ended.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use model::ids::RunId;
use model::outcome::Outcome;
use model::run::{BuildCause, RunFacts};
use model::rung::Trust;
use serde::{Deserialize, Serialize};
use store::{Actor, NewRun, ProjectId, Run, RunFilter, Status, StoreError};
use utoipa::{IntoParams, ToSchema};

use super::auth::User;
use super::body::Sent;
use super::description;
use super::error::Refused;
use super::restarts::{first_failed, has_place};
use super::test_results::Counts;
use crate::app::App;
use crate::changes::{REPLAYED, RESTARTED, by_user, env_of_person, held, of_person};
use crate::config::{HIDDEN, ProjectConfig};
use crate::line;
use crate::policy::Action;

/// Runs on a page at most, and where nobody says how many.
const MAX_PAGE: u32 = 200;
const PAGE: u32 = 50;
/// Runs that wait, in one answer.
const MAX_QUEUE: u32 = 1000;
/// Events that are read at once.
pub(super) const EVENTS: u32 = 1000;
/// Parameters of one run.
const MAX_PARAMS: usize = 200;

/// Why a run waits, and what would change that.
pub(super) fn why(app: &App, run: &Run) -> String {
    match &run.held {
        Some(reason) => {
            format!("{reason}: `cofferdam approve {}`, or `POST /api/v1/runs/{}/approve`", run.id.0, run.id.0)
        }
        None => app.waiting.why(run.id).unwrap_or_else(|| "it is given out in a moment".to_owned()),
    }
}

/// For what a run that has not ended waits, or jobs of it do.
pub(super) fn waits(app: &App, run: &Run) -> Option<String> {
    match run.status {
        Status::Queued => Some(why(app, run)),
        Status::Running => {
            // A place that it had given away.
            let own = app.waiting.why(run.id);
            let jobs = app.waiting.why_jobs(run.id).into_iter().map(|(job, why)| format!("{job}: {why}"));
            Some(own.into_iter().chain(jobs).collect::<Vec<_>>().join("; ")).filter(|text| !text.is_empty())
        }
        Status::Done => None,
    }
}

/// A run.
#[derive(Serialize, ToSchema)]
#[schema(as = Run)]
pub(super) struct Shown {
    /// Among all runs of the server.
    id: u64,
    project: String,
    /// Among those of its project, from 1.
    number: u64,
    #[schema(schema_with = description::status)]
    status: Status,
    #[schema(schema_with = description::maybe_outcome)]
    outcome: Option<Outcome>,
    /// What ended it, in words.
    message: Option<String>,
    /// What it calls itself, instead of its number.
    display_name: Option<String>,
    /// What it says of itself.
    description: Option<String>,
    /// Branch, tag or commit.
    revision: Option<String>,
    /// The branch, tag or pull request by its name in pipelines.
    branch: Option<String>,
    /// Among the runs of its project that wait; null: as the project says.
    priority: Option<i32>,
    /// The commit that is meant, once that is known.
    commit: Option<String>,
    queued_at: u64,
    started_at: Option<u64>,
    ended_at: Option<u64>,
    /// Of its log.
    lines: u64,
    causes: Vec<Cause>,
    /// Names and values; of a password `…`.
    params: Vec<(String, String)>,
    /// Who has it.
    agent: Option<u64>,
    #[schema(schema_with = description::trust)]
    trust: Trust,
    /// Why somebody wants it to end.
    abort_reason: Option<String>,
    /// Why it waits, and what would change that.
    waits: Option<String>,
    /// Tests that it has reported.
    tests: Counts,
}

/// Why it was started, in Jenkins' terms.
#[derive(Serialize, ToSchema)]
pub(super) struct Cause {
    /// Name of a Java class.
    class: String,
    description: String,
    user: Option<String>,
}

pub(super) fn shown(app: &App, run: &Run) -> Shown {
    let run = run.clone();
    let waits = waits(app, &run);
    let branch = run.facts.branch().map(str::to_owned);
    let value = |name: &str, value: &str| if run.facts.hides(name) { HIDDEN.to_owned() } else { value.to_owned() };
    let params = run.facts.params.iter().map(|(name, text)| (name.clone(), value(name, text))).collect();
    let cause = |BuildCause { class, description, user }| Cause { class, description, user };
    Shown {
        id: run.id.0,
        project: run.project_name,
        number: run.number,
        status: run.status,
        outcome: run.outcome,
        message: run.message,
        display_name: run.display_name,
        description: run.description,
        revision: run.revision,
        branch,
        priority: run.priority,
        commit: run.commit,
        queued_at: run.queued_at,
        started_at: run.started_at,
        ended_at: run.ended_at,
        lines: run.lines,
        causes: run.facts.causes.into_iter().map(cause).collect(),
        params,
        agent: run.agent,
        trust: run.trust,
        abort_reason: run.abort_reason,
        waits,
        tests: run.tests.into(),
    }
}

/// A run, and who asks, if they may do this to it. One that they may not even see is not there.
pub(super) async fn find(app: &App, user: &User, action: Action, id: u64) -> Result<(Run, Actor), Refused> {
    let run = app.store.run(RunId(id)).await?.ok_or_else(|| Refused::missing("run"))?;
    if !user.sees(&run.project_name) {
        return Err(Refused::missing("run"));
    }
    let actor = user.may(action, Some(&run.project_name))?;
    Ok((run, actor))
}

/// What is asked for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = WantedRun)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    /// Branch, tag or commit.
    revision: Option<String>,
    /// Values of parameters.
    params: std::collections::BTreeMap<String, String>,
    /// Among the runs of its project that wait: the larger goes first. From -100 to 100; nothing said: as the project says, or 0.
    priority: Option<i32>,
}

/// Asks for a run.
#[utoipa::path(post, path = "/api/v1/projects/{name}/runs", tag = "runs", request_body = Option<Wanted>,
    params(("name" = String, Path, description = "The project; a slash is `%2F`.")), responses((status = 201, body = Shown)))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    user: User,
    Path(name): Path<String>,
    Sent(body): Sent<Option<Wanted>>,
) -> Result<(StatusCode, Json<Shown>), Refused> {
    let actor = user.may(Action::TriggerRun, Some(&name))?;
    let Wanted { revision, params, priority } = body.unwrap_or_default();
    if priority.is_some_and(|priority| !(-100..=100).contains(&priority)) {
        return Err(Refused::bad("a priority is from -100 to 100"));
    }
    if params.len() > MAX_PARAMS {
        return Err(Refused::bad(format!("more than {MAX_PARAMS} parameters")));
    }
    let project = app.store.project(&name).await?.ok_or_else(|| Refused::missing("project"))?;
    let config: ProjectConfig = serde_json::from_value(project.config.clone()).map_err(|error| {
        let reason = error.to_string();
        StoreError::Damaged { what: "a project", reason }
    })?;
    let env = revision.as_deref().map(|revision| env_of_person(&config, revision)).unwrap_or_default();
    let (revision, trust) = of_person(&app, project.id, &config, revision).await?;
    let (trust, held) = (Some(trust), held(&config, trust));
    let facts = RunFacts {
        causes: vec![by_user(&actor)],
        has_scm: true,
        params: params.into_iter().collect(),
        env,
        ..RunFacts::default()
    };
    let reports = config.reports();
    let new = NewRun { facts, revision, reports, trust, held, priority, ..NewRun::default() };
    let run = app.create_run(&actor, &name, new).await?;
    app.hub.wake();
    app.changed(run.id);
    Ok((StatusCode::CREATED, Json(shown(&app, &run))))
}

/// Which runs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct Listed {
    /// Of this project.
    project: Option<String>,
    /// Older than this one: `next_before` of the page before.
    before: Option<u64>,
    /// At most 200.
    limit: Option<u32>,
    /// Of this branch, tag or pull request of the project, by its name in pipelines (`BRANCH_NAME`).
    branch: Option<String>,
    /// Not ended yet.
    unfinished: bool,
}

/// A page of runs, the newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = Runs)]
pub(super) struct Page {
    runs: Vec<Shown>,
    /// Where the next page goes on.
    next_before: Option<u64>,
}

/// Runs, the newest first.
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", params(Listed), responses((status = 200, body = Page)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    user: User,
    Query(listed): Query<Listed>,
) -> Result<Json<Page>, Refused> {
    let projects = projects_of(&app, &user, listed.project.as_deref()).await?;
    let limit = listed.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let (before, unfinished) = (listed.before.map(RunId), listed.unfinished);
    if listed.branch.is_some() && listed.project.is_none() {
        return Err(Refused::bad("`branch` is a branch of a `project`"));
    }
    let filter = RunFilter { projects, before, unfinished, limit, branch: listed.branch, ..RunFilter::default() };
    let runs = app.store.runs(&filter).await?;
    // Whoever asks for the next page says where this one ended.
    let next_before = runs.last().filter(|_| runs.len() == limit as usize).map(|run| run.id.0);
    Ok(Json(Page { runs: runs.iter().map(|run| shown(&app, run)).collect(), next_before }))
}

/// A run.
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "runs", params(("id" = u64, Path)), responses((status = 200, body = Shown)))]
pub(super) async fn get(State(app): State<Arc<App>>, user: User, Path(id): Path<u64>) -> Result<Json<Shown>, Refused> {
    let (run, _) = find(&app, &user, Action::SeeProject, id).await?;
    Ok(Json(shown(&app, &run)))
}

/// How much of a run is wanted again. Nothing said: all of it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Again {
    /// Begin with this stage at the top of its declarative pipeline.
    from: Option<String>,
    /// Begin with the first stage that did not end well, of a declarative pipeline.
    failed: bool,
}

/// The same once more: its commit, its parameters, its trust. What has changed since is its number, and who wanted it.
#[utoipa::path(post, path = "/api/v1/runs/{id}/rerun", tag = "runs",
    request_body = Option<Again>, params(("id" = u64, Path)), responses((status = 201, body = Shown)))]
pub(super) async fn rerun(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<u64>,
    Sent(body): Sent<Option<Again>>,
) -> Result<(StatusCode, Json<Shown>), Refused> {
    let (run, actor) = find(&app, &user, Action::RerunRun, id).await?;
    let user = actor.0.strip_prefix("user:").unwrap_or(&actor.0).to_owned();
    let Again { from, failed } = body.unwrap_or_default();
    let restart_from = match (from, failed) {
        (Some(_), true) => return Err(Refused::bad("`from` and `failed` say two different things")),
        (Some(from), false) => {
            has_place(&app, &run, &from).await?;
            Some(from)
        }
        (None, true) => first_failed(&app, &run).await?,
        // What was begun in the middle is begun there again.
        (None, false) => run.facts.restart_from.clone(),
    };
    let reports = reports(&app, &run.project_name).await?;
    // Who wants a stranger's code once more answers for it.
    let new = NewRun { reports, ..again(&run, restart_from, user) };
    let made = app.create_run(&actor, &run.project_name, new).await?;
    app.hub.wake();
    app.changed(made.id);
    Ok((StatusCode::CREATED, Json(shown(&app, &made))))
}

/// The same run once more.
pub(super) fn again(run: &Run, restart_from: Option<String>, by: String) -> NewRun {
    let replay = match &restart_from {
        Some(stage) => BuildCause {
            class: RESTARTED.into(),
            description: format!("Restarted from build #{}, stage \"{stage}\", by {by}", run.number),
            user: Some(by),
        },
        None => BuildCause {
            class: REPLAYED.into(),
            description: format!("Rerun of #{} by {by}", run.number),
            user: Some(by),
        },
    };
    let causes = [vec![replay], run.facts.causes.clone()].concat();
    // Of the stages that are passed over.
    let stashes_of = restart_from.is_some().then_some(run.id);
    // What was confided to that run is said to this one again.
    let facts = RunFacts { causes, restart_from, confided: Vec::new(), ..run.facts.clone() };
    let (revision, commit, merge) = (run.revision.clone(), run.commit.clone(), run.merge.clone());
    // What waits for somebody to answer for it waits again, and what they have answered for is no more than it was.
    let (held, approved) = (run.held.clone(), run.approved.clone());
    let (trust, priority) = (Some(run.trust), run.priority);
    NewRun { priority, facts, revision, commit, merge, held, approved, trust, stashes_of, ..NewRun::default() }
}

/// Whether a project's forge is to be told of its runs.
pub(super) async fn reports(app: &App, project: &str) -> Result<bool, Refused> {
    let project = app.store.project(project).await?.ok_or_else(|| Refused::missing("project"))?;
    Ok(serde_json::from_value::<ProjectConfig>(project.config).is_ok_and(|config| config.reports()))
}

/// What waits.
#[derive(Serialize, ToSchema)]
pub(super) struct Queue {
    /// The oldest first, of projects that one may see.
    queue: Vec<Shown>,
    /// How many wait in all.
    waiting: u64,
    /// Where the next page goes on.
    next_after: Option<u64>,
}

/// Which of them.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct OfQueue {
    /// Of this project.
    project: Option<String>,
    /// Behind this run: `next_after` of the page before.
    pub(super) after: u64,
    /// At most 1000.
    limit: Option<u32>,
}

/// What waits, and why.
#[utoipa::path(get, path = "/api/v1/queue", tag = "runs", params(OfQueue), responses((status = 200, body = Queue)))]
pub(super) async fn queue(
    State(app): State<Arc<App>>,
    user: User,
    Query(OfQueue { project, after, limit }): Query<OfQueue>,
) -> Result<Json<Queue>, Refused> {
    // How many wait in all tells nothing of whose they are.
    user.may(Action::SeeAgents, None)?;
    let projects = projects_of(&app, &user, project.as_deref()).await?;
    let limit = limit.unwrap_or(MAX_QUEUE).clamp(1, MAX_QUEUE);
    let waiting = app.store.waiting(projects.as_deref(), RunId(after), limit).await?;
    let next_after = waiting.last().filter(|_| waiting.len() == limit as usize).map(|run| run.id.0);
    let queue = waiting.iter().map(|run| shown(&app, run)).collect();
    Ok(Json(Queue { queue, waiting: app.store.run_counts().await?.queued, next_after }))
}

/// This project, if they see it, or else all that they see; `None`: all.
async fn projects_of(app: &App, user: &User, project: Option<&str>) -> Result<Option<Vec<ProjectId>>, Refused> {
    let Some(name) = project else { return user.visible(app).await };
    user.may(Action::SeeProject, Some(name))?;
    Ok(Some(vec![app.store.project(name).await?.ok_or_else(|| Refused::missing("project"))?.id]))
}

/// Why it is to end.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Abort {
    reason: Option<String>,
}

/// What came of it.
#[derive(Serialize, ToSchema)]
pub(super) struct Aborted {
    /// False: it had ended.
    aborted: bool,
}

/// Has a run end. Asked again, its `post` conditions end too.
#[utoipa::path(post, path = "/api/v1/runs/{id}/abort", tag = "runs", request_body = Option<Abort>, params(("id" = u64, Path)),
    responses((status = 200, body = Aborted)))]
pub(super) async fn abort(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<u64>,
    Sent(body): Sent<Option<Abort>>,
) -> Result<Json<Aborted>, Refused> {
    let (run, actor) = find(&app, &user, Action::EndRun, id).await?;
    let user = actor.0.strip_prefix("user:").unwrap_or(&actor.0);
    let reason = body.and_then(|abort| abort.reason).unwrap_or_else(|| format!("Aborted by {user}"));
    Ok(Json(Aborted { aborted: end(&app, &actor, &run, &reason).await? }))
}

/// Has a run end. False: it has ended.
pub(crate) async fn end(app: &App, actor: &Actor, run: &Run, reason: &str) -> Result<bool, StoreError> {
    let is_first = app.store.abort_run(actor, run.id, reason, app.now()).await?;
    if is_first {
        // Whatever becomes of the rest: whoever has it hears of that, and who has it soon.
        app.waiting.wakes(run.id, 0);
        app.hub.abort(run.id, true);
    }
    if let Some(run) = app.store.run(run.id).await?.filter(|run| run.status == Status::Queued) {
        line::end(app, &run, reason, is_first).await?;
    }
    if !is_first {
        app.hub.abort(run.id, false);
    }
    app.changed(run.id);
    // Who asks again has `post` conditions ended too.
    Ok(run.status != Status::Done)
}
