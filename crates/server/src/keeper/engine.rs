//! A run and its engine: what that says and is told.

use std::time::Duration;

use model::added_step::{self, StepFile};
use model::event::{Event, LogSource};
use model::ids::RequestId;
use model::planning;
use model::read::too_much;
use model::request::{Failure, FailureKind, Reply, Request};
use model::run::RunFacts;
use store::{Act, Millis, Project, StoreError};
use tokio::time::Instant;
use wire::agent::{Definition, Item, LogLine, ToAgent};
use wire::engine::{Heard, Input, Journal, JournalError, Said, Word, turn_too_long};

use super::needs::Goes;
use super::{Decision, Keeper, LAST_WORDS, Step, outposts};
use crate::changes::{is_rerun, times_of_tag};
use crate::config::ProjectConfig;
use crate::{line, properties};

/// So often an engine is started anew at one place.
const MOST_LOSSES: u32 = 3;
/// How often a run is told that a step writes something, where it wants to know.
const ACTIVITY: Duration = Duration::from_secs(1);
/// Of what an engine is told at once, about so many bytes.
const MOST_BYTES: usize = 4 << 20;

impl Keeper {
    /// Who waits for a step to write something is told, now and then.
    pub(super) async fn see_output(&mut self, items: &[Item]) -> Result<(), StoreError> {
        if !self.run.definition.as_ref().is_some_and(|text| text.contains("activity")) {
            return Ok(());
        }
        for item in items {
            let Item::Line(LogLine { step: Some(step), source: LogSource::Stdout | LogSource::Stderr, .. }) = item
            else {
                continue;
            };
            let at = Instant::now();
            if self.activity.get(step).is_none_or(|last| at.duration_since(*last) >= ACTIVITY) {
                self.activity.insert(*step, at);
                self.add(Input::OutputSeen { step: *step }).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn found(&mut self, definition: Result<Definition, Failure>) -> Result<Step, StoreError> {
        if self.journal.is_some() {
            return Ok(Step::On);
        }
        match definition {
            Ok(Definition { text, .. }) if text.contains('\0') => {
                self.fail(FailureKind::Workload, "the definition has a NUL character").await
            }
            Ok(found) if is_too_much(&found.steps) => {
                self.fail(FailureKind::Workload, "the project has more steps of its own than one run may have").await
            }
            Ok(found) if self.is_another(&found) => {
                let reason = "its definition is not the one that was approved: somebody is to look at it again";
                self.app.store.hold_run(self.run.id, self.lease.epoch, reason, self.app.now()).await?;
                self.tell_agent(ToAgent::Release { lease: self.lease, forget: true });
                Ok(Step::Over)
            }
            Ok(found) => {
                let times = times_of_tag(&self.run.facts, found.tagged_at);
                let known = &self.run.facts;
                let none = || RunFacts {
                    libraries: Vec::new(),
                    tools: Vec::new(),
                    pods: Vec::new(),
                    records_deliveries: false,
                    ..known.clone()
                };
                let mut facts = self.config().await?.map_or_else(none, |config| config.facts_of(&self.run.facts));
                facts.env.extend(times);
                let facts = (facts != self.run.facts).then_some(facts);
                self.app.store.set_definition(self.run.id, &found, facts.as_ref(), self.app.now()).await?;
                match (&self.run.merge, &found.tree) {
                    (Some(_), Some(_)) if !is_rerun(&self.run.facts) => self.known_already().await,
                    _ => Ok(Step::Again),
                }
            }
            Err(failure) => {
                if failure.kind == FailureKind::Workload {
                    self.says_nothing().await?;
                }
                self.fail(failure.kind, &failure.message).await
            }
        }
    }

    /// There is no such branch any more, or no definition in it: what it has said is over.
    async fn says_nothing(&self) -> Result<(), StoreError> {
        let Some((project, branch)) = self.branch().await? else { return Ok(()) };
        let before = self.app.store.properties(project.id, &branch).await?.unwrap_or_default();
        self.app.store.forget_properties(project.id, &branch, Some(self.run.id), self.app.now()).await?;
        if before.alone.is_some() { line::changed(&self.app, &project).await } else { Ok(()) }
    }

    /// What it may speak of, and its project.
    async fn branch(&self) -> Result<Option<(Project, String)>, StoreError> {
        let Some(project) = self.app.store.project(&self.run.project_name).await? else { return Ok(None) };
        let Ok(config) = serde_json::from_value::<ProjectConfig>(project.config.clone()) else { return Ok(None) };
        let branch = properties::branch_of(&self.run, &config).filter(|_| properties::is_believed(&self.run));
        Ok(branch.map(|branch| (project, branch.into_owned())))
    }

    /// What it says of its branch, to be written down with the rest; the project, where its runs are to wait otherwise from then on.
    async fn said_of_branch(&self, acts: &mut Vec<Act>) -> Result<Option<Project>, StoreError> {
        let last = acts.iter().rev().find_map(|act| match act {
            Act::Event(Event::PropertiesSet { properties }) => Some(properties.clone()),
            _ => None,
        });
        let Some(said) = last else { return Ok(None) };
        let Some((project, branch)) = self.branch().await? else { return Ok(None) };
        let before = self.app.store.properties(project.id, &branch).await?.unwrap_or_default();
        let waits_otherwise = before.alone != said.alone;
        acts.push(Act::Properties(branch, said));
        Ok(waits_otherwise.then_some(project))
    }

    pub(super) fn start_engine(&mut self) {
        self.engine += 1;
        let words = self.journal.as_mut().map(Journal::restart).unwrap_or_default();
        self.tell_engine(words);
    }

    /// The engine has said something: written down first, then acted upon.
    pub(super) async fn said(&mut self, said: Vec<Said>) -> Result<Step, StoreError> {
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
                // Whoever says it, an event of any size is none.
                Heard::Event(Event::PropertiesSet { properties }) => {
                    acts.push(Act::Event(Event::PropertiesSet { properties: properties.bounded() }));
                }
                Heard::Event(event) => acts.push(Act::Event(event)),
                Heard::Took(index) => took.push(index),
                Heard::Ended(ended) => end = Some(self.secrets.cleaned(ended)),
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
        let heard = journal.heard();
        self.said_of_parameters(&mut acts);
        if !self.said_in_confidence(&mut acts) {
            return self.fail(FailureKind::Workload, "it has more, or longer, texts masked than a run may").await;
        }
        for act in &mut acts {
            if let Act::Event(event) = act {
                self.secrets.clean_event(event);
            }
        }
        let waits_otherwise = self.said_of_branch(&mut acts).await?;
        let Some(journal) = &self.journal else { return Ok(Step::On) };
        let has_got_on = !acts.is_empty();
        acts.extend(took.iter().filter_map(|index| Some(Act::Took(*index, journal.entries().get(*index)?.at?))));
        let requests: Vec<_> = acts
            .iter()
            .filter_map(|act| if let Act::Request(_, request) = act { Some(request) } else { None })
            .collect();
        let mut leaves = None;
        match self.goes(&requests).await? {
            Goes::Nobody => {}
            Goes::Run(needs) => {
                leaves = Some(needs.clone());
                acts.push(Act::Leave(needs));
            }
            Goes::Jobs(jobs) => {
                for (job, root, needs) in jobs {
                    let mut told = outposts::told(job, &needs);
                    self.secrets.clean_event(&mut told);
                    acts.extend((job == root).then_some(Act::Event(told)));
                    acts.push(Act::Elsewhere(job, root, needs));
                }
            }
        }
        if has_got_on {
            // It has got further than any before it.
            self.losses = 0;
        }
        if !acts.is_empty() {
            self.app.store.heard(self.run.id, heard, &acts, self.app.now()).await?;
            self.app.changed(self.run.id);
        }
        if let Some(project) = waits_otherwise {
            line::changed(&self.app, &project).await?;
        }
        if let Some(needs) = leaves {
            return self.leave(needs).await;
        }
        self.tell_engine(words);
        self.goes_elsewhere(&acts);
        for act in acts {
            match act {
                Act::Request(id, request) => self.ask(id, request, self.app.now()).await?,
                Act::Cancel(id) => self.cancel(id).await?,
                Act::Took(..)
                | Act::Event(_)
                | Act::Properties(..)
                | Act::Facts(_)
                | Act::Leave(_)
                | Act::Elsewhere(..)
                | Act::Stay => {}
            }
        }
        self.rest().await?;
        if let Some(end) = end {
            self.ended = Some((end, Instant::now() + LAST_WORDS));
            self.tell_agent(ToAgent::Release { lease: self.lease, forget: false });
            self.release_outposts(false);
        }
        Ok(Step::On)
    }

    /// Has a request done. Time is the server's own.
    pub(super) async fn ask(&mut self, id: RequestId, request: Request, asked_at: Millis) -> Result<(), StoreError> {
        if self.rest.holds_back(&request) {
            return self.hold_back(id, request, asked_at).await;
        }
        self.open.insert(id);
        if let Some(refused) = self.not_approved(&request) {
            return self.answer(id, Reply::Failed(refused)).await;
        }
        if let Request::Credential(wish) = &request {
            return self.answer(id, Reply::Failed(model::credential::none_here(&wish.id))).await;
        }
        let mut request = request;
        if let Request::Copy { wish, .. } = &mut request {
            match self.run_to_copy(wish).await? {
                Ok(found) => wish.of = Some(found),
                Err(refused) => return self.answer(id, Reply::Failed(refused)).await,
            }
        }
        if self.ask_outpost(id, &request).await? {
            return Ok(());
        }
        match request {
            Request::Sleep { ms } => {
                // Where it was asked for just now no clock is asked, and may be set. One that has gone back makes nothing longer.
                let left = asked_at.saturating_add(ms).saturating_sub(self.app.now()).min(ms);
                self.timers.insert((Instant::now() + Duration::from_millis(left), id));
            }
            Request::Now => self.answer(id, Reply::Time(self.app.now())).await?,
            Request::Input(_) => drop(self.questions.insert(id)),
            Request::Build(wish) => self.build(id, wish).await?,
            Request::Lock(wish) => self.lock(id, wish, asked_at).await?,
            Request::Unlock { lock } => self.unlock(id, lock).await?,
            Request::Mask { values } => self.answer(id, Reply::Count(values.len() as u64)).await?,
            Request::Milestone { ordinal } => self.milestone(id, ordinal).await?,
            request => self.tell_agent(ToAgent::Perform { lease: self.lease, id, request }),
        }
        Ok(())
    }

    /// Whether this is not what somebody has answered for.
    fn is_another(&self, found: &Definition) -> bool {
        let Some(approved) = &self.run.approved else { return false };
        let commit = self.run.commit.as_ref().zip(found.commit.as_ref());
        approved.definition != store::digest(&found.text) || commit.is_some_and(|(known, found)| known != found)
    }

    /// Whoever has answered for a stranger's run has answered for the places that they were shown.
    pub(super) fn not_approved(&self, request: &Request) -> Option<Failure> {
        let approved = self.run.approved.as_ref()?;
        let place = planning::place(request).filter(|place| !approved.places.contains(place))?;
        let message = format!("it asks for {place}, which is not in the plan that was approved");
        let hint = "what depends on the output of programs is in no plan; a branch of the repository itself needs none";
        Some(Failure { kind: FailureKind::Policy, message, hint: Some(hint.to_owned()) })
    }

    pub(super) async fn cancel(&mut self, id: RequestId) -> Result<(), StoreError> {
        if self.waits_no_more(id, Reply::Cancelled).await? || self.cancel_wanted(id).await? {
            return Ok(());
        }
        if let Some(timer) = self.timers.iter().copied().find(|(_, timer)| *timer == id) {
            self.timers.remove(&timer);
            return self.answer(id, Reply::Cancelled).await;
        }
        if self.questions.remove(&id) {
            return self.answer(id, Reply::Cancelled).await;
        }
        if self.cancel_build(id).await? {
            return Ok(());
        }
        if self.open.contains(&id) && !self.cancel_abroad(id).await? {
            self.tell_agent(ToAgent::Cancel { lease: self.lease, id });
        }
        Ok(())
    }

    /// What somebody says to a question. False: it is none any more.
    pub(super) async fn decided(&mut self, id: RequestId, decision: Decision) -> Result<bool, StoreError> {
        let Some(journal) = self.journal.as_mut().filter(|_| self.questions.contains(&id)) else { return Ok(false) };
        let Decision { actor, by, values, confided } = decision;
        let facts = (!confided.is_empty()).then(|| {
            let known = &self.run.facts.confided;
            RunFacts { confided: [known.clone(), confided].concat(), ..self.run.facts.clone() }
        });
        if let Some(facts) = &facts {
            self.secrets.add(facts.secrets());
        }
        let told = values
            .as_ref()
            .map(|values| values.iter().map(|(name, value)| (name.clone(), self.secrets.mask(value))).collect());
        let told = Input::Answer { id, reply: Reply::Decided { by: by.clone(), values: told } };
        let input = Input::Answer { id, reply: Reply::Decided { by, values } };
        let (who, seq) = ((&actor, self.app.now()), journal.entries().len());
        self.app.store.add_decision(who, self.run.id, seq, (&input, &told), facts.as_ref()).await?;
        if let Some(facts) = facts {
            self.run.facts = facts;
        }
        self.questions.remove(&id);
        self.open.remove(&id);
        let words = journal.add(input);
        self.tell_engine(words);
        self.app.changed(self.run.id);
        Ok(true)
    }

    /// An answer, once.
    pub(super) async fn answer(&mut self, id: RequestId, reply: Reply) -> Result<(), StoreError> {
        if !self.open.remove(&id) {
            return Ok(());
        }
        self.add(Input::Answer { id, reply }).await
    }

    pub(super) async fn add(&mut self, input: Input) -> Result<(), StoreError> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        self.app.store.add_input(self.run.id, journal.entries().len(), &input).await?;
        let words = journal.add(input);
        self.tell_engine(words);
        Ok(())
    }

    /// Once is enough: who asks again wants what is under way already.
    pub(super) async fn abort_if_wanted(&mut self) -> Result<(), StoreError> {
        let (Some(reason), Some(journal)) = (self.run.abort_reason.clone(), &self.journal) else { return Ok(()) };
        let is_told = journal.entries().iter().any(|entry| matches!(entry.input, Input::Abort { .. }));
        if is_told { Ok(()) } else { self.add(Input::Abort { reason }).await }
    }

    pub(super) async fn engine_lost(&mut self, reason: &str) -> Result<Step, StoreError> {
        if reason == turn_too_long() {
            return self.fail(FailureKind::Workload, reason).await;
        }
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

    /// An answer is to be remembered as long as the run, for the next engine. A step: the run has read too much, and has ended.
    pub(super) async fn has_read(&mut self, reply: &Reply) -> Result<Option<Step>, StoreError> {
        self.read = self.read.saturating_add(reply.bytes());
        let most = self.app.config.run_read_bytes;
        if self.read <= most {
            return Ok(None);
        }
        let reason = too_much(most);
        self.fail(FailureKind::Workload, &reason).await.map(Some)
    }

    pub(super) async fn engine_is_another(&mut self, error: &JournalError) -> Result<Step, StoreError> {
        self.fail(FailureKind::Infrastructure, &error.to_string()).await
    }

    /// In pieces that a connection takes: what a run has captured may be large.
    pub(super) fn tell_engine(&self, words: Vec<Word>) {
        let (mut piece, mut bytes) = (Vec::new(), 0);
        let tell = |words| self.tell_agent(ToAgent::Tell { lease: self.lease, engine: self.engine, words });
        for word in words {
            let size = size_of_word(&word);
            if bytes + size > MOST_BYTES && !piece.is_empty() {
                tell(std::mem::take(&mut piece));
                bytes = 0;
            }
            bytes += size;
            piece.push(word);
        }
        if !piece.is_empty() {
            tell(piece);
        }
    }
}

/// About how long a word is.
fn size_of_word(word: &Word) -> usize {
    let text = match word {
        Word::Begin(begin) => begin.source.len(),
        Word::Input { input, .. } => size_of_input(input),
    };
    text + 256
}

pub(super) fn size_of_input(input: &Input) -> usize {
    match input {
        Input::Answer { reply, .. } => reply.bytes(),
        _ => 0,
    }
}

/// No agent in good order finds so much.
fn is_too_much(steps: &[StepFile]) -> bool {
    let bytes = steps.iter().map(|file| file.name.len() + file.text.len()).sum::<usize>();
    steps.len() > 2 * added_step::MAX_STEPS || bytes > 2 * added_step::MAX_ALL_BYTES
}
