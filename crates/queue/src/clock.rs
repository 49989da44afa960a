//! Time, as what is decided here sees it pass, and what it leaves of a number that fades.

use std::f64::consts::LN_2;

/// A moment of the caller's clock, in milliseconds. Where its zero lies is the caller's affair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment `ms` milliseconds later, or the last one that there is.
    pub fn after(self, ms: u64) -> Moment {
        Moment(self.0.saturating_add(ms))
    }
}

/// Milliseconds that were seen to pass. It only grows; with 128 bits no sum of clock jumps reaches the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Elapsed(u128);

impl Elapsed {
    pub(crate) const ZERO: Elapsed = Elapsed(0);

    pub(crate) fn after(self, ms: u64) -> Elapsed {
        Elapsed(self.0.saturating_add(ms.into()))
    }

    /// Milliseconds from `earlier` to here; 0 where it is later.
    pub(crate) fn since(self, earlier: Elapsed) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(u64::MAX)
    }
}

/// Turns moments, which may jump back, into time that passes. A jump back counts as no time at all, and from there on
/// time passes as before: with ages as differences of moments, a member would live as much longer as the clock went
/// back.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    seen: Option<Moment>,
    elapsed: Elapsed,
}

impl Clock {
    pub(crate) fn advance(&mut self, now: Moment) -> Elapsed {
        let seen = self.seen.replace(now).unwrap_or(now);
        self.elapsed = self.elapsed.after(now.0.saturating_sub(seen.0));
        self.elapsed
    }
}

/// What is left of 1 after so many milliseconds. The exponential of the standard library may differ in its last bit
/// from machine to machine; this one may not, for the same events must give the same commands.
pub(crate) fn remaining(ms: u64, half_life_ms: u64) -> f64 {
    let Ok(halvings @ 0..64) = u32::try_from(ms / half_life_ms) else { return 0.0 };
    let exponent = -((ms % half_life_ms) as f64 / half_life_ms as f64) * LN_2;
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..=16u8 {
        term *= exponent / f64::from(n);
        sum += term;
    }
    sum / (1u64 << halvings) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_counts() {
        let mut clock = Clock::default();
        let start = clock.advance(Moment(1000));
        for (moment, expect) in [(1000, 0), (1500, 500), (200, 500), (300, 600), (1_000_000, 1_000_300)] {
            assert_eq!(clock.advance(Moment(moment)).since(start), expect, "{moment}");
        }
    }

    #[test]
    fn jumps_to_both_ends_leave_time_passing() {
        let mut clock = Clock::default();
        for _ in 0..3 {
            clock.advance(Moment(u64::MAX));
            clock.advance(Moment(0));
        }
        let before = clock.advance(Moment(0));
        assert_eq!(clock.advance(Moment(7)).since(before), 7);
        assert_eq!(before.since(before.after(1)), 0);
        assert_eq!(Moment(u64::MAX - 1).after(5), Moment(u64::MAX));
    }

    #[test]
    fn a_half_life_halves() {
        for (ms, expect) in [(0, 1.0), (1000, 0.5), (500, 0.5f64.sqrt()), (3000, 0.125), (999, 0.500_346_7)] {
            assert!((remaining(ms, 1000) - expect).abs() < 1e-6, "{ms}");
        }
        assert_eq!(remaining(u64::MAX, 1), 0.0);
        assert!(remaining(u64::MAX - 1, u64::MAX) >= 0.5);
    }
}
