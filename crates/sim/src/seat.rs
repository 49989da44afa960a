//! What an agent has of one lease, as the real one keeps it (`agent::remote`): without a process, a sandbox or a clock.

use std::collections::{BTreeMap, VecDeque};

use engine::Session;
use model::ids::RequestId;
use model::request::{Failure, Reply, Request};
use wire::agent::{Definition, Item, Lease, MAX_REPORT};
use wire::engine::{Said, Word};

/// A request at an agent.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Running,
    Done(Reply),
}

pub(crate) struct Engine {
    pub(crate) number: u64,
    session: Option<Session>,
    is_done: bool,
}

pub(crate) struct Seat {
    pub(crate) lease: Lease,
    pub(crate) definition: Option<Result<Definition, Failure>>,
    pub(crate) engine: Option<Engine>,
    pub(crate) requests: BTreeMap<RequestId, State>,
    pub(crate) early: Vec<(RequestId, Request)>,
    /// What is not kept yet.
    pub(crate) waiting: VecDeque<Item>,
    /// How much was kept before that, of the run in all.
    kept: u64,
    /// How much of what waits was said on this connection.
    said: usize,
    pub(crate) is_released: bool,
    pub(crate) is_forgotten: bool,
    pub(crate) is_closed: bool,
}

impl Seat {
    pub(crate) fn new(lease: Lease, reported: u64) -> Seat {
        Seat {
            lease,
            definition: None,
            engine: None,
            requests: BTreeMap::new(),
            early: Vec::new(),
            waiting: VecDeque::new(),
            kept: reported,
            said: 0,
            is_released: false,
            is_forgotten: false,
            is_closed: false,
        }
    }

    /// Words for an engine; a beginning starts a new one. What it says to them.
    pub(crate) fn tell_engine(&mut self, number: u64, words: Vec<Word>) -> Vec<Said> {
        let mut said = Vec::new();
        if self.is_released {
            return said;
        }
        for word in words {
            match word {
                Word::Begin(begin) => {
                    let (session, begun) = Session::begin(*begin);
                    said.push(begun);
                    self.engine = Some(Engine { number, session, is_done: false });
                }
                Word::Input { at, input } => {
                    if let Some(session) = self.engine_of(number).and_then(|engine| engine.session.as_mut()) {
                        session.give(at, input);
                    }
                }
            }
        }
        if let Some(session) = self.engine_of(number).and_then(|engine| engine.session.as_mut()) {
            while !session.is_over() && !session.waits() {
                said.extend(session.turn());
            }
        }
        if let Some(engine) = self.engine_of(number) {
            let is_last = |said: &Said| matches!(said, Said::Ended(_) | Said::Invalid { .. } | Said::Diverged { .. });
            engine.is_done |= said.iter().any(is_last);
        }
        said
    }

    fn engine_of(&mut self, number: u64) -> Option<&mut Engine> {
        self.engine.as_mut().filter(|engine| engine.number == number)
    }

    /// Its process dies, if there is one that has more to say. Which it was.
    pub(crate) fn lose_engine(&mut self) -> Option<u64> {
        let engine = self.engine.as_mut().filter(|engine| !engine.is_done)?;
        engine.session = None;
        Some(engine.number)
    }

    /// Answers that may not have been heard.
    pub(crate) fn answers(&self) -> Vec<(RequestId, Reply)> {
        let done = self.requests.iter().filter_map(|(id, state)| match state {
            State::Done(Reply::Cancelled) | State::Running => None,
            State::Done(reply) => Some((*id, reply.clone())),
        });
        done.collect()
    }

    pub(crate) fn answer_kept(&mut self, id: RequestId) {
        if matches!(self.requests.get(&id), Some(State::Done(_))) {
            self.requests.insert(id, State::Done(Reply::Cancelled));
        }
    }

    /// The next piece of what was not said yet, and what was said before it.
    pub(crate) fn next_report(&mut self) -> Option<(u64, Vec<Item>)> {
        let items: Vec<_> = self.waiting.iter().skip(self.said).take(MAX_REPORT).cloned().collect();
        let first = self.kept + self.said as u64;
        self.said += items.len();
        (!items.is_empty()).then_some((first, items))
    }

    /// The server has so much in all. How much of it is news.
    pub(crate) fn kept(&mut self, reported: u64) -> usize {
        let new = usize::try_from(reported.saturating_sub(self.kept)).unwrap_or(usize::MAX).min(self.waiting.len());
        self.waiting.drain(..new);
        self.kept += new as u64;
        self.said = self.said.saturating_sub(new);
        new
    }

    /// On a new connection everything that is not kept is said again.
    pub(crate) fn say_again(&mut self) {
        self.said = 0;
    }

    /// What it said last of its report, once more.
    pub(crate) fn last_report(&self) -> Option<(u64, Vec<Item>)> {
        let items: Vec<_> = self.waiting.iter().take(self.said).cloned().collect();
        (!items.is_empty()).then_some((self.kept, items))
    }

    pub(crate) fn lose_connection(&mut self) {
        self.engine = None;
        self.said = 0;
    }

    /// Nothing of it is left, and the server has all that it said.
    pub(crate) fn is_over(&self) -> bool {
        self.is_closed && self.waiting.is_empty()
    }
}
