//! Engines elsewhere that make containers.

use std::path::PathBuf;

use clap::Args;
use docker::{DockerConfig, Endpoint, SwarmConfig};

/// A Docker Engine or a Swarm that makes the sandboxes of jobs with an image, instead of this machine.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "A Docker Engine or a Swarm instead of this machine")]
pub struct EngineArgs {
    /// A Docker Engine: unix:///run/docker.sock, or tcp://HOST:PORT with --docker-certs
    #[arg(long, value_name = "ENDPOINT", conflicts_with = "swarm")]
    pub docker: Option<String>,
    /// The manager of a Docker Swarm, as --docker
    #[arg(long, value_name = "ENDPOINT")]
    pub swarm: Option<String>,
    /// Folder with ca.pem, cert.pem and key.pem for an engine that is reached over TLS
    #[arg(long, value_name = "DIR")]
    pub docker_certs: Option<PathBuf>,
    /// Network of the engine for sandboxes; it decides what they reach
    #[arg(long, value_name = "NAME")]
    pub docker_network: Option<String>,
    /// The engine's storage has project quotas (XFS mounted with pquota), so that --disk is a limit there too
    #[arg(long, requires = "docker")]
    pub docker_disk_quota: bool,
    /// The engine may be on this machine or the server's: whoever breaks out of a container is root here
    #[arg(long)]
    pub docker_shared: bool,
    /// Where tasks of a Swarm may be placed: node.labels.builds==yes
    #[arg(long, value_name = "CONSTRAINT", requires = "swarm")]
    pub constraint: Vec<String>,
    /// Engine of a further node of a Swarm, where tasks may land: NODE=tcp://HOST:PORT (the manager's is known)
    #[arg(long, value_name = "NODE=ENDPOINT", requires = "swarm")]
    pub swarm_node: Vec<String>,
    /// `HOST:PORT` of the server that the sandboxes are made for
    #[arg(skip)]
    pub control_plane: Option<String>,
}

/// What makes containers elsewhere.
#[derive(Clone, Debug)]
pub enum Elsewhere {
    /// One engine.
    Docker(DockerConfig),
    /// A Swarm.
    Swarm(SwarmConfig),
}

impl Elsewhere {
    /// Name of its driver.
    pub fn driver(&self) -> &'static str {
        match self {
            Elsewhere::Docker(_) => "docker",
            Elsewhere::Swarm(_) => "swarm",
        }
    }
}

impl Elsewhere {
    /// The operator has named a network for its containers.
    pub fn has_network(&self) -> bool {
        match self {
            Elsewhere::Docker(config) => config.network.is_some(),
            Elsewhere::Swarm(config) => config.network.is_some(),
        }
    }
}

impl EngineArgs {
    /// What was asked for.
    ///
    /// # Errors
    /// An endpoint that is none, in words.
    pub fn elsewhere(&self) -> Result<Option<Elsewhere>, String> {
        Ok(match (&self.docker, &self.swarm) {
            (Some(endpoint), _) => {
                let mut config = DockerConfig::new(self.endpoint(endpoint)?);
                config.shared_machine = self.docker_shared;
                config.network.clone_from(&self.docker_network);
                config.disk_quota = self.docker_disk_quota;
                config.control_plane.clone_from(&self.control_plane);
                Some(Elsewhere::Docker(config))
            }
            (None, Some(endpoint)) => {
                let mut config = SwarmConfig::new(self.endpoint(endpoint)?);
                config.shared_machine = self.docker_shared;
                config.network.clone_from(&self.docker_network);
                config.constraints.clone_from(&self.constraint);
                config.control_plane.clone_from(&self.control_plane);
                for text in &self.swarm_node {
                    let named = text.split_once('=').filter(|(node, _)| !node.is_empty());
                    let (node, endpoint) = named.ok_or_else(|| format!("`{text}` is no node: NODE=tcp://HOST:PORT"))?;
                    config.nodes.insert(node.to_owned(), self.endpoint(endpoint)?);
                }
                Some(Elsewhere::Swarm(config))
            }
            (None, None) => None,
        })
    }

    fn endpoint(&self, text: &str) -> Result<Endpoint, String> {
        if let Some(path) = text.strip_prefix("unix://").filter(|path| path.starts_with('/')) {
            return Ok(Endpoint::Unix(path.into()));
        }
        let Some(address) = text.strip_prefix("tcp://").filter(|address| address.contains(':')) else {
            return Err(format!("`{text}` is no endpoint: unix:///PATH or tcp://HOST:PORT"));
        };
        let Some(folder) = &self.docker_certs else {
            return Err(format!(
                "{text}: an engine is reached over TLS only: name its certificates with --docker-certs"
            ));
        };
        Ok(Endpoint::Tls {
            address: address.to_owned(),
            authority: folder.join("ca.pem"),
            certificate: folder.join("cert.pem"),
            key: folder.join("key.pem"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_socket_or_tls() {
        let args = |docker: &str, certs: Option<&str>| EngineArgs {
            docker: Some(docker.to_owned()),
            docker_certs: certs.map(PathBuf::from),
            ..EngineArgs::default()
        };
        let unix = args("unix:///run/docker.sock", None).elsewhere().unwrap();
        assert!(
            matches!(unix, Some(Elsewhere::Docker(config)) if config.endpoint == Endpoint::Unix("/run/docker.sock".into()))
        );
        assert!(args("tcp://builds:2376", Some("/certs")).elsewhere().is_ok());
        for (docker, said) in
            [("tcp://builds:2375", "TLS only"), ("builds", "no endpoint"), ("unix://x", "no endpoint")]
        {
            let error = args(docker, None).elsewhere().unwrap_err();
            assert!(error.contains(said), "{docker}: {error}");
        }
        assert!(EngineArgs::default().elsewhere().unwrap().is_none());
    }

    #[test]
    fn nodes_of_a_swarm_have_engines_of_their_own() {
        let args = |node: &str| EngineArgs {
            swarm: Some("unix:///run/docker.sock".to_owned()),
            docker_certs: Some("/certs".into()),
            swarm_node: vec![node.to_owned()],
            ..EngineArgs::default()
        };
        let Some(Elsewhere::Swarm(config)) = args("second=tcp://second:2376").elsewhere().unwrap() else { panic!() };
        assert!(matches!(&config.nodes["second"], Endpoint::Tls { address, .. } if address == "second:2376"));
        for wrong in ["second", "=tcp://second:2376", "second=second:2376"] {
            assert!(args(wrong).elsewhere().is_err(), "{wrong}");
        }
    }
}
