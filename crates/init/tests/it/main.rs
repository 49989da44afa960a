//! Runs the real `cofferdam-init` as PID 1 of fresh namespaces and talks to it over its protocol.

mod archives;
mod files;
mod host;
mod output;
mod place;
mod processes;
mod protection;
mod tar_streams;
mod two_pipes;
