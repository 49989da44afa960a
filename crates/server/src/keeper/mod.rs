//! The life of one run: a task that hears what its engine says and what its agent did, writes that down, and acts.
//!
//! ```text
//!   queued ── a place at an agent ──▶ leased ── Found ──▶ engine ◀──▶ requests, answers, timers ──▶ ended ──▶ done
//!                                        ▲                                    │
//!                                        └──── agent lost: the next epoch ────┘
//! ```
//!
//! What cannot be written down is not acted upon: the keeper begins again with what the store has ([`Keeper::resume`]), which is also how it
//! begins after a restart of the server, and when an agent comes back.

mod build;
mod copy;
mod end;
mod engine;
mod inbox;
mod lease;
mod locks;
mod needs;
mod outposts;
mod rest;
mod secrets;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use model::ids::{RequestId, RunId, StepId};
use model::request::{FailureKind, Reply};
use model::run::RunEnd;
use model::rung::Needs;
use store::{Run, Status, StoreError};
use tokio::task::JoinSet;
use tokio::time::Instant;
use wire::agent::{FromAgent, Lease, ToAgent};
use wire::engine::{Input, Journal};

use self::engine::size_of_input;
use self::outposts::Outposts;
use self::rest::Rest;
use self::secrets::RunSecrets;
use crate::app::App;

pub(crate) use self::copy::may_copy;
pub(crate) use self::inbox::{Decision, Inbox, KeeperLink, ToKeeper, Unheard, inbox};
pub(crate) use self::locks::{pass_locks, runs_ended};

/// How long a store that does not answer is left alone.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long an agent may take to say the rest of what it has, when a run has ended.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// Keeps a run until it has ended.
pub(crate) async fn keep(app: Arc<App>, run: Run, mut inbox: Inbox) {
    let id = run.id;
    let mut keeper = Keeper::new(Arc::clone(&app), run);
    let mut resume = true;
    loop {
        let done = match resume {
            true => keeper.resume().await,
            false => keeper.step(&mut inbox).await,
        };
        resume = match done {
            Ok(Step::On) => false,
            Ok(Step::Again) => true,
            Ok(Step::Over) => break,
            Err(error) if error.is_unavailable() || matches!(error, StoreError::Stale { .. } | StoreError::InUse) => {
                tracing::warn!(run = %id, %error, "a run is taken up again");
                tokio::time::sleep(STORE_PAUSE).await;
                true
            }
            Err(error) => {
                tracing::error!(run = %id, %error, "a run cannot be kept");
                match keeper
                    .fail(
                        FailureKind::Infrastructure,
                        "the store does not take what this run has; the server's log says more",
                    )
                    .await
                {
                    Ok(_) => break,
                    Err(_) => tokio::time::sleep(STORE_PAUSE).await,
                }
                true
            }
        };
    }
    app.changed(id);
}

/// What comes next.
enum Step {
    /// The next message.
    On,
    /// What the store has.
    Again,
    /// Nothing.
    Over,
}

struct Keeper {
    app: Arc<App>,
    run: Run,
    lease: Lease,
    /// Who has the lease; `None`: nobody yet.
    agent: Option<u64>,
    /// Over which of its connections it is spoken to: the last one that this has heard of.
    connection: Option<u64>,
    /// It has nothing of the run any more, and that is not written down yet.
    is_lost: bool,
    /// How much was reported, and whether the agent has said anything since it was told that: before, it may have gone on from more.
    reported: (u64, bool),
    /// When what the agent has is taken from it; `None`: it is there.
    lost_at: Option<Instant>,
    journal: Option<Journal>,
    /// Which engine of this lease.
    engine: u64,
    losses: u32,
    /// Requests that are not answered.
    open: HashSet<RequestId>,
    /// Bytes of answers that its engine is told, anew each time that it starts.
    read: usize,
    timers: BTreeSet<(Instant, RequestId)>,
    /// Those that people are to answer.
    questions: HashSet<RequestId>,
    /// Runs of other projects that it waits for, and who looks after them.
    builds: HashMap<RequestId, RunId>,
    /// Locks that it waits for.
    locks: HashSet<RequestId>,
    watches: JoinSet<()>,
    /// How many it has started, and waits for no more.
    given_up: usize,
    /// Whether it has a place while it waits.
    rest: Rest,
    /// When its engine was last told that a step writes.
    activity: HashMap<StepId, Instant>,
    /// How it ended, and until when the agent's last words are waited for.
    ended: Option<(RunEnd, Instant)>,
    /// What it needs of another agent, and until when the last words of this one are waited for.
    leaving: Option<(Needs, Instant)>,
    /// Its jobs at other agents.
    outposts: Outposts,
    /// What it must not show.
    secrets: RunSecrets,
    /// It has ended, and its agent has said all.
    is_released: bool,
}

