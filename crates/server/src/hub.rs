//! Agents that are connected, and keepers of runs that are under way: who talks to whom, and who gets what waits.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::ids::RunId;
use store::{Run, RunFilter, Status, StoreError};
use tokio::sync::{Notify, mpsc, oneshot};
use wire::agent::{FromAgent, Lease, ToAgent};

use crate::app::App;
use crate::keeper::{self, ToKeeper};

/// How often the queue is looked at where nothing has told that it changed.
const LOOK: Duration = Duration::from_secs(2);
/// Runs that are looked at in one turn.
const MOST_AT_ONCE: u32 = 1000;

/// Who is there.
#[derive(Default)]
pub(crate) struct Hub {
    agents: Mutex<HashMap<u64, Connected>>,
    keepers: Mutex<HashMap<RunId, mpsc::UnboundedSender<ToKeeper>>>,
    /// Which agent each run has a place at.
    seats: Mutex<HashMap<RunId, u64>>,
    /// Something may be given out.
    wake: Notify,
    closed: std::sync::atomic::AtomicBool,
}

/// Places for runs at connected agents.
pub(crate) struct Places {
    pub(crate) agents: usize,
    pub(crate) taken: u64,
    pub(crate) free: u64,
}

/// An agent's connection.
struct Connected {
    /// Which of its connections: a later one replaces an earlier one.
    connection: u64,
    sender: mpsc::UnboundedSender<ToAgent>,
    /// Runs that it takes at once.
    most: u32,
    /// Ends the connection when it is dropped.
    _alive: oneshot::Sender<()>,
}

/// Goes on with what is under way, and gives out what waits from now on.
pub(crate) async fn begin(app: &Arc<App>) -> Result<(), StoreError> {
    let filter = RunFilter { unfinished: true, limit: u32::MAX >> 1, ..RunFilter::default() };
    for run in app.store.runs(&filter).await? {
        if run.status == Status::Running {
            start_keeper(app, run);
        }
    }
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let mut told = BTreeMap::new();
        while !app.hub.closed.load(std::sync::atomic::Ordering::Relaxed) {
            if let Err(error) = give_out(&app).await {
                tracing::warn!(%error, "the queue cannot be looked at");
            }
            if tokio::time::timeout(LOOK, app.hub.wake.notified()).await.is_err()
                && let Err(error) = tell_waiting(&app, &mut told).await
            {
                tracing::warn!(%error, "the queue cannot be looked at");
            }
        }
    });
    Ok(())
}

/// Gives what waits to agents that have room, the oldest first.
async fn give_out(app: &Arc<App>) -> Result<(), StoreError> {
    if app.hub.agent_with_room().is_none() {
        return Ok(());
    }
    for run in app.store.queued(MOST_AT_ONCE).await? {
        if app.hub.agent_with_room().is_none() {
            return Ok(());
        }
        start_keeper(app, run);
    }
    Ok(())
}

/// Tells agents what waits, so that they can prepare for it. Said again while something does, for what they make of it fades.
async fn tell_waiting(app: &Arc<App>, told: &mut BTreeMap<String, u64>) -> Result<(), StoreError> {
    let mut projects = BTreeMap::new();
    for run in app.store.queued(MOST_AT_ONCE).await? {
        *projects.entry(run.project_name).or_default() += 1;
    }
    if !projects.is_empty() || !told.is_empty() {
        for agent in app.hub.agents().values() {
            let _ = agent.sender.send(ToAgent::Waiting { projects: projects.clone() });
        }
    }
    *told = projects;
    Ok(())
}

fn start_keeper(app: &Arc<App>, run: Run) {
    let mut keepers = app.hub.keepers();
    let entry = keepers.entry(run.id);
    if let std::collections::hash_map::Entry::Vacant(vacant) = entry {
        let (sender, inbox) = mpsc::unbounded_channel();
        vacant.insert(sender);
        let app = Arc::clone(app);
        tokio::spawn(async move {
            let id = run.id;
            keeper::keep(Arc::clone(&app), run, inbox).await;
            app.hub.keepers().remove(&id);
            app.hub.wake.notify_one();
        });
    }
}

