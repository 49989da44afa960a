//! What an agent has of one lease.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use model::event::Event;
use model::ids::RequestId;
use model::request::{Failure, Reply, Request};
use model::test_result::TestCase;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use wire::agent::{Definition, Item, Lease, LeaseToken, LogLine, MAX_REPORT, MAX_SAID};
use wire::engine::{Said, Word as EngineWord};

use super::fetch::Found;
use super::upload::Uploader;
use super::{AgentConfig, RunOf, Word, answer};
use crate::engine::{EngineProgram, Process};
use crate::perform::Performer;

/// What may wait to be kept by the server; then workloads wait.
const MOST_WAITING: usize = 50_000;
/// Of it in one report, about so many bytes.
const MOST_BYTES: usize = 1 << 20;
/// Of what is not kept yet, so much may be on its way, in bytes.
const MOST_AHEAD: usize = 16 << 20;
/// Events on their way from workloads.
const EVENTS: usize = 256;
/// Words of an engine in one message.
const MOST_WORDS: usize = 500;

pub(super) struct Seat {
    lease: Lease,
    token: LeaseToken,
    of: RunOf,
    inbox: mpsc::UnboundedSender<Word>,
    /// What was said to the server of it.
    pub(super) definition: Option<Result<Definition, Failure>>,
    performer: Option<Arc<Performer>>,
    /// The repository that was fetched for this run; it goes with the seat.
    repository: Option<PathBuf>,
    engine: Option<Engine>,
    /// One that starts while the definition is fetched, and has heard nothing.
    fresh: Option<Process>,
    requests: HashMap<RequestId, State>,
    /// What was asked before there was anything to do it with.
    early: Vec<(RequestId, Request)>,
    /// What is being done.
    tasks: Vec<JoinHandle<()>>,
    /// Hands events on.
    forwarder: Option<JoinHandle<()>>,
    /// What is not kept yet.
    waiting: VecDeque<Item>,
    /// How much was kept before that.
    kept: u64,
    /// How much of what waits was said on this connection.
    said: usize,
    /// How long that is, in bytes.
    ahead: usize,
    /// Room for more events.
    room: Arc<Semaphore>,
    is_released: bool,
    is_forgotten: bool,
    pub(super) is_closed: bool,
}

struct Engine {
    number: u64,
    /// It has said its last word.
    is_done: bool,
    input: mpsc::UnboundedSender<Vec<u8>>,
    /// Messages with its words that may be on their way.
    ahead: Arc<Semaphore>,
    /// Ends the process when dropped.
    _alive: oneshot::Sender<()>,
}

enum State {
    Running(Option<oneshot::Sender<()>>),
    Done(Reply),
}

impl Seat {
    pub(super) fn new(
        (lease, token): (Lease, LeaseToken),
        of: RunOf,
        reported: u64,
        inbox: mpsc::UnboundedSender<Word>,
    ) -> Seat {
        Seat {
            lease,
            token,
            of,
            inbox,
            definition: None,
            performer: None,
            repository: None,
            engine: None,
            fresh: None,
            requests: HashMap::new(),
            early: Vec::new(),
            tasks: Vec::new(),
            forwarder: None,
            waiting: VecDeque::new(),
            kept: reported,
            said: 0,
            ahead: 0,
            room: Arc::new(Semaphore::new(MOST_WAITING)),
            is_released: false,
            is_forgotten: false,
            is_closed: false,
        }
    }

