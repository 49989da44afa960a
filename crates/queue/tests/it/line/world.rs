//! Tells the line and the model the same, and compares.

use model::ids::RunId;
use queue::line::{AgentId, Class, Command, Event, Item, Line, LineSettings, Moment, Resources, Waits};

use super::model::{Host, Model, Seated, rank};

/// The line is up to 1.1 % of what is held behind, by design.
const BEHIND: f64 = 0.012;
/// And forgets what is next to nothing.
const NOTHING: f64 = 1e-3;

pub struct World {
    line: Line,
    pub model: Model,
    pub now: u64,
    told_at: u64,
    pub log: Vec<Vec<Command>>,
    /// How often each reason was told, by its number.
    pub reasons: [u32; 11],
}

impl World {
    pub fn new(settings: LineSettings) -> World {
        World {
            line: Line::new(settings.clone()).unwrap(),
            model: Model::new(settings),
            now: 1_000_000,
            told_at: 1_000_000,
            log: Vec::new(),
            reasons: [0; 11],
        }
    }

    /// Tells the line, performs what it commands, and checks everything that must hold.
    pub fn tell(&mut self, event: Event) {
        self.model.passed += u128::from(self.now.saturating_sub(self.told_at));
        self.told_at = self.now;
        self.note(&event);
        let commands = self.line.handle(event, Moment(self.now));
        for command in &commands {
            match *command {
                Command::Place { run, agent } => self.place(run, agent),
                Command::Expire { run } => {
                    assert!(self.is_overdue(run), "{run} had time");
                    self.model.waiting.remove(&run);
                }
                Command::Supersede { run, by } => self.supersede(run, by),
            }
        }
        self.log.push(commands);
        self.check_nothing_is_left();
        self.check_time();
        self.check_standings();
        self.check_reasons();
    }

    fn note(&mut self, event: &Event) {
        let model = &mut self.model;
        let is_known = |run| model.waiting.contains_key(run) || model.placed.contains_key(run);
        match event.clone() {
            Event::Queued(mut item) if !is_known(&item.run) => {
                if let Some(resting) = model.resting.get(&item.run) {
                    (item.project, item.branch) = (resting.project.clone(), None);
                }
                model.waiting.insert(item.run, (item, model.passed));
            }
            Event::Found { item, agent } if !model.placed.contains_key(&item.run) => {
                model.waiting.remove(&item.run);
                model.resting.remove(&item.run);
                self.seat(item, agent);
            }
            Event::Withdrawn { run } => drop(model.waiting.remove(&run)),
            Event::Finished { run } if model.resting.remove(&run).is_some() => drop(model.waiting.remove(&run)),
            Event::Finished { run } => drop(model.leave(run)),
            Event::Rested { run } => {
                let item = model.leave(run);
                model.resting.extend(item.map(|item| (run, item)));
            }
            Event::AgentCame { agent, labels, places, resources, images } => {
                let in_a_row = model.agents.get(&agent).map_or(0, |host| host.in_a_row);
                let host = Host { is_there: true, drains: false, labels, places, resources, images, in_a_row };
                model.agents.insert(agent, host);
            }
            Event::AgentDrained { agent } => {
                model.agents.get_mut(&agent).into_iter().for_each(|host| host.drains = true);
            }
            Event::AgentWent { agent } => {
                if let Some(host) = model.agents.get_mut(&agent) {
                    host.is_there = false;
                    host.images.clear();
                }
            }
            Event::ImagesChanged { agent, images } => {
                let there = model.agents.get_mut(&agent).filter(|host| host.is_there);
                there.into_iter().for_each(|host| host.images.clone_from(&images));
            }
            Event::TermsSet { project, terms: Some(terms) } => drop(model.terms.insert(project, terms)),
            Event::TermsSet { project, terms: None } => drop(model.terms.remove(&project)),
            Event::Queued(_) | Event::Found { .. } | Event::Ticked => {}
        }
        self.forget_gone();
    }

    fn forget_gone(&mut self) {
        let gone = |id: &AgentId, host: &Host, model: &Model| !host.is_there && model.held_at(*id) == 0;
        let ids: Vec<_> = self.model.agents.iter().filter(|(id, host)| gone(id, host, &self.model)).collect();
        for id in ids.into_iter().map(|(id, _)| *id).collect::<Vec<_>>() {
            self.model.agents.remove(&id);
        }
    }

