//! The protocol between an agent and the server: JSON messages over one WebSocket that the agent opens.
//!
//! ```text
//!   agent                                       server
//!    |  FromAgent::Hello  --------------------> |   what it holds still
//!    | <---------------------  ToAgent::Lease   |   a run, with an epoch
//!    |  FromAgent::Found  --------------------> |   its definition
//!    | <----------------------  ToAgent::Tell   |   words for its engine: the first of them start one
//!    |  FromAgent::Said *  -------------------> |
//!    | <------------------- ToAgent::Heard *    |   some may be on their way, no more
//!    | <------------------- ToAgent::Perform *  |   requests, at most once each
//!    |  FromAgent::Report *, Answered *  -----> |   again and again until they are kept
//!    | <---------------------  ToAgent::Kept *  |
//!    | <-------------------  ToAgent::Release   |
//! ```
//!
//! A connection may break at any message. Then the agent goes on with what it holds, keeps what nobody has acknowledged, and says all of that
//! again on the next one; the server starts the engine anew and asks again for what is not answered. Everything bears the epoch of its
//! lease, and what bears an old one is nobody's.
//!
//! Each side is hostile to the other.

use std::collections::BTreeMap;

use model::added_step::StepFile;
use model::event::{Event, LogSource};
use model::ids::{JobId, RequestId, RunId, StageId, StepId};
use model::request::{Failure, Reply, Request};
use model::resources::Resources;
use model::run::RunFacts;
use model::rung::{Needs, Rung, Trust};
use serde::{Deserialize, Serialize};

use crate::engine::{Finding, Said, Word};

/// Version of these messages; both sides must have the same.
pub const VERSION: u32 = 20;
/// The longest message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = crate::engine::MAX_LINE_BYTES + 4096;
/// So many messages with words of one engine may be on their way; until one is heard, an agent does not listen to that engine.
pub const MAX_SAID: usize = 8;
/// The most that one report has.
pub const MAX_REPORT: usize = 8000;

/// A lease of a run, or of one of its jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lease {
    /// Of which run.
    pub run: RunId,
    /// Which of its leases: each next one is higher. Those of jobs are higher than any of the run's own.
    pub epoch: u64,
}

impl Lease {
    /// Epochs from here on are of jobs, by their numbers.
    const JOBS: u64 = 1 << 48;

    /// Of a job that is at another agent than its run. A job has one, once.
    pub fn of_job(run: RunId, job: JobId) -> Lease {
        Lease { run, epoch: Lease::JOBS | job.0 }
    }

    /// Of which job it is; `None`: it is the run's own.
    pub fn job(&self) -> Option<JobId> {
        (self.epoch >= Lease::JOBS).then_some(JobId(self.epoch & !Lease::JOBS))
    }
}

/// What only the agent that has a lease knows of it: it comes with [`ToAgent::Lease`], and goes with what is sent for the lease over other
/// connections. Whoever prints it sees nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseToken(pub String);

impl std::fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LeaseToken")
    }
}

/// Where a definition and its project's files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A folder of the agent's machine, as it lies there. Only agents that were told so take it.
    Folder {
        /// Absolute path.
        path: String,
    },
    /// A repository.
    Git {
        /// Its address: `https://…`, or `http://…`.
        url: String,
        /// Branch, tag or commit.
        revision: String,
        /// The commit of it that is meant, where that is known.
        commit: Option<String>,
        /// Who fetches it; nobody in particular, where that is enough.
        #[serde(default)]
        login: Option<Login>,
        /// What it is merged with before it is run.
        #[serde(default)]
        merge: Option<Merge>,
    },
}

/// The other side of a merge: where a pull request is to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    /// Its full name: `refs/heads/main`.
    pub reference: String,
    /// Its commit.
    pub commit: String,
}

