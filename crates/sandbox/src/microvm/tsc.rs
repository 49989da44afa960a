//! How fast this host's time stamp counter counts.
//!
//! A machine of QEMU's `microvm` type has nothing that a kernel could measure its own counter against, and under TCG no clock of
//! the hypervisor's either; the kernel then stops at its start. So it is told.

use std::time::{Duration, Instant};

/// How long it is measured. The error is that of two clock readings, about a millionth.
const MEASURE: Duration = Duration::from_millis(20);

/// Counts in a millisecond.
#[cfg(target_arch = "x86_64")]
pub(super) fn khz() -> u64 {
    use std::sync::OnceLock;
    static KHZ: OnceLock<u64> = OnceLock::new();
    *KHZ.get_or_init(|| {
        // SAFETY: every x86-64 processor has the instruction, and Linux lets programs use it.
        let count = || unsafe { core::arch::x86_64::_rdtsc() };
        let (began, first) = (Instant::now(), count());
        while began.elapsed() < MEASURE {
            std::hint::spin_loop();
        }
        let (counted, took) = (count() - first, began.elapsed());
        counted * 1_000_000 / u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1)
    })
}

/// Other processors have counters of a known speed.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn khz() -> u64 {
    0
}
