//! Time, as a pool sees it pass.

/// A moment of the caller's clock, in milliseconds. Where its zero lies is the caller's affair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment `ms` milliseconds later, or the last one that there is.
    pub fn after(self, ms: u64) -> Moment {
        Moment(self.0.saturating_add(ms))
    }
}

/// Milliseconds that a pool has seen pass. It only grows; with 128 bits no sum of clock jumps reaches the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Elapsed(u128);

impl Elapsed {
    pub(super) fn after(self, ms: u64) -> Elapsed {
        Elapsed(self.0.saturating_add(ms.into()))
    }

    /// Milliseconds from `earlier` to here; 0 where it is later.
    pub(super) fn since(self, earlier: Elapsed) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(u64::MAX)
    }
}

/// Turns moments, which may jump back, into time that passes. A jump back counts as no time at all, and from there on
/// time passes as before: with ages as differences of moments, a member would live as much longer as the clock went
/// back.
#[derive(Debug, Default)]
pub(super) struct Clock {
    seen: Option<Moment>,
    elapsed: Elapsed,
}

impl Clock {
    pub(super) fn advance(&mut self, now: Moment) -> Elapsed {
        let seen = self.seen.replace(now).unwrap_or(now);
        self.elapsed = self.elapsed.after(now.0.saturating_sub(seen.0));
        self.elapsed
    }
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
}
