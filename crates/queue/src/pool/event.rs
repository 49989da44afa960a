//! What a pool is told, and what it answers.

use std::collections::BTreeSet;
use std::fmt;

use model::ids::SandboxId;

use crate::clock::Moment;

/// What a member is made of: driver, image digest, limits. Members of equal shapes can stand in for each other;
/// whatever would make a difference to the claimer belongs into the shape.
pub trait Shape: Clone + Ord + fmt::Debug {
    /// What a member costs while it waits, in bytes of memory. Equal shapes cost the same, at any time.
    fn cost_bytes(&self) -> u64;
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<S> {
    /// Somebody needs a sandbox now. [`Decision::given`] is the answer; where it is `None` the caller makes one itself,
    /// which the pool never hears of.
    Wanted {
        /// Which kind.
        shape: S,
    },
    /// A [`Command::Make`] was performed.
    Made {
        /// As commanded.
        shape: S,
        /// What was made.
        member: SandboxId,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// A [`Command::Make`] failed and left nothing behind.
    Failed {
        /// As commanded.
        shape: S,
    },
    /// A member is gone: it died by itself, or whoever it was given to is done with it. Must be reported of every
    /// member that was given; may be of those that were destroyed.
    Ended {
        /// Which.
        member: SandboxId,
    },
    /// So many requests wait for a sandbox and cannot claim one yet. Replaces what was said of the shape before, and
    /// fades like all demand: say it again, at least once per half-life, while it holds.
    Queued {
        /// Which kind.
        shape: S,
        /// How many.
        waiting: u64,
    },
    /// Nothing but time has passed.
    Ticked,
    /// The caller has looked which sandboxes are there, at the start or in a sweep. Those that the pool does not know
    /// are destroyed, and those that it misses are made again. Must not hold what the caller made for itself; what the
    /// pool has given may be among them.
    Reconciled {
        /// All that were found.
        existing: BTreeSet<SandboxId>,
    },
    /// The host shuts down. Every member is destroyed, also those that are still in the making, and nothing is made
    /// again.
    Drained,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<S> {
    /// Make a member, and answer with one [`Event::Made`] or [`Event::Failed`].
    Make {
        /// Of this kind.
        shape: S,
    },
    /// Destroy a sandbox. Harmless where it is gone already.
    Destroy {
        /// Which.
        member: SandboxId,
    },
}

/// What follows from an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a claim may have been answered, and commands want to be performed"]
pub struct Decision<S> {
    /// The answer to [`Event::Wanted`]: a member that is now the claimer's alone.
    pub given: Option<SandboxId>,
    /// To be performed in this order; room for what is made comes from what is destroyed before it.
    pub commands: Vec<Command<S>>,
    /// When [`Event::Ticked`] is due, unless another event comes before. `None`: time alone changes nothing.
    pub wake_at: Option<Moment>,
}

/// How many members of a shape there are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ready to be given.
    pub ready: u32,
    /// In the making.
    pub making: u32,
}
