//! Integration tests of the crate, one binary.

mod parse_conformance;
mod parse_errors;
mod parse_limits;
mod parse_mutation;
mod parse_syntax;
mod parse_verdicts;
