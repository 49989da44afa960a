//! What tools in the field ask a Jenkins for: jobs, builds, logs, triggers, badges, the list of `cc.xml`.
//!
//! Source: Jenkins' "Remote access API". A project `folder/app` is `/job/folder/job/app/`, and its branch `main` `/job/folder/job/app/job/main/`; numbers of builds are the project's. Some things are other than there: files are no parameters; the offset of
//! `progressiveText` counts lines (who hands back what `X-Text-Size` said, as all do, sees no difference), and a crumb is not needed, for
//! nothing here is done on the strength of a cookie.
//!
//! Never: what the API does not allow the same token.

pub(super) mod form;
pub(super) mod jobs;

use std::io;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use futures_util::{StreamExt as _, stream};
use maud::{PreEscaped, html};
use model::outcome::Outcome;
use model::run::RunFacts;
use serde_json::{Value, json};
use store::{Actor, NewRun, Run, Status, StoreError};

use self::form::{of_form, pairs};
use self::jobs::{Asked, Job, LAST, asked, is_last, job_of, job_url, run_url};
use super::auth::{User, Viewer};
use super::badges::{is_building, last_of_its_own};
use super::error::Refused;
use crate::app::App;
use crate::changes::{by_user, env_of_again, held, of_person};
use crate::config::ProjectConfig;
use crate::found::change_id;
use crate::logs;
use crate::policy::Action;

/// Branches of a project that are listed.
const JOBS: u32 = 200;
/// Builds of a job that are listed.
const BUILDS: u32 = 100;
/// Lines of a log in one answer of `progressiveText`.
const MOST_LINES: usize = 20_000;
/// Parameters of one build.
const MOST_PARAMS: usize = 200;

/// `GET /api/json`
pub(super) async fn root(State(app): State<Arc<App>>, user: User, headers: HeaderMap) -> Result<Json<Value>, Refused> {
    let base = base(&app, &headers);
    let mut jobs = Vec::new();
    for project in user.projects(&app).await? {
        let last = last_of_its_own(&app, &project).await?;
        jobs.push(json!({
            "_class": CLASS_OF_JOB, "name": project.name, "url": job_url(&base, &project.name), "color": color(last.as_ref()),
        }));
    }
    Ok(Json(json!({ "_class": "hudson.model.Hudson", "mode": "NORMAL", "url": format!("{base}/"), "jobs": jobs })))
}

const CLASS_OF_JOB: &str = "org.jenkinsci.plugins.workflow.job.WorkflowJob";
const CLASS_OF_RUN: &str = "org.jenkinsci.plugins.workflow.job.WorkflowRun";

/// `GET /crumbIssuer/api/json`
pub(super) async fn crumb(_user: User) -> Json<Value> {
    Json(json!({
        "_class": "hudson.security.csrf.DefaultCrumbIssuer", "crumb": "none-needed", "crumbRequestField": "Jenkins-Crumb",
    }))
}

/// `GET /crumbIssuer/api/xml`, and what scripts make of it: `?xpath=concat(//crumbRequestField,":",//crumb)`
pub(super) async fn crumb_as_xml(_user: User, RawQuery(query): RawQuery) -> Response {
    let wants_header =
        pairs(&query.unwrap_or_default()).any(|(name, value)| name == "xpath" && value.contains("concat("));
    match wants_header {
        true => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], "Jenkins-Crumb:none-needed").into_response(),
        false => {
            let xml = "<defaultCrumbIssuer _class=\"hudson.security.csrf.DefaultCrumbIssuer\"><crumb>none-needed</crumb>\
                <crumbRequestField>Jenkins-Crumb</crumbRequestField></defaultCrumbIssuer>";
            ([(CONTENT_TYPE, "application/xml")], xml).into_response()
        }
    }
}

/// `GET /queue/item/N/api/json`
pub(super) async fn queue_item(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    let (run, _) = super::runs::find(&app, &user, Action::SeeProject, id).await?;
    let base = base(&app, &headers);
    let waits = run.status == Status::Queued;
    let executable = (!waits).then(|| json!({ "number": run.number, "url": run_url(&base, &run) }));
    Ok(Json(json!({
        "_class": if waits { "hudson.model.Queue$WaitingItem" } else { "hudson.model.Queue$LeftItem" },
        "id": id, "blocked": false, "buildable": waits, "stuck": false, "cancelled": false,
        "why": waits.then(|| super::runs::why(&app, &run)), "executable": executable,
        "task": { "name": job_of(&run), "url": job_url(&base, &job_of(&run)) },
    })))
}

