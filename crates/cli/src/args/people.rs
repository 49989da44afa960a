//! Who may come in at a server.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::server::ClientArgs;

/// `cofferdam people`.
#[derive(Debug, Subcommand)]
pub enum PeopleCommand {
    /// List them, and what each may do
    Ls {
        /// Which server
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Take somebody in, or say anew what they may do; what is not named stays as it is
    Put(PersonArgs),
    /// Say who asks with this token, and what they may do
    Me {
        /// Which server
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Change your own password
    Password {
        /// File with the one that you have: its first line (- reads standard input)
        #[arg(long, value_name = "FILE")]
        old_password_file: PathBuf,
        /// File with the one that you want, of at least 12 characters
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
        /// Which server
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// `cofferdam people put`.
#[derive(Debug, Args)]
pub struct PersonArgs {
    /// Their name
    pub name: String,
    /// What they may do, instead of what they might before: reader, developer, maintainer or admin, everywhere or on a folder or
    /// project (developer@team); may be repeated
    #[arg(long = "grant", value_name = "ROLE[@FOLDER]")]
    pub grants: Vec<String>,
    /// They may do nothing
    #[arg(long, conflicts_with = "grants")]
    pub no_grants: bool,
    /// File with their password: its first line, of at least 12 characters
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Who they are to the provider of OpenID Connect: its address, a space, and what it calls them
    #[arg(long, value_name = "ISSUER SUBJECT")]
    pub subject: Option<String>,
    /// They may not come in any more
    #[arg(long, conflicts_with = "enable")]
    pub disable: bool,
    /// They may come in again
    #[arg(long)]
    pub enable: bool,
    /// Which server
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `cofferdam tokens`.
#[derive(Debug, Subcommand)]
pub enum TokensCommand {
    /// List your own
    Ls {
        /// Everybody's
        #[arg(long)]
        all: bool,
        /// Which server
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Make one that may do what you may, or less
    Make {
        /// What you call it
        name: String,
        /// What it may at most: reader, developer@team …; may be repeated
        #[arg(long = "scope", value_name = "ROLE[@FOLDER]")]
        scopes: Vec<String>,
        /// It is good for so many days
        #[arg(long, value_name = "N")]
        days: Option<u64>,
        /// Make it as somebody who has no token yet, by their password
        #[arg(long = "as", value_name = "NAME", requires = "password_file")]
        owner: Option<String>,
        /// File with that password: its first line; `-` reads standard input
        #[arg(long, value_name = "FILE", requires = "owner")]
        password_file: Option<PathBuf>,
        /// Which server
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Remove one
    Rm {
        /// Its id, as `ls` has it
        id: String,
        /// Which server
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// `cofferdam audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// From behind this number on
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub after: u64,
    /// At most so many
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub limit: u32,
    /// Which server
    #[command(flatten)]
    pub client: ClientArgs,
}
