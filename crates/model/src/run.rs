//! What a run starts with, and how it ended.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::added_step::{AddedStep, StepFile};
use crate::outcome::Outcome;
use crate::pod::PodDefinition;
use crate::properties::{Parameter, ParameterKind};
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
    /// `BUILD_NUMBER` of that run, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_number: Option<u64>,
    /// The last runs before it that are over, the newest first, and behind them the last that succeeded, however old it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PastRun>,
    /// The commit of the last run before it: what came since are its changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_commit: Option<String>,
    /// The commit of the first run of its pull request, whose changes count as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_commit: Option<String>,
    /// Nothing is run: replies are invented, so that a stage that fails says nothing about the next ones.
    pub planning: bool,
    /// The definition comes from a repository: `checkout scm` and the implicit checkout work.
    pub has_scm: bool,
    /// The address of that repository, where it is known, without anybody's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Why it runs.
    pub causes: Vec<BuildCause>,
    /// Where its server is, without a slash at its end: `JENKINS_URL`, `JOB_URL`, `BUILD_URL` and `RUN_DISPLAY_URL` are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_url: Option<String>,
    /// More variables: `BRANCH_NAME`, `CHANGE_ID`, `TAG_NAME` …
    pub env: Vec<(String, String)>,
    /// Libraries that it has without asking for them: each as a name, or `name@version`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub libraries: Vec<String>,
    /// Values of parameters, as text.
    pub params: Vec<(String, String)>,
    /// Names of those whose values are shown to nobody: passwords.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
    /// What people have said in confidence since, where it asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confided: Vec<String>,
    /// A declarative pipeline begins with this stage; those before it are skipped (Jenkins' *Restart from Stage*).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_from: Option<String>,
    /// Steps that it has beside those that are built in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<AddedStep>,
    /// More of them, as they lie in the folder of its project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub step_files: Vec<StepFile>,
    /// How many runs stand above it: who started it, who started that one, and so on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u32,
    /// A step that would bring something to another system, and cannot, is recorded: else it fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub records_deliveries: bool,
    /// Where tools are that definitions ask for by their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<InstalledTool>,
    /// Templates of pods that definitions use by their names and labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<PodDefinition>,
}

/// A run before another, of the same branch, that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRun {
    /// `BUILD_NUMBER`.
    pub number: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What it called itself, instead of its number; at most [`MAX_PAST_CHARS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What it said of itself; at most [`MAX_PAST_CHARS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// Most of the last runs before it that a run knows.
pub const MAX_PAST_RUNS: usize = 10;
/// Most characters of each text of a [`PastRun`]: it stands in the facts of all runs that know it.
pub const MAX_PAST_CHARS: usize = 500;

/// Most runs that stand above one: a project that builds itself ends.
pub const MAX_RUN_DEPTH: u32 = 20;

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A tool that a place has: what `tool 'M3'` and `tools { maven 'M3' }` mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledTool {
    /// What definitions call it.
    pub name: String,
    /// `maven`, `jdk` …; empty: whatever is asked for by that name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The folder around its `bin`, as the place has it: absolute.
    pub folder: String,
}

impl InstalledTool {
    /// Whether it can be meant.
    pub fn is_fit(&self) -> bool {
        let are_plain = [&self.name, &self.kind, &self.folder].iter().all(|text| !text.contains(char::is_control));
        are_plain && !self.name.is_empty() && self.folder.starts_with('/') && !self.folder.contains(':')
    }
}

impl RunFacts {
    /// A run before it, counted from 0, the last one first. Of a run that was begun when no more was known, or on one machine, the first alone.
    pub fn past(&self, at: usize) -> Option<PastRun> {
        if let Some(past) = self.history.get(at) {
            return Some(past.clone());
        }
        let outcome = self.previous.filter(|_| at == 0)?;
        let number = self.previous_number.unwrap_or_else(|| self.build_number.saturating_sub(1));
        Some(PastRun { number, outcome, display_name: None, description: None, started_at_ms: 0, duration_ms: 0 })
    }

    /// `JOB_URL`: where what it is of is found on its server, if it has one.
    pub fn job_url(&self) -> Option<String> {
        let parts: Vec<_> = self.job_name.split('/').map(encoded).collect();
        Some(format!("{}/job/{}/", self.server_url.as_ref()?, parts.join("/job/")))
    }

    /// `BUILD_URL`: where it is found itself.
    pub fn build_url(&self) -> Option<String> {
        Some(format!("{}{}/", self.job_url()?, self.build_number))
    }

    /// The branch, tag or pull request that it is of (`BRANCH_NAME`); `None`: of none in particular.
    pub fn branch(&self) -> Option<&str> {
        self.env.iter().find(|(name, _)| name == "BRANCH_NAME").map(|(_, branch)| branch.as_str())
    }

    /// Whether the value of that parameter is shown to nobody.
    pub fn hides(&self, parameter: &str) -> bool {
        self.hidden.iter().any(|hidden| hidden == parameter)
    }

    /// The values that are shown to nobody.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let of_params = self.params.iter().filter(|(name, _)| self.hides(name)).map(|(_, value)| value);
        of_params.chain(&self.confided).map(String::as_str)
    }

    /// A definition says texts that are shown to nobody. True: more of them than before; `None`: more than a run may have.
    pub fn confide(&mut self, values: &[String]) -> Option<bool> {
        let mut new: Vec<_> = values.iter().filter(|value| !self.confided.contains(value)).cloned().collect();
        new.sort_unstable();
        new.dedup();
        if new.is_empty() {
            return Some(false);
        }
        let bytes: usize = self.confided.iter().chain(&new).map(String::len).sum();
        if self.confided.len() + new.len() > MAX_CONFIDED || bytes > MAX_CONFIDED_BYTES {
            return None;
        }
        self.confided.extend_from_slice(&new);
        Some(true)
    }

    /// A definition says what its parameters are. True: more values are hidden than before.
    pub fn hide(&mut self, parameters: &[Parameter]) -> bool {
        let passwords = parameters.iter().filter(|parameter| parameter.kind == ParameterKind::Password);
        let is_given = |name: &str| self.params.iter().any(|(given, _)| given == name);
        let new = passwords.map(|parameter| &parameter.name).filter(|name| is_given(name) && !self.hides(name));
        let new: BTreeSet<_> = new.cloned().collect();
        let are_more = !new.is_empty();
        self.hidden.extend(new);
        are_more
    }
}

