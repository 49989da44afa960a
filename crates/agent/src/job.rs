//! A job: one sandbox, its session, and what steps need to know of the place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use image::{Image, LayerKind, PullOptions, Reference};
use model::event::{Event, LogSource};
use model::ids::{JobId, SandboxId};
use model::request::{AgentSpec, Allocated, DockerSpec};
use model::rung::Rung;
use queue::Need;
use sandbox::session::{Running, Session};
use sandbox::{Capabilities, Driver, Ended, Ids, LayerSource, LimitMet, SandboxSpec, Tmpfs, Usage, User, Workspace};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::docker_args::DockerArgs;
use crate::failure::Trouble;
use crate::host::{Host, WayOut};
use crate::quota::Quota;

/// Folder above all workspaces inside a sandbox.
const WORKSPACES: &str = "/workspace";
/// Size of an anonymous volume in an image that is otherwise read-only.
const VOLUME_BYTES: u64 = 256 << 20;
/// `PATH` where an image sets none; Docker's own default.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A living job.
pub struct Job {
    pub session: Session,
    pub user: wire::init::User,
    pub workspace: String,
    /// Environment of every process: the image's, then the place's.
    pub env: BTreeMap<String, String>,
    pub image: Option<String>,
    driver: Arc<dyn Driver>,
    sandbox: SandboxId,
    /// Keeps the image in the store.
    _image: Option<Image>,
    /// The image's entry point, where it has one: lives as long as the job.
    _entrypoint: Option<Running>,
    /// Folder and variables of the first step that failed, for whoever wants to look.
    pub failed_in: std::sync::OnceLock<(String, Vec<(String, String)>)>,
    /// What it had used when a step last failed.
    usage: Mutex<Usage>,
    memory_bytes: u64,
    /// How much log it may write.
    pub log: Quota,
    /// Requests that are being performed there now.
    pub busy: AtomicUsize,
}

impl Job {
    /// Ends it and waits until nothing is left.
    pub async fn destroy(&self) -> Result<Ended, Trouble> {
        Ok(self.driver.destroy(self.sandbox).await?)
    }

    /// Limits that the sandbox has met since this was last asked: what a step that has just failed ran into.
    pub async fn limits_met(&self) -> Vec<LimitMet> {
        let Ok(now) = self.driver.usage(self.sandbox).await else { return Vec::new() };
        let mut before = self.usage.lock().await;
        let met = now.met_since(&before).copied().collect();
        *before = now;
        met
    }

    /// The memory that each process may have, where nothing counts what all have together.
    pub async fn uncounted_memory(&self) -> Option<u64> {
        let usage = self.driver.usage(self.sandbox).await.ok()?;
        usage.memory_peak_bytes.is_none().then_some(self.memory_bytes)
    }

    /// Id of its sandbox, to share the workspace.
    pub fn sandbox(&self) -> SandboxId {
        self.sandbox
    }
}

/// What a job is made of, decided before anything is made.
pub struct Blueprint {
    spec: SandboxSpec,
    driver: Arc<dyn Driver>,
    why: String,
    image: Option<Image>,
    args: DockerArgs,
    env: BTreeMap<String, String>,
    took_us: Vec<(String, u64)>,
}

/// Makes jobs.
pub struct Maker<'a> {
    pub host: &'a Host,
    pub events: &'a mpsc::Sender<Event>,
    /// Whether the run was told that its sandboxes have no network.
    pub told_no_network: &'a AtomicBool,
}

