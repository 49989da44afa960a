//! Sandboxes that are made before they are asked for: any driver, with a pool before it.
//!
//! A sandbox is given out once, to whoever asks for just such a one, and is never given back. How many of which kind are kept is
//! decided by `queue::pool`, from what was asked for lately; here its commands are performed. Whoever asks for what is not there
//! waits for the driver, as without a pool.
//!
//! The layers of an image may be removed while sandboxes of it wait: what is mounted stays, and what then cannot be made is made
//! when it is asked for, by whoever has fetched the image again.
//!
//! Never: a sandbox that differs in anything from what was asked for, or that somebody else has had.

mod kind;
mod member;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use model::ids::SandboxId;
use model::rung::Rung;
use queue::{Command, Decision, Event, Moment, Pool, PoolSettings, SettingsError};
use tokio::sync::watch;

use self::kind::Kind;
use self::member::{lives, rehearse};
use crate::records::Records;
use crate::{
    CreateError, Driver, DriverError, EndCause, Ended, LimitKind, LimitMet, Pending, Probe, Sandbox, SandboxSpec,
    Usage, wait_ended,
};

/// How often the records are held against what is there, and the driver sweeps. The end of a member is noticed at once; this finds
/// what was not noticed, and takes away what an engine lost that was gone for a while.
const UPKEEP: Duration = Duration::from_secs(60);
/// How long the rehearsal of a sandbox may take.
const REHEARSAL: Duration = Duration::from_secs(10);

/// So many of each.
pub type Floor = Vec<(Arc<SandboxSpec>, u32)>;

/// A floor that is not kept.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    /// It has no room.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Whoever claimed such a sandbox would not get what was asked for.
    #[error("such a sandbox is not made ahead: {0}")]
    Unfit(&'static str),
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
    /// Kept whatever the demand, of each as many; from the start on. What cannot be made ahead is not.
    pub floor: Floor,
    /// One that was made so long ago is not given out any more.
    pub max_age: Duration,
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
    /// How a member of a kind is made; of those that the pool has in mind.
    specs: BTreeMap<Kind, SandboxSpec>,
    ready: HashMap<SandboxId, Sandbox>,
    /// How each that was given and lives ends; and each whose time was over.
    given: Records<SandboxId, watch::Receiver<Option<Ended>>>,
    /// Counts decisions, so that only the last one's alarm rings.
    turn: u64,
}

impl Warm {
    /// Nothing but floors is made before the first sandbox is asked for. Has to be called where tasks can be started.
    ///
    /// # Errors
    /// The configuration makes no sense.
    pub fn new(driver: Arc<dyn Driver>, config: WarmConfig) -> Result<Warm, SettingsError> {
        Warm::with_upkeep(driver, config, UPKEEP)
    }

    /// The same with another time between two looks at what is there.
    ///
    /// # Errors
    /// The configuration makes no sense.
    pub fn with_upkeep(driver: Arc<dyn Driver>, config: WarmConfig, every: Duration) -> Result<Warm, SettingsError> {
        let mut settings = PoolSettings {
            ceiling: config.ceiling,
            ceiling_of_others: config.ceiling,
            budget_bytes: config.budget_bytes,
            max_age_ms: millis(config.max_age),
            ..PoolSettings::default()
        };
        settings.demand.factor = config.factor;
        settings.demand.half_life_ms = millis(config.half_life);
        let mut specs = BTreeMap::new();
        for (spec, count) in &config.floor {
            if let Ok((kind, spec)) = config.kind(spec) {
                config.promise(&mut settings.shapes, &kind, *count);
                specs.insert(kind, spec);
            }
        }
        let pool = Pool::new(settings)?;
        let state = State { pool, specs, ready: HashMap::new(), given: Records::default(), turn: 0 };
        let inner = Arc::new(Inner { driver, config, began: Instant::now(), state: Mutex::new(state) });
        if !inner.config.floor.is_empty() {
            inner.tell(Event::Ticked);
        }
        tokio::spawn(keep_up(Arc::downgrade(&inner), every));
        Ok(Warm { inner })
    }

    /// How many are ready.
    pub fn ready(&self) -> usize {
        self.inner.state().ready.len()
    }

