//! A job: one sandbox, its session, and what steps need to know of the place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use image::Image;
use model::docker_args::{DockerArgs, split_words};
use model::event::{Event, LogSource};
use model::ids::{JobId, SandboxId};
use model::request::{AgentSpec, Allocated, DockerSpec, PodContainer, WORKSPACES};
use model::rung::Rung;
use sandbox::session::{Running, Session};
use sandbox::{Driver, EndCause, Ended, Ids, LimitMet, NetworkSource, Usage, Workspace};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::blueprint::{Blueprint, DEFAULT_PATH, Words, qualified};
use crate::checkout::Checkouts;
use crate::contained::{Client, Contained, ContainerSpec};
use crate::failure::Trouble;
use crate::host::{Host, WayOut};
use crate::quota::Quota;
use crate::service::{Place, Service};

/// What a node is called: each job has one of its own.
const NODE_NAME: &str = "built-in";

/// A living job.
pub struct Job {
    pub id: JobId,
    pub session: Session,
    pub user: wire::init::User,
    pub workspace: String,
    /// Whose the workspace is now: of all users of the jobs that share it the one that last did something there.
    keeper: Arc<Mutex<u32>>,
    /// What checkouts have put there.
    pub checkouts: Arc<Mutex<Checkouts>>,
    /// Folders that were made for its user where he may make none.
    pub made: Mutex<BTreeSet<String>>,
    /// Environment of every process: the image's, then the place's.
    pub env: BTreeMap<String, String>,
    /// The same of the node, where steps run in a container on it.
    node_env: BTreeMap<String, String>,
    pub image: Option<String>,
    driver: Arc<dyn Driver>,
    sandbox: SandboxId,
    /// It has a Docker Engine.
    pub has_engine: bool,
    /// Steps run in this container of the engine.
    pub contained: Option<Contained>,
    /// The sandbox is another job's, and goes with that.
    is_guest: bool,
    /// Keeps images in the store.
    _images: Vec<Image>,
    /// The image's entry point, where it has one: lives as long as the job.
    _entrypoint: Option<Running>,
    /// What a container of a pod runs. As that.
    _service: Option<Service>,
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
        if self.is_guest {
            if let Some(contained) = &self.contained {
                contained.remove().await?;
            }
            return Ok(Ended { cause: EndCause::Destroyed, usage: Usage::default() });
        }
        Ok(self.driver.destroy(self.sandbox).await?)
    }

    /// Makes the workspace its user's, where another job's was the last that did something there. Root needs nobody's leave.
    pub async fn take_workspace(&self) -> Result<(), Trouble> {
        let (uid, gid) = (self.user.uid, self.user.gid);
        let mut keeper = self.keeper.lock().await;
        if uid == 0 || *keeper == uid {
            return Ok(());
        }
        let (beside, owner) = (format!("{}@tmp", self.workspace), Some((uid, gid)));
        tokio::try_join!(
            self.session.make_dir(None, &self.workspace, 0o755, owner),
            self.session.make_dir(None, &beside, 0o755, owner)
        )?;
        *keeper = uid;
        Ok(())
    }

    /// The client of its engine.
    fn client(&self) -> Client {
        let (session, user) = (self.session.clone(), self.user.clone());
        Client { session, user, env: self.node_env.clone(), workspace: self.workspace.clone() }
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

    /// How strong its walls are.
    pub fn rung(&self) -> Rung {
        self.driver.rung()
    }

    /// Id of its sandbox, to share the workspace.
    pub fn sandbox(&self) -> SandboxId {
        self.sandbox
    }
}

/// Makes jobs.
pub struct Maker<'a> {
    pub host: &'a Host,
    pub events: &'a mpsc::Sender<Event>,
    /// What the run was told, and is not told again.
    pub told: &'a Told,
}

/// What a run is told once.
#[derive(Default)]
pub struct Told {
    /// Its sandboxes have no network.
    no_network: AtomicBool,
    /// Containers of its pods share none.
    apart: AtomicBool,
}

