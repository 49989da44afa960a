//! What forges tell of projects. What they are believed depends on whether they can be asked again: where the project says how, nothing follows
//! from a webhook but that.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use model::ids::RunId;
use scm::{Again, AllAgain, Closed, Hook, PullRequest, Push, Reference, RequestState, delivery, read, verify};
use serde_json::{Value, json};
use store::{Actor, NewRun, Project, Run};

use super::error::Refused;
use super::runs::again;
use super::unvouched::Unvouched;
use crate::app::App;
use crate::changes::{NOWHERE, held, of_push, of_request};
use crate::config::ProjectConfig;
use crate::forge::{Asker, Given, Silent};
use crate::found::{Follows, Found, create, reference_name};
use crate::gone;
use crate::scan::{At, Wanted};

/// Runs at one commit that are run once more at once: of so many branches and pull requests.
const MOST_CHECKS: u32 = 100;
/// Why nothing is run once more.
const NO_CHECK: &str = "it is no check of this project";

/// Who does not know the secret learns nothing, not even whether there is such a project.
pub(super) async fn hear(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let unvouched = app.unvouched.whole(request.into_body()).await?;
    // To its end, however long its forge waits for an answer: it is asked for each reference of a push.
    let done = tokio::spawn(async move {
        let answer = take(&app, name, &headers, unvouched).await;
        if matches!(answer, Err(Refused(StatusCode::SERVICE_UNAVAILABLE, _))) {
            // Few forges say it again.
            app.has_missed.store(true, Ordering::Relaxed);
        }
        answer
    });
    done.await.map_err(|_| Refused(StatusCode::INTERNAL_SERVER_ERROR, "it was not acted upon".into()))?
}

async fn take(
    app: &Arc<App>,
    name: String,
    headers: &HeaderMap,
    unvouched: Unvouched,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let unknown = || Refused(StatusCode::UNAUTHORIZED, "no such project, or the signature is wrong".into());
    let body = &unvouched.bytes;
    let project = app.store.project(&name).await?.ok_or_else(unknown)?;
    let config: ProjectConfig = serde_json::from_value(project.config.clone()).map_err(|_| unknown())?;
    let hook = config.hook.clone().ok_or_else(unknown)?;
    let given = Given(headers);
    verify(hook.forge, &given, body, &hook.secret).map_err(|_| unknown())?;
    let said = read(hook.forge, &given, body).map_err(|refused| Refused::bad(refused.to_string()))?;
    // What comes again has the content that it had, for that is what is signed: the number of a delivery is not, and so anybody's who has heard
    // one. Where nothing is signed, who has heard one says what they like.
    let number = delivery(hook.forge, &given).filter(|_| !hook.forge.signs());
    let id = number.unwrap_or_else(|| store::digest(&String::from_utf8_lossy(body)));
    drop(unvouched);
    let heard = Heard { app, project: &project, config: &config, id: format!("{name} {id}") };
    heard.all(said).await
}

/// What came of a webhook.
enum Came {
    Run(Box<Run>),
    /// Nothing is run, for this reason.
    Nothing(String),
}

impl Came {
    fn status(&self) -> StatusCode {
        match self {
            Came::Run(_) => StatusCode::ACCEPTED,
            Came::Nothing(_) => StatusCode::OK,
        }
    }

