//! What forges tell of projects.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use model::run::{BuildCause, RunFacts};
use model::rung::Trust;
use scm::{Hook, PullRequest, Push, Reference, delivery, read, verify};
use serde_json::{Value, json};
use store::{Actor, NewRun, RunFilter};
use tokio::sync::Semaphore;

use super::error::Refused;
use crate::app::App;
use crate::config::ProjectConfig;

/// The largest webhook, in bytes: what GitHub sends at most.
const MAX_BYTES: usize = 25 << 20;
/// How long one may take to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// Of those that are read at the same time, each may be of the largest size.
static READING: Semaphore = Semaphore::const_new(8);
/// Older runs of one pull request that are looked for.
const MOST_OLDER: u32 = 1000;

/// Headers as the reader of webhooks wants them.
struct Given<'a>(&'a HeaderMap);

impl scm::Headers for Given<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }
}

/// Who does not know the secret learns nothing, not even whether there is such a project.
pub(super) async fn hear(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let unknown = || Refused(StatusCode::UNAUTHORIZED, "no such project, or the signature is wrong".into());
    let project = app.store.project(&name).await?.ok_or_else(unknown)?;
    let config: ProjectConfig = serde_json::from_value(project.config).map_err(|_| unknown())?;
    let hook = config.hook.clone().ok_or_else(unknown)?;
    // Only now, and of few at once: anybody may send one.
    let _turn = READING.acquire().await.map_err(|_| unknown())?;
    let read_whole = tokio::time::timeout(PATIENCE, to_bytes(request.into_body(), MAX_BYTES)).await;
    let body = read_whole.ok().and_then(Result::ok).ok_or_else(|| Refused::bad("it is too long, or does not come"))?;
    let given = Given(&headers);
    verify(hook.forge, &given, &body, &hook.secret).map_err(|_| unknown())?;
    let said = read(hook.forge, &given, &body).map_err(|refused| Refused::bad(refused.to_string()))?;
    let ignored = |what: &str| Ok((StatusCode::OK, Json(json!({ "ignored": what }))));
    let new = match said {
        Hook::Nothing { what } => return ignored(&what),
        Hook::Closed(_) | Hook::Removed(_) => return ignored("what is gone"),
        Hook::Push(push) => of_push(&config, push),
        Hook::PullRequest(request) => match of_request(request) {
            Some(new) => new,
            None => return ignored("its commits cannot be fetched from here"),
        },
    };
    // What comes again has the number that it had, or else the same content.
    let id = delivery(hook.forge, &given).unwrap_or_else(|| store::digest(&String::from_utf8_lossy(&body)));
    let reports = config.report.is_some();
    let is_held = config.approve_strangers && new.trust == Some(Trust::Stranger);
    let held = is_held.then(|| "a stranger's code waits for somebody to approve it".to_owned());
    let new = NewRun { delivery: Some(format!("{name} {id}")), reports, held, ..new };
    let run = app.store.create_run(&Actor(format!("hook:{name}")), &name, new, app.now()).await?;
    supersede(&app, &run).await?;
    app.hub.wake();
    app.changed(run.id);
    Ok((StatusCode::ACCEPTED, Json(json!({ "run": run.id.0, "number": run.number, "trust": run.trust }))))
}

fn of_push(config: &ProjectConfig, push: Push) -> NewRun {
    let by = push.by.map(|by| format!(" by {by}")).unwrap_or_default();
    match push.reference {
        Reference::Branch(name) => {
            let trust = config.trust_of(&name);
            let what = (format!("refs/heads/{name}"), push.commit);
            new_run(format!("Push to branch {name}{by}"), vec![("BRANCH_NAME", name)], what, trust)
        }
        // Tags are made by who may write; which of them are protected, the forge knows.
        Reference::Tag(name) => {
            let env = vec![("BRANCH_NAME", name.clone()), ("TAG_NAME", name.clone())];
            new_run(format!("Push of tag {name}{by}"), env, (format!("refs/tags/{name}"), push.commit), Trust::Member)
        }
    }
}

fn of_request(request: PullRequest) -> Option<NewRun> {
    let fetch = request.fetch?;
    let mut env = vec![
        ("BRANCH_NAME", format!("PR-{}", request.number)),
        ("CHANGE_ID", request.number.to_string()),
        ("CHANGE_BRANCH", request.branch),
        ("CHANGE_TARGET", request.target),
        ("CHANGE_TITLE", request.title),
    ];
    env.extend(request.url.map(|url| ("CHANGE_URL", url)));
    env.extend(request.author.clone().map(|author| ("CHANGE_AUTHOR", author)));
    env.extend(request.author.clone().filter(|_| request.is_fork).map(|author| ("CHANGE_FORK", author)));
    let by = request.author.map(|author| format!(" of {author}")).unwrap_or_default();
    let trust = if request.is_fork { Trust::Stranger } else { Trust::Member };
    Some(new_run(format!("Pull request {}{by}", request.number), env, (fetch, request.commit), trust))
}

fn new_run(
    description: String,
    env: Vec<(&str, String)>,
    (revision, commit): (String, String),
    trust: Trust,
) -> NewRun {
    let cause = BuildCause { class: "jenkins.branch.BranchEventCause".into(), description, user: None };
    let env = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let facts = RunFacts { causes: vec![cause], has_scm: true, env, ..RunFacts::default() };
    NewRun {
        facts,
        revision: Some(revision), // What is abbreviated says nothing that can be relied on.
        commit: Some(commit).filter(|commit| commit.len() >= 40),
        trust: Some(trust),
        ..NewRun::default()
    }
}

/// A pull request's older runs tell nothing any more.
async fn supersede(app: &App, run: &store::Run) -> Result<(), Refused> {
    if !run.facts.env.iter().any(|(name, _)| name == "CHANGE_ID") {
        return Ok(());
    }
    let filter =
        RunFilter { projects: Some(vec![run.project]), unfinished: true, before: Some(run.id), limit: MOST_OLDER };
    for older in app.store.runs(&filter).await?.iter().filter(|older| older.revision == run.revision) {
        super::runs::end(app, &Actor::server(), older, &format!("Superseded by #{}", run.number)).await?;
    }
    Ok(())
}
