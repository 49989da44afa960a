//! What forges tell of projects. What they are believed depends on whether they can be asked again: where the project says how, nothing follows
//! from a webhook but that.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use model::ids::RunId;
use model::rung::Trust;
use scm::{Again, Hook, PullRequest, Push, Reference, RequestState, delivery, read, verify};
use serde_json::{Value, json};
use store::{Actor, NewRun, Project, Run};
use tokio::sync::Semaphore;

use super::error::Refused;
use super::runs::again;
use crate::app::App;
use crate::changes::{merged, of_push, of_request};
use crate::config::ProjectConfig;
use crate::forge::{Asker, Given, Silent};
use crate::scan::{At, Wanted, create, end_all, request_name};

/// The largest webhook, in bytes: what GitHub sends at most.
const MAX_BYTES: usize = 25 << 20;
/// How long one may take to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// Of those that are read at the same time, each may be of the largest size.
static READING: Semaphore = Semaphore::const_new(8);

/// Who does not know the secret learns nothing, not even whether there is such a project.
pub(super) async fn hear(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let unknown = || Refused(StatusCode::UNAUTHORIZED, "no such project, or the signature is wrong".into());
    let project = app.store.project(&name).await?.ok_or_else(unknown)?;
    let config: ProjectConfig = serde_json::from_value(project.config.clone()).map_err(|_| unknown())?;
    let hook = config.hook.clone().ok_or_else(unknown)?;
    // Only now, and of few at once: anybody may send one.
    let turn = READING.acquire().await.map_err(|_| unknown())?;
    let read_whole = tokio::time::timeout(PATIENCE, to_bytes(request.into_body(), MAX_BYTES)).await;
    let body = read_whole.ok().and_then(Result::ok).ok_or_else(|| Refused::bad("it is too long, or does not come"))?;
    let given = Given(&headers);
    verify(hook.forge, &given, &body, &hook.secret).map_err(|_| unknown())?;
    let said = read(hook.forge, &given, &body).map_err(|refused| Refused::bad(refused.to_string()))?;
    // What comes again has the number that it had, or else the same content.
    let id = delivery(hook.forge, &given).unwrap_or_else(|| store::digest(&String::from_utf8_lossy(&body)));
    drop(turn);
    let heard = Heard { app: &app, project: &project, config: &config, id: format!("{name} {id}") };
    let new = match said {
        Hook::Nothing { what } => return ignored(&what),
        Hook::Push(push) => heard.push(push).await?,
        Hook::PullRequest(request) => heard.request(request).await?,
        Hook::Again(again) => match heard.again(again).await? {
            Ok(new) => {
                let run = app.store.create_run(&Actor(format!("hook:{name}")), &project.name, new, app.now()).await?;
                app.hub.wake();
                app.changed(run.id);
                return accepted(&run);
            }
            Err(what) => Err(what),
        },
        Hook::Closed(closed) => {
            let id = closed.number.to_string();
            let is_it =
                |run: &store::Run| run.facts.env.iter().any(|(name, value)| name == "CHANGE_ID" && *value == id);
            for name in [format!("refs/pull/{id}/head"), format!("refs/merge-requests/{id}/head")] {
                app.store.forget_properties(project.id, &name, None, app.now()).await?;
            }
            let reason = format!("Pull request {id} was {}", if closed.is_merged { "merged" } else { "closed" });
            end_all(&app, project.id, &reason, is_it).await?;
            return ignored(&reason);
        }
        Hook::Removed(removed) => {
            let gone: Vec<_> = removed.references.iter().map(full_name).collect();
            let is_it = |run: &store::Run| run.revision.as_ref().is_some_and(|name| gone.contains(name));
            let reason = format!("{} was removed", gone.join(", "));
            end_all(&app, project.id, &reason, is_it).await?;
            for name in &gone {
                let name = name.strip_prefix("refs/heads/").unwrap_or(name);
                app.store.forget_properties(project.id, name, None, app.now()).await?;
            }
            return ignored(&reason);
        }
    };
    let new = match new {
        Ok(new) => new,
        Err(what) => return ignored(&what),
    };
    let run = create(&app, &Actor(format!("hook:{name}")), &project, &config, new).await?;
    accepted(&run)
}

fn accepted(run: &Run) -> Result<(StatusCode, Json<Value>), Refused> {
    let told = json!({ "run": run.id.0, "number": run.number, "trust": run.trust, "held": run.held });
    Ok((StatusCode::ACCEPTED, Json(told)))
}

