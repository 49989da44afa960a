//! Runs of strangers' code that are held: what each would ask for, and somebody who answers for that.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use model::request::{Failure, FailureKind};
use model::rung::{Rung, Trust};
use serde::{Deserialize, Serialize};
use store::{Approved, Run};
use utoipa::ToSchema;

use super::auth::User;
use super::body::Sent;
use super::description;
use super::error::Refused;
use super::runs::{Shown, find, shown};
use crate::app::App;
use crate::config::ProjectConfig;
use crate::policy::Action;

/// Of stages and of places, so many are shown, each of at most so many bytes: a stranger wrote them, and an agent says them.
const MOST: (usize, usize) = (500, 2000);

/// What a run would ask for.
#[derive(Serialize, ToSchema)]
pub(super) struct Plan {
    /// Digest of all of this.
    plan: String,
    /// The commit that it is of.
    commit: Option<String>,
    /// The commit that this is merged with before it is run.
    merged_with: Option<String>,
    /// Digest of the definition's text, where that is approved.
    definition: Option<String>,
    /// The weakest rung that it is given.
    #[schema(schema_with = description::rung)]
    rung: Rung,
    /// Names of its stages, in their order.
    stages: Vec<String>,
    /// Places that it asks for, each once.
    places: Vec<String>,
    /// Why it may ask for more than that, and what happens then.
    incomplete: Option<String>,
}

/// What a run that is held would ask for. An agent reads its definition for that; nothing of it is run.
#[utoipa::path(get, path = "/api/v1/runs/{id}/plan", tag = "runs", params(("id" = u64, Path)), responses((status = 200, body = Plan)))]
pub(super) async fn plan(State(app): State<Arc<App>>, user: User, Path(id): Path<u64>) -> Result<Json<Plan>, Refused> {
    let (run, _) = find(&app, &user, Action::ApproveRun, id).await?;
    Ok(Json(plan_of(&app, &run).await?.0))
}

/// What is approved.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = Approval)]
#[serde(deny_unknown_fields)]
pub(super) struct Approval {
    /// The digest of the plan that was looked at; nothing: whatever it is now.
    plan: Option<String>,
}

/// Somebody answers for a run of strangers' code: for its commit and its plan, and no other.
#[utoipa::path(post, path = "/api/v1/runs/{id}/approve", tag = "runs", request_body = Option<Approval>,
    params(("id" = u64, Path)), responses((status = 200, body = Shown)))]
pub(super) async fn approve(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<u64>,
    Sent(approval): Sent<Option<Approval>>,
) -> Result<Json<Shown>, Refused> {
    let (run, actor) = find(&app, &user, Action::ApproveRun, id).await?;
    let (plan, approved) = plan_of(&app, &run).await?;
    if approval.and_then(|approval| approval.plan).is_some_and(|meant| meant != plan.plan) {
        return Err(Refused(StatusCode::CONFLICT, "its plan is not the one that is approved: look at it again".into()));
    }
    let of = (plan.commit.as_deref(), approved.as_ref());
    if !app.store.approve_run(&actor, run.id, of, app.now()).await? {
        return Err(not_held());
    }
    // It is older than what was looked at last.
    app.waiting.look_again();
    app.hub.wake();
    app.changed(run.id);
    let (run, _) = find(&app, &user, Action::SeeProject, id).await?;
    Ok(Json(shown(&app, &run)))
}

fn not_held() -> Refused {
    Refused(StatusCode::CONFLICT, "it does not wait for approval".into())
}

async fn plan_of(app: &App, run: &Run) -> Result<(Plan, Option<Approved>), Refused> {
    if run.held.is_none() {
        return Err(not_held());
    }
    let mut plan = Plan {
        plan: String::new(),
        commit: run.commit.clone(),
        merged_with: run.merge.as_ref().map(|merge| merge.commit.clone()),
        definition: None,
        rung: run.trust.minimum(),
        stages: Vec::new(),
        places: Vec::new(),
        incomplete: None,
    };
    let approved = match run.trust {
        Trust::Stranger => Some(planned(app, run, &mut plan).await?),
        // It is held for another reason, and its forge may be away.
        _ => {
            plan.incomplete = Some("it is no stranger's, and asks for what it likes".to_owned());
            None
        }
    };
    let text = serde_json::to_string(&plan);
    let text = text.map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    plan.plan = store::digest(&text);
    Ok((plan, approved))
}

async fn planned(app: &App, run: &Run, plan: &mut Plan) -> Result<Approved, Refused> {
    let project = app.store.project(&run.project_name).await?.ok_or_else(|| Refused::missing("project"))?;
    let config = serde_json::from_value::<ProjectConfig>(project.config);
    let config = config.map_err(|error| Refused(StatusCode::CONFLICT, format!("the project: {error}")))?;
    let read = app.checks.plan(&app.hub, run, &config).await;
    let read = read.map_err(|failure| Refused(status_of(&failure), clip(&failure.message)))?;
    let count = read.places.len();
    let (stages, places) = (bounded(read.stages), bounded(read.places));
    let lacks = (places.len() < count).then(|| "it asks for more than is shown here".to_owned());
    let incomplete = read.incomplete.map(|reason| clip(&reason)).or(lacks);
    plan.incomplete = incomplete.map(|reason| format!("it may ask for more, and is refused that: {reason}"));
    let is_commit = |commit: &String| [40, 64].contains(&commit.len()) && commit.bytes().all(|c| c.is_ascii_hexdigit());
    plan.commit = plan.commit.take().or(read.definition.commit.filter(is_commit));
    (plan.stages, plan.places) = (stages, places.clone());
    let approved = Approved { definition: store::digest(&read.definition.text), places };
    plan.definition = Some(approved.definition.clone());
    Ok(approved)
}

/// Whose fault it is that there is no plan.
fn status_of(failure: &Failure) -> StatusCode {
    match failure.kind {
        FailureKind::Workload | FailureKind::Usage => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn clip(text: &str) -> String {
    text.chars().take(MOST.1).collect()
}

/// What is left out of places is not approved.
fn bounded(mut texts: Vec<String>) -> Vec<String> {
    let (most, longest) = MOST;
    texts.truncate(most);
    texts.retain(|text| text.len() <= longest);
    texts
}
