//! Which sandboxes can stand in for each other, and which cannot be made ahead.

use std::collections::BTreeMap;
use std::sync::Arc;

use queue::Bounds;

use super::WarmConfig;
use crate::{LayerSource, NetworkSource, RootSpec, SandboxSpec, Walls};

/// Everything that makes a difference to whoever gets a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    spec: String,
    /// Address of what connects it.
    connector: Option<usize>,
    cost_bytes: u64,
}

impl queue::Shape for Kind {
    fn cost_bytes(&self) -> u64 {
        self.cost_bytes
    }
}

impl WarmConfig {
    /// The kind of a sandbox, and how one more is made; or why such a one is not made ahead.
    pub(super) fn kind(&self, spec: &SandboxSpec) -> Result<(Kind, SandboxSpec), &'static str> {
        // A folder of the store may be emptied under those that wait, and filled again; a file stays what it was.
        let of_files = |layer: &LayerSource| matches!(layer, LayerSource::Erofs(_));
        let stays = match &spec.root {
            RootSpec::Image(layers) => layers.iter().all(of_files),
            RootSpec::HostTools => true,
        };
        let again = match spec.again() {
            _ if !stays => return Err("layers of its image are folders, and what lies there may change"),
            _ if spec.workspace.share_with.is_some() => return Err("its workspace is another one's"),
            _ if spec.walls != Walls::default() => return Err("some of its walls were taken away"),
            again => again.ok_or("its network cannot be had twice")?,
        };
        let connector = match &spec.network {
            NetworkSource::OnDemand(connector) => Some(Arc::as_ptr(connector).addr()),
            _ => None,
        };
        Ok((Kind { spec: format!("{spec:?}"), connector, cost_bytes: self.cost_bytes }, again))
    }

    /// So many more of a kind.
    pub(super) fn promise(&self, shapes: &mut BTreeMap<Kind, Bounds>, kind: &Kind, count: u32) {
        let bounds = shapes.entry(kind.clone()).or_insert(Bounds { floor: 0, ceiling: self.ceiling });
        bounds.floor = bounds.floor.saturating_add(count);
    }
}