/// `GET` and `POST /job/…`
pub(super) async fn job(
    State(app): State<Arc<App>>,
    (user, viewer): (Result<User, Refused>, Result<Viewer, Response>),
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
    body: String,
) -> Result<Response, Refused> {
    let Asked { job, rest } = asked(&path);
    // What `BUILD_URL` and its like lead people to.
    if let (&Method::GET, [number] | [number, "console"] | [number, "display", "redirect"]) = (&method, rest.as_slice())
    {
        let user = match (user, viewer) {
            (Ok(user), _) | (_, Ok(Viewer(user))) => user,
            (_, Err(to_login)) => return Ok(to_login),
        };
        let run = Job::find(&app, &user, &job).await?.build(&app, number).await?;
        return Ok(Redirect::to(&format!("/runs/{}", run.id.0)).into_response());
    }
    if let (&Method::GET, ["badge", "icon"] | ["lastBuild" | "lastCompletedBuild", "badge", "icon"]) =
        (&method, &rest[..])
    {
        return super::badges::of(&app, (user, viewer), Job::named(&app, &job).await?).await;
    }
    let user = user?;
    let job = Job::find(&app, &user, &job).await?;
    let base = base(&app, &headers);
    let query = query.unwrap_or_default();
    match (&method, rest.as_slice()) {
        (&Method::POST, ["build" | "buildWithParameters"]) => {
            let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            let kind = kind.split(';').next().unwrap_or_default().trim();
            if kind.starts_with("multipart/") {
                let reason =
                    "parameters are taken from the address or from a form that is URL-encoded, and files not at all";
                return Err(Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason.into()));
            }
            let form = kind == "application/x-www-form-urlencoded";
            let given = pairs(&query).chain(pairs(if form { &body } else { "" }));
            let actor = user.may(Action::TriggerRun, Some(&job.project.name))?;
            let run = build(&app, actor, &job, given.collect()).await?;
            let place = format!("{base}/queue/item/{}/", run.id.0);
            Ok((StatusCode::CREATED, [("location", place)]).into_response())
        }
        (&Method::GET, ["api", "json"]) => Ok(Json(described(&app, &base, &job).await?).into_response()),
        (&Method::GET, [number, "artifact", parts @ ..]) => {
            let run = job.build(&app, number).await?;
            super::artifacts::hand_out(&app, &run, &parts.join("/"), &headers).await
        }
        (_, [number, rest @ ..]) => {
            let run = job.build(&app, number).await?;
            of_run(&app, user, &base, &run, (&method, rest), &query).await
        }
        _ => Err(Refused::missing("page")),
    }
}

async fn of_run(
    app: &Arc<App>,
    user: User,
    base: &str,
    run: &Run,
    (method, rest): (&Method, &[&str]),
    query: &str,
) -> Result<Response, Refused> {
    match (method, rest) {
        (&Method::GET, ["api", "json"]) => {
            let artifacts = super::artifacts::of_run(app, run, "").await?;
            let shown = artifacts.iter().map(|artifact| {
                let name = artifact.path.rsplit('/').next();
                json!({ "displayPath": name, "fileName": name, "relativePath": artifact.path })
            });
            let mut build = build_of(base, run);
            build["artifacts"] = shown.collect();
            Ok(Json(build).into_response())
        }
        (&Method::GET, ["testReport", "api", "json"]) => {
            Ok(super::test_results::as_jenkins(app, run).await?.into_response())
        }
        (&Method::GET, ["consoleText"]) => {
            // Of the rest no more is in memory than who reads it takes at once.
            let (first, next) = text_from(app, run, 0).await?;
            let rest = stream::try_unfold((Arc::clone(app), run.clone(), next), async |(app, run, from)| {
                let (text, next) =
                    text_from(&app, &run, from).await.map_err(|Refused(_, why)| io::Error::other(why))?;
                Ok::<_, io::Error>((next > from).then_some((text, (app, run, next))))
            });
            let whole = stream::once(std::future::ready(Ok(first))).chain(rest);
            Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from_stream(whole)).into_response())
        }
        (&Method::GET, ["logText", "progressiveText"]) => {
            let start = pairs(query).find(|(name, _)| name == "start").and_then(|(_, value)| value.parse().ok());
            let (text, next) = text_from(app, run, start.unwrap_or(0)).await?;
            let more = run.status != Status::Done || next < run.lines;
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static("x-text-size"), HeaderValue::from(next));
            if more {
                headers.insert(HeaderName::from_static("x-more-data"), HeaderValue::from_static("true"));
            }
            Ok((headers, text).into_response())
        }
        (&Method::POST, ["stop" | "term" | "kill"]) => {
            let actor = user.may(Action::EndRun, Some(&run.project_name))?;
            super::runs::end(app, &actor, run, "Aborted by a client of Jenkins").await?;
            Ok(StatusCode::OK.into_response())
        }
        _ => Err(Refused::missing("page")),
    }
}

