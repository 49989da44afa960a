//! What a run starts with.

use groovy::machine::MachineLimits;
use model::run::RunFacts;

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

/// With the variables that follow from the facts, lowest first: `env` of the caller wins.
pub(super) fn completed(mut facts: RunFacts) -> RunFacts {
    facts.build_number = facts.build_number.max(1);
    let (job, number) = (facts.job_name.clone(), facts.build_number);
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
    let own = std::mem::take(&mut facts.env);
    facts.env = derived.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
    for (name, value) in own {
        facts.env.retain(|(n, _)| *n != name);
        facts.env.push((name, value));
    }
    facts
}
