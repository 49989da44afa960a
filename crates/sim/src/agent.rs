//! An agent: takes leases, evaluates their runs, does what they ask for, and keeps what is not acknowledged.
//!
//! It does as `agent::remote` does. Where it lies or forgets, an [`Offence`] was asked for: then an invariant has to fail.

use std::collections::BTreeMap;

use model::event::{Event, LogSource};
use model::ids::{JobId, RequestId, RunId, StepId};
use model::request::{Failure, Reply, Request};
use wire::agent::{Check, Checked, Definition, FromAgent, Item, Lease, LogLine, Plan, ToAgent, VERSION};
use wire::engine::Said;

use crate::Offence;
use crate::deeds::Deeds;
use crate::dice::Dice;
use crate::network::LinkId;
use crate::plan::offers;
use crate::seat::{Seat, State};
use crate::work;

/// Something that comes later at an agent.
#[derive(Clone, Debug)]
pub(crate) enum Timer {
    /// The definition was fetched.
    Found(Lease),
    /// A step writes.
    Writes(Lease, RequestId, StepId),
    /// A request has ended.
    Ends(Lease, RequestId, Reply),
    /// Everything of a lease has ended.
    Closes(Lease),
}

/// What an agent does to the world.
#[derive(Debug)]
pub(crate) enum Effect {
    Say(FromAgent),
    Later(u64, Timer),
}

/// What it works with.
pub(crate) struct Around<'a> {
    pub(crate) seed: u64,
    /// The time of day.
    pub(crate) wall: u64,
    pub(crate) dice: &'a mut Dice,
    pub(crate) deeds: &'a mut Deeds,
    pub(crate) offence: Option<Offence>,
}

pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) runs: u32,
    pub(crate) labels: Vec<String>,
    pub(crate) link: Option<LinkId>,
    /// Which process of it: what an older one began, nobody ends.
    pub(crate) process: u64,
    /// When it heard of the server last.
    pub(crate) heard_at: u64,
    /// It does not connect before.
    pub(crate) away_until: u64,
    pub(crate) seats: BTreeMap<Lease, Seat>,
    /// Leases whose release was heard on this connection.
    released: BTreeMap<Lease, ()>,
}

type Told = Result<Vec<Effect>, String>;

impl Agent {
    pub(crate) fn new(name: String, key: String, runs: u32, labels: Vec<String>) -> Agent {
        Agent {
            name,
            key,
            runs,
            labels,
            link: None,
            process: 0,
            heard_at: 0,
            away_until: 0,
            seats: BTreeMap::new(),
            released: BTreeMap::new(),
        }
    }

    /// Its first word on a new connection.
    pub(crate) fn hello(&mut self) -> FromAgent {
        self.released.clear();
        let held = self.seats.keys().copied().collect();
        let (labels, offers) = (self.labels.clone(), offers(&self.labels));
        FromAgent::Hello { version: VERSION, runs: self.runs, held, labels, offers }
    }

    pub(crate) fn lose_connection(&mut self) {
        self.link = None;
        self.seats.values_mut().for_each(Seat::lose_connection);
    }

    /// Its process dies, with everything that it had.
    pub(crate) fn die(&mut self) {
        self.process += 1;
        self.link = None;
        self.seats.clear();
    }

