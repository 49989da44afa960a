//! The `docker` driver: one container of an engine for each sandbox.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::UploadToContainerOptionsBuilder;
use launcher::protocol::{INIT, Made};
use model::ids::SandboxId;
use model::rung::Rung;
use sandbox::{CreateError, Driver, DriverError, Ended, Pending, Probe, Sandbox, SandboxSpec, Usage, init_program};
use tokio::sync::{oneshot, watch};

use crate::body::{self, IN_VOLUME, Terms};
use crate::bridge::{self, LastWords};
use crate::engine::{Engine, failed};
use crate::inside::{Inside, one_program};
use crate::living::{Heard, Place, Sandboxes, remove_container};
use crate::owner::Owner;
use crate::seen::{At, Images, Look};
use crate::{DockerConfig, image, probe, refusal, sweep};

pub(crate) const NAME: &str = "docker";

/// The driver.
pub struct Docker {
    shared: Arc<Shared>,
}

struct Shared {
    config: DockerConfig,
    engine: Engine,
    owner: Owner,
    heard: Arc<Heard>,
    images: Images,
    sandboxes: Sandboxes,
}

impl Docker {
    /// Connects to the engine; must be called within a tokio runtime, on which the driver then lives. When it is dropped, its
    /// sandboxes end.
    ///
    /// # Errors
    /// [`DriverError::Engine`]: it does not answer, or is older than Docker 20.10.
    pub async fn open(config: DockerConfig) -> Result<Docker, DriverError> {
        let engine = Engine::connect(&config.endpoint, config.control_plane.as_deref()).await?;
        let owner = Owner::new();
        let heard = Heard::of(&engine, owner.id());
        let (images, sandboxes) = (Images::default(), Sandboxes::new());
        Ok(Docker { shared: Arc::new(Shared { config, engine, owner, heard, images, sandboxes }) })
    }

    /// What `doctor` says of an engine, whether or not it can be reached.
    pub fn probe(config: &DockerConfig) -> Probe {
        probe::docker(config)
    }
}

impl Shared {
    async fn make(&self, mut spec: SandboxSpec) -> Result<Sandbox, CreateError> {
        refusal::of_spec(&spec, NAME)?;
        spec.name()?;
        refusal::of_machine(&self.engine.about, self.config.shared_machine)?;
        refusal::of_filter(&self.engine.filter().await?)?;
        no_sharing(&self.sandboxes, &spec, NAME)?;
        let network = refusal::network(&spec, self.config.network.as_ref(), NAME)?;
        let image = image::reference(&spec, NAME)?;
        let image_id = image::ensure(&self.engine, &image).await?;
        let labels = self.owner.labels(Duration::from_millis(spec.limits.wall_ms));
        let at = At::Fresh(Box::new(body::bare(&image, labels.clone())));
        let inside = look(&self.engine, &self.images, &image_id, at, &spec).await?;
        let processors = self.engine.about.processors;
        let terms = Terms { processors, network, disk_quota: self.config.disk_quota, labels };
        let body = body::container(&spec, &image, inside.made.user, terms);
        let made = self.engine.client.create_container(None, body).await;
        let container = made.map_err(failed(format!("make a container of {image}")))?.id;
        match self.start(&container, &spec, inside).await {
            Ok(sandbox) => Ok(sandbox),
            Err(error) => {
                if let Err(left) = remove_container(&self.engine, &container).await {
                    tracing::warn!(error = %left, "a container that did not start stays until the next sweep");
                }
                Err(error)
            }
        }
    }

    async fn start(&self, container: &str, spec: &SandboxSpec, mut inside: Inside) -> Result<Sandbox, CreateError> {
        if spec.read_only_root {
            put(&self.engine, container, INIT, one_program(IN_VOLUME, init_program())?).await?;
        } else {
            inside.add_program(INIT, init_program());
        }
        if let Some(archive) = inside.archive()? {
            put(&self.engine, container, "/", archive).await?;
        }
        let (stream, words, closed) = connect(&self.engine, container, &[]).await?;
        let place = Place { engine: self.engine.clone(), container: container.into(), service: None };
        let exit = tokio::spawn(place.clone().exit());
        if let Err(error) = self.engine.client.start_container(container, None).await {
            let said = words.line().map(|line| format!("; it says: {line}")).unwrap_or_default();
            return Err(failed(format!("start container {container}{said}"))(error).into());
        }
        let (id, end) = self.sandboxes.begin(place, Arc::clone(&self.heard), spec.limits, exit, closed);
        Ok(sandbox(id, stream, inside.made, spec, end))
    }
}

/// What the image has, and what is to be put in.
pub(crate) async fn look(
    engine: &Engine,
    images: &Images,
    image_id: &str,
    at: At,
    spec: &SandboxSpec,
) -> Result<Inside, CreateError> {
    let seen = images.of(image_id);
    let mut seen = seen.lock().await;
    let mut look = Look::new(engine, at, &mut seen);
    let inside = Inside::of(spec, &mut look).await;
    look.done().await;
    inside
}

