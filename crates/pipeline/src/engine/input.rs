//! What a run starts with.

use groovy::machine::MachineLimits;
use model::outcome::Outcome;

/// Everything that a run depends on, besides the answers to its requests.
#[derive(Clone, Debug, Default)]
pub struct RunInput {
    /// Text of the definition.
    pub source: String,
    /// Its name for messages: `Jenkinsfile`.
    pub file_name: String,
    /// Facts about the run.
    pub facts: RunFacts,
    /// What the script may use.
    pub limits: MachineLimits,
}

/// Facts about a run that its pipeline can see.
#[derive(Clone, Debug, Default)]
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
    /// More variables: `BRANCH_NAME`, `CHANGE_ID`, `TAG_NAME`, `BUILD_URL` …
    pub env: Vec<(String, String)>,
    /// Values of parameters, as text.
    pub params: Vec<(String, String)>,
}

/// Why a run was started, in Jenkins' terms.
#[derive(Clone, Debug, Default)]
pub struct BuildCause {
    /// Java class name: `hudson.model.Cause$UserIdCause`, `hudson.triggers.TimerTrigger$TimerTriggerCause` …
    pub class: String,
    /// `Started by user alice`.
    pub description: String,
    /// The user id, where there is one.
    pub user: Option<String>,
}

impl RunFacts {
    /// With the variables that follow from the facts, lowest first: `env` of the caller wins.
    pub(crate) fn completed(mut self) -> Self {
        self.build_number = self.build_number.max(1);
        let (job, number) = (self.job_name.clone(), self.build_number);
        let base = job.rsplit('/').next().unwrap_or_default().to_owned();
        let tag = format!("jenkins-{}-{number}", job.replace('/', "-"));
        let derived = [
            ("BUILD_DISPLAY_NAME", format!("#{number}")),
            ("BUILD_ID", number.to_string()),
            ("BUILD_NUMBER", number.to_string()),
            ("BUILD_TAG", tag),
            ("CI", "true".to_owned()),
            ("JOB_BASE_NAME", base),
            ("JOB_NAME", job),
        ];
        let own = std::mem::take(&mut self.env);
        self.env = derived.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
        for (name, value) in own {
            self.env.retain(|(n, _)| *n != name);
            self.env.push((name, value));
        }
        self
    }
}
