//! Performs what an evaluated pipeline asks for: makes a sandbox for each job, runs its steps there, moves its files, and
//! takes the sandbox away. The same code serves `cofferdam run` and the agent of a server ([`work`]).
//!
//! Never: evaluates a pipeline, opens a path of a sandbox from the host, hands a workload anything of the host's environment,
//! or reports a result before the processes that made it are gone.
//!
//! Start reading at [`Performer`].

mod address;
mod archives;
mod artifact_links;
mod artifacts;
pub mod below;
mod blueprint;
mod checkout;
mod clone;
mod contained;
mod credentials;
mod drivers;
mod encoding;
mod engine;
mod exec;
mod failure;
mod files;
mod host;
mod hurry;
mod job;
mod library;
mod lines;
pub mod mentions;
mod offers;
mod perform;
mod plain;
mod quota;
mod remote;
mod scm;
mod service;
mod stash;
mod step_files;
mod terminal;
mod test_report;
mod unarchive;
mod xml_chars;

pub use blueprint::{layers, qualified};
pub use credentials::{Credentials, Held, variable_part};
pub use drivers::{Drivers, Noted, Open};
pub use engine::{EngineProgram, Kept};
pub use failure::{Trouble, explain};
pub use host::{Host, HostOptions, WayOut};
pub use library::{KnownLibrary, LibraryOrigin, known as known_library};
pub use perform::Performer;
pub use remote::{AgentConfig, Hosts, RunOf, work};
pub use scm::{LocalProject, Scm, ScmError, Tree};
pub use step_files::{own_steps, step_files};
