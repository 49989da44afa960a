//! Ends what the kernel would let starve. Where the data of a sandbox's programs fill its memory to the last page, their own files are
//! put out of it and read in again with each step that they take. The kernel finds something to free every time, so it kills nobody,
//! and a program that is as good as dead takes its disk and its processor until the deadline: minutes, hours.
//!
//! What tells such a sandbox from one that is merely busy are figures of its control group (version 2, where the kernel counts pressure):
//! next to nothing in its memory can be freed, what has room beside that is read in anew over and over, and nothing goes on meanwhile
//! but waiting for it. When it has been so for a while, the largest of its processes is killed, as the kernel does in other cases.

use std::time::{Duration, Instant};

/// How often a sandbox is looked at.
const EVERY: Duration = Duration::from_secs(5);
/// How long it must have been stuck at each look.
const PATIENCE: Duration = Duration::from_secs(15);
/// In which share of the last ten seconds all that had something to do waited for memory, and how often all that there is room for was
/// read in anew between two looks: either much of one and some of the other, or the other way round. The slower a disk is, the more
/// is waited and the less is read; translated machines show 30 % and 100 times. Who reads large files again and again waits for
/// nothing, and who writes them reads nothing again.
const STUCK: [(f64, u64); 2] = [(20.0, 1), (5.0, 16)];
const PAGE: u64 = 4096;

/// What a control group says of its memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Memory {
    /// Bytes that cannot be freed: without swap, all but pages of files and caches of their names.
    held: u64,
    limit: u64,
    /// Bytes of files that were read in again soon after they had been put out, since the group was made.
    refaulted: u64,
    /// Of the last ten seconds.
    stalled_percent: f64,
}

impl Memory {
    /// From `memory.current`, `memory.stat` and `memory.pressure`.
    pub(crate) fn read(current: &str, stat: &str, pressure: &str, limit: u64) -> Option<Memory> {
        let current: u64 = current.trim().parse().ok()?;
        let (mut freeable, mut refaulted) = (0u64, None);
        for (name, number) in stat.lines().filter_map(|line| line.split_once(' ')) {
            let number: u64 = number.parse().ok()?;
            match name {
                "active_file" | "inactive_file" | "slab_reclaimable" => freeable = freeable.saturating_add(number),
                "workingset_refault_file" => refaulted = Some(number.saturating_mul(PAGE)),
                _ => {}
            }
        }
        let full = pressure.lines().find_map(|line| line.strip_prefix("full avg10="))?;
        let stalled_percent = full.split(' ').next()?.parse().ok()?;
        Some(Memory { held: current.saturating_sub(freeable), limit, refaulted: refaulted?, stalled_percent })
    }

    /// `before`: what [`Memory::refaulted`] was at the last look.
    fn is_stuck(&self, before: u64) -> bool {
        // Less room than this is as good as none.
        let room = self.limit.saturating_sub(self.held).max(self.limit / 64);
        let read_again = self.refaulted.saturating_sub(before);
        let is_stuck = |(percent, times)| self.stalled_percent >= percent && read_again >= room.saturating_mul(times);
        self.held >= self.limit / 16 * 15 && STUCK.into_iter().any(is_stuck)
    }
}

/// Looks after one sandbox.
pub(crate) struct Watch {
    next: Instant,
    stuck_since: Option<Instant>,
    /// [`Memory::refaulted`] at the last look; `None` before the first.
    refaulted: Option<u64>,
}

impl Watch {
    pub(crate) fn new(now: Instant) -> Watch {
        Watch { next: now + EVERY, stuck_since: None, refaulted: None }
    }

    /// When it is to be looked at again.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Whether something must be killed, by what is the case now.
    pub(crate) fn look(&mut self, memory: Option<Memory>, now: Instant) -> bool {
        self.next = now + EVERY;
        let before = std::mem::replace(&mut self.refaulted, memory.map(|memory| memory.refaulted));
        let is_stuck = memory.is_some_and(|memory| memory.is_stuck(before.unwrap_or(memory.refaulted)));
        if !is_stuck {
            self.stuck_since = None;
            return false;
        }
        let since = *self.stuck_since.get_or_insert(now);
        let is_over = now.duration_since(since) >= PATIENCE;
        if is_over {
            // What is left has its own time.
            self.stuck_since = None;
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "anon 66000000\nfile 300000\ninactive_file 200000\nactive_file 50000\nslab_reclaimable 8864\nworkingset_refault_file 7\n";
    const PRESSURE: &str = "some avg10=44.90 avg60=31.26 avg300=10.15 total=34616917\nfull avg10=35.95 avg60=25.22 avg300=8.20 total=28160364\n";
    const LIMIT: u64 = 64 << 20;
    const MIB: u64 = 1 << 20;
    const NEVER: [u64; 0] = [];
    /// As it is read from those two. The room beside what is held counts as a sixty-fourth: 1 MiB.
    const READ: Memory = Memory { held: 66_850_000, limit: LIMIT, refaulted: 7 * PAGE, stalled_percent: 35.95 };

    /// Looks at each of these every five seconds: so much read anew since the look before, in such a time of waiting. When it was over.
    fn over_at(looks: &[(u64, f64)]) -> Vec<u64> {
        let start = Instant::now();
        let (mut watch, mut refaulted) = (Watch::new(start), 1_000_000_000);
        let mut over = Vec::new();
        for (seconds, (more, stalled_percent)) in (5..).step_by(5).zip(looks) {
            refaulted += more;
            assert_eq!(watch.next(), start + Duration::from_secs(seconds));
            let memory = Memory { refaulted, stalled_percent: *stalled_percent, ..READ };
            if watch.look(Some(memory), start + Duration::from_secs(seconds)) {
                over.push(seconds);
            }
        }
        over
    }

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        assert_eq!(Memory::read("67108864\n", STAT, PRESSURE, LIMIT), Some(READ));
        assert_eq!(Memory::read("67108864\n", "anon 1\n", PRESSURE, LIMIT), None);
        assert_eq!(Memory::read("67108864\n", STAT, "some avg10=1.00 avg60=0.00 avg300=0.00 total=0\n", LIMIT), None);
    }

    #[test]
    fn only_what_is_stuck_all_the_time_is_over() {
        let (stuck, busy) = ((MIB, 35.0), (MIB, 10.0));
        // At the first look nobody knows yet what was read before.
        assert_eq!(over_at(&[stuck; 4]), NEVER);
        assert_eq!(over_at(&[stuck; 5]), [25]);
        assert_eq!(over_at(&[stuck, stuck, stuck, busy, stuck, stuck, stuck]), NEVER);
        // The next one has as long.
        assert_eq!(over_at(&[stuck; 9]), [25, 45]);
    }

    #[test]
    fn who_waits_less_has_read_more() {
        assert_eq!(over_at(&[(16 * MIB, 5.0); 5]), [25]);
        assert_eq!(over_at(&[(15 * MIB, 5.0); 9]), NEVER);
        // Large files again and again, without waiting; and a slow disk that is written to.
        assert_eq!(over_at(&[(500 * MIB, 4.0); 9]), NEVER);
        assert_eq!(over_at(&[(MIB - 1, 90.0); 9]), NEVER);
    }

    #[test]
    fn memory_that_can_be_freed_is_not_stuck() {
        let stuck = Memory { refaulted: LIMIT, ..READ };
        assert!(stuck.is_stuck(0));
        assert!(!Memory { held: LIMIT / 16 * 15 - 1, ..stuck }.is_stuck(0));
    }
}
