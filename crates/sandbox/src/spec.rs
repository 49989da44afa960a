//! What a sandbox is to be: data, decided before anything is made.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use model::ids::SandboxId;
use model::limits::Limits;

use crate::{CreateError, Pending};

pub use launcher::protocol::{Capabilities, Ids, LayerSource, Tmpfs, User, Walls};

/// A sandbox to be made. Start from [`SandboxSpec::image`] or [`SandboxSpec::host_tools`].
#[derive(Debug)]
pub struct SandboxSpec {
    /// The tree below `/`.
    pub root: RootSpec,
    /// The image of the root by name and digest (`registry.example/maven@sha256:…`), for drivers whose images lie elsewhere.
    pub image: Option<String>,
    /// A Docker Engine for it alone, which it finds at `/run/docker.sock`; with [`RootSpec::HostTools`] the root has the engine's tools.
    pub engine: Option<EngineSpec>,
    /// Who the workload is. By default 1000:1000, as Jenkins starts the containers of its docker agents with the ids of
    /// the agent's own unprivileged user, whatever `USER` the image names.
    pub user: User,
    /// What of root's power a workload with user id 0 has over the files and ids of its own sandbox. Nobody else has any.
    pub capabilities: Capabilities,
    /// Name of the machine, as the workload sees it; letters, digits, `-` and `.`, at most 63. `None`: see [`SandboxSpec::name`].
    pub hostname: Option<String>,
    /// The folder that steps work in.
    pub workspace: Workspace,
    /// Further file systems in memory (`--tmpfs`).
    pub tmpfs: Vec<Tmpfs>,
    /// Everything but workspace, `/tmp`, `/dev/shm` and `tmpfs` is read-only (`--read-only`).
    pub read_only_root: bool,
    /// What it may reach.
    pub network: NetworkSource,
    /// Lines `ADDRESS NAME…` for `/etc/hosts` beyond `localhost` and the own name.
    pub hosts: Vec<String>,
    /// What it may use.
    pub limits: Limits,
    /// Its programs may make namespaces of their own and mount in them, as those do that build images without a daemon. More of the
    /// kernel is then within their reach.
    pub nested: bool,
    /// Defences that stand. Only tests of the defences remove one.
    pub walls: Walls,
}

impl SandboxSpec {
    /// A sandbox whose root is these image layers, lowest first.
    pub fn image(layers: Vec<LayerSource>) -> SandboxSpec {
        SandboxSpec {
            root: RootSpec::Image(layers),
            image: None,
            engine: None,
            user: User::default(),
            capabilities: Capabilities::None,
            hostname: None,
            workspace: Workspace::default(),
            tmpfs: Vec::new(),
            read_only_root: false,
            network: NetworkSource::None,
            hosts: Vec::new(),
            limits: Limits::default(),
            nested: false,
            walls: Walls::default(),
        }
    }

    /// A sandbox that sees the host's tools, read-only, and nothing else of the host.
    pub fn host_tools() -> SandboxSpec {
        SandboxSpec { root: RootSpec::HostTools, ..SandboxSpec::image(Vec::new()) }
    }
}

impl SandboxSpec {
    /// Its host name: where nobody wants another, twelve random hexadecimal digits from now on, as engines name their containers.
    ///
    /// # Errors
    /// [`CreateError::Kernel`]: it gives no random bytes.
    pub fn name(&mut self) -> Result<&str, CreateError> {
        if self.hostname.is_none() {
            let mut bytes = [0; 6];
            let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
            read.map_err(|source| CreateError::Kernel { operation: "name a sandbox".into(), source })?;
            self.hostname = Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        Ok(self.hostname.as_deref().unwrap_or_default())
    }

    /// The same once more; `None` where its network cannot be had twice.
    pub fn again(&self) -> Option<SandboxSpec> {
        let network = match &self.network {
            NetworkSource::None => NetworkSource::None,
            NetworkSource::OnDemand(connector) => NetworkSource::OnDemand(Arc::clone(connector)),
            NetworkSource::Netns { .. } | NetworkSource::Shared => return None,
        };
        Some(SandboxSpec {
            root: self.root.clone(),
            image: self.image.clone(),
            engine: self.engine.clone(),
            user: self.user.clone(),
            capabilities: self.capabilities,
            hostname: self.hostname.clone(),
            workspace: self.workspace.clone(),
            tmpfs: self.tmpfs.clone(),
            read_only_root: self.read_only_root,
            network,
            hosts: self.hosts.clone(),
            limits: self.limits,
            nested: self.nested,
            walls: self.walls.clone(),
        })
    }
}

/// A Docker Engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineSpec {
    /// Images that it has without pulling them, the most important first; what has no room is left out.
    pub images: Vec<OfferedImage>,
}

