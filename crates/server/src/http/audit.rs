//! Who did what.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::auth::User;
use super::error::Refused;
use crate::app::App;
use crate::policy::Action;

/// Rows of one answer at most.
const MAX_ROWS: u32 = 1000;

/// Which rows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct Which {
    /// The number of the last that is known.
    after: u64,
    /// At most 1000.
    limit: u32,
}

/// A record: in a chain, for each has the digest of the one before in its own.
#[derive(Serialize, ToSchema)]
pub(super) struct Record {
    seq: u64,
    /// RFC 3339.
    at: Option<String>,
    actor: String,
    /// `run.create` …
    action: String,
    /// To what.
    object: String,
    detail: Value,
    hash: String,
}

/// Some of them, the oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Audit {
    audit: Vec<Record>,
}

impl Default for Which {
    fn default() -> Which {
        Which { after: 0, limit: 100 }
    }
}

/// Who did what.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(Which), responses((status = 200, body = Audit)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    user: User,
    Query(which): Query<Which>,
) -> Result<Json<Audit>, Refused> {
    user.may(Action::SeeAudit, None)?;
    let rows = app.store.audit(which.after, which.limit.clamp(1, MAX_ROWS)).await?;
    let shown = rows.into_iter().map(|row| {
        let at = jiff::Timestamp::from_millisecond(i64::try_from(row.at).unwrap_or(i64::MAX)).ok();
        Record {
            seq: row.seq,
            at: at.map(|at| at.to_string()),
            actor: row.actor,
            action: row.action,
            object: row.object,
            detail: serde_json::from_str(&row.detail).unwrap_or_default(),
            hash: row.hash,
        }
    });
    Ok(Json(Audit { audit: shown.collect() }))
}