    fn seat(&mut self, item: Item, agent: AgentId) {
        let most = self.model.settings.interactive_in_a_row;
        let host = self.model.agents.entry(agent).or_insert_with(|| Host {
            is_there: false,
            drains: false,
            labels: ["nothing"].into_iter().collect(),
            places: 0,
            resources: Resources::default(),
            images: vec![],
            in_a_row: 0,
        });
        host.in_a_row = if item.class == Class::Interactive { (host.in_a_row + 1).min(most) } else { 0 };
        let since = self.model.passed;
        let before = self.model.placed.insert(item.run, Seated { item, agent, since });
        assert!(before.is_none(), "nobody has two places");
    }

    fn place(&mut self, run: RunId, agent: AgentId) {
        let item = self.model.waiting.get(&run).expect("only who waits gets a place").0.clone();
        let possible = self.model.agents_for(&item);
        assert!(possible.contains(&agent), "{run} may not go to {agent}, but to {possible:?}");
        self.check_agent(&item, agent);
        self.check_order(&item, agent);
        self.model.waiting.remove(&run);
        let item = match self.model.resting.remove(&run) {
            Some(Item { branch, .. }) => Item { branch, ..item },
            None => item,
        };
        self.seat(item, agent);
    }

    /// The image, then the room, then the id.
    fn check_agent(&self, item: &Item, agent: AgentId) {
        let model = &self.model;
        let turn = model.agents[&agent].in_a_row >= model.settings.interactive_in_a_row;
        if item.class == Class::Background && turn {
            // The interactive run whose place this was chose the agent.
            return;
        }
        let has_image = |id: &AgentId| item.image.as_ref().is_some_and(|i| model.agents[id].images.contains(i));
        let key = |id: &AgentId| (has_image(id), model.room(*id), std::cmp::Reverse(*id));
        let best = model.agents_for(item).into_iter().max_by_key(key);
        assert_eq!(best, Some(agent), "the best agent for {}", item.run);
    }

    /// The class, then the share of the project, then the rank of the run.
    fn check_order(&self, item: &Item, agent: AgentId) {
        let model = &self.model;
        let turn = model.agents[&agent].in_a_row >= model.settings.interactive_in_a_row;
        let urgent = !model.candidates(Class::Interactive, None).is_empty();
        match item.class {
            Class::Background => assert!(!urgent || turn, "{} goes before interactive work", item.run),
            Class::Interactive => {
                let passed_by = model.candidates(Class::Background, Some(agent));
                assert!(!turn || passed_by.is_empty(), "it is the turn of {:?}", passed_by[0].run);
            }
        }
        let at = (item.class == Class::Background && urgent).then_some(agent);
        let own = model.score(&item.project);
        for other in model.candidates(item.class, at) {
            if other.project == item.project {
                assert!(rank(item) <= rank(other), "{} before {}", item.run, other.run);
            } else {
                let score = model.score(&other.project);
                let few = own <= score * (1.0 + BEHIND) + NOTHING;
                assert!(few, "{} has {own}, {} has {score}", item.project, other.project);
            }
        }
    }

    fn supersede(&mut self, run: RunId, by: RunId) {
        let [old, new] = [run, by].map(|run| self.model.waiting[&run].0.clone());
        let [older, newer] = [&old, &new].map(|item| item.branch.as_ref().unwrap());
        assert!(older.yields && old.project == new.project && older.name == newer.name && run < by);
        self.model.waiting.remove(&run);
    }

    fn is_overdue(&self, run: RunId) -> bool {
        let limit = self.model.waiting[&run].0.limit_ms;
        limit.is_some_and(|limit| self.model.age(run) >= limit.into())
    }

    fn check_nothing_is_left(&self) {
        assert_eq!(self.line.waiting(), self.model.waiting.len());
        for (run, (item, _)) in &self.model.waiting {
            assert!(self.line.is_waiting(*run));
            let possible = self.model.agents_for(item);
            assert!(possible.is_empty(), "{run} could go to {possible:?}");
            let Some(branch) = item.branch.as_ref().filter(|branch| branch.yields) else { continue };
            let newer = self.model.waiting.values().map(|(other, _)| other).find(|other| {
                let same = other.branch.as_ref().is_some_and(|b| b.name == branch.name);
                same && other.project == item.project && other.run > *run
            });
            assert_eq!(newer.map(|other| other.run), None, "supersedes {run}");
        }
        for (run, seated) in &self.model.placed {
            assert_eq!(self.line.place_of(*run), Some(seated.agent));
            assert_eq!(self.line.why(*run), None);
        }
    }

