//! The time of day, which a simulation makes up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use store::Millis;
use tokio::time::Instant;

/// Where the time of day comes from. How long something takes is counted by the runtime's timers, whatever the time of day does meanwhile.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine.
    #[default]
    Machine,
    /// The runtime's timers, from a time of day on: one that is paused stands still.
    Simulated(Simulated),
}

/// A time of day that goes with the runtime's timers, and may be set.
#[derive(Clone, Debug)]
pub struct Simulated {
    began: Instant,
    at: Arc<AtomicU64>,
}

impl Simulated {
    /// Begins now, at this time.
    pub fn from(at: Millis) -> Simulated {
        Simulated { began: Instant::now(), at: Arc::new(AtomicU64::new(at)) }
    }

    /// Sets it forward or back, as somebody does who corrects a clock.
    pub fn jump(&self, by_ms: i64) {
        self.at.fetch_add(by_ms.cast_unsigned(), Ordering::Relaxed);
    }
}

impl Clock {
    /// Milliseconds since 1970.
    pub fn now(&self) -> Millis {
        match self {
            Clock::Machine => millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            Clock::Simulated(clock) => clock.at.load(Ordering::Relaxed).saturating_add(millis(clock.began.elapsed())),
        }
    }
}

fn millis(time: std::time::Duration) -> Millis {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