/// Most texts that a run has confided.
const MAX_CONFIDED: usize = 200;
/// Most bytes of all of them.
const MAX_CONFIDED_BYTES: usize = 64 << 10;

/// What Jenkins calls the job that a branch of a project is: `app/feature%2Fx`.
pub fn job_name(project: &str, branch: Option<&str>) -> String {
    let Some(branch) = branch else { return project.to_owned() };
    let is_plain = |character: char| !character.is_ascii_control() && !"/\\%:*?\"<>|".contains(character);
    let encoded = branch.chars().fold(String::new(), |name, character| match is_plain(character) {
        true => name + character.encode_utf8(&mut [0; 4]),
        // All of these are one byte.
        false => name + &format!("%{:02X}", u32::from(character)),
    });
    format!("{project}/{encoded}")
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
    /// What went wrong, in a word, where something did.
    pub fn error(&self) -> Option<&'static str> {
        match self.failure {
            _ if self.timed_out => Some("timeout"),
            None if self.outcome == Outcome::Failure => Some("workload"),
            Some(FailureKind::Workload) => Some("workload"),
            Some(FailureKind::Usage) => Some("usage"),
            Some(FailureKind::Policy) => Some("policy"),
            Some(FailureKind::Auth) => Some("auth"),
            Some(FailureKind::Infrastructure) => Some("infrastructure"),
            None => None,
        }
    }

    /// Of a run that was ended without its engine.
    pub fn aborted(reason: &str) -> RunEnd {
        let outcome = superseded_by(reason).map_or(Outcome::Aborted, |_| Outcome::NotBuilt);
        RunEnd { aborted: true, ..RunEnd::failed(outcome, None, reason) }
    }

    /// Of a run that could not go on.
    pub fn failed(outcome: Outcome, failure: Option<FailureKind>, message: &str) -> RunEnd {
        RunEnd { outcome, failure, timed_out: false, aborted: false, message: Some(message.to_owned()) }
    }
}

/// Why a run is ended that a newer one takes the place of, which has that number: in Jenkins' words.
pub fn superseded(by: u64) -> String {
    format!("{SUPERSEDED}{by}")
}

/// The number of the newer run, where that is the reason: such a run is `NOT_BUILT`, in Jenkins too (`CancelledCause`), and nobody's failure.
pub fn superseded_by(reason: &str) -> Option<u64> {
    reason.strip_prefix(SUPERSEDED)?.parse().ok()
}

const SUPERSEDED: &str = "Superseded by #";

/// A name as a part of a path in an address.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
