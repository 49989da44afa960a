//! Remarks of runs on lines of their files.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use maud::{Markup, html};
use model::annotation::{Annotation, MAX_OF_RUN};
use serde::Serialize;
use store::Run;
use utoipa::ToSchema;

use super::auth::User;
use super::error::Refused;
use crate::app::App;
use crate::policy::Action;

/// Shown on a run's page.
const ON_PAGE: usize = 100;

/// Remarks of a run.
#[derive(Serialize, ToSchema)]
pub(super) struct Annotations {
    /// At most 1000.
    annotations: Vec<Shown>,
}

/// A remark.
#[derive(Serialize, ToSchema)]
#[schema(as = Annotation)]
struct Shown {
    /// Within the project.
    path: String,
    /// From 1.
    first_line: u32,
    last_line: u32,
    /// The first and the last, from 1.
    columns: Option<[u32; 2]>,
    /// `notice`, `warning` or `failure`.
    level: &'static str,
    title: Option<String>,
    message: String,
}

impl From<Annotation> for Shown {
    fn from(Annotation { path, first_line, last_line, columns, level, title, message }: Annotation) -> Shown {
        let columns = columns.map(|(first, last)| [first, last]);
        Shown { path, first_line, last_line, columns, level: level.word(), title, message }
    }
}

/// What a run has remarked on lines of its project's files (`publishChecks`).
#[utoipa::path(get, path = "/api/v1/runs/{id}/annotations", tag = "runs", params(("id" = u64, Path)),
    responses((status = 200, body = Annotations)))]
pub(super) async fn annotations(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<u64>,
) -> Result<Json<Annotations>, Refused> {
    let (run, _) = super::runs::find(&app, &user, Action::SeeProject, id).await?;
    let annotations = app.store.annotations(run.id, MAX_OF_RUN).await?;
    Ok(Json(Annotations { annotations: annotations.into_iter().map(Shown::from).collect() }))
}

/// For the page of a run.
pub(super) async fn of_run(app: &App, run: &Run) -> Result<Markup, Refused> {
    let annotations = app.store.annotations(run.id, ON_PAGE + 1).await?;
    if annotations.is_empty() {
        return Ok(Markup::default());
    }
    Ok(html! {
        h2 { "Annotations" }
        @for Annotation { path, first_line, level, title, message, .. } in annotations.iter().take(ON_PAGE) {
            details {
                summary { code { (path) ":" (first_line) } " " (level.word()) @if let Some(title) = title { ": " (title) } }
                pre { (message) }
            }
        }
        @if annotations.len() > ON_PAGE {
            p { "There are more: " code { "/api/v1/runs/" (run.id.0) "/annotations" } }
        }
    })
}
