//! What happens, as it happens: Server-Sent Events of one run (its log; its stages and steps), and of all runs that somebody sees.
//!
//! A stream ends by itself after a while, so that whose token is taken away does not read on; who follows asks again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as Told, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use model::ids::RunId;
use serde::Deserialize;
use store::Status;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::Instant;
use utoipa::IntoParams;

use super::auth::User;
use super::description::Refusal;
use super::error::Refused;
use super::events::{Happened, Position};
use super::logs::MAX_LINES;
use super::runs::{EVENTS, find, shown};
use crate::app::App;
use crate::logs;
use crate::policy::Action;

/// How often who follows looks, where nobody has told of anything new.
const LOOK: Duration = Duration::from_secs(2);
/// How long a stream lasts.
const LONGEST: Duration = Duration::from_secs(3600);

/// What a stream's next events are; `None`: there will be no more.
trait Follow: Send + 'static {
    fn next(&mut self) -> impl Future<Output = Option<Vec<Told>>> + Send;
}

fn told(follower: impl Follow) -> Sse<impl Stream<Item = Result<Told, Infallible>>> {
    let until = Instant::now() + LONGEST;
    let stream = stream::unfold(follower, move |mut follower| async move {
        let events = tokio::time::timeout_at(until, follower.next()).await.ok()??;
        Some((stream::iter(events.into_iter().map(Ok)), follower))
    });
    Sse::new(futures_util::StreamExt::flatten(stream)).keep_alive(KeepAlive::default())
}

/// Something of a run of which there is more and more.
trait Growing: Send + 'static {
    /// What is new since it was asked for last.
    fn more(&mut self, app: &App, run: RunId) -> impl Future<Output = Result<Vec<Told>, Refused>> + Send;
}

/// Lines of its log, from that one on.
struct Lines(u64);

impl Growing for Lines {
    async fn more(&mut self, app: &App, run: RunId) -> Result<Vec<Told>, Refused> {
        let lines = logs::read(app, run, self.0, MAX_LINES).await?;
        let first = self.0;
        self.0 += lines.len() as u64;
        let event = |(number, line)| Told::default().id(u64::to_string(&number)).json_data(line).unwrap_or_default();
        Ok((first..).zip(&lines).map(event).collect())
    }
}

/// What happened in it, behind that number.
struct Events(u64);

impl Growing for Events {
    async fn more(&mut self, app: &App, run: RunId) -> Result<Vec<Told>, Refused> {
        let events = app.store.events(run, self.0, EVENTS).await?;
        self.0 = events.last().map_or(self.0, |(last, ..)| *last);
        let event =
            |happened: Happened| Told::default().id(happened.seq.to_string()).json_data(happened).unwrap_or_default();
        Ok(events.into_iter().map(Happened::from).map(event).collect())
    }
}

/// Who follows one run.
struct OfRun<T> {
    app: Arc<App>,
    run: RunId,
    what: T,
    changes: Receiver<RunId>,
    is_over: bool,
}

impl<T: Growing> Follow for OfRun<T> {
    async fn next(&mut self) -> Option<Vec<Told>> {
        while !self.is_over {
            // In this order: what comes between both is seen the next time.
            let run = self.app.store.run(self.run).await.ok()??;
            let more = match self.what.more(&self.app, self.run).await {
                Ok(more) => more,
                // Who asks again may be told.
                Err(Refused(StatusCode::SERVICE_UNAVAILABLE, _)) => return None,
                Err(refused) => {
                    self.is_over = true;
                    return Some(vec![failed(refused)]);
                }
            };
            if !more.is_empty() {
                return Some(more);
            }
            if run.status == Status::Done {
                self.is_over = true;
                return Some(vec![Told::default().event("end").json_data(shown(&self.app, &run)).unwrap_or_default()]);
            }
            let run = self.run;
            let mine = async {
                loop {
                    match self.changes.recv().await {
                        Ok(changed) if changed != run => {}
                        // Whoever has missed some looks.
                        Ok(_) | Err(_) => break,
                    }
                }
            };
            let _ = tokio::time::timeout(LOOK, mine).await;
        }
        None
    }
}

/// The rest cannot be had, now or later.
fn failed(Refused(_, error): Refused) -> Told {
    Told::default().event("failed").json_data(Refusal { error }).unwrap_or_default()
}

