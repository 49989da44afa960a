//! What can go wrong with an image, in words for the person who named it.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::{Digest, ReferenceError};

/// Everything that a store operation can end with.
#[derive(Debug, Error)]
pub enum ImageError {
    /// The name itself is wrong.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// No registry that was asked has it.
    #[error("no such image: {reference} ({tried})")]
    UnknownImage {
        /// Which.
        reference: String,
        /// Who was asked and what each said.
        tried: String,
    },
    /// Several hosts were asked; none gave it, for different reasons.
    #[error("cannot get {reference}: {tried}")]
    NotServed {
        /// Which.
        reference: String,
        /// Who was asked and what each said.
        tried: String,
    },
    /// It is not in the store, and the store was not allowed to ask a registry.
    #[error("image {0} is not in the local store")]
    NotLocal(String),
    /// A registry wants a login that we do not have, or does not accept the one that we have.
    #[error("registry {registry} refused access to {repository}: {reason} (credentials: {credentials})")]
    Auth {
        /// Host and port.
        registry: String,
        /// What was asked for.
        repository: String,
        /// What the registry said.
        reason: String,
        /// Where credentials were looked for, and whether some were found.
        credentials: String,
    },
    /// The registry could not be reached or did not answer in HTTP.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// What was asked for, without query.
        url: String,
        /// Why.
        reason: String,
    },
    /// The registry answered with an error.
    #[error("{url} answered {status}: {message}")]
    Status {
        /// What was asked for, without query.
        url: String,
        /// HTTP status.
        status: u16,
        /// The registry's words, shortened.
        message: String,
    },
    /// The answer breaks the protocol, or our rules for hosts that may be named.
    #[error("{url} answered against the protocol: {reason}")]
    Protocol {
        /// What was asked for, without query.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// A download ended early, again and again.
    #[error("download of {what} stopped at {received} of {expected} bytes, {attempts} attempts: {reason}")]
    Interrupted {
        /// Which blob, from where.
        what: String,
        /// Bytes that arrived.
        received: u64,
        /// Bytes that were promised.
        expected: u64,
        /// Requests made.
        attempts: u32,
        /// The last failure.
        reason: String,
    },
    /// The bytes are not the ones that the digest names.
    #[error("{what} is not what its digest says: expected {expected}, got {got}")]
    DigestMismatch {
        /// Which object, from where.
        what: String,
        /// What was asked for.
        expected: Digest,
        /// What came.
        got: Digest,
    },
    /// The object is longer or shorter than the manifest says.
    #[error("{what} has a wrong size: expected {expected} bytes, got {got}")]
    SizeMismatch {
        /// Which object, from where.
        what: String,
        /// What was promised.
        expected: u64,
        /// What came: for an object that is too long, where reading stopped.
        got: u64,
    },
    /// A limit of ours.
    #[error("{what} is larger than the limit of {limit} {unit}")]
    TooLarge {
        /// Which object.
        what: String,
        /// The limit.
        limit: u64,
        /// `bytes`, `layers`, …
        unit: &'static str,
    },
    /// Nothing that we can run.
    #[error("{what} has the media type `{media_type}`, which is not supported: {reason}")]
    UnsupportedMediaType {
        /// Which object.
        what: String,
        /// As stated.
        media_type: String,
        /// What it is, where known, and what to do.
        reason: String,
    },
    /// The image exists, for other machines.
    #[error("{reference} has no image for {wanted}; available: {available}")]
    NoMatchingPlatform {
        /// Which.
        reference: String,
        /// The platform asked for.
        wanted: String,
        /// Those on offer.
        available: String,
    },
    /// A manifest, config, archive or layer that makes no sense.
    #[error("{what} is malformed: {reason}")]
    Malformed {
        /// Which object.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// A layer could not be converted.
    #[error("layer {diff_id}: {reason}")]
    Layer {
        /// Which.
        diff_id: Digest,
        /// What the converter said.
        reason: String,
    },
    /// No space, no inodes or no quota left.
    #[error("disk full while writing {}", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// A sandbox uses the image now.
    #[error("image {0} is in use")]
    InUse(String),
    /// Several images begin with that id.
    #[error("`{id}` names {matches} images; give more digits")]
    Ambiguous {
        /// As typed.
        id: String,
        /// How many.
        matches: usize,
    },
    /// The store's folder is not safe to use.
    #[error("image store {} cannot be used: {reason}", path.display())]
    Store {
        /// Its root.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file operation.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: `create`, `read`, …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Who has to do something about an error; decides exit codes and retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The person who wrote the name or the archive.
    Input,
    /// There is no such image, or none for this machine.
    NotFound,
    /// A login is needed.
    Auth,
    /// Network or registry; trying later may help.
    Unavailable,
    /// Somebody lied or something broke: the bytes are not what they should be.
    Corrupt,
    /// The disk, permissions, or the store itself.
    Local,
}

impl ImageError {
    /// Sorts the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Reference(_) | Self::UnsupportedMediaType { .. } | Self::Ambiguous { .. } => ErrorKind::Input,
            Self::UnknownImage { .. } | Self::NotLocal(_) | Self::NoMatchingPlatform { .. } => ErrorKind::NotFound,
            Self::Auth { .. } => ErrorKind::Auth,
            Self::NotServed { .. }
            | Self::Unreachable { .. }
            | Self::Status { .. }
            | Self::Protocol { .. }
            | Self::Interrupted { .. } => ErrorKind::Unavailable,
            Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Layer { .. } => ErrorKind::Corrupt,
            Self::DiskFull { .. } | Self::InUse(_) | Self::Store { .. } | Self::Io { .. } => ErrorKind::Local,
        }
    }

    /// What the person may do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Auth { registry, .. } => format!("log in with `docker login {registry}`, or check the name"),
            Self::UnknownImage { .. } => "check the name and the tag; private images need `docker login`".to_owned(),
            Self::Status { status: 429, .. } => {
                "too many requests: wait, log in with `docker login`, or name a mirror".to_owned()
            }
            Self::NotLocal(name) => format!("`cofferdam image pull {name}` fetches it"),
            Self::Unreachable { .. } | Self::NotServed { .. } => {
                "a mirror can be named: COFFERDAM_MIRRORS=docker.io=http://127.0.0.1:5000".to_owned()
            }
            Self::DiskFull { .. } => "`cofferdam image gc --limit SIZE` frees space".to_owned(),
            Self::Interrupted { .. } => "nothing was stored; run it again".to_owned(),
            Self::NoMatchingPlatform { .. } => "name an image that is built for this machine".to_owned(),
            Self::Store { .. } => "another folder is named with --home or COFFERDAM_HOME".to_owned(),
            Self::Io { source, .. }
                if matches!(source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
            {
                "another folder is named with --home or COFFERDAM_HOME".to_owned()
            }
            Self::InUse(_) => "wait for the runs that use it, or abort them".to_owned(),
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => {
                "nothing was stored; the registry or a proxy on the way changes data".to_owned()
            }
            _ => return None,
        })
    }

    /// A failed file operation; running out of space gets its own name.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        match is_disk_full(&source) {
            true => Self::DiskFull { path: path.to_owned(), source },
            false => Self::Io { action, path: path.to_owned(), source },
        }
    }

    /// Something is not what it should be.
    pub(crate) fn malformed(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Malformed { what: what.into(), reason: reason.to_string() }
    }
}

/// No blocks, no inodes, over quota, or over the file size limit.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG))
}
