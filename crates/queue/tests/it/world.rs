//! A host that does what the pool commands, keeps its own records, and compares.

use std::collections::{BTreeMap, BTreeSet};

use model::ids::SandboxId;
use queue::{Command, Decision, Event, Moment, Pool, PoolSettings, Shape};

/// A number and what a member costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind(pub u32, pub u64);

impl Shape for Kind {
    fn cost_bytes(&self) -> u64 {
        self.1
    }
}

/// One that was begun. The driver may be done before the pool is told.
pub struct Begun {
    pub kind: Kind,
    pub found_as: Option<SandboxId>,
}

/// The pool, and what is true.
pub struct World {
    settings: PoolSettings<Kind>,
    pool: Pool<Kind>,
    pub now: u64,
    /// Milliseconds that have passed from event to event, jumps back left out.
    pub passed: u128,
    told_at: u64,
    last_id: u64,
    pub begun: Vec<Begun>,
    /// Kind, and when it was made.
    ready: BTreeMap<SandboxId, (Kind, u128)>,
    pub given: BTreeSet<SandboxId>,
    gone: BTreeSet<SandboxId>,
    /// Exist, and no record knows them.
    pub strays: BTreeSet<SandboxId>,
    /// The last failure or early death of each kind, and when it may be made again.
    troubles: BTreeMap<Kind, (u128, u128)>,
    pub draining: bool,
    pub log: Vec<Decision<Kind>>,
}

impl World {
    pub fn new(settings: PoolSettings<Kind>) -> World {
        World {
            pool: Pool::new(settings.clone()).unwrap(),
            settings,
            now: 1_000_000,
            passed: 0,
            told_at: 1_000_000,
            last_id: 0,
            begun: Vec::new(),
            ready: BTreeMap::new(),
            given: BTreeSet::new(),
            gone: BTreeSet::new(),
            strays: BTreeSet::new(),
            troubles: BTreeMap::new(),
            draining: false,
            log: Vec::new(),
        }
    }

    pub fn new_id(&mut self) -> SandboxId {
        self.last_id += 1;
        SandboxId(self.last_id)
    }

    pub fn ready(&self) -> Vec<SandboxId> {
        self.ready.keys().copied().collect()
    }

    fn notice_time(&mut self) {
        self.passed += u128::from(self.now.saturating_sub(self.told_at));
        self.told_at = self.now;
    }

    /// Tells the pool, performs what it commands, and checks everything that must hold.
    pub fn tell(&mut self, event: Event<Kind>) -> Option<Moment> {
        self.notice_time();
        let sweep = matches!(event, Event::Reconciled { .. });
        self.draining |= event == Event::Drained;
        let decision = self.pool.handle(event.clone(), Moment(self.now));
        if let Some(member) = decision.given {
            let Event::Wanted { shape } = event else { panic!("{member} given to nobody") };
            let (kind, made_at) = self.ready.remove(&member).expect("only what is ready is given, and only once");
            assert_eq!(kind, shape);
            assert!(self.passed - made_at < self.settings.max_age_ms.into(), "{member} was too old to be given");
            assert!(self.given.insert(member));
        }
        for command in &decision.commands {
            match command {
                Command::Make { shape } => self.begin(*shape),
                Command::Destroy { member } => self.destroy(*member, sweep),
            }
            self.check_ceilings();
        }
        self.check_counts();
        self.check_wake(decision.wake_at);
        let wake_at = decision.wake_at;
        self.log.push(decision);
        wake_at
    }

    pub fn made(&mut self, index: usize, took_ms: u64) {
        self.notice_time();
        let Begun { kind, found_as } = self.begun.remove(index);
        let member = found_as.unwrap_or_else(|| self.new_id());
        self.ready.insert(member, (kind, self.passed));
        self.tell(Event::Made { shape: kind, member, took_ms });
    }

    pub fn failed(&mut self, index: usize) {
        self.notice_time();
        let kind = self.begun.remove(index).kind;
        self.note_trouble(kind);
        self.tell(Event::Failed { shape: kind });
    }

    pub fn ended(&mut self, member: SandboxId) {
        self.notice_time();
        if let Some((kind, made_at)) = self.ready.remove(&member) {
            assert!(self.gone.insert(member));
            if self.passed - made_at < self.settings.backoff.longest_ms.into() {
                self.note_trouble(kind);
            }
        } else if self.given.remove(&member) {
            assert!(self.gone.insert(member));
        }
        self.tell(Event::Ended { member });
    }

    /// Only where no earlier pause can still last, for that is not lengthened.
    fn note_trouble(&mut self, kind: Kind) {
        let backoff = self.settings.backoff;
        let until = match self.troubles.get(&kind) {
            Some((last, until)) if self.passed < last + u128::from(backoff.longest_ms) => *until,
            _ => self.passed + u128::from(backoff.first_ms),
        };
        self.troubles.insert(kind, (self.passed, until));
    }