impl Maker<'_> {
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
        let workspace =
            shared.map_or_else(|| workspace_path(agent, &self.host.options.job_name), |job| job.workspace.clone());
        self.set_place(&mut plan, &workspace, shared).await;
        self.host.drivers.note(&plan.driver, &plan.spec);
        let started = Instant::now();
        if !plan.args.no_network {
            self.say_no_network().await;
        }
        let (rung, memory_bytes) = (plan.driver.rung(), plan.spec.limits.memory_bytes);
        let has_engine = plan.spec.engine.is_some();
        let sandbox = tokio::select! {
            sandbox = plan.driver.create(plan.spec) => sandbox?,
            _ = cancelled => return Ok(None),
        };
        let (sandbox_id, ids, home) = (sandbox.id, sandbox.user, sandbox.home.clone());
        if plan.image.is_some() {
            // As engines tell a container its name: not every shell looks for it.
            plan.env.entry("HOSTNAME".to_owned()).or_insert_with(|| sandbox.hostname.clone());
        }
        let groups = sandbox.groups.iter().chain(&plan.args.groups).copied().collect();
        let place = async {
            sandbox
                .stream
                .set_nonblocking(true)
                .map_err(|e| Trouble::infrastructure(format!("stream to the sandbox: {e}")))?;
            let stream = tokio::net::UnixStream::from_std(sandbox.stream)
                .map_err(|e| Trouble::infrastructure(format!("stream to the sandbox: {e}")))?;
            let session = Session::start(stream).await?;
            let home = furnish(&session, ids, home, (&workspace, shared.is_some())).await?;
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
        // An engine starts the image's own.
        let started_here = plan.image.as_ref().filter(|_| !has_engine);
        let begun = match (&plan.pod, started_here) {
            (Some(container), Some(image)) => {
                let at = Place { session: &session, user: &user, env: &plan.env };
                Service::start(container, &image.config, at, self.events).await.map(|service| (None, service))
            }
            (_, image) => Ok((start_entrypoint(&session, &plan.args, image, &user, &plan.env, &workspace).await, None)),
        };
        let (entrypoint, service) = match begun {
            Ok(begun) => begun,
            Err(trouble) => {
                let ended = plan.driver.destroy(sandbox_id).await;
                return Err(explain(trouble, ended.ok()));
            }
        };
        let image = plan.image.as_ref().map(|image| format!("{}@{}", image.reference, image.digest));
        let driver = plan.driver.name().to_owned();
        let started =
            Event::JobStarted { job: id, rung, driver, why: plan.why, image: image.clone(), took_us: plan.took_us };
        let _ = self.events.send(started).await;
        let mut job = Job {
            id,
            session,
            user,
            workspace,
            keeper: shared.map_or_else(|| Arc::new(Mutex::new(ids.uid)), |job| Arc::clone(&job.keeper)),
            checkouts: shared.map(|job| Arc::clone(&job.checkouts)).unwrap_or_default(),
            made: Mutex::default(),
            node_env: plan.env.clone(),
            env: plan.env,
            image,
            driver: plan.driver,
            sandbox: sandbox_id,
            has_engine,
            contained: None,
            is_guest: false,
            _images: plan.offered.into_iter().chain(plan.image).collect(),
            _entrypoint: entrypoint,
            _service: service,
            failed_in: std::sync::OnceLock::new(),
            usage: Mutex::default(),
            memory_bytes,
            busy: AtomicUsize::new(0),
            log: Quota::new(self.host.options.limits.log_bytes),
        };
        if let Some((image, words)) = plan.container {
            let contained = self.contain(&mut job, id, (&image, words), None).await;
            if let Err(trouble) = contained {
                let ended = job.destroy().await;
                return Err(explain(trouble, ended.ok()));
            }
        }
        let allocated = self.describe(&job.env, &job.workspace, &home, rung, agent);
        Ok(Some((job, allocated)))
    }

    /// Has sandboxes for jobs with this image made ahead, where its driver makes any.
    pub async fn expect(&self, image: &str, count: u64) -> Result<(), Trouble> {
        let docker = DockerSpec { image: image.to_owned(), ..DockerSpec::default() };
        let mut plan = self.plan(None, &AgentSpec::Docker(docker), Words::default()).await?;
        self.set_place(&mut plan, WORKSPACES, None).await;
        plan.driver.expect(&plan.spec, count);
        Ok(())
    }

    /// Folder and network. A sandbox that was made ahead serves any project, so it has the folder above all workspaces.
    async fn set_place(&self, plan: &mut Blueprint, workspace: &str, shared: Option<&Job>) {
        let path = above_all(workspace).to_owned();
        plan.spec.workspace = Workspace { path, share_with: shared.map(Job::sandbox) };
        plan.spec.network = match &plan.pod {
            Some(_) if shared.is_some() && self.has_shared_network(plan.driver.rung()).await => NetworkSource::Shared,
            _ => self.host.network(!plan.args.no_network),
        };
    }

    /// Whether containers of a pod can share a network on that rung; says once why not.
    async fn has_shared_network(&self, rung: Rung) -> bool {
        // Without a way out each kernel of gVisor has a network of its own, and the host's kernel has no part in it.
        let is_apart = rung == Rung::Gvisor && self.host.way_out.missing().is_some();
        if is_apart && !self.told.apart.swap(true, Ordering::Relaxed) {
            self.say("containers of a pod share no address on rung gvisor without a network".to_owned()).await;
        }
        !is_apart
    }

    /// A container of the engine that `node` has, beside it: `inside`.
    pub async fn inside(&self, id: JobId, node: &Job, docker: &DockerSpec) -> Result<(Job, Allocated), Trouble> {
        let words = split_words(&docker.args).map_err(Trouble::workload)?;
        let mut job = Job {
            id,
            session: node.session.clone(),
            user: node.user.clone(),
            workspace: node.workspace.clone(),
            keeper: Arc::clone(&node.keeper),
            checkouts: Arc::clone(&node.checkouts),
            made: Mutex::default(),
            env: node.node_env.clone(),
            node_env: node.node_env.clone(),
            image: Some(docker.image.clone()),
            driver: Arc::clone(&node.driver),
            sandbox: node.sandbox,
            has_engine: true,
            contained: None,
            is_guest: true,
            _images: Vec::new(),
            _entrypoint: None,
            _service: None,
            failed_in: std::sync::OnceLock::new(),
            usage: Mutex::default(),
            memory_bytes: node.memory_bytes,
            busy: AtomicUsize::new(0),
            log: Quota::new(self.host.options.limits.log_bytes),
        };
        self.contain(&mut job, id, (&qualified(docker), words), docker.pod.as_deref()).await?;
        let home = job.env.get("HOME").cloned().unwrap_or_default();
        let agent = AgentSpec::Docker(docker.clone());
        let allocated = self.describe(&job.env, &job.workspace, &home, node.driver.rung(), &agent);
        Ok((job, allocated))
    }

    /// Has the steps of a job run in a container of its machine's engine.
    async fn contain(
        &self,
        job: &mut Job,
        id: JobId,
        (image, words): (&str, Vec<String>),
        pod: Option<&PodContainer>,
    ) -> Result<(), Trouble> {
        let spec = ContainerSpec { image, words, pod, job: id };
        let (contained, env) = Contained::start(job.client(), &spec, self.events).await?;
        job.contained = Some(contained);
        job.env.extend(env);
        Ok(())
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
        // A node has its own name for a label.
        labels.push(NODE_NAME.to_owned());
        labels.sort_unstable();
        labels.dedup();
        let mut node_env = vec![("NODE_LABELS".to_owned(), labels.join(" "))];
        node_env.extend(options.env.iter().cloned());
        node_env.extend(of_label);
        Allocated {
            workspace: workspace.to_owned(),
            node_name: NODE_NAME.to_owned(),
            env: node_env,
            path: env.get("PATH").cloned().unwrap_or_else(|| DEFAULT_PATH.to_owned()),
            home: home.to_owned(),
            rung: Some(rung),
        }
    }

    /// Said once a run: a download that fails without this line would look like the pipeline's own fault.
    async fn say_no_network(&self) {
        if let WayOut::Impossible(reason) = &self.host.way_out
            && !self.told.no_network.swap(true, Ordering::Relaxed)
        {
            self.say(format!("sandboxes have no network here: {reason}")).await;
        }
    }

    pub async fn say(&self, text: String) {
        let _ = self.events.send(Event::Log { step: None, stage: None, source: LogSource::System, text }).await;
    }
}

