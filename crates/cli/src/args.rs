//! The flags of every command. The words here are what people read in `--help`, so they teach.

pub mod artifacts;
mod credentials;
mod engine;
mod guest;
mod lint;
mod monitor;
mod parse;
pub mod people;
mod place;
pub mod projects;
pub mod server;
pub mod test_results;
mod walls;

use std::path::PathBuf;

use agent::KnownLibrary;
use clap::{Args, Parser, Subcommand, ValueEnum};
use model::outcome::Outcome;
use model::run::InstalledTool;
use pipeline::engine::BuildCause;

#[cfg(test)]
pub use credentials::GivenCredential;
pub use credentials::{CredentialArgs, CredentialSource};
pub use engine::{Elsewhere, EngineArgs};
pub use guest::GuestCommand;
pub use lint::{LintArgs, LintFormat, ReferencePage, StepsArgs};
pub use monitor::MonitorChoice;
pub use parse::PodTemplateFlag;
use parse::{
    parse_cause, parse_cores, parse_duration_ms, parse_job_name, parse_library, parse_memory, parse_node_env,
    parse_outcome, parse_pair, parse_pod_template, parse_size, parse_tool,
};
pub use place::{PlaceArgs, WarmArgs, WarmImage};
pub use walls::WallArgs;

/// Runs Jenkins Pipelines, each job in a fresh, isolated, disposable sandbox.
#[derive(Debug, Parser)]
#[command(name = "cofferdam", version, about, max_term_width = 110, disable_help_subcommand = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// Where images and working data live [default: /var/lib/cofferdam for root, else $XDG_DATA_HOME/cofferdam]
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,

    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = ColorWhen::Auto, value_name = "WHEN")]
    pub color: ColorWhen,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0 success           1 the pipeline failed     2 usage
  3 unstable          4 no permission           5 the pipeline is invalid
  6 a policy forbids  7 infrastructure          124 timeout    130 interrupted";

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    #[default]
    Text,
    /// JSON, one object a line
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a pipeline on this machine
    Run(Box<RunArgs>),
    /// Check pipeline definitions without running them
    Lint(LintArgs),
    /// What a pipeline may name: steps, directives, options … with their parameters
    Steps(StepsArgs),
    /// Say what would run where, without running anything
    Plan(PlanArgs),
    /// Say why each job would run where it would, and what speaks against every other driver
    Why(WhyArgs),
    /// Serve an organisation: projects, runs, agents
    Server(server::ServerArgs),
    /// Write everything that a server remembers into a file, also while it runs
    Backup(server::BackupArgs),
    /// Fill the empty database of a server with what was written
    Restore(server::BackupArgs),
    /// Work for a server on this machine
    Agent(server::AgentArgs),
    /// A server and an agent on this machine, to try things
    Dev(server::DevArgs),
    /// Projects of a server
    #[command(subcommand)]
    Projects(projects::ProjectsCommand),
    /// Ask a server for a run
    Trigger(server::TriggerArgs),
    /// List runs of a server, or show one
    Runs(server::RunsArgs),
    /// Print the log of a run
    Logs(server::LogsArgs),
    /// List what a run has archived, or bring it here
    Artifacts(artifacts::ArtifactsArgs),
    /// Tests that runs have reported (`junit`)
    #[command(subcommand)]
    Tests(test_results::TestsCommand),
    /// End a run
    Cancel(server::CancelArgs),
    /// Run the same once more: its commit, its parameters
    Rerun(server::RerunArgs),
    /// Let a run of a stranger's code go: you answer for its commit, and for what it would ask for
    Approve(server::ApproveArgs),
    /// Say yes or no where a run asks (`input`); without either, print what it asks
    Answer(server::AnswerArgs),
    /// List what waits at a server, and why
    Queue(server::QueueArgs),
    /// Agents of a server
    #[command(subcommand)]
    Agents(server::AgentsCommand),
    /// Who may come in at a server, and what each may do
    #[command(subcommand)]
    People(people::PeopleCommand),
    /// Tokens of a server's API
    #[command(subcommand)]
    Tokens(people::TokensCommand),
    /// Who did what at a server
    Audit(people::AuditArgs),
    /// Run a plain Groovy script
    Groovy(GroovyArgs),
    /// Pull, list and remove images
    #[command(subcommand)]
    Image(ImageCommand),
    /// What virtual machines boot (`--rung microvm`): make, list, remove
    #[command(subcommand)]
    Guest(GuestCommand),
    /// Say what this host can do, and what to install for the rest
    Doctor(DoctorArgs),
    /// Remove what an interrupted run has left behind
    Clean(CleanArgs),
    /// Print a completion script for a shell
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Man {
        /// Folder for the pages; without one, the page of `cofferdam` goes to standard output
        dir: Option<PathBuf>,
    },
    /// Evaluates a run; never called by hand
    #[command(hide = true)]
    Engine {
        /// Words for it
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<std::ffi::OsString>,
    },
    /// Part of an image conversion; never called by hand
    #[command(name = "unpack-child", hide = true)]
    UnpackChild {
        /// Words for the child
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<std::ffi::OsString>,
    },
}

