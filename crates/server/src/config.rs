//! What an operator says of the server, and of projects.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use blob::Blobs;
use model::limits::{MAX_ARTIFACT_BYTES, MAX_RUN_ARTIFACT_BYTES, MAX_RUN_ARTIFACTS};
use model::outcome::Outcome;
use model::read::MAX_READ_BYTES;
use model::resources::Resources;
use model::rung::Trust;
use scm::Forge;
use serde::{Deserialize, Serialize};
use store::{ArtifactLimits, Keys, Run};
use utoipa::ToSchema;
use wire::agent::{Login, Source};

use crate::clock::Clock;
use crate::github_app;
use crate::http::description;
use crate::policy::{Grant, Role};
use crate::tls::TlsFiles;
use crate::traces::OtlpConfig;

mod named;

pub use named::{LibraryConfig, PodTemplateConfig, ToolConfig};

/// How the server works.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// `sqlite:PATH` or `postgres://…`.
    pub database: String,
    /// With which what is confidential lies there sealed.
    pub keys: Arc<Keys>,
    /// The file that the first token of the API is written to, for nobody else to read.
    pub first_token: PathBuf,
    /// How long an agent may be away before what it holds is taken from it.
    pub agent_patience: Duration,
    /// What an agent may say of one run before it is heard, in bytes: who says more is cut off. Agents in good order stay far below.
    pub agent_backlog_bytes: usize,
    /// What a run may read into its pipeline, in bytes of all that it captures: it is remembered as long as the run, for the next engine.
    pub run_read_bytes: usize,
    /// What webhooks may have here at once, in bytes of their bodies, before it is known who has sent them.
    pub unvouched_bytes: usize,
    /// Where people find it: what links in forges lead to. `None`: where it listens.
    pub url: Option<String>,
    /// It speaks TLS itself.
    pub tls: Option<TlsFiles>,
    /// Who says who people are, beside their passwords.
    pub oidc: Option<OidcConfig>,
    /// Where blobs are (logs, artifacts, stashes): `file:///…`, `s3://BUCKET/PREFIX`, `gs://…`, `az://…`. `None`: the folder `blobs` beside the first token.
    pub blobs: Option<BlobPlace>,
    /// Where traces of runs go.
    pub otlp: Option<OtlpConfig>,
    /// Folder with files of projects.
    pub projects: Option<PathBuf>,
    /// What runs may archive.
    pub artifacts: ArtifactLimits,
    /// Where the time of day comes from.
    pub clock: Clock,
}

/// Where blobs are.
#[derive(Clone, Debug)]
pub enum BlobPlace {
    /// By URL.
    Url(String),
    /// There: it is open already.
    Open(Blobs),
}

impl ServerConfig {
    /// How it is spoken to where nobody says otherwise.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The defaults, for a database.
    pub fn new(
        listen: SocketAddr,
        database: impl Into<String>,
        keys: Keys,
        first_token: impl Into<PathBuf>,
    ) -> ServerConfig {
        let (database, keys, first_token) = (database.into(), Arc::new(keys), first_token.into());
        ServerConfig {
            listen,
            database,
            keys,
            first_token,
            agent_patience: Duration::from_secs(60),
            agent_backlog_bytes: 256 << 20,
            run_read_bytes: MAX_READ_BYTES,
            unvouched_bytes: 256 << 20,
            url: None,
            tls: None,
            oidc: None,
            blobs: None,
            otlp: None,
            projects: None,
            artifacts: ArtifactLimits {
                file_bytes: MAX_ARTIFACT_BYTES,
                run_bytes: MAX_RUN_ARTIFACT_BYTES,
                run_files: MAX_RUN_ARTIFACTS,
            },
            clock: Clock::Machine,
        }
    }
}

