//! Projects.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use store::Project;
use utoipa::ToSchema;

use super::auth::User;
use super::body::Sent;
use super::error::Refused;
use super::paging::Names;
use crate::app::App;
use crate::config::ProjectConfig;
use crate::policy::{Action, Grant};
use crate::projects::{self, NotTaken};

/// A project.
#[derive(Serialize, ToSchema)]
#[schema(as = Project)]
pub(super) struct Shown {
    name: String,
    /// In place of secrets it has `…`. None: a configuration of another version of this server.
    config: Option<ProjectConfig>,
    /// Of its runs.
    last_number: u64,
}

/// Projects that one may see.
#[derive(Serialize, ToSchema)]
pub(super) struct Projects {
    projects: Vec<Shown>,
    /// Where the next page goes on.
    next_after: Option<String>,
}

fn shown(project: &Project) -> Shown {
    let config = serde_json::from_value::<ProjectConfig>(project.config.clone()).map(|config| config.told()).ok();
    Shown { name: project.name.clone(), config, last_number: project.last_number }
}

/// Projects that one may see, by their names.
#[utoipa::path(get, path = "/api/v1/projects", tag = "projects", params(Names), responses((status = 200, body = Projects)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    user: User,
    Query(names): Query<Names>,
) -> Result<Json<Projects>, Refused> {
    let (projects, next_after) = names.page(user.projects(&app).await?, |project| &project.name);
    Ok(Json(Projects { projects: projects.iter().map(shown).collect(), next_after }))
}

/// A project.
#[utoipa::path(get, path = "/api/v1/projects/{name}", tag = "projects",
    params(("name" = String, Path, description = "A slash is `%2F`.")), responses((status = 200, body = Shown)))]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    user: User,
    Path(name): Path<String>,
) -> Result<Json<Shown>, Refused> {
    user.may(Action::SeeProject, Some(&name))?;
    let project = app.store.project(&name).await?.ok_or_else(|| Refused::missing("project"))?;
    Ok(Json(shown(&project)))
}

/// Makes a project, or changes all of it.
#[utoipa::path(put, path = "/api/v1/projects/{name}", tag = "projects", request_body = ProjectConfig,
    params(("name" = String, Path, description = "A slash is `%2F`.")), responses((status = 200, body = Shown)))]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    user: User,
    Path(name): Path<String>,
    Sent(config): Sent<Value>,
) -> Result<Json<Shown>, Refused> {
    let actor = user.may(Action::ChangeProject, Some(&name))?;
    if let Some(file) = app.project_files.of(&name) {
        let what = format!("{name} is what {} on the server says", file.display());
        return Err(Refused(StatusCode::CONFLICT, what));
    }
    let known: ProjectConfig = serde_json::from_value(config).map_err(|error| Refused::bad(error.to_string()))?;
    for role in known.people.values() {
        // Who may not themselves gives nobody else what they may not.
        if !user.who().may_give(&Grant { role: *role, on: name.clone(), alone: true }) {
            let what = format!("people: who is no {} of {name} makes nobody one", role.name());
            return Err(Refused(StatusCode::FORBIDDEN, what));
        }
    }
    if let Some(upstream) = &known.upstream {
        for project in &upstream.projects {
            user.may(Action::SeeProject, Some(project))?;
        }
    }
    Ok(Json(shown(&projects::put(&app, &actor, &name, &known).await?)))
}

impl From<NotTaken> for Refused {
    fn from(error: NotTaken) -> Refused {
        match error {
            NotTaken::Unfit(what) => Refused::bad(what),
            NotTaken::Store(error) => error.into(),
        }
    }
}
