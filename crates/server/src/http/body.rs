//! Bodies of requests.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::error::Refused;

/// What was sent, in JSON; whoever is to be free to send nothing sends an `Option`. What is wrong with it is said as everything else is.
pub(super) struct Sent<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Sent<T>, Refused> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_json = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|error| Refused(error.status(), error.body_text()))?;
        if !bytes.is_empty() && !is_json {
            let what = "a body is JSON here, and says so: `Content-Type: application/json`";
            return Err(Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, what.into()));
        }
        // A list would be taken for the fields of an object, one by one.
        if !bytes.is_empty() && !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(Refused::bad("the body: it is no object"));
        }
        let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(text).map(Sent).map_err(|error| Refused::bad(format!("the body: {error}")))
    }
}
