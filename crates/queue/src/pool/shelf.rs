//! The members of one shape.

use std::collections::VecDeque;

use model::ids::SandboxId;

use super::backoff::Backoff;
use super::demand::Demand;
use super::event::Shape;
use super::plan::Bid;
use super::settings::{Bounds, PoolSettings};
use crate::clock::Elapsed;

/// Looks at fading demand so many times in a half-life: what is not wanted any more stays so much longer at most.
const LOOKS_PER_HALF_LIFE: u64 = 4;

/// A member that is ready.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) id: SandboxId,
    pub(super) made_at: Elapsed,
    /// Failures in a row before it was made.
    pub(super) failures: u32,
}

/// The members of one shape, and the demand for more.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) bounds: Bounds,
    cost_bytes: u64,
    /// Oldest first.
    pub(super) ready: VecDeque<Member>,
    pub(super) making: u32,
    pub(super) demand: Demand,
    pub(super) backoff: Backoff,
}

impl Shelf {
    pub(super) fn new(bounds: Bounds, cost_bytes: u64, now: Elapsed) -> Shelf {
        let (demand, backoff) = (Demand::none(now), Backoff::default());
        Shelf { bounds, cost_bytes, ready: VecDeque::new(), making: 0, demand, backoff }
    }

    /// Members ready and in the making.
    pub(super) fn have(&self) -> u32 {
        u32::try_from(self.ready.len()).unwrap_or(u32::MAX).saturating_add(self.making)
    }

    /// Takes out the oldest member if it is too old to be given.
    pub(super) fn pop_expired(&mut self, now: Elapsed, max_age_ms: u64) -> Option<Member> {
        self.ready.pop_front_if(|member| now.since(member.made_at) >= max_age_ms)
    }

    /// A ready member died by itself. One that did not outlive the longest pause might as well not have been made: a
    /// shape whose members die at once must not be made over and over.
    pub(super) fn died(&mut self, id: SandboxId, now: Elapsed, settings: &PoolSettings<impl Shape>) {
        let Some(index) = self.ready.iter().position(|member| member.id == id) else { return };
        let Some(member) = self.ready.remove(index) else { return };
        if now.since(member.made_at) < settings.backoff.longest_ms {
            self.backoff.failed(now, member.failures, settings.backoff);
        }
    }

    /// What it has and would like to have.
    pub(super) fn bid(&self, now: Elapsed, settings: &PoolSettings<impl Shape>) -> Bid {
        let Bounds { floor, ceiling } = self.bounds;
        let demand = self.demand.faded(now, &settings.demand);
        let members = |more| demand.members(more, &settings.demand).max(floor).min(ceiling);
        Bid {
            weight: demand.weight(0.0, &settings.demand),
            cost_bytes: self.cost_bytes,
            making: self.making,
            have: self.have(),
            floor,
            wanted: members(0.0),
            // Between two claims of a steady stream the demand falls by one claim. Nothing is destroyed for that.
            kept: members(1.0),
            may_begin: self.backoff.allows(now, self.making),
        }
    }

    /// Nothing is left to remember of it.
    pub(super) fn is_forgotten(&self, now: Elapsed, settings: &PoolSettings<impl Shape>) -> bool {
        self.is_idle(now) && self.demand.faded(now, &settings.demand).is_over()
    }

    /// It could be forgotten, but for its demand.
    pub(super) fn is_idle(&self, now: Elapsed) -> bool {
        self.have() == 0 && self.bounds.floor == 0 && self.backoff.left_ms(now).is_none()
    }

    /// Milliseconds until time alone may change something; at least 1, for what was due is done.
    pub(super) fn wake_in_ms(&self, now: Elapsed, settings: &PoolSettings<impl Shape>) -> Option<u64> {
        let oldest = self.ready.front().map(|member| settings.max_age_ms.saturating_sub(now.since(member.made_at)));
        let fading = !self.demand.faded(now, &settings.demand).is_over();
        let look = fading.then_some((settings.demand.half_life_ms / LOOKS_PER_HALF_LIFE).max(1));
        [oldest, look, self.backoff.left_ms(now)].into_iter().flatten().min()
    }
}
