//! The `swarm` driver: one service of one task for each sandbox, where the Swarm places it.
//!
//! A task starts as soon as it is placed, and nothing can be put into its container before; an API that only managers have does
//! not reach into it either. So its first program is a stub in a config object, which waits on its standard input for init
//! (`stub/receive.rs`), and everything else goes through the engine of the node that it came to: the folders of the workload, init,
//! the stream, its end.
//!
//! A service without a network is on its node's bridge nevertheless. Before init is there, it is taken off.

mod nodes;
mod service;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use bollard::models::{ConfigSpec, NetworkDisconnectRequest, Task, TaskState};
use bollard::query_parameters::ListTasksOptionsBuilder;
use model::ids::SandboxId;
use model::rung::Rung;
use sandbox::{CreateError, Driver, DriverError, Ended, Pending, Probe, Sandbox, SandboxSpec, Usage, init_program};

use self::nodes::{Node, Nodes};
use self::service::{Terms, service};
use crate::docker::{connect, create, look, no_sharing, put, sandbox};
use crate::engine::{Engine, failed, is_missing};
use crate::living::{Place, Sandboxes, remove_container, remove_service};
use crate::owner::Owner;
use crate::seen::At;
use crate::{SwarmConfig, image, probe, refusal, sweep};

pub(crate) const NAME: &str = "swarm";

/// What a task starts as.
static STUB: &[u8] = include_bytes!(env!("COFFERDAM_RECEIVE"));
/// How long a task may take until it runs, an image pulled on the way.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// How often it is asked whether it does.
const PAUSE: Duration = Duration::from_millis(25);
/// How often the removal of a config object is tried.
const RETRIES: u32 = 120;
/// So long a config object is used; then another takes its place, for what a host leaves that does not come back must come to an end.
const STUB_USED: Duration = Duration::from_secs(24 * 3600);
/// So much later it is removed, if no service has it.
const STUB_GRACE: Duration = PATIENCE;
/// And so long whoever sweeps leaves it alone.
const STUB_LIFE: Duration = Duration::from_secs(2 * 24 * 3600);

/// The driver.
pub struct Swarm {
    shared: Arc<Shared>,
}

struct Shared {
    config: SwarmConfig,
    manager: Engine,
    owner: Owner,
    nodes: Nodes,
    sandboxes: Sandboxes,
    /// The last is in use, those before it were.
    stubs: Arc<tokio::sync::Mutex<Vec<Stub>>>,
    next: AtomicU64,
}

/// A config object with the stub.
#[derive(Clone)]
struct Stub {
    id: String,
    name: String,
    /// By the clock of the host, which goes on while that sleeps.
    made: SystemTime,
    /// It is given to no service any more.
    is_over: bool,
}

impl Stub {
    fn age(&self) -> Duration {
        self.made.elapsed().unwrap_or_default()
    }
}

impl Swarm {
    /// Connects to a manager; must be called within a tokio runtime, on which the driver then lives. When it is dropped, its
    /// sandboxes end.
    ///
    /// # Errors
    /// [`DriverError::Engine`]: it does not answer, or is older than Docker 20.10.
    pub async fn open(config: SwarmConfig) -> Result<Swarm, DriverError> {
        let manager = Engine::connect(&config.manager, config.control_plane.as_deref()).await?;
        let owner = Owner::new();
        let nodes = Nodes::new(&manager, owner.id());
        let (sandboxes, stubs, next) = (Sandboxes::new(), Arc::default(), AtomicU64::new(1));
        Ok(Swarm { shared: Arc::new(Shared { config, manager, owner, nodes, sandboxes, stubs, next }) })
    }

    /// What `doctor` says of a manager, whether or not it can be reached.
    pub fn probe(config: &SwarmConfig) -> Probe {
        probe::swarm(config)
    }
}

/// A task that runs.
struct Placed {
    node: Node,
    container: String,
}

impl Shared {
    async fn make(&self, mut spec: SandboxSpec) -> Result<Sandbox, CreateError> {
        refusal::of_spec(&spec, NAME)?;
        spec.name()?;
        refusal::of_machine(&self.manager.about, self.config.shared_machine)?;
        refusal::of_filter(&self.manager.filter().await?)?;
        no_sharing(&self.sandboxes, &spec, NAME)?;
        let network = refusal::network(&spec, self.config.network.as_ref(), NAME)?;
        let image = image::reference(&spec, NAME)?;
        if !self.manager.about.manages {
            return Err(CreateError::Unsupported {
                reason: "the engine manages no Swarm (`docker swarm init`)".into(),
            });
        }
        let terms = Terms {
            name: format!("cofferdam-{}-{}", self.owner.id(), self.next.fetch_add(1, Ordering::Relaxed)),
            stub: self.stub(STUB_USED).await?,
            constraints: self.config.constraints.clone(),
            network: network.clone(),
            processors: self.manager.about.processors,
            labels: self.owner.labels(PATIENCE + Duration::from_millis(spec.limits.wall_ms)),
        };
        let made = self.manager.client.create_service(service(&spec, &image, terms), None).await;
        if made.is_err() {
            // Perhaps for its config object, which somebody has removed: the next one gets another.
            self.stubs.lock().await.iter_mut().for_each(|stub| stub.is_over = true);
        }
        let service = made.map_err(failed(format!("make a service of {image}")))?.id.unwrap_or_default();
        let mut container = None;
        match self.start(&service, &spec, network.is_some(), &mut container).await {
            Ok(sandbox) => Ok(sandbox),
            Err(error) => {
                self.give_up(&service, container).await;
                Err(error)
            }
        }
    }

