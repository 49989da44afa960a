//! A server, its agents, the network between them, people and their clocks in one process: hours of it in a second, with everything that can
//! go wrong going wrong, and the same each time for a seed.
//!
//! ```text
//!   people, forges ──HTTP──▶ life: the real server on a real database, killed at any moment ◀── links ──▶ agents
//!                              │                                       (delays, silence, breaks)            │
//!                              ▼                                                                            ▼
//!               ledger (its audit, row by row)  ◀──── checker: what must always hold ────▶  deeds (what was done, said, kept)
//! ```
//!
//! The server is the real one, down to its timers and its SQL; agents are doubles without processes that evaluate with the real engine.
//! A simulated time passes only where nothing goes on by itself, so idle hours cost nothing.
//!
//! Never: a thread's whim, the machine's clock or a network in what comes out; an invariant that looks at how the server does something.
//!
//! Start reading at [`simulate`]; `world` is the loop, `life` the server, `ledger` and `checker` what must hold.

mod agent;
mod checker;
mod connections;
mod course;
mod deeds;
mod dice;
mod faults;
mod ledger;
mod life;
mod network;
mod people;
mod plan;
mod seat;
mod trace;
mod work;
mod world;

use std::fmt;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Everything follows from it.
    pub seed: u64,
    /// Hours that pass in the simulation, at least.
    pub hours: u64,
    /// Each thing that happens is printed.
    pub prints: bool,
    /// Something that must be noticed.
    pub offence: Option<Offence>,
}

impl Options {
    /// So many hours of a seed.
    pub fn new(seed: u64, hours: u64) -> Options {
        Options { seed, hours, prints: false, offence: None }
    }
}

/// What must not be: each makes an invariant fail, or nobody would know that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// An agent takes for kept what the server has not kept.
    LosesLines,
    /// An agent does again what it is asked for again.
    DoesTwice,
    /// A request is never answered.
    NeverAnswers,
    /// A line gets into a run's log, and another out of it, behind the server's back.
    WritesLines,
    /// A run is taken from its agent, and nobody answers what that one does.
    TakesAway,
    /// A run is given to somebody who has no place for it.
    GivesAway,
    /// A run that has ended gets lines.
    GoesOn,
    /// A run that waits for approval is approved by nobody.
    Approves,
}

impl Offence {
    /// All of them.
    pub const ALL: [Offence; 8] = [
        Offence::LosesLines,
        Offence::DoesTwice,
        Offence::NeverAnswers,
        Offence::WritesLines,
        Offence::TakesAway,
        Offence::GivesAway,
        Offence::GoesOn,
        Offence::Approves,
    ];
}

/// What came to pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Simulated milliseconds.
    pub ms: u64,
    /// Messages, requests, times that came, faults.
    pub events: u64,
    /// Runs that were made.
    pub runs: u64,
    /// Leases that were given.
    pub leases: u64,
    /// Servers that were killed.
    pub kills: u64,
    /// Faults of all kinds.
    pub faults: u64,
    /// Of everything that happened, in its order.
    pub digest: u64,
}

impl Tally {
    /// Both together.
    pub fn and(self, other: Tally) -> Tally {
        Tally {
            ms: self.ms + other.ms,
            events: self.events + other.events,
            runs: self.runs + other.runs,
            leases: self.leases + other.leases,
            kills: self.kills + other.kills,
            faults: self.faults + other.faults,
            digest: self.digest ^ other.digest,
        }
    }
}

/// An invariant that did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Of which simulation.
    pub options: Options,
    /// What.
    pub what: String,
    /// What happened before, the last of it.
    pub trace: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { seed, hours, .. } = self.options;
        writeln!(f, "{}", self.trace)?;
        writeln!(f, "seed {seed}: {}", self.what)?;
        write!(f, "again: cargo run -p sim --release -- --seed {seed} --hours {hours} --trace")
    }
}

impl std::error::Error for Failure {}

/// Simulates, on this thread.
///
/// # Errors
/// An invariant did not hold, or there is no room for a database.
pub fn simulate(options: Options) -> Result<Tally, Box<Failure>> {
    let _ear = trace::listen();
    // What an earlier one left.
    drop(trace::said());
    let failed = |what, trace| Box::new(Failure { options, what, trace });
    let mut world = world::World::new(options).map_err(|what| failed(what, String::new()))?;
    world.run().map_err(|what| failed(what, world.trace.last()))
}
