//! Logs of runs: read and followed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event as Told, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use model::ids::RunId;
use store::Status;

use super::auth::User;
use super::error::Refused;
use super::runs::{Position, find, shown};
use crate::app::App;
use crate::logs::{self, LogError};
use crate::policy::Action;

/// Lines in one answer.
const MAX_LINES: usize = 5000;
/// How often who follows a log looks, where nobody has told of anything new.
const LOOK: Duration = Duration::from_secs(2);

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

/// Who follows a log.
struct Follower {
    app: Arc<App>,
    run: RunId,
    next: u64,
    changes: tokio::sync::broadcast::Receiver<RunId>,
    is_over: bool,
}

/// Lines as they come. Each has its number as id, so that `Last-Event-ID` goes on behind it; the last event is `end`.
#[utoipa::path(get, path = "/api/v1/runs/{id}/log/live", tag = "runs", params(("id" = u64, Path), Position),
    responses((status = 200, body = String, content_type = "text/event-stream")))]
pub(super) async fn live(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<u64>,
    Query(from): Query<Position>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Told, Infallible>>>, Refused> {
    let (run, _) = find(&app, &user, Action::SeeProject, id).await?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let changes = app.changed.subscribe();
    let follower =
        Follower { app, run: run.id, next: last.map_or(from.from, |last| last + 1), changes, is_over: false };
    let stream = stream::unfold(follower, |mut follower| async move {
        let events = follower.next().await?;
        Some((stream::iter(events.into_iter().map(Ok)), follower))
    });
    Ok(Sse::new(futures_util::StreamExt::flatten(stream)).keep_alive(KeepAlive::default()))
}

impl Follower {
    /// `None`: there will be nothing more.
    async fn next(&mut self) -> Option<Vec<Told>> {
        while !self.is_over {
            // In this order: a line that comes between both is seen the next time.
            let run = self.app.store.run(self.run).await.ok()??;
            let lines = logs::read(&self.app, self.run, self.next, MAX_LINES).await.ok()?;
            if !lines.is_empty() {
                let first = self.next;
                self.next += lines.len() as u64;
                let event =
                    |(number, line)| Told::default().id(u64::to_string(&number)).json_data(line).unwrap_or_default();
                return Some((first..).zip(&lines).map(event).collect());
            }
            if run.status == Status::Done {
                self.is_over = true;
                return Some(vec![Told::default().event("end").json_data(shown(&self.app, &run)).unwrap_or_default()]);
            }
            let mine = async {
                while let Ok(run) = self.changes.recv().await {
                    if run == self.run {
                        break;
                    }
                }
            };
            let _ = tokio::time::timeout(LOOK, mine).await;
        }
        None
    }
}