/// Lines from `from` on, and the number of the next.
async fn text_from(app: &App, run: &Run, from: u64) -> Result<(String, u64), Refused> {
    let lines = logs::read(app, run.id, from, MOST_LINES).await?;
    let text = lines.iter().map(|line| format!("{}\n", line.text)).collect();
    Ok((text, from + lines.len() as u64))
}

async fn build(app: &App, actor: Actor, job: &Job, given: Vec<(String, String)>) -> Result<Run, Refused> {
    // What Jenkins itself reads there.
    let is_param = |name: &str| !["token", "cause", "delay", "json", "Submit"].contains(&name);
    let (form, given): (Vec<_>, Vec<_>) = given.into_iter().partition(|(name, _)| name == "json");
    let mut params: Vec<_> = given.into_iter().filter(|(name, _)| is_param(name)).collect();
    for (_, text) in form {
        params.extend(of_form(&text).map_err(Refused::bad)?);
    }
    if params.len() > MOST_PARAMS {
        return Err(Refused::bad(format!("more than {MOST_PARAMS} parameters")));
    }
    let config: ProjectConfig = serde_json::from_value(job.project.config.clone())
        .map_err(|error| StoreError::Damaged { what: "a project", reason: error.to_string() })?;
    // Of a branch what was run there last says where it is, and of a pull request whose it is and what it is merged with.
    let last = if job.branch.is_some() { job.builds(app, 1).await?.into_iter().next() } else { None };
    let of_branch = job.branch.as_ref().map(|branch| format!("refs/heads/{branch}"));
    let (revision, env) = match &last {
        Some(last) => (last.revision.clone().or(of_branch), env_of_again(&last.facts)),
        None => (None, Vec::new()),
    };
    let (revision, trust, merge) = match last.filter(|last| change_id(last).is_some()) {
        Some(request) => (revision, request.trust, request.merge),
        None => {
            let (revision, trust) = of_person(app, job.project.id, &config, revision).await?;
            (revision, trust, None)
        }
    };
    let facts = RunFacts { causes: vec![by_user(&actor)], has_scm: true, params, env, ..RunFacts::default() };
    let (reports, held, trust) = (config.reports(), held(&config, trust), Some(trust));
    let new = NewRun { facts, revision, reports, held, trust, merge, ..NewRun::default() };
    let run = app.create_run(&actor, &job.project.name, new).await?;
    app.hub.wake();
    app.changed(run.id);
    Ok(run)
}

async fn described(app: &App, base: &str, job: &Job) -> Result<Value, Refused> {
    let runs = job.builds(app, BUILDS).await?;
    let short = |run: &Run| json!({ "_class": CLASS_OF_RUN, "number": run.number, "url": run_url(base, run) });
    let full = job.name();
    let name = full.rsplit('/').next().unwrap_or(&full);
    let shown = job.branch.as_deref().unwrap_or(name);
    let mut told = json!({
        "_class": CLASS_OF_JOB, "name": name, "fullName": full, "fullDisplayName": full, "displayName": shown,
        "url": job_url(base, &full), "buildable": true, "color": color(runs.first()),
        "inQueue": runs.iter().any(|run| run.status == Status::Queued), "nextBuildNumber": job.project.last_number + 1,
        "property": super::branches::as_jenkins(app, &job.project, job.branch.as_deref()).await?,
        "builds": runs.iter().map(short).collect::<Vec<_>>(),
    });
    for word in LAST {
        let listed = runs.iter().find(|run| is_last(word, run)).cloned();
        let last = match listed {
            None if runs.len() == BUILDS as usize => job.last(app, word).await?,
            listed => listed,
        };
        told[word] = last.as_ref().map(short).into();
    }
    if job.branch.is_none() {
        let last = app.store.last_of_branches(job.project.id, JOBS).await?;
        let branch = |run: &Run| {
            let full = job_of(run);
            let name = full.rsplit('/').next();
            json!({ "_class": CLASS_OF_JOB, "name": name, "url": job_url(base, &full), "color": color(Some(run)) })
        };
        told["jobs"] = last.iter().map(branch).collect();
    }
    Ok(told)
}

