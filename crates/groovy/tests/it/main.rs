//! Integration tests of the crate, one binary.

mod differential;
mod eval_annotations;
mod eval_cases;
mod eval_fibers;
mod eval_hostile;
mod eval_json;
mod eval_library;
mod eval_limits;
mod eval_views;
mod eval_xml;
mod parse_checks;
mod parse_conformance;
mod parse_errors;
mod parse_limits;
mod parse_mutation;
mod parse_syntax;
mod parse_verdicts;
mod values;
mod yardstick;
