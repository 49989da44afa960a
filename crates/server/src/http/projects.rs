//! Projects.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Value;
use store::Project;
use utoipa::ToSchema;

use super::auth::User;
use super::error::Refused;
use crate::app::App;
use crate::config::ProjectConfig;
use crate::policy::Action;
use crate::scan::Wanted;

/// The longest name of a project, in bytes.
const MAX_NAME: usize = 200;
/// The shortest secret of a hook: shorter ones can be guessed.
const MIN_SECRET: usize = 16;

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
}

fn shown(project: &Project) -> Shown {
    let config = serde_json::from_value::<ProjectConfig>(project.config.clone()).map(|config| config.told()).ok();
    Shown { name: project.name.clone(), config, last_number: project.last_number }
}

/// Projects that one may see.
#[utoipa::path(get, path = "/api/v1/projects", tag = "projects", responses((status = 200, body = Projects)))]
pub(super) async fn list(State(app): State<Arc<App>>, user: User) -> Result<Json<Projects>, Refused> {
    let projects = user.projects(&app).await?.iter().map(shown).collect();
    Ok(Json(Projects { projects }))
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
    Json(config): Json<Value>,
) -> Result<Json<Shown>, Refused> {
    let actor = user.may(Action::ChangeProject, Some(&name))?;
    // A name is part of paths and of variables.
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let parts_fit = name.split('/').all(|part| !part.trim_matches('.').is_empty());
    if name.len() > MAX_NAME || !name.chars().all(fits) || !parts_fit {
        return Err(Refused::bad("a name of a project has letters, digits and -_., in parts between slashes"));
    }
    let known: ProjectConfig = serde_json::from_value(config).map_err(|error| Refused::bad(error.to_string()))?;
    if known.hook.as_ref().is_some_and(|hook| hook.secret.len() < MIN_SECRET) {
        return Err(Refused::bad(format!("the secret of a hook has at least {MIN_SECRET} characters")));
    }
    if known.report.as_ref().is_some_and(|report| report.api().is_none_or(|api| !api.starts_with("http"))) {
        return Err(Refused::bad("report: the API of that forge is not known: give its address as `api`"));
    }
    if let Some(what) = known.unfit() {
        return Err(Refused::bad(what));
    }
    if let Some(label) = &known.label {
        label.parse::<queue::line::Expression>().map_err(|error| Refused::bad(format!("label: {error}")))?;
    }
    if let Some(text) = &known.cron {
        cron::Schedule::parse(text, &name).map_err(|error| Refused::bad(format!("cron: {error}")))?;
    }
    if let Some(upstream) = &known.upstream {
        for project in &upstream.projects {
            user.may(Action::SeeProject, Some(project))?;
        }
        if crate::upstream::is_circle(&app, &name, upstream).await? {
            return Err(Refused::bad("upstream: the project would follow from itself"));
        }
    }
    let json = |config: &ProjectConfig| serde_json::to_value(config).map_err(|error| Refused::bad(error.to_string()));
    let (config, told) = (json(&known)?, json(&known.told())?);
    let project = app.store.put_project(&actor, &name, &config, &told, app.now()).await?;
    crate::line::changed(&app, &project).await?;
    if known.is_looked_at() {
        // Nobody need look.
        let _ = app.scan.send(Wanted { project: name, target: None });
    }
    app.house.notify_one();
    Ok(Json(shown(&project)))
}
