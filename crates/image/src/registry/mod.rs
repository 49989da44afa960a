//! Talking to registries: which hosts to ask for an image, in which order, and how patiently.
//!
//! [`Registry`] fetches manifests and small blobs whole and layers as streams. It checks what a registry states against
//! what it sends; the digest of a layer is checked by the converter that the stream goes to.

mod blob;
mod challenge;
mod http;
mod manifest;

use std::path::PathBuf;
use std::time::Duration;

use crate::{ImageError, Reference};

pub(crate) use blob::{BlobReader, Source, blob_channel};
pub(crate) use http::Registry;
pub(crate) use manifest::Fetched;

/// Where Docker's own registry really answers.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// Where to ask, with which credentials, and how patiently.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Asked before the registry that a name means, in this order.
    pub mirrors: Vec<Mirror>,
    /// Hosts (with port) that speak plain HTTP. Loopback addresses always do.
    pub plain_http: Vec<String>,
    /// Docker's `config.json`; `None`: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
    pub docker_config: Option<PathBuf>,
    /// For a connection.
    pub connect_timeout: Duration,
    /// Without any byte; over twice this time a download must also reach a trickle of 1 KiB/s.
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

impl RegistryOptions {
    /// The defaults with `COFFERDAM_MIRRORS` (`docker.io=http://127.0.0.1:5000,ghcr.io=https://mirror.example`) and
    /// `COFFERDAM_PLAIN_HTTP` (`registry.lan:5000,…`).
    pub fn from_env() -> Result<Self, ImageError> {
        let list = |name| {
            let text = std::env::var(name).unwrap_or_default();
            text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect::<Vec<_>>()
        };
        let mirrors = list("COFFERDAM_MIRRORS").iter().map(|text| Mirror::parse(text)).collect::<Result<_, _>>()?;
        Ok(Self { mirrors, plain_http: list("COFFERDAM_PLAIN_HTTP"), ..Self::default() })
    }

    /// Whom to ask for `reference`, first choice first.
    pub(crate) fn endpoints(&self, reference: &Reference) -> Vec<Endpoint> {
        let registry = reference.registry();
        let mirrors = self.mirrors.iter().filter(|mirror| mirror.registry == registry);
        let mut endpoints: Vec<Endpoint> = mirrors.map(|mirror| Endpoint::of_url(&mirror.url)).collect();
        let host = if registry == crate::reference::DEFAULT_REGISTRY { DOCKER_HUB_HOST } else { registry };
        let plain = is_loopback(host) || self.plain_http.iter().any(|plain| plain == registry);
        let scheme = if plain { "http" } else { "https" };
        endpoints.push(Endpoint {
            base: format!("{scheme}://{host}"),
            host: host.to_owned(),
            login: registry.to_owned(),
            plain,
        });
        endpoints
    }
}

impl Mirror {
    /// Reads `docker.io=http://127.0.0.1:5000`.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let bad = |reason: &str| ImageError::malformed(format!("mirror `{}`", text.escape_debug()), reason);
        let (registry, url) = text.split_once('=').ok_or_else(|| bad("expected registry=URL"))?;
        let registry = if registry == "index.docker.io" { "docker.io" } else { registry };
        if registry.is_empty() || registry.contains('/') {
            return Err(bad("the part before `=` is the host of a registry, such as docker.io"));
        }
        let parsed = reqwest::Url::parse(url).map_err(|error| bad(&format!("the URL is wrong: {error}")))?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
            return Err(bad("the URL must begin with http:// or https://"));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() || !parsed.username().is_empty() {
            return Err(bad(
                "the URL may have a host, a port and a path only; credentials belong into Docker's config.json",
            ));
        }
        Ok(Self { registry: registry.to_owned(), url: parsed.as_str().trim_end_matches('/').to_owned() })
    }
}

/// One host to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// URL without a slash at the end; `/v2/…` follows.
    pub(crate) base: String,
    /// For messages.
    pub(crate) host: String,
    /// Under which name its credentials are filed.
    pub(crate) login: String,
    /// Speaks plain HTTP by our own configuration.
    pub(crate) plain: bool,
}

impl Endpoint {
    fn of_url(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let host = rest.split('/').next().unwrap_or_default().to_owned();
        Self { base: url.to_owned(), login: host.clone(), host, plain: scheme == "http" }
    }
}

/// The host part of `host:port`.
fn bare_host(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// Whether `host` (with or without port) is this machine by its mere name.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = bare_host(host);
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether `host` is an address that no foreign registry has a reason to send us to: this machine, or the link (where
/// clouds keep their metadata services).
pub(crate) fn is_internal(host: &str) -> bool {
    let unspecified_or_link = |address: std::net::IpAddr| match address {
        std::net::IpAddr::V4(v4) => v4.is_link_local() || v4.is_unspecified(),
        std::net::IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || v6.is_unspecified()
                || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_link_local() || v4.is_loopback() || v4.is_unspecified())
        }
    };
    is_loopback(host) || bare_host(host).parse().is_ok_and(unspecified_or_link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_in_order() {
        let options = RegistryOptions {
            mirrors: vec![
                Mirror::parse("docker.io=http://127.0.0.1:5000/").unwrap(),
                Mirror::parse("ghcr.io=https://mirror.example/ghcr").unwrap(),
            ],
            plain_http: vec!["registry.lan:5000".to_owned()],
            ..RegistryOptions::default()
        };
        let bases = |name: &str| -> Vec<String> {
            options.endpoints(&name.parse().unwrap()).into_iter().map(|endpoint| endpoint.base).collect()
        };
        assert_eq!(bases("maven:3"), ["http://127.0.0.1:5000", "https://registry-1.docker.io"]);
        assert_eq!(bases("ghcr.io/a/b"), ["https://mirror.example/ghcr", "https://ghcr.io"]);
        assert_eq!(bases("registry.lan:5000/a"), ["http://registry.lan:5000"]);
        assert_eq!(bases("registry.lan/a"), ["https://registry.lan"]);
        assert_eq!(bases("localhost:5000/a"), ["http://localhost:5000"]);
        assert_eq!(bases("[::1]:5000/a"), ["http://[::1]:5000"]);
        assert_eq!(options.endpoints(&"maven".parse().unwrap())[1].login, "docker.io");
        assert_eq!(options.endpoints(&"maven".parse().unwrap())[0].login, "127.0.0.1:5000");
    }

    #[test]
    fn mirrors_refused() {
        for bad in [
            "",
            "docker.io",
            "docker.io=",
            "=http://a",
            "docker.io=127.0.0.1:5000",
            "docker.io=ftp://a",
            "docker.io=http://u:p@a",
            "docker.io=http://a?x",
        ] {
            assert!(Mirror::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn internal_addresses() {
        for host in [
            "localhost",
            "127.3.0.1:80",
            "[::1]:80",
            "169.254.169.254",
            "[fe80::1]",
            "0.0.0.0",
            "[::ffff:169.254.169.254]",
        ] {
            assert!(is_internal(host), "{host}");
        }
        for host in ["registry.lan", "10.0.0.1", "192.168.1.1:5000", "ghcr.io", "1.1.1.1"] {
            assert!(!is_internal(host), "{host}");
        }
    }
}
