//! The server, its agents, and who asks it for something.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::parse::{parse_cores, parse_memory, parse_pair};
use super::{Network, OutputFormat, PlaceArgs, WarmArgs};

/// `cofferdam server`.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:8700", value_name = "HOST:PORT")]
    pub listen: SocketAddr,
    /// Where people find it, for links: https://ci.example.org [default: where it listens]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Folder for its data [default: HOME/server]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Database: sqlite:PATH or postgres://USER@HOST/NAME [default: a file in its data]
    #[arg(long, env = "COFFERDAM_DATABASE", hide_env_values = true, value_name = "URL")]
    pub database: Option<String>,
    /// File with the key that passwords, tokens and secrets of projects are sealed with in the database; it is not in a backup [default: a file in its data,
    /// made at the first start]
    #[arg(long, env = "COFFERDAM_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// File with the key of before: what is sealed with it is sealed with that of --key-file from now on; may be repeated
    #[arg(long = "former-key-file", value_name = "FILE")]
    pub former_key_files: Vec<PathBuf>,
    /// Place for what runs archive and stash, and for logs: file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX [default: a folder in its data]
    #[arg(long, env = "COFFERDAM_BLOBS", value_name = "URL")]
    pub blobs: Option<String>,
    /// Folder with files of projects: team/app.toml is the project team/app, in the words of the API; they are read again when they change
    #[arg(long, value_name = "DIR")]
    pub projects: Option<PathBuf>,
    /// It speaks TLS itself: its certificate and those that lead to an authority, in PEM; renewed files count without a restart
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of its certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Seconds that an agent may be away before its runs are given to others
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub agent_patience: u64,
    /// How it says what it does, on standard error
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Where traces of runs go: the place of a collector of OpenTelemetry, over HTTP with JSON (http://collector:4318)
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp: Option<String>,
    /// Headers that the collector wants, as in OpenTelemetry's variable: name=value,name=value
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_HEADERS",
        hide_env_values = true,
        value_name = "HEADERS",
        default_value = ""
    )]
    pub otlp_headers: String,
    /// Who says who people are, beside passwords
    #[command(flatten)]
    pub oidc: OidcArgs,
}

impl ServerArgs {
    /// Where traces go.
    ///
    /// # Errors
    /// In words: what is no header.
    pub fn otlp(&self) -> Result<Option<server::OtlpConfig>, String> {
        let Some(endpoint) = self.otlp.clone().filter(|endpoint| !endpoint.is_empty()) else { return Ok(None) };
        let pair = |pair: &str| match pair.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
            // What stands there may be a secret.
            _ => Err("--otlp-headers: name=value,name=value".to_owned()),
        };
        let headers =
            self.otlp_headers.split(',').filter(|one| !one.trim().is_empty()).map(pair).collect::<Result<_, _>>()?;
        Ok(Some(server::OtlpConfig { endpoint, headers }))
    }
}

/// How a server and an agent say what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// A JSON object a line
    Json,
}

/// A provider of OpenID Connect: people come back from it to URL/login/oidc/callback.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging in with a provider of OpenID Connect")]
pub struct OidcArgs {
    /// Its address: https://accounts.example.org
    #[arg(long, value_name = "URL", requires_all = ["oidc_client", "url"])]
    pub oidc: Option<String>,
    /// What it calls this server
    #[arg(long, value_name = "ID", requires = "oidc")]
    pub oidc_client: Option<String>,
    /// File with the client's secret: its first line
    #[arg(long, value_name = "FILE", requires = "oidc")]
    pub oidc_secret_file: Option<PathBuf>,
    /// What people call it
    #[arg(long, default_value = "single sign-on", value_name = "NAME")]
    pub oidc_name: String,
    /// What somebody may who comes for the first time: reader, developer@team …; without it they have to be known before (`people put --subject`)
    #[arg(long, value_name = "ROLE[@FOLDER]", requires = "oidc")]
    pub oidc_newcomers: Vec<server::policy::Grant>,
}

impl OidcArgs {
    /// What was asked for.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn config(&self) -> std::io::Result<Option<server::OidcConfig>> {
        let (Some(issuer), Some(client_id)) = (&self.oidc, &self.oidc_client) else { return Ok(None) };
        let secret = self.oidc_secret_file.as_ref().map(std::fs::read_to_string).transpose()?;
        Ok(Some(server::OidcConfig {
            name: self.oidc_name.clone(),
            issuer: issuer.clone(),
            client_id: client_id.clone(),
            client_secret: secret.map(|text| text.lines().next().unwrap_or_default().trim().to_owned()),
            newcomers: Some(self.oidc_newcomers.clone()).filter(|grants| !grants.is_empty()),
        }))
    }
}

/// `cofferdam backup`, `cofferdam restore`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file; secrets of projects are sealed in it as in the database (`server --key-file`)
    pub file: PathBuf,
    /// Folder of the server's data [default: HOME/server]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Its database, as for `server`
    #[arg(long, env = "COFFERDAM_DATABASE", hide_env_values = true, value_name = "URL")]
    pub database: Option<String>,
}

