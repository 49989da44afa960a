//! How a project stands, as a picture for a page of somebody else's.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use maud::html;
use model::outcome::Outcome;
use serde::Deserialize;
use store::{Project, Run, Standing};

use super::auth::{User, Viewer};
use super::error::Refused;
use super::jenkins::jobs::Job;
use crate::app::App;
use crate::config::ProjectConfig;

/// Which job a badge is of.
#[derive(Deserialize)]
pub(super) struct Badge {
    job: String,
}

/// The branch of a project that is built by default.
fn branch_of(project: &Project) -> Option<String> {
    let config = serde_json::from_value::<ProjectConfig>(project.config.clone()).ok()?;
    config.source.branch().map(str::to_owned)
}

/// The last run of the branch that is built by default that has ended. What is somebody else's, or is to be merged, says nothing of the project.
pub(super) async fn last_of_its_own(app: &App, project: &Project) -> Result<Option<Run>, Refused> {
    Ok(app.store.last_of_default(project.id, branch_of(project).as_deref()).await?)
}

/// Whether such a run is among these, which agents have.
pub(super) fn is_building(running: &[Standing], project: &Project) -> bool {
    let branch = branch_of(project);
    running.iter().any(|of| of.project == project.id && of.is_of_default(branch.as_deref()))
}

/// `GET /buildStatus/icon?job=NAME`
pub(super) async fn by_name(
    State(app): State<Arc<App>>,
    (user, viewer): (Result<User, Refused>, Result<Viewer, Response>),
    Query(Badge { job }): Query<Badge>,
) -> Result<Response, Refused> {
    let job = Job::named(&app, &job).await?;
    of(&app, (user, viewer), job).await
}

/// The badge of a project: for who sees it, and for everybody where the project says so. To anybody else there is none, whether there is
/// such a project or not.
pub(super) async fn of(
    app: &App,
    (user, viewer): (Result<User, Refused>, Result<Viewer, Response>),
    job: Option<Job>,
) -> Result<Response, Refused> {
    let config = |project: &Project| serde_json::from_value::<ProjectConfig>(project.config.clone()).ok();
    // Which others there are is nobody's business.
    let is_of_default =
        |job: &Job, config: &ProjectConfig| job.branch.is_none() || job.branch.as_deref() == config.source.branch();
    let is_public = job.as_ref().is_some_and(|job| {
        config(&job.project).is_some_and(|config| config.public_badge && is_of_default(job, &config))
    });
    let job = match (is_public, job) {
        (true, Some(job)) => job,
        (_, job) => {
            let user = user.or_else(|refused| viewer.map(|Viewer(user)| user).map_err(|_| refused))?;
            job.filter(|job| user.sees(&job.project.name)).ok_or_else(|| Refused::missing("job"))?
        }
    };
    let last = match job.branch {
        Some(_) => job.last(app, "lastCompletedBuild").await?,
        None => last_of_its_own(app, &job.project).await?,
    };
    let (word, fill) = match last.and_then(|run| run.outcome) {
        Some(Outcome::Success) => ("passing", "#2da44e"),
        Some(Outcome::Unstable) => ("unstable", "#bf8700"),
        Some(Outcome::Failure) => ("failing", "#cf222e"),
        Some(_) => ("aborted", "#6e7781"),
        None => ("not run", "#6e7781"),
    };
    let svg = html! {
        svg xmlns="http://www.w3.org/2000/svg" width="110" height="20" role="img" aria-label={ "build: " (word) } {
            rect width="40" height="20" fill="#555" {}
            rect x="40" width="70" height="20" fill=(fill) {}
            g fill="#fff" font-family="Verdana,sans-serif" font-size="11" text-anchor="middle" {
                text x="20" y="14" { "build" }
                text x="75" y="14" { (word) }
            }
        }
    };
    Ok(([("content-type", "image/svg+xml")], svg.into_string()).into_response())
}
