//! Talking to registries: where to ask, and how long to wait.

use std::path::PathBuf;
use std::time::Duration;

/// Where to ask, with which credentials, and how patiently.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Asked before the registry that a name means, in this order.
    pub mirrors: Vec<Mirror>,
    /// Hosts (with port) that speak plain HTTP. Loopback addresses always may.
    pub plain_http: Vec<String>,
    /// Docker's `config.json`; `None`: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
    pub docker_config: Option<PathBuf>,
    /// For a connection.
    pub connect_timeout: Duration,
    /// Without any byte.
    pub idle_timeout: Duration,
    /// Failures in a row until a host is given up.
    pub retries: u32,
    /// Before the second attempt; doubles after.
    pub backoff: Duration,
}

/// A registry that has copies of another one's images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Of which registry: `docker.io`.
    pub registry: String,
    /// `http://127.0.0.1:5000`, `https://mirror.example`.
    pub url: String,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            mirrors: Vec::new(),
            plain_http: Vec::new(),
            docker_config: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            retries: 4,
            backoff: Duration::from_millis(200),
        }
    }
}
