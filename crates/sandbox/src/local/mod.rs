//! The embedded drivers, `container` and `process`: one launcher makes the sandboxes of both, so that a container can work in
//! the workspace of a process sandbox (`reuseNode`, `docker.image().inside`).

mod client;
mod launch;
mod probe;
mod subordinate;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use launcher::protocol::{Features, Plan, Settings};
use model::ids::SandboxId;
use model::limits::Limits;
use model::rung::Rung;

use launcher::protocol::LayerSource;

use self::client::Client;
use crate::{
    CreateError, Driver, DriverError, Ended, NetworkSource, Pending, Probe, RootSpec, Sandbox, SandboxSpec, Tmpfs,
    Usage, Walls,
};

pub(crate) use self::client::{OfKernel, cause, create_error, report};
pub use self::launch::init_program;
pub(crate) use self::launch::launcher_program;
pub use self::subordinate::{Subordinate, subordinate_ids};

/// How the local drivers work on this host.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// Folder for locks and mount points; all programs of one user on one host use the same.
    pub state_dir: PathBuf,
    /// Sandboxes begun before they are asked for.
    pub ahead: u32,
    /// Use cgroups where the host has them.
    pub cgroups: bool,
    /// Mount EROFS layers through loop devices even where the kernel could do without.
    pub loop_devices: bool,
    /// As root: first host id of the ranges of 65536 ids, one for each sandbox. The default is above what systemd and
    /// `useradd` give out.
    pub first_id: u32,
    /// As root: how many such ranges there are.
    pub id_ranges: u32,
}

impl Default for LocalConfig {
    fn default() -> Self {
        LocalConfig {
            state_dir: default_state_dir(),
            ahead: 1,
            cgroups: true,
            loop_devices: false,
            first_id: 0x7000_0000,
            id_ranges: 4000,
        }
    }
}

fn default_state_dir() -> PathBuf {
    let uid = rustix::process::getuid().as_raw();
    match std::env::var_os("XDG_RUNTIME_DIR") {
        _ if uid == 0 => "/run/cofferdam".into(),
        Some(folder) if Path::new(&folder).is_absolute() => Path::new(&folder).join("cofferdam"),
        _ => format!("/tmp/cofferdam-{uid}").into(),
    }
}

/// A running launcher; its two drivers.
#[derive(Clone)]
pub struct Local {
    client: Arc<Client>,
}

impl Local {
    /// Starts the launcher. When the last copy of this value and of its drivers is dropped, all sandboxes end.
    pub fn open(config: &LocalConfig) -> Result<Local, DriverError> {
        Ok(Local { client: Arc::new(Client::start(config)?) })
    }

    /// What `doctor` says about this host, whether or not a launcher can be started. Makes an empty sandbox, and ends it.
    pub fn probe(config: &LocalConfig) -> Vec<Probe> {
        let opened = Local::open(config);
        let trial = opened.as_ref().ok().map(Local::try_out);
        let findings = opened.as_ref().map(|local| local.client.features());
        let probe = |(driver, rung)| {
            let mut checks = probe::checks(rung, findings);
            checks.extend(trial.as_ref().map(probe::trial));
            Probe { driver, rung, checks }
        };
        [("process", Rung::Process), ("container", Rung::Container)].map(probe).into()
    }

