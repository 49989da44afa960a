//! The line, beside a simple model of the same.

mod large;
mod model;
mod random;
mod world;