    async fn give_up(&self, service: &str, placed: Option<Placed>) {
        let removed = async {
            remove_service(&self.manager, service).await?;
            match placed {
                Some(placed) => remove_container(&placed.node.engine, &placed.container).await,
                None => Ok(()),
            }
        };
        if let Err(error) = removed.await {
            tracing::warn!(%error, service, "a service that did not start stays until the next sweep");
        }
    }

    /// Id and name of the config object with the stub: one that has been used for less than `used`. Whoever was given an older one may be
    /// making a service with it yet.
    async fn stub(&self, used: Duration) -> Result<(String, String), DriverError> {
        let mut stubs = self.stubs.lock().await;
        if stubs.last().is_none_or(|stub| stub.is_over || stub.age() >= used) {
            let made = self.make_stub().await?;
            stubs.push(made);
            let mut index = 0;
            while index + 1 < stubs.len() {
                let removed = stubs[index].age() >= used + STUB_GRACE
                    && match self.manager.client.delete_config(&stubs[index].id).await {
                        // A service has it still.
                        Err(error) => is_missing(&error),
                        Ok(()) => true,
                    };
                if removed {
                    stubs.remove(index);
                } else {
                    index += 1;
                }
            }
        }
        Ok(stubs.last().map(|stub| (stub.id.clone(), stub.name.clone())).unwrap_or_default())
    }

    async fn make_stub(&self) -> Result<Stub, DriverError> {
        let name = format!("cofferdam-{}-stub-{}", self.owner.id(), self.next.fetch_add(1, Ordering::Relaxed));
        let made = SystemTime::now();
        let config = ConfigSpec {
            name: Some(name.clone()),
            labels: Some(self.owner.labels(STUB_LIFE)),
            data: Some(base64::prelude::BASE64_STANDARD.encode(STUB)),
            ..ConfigSpec::default()
        };
        let object =
            self.manager.client.create_config(config).await.map_err(failed("make a config object for the stub"))?;
        Ok(Stub { id: object.id, name, made, is_over: false })
    }

    async fn start(
        &self,
        service: &str,
        spec: &SandboxSpec,
        networked: bool,
        placed: &mut Option<Placed>,
    ) -> Result<Sandbox, CreateError> {
        let Placed { node, container } = placed.insert(self.wait_placed(service).await?);
        let engine = &node.engine;
        refusal::of_filter(&engine.filter().await?)?;
        let image_id = if networked { image_of(engine, container).await? } else { isolate(engine, container).await? };
        let inside = look(engine, &node.images, &image_id, At::Container(container.clone()), spec).await?;
        if let Some(archive) = inside.archive()? {
            put(engine, container, "/", archive).await?;
        }
        let (stream, _words, closed) = connect(engine, container, &init_message()).await?;
        let services = Some((self.manager.clone(), service.to_owned()));
        let place = Place { engine: engine.clone(), container: container.clone(), service: services };
        let exit = tokio::spawn(place.clone().exit());
        let (id, end) = self.sandboxes.begin(place, Arc::clone(&node.heard), spec.limits, exit, closed);
        Ok(sandbox(id, stream, inside.made, spec, end))
    }