    /// The definition is here, and what the run is performed with can be made.
    pub(super) fn found(
        &mut self,
        found: Result<Found, Failure>,
        config: &AgentConfig,
        uploader: &Uploader,
    ) -> Result<Definition, Failure> {
        let made = found.and_then(|Found { definition, files, repository, mentions }| {
            self.repository = repository;
            let of = RunOf { mentions, ..self.of.clone() };
            let host = config.hosts.host(&of, files).map_err(|trouble| trouble.0)?;
            let (sender, mut events) = mpsc::channel(EVENTS);
            self.performer =
                Some(Arc::new(Performer::new(host, sender).archiving_to(uploader.of(self.lease, self.token.clone()))));
            let (inbox, lease, room) = (self.inbox.clone(), self.lease, Arc::clone(&self.room));
            self.forwarder = Some(tokio::spawn(async move {
                while let Some(event) = events.recv().await {
                    // Given back when the server has it.
                    let Ok(taken) = room.acquire().await else { return };
                    taken.forget();
                    if inbox.send(Word::Happened(lease, event)).is_err() {
                        return;
                    }
                }
            }));
            Ok(definition)
        });
        self.definition = Some(made.clone());
        for (id, request) in std::mem::take(&mut self.early) {
            self.begin(id, request);
        }
        if self.is_released {
            self.close();
        }
        made
    }

    /// An engine is wanted soon. Where none can be started, whoever wants it hears why.
    pub(super) fn start_ahead(&mut self, program: &EngineProgram) {
        self.fresh = Process::start(program).ok();
    }

    pub(super) fn engine_is(&self, number: u64) -> bool {
        self.engine.as_ref().is_some_and(|engine| engine.number == number)
    }

    /// An engine has said this. False: it is another one.
    pub(super) fn engine_said(&mut self, number: u64, said: &[Said]) -> bool {
        let Some(engine) = self.engine.as_mut().filter(|engine| engine.number == number) else { return false };
        let is_last = |said: &Said| matches!(said, Said::Ended(_) | Said::Invalid { .. } | Said::Diverged { .. });
        engine.is_done |= said.iter().any(is_last);
        true
    }

    /// The server has heard a message of an engine.
    pub(super) fn engine_heard(&self, number: u64) {
        if let Some(engine) = self.engine.as_ref().filter(|engine| engine.number == number)
            && engine.ahead.available_permits() < MAX_SAID
        {
            engine.ahead.add_permits(1);
        }
    }

    pub(super) fn engine_is_done(&self) -> bool {
        self.engine.as_ref().is_some_and(|engine| engine.is_done)
    }

    /// Words for an engine; a beginning starts a new one.
    pub(super) fn tell_engine(
        &mut self,
        program: &EngineProgram,
        number: u64,
        words: &[EngineWord],
    ) -> Result<(), String> {
        if self.is_released {
            return Ok(());
        }
        if matches!(words.first(), Some(EngineWord::Begin(_))) {
            let process = match self.fresh.take() {
                Some(process) => process,
                None => Process::start(program).map_err(|trouble| trouble.0.message)?,
            };
            let input = process.input();
            let (alive, gone) = oneshot::channel();
            let ahead = Arc::new(Semaphore::new(MAX_SAID));
            tokio::spawn(listen(process, (self.lease, number), Arc::clone(&ahead), gone, self.inbox.clone()));
            self.engine = Some(Engine { number, is_done: false, input, ahead, _alive: alive });
        }
        if let Some(engine) = self.engine.as_ref().filter(|engine| engine.number == number) {
            let mut bytes = Vec::new();
            for word in words {
                wire::engine::encode(word, &mut bytes).map_err(|error| error.to_string())?;
            }
            // One that is gone says so elsewhere.
            let _ = engine.input.send(bytes);
        }
        Ok(())
    }

    /// Does a request once. Its answer, where there is one already.
    pub(super) fn perform(&mut self, id: RequestId, request: Request) -> Option<Reply> {
        match self.requests.get(&id) {
            Some(State::Running(_)) => return None,
            Some(State::Done(reply)) => return Some(reply.clone()),
            None => {}
        }
        match self.definition.is_some() {
            true => self.begin(id, request),
            // Its answer depends on what is found.
            false => {
                self.requests.insert(id, State::Running(None));
                self.early.push((id, request));
            }
        }
        None
    }