/// A name and a secret, for one repository. Whoever prints it sees the name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The name.
    pub user: String,
    /// A password, or a token that stands for one.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A shared library that definitions of a project find by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedLibrary {
    /// Its name.
    pub name: String,
    /// The address of its repository: `https://…`, or `http://…`.
    pub url: String,
    /// The branch, tag or commit for those who name none; `None`: its default branch.
    #[serde(default)]
    pub version: Option<String>,
    /// Who fetches it.
    #[serde(default)]
    pub login: Option<Login>,
}

/// What an agent has for runs, as far as a server chooses by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offers {
    /// Rungs that its sandboxes can have.
    pub rungs: Vec<Rung>,
    /// A job can have a Docker Engine of its own.
    pub engine: bool,
    /// Digests of images that it need not fetch, those that were used last first.
    pub images: Vec<String>,
    /// For all runs together.
    #[serde(default)]
    pub resources: Resources,
}

impl Offers {
    /// Whether a run that needs this can be there, as far as labels do not say it.
    pub fn satisfies(&self, needs: &Needs) -> bool {
        self.rungs.iter().any(|rung| *rung >= needs.rung) && (self.engine || !needs.engine)
    }
}

/// From an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromAgent {
    /// Its first word.
    Hello {
        /// See [`VERSION`].
        version: u32,
        /// How many runs it takes at once.
        runs: u32,
        /// Leases that it holds, from former connections.
        held: Vec<Lease>,
        /// What it is, for projects that ask for such agents.
        #[serde(default)]
        labels: Vec<String>,
        /// What it has.
        offers: Offers,
    },
    /// It has other things than it said before.
    Offers(Offers),
    /// What a run's definition is.
    Found {
        /// Of which lease.
        lease: Lease,
        /// Its text, or why there is none.
        definition: Result<Definition, Failure>,
    },
    /// Words of the engine, in their order.
    Said {
        /// Of which lease.
        lease: Lease,
        /// Which engine of this lease: counted by the server in [`ToAgent::Tell`].
        engine: u64,
        /// What.
        said: Vec<Said>,
    },
    /// The engine has ended without a last word.
    EngineLost {
        /// Of which lease.
        lease: Lease,
        /// Which engine.
        engine: u64,
        /// In words.
        reason: String,
    },
    /// What came of a request.
    Answered {
        /// Of which lease.
        lease: Lease,
        /// Which request.
        id: RequestId,
        /// What.
        reply: Reply,
    },
    /// Everything of a lease that was to be released has ended, and was said.
    Released {
        /// Which.
        lease: Lease,
    },
    /// What is known of a definition that was to be read.
    Checked {
        /// Which: [`ToAgent::Check`].
        id: u64,
        /// It; or why it could not be read at all.
        found: Result<Checked, Failure>,
    },
    /// What happened at the agent.
    Report {
        /// Of which lease.
        lease: Lease,
        /// How much was reported of this lease before.
        first: u64,
        /// In its order.
        items: Vec<Item>,
    },
}

/// A definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its text.
    pub text: String,
    /// The commit that it is of; all that follows is of this one, or of its merge.
    pub commit: Option<String>,
    /// Of a merge, the tree that came of it.
    #[serde(default)]
    pub tree: Option<String>,
    /// Of a tag, when it was made, or else its commit: in seconds since 1970.
    #[serde(default)]
    pub tagged_at: Option<u64>,
    /// Of the folder in which its project has steps of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepFile>,
}

/// Something that happened at an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// A line of the log.
    Line(LogLine),
    /// Anything else.
    Event {
        /// Milliseconds since 1970.
        at: u64,
        /// It.
        event: Event,
    },
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written, in milliseconds since 1970.
    pub at: u64,
    /// By which step.
    pub step: Option<StepId>,
    /// In which stage.
    pub stage: Option<StageId>,
    /// By whom.
    pub source: LogSource,
    /// Without its line break.
    pub text: String,
}

