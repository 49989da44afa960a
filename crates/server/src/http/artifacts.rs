//! What runs have archived and stashed: taken from agents, listed, handed out.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE,
    RANGE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use blob::{BlobError, Key};
use futures_util::StreamExt as _;
use maud::{Markup, html};
use model::ids::RunId;
use model::request::is_stash_name;
use serde::{Deserialize, Serialize};
use store::{Artifact, Holder, NotKept, Run, Shelf};
use utoipa::{IntoParams, ToSchema};
use wire::agent::Lease;
use wire::artifact::{LEASE_TOKEN, Listed, PAGE, Page, Received, encoded, is_path};

use super::auth::{User, Viewer, bearer};
use super::error::Refused;
use crate::app::App;
use crate::artifacts::{NotTaken, take};
use crate::keeper::may_copy;
use crate::policy::Action;

/// Artifacts on a run's page.
const ON_PAGE: usize = 200;
/// How long the rest of what was refused is read, so that who sends it reads why.
const LINGER: Duration = Duration::from_secs(10);

impl From<NotTaken> for Refused {
    fn from(error: NotTaken) -> Refused {
        let status = match &error {
            NotTaken::NotKept(NotKept::NoRun) => StatusCode::NOT_FOUND,
            NotTaken::NotKept(NotKept::NotItsOwn) => StatusCode::FORBIDDEN,
            NotTaken::NotKept(NotKept::Over) => StatusCode::CONFLICT,
            NotTaken::NotKept(NotKept::TooMuch { .. }) | NotTaken::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            NotTaken::Busy => StatusCode::TOO_MANY_REQUESTS,
            // Another try may do.
            NotTaken::Broken => StatusCode::REQUEST_TIMEOUT,
            NotTaken::Blob(_) | NotTaken::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        match error {
            NotTaken::Store(error) => error.into(),
            NotTaken::Blob(error) => of_blob(&error),
            error => Refused(status, error.to_string()),
        }
    }
}

/// What the place for blobs says is for the operator.
pub(super) fn of_blob(error: &BlobError) -> Refused {
    if matches!(error, BlobError::Missing { .. }) {
        // It was there, and somebody has taken it away: no fault of who asks, nor of who asked for it to be kept.
        tracing::error!(%error, "the place for blobs has lost one");
        return Refused(StatusCode::GONE, "its bytes are gone from the place for blobs".into());
    }
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    tracing::error!(%error, cause, "the place for blobs");
    let status =
        if error.is_unavailable() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
    Refused(status, "the place for blobs failed; the server's log says how".into())
}

/// Of an agent's address.
#[derive(Debug, Deserialize)]
pub(super) struct Epoch {
    epoch: u64,
    /// Another run than that of the lease, whose artifacts it has.
    of: Option<u64>,
}

/// Who asks, with an agent's key and the token of the lease.
async fn holder(app: &App, headers: &HeaderMap, run: u64, epoch: u64) -> Result<Holder, Refused> {
    let unknown = || Refused(StatusCode::UNAUTHORIZED, "this is no agent's key".into());
    let key = bearer(headers).ok_or_else(unknown)?;
    let agent = app.store.agent_by_key(key, app.now()).await?.ok_or_else(unknown)?.id;
    let lease = Lease { run: RunId(run), epoch };
    let token = headers.get(LEASE_TOKEN).and_then(|token| token.to_str().ok()).unwrap_or_default();
    if !app.store.is_lease_token(lease, agent, token)? {
        return Err(Refused(StatusCode::FORBIDDEN, "this is not the token of that lease".into()));
    }
    Ok(Holder { run: lease.run, epoch, agent })
}

/// `PUT /agent/v1/runs/{id}/artifacts/{path}?epoch=N`
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Path((run, path)): Path<(u64, String)>,
    Query(Epoch { epoch, .. }): Query<Epoch>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Received>), Refused> {
    let holder = holder(&app, &headers, run, epoch).await?;
    if !is_path(&path) {
        return Err(Refused::bad(format!("{path:?} is no path of an artifact")));
    }
    take_in(app, Shelf::Artifacts, holder, path, &headers, body).await
}