    fn begin(&mut self, id: RequestId, request: Request) {
        let (cancel, cancelled) = oneshot::channel();
        self.requests.insert(id, State::Running(Some(cancel)));
        let failure = match &self.definition {
            Some(Err(failure)) => failure.clone(),
            _ => crate::Trouble::infrastructure("this agent has nothing of this run").0,
        };
        let (inbox, lease, performer) = (self.inbox.clone(), self.lease, self.performer.clone());
        let task = tokio::spawn(async move {
            let reply = match performer {
                Some(performer) => performer.perform(request, cancelled).await,
                None => Reply::Failed(failure),
            };
            let _ = inbox.send(Word::Replied(lease, id, reply));
        });
        self.tasks.retain(|task| !task.is_finished());
        self.tasks.push(task);
    }

    pub(super) fn cancel(&mut self, id: RequestId) {
        if let Some(at) = self.early.iter().position(|(early, _)| *early == id) {
            self.early.remove(at);
            let _ = self.inbox.send(Word::Replied(self.lease, id, Reply::Cancelled));
        }
        if let Some(State::Running(cancel)) = self.requests.get_mut(&id) {
            cancel.take().map(|cancel| cancel.send(()));
        }
    }

    pub(super) fn replied(&mut self, id: RequestId, reply: Reply) {
        self.requests.insert(id, State::Done(answer::bounded(reply)));
    }

    pub(super) fn answer_kept(&mut self, id: RequestId) {
        if matches!(self.requests.get(&id), Some(State::Done(_))) {
            // Should it be asked once more, by whoever has not heard of this, it is not to be done again.
            self.requests.insert(id, State::Done(Reply::Cancelled));
        }
    }

    /// Answers that may not have been heard.
    pub(super) fn answers(&self) -> Vec<(RequestId, Reply)> {
        let done = self.requests.iter().filter_map(|(id, state)| match state {
            State::Done(Reply::Cancelled) | State::Running(_) => None,
            State::Done(reply) => Some((*id, reply.clone())),
        });
        done.collect()
    }

    pub(super) fn happened(&mut self, event: Event) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        if self.is_forgotten {
            return;
        }
        self.waiting.push_back(match event {
            Event::Log { step, stage, source, text } => Item::Line(LogLine { at, step, stage, source, text }),
            event => Item::Event { at, event },
        });
    }

    /// The next piece of what was not said yet, and what was said before it.
    pub(super) fn next_report(&mut self) -> Option<(u64, Vec<Item>)> {
        // The server cuts off who does not wait until it is heard.
        if self.ahead > MOST_AHEAD {
            return None;
        }
        let (mut items, mut bytes) = (Vec::new(), 0);
        for item in self.waiting.iter().skip(self.said).take(MAX_REPORT) {
            bytes += size_of(item);
            if bytes > MOST_BYTES && !items.is_empty() {
                break;
            }
            items.push(item.clone());
        }
        self.ahead += items.iter().map(size_of).sum::<usize>();
        let first = self.kept + self.said as u64;
        self.said += items.len();
        (!items.is_empty()).then_some((first, items))
    }

    /// The server has so much in all.
    pub(super) fn kept(&mut self, reported: u64) {
        let new = usize::try_from(reported.saturating_sub(self.kept)).unwrap_or(usize::MAX).min(self.waiting.len());
        let heard: usize = self.waiting.iter().take(new.min(self.said)).map(size_of).sum();
        self.ahead = self.ahead.saturating_sub(heard);
        self.waiting.drain(..new);
        self.kept += new as u64;
        self.said = self.said.saturating_sub(new);
        self.room.add_permits(new);
    }

    /// On a new connection everything that is not kept is said again.
    pub(super) fn resend(&mut self, reported: u64) {
        self.kept(reported);
        (self.said, self.ahead) = (0, 0);
    }

    pub(super) fn lose_connection(&mut self) {
        self.engine = None;
        (self.said, self.ahead) = (0, 0);
    }

    /// Ends everything; what it has to say is still to be kept.
    pub(super) fn release(&mut self) {
        if std::mem::replace(&mut self.is_released, true) {
            return;
        }
        (self.engine, self.fresh) = (None, None);
        for state in self.requests.values_mut() {
            if let State::Running(cancel) = state {
                cancel.take().map(|cancel| cancel.send(()));
            }
        }
        if self.definition.is_some() {
            self.close();
        }
    }

    /// Nobody wants to hear of it: what waits is dropped, and nothing waits for room.
    pub(super) fn forget(&mut self) {
        self.is_forgotten = true;
        self.waiting.clear();
        self.said = 0;
        self.room.close();
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.is_forgotten
    }

    fn close(&mut self) {
        let (performer, inbox, lease) = (self.performer.take(), self.inbox.clone(), self.lease);
        let (repository, forwarder) = (self.repository.take(), self.forwarder.take());
        let tasks = std::mem::take(&mut self.tasks);
        tokio::spawn(async move {
            if let Some(performer) = performer {
                performer.hurry();
                // What is being made is made, and then ended with the rest.
                for task in tasks {
                    let _ = task.await;
                }
                performer.close().await;
            }
            // The last of what happened comes before the end.
            if let Some(forwarder) = forwarder {
                let _ = forwarder.await;
            }
            if let Some(folder) = repository {
                let _ = tokio::fs::remove_dir_all(folder).await;
            }
            let _ = inbox.send(Word::Closed(lease));
        });
    }

    /// Nothing of it is left, and the server has all that it said.
    pub(super) fn is_over(&self) -> bool {
        self.is_closed && self.waiting.is_empty()
    }
}

