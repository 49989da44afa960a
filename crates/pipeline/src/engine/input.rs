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
        ("JOB_NAME", job.clone()),
    ];
    let urls = facts.server_url.as_ref().map(|server| {
        let of_job = facts.job_url().unwrap_or_default();
        let of_run = format!("{of_job}{number}/");
        let display = format!("{of_run}display/redirect");
        let jenkins = format!("{server}/");
        [("JENKINS_URL", jenkins), ("JOB_URL", of_job), ("BUILD_URL", of_run), ("RUN_DISPLAY_URL", display)]
    });
    let own = std::mem::take(&mut facts.env);
    facts.env = derived.into_iter().chain(urls.into_iter().flatten()).map(|(n, v)| (n.to_owned(), v)).collect();
    for (name, value) in own {
        facts.env.retain(|(n, _)| *n != name);
        facts.env.push((name, value));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_a_server_knows_where_it_is() {
        let facts = RunFacts { job_name: "team a/app".into(), build_number: 7, ..RunFacts::default() };
        let of = |facts: RunFacts, name: &str| {
            completed(facts).env.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
        };
        assert_eq!(of(facts.clone(), "BUILD_URL"), None, "it has no server");
        let facts = RunFacts { server_url: Some("https://ci.example".into()), ..facts };
        for (name, url) in [
            ("JENKINS_URL", "https://ci.example/"),
            ("JOB_URL", "https://ci.example/job/team%20a/job/app/"),
            ("BUILD_URL", "https://ci.example/job/team%20a/job/app/7/"),
            ("RUN_DISPLAY_URL", "https://ci.example/job/team%20a/job/app/7/display/redirect"),
        ] {
            assert_eq!(of(facts.clone(), name).as_deref(), Some(url));
        }
    }
}
