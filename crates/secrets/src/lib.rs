//! What is secret is not shown.
//!
//! [`Masker`] takes values, and what programs commonly make of them, out of text that people are to read. That is hygiene and no wall: whoever
//! has a secret can write it down in a way that nobody has thought of. What keeps it is who is given it.

mod forms;
mod masker;

pub use masker::Masker;
