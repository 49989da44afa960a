//! How much log a job may write.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sandbox::{LimitKind, LimitMet};

/// Kept back for the steps after the one that used up everything: `post` conditions say why a job failed.
const RESERVE_BYTES: u64 = 256 << 10;

/// The log limit of a job, and what is left of it. Steps that run at the same time share it.
#[derive(Debug)]
pub struct Quota {
    limit: u64,
    left: AtomicU64,
    reserve: AtomicU64,
    met: AtomicBool,
}

impl Quota {
    /// All of it is left.
    pub fn new(limit: u64) -> Quota {
        Quota { limit, left: limit.into(), reserve: RESERVE_BYTES.min(limit).into(), met: false.into() }
    }

    /// The limit, as it is named.
    pub fn limit(&self) -> LimitMet {
        LimitMet { kind: LimitKind::Log, value: self.limit, times: 1 }
    }

    /// The limit, where it was met.
    pub fn met(&self) -> Option<LimitMet> {
        self.met.load(Ordering::Relaxed).then(|| self.limit())
    }

    /// Something was not kept.
    pub fn meet(&self) {
        self.met.store(true, Ordering::Relaxed);
    }

    /// Bytes that a step which starts now may write; at least 1.
    pub fn room(&self) -> u64 {
        match self.left.load(Ordering::Relaxed) {
            0 => self.reserve.load(Ordering::Relaxed).max(1),
            left => left,
        }
    }

    /// A step has written so many bytes.
    pub fn take(&self, bytes: u64) {
        let taken = |quota: &AtomicU64, bytes: u64| {
            let before =
                quota.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(bytes)));
            before.unwrap_or_else(|left| left).min(bytes)
        };
        let most = taken(&self.left, bytes);
        // Only what is written in small pieces after the end of the limit touches the reserve.
        if most == 0 {
            taken(&self.reserve, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_the_limit_has_a_reserve_of_its_own() {
        let quota = Quota::new(10 << 20);
        assert_eq!(quota.room(), 10 << 20);
        quota.take(4 << 20);
        assert_eq!(quota.room(), 6 << 20);
        quota.take(7 << 20);
        assert_eq!(quota.room(), RESERVE_BYTES);
        quota.take(1000);
        assert_eq!(quota.room(), RESERVE_BYTES - 1000);
        quota.take(RESERVE_BYTES);
        assert_eq!(quota.room(), 1, "and then it is over");
        assert_eq!(Quota::new(100).room(), 100);
    }
}
