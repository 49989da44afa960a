//! How the drivers find their engines, and what they may do there.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// How an engine is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket in the file system: the engine of this machine.
    Unix(PathBuf),
    /// TLS, both sides with a certificate.
    Tls {
        /// `HOST:PORT`.
        address: String,
        /// Who signs the engine's certificate, a PEM file. Authorities that this machine trusts anyway are believed as well.
        authority: PathBuf,
        /// Our certificate, a PEM file.
        certificate: PathBuf,
        /// Its key, a PEM file.
        key: PathBuf,
    },
}

/// How the `docker` driver works.
#[derive(Clone, Debug)]
pub struct DockerConfig {
    /// The engine.
    pub endpoint: Endpoint,
    /// The engine may be the one of this machine. Off by default: who breaks out of a container of the control plane's machine is
    /// where the keys are.
    pub shared_machine: bool,
    /// `HOST:PORT` of the control plane, where that is known: its machine is as good as this one.
    pub control_plane: Option<String>,
    /// The engine's network for sandboxes whose caller asks for one. A caller asks with a network namespace, fenced by rules of
    /// its own (the agent does, for every job that wants the internet); an engine cannot put a container into that, so it is
    /// dropped, and it is the engine's network that decides what can be reached: it has to be one whose rules the operator made.
    /// `None`: such sandboxes are refused.
    pub network: Option<String>,
    /// The engine's file system has project quotas (XFS mounted with `pquota`), so that each container's layer can be limited. What an image
    /// declares as a volume lies outside of that.
    pub disk_quota: bool,
}

impl DockerConfig {
    /// The defaults, for an engine.
    pub fn new(endpoint: Endpoint) -> DockerConfig {
        DockerConfig { endpoint, shared_machine: false, control_plane: None, network: None, disk_quota: false }
    }
}

/// How the `swarm` driver works.
#[derive(Clone, Debug)]
pub struct SwarmConfig {
    /// A manager.
    pub manager: Endpoint,
    /// As [`DockerConfig::shared_machine`], of every node.
    pub shared_machine: bool,
    /// As [`DockerConfig::control_plane`].
    pub control_plane: Option<String>,
    /// As [`DockerConfig::network`]; here a network of the Swarm.
    pub network: Option<String>,
    /// The engines of further nodes, by node id or host name. The stream to a task goes through the engine of its node; a task on
    /// a node that is not listed is refused, so `constraints` should keep tasks away from such nodes.
    pub nodes: BTreeMap<String, Endpoint>,
    /// Where tasks may be placed, as `docker service create --constraint` has it: `node.labels.builds==yes`.
    pub constraints: Vec<String>,
}

impl SwarmConfig {
    /// The defaults, for a manager.
    pub fn new(manager: Endpoint) -> SwarmConfig {
        SwarmConfig {
            manager,
            shared_machine: false,
            control_plane: None,
            network: None,
            nodes: BTreeMap::new(),
            constraints: Vec::new(),
        }
    }
}
