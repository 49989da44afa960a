//! The line: which waiting run gets a place at which agent, and why each other one waits.
//!
//! ```text
//!            Queued                   Place                      Finished
//!   a run ────────────▶ waiting ──────────────────▶ has a place ───────────▶ forgotten
//!     │                    │                             ▲                       ▲
//!     │ Found              │ Withdrawn, Expire,          │                       │
//!     └────────────────────┼─────────────────────────────┘                       │
//!                          └──────── Supersede ──────────────────────────────────┘
//! ```
//! One that has a place and has `Rested` is without, and counts among those of its project and branch; `Queued` again it waits, and comes back.
//!
//! The one place where any of this changes is [`Line::handle`]. What it promises after each event:
//!
//! 1. *Nothing is given that is not there*: no run has two places, no agent gives more places than it has, nor more memory
//!    or processors than it says that it has (a run that says nothing uses what each place has), none that its
//!    labels do not fit, none while it drains or is away; no project gets more than its limit, no run that runs alone gets
//!    a place beside another of its branch. One that rests counts in both as if it had its place.
//! 2. *Nothing is left that could be given*: no run waits that an agent has room for and no rule of 1 keeps back.
//! 3. *Interactive work goes first*, but every agent that has given [`LineSettings::interactive_in_a_row`] places to it
//!    gives the next one to background work, if any waits that fits. So no background work waits for ever at an agent that
//!    gives places; and where both always wait it gets one in so many, whatever the number of either.
//! 4. *Between projects* the one goes first that has had least by its weight: places that it has now and those that it had
//!    lately on average, by [`LineSettings::half_life_ms`]; then the smaller name. Whoever has had nothing goes before a herd,
//!    whatever its size. Projects that always want more get places in proportion to their weights, to within one place.
//! 5. *Within a project* and class the larger priority goes first, then the older run. A run that cannot go holds up none
//!    behind it.
//! 6. *At which agent*: at one that has the image, then where most room is, then at the smallest id. Background work whose
//!    turn it is goes where the interactive run would have gone.
//!
//! All of 3 to 5 is so among runs that an agent has room for. Nothing is kept free for one that wants more of it than is free: smaller ones go
//! before it, whatever its turn.
//!
//! An event takes `O(log waiting)` for each placement that follows, times the expressions that are waited for and fit the
//! agent, and the lanes of the project (classes and expressions of its waiting runs): a few of either. It looks neither at
//! all that waits nor at all projects or agents. Exceptions: [`Event::AgentCame`] looks at all expressions, the first run
//! with an expression at all agents; a project that has places is looked at 64 times in a half-life, and all projects once
//! in 32 half-lives. [`Line::why`] looks at the agents that fit, and at no more than [`MOST_COUNTED`] of each kind that goes
//! first.
//!
//! Start reading at `Line::give_out`; then `wants`, where what waits meets what is free, and `share`.

mod agents;
mod event;
mod labels;
mod projects;
mod resources;
mod settings;
mod share;
#[cfg(test)]
mod tests;
mod waits;
mod wants;
mod why;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use model::ids::RunId;

pub use crate::clock::Moment;
pub use crate::pool::SettingsError;
pub use event::{AgentId, Branch, BranchName, Class, Command, Event, ImageName, Item, ProjectName, Standing, Terms};
pub use labels::{Difference, Expression, Labels, MAX_BYTES, MAX_DEPTH, ParseError, Problem};
pub use resources::Resources;
pub use settings::LineSettings;
pub use waits::{MOST_COUNTED, Nearest, Taken, Waits};

use crate::clock::{Clock, Elapsed};
use agents::Agents;
use projects::{Meets, Projects};
use share::Ledger;
use wants::{Kept, Lane, Rank, Wants};

/// The queue of runs.
///
/// ```
/// use model::ids::RunId;
/// use queue::line::{AgentId, Command, Event, Item, Line, LineSettings, Moment, Resources};
///
/// let mut line = Line::new(LineSettings::default())?;
/// let mut item = Item::new(RunId(1), "app");
/// item.labels = "linux && !arm".parse()?;
/// assert_eq!(line.handle(Event::Queued(item), Moment(0)), []);
/// assert!(line.why(RunId(1)).unwrap().to_string().starts_with("no agent is connected"));
///
/// let labels = ["linux", "docker"].into_iter().collect();
/// let came = Event::AgentCame { agent: AgentId(7), labels, places: 2, resources: Resources::default(), images: vec![] };
/// assert_eq!(line.handle(came, Moment(10)), [Command::Place { run: RunId(1), agent: AgentId(7) }]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Line {
    clock: Clock,
    /// The last event.
    now: (Moment, Elapsed),
    wants: Wants,
    agents: Agents,
    projects: Projects,
    waiting: BTreeMap<RunId, Waiting>,
    placed: BTreeMap<RunId, Placed>,
    resting: BTreeMap<RunId, Resting>,
    deadlines: BTreeSet<(Elapsed, RunId)>,
}

