//! What is spoken over HTTP: one file for each kind of thing.

#![allow(unused_qualifications, reason = "what utoipa's macros write")]

mod account;
mod agents;
mod annotations;
mod approvals;
mod artifacts;
mod audit;
mod auth;
mod badges;
mod body;
mod branches;
pub(crate) mod description;
mod error;
mod events;
mod hooks;
mod jenkins;
mod live;
mod logs;
mod metrics;
mod oidc;
mod pages;
mod paging;
mod people;
mod projects;
mod questions;
mod restarts;
mod runs;
mod stages;
mod test_results;
mod unvouched;
mod validate;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

use description::{Description, complete};

pub(crate) use metrics::Counted;
pub(crate) use oidc::Logins;
pub(crate) use runs::end;
pub(crate) use unvouched::Room;

/// Largest body of a request: what is larger comes over the agents' connection, or as an artifact, which is never in memory as a whole.
const MAX_BODY_BYTES: usize = 1 << 20;

/// What is described, and what describes it.
fn api() -> (Router<Arc<App>>, utoipa::openapi::OpenApi) {
    let api = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(projects::list))
        .routes(routes!(projects::put, projects::get))
        .routes(routes!(branches::of_project))
        .routes(routes!(runs::create))
        .routes(routes!(runs::list))
        .routes(routes!(runs::get))
        .routes(routes!(runs::abort))
        .routes(routes!(runs::rerun))
        .routes(routes!(annotations::annotations))
        .routes(routes!(approvals::plan))
        .routes(routes!(approvals::approve))
        .routes(routes!(runs::queue))
        .routes(routes!(questions::list))
        .routes(routes!(questions::answer))
        .routes(routes!(events::events))
        .routes(routes!(logs::log))
        .routes(routes!(live::follow_log))
        .routes(routes!(live::follow_run))
        .routes(routes!(live::follow_all))
        .routes(routes!(artifacts::list))
        .routes(routes!(artifacts::get))
        .routes(routes!(test_results::list))
        .routes(routes!(test_results::history))
        .routes(routes!(test_results::flaky))
        .routes(routes!(audit::list))
        .routes(routes!(people::me))
        .routes(routes!(people::password))
        .routes(routes!(people::list))
        .routes(routes!(people::put))
        .routes(routes!(people::tokens, people::make_token))
        .routes(routes!(people::remove_token))
        .routes(routes!(agents::list))
        .routes(routes!(agents::token))
        .routes(routes!(agents::remove));
    let (router, described) = api.split_for_parts();
    (router, complete(described))
}

pub(crate) fn router(app: Arc<App>) -> Router {
    let (api, described) = api();
    api.route("/api/v1/openapi.json", get(async move || Json(described)))
        .route("/", get(pages::home))
        .route("/queue", get(pages::queue))
        .route("/agents", get(pages::agents))
        .route("/account", get(account::show))
        .route("/account/tokens", post(account::make_token))
        .route("/account/tokens/{id}/remove", post(account::remove_token))
        .route("/runs/{id}", get(pages::run))
        .route("/runs/{id}/log", get(pages::log))
        .route("/runs/{id}/artifacts/{*path}", get(artifacts::page))
        .route("/tests", get(test_results::page))
        .route("/runs/{id}/questions/{number}", post(questions::said))
        .route("/login", get(auth::ask).post(auth::login))
        .route("/login/oidc", get(oidc::begin))
        .route("/login/oidc/callback", get(oidc::end))
        .route("/logout", post(auth::logout))
        .route("/healthz", get(pages::health))
        .route("/metrics", get(metrics::show))
        .route("/hooks/{project}", post(hooks::hear))
        .route("/api/json", get(jenkins::root))
        .route("/job/{*path}", get(jenkins::job).post(jenkins::job))
        .route("/queue/item/{id}/api/json", get(jenkins::queue_item))
        .route("/crumbIssuer/api/json", get(jenkins::crumb))
        .route("/crumbIssuer/api/xml", get(jenkins::crumb_as_xml))
        .route("/pipeline-model-converter/validate", post(validate::validate))
        .route("/buildStatus/icon", get(badges::by_name))
        .route("/cc.xml", get(jenkins::cc))
        .route("/agent/v1/enrol", post(agents::enrol))
        .route("/agent/v1/connect", get(agents::connect))
        .route("/agent/v1/runs/{id}/artifacts", get(artifacts::list_own))
        .route("/agent/v1/runs/{id}/artifacts/{*path}", get(artifacts::get_own).put(artifacts::put))
        .route("/agent/v1/runs/{id}/stashes/{name}", get(artifacts::get_stash).put(artifacts::put_stash))
        .layer(middleware::map_response(guarded))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(app)
}

/// What is told with every answer: to browsers, that nothing in it runs, nothing frames it, nothing of it is guessed.
const GUARDS: [(HeaderName, &str); 5] = [
    (
        HeaderName::from_static("content-security-policy"),
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    ),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
    (HeaderName::from_static("referrer-policy"), "same-origin"),
    (HeaderName::from_static("cache-control"), "no-store"),
    // By which tools know that they are understood: the Jenkins whose endpoints these are like.
    (HeaderName::from_static("x-jenkins"), "2.479"),
];

async fn guarded(mut response: Response) -> Response {
    for (name, value) in GUARDS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