impl Maker<'_> {
    /// What a job is to be made of. Pulls its image; may be given up at any moment.
    pub async fn plan(&self, agent: &AgentSpec, engine: Option<String>) -> Result<Blueprint, Trouble> {
        match agent {
            AgentSpec::Any | AgentSpec::Label(_) => self.host_tools(engine),
            AgentSpec::Docker(docker) => self.container(docker, engine).await,
        }
    }

    /// Makes the sandbox of a job. `shared` is the job whose workspace it shares. `None`: it was cancelled while the driver made
    /// it, and the driver takes away what there was.
    pub async fn make(
        &self,
        id: JobId,
        agent: &AgentSpec,
        mut plan: Blueprint,
        shared: Option<&Job>,
        cancelled: &mut oneshot::Receiver<()>,
    ) -> Result<Option<(Job, Allocated)>, Trouble> {
        plan.spec.workspace = Workspace {
            path: shared
                .map_or_else(|| workspace_path(agent, &self.host.options.job_name), |job| job.workspace.clone()),
            share_with: shared.map(Job::sandbox),
        };
        let started = Instant::now();
        plan.spec.network = self.host.network(!plan.args.no_network).await?;
        if !plan.args.no_network {
            self.say_no_network().await;
        }
        let (rung, memory_bytes) = (plan.driver.rung(), plan.spec.limits.memory_bytes);
        let sandbox = tokio::select! {
            sandbox = plan.driver.create(plan.spec) => sandbox?,
            _ = cancelled => return Ok(None),
        };
        let (sandbox_id, ids, home, workspace) =
            (sandbox.id, sandbox.user, sandbox.home.clone(), sandbox.workspace.clone());
        let groups = sandbox.groups.iter().chain(&plan.args.groups).copied().collect();
        let place = async {
            sandbox
                .stream
                .set_nonblocking(true)
                .map_err(|e| Trouble::infrastructure(format!("stream to the sandbox: {e}")))?;
            let stream = tokio::net::UnixStream::from_std(sandbox.stream)
                .map_err(|e| Trouble::infrastructure(format!("stream to the sandbox: {e}")))?;
            let session = Session::start(stream).await?;
            let home = furnish(&session, ids, home, &workspace).await?;
            for volume in plan.args.volumes.iter().filter(|_| !plan.args.read_only) {
                // What the image has there stays as it is.
                if matches!(session.stat(None, volume, true).await, Ok(None)) {
                    session.make_dir(None, volume, 0o755, Some((ids.uid, ids.gid))).await?;
                }
            }
            Ok::<_, Trouble>((session, home))
        };
        let (session, home) = match place.await {
            Ok(place) => place,
            Err(trouble) => {
                let ended = plan.driver.destroy(sandbox_id).await;
                return Err(explain(trouble, ended.ok()));
            }
        };
        plan.took_us.push(("create".to_owned(), started.elapsed().as_micros() as u64));
        plan.env.entry("HOME".to_owned()).or_insert_with(|| home.clone());
        let user = wire::init::User { uid: ids.uid, gid: ids.gid, groups };
        let entrypoint =
            start_entrypoint(&session, &plan.args, plan.image.as_ref(), &user, &plan.env, &workspace).await;
        let image = plan.image.as_ref().map(|image| format!("{}@{}", image.reference, image.digest));
        let driver = plan.driver.name().to_owned();
        let started =
            Event::JobStarted { job: id, rung, driver, why: plan.why, image: image.clone(), took_us: plan.took_us };
        let _ = self.events.send(started).await;
        let allocated = self.describe(&plan.env, &workspace, &home, rung, agent);
        let job = Job {
            session,
            user,
            workspace,
            env: plan.env,
            image,
            driver: plan.driver,
            sandbox: sandbox_id,
            _image: plan.image,
            _entrypoint: entrypoint,
            failed_in: std::sync::OnceLock::new(),
            usage: Mutex::default(),
            memory_bytes,
            busy: AtomicUsize::new(0),
            log: Quota::new(self.host.options.limits.log_bytes),
        };
        Ok(Some((job, allocated)))
    }

    fn host_tools(&self, engine: Option<String>) -> Result<Blueprint, Trouble> {
        let need = Need { engine, ..self.host.need_of_tools() };
        let (driver, placed) = self.host.drivers.place(&need)?;
        let mut spec = SandboxSpec::host_tools();
        spec.limits = self.host.options.limits;
        let env = BTreeMap::from([("PATH".to_owned(), DEFAULT_PATH.to_owned())]);
        let args = DockerArgs::default();
        Ok(Blueprint { spec, driver, why: placed.to_string(), image: None, args, env, took_us: Vec::new() })
    }

    async fn container(&self, docker: &DockerSpec, engine: Option<String>) -> Result<Blueprint, Trouble> {
        let args = DockerArgs::parse(&docker.args)?;
        if docker.registry_credentials.is_some() {
            return Err(Trouble::workload("registryCredentialsId: credentials are not available to `cofferdam run`")
                .with_hint("log in with `docker login`: Docker's config.json is used"));
        }
        let need = Need { image: true, minimum: self.host.minimum.clone(), engine };
        let (driver, placed) = self.host.drivers.place(&need)?;
        let reference: Reference = qualified(docker).parse().map_err(image::ImageError::from)?;
        let started = Instant::now();
        let store = (self.host.store)()?;
        let progress = PullProgress { events: self.events.clone(), last: std::sync::Mutex::new(Instant::now()) };
        let options =
            PullOptions { always_pull: docker.always_pull || self.host.options.always_pull, ..PullOptions::default() };
        let image = store.pull(&reference, &options, &progress).await?;
        let took_us = vec![("pull".to_owned(), started.elapsed().as_micros() as u64)];

        let mut spec = SandboxSpec::image(image.layers.iter().map(layer_source).collect());
        spec.image = Some(format!("{}/{}@{}", image.reference.registry(), image.reference.repository(), image.digest));
        spec.limits = self.host.options.limits;
        for option in args.lower(&mut spec.limits) {
            self.say(format!("docker args: `{option}` asks for more than the limit of this host, which stands")).await;
        }
        for ignored in &args.ignored {
            self.say(format!("docker args: `{ignored}` has no effect here")).await;
        }
        if let Some(user) = &args.user {
            spec.user = User::Named(user.clone());
            spec.capabilities = Capabilities::OwnFiles;
        }
        spec.read_only_root = args.read_only;
        spec.hosts.clone_from(&args.hosts);
        if let Some(name) = &args.hostname {
            spec.hostname.clone_from(name);
        }
        spec.tmpfs.clone_from(&args.tmpfs);
        // Where the rest is read-only, a volume is empty.
        let volumes = args.volumes.iter().filter(|_| args.read_only);
        spec.tmpfs.extend(volumes.map(|path| Tmpfs {
            path: path.clone(),
            bytes: VOLUME_BYTES,
            mode: 0o777,
            exec: true,
        }));

        let mut env: BTreeMap<_, _> = image.config.env.iter().cloned().collect();
        env.entry("PATH".to_owned()).or_insert_with(|| DEFAULT_PATH.to_owned());
        env.extend(args.env.iter().cloned());
        Ok(Blueprint { spec, driver, why: placed.to_string(), image: Some(image), args, env, took_us })
    }

    fn describe(
        &self,
        env: &BTreeMap<String, String>,
        workspace: &str,
        home: &str,
        rung: Rung,
        agent: &AgentSpec,
    ) -> Allocated {
        let label = match agent {
            AgentSpec::Label(label) => Some(label.clone()),
            AgentSpec::Docker(docker) => docker.label.clone(),
            AgentSpec::Any => None,
        };
        let options = &self.host.options;
        let of_label = options.label_env.iter().filter(|(of, ..)| label.as_ref() == Some(of));
        let of_label: Vec<_> = of_label.map(|(_, name, value)| (name.clone(), value.clone())).collect();
        let mut labels = options.labels.clone();
        labels.extend(label.filter(|l| l.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))));
        let mut node_env = vec![("NODE_LABELS".to_owned(), labels.join(" "))];
        node_env.extend(options.env.iter().cloned());
        node_env.extend(of_label);
        Allocated {
            workspace: workspace.to_owned(),
            node_name: "built-in".to_owned(),
            env: node_env,
            path: env.get("PATH").cloned().unwrap_or_else(|| DEFAULT_PATH.to_owned()),
            home: home.to_owned(),
            rung: Some(rung),
        }
    }

    /// Said once a run: a download that fails without this line would look like the pipeline's own fault.
    async fn say_no_network(&self) {
        if let WayOut::Impossible(reason) = &self.host.way_out
            && !self.told_no_network.swap(true, Ordering::Relaxed)
        {
            self.say(format!("sandboxes have no network here: {reason}")).await;
        }
    }

    async fn say(&self, text: String) {
        let _ = self.events.send(Event::Log { step: None, stage: None, source: LogSource::System, text }).await;
    }
}