    /// The server says something. `index`: which agent this is.
    pub(crate) fn told(&mut self, index: usize, message: ToAgent, around: &mut Around<'_>) -> Told {
        let mut effects = Vec::new();
        match message {
            ToAgent::Lease { lease, reported, .. } => self.leased(index, lease, reported, around, &mut effects)?,
            ToAgent::Tell { lease, engine, words } => {
                let Some(seat) = self.seats.get_mut(&lease) else { return Ok(effects) };
                let said = seat.tell_engine(engine, words);
                if !said.iter().all(|said| matches!(said, Said::Waits)) {
                    effects.push(Effect::Say(FromAgent::Said { lease, engine, said }));
                }
            }
            ToAgent::Perform { lease, id, request } => {
                if self.released.contains_key(&lease) {
                    return Err(format!("{id} of {} epoch {} is asked for after its release", lease.run, lease.epoch));
                }
                let Some(seat) = self.seats.get_mut(&lease) else { return Ok(effects) };
                match seat.requests.get(&id) {
                    Some(State::Done(reply)) if around.offence != Some(Offence::DoesTwice) => {
                        effects.push(Effect::Say(FromAgent::Answered { lease, id, reply: reply.clone() }));
                    }
                    Some(State::Running) => {}
                    _ if seat.definition.is_none() => {
                        seat.requests.insert(id, State::Running);
                        seat.early.push((id, request));
                    }
                    _ => effects.extend(begin(seat, id, &request, around)?),
                }
            }
            ToAgent::Cancel { lease, id } => {
                let Some(seat) = self.seats.get_mut(&lease) else { return Ok(effects) };
                seat.early.retain(|(early, _)| *early != id);
                if matches!(seat.requests.get(&id), Some(State::Running)) {
                    let after = around.dice.between(1, 5_000);
                    effects.push(Effect::Later(after, Timer::Ends(lease, id, Reply::Cancelled)));
                }
            }
            ToAgent::AnswerKept { lease, id } => {
                if let Some(seat) = self.seats.get_mut(&lease) {
                    seat.answer_kept(id);
                }
            }
            ToAgent::Kept { lease, reported } => {
                if let Some(seat) = self.seats.get_mut(&lease) {
                    around.deeds.kept(lease, seat.kept(reported));
                }
            }
            ToAgent::Release { lease, forget } => {
                self.released.insert(lease, ());
                match self.seats.get_mut(&lease) {
                    Some(seat) => {
                        if forget {
                            seat.is_forgotten = true;
                            seat.waiting.clear();
                            seat.say_again();
                        }
                        effects.extend(release(seat, around));
                    }
                    None if forget => {}
                    None => effects.push(Effect::Say(FromAgent::Released { lease })),
                }
            }
            ToAgent::Check { id, what } => {
                let found = checked(around.seed, what);
                effects.push(Effect::Say(FromAgent::Checked { id, found }));
            }
            ToAgent::Waiting { .. } | ToAgent::Heard { .. } => {}
        }
        Ok(effects)
    }

    fn leased(
        &mut self,
        index: usize,
        lease: Lease,
        reported: u64,
        around: &mut Around<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), String> {
        around.deeds.leased(index, lease)?;
        self.released.remove(&lease);
        for (held, seat) in &mut self.seats {
            if held.run == lease.run && *held != lease && held.job().is_none() && lease.job().is_none() {
                effects.extend(release(seat, around));
            }
        }
        let seat = self.seats.entry(lease).or_insert_with(|| {
            effects.push(Effect::Later(around.dice.between(100, 6_000), Timer::Found(lease)));
            Seat::new(lease, reported)
        });
        around.deeds.kept(lease, seat.kept(reported));
        seat.say_again();
        if let Some(definition) = seat.definition.clone() {
            effects.push(Effect::Say(FromAgent::Found { lease, definition }));
        }
        for (id, reply) in seat.answers() {
            effects.push(Effect::Say(FromAgent::Answered { lease, id, reply }));
        }
        Ok(())
    }

    /// A time has come.
    pub(crate) fn woken(&mut self, timer: Timer, around: &mut Around<'_>) -> Told {
        let mut effects = Vec::new();
        match timer {
            Timer::Found(lease) => {
                let Some(seat) = self.seats.get_mut(&lease) else { return Ok(effects) };
                let text = work::definition(around.seed, lease.run);
                let found = match around.dice.once_in(50) {
                    true => Err(work::failure("the repository does not answer")),
                    false => Ok(Definition {
                        text,
                        commit: Some(commit(lease.run)),
                        tree: None,
                        tagged_at: None,
                        steps: Vec::new(),
                    }),
                };
                seat.definition = Some(found.clone());
                for (id, request) in std::mem::take(&mut seat.early) {
                    effects.extend(begin(seat, id, &request, around)?);
                }
                if seat.is_released {
                    effects.push(Effect::Later(around.dice.between(10, 3_000), Timer::Closes(lease)));
                }
                effects.push(Effect::Say(FromAgent::Found { lease, definition: found }));
            }
            Timer::Writes(lease, id, step) => {
                let Some(seat) = self.seats.get_mut(&lease) else { return Ok(effects) };
                if matches!(seat.requests.get(&id), Some(State::Running)) {
                    let lines = around.dice.between(1, 20);
                    (0..lines).for_each(|_| happens(seat, Some(step), around));
                }
            }
            Timer::Ends(lease, id, reply) => {
                let Some(seat) = self.seats.get_mut(&lease) else { return Ok(effects) };
                if matches!(seat.requests.get(&id), Some(State::Running)) {
                    seat.requests.insert(id, State::Done(reply.clone()));
                    effects.push(Effect::Say(FromAgent::Answered { lease, id, reply }));
                }
            }
            Timer::Closes(lease) => {
                let Some(seat) = self.seats.get_mut(&lease) else { return Ok(effects) };
                let open: Vec<_> = seat.requests.iter().filter(|(_, state)| matches!(state, State::Running)).collect();
                let open: Vec<_> = open.into_iter().map(|(id, _)| *id).collect();
                for id in open {
                    seat.requests.insert(id, State::Done(Reply::Cancelled));
                    effects.push(Effect::Say(FromAgent::Answered { lease, id, reply: Reply::Cancelled }));
                }
                happens(seat, None, around);
                seat.is_closed = true;
            }
        }
        Ok(effects)
    }

