//! What can go wrong.

use std::path::PathBuf;

use object_store::Error;

/// Why there is no such blob, or no place for it.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// It names no place for blobs.
    #[error("{url:?} is no place for blobs: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// In words.
        reason: String,
    },
    /// The folder cannot be had.
    #[error("the folder {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is none.
    #[error("there is no blob {key}")]
    Missing {
        /// Which.
        key: String,
    },
    /// It is larger than was allowed. Nothing of it is kept.
    #[error("it is larger than {most} bytes")]
    TooLarge {
        /// In bytes.
        most: u64,
    },
    /// Whoever sent it stopped in the middle. Nothing of it is kept.
    #[error("it did not come to its end")]
    Content(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// We may not: another try is of no use.
    #[error("the place for blobs refuses")]
    Refused(#[source] Error),
    /// It does not answer, or cannot now. It was asked more than once.
    #[error("the place for blobs does not answer as it should")]
    Away(#[source] Error),
}

impl BlobError {
    pub(crate) fn of(error: Error) -> BlobError {
        match error {
            Error::NotFound { path, .. } => BlobError::Missing { key: path },
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => BlobError::Refused(error),
            error => BlobError::Away(error),
        }
    }

    /// The same of what makes blobs: where something is missing then, it is the place.
    pub(crate) fn of_place(error: Error) -> BlobError {
        match error {
            Error::NotFound { .. } => BlobError::Refused(error),
            error => BlobError::of(error),
        }
    }

    /// Worth another try, later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, BlobError::Away(_))
    }
}