fn ignored(what: &str) -> Result<(StatusCode, Json<Value>), Refused> {
    Ok((StatusCode::OK, Json(json!({ "ignored": what }))))
}

fn full_name(reference: &Reference) -> String {
    match reference {
        Reference::Branch(name) => format!("refs/heads/{name}"),
        Reference::Tag(name) => format!("refs/tags/{name}"),
    }
}

/// A webhook that was verified.
struct Heard<'a> {
    app: &'a Arc<App>,
    project: &'a Project,
    config: &'a ProjectConfig,
    /// By which it is known.
    id: String,
}

/// What follows, or why nothing does.
type Follows = Result<NewRun, String>;

impl Heard<'_> {
    fn asker(&self) -> Option<Asker<'_>> {
        self.config.report.as_ref().and_then(|report| Asker::of(self.app, report))
    }

    async fn push(&self, push: Push) -> Result<Follows, Refused> {
        let new = |push| NewRun { delivery: Some(self.id.clone()), ..of_push(self.config, push) };
        let (Some(asker), Reference::Branch(name)) = (self.asker(), &push.reference) else { return Ok(Ok(new(push))) };
        let name = name.clone();
        match asker.branch(&name).await {
            Ok(branch) => {
                if self.config.merge_requests {
                    // Nobody need look.
                    let _ = self
                        .app
                        .scan
                        .send(Wanted { project: self.project.name.clone(), at: At::RequestsFor(name.clone()) });
                }
                let known = format!("{} branch {name} {}", self.project.name, branch.commit);
                Ok(Ok(NewRun { delivery: Some(known), ..new(Push { commit: branch.commit, ..push }) }))
            }
            Err(Silent::Missing) => Ok(Err(format!("the forge knows of no branch {name}"))),
            Err(error) => Ok(Ok(unconfirmed(new(push), &error))),
        }
    }

    /// A run of this project, once more. Who may ask a forge for that is not known here: a stranger's code waits as it did at first.
    async fn again(&self, Again { external_id, by }: Again) -> Result<Follows, Refused> {
        let run = match external_id.parse() {
            Ok(id) => self.app.store.run(RunId(id)).await?.filter(|run| run.project == self.project.id),
            Err(_) => None,
        };
        let Some(run) = run else { return Ok(Err("it is no check of this project".to_owned())) };
        let held = self.config.approve_strangers && run.trust == Trust::Stranger;
        let held = held.then(|| "a stranger's code waits for somebody to approve it".to_owned());
        let by = by.unwrap_or_else(|| "somebody at the forge".to_owned());
        let reports = self.config.report.is_some();
        Ok(Ok(NewRun { delivery: Some(self.id.clone()), held, reports, ..again(&run, None, by) }))
    }

    async fn request(&self, request: PullRequest) -> Result<Follows, Refused> {
        let (number, target) = (request.number, request.target.clone());
        let nowhere = || "its commits cannot be fetched from here".to_owned();
        let new = |request| Some(NewRun { delivery: Some(self.id.clone()), ..of_request(request)? });
        let Some(asker) = self.asker() else { return Ok(new(request).ok_or_else(nowhere)) };
        let facts = match asker.pull_request(number).await {
            Ok(facts) => facts,
            Err(Silent::Missing) => return Ok(Err(format!("the forge knows of no pull request {number}"))),
            Err(error) => return Ok(new(request).map(|new| unconfirmed(new, &error)).ok_or_else(nowhere)),
        };
        if facts.state != RequestState::Open {
            return Ok(Err(format!("pull request {number} is not open")));
        }
        let known = request_name(&self.project.name, number, &facts.request.commit);
        let Some(new) = new(facts.request).map(|new| NewRun { delivery: Some(known.clone()), ..new }) else {
            return Ok(Err(nowhere()));
        };
        if !self.config.merge_requests {
            return Ok(Ok(new));
        }
        match asker.branch(&target).await {
            Ok(branch) => {
                self.app.store.note_delivery(&format!("{known} in {}", branch.commit)).await?;
                Ok(Ok(merged(new, &target, &branch.commit)))
            }
            Err(Silent::Missing) => Ok(Err(format!("the forge knows of no branch {target}"))),
            Err(error) => Ok(Ok(unconfirmed(new, &error))),
        }
    }
}

/// Nothing is lost, and nothing done: a person may say that it is so.
fn unconfirmed(new: NewRun, error: &Silent) -> NewRun {
    let reason = format!("its forge has not confirmed what a webhook says ({error})");
    NewRun { held: Some(reason), ..new }
}