/// A waiting run, as far as its expression does not say it.
#[derive(Debug)]
struct Waiting {
    project: ProjectName,
    lane: Lane,
    rank: Rank,
    image: Option<ImageName>,
    branch: Option<Branch>,
    deadline: Option<Elapsed>,
}

/// A run that has a place.
#[derive(Debug)]
struct Placed {
    agent: AgentId,
    project: ProjectName,
    uses: Resources,
    branch: Option<BranchName>,
    since: Elapsed,
}

/// A run that has given its place away. It may wait for another.
#[derive(Debug)]
struct Resting {
    project: ProjectName,
    branch: Option<BranchName>,
}

impl Line {
    /// An empty line. After a restart it wants to hear [`Event::Found`] and [`Event::TermsSet`] before anything else, so that
    /// nothing is given that is not there.
    ///
    /// # Errors
    /// A field is 0 that must not be.
    pub fn new(settings: LineSettings) -> Result<Line, SettingsError> {
        settings.check()?;
        let ledger = Ledger::new(settings.half_life_ms, settings.least_ms);
        Ok(Line {
            clock: Clock::default(),
            now: (Moment::default(), Elapsed::ZERO),
            wants: Wants::default(),
            agents: Agents::new(settings.interactive_in_a_row),
            projects: Projects::new(ledger, settings.terms),
            waiting: BTreeMap::new(),
            placed: BTreeMap::new(),
            resting: BTreeMap::new(),
            deadlines: BTreeSet::new(),
        })
    }

    /// Takes note of an event, and says what is to be done now. `now` may lie before the last one: then no time has
    /// passed.
    #[must_use = "commands want to be performed"]
    pub fn handle(&mut self, event: Event, now: Moment) -> Vec<Command> {
        let elapsed = self.clock.advance(now);
        self.now = (now, elapsed);
        let mut commands = Vec::new();
        self.projects.let_pass(elapsed, &mut self.wants);
        self.apply(event, elapsed, &mut commands);
        self.expire(elapsed, &mut commands);
        self.give_out(elapsed, &mut commands);
        commands
    }

    /// When [`Event::Ticked`] is due, unless another event comes before. `None`: time alone changes nothing.
    pub fn wake_at(&self) -> Option<Moment> {
        let (now, elapsed) = self.now;
        self.deadlines.first().map(|(deadline, _)| now.after(deadline.since(elapsed)))
    }

