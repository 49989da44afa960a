//! The built binary, as a person uses it: real definitions, real sandboxes, real images.

mod bad_input;
mod commands;
mod images;
mod interruption;
mod kernels;
mod maven;
mod project;
mod sandboxes;
mod steps;
mod tables;
mod terminal;
mod unprivileged;
mod views;
