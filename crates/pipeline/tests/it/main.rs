//! Integration tests of the crate, one binary.

mod conformance;
mod declarative;
mod lint;
