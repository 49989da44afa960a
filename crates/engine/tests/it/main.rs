//! The process that evaluates a run: what a new one does in the place of a lost one, and what its walls hold back.

mod keeper;
mod kills;
mod pipelines;
mod process;