    fn check_time(&self) {
        let left = |run: &RunId| {
            let limit = u128::from(self.model.waiting[run].0.limit_ms?);
            Some(limit.checked_sub(self.model.age(*run)).filter(|left| *left > 0).expect("overdue"))
        };
        let wake_in = self.model.waiting.keys().filter_map(left).min();
        let wake_at = wake_in.map(|ms| Moment(self.now).after(u64::try_from(ms).unwrap()));
        assert_eq!(self.line.wake_at(), wake_at);
    }

    fn check_standings(&self) {
        let mut waiting = 0;
        for (project, standing) in self.line.standings() {
            waiting += standing.waiting;
            assert_eq!(standing.held, self.model.held(project), "{project}");
            let used = self.model.used(project);
            assert!((standing.used - used).abs() < NOTHING, "{project}: {} {used}", standing.used);
        }
        assert_eq!(waiting as usize, self.model.waiting.len());
    }

    fn check_reasons(&mut self) {
        for (item, _) in self.model.waiting.values() {
            let why = self.line.why(item.run).expect("whoever waits waits for something");
            assert!(!why.to_string().is_empty());
            self.reasons[check_reason(&self.model, item, &why)] += 1;
        }
    }
}

/// That a reason is the true one; returns its number.
fn check_reason(model: &Model, item: &Item, why: &Waits) -> usize {
    let fitting = model.fitting(&item.labels);
    let taking: Vec<_> = fitting.iter().filter(|(_, host)| !host.drains && host.places > 0).collect();
    if model.present().next().is_none() {
        assert_eq!(*why, Waits::NoAgent);
        return 0;
    }
    if fitting.is_empty() {
        let Waits::NoneFits { labels, nearest } = why else { panic!("{why:?}, but none fits") };
        assert!(*labels == item.labels && nearest.is_some());
        return 1;
    }
    if taking.is_empty() {
        let Waits::NoneTakes { draining, without_places } = why else { panic!("{why:?}, but none takes runs") };
        assert_eq!(draining.len() + without_places.len(), fitting.len());
        return 2;
    }
    let exceeds = |host: &&Host| {
        let Resources { memory_mib, cpu_millis } = host.resources;
        memory_mib > 0 && item.resources.memory_mib > memory_mib
            || cpu_millis > 0 && item.resources.cpu_millis > cpu_millis
    };
    let taking: Vec<_> = taking.into_iter().filter(|(_, host)| !exceeds(host)).collect();
    if taking.is_empty() {
        assert!(matches!(why, Waits::TooLarge { wants, .. } if *wants == item.resources), "{why:?}");
        return 9;
    }
    let comes_back = model.resting.contains_key(&item.run);
    if !comes_back && model.is_at_limit(&item.project) {
        let limit = model.terms(&item.project).at_once.unwrap();
        assert_eq!(*why, Waits::AtLimit { limit, held: model.under_way_of(&item.project) });
        return 3;
    }
    if let Some(blocker) = model.blocker(item).filter(|_| !comes_back) {
        assert!(matches!(why, Waits::BranchRuns { run, .. } if *run == blocker), "{why:?}");
        return 4;
    }
    if taking.iter().any(|(id, _)| model.room(*id) > 0) {
        assert!(matches!(why, Waits::NoRoom { wants, .. } if *wants == item.resources), "{why:?}");
        return 10;
    }
    let (number, taken) = match why {
        Waits::BehindOwn { taken, runs: 1.. } => (5, taken),
        Waits::BehindInteractive { taken, projects: 1.. } => (6, taken),
        Waits::MoreThanShare { taken, projects: 1.. } => (7, taken),
        Waits::AllTaken(taken) => (8, taken),
        _ => panic!("{why:?}, but places are taken"),
    };
    assert_eq!(taken.agents, taking.len());
    assert_eq!(taken.places, taking.iter().map(|(_, host)| u64::from(host.places)).sum());
    let held: u32 = taking.iter().map(|(id, _)| model.held_at(*id)).sum();
    assert_eq!(taken.holders.iter().map(|(_, held)| held).sum::<u64>(), u64::from(held));
    let shares_an_agent = |other: &&Item| taking.iter().any(|(_, host)| other.labels.evaluate(&host.labels));
    let others = model.waiting.values().map(|(other, _)| other).filter(|other| model.may_go(other));
    let rivals: Vec<_> = others.filter(shares_an_agent).collect();
    let before = |other: &Item| (other.class, rank(other)) < (item.class, rank(item));
    let own = rivals.iter().any(|other| other.project == item.project && before(other));
    assert_eq!(own, number == 5, "{why:?}");
    let urgent = |other: &&Item| other.class < item.class && other.project != item.project;
    assert!(number == 5 || rivals.iter().any(urgent) == (number == 6), "{why:?}");
    number
}