/// `PUT /agent/v1/runs/{id}/stashes/{name}?epoch=N`
pub(super) async fn put_stash(
    State(app): State<Arc<App>>,
    Path((run, name)): Path<(u64, String)>,
    Query(Epoch { epoch, .. }): Query<Epoch>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Received>), Refused> {
    let holder = holder(&app, &headers, run, epoch).await?;
    if !is_stash_name(&name) {
        return Err(Refused::bad(format!("{name:?} is no name of a stash")));
    }
    take_in(app, Shelf::Stashes, holder, name, &headers, body).await
}

/// `GET /agent/v1/runs/{id}/stashes/{name}?epoch=N`
pub(super) async fn get_stash(
    State(app): State<Arc<App>>,
    Path((run, name)): Path<(u64, String)>,
    Query(Epoch { epoch, .. }): Query<Epoch>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    own(&app, Shelf::Stashes, (run, epoch), &name, &headers).await
}

/// `GET /agent/v1/runs/{id}/artifacts/{path}?epoch=N`
pub(super) async fn get_own(
    State(app): State<Arc<App>>,
    Path((run, path)): Path<(u64, String)>,
    Query(Epoch { epoch, of }): Query<Epoch>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    if let Some(of) = of {
        let other = other(&app, (run, epoch), of, &headers).await?;
        let found = app.store.artifact(other, &path).await?;
        return content(&app, &found.ok_or_else(|| Refused::missing("artifact"))?, &headers).await;
    }
    own(&app, Shelf::Artifacts, (run, epoch), &path, &headers).await
}

/// Another run, for who has a run that may have what that has archived.
async fn other(app: &App, (run, epoch): (u64, u64), of: u64, headers: &HeaderMap) -> Result<RunId, Refused> {
    let holder = holder(app, headers, run, epoch).await?;
    app.store.is_held(holder).await?.map_err(not_told)?;
    let (own, other) = (app.store.run(holder.run).await?, app.store.run(RunId(of)).await?);
    match own.zip(other) {
        Some((own, other)) if may_copy(app, &own, &other).await? => Ok(other.id),
        _ => Err(Refused::missing("artifact")),
    }
}

/// What a run has there, for who has the run.
async fn own(
    app: &App,
    shelf: Shelf,
    (run, epoch): (u64, u64),
    path: &str,
    headers: &HeaderMap,
) -> Result<Response, Refused> {
    let holder = holder(app, headers, run, epoch).await?;
    let found = app.store.own_file(shelf, holder, path).await?.map_err(not_told)?;
    let what = if shelf == Shelf::Stashes { "stash" } else { "artifact" };
    content(app, &found.ok_or_else(|| Refused::missing(what))?, headers).await
}

/// To an agent what is missing is a file, and never the run that it says that it has.
fn not_told(reason: NotKept) -> Refused {
    match reason {
        NotKept::NoRun => Refused(StatusCode::CONFLICT, reason.to_string()),
        reason => NotTaken::NotKept(reason).into(),
    }
}

/// `GET /agent/v1/runs/{id}/artifacts?epoch=N&after=PATH`
pub(super) async fn list_own(
    State(app): State<Arc<App>>,
    Path(run): Path<u64>,
    Query(Epoch { epoch, of }): Query<Epoch>,
    Query(Position { after }): Query<Position>,
    headers: HeaderMap,
) -> Result<Json<Page>, Refused> {
    if let Some(of) = of {
        let other = other(&app, (run, epoch), of, &headers).await?;
        return Ok(Json(page_of(app.store.artifacts(other, &after, PAGE).await?)));
    }
    let holder = holder(&app, &headers, run, epoch).await?;
    let found = app.store.own_artifacts(holder, &after, PAGE).await?.map_err(not_told)?;
    Ok(Json(page_of(found)))
}

async fn take_in(
    app: Arc<App>,
    shelf: Shelf,
    holder: Holder,
    path: String,
    headers: &HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Received>), Refused> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length = length.ok_or_else(|| Refused(StatusCode::LENGTH_REQUIRED, "its length comes before it".into()))?;
    // In a task of its own, for it is not to be dropped with a connection that breaks.
    let taken = tokio::spawn(async move {
        let mut content = body.into_data_stream();
        let taken = take(&app, shelf, holder, &path, length, &mut content).await;
        if taken.is_err() {
            // An answer is not read by who is cut off in the middle of a sentence.
            let rest = async move { while let Some(Ok(_)) = content.next().await {} };
            tokio::spawn(tokio::time::timeout(LINGER, rest));
        }
        taken
    });
    let taken = taken.await.map_err(|_| Refused(StatusCode::INTERNAL_SERVER_ERROR, "it was not taken".into()))?;
    let Artifact { bytes, sha256, .. } = taken?;
    Ok((StatusCode::CREATED, Json(Received { bytes, sha256 })))
}

