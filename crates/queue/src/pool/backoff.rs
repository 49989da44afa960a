//! How long a shape that cannot be made is left alone.

use super::settings::BackoffSettings;
use crate::clock::Elapsed;

/// Failures in a row of one shape.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    until: Option<Elapsed>,
}

impl Backoff {
    /// Making one failed, after `before` failures in a row that a short success has hidden. Those that were begun
    /// together fail together, so what fails during the pause does not lengthen it.
    pub(super) fn failed(&mut self, now: Elapsed, before: u32, settings: BackoffSettings) {
        if self.left_ms(now).is_some() {
            return;
        }
        self.failures = self.failures.max(before).saturating_add(1);
        let doubled = 2u64.saturating_pow(self.failures - 1);
        self.until = Some(now.after(settings.first_ms.saturating_mul(doubled).min(settings.longest_ms)));
    }

    /// Making one succeeded; returns the failures in a row before it. During the pause this proves nothing, for the
    /// success was begun before.
    pub(super) fn succeeded(&mut self, now: Elapsed) -> u32 {
        let before = self.failures;
        if self.left_ms(now).is_none() {
            *self = Backoff::default();
        }
        before
    }

    /// Milliseconds that the pause still lasts; at least 1.
    pub(super) fn left_ms(&self, now: Elapsed) -> Option<u64> {
        self.until.map(|until| until.since(now)).filter(|left| *left > 0)
    }

    /// How many more may be begun while `making` are. After a failure one at a time shows whether it works again.
    pub(super) fn allows(&self, now: Elapsed, making: u32) -> u32 {
        match (self.left_ms(now), self.failures) {
            (Some(_), _) => 0,
            (None, 0) => u32::MAX,
            (None, _) => 1u32.saturating_sub(making),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: BackoffSettings = BackoffSettings { first_ms: 100, longest_ms: 350 };

    #[test]
    fn the_pause_doubles_up_to_the_longest() {
        let (mut backoff, mut now) = (Backoff::default(), Elapsed::default());
        for expect in [100, 200, 350, 350] {
            backoff.failed(now, 0, SETTINGS);
            assert_eq!(backoff.left_ms(now), Some(expect));
            now = now.after(expect);
            assert_eq!(backoff.left_ms(now), None);
        }
        backoff.failures = u32::MAX;
        backoff.failed(now, 0, BackoffSettings { first_ms: 100, longest_ms: u64::MAX });
        assert_eq!(backoff.left_ms(now), Some(u64::MAX), "and saturates");
    }

    #[test]
    fn those_that_fail_together_count_once() {
        let (mut backoff, now) = (Backoff::default(), Elapsed::default());
        for _ in 0..5 {
            backoff.failed(now, 0, SETTINGS);
        }
        assert_eq!(backoff.left_ms(now), Some(100));
    }

    #[test]
    fn after_a_failure_one_at_a_time_is_tried_until_one_succeeds() {
        let (mut backoff, now) = (Backoff::default(), Elapsed::default());
        assert_eq!(backoff.allows(now, 7), u32::MAX);
        backoff.failed(now, 0, SETTINGS);
        assert_eq!(backoff.allows(now, 0), 0);
        let later = now.after(100);
        assert_eq!((backoff.allows(later, 0), backoff.allows(later, 1), backoff.allows(later, 2)), (1, 0, 0));
        assert_eq!(backoff.succeeded(now), 1, "a success during the pause");
        assert_eq!(backoff.allows(now, 0), 0, "does not end it");
        assert_eq!(backoff.succeeded(later), 1);
        assert_eq!(backoff.allows(later, 7), u32::MAX);
    }

    #[test]
    fn a_success_that_did_not_last_does_not_start_the_count_again() {
        let (mut backoff, now) = (Backoff::default(), Elapsed::default());
        backoff.failed(now, 0, SETTINGS);
        let later = now.after(100);
        let before = backoff.succeeded(later);
        backoff.failed(later, before, SETTINGS);
        assert_eq!(backoff.left_ms(later), Some(200));
    }
}
