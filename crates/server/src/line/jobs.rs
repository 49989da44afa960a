//! Jobs that wait for a place at another agent than their run's: a line of their own beside that of runs, with as many places at each agent. So a
//! run that has a place and wants a second one never waits for the place of a run. Jobs within jobs may wait for each other, as anywhere.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::ids::{JobId, RunId};
use queue::line::{AgentId, Command, Event, Item, Line, LineSettings, Moment, Terms};

/// A job of a run.
type Job = (RunId, JobId);

/// The line of jobs.
pub(crate) struct Jobs(Mutex<State>);

struct State {
    line: Line,
    /// As what the line knows them. The numbers are of this process alone.
    numbers: BTreeMap<Job, RunId>,
    jobs: BTreeMap<RunId, Job>,
    last: u64,
    /// Places that nobody has been told of.
    given: Vec<(Job, u64)>,
}

impl Default for Jobs {
    fn default() -> Jobs {
        let line = Line::new(LineSettings::default()).unwrap_or_else(|error| panic!("{error}"));
        let state = State { line, numbers: BTreeMap::new(), jobs: BTreeMap::new(), last: 0, given: Vec::new() };
        Jobs(Mutex::new(state))
    }
}

impl State {
    fn handle(&mut self, event: Event, now: Moment) {
        for command in self.line.handle(event, now) {
            // Nothing of it expires, and nothing takes the place of another.
            let Command::Place { run, agent } = command else { continue };
            self.given.extend(self.jobs.get(&run).map(|job| (*job, agent.0)));
        }
    }

    fn number(&mut self, job: Job) -> RunId {
        let last = &mut self.last;
        let number = *self.numbers.entry(job).or_insert_with(|| {
            *last += 1;
            RunId(*last)
        });
        self.jobs.insert(number, job);
        number
    }

    fn over(&mut self, job: Job, now: Moment) {
        let Some(number) = self.numbers.remove(&job) else { return };
        self.jobs.remove(&number);
        self.given.retain(|(given, _)| *given != job);
        self.handle(Event::Withdrawn { run: number }, now);
        self.handle(Event::Finished { run: number }, now);
    }
}

impl Jobs {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Agents come and go for jobs as for runs. A project's limit is one of runs.
    pub(super) fn tell(&self, event: &Event, now: Moment) {
        let event = match event.clone() {
            Event::TermsSet { project, terms } => {
                Event::TermsSet { project, terms: terms.map(|terms| Terms { at_once: None, ..terms }) }
            }
            event @ (Event::AgentCame { .. } | Event::AgentWent { .. } | Event::Ticked) => event,
            _ => return,
        };
        self.state().handle(event, now);
    }

    /// A job waits; once, however often that is said. One that has a place is given it again: whoever was told could not write it down. What it is like
    /// otherwise is as its run.
    pub(super) fn queued(&self, job: JobId, of: Item, now: Moment) {
        let mut state = self.state();
        let job = (of.run, job);
        match state.numbers.get(&job).map(|number| state.line.place_of(*number)) {
            None => {
                let run = state.number(job);
                state.handle(Event::Queued(Item { run, branch: None, limit_ms: None, ..of }), now);
            }
            Some(Some(agent)) if !state.given.iter().any(|(given, _)| *given == job) => {
                state.given.push((job, agent.0));
            }
            Some(_) => {}
        }
    }

    /// A job has a place: after a restart.
    pub(super) fn found(&self, job: JobId, of: Item, agent: u64, now: Moment) {
        let mut state = self.state();
        let run = state.number((of.run, job));
        let item = Item { run, branch: None, limit_ms: None, ..of };
        state.handle(Event::Found { item, agent: AgentId(agent) }, now);
    }

    /// A job waits no more, and has no place.
    pub(super) fn over(&self, run: RunId, job: JobId, now: Moment) {
        self.state().over((run, job), now);
    }

    /// No job of a run does.
    pub(super) fn all_over(&self, run: RunId, now: Moment) {
        let mut state = self.state();
        let jobs: Vec<_> = state.numbers.range((run, JobId(0))..=(run, JobId(u64::MAX))).map(|(job, _)| *job).collect();
        jobs.into_iter().for_each(|job| state.over(job, now));
    }

    /// Places that were given, for whoever is to be told.
    pub(super) fn take(&self) -> Vec<(Job, u64)> {
        std::mem::take(&mut self.state().given)
    }

    /// Why jobs of a run wait, by their numbers.
    pub(super) fn why(&self, run: RunId) -> Vec<(JobId, String)> {
        let state = self.state();
        let jobs = state.numbers.range((run, JobId(0))..=(run, JobId(u64::MAX)));
        jobs.filter_map(|((_, job), number)| Some((*job, state.line.why(*number)?.to_string()))).collect()
    }

    /// Places that they have.
    pub(super) fn taken(&self) -> u64 {
        self.state().line.standings().map(|(_, standing)| u64::from(standing.held)).sum()
    }
}
