//! Sandboxes made ahead: how many of which kind, and what becomes of each.
//!
//! ```text
//!                    Make                  Made               Wanted            Ended
//!   demand, floor ─────────▶ in the making ─────────▶ ready ─────────▶ given ─────────▶ forgotten
//!                                  │                    │ │                                ▲
//!                                  │ Failed             │ └─ Ended ────────────────────────┤
//!                                  ▼                    ▼                                  │
//!                            pause, doubling      too old, not wanted, no room ──Destroy───┘
//! ```
//!
//! The one place where any of this changes is [`Pool::handle`]; [`Pool::set_bounds`] says only how many there may and
//! should be. The ceilings bound what is ready and in the making; what was given belongs to the claimer, and is
//! remembered only so that a sweep leaves it alone.

mod backoff;
mod demand;
mod event;
mod plan;
mod settings;
mod shelf;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use model::ids::SandboxId;

pub use crate::clock::Moment;
pub use event::{Command, Counts, Decision, Event, Shape};
pub use settings::{BackoffSettings, Bounds, DemandSettings, MAX_AT_ONCE, MAX_SHAPES, PoolSettings, SettingsError};

use crate::clock::{Clock, Elapsed};
use plan::{Bid, Room, share};
use shelf::{Member, Shelf};

/// A pool of sandboxes that were made ahead. Each is given out once, and never taken back.
///
/// ```
/// use model::ids::SandboxId;
/// use queue::{Command, Event, Moment, Pool, PoolSettings, Shape};
///
/// #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
/// struct Image(&'static str);
///
/// impl Shape for Image {
///     fn cost_bytes(&self) -> u64 {
///         8 << 20
///     }
/// }
///
/// let maven = Image("maven:3");
/// let mut pool = Pool::new(PoolSettings::default())?;
/// // Nothing is ready for the first: the caller makes one itself, and the pool one for the next.
/// let first = pool.handle(Event::Wanted { shape: maven.clone() }, Moment(0));
/// assert_eq!(first.given, None);
/// assert_eq!(first.commands, [Command::Make { shape: maven.clone() }]);
/// let made = Event::Made { shape: maven.clone(), member: SandboxId(2), took_ms: 40 };
/// assert!(pool.handle(made, Moment(40)).wake_at.is_some());
/// let second = pool.handle(Event::Wanted { shape: maven }, Moment(5000));
/// assert_eq!(second.given, Some(SandboxId(2)));
/// # Ok::<(), queue::SettingsError>(())
/// ```
#[derive(Debug)]
pub struct Pool<S: Shape> {
    settings: PoolSettings<S>,
    clock: Clock,
    /// Every shape that has members, a floor, or demand that has not faded.
    shelves: BTreeMap<S, Shelf>,
    /// Until they end.
    given: BTreeSet<SandboxId>,
    /// Unknown to the records at the last sweep, but perhaps made a moment before it.
    suspects: BTreeSet<SandboxId>,
    draining: bool,
}

impl<S: Shape> Pool<S> {
    /// An empty pool, which begins with the first event: best an [`Event::Reconciled`] with what a crash has left.
    pub fn new(settings: PoolSettings<S>) -> Result<Pool<S>, SettingsError> {
        settings.check()?;
        let clock = Clock::default();
        let with_floor = settings.shapes.iter().filter(|(_, bounds)| bounds.floor > 0);
        let shelves = with_floor
            .map(|(shape, bounds)| (shape.clone(), Shelf::new(*bounds, shape.cost_bytes(), Elapsed::default())))
            .collect();
        Ok(Pool { settings, clock, shelves, given: BTreeSet::new(), suspects: BTreeSet::new(), draining: false })
    }

    /// Takes note of an event, and says what is to be done now. `now` may lie before the last one: then no time has
    /// passed.
    pub fn handle(&mut self, event: Event<S>, now: Moment) -> Decision<S> {
        let elapsed = self.clock.advance(now);
        let mut commands = Vec::new();
        let given = self.apply(event, elapsed, &mut commands);
        self.destroy_expired(elapsed, &mut commands);
        if !self.draining {
            self.adjust(elapsed, &mut commands);
            self.shelves.retain(|_, shelf| !shelf.is_forgotten(elapsed, &self.settings));
        }
        Decision { given, commands, wake_at: self.wake_in_ms(elapsed).map(|ms| now.after(ms)) }
    }