impl Hub {
    fn agents(&self) -> MutexGuard<'_, HashMap<u64, Connected>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keepers(&self) -> MutexGuard<'_, HashMap<RunId, mpsc::UnboundedSender<ToKeeper>>> {
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives nothing out any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, std::sync::atomic::Ordering::Relaxed);
        self.agents().clear();
        self.keepers().clear();
        self.wake.notify_one();
    }

    /// Something may be given out.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// The agent with the most room, if any has.
    pub(crate) fn agent_with_room(&self) -> Option<u64> {
        let agents = self.agents();
        let taken = self.taken();
        let room =
            |agent: &u64, connected: &Connected| connected.most.saturating_sub(taken.get(agent).copied().unwrap_or(0));
        let best =
            agents.iter().map(|(agent, connected)| (room(agent, connected), *agent)).filter(|(room, _)| *room > 0);
        best.max().map(|(_, agent)| agent)
    }

    /// Why what is queued waits, and what would change that.
    pub(crate) fn why_waits(&self) -> String {
        let agents = self.agents();
        if agents.is_empty() {
            return "no agent is connected: `cofferdam agent` on a build host makes one".to_owned();
        }
        let (count, most) = (agents.len(), agents.values().map(|agent| u64::from(agent.most)).sum::<u64>());
        drop(agents);
        match self.agent_with_room() {
            Some(_) => "it is given out in a moment".to_owned(),
            None => {
                format!("all {most} places at {count} agents are taken: one that ends, or a further agent, makes room")
            }
        }
    }

    /// Places at connected agents.
    pub(crate) fn places(&self) -> Places {
        let agents = self.agents();
        let all: u64 = agents.values().map(|agent| u64::from(agent.most)).sum();
        let held = self.taken();
        let taken = agents.keys().filter_map(|agent| held.get(agent)).map(|taken| u64::from(*taken)).sum();
        Places { agents: agents.len(), taken, free: all.saturating_sub(taken) }
    }

    /// How many runs each agent has.
    fn taken(&self) -> HashMap<u64, u32> {
        let mut taken = HashMap::new();
        for agent in self.seats.lock().unwrap_or_else(PoisonError::into_inner).values() {
            *taken.entry(*agent).or_default() += 1;
        }
        taken
    }

    /// A place at the agent with the most room, taken for a run.
    pub(crate) fn take_seat(&self, run: RunId) -> Option<u64> {
        let agent = self.agent_with_room()?;
        self.hold_seat(run, agent);
        Some(agent)
    }

    /// A run has a place at that agent.
    pub(crate) fn hold_seat(&self, run: RunId, agent: u64) {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner).insert(run, agent);
    }

    /// It needs none any more.
    pub(crate) fn leave_seat(&self, run: RunId) {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
        self.wake();
    }

    /// An agent has come; whoever had its place has lost it.
    pub(crate) fn come(
        &self,
        agent: u64,
        (connection, alive): (u64, oneshot::Sender<()>),
        most: u32,
        sender: mpsc::UnboundedSender<ToAgent>,
        held: &[Lease],
    ) {
        self.agents().insert(agent, Connected { connection, sender, most, _alive: alive });
        for (run, keeper) in self.keepers().iter() {
            let held = held.iter().copied().find(|lease| lease.run == *run);
            let _ = keeper.send(ToKeeper::Came { agent, held });
        }
        // What it holds and nobody keeps is to be ended.
        let keepers = self.keepers();
        for lease in held.iter().filter(|lease| !keepers.contains_key(&lease.run)) {
            self.tell(agent, ToAgent::Release { lease: *lease, forget: true });
        }
        drop(keepers);
        self.wake();
    }

    /// A connection has ended.
    pub(crate) fn go(&self, agent: u64, connection: u64) {
        let mut agents = self.agents();
        if agents.get(&agent).is_none_or(|connected| connected.connection != connection) {
            return;
        }
        agents.remove(&agent);
        drop(agents);
        for keeper in self.keepers().values() {
            let _ = keeper.send(ToKeeper::Went { agent });
        }
    }

    /// Whether an agent is connected.
    pub(crate) fn is_there(&self, agent: u64) -> bool {
        self.agents().contains_key(&agent)
    }

    /// Says something to an agent; one that is away is told when it comes back.
    pub(crate) fn tell(&self, agent: u64, message: ToAgent) {
        if let Some(connected) = self.agents().get(&agent) {
            let _ = connected.sender.send(message);
        }
    }

    /// An agent has said something of a run.
    pub(crate) fn heard(&self, agent: u64, lease: Lease, message: FromAgent) {
        match self.keepers().get(&lease.run) {
            Some(keeper) => drop(keeper.send(ToKeeper::Said { agent, lease, message })),
            None => self.tell(agent, ToAgent::Release { lease, forget: true }),
        }
    }

    /// A run is to end.
    pub(crate) fn abort(&self, run: RunId) {
        if let Some(keeper) = self.keepers().get(&run) {
            let _ = keeper.send(ToKeeper::Abort);
        }
    }
}
