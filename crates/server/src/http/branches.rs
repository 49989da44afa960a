//! What definitions have said of their branches: how their runs live with each other, what is kept, when they are run, what they may be told.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use cron::Schedule;
use model::outcome::Outcome;
use model::properties::{Parameter, ParameterKind, Properties, Trigger};
use serde::Serialize;
use serde_json::{Value, json};
use store::{Millis, Project};
use utoipa::ToSchema;

use super::auth::User;
use super::error::Refused;
use super::paging::Names;
use crate::app::App;
use crate::config::ProjectConfig;
use crate::http::description;
use crate::policy::Action;

/// Branches of a project whose definitions have said something, by their names.
#[derive(Serialize, ToSchema)]
pub(super) struct Branches {
    branches: Vec<BranchShown>,
    /// Where the next page goes on.
    next_after: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Branch)]
struct BranchShown {
    /// Its name; of a pull request or a tag its reference.
    name: String,
    /// The run that has said it.
    run: u64,
    /// No run begins while another of the branch is under way.
    alone: bool,
    /// A new one ends those before it.
    abort_previous: bool,
    /// So many of the last runs are kept.
    keep_runs: Option<u64>,
    /// Runs that ended within so many days are kept.
    keep_days: Option<u64>,
    /// So many of the last runs keep what they have archived.
    keep_artifact_runs: Option<u64>,
    /// What was archived within so many days is kept.
    keep_artifact_days: Option<u64>,
    /// When the clock has it run, as Jenkins' `cron` says it.
    cron: Vec<String>,
    /// When its forge or its repository is asked what is new.
    poll: Vec<String>,
    /// After runs of which projects it is run.
    upstream: Vec<UpstreamShown>,
    /// When the clock has it run next, in milliseconds since 1970.
    next_at: Option<Millis>,
    /// What whoever asks for a run may say.
    parameters: Vec<ParameterShown>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BranchUpstream)]
struct UpstreamShown {
    projects: Vec<String>,
    /// If they went no worse than that.
    #[schema(schema_with = description::outcome)]
    threshold: Outcome,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BranchParameter)]
struct ParameterShown {
    name: String,
    /// `string`, `text`, `boolean`, `choice`, `password` or `other`.
    #[schema(value_type = String)]
    kind: ParameterKind,
    description: String,
    default: String,
    choices: Vec<String>,
}

impl BranchShown {
    /// `name` is what the values of `H` are chosen by.
    fn of(branch: String, run: u64, said: Properties, name: &str, now: Millis) -> BranchShown {
        let keep = said.keep.unwrap_or_default();
        let next = |text: &str| Schedule::parse(text, name).ok()?.next_after(now);
        let upstream = said.triggers.iter().filter_map(|trigger| match trigger {
            Trigger::Upstream { projects, threshold } => {
                Some(UpstreamShown { projects: projects.clone(), threshold: *threshold })
            }
            Trigger::Cron(_) | Trigger::PollScm(_) => None,
        });
        BranchShown {
            name: branch,
            run,
            alone: said.alone.is_some(),
            abort_previous: said.alone.is_some_and(|alone| alone.abort_previous),
            keep_runs: keep.runs,
            keep_days: keep.days,
            keep_artifact_runs: keep.artifact_runs,
            keep_artifact_days: keep.artifact_days,
            cron: said.crons().map(str::to_owned).collect(),
            poll: said.polls().map(str::to_owned).collect(),
            next_at: said.crons().filter_map(next).min(),
            upstream: upstream.collect(),
            parameters: said.parameters.into_iter().map(shown).collect(),
        }
    }
}

fn shown(of: Parameter) -> ParameterShown {
    let Parameter { name, kind, description, default, choices } = of;
    ParameterShown { name, kind, description, default, choices }
}

/// What the definitions of a project's branches have said.
#[utoipa::path(get, path = "/api/v1/projects/{name}/branches", tag = "projects",
    params(("name" = String, Path, description = "A slash is `%2F`."), Names), responses((status = 200, body = Branches)))]
pub(super) async fn of_project(
    State(app): State<Arc<App>>,
    user: User,
    Path(name): Path<String>,
    Query(names): Query<Names>,
) -> Result<Json<Branches>, Refused> {
    user.may(Action::SeeProject, Some(&name))?;
    let project = app.store.project(&name).await?.ok_or_else(|| Refused::missing("project"))?;
    let (page, next_after) = names.page(app.store.all_properties(Some(project.id)).await?, |said| &said.branch);
    let page = page.into_iter().map(|said| {
        let seed = crate::properties::seed(&project.name, &said.branch);
        BranchShown::of(said.branch, said.run.0, said.properties, &seed, app.now())
    });
    Ok(Json(Branches { branches: page.collect(), next_after }))
}

/// Jenkins' properties of a job: the parameters of the branch that is built where nobody says otherwise.
pub(super) async fn as_jenkins(app: &App, project: &Project, branch: Option<&str>) -> Result<Value, Refused> {
    let config = serde_json::from_value::<ProjectConfig>(project.config.clone()).ok();
    let default = || config.as_ref().and_then(|config| config.source.branch()).unwrap_or_default();
    let branch = branch.unwrap_or_else(default);
    let said = app.store.properties(project.id, branch).await?.unwrap_or_default();
    let of = |parameter: &Parameter| {
        let class = parameter.kind.class();
        let value = match parameter.kind {
            ParameterKind::Boolean => json!(parameter.default == "true"),
            ParameterKind::Password => Value::Null,
            _ => json!(parameter.default),
        };
        let mut of = json!({
            "_class": format!("hudson.model.{class}"), "type": class, "name": parameter.name, "description": parameter.description,
            "defaultParameterValue": { "name": parameter.name, "value": value },
        });
        if parameter.kind == ParameterKind::Choice {
            of["choices"] = json!(parameter.choices);
        }
        of
    };
    let all: Vec<_> = said.parameters.iter().map(of).collect();
    Ok(match all.is_empty() {
        true => json!([]),
        false => json!([{ "_class": "hudson.model.ParametersDefinitionProperty", "parameterDefinitions": all }]),
    })
}