/// Sends an archive for a folder of a container.
pub(crate) async fn put(engine: &Engine, container: &str, to: &str, archive: Vec<u8>) -> Result<(), CreateError> {
    let options = UploadToContainerOptionsBuilder::default().path(to).build();
    let sent = engine.client.upload_to_container(container, Some(options), bollard::body_full(archive.into())).await;
    Ok(sent.map_err(failed(format!("put files into container {container}")))?)
}

/// The caller's end of the stream to a container, after `first` was sent.
pub(crate) async fn connect(
    engine: &Engine,
    container: &str,
    first: &[u8],
) -> Result<(UnixStream, LastWords, watch::Receiver<bool>), CreateError> {
    let kernel = |source| CreateError::Kernel { operation: "make a socket pair".into(), source };
    let (theirs, ours) = UnixStream::pair().map_err(kernel)?;
    ours.set_nonblocking(true).map_err(kernel)?;
    let ours = tokio::net::UnixStream::from_std(ours).map_err(kernel)?;
    let attached = bridge::attach(engine, container, first).await?;
    let (words, closed) = bridge::carry(attached, ours);
    Ok((theirs, words, closed))
}

/// A sandbox as the caller gets it.
pub(crate) fn sandbox(
    id: SandboxId,
    stream: UnixStream,
    made: Made,
    spec: &SandboxSpec,
    end: watch::Receiver<Option<Ended>>,
) -> Sandbox {
    let Made { user, groups, home } = made;
    let (workspace, hostname) = (spec.workspace.path.clone(), spec.hostname.clone().unwrap_or_default());
    Sandbox { id, stream, user, groups, home, workspace, hostname, end }
}

/// A workspace lies in the writable layer of its container, where no other can reach it.
pub(crate) fn no_sharing(sandboxes: &Sandboxes, spec: &SandboxSpec, driver: &str) -> Result<(), CreateError> {
    let Some(id) = spec.workspace.share_with else { return Ok(()) };
    if sandboxes.find(id).map_or(true, |living| living.has_ended()) {
        return Err(CreateError::SharedGone { id });
    }
    Err(CreateError::Unsupported { reason: format!("the {driver} driver shares no workspace between containers yet") })
}

/// Runs `make` to its end even if nobody waits any more; then what it made is destroyed.
pub(crate) async fn create<Making, Destroying>(
    make: Making,
    destroy: impl FnOnce(SandboxId) -> Destroying + Send + 'static,
) -> Result<Sandbox, CreateError>
where
    Making: Future<Output = Result<Sandbox, CreateError>> + Send + 'static,
    Destroying: Future<Output = ()> + Send,
{
    let (made, waiting) = oneshot::channel();
    tokio::spawn(async move {
        if let Err(Ok(unwanted)) = made.send(make.await) {
            destroy(unwanted.id).await;
        }
    });
    waiting.await.map_err(|_| DriverError::Gone)?
}

impl Driver for Docker {
    fn name(&self) -> &'static str {
        NAME
    }

    fn rung(&self) -> Rung {
        Rung::Container
    }

    fn probe(&self) -> Probe {
        probe::docker(&self.shared.config)
    }

    fn create(&self, spec: SandboxSpec) -> Pending<'_, Result<Sandbox, CreateError>> {
        let (maker, destroyer) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        Box::pin(create(async move { maker.make(spec).await }, async move |id| {
            if let Ok(living) = destroyer.sandboxes.find(id) {
                living.destroy().await;
            }
        }))
    }

    fn usage(&self, id: SandboxId) -> Pending<'_, Result<Usage, DriverError>> {
        Box::pin(async move { Ok(self.shared.sandboxes.find(id)?.usage().await) })
    }

    fn destroy(&self, id: SandboxId) -> Pending<'_, Result<Ended, DriverError>> {
        Box::pin(async move { Ok(self.shared.sandboxes.find(id)?.destroy().await) })
    }

    fn sweep(&self) -> Pending<'_, Result<Vec<String>, DriverError>> {
        Box::pin(async move {
            let mut swept = self.shared.sandboxes.remove_lost().await;
            swept.extend(sweep::containers(&self.shared.engine, &self.shared.owner).await?);
            Ok(swept)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::{Answers, info};

    #[tokio::test]
    async fn an_engine_that_filters_no_more_is_refused() {
        // As it was connected to, it filtered.
        let engine = Answers::start(|call, nth| info(call, if nth == 1 { "default" } else { "unconfined" }));
        let config = DockerConfig { shared_machine: true, ..DockerConfig::new(engine.endpoint()) };
        let docker = Docker::open(config).await.unwrap();
        let error = docker.create(SandboxSpec::image(Vec::new())).await.unwrap_err();
        assert!(error.to_string().contains("filters no system calls"), "{error}");
    }
}
