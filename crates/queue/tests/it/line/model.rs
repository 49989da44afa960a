//! What is true, kept in the simplest way: lists, and a look at all of them for each question.

use std::collections::{BTreeMap, BTreeSet};

use model::ids::RunId;
use queue::line::{AgentId, Class, Expression, ImageName, Item, Labels, LineSettings, ProjectName, Resources, Terms};

pub struct Host {
    pub is_there: bool,
    pub drains: bool,
    pub labels: Labels,
    pub places: u32,
    pub resources: Resources,
    pub images: Vec<ImageName>,
    /// Interactive runs in a row that got places here.
    pub in_a_row: u32,
}

pub struct Seated {
    pub item: Item,
    pub agent: AgentId,
    pub since: u128,
}

pub struct Model {
    pub settings: LineSettings,
    /// Milliseconds that have passed from event to event, jumps back left out.
    pub passed: u128,
    pub agents: BTreeMap<AgentId, Host>,
    /// With the moment that each came to the queue.
    pub waiting: BTreeMap<RunId, (Item, u128)>,
    pub placed: BTreeMap<RunId, Seated>,
    /// Under way without a place; some of them wait for one.
    pub resting: BTreeMap<RunId, Item>,
    pub terms: BTreeMap<ProjectName, Terms>,
    /// Places that were left: whose, what each counted, and when.
    pub past: Vec<(ProjectName, f64, u128)>,
}

impl Model {
    pub fn new(settings: LineSettings) -> Model {
        Model {
            settings,
            passed: 0,
            agents: BTreeMap::new(),
            waiting: BTreeMap::new(),
            placed: BTreeMap::new(),
            resting: BTreeMap::new(),
            terms: BTreeMap::new(),
            past: Vec::new(),
        }
    }

    pub fn terms(&self, project: &ProjectName) -> Terms {
        self.terms.get(project).copied().unwrap_or(self.settings.terms)
    }

    pub fn held(&self, project: &ProjectName) -> u32 {
        self.placed.values().filter(|seated| seated.item.project == *project).count() as u32
    }

    pub fn held_at(&self, agent: AgentId) -> u32 {
        self.placed.values().filter(|seated| seated.agent == agent).count() as u32
    }

    pub fn room(&self, agent: AgentId) -> u32 {
        match self.agents.get(&agent) {
            Some(host) if host.is_there && !host.drains => host.places.saturating_sub(self.held_at(agent)),
            _ => 0,
        }
    }

    /// Whether an agent has what a run uses, beside what those use who are there; each that says nothing uses what a place has.
    pub fn has_for(&self, agent: AgentId, item: &Item) -> bool {
        let Some(host) = self.agents.get(&agent) else { return false };
        let kinds: [fn(Resources) -> u64; 2] = [|of| of.memory_mib, |of| of.cpu_millis];
        kinds.into_iter().all(|kind| {
            let (all, share) = (kind(host.resources), kind(host.resources) / u64::from(host.places.max(1)));
            let uses = |item: &Item| if kind(item.resources) == 0 { share } else { kind(item.resources) };
            let there = self.placed.values().filter(|seated| seated.agent == agent);
            all == 0 || there.map(|seated| uses(&seated.item)).sum::<u64>() + uses(item) <= all
        })
    }

    pub fn present(&self) -> impl Iterator<Item = (AgentId, &Host)> {
        self.agents.iter().filter(|(_, host)| host.is_there).map(|(id, host)| (*id, host))
    }

    pub fn fitting(&self, labels: &Expression) -> Vec<(AgentId, &Host)> {
        self.present().filter(|(_, host)| labels.evaluate(&host.labels)).collect()
    }

    pub fn is_at_limit(&self, project: &ProjectName) -> bool {
        self.terms(project).at_once.is_some_and(|most| self.under_way_of(project) >= most)
    }

    /// What counts in limits: runs with places, and those that rest.
    pub fn under_way(&self) -> impl Iterator<Item = &Item> {
        self.placed.values().map(|seated| &seated.item).chain(self.resting.values())
    }

    pub fn under_way_of(&self, project: &ProjectName) -> u32 {
        self.under_way().filter(|item| item.project == *project).count() as u32
    }

    /// The oldest run under way on the branch of a run that runs alone there.
    pub fn blocker(&self, item: &Item) -> Option<RunId> {
        let branch = item.branch.as_ref().filter(|branch| branch.alone)?;
        let same = |other: &Item| {
            other.project == item.project && other.branch.as_ref().is_some_and(|b| b.name == branch.name)
        };
        self.under_way().filter(|other| same(other)).map(|other| other.run).min()
    }

    /// No rule keeps it back.
    pub fn may_go(&self, item: &Item) -> bool {
        self.resting.contains_key(&item.run) || (!self.is_at_limit(&item.project) && self.blocker(item).is_none())
    }

    pub fn agents_for(&self, item: &Item) -> BTreeSet<AgentId> {
        if !self.may_go(item) {
            return BTreeSet::new();
        }
        let fitting = self.fitting(&item.labels).into_iter().map(|(id, _)| id);
        fitting.filter(|id| self.room(*id) > 0 && self.has_for(*id, item)).collect()
    }

    /// Waiting runs of a class that could get a place now, at that agent or anywhere.
    pub fn candidates(&self, class: Class, at: Option<AgentId>) -> Vec<&Item> {
        let items = self.waiting.values().map(|(item, _)| item).filter(|item| item.class == class);
        items.filter(|item| self.agents_for(item).iter().any(|agent| at.is_none_or(|at| at == *agent))).collect()
    }

    /// What a project is charged with.
    pub fn used(&self, project: &ProjectName) -> f64 {
        let past = self.past.iter().filter(|(whose, ..)| whose == project);
        let past: f64 = past.map(|(_, counted, at)| counted * self.left(self.passed - at)).sum();
        past + f64::from(self.held(project))
    }

    pub fn score(&self, project: &ProjectName) -> f64 {
        self.used(project) / f64::from(self.terms(project).weight.get())
    }

    /// A run has left its place; that is what it was.
    pub fn leave(&mut self, run: RunId) -> Option<Item> {
        let seated = self.placed.remove(&run)?;
        let had = (self.passed - seated.since).max(self.settings.least_ms.into());
        self.past.push((seated.item.project.clone(), 1.0 - self.left(had), self.passed));
        Some(seated.item)
    }

    fn left(&self, ms: u128) -> f64 {
        (-(ms as f64) / self.settings.half_life_ms as f64).exp2()
    }

    /// Milliseconds that a run has waited.
    pub fn age(&self, run: RunId) -> u128 {
        let (item, since) = &self.waiting[&run];
        self.passed - since + u128::from(item.waited_ms)
    }
}

/// Order within a project and class.
pub fn rank(item: &Item) -> (std::cmp::Reverse<i32>, RunId) {
    (std::cmp::Reverse(item.priority), item.run)
}
