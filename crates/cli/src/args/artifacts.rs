//! What is asked for of what runs have archived.

use std::path::PathBuf;

use clap::Args;

use super::server::ClientArgs;

/// `cofferdam artifacts`.
#[derive(Debug, Args)]
pub struct ArtifactsArgs {
    /// Id of the run
    pub run: u64,
    /// These files, or what is below these folders [default: all]
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// Put them into this folder, over older files of the same names; without it they are listed
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// Which server
    #[command(flatten)]
    pub client: ClientArgs,
}
