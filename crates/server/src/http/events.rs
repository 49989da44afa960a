//! What happened in a run, as it is told.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use model::event::Event as Happening;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Millis;
use utoipa::{IntoParams, ToSchema};

use super::auth::User;
use super::error::Refused;
use super::runs::{EVENTS, find};
use crate::app::App;
use crate::policy::Action;

/// Where to go on: `from` is a line of the log, `after` an event of the run.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct Position {
    /// Of a log: the first line that is wanted, from 0.
    pub(super) from: u64,
    /// Of events: the number of the last that is known.
    pub(super) after: u64,
}

/// What happened in a run.
#[derive(Serialize, ToSchema)]
pub(super) struct Events {
    /// At most 1000.
    events: Vec<Happened>,
}

/// Something that happened.
#[derive(Serialize, ToSchema)]
pub(super) struct Happened {
    /// Its number in the run.
    pub(super) seq: u64,
    at: u64,
    /// An object whose `event` says what kind it is.
    event: Value,
}

impl From<(u64, Millis, Happening)> for Happened {
    fn from((seq, at, event): (u64, Millis, Happening)) -> Happened {
        Happened { seq, at, event: serde_json::to_value(event).unwrap_or_default() }
    }
}

/// What happened in a run.
#[utoipa::path(get, path = "/api/v1/runs/{id}/events", tag = "runs", params(("id" = u64, Path), Position), responses((status = 200, body = Events)))]
pub(super) async fn events(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<u64>,
    Query(from): Query<Position>,
) -> Result<Json<Events>, Refused> {
    let (run, _) = find(&app, &user, Action::SeeProject, id).await?;
    let events = app.store.events(run.id, from.after, EVENTS).await?;
    Ok(Json(Events { events: events.into_iter().map(Happened::from).collect() }))
}
