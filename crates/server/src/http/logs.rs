//! Logs of runs.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;

use super::auth::User;
use super::error::Refused;
use super::events::Position;
use super::runs::find;
use crate::app::App;
use crate::logs::{self, LogError};
use crate::policy::Action;

/// Lines in one answer.
pub(super) const MAX_LINES: usize = 5000;

impl From<LogError> for Refused {
    fn from(error: LogError) -> Refused {
        match error {
            LogError::Store(error) => error.into(),
            LogError::Blob(error) => super::artifacts::of_blob(&error),
        }
    }
}

/// The log as text, or as JSON lines where that is asked for (`Accept: application/x-ndjson`). At most 5000 lines; `X-Next-Line` says where the
/// next piece begins.
#[utoipa::path(get, path = "/api/v1/runs/{id}/log", tag = "runs", params(("id" = u64, Path), Position),
    responses((status = 200, content((String = "text/plain; charset=utf-8"), (String = "application/x-ndjson")))))]
pub(super) async fn log(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<u64>,
    Query(from): Query<Position>,
    headers: HeaderMap,
) -> Result<(HeaderMap, String), Refused> {
    let (run, _) = find(&app, &user, Action::SeeProject, id).await?;
    let lines = logs::read(&app, run.id, from.from, MAX_LINES).await?;
    let wants_json = headers.get("accept").is_some_and(|accept| accept == "application/x-ndjson");
    let mut text = String::new();
    for line in &lines {
        match wants_json {
            true => text.push_str(&serde_json::to_string(line).unwrap_or_default()),
            false => text.push_str(&line.text),
        }
        text.push('\n');
    }
    let kind = if wants_json { "application/x-ndjson" } else { "text/plain; charset=utf-8" };
    let next = (from.from + lines.len() as u64).to_string();
    let headers = [("content-type", kind), ("x-next-line", next.as_str()), ("x-content-type-options", "nosniff")];
    let pairs = headers.into_iter().filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)));
    Ok((pairs.collect(), text))
}
