//! What a run is.

use model::ids::RunId;
use model::outcome::Outcome;
use model::run::RunFacts;
use model::rung::{Needs, Trust};
use model::test_result::TestCounts;
use serde::{Deserialize, Serialize};
use wire::agent::Merge;

use crate::projects::ProjectId;
use crate::{Millis, StoreError};

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It waits for an agent.
    Queued,
    /// An agent has it.
    Running,
    /// It has ended.
    Done,
}

impl Status {
    pub(crate) fn read(word: &str) -> Result<Status, StoreError> {
        match word {
            "queued" => Ok(Status::Queued),
            "running" => Ok(Status::Running),
            "done" => Ok(Status::Done),
            _ => Err(StoreError::Damaged { what: "a run", reason: format!("status {word:?}") }),
        }
    }
}

/// A run that is asked for.
#[derive(Clone, Debug, Default)]
pub struct NewRun {
    /// What it starts with; its number is given by the store.
    pub facts: RunFacts,
    /// Branch, tag or commit.
    pub revision: Option<String>,
    /// The commit that is meant.
    pub commit: Option<String>,
    /// Whose code it is; `None`: anybody's.
    pub trust: Option<Trust>,
    /// What asked for it, where that may ask twice: the second time there is no second run.
    pub delivery: Option<String>,
    /// By what else it is known from then on.
    pub also: Option<String>,
    /// Its forge is to be told how far it is.
    pub reports: bool,
    /// Why nobody gets it until somebody approves it.
    pub held: Option<String>,
    /// What its commit is merged with before it is run.
    pub merge: Option<Merge>,
    /// Among the runs of its project that wait: the larger goes first. `None`: as the project says.
    pub priority: Option<i32>,
    /// What somebody has answered for of it already.
    pub approved: Option<Approved>,
    /// The run in the middle of which it begins: it has what that one had stashed.
    pub stashes_of: Option<RunId>,
}

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Which.
    pub id: RunId,
    /// Of which project.
    pub project: ProjectId,
    /// Name of the project.
    pub project_name: String,
    /// Its number there.
    pub number: u64,
    /// How far it is.
    pub status: Status,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What went wrong, in a word, where something did and is known: `workload`, `infrastructure`, `timeout` …
    pub failure: Option<String>,
    /// What ended it, in words.
    pub message: Option<String>,
    /// What it starts with.
    pub facts: RunFacts,
    /// Branch, tag or commit.
    pub revision: Option<String>,
    /// The commit that is meant.
    pub commit: Option<String>,
    /// Whose code it is.
    pub trust: Trust,
    /// Text of the definition, once it is known.
    pub definition: Option<String>,
    /// Somebody wants it to end, for this reason.
    pub abort_reason: Option<String>,
    /// Of its lease: a report of an older one is refused.
    pub epoch: u64,
    /// Who has it.
    pub agent: Option<u64>,
    /// When it was asked for.
    pub queued_at: Millis,
    /// When an agent took it first.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// Lines of its log.
    pub lines: u64,
    /// Why nobody gets it until somebody approves it.
    pub held: Option<String>,
    /// What its commit is merged with before it is run.
    pub merge: Option<Merge>,
    /// What it turned out to need of its agent.
    pub needs: Option<Needs>,
    /// What it needs of another agent, once it is about to leave the one that has it.
    pub leaves: Option<Needs>,
    /// From when on it goes to any agent, though it waits for one that has what it needs: its engine is to hear that time has passed.
    pub wakes_at: Option<Millis>,
    /// Among the runs of its project that wait: the larger goes first. `None`: as the project says.
    pub priority: Option<i32>,
    /// Tests that it has reported.
    pub tests: TestCounts,
    /// What it calls itself, instead of its number.
    pub display_name: Option<String>,
    /// What it says of itself.
    pub description: Option<String>,
    /// What somebody has answered for, where it was held.
    pub approved: Option<Approved>,
}

/// What somebody answers for of a run that is held, beside its commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// Digest of the definition's text.
    pub definition: String,
    /// Places that it may ask for ([`model::planning::place`]).
    pub places: Vec<String>,
}

/// Runs that have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// They wait for an agent.
    pub queued: u64,
    /// Agents have them.
    pub running: u64,
    /// When the oldest of those that wait was asked for.
    pub oldest_queued_at: Option<Millis>,
}

impl RunCounts {
    /// Of both.
    #[must_use]
    pub fn with(self, other: RunCounts) -> RunCounts {
        let oldest = self.oldest_queued_at.into_iter().chain(other.oldest_queued_at).min();
        let (queued, running) = (self.queued + other.queued, self.running + other.running);
        RunCounts { queued, running, oldest_queued_at: oldest }
    }
}

/// Which runs.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Of these projects.
    pub projects: Option<Vec<ProjectId>>,
    /// Older than this one: the last of the page before.
    pub before: Option<RunId>,
    /// Not ended yet.
    pub unfinished: bool,
    /// Of this revision, by the name that it was asked for with.
    pub revision: Option<String>,
    /// Of this branch, tag or pull request, as pipelines know it.
    pub branch: Option<String>,
    /// At most so many.
    pub limit: u32,
}