    /// Makes a sandbox of an empty image, in a runtime of its own.
    fn try_out(&self) -> Result<(), CreateError> {
        let driver = self.container();
        let made = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let runtime =
                runtime.map_err(|source| CreateError::Kernel { operation: "make a runtime".into(), source })?;
            runtime.block_on(async {
                let sandbox = driver.create(SandboxSpec::image(Vec::new())).await?;
                driver.destroy(sandbox.id).await?;
                Ok(())
            })
        });
        made.join().unwrap_or(Err(DriverError::Gone.into()))
    }

    /// The driver for images.
    pub fn container(&self) -> Arc<dyn Driver> {
        Arc::new(LocalDriver { client: Arc::clone(&self.client), rung: Rung::Container })
    }

    /// The driver for the host's own tools.
    pub fn process(&self) -> Arc<dyn Driver> {
        Arc::new(LocalDriver { client: Arc::clone(&self.client), rung: Rung::Process })
    }

    /// Runs a program of this host behind the walls of the process rung. Returns with it the folder of a monitor that has one.
    pub(crate) async fn jail(
        &self,
        plan: Result<Plan, CreateError>,
        of_kernel: OfKernel,
        netns: Option<OwnedFd>,
        given: Vec<OwnedFd>,
    ) -> Result<(Sandbox, Option<OwnedFd>), CreateError> {
        self.client.create(plan?, of_kernel, netns, given).await
    }

    /// What a launcher elsewhere, which makes sandboxes of the same kind, has to know.
    pub(crate) fn settings(&self) -> Result<Settings, DriverError> {
        client::settings(&LocalConfig::default())
    }

    /// Ends a sandbox, and waits for nothing.
    pub(crate) fn end(&self, id: SandboxId) {
        self.client.end(id);
    }

    /// As [`Driver::usage`].
    pub(crate) fn usage(&self, id: SandboxId) -> Pending<'_, Result<Usage, DriverError>> {
        Box::pin(self.client.usage(id))
    }

    /// As [`Driver::destroy`].
    pub(crate) fn destroy(&self, id: SandboxId) -> Pending<'_, Result<Ended, DriverError>> {
        Box::pin(self.client.destroy(id))
    }

    /// As [`Driver::sweep`].
    pub(crate) fn sweep(&self) -> Pending<'_, Result<Vec<String>, DriverError>> {
        Box::pin(self.client.sweep())
    }

    /// Its launcher has died; it makes no more sandboxes.
    pub fn is_gone(&self) -> bool {
        self.client.is_gone()
    }

    /// Process id of the launcher, for tests that kill it.
    pub fn launcher_pid(&self) -> u32 {
        self.client.launcher_pid()
    }
}

struct LocalDriver {
    client: Arc<Client>,
    rung: Rung,
}

impl Driver for LocalDriver {
    fn name(&self) -> &'static str {
        self.rung.name()
    }

    fn rung(&self) -> Rung {
        self.rung
    }

    fn probe(&self) -> Probe {
        let features: Result<&Features, &DriverError> = Ok(self.client.features());
        Probe { driver: self.name(), rung: self.rung, checks: probe::checks(self.rung, features) }
    }

    fn create(&self, spec: SandboxSpec) -> Pending<'_, Result<Sandbox, CreateError>> {
        Box::pin(async move {
            let layers = matches!(spec.root, RootSpec::Image(_));
            if layers != (self.rung == Rung::Container) {
                let what = format!("the {} driver cannot make this root", self.name());
                return Err(CreateError::Spec { what });
            }
            let (plan, netns) = plan(spec).await?;
            let (sandbox, _) = self.client.create(plan, OfKernel::default(), netns, Vec::new()).await?;
            Ok(sandbox)
        })
    }

    fn usage(&self, id: SandboxId) -> Pending<'_, Result<Usage, DriverError>> {
        Box::pin(self.client.usage(id))
    }

    fn destroy(&self, id: SandboxId) -> Pending<'_, Result<Ended, DriverError>> {
        Box::pin(self.client.destroy(id))
    }

    fn sweep(&self) -> Pending<'_, Result<Vec<String>, DriverError>> {
        Box::pin(self.client.sweep())
    }
}

/// Checks a specification, for drivers elsewhere: what no driver accepts is refused by all in the same words.
///
/// # Errors
/// [`CreateError::Spec`].
pub fn check(spec: &SandboxSpec) -> Result<(), CreateError> {
    let refuse = |what: String| Err(CreateError::Spec { what });
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    if let Some(host) = &spec.hostname
        && (host.is_empty() || host.len() > 63 || !host.bytes().all(is_part))
    {
        return refuse(format!("{host:?} is no host name"));
    }
    for path in spec.tmpfs.iter().map(|tmpfs| &tmpfs.path).chain([&spec.workspace.path]) {
        if !path.starts_with('/') || path.split('/').any(|part| part == "..") || path.contains('\0') {
            return refuse(format!("{path:?} is not an absolute path without `..`"));
        }
        if path.trim_end_matches('/').is_empty() {
            return refuse("the root itself cannot be a workspace or a tmpfs".into());
        }
        if let Some(top) =
            ["/proc", "/sys", "/dev"].iter().find(|top| path == *top || path.starts_with(&format!("{top}/")))
        {
            return refuse(format!("{path} lies in {top}, which belongs to the kernel"));
        }
    }
    if let RootSpec::Image(layers) = &spec.root
        && topmost(layers.clone()).len() > MAX_LAYERS
    {
        return refuse(format!("an image of {} layers; at most {MAX_LAYERS} can be stacked", layers.len()));
    }
    if matches!(spec.network, NetworkSource::Shared) && spec.workspace.share_with.is_none() {
        return refuse("it is to share a network, and the workspace of nobody".into());
    }
    if spec.hosts.iter().any(|line| line.contains(['\n', '\0'])) {
        return refuse("a host entry contains a line break".into());
    }
    if spec.tmpfs.len() > MAX_TMPFS {
        return refuse(format!("{} file systems in memory; at most {MAX_TMPFS}", spec.tmpfs.len()));
    }
    Ok(())
}