/// `cofferdam agent`.
#[derive(Debug, Args)]
pub struct AgentArgs {
    /// The server; of https:// the authorities are the system's, or those in the file that SSL_CERT_FILE names
    #[arg(long, env = "COFFERDAM_SERVER", default_value = "http://127.0.0.1:8700", value_name = "URL")]
    pub server: String,
    /// A token to be enrolled with, once; afterwards the agent has a key in its data (`cofferdam agents token` makes one)
    #[arg(long, env = "COFFERDAM_ENROL_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Its name [default: that of the machine]
    #[arg(long)]
    pub name: Option<String>,
    /// Folder for its data [default: HOME/agent]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Runs that it takes at once
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub runs: u32,
    /// Memory for all of its runs together, such as 16G [default: all of this machine's]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub total_memory: Option<u64>,
    /// Processors for all of its runs together [default: all of this machine's]
    #[arg(long, value_name = "N", value_parser = parse_cores)]
    pub total_cpus: Option<u32>,
    /// What this machine is, for projects that ask for such agents; may be repeated
    #[arg(long = "label", value_name = "LABEL")]
    pub labels: Vec<String>,
    /// Folders of this machine may be projects: for a laptop
    #[arg(long)]
    pub folders: bool,
    /// How it says what it does, on standard error
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// How sandboxes are made
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Which are made ahead
    #[command(flatten)]
    pub warm: WarmArgs,
}

/// `cofferdam dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Folder of a project to begin with
    #[arg(default_value = ".")]
    pub project: PathBuf,
    /// Where the server listens
    #[arg(long, default_value = "127.0.0.1:8700", value_name = "HOST:PORT")]
    pub listen: SocketAddr,
    /// Folder for all data [default: HOME/dev]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Network of the sandboxes
    #[arg(long, value_enum, default_value_t = Network::Internet, value_name = "WHAT")]
    pub network: Network,
}

/// Which server, and who asks.
#[derive(Clone, Debug, Args)]
pub struct ClientArgs {
    /// The server
    #[arg(long, env = "COFFERDAM_SERVER", default_value = "http://127.0.0.1:8700", value_name = "URL", global = true)]
    pub server: String,
    /// A token of its API
    #[arg(long, env = "COFFERDAM_TOKEN", hide_env_values = true, value_name = "TOKEN", global = true)]
    pub token: Option<String>,
    /// How answers are printed
    #[arg(long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT", global = true)]
    pub output: OutputFormat,
}

/// `cofferdam trigger`.
#[derive(Debug, Args)]
pub struct TriggerArgs {
    /// Name of the project
    pub project: String,
    /// Branch, tag or commit
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
    /// Value of a parameter
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = parse_pair)]
    pub params: Vec<(String, String)>,
    /// Before runs of its project that wait with a smaller one (-100 to 100; 0, or what the project says, is that of others)
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-100..=100))]
    pub priority: Option<i32>,
    /// Follow its log to its end; the exit code is the run's
    #[arg(short, long)]
    pub follow: bool,
    /// Which server
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `cofferdam runs`.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// This run alone: what is known of it, its stages, its remarks on lines of files
    pub run: Option<u64>,
    /// Everything that happened in it, instead
    #[arg(long, requires = "run")]
    pub events: bool,
    /// Of this project
    #[arg(long, conflicts_with = "run")]
    pub project: Option<String>,
    /// Of this branch, tag or pull request of it (`main`, `v1.0`, `PR-7`)
    #[arg(long, conflicts_with = "run", requires = "project")]
    pub branch: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 20)]
    pub limit: u32,
    /// Which server
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `cofferdam logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Id of the run
    pub run: u64,
    /// Follow it to its end; the exit code is the run's
    #[arg(short, long)]
    pub follow: bool,
    /// Which server
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `cofferdam cancel`.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// Id of the run
    pub run: u64,
    /// Why, for its log
    #[arg(long)]
    pub reason: Option<String>,
    /// Which server
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `cofferdam rerun`.
#[derive(Debug, Args)]
pub struct RerunArgs {
    /// Which
    pub run: u64,
    /// Begin with this stage of its declarative pipeline; those before it are skipped
    #[arg(long, value_name = "STAGE", conflicts_with = "failed")]
    pub from: Option<String>,
    /// Begin with the first stage that did not end well
    #[arg(long)]
    pub failed: bool,
    /// Print its log until it ends; the exit code is the run's
    #[arg(short, long)]
    pub follow: bool,
    /// Which server
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `cofferdam answer`.
#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// Which run
    pub run: u64,
    /// Which of its questions, where it asks several: the number that is printed without --yes and --no
    #[arg(long, value_name = "N")]
    pub question: Option<u64>,
    /// It goes on
    #[arg(short, long, conflicts_with = "no")]
    pub yes: bool,
    /// It ends there
    #[arg(short, long)]
    pub no: bool,
    /// What is said of a parameter; may be repeated
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = parse_pair, requires = "yes")]
    pub params: Vec<(String, String)>,
    /// Which server
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `cofferdam approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// Which
    pub run: u64,
    /// The plan that was looked at, and no other (`cofferdam approve RUN` shows it)
    #[arg(long, value_name = "DIGEST", conflicts_with = "yes")]
    pub plan: Option<String>,
    /// Whatever it asks for at this moment
    #[arg(long)]
    pub yes: bool,
    /// Which server
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `cofferdam queue`.
#[derive(Debug, Args)]
pub struct QueueArgs {
    /// Which server
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `cofferdam agents`.
#[derive(Debug, Subcommand)]
pub enum AgentsCommand {
    /// List them
    Ls {
        /// Which server
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Make a token that enrols one agent, once, within an hour
    Token {
        /// Which server
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Send one away for good: its key is worth nothing any more
    Rm {
        /// Its name
        name: String,
        /// Which server
        #[command(flatten)]
        client: ClientArgs,
    },
}