/// For who sees the run.
async fn of_run(
    app: Arc<App>,
    user: User,
    id: u64,
    what: impl Growing,
) -> Result<Sse<impl Stream<Item = Result<Told, Infallible>>>, Refused> {
    let changes = app.changed.subscribe();
    let (run, _) = find(&app, &user, Action::SeeProject, id).await?;
    Ok(told(OfRun { app, run: run.id, what, changes, is_over: false }))
}

/// The number behind which somebody goes on.
fn last_seen(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

/// Lines as they come. Each has its number as id, so that `Last-Event-ID` goes on behind it; the last event is `end`, with the run, or
/// `failed`, with the error, where the rest cannot be had for good. A stream that ends without either is to be asked for again.
#[utoipa::path(get, path = "/api/v1/runs/{id}/log/live", tag = "runs", params(("id" = u64, Path), Position),
    responses((status = 200, body = String, content_type = "text/event-stream")))]
pub(super) async fn follow_log(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<u64>,
    Query(from): Query<Position>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Told, Infallible>>>, Refused> {
    let what = Lines(last_seen(&headers).map_or(from.from, |last| last.saturating_add(1)));
    of_run(app, user, id, what).await
}

/// What happens in a run: its stages and steps begin and end. Each event has its number as id, so that `Last-Event-ID` goes on behind it; the
/// last one is `end`, with the run, or `failed`, with the error, where the rest cannot be had for good. A stream that ends without either is
/// to be asked for again.
#[utoipa::path(get, path = "/api/v1/runs/{id}/events/live", tag = "runs", params(("id" = u64, Path), Position),
    responses((status = 200, body = String, content_type = "text/event-stream")))]
pub(super) async fn follow_run(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<u64>,
    Query(from): Query<Position>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Told, Infallible>>>, Refused> {
    of_run(app, user, id, Events(last_seen(&headers).unwrap_or(from.after))).await
}

/// Which runs are followed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct Followed {
    /// Of this project.
    project: Option<String>,
}

/// Who follows all runs.
struct OfAll {
    app: Arc<App>,
    user: User,
    project: Option<String>,
    changes: Receiver<RunId>,
    ready: VecDeque<RunId>,
}

/// Runs that are asked for, begin, wait otherwise or end: each as it is then (`run`). `missed` says that there were too many to be told of
/// each: look at the list. Nothing is told of what was before, so ask for the list behind the beginning.
#[utoipa::path(get, path = "/api/v1/runs/live", tag = "runs", params(Followed),
    responses((status = 200, body = String, content_type = "text/event-stream")))]
pub(super) async fn follow_all(
    State(app): State<Arc<App>>,
    user: User,
    Query(Followed { project }): Query<Followed>,
) -> Result<Sse<impl Stream<Item = Result<Told, Infallible>>>, Refused> {
    if let Some(project) = &project {
        user.may(Action::SeeProject, Some(project))?;
    }
    let changes = app.changed.subscribe();
    Ok(told(OfAll { app, user, project, changes, ready: VecDeque::new() }))
}

fn missed() -> Told {
    Told::default().event("missed").data("")
}

impl Follow for OfAll {
    async fn next(&mut self) -> Option<Vec<Told>> {
        loop {
            if let Some(id) = self.ready.pop_front() {
                // One that is forgotten meanwhile is told of by nobody.
                let Some(run) = self.app.store.run(id).await.ok()? else { continue };
                let is_wanted = self.project.as_ref().is_none_or(|project| *project == run.project_name);
                if is_wanted && self.user.sees(&run.project_name) {
                    let event = Told::default().event("run").json_data(shown(&self.app, &run));
                    return Some(vec![event.unwrap_or_default()]);
                }
                continue;
            }
            match self.changes.recv().await {
                Ok(first) => {
                    self.ready.push_back(first);
                    // A run that has changed often meanwhile is told of once.
                    loop {
                        match self.changes.try_recv() {
                            Ok(more) if self.ready.contains(&more) => {}
                            Ok(more) => self.ready.push_back(more),
                            Err(TryRecvError::Lagged(_)) => return Some(vec![missed()]),
                            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                        }
                    }
                }
                Err(RecvError::Lagged(_)) => return Some(vec![missed()]),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