pub(crate) fn workspace_path(agent: &AgentSpec, job_name: &str) -> String {
    match agent {
        AgentSpec::Docker(DockerSpec { custom_workspace: Some(path), .. }) if path.starts_with('/') => path.clone(),
        AgentSpec::Docker(DockerSpec { custom_workspace: Some(path), .. }) => format!("{WORKSPACES}/{path}"),
        _ => format!("{WORKSPACES}/{job_name}"),
    }
}

/// The folder above all workspaces, where this is one of them.
fn above_all(workspace: &str) -> &str {
    let below = workspace.strip_prefix(WORKSPACES).and_then(|rest| rest.strip_prefix('/'));
    let plain = below.is_some_and(|below| below.split('/').all(|part| part != ".."));
    if plain { WORKSPACES } else { workspace }
}

/// Makes the workspace, and Jenkins' `@tmp` folder beside it. Returns the home: where the user has none of its own, that folder, which it can
/// write to.
///
/// What is another job's as well stays whose it is, until a step of this one wants it.
async fn furnish(
    session: &Session,
    ids: Ids,
    home: String,
    (workspace, is_shared): (&str, bool),
) -> Result<String, Trouble> {
    let beside = format!("{workspace}@tmp");
    let owner = Some((ids.uid, ids.gid));
    let of_workspace = owner.filter(|_| !is_shared);
    let of_beside = owner.filter(|_| !is_shared || above_all(workspace) == workspace);
    tokio::try_join!(
        session.make_dir(None, workspace, 0o755, of_workspace),
        session.make_dir(None, &beside, 0o755, of_beside)
    )?;
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
