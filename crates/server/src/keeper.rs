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

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use model::ids::RequestId;
use model::outcome::Outcome;
use model::request::{Failure, FailureKind, Reply, Request};
use model::run::RunEnd;
use store::{Act, Millis, Run, Status, StoreError};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::agent::{Definition, FromAgent, Lease, ToAgent};
use wire::engine::{Heard, Input, Journal, JournalError, Said, Word};

use crate::app::{App, now};
use crate::config::ProjectConfig;

/// How long a store that does not answer is left alone.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// So often an engine is started anew at one place.
const MOST_LOSSES: u32 = 3;
/// How long an agent may take to say the rest of what it has, when a run has ended.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// What a keeper hears.
pub(crate) enum ToKeeper {
    /// An agent has connected; it holds this lease of the run.
    Came { agent: u64, held: Option<Lease> },
    /// An agent's connection has ended.
    Went { agent: u64 },
    /// An agent says something of this run.
    Said { agent: u64, lease: Lease, message: FromAgent },
    /// Somebody wants it to end.
    Abort,
}

/// Keeps a run until it has ended.
pub(crate) async fn keep(app: Arc<App>, run: Run, mut inbox: mpsc::UnboundedReceiver<ToKeeper>) {
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
            Err(error) => {
                tracing::warn!(run = %id, %error, "a run is taken up again");
                tokio::time::sleep(STORE_PAUSE).await;
                true
            }
        };
    }
    app.hub.leave_seat(id);
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
    /// When what the agent has is taken from it; `None`: it is there.
    lost_at: Option<Instant>,
    journal: Option<Journal>,
    /// Which engine of this lease.
    engine: u64,
    losses: u32,
    /// Requests that are not answered.
    open: HashSet<RequestId>,
    timers: BTreeSet<(Millis, RequestId)>,
    /// How it ended, and until when the agent's last words are waited for.
    ended: Option<(RunEnd, Instant)>,
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
            lost_at: None,
            journal: None,
            engine: 0,
            losses: 0,
            open: HashSet::new(),
            timers: BTreeSet::new(),
            ended: None,
        }
    }

    /// Begins with what the store has.
    async fn resume(&mut self) -> Result<Step, StoreError> {
        let Some(run) = self.app.store.run(self.run.id).await? else { return Ok(Step::Over) };
        self.run = run;
        (self.journal, self.ended) = (None, None);
        self.open.clear();
        self.timers.clear();
        if self.run.status == Status::Done {
            self.tell_agent(ToAgent::Release { lease: self.lease });
            return Ok(Step::Over);
        }
        let agent = match self.agent {
            Some(agent) => agent,
            None => {
                let Some(agent) = self.app.hub.take_seat(self.run.id) else { return Ok(Step::Over) };
                let epoch = self.app.store.lease_run(self.run.id, self.run.epoch, agent, now()).await?;
                self.lease = Lease { run: self.run.id, epoch };
                self.agent = Some(agent);
                self.app.changed(self.run.id);
                agent
            }
        };
        self.app.hub.hold_seat(self.run.id, agent);
        if !self.app.hub.is_there(agent) {
            self.lost_at.get_or_insert_with(|| Instant::now() + self.app.config.agent_patience);
            return Ok(Step::On);
        }
        self.lost_at = None;
        let project = self.app.store.project(&self.run.project_name).await?;
        let config = project.and_then(|project| serde_json::from_value::<ProjectConfig>(project.config).ok());
        let Some(config) = config else {
            return self.fail(FailureKind::Usage, "the project has no configuration that this server knows").await;
        };
        self.tell_agent(ToAgent::Lease {
            lease: self.lease,
            source: config.source_of(self.run.revision.as_deref()),
            file: config.file.clone(),
            project: self.run.project_name.clone(),
            trust: self.run.trust,
            reported: self.app.store.reported(self.run.id).await?,
        });
        if let Some(text) = self.run.definition.clone() {
            self.journal = Some(self.app.store.journal(&self.run, &text, &config.file).await?);
            for outstanding in self.app.store.outstanding(self.run.id).await? {
                self.ask(outstanding.id, outstanding.request, outstanding.asked_at).await?;
            }
            self.start_engine();
            self.abort_if_wanted().await?;
        }
        Ok(Step::On)
    }

    async fn step(&mut self, inbox: &mut mpsc::UnboundedReceiver<ToKeeper>) -> Result<Step, StoreError> {
        let timer = self.timers.first().copied();
        let due = timer.map(|(at, _)| Instant::now() + Duration::from_millis(at.saturating_sub(now())));
        let deadline = [due, self.lost_at, self.ended.as_ref().map(|(_, until)| *until)].into_iter().flatten().min();
        let woken = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = inbox.recv() => match message {
                Some(message) => self.hear(message).await,
                // The server ends.
                None => Ok(Step::Over),
            },
            () = woken => self.wake().await,
        }
    }

    /// A time has come.
    async fn wake(&mut self) -> Result<Step, StoreError> {
        let at = Instant::now();
        if self.ended.as_ref().is_some_and(|(_, until)| at >= *until) {
            return self.finish().await;
        }
        if self.lost_at.is_some_and(|lost| at >= lost) {
            return self.agent_lost().await;
        }
        while let Some((due, id)) = self.timers.first().copied().filter(|(due, _)| *due <= now()) {
            self.timers.remove(&(due, id));
            self.answer(id, Reply::Done).await?;
        }
        Ok(Step::On)
    }

    async fn hear(&mut self, message: ToKeeper) -> Result<Step, StoreError> {
        match message {
            ToKeeper::Came { agent, held } if Some(agent) == self.agent => {
                match held {
                    // It has lost what it had, as after its own restart.
                    None if self.journal.is_some() => self.agent_lost().await,
                    _ => Ok(Step::Again),
                }
            }
            ToKeeper::Came { agent, held: Some(lease) } => {
                self.app.hub.tell(agent, ToAgent::Release { lease });
                Ok(Step::On)
            }
            ToKeeper::Went { agent } if Some(agent) == self.agent => {
                self.lost_at = Some(Instant::now() + self.app.config.agent_patience);
                Ok(Step::On)
            }
            ToKeeper::Came { .. } | ToKeeper::Went { .. } => Ok(Step::On),
            ToKeeper::Abort => {
                if let Some(run) = self.app.store.run(self.run.id).await? {
                    self.run.abort_reason = run.abort_reason;
                }
                self.abort_if_wanted().await?;
                Ok(Step::On)
            }
            // Of a lease that was taken away, or of somebody else's.
            ToKeeper::Said { agent, lease, .. } if lease != self.lease || Some(agent) != self.agent => {
                self.app.hub.tell(agent, ToAgent::Release { lease });
                Ok(Step::On)
            }
            ToKeeper::Said { message, .. } => self.heard(message).await,
        }
    }

    async fn heard(&mut self, message: FromAgent) -> Result<Step, StoreError> {
        match message {
            FromAgent::Found { definition, .. } => self.found(definition).await,
            FromAgent::Said { engine, said, .. } if engine == self.engine => self.said(said).await,
            FromAgent::EngineLost { engine, reason, .. } if engine == self.engine => self.engine_lost(&reason).await,
            FromAgent::Answered { id, reply, .. } => {
                self.answer(id, reply).await?;
                self.tell_agent(ToAgent::AnswerKept { lease: self.lease, id });
                Ok(Step::On)
            }
            FromAgent::Report { first, items, .. } => {
                let reported = self.app.store.report(self.run.id, first, &items).await?;
                self.tell_agent(ToAgent::Kept { lease: self.lease, reported });
                self.app.changed(self.run.id);
                Ok(Step::On)
            }
            FromAgent::Released { .. } if self.ended.is_some() => self.finish().await,
            // Of an engine that is replaced.
            _ => Ok(Step::On),
        }
    }

    async fn found(&mut self, definition: Result<Definition, Failure>) -> Result<Step, StoreError> {
        if self.journal.is_some() {
            return Ok(Step::On);
        }
        match definition {
            Ok(Definition { text, .. }) => {
                self.app.store.set_definition(self.run.id, &text).await?;
                Ok(Step::Again)
            }
            Err(failure) => self.fail(failure.kind, &failure.message).await,
        }
    }

    fn start_engine(&mut self) {
        self.engine += 1;
        let words = self.journal.as_mut().map(Journal::restart).unwrap_or_default();
        self.tell_engine(words);
    }

    /// The engine has said something: written down first, then acted upon.
    async fn said(&mut self, said: Vec<Said>) -> Result<Step, StoreError> {
        let Some(journal) = &mut self.journal else { return Ok(Step::On) };
        let (mut acts, mut took, mut words, mut end) = (Vec::new(), Vec::new(), Vec::new(), None);
        for said in said {
            let (heard, more) = match journal.hear(said) {
                Ok(heard) => heard,
                Err(error) => return self.engine_is_another(&error).await,
            };
            words.extend(more);
            match heard {
                Heard::Request(id, request) => acts.push(Act::Request(id, request)),
                Heard::Cancel(id) => acts.push(Act::Cancel(id)),
                Heard::Event(event) => acts.push(Act::Event(event)),
                Heard::Took(index) => took.push(index),
                Heard::Ended(ended) => end = Some(ended),
                Heard::Invalid(findings) => {
                    let errors = findings.iter().filter(|finding| finding.is_error);
                    let said: Vec<_> = errors.map(|finding| finding.message.as_str()).collect();
                    return self
                        .fail(FailureKind::Workload, &format!("the definition is not valid: {}", said.join("; ")))
                        .await;
                }
                Heard::Begun(_) | Heard::Waits | Heard::Nothing => {}
            }
        }
        let (entries, heard) = (journal.entries().to_vec(), journal.heard());
        for index in took {
            if let Some(at) = entries.get(index).and_then(|entry| entry.at) {
                self.app.store.took_input(self.run.id, index, at).await?;
            }
        }
        if !acts.is_empty() {
            // It has got further than any before it.
            self.losses = 0;
            self.app.store.heard(self.run.id, heard, &acts, now()).await?;
            self.app.changed(self.run.id);
        }
        self.tell_engine(words);
        for act in acts {
            match act {
                Act::Request(id, request) => self.ask(id, request, now()).await?,
                Act::Cancel(id) => self.cancel(id).await?,
                Act::Event(_) => {}
            }
        }
        if let Some(end) = end {
            self.ended = Some((end, Instant::now() + LAST_WORDS));
            self.tell_agent(ToAgent::Release { lease: self.lease });
        }
        Ok(Step::On)
    }

    /// Has a request done. Time is the server's own.
    async fn ask(&mut self, id: RequestId, request: Request, asked_at: Millis) -> Result<(), StoreError> {
        self.open.insert(id);
        match request {
            Request::Sleep { ms } => drop(self.timers.insert((asked_at.saturating_add(ms), id))),
            Request::Now => self.answer(id, Reply::Time(now())).await?,
            request => self.tell_agent(ToAgent::Perform { lease: self.lease, id, request }),
        }
        Ok(())
    }

    async fn cancel(&mut self, id: RequestId) -> Result<(), StoreError> {
        if let Some(timer) = self.timers.iter().copied().find(|(_, timer)| *timer == id) {
            self.timers.remove(&timer);
            return self.answer(id, Reply::Cancelled).await;
        }
        if self.open.contains(&id) {
            self.tell_agent(ToAgent::Cancel { lease: self.lease, id });
        }
        Ok(())
    }

    /// An answer, once.
    async fn answer(&mut self, id: RequestId, reply: Reply) -> Result<(), StoreError> {
        if !self.open.remove(&id) {
            return Ok(());
        }
        self.add(Input::Answer { id, reply }).await
    }

    async fn add(&mut self, input: Input) -> Result<(), StoreError> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        self.app.store.add_input(self.run.id, journal.entries().len(), &input).await?;
        let words = journal.add(input);
        self.tell_engine(words);
        Ok(())
    }

    /// Once is enough: who asks again wants what is under way already.
    async fn abort_if_wanted(&mut self) -> Result<(), StoreError> {
        let (Some(reason), Some(journal)) = (self.run.abort_reason.clone(), &self.journal) else { return Ok(()) };
        let is_told = journal.entries().iter().any(|entry| matches!(entry.input, Input::Abort { .. }));
        if is_told { Ok(()) } else { self.add(Input::Abort { reason }).await }
    }

    async fn engine_lost(&mut self, reason: &str) -> Result<Step, StoreError> {
        self.losses += 1;
        if self.losses > MOST_LOSSES {
            return self
                .fail(FailureKind::Infrastructure, &format!("the engine was lost {MOST_LOSSES} times: {reason}"))
                .await;
        }
        tracing::warn!(run = %self.run.id, reason, "an engine was lost; a new one goes on");
        self.start_engine();
        Ok(Step::On)
    }

    async fn engine_is_another(&mut self, error: &JournalError) -> Result<Step, StoreError> {
        self.fail(FailureKind::Infrastructure, &error.to_string()).await
    }

    /// Its agent does not come back: what was there is gone, and the run goes on at another.
    async fn agent_lost(&mut self) -> Result<Step, StoreError> {
        tracing::warn!(run = %self.run.id, agent = self.agent, "an agent was lost");
        if let Some(text) = self.run.definition.clone() {
            // Nobody answers any more; the next engine hears of it.
            let journal = self.app.store.journal(&self.run, &text, "").await?;
            let mut seq = journal.entries().len();
            for outstanding in self.app.store.outstanding(self.run.id).await? {
                if matches!(outstanding.request, Request::Sleep { .. } | Request::Now) {
                    continue;
                }
                let message = "the agent that had this was lost".to_owned();
                let reply = match outstanding.request {
                    Request::Release { .. } => Reply::Done,
                    _ => Reply::Failed(Failure { kind: FailureKind::Infrastructure, message, hint: None }),
                };
                self.app.store.add_input(self.run.id, seq, &Input::Answer { id: outstanding.id, reply }).await?;
                seq += 1;
            }
        }
        let epoch = self.run.epoch.max(self.lease.epoch);
        self.app.hub.leave_seat(self.run.id);
        self.agent = None;
        self.lost_at = None;
        // Nobody may report for the old lease from now on.
        self.app.store.requeue_run(self.run.id, epoch, now()).await?;
        Ok(Step::Again)
    }

    /// The run cannot be done.
    async fn fail(&mut self, kind: FailureKind, message: &str) -> Result<Step, StoreError> {
        let end = RunEnd {
            outcome: Outcome::Failure,
            failure: Some(kind),
            timed_out: false,
            aborted: false,
            message: Some(message.to_owned()),
        };
        self.tell_agent(ToAgent::Release { lease: self.lease });
        self.app.store.finish_run(self.run.id, &end, now()).await?;
        Ok(Step::Over)
    }

    async fn finish(&mut self) -> Result<Step, StoreError> {
        let Some((end, _)) = &self.ended else { return Ok(Step::On) };
        self.app.store.finish_run(self.run.id, end, now()).await?;
        Ok(Step::Over)
    }

    fn tell_agent(&self, message: ToAgent) {
        if let Some(agent) = self.agent {
            self.app.hub.tell(agent, message);
        }
    }

    fn tell_engine(&self, words: Vec<Word>) {
        if !words.is_empty() {
            self.tell_agent(ToAgent::Tell { lease: self.lease, engine: self.engine, words });
        }
    }
}
