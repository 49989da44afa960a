//! The vocabulary that every other crate shares: ids, outcomes, events, limits, and the requests that an evaluated
//! pipeline makes.
//!
//! Never: I/O, clocks, randomness, async, policy. Start reading at [`request`].

pub mod added_step;
pub mod annotation;
pub mod ant;
pub mod archive;
pub mod build;
pub mod change;
pub mod copy;
pub mod credential;
pub mod docker_args;
pub mod event;
pub mod failure;
pub mod files;
pub mod git;
pub mod ids;
pub mod library;
pub mod limits;
pub mod lock;
pub mod outcome;
pub mod planning;
pub mod pod;
pub mod properties;
pub mod question;
pub mod read;
pub mod request;
pub mod resources;
pub mod run;
pub mod rung;
pub mod said;
pub mod stages;
pub mod test_result;