    /// Whether a run waits.
    pub fn is_waiting(&self, run: RunId) -> bool {
        self.waiting.contains_key(&run)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Where a run has its place.
    pub fn place_of(&self, run: RunId) -> Option<AgentId> {
        self.placed.get(&run).map(|placed| placed.agent)
    }

    /// How the projects stand that the line has in mind, by their names.
    pub fn standings(&self) -> impl Iterator<Item = (&ProjectName, Standing)> {
        self.projects.standings(self.now.1)
    }

    fn apply(&mut self, event: Event, now: Elapsed, commands: &mut Vec<Command>) {
        let wants = &mut self.wants;
        match event {
            Event::Queued(item) => self.queue(item, now, commands),
            Event::Found { item, agent } => self.find(item, agent, now),
            Event::Withdrawn { run } => self.take_out(run),
            Event::Finished { run } => self.finish(run, now),
            Event::Rested { run } => self.rest(run, now),
            Event::AgentCame { agent, labels, places, resources, images } => {
                self.agents.came(agent, labels, (places, resources), wants);
                self.agents.set_images(agent, images.into_iter().collect());
            }
            Event::AgentDrained { agent } => self.agents.drained(agent, wants),
            Event::AgentWent { agent } => self.agents.went(agent, wants),
            Event::ImagesChanged { agent, images } => self.agents.set_images(agent, images.into_iter().collect()),
            Event::TermsSet { project, terms } => self.projects.set_terms(&project, terms, wants),
            Event::Ticked => {}
        }
    }

    fn queue(&mut self, mut item: Item, now: Elapsed, commands: &mut Vec<Command>) {
        let run = item.run;
        if self.waiting.contains_key(&run) || self.placed.contains_key(&run) {
            return;
        }
        let resting = self.resting.get(&run);
        if let Some(Resting { project, .. }) = resting {
            // What it is of is known, and counted.
            (item.project, item.branch) = (project.clone(), None);
        }
        let comes_back = resting.is_some();
        match item.branch.as_ref().map(|branch| self.projects.meets(&item.project, run, branch)) {
            Some(Meets::Newer(by)) => return commands.push(Command::Supersede { run, by }),
            Some(Meets::Older(older)) => {
                self.take_out(older);
                commands.push(Command::Supersede { run: older, by: run });
            }
            Some(Meets::Nobody) | None => {}
        }
        let Kept { want, new } = self.wants.keep(&item.labels, item.resources);
        if new {
            self.agents.learn(want, &item.labels, &mut self.wants);
        }
        let lane = Lane { class: item.class, want, comes_back };
        let rank = Rank { priority: Reverse(item.priority), run };
        self.projects.add(&item.project, lane, rank, item.branch.as_ref(), &mut self.wants);
        let deadline = item.limit_ms.map(|limit| now.after(limit.saturating_sub(item.waited_ms)));
        self.deadlines.extend(deadline.map(|deadline| (deadline, run)));
        let Item { project, image, branch, .. } = item;
        self.waiting.insert(run, Waiting { project, lane, rank, image, branch, deadline });
    }

    fn find(&mut self, item: Item, agent: AgentId, now: Elapsed) {
        if self.placed.contains_key(&item.run) {
            return;
        }
        self.take_out(item.run);
        self.wake(item.run);
        let uses = item.resources;
        self.agents.take(agent, &item.project, (item.class, uses), &mut self.wants);
        let branch = item.branch.map(|branch| branch.name);
        self.projects.take(&item.project, item.run, branch.as_ref(), now, &mut self.wants);
        self.placed.insert(item.run, Placed { agent, project: item.project, uses, branch, since: now });
    }

    /// A run neither waits any more nor has a place.
    fn take_out(&mut self, run: RunId) {
        let Some(Waiting { project, lane, rank, branch, .. }) = self.forget_waiting(run) else { return };
        self.projects.remove(&project, lane, rank, branch.as_ref(), &mut self.wants);
        self.release(lane);
    }

    fn seat(&mut self, run: RunId, agent: AgentId, now: Elapsed) {
        let Some(Waiting { project, lane, rank, branch, .. }) = self.forget_waiting(run) else { return };
        let uses = self.wants.resources(lane.want);
        self.agents.take(agent, &project, (lane.class, uses), &mut self.wants);
        let branch = match self.resting.remove(&run) {
            Some(Resting { branch, .. }) => {
                self.projects.come_back(&project, lane, rank, now, &mut self.wants);
                branch
            }
            None => {
                self.projects.seat(&project, lane, rank, branch.as_ref(), now, &mut self.wants);
                branch.map(|branch| branch.name)
            }
        };
        self.release(lane);
        self.placed.insert(run, Placed { agent, project, uses, branch, since: now });
    }

    fn forget_waiting(&mut self, run: RunId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&run)?;
        if let Some(deadline) = waiting.deadline {
            self.deadlines.remove(&(deadline, run));
        }
        Some(waiting)
    }

    /// A run less waits in a lane, and bids there no more.
    fn release(&mut self, lane: Lane) {
        if let Some(forgotten) = self.wants.release(lane.want) {
            self.agents.unlearn(forgotten);
        }
    }

    fn rest(&mut self, run: RunId, now: Elapsed) {
        let Some(Placed { agent, project, uses, branch, since }) = self.placed.remove(&run) else { return };
        self.agents.leave(agent, &project, uses, &mut self.wants);
        self.projects.rest(&project, (since, now), &mut self.wants);
        self.resting.insert(run, Resting { project, branch });
    }

    /// A run rests no more, wherever it is from now on.
    fn wake(&mut self, run: RunId) {
        let Some(Resting { project, branch }) = self.resting.remove(&run) else { return };
        self.projects.wake(&project, run, branch.as_ref(), &mut self.wants);
    }

    fn finish(&mut self, run: RunId, now: Elapsed) {
        if self.resting.contains_key(&run) {
            self.take_out(run);
            return self.wake(run);
        }
        let Some(Placed { agent, project, uses, branch, since }) = self.placed.remove(&run) else { return };
        self.agents.leave(agent, &project, uses, &mut self.wants);
        self.projects.leave(&project, run, branch.as_ref(), (since, now), &mut self.wants);
    }

    fn expire(&mut self, now: Elapsed, commands: &mut Vec<Command>) {
        while let Some((_, run)) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now) {
            self.take_out(run);
            commands.push(Command::Expire { run });
        }
    }

    /// Gives places while there are any that fit.
    fn give_out(&mut self, now: Elapsed, commands: &mut Vec<Command>) {
        while let Some((run, agent)) = self.next_placement() {
            self.seat(run, agent, now);
            commands.push(Command::Place { run, agent });
        }
    }

    fn next_placement(&self) -> Option<(RunId, AgentId)> {
        let (want, bid) = self.wants.best()?;
        let image = self.waiting.get(&bid.rank.run)?.image.as_ref();
        let agent = self.agents.choose(want, image, &self.wants)?;
        let background =
            self.agents.turn_of_background(agent, &self.wants).and_then(|wants| self.wants.best_background(wants));
        Some((background.unwrap_or(bid).rank.run, agent))
    }
}