    fn told(&self) -> Value {
        match self {
            Came::Run(run) => json!({ "run": run.id.0, "number": run.number, "trust": run.trust, "held": run.held }),
            Came::Nothing(what) => json!({ "ignored": what }),
        }
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

impl Heard<'_> {
    async fn all(mut self, said: Hook) -> Result<(StatusCode, Json<Value>), Refused> {
        let several: Vec<_> = match said {
            Hook::Several(several) => (0..).map(|index: u32| index.to_string()).zip(several).collect(),
            Hook::AllAgain(all) => self.checks(all).await?,
            one => {
                let came = self.act(one).await?;
                return Ok((came.status(), Json(came.told())));
            }
        };
        let (mut status, mut told, id) = (StatusCode::OK, Vec::new(), self.id.clone());
        for (name, hook) in several {
            // Each is known by itself: one that cannot be done now comes again with all of them.
            self.id = format!("{id} {name}");
            let came = self.act(hook).await?;
            status = status.max(came.status());
            told.push(came.told());
        }
        Ok((status, Json(json!({ "several": told }))))
    }

    async fn act(&self, said: Hook) -> Result<Came, Refused> {
        let (app, project, actor) = (self.app, self.project, Actor(format!("hook:{}", self.project.name)));
        let new = match said {
            Hook::Nothing { what } => Err(what),
            Hook::Push(push) => self.push(push).await?,
            Hook::PullRequest(request) => self.request(request).await?,
            Hook::Again(again) => match self.again(again).await? {
                Ok(new) => {
                    let run = app.create_run(&actor, &project.name, new).await?;
                    app.hub.wake();
                    app.changed(run.id);
                    return Ok(Came::Run(Box::new(run)));
                }
                Err(what) => Err(what),
            },
            Hook::Closed(closed) => Err(self.closed(&closed).await?),
            Hook::Removed(removed) => Err(self.removed(&removed.references).await?),
            Hook::Several(_) | Hook::AllAgain(_) => Err("several at once, within one of several".to_owned()),
        };
        match new {
            Ok(new) => Ok(Came::Run(Box::new(create(app, &actor, project, self.config, new).await?))),
            Err(what) => Ok(Came::Nothing(what)),
        }
    }

    fn asker(&self) -> Option<Asker<'_>> {
        self.config.report.as_ref().and_then(|report| Asker::of(self.app, report))
    }

    async fn push(&self, push: Push) -> Result<Follows, Refused> {
        let new = |push| NewRun { delivery: Some(self.id.clone()), ..of_push(self.config, push) };
        let Some(asker) = self.asker() else { return Ok(Ok(new(push))) };
        let name = match &push.reference {
            Reference::Branch(name) => name.clone(),
            Reference::Tag(name) => {
                return Ok(match asker.tag(name).await {
                    Ok(commit) => {
                        let known = reference_name(&self.project.name, &push.reference, &commit);
                        Ok(NewRun { delivery: Some(known), ..new(Push { commit, ..push }) })
                    }
                    Err(Silent::Missing) => Err(format!("the forge knows of no tag {name}")),
                    Err(error) => Ok(unconfirmed(new(push), &error)),
                });
            }
        };
        let answer = asker.branch(&name).await;
        if self.config.merge_requests && !matches!(answer, Err(Silent::Missing)) {
            // A look asks for itself, and again where its forge is away. Nobody need look.
            let at = At::RequestsFor(name.clone());
            let _ = self.app.scan.send(Wanted { project: self.project.name.clone(), at });
        }
        match answer {
            Ok(branch) => {
                let known = reference_name(&self.project.name, &push.reference, &branch.commit);
                Ok(Ok(NewRun { delivery: Some(known), ..new(Push { commit: branch.commit, ..push }) }))
            }
            Err(Silent::Missing) => Ok(Err(format!("the forge knows of no branch {name}"))),
            Err(error) => Ok(Ok(unconfirmed(new(push), &error))),
        }
    }

    /// Whether this is heard for the first time, where nobody can be asked whether it is so still. It is noted once it is done.
    async fn is_new(&self) -> Result<bool, Refused> {
        Ok(!self.app.store.knows_delivery(&self.id).await?)
    }

    /// A pull request is said to be closed. What came of that, in words.
    async fn closed(&self, closed: &Closed) -> Result<String, Refused> {
        let id = closed.number.to_string();
        let is_so = match self.asker() {
            None => self.is_new().await?,
            Some(asker) => match asker.pull_request(closed.number).await {
                Ok(facts) => facts.state != RequestState::Open,
                Err(Silent::Missing) => true,
                Err(error) => return Ok(format!("its forge has not confirmed what a webhook says ({error})")),
            },
        };
        if !is_so {
            return Ok(format!("that pull request {id} was closed is no news, or not so"));
        }
        let reason = format!("Pull request {id} was {}", if closed.is_merged { "merged" } else { "closed" });
        gone::request_is_gone(self.app, self.project.id, closed.number, &reason).await?;
        self.app.store.note_delivery(&self.id).await?;
        Ok(reason)
    }