    /// Looks which sandboxes exist. One may be lost without anybody having said so, and one that is destroyed still be
    /// found.
    pub fn sweep(&mut self, lost: Option<SandboxId>, lingering: Option<SandboxId>) {
        // By the next sweep, the pool has been told of what the last one found.
        while let Some(index) = self.begun.iter().position(|begun| begun.found_as.is_some()) {
            self.made(index, 1);
        }
        if let Some(lost) = lost.filter(|id| self.ready.remove(id).is_some()) {
            self.gone.insert(lost);
        }
        if let Some(mut first) = (!self.begun.is_empty()).then(|| self.begun.remove(0)) {
            first.found_as = Some(self.new_id());
            self.begun.push(first);
        }
        let found = self.begun.iter().filter_map(|begun| begun.found_as);
        let mut existing: BTreeSet<SandboxId> = found.collect();
        existing.extend(self.ready.keys().chain(&self.given).chain(&self.strays));
        existing.extend(lingering.filter(|id| self.gone.contains(id) && Some(*id) != lost));
        let certain = self.draining || self.begun.is_empty();
        self.tell(Event::Reconciled { existing });
        assert!(!certain || self.strays.is_empty(), "strays are destroyed");
    }

    fn begin(&mut self, kind: Kind) {
        assert!(!self.draining, "nothing is made while draining");
        let (_, until) = self.troubles.get(&kind).copied().unwrap_or_default();
        assert!(self.passed >= until, "{kind:?} was to be left alone");
        self.begun.push(Begun { kind, found_as: None });
    }

    fn destroy(&mut self, member: SandboxId, sweep: bool) {
        assert!(!self.given.contains(&member), "{member} is somebody's");
        if self.ready.remove(&member).is_some() || self.strays.remove(&member) {
            assert!(self.gone.insert(member), "{member} is destroyed once");
            return;
        }
        let found_early = self.begun.iter().any(|begun| begun.found_as == Some(member));
        assert!(
            sweep && (self.gone.contains(&member) || (found_early && self.draining)),
            "{member} is destroyed without need"
        );
    }

    fn check_ceilings(&self) {
        let mut counts: BTreeMap<Kind, u32> = BTreeMap::new();
        for kind in self.ready.values().map(|(kind, _)| kind).chain(self.begun.iter().map(|begun| &begun.kind)) {
            *counts.entry(*kind).or_default() += 1;
        }
        for (kind, count) in &counts {
            let bounds = self.settings.shapes.get(kind);
            let ceiling = bounds.map_or(self.settings.ceiling_of_others, |bounds| bounds.ceiling);
            assert!(*count <= ceiling, "{kind:?}: {count} of {ceiling}");
        }
        let bytes: u128 = counts.iter().map(|(kind, count)| u128::from(kind.1) * u128::from(*count)).sum();
        assert!(counts.values().sum::<u32>() <= self.settings.ceiling);
        assert!(bytes <= self.settings.budget_bytes.into(), "{bytes} bytes");
        assert!(self.begun.len() <= self.settings.at_once as usize);
    }

    fn check_counts(&self) {
        for (kind, counts) in self.pool.counts() {
            let ready = self.ready.values().filter(|(k, _)| k == kind).count();
            let making = self.begun.iter().filter(|begun| begun.kind == *kind).count();
            assert_eq!((counts.ready as usize, counts.making as usize), (ready, making), "{kind:?}");
        }
        let total: u32 = self.pool.counts().map(|(_, counts)| counts.ready + counts.making).sum();
        assert_eq!(total as usize, self.ready.len() + self.begun.len());
    }

    /// Whatever time alone will change, the pool asks to be woken for.
    fn check_wake(&self, wake_at: Option<Moment>) {
        if self.draining {
            assert_eq!(wake_at, None);
            return;
        }
        if let Some(oldest) = self.ready.values().map(|(_, made_at)| *made_at).min() {
            let age = self.passed - oldest;
            assert!(age < self.settings.max_age_ms.into(), "what is too old is destroyed at once");
            let left = u64::try_from(u128::from(self.settings.max_age_ms) - age).unwrap();
            assert!(wake_at.is_some_and(|at| at <= Moment(self.now).after(left)), "age must be looked at");
        }
        if self.begun.is_empty() && (self.unmet_floors() > 0 || self.remembers_more_than_floors()) {
            assert!(wake_at.is_some(), "something is to happen later");
        }
        assert!(wake_at.is_none_or(|at| at.0 > self.now || at.0 == u64::MAX), "due at once is done at once");
    }

    /// Members that are missing to the floors.
    pub fn unmet_floors(&self) -> usize {
        let have = |kind| self.ready.values().filter(|(k, _)| *k == kind).count();
        let floors = self.settings.shapes.iter();
        floors.map(|(kind, bounds)| (bounds.floor as usize).saturating_sub(have(*kind))).sum()
    }

    /// Some shape is still there for its demand.
    pub fn remembers_more_than_floors(&self) -> bool {
        let floor = |kind| self.settings.shapes.get(kind).map_or(0, |bounds| bounds.floor);
        self.pool.counts().any(|(kind, counts)| floor(kind) == 0 || counts.ready > floor(kind))
    }
}
