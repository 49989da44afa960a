//! Errors as an answer.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use store::StoreError;

use super::description::Refusal;

/// When to ask again where the server cannot at the moment, in seconds.
const LATER: &str = "10";

/// A request that was not done: the status says whose fault, the text why.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) StatusCode, pub(crate) String);

impl Refused {
    pub(crate) fn missing(what: &str) -> Refused {
        Refused(StatusCode::NOT_FOUND, format!("there is no such {what}"))
    }

    pub(crate) fn bad(message: impl Into<String>) -> Refused {
        Refused(StatusCode::BAD_REQUEST, message.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = (self.0, Json(Refusal { error: self.1 })).into_response();
        if self.0 == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(LATER));
        }
        response
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        let status = match &error {
            StoreError::Missing { .. } => StatusCode::NOT_FOUND,
            StoreError::Exists { .. } | StoreError::Stale { .. } => StatusCode::CONFLICT,
            StoreError::InUse => StatusCode::SERVICE_UNAVAILABLE,
            error if error.is_unavailable() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        match status {
            StatusCode::INTERNAL_SERVER_ERROR => {
                // What a database says is for the operator.
                tracing::error!(%error, "a request failed");
                Refused(status, "the store failed; the server's log says how".into())
            }
            status => Refused(status, error.to_string()),
        }
    }
}