/// A provider of OpenID Connect.
#[derive(Clone)]
pub struct OidcConfig {
    /// What people call it.
    pub name: String,
    /// Its address.
    pub issuer: String,
    /// What it calls this server.
    pub client_id: String,
    /// What this server says to it.
    pub client_secret: Option<String>,
    /// What somebody may who comes for the first time; `None`: they have to be known before.
    pub newcomers: Option<Vec<Grant>>,
}

impl std::fmt::Debug for OidcConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OidcConfig").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// How a project is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectConfig {
    /// Where its files are.
    pub source: ProjectSource,
    /// Name of its definition there.
    #[serde(default = "jenkinsfile")]
    pub file: String,
    /// Its forge, where that is to tell of pushes and pull requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookConfig>,
    /// Its forge, where that is to be told how runs of its commits go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportConfig>,
    /// Who may do what to it, by their names, beside what they are granted otherwise; `*` is everybody who may come in. Admins are none of a project's
    /// own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub people: BTreeMap<String, Role>,
    /// Its agents: a label, or an expression of labels (`linux && !arm`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its share of places, in proportion to those of other projects. `None`: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub weight: Option<NonZeroU32>,
    /// Runs of it that are under way at once, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// Memory that each of its jobs may use, in MiB, and that a run of it takes of its agent's; none: what the agent gives to each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// The same of processors, in thousandths of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u64>,
    /// Of one branch no run begins while another is under way (`disableConcurrentBuilds`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// Of its runs, where nobody says another: among those of the project the larger goes first.
    #[serde(default)]
    pub priority: i32,
    /// A run that has waited so many minutes is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_minutes: Option<u64>,
    /// Runs of strangers' code wait until somebody approves each.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approve_strangers: bool,
    /// Everybody may see whether its last run was well, and nothing else of it: as a badge.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public_badge: bool,
    /// Pull requests are run as merged with their target, and again whenever that has moved. Its forge has to be known (`report`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub merge_requests: bool,
    /// So often its forge is asked what is new there, in minutes, whatever webhooks say. Where no forge is known (`report`), its repository is
    /// asked for branches and tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_minutes: Option<u64>,
    /// When it is run without anybody asking, as Jenkins' `cron` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// When it is run because others were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamConfig>,
    /// Runs that are kept: so many of the last. `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_runs: Option<u64>,
    /// Runs that are kept: those that ended within so many days. `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u64>,
    /// Projects whose runs on protected branches may start runs of this one (`build`); `*` is all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub started_by: Vec<String>,
    /// Projects whose runs on protected branches have what its own have archived (`copyArtifacts`); `*` is all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copied_by: Vec<String>,
    /// The name under which its runs exclude those of other projects that say the same (`lock`); none: its own runs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locks: Option<String>,
    /// Steps of plugins that would bring something to another system are recorded, and its runs go on; else a run that comes to one fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub record_deliveries: bool,
    /// Shared libraries that its definitions find by their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub libraries: Vec<LibraryConfig>,
    /// Where tools are that its definitions ask for by their names, as the places of its runs have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolConfig>,
    /// Templates of pods that its definitions use by their names and labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pod_templates: Vec<PodTemplateConfig>,
    /// Branches that only those who are trusted push to; of the source's own branch it is so anyway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protected: Vec<String>,
}

/// Whose ends have a project run, as Jenkins' `upstream` says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Each run of one of these, if it is of protected code.
    pub projects: Vec<String>,
    /// And has ended no worse than this.
    #[serde(default = "success")]
    #[schema(schema_with = description::outcome)]
    pub threshold: Outcome,
}

/// What a forge tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HookConfig {
    /// Which kind.
    #[schema(schema_with = description::forge)]
    pub forge: Forge,
    /// What it signs with.
    pub secret: String,
}

/// What a forge is told with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportConfig {
    /// Which kind.
    #[schema(schema_with = description::forge)]
    pub forge: Forge,
    /// `https://git.example.org/api/v1`; of public services it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// `org/app`
    pub repository: String,
    /// Who may set statuses.
    #[serde(default)]
    pub token: String,
    /// Of GitHub, instead of a token: it is told by checks then, which only apps may write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<GithubApp>,
    /// It is only asked, and told nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
}

