//! What is asked for of tests that runs have reported.

use clap::{Args, Subcommand};

use super::server::ClientArgs;

/// `cofferdam tests`.
#[derive(Debug, Subcommand)]
pub enum TestsCommand {
    /// Tests of a run: those that failed, or all
    Ls(LsArgs),
    /// How a test did in the latest runs of its project
    History(HistoryArgs),
    /// Tests of a project that fail now and then: at one commit, or again and again on one branch
    Flaky(FlakyArgs),
}

/// `cofferdam tests ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Id of the run
    pub run: u64,
    /// Not only those that failed
    #[arg(long)]
    pub all: bool,
    /// Which server
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `cofferdam tests history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The project
    pub project: String,
    /// The test's class, as `tests ls` prints it
    pub class: String,
    /// Its name there
    pub name: String,
    /// Which server
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `cofferdam tests flaky`.
#[derive(Debug, Args)]
pub struct FlakyArgs {
    /// The project
    pub project: String,
    /// Which server
    #[command(flatten)]
    pub client: ClientArgs,
}
