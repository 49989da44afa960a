//! One file per command. Each takes its flags and returns an exit code, or says why it could not do its work.

pub mod approve;
pub mod artifacts;
mod branches;
pub mod clean;
pub mod doctor;
pub mod groovy;
pub mod guest;
pub mod image;
pub mod lint;
pub mod manual;
pub mod people;
pub mod plan;
pub mod remote;
pub mod run;
pub mod runs;
pub mod server;
pub mod steps;
pub mod test_results;