    /// Has other shapes with bounds of their own from now on: which those are may be known only when the first image was
    /// looked up, and changes with it.
    ///
    /// # Errors
    /// They contradict each other or the other settings. Then nothing changes.
    pub fn set_bounds(&mut self, shapes: BTreeMap<S, Bounds>, now: Moment) -> Result<Decision<S>, SettingsError> {
        let settings = PoolSettings { shapes, ..self.settings.clone() };
        settings.check()?;
        self.settings = settings;
        let elapsed = self.clock.advance(now);
        for (shape, shelf) in &mut self.shelves {
            shelf.bounds = self.settings.bounds(shape);
        }
        let with_floor = self.settings.shapes.iter().filter(|(_, bounds)| bounds.floor > 0 && !self.draining);
        for (shape, bounds) in with_floor {
            // Beside however many shapes strangers have made up: an operator makes up no more than the settings may hold.
            let shelf = || Shelf::new(*bounds, shape.cost_bytes(), elapsed);
            self.shelves.entry(shape.clone()).or_insert_with(shelf);
        }
        Ok(self.handle(Event::Ticked, now))
    }

    /// How many members there are of each shape that the pool has in mind.
    pub fn counts(&self) -> impl Iterator<Item = (&S, Counts)> {
        self.shelves.iter().map(|(shape, shelf)| {
            (shape, Counts { ready: shelf.have().saturating_sub(shelf.making), making: shelf.making })
        })
    }

    fn apply(&mut self, event: Event<S>, now: Elapsed, commands: &mut Vec<Command<S>>) -> Option<SandboxId> {
        match event {
            Event::Wanted { shape } => {
                // Before the claim, so that it never gets what is too old; after all other events, which may say that
                // it is gone.
                self.destroy_expired(now, commands);
                return self.give(shape, now);
            }
            Event::Made { shape, member, took_ms } => self.take_in(&shape, member, took_ms, now, commands),
            Event::Failed { shape } => {
                if let Some(shelf) = self.shelves.get_mut(&shape).filter(|shelf| shelf.making > 0) {
                    shelf.making -= 1;
                    shelf.backoff.failed(now, 0, self.settings.backoff);
                }
            }
            Event::Ended { member } => {
                if !self.given.remove(&member) {
                    self.shelves.values_mut().for_each(|shelf| shelf.died(member, now, &self.settings));
                }
            }
            Event::Queued { shape, waiting } => {
                let settings = self.settings.demand;
                // That nobody waits is no reason to begin to remember a shape.
                let known = waiting > 0 || self.shelves.contains_key(&shape);
                if let Some(shelf) = known.then(|| self.shelf(shape, now)).flatten() {
                    shelf.demand.queued(waiting, now, &settings);
                }
            }
            Event::Ticked => {}
            Event::Reconciled { existing } => self.reconcile(&existing, commands),
            Event::Drained => {
                self.draining = true;
                let ready = self.shelves.values_mut().flat_map(|shelf| shelf.ready.drain(..));
                commands.extend(ready.map(|Member { id, .. }| Command::Destroy { member: id }));
            }
        }
        None
    }

    fn destroy_expired(&mut self, now: Elapsed, commands: &mut Vec<Command<S>>) {
        for shelf in self.shelves.values_mut() {
            while let Some(member) = shelf.pop_expired(now, self.settings.max_age_ms) {
                commands.push(Command::Destroy { member: member.id });
            }
        }
    }

    /// Gives the oldest: it would be the first to be destroyed.
    fn give(&mut self, shape: S, now: Elapsed) -> Option<SandboxId> {
        let settings = self.settings.demand;
        let shelf = self.shelf(shape, now)?;
        shelf.demand.claimed(now, &settings);
        let member = shelf.ready.pop_front()?;
        self.given.insert(member.id);
        Some(member.id)
    }

    fn take_in(&mut self, shape: &S, id: SandboxId, took_ms: u64, now: Elapsed, commands: &mut Vec<Command<S>>) {
        // What is told twice is true once.
        if self.knows(id) {
            return;
        }
        let asked_for = self.shelves.get_mut(shape).filter(|shelf| shelf.making > 0);
        if let Some(shelf) = asked_for {
            shelf.making -= 1;
            if !self.draining {
                shelf.demand.made(took_ms);
                let failures = shelf.backoff.succeeded(now);
                shelf.ready.push_back(Member { id, made_at: now, failures });
                return;
            }
        }
        commands.push(Command::Destroy { member: id });
    }