/// An app of GitHub, and where it is installed.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GithubApp {
    /// Its client id, or its number.
    pub id: String,
    /// The number of the installation.
    pub installation: u64,
    /// Its private key, as PEM.
    pub key: String,
}

impl std::fmt::Debug for GithubApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GithubApp")
            .field("id", &self.id)
            .field("installation", &self.installation)
            .finish_non_exhaustive()
    }
}

impl ReportConfig {
    /// Where it is told.
    pub fn api(&self) -> Option<&str> {
        self.api.as_deref().or_else(|| scm::public_api(self.forge))
    }
}

fn success() -> Outcome {
    Outcome::Success
}

fn jenkinsfile() -> String {
    "Jenkinsfile".to_owned()
}

/// Where a project's files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProjectSource {
    /// A folder of the agents' machine.
    Folder(String),
    /// A repository by its address, and the branch that is built where nobody says otherwise.
    Git {
        /// `https://…`
        url: String,
        /// Its branch.
        #[serde(default = "main")]
        branch: String,
        /// Who agents are to it when they fetch. No workload sees it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Fetcher>)]
        login: Option<Login>,
    },
}

/// Who fetches.
#[derive(ToSchema)]
#[allow(dead_code, reason = "described, as `wire` has it, which describes nothing")]
struct Fetcher {
    user: String,
    /// Or a token that stands for one.
    password: String,
}

/// What is shown instead of a secret.
pub(crate) const HIDDEN: &str = "…";

fn main() -> String {
    "main".to_owned()
}

impl ProjectSource {
    /// The address of its repository, as its runs know it (whose log in stands elsewhere): a folder of an agent's machine has none.
    pub fn address(&self) -> Option<String> {
        match self {
            ProjectSource::Folder(_) => None,
            ProjectSource::Git { url, .. } => Some(url.clone()),
        }
    }

    /// The branch that is built where nobody says otherwise.
    pub fn branch(&self) -> Option<&str> {
        match self {
            ProjectSource::Folder(_) => None,
            ProjectSource::Git { branch, .. } => Some(branch),
        }
    }

    /// What it is fetched with.
    pub(crate) fn password(&self) -> Option<&str> {
        match self {
            ProjectSource::Folder(_) => None,
            ProjectSource::Git { login, .. } => login.as_ref().map(|login| login.password.as_str()),
        }
    }
}