/// Where a definition comes from and what it is given.
#[derive(Debug, Args)]
pub struct DefinitionArgs {
    /// The project's folder; its files are what `checkout scm` checks out
    #[arg(default_value = ".", value_name = "PROJECT")]
    pub project: PathBuf,

    /// The pipeline definition, relative to the project's folder
    #[arg(short, long, default_value = "Jenkinsfile", value_name = "FILE")]
    pub file: PathBuf,

    /// A parameter of the pipeline; may be repeated
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = parse_pair)]
    pub params: Vec<(String, String)>,

    /// An environment variable of the whole run; may be repeated
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = parse_pair)]
    pub env: Vec<(String, String)>,

    /// The name that BRANCH_NAME has, and that `when { branch }` sees [default: the checked-out branch]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,

    /// JOB_NAME of the run, with the names of the folders that it is in at a server [default: the name of the project's folder]
    #[arg(long, value_name = "NAME", value_parser = parse_job_name)]
    pub job_name: Option<String>,

    /// BUILD_NUMBER of the run
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub build_number: u64,

    /// Result of the build before, for `post { changed … fixed … regression … }`: SUCCESS, FAILURE …
    #[arg(long, value_name = "RESULT", value_parser = parse_outcome)]
    pub previous_result: Option<Outcome>,

    /// The commit of the build before: what came since is in `currentBuild.changeSets`, and seen by `when { changeset … changelog … }`
    #[arg(long, value_name = "COMMIT")]
    pub changes_since: Option<String>,

    /// Why the run was started, for `when { triggeredBy … }`: user, user:NAME, timer, scm or upstream; may be repeated
    #[arg(long = "cause", value_name = "CAUSE", value_parser = parse_cause)]
    pub causes: Vec<BuildCause>,

    /// Begin with this stage of a declarative pipeline; those before it are skipped
    #[arg(long, value_name = "STAGE")]
    pub from_stage: Option<String>,

    /// An environment variable of the jobs that ask for this label; may be repeated
    #[arg(long, value_name = "LABEL:NAME=VALUE", value_parser = parse_node_env)]
    pub node_env: Vec<(String, String, String)>,

    /// A shared library that `@Library('NAME')` finds: a folder, or the address of a repository; VERSION is for those who name none. May
    /// be repeated
    #[arg(long = "library", value_name = "NAME=PLACE[@VERSION]", value_parser = parse_library)]
    pub libraries: Vec<KnownLibrary>,

    /// Load this library as if the definition began with `@Library('NAME') _`; may be repeated
    #[arg(long = "load-library", value_name = "NAME[@VERSION]")]
    pub load_libraries: Vec<String>,

    /// Where a tool is that `tools { … }` and `tool 'NAME'` ask for: its folder in images or on the host, around `bin`. KIND is `maven`, `jdk` …,
    /// for a name that several have. May be repeated
    #[arg(long = "tool", value_name = "[KIND:]NAME=FOLDER", value_parser = parse_tool)]
    pub tools: Vec<InstalledTool>,

    /// A pod (its YAML, as Kubernetes has it) that `inheritFrom 'NAME'` and `agent { label 'NAME' }` mean: what a Jenkins has as a pod template
    /// of its cloud. May be repeated
    #[arg(long = "pod-template", value_name = "NAME=FILE", value_parser = parse_pod_template)]
    pub pod_templates: Vec<PodTemplateFlag>,

    /// A folder with more steps, beside those in .cofferdam/steps of the project; may be repeated
    #[arg(long, value_name = "DIR")]
    pub steps: Vec<PathBuf>,
}

/// `cofferdam run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cofferdam run                       the Jenkinsfile here, over the files of the current commit
  cofferdam run --dirty               the same over the working tree
  cofferdam run -p VERSION=1.2 -p DEPLOY=false services/api
  cofferdam run --output json | jq    every event as a JSON object

Artifacts are put into .cofferdam/artifacts of the project's folder.")]
pub struct RunArgs {
    /// What to run
    #[command(flatten)]
    pub definition: DefinitionArgs,

    /// Check out the working tree with its uncommitted changes, instead of the current commit
    #[arg(long)]
    pub dirty: bool,

    /// How events are printed
    #[arg(long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    pub output: OutputFormat,

    /// How progress is shown: a live tree on a terminal, plain lines in a pipe
    #[arg(long, value_enum, default_value_t = Progress::Auto, value_name = "HOW")]
    pub progress: Progress,

