//! The built binary, as a person uses it: real definitions, real sandboxes, real images.

mod bad_input;
mod checkouts;
mod commands;
mod credentials;
mod guests;
mod images;
mod interruption;
mod kernels;
mod lint;
mod pods;
mod project;
mod real_images;
mod sandboxes;
mod server;
mod steps;
mod tables;
mod terminal;
mod unprivileged;
mod views;
