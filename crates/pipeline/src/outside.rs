//! What to do instead of what a script may not: the words for [`Outside`], in the run and before it.

use groovy::outside::Outside;

/// What a pipeline does instead.
pub(crate) fn advice(outside: Outside) -> &'static str {
    match outside {
        Outside::Process => "programs run on an agent: use the step sh, bat or powershell",
        Outside::Files => "files are on an agent: use the steps readFile, writeFile, fileExists, findFiles, dir",
        Outside::Network => "the network is reached from an agent: use the step sh with curl, or httpRequest",
        Outside::System => "variables are read as env.NAME and set with withEnv; error ends a run",
        Outside::Threads => "use the steps sleep, parallel, waitUntil or lock",
        Outside::Code => "code comes from a shared library or the step load",
        Outside::Reflection => "classes cannot be looked into or changed; call what they have by its name",
        Outside::Database => "use a client program on an agent, with the step sh",
        Outside::Dependencies => "nothing is fetched into a run; use a shared library, or a program on an agent",
        Outside::Clock | Outside::Randomness => "this run has none",
    }
}

/// What is said of Jenkins' own objects.
pub(crate) const NO_JENKINS: &str =
    "there is no Jenkins object behind a run; env, params and currentBuild say what it knows";
