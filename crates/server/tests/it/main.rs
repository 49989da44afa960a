//! A server in this process, and agents that are made here: good ones, and such as lie.

mod agent;
mod lies;
mod life;