    /// Until the task runs on some node whose engine is known.
    async fn wait_placed(&self, service: &str) -> Result<Placed, CreateError> {
        let begun = Instant::now();
        let filters: HashMap<String, Vec<String>> = [("service".into(), vec![service.into()])].into();
        let mut last = String::new();
        while begun.elapsed() < PATIENCE {
            let options = ListTasksOptionsBuilder::default().filters(&filters).build();
            let tasks = self.manager.client.list_tasks(Some(options)).await.map_err(failed("list tasks"))?;
            if let Some(task) = tasks.into_iter().next() {
                match running(&task)? {
                    Ok((node, container)) => {
                        let node = self.nodes.of(&node, &self.manager, &self.config).await?;
                        return Ok(Placed { node, container });
                    }
                    Err(state) => last = state,
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        let reason = format!("no node started the task within {} s: {last}", PATIENCE.as_secs());
        Err(CreateError::Unsupported { reason })
    }
}

/// Node and container of a task that runs; how far it is, where it does not yet.
fn running(task: &Task) -> Result<Result<(String, String), String>, CreateError> {
    let status = task.status.clone().unwrap_or_default();
    let state = status.state.unwrap_or(TaskState::NEW);
    let said = status.err.filter(|text| !text.is_empty()).or(status.message).unwrap_or_default();
    match state {
        TaskState::RUNNING => {
            let container = status.container_status.and_then(|container| container.container_id);
            match (task.node_id.clone(), container) {
                (Some(node), Some(container)) => Ok(Ok((node, container))),
                _ => Ok(Err("it runs, and nobody says where".into())),
            }
        }
        TaskState::COMPLETE
        | TaskState::SHUTDOWN
        | TaskState::FAILED
        | TaskState::REJECTED
        | TaskState::REMOVE
        | TaskState::ORPHANED => {
            Err(CreateError::Unsupported { reason: format!("the Swarm did not start the task ({state}): {said}") })
        }
        _ => Ok(Err(format!("{state}: {said}"))),
    }
}

/// What the stub waits for.
fn init_message() -> Vec<u8> {
    let program = init_program();
    [&(program.len() as u64).to_le_bytes(), program].concat()
}

/// Takes a container off every network, in which nothing but the stub has run; the id of its image.
async fn isolate(engine: &Engine, container: &str) -> Result<String, CreateError> {
    for last in [false, true] {
        let inspect = engine.client.inspect_container(container, None).await;
        let inspect = inspect.map_err(failed(format!("look at container {container}")))?;
        let networks = inspect.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        // On an engine without a bridge it is on a network in name only.
        let connected = networks.into_iter().filter(|(name, endpoint)| {
            name != "none" && endpoint.endpoint_id.as_ref().is_some_and(|id| !id.is_empty())
        });
        let names: Vec<_> = connected.map(|(name, _)| name).collect();
        if names.is_empty() {
            return Ok(inspect.image.unwrap_or_default());
        }
        if last {
            let reason = format!("a task stays on the networks {names:?} of its node");
            return Err(CreateError::Unsupported { reason });
        }
        for name in names {
            let request = NetworkDisconnectRequest { container: container.to_owned(), force: Some(true) };
            match engine.client.disconnect_network(&name, request).await {
                Err(error) if !is_missing(&error) => {
                    return Err(failed(format!("take container {container} off network {name}"))(error).into());
                }
                _ => {}
            }
        }
    }
    Err(DriverError::Gone.into())
}

async fn image_of(engine: &Engine, container: &str) -> Result<String, CreateError> {
    let inspect = engine.client.inspect_container(container, None).await;
    Ok(inspect.map_err(failed(format!("look at container {container}")))?.image.unwrap_or_default())
}

impl Drop for Swarm {
    /// Config objects are let go when the last service that has them is gone. Without a runtime they stay for the next sweep.
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (stubs, manager) = (Arc::clone(&self.shared.stubs), self.shared.manager.clone());
        runtime.spawn(async move {
            for Stub { id, .. } in stubs.lock().await.drain(..) {
                for _ in 0..RETRIES {
                    match manager.client.delete_config(&id).await {
                        Err(error) if !is_missing(&error) => tokio::time::sleep(20 * PAUSE).await,
                        _ => break,
                    }
                }
            }
        });
    }
}

impl Driver for Swarm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn rung(&self) -> Rung {
        Rung::Container
    }

    fn probe(&self) -> Probe {
        probe::swarm(&self.shared.config)
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
            swept.extend(sweep::services(&self.shared.manager, &self.shared.owner).await?);
            Ok(swept)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::{Answers, info};

    #[tokio::test]
    async fn a_config_object_that_was_used_for_long_makes_room_for_another() {
        // The first cannot be removed yet: a service has it.
        let engine = Answers::start(|call, nth| match call {
            "POST /configs/create" => (201, format!(r#"{{"ID":"config-{nth}"}}"#)),
            "DELETE /configs/config-1" if nth == 1 => (400, r#"{"message":"in use"}"#.into()),
            removed if removed.starts_with("DELETE /configs/") => (204, String::new()),
            other => info(other, "default"),
        });
        let config = SwarmConfig { shared_machine: true, ..SwarmConfig::new(engine.endpoint()) };
        let swarm = Swarm::open(config).await.unwrap();
        let stub = async |used| swarm.shared.stub(used).await.unwrap().0;
        let fresh = [stub(STUB_USED).await, stub(STUB_USED).await];
        assert_eq!(fresh, ["config-1", "config-1"]);
        let removed = || engine.heard().into_iter().filter(|call| call.starts_with("DELETE")).collect::<Vec<_>>();
        assert_eq!(stub(Duration::ZERO).await, "config-2");
        assert_eq!(removed(), [""; 0], "somebody may be making a service with it");
        let grow_old = async || {
            let past = SystemTime::now() - STUB_USED - STUB_GRACE;
            swarm.shared.stubs.lock().await.iter_mut().for_each(|stub| stub.made = past);
        };
        grow_old().await;
        assert_eq!([stub(STUB_USED).await, stub(STUB_USED).await], ["config-3", "config-3"]);
        assert_eq!(removed(), ["DELETE /configs/config-1", "DELETE /configs/config-2"], "a service has the first");
        grow_old().await;
        assert_eq!(stub(STUB_USED).await, "config-4");
        assert_eq!(removed()[2..], ["DELETE /configs/config-1", "DELETE /configs/config-3"]);
        // No service could be made: for lack of it, perhaps.
        swarm.shared.stubs.lock().await.iter_mut().for_each(|stub| stub.is_over = true);
        assert_eq!(stub(STUB_USED).await, "config-5");
    }
}
