//! What a run starts with, and how it ended.

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;
use crate::request::FailureKind;

/// Facts about a run that its pipeline can see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    /// `JOB_NAME`: full path of the project.
    pub job_name: String,
    /// `BUILD_NUMBER`, from 1.
    pub build_number: u64,
    /// Milliseconds since 1970.
    pub started_at_ms: u64,
    /// Result of the last completed run of the project.
    pub previous: Option<Outcome>,
    /// Nothing is run: replies are invented, so that a stage that fails says nothing about the next ones.
    pub planning: bool,
    /// The definition comes from a repository: `checkout scm` and the implicit checkout work.
    pub has_scm: bool,
    /// Why it runs.
    pub causes: Vec<BuildCause>,
    /// Where its server is, without a slash at its end: `JENKINS_URL`, `JOB_URL`, `BUILD_URL` and `RUN_DISPLAY_URL` are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_url: Option<String>,
    /// More variables: `BRANCH_NAME`, `CHANGE_ID`, `TAG_NAME` …
    pub env: Vec<(String, String)>,
    /// Values of parameters, as text.
    pub params: Vec<(String, String)>,
    /// A declarative pipeline begins with this stage; those before it are skipped (Jenkins' *Restart from Stage*).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_from: Option<String>,
}

/// Why a run was started, in Jenkins' terms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildCause {
    /// Java class name: `hudson.model.Cause$UserIdCause`, `hudson.triggers.TimerTrigger$TimerTriggerCause` …
    pub class: String,
    /// `Started by user alice`.
    pub description: String,
    /// The user id, where there is one.
    pub user: Option<String>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnd {
    /// Its result.
    pub outcome: Outcome,
    /// Whose fault, where a request that could not be done ended it.
    pub failure: Option<FailureKind>,
    /// A `timeout` ended it.
    pub timed_out: bool,
    /// It was aborted from outside.
    pub aborted: bool,
    /// What ended it, in words.
    pub message: Option<String>,
}

impl RunEnd {
    /// Of a run that was ended without its engine.
    pub fn aborted(reason: &str) -> RunEnd {
        RunEnd { aborted: true, ..RunEnd::failed(Outcome::Aborted, None, reason) }
    }

    /// Of a run that could not go on.
    pub fn failed(outcome: Outcome, failure: Option<FailureKind>, message: &str) -> RunEnd {
        RunEnd { outcome, failure, timed_out: false, aborted: false, message: Some(message.to_owned()) }
    }
}
