//! How much of the places a project is charged with.
//!
//! A place that a project has now counts 1 from its first moment, so that a herd does not get everything before it is
//! charged with anything. A place that it had for a time `t` counts `1 - 2^(-t / half-life)` when it is left, and half of
//! that a half-life later. Both together are "places now, and places lately on average".
//!
//! What fades alike need not be touched to be compared: charges are noted at the level that one place has at that
//! moment, `2^(age / half-life)` of the ledger, which grows as they fade. Only a place that is had counts 1 at every moment;
//! its project is brought up to the level now and then.

use std::cmp::Ordering;
use std::num::NonZeroU32;

use crate::clock::{Elapsed, remaining};

/// Half-lives after which the ledger begins anew. [`remaining`] knows 64, and levels stay small.
const PAGE: u64 = 32;
/// Part of a half-life that a project with places is at most behind the level: 1.1 % of what they count.
const STEPS: u64 = 64;
/// Charges that count as none, in places. Without such an end no project would ever be forgotten.
const FADED: f64 = 1e-6;

/// Charges of a project by its weight. The smaller goes first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Score(f64);

impl Ord for Score {
    fn cmp(&self, other: &Score) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Score) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Score) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Score {}

/// What all charges are measured by.
#[derive(Debug)]
pub(super) struct Ledger {
    half_life_ms: u64,
    least_ms: u64,
    begun: Elapsed,
}

/// Charges of a project.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    /// Of places that it has left.
    past: f64,
    /// Places that it has.
    pub(super) held: u32,
    /// The level when it was last brought up to it.
    level: f64,
    /// When that was.
    pub(super) touched: Elapsed,
}

impl Ledger {
    pub(super) fn new(half_life_ms: u64, least_ms: u64) -> Ledger {
        Ledger { half_life_ms, least_ms, begun: Elapsed::default() }
    }

    /// What one place counts at a moment.
    pub(super) fn level(&self, now: Elapsed) -> f64 {
        1.0 / remaining(now.since(self.begun), self.half_life_ms)
    }

    /// How long a project with places may stay as it is, in milliseconds.
    pub(super) fn step_ms(&self) -> u64 {
        (self.half_life_ms / STEPS).max(1)
    }

    /// Begins anew where it is time to, and returns what is left of charges that were noted before.
    pub(super) fn turn_page(&mut self, now: Elapsed) -> Option<f64> {
        let age_ms = now.since(self.begun);
        if age_ms / self.half_life_ms < PAGE {
            return None;
        }
        self.begun = now;
        Some(remaining(age_ms, self.half_life_ms))
    }
}

impl Account {
    /// Brings what it holds up to the level.
    pub(super) fn touch(&mut self, ledger: &Ledger, now: Elapsed) {
        self.level = ledger.level(now);
        self.touched = now;
    }

    /// A place was left that was had since then.
    pub(super) fn charge(&mut self, ledger: &Ledger, since: Elapsed, now: Elapsed) {
        let had_ms = now.since(since).max(ledger.least_ms);
        self.past += (1.0 - remaining(had_ms, ledger.half_life_ms)) * ledger.level(now);
    }

    /// Only so much is left of what was noted.
    pub(super) fn fade(&mut self, left: f64) {
        self.past *= left;
        if self.past < FADED {
            self.past = 0.0;
        }
    }

    /// Nothing to remember.
    pub(super) fn is_blank(&self) -> bool {
        self.held == 0 && self.past == 0.0
    }

    pub(super) fn score(&self, weight: NonZeroU32) -> Score {
        Score(self.noted() / f64::from(weight.get()))
    }

    /// In places, at a moment that is not before the last touch.
    pub(super) fn used(&self, ledger: &Ledger, now: Elapsed) -> f64 {
        self.past / ledger.level(now) + f64::from(self.held)
    }

    fn noted(&self) -> f64 {
        self.past + f64::from(self.held) * self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEDGER: Ledger = Ledger { half_life_ms: 1000, least_ms: 10, begun: START };
    const START: Elapsed = Elapsed::ZERO;

    fn at(ms: u64) -> Elapsed {
        START.after(ms)
    }

    #[track_caller]
    fn check_used(account: &Account, ms: u64, expect: f64) {
        let used = account.used(&LEDGER, at(ms));
        assert!((used - expect).abs() < 1e-9, "{used}, not {expect}");
    }

    #[test]
    fn a_place_counts_whole_while_it_is_had_and_fades_when_it_is_left() {
        let mut account = Account { held: 1, ..Account::default() };
        check_used(&account, 0, 1.0);
        check_used(&account, 5000, 1.0);
        account.held = 0;
        account.charge(&LEDGER, at(0), at(2000));
        check_used(&account, 2000, 0.75);
        check_used(&account, 4000, 0.1875);
    }

    #[test]
    fn a_place_of_no_time_counts_as_the_least() {
        let mut account = Account::default();
        account.charge(&LEDGER, at(7), at(7));
        check_used(&account, 7, 1.0 - remaining(10, 1000));
    }

    #[test]
    fn places_one_after_another_count_like_one() {
        let mut account = Account::default();
        for n in 0..10 {
            account.charge(&LEDGER, at(n * 100), at(n * 100 + 100));
        }
        check_used(&account, 1000, 0.5);
    }

    #[test]
    fn scores_stay_comparable_while_charges_fade() {
        let [mut early, mut late] = [Account::default(); 2];
        early.charge(&LEDGER, at(0), at(2000));
        late.charge(&LEDGER, at(5000), at(5500));
        assert!(early.used(&LEDGER, at(9000)) < late.used(&LEDGER, at(9000)));
        let score = |account: &Account, weight| account.score(NonZeroU32::new(weight).unwrap());
        assert!(score(&early, 1) < score(&late, 1));
        assert!(score(&early, 1) > score(&late, 100));
    }

    #[test]
    fn a_new_page_changes_nothing_but_the_numbers() {
        let mut ledger = Ledger { ..LEDGER };
        let mut account = Account::default();
        account.charge(&ledger, at(0), at(31_000));
        let before = account.used(&ledger, at(31_999));
        assert_eq!(ledger.turn_page(at(31_999)), None);
        account.fade(ledger.turn_page(at(32_000)).unwrap());
        let after = account.used(&ledger, at(32_000));
        assert!((before / after - 2f64.powf(0.001)).abs() < 1e-9, "{before} {after}");
        assert_eq!(ledger.level(at(32_000)), 1.0);
        account.fade(ledger.turn_page(at(u64::MAX)).unwrap());
        assert!(account.is_blank());
    }
}
