//! Manifests and other small objects: fetched whole, with retries, from the first endpoint that has them.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;

use super::http::{Get, bounded_body};
use super::{Endpoint, Registry};
use crate::manifest::{ACCEPT, Descriptor, MAX_MANIFEST_BYTES};
use crate::{Digest, ImageError, Progress, PullEvent, Reference};

/// A manifest as a registry sent it, checked against its digest where one was known.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    /// As received.
    pub(crate) bytes: Vec<u8>,
    /// Of `bytes`.
    pub(crate) digest: Digest,
    /// The header.
    pub(crate) content_type: Option<String>,
    /// Index of the endpoint that had it.
    pub(crate) endpoint: usize,
}

/// What is wanted, in words and for the URL.
struct Small<'a> {
    repository: &'a str,
    path: String,
    accept: &'a str,
    limit: u64,
    expected: Option<Descriptor>,
    digest: Option<Digest>,
}

impl Registry {
    /// The manifest or index that `reference` names.
    pub(crate) async fn manifest(
        &self,
        reference: &Reference,
        endpoints: &[Endpoint],
        progress: &dyn Progress,
    ) -> Result<Fetched, ImageError> {
        let small = Small {
            repository: reference.repository(),
            path: format!("manifests/{}", reference.wanted()),
            accept: ACCEPT,
            limit: MAX_MANIFEST_BYTES,
            expected: None,
            digest: reference.digest(),
        };
        let mut failures = Vec::new();
        for (at, endpoint) in endpoints.iter().enumerate() {
            match self.small_with_retries(&small, endpoint, progress).await {
                Ok((bytes, content_type)) => {
                    let digest = Digest::of(&bytes);
                    return Ok(Fetched { bytes, digest, content_type, endpoint: at });
                }
                Err(error) => {
                    if at + 1 < endpoints.len() {
                        let what = format!("{reference} from {}", endpoint.host);
                        progress.event(&PullEvent::Retrying { what, reason: in_words(&error) });
                    }
                    failures.push((endpoint, error));
                }
            }
        }
        Err(combine(reference, failures))
    }

    /// A manifest of an index, or a config: a small object whose digest and size are known. Endpoints are tried from
    /// `first` on, around.
    pub(crate) async fn small_object(
        &self,
        repository: &str,
        kind: &str,
        object: Descriptor,
        limit: u64,
        (endpoints, first): (&[Endpoint], usize),
        progress: &dyn Progress,
    ) -> Result<(Vec<u8>, Option<String>), ImageError> {
        if object.size > limit {
            return Err(ImageError::TooLarge { what: format!("{kind}/{}", object.digest), limit, unit: "bytes" });
        }
        let small = Small {
            repository,
            path: format!("{kind}/{}", object.digest),
            accept: if kind == "manifests" { ACCEPT } else { "*/*" },
            limit,
            expected: Some(object),
            digest: Some(object.digest),
        };
        let mut last = None;
        for step in 0..endpoints.len() {
            let endpoint = &endpoints[(first + step) % endpoints.len()];
            match self.small_with_retries(&small, endpoint, progress).await {
                Ok(done) => return Ok(done),
                // The first endpoint had the manifest, so its error says most.
                Err(error) => last = last.or(Some(error)),
            }
        }
        Err(last.unwrap_or_else(|| ImageError::malformed(small.path, "there is no host to ask")))
    }

    async fn small_with_retries(
        &self,
        small: &Small<'_>,
        endpoint: &Endpoint,
        progress: &dyn Progress,
    ) -> Result<(Vec<u8>, Option<String>), ImageError> {
        let mut attempt = 0;
        loop {
            let error = match self.small(small, endpoint).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            attempt += 1;
            // A host that cannot be reached at all is not worth a long wait: a typing error, a dead mirror, no network.
            let limit = match &error {
                ImageError::Unreachable { .. } => self.options.retries.min(1),
                ImageError::Status { status, .. } if is_transient(*status) => self.options.retries,
                _ => 0,
            };
            if attempt > limit {
                return Err(error);
            }
            let what = format!("{}/{}", small.repository, small.path);
            progress.event(&PullEvent::Retrying { what, reason: in_words(&error) });
            tokio::time::sleep(self.pause(attempt)).await;
        }
    }

    async fn small(&self, small: &Small<'_>, endpoint: &Endpoint) -> Result<(Vec<u8>, Option<String>), ImageError> {
        let get = Get { endpoint, repository: small.repository, path: &small.path, accept: small.accept, offset: 0 };
        let response = self.get(&get).await?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let content_type = header(CONTENT_TYPE.as_str());
        let stated = header("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        let bytes = bounded_body(response, small.limit, &get.url()).await?;
        let got = Digest::of(&bytes);
        if let Some(expected) = small.digest.or(stated).filter(|expected| *expected != got) {
            // A shorter answer is more likely a broken connection than a lie, and the size says more than two digests.
            if let Some(object) = small.expected.filter(|object| object.size != bytes.len() as u64) {
                let got = bytes.len() as u64;
                return Err(ImageError::SizeMismatch { what: get.url(), expected: object.size, got });
            }
            return Err(ImageError::DigestMismatch { what: get.url(), expected, got });
        }
        Ok((bytes, content_type))
    }

    /// How long to wait before attempt number `attempt`.
    pub(super) fn pause(&self, attempt: u32) -> Duration {
        self.options.backoff.saturating_mul(1 << attempt.saturating_sub(1).min(6)).min(Duration::from_secs(10))
    }
}

/// Statuses that another attempt may change.
pub(super) fn is_transient(status: u16) -> bool {
    status == 408 || status == 429 || status >= 500
}

/// An error with its sources.
pub(super) fn in_words(error: &ImageError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// One error for all endpoints that failed.
fn combine(reference: &Reference, mut failures: Vec<(&Endpoint, ImageError)>) -> ImageError {
    let is_absent = |error: &ImageError| matches!(error, ImageError::Status { status: 404, .. });
    let said: Vec<String> = failures
        .iter()
        .map(|(endpoint, error)| match error {
            ImageError::Status { status: 404, message, .. } => format!("{}: {message}", endpoint.host),
            ImageError::Unreachable { reason, .. } => format!("{}: cannot be reached: {reason}", endpoint.host),
            other => format!("{}: {other}", endpoint.host),
        })
        .collect();
    let tried = said.join("; ");
    if failures.iter().all(|(_, error)| is_absent(error)) {
        return ImageError::UnknownImage { reference: reference.to_string(), tried };
    }
    match failures.pop() {
        Some((_, error)) if failures.is_empty() => error,
        // A mirror that lacks the image says nothing about why the real registry will not give it.
        Some((_, error @ ImageError::Auth { .. })) if failures.iter().all(|(_, error)| is_absent(error)) => error,
        _ => ImageError::NotServed { reference: reference.to_string(), tried },
    }
}
