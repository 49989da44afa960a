//! What can go wrong when the network of sandboxes is made.

use std::io;

/// Why there is no network for sandboxes.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// Only root, with `CAP_NET_ADMIN` and `CAP_SYS_ADMIN`, can make network namespaces that reach out.
    #[error("making the network of sandboxes needs root")]
    NotRoot,
    /// Every block of addresses is taken.
    #[error("no block of 198.18.0.0/15 is free on this host")]
    NoAddresses,
    /// The host names no resolver.
    #[error("no resolver stands in /etc/resolv.conf")]
    NoResolver,
    /// A step failed.
    #[error("cannot {step}")]
    Step {
        /// What was tried.
        step: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The thread that makes namespaces has ended.
    #[error("the gateway of the sandboxes has ended: {0}")]
    Ended(String),
}

/// Names the step that failed.
pub(super) fn step(step: &'static str) -> impl FnOnce(io::Error) -> EgressError {
    move |source| match source.raw_os_error() {
        Some(libc::EPERM) => EgressError::NotRoot,
        _ => EgressError::Step { step, source },
    }
}
