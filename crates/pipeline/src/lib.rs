//! Jenkins Pipeline on top of [`groovy`]: the declarative model and its validation, the catalogue of steps, and the
//! evaluation of a run.
//!
//! Never: I/O, clocks, randomness, processes. A run *asks* (requests out, results in); who drives it acts.
//! Start reading at [`definition`] for what a file says, at [`engine`] for how it runs.

pub mod added;
pub mod catalogue;
#[doc(hidden)]
pub mod conformance;
pub mod declarative;
pub mod definition;
pub mod engine;
mod globals;
pub mod lint;
pub mod log;
mod outside;
mod run;
mod steps;

pub use steps::pods::check as check_pod;