/// Behind which path a list goes on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct Position {
    /// `next_after` of the page before.
    after: String,
}

/// What a run has archived, by path.
#[derive(Serialize, ToSchema)]
pub(super) struct Artifacts {
    /// At most 1000.
    #[schema(value_type = Vec<ListedArtifact>)]
    artifacts: Vec<Listed>,
    /// Where the next page goes on.
    next_after: Option<String>,
}

/// An artifact.
#[derive(ToSchema)]
#[schema(as = Artifact)]
#[allow(dead_code, reason = "described, as `wire` has it, which describes nothing")]
struct ListedArtifact {
    path: String,
    bytes: u64,
    /// In hexadecimal digits.
    sha256: String,
}

/// What a run has archived.
#[utoipa::path(get, path = "/api/v1/runs/{id}/artifacts", tag = "artifacts", params(("id" = u64, Path), Position),
    responses((status = 200, body = Artifacts)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<u64>,
    Query(Position { after }): Query<Position>,
) -> Result<Json<Artifacts>, Refused> {
    let (run, _) = super::runs::find(&app, &user, Action::SeeProject, id).await?;
    let Page { artifacts, next_after } = page_of(app.store.artifacts(run.id, &after, PAGE).await?);
    Ok(Json(Artifacts { artifacts, next_after }))
}

fn page_of(artifacts: Vec<Artifact>) -> Page {
    let next_after = artifacts.last().filter(|_| artifacts.len() == PAGE as usize).map(|last| last.path.clone());
    Page { artifacts: artifacts.into_iter().map(to_list).collect(), next_after }
}

fn to_list(artifact: Artifact) -> Listed {
    let Artifact { path, bytes, sha256, .. } = artifact;
    Listed { path, bytes, sha256 }
}

/// Artifacts of a run, as many as are shown at once.
pub(super) async fn of_run(app: &App, run: &Run, after: &str) -> Result<Vec<Listed>, Refused> {
    Ok(app.store.artifacts(run.id, after, PAGE).await?.into_iter().map(to_list).collect())
}

/// For the page of a run.
pub(super) fn listed(run: RunId, artifacts: &[Listed]) -> Markup {
    html! {
        @if !artifacts.is_empty() {
            h2 { "Artifacts" }
            ul {
                @for artifact in artifacts.iter().take(ON_PAGE) {
                    li {
                        a href=(format!("/runs/{}/artifacts/{}", run.0, encoded(&artifact.path))) { (artifact.path) }
                        " " (size(artifact.bytes))
                    }
                }
            }
            @if artifacts.len() > ON_PAGE { p { "There are more: " code { "cofferdam artifacts " (run.0) } } }
        }
    }
}

/// In the largest unit of which there is one.
fn size(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

/// Its bytes, or a range of them.
#[utoipa::path(get, path = "/api/v1/runs/{id}/artifacts/{*path}", tag = "artifacts",
    params(("id" = u64, Path), ("path" = String, Path, description = "With its slashes.")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, body = Vec<u8>, content_type = "application/octet-stream", description = "The range that was asked for.")))]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    user: User,
    Path((id, path)): Path<(u64, String)>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (run, _) = super::runs::find(&app, &user, Action::SeeProject, id).await?;
    hand_out(&app, &run, &path, &headers).await
}

/// `GET /runs/{id}/artifacts/{path}`: the same for who looks at pages.
pub(super) async fn page(
    State(app): State<Arc<App>>,
    Viewer(user): Viewer,
    Path((id, path)): Path<(u64, String)>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (run, _) = super::runs::find(&app, &user, Action::SeeProject, id).await?;
    hand_out(&app, &run, &path, &headers).await
}

/// The bytes of an artifact, or the range of them that is asked for.
pub(super) async fn hand_out(app: &App, run: &Run, path: &str, headers: &HeaderMap) -> Result<Response, Refused> {
    let artifact = app.store.artifact(run.id, path).await?.ok_or_else(|| Refused::missing("artifact"))?;
    content(app, &artifact, headers).await
}