fn build_of(base: &str, run: &Run) -> Value {
    let took = run.started_at.zip(run.ended_at).map_or(0, |(started, ended)| ended.saturating_sub(started));
    let causes = run.facts.causes.iter();
    let causes: Vec<_> = causes
        .map(|cause| json!({ "_class": cause.class, "shortDescription": cause.description, "userId": cause.user }))
        .collect();
    let param = |(name, value): &(String, String)| match run.facts.hides(name) {
        true => json!({ "_class": "hudson.model.PasswordParameterValue", "name": name }),
        false => json!({ "name": name, "value": value }),
    };
    let params: Vec<_> = run.facts.params.iter().map(param).collect();
    let mut actions = vec![json!({ "_class": "hudson.model.CauseAction", "causes": causes })];
    if !params.is_empty() {
        actions.push(json!({ "_class": "hudson.model.ParametersAction", "parameters": params }));
    }
    let name = run.display_name.clone().unwrap_or_else(|| format!("#{}", run.number));
    json!({
        "_class": CLASS_OF_RUN, "number": run.number, "id": run.number.to_string(), "queueId": run.id.0, "displayName": name,
        "description": run.description, "fullDisplayName": format!("{} {name}", job_of(run)), "url": run_url(base, run),
        "building": run.status != Status::Done, "inProgress": run.status != Status::Done,
        "result": run.outcome.map(Outcome::name), "timestamp": run.started_at.unwrap_or(run.queued_at), "duration": took,
        "actions": actions, "artifacts": [], "changeSets": [],
    })
}

/// Jenkins' word for how a job stands.
fn color(last: Option<&Run>) -> String {
    let Some(run) = last else { return "notbuilt".to_owned() };
    match (run.status, run.outcome) {
        (Status::Done, Some(Outcome::Success)) => "blue",
        (Status::Done, Some(Outcome::Unstable)) => "yellow",
        (Status::Done, Some(Outcome::Failure)) => "red",
        (Status::Done, Some(Outcome::NotBuilt)) => "notbuilt",
        (Status::Done, _) => "aborted",
        _ => "blue_anime",
    }
    .to_owned()
}

/// `GET /cc.xml`
pub(super) async fn cc(State(app): State<Arc<App>>, user: User, headers: HeaderMap) -> Result<Response, Refused> {
    let base = base(&app, &headers);
    let (running, mut projects) = (app.store.running().await?, Vec::new());
    for project in user.projects(&app).await? {
        let runs_now = is_building(&running, &project);
        let last = last_of_its_own(&app, &project).await?;
        projects.push((project, runs_now, last));
    }
    let xml = html! {
        (PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"))
        Projects {
            @for (project, runs_now, last) in &projects {
                Project name=(project.name) activity=(if *runs_now { "Building" } else { "Sleeping" })
                    lastBuildStatus=(status_of(last.as_ref())) lastBuildLabel=[last.as_ref().map(|run| run.number)]
                    lastBuildTime=[last.as_ref().and_then(|run| time(run.ended_at?))] webUrl=(job_url(&base, &project.name)) {}
            }
        }
    };
    Ok(([("content-type", "application/xml")], xml.into_string()).into_response())
}

fn status_of(last: Option<&Run>) -> &'static str {
    match last.and_then(|run| run.outcome) {
        Some(Outcome::Success | Outcome::Unstable) => "Success",
        Some(Outcome::Failure) => "Failure",
        Some(_) => "Exception",
        None => "Unknown",
    }
}

/// As ISO 8601 has it.
fn time(ms: u64) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Where the server is found: as it was told, or as who asks has found it.
fn base(app: &App, headers: &HeaderMap) -> String {
    let host = || headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let given = app.config.url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
    given.unwrap_or_else(|| format!("{}://{}", app.config.scheme(), host()))
}
