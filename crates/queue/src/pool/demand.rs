//! How much a shape is wanted.

use std::f64::consts::LN_2;

use crate::clock::{Elapsed, remaining};

use super::settings::DemandSettings;

/// Claims, or waiting requests, that count as none: what three half-lives leave of a single one. Without such an end
/// one claim would keep one member for ever, because members are rounded up.
const FADED: f64 = 0.125;
/// Products of decimal fractions come out a little too large (1.1 × 110), which must not round up to one member more.
const ROUNDING: f64 = 1e-9;
/// Weight of the newest in the mean time that making takes.
const NEWEST: f64 = 0.25;

/// The demand for one shape at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// Claims, each counting half after a half-life.
    claims: f64,
    /// Requests that waited when last heard of, fading likewise.
    waiting: f64,
    at: Elapsed,
    /// Mean time to make one, in milliseconds, where one was made.
    took_ms: Option<f64>,
}

impl Demand {
    pub(super) fn none(at: Elapsed) -> Demand {
        Demand { claims: 0.0, waiting: 0.0, at, took_ms: None }
    }

    /// What is left of it later, if nothing more is heard.
    pub(super) fn faded(self, now: Elapsed, settings: &DemandSettings) -> Demand {
        let share = remaining(now.since(self.at), settings.half_life_ms);
        Demand { claims: self.claims * share, waiting: self.waiting * share, at: now, ..self }
    }

    /// Somebody claimed one. Whoever claims does not wait any more.
    pub(super) fn claimed(&mut self, now: Elapsed, settings: &DemandSettings) {
        *self = self.faded(now, settings);
        self.claims += 1.0;
        self.waiting = (self.waiting - 1.0).max(0.0);
    }

    /// So many wait.
    pub(super) fn queued(&mut self, waiting: u64, now: Elapsed, settings: &DemandSettings) {
        *self = self.faded(now, settings);
        self.waiting = waiting as f64;
    }

    /// One was made in so many milliseconds.
    pub(super) fn made(&mut self, took_ms: u64) {
        let took = took_ms as f64;
        self.took_ms = Some(self.took_ms.map_or(took, |mean| mean + (took - mean) * NEWEST));
    }

    /// Nobody has wanted one for long.
    pub(super) fn is_over(&self) -> bool {
        self.claims.max(self.waiting) <= FADED
    }

    /// Members that would be in use at any time, before the factor; with `more` claims than were seen.
    pub(super) fn weight(&self, more: f64, settings: &DemandSettings) -> f64 {
        // A steady stream of one claim per ms counts up to `half_life_ms / LN_2` claims.
        let claims_per_ms = (self.claims + more) * LN_2 / settings.half_life_ms as f64;
        self.waiting + claims_per_ms * self.took_ms.unwrap_or(settings.first_make_ms as f64)
    }

    /// Members to be had ready; with `more` claims than were seen.
    pub(super) fn members(&self, more: f64, settings: &DemandSettings) -> u32 {
        if settings.factor == 0.0 || self.is_over() {
            return 0;
        }
        // The cast saturates.
        (settings.factor * self.weight(more, settings) - ROUNDING).ceil().max(1.0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: DemandSettings = DemandSettings { factor: 1.0, half_life_ms: 1000, first_make_ms: 10 };

    fn at(ms: u64) -> Elapsed {
        Elapsed::default().after(ms)
    }

    fn queued(waiting: u64) -> Demand {
        let mut demand = Demand::none(at(0));
        demand.queued(waiting, at(0), &SETTINGS);
        demand
    }

    #[test]
    fn fading_in_many_steps_is_fading_in_one() {
        let mut demand = queued(1000);
        for ms in 1..=1000 {
            demand = demand.faded(at(ms), &SETTINGS);
        }
        assert!((demand.waiting - 500.0).abs() < 1e-6, "{}", demand.waiting);
    }

    #[test]
    fn a_steady_stream_wants_what_is_claimed_while_one_is_made() {
        let mut demand = Demand::none(at(0));
        demand.made(200);
        // 50 claims a second, each missed for 200 ms.
        for n in 0..1000 {
            demand.claimed(at(n * 20), &SETTINGS);
        }
        let weight = demand.faded(at(20_000), &SETTINGS).weight(0.0, &SETTINGS);
        assert!((9.8..10.2).contains(&weight), "{weight}");
    }

    #[test]
    fn the_factor_multiplies_and_rounds_up_without_slips() {
        for (waiting, factor, expect) in [
            (10, 1.1, 11),
            (110, 1.1, 121),
            (3, 1.0, 3),
            (3, 1.1, 4),
            (1, 0.001, 1),
            (5, 0.0, 0),
            (u64::MAX, f64::MAX, u32::MAX),
        ] {
            let settings = DemandSettings { factor, ..SETTINGS };
            assert_eq!(queued(waiting).members(0.0, &settings), expect, "{waiting} × {factor}");
        }
    }

    #[test]
    fn demand_that_is_not_seen_again_fades_to_nothing() {
        let demand = queued(8);
        for (ms, expect) in [(0, 8), (1000, 4), (2000, 2), (5000, 1), (6001, 0)] {
            let demand = demand.faded(at(ms), &SETTINGS);
            assert_eq!((demand.members(0.0, &SETTINGS), demand.is_over()), (expect, expect == 0), "{ms}");
        }
    }

    #[test]
    fn who_claims_waits_no_longer() {
        let mut demand = queued(2);
        demand.claimed(at(0), &SETTINGS);
        assert_eq!(demand.waiting, 1.0);
        demand.claimed(at(0), &SETTINGS);
        demand.claimed(at(0), &SETTINGS);
        assert_eq!(demand.waiting, 0.0);
    }

    #[test]
    fn the_time_to_make_one_is_a_moving_mean_that_starts_with_the_first() {
        let mut demand = Demand::none(at(0));
        demand.made(100);
        assert_eq!(demand.took_ms, Some(100.0));
        demand.made(200);
        assert_eq!(demand.took_ms, Some(125.0));
    }
}