    /// What it may have of credentials
    #[command(flatten)]
    pub secrets: CredentialArgs,

    /// How sandboxes are made
    #[command(flatten)]
    pub place: PlaceArgs,

    /// Open a shell in the sandbox of the first step that fails
    #[arg(long)]
    pub shell_on_failure: bool,

    /// Folder for archived artifacts [default: PROJECT/.cofferdam/artifacts]
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,

    /// Ask the registry for every image, even where it is in the store
    #[arg(long)]
    pub pull: bool,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// A tree on a terminal, lines elsewhere
    Auto,
    /// A live tree of stages
    Tree,
    /// Lines with the stage before each
    Plain,
    /// The log as Jenkins prints it
    Jenkins,
    /// Only the end
    Quiet,
}

/// What sandboxes may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Network {
    /// Everything but private, link-local and host addresses
    Internet,
    /// Nothing
    None,
}

/// Limits of one sandbox; the defaults stand in the guide.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Memory with the writable layer, such as 512M or 4G
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub memory: Option<u64>,
    /// Writable files, such as 2G
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub disk: Option<u64>,
    /// Processes and threads, at least 16
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(16..))]
    pub processes: Option<u32>,
    /// Cores, such as 1.5
    #[arg(long, value_name = "CORES", value_parser = parse_cores)]
    pub cpus: Option<u32>,
    /// Wall clock of a sandbox, such as 90s, 20m or 2h
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ms)]
    pub timeout: Option<u64>,
    /// Log output of a job, such as 100M
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub log: Option<u64>,
}

/// `cofferdam plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// What to look at
    #[command(flatten)]
    pub definition: DefinitionArgs,
    /// How strong the walls are
    #[command(flatten)]
    pub walls: WallArgs,
    /// What a job may use of memory, such as 512M or 4G
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub memory: Option<u64>,
    /// As of `run`
    #[arg(long)]
    pub nested_namespaces: bool,
    /// What runs virtual machines
    #[arg(long, value_enum, default_value_t, value_name = "MONITOR")]
    pub monitor: MonitorChoice,
    /// Network of the sandboxes
    #[arg(long, value_enum, default_value_t = Network::Internet, value_name = "WHAT")]
    pub network: Network,
    /// Engines elsewhere; none of them is asked
    #[command(flatten)]
    pub engines: EngineArgs,
    /// How the plan is printed
    #[arg(long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    pub output: OutputFormat,
}

/// `cofferdam why`.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// Of a definition here
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Instead, what this run of a server waits for, and what would change that
    #[arg(long, value_name = "RUN")]
    pub run: Option<u64>,
    /// The server of --run
    #[arg(long, env = "COFFERDAM_SERVER", default_value = "http://127.0.0.1:8700", value_name = "URL")]
    pub server: String,
    /// A token of its API
    #[arg(long, env = "COFFERDAM_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
}

/// `cofferdam groovy`.
#[derive(Debug, Args)]
pub struct GroovyArgs {
    /// The script; `-` reads standard input
    pub file: PathBuf,
    /// Print the value of the last expression
    #[arg(long)]
    pub value: bool,
}

/// `cofferdam image`.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Bring images into the store
    Pull {
        /// References such as maven:3 or ghcr.io/org/tool@sha256:…
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
        /// How progress is printed
        #[arg(long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
        output: OutputFormat,
    },
    /// List the images in the store
    Ls {
        /// Only the references
        #[arg(short, long)]
        quiet: bool,
        /// How the list is printed
        #[arg(long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
        output: OutputFormat,
    },
    /// Remove images
    Rm {
        /// References or digests
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
    },
    /// Remove the images that were not used for the longest time, until the store is small enough
    Gc {
        /// What the store may hold, such as 20G; 0 removes every image that is not in use
        #[arg(long, default_value = "20G", value_name = "SIZE", value_parser = parse_size)]
        limit: u64,
    },
    /// Bring in an OCI layout (folder or tar) or an archive of `docker save`
    Import {
        /// The archive or folder
        path: PathBuf,
        /// The name it gets, where the archive has none
        #[arg(long, value_name = "IMAGE")]
        name: Option<String>,
    },
}

/// `cofferdam doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// What runs virtual machines
    #[arg(long, value_enum, default_value_t, value_name = "MONITOR")]
    pub monitor: MonitorChoice,
    /// Engines elsewhere to be asked too
    #[command(flatten)]
    pub engines: EngineArgs,
    /// How the findings are printed
    #[arg(long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    pub output: OutputFormat,
}

/// `cofferdam clean`.
#[derive(Debug, Args)]
pub struct CleanArgs {
    /// Engines elsewhere that killed runs have used
    #[command(flatten)]
    pub engines: EngineArgs,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    pub output: OutputFormat,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }
}
