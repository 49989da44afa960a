//! What an evaluated pipeline asks of the world, and what comes back.
//!
//! The evaluator performs nothing: it yields a [`Request`] under a [`crate::ids::RequestId`] and goes on when the matching [`Reply`]
//! arrives. Requests are data, so they can be journalled, replayed, sent over a wire and asserted on in tests.

use serde::{Deserialize, Serialize};

pub use crate::archive::{ArchiveFormat, Unpacked, Unpacking};
use crate::build::{BuildWish, Built};
pub use crate::failure::{Failure, FailureKind};
pub use crate::files::{DigestAlgorithm, FileSet, FoundFile};
pub use crate::pod::PodContainer;
pub use crate::question::{Parameter, Question};

use crate::change::Change;
use crate::copy::CopyWish;
use crate::credential::{Credential, CredentialWish};
use crate::git::GitSource;
use crate::ids::{JobId, RequestId, StepId};
use crate::library::{Library, LibraryWish};
use crate::limits::MAX_STASH_NAME_BYTES;
use crate::lock::LockWish;
use crate::rung::Rung;
use crate::test_result::TestCounts;

/// The folder above all workspaces that an agent makes. Those who share a workspace share what lies in it.
pub const WORKSPACES: &str = "/workspace";

/// Where a job wants to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgentSpec {
    /// `agent any`, `node { }`: the host's own tools.
    Any,
    /// `agent { label 'x' }`, `node('x') { }`: a label expression.
    Label(String),
    /// An image.
    Docker(DockerSpec),
}

/// `agent { docker { … } }` and `docker.image(x).inside(args)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerSpec {
    /// Reference as written.
    pub image: String,
    /// Label of the node below it.
    pub label: Option<String>,
    /// Words for `docker run`, as written.
    pub args: String,
    /// Ask the registry even where the image is in the store.
    pub always_pull: bool,
    /// `registryUrl`.
    pub registry_url: Option<String>,
    /// `registryCredentialsId`.
    pub registry_credentials: Option<String>,
    /// `customWorkspace`.
    pub custom_workspace: Option<String>,
    /// Share the workspace (and node) of this job: `reuseNode true`, and `inside` within a `node`.
    pub workspace_of: Option<JobId>,
    /// It is a container of a pod whose node is `workspace_of`, and shares that one's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Box<PodContainer>>,
}

