//! What runs ask people (`input`), and what people say.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::Redirect;
use maud::{Markup, html};
use model::ids::RequestId;
use model::request::{Parameter, Question, Request};
use secrets::Masker;
use serde::{Deserialize, Serialize};
use store::Run;
use utoipa::ToSchema;

use super::auth::{User, Viewer};
use super::body::Sent;
use super::error::Refused;
use super::runs::find;
use crate::app::App;
use crate::keeper::Decision;
use crate::policy::Action;

/// What a run waits for people to say.
#[derive(Serialize, ToSchema)]
pub(super) struct Questions {
    questions: Vec<Shown>,
}

/// A question.
#[derive(Serialize, ToSchema)]
#[schema(as = Question)]
pub(super) struct Shown {
    /// Of the run.
    number: u64,
    /// Its name in the definition; empty: it has none.
    id: String,
    message: String,
    /// What a yes is called.
    ok: String,
    /// Who may answer, beside administrators; nobody named: whoever may answer at all.
    submitters: Vec<String>,
    parameters: Vec<Asked>,
    asked_at: u64,
}

/// A value that is asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct Asked {
    name: String,
    description: String,
    /// What it is where nothing is said.
    default: String,
    /// It is one of these; none: any text.
    choices: Vec<String>,
    /// What is said of it is shown to nobody.
    hidden: bool,
}

/// Those of a run that wait for an answer.
pub(super) async fn of_run(app: &App, run: &Run) -> Result<Vec<Shown>, Refused> {
    let outstanding = app.store.outstanding(run.id).await?;
    // Read after the questions: with the first of them it may have become known what is a password.
    let now = app.store.run(run.id).await?.ok_or_else(|| Refused::missing("run"))?;
    let masker = Masker::new(now.facts.secrets());
    let told = |text: String| masker.mask(&text).into_owned();
    let asked = |Parameter { name, description, default, choices, is_hidden: hidden }| {
        let choices = choices.into_iter().map(told).collect();
        Asked { name, description: told(description), default: told(default), choices, hidden }
    };
    let mut all = Vec::new();
    for outstanding in outstanding {
        if let Request::Input(Question { id, message, ok, submitters, parameters }) = outstanding.request {
            let (number, asked_at) = (outstanding.id.0, outstanding.asked_at);
            let parameters = parameters.into_iter().map(asked).collect();
            let (message, ok) = (told(message), told(ok));
            all.push(Shown { number, id, message, ok, submitters, parameters, asked_at });
        }
    }
    Ok(all)
}

/// For the page of a run: where it is answered too.
pub(super) fn page(run: &Run, question: &Shown) -> Markup {
    html! {
        form method="post" action=(format!("/runs/{}/questions/{}", run.id.0, question.number)) {
            p class="waits" { (question.message) }
            @for Asked { name, description, default, choices, hidden } in &question.parameters {
                p {
                    label {
                        (name) " "
                        @if choices.is_empty() {
                            @let kind = if *hidden { "password" } else { "text" };
                            input type=(kind) name=(format!("{OF_PARAMETER}{name}")) value=(default);
                        } @else {
                            select name=(format!("{OF_PARAMETER}{name}")) {
                                @for choice in choices { option selected[choice == default] { (choice) } }
                            }
                        }
                    }
                    " " (description)
                }
            }
            button name="proceed" value="true" { (question.ok) }
            " "
            button name="proceed" value="false" { "Abort" }
        }
    }
}

/// What stands before a parameter's name in the form.
const OF_PARAMETER: &str = "of-";

/// The form of a run's page. Nobody else's page has the session that it comes with (`SameSite=Strict`).
pub(super) async fn said(
    State(app): State<Arc<App>>,
    Viewer(user): Viewer,
    Path((id, number)): Path<(u64, u64)>,
    Form(said): Form<BTreeMap<String, String>>,
) -> Result<Redirect, Refused> {
    let proceed = said.get("proceed").is_some_and(|word| word == "true");
    let values =
        said.into_iter().filter_map(|(name, value)| Some((name.strip_prefix(OF_PARAMETER)?.to_owned(), value)));
    let answer = Answer { proceed, values: values.collect() };
    decide(&app, &user, (id, number), answer).await?;
    Ok(Redirect::to(&format!("/runs/{id}")))
}

/// What a run asks.
#[utoipa::path(get, path = "/api/v1/runs/{id}/questions", tag = "questions", params(("id" = u64, Path)), responses((status = 200, body = Questions)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<u64>,
) -> Result<Json<Questions>, Refused> {
    let (run, _) = find(&app, &user, Action::SeeProject, id).await?;
    Ok(Json(Questions { questions: of_run(&app, &run).await? }))
}

/// What somebody says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    /// False: the run is to end there.
    proceed: bool,
    /// Of parameters; what is not said is its default.
    #[serde(default)]
    values: BTreeMap<String, String>,
}

/// Says yes or no where a run asks. The first who does so counts.
#[utoipa::path(post, path = "/api/v1/runs/{id}/questions/{number}", tag = "questions", request_body = Answer,
    params(("id" = u64, Path), ("number" = u64, Path)), responses((status = 204)))]
pub(super) async fn answer(
    State(app): State<Arc<App>>,
    user: User,
    Path((id, number)): Path<(u64, u64)>,
    Sent(answer): Sent<Answer>,
) -> Result<StatusCode, Refused> {
    decide(&app, &user, (id, number), answer).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn decide(
    app: &App,
    user: &User,
    (id, number): (u64, u64),
    Answer { proceed, values }: Answer,
) -> Result<(), Refused> {
    let (run, actor) = find(app, user, Action::AnswerRun, id).await?;
    let outstanding = app.store.outstanding(run.id).await?;
    let question = outstanding.into_iter().find(|outstanding| outstanding.id == RequestId(number));
    let Some(Request::Input(question)) = question.map(|outstanding| outstanding.request) else {
        return Err(Refused::missing("question, or it is answered"));
    };
    let by = user.who().name.clone();
    let is_named = question.submitters.is_empty() || question.submitters.contains(&by);
    if !is_named && user.may(Action::ChangePeople, None).is_err() {
        let names = question.submitters.join(", ");
        return Err(Refused(StatusCode::FORBIDDEN, format!("only {names} may answer that")));
    }
    let values = match proceed {
        true => Some(question.complete(values.into_iter().collect()).map_err(Refused::bad)?),
        false => None,
    };
    let confided = values.iter().flat_map(|values| question.confided(values)).map(str::to_owned).collect();
    match app.hub.decide(run.id, RequestId(number), Decision { actor, by, values, confided }).await {
        true => Ok(()),
        false => Err(Refused(StatusCode::CONFLICT, "it is answered, or asked no more".into())),
    }
}
