//! `cofferdam guest`.

use std::path::PathBuf;

use clap::Subcommand;

use super::OutputFormat;

/// `cofferdam guest`.
#[derive(Debug, Subcommand)]
pub enum GuestCommand {
    /// Make a guest of Debian's kernel for virtual machines; with --engine an engine root too
    Build {
        /// A package of the kernel (linux-image-….deb), instead of the newest from Debian
        #[arg(long, value_name = "FILE")]
        package: Option<PathBuf>,
        /// Also make what a machine has a Docker Engine from: some 110 MB of Debian's packages are downloaded, 300 MiB stay
        #[arg(long)]
        engine: bool,
    },
    /// List the guests and engine roots
    Ls {
        /// How the list is printed
        #[arg(long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
        output: OutputFormat,
    },
    /// Remove guests and engine roots
    Rm {
        /// Names as `ls` prints them
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}
