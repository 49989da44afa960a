//! The engines of a Swarm's nodes: the stream to a task goes through that of its own.

use std::collections::HashMap;
use std::sync::Arc;

use sandbox::CreateError;

use crate::SwarmConfig;
use crate::engine::{About, Engine, failed};
use crate::living::Heard;
use crate::refusal;
use crate::seen::Images;

/// An engine where tasks run.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) engine: Engine,
    pub(super) heard: Arc<Heard>,
    pub(super) images: Arc<Images>,
}

impl Node {
    pub(super) fn new(engine: Engine, owner: &str) -> Node {
        Node { heard: Heard::of(&engine, owner), engine, images: Arc::default() }
    }
}

/// Those that were needed so far.
pub(super) struct Nodes {
    owner: String,
    known: tokio::sync::Mutex<HashMap<String, Node>>,
}

impl Nodes {
    /// Of a driver; the manager is one of them.
    pub(super) fn new(manager: &Engine, owner: &str) -> Nodes {
        let known = manager.about.node.iter().map(|id| (id.clone(), Node::new(manager.clone(), owner))).collect();
        Nodes { owner: owner.to_owned(), known: tokio::sync::Mutex::new(known) }
    }

    /// The engine of a node, by its id.
    pub(super) async fn of(&self, id: &str, manager: &Engine, config: &SwarmConfig) -> Result<Node, CreateError> {
        let mut known = self.known.lock().await;
        if let Some(node) = known.get(id) {
            return Ok(node.clone());
        }
        let described = manager.client.inspect_node(id).await.map_err(failed(format!("look at node {id}")))?;
        let name = described.description.and_then(|description| description.hostname).unwrap_or_default();
        let Some(endpoint) = config.nodes.get(id).or_else(|| config.nodes.get(&name)) else {
            let reason = format!(
                "the task was placed on node {name} ({id}), whose engine is not listed (`nodes`, `--swarm-node {name}=ENDPOINT`): a manager has no way to \
                 another node's containers; list it, or keep tasks away with constraints"
            );
            return Err(CreateError::Unsupported { reason });
        };
        let engine = Engine::connect(endpoint, config.control_plane.as_deref()).await?;
        check(&engine.about, id, &name, config.shared_machine)?;
        let node = Node::new(engine, &self.owner);
        known.insert(id.to_owned(), node.clone());
        Ok(node)
    }
}

/// Whether tasks may run at an engine: the manager's own is asked the same before anything is made.
fn check(about: &About, id: &str, name: &str, shared_machine: bool) -> Result<(), CreateError> {
    if about.node.as_deref() != Some(id) {
        let reason = format!("the engine that is listed for node {name} is not that of node {id}");
        return Err(CreateError::Unsupported { reason });
    }
    refusal::of_machine(about, shared_machine)?;
    refusal::of_filter(&about.filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Filter;

    /// A worker's engine is held to what the manager's is.
    #[test]
    fn a_worker_has_walls_of_its_own() {
        let good = || About { node: Some("n1".into()), filter: Filter::Usual, ..About::default() };
        assert!(check(&good(), "n1", "one", false).is_ok());
        let refused = |about: About, shared_machine, word: &str| {
            let said = check(&about, "n1", "one", shared_machine).unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        };
        refused(About { filter: Filter::Missing, ..good() }, true, "filters no system calls");
        refused(About { shared: Some("it is here".into()), ..good() }, false, "not its own");
        assert!(check(&About { shared: Some("it is here".into()), ..good() }, "n1", "one", true).is_ok());
        refused(About { node: Some("n2".into()), ..good() }, true, "not that of node n1");
    }
}
