//! [`Engine`]: a connection, and what the engine says of itself.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

use bollard::errors::Error;
use sandbox::DriverError;

use crate::Endpoint;

/// Seconds that an engine may take to begin an answer.
const PATIENCE_S: u64 = 60;
/// How long it may take to say that it is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);
/// The API of Docker 20.10: the first with capabilities and resource limits of services, and quick statistics.
const OLDEST_API: (usize, usize) = (1, 41);

/// An engine that answers.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) client: bollard::Docker,
    pub(crate) about: About,
}

/// What an engine is.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// Version and API.
    pub(crate) version: String,
    /// Host name of its machine.
    pub(crate) machine: String,
    /// Why it is believed to be on this machine, or on the control plane's.
    pub(crate) shared: Option<String>,
    /// Processors: an engine refuses a limit above.
    pub(crate) processors: i64,
    /// Lacks of the host, in the engine's words.
    pub(crate) warnings: Vec<String>,
    /// What its containers may ask of the kernel.
    pub(crate) filter: Filter,
    /// Ids inside are others outside.
    pub(crate) user_namespace: bool,
    /// Its storage driver and the file system below.
    pub(crate) storage: String,
    /// The limit of memory and the count of processes work.
    pub(crate) limits: (bool, bool),
    /// Id of this node in its Swarm.
    pub(crate) node: Option<String>,
    /// It manages that Swarm.
    pub(crate) manages: bool,
}

/// The system call filter of an engine's containers, where none is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Filter {
    /// None.
    #[default]
    Missing,
    /// The engine's own.
    Usual,
    /// One that its operator has written: a file.
    Other(String),
}

impl Filter {
    /// By the engine's `SecurityOptions`: `name=seccomp,profile=default`, or `builtin` since version 23.
    fn of(options: &[String]) -> Filter {
        let is_seccomp = |option: &&String| option.split(',').any(|part| part == "name=seccomp");
        let profile =
            |option: &String| option.split(',').find_map(|part| part.strip_prefix("profile=").map(str::to_owned));
        match options.iter().find(is_seccomp).map(profile) {
            None => Filter::Missing,
            Some(None) => Filter::Usual,
            Some(Some(profile)) => match profile.as_str() {
                "default" | "builtin" => Filter::Usual,
                "unconfined" => Filter::Missing,
                _ => Filter::Other(profile),
            },
        }
    }
}

impl Engine {
    /// Connects, agrees on a version of the API, and asks what it is. `control_plane`: as [`DockerConfig::control_plane`](crate::DockerConfig).
    pub(crate) async fn connect(endpoint: &Endpoint, control_plane: Option<&str>) -> Result<Engine, DriverError> {
        let of = name(endpoint);
        let client = open(endpoint).map_err(failed(format!("reach the engine at {of}")))?;
        let client = client.negotiate_version().await.map_err(failed(format!("reach the engine at {of}")))?;
        let info = client.info().await.map_err(failed(format!("ask the engine at {of} what it is")))?;
        let api = client.client_version();
        if (api.major_version, api.minor_version) < OLDEST_API {
            let old = format!("it speaks version {api} of the API; 1.41 (Docker 20.10) is the first that will do");
            return Err(DriverError::Engine { operation: format!("use the engine at {of}"), source: old.into() });
        }
        let machine = info.name.unwrap_or_default();
        let swarm = info.swarm.unwrap_or_default();
        let security = info.security_options.unwrap_or_default();
        let has =
            |name: &str| security.iter().any(|option| option.split(',').any(|part| part == format!("name={name}")));
        let below = info.driver_status.unwrap_or_default();
        let below = below.iter().find(|pair| pair.first().is_some_and(|key| key == "Backing Filesystem"));
        let about = About {
            version: format!("{} (API {api})", info.server_version.unwrap_or_default()),
            shared: shared(endpoint, &machine, control_plane),
            machine,
            processors: info.ncpu.unwrap_or(1).max(1),
            warnings: info.warnings.unwrap_or_default(),
            filter: Filter::of(&security),
            user_namespace: has("userns") || has("rootless"),
            storage: match below.and_then(|pair| pair.get(1)) {
                Some(below) => format!("{} on {below}", info.driver.unwrap_or_default()),
                None => info.driver.unwrap_or_default(),
            },
            limits: (info.memory_limit.unwrap_or(false), info.pids_limit.unwrap_or(false)),
            node: swarm.node_id.filter(|node| !node.is_empty()),
            manages: swarm.control_available.unwrap_or(false),
        };
        Ok(Engine { client, about })
    }

