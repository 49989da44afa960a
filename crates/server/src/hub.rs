//! Agents that are connected, and keepers of runs that are under way: who talks to whom, and who gets what waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::ids::{JobId, RequestId, RunId};
use model::rung::Needs;
use queue::line::{AgentId, Command, Event, Expression, Labels};
use store::{Run, Status, StoreError};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use wire::agent::{FromAgent, Lease, Offers, ToAgent};

use crate::app::App;
use crate::keeper::{self, Decision, KeeperLink, ToKeeper, Unheard};
use crate::line::{self, Waiting};
use crate::outbox::Outbox;

/// How often the queue is looked at where nothing has told that it changed.
const LOOK: Duration = Duration::from_secs(2);
/// How often all that waits in the store is held against the line.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Runs that are looked at in one turn.
const MOST_AT_ONCE: u32 = 1000;

/// Who is there.
#[derive(Default)]
pub(crate) struct Hub {
    // In an order, so that whoever is told of something is told of it in the same one each time.
    agents: Mutex<BTreeMap<u64, Connected>>,
    keepers: Mutex<BTreeMap<RunId, KeeperLink>>,
    /// What agents have said, and keepers have not heard yet.
    unheard: Arc<Unheard>,
    /// What the line has said, and nobody has done yet.
    later: Mutex<Vec<Command>>,
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
pub(crate) struct Connected {
    /// Which of its connections: a later one replaces an earlier one.
    pub(crate) connection: u64,
    pub(crate) outbox: Outbox,
    /// Runs that it takes at once.
    pub(crate) most: u32,
    /// What it was called.
    pub(crate) labels: Vec<String>,
    /// What it has.
    pub(crate) offers: Offers,
    /// Ends the connection when it is dropped.
    pub(crate) _alive: oneshot::Sender<()>,
}

/// Goes on with what is under way, and gives out what waits from now on.
pub(crate) async fn begin(app: &Arc<App>) -> Result<(), StoreError> {
    for run in line::begin(app).await? {
        start_keeper(app, run);
    }
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let mut told = BTreeMap::new();
        let (mut tell_at, mut again_at) = (Instant::now() + LOOK, Instant::now() + LOOK_AGAIN);
        while !app.hub.closed.load(std::sync::atomic::Ordering::Relaxed) {
            let late = std::mem::take(&mut *app.hub.later());
            line::perform(&app, late).await;
            for ((run, job), agent) in app.waiting.given_to_jobs() {
                app.hub.place(&app.waiting, run, job, agent);
            }
            if let Err(error) = line::wake(&app).await {
                tracing::warn!(%error, "runs that are to hear something are told later");
            }
            if let Err(error) = line::take_in(&app).await {
                tracing::warn!(%error, "the queue cannot be looked at");
            }
            let pause = app.waiting.due_in(app.now()).unwrap_or(LOOK).min(LOOK);
            if tokio::time::timeout(pause, app.hub.wake.notified()).await.is_err() {
                line::perform(&app, app.waiting.tell(Event::Ticked)).await;
            }
            if tell_at <= Instant::now() {
                tell_at = Instant::now() + LOOK;
                if let Err(error) = tell_waiting(&app, &mut told).await {
                    tracing::warn!(%error, "the queue cannot be looked at");
                }
            }
            if again_at <= Instant::now() {
                again_at = Instant::now() + LOOK_AGAIN;
                app.waiting.look_again();
            }
        }
    });
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
            agent.outbox.say(ToAgent::Waiting { projects: projects.clone() });
        }
    }
    *told = projects;
    Ok(())
}

pub(crate) fn start_keeper(app: &Arc<App>, run: Run) {
    let mut keepers = app.hub.keepers();
    let entry = keepers.entry(run.id);
    if let std::collections::btree_map::Entry::Vacant(vacant) = entry {
        let (link, inbox) = keeper::inbox(&app.hub.unheard);
        vacant.insert(link);
        let app = Arc::clone(app);
        tokio::spawn(async move {
            let id = run.id;
            keeper::keep(Arc::clone(&app), run, inbox).await;
            app.hub.keepers().remove(&id);
            app.waiting.jobs_over(id);
            if app.hub.closed.load(std::sync::atomic::Ordering::Relaxed) {
                return;
            }
            // It may have waited for a place that it had given away.
            line::perform(&app, app.waiting.tell(Event::Withdrawn { run: id })).await;
            line::perform(&app, app.waiting.tell(Event::Finished { run: id })).await;
            // One whose agent was lost waits for another, unless somebody has wanted it to end meanwhile.
            let again = match app.store.run(id).await {
                Ok(Some(run)) if run.status == Status::Queued => match &run.abort_reason {
                    Some(reason) => line::end(&app, &run, reason, true).await,
                    None => {
                        // By the one who tells the line of all others.
                        app.waiting.wakes(id, 0);
                        Ok(())
                    }
                },
                found => found.map(drop),
            };
            if let Err(error) = again {
                tracing::warn!(run = %id, %error, "a run is looked at again later");
                app.waiting.look_again();
            }
            app.hub.wake.notify_one();
        });
    }
}