/// The image's name with the registry of `registryUrl`, as docker-workflow makes it.
fn qualified(docker: &DockerSpec) -> String {
    match docker.registry_url.as_deref() {
        Some(url) if !url.is_empty() && !url.contains("index.docker.io") && !docker.image.contains("://") => {
            let host = url.split_once("://").map_or(url, |(_, rest)| rest);
            let host = host.split('/').next().unwrap_or(host);
            if docker.image.starts_with(&format!("{host}/")) {
                docker.image.clone()
            } else {
                format!("{host}/{}", docker.image)
            }
        }
        _ => docker.image.clone(),
    }
}

fn layer_source(layer: &image::Layer) -> LayerSource {
    match &layer.kind {
        LayerKind::Erofs(path) => LayerSource::Erofs(path.clone()),
        LayerKind::Dir(path) => LayerSource::Dir(path.clone()),
    }
}

fn workspace_path(agent: &AgentSpec, job_name: &str) -> String {
    match agent {
        AgentSpec::Docker(DockerSpec { custom_workspace: Some(path), .. }) if path.starts_with('/') => path.clone(),
        AgentSpec::Docker(DockerSpec { custom_workspace: Some(path), .. }) => format!("{WORKSPACES}/{path}"),
        _ => format!("{WORKSPACES}/{job_name}"),
    }
}

