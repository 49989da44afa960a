//! Declarative Pipeline: the [`model`] of a valid `pipeline { … }`.

pub mod model;