    /// Branches or tags are said to be gone. What came of that, in words.
    async fn removed(&self, references: &[Reference]) -> Result<String, Refused> {
        let asker = self.asker();
        let (mut gone, is_new) = (Vec::new(), asker.is_some() || self.is_new().await?);
        for reference in references {
            let is_gone = match &asker {
                None => Ok(is_new),
                Some(asker) => asker.is_missing(reference).await,
            };
            match is_gone {
                Ok(true) => gone.push(reference),
                Ok(false) => {}
                Err(error) => return Ok(format!("its forge has not confirmed what a webhook says ({error})")),
            }
        }
        if gone.is_empty() {
            return Ok("that something was removed is no news, or not so".to_owned());
        }
        let names: Vec<_> = gone.iter().map(|reference| reference.full_name()).collect();
        let reason = format!("{} was removed", names.join(", "));
        for reference in gone {
            gone::reference_is_gone(self.app, self.project.id, reference, &reason).await?;
        }
        self.app.store.note_delivery(&self.id).await?;
        Ok(reason)
    }

    /// A run of this project, once more: that is asked for, and nothing that a forge could confirm. Who may ask a forge for that is not known here: a stranger's code waits as it did at first.
    async fn again(&self, Again { external_id, by }: Again) -> Result<Follows, Refused> {
        let run = match external_id.parse() {
            Ok(id) => self.app.store.run(RunId(id)).await?.filter(|run| run.project == self.project.id),
            Err(_) => None,
        };
        let Some(run) = run else { return Ok(Err(NO_CHECK.to_owned())) };
        let held = held(self.config, run.trust);
        let by = by.unwrap_or_else(|| "somebody at the forge".to_owned());
        let reports = self.config.reports();
        Ok(Ok(NewRun { delivery: Some(self.id.clone()), held, reports, ..again(&run, None, by) }))
    }

    /// Each run that its forge shows at a commit, once more, by the names of their branches: another may be the last of one when that comes again.
    async fn checks(&self, AllAgain { commit, by }: AllAgain) -> Result<Vec<(String, Hook)>, Refused> {
        let runs = self.app.store.last_at(self.project.id, &commit, MOST_CHECKS).await?;
        let again = |run: Run| {
            let name = run.facts.branch().unwrap_or_default().to_owned();
            (name, Hook::Again(Again { external_id: run.id.0.to_string(), by: by.clone() }))
        };
        Ok(match runs.is_empty() {
            true => vec![(String::new(), Hook::Nothing { what: NO_CHECK.to_owned() })],
            false => runs.into_iter().map(again).collect(),
        })
    }

    async fn request(&self, request: PullRequest) -> Result<Follows, Refused> {
        let number = request.number;
        let nowhere = || NOWHERE.to_owned();
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
        let found = Found { app: self.app, project: self.project, config: self.config };
        if !self.config.merge_requests {
            return Ok(found.request(facts.request, None).await?);
        }
        let target = &facts.request.target;
        match asker.branch(target).await {
            Ok(branch) => Ok(found.request(facts.request, Some(&branch.commit)).await?),
            Err(Silent::Missing) => Ok(Err(format!("the forge knows of no branch {target}"))),
            Err(error) => Ok(new(facts.request).map(|new| unconfirmed(new, &error)).ok_or_else(nowhere)),
        }
    }
}

/// Nothing is lost, and nothing done: a person may say that it is so.
fn unconfirmed(new: NewRun, error: &Silent) -> NewRun {
    let reason = format!("its forge has not confirmed what a webhook says ({error})");
    NewRun { held: Some(reason), ..new }
}