/// To be kept as a file, and never shown: a stranger wrote it.
async fn content(app: &App, artifact: &Artifact, headers: &HeaderMap) -> Result<Response, Refused> {
    let tag = format!("\"{}\"", artifact.sha256);
    let is_same = |name| headers.get(name).is_some_and(|value: &HeaderValue| value.as_bytes() == tag.as_bytes());
    let mut told = HeaderMap::new();
    let mut tell = |name, value: String| told.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
    tell(ETAG, tag.clone());
    tell(ACCEPT_RANGES, "bytes".to_owned());
    tell(CONTENT_DISPOSITION, disposition(&artifact.path));
    tell(CONTENT_TYPE, "application/octet-stream".to_owned());
    if is_same(IF_NONE_MATCH) {
        return Ok((StatusCode::NOT_MODIFIED, told).into_response());
    }
    // A range of another file is of no use to who has the beginning of this one.
    let wanted = headers.get(RANGE).filter(|_| !headers.contains_key(IF_RANGE) || is_same(IF_RANGE));
    let wanted = wanted.and_then(|range| range.to_str().ok()).and_then(|range| asked(range, artifact.bytes));
    let (status, range) = match wanted {
        None => (StatusCode::OK, 0..artifact.bytes),
        Some(Ok(range)) => {
            tell(CONTENT_RANGE, format!("bytes {}-{}/{}", range.start, range.end - 1, artifact.bytes));
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Some(Err(NoSuchRange)) => {
            tell(CONTENT_RANGE, format!("bytes */{}", artifact.bytes));
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, told).into_response());
        }
    };
    tell(CONTENT_LENGTH, (range.end - range.start).to_string());
    let key = Key::new(artifact.key.as_str()).ok_or_else(|| Refused::missing("blob"))?;
    let part = (status == StatusCode::PARTIAL_CONTENT).then_some(range);
    let content = app.artifacts.blobs.get(&key, part).await.map_err(|error| of_blob(&error))?;
    Ok((status, told, Body::from_stream(content.stream)).into_response())
}

/// It is to be a file, of the last part of its path.
fn disposition(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_. ".contains(c) { c } else { '_' };
    format!(
        "attachment; filename=\"{}\"; filename*=UTF-8''{}",
        name.chars().map(plain).collect::<String>(),
        encoded(name)
    )
}

/// It begins behind the end.
#[derive(Debug, PartialEq, Eq)]
struct NoSuchRange;

/// `bytes=FROM-TO`, `bytes=FROM-`, `bytes=-LAST`. What is anything else is not asked for (RFC 9110, 14.2).
fn asked(text: &str, bytes: u64) -> Option<Result<Range<u64>, NoSuchRange>> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse::<u64>().unwrap_or(u64::MAX));
    let range = match (from.trim(), to.trim()) {
        ("", "") => return None,
        ("", last) => bytes.saturating_sub(number(last)?)..bytes,
        (from, "") => number(from)?..bytes,
        (from, to) => {
            let (from, to) = (number(from)?, number(to)?);
            if to < from {
                return None;
            }
            from..to.saturating_add(1).min(bytes)
        }
    };
    Some(if range.start < range.end { Ok(range) } else { Err(NoSuchRange) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let check = |text: &str, bytes: u64, expect| assert_eq!(asked(text, bytes), expect, "{text}");
        check("bytes=0-0", 10, Some(Ok(0..1)));
        check("bytes=3-", 10, Some(Ok(3..10)));
        check("bytes=-3", 10, Some(Ok(7..10)));
        check("bytes=-30", 10, Some(Ok(0..10)));
        check("bytes=5-99999999999999999999999", 10, Some(Ok(5..10)));
        check("bytes=10-", 10, Some(Err(NoSuchRange)));
        check("bytes=0-", 0, Some(Err(NoSuchRange)));
        check("bytes=-0", 10, Some(Err(NoSuchRange)));
        for none in ["bytes=5-4", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "lines=0-1", "bytes", "bytes=+1-2"] {
            check(none, 10, None);
        }
    }

    #[test]
    fn a_name_says_nothing_else() {
        assert_eq!(disposition("a/b.txt"), "attachment; filename=\"b.txt\"; filename*=UTF-8''b.txt");
        assert_eq!(disposition("é\";x=\""), "attachment; filename=\"___x__\"; filename*=UTF-8''%C3%A9%22%3Bx%3D%22");
    }
}