    /// Keeps so many of each from now on, whatever the demand, in place of the floor of before.
    ///
    /// # Errors
    /// It cannot be kept. Then that of before is.
    pub fn set_floor(&self, floor: &[(Arc<SandboxSpec>, u32)]) -> Result<(), FloorError> {
        let inner = &self.inner;
        let (mut shapes, mut specs) = (BTreeMap::new(), BTreeMap::new());
        for (spec, count) in floor {
            let (kind, spec) = inner.config.kind(spec).map_err(FloorError::Unfit)?;
            inner.config.promise(&mut shapes, &kind, *count);
            specs.insert(kind, spec);
        }
        let mut state = inner.state();
        let decision = state.pool.set_bounds(shapes, inner.now())?;
        state.specs.extend(specs);
        let turn = state.decided();
        drop(state);
        inner.perform(decision, turn);
        Ok(())
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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// As long as there is a pool.
async fn keep_up(pool: Weak<Inner>, every: Duration) {
    let mut failed = false;
    loop {
        tokio::time::sleep(every).await;
        let Some(inner) = pool.upgrade() else { return };
        inner.reconcile();
        failed = inner.sweep(failed).await;
    }
}

impl State {
    /// Takes note of a decision; its turn.
    fn decided(&mut self) -> u64 {
        self.turn += 1;
        // What the pool has forgotten is not made again, so strangers cannot fill this.
        let known: BTreeSet<&Kind> = self.pool.counts().map(|(kind, _)| kind).collect();
        self.specs.retain(|kind, _| known.contains(kind));
        self.turn
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        Moment(millis(self.began.elapsed()))
    }

    /// Tells the pool, and does what it says.
    fn tell(self: &Arc<Self>, event: Event<Kind>) -> Option<SandboxId> {
        self.tell_of(event, None)
    }

    /// The same of a kind that may be new to it.
    fn tell_of(self: &Arc<Self>, event: Event<Kind>, kind: Option<(Kind, SandboxSpec)>) -> Option<SandboxId> {
        let mut state = self.state();
        state.specs.extend(kind);
        let (decision, turn) = self.decide(&mut state, event);
        drop(state);
        self.perform(decision, turn)
    }

    fn decide(&self, state: &mut State, event: Event<Kind>) -> (Decision<Kind>, u64) {
        let decision = state.pool.handle(event, self.now());
        (decision, state.decided())
    }

    fn perform(self: &Arc<Self>, decision: Decision<Kind>, turn: u64) -> Option<SandboxId> {
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

    /// Holds the records against what is there: what they do not know is destroyed, and what they miss is made again.
    fn reconcile(self: &Arc<Self>) {
        let mut state = self.state();
        let dead: Vec<_> = state.ready.values().filter(|member| !lives(member)).map(|member| member.id).collect();
        state.ready.retain(|id, _| !dead.contains(id));
        let given = state.given.iter().filter(|(_, end)| end.borrow().is_none()).map(|(id, _)| id);
        let existing = state.ready.keys().chain(given).copied().collect();
        let (decision, turn) = self.decide(&mut state, Event::Reconciled { existing });
        drop(state);
        for id in dead {
            let inner = Arc::clone(self);
            // Of whatever is left of it, nothing may stay.
            tokio::spawn(async move { inner.discard(id).await });
        }
        self.perform(decision, turn);
    }

    /// Has the driver take away what nobody has any more; whether it could not. `failed`: the last time, which has been told.
    async fn sweep(&self, failed: bool) -> bool {
        let swept = self.driver.sweep().await;
        match &swept {
            Ok(swept) => swept.iter().for_each(|what| tracing::info!("removed, for nobody has it any more: {what}")),
            Err(error) => {
                let (driver, error) = (self.driver.name(), error as &dyn std::error::Error);
                match failed {
                    true => tracing::debug!(error, driver, "left-overs stay still"),
                    false => tracing::warn!(error, driver, "left-overs stay until it works again"),
                }
            }
        }
        swept.is_err()
    }

    async fn make(self: Arc<Self>, kind: Kind) {
        let started = Instant::now();
        let (maker, of) = (Arc::clone(&self), kind.clone());
        let made = tokio::spawn(async move { maker.make_one(&of).await }).await;
        // Also where the driver panics: whoever is told nothing would wait for the member for ever.
        match made.map_err(|error| error.to_string()).and_then(|made| made.map_err(|error| error.to_string())) {
            Ok(sandbox) => {
                let (member, ended) = (sandbox.id, sandbox.ended());
                self.state().ready.insert(member, sandbox);
                self.tell(Event::Made { shape: kind, member, took_ms: millis(started.elapsed()) });
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
        let spec = self.state().specs.get(kind).and_then(SandboxSpec::again);
        let gone = || CreateError::Spec { what: "a kind of sandbox that nobody asks for any more".into() };
        let mut spec = spec.ok_or_else(gone)?;
        // Its time begins when it is made; that of whoever gets it is counted from then on.
        spec.limits.wall_ms = spec.limits.wall_ms.saturating_add(millis(self.config.max_age));
        let sandbox = self.driver.create(spec).await?;
        let rehearsed = tokio::time::timeout(REHEARSAL, rehearse(&sandbox)).await;
        let failure = match rehearsed {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("it took longer than {} s", REHEARSAL.as_secs())),
        };
        if let Some(reason) = failure {
            // Words of it may still be on their way, and would be taken for an answer to whoever gets it.
            let _ = self.driver.destroy(sandbox.id).await;
            return Err(CreateError::Unsupported { reason: format!("the rehearsal of a sandbox failed: {reason}") });
        }
        // What is asked at its end was asked once.
        let _ = self.driver.usage(sandbox.id).await;
        Ok(sandbox)
    }

    async fn discard(&self, member: SandboxId) {
        self.state().ready.remove(&member);
        let _ = self.driver.destroy(member).await;
    }

    /// One that is ready and alive.
    fn claim(self: &Arc<Self>, kind: Kind, spec: SandboxSpec) -> Option<Sandbox> {
        let wall_ms = spec.limits.wall_ms;
        let id = self.tell_of(Event::Wanted { shape: kind.clone() }, Some((kind, spec)))?;
        let claimed = {
            let mut state = self.state();
            let member = state.ready.remove(&id);
            if member.as_ref().is_some_and(|member| !lives(member)) {
                // Of whatever is left of it, nothing may stay.
                let inner = Arc::clone(self);
                tokio::spawn(async move { inner.discard(id).await });
            }
            member.filter(lives).map(|sandbox| {
                let (tell, end) = watch::channel(None);
                state.given.insert(id, end.clone());
                (tell, Sandbox { end, ..sandbox }, sandbox.end)
            })
        };
        let Some((tell, sandbox, ended)) = claimed else {
            self.tell(Event::Ended { member: id });
            return None;
        };
        tokio::spawn(watch_over(Arc::downgrade(self), Arc::clone(&self.driver), id, wall_ms, ended, tell));
        Some(sandbox)
    }

    fn knows(&self, kind: &Kind) -> bool {
        self.state().specs.contains_key(kind)
    }
}

/// Until one that was given has ended: by the limit of its own time, where nothing else ends it before.
async fn watch_over(
    pool: Weak<Inner>,
    driver: Arc<dyn Driver>,
    id: SandboxId,
    wall_ms: u64,
    ended: watch::Receiver<Option<Ended>>,
    tell: watch::Sender<Option<Ended>>,
) {
    let ended = tokio::select! {
        ended = wait_ended(ended.clone()) => ended,
        () = tokio::time::sleep(Duration::from_millis(wall_ms)) => {
            let met = LimitMet { kind: LimitKind::Wall, value: wall_ms, times: 1 };
            let mut last = driver.destroy(id).await.unwrap_or_else(|_| Ended::lost());
            if last.cause == EndCause::Destroyed {
                last.cause = EndCause::Limit(met);
                last.usage.limits_met.push(met);
            }
            last
        }
    };
    // What the driver says of it too needs no second record.
    let is_ours = matches!(ended.cause, EndCause::Limit(LimitMet { kind: LimitKind::Wall, .. }));
    tell.send_replace(Some(ended));
    if let Some(pool) = pool.upgrade() {
        let mut state = pool.state();
        if is_ours {
            state.given.ended(id)
        } else {
            state.given.remove(id)
        }
        drop(state);
        pool.tell(Event::Ended { member: id });
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
            let Ok((kind, again)) = self.inner.config.kind(&spec) else {
                return self.inner.driver.create(spec).await;
            };
            if self.inner.knows(&kind) {
                return match self.inner.claim(kind, again) {
                    Some(sandbox) => Ok(sandbox),
                    None => self.inner.driver.create(spec).await,
                };
            }
            // What cannot be made is not tried again ahead of anybody.
            let sandbox = self.inner.driver.create(spec).await?;
            if let Some(unwanted) = self.inner.claim(kind, again) {
                // Somebody who asked for the same at the same time has had it made; nobody is here to take it.
                let driver = Arc::clone(&self.inner.driver);
                tokio::spawn(async move { driver.destroy(unwanted.id).await });
            }
            Ok(sandbox)
        })
    }

    /// Replaces what was said before of such, and fades like all demand.
    fn expect(&self, spec: &SandboxSpec, count: u64) {
        let Ok((kind, spec)) = self.inner.config.kind(spec) else { return };
        self.inner.tell_of(Event::Queued { shape: kind.clone(), waiting: count }, Some((kind, spec)));
    }

    fn usage(&self, id: SandboxId) -> Pending<'_, Result<Usage, DriverError>> {
        self.inner.driver.usage(id)
    }

    fn destroy(&self, id: SandboxId) -> Pending<'_, Result<Ended, DriverError>> {
        Box::pin(async move {
            let given = self.inner.state().given.get(id).cloned();
            let ended = self.inner.driver.destroy(id).await;
            match given {
                // By its time, perhaps, which the driver knows nothing of.
                Some(given) => Ok(wait_ended(given).await),
                None => ended,
            }
        })
    }

    fn sweep(&self) -> Pending<'_, Result<Vec<String>, DriverError>> {
        Box::pin(async move {
            let swept = self.inner.driver.sweep().await;
            self.inner.reconcile();
            swept
        })
    }
}