/// A request. Where no reply is named it is [`Reply::Done`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Make a sandbox. Reply: [`Reply::Allocated`].
    Allocate {
        /// The id that the job has from now on, chosen by the evaluator.
        job: JobId,
        /// Where.
        agent: AgentSpec,
        /// The words of the definition that want a Docker Engine there, of this job alone.
        engine: Option<String>,
        /// The words of the definition that have further sandboxes share its workspace.
        shares: Option<String>,
    },
    /// End a job: destroy its sandbox.
    Release {
        /// Which.
        job: JobId,
    },
    /// Run a shell script. Reply: [`Reply::Exited`].
    Exec {
        /// Where.
        job: JobId,
        /// Whose output it is.
        step: StepId,
        /// What.
        script: ShellScript,
    },
    /// Put the definition's repository into `dir` of the workspace (`checkout scm`). Reply: [`Reply::CheckedOut`].
    Checkout {
        /// Where.
        job: JobId,
        /// Whose output it is.
        step: StepId,
        /// Absolute folder.
        dir: String,
        /// `None` for `scm`; else the repository of `git` or `checkout`.
        source: Option<Box<GitSource>>,
    },
    /// Read a text file. Reply: [`Reply::Text`].
    ReadFile {
        /// Where.
        job: JobId,
        /// Absolute path.
        path: String,
        /// `Base64` or a character set; UTF-8 when absent.
        encoding: Option<String>,
    },
    /// Write a text file, making its parent folders.
    WriteFile {
        /// Where.
        job: JobId,
        /// Absolute path.
        path: String,
        /// Content.
        text: String,
        /// As in `ReadFile`.
        encoding: Option<String>,
    },
    /// Is there a file or folder? Reply: [`Reply::Bool`].
    FileExists {
        /// Where.
        job: JobId,
        /// Absolute path.
        path: String,
    },
    /// Delete a folder with its content.
    DeleteDir {
        /// Where.
        job: JobId,
        /// Absolute path.
        path: String,
    },
    /// Make a folder (and parents).
    MakeDir {
        /// Where.
        job: JobId,
        /// Absolute path.
        path: String,
    },
    /// Make a workspace beside the job's own for its user, also where only root makes folders; one that is there stays whose it is.
    MakeWorkspace {
        /// Where.
        job: JobId,
        /// Absolute path.
        path: String,
    },
    /// Keep files under a name for this run. Reply: [`Reply::Count`].
    Stash {
        /// Where.
        job: JobId,
        /// Name; data, never part of a path on a host.
        name: String,
        /// Which.
        files: FileSet,
        /// Do not fail on an empty set.
        allow_empty: bool,
    },
    /// Bring the files of a stash back.
    Unstash {
        /// Where.
        job: JobId,
        /// Name.
        name: String,
        /// Absolute folder to put them.
        dir: String,
    },
    /// Keep files as artifacts of the run. Reply: [`Reply::Count`].
    Archive {
        /// Where.
        job: JobId,
        /// Which.
        files: FileSet,
        /// The folder of the artifacts that they lie in, with `/` between its parts; none: they lie there as they lay below their folder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        below: Option<String>,
        /// Do not fail on an empty set.
        allow_empty: bool,
    },
    /// Read reports of tests. What is in them happens at the place as [`Event::TestsReported`](crate::event::Event::TestsReported).
    /// Reply: [`Reply::Tests`].
    TestReport {
        /// Where.
        job: JobId,
        /// Whose they are.
        step: StepId,
        /// Which.
        files: FileSet,
    },
    /// Wait. Also the clock of `timeout`: cancelled when no longer needed.
    Sleep {
        /// Milliseconds.
        ms: u64,
    },
    /// The time now. Reply: [`Reply::Time`].
    Now,
    /// Ask people. Reply: [`Reply::Decided`].
    Input(Question),
    /// Find a shared library. Reply: [`Reply::Library`].
    Library(LibraryWish),
    /// Read a file of the definition's own repository, as it is in the revision of the run. Reply: [`Reply::Text`].
    ReadTrusted {
        /// Below the top of the repository.
        path: String,
    },
    /// Give a credential, and put files of it into a sandbox. Reply: [`Reply::Credential`].
    Credential(CredentialWish),
    /// Look which files there are. Reply: [`Reply::Found`].
    FindFiles {
        /// Where.
        job: JobId,
        /// Which.
        files: FileSet,
        /// Folders too, where the patterns fit them.
        folders: bool,
        /// What the folder itself has, and nothing below that.
        is_shallow: bool,
    },
    /// Delete files, and folders with their content; those that are missing are no error.
    Delete {
        /// Where.
        job: JobId,
        /// Absolute paths.
        paths: Vec<String>,
    },
    /// The digest of a file, in hexadecimal digits. Reply: [`Reply::Text`].
    Digest {
        /// Where.
        job: JobId,
        /// Absolute path.
        path: String,
        /// Which digest.
        algorithm: DigestAlgorithm,
    },
    /// Set the time of a file, and make it where it is missing.
    Touch {
        /// Where.
        job: JobId,
        /// Absolute path.
        path: String,
        /// Milliseconds since 1970; `None`: now.
        time_ms: Option<i64>,
    },
    /// What came into the definition's own repository since a commit, up to the revision of the run. Reply: [`Reply::Changes`].
    Changes {
        /// The commit, in hexadecimal digits.
        since: String,
    },
    /// Start a run of another project. Reply: [`Reply::Built`].
    Build(BuildWish),
    /// Pack files into an archive; what links lead to is packed in their place. Reply: [`Reply::Count`].
    Pack {
        /// Where.
        job: JobId,
        /// Which.
        files: FileSet,
        /// Absolute path of the archive.
        archive: String,
        /// What it becomes.
        format: ArchiveFormat,
        /// Replace a file that is there.
        overwrite: bool,
    },
    /// Take an archive apart. Reply: [`Reply::Unpacked`].
    Unpack {
        /// Where.
        job: JobId,
        /// Absolute path of the archive.
        archive: String,
        /// What it is.
        format: ArchiveFormat,
        /// The folder that its files belong into, and which of them.
        files: FileSet,
        /// What for.
        purpose: Unpacking,
    },
    /// Write at the end of a text file, which is made where it is missing, with its parent folders.
    Append {
        /// Where.
        job: JobId,
        /// Absolute path.
        path: String,
        /// What.
        text: String,
    },
    /// Have what no other run is to have meanwhile. Reply: [`Reply::Done`], or `false` where it was not to be had.
    Lock(LockWish),
    /// Have it no more.
    Unlock {
        /// The request by which it was had.
        lock: RequestId,
    },
    /// Be the newest run of its branch that has come so far. Reply: [`Reply::Done`], or [`Reply::Superseded`].
    Milestone {
        /// How far.
        ordinal: i64,
    },
    /// Bring artifacts back that this run has archived. Reply: [`Reply::Count`].
    Unarchive {
        /// Where.
        job: JobId,
        /// Which, and the folder that they go into. A single one whose path is what is asked for, to the letter, goes to that place
        /// itself, unless a folder is there.
        files: FileSet,
    },
    /// Bring what another run has archived. Reply: [`Reply::Copied`].
    Copy {
        /// Where.
        job: JobId,
        /// Whose.
        wish: CopyWish,
        /// Which, and the folder that they go into.
        files: FileSet,
    },
    /// Show these nowhere from now on, whatever the run says. Reply: [`Reply::Count`]: how many of them are too short to be looked for.
    Mask {
        /// Texts; a run has few of them ([`RunFacts::confide`](crate::run::RunFacts::confide)).
        values: Vec<String>,
    },
}

