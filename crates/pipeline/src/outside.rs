//! What to do instead of what a script may not: the words for [`Outside`], in the run and before it.

use groovy::outside::Outside;

/// What a pipeline does instead.
pub(crate) fn advice(outside: Outside) -> &'static str {
    match outside {
        Outside::Process => "programs run on an agent: use the step sh, bat or powershell",
        Outside::Files => "files are on an agent: use the steps readFile, writeFile, fileExists, findFiles, dir",
        Outside::Network => "the network is reached from an agent: use the step sh with curl, or httpRequest",
        Outside::System => "variables are read as env.NAME and set with withEnv; error ends a run",
        Outside::Output => "echo and println write into the log of the run",
        Outside::Threads => "use the steps sleep, parallel, waitUntil or lock",
        Outside::Code => "code comes from a shared library or the step load",
        Outside::Reflection => "classes cannot be looked into or changed; call what they have by its name",
        Outside::Database => "use a client program on an agent, with the step sh",
        Outside::Dependencies => "nothing is fetched into a run; use a shared library, or a program on an agent",
        Outside::Clock | Outside::Randomness => "this run has none",
    }
}

/// What Jenkins throws where its script sandbox refuses something.
pub(crate) const REJECTED: &str = "org.jenkinsci.plugins.scriptsecurity.sandbox.RejectedAccessException";

/// What is said of Jenkins' own objects.
pub(crate) const NO_JENKINS: &str =
    "there is no Jenkins object behind a run; env, params and currentBuild say what it knows";

/// Variables that plugins of Jenkins bring, and what a pipeline does instead; sorted.
const PLUGIN_VARIABLES: [(&str, &str); 5] = [
    ("Artifactory", "files go to Artifactory and come from it with `sh 'jf rt …'` or curl, and withCredentials"),
    ("fileLoader", "code of another repository comes from a shared library, or with `checkout` and `load`"),
    ("manager", "currentBuild.result and currentBuild.description, or unstable and error, say how a run ends"),
    ("openshift", "an OpenShift cluster is talked to with `sh 'oc …'`, and withCredentials"),
    ("pullRequest", "a forge is asked with `sh 'curl …'`, and withCredentials; env.CHANGE_ID says which request it is"),
];

/// What to do without a variable that a plugin of Jenkins brings; `None`: no such variable.
pub(crate) fn plugin_variable(name: &str) -> Option<&'static str> {
    PLUGIN_VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, instead)| *instead)
}
