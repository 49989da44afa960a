//! What can go wrong.

use std::io;
use std::path::PathBuf;

use model::ids::SandboxId;

use crate::net::EgressError;

/// A sandbox could not be made; nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The specification cannot be met anywhere: the author's mistake.
    #[error("{what}")]
    Spec {
        /// One sentence.
        what: String,
    },
    /// The user is not in the image's `/etc/passwd`.
    #[error("no user {name:?} in /etc/passwd of the image")]
    UnknownUser {
        /// As written.
        name: String,
    },
    /// A layer is not there or not readable.
    #[error("layer {path}: {source}")]
    Layer {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The sandbox whose workspace was to be shared has ended.
    #[error("{id}, whose workspace was to be shared, has ended")]
    SharedGone {
        /// Which.
        id: SandboxId,
    },
    /// This host cannot do it; `doctor` says why and what to install.
    #[error("this host cannot make such a sandbox: {reason}")]
    Unsupported {
        /// One sentence.
        reason: String,
    },
    /// All id ranges are in use by living sandboxes.
    #[error("no free range of user ids: {living} sandboxes live on this host")]
    NoIds {
        /// How many ranges there are.
        living: u32,
    },
    /// A call to the kernel failed.
    #[error("{operation}: {source}")]
    Kernel {
        /// What was being done to which object.
        operation: String,
        /// Why.
        source: io::Error,
    },
    /// It could not be connected.
    #[error(transparent)]
    Network(#[from] EgressError),
    /// The driver failed.
    #[error(transparent)]
    Driver(#[from] DriverError),
}

/// A driver could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The helper process of this driver could not be started.
    #[error("cannot start the launcher: {what}")]
    Start {
        /// One sentence.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The helper process of this driver has died, and every sandbox with it.
    #[error("the launcher has died")]
    Gone,
    /// The engine that makes the sandboxes cannot be reached, or refuses.
    #[error("{operation}")]
    Engine {
        /// What was being done to which object.
        operation: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No sandbox has this id.
    #[error("{id} is not a sandbox of this driver")]
    Unknown {
        /// Which.
        id: SandboxId,
    },
    /// The state folder cannot be used.
    #[error("state folder {path}: {source}")]
    State {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
