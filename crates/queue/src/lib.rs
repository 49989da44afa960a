//! What is decided about work and the places for it: which waiting run gets a place at which agent, which driver makes a job's
//! sandbox, and how many sandboxes of which kind are kept ready.
//!
//! Everything here is a function of its input: `(state, event, now) -> commands`. The caller brings the time, performs the
//! commands and reports what came of them. The same events at the same moments give the same commands, on every machine.
//!
//! Never: a clock, I/O, async, randomness, a rung below the one that was asked for, a member of a pool given out twice or past its
//! age, more members than the ceilings allow, a place given twice.
//!
//! Start reading at [`mod@line`] for runs, at [`place`] for jobs, and at [`pool`], whose diagram shows the life of a member, for what
//! is kept ready.

mod clock;
pub mod line;
mod placement;
pub mod pool;

pub use placement::{Layers, Need, Offer, Placed, Refused, needs, others, place};
pub use pool::{
    BackoffSettings, Bounds, Command, Counts, Decision, DemandSettings, Event, Moment, Pool, PoolSettings,
    SettingsError, Shape,
};