    /// Says what is new, and what has been said to its end.
    pub(crate) fn report(&mut self, around: &mut Around<'_>) -> Vec<Effect> {
        let (mut effects, mut over) = (Vec::new(), Vec::new());
        if self.link.is_none() {
            return effects;
        }
        for (lease, seat) in &mut self.seats {
            while let Some((first, items)) = seat.next_report() {
                effects.push(Effect::Say(FromAgent::Report { lease: *lease, first, items }));
            }
            if around.offence == Some(Offence::LosesLines) && around.dice.once_in(20) && !seat.waiting.is_empty() {
                // It takes for kept what nobody has kept.
                let all = seat.waiting.len();
                around.deeds.kept(*lease, all);
                seat.waiting.clear();
                seat.say_again();
            }
            if seat.is_over() {
                over.push(*lease);
            }
        }
        for lease in over {
            if self.seats.remove(&lease).is_some_and(|seat| !seat.is_forgotten) {
                effects.push(Effect::Say(FromAgent::Released { lease }));
            }
        }
        effects
    }
}

/// What a run's repository has at its time.
fn commit(run: RunId) -> String {
    format!("{:040x}", run.0 + 1)
}

fn begin(seat: &mut Seat, id: RequestId, request: &Request, around: &mut Around<'_>) -> Told {
    let lease = seat.lease;
    seat.requests.insert(id, State::Running);
    if seat.is_released || matches!(seat.definition, Some(Err(_))) {
        let reply = work::failed("this agent has nothing of this run");
        return Ok(vec![Effect::Later(1, Timer::Ends(lease, id, reply))]);
    }
    around.deeds.performs(lease, id)?;
    let takes = work::duration(around.dice, request);
    let mut effects = Vec::new();
    if let Request::Exec { step, .. } = request {
        for _ in 0..around.dice.below(4) {
            effects.push(Effect::Later(around.dice.below(takes), Timer::Writes(lease, id, *step)));
        }
    }
    if around.offence != Some(Offence::NeverAnswers) || !around.dice.once_in(10) {
        effects.push(Effect::Later(takes, Timer::Ends(lease, id, work::reply(around.dice, request))));
    }
    Ok(effects)
}

fn release(seat: &mut Seat, around: &mut Around<'_>) -> Vec<Effect> {
    if std::mem::replace(&mut seat.is_released, true) {
        return Vec::new();
    }
    seat.engine = None;
    match seat.definition {
        Some(_) => vec![Effect::Later(around.dice.between(10, 9_000), Timer::Closes(seat.lease))],
        None => Vec::new(),
    }
}

/// Something is to be reported. Each line says what it is, so that it can be found again.
fn happens(seat: &mut Seat, step: Option<StepId>, around: &mut Around<'_>) {
    if seat.is_forgotten {
        return;
    }
    let is_line = step.is_some() || !around.dice.once_in(3);
    let number = around.deeds.happened(seat.lease, is_line);
    let at = around.wall;
    seat.waiting.push_back(match is_line {
        true => Item::Line(LogLine { at, step, stage: None, source: LogSource::Stdout, text: tag(seat.lease, number) }),
        false => Item::Event { at, event: Event::JobFinished { job: JobId(number as u64), limit: None } },
    });
}

fn tag(lease: Lease, number: usize) -> String {
    format!("@{}.{number} of {}", lease.epoch, lease.run)
}

/// Epoch and number of a line that an agent wrote.
pub(crate) fn read_tag(text: &str) -> Option<(u64, usize)> {
    let (epoch, rest) = text.strip_prefix('@')?.split_once('.')?;
    Some((epoch.parse().ok()?, rest.split_once(' ')?.0.parse().ok()?))
}

/// Plans are asked for here, and nothing else. What needs an engine is in none: it is refused.
fn checked(seed: u64, what: Check) -> Result<Checked, Failure> {
    let Check::Plan { run, .. } = what else { return Err(work::failure("this agent reads nothing else")) };
    let definition = Definition {
        text: work::definition(seed, run),
        commit: Some(commit(run)),
        tree: None,
        tagged_at: None,
        steps: Vec::new(),
    };
    let places = vec!["any agent".to_owned()];
    Ok(Checked::Plan(Plan { definition, stages: Vec::new(), places, incomplete: None }))
}
