//! What the server remembers: projects, runs and their journals, logs, what they archived, agents, tokens, and who did what. The only SQL.
//!
//! SQLite in a file, or PostgreSQL by URL; the same text for both. Every change is one transaction, with its row in the audit where somebody
//! did something or something was decided; marks of how far the server has come, and what runs report, have none. What a run's
//! keeper acts upon is written down before it acts ([`wire::engine::Journal`] says why).
//!
//! Never: a clock (whoever calls says what time it is), a decision.
//!
//! Start reading at [`Store`].

mod access;
mod annotations;
mod approvals;
mod artifacts;
mod audit;
mod backup;
mod claim;
mod connect;
mod contents;
mod deliveries;
mod elsewhere;
mod error;
mod journal;
mod last_runs;
mod lease_tokens;
mod leases;
mod locks;
mod log_blobs;
mod logs;
mod marks;
mod past;
mod people;
mod projects;
mod properties;
mod reports;
mod retention;
mod run;
mod runs;
mod seal;
mod test_results;
mod write;

pub use access::{AgentRecord, TokenKind, digest};
pub use artifacts::{Artifact, ArtifactLimits, Holder, NotKept, Shelf};
pub use audit::{AuditRow, Broken};
pub use claim::Claim;
pub use connect::{Gate, Store};
pub use elsewhere::Elsewhere;
pub use error::StoreError;
pub use journal::{Act, Outstanding};
pub use last_runs::Standing;
pub use locks::{Claimant, LockCounts};
pub use log_blobs::{Moved, Repacker};
pub use logs::{Chunk, ChunkPlace};
pub use people::{Known, Listed, NewToken, Person};
pub use projects::{Project, ProjectId};
pub use properties::BranchProperties;
pub use retention::{BranchRuns, Forget, Old};
pub use run::{Approved, NewRun, Run, RunCounts, RunFilter, Status};
pub use seal::{Keys, SealingKey};
pub use test_results::{FlakyTest, PastResult, TestResult};

/// Milliseconds since 1970.
pub type Millis = u64;

/// Who did something, as the audit has it: `user:alice`, `agent:two`, `server`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(pub String);

impl Actor {
    /// The server itself.
    pub fn server() -> Actor {
        Actor("server".to_owned())
    }
}

/// As databases have numbers.
fn signed(number: u64) -> i64 {
    number.cast_signed()
}

/// The same back.
fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}