/// Checks a specification, connects it, and puts it into the launcher's words.
pub(crate) async fn plan(mut spec: SandboxSpec) -> Result<(Plan, Option<OwnedFd>), CreateError> {
    let network = match &spec.network {
        // Nobody has to connect it.
        NetworkSource::Shared => NetworkSource::None,
        _ => std::mem::take(&mut spec.network),
    };
    let plan = unconnected_plan(spec)?;
    let (netns, resolv_conf) = network.connect().await?;
    Ok((Plan { netns: netns.is_some(), resolv_conf, ..plan }, netns))
}

/// The same without the network.
pub(crate) fn unconnected_plan(mut spec: SandboxSpec) -> Result<Plan, CreateError> {
    check(&spec)?;
    if spec.engine.is_some() {
        return Err(CreateError::Unsupported { reason: "only a machine has a Docker Engine of its own".into() });
    }
    let hostname = spec.name()?.to_owned();
    let hosts = hosts(&hostname, &spec.hosts);
    let limits = effective(spec.limits);
    Ok(Plan {
        layers: match spec.root {
            RootSpec::Image(layers) => Some(topmost(layers)),
            RootSpec::HostTools => None,
        },
        user: spec.user,
        capabilities: spec.capabilities,
        hostname,
        workspace: spec.workspace.path,
        share_with: spec.workspace.share_with.map(|id| id.0),
        tmpfs: cap(spec.tmpfs, limits.disk_bytes),
        read_only_root: spec.read_only_root,
        netns: false,
        joins: matches!(spec.network, NetworkSource::Shared),
        resolv_conf: String::new(),
        hosts,
        limits,
        writable: None,
        nested: spec.nested,
        walls: Walls { no_nested_userns: spec.walls.no_nested_userns && !spec.nested, ..spec.walls },
        binds: Vec::new(),
        program: None,
    })
}

/// Each layer once, where it is nearest to the top: what lies below of the same layer is hidden by it, and the kernel stacks no
/// folder on itself. (Build tools write the same layer several times, an empty one above all.)
pub(crate) fn topmost(layers: Vec<LayerSource>) -> Vec<LayerSource> {
    let mut distinct: Vec<LayerSource> = Vec::with_capacity(layers.len());
    for layer in layers.into_iter().rev() {
        if !distinct.contains(&layer) {
            distinct.push(layer);
        }
    }
    distinct.reverse();
    distinct
}

/// Room for the folders that every sandbox has.
pub(crate) const SMALLEST_DISK: u64 = 256 << 10;
/// One page.
const SMALLEST_TMPFS: u64 = 4096;
/// More than any pipeline has a use for.
const MAX_TMPFS: usize = 32;

/// File systems in memory have no more room, all together, than the writable layer: the author of a pipeline raises no limit.
fn cap(mut tmpfs: Vec<Tmpfs>, disk_bytes: u64) -> Vec<Tmpfs> {
    // None at all would mean no limit to the kernel.
    tmpfs.iter_mut().for_each(|one| one.bytes = one.bytes.max(SMALLEST_TMPFS));
    let asked = tmpfs.iter().fold(0u64, |all, one| all.saturating_add(one.bytes));
    if asked > disk_bytes {
        let share = disk_bytes / tmpfs.len() as u64;
        tmpfs.iter_mut().for_each(|one| one.bytes = one.bytes.min(share.max(SMALLEST_TMPFS)));
    }
    tmpfs
}

/// The file systems in memory of a specification as they may be, for drivers elsewhere.
pub fn tmpfs_within_limits(spec: &SandboxSpec) -> Vec<Tmpfs> {
    cap(spec.tmpfs.clone(), effective(spec.limits).disk_bytes)
}

/// As many layers as the kernel stacks for Docker.
const MAX_LAYERS: usize = 127;

/// The writable layer is in memory, and full before memory is: else a full disk would show as a lack of memory.
pub(crate) fn effective(limits: Limits) -> Limits {
    // And not of a size that the kernel takes for no limit.
    Limits { disk_bytes: limits.disk_bytes.min(limits.memory_bytes / 4 * 3).max(SMALLEST_DISK), ..limits }
}

fn hosts(own: &str, further: &[String]) -> String {
    let mut text = format!("127.0.0.1 localhost {own}\n::1 localhost ip6-localhost {own}\n");
    for line in further {
        text.push_str(line);
        text.push('\n');
    }
    text
}