impl FromAgent {
    /// Which lease it is about.
    pub fn lease(&self) -> Option<Lease> {
        match self {
            FromAgent::Hello { .. } | FromAgent::Offers(_) | FromAgent::Checked { .. } => None,
            FromAgent::Found { lease, .. }
            | FromAgent::Said { lease, .. }
            | FromAgent::EngineLost { lease, .. }
            | FromAgent::Answered { lease, .. }
            | FromAgent::Released { lease }
            | FromAgent::Report { lease, .. } => Some(*lease),
        }
    }
}

/// What is to be known of a definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// What is wrong or odd in this text. Answer: [`Checked::Findings`].
    Text(String),
    /// What a run of it would ask for. Answer: [`Checked::Plan`].
    Plan {
        /// Which run.
        run: RunId,
        /// Where its definition is.
        source: Box<Source>,
        /// Name of that file.
        file: String,
        /// What the run starts with.
        facts: Box<RunFacts>,
        /// The libraries that it may ask for.
        #[serde(default)]
        libraries: Vec<SharedLibrary>,
    },
}

/// What is known of a definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checked {
    /// Errors among them or not.
    Findings(Vec<Finding>),
    /// See [`model::planning`].
    Plan(Plan),
}

/// What a run would ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The definition that it is of.
    pub definition: Definition,
    /// Names of its stages, in the order in which they would begin.
    pub stages: Vec<String>,
    /// The places that it asks for ([`model::planning::place`]), in their order, each once.
    pub places: Vec<String>,
    /// Why there may be more than that, in words: the definition is not valid, or a part of it depends on what only a run brings.
    pub incomplete: Option<String>,
}

/// To an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToAgent {
    /// It has this run from now on, or this job of one that is at another agent: then there is no engine to be started, and what it finds of
    /// the definition is nothing new.
    Lease {
        /// Which.
        lease: Lease,
        /// Its own.
        token: LeaseToken,
        /// Where its definition is.
        source: Source,
        /// Name of the definition's file.
        file: String,
        /// Name of the project.
        project: String,
        /// Whose code it is; it asks for a rung at least.
        trust: Trust,
        /// What each of its jobs may use, where its project says so: instead of what the agent gives to others.
        #[serde(default)]
        resources: Resources,
        /// The libraries that it may ask for.
        #[serde(default)]
        libraries: Vec<SharedLibrary>,
        /// How much of it was reported before.
        reported: u64,
    },
    /// Words for the engine. Where the first is [`Word::Begin`], a new one is started for it.
    Tell {
        /// Of which lease.
        lease: Lease,
        /// Which engine.
        engine: u64,
        /// What.
        words: Vec<Word>,
    },
    /// A message with words of that engine was written down, and acted upon.
    Heard {
        /// Of which lease.
        lease: Lease,
        /// Which engine.
        engine: u64,
    },
    /// To be done. One that was asked before is not done again; its answer is said again.
    Perform {
        /// Of which lease.
        lease: Lease,
        /// Its id.
        id: RequestId,
        /// What.
        request: Request,
    },
    /// That request is to end early.
    Cancel {
        /// Of which lease.
        lease: Lease,
        /// Which.
        id: RequestId,
    },
    /// An answer was kept.
    AnswerKept {
        /// Of which lease.
        lease: Lease,
        /// To which request.
        id: RequestId,
    },
    /// So much of what was reported is kept.
    Kept {
        /// Of which lease.
        lease: Lease,
        /// How much in all.
        reported: u64,
    },
    /// It has this lease no more: everything of it is to be ended.
    Release {
        /// Which.
        lease: Lease,
        /// Nobody wants to hear of it any more, not even what is not kept.
        forget: bool,
    },
    /// Read a definition, and say what is to be known of it; nothing of it is run.
    Check {
        /// By which the answer is known.
        id: u64,
        /// Which.
        what: Check,
    },
    /// So many runs of each project wait for any agent. What is not said again fades.
    Waiting {
        /// By the project's name.
        projects: BTreeMap<String, u64>,
    },
}