impl Connected {
    /// What it was called, and what it has.
    fn labels(&self) -> Labels {
        self.labels_with([])
    }

    fn labels_with<const N: usize>(&self, more: [String; N]) -> Labels {
        self.labels.iter().cloned().chain(line::labels_of(&self.offers)).chain(more).collect()
    }

    /// What the line is told of it.
    fn came(&self, agent: u64) -> Event {
        let labels = self.labels_with([line::label_of_agent(agent)]);
        let images = self.offers.images.iter().map(|image| image.as_str().into()).collect();
        let (agent, resources) = (AgentId(agent), self.offers.resources);
        Event::AgentCame { agent, labels, places: self.most, resources, images }
    }
}

impl Hub {
    fn agents(&self) -> MutexGuard<'_, BTreeMap<u64, Connected>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keepers(&self) -> MutexGuard<'_, BTreeMap<RunId, KeeperLink>> {
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

    fn later(&self) -> MutexGuard<'_, Vec<Command>> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has somebody else perform this, soon.
    pub(crate) fn keep_for_later(&self, commands: Vec<Command>) {
        if !commands.is_empty() {
            self.later().extend(commands);
            self.wake();
        }
    }

    /// Places at connected agents; `taken` of all that there are.
    pub(crate) fn places(&self, taken: u64) -> Places {
        let agents = self.agents();
        let all: u64 = agents.values().map(|agent| u64::from(agent.most)).sum();
        Places { agents: agents.len(), taken, free: all.saturating_sub(taken) }
    }

    /// An agent has come; whoever had its place has lost it. What follows is to be performed.
    #[must_use]
    pub(crate) fn come(&self, waiting: &Waiting, agent: u64, connected: Connected, held: &[Lease]) -> Vec<Command> {
        // All who are told hear of comings and goings in the order in which they were.
        let (keepers, mut agents) = (self.keepers(), self.agents());
        let connection = connected.connection;
        let mut of_runs: BTreeMap<RunId, Vec<Lease>> = BTreeMap::new();
        held.iter().for_each(|lease| of_runs.entry(lease.run).or_default().push(*lease));
        for (run, keeper) in keepers.iter() {
            let held = of_runs.remove(run).unwrap_or_default();
            keeper.send(ToKeeper::Came { agent, connection, held });
        }
        // What it holds and nobody keeps is to be ended.
        for lease in of_runs.into_values().flatten() {
            connected.outbox.say(ToAgent::Release { lease, forget: true });
        }
        let came = connected.came(agent);
        agents.insert(agent, connected);
        self.wake();
        waiting.tell(came)
    }

    /// An agent has other things than before. What follows is to be performed.
    #[must_use]
    pub(crate) fn offers(&self, waiting: &Waiting, agent: u64, connection: u64, offers: Offers) -> Vec<Command> {
        let mut agents = self.agents();
        let Some(connected) = agents.get_mut(&agent).filter(|connected| connected.connection == connection) else {
            return Vec::new();
        };
        connected.offers = offers;
        self.wake();
        waiting.tell(connected.came(agent))
    }

    /// Whether an agent that is there lacks this.
    pub(crate) fn lacks(&self, agent: u64, needs: &Needs) -> bool {
        self.agents().get(&agent).is_some_and(|connected| !connected.offers.satisfies(needs))
    }

    /// Whether an agent that is there has these labels.
    pub(crate) fn fits(&self, agent: u64, labels: &Expression) -> bool {
        self.agents().get(&agent).is_some_and(|connected| labels.evaluate(&connected.labels()))
    }

    /// Whether any agent that is there has them, and takes runs.
    pub(crate) fn somebody_fits(&self, labels: &Expression) -> bool {
        self.agents().values().any(|connected| connected.most > 0 && labels.evaluate(&connected.labels()))
    }

    /// One of those that are there and have these labels, each in its turn, and how it is spoken to.
    pub(crate) fn any_agent(&self, labels: &Expression, turn: u64) -> Option<(u64, Outbox)> {
        let agents = self.agents();
        let fit: Vec<_> = agents.iter().filter(|(_, connected)| labels.evaluate(&connected.labels())).collect();
        let index = usize::try_from(turn.checked_rem(fit.len() as u64)?).ok()?;
        fit.get(index).map(|(id, connected)| (**id, connected.outbox.clone()))
    }

    /// What an agent that is there has.
    pub(crate) fn offers_of(&self, agent: u64) -> Option<Offers> {
        self.agents().get(&agent).map(|connected| connected.offers.clone())
    }

    /// A connection has ended. Nothing follows where it was displaced before.
    #[must_use]
    pub(crate) fn go(&self, waiting: &Waiting, agent: u64, connection: u64) -> Vec<Command> {
        let (keepers, mut agents) = (self.keepers(), self.agents());
        if agents.get(&agent).is_none_or(|connected| connected.connection != connection) {
            return Vec::new();
        }
        agents.remove(&agent);
        for keeper in keepers.values() {
            keeper.send(ToKeeper::Went { agent });
        }
        waiting.tell(Event::AgentWent { agent: AgentId(agent) })
    }

    /// An agent is to be there no more. What follows is to be performed.
    #[must_use]
    pub(crate) fn send_away(&self, waiting: &Waiting, agent: u64) -> Vec<Command> {
        self.connection_of(agent).map_or_else(Vec::new, |connection| self.go(waiting, agent, connection))
    }

    /// A job has a place at another agent than its run's.
    fn place(&self, waiting: &Waiting, run: RunId, job: JobId, agent: u64) {
        let keeper = self.keepers().get(&run).cloned();
        if !keeper.is_some_and(|keeper| keeper.send(ToKeeper::Placed { job, agent })) {
            waiting.job_over(run, job);
        }
    }

    /// Whether a run is kept.
    pub(crate) fn keeps(&self, run: RunId) -> bool {
        self.keepers().contains_key(&run)
    }

    /// How many runs are kept.
    pub(crate) fn kept(&self) -> usize {
        self.keepers().len()
    }

    /// Says something to an agent; one that is away is told when it comes back.
    pub(crate) fn tell(&self, agent: u64, message: ToAgent) {
        if let Some(connected) = self.agents().get(&agent) {
            connected.outbox.say(message);
        }
    }

    /// The connection of an agent that is there.
    pub(crate) fn connection_of(&self, agent: u64) -> Option<u64> {
        self.agents().get(&agent).map(|connected| connected.connection)
    }

    /// The same over one of its connections only: at the end of another one there may be somebody who knows nothing of what was said before.
    pub(crate) fn tell_over(&self, agent: u64, connection: u64, message: ToAgent) {
        if let Some(connected) = self.agents().get(&agent).filter(|connected| connected.connection == connection) {
            connected.outbox.say(message);
        }
    }

    /// An agent has said something of a run, in a message of so many bytes. False: it says more than it may, before it is heard.
    #[must_use]
    pub(crate) fn heard(&self, agent: u64, lease: Lease, message: FromAgent, bytes: usize, most: usize) -> bool {
        match self.keepers().get(&lease.run) {
            Some(keeper) => keeper.take(agent, lease, message, bytes, most),
            None => {
                self.tell(agent, ToAgent::Release { lease, forget: true });
                true
            }
        }
    }

    /// Somebody has decided what a run asks. False: nobody asks that, or nobody is there to hear it.
    pub(crate) async fn decide(&self, run: RunId, id: RequestId, decision: Decision) -> bool {
        let (heard, answer) = oneshot::channel();
        let keeper = self.keepers().get(&run).cloned();
        keeper.is_some_and(|keeper| keeper.send(ToKeeper::Decided { id, decision, heard }))
            && answer.await.unwrap_or(false)
    }

    /// A keeper is told something, if there is one.
    pub(crate) fn tell_keeper(&self, run: RunId, message: ToKeeper) {
        if let Some(keeper) = self.keepers().get(&run) {
            keeper.send(message);
        }
    }

    /// A run is to end.
    pub(crate) fn abort(&self, run: RunId, is_first: bool) {
        if let Some(keeper) = self.keepers().get(&run) {
            keeper.send(ToKeeper::Abort { is_first });
        }
    }
}
