//! Projects, as a server has them.

use std::path::PathBuf;

use agent::KnownLibrary;
use clap::{Args, Subcommand, ValueEnum};
use model::run::InstalledTool;

use super::PodTemplateFlag;
use super::parse::{parse_cores, parse_library, parse_memory, parse_person, parse_pod_template, parse_tool};
use super::server::ClientArgs;

/// `cofferdam projects`.
#[derive(Debug, Subcommand)]
pub enum ProjectsCommand {
    /// List them
    Ls {
        /// Which server
        #[command(flatten)]
        client: ClientArgs,
    },
    /// How one is run, without what is secret
    Show {
        /// Its name: folder/app
        name: String,
        /// Which server
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Make one, or change it
    Put(Box<PutArgs>),
    /// What the definitions of its branches say: when they are run, what is kept, which parameters they take
    Branches {
        /// Its name: folder/app
        name: String,
        /// Which server
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// `cofferdam projects put`.
#[derive(Debug, Args)]
pub struct PutArgs {
    /// Its name: folder/app
    pub name: String,
    /// Its repository
    #[arg(long, value_name = "URL", required_unless_present = "folder", conflicts_with = "folder")]
    pub git: Option<String>,
    /// The branch that is built where nobody says otherwise
    #[arg(long, default_value = "main", value_name = "NAME")]
    pub branch: String,
    /// Name that agents fetch it with; what tokens stand for a password with differs by forge, and most take any
    #[arg(long, default_value = "cofferdam", value_name = "NAME")]
    pub git_user: String,
    /// File with the password or token that agents fetch it with: its first line. No workload sees it
    #[arg(long, value_name = "FILE", requires = "git")]
    pub git_password_file: Option<PathBuf>,
    /// A folder of the agents' machine, where they take any
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Its definition
    #[arg(long, default_value = "Jenkinsfile", value_name = "PATH")]
    pub file: String,
    /// Its forge, which tells of pushes and pull requests at SERVER/hooks/NAME
    #[arg(long, value_enum, value_name = "FORGE", requires = "hook_secret_file")]
    pub hook: Option<ForgeChoice>,
    /// File with what the forge signs with: its first line
    #[arg(long, value_name = "FILE", requires = "hook")]
    pub hook_secret_file: Option<PathBuf>,
    /// Its forge, which is told how runs of its commits go
    #[arg(long, value_enum, value_name = "FORGE", requires = "report_repository")]
    pub report: Option<ForgeChoice>,
    /// Name of the repository there: org/app
    #[arg(long, value_name = "NAME", requires = "report")]
    pub report_repository: Option<String>,
    /// File with the token that may set statuses: its first line
    #[arg(long, value_name = "FILE", requires = "report", conflicts_with = "report_app")]
    pub report_token_file: Option<PathBuf>,
    /// Instead of a token, an app of GitHub by its client id: it is told by checks
    #[arg(long, value_name = "ID", requires_all = ["report", "report_installation", "report_key_file"])]
    pub report_app: Option<String>,
    /// The number of the app's installation there
    #[arg(long, value_name = "N", requires = "report_app")]
    pub report_installation: Option<u64>,
    /// File with the app's private key, as GitHub hands it out (PEM)
    #[arg(long, value_name = "FILE", requires = "report_app")]
    pub report_key_file: Option<PathBuf>,
    /// Only ask it, whether what webhooks say is so: a token that may read will do
    #[arg(long, requires = "report")]
    pub report_nothing: bool,
    /// Address of its API [default: that of the public service]
    #[arg(long, value_name = "URL", requires = "report")]
    pub report_api: Option<String>,
    /// Its agents: a label, or an expression of labels: 'linux && !arm'
    #[arg(long, value_name = "LABELS")]
    pub label: Option<String>,
    /// Its share of places, in proportion to other projects
    #[arg(long, value_name = "N")]
    pub weight: Option<std::num::NonZeroU32>,
    /// A project whose runs on protected branches may start runs of this one (`build`); '*': all of them; may be repeated
    #[arg(long, value_name = "PROJECT")]
    pub started_by: Vec<String>,
    /// A project whose runs on protected branches have what its runs have archived (`copyArtifacts`); '*': all of them; may be repeated
    #[arg(long, value_name = "PROJECT")]
    pub copied_by: Vec<String>,
    /// What `lock` excludes: the runs of all projects that say the same [default: the project's own]
    #[arg(long, value_name = "NAME")]
    pub locks: Option<String>,
    /// Steps of plugins that would bring something to another system (`s3Upload`) are recorded, and runs go on; else a run that comes to one fails
    #[arg(long)]
    pub record_deliveries: bool,
    /// Runs of it that are under way at once, at most
    #[arg(long, value_name = "N")]
    pub at_once: Option<u32>,
    /// Memory that each of its jobs may use, such as 8G; a run goes to an agent that has as much free
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub memory: Option<u64>,
    /// Processors that each of its jobs may use; a run goes to an agent that has as many free
    #[arg(long, value_name = "N", value_parser = parse_cores)]
    pub cpus: Option<u32>,
    /// Of one branch no run begins while another is under way
    #[arg(long)]
    pub alone: bool,
    /// End a run that has waited so long for an agent
    #[arg(long, value_name = "MINUTES")]
    pub queue_minutes: Option<u64>,
    /// Pull requests are run as merged with their target, and again whenever that has moved
    #[arg(long, requires = "report")]
    pub merge: bool,
    /// Ask the forge so often what is new there, whatever webhooks say
    #[arg(long, value_name = "MINUTES", requires = "report")]
    pub poll: Option<u64>,
    /// Runs of strangers' code (pull requests from forks) wait until somebody approves each
    #[arg(long)]
    pub approve_strangers: bool,
    /// Who may do what to it, beside what they are granted otherwise: 'alice=developer', or '*=reader' for everybody with an account
    #[arg(long = "person", value_name = "NAME=ROLE", value_parser = parse_person)]
    pub people: Vec<(String, String)>,
    /// Everybody may see the badge of its last run, without a token, and nothing else of it
    #[arg(long)]
    pub public_badge: bool,
    /// A shared library that its definitions find as `@Library('NAME')`, by the address of its repository; VERSION is for those who name
    /// none. May be repeated
    #[arg(long = "library", value_name = "NAME=URL[@VERSION]", value_parser = parse_library)]
    pub libraries: Vec<KnownLibrary>,
    /// Of these libraries, one that definitions have without asking; may be repeated
    #[arg(long = "load-library", value_name = "NAME", requires = "libraries")]
    pub load_libraries: Vec<String>,
    /// Where a tool is that `tools { … }` and `tool 'NAME'` of its definitions ask for: its folder in their images, around `bin`. KIND is `maven`,
    /// `jdk` …, for a name that several have. May be repeated
    #[arg(long = "tool", value_name = "[KIND:]NAME=FOLDER", value_parser = parse_tool)]
    pub tools: Vec<InstalledTool>,
    /// A pod (its YAML, as Kubernetes has it) that `inheritFrom 'NAME'` and `agent { label 'NAME' }` of its definitions mean. May be repeated
    #[arg(long = "pod-template", value_name = "NAME=FILE", value_parser = parse_pod_template)]
    pub pod_templates: Vec<PodTemplateFlag>,
    /// When it is run without anybody asking, as Jenkins' cron says it: 'H 3 * * 1-5'
    #[arg(long, value_name = "TEXT")]
    pub cron: Option<String>,
    /// Run it after each run of this project, if that was of protected code and has ended well
    #[arg(long, value_name = "PROJECT")]
    pub upstream: Vec<String>,
    /// What is well enough
    #[arg(long, value_enum, value_name = "OUTCOME", default_value = "success", requires = "upstream")]
    pub upstream_threshold: Threshold,
    /// Keep so many of the last runs
    #[arg(long, value_name = "N")]
    pub keep_runs: Option<u64>,
    /// Keep runs that ended within so many days
    #[arg(long, value_name = "N")]
    pub keep_days: Option<u64>,
    /// A branch that only those who are trusted push to, beside --branch
    #[arg(long = "protected", value_name = "BRANCH")]
    pub protected: Vec<String>,
    /// Which server
    #[command(flatten)]
    pub client: ClientArgs,
}

/// The worst outcome that something follows from.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Threshold {
    /// Nothing was wrong
    Success,
    /// Tests may have failed
    Unstable,
    /// It may have failed
    Failure,
}

impl Threshold {
    /// As the server calls it.
    pub fn name(self) -> &'static str {
        match self {
            Threshold::Success => "SUCCESS",
            Threshold::Unstable => "UNSTABLE",
            Threshold::Failure => "FAILURE",
        }
    }
}

/// Kinds of forges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ForgeChoice {
    /// GitHub
    Github,
    /// GitLab
    Gitlab,
    /// Gitea or Forgejo
    Gitea,
    /// Bitbucket Cloud
    Bitbucket,
    /// Bitbucket Data Center (--report-api https://HOST/rest/api/latest)
    BitbucketDataCenter,
}

impl ForgeChoice {
    /// As the API has it.
    pub fn name(self) -> &'static str {
        match self {
            ForgeChoice::Github => "github",
            ForgeChoice::Gitlab => "gitlab",
            ForgeChoice::Gitea => "gitea",
            ForgeChoice::Bitbucket => "bitbucket",
            ForgeChoice::BitbucketDataCenter => "bitbucket_data_center",
        }
    }
}