impl ProjectConfig {
    /// What cannot be meant.
    pub fn unfit(&self) -> Option<&'static str> {
        let report = self.report.as_ref();
        let app = report.and_then(|report| report.app.as_ref());
        let (hook, token) = (self.hook.as_ref().map(|hook| &hook.secret), report.map(|report| &report.token));
        let secrets = [hook, token, app.map(|app| &app.key)].into_iter().flatten().map(String::as_str);
        let of_libraries = self.libraries.iter().filter_map(|library| library.login.as_ref());
        let passwords = self.source.password().into_iter().chain(of_libraries.map(|login| login.password.as_str()));
        if secrets.chain(passwords).any(|secret| secret == HIDDEN) {
            return Some("a secret that reads `…` is what is shown instead of one: give it, or leave it out");
        }
        if self.people.values().any(|role| *role == Role::Admin) {
            return Some("people: whoever is an admin is one by `people put`");
        }
        if app.is_some() && report.is_some_and(|report| report.forge != Forge::Github) {
            return Some("only GitHub has such apps");
        }
        if app.is_some_and(|app| github_app::key_pair(&app.key).is_none()) {
            return Some("the key of an app is an RSA key in PEM, as GitHub hands it out");
        }
        let url = match &self.source {
            ProjectSource::Git { url, .. } => Some(url.as_str()),
            ProjectSource::Folder(_) => None,
        };
        if self.libraries.iter().any(|library| library.name.is_empty() || library.name.contains('@')) {
            return Some("the name of a library is what definitions call it, without `@`");
        }
        if self.tools.iter().any(|tool| !tool.installed().is_fit()) {
            return Some("a tool has a name, and a folder that begins with `/` and has no `:`");
        }
        if let Some(flaw) = named::flaw_of_pods(&self.pod_templates) {
            return Some(flaw);
        }
        let urls = [url, self.report.as_ref().and_then(|report| report.api.as_deref())];
        let urls = urls.into_iter().chain(self.libraries.iter().map(|library| Some(library.url.as_str())));
        let authority =
            |url: &str| url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().map(str::to_owned);
        let has_login = urls.flatten().filter_map(authority).any(|authority| authority.contains('@'));
        has_login
            .then_some("an address is shown to everybody, so it has no name and password in it: give them as `login`")
    }

    /// Whether runs of that project may start runs of this one.
    pub(crate) fn may_be_started_by(&self, project: &str) -> bool {
        self.started_by.iter().any(|name| name == "*" || name == project)
    }

    /// Whether runs of that project may have what its own have archived.
    pub(crate) fn may_be_copied_by(&self, project: &str) -> bool {
        self.copied_by.iter().any(|name| name == "*" || name == project)
    }

    /// Whether its branches are found, and are jobs of their own: as in Jenkins' multibranch projects, and unlike in others that have a definition in git.
    pub(crate) fn has_branches(&self) -> bool {
        self.hook.is_some() || self.report.is_some() || self.poll_minutes.is_some()
    }

    /// Whether its forge is told how its runs go.
    pub(crate) fn reports(&self) -> bool {
        self.report.as_ref().is_some_and(|report| !report.silent)
    }

    /// Without what is secret.
    pub fn told(&self) -> ProjectConfig {
        let hook = self.hook.as_ref().map(|hook| HookConfig { secret: HIDDEN.to_owned(), ..hook.clone() });
        let report = self.report.as_ref().map(|report| {
            let app = report.app.as_ref().map(|app| GithubApp { key: HIDDEN.to_owned(), ..app.clone() });
            let token = if report.token.is_empty() { "" } else { HIDDEN };
            ReportConfig { token: token.to_owned(), app, ..report.clone() }
        });
        let mut source = self.source.clone();
        if let ProjectSource::Git { login: Some(login), .. } = &mut source {
            HIDDEN.clone_into(&mut login.password);
        }
        let mut libraries = self.libraries.clone();
        for login in libraries.iter_mut().filter_map(|library| library.login.as_mut()) {
            HIDDEN.clone_into(&mut login.password);
        }
        ProjectConfig { source, hook, report, libraries, ..self.clone() }
    }

    /// What a run of it uses of an agent.
    pub fn resources(&self) -> Resources {
        Resources { memory_mib: self.memory_mib.unwrap_or_default(), cpu_millis: self.cpu_millis.unwrap_or_default() }
    }

    /// Whose code a branch has.
    pub fn trust_of(&self, branch: &str) -> Trust {
        let is_own = matches!(&self.source, ProjectSource::Git { branch: own, .. } if own == branch);
        if is_own || self.protected.iter().any(|protected| protected == branch) {
            Trust::Protected
        } else {
            Trust::Member
        }
    }

    /// Whether its forge is looked at, or where none is known its repository.
    pub(crate) fn is_looked_at(&self) -> bool {
        self.poll_minutes.is_some() || self.report.is_some() && self.merge_requests
    }

    /// What a run is made from.
    pub(crate) fn source_of(&self, run: &Run) -> Source {
        match &self.source {
            ProjectSource::Folder(path) => Source::Folder { path: path.clone() },
            ProjectSource::Git { url, branch, login } => Source::Git {
                url: url.clone(),
                login: login.clone(),
                revision: run.revision.as_ref().unwrap_or(branch).clone(),
                commit: run.commit.clone(),
                merge: run.merge.clone(),
            },
        }
    }
}
