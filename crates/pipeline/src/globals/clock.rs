//! The time and chance, as a script may have them. Both are the same when a run is evaluated again: the time is asked for
//! and stands in the journal, random numbers follow from what the run is.

use std::cell::Cell;
use std::rc::Rc;

use groovy::value::Value;
use model::request::{Reply, Request};
use model::run::RunFacts;

use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::steps::unexpected;

/// Most times that one run asks what time it is: each answer is kept in its journal.
const READS_MAX: u64 = 10_000;

/// `now()` of the clock: milliseconds since 1970.
pub(super) async fn now(core: Rc<Core>) -> Result<Value, Fault> {
    let reads = core.run.clock_reads.get() + 1;
    core.run.clock_reads.set(reads);
    if reads > READS_MAX {
        return Err(Fault::exhausted(format!("the run asked for the time {READS_MAX} times, which is its limit")));
    }
    match core.ask(Request::Now).await? {
        Reply::Time(ms) => Ok(Value::Long(i64::try_from(ms).unwrap_or(i64::MAX))),
        reply => Err(unexpected(&reply)),
    }
}

/// Random numbers of a run. They follow from its project, number and start, which many people know: they make names that
/// nothing else has, and are no secret.
pub(crate) struct Chance(Cell<u64>);

impl Chance {
    /// Those of the run.
    pub(crate) fn new(facts: &RunFacts) -> Self {
        let words = [facts.build_number, facts.started_at_ms];
        let bytes = facts.job_name.bytes().chain(words.into_iter().flat_map(u64::to_le_bytes));
        // FNV-1a
        let seed =
            bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        Chance(Cell::new(seed))
    }

    /// The next one (SplitMix64).
    pub(crate) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