/// About how long it is, in bytes.
fn size_of(item: &Item) -> usize {
    match item {
        Item::Line(line) => line.text.len(),
        Item::Event { event: Event::TestsReported { cases, .. }, .. } => cases.iter().map(TestCase::bytes).sum(),
        Item::Event { .. } => 0,
    }
}

/// Hands on what an engine says, until it ends or is not wanted any more.
async fn listen(
    mut process: Process,
    (lease, number): (Lease, u64),
    ahead: Arc<Semaphore>,
    mut gone: oneshot::Receiver<()>,
    inbox: mpsc::UnboundedSender<Word>,
) {
    loop {
        let heard = tokio::select! {
            heard = process.hear(MOST_WORDS) => heard,
            _ = &mut gone => return,
        };
        let word = match heard {
            Ok(Some(said)) => Word::Said(lease, number, said),
            Ok(None) => Word::EngineEnded(lease, number, process.ending().await),
            Err(reason) => Word::EngineEnded(lease, number, reason),
        };
        let is_last = matches!(word, Word::EngineEnded(..));
        if !is_last {
            // Given back when the server has heard it. Meanwhile the engine's pipe fills up, and it waits.
            let turn = tokio::select! {
                turn = ahead.acquire() => turn,
                _ = &mut gone => return,
            };
            let Ok(turn) = turn else { return };
            turn.forget();
        }
        if inbox.send(word).is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_is_listened_to_as_far_as_the_server_follows() {
        let lease = Lease { run: model::ids::RunId(1), epoch: 1 };
        // It says the same for ever.
        let program = EngineProgram { program: "/usr/bin/yes".into(), words: vec!["\"waits\"".into()] };
        let process = Process::start(&program).unwrap();
        let (ahead, (_alive, gone)) = (Arc::new(Semaphore::new(MAX_SAID)), oneshot::channel());
        let (sender, mut inbox) = mpsc::unbounded_channel();
        let listening = tokio::spawn(listen(process, (lease, 1), Arc::clone(&ahead), gone, sender));
        let mut said = async || {
            let mut count = 0;
            // What can come comes at once; then nothing does.
            while let Ok(Some(word)) = tokio::time::timeout(std::time::Duration::from_millis(500), inbox.recv()).await {
                assert!(matches!(word, Word::Said(_, 1, _)));
                count += 1;
            }
            count
        };
        assert_eq!(said().await, MAX_SAID);
        ahead.add_permits(2);
        assert_eq!(said().await, 2);
        listening.abort();
    }
}
