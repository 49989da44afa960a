//! Who did what.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::User;
use super::error::Refused;
use crate::app::App;
use crate::policy::Action;

/// Rows of one answer at most.
const MAX_ROWS: u32 = 1000;

/// Which rows.
#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Which {
    after: u64,
    limit: u32,
}

impl Default for Which {
    fn default() -> Which {
        Which { after: 0, limit: 100 }
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    user: User,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Refused> {
    user.may(Action::SeeAudit, None)?;
    let rows = app.store.audit(which.after, which.limit.clamp(1, MAX_ROWS)).await?;
    let shown: Vec<_> = rows
        .iter()
        .map(|row| {
            let detail = serde_json::from_str::<Value>(&row.detail).unwrap_or_default();
            let at = jiff::Timestamp::from_millisecond(i64::try_from(row.at).unwrap_or(i64::MAX)).ok();
            json!({
                "seq": row.seq, "at": at.map(|at| at.to_string()), "actor": row.actor, "action": row.action,
                "object": row.object, "detail": detail, "hash": row.hash,
            })
        })
        .collect();
    Ok(Json(json!({ "audit": shown })))
}