impl Keeper {
    fn new(app: Arc<App>, run: Run) -> Keeper {
        let lease = Lease { run: run.id, epoch: run.epoch };
        let agent = run.agent.filter(|_| run.status == Status::Running);
        Keeper {
            app,
            run,
            lease,
            agent,
            connection: None,
            is_lost: false,
            reported: (0, false),
            lost_at: None,
            journal: None,
            engine: 0,
            losses: 0,
            open: HashSet::new(),
            read: 0,
            timers: BTreeSet::new(),
            questions: HashSet::new(),
            builds: HashMap::new(),
            locks: HashSet::new(),
            watches: JoinSet::new(),
            given_up: 0,
            rest: Rest::default(),
            activity: HashMap::new(),
            ended: None,
            leaving: None,
            outposts: Outposts::default(),
            secrets: RunSecrets::default(),
            is_released: false,
        }
    }

    /// Begins with what the store has.
    async fn resume(&mut self) -> Result<Step, StoreError> {
        let Some(run) = self.app.store.run(self.run.id).await? else { return Ok(Step::Over) };
        self.run = run;
        (self.journal, self.ended, self.leaving) = (None, None, None);
        self.open.clear();
        self.timers.clear();
        self.questions.clear();
        self.builds.clear();
        self.locks.clear();
        self.watches.abort_all();
        self.is_released = false;
        // What the row says counts: a change whose answer was lost has been made all the same.
        self.lease.epoch = self.run.epoch;
        self.agent = self.run.agent.filter(|_| self.run.status == Status::Running);
        if self.run.status == Status::Done {
            self.tell_agent(ToAgent::Release { lease: self.lease, forget: false });
            return Ok(Step::Over);
        }
        let agent = match self.agent {
            Some(_) if self.is_lost => return self.agent_lost().await,
            Some(agent) => agent,
            // That was written down, though nobody has said so.
            None if self.is_lost => {
                self.release_outposts(true);
                return Ok(Step::Over);
            }
            None => {
                let Some(agent) = self.app.waiting.place_of(self.run.id) else { return Ok(Step::Over) };
                let now = self.app.now();
                // The clock has gone back since it was given a place to hear that time has passed: it waits on, for what it needs.
                if self.run.wakes_at.is_some_and(|at| at > now) && !self.has_its_needs(agent).await? {
                    return Ok(Step::Over);
                }
                let epoch = self.app.store.lease_run(self.run.id, self.run.epoch, agent, now).await?;
                self.lease = Lease { run: self.run.id, epoch };
                (self.agent, self.connection) = (Some(agent), self.app.hub.connection_of(agent));
                // With that it may be here for another reason than it waited for.
                if self.run.wakes_at.is_some() || self.run.abort_reason.is_some() {
                    self.run.wakes_at = self.app.store.run(self.run.id).await?.and_then(|run| run.wakes_at);
                }
                if self.run.started_at.is_none() {
                    self.app.counted.taken(now.saturating_sub(self.run.queued_at));
                    self.run.started_at = Some(now);
                }
                self.app.changed(self.run.id);
                agent
            }
        };
        self.rise().await?;
        // Before anybody may say anything.
        let config = self.config().await?;
        let password = config.as_ref().and_then(|config| config.source.password());
        let libraries = config.iter().flat_map(|config| &config.libraries);
        let of_libraries = libraries.filter_map(|library| library.login.as_ref()).map(|login| login.password.as_str());
        self.secrets.add(password.into_iter().chain(of_libraries).chain(self.run.facts.secrets()));
        self.resume_outposts().await?;
        match self.app.hub.connection_of(agent) {
            None => {
                self.lost_at.get_or_insert_with(|| Instant::now() + self.app.config.agent_patience);
                return Ok(Step::On);
            }
            // What it holds is on its way to here, and comes first.
            there if there != self.connection => return Ok(Step::On),
            Some(_) => self.lost_at = None,
        }
        let Some(config) = config else {
            return self.fail(FailureKind::Usage, "the project has no configuration that this server knows").await;
        };
        self.reported = (self.app.store.reported(self.run.id).await?, false);
        self.tell_agent(self.message_of_lease(&config, (self.lease, agent), self.reported.0)?);
        if let Some(needs) = self.run.leaves.clone() {
            self.take_leave(needs);
            return Ok(Step::On);
        }
        if let Some(text) = self.run.definition.clone() {
            let journal = self.app.store.journal(&self.run, &text, &config.file).await?;
            self.read = journal.entries().iter().map(|entry| size_of_input(&entry.input)).sum();
            self.journal = Some(journal);
            let asked = self.app.store.outstanding(self.run.id).await?;
            self.stay(&asked).await?;
            for outstanding in asked {
                self.ask(outstanding.id, outstanding.request, outstanding.asked_at).await?;
                if outstanding.is_cancelled {
                    self.cancel(outstanding.id).await?;
                }
            }
            self.start_engine();
            self.abort_if_wanted().await?;
        }
        Ok(Step::On)
    }

