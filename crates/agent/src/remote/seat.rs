//! What an agent has of one lease.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use model::event::Event;
use model::ids::RequestId;
use model::request::{Failure, Reply, Request};
use model::rung::Trust;
use tokio::sync::{Semaphore, mpsc, oneshot};
use wire::agent::{Definition, Item, Lease, LogLine, MAX_REPORT};
use wire::engine::Word as EngineWord;

use super::{AgentConfig, RunOf, Word};
use crate::engine::{EngineProgram, Process};
use crate::perform::Performer;
use crate::scm::LocalProject;

/// What may wait to be kept by the server; then workloads wait.
const MOST_WAITING: usize = 50_000;
/// Events on their way from workloads.
const EVENTS: usize = 256;
/// Words of an engine in one message.
const MOST_WORDS: usize = 500;

pub(super) struct Seat {
    lease: Lease,
    project: String,
    trust: Trust,
    inbox: mpsc::UnboundedSender<Word>,
    /// What was said to the server of it.
    pub(super) definition: Option<Result<Definition, Failure>>,
    performer: Option<Arc<Performer>>,
    /// The repository that was fetched for this run; it goes with the seat.
    repository: Option<PathBuf>,
    engine: Option<Engine>,
    requests: HashMap<RequestId, State>,
    /// What is not kept yet.
    waiting: VecDeque<Item>,
    /// How much was kept before that.
    kept: u64,
    /// How much of what waits was said on this connection.
    said: usize,
    /// Room for more events.
    room: Arc<Semaphore>,
    is_released: bool,
    pub(super) is_closed: bool,
}

struct Engine {
    number: u64,
    input: mpsc::UnboundedSender<Vec<u8>>,
    /// Ends the process when dropped.
    _alive: oneshot::Sender<()>,
}

enum State {
    Running(Option<oneshot::Sender<()>>),
    Done(Reply),
}

impl Seat {
    pub(super) fn new(
        lease: Lease,
        (project, trust): (String, Trust),
        reported: u64,
        inbox: mpsc::UnboundedSender<Word>,
    ) -> Seat {
        Seat {
            lease,
            project,
            trust,
            inbox,
            definition: None,
            performer: None,
            repository: None,
            engine: None,
            requests: HashMap::new(),
            waiting: VecDeque::new(),
            kept: reported,
            said: 0,
            room: Arc::new(Semaphore::new(MOST_WAITING)),
            is_released: false,
            is_closed: false,
        }
    }

    /// The definition is here, and what the run is performed with can be made.
    pub(super) fn found(
        &mut self,
        found: Result<(Definition, LocalProject, Option<PathBuf>), Failure>,
        config: &AgentConfig,
    ) -> Result<Definition, Failure> {
        let made = found.and_then(|(definition, project, repository)| {
            self.repository = repository;
            let of = RunOf { project: self.project.clone(), trust: self.trust, definition: definition.text.clone() };
            let host = (config.host)(&of, project).map_err(|trouble| trouble.0)?;
            let (sender, mut events) = mpsc::channel(EVENTS);
            self.performer = Some(Arc::new(Performer::new(host, sender)));
            let (inbox, lease, room) = (self.inbox.clone(), self.lease, Arc::clone(&self.room));
            tokio::spawn(async move {
                while let Some(event) = events.recv().await {
                    // Given back when the server has it.
                    let Ok(taken) = room.acquire().await else { return };
                    taken.forget();
                    if inbox.send(Word::Happened(lease, event)).is_err() {
                        return;
                    }
                }
            });
            Ok(definition)
        });
        self.definition = Some(made.clone());
        if self.is_released {
            self.close();
        }
        made
    }

    pub(super) fn engine_is(&self, number: u64) -> bool {
        self.engine.as_ref().is_some_and(|engine| engine.number == number)
    }

    /// Words for an engine; a beginning starts a new one.
    pub(super) fn tell_engine(
        &mut self,
        program: &EngineProgram,
        number: u64,
        words: &[EngineWord],
    ) -> Result<(), String> {
        if matches!(words.first(), Some(EngineWord::Begin(_))) {
            let process = Process::start(program).map_err(|trouble| trouble.0.message)?;
            let input = process.input();
            let (alive, gone) = oneshot::channel();
            tokio::spawn(listen(process, self.lease, number, gone, self.inbox.clone()));
            self.engine = Some(Engine { number, input, _alive: alive });
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
        let (cancel, cancelled) = oneshot::channel();
        self.requests.insert(id, State::Running(Some(cancel)));
        let (inbox, lease, performer) = (self.inbox.clone(), self.lease, self.performer.clone());
        tokio::spawn(async move {
            let reply = match performer {
                Some(performer) => performer.perform(request, cancelled).await,
                None => Reply::from(crate::Trouble::infrastructure("this agent has nothing of this run")),
            };
            let _ = inbox.send(Word::Replied(lease, id, reply));
        });
        None
    }

    pub(super) fn cancel(&mut self, id: RequestId) {
        if let Some(State::Running(cancel)) = self.requests.get_mut(&id) {
            cancel.take().map(|cancel| cancel.send(()));
        }
    }

    pub(super) fn replied(&mut self, id: RequestId, reply: Reply) {
        self.requests.insert(id, State::Done(reply));
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
        self.waiting.push_back(match event {
            Event::Log { step, stage, source, text } => Item::Line(LogLine { at, step, stage, source, text }),
            event => Item::Event { at, event },
        });
    }

    /// The next piece of what was not said yet, and what was said before it.
    pub(super) fn next_report(&mut self) -> Option<(u64, Vec<Item>)> {
        let items: Vec<_> = self.waiting.iter().skip(self.said).take(MAX_REPORT).cloned().collect();
        let first = self.kept + self.said as u64;
        self.said += items.len();
        (!items.is_empty()).then_some((first, items))
    }

    /// The server has so much in all.
    pub(super) fn kept(&mut self, reported: u64) {
        let new = usize::try_from(reported.saturating_sub(self.kept)).unwrap_or(usize::MAX).min(self.waiting.len());
        self.waiting.drain(..new);
        self.kept += new as u64;
        self.said = self.said.saturating_sub(new);
        self.room.add_permits(new);
    }

    /// On a new connection everything that is not kept is said again.
    pub(super) fn resend(&mut self, reported: u64) {
        self.kept(reported);
        self.said = 0;
    }

    pub(super) fn lose_connection(&mut self) {
        self.engine = None;
        self.said = 0;
    }

    /// Ends everything; what it has to say is still to be kept.
    pub(super) fn release(&mut self) {
        if std::mem::replace(&mut self.is_released, true) {
            return;
        }
        self.engine = None;
        for state in self.requests.values_mut() {
            if let State::Running(cancel) = state {
                cancel.take().map(|cancel| cancel.send(()));
            }
        }
        if self.definition.is_some() {
            self.close();
        }
    }

    fn close(&mut self) {
        let (performer, inbox, lease) = (self.performer.take(), self.inbox.clone(), self.lease);
        let repository = self.repository.take();
        tokio::spawn(async move {
            if let Some(performer) = performer {
                performer.hurry();
                performer.close().await;
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

/// Hands on what an engine says, until it ends or is not wanted any more.
async fn listen(
    mut process: Process,
    lease: Lease,
    number: u64,
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
        if inbox.send(word).is_err() || is_last {
            return;
        }
    }
}
