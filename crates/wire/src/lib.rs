//! Everything that crosses the border of a process: message types and their framing.
//!
//! Never: I/O, clocks, async. A codec here takes and gives bytes; who moves them is the caller's business. Decoders are
//! for hostile input: they return errors, hold a bounded amount of memory and never panic.
//!
//! Start reading at [`init`], the protocol between a host and the first process of a sandbox. The one with the process that evaluates a run
//! and the one with agents are behind the feature `engine`, for init has no use for JSON.

#[cfg(feature = "engine")]
pub mod agent;
#[cfg(feature = "engine")]
pub mod artifact;
pub mod blob;
#[cfg(feature = "engine")]
pub mod engine;
pub mod frame;
pub mod init;