    async fn step(&mut self, inbox: &mut Inbox) -> Result<Step, StoreError> {
        let due = self.timers.first().map(|(due, _)| *due);
        let ends = self.ended.as_ref().map(|(_, until)| *until);
        let others = [self.leaves_at(), self.outposts.due(), self.rest.due()];
        let deadline = [due, self.lost_at, ends].into_iter().chain(others).flatten().min();
        let woken = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // What is due is due, however much is said. And in an order, so that the same comes of the same.
            biased;
            () = woken => self.wake().await,
            message = inbox.next() => match message {
                Some(message) => self.hear(message).await,
                // The server ends.
                None => Ok(Step::Over),
            },
        }
    }

    /// A time has come.
    async fn wake(&mut self) -> Result<Step, StoreError> {
        let at = Instant::now();
        if self.ended.as_ref().is_some_and(|(_, until)| at >= *until) {
            return self.finish().await;
        }
        if self.outposts.due().is_some_and(|due| at >= due) {
            self.wake_outposts(at).await?;
            return self.finish_if_quiet().await;
        }
        if self.leaves_at().is_some_and(|until| at >= until)
            && let Some((needs, _)) = self.leaving.take()
        {
            return self.go(needs).await;
        }
        if self.lost_at.is_some_and(|lost| at >= lost) {
            return self.agent_lost().await;
        }
        if self.rest.due().is_some_and(|due| at >= due) {
            self.rest().await?;
        }
        while let Some((due, id)) = self.timers.first().copied().filter(|(due, _)| at >= *due) {
            self.timers.remove(&(due, id));
            if !self.waits_no_more(id, Reply::Bool(false)).await? {
                self.answer(id, Reply::Done).await?;
            }
        }
        Ok(Step::On)
    }

    async fn hear(&mut self, message: ToKeeper) -> Result<Step, StoreError> {
        match message {
            ToKeeper::Came { agent, connection, held } => {
                self.outposts_came(agent, connection, &held).await?;
                let own = held.into_iter().find(|lease| lease.job().is_none());
                match own {
                    _ if Some(agent) == self.agent => self.connection = Some(connection),
                    Some(lease) => {
                        self.app.hub.tell(agent, ToAgent::Release { lease, forget: true });
                        return Ok(Step::On);
                    }
                    None => return Ok(Step::On),
                }
                match own {
                    // It has lost what it had, as after its own restart.
                    None if self.run.definition.is_some() || self.journal.is_some() => self.agent_lost().await,
                    _ => Ok(Step::Again),
                }
            }
            ToKeeper::Went { agent } => {
                self.outposts_went(agent);
                if Some(agent) == self.agent {
                    self.lost_at = Some(Instant::now() + self.app.config.agent_patience);
                }
                Ok(Step::On)
            }
            ToKeeper::Placed { job, agent } => self.placed(job, agent).await,
            ToKeeper::Abort { is_first } => {
                let Some(run) = self.app.store.run(self.run.id).await? else { return Ok(Step::Over) };
                let reason = run.abort_reason.clone().unwrap_or_default();
                self.run.abort_reason = run.abort_reason;
                match self.journal.is_some() {
                    // It may have heard of that already, from the store.
                    true if is_first => self.abort_if_wanted().await.map(|()| Step::On),
                    true => self.add(Input::Abort { reason }).await.map(|()| Step::On),
                    // Its agent is away, and it hears of that where it goes on.
                    false if is_first && self.run.definition.is_some() => Ok(Step::On),
                    false => self.abandon(&reason).await,
                }
            }
            ToKeeper::Decided { id, decision, heard } => {
                let counts = self.decided(id, decision).await?;
                // Whoever asked may have gone.
                let _ = heard.send(counts);
                Ok(Step::On)
            }
            ToKeeper::OtherEnded { id, run } => {
                self.other_ended(id, run.map(|run| *run)).await?;
                Ok(Step::On)
            }
            ToKeeper::Locked { id } => self.locked(id).await.map(|()| Step::On),
            ToKeeper::Risen => {
                self.risen().await?;
                // What it wanted a place for may have been given up meanwhile.
                self.rest().await.map(|()| Step::On)
            }
            ToKeeper::Said { agent, lease, message, .. } if lease.job().is_some() => {
                let heard = self.heard_of_job(agent, lease, message).await?;
                if heard.is_none() {
                    self.app.hub.tell(agent, ToAgent::Release { lease, forget: true });
                }
                Ok(heard.unwrap_or(Step::On))
            }
            // Of a lease that was taken away, or of somebody else's.
            ToKeeper::Said { agent, lease, .. } if lease != self.lease || Some(agent) != self.agent => {
                self.app.hub.tell(agent, ToAgent::Release { lease, forget: true });
                Ok(Step::On)
            }
            ToKeeper::Said { message, .. } => self.heard(message).await,
        }
    }

    async fn heard(&mut self, message: FromAgent) -> Result<Step, StoreError> {
        match message {
            // It is none any more that this agent could find something for.
            FromAgent::Found { .. } if self.leaving.is_some() => {
                self.reported.1 = true;
                Ok(Step::On)
            }
            FromAgent::Found { definition, .. } => {
                self.reported.1 = true;
                self.found(definition).await
            }
            // After its last word an engine has nothing to say, and its end is none to replace.
            FromAgent::Said { .. } | FromAgent::EngineLost { .. } if self.ended.is_some() || self.leaving.is_some() => {
                Ok(Step::On)
            }
            FromAgent::Said { engine, said, .. } if engine == self.engine => {
                let step = self.said(said).await?;
                self.tell_agent(ToAgent::Heard { lease: self.lease, engine });
                Ok(step)
            }
            FromAgent::EngineLost { engine, reason, .. } if engine == self.engine => self.engine_lost(&reason).await,
            // Nobody has asked it that.
            FromAgent::Answered { id, .. } if self.is_asked_elsewhere(id) => Ok(Step::On),
            FromAgent::Answered { id, reply, .. } => {
                if self.open.contains(&id)
                    && let Some(step) = self.has_read(&reply).await?
                {
                    return Ok(step);
                }
                self.answer(id, reply).await?;
                self.tell_agent(ToAgent::AnswerKept { lease: self.lease, id });
                Ok(Step::On)
            }
            // Something between was not written down, and comes again: it was said before the agent heard how much is.
            FromAgent::Report { first, .. } if first > self.reported.0 && !self.reported.1 => Ok(Step::On),
            FromAgent::Report { first, mut items, .. } => {
                self.secrets.clean(&mut items);
                self.see_images(&items);
                self.see_output(&items).await?;
                let reported = self.app.store.report(self.run.id, first, &items).await?;
                self.reported.0 = reported;
                if let Some((_, until)) = &mut self.leaving {
                    // There may be much of it.
                    *until = Instant::now() + LAST_WORDS;
                }
                self.tell_agent(ToAgent::Kept { lease: self.lease, reported });
                self.app.changed(self.run.id);
                Ok(Step::On)
            }
            FromAgent::Released { .. } if self.ended.is_some() || self.leaving.is_some() => {
                self.is_released = true;
                self.finish_if_quiet().await
            }
            // It had heard of the end from a server, or over a connection, that is no more. It has nothing left to say it again with; somebody
            // else has.
            FromAgent::Released { .. } => self.agent_lost().await,
            // Of an engine that is replaced.
            _ => Ok(Step::On),
        }
    }

    /// People answer that, or time, or another agent.
    fn is_asked_elsewhere(&self, id: RequestId) -> bool {
        let is_time = || self.timers.iter().any(|(_, timer)| *timer == id);
        let is_of_others = self.builds.contains_key(&id) || self.locks.contains(&id);
        is_of_others || self.questions.contains(&id) || self.outposts.has_asked(id) || is_time()
    }
}
