//! Sandboxes that are made before they are asked for: any driver, with a pool before it.
//!
//! A sandbox is given out once, to whoever asks for just such a one, and is never given back. How many of which kind are kept is
//! decided by `queue::pool`, from what was asked for lately; here its commands are performed. Whoever asks for what is not there
//! waits for the driver, as without a pool.
//!
//! Never: a sandbox that differs in anything from what was asked for, or that somebody else has had.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::ids::SandboxId;
use model::rung::Rung;
use queue::{Bounds, Command, Decision, Event, Moment, Pool, PoolSettings, SettingsError};

use crate::{
    CreateError, Driver, DriverError, Ended, NetworkSource, Pending, Probe, Sandbox, SandboxSpec, Usage, Walls,
};

/// Makes a network for a sandbox that nobody has asked for yet.
pub type Connect =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<NetworkSource, CreateError>> + Send>> + Send + Sync>;

/// Everything that makes a difference to whoever gets a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    spec: String,
    connected: bool,
    cost_bytes: u64,
}

impl queue::Shape for Kind {
    fn cost_bytes(&self) -> u64 {
        self.cost_bytes
    }
}

/// How a pool is kept.
#[derive(Clone)]
pub struct WarmConfig {
    /// Most sandboxes, ready and in the making.
    pub ceiling: u32,
    /// Most memory that they may take together, in bytes.
    pub budget_bytes: u64,
    /// What one takes while it waits, in bytes.
    pub cost_bytes: u64,
    /// Sandboxes for each that is expected to be asked for while one is made.
    pub factor: f64,
    /// Demand that is not seen again counts half after this long.
    pub half_life: Duration,
    /// Kept whatever the demand, of each as many; from the start on.
    pub floor: Vec<(Arc<SandboxSpec>, u32)>,
    /// One that was made so long ago is not given out any more.
    pub max_age: Duration,
    /// Networks for sandboxes that have one; without it, only those without are kept.
    pub connect: Option<Connect>,
}

/// A driver with a pool before it.
pub struct Warm {
    inner: Arc<Inner>,
}

struct Inner {
    driver: Arc<dyn Driver>,
    config: WarmConfig,
    began: Instant,
    state: Mutex<State>,
}

struct State {
    pool: Pool<Kind>,
    /// How a member of a kind is made.
    specs: BTreeMap<Kind, SandboxSpec>,
    ready: HashMap<SandboxId, Sandbox>,
    given: BTreeSet<SandboxId>,
    /// Counts decisions, so that only the last one's alarm rings.
    turn: u64,
}

impl Warm {
    /// Nothing but floors is made before the first sandbox is asked for. Has to be called where tasks can be started.
    ///
    /// # Errors
    /// The configuration makes no sense.
    pub fn new(driver: Arc<dyn Driver>, config: WarmConfig) -> Result<Warm, SettingsError> {
        let mut settings = PoolSettings {
            ceiling: config.ceiling,
            ceiling_of_others: config.ceiling,
            budget_bytes: config.budget_bytes,
            max_age_ms: u64::try_from(config.max_age.as_millis()).unwrap_or(u64::MAX),
            ..PoolSettings::default()
        };
        settings.demand.factor = config.factor;
        settings.demand.half_life_ms = u64::try_from(config.half_life.as_millis()).unwrap_or(u64::MAX);
        let mut specs = BTreeMap::new();
        for (spec, floor) in &config.floor {
            if let Some(kind) = config.kind(spec) {
                settings.shapes.insert(kind.clone(), Bounds { floor: *floor, ceiling: config.ceiling });
                specs.insert(kind, spec.unconnected());
            }
        }
        let pool = Pool::new(settings)?;
        let state = State { pool, specs, ready: HashMap::new(), given: BTreeSet::new(), turn: 0 };
        let inner = Arc::new(Inner { driver, config, began: Instant::now(), state: Mutex::new(state) });
        if !inner.config.floor.is_empty() {
            inner.tell(Event::Ticked);
        }
        Ok(Warm { inner })
    }

    /// So many wait for a sandbox like this and cannot ask for it yet. Replaces what was said before, and fades like all demand.
    pub fn queued(&self, spec: &SandboxSpec, waiting: u64) {
        let Some(kind) = self.inner.config.kind(spec) else { return };
        self.inner.state().specs.entry(kind.clone()).or_insert_with(|| spec.unconnected());
        self.inner.tell(Event::Queued { shape: kind, waiting });
    }

    /// How many are ready.
    pub fn ready(&self) -> usize {
        self.inner.state().ready.len()
    }

    /// Ends what nobody has asked for, and makes no more.
    pub async fn close(&self) {
        let left: Vec<_> = {
            let mut state = self.inner.state();
            let now = self.inner.now();
            let _ = state.pool.handle(Event::Drained, now);
            state.turn += 1;
            state.ready.drain().map(|(id, _)| id).collect()
        };
        for id in left {
            // What could not be ended is the driver's to sweep.
            let _ = self.inner.driver.destroy(id).await;
        }
    }
}