    /// Compares the records with what exists. What is unknown while others are in the making may be one of them, whose
    /// [`Event::Made`] is on its way: that is destroyed only if the next sweep finds it still unknown.
    fn reconcile(&mut self, existing: &BTreeSet<SandboxId>, commands: &mut Vec<Command<S>>) {
        for shelf in self.shelves.values_mut() {
            shelf.ready.retain(|member| existing.contains(&member.id));
        }
        let certain = self.draining || self.shelves.values().all(|shelf| shelf.making == 0);
        let unknown = existing.iter().copied().filter(|id| !self.knows(*id));
        let (doomed, suspects) = unknown.partition(|id| certain || self.suspects.contains(id));
        let doomed: BTreeSet<SandboxId> = doomed;
        self.suspects = suspects;
        commands.extend(doomed.into_iter().map(|member| Command::Destroy { member }));
    }

    /// Destroys what has no room or is not wanted, and begins what is missing.
    fn adjust(&mut self, now: Elapsed, commands: &mut Vec<Command<S>>) {
        let settings = &self.settings;
        let mut shelves: Vec<(Bid, &S, &mut Shelf)> =
            self.shelves.iter_mut().map(|(shape, shelf)| (shelf.bid(now, settings), shape, shelf)).collect();
        shelves.sort_by(|(a, ..), (b, ..)| b.weight.total_cmp(&a.weight));
        let bids: Vec<Bid> = shelves.iter().map(|(bid, ..)| *bid).collect();
        let making = bids.iter().fold(0u32, |sum, bid| sum.saturating_add(bid.making));
        let begin = settings.at_once.saturating_sub(making);
        let granted = share(&bids, Room { members: settings.ceiling, bytes: settings.budget_bytes, begin });
        // The lowest demand goes first.
        for ((bid, _, shelf), granted) in shelves.iter_mut().zip(&granted).rev() {
            let surplus = usize::try_from(bid.have.saturating_sub(*granted)).unwrap_or(usize::MAX);
            let oldest = shelf.ready.drain(..surplus.min(shelf.ready.len()));
            commands.extend(oldest.map(|Member { id, .. }| Command::Destroy { member: id }));
        }
        for ((bid, shape, shelf), granted) in shelves.iter_mut().zip(&granted) {
            let missing = granted.saturating_sub(bid.have);
            shelf.making = shelf.making.saturating_add(missing);
            commands.extend((0..missing).map(|_| Command::Make { shape: shape.clone() }));
        }
    }

    /// What is remembered of a shape, from now on if it was not known. `None` while draining, and where there are too
    /// many shapes.
    fn shelf(&mut self, shape: S, now: Elapsed) -> Option<&mut Shelf> {
        if self.draining {
            return None;
        }
        if !self.shelves.contains_key(&shape) && self.shelves.len() >= MAX_SHAPES {
            self.forget_weakest(now)?;
        }
        let (bounds, cost_bytes) = (self.settings.bounds(&shape), shape.cost_bytes());
        Some(self.shelves.entry(shape).or_insert_with(|| Shelf::new(bounds, cost_bytes, now)))
    }

    fn forget_weakest(&mut self, now: Elapsed) -> Option<()> {
        let settings = &self.settings.demand;
        let weight = |shelf: &Shelf| shelf.demand.faded(now, settings).weight(0.0, settings);
        let idle = self.shelves.iter().filter(|(_, shelf)| shelf.is_idle(now));
        let (weakest, _) = idle.min_by(|(_, a), (_, b)| weight(a).total_cmp(&weight(b)))?;
        let weakest = weakest.clone();
        self.shelves.remove(&weakest).map(|_| ())
    }

    /// Whether a sandbox is a member, or was and has an owner now.
    fn knows(&self, id: SandboxId) -> bool {
        let ready = |shelf: &Shelf| shelf.ready.iter().any(|member| member.id == id);
        self.given.contains(&id) || self.shelves.values().any(ready)
    }

    fn wake_in_ms(&self, now: Elapsed) -> Option<u64> {
        if self.draining {
            return None;
        }
        self.shelves.values().filter_map(|shelf| shelf.wake_in_ms(now, &self.settings)).min()
    }
}
