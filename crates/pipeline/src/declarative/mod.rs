//! Declarative Pipeline: the [`model`] of a valid `pipeline { … }`, and how it is read from the syntax tree with Jenkins'
//! own messages for what is wrong. Start reading at [`model`], then [`crate::definition`].

mod find;
pub(crate) mod messages;
pub mod model;
mod parse;
pub(crate) mod pattern;
mod report;
mod shape;
mod unroll;
mod validate;
mod values;

pub(crate) use find::{misplaced_pipelines, nested_pipelines, pipeline_blocks_of_call, top_level_pipeline};
pub use parse::pipeline;
pub(crate) use parse::{OwnNames, pipeline_and_steps};
#[cfg(test)]
pub(crate) use parse::{PIPELINE_SECTIONS, STAGE_SECTIONS};
pub use report::startup_failed;
pub(crate) use shape::{Pair, closure_of};
pub(crate) use unroll::unroll;
pub(crate) use validate::mismatch;
pub(crate) use values::{Literal, literal};
