//! A server in this process, and agents that are made here: good ones, and such as lie.

mod agent;
mod approvals;
mod artifacts;
mod copies;
mod data_center;
mod database;
mod described;
mod forges;
mod gone;
mod herd;
mod hooks;
mod jenkins;
mod lies;
mod life;
mod line;
mod live;
mod logs;
mod oidc;
mod outposts;
mod pages;
mod people;
#[path = "../../../store/tests/it/postgres.rs"]
#[expect(dead_code, reason = "the store's own tests do more with it")]
mod postgres;
mod project_files;
mod properties;
mod requests;
mod restarts;
mod retention;
mod roles;
mod secrets;
mod test_results;
mod traces;
mod upstream;
mod wakes;