    /// What its containers may ask of the kernel now: it may have been started anew, with other settings, since it was connected to.
    pub(crate) async fn filter(&self) -> Result<Filter, DriverError> {
        let info = self.client.info().await.map_err(failed("ask the engine what it filters"))?;
        Ok(Filter::of(&info.security_options.unwrap_or_default()))
    }

    /// Whether it still answers.
    pub(crate) async fn answers(&self) -> bool {
        tokio::time::timeout(SIGN_OF_LIFE, self.client.ping()).await.is_ok_and(|answer| answer.is_ok())
    }
}

fn open(endpoint: &Endpoint) -> Result<bollard::Docker, Error> {
    let newest = bollard::API_DEFAULT_VERSION;
    match endpoint {
        Endpoint::Unix(path) => bollard::Docker::connect_with_unix(&path.display().to_string(), PATIENCE_S, newest),
        Endpoint::Tls { address, authority, certificate, key } => {
            // Fails where the program has chosen another before, which will do.
            let _ = rustls::crypto::ring::default_provider().install_default();
            bollard::Docker::connect_with_ssl(address, key, certificate, authority, PATIENCE_S, newest)
        }
    }
}

/// For messages.
pub(crate) fn name(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Unix(path) => path.display().to_string(),
        Endpoint::Tls { address, .. } => address.clone(),
    }
}

/// Why an engine is on this machine, or on the control plane's; nothing that it says can make it another's.
pub(crate) fn shared(endpoint: &Endpoint, machine: &str, control_plane: Option<&str>) -> Option<String> {
    match endpoint {
        Endpoint::Unix(path) => return Some(format!("{} is a socket of this machine", path.display())),
        Endpoint::Tls { address, .. } => {
            let engine = addresses(address);
            if let Some(own) = engine.iter().find(|ip| ip.is_loopback() || is_own(**ip)) {
                return Some(format!("{own} is an address of this machine"));
            }
            let server = control_plane.map(addresses).unwrap_or_default();
            if let Some(both) = engine.iter().find(|ip| server.contains(ip)) {
                return Some(format!("{both} is the address of the server that this agent works for"));
            }
        }
    }
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    (machine == own).then(|| format!("the engine's machine has the name of this one, {own}"))
}

/// Of a `HOST:PORT`.
fn addresses(of: &str) -> Vec<IpAddr> {
    of.to_socket_addrs().into_iter().flatten().map(|address| address.ip()).collect()
}

/// Only to an address of its own can a machine bind.
fn is_own(ip: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(ip, 0)).is_ok()
}

/// An error of the engine, with what was being done.
pub(crate) fn failed(operation: impl Into<String>) -> impl FnOnce(Error) -> DriverError {
    let operation = operation.into();
    move |error| DriverError::Engine { operation, source: Box::new(error) }
}

/// The engine has no such object.
pub(crate) fn is_missing(error: &Error) -> bool {
    status(error) == Some(404)
}

/// The engine is doing that already.
pub(crate) fn is_conflict(error: &Error) -> bool {
    status(error) == Some(409)
}

fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(address: &str) -> Endpoint {
        let none = std::path::PathBuf::new;
        Endpoint::Tls { address: address.into(), authority: none(), certificate: none(), key: none() }
    }

    fn check(endpoint: &Endpoint, machine: &str, expect: bool) {
        assert_eq!(shared(endpoint, machine, Some("192.0.2.9:8700")).is_some(), expect, "{endpoint:?}, {machine}");
    }

    #[test]
    fn an_engine_of_this_machine_is_known_as_such() {
        let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
        check(&Endpoint::Unix("/run/docker.sock".into()), "elsewhere", true);
        check(&tls("127.0.0.1:2376"), "elsewhere", true);
        check(&tls("[::1]:2376"), "elsewhere", true);
        check(&tls("192.0.2.1:2376"), "elsewhere", false);
        check(&tls("192.0.2.1:2376"), &own, true);
        check(&tls("192.0.2.9:2376"), "elsewhere", true);
    }

    #[test]
    fn an_engine_says_what_it_filters() {
        let of = |options: &[&str]| Filter::of(&options.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&["name=apparmor", "name=seccomp,profile=default", "name=cgroupns"]), Filter::Usual);
        assert_eq!(of(&["name=seccomp,profile=builtin"]), Filter::Usual);
        assert_eq!(of(&["name=seccomp"]), Filter::Usual);
        assert_eq!(of(&["name=seccomp,profile=unconfined"]), Filter::Missing);
        assert_eq!(of(&["name=seccomp,profile=/etc/docker/own.json"]), Filter::Other("/etc/docker/own.json".into()));
        assert_eq!(of(&["name=apparmor"]), Filter::Missing);
    }
}