impl Request {
    /// Which job it is of; `None`: it is no job's.
    pub fn job(&self) -> Option<JobId> {
        match self {
            Request::Allocate { job, .. }
            | Request::Release { job }
            | Request::Exec { job, .. }
            | Request::Checkout { job, .. }
            | Request::ReadFile { job, .. }
            | Request::WriteFile { job, .. }
            | Request::FileExists { job, .. }
            | Request::DeleteDir { job, .. }
            | Request::MakeDir { job, .. }
            | Request::MakeWorkspace { job, .. }
            | Request::Stash { job, .. }
            | Request::Unstash { job, .. }
            | Request::Archive { job, .. }
            | Request::TestReport { job, .. }
            | Request::FindFiles { job, .. }
            | Request::Delete { job, .. }
            | Request::Digest { job, .. }
            | Request::Touch { job, .. }
            | Request::Pack { job, .. }
            | Request::Unpack { job, .. }
            | Request::Append { job, .. }
            | Request::Unarchive { job, .. }
            | Request::Copy { job, .. } => Some(*job),
            Request::Credential(wish) => wish.file.as_ref().map(|file| file.job),
            Request::Sleep { .. }
            | Request::Now
            | Request::Input(_)
            | Request::Library(_)
            | Request::ReadTrusted { .. }
            | Request::Changes { .. }
            | Request::Build(_)
            | Request::Lock(_)
            | Request::Unlock { .. }
            | Request::Milestone { .. }
            | Request::Mask { .. } => None,
        }
    }
}

/// Whether a stash may have this name: it is data, and no part of a path, but reads like none either.
pub fn is_stash_name(name: &str) -> bool {
    let is_strange = |c: char| matches!(c, '/' | '\\') || c.is_control();
    (1..=MAX_STASH_NAME_BYTES).contains(&name.len()) && !name.starts_with('.') && !name.contains(is_strange)
}

/// A script for a shell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShellScript {
    /// The text as the author wrote it.
    pub text: String,
    /// `None`: `sh -xe FILE`. Else the words of the `#!` line, run with the file as last argument, without `-xe`.
    pub interpreter: Option<Vec<String>>,
    /// Absolute working folder; made where it is missing.
    pub dir: String,
    /// Variables beyond those of the sandbox; `PATH+X` already resolved except for `PATH` itself.
    pub env: Vec<(String, String)>,
    /// Return standard output instead of logging it.
    pub capture: bool,
    /// Character set of the output; UTF-8 when absent.
    pub encoding: Option<String>,
    /// Files that what is logged is written into as well, as it comes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<LogCopy>,
}

/// A file that a log is written into as well, at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogCopy {
    /// In whose sandbox it is.
    pub job: JobId,
    /// Absolute path.
    pub path: String,
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It was done.
    Done,
    /// The sandbox is there.
    Allocated(Allocated),
    /// The process ended.
    Exited {
        /// Exit code; 128 + N for signal N.
        code: i32,
        /// Standard output where it was captured.
        stdout: Option<String>,
        /// A limit that ended it, in words (`memory limit of 4 GiB`).
        limit: Option<String>,
    },
    /// `GIT_COMMIT`, `GIT_BRANCH`, `GIT_URL` …
    CheckedOut(Vec<(String, String)>),
    /// Content.
    Text(String),
    /// Yes or no.
    Bool(bool),
    /// How many files.
    Count(u64),
    /// Files of another run were brought.
    Copied {
        /// How many.
        count: u64,
        /// The number of that run.
        number: u64,
    },
    /// What was reported of tests.
    Tests {
        /// How many files there were.
        files: u64,
        /// What was in them.
        tests: TestCounts,
    },
    /// Milliseconds since 1970.
    Time(u64),
    /// Somebody has decided.
    Decided {
        /// Who.
        by: String,
        /// What they said of each parameter; `None`: they want it to end here.
        values: Option<Vec<(String, String)>>,
    },
    /// A library.
    Library(Library),
    /// A credential. Never in a journal: a server gives none.
    Credential(Credential),
    /// It could not be done.
    Failed(Failure),
    /// The evaluator cancelled the request, and it has ended.
    Cancelled,
    /// What is there, in the order of the paths.
    Found(Vec<FoundFile>),
    /// The commits, the oldest first; `None`: that commit is none of this history.
    Changes(Option<Vec<Change>>),
    /// A run of another project.
    Built(Built),
    /// What was in an archive.
    Unpacked(Unpacked),
    /// A newer run has been there.
    Superseded {
        /// Its number.
        by: u64,
    },
}

/// A sandbox as a pipeline sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocated {
    /// Absolute workspace folder.
    pub workspace: String,
    /// `NODE_NAME`.
    pub node_name: String,
    /// `NODE_LABELS` and other variables of the place.
    pub env: Vec<(String, String)>,
    /// `PATH` of the place, for `PATH+X`.
    pub path: String,
    /// `HOME` of the place.
    pub home: String,
    /// How strong the walls are.
    pub rung: Option<Rung>,
}