/// An image of the host's store. Its layers are EROFS files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedImage {
    /// Its configuration, as received.
    pub config: String,
    /// Names that lead to it.
    pub names: Vec<OfferedName>,
    /// Digests (`sha256:…`) that a name may have instead of a tag.
    pub digests: Vec<String>,
    /// Bottom first.
    pub layers: Vec<OfferedLayer>,
}

/// A name of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedName {
    /// With its registry: `docker.io/library/maven`.
    pub repository: String,
    /// Where it has one.
    pub tag: Option<String>,
}

/// A layer of an offered image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedLayer {
    /// Digest of the uncompressed archive.
    pub diff_id: String,
    /// The EROFS image.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Digest of the compressed archive.
    pub blob: Option<String>,
    /// It hides everything below it.
    pub hides_all: bool,
}

/// The tree below `/`; above it lies a writable layer in memory (a machine's is on a disk of its own), capped by [`Limits::disk_bytes`] and
/// [`Limits::inodes`], charged to the sandbox's memory limit, and gone with the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootSpec {
    /// Layers of an image, lowest first.
    Image(Vec<LayerSource>),
    /// The host's own tools, read-only: `/usr`, `/opt`, and what `data/host-tools.txt` lists of `/etc`.
    HostTools,
}

/// The folder that steps work in, owned by the workload's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Absolute path inside the sandbox; made where missing.
    pub path: String,
    /// See the workspace of this living sandbox (of either local driver) there, and run with its ids. The sharer may
    /// outlive it.
    pub share_with: Option<SandboxId>,
}

impl Default for Workspace {
    fn default() -> Self {
        Workspace { path: "/workspace".into(), share_with: None }
    }
}

/// What a sandbox may reach.
#[derive(Debug, Default)]
pub enum NetworkSource {
    /// A network namespace of its own with nothing but loopback.
    #[default]
    None,
    /// A network namespace made, connected and fenced by the caller, who keeps enforcing its rules from outside.
    Netns {
        /// The namespace.
        netns: OwnedFd,
        /// Text of `/etc/resolv.conf`.
        resolv_conf: String,
    },
    /// One that is made when the sandbox is.
    OnDemand(Arc<dyn Connector>),
    /// That of the sandbox whose workspace it shares: each reaches at `localhost` what the other listens with, and what is enforced for
    /// one is for both. It ends with the last sandbox in it.
    Shared,
}

/// A namespace for one sandbox, connected and fenced, and the text of its `/etc/resolv.conf`.
pub type Connected = (OwnedFd, String);

/// Makes networks for sandboxes.
pub trait Connector: std::fmt::Debug + Send + Sync {
    /// One more.
    fn connect(&self) -> Pending<'_, Result<Connected, CreateError>>;
}

impl NetworkSource {
    /// Makes the namespace, where one is wanted; and the text of `/etc/resolv.conf`.
    pub(crate) async fn connect(self) -> Result<(Option<OwnedFd>, String), CreateError> {
        match self {
            NetworkSource::None | NetworkSource::Shared => Ok((None, String::new())),
            NetworkSource::Netns { netns, resolv_conf } => Ok((Some(netns), resolv_conf)),
            NetworkSource::OnDemand(connector) => {
                let (netns, resolv_conf) = connector.connect().await?;
                Ok((Some(netns), resolv_conf))
            }
        }
    }
}
