//! Integration tests of the crate, one binary.

mod conformance;
mod declarative;
mod engine;
mod engine_added;
mod engine_archives;
mod engine_checks;
mod engine_credentials;
mod engine_declarative;
mod engine_docker;
mod engine_globals;
mod engine_library;
mod engine_plugins;
mod engine_pods;
mod engine_properties;
mod engine_ran;
mod engine_scripts;
mod engine_steps;
mod engine_tools;
mod engine_utility;
mod engine_world;
mod engine_yardstick;
mod lint;
mod lint_rules;
mod reference;
mod runtime;
