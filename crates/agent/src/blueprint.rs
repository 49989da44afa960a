//! What a job is to be made of: its driver, its image, its limits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use image::{Image, LayerKind, PullOptions, Reference, Store};
use model::docker_args::{DockerArgs, split_words};
use model::event::{Event, LogSource};
use model::ids::JobId;
use model::limits::Limits;
use model::request::{AgentSpec, DockerSpec, PodContainer};
use model::rung::Rung;
use queue::{Layers, Need};
use sandbox::{Capabilities, Driver, EngineSpec, LayerSource, SandboxSpec, Tmpfs, User};
use tokio::sync::mpsc;

use crate::credentials::{Use, registry_of};
use crate::failure::Trouble;
use crate::host::Host;
use crate::job::Maker;
use crate::offers;

/// Size of an anonymous volume in an image that is otherwise read-only.
const VOLUME_BYTES: u64 = 256 << 20;
/// `PATH` where an image sets none; Docker's own default.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the definition says of a job beside its agent.
#[derive(Debug, Default)]
pub struct Words {
    /// What wants a Docker Engine.
    pub engine: Option<String>,
    /// What shares its workspace.
    pub shares: Option<String>,
}

/// What a job is made of, decided before anything is made.
pub struct Blueprint {
    pub spec: SandboxSpec,
    pub driver: Arc<dyn Driver>,
    /// Why that driver.
    pub why: String,
    pub image: Option<Image>,
    /// Further images that have to stay in the store.
    pub offered: Vec<Image>,
    /// What runs in a container of the machine's engine.
    pub container: Option<(String, Vec<String>)>,
    pub args: DockerArgs,
    /// It is a container of a pod.
    pub pod: Option<Box<PodContainer>>,
    pub env: BTreeMap<String, String>,
    pub took_us: Vec<(String, u64)>,
}

impl Blueprint {
    /// The host's tools.
    fn tools(driver: Arc<dyn Driver>, why: String, limits: Limits) -> Blueprint {
        let mut spec = SandboxSpec::host_tools();
        spec.limits = limits;
        let env = BTreeMap::from([("PATH".to_owned(), DEFAULT_PATH.to_owned())]);
        let args = DockerArgs::default();
        Blueprint {
            spec,
            driver,
            why,
            image: None,
            offered: Vec::new(),
            container: None,
            args,
            pod: None,
            env,
            took_us: Vec::new(),
        }
    }

    /// A Docker Engine, with the images of the store that it will be asked for.
    fn give_engine(&mut self, store: &Store, own: Option<&Image>, host: &Host) {
        let can_pull = host.way_out.missing().is_none();
        let (images, held) = offers::images(store, own, &host.mentions, can_pull);
        self.spec.engine = Some(EngineSpec { images });
        self.offered = held;
    }
}

impl Maker<'_> {
    /// What a job is to be made of. Pulls its image; may be given up at any moment.
    pub async fn plan(&self, job: Option<JobId>, agent: &AgentSpec, words: Words) -> Result<Blueprint, Trouble> {
        match agent {
            AgentSpec::Any | AgentSpec::Label(_) => self.host_tools(words).await,
            AgentSpec::Docker(docker) => self.container(job, docker, words).await,
        }
    }

    async fn host_tools(&self, words: Words) -> Result<Blueprint, Trouble> {
        let need = Need { engine: words.engine, shares: words.shares, ..self.host.need(false) };
        let (driver, placed) = self.host.drivers.place(&need).await?;
        let mut plan = Blueprint::tools(driver, placed.to_string(), self.host.options.limits);
        if placed.engine {
            let store = (self.host.store)()?;
            plan.give_engine(&store, None, self.host);
        }
        Ok(plan)
    }

    async fn container(&self, job: Option<JobId>, docker: &DockerSpec, words: Words) -> Result<Blueprint, Trouble> {
        let need = Need { engine: words.engine, shares: words.shares, ..self.host.need(true) };
        let (mut need, args) = need.with_docker(docker);
        let args = args?;
        let (mut driver, mut placed) = self.host.drivers.place(&need).await?;
        let reference: Reference = qualified(docker).parse().map_err(image::ImageError::from)?;
        let started = Instant::now();
        let store = (self.host.store)()?;
        let progress = PullProgress { events: self.events.clone(), last: std::sync::Mutex::new(Instant::now()) };
        let options =
            PullOptions { always_pull: docker.always_pull || self.host.options.always_pull, ..PullOptions::default() };
        if let Some(id) = docker.registry_credentials.as_deref().filter(|id| !id.is_empty()) {
            let registry = registry_of(docker.registry_url.as_deref().unwrap_or_default());
            let purpose = format!("a login at {registry}");
            let used = Use { job, step: None, purpose: &purpose };
            let (user, password) = self.host.credentials(id)?.login(id, used, self.events).await?;
            store.log_in(&registry, user, password);
        }
        let image = store.pull(&reference, &options, &progress).await?;
        let took_us = vec![("pull".to_owned(), started.elapsed().as_micros() as u64)];
        // Machines have room for so many layers, and how many there are is known only now.
        if placed.rung >= Rung::Microvm {
            need.layers = Some(layers(&store, &image));
            (driver, placed) = self.host.drivers.place(&need).await?;
        }

        if placed.engine {
            let words = split_words(&docker.args).map_err(Trouble::workload)?;
            let mut plan = Blueprint::tools(driver, placed.to_string(), self.host.options.limits);
            plan.give_engine(&store, Some(&image), self.host);
            plan.container = Some((reference.familiar(), words));
            plan.image = Some(image);
            plan.took_us = took_us;
            return Ok(plan);
        }
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
        spec.nested = self.host.options.nested;
        if spec.nested {
            let where_to = if driver.rung() > Rung::Container { "its own kernel" } else { "the host's kernel" };
            self.say(format!("programs of this job may make namespaces: more of {where_to} is within their reach"))
                .await;
        }
        spec.read_only_root = args.read_only;
        spec.hosts.clone_from(&args.hosts);
        spec.hostname.clone_from(&args.hostname);
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
        Ok(Blueprint {
            args,
            pod: docker.pod.clone(),
            env,
            took_us,
            image: Some(image),
            spec,
            ..Blueprint::tools(driver, placed.to_string(), self.host.options.limits)
        })
    }
}

/// How many layers an image of the store has.
pub fn layers(store: &Store, image: &Image) -> Layers {
    let seen = image.layers.iter().map(|layer| layer.diff_id).collect::<BTreeSet<_>>().len();
    // What cannot be looked at is given to no engine either.
    let stacked = store.contents(image).map_or(image.layers.len(), |contents| contents.layers.len());
    Layers { seen, stacked }
}

/// The image's name with the registry of `registryUrl`, as docker-workflow makes it.
pub fn qualified(docker: &DockerSpec) -> String {
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
