//! What is spoken over HTTP: one file for each kind of thing.

mod agents;
mod artifacts;
mod audit;
mod auth;
mod error;
mod hooks;
mod jenkins;
mod metrics;
mod oidc;
mod pages;
mod people;
mod projects;
mod runs;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware;
use axum::response::Response;
use axum::routing::{delete, get, post, put};

use crate::app::App;

pub(crate) use metrics::Counted;
pub(crate) use oidc::Logins;
pub(crate) use runs::end;

/// Largest body of a request: what is larger comes over the agents' connection, or as an artifact, which is never in memory as a whole.
const MAX_BODY_BYTES: usize = 1 << 20;

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(pages::home))
        .route("/runs/{id}", get(pages::run))
        .route("/runs/{id}/artifacts/{*path}", get(artifacts::page))
        .route("/login", get(auth::ask).post(auth::login))
        .route("/login/oidc", get(oidc::begin))
        .route("/login/oidc/callback", get(oidc::end))
        .route("/logout", post(auth::logout))
        .route("/healthz", get(pages::health))
        .route("/metrics", get(metrics::show))
        .route("/api/v1/projects", get(projects::list))
        .route("/api/v1/projects/{name}", put(projects::put).get(projects::get))
        .route("/api/v1/projects/{name}/runs", post(runs::create))
        .route("/api/v1/runs", get(runs::list))
        .route("/api/v1/runs/{id}", get(runs::get))
        .route("/api/v1/runs/{id}/abort", post(runs::abort))
        .route("/api/v1/runs/{id}/rerun", post(runs::rerun))
        .route("/api/v1/runs/{id}/approve", post(runs::approve))
        .route("/api/v1/queue", get(runs::queue))
        .route("/api/v1/runs/{id}/events", get(runs::events))
        .route("/api/v1/runs/{id}/log", get(runs::log))
        .route("/api/v1/runs/{id}/log/live", get(runs::live))
        .route("/api/v1/runs/{id}/artifacts", get(artifacts::list))
        .route("/api/v1/runs/{id}/artifacts/{*path}", get(artifacts::get))
        .route("/api/v1/audit", get(audit::list))
        .route("/api/v1/me", get(people::me))
        .route("/api/v1/me/password", post(people::password))
        .route("/api/v1/people", get(people::list))
        .route("/api/v1/people/{name}", put(people::put))
        .route("/api/v1/tokens", get(people::tokens).post(people::make_token))
        .route("/api/v1/tokens/{id}", delete(people::remove_token))
        .route("/api/v1/agents", get(agents::list))
        .route("/api/v1/agents/tokens", post(agents::token))
        .route("/hooks/{project}", post(hooks::hear))
        .route("/api/json", get(jenkins::root))
        .route("/job/{*path}", get(jenkins::job).post(jenkins::job))
        .route("/queue/item/{id}/api/json", get(jenkins::queue_item))
        .route("/crumbIssuer/api/json", get(jenkins::crumb))
        .route("/buildStatus/icon", get(jenkins::badge))
        .route("/cc.xml", get(jenkins::cc))
        .route("/agent/v1/enrol", post(agents::enrol))
        .route("/agent/v1/connect", get(agents::connect))
        .route("/agent/v1/runs/{id}/artifacts/{*path}", put(artifacts::put))
        .layer(middleware::map_response(guarded))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(app)
}

/// What browsers are told of every answer: nothing in it runs, nothing frames it, nothing of it is guessed.
const GUARDS: [(HeaderName, &str); 4] = [
    (
        HeaderName::from_static("content-security-policy"),
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    ),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
    (HeaderName::from_static("referrer-policy"), "same-origin"),
    (HeaderName::from_static("cache-control"), "no-store"),
];

async fn guarded(mut response: Response) -> Response {
    for (name, value) in GUARDS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
