//! What a pull tells while it goes on.

use crate::{Digest, Reference};

/// Hears about a pull. Called from the tasks that download, often, so it must be quick and must not block.
pub trait Progress: Send + Sync {
    /// Something happened.
    fn event(&self, event: &PullEvent);
}

/// One thing that happened during a pull or import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullEvent {
    /// The image is in the store already; nobody was asked.
    Present {
        /// Which.
        reference: Reference,
        /// Its manifest.
        digest: Digest,
    },
    /// Somebody else (a task or a process) is doing the same work; its result will be used.
    Waiting {
        /// The layer or image, in words.
        what: String,
    },
    /// The manifest and the config are here.
    Resolved {
        /// Which.
        reference: Reference,
        /// Its manifest.
        digest: Digest,
        /// The host that served it.
        from: String,
        /// Layers that the image has.
        layers: usize,
        /// Their compressed sizes together, in bytes.
        bytes: u64,
    },
    /// A layer is in the store already.
    LayerPresent {
        /// Which.
        diff_id: Digest,
    },
    /// A layer's download and conversion began.
    LayerStarted {
        /// Which.
        diff_id: Digest,
        /// Compressed size in bytes.
        bytes: u64,
    },
    /// More of a layer has arrived.
    LayerProgress {
        /// Which.
        diff_id: Digest,
        /// Compressed bytes so far.
        received: u64,
        /// Compressed size in bytes.
        bytes: u64,
    },
    /// A layer is verified and in the store.
    LayerDone {
        /// Which.
        diff_id: Digest,
        /// Compressed size in bytes.
        bytes: u64,
        /// Size in the store in bytes.
        stored_bytes: u64,
    },
    /// A request failed and is tried again, or another host is asked.
    Retrying {
        /// What was being fetched.
        what: String,
        /// Why again.
        reason: String,
    },
}

/// Says nothing to nobody.
impl Progress for () {
    fn event(&self, _: &PullEvent) {}
}

impl<F: Fn(&PullEvent) + Send + Sync> Progress for F {
    fn event(&self, event: &PullEvent) {
        self(event);
    }
}
