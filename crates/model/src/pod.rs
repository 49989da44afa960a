//! Pods of Kubernetes: what a place is told of the containers.

use serde::{Deserialize, Serialize};

/// A container of a pod of Kubernetes, beyond its image: what runs in it from its start on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodContainer {
    /// Its name.
    pub name: String,
    /// In place of the image's entry point and words; empty: these.
    pub command: Vec<String>,
    /// In place of the image's words; empty: these.
    pub args: Vec<String>,
    /// Variables of that program, beyond those of the image.
    pub env: Vec<(String, String)>,
    /// The folder that it starts in; the image's own where none is named.
    pub dir: Option<String>,
}