impl WarmConfig {
    /// The kind of a sandbox; `None` where such a one cannot be made ahead.
    fn kind(&self, spec: &SandboxSpec) -> Option<Kind> {
        let connected = matches!(spec.network, NetworkSource::Netns { .. });
        let plain = spec.workspace.share_with.is_none() && spec.walls == Walls::default();
        let reachable = !connected || self.connect.is_some();
        (plain && reachable).then(|| Kind {
            spec: format!("{:?}", spec.unconnected()),
            connected,
            cost_bytes: self.cost_bytes,
        })
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Tells the pool, and does what it says.
    fn tell(self: &Arc<Self>, event: Event<Kind>) -> Option<SandboxId> {
        let (decision, turn) = {
            let mut state = self.state();
            let now = self.now();
            state.turn += 1;
            (state.pool.handle(event, now), state.turn)
        };
        let Decision { given, commands, wake_at } = decision;
        for command in commands {
            let inner = Arc::clone(self);
            match command {
                Command::Make { shape } => drop(tokio::spawn(async move { inner.make(shape).await })),
                Command::Destroy { member } => drop(tokio::spawn(async move { inner.discard(member).await })),
            }
        }
        if let Some(at) = wake_at {
            let weak = Arc::downgrade(self);
            let wait = Duration::from_millis(at.0.saturating_sub(self.now().0).max(1));
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                if let Some(inner) = weak.upgrade().filter(|inner| inner.state().turn == turn) {
                    inner.tell(Event::Ticked);
                }
            });
        }
        given
    }

    async fn make(self: Arc<Self>, kind: Kind) {
        let started = Instant::now();
        let made = self.make_one(&kind).await;
        match made {
            Ok(sandbox) => {
                let (member, ended) = (sandbox.id, sandbox.ended());
                self.state().ready.insert(member, sandbox);
                let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.tell(Event::Made { shape: kind, member, took_ms });
                let weak = Arc::downgrade(&self);
                drop(self);
                tokio::spawn(async move {
                    ended.await;
                    let Some(inner) = weak.upgrade() else { return };
                    // Of those that were given, `destroy` tells.
                    if inner.state().ready.remove(&member).is_some() {
                        inner.tell(Event::Ended { member });
                    }
                });
            }
            Err(error) => {
                tracing::info!(%error, "a sandbox for the pool could not be made");
                self.tell(Event::Failed { shape: kind });
            }
        }
    }

    async fn make_one(&self, kind: &Kind) -> Result<Sandbox, CreateError> {
        let spec = self.state().specs.get(kind).map(SandboxSpec::unconnected);
        let gone = || CreateError::Spec { what: "a kind of sandbox that nobody has asked for".into() };
        let mut spec = spec.ok_or_else(gone)?;
        // Its time begins when it is made; whoever gets it has all of theirs.
        let age = u64::try_from(self.config.max_age.as_millis()).unwrap_or(u64::MAX);
        spec.limits.wall_ms = spec.limits.wall_ms.saturating_add(age);
        if let (true, Some(connect)) = (kind.connected, &self.config.connect) {
            spec.network = connect().await?;
        }
        let sandbox = self.driver.create(spec).await?;
        // What is asked at its end was asked once: where instructions are translated, the first time is the slow one.
        let _ = self.driver.usage(sandbox.id).await;
        Ok(sandbox)
    }

    async fn discard(&self, member: SandboxId) {
        self.state().ready.remove(&member);
        let _ = self.driver.destroy(member).await;
    }

    /// One that is ready and alive.
    fn claim(self: &Arc<Self>, kind: &Kind) -> Option<Sandbox> {
        let id = self.tell(Event::Wanted { shape: kind.clone() })?;
        let claimed = {
            let mut state = self.state();
            let claimed = state.ready.remove(&id).filter(|sandbox| sandbox.end.borrow().is_none());
            if claimed.is_some() {
                state.given.insert(id);
            }
            claimed
        };
        if claimed.is_none() {
            self.tell(Event::Ended { member: id });
        }
        claimed
    }
}

impl Driver for Warm {
    fn name(&self) -> &'static str {
        self.inner.driver.name()
    }

    fn rung(&self) -> Rung {
        self.inner.driver.rung()
    }

    fn probe(&self) -> Probe {
        self.inner.driver.probe()
    }

    fn create(&self, spec: SandboxSpec) -> Pending<'_, Result<Sandbox, CreateError>> {
        Box::pin(async move {
            let Some(kind) = self.inner.config.kind(&spec) else { return self.inner.driver.create(spec).await };
            if !self.inner.state().specs.contains_key(&kind) {
                // What cannot be made is not tried again ahead of anybody.
                let kept = spec.unconnected();
                let sandbox = self.inner.driver.create(spec).await?;
                self.inner.state().specs.insert(kind.clone(), kept);
                if let Some(member) = self.inner.tell(Event::Wanted { shape: kind }) {
                    // Somebody who asked for the same at the same time has had it made; nobody is here to take it.
                    self.inner.discard(member).await;
                    self.inner.tell(Event::Ended { member });
                }
                return Ok(sandbox);
            }
            match self.inner.claim(&kind) {
                Some(sandbox) => Ok(sandbox),
                None => self.inner.driver.create(spec).await,
            }
        })
    }

    fn usage(&self, id: SandboxId) -> Pending<'_, Result<Usage, DriverError>> {
        self.inner.driver.usage(id)
    }

    fn destroy(&self, id: SandboxId) -> Pending<'_, Result<Ended, DriverError>> {
        Box::pin(async move {
            let ended = self.inner.driver.destroy(id).await;
            let was_given = self.inner.state().given.remove(&id);
            if was_given {
                self.inner.tell(Event::Ended { member: id });
            }
            ended
        })
    }

    fn sweep(&self) -> Pending<'_, Result<Vec<String>, DriverError>> {
        self.inner.driver.sweep()
    }
}