/// Makes Jenkins' `@tmp` folder beside the workspace. Returns the home: where the user has none of its own, that folder, which it can
/// write to.
async fn furnish(session: &Session, ids: Ids, home: String, workspace: &str) -> Result<String, Trouble> {
    let beside = format!("{workspace}@tmp");
    session.make_dir(None, &beside, 0o755, Some((ids.uid, ids.gid))).await?;
    Ok(if ids.uid != 0 && home == "/" { beside } else { home })
}

/// Starts the image's ENTRYPOINT as Jenkins does (`docker run … IMAGE cat`): some prepare the place, some start a service that
/// steps use. One that cannot run `cat` is no reason to fail: steps do not depend on it here.
async fn start_entrypoint(
    session: &Session,
    args: &DockerArgs,
    image: Option<&Image>,
    user: &wire::init::User,
    env: &BTreeMap<String, String>,
    workspace: &str,
) -> Option<Running> {
    let mut argv = match &args.entrypoint {
        Some(word) if word.is_empty() => return None,
        Some(word) => vec![word.clone()],
        None => image?.config.entrypoint.clone(),
    };
    if argv.is_empty() {
        return None;
    }
    argv.push("cat".to_owned());
    if let Some(folder) = &args.workdir {
        // Docker makes it where it is not there.
        let _ = session.make_dir(None, folder, 0o755, None).await;
    }
    let spec = wire::init::ExecSpec {
        argv,
        env: env.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        cwd: args.workdir.clone().unwrap_or_else(|| workspace.to_owned()),
        user: user.clone(),
        input: wire::init::InputMode::Pipe,
        output_limit: Some(0),
        ..wire::init::ExecSpec::default()
    };
    session.exec(spec).await.ok()
}

/// A trouble that came while the sandbox died says why it died.
fn explain(mut trouble: Trouble, ended: Option<Ended>) -> Trouble {
    if let Some(ended) = ended {
        let limits: Vec<_> = ended.usage.limits_met.iter().map(ToString::to_string).collect();
        if !limits.is_empty() {
            trouble.0.message = format!("{} ({})", trouble.0.message, limits.join(", "));
        }
    }
    trouble
}

/// Progress of a pull as log lines, a few a second at most.
struct PullProgress {
    events: mpsc::Sender<Event>,
    last: std::sync::Mutex<Instant>,
}

impl image::Progress for PullProgress {
    fn event(&self, event: &image::PullEvent) {
        use image::PullEvent;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let text = match event {
            PullEvent::Present { .. } | PullEvent::LayerPresent { .. } | PullEvent::LayerStarted { .. } => return,
            PullEvent::Waiting { what } => format!("waiting: {what} is being fetched by another run"),
            PullEvent::Resolved { reference, digest, from, layers, bytes } => {
                format!("pulling {reference} from {from}: {layers} layers, {:.1} MiB, {digest}", mib(*bytes))
            }
            PullEvent::LayerProgress { diff_id, received, bytes } => {
                let Ok(mut last) = self.last.lock() else { return };
                if last.elapsed().as_millis() < 500 {
                    return;
                }
                *last = Instant::now();
                format!("layer {}: {:.0} of {:.0} MiB", short(diff_id), mib(*received), mib(*bytes))
            }
            PullEvent::LayerDone { diff_id, stored_bytes, .. } => {
                format!("layer {} is in the store, {:.0} MiB", short(diff_id), mib(*stored_bytes))
            }
            PullEvent::Retrying { what, reason } => format!("again: {what}: {reason}"),
        };
        // A view that does not keep up loses progress, never output.
        let _ = self.events.try_send(Event::Log { step: None, stage: None, source: LogSource::System, text });
    }
}

fn short(digest: &image::Digest) -> String {
    let text = digest.to_string();
    let hex = text.split_once(':').map_or(text.as_str(), |(_, hex)| hex);
    hex.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_of_registry_url_qualifies_the_name() {
        let docker = |image: &str, url: Option<&str>| DockerSpec {
            image: image.to_owned(),
            registry_url: url.map(str::to_owned),
            ..DockerSpec::default()
        };
        assert_eq!(qualified(&docker("a/b:1", None)), "a/b:1");
        assert_eq!(qualified(&docker("a/b:1", Some("https://r.example.org:5000/v2/"))), "r.example.org:5000/a/b:1");
        assert_eq!(qualified(&docker("r.example.org/a:1", Some("https://r.example.org"))), "r.example.org/a:1");
        assert_eq!(qualified(&docker("a:1", Some("https://index.docker.io/v1/"))), "a:1");
    }
}
