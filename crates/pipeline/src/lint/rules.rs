//! The rules of the linter: one table, which `cofferdam steps --rules`, SARIF and the guide are made from.

use groovy::diagnostic::{Diagnostic, Severity};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Good to know; nothing is wrong.
    Note,
    /// It will probably not do what is meant.
    Warning,
    /// The file does not run.
    Error,
}

impl Level {
    /// `note`, `warning`, `error`
    pub fn name(self) -> &'static str {
        match self {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Its stable name.
    pub id: &'static str,
    /// How much its findings matter, as a rule.
    pub level: Level,
    /// What it finds, in one line.
    pub summary: &'static str,
    /// Why it matters, and what to do.
    pub help: &'static str,
}

macro_rules! rules {
    ($($id:literal $level:ident $summary:literal $help:literal)*) => {
        /// All rules, by name.
        pub const RULES: &[Rule] = &[$(Rule { id: $id, level: Level::$level, summary: $summary, help: $help }),*];
    };
}

rules! {
    "agent-none-step" Warning "A step that needs a machine, where there is none"
        "With `agent none` a step such as `sh` has no machine and fails. Give the stage an agent; in `post` of such a pipeline, wrap the steps in `node { … }`."
    "bad-schedule" Error "A schedule that cannot be read"
        "Five fields, for minute, hour, day of the month, month and day of the week, or `@daily` and its like."
    "declarative" Error "A rule of declarative pipelines is broken"
        "What does not fit the grammar of `pipeline { … }`, in the words that Jenkins uses for it."
    "deprecated-step" Note "A step that has a better successor"
        "It works as it always did. The successor says more clearly what is meant."
    "duplicate" Error "Something that may be there once is there twice"
        "Sections, stages beside each other, branches, options, triggers, variables and axes have one name each."
    "duplicate-stage" Warning "Two stages of a script beside each other have the same name"
        "It runs, but nobody can tell them apart in the view, in messages or in numbers over time."
    "host-docker" Note "Words that want a Docker Engine"
        "There is no engine of the host to reach. Such a job runs in a virtual machine with an engine of its own (rung `microvm`), on hosts that can have one: `cofferdam why` says whether this one can."
    "input-holds-agent" Note "Waiting for a person keeps a machine"
        "While `input` waits, the sandbox around it stays. A stage of its own with `agent none`, or `input` outside of `node { … }`, waits for free."
    "invalid-parameter" Error "A parameter that the step or directive does not have"
        "`cofferdam steps NAME` lists what it takes. In code, and of a value such as `scmGit(…)`, it is a warning: a run goes on without it."
    "jenkins-internals" Warning "Java objects of Jenkins itself"
        "`Jenkins.instance`, `hudson.*`, `currentBuild.rawBuild` and the like are the inner life of a server that is not there. Steps and the variables `env`, `params` and `currentBuild` remain."
    "library-step" Warning "A name that may come from a library"
        "No step has that name and the file does not define it. It runs only if one of its libraries has a variable of that name."
    "lost-shell-state" Warning "A shell that does nothing but change itself"
        "Each `sh` is a new shell: a `cd` or `export` that is all of its script ends with it. Use `dir(…)`, `withEnv([…])`, or one script for both."
    "missing-block" Warning "A step that wants a block, without one"
        "`retry`, `timeout`, `dir` and the like do something for the steps in their block. Without one they fail where they are reached."
    "missing-class" Warning "An object of a class that is not there"
        "A script has the classes that pipelines use, not all of Java."
    "missing-parameter" Error "A required parameter is missing"
        "`cofferdam steps NAME` lists what it takes. In code only what a run fails without is one, and a warning where a library may have a step of that name."
    "missing-section" Error "A required section is missing"
        "A pipeline needs `agent` and `stages`; a stage needs one of `steps`, `stages`, `parallel` and `matrix`."
    "no-effect-annotation" Warning "An annotation that has no effect, or not all of it"
        "What the annotation would add to the class or method is not there, or lacks what is said."
    "no-interpolation" Warning "`${…}` in single quotes, where no shell will replace it"
        "Groovy replaces `${…}` in double quotes only. In the script of `sh` single quotes are right, for the shell replaces it; in `echo`, `error` and the like nobody does."
    "no-step-result" Warning "The value of `sh` is used, but it gives none"
        "Without `returnStdout: true` or `returnStatus: true` the value of a shell step is null."
    "operator-pod" Note "A container of a pod that the file does not define"
        "In Jenkins an administrator defines such templates of pods. `run` and `plan` take them with `--pod-template NAME=FILE`, and a server from its projects; the name is the label that the node asks for."
    "parameter-type" Warning "A parameter is compared with what it can never be"
        "A `booleanParam` is true or false, never the text 'true'; every other parameter is a text, never true."
    "process-execute" Warning "A process started by the script itself"
        "`'…'.execute()` would start a process where Jenkins evaluates its scripts. There is no such place; `sh` starts one in a job."
    "recorded-step" Warning "A step that is written down, and does nothing else"
        "What it was asked for is kept with the run, and the run goes on: no message is sent. One that would bring something to another system is so on one's own machine, and fails at a server, unless the project says `--record-deliveries`."
    "refused-access" Warning "What would reach Jenkins' server, or the machine"
        "Scripts are evaluated behind walls: the call is refused, and the run fails where it is reached."
    "script-injection" Warning "Words of a stranger become part of a shell script"
        "Whoever opens a pull request chooses its title, branch and author names. In double quotes Groovy puts them into the script, where they are commands. In single quotes the shell reads the variable, and its content stays data."
    "script-network" Warning "The script itself asks the network"
        "Scripts are evaluated behind walls without a network. Fetch it in a job, for example with `sh(script: 'curl …', returnStdout: true)`."
    "secret-in-script" Warning "A secret becomes part of a shell script"
        "In double quotes Groovy puts the secret into the script, where the list of processes, an error message or a quote in the secret shows it. In single quotes the shell reads the variable."
    "stage-without-block" Warning "A stage without a block"
        "The old form `stage 'x'` marks a place and ends nowhere. `stage('x') { … }` says what belongs to it."
    "step-not-allowed" Error "Something that may not stand among steps"
        "`steps { … }` holds calls of steps. Variables, `if` and methods of objects stand in `script { … }`."
    "syntax" Error "Groovy cannot read the file"
        "The parser says what it expected, and where."
    "system-access" Warning "The machine on which the script is evaluated"
        "`System` and `Runtime` would be those of Jenkins' server. Variables are in `env`, programs run with `sh`."
    "undeclared-parameter" Warning "A parameter that the pipeline does not declare"
        "`parameters { … }` lists all parameters of the pipeline; any other is null."
    "unknown-directive" Error "An agent, option, parameter, trigger, tool or condition that is not known"
        "`cofferdam steps` lists what is known."
    "unknown-result" Warning "A result that does not exist"
        "Results are SUCCESS, UNSTABLE, FAILURE, NOT_BUILT and ABORTED. Any other word counts as FAILURE."
    "unknown-section" Error "A section or condition that is not known"
        "`docs/reference/directives.md` lists the sections and where each may stand."
    "unknown-step" Error "A name that nobody defines"
        "It is no step, Groovy does not have it, and neither the file nor a library defines it. `run` warns of it, and fails where it is called."
    "unreachable" Warning "Code that is never reached"
        "What stands behind `error`, `return`, `throw`, `break` or `continue` in the same block does not run."
    "unreadable" Error "The file cannot be read"
        "It is not there, may not be read, or is too large."
    "unsupported-directive" Warning "A directive that Jenkins knows and Cofferdam cannot act on"
        "`cofferdam steps NAME` says what is known of it."
    "unsupported-step" Warning "A step that Jenkins knows and Cofferdam cannot run"
        "The run fails where the step is reached."
    "untrimmed-output" Warning "The output of a command is compared with its line break"
        "`returnStdout` gives all that the command has written, with the line break at its end. `.trim()` takes it off."
    "when-never" Warning "Conditions that never hold"
        "The stage is always skipped."
    "wrong-type" Error "A value of the wrong type"
        "`cofferdam steps NAME` lists the types. In code a text of digits is a number, and it is a warning where only Jenkins' run ends for it."
}

/// The rule of that name.
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

/// How much a finding matters.
pub fn level(finding: &Diagnostic) -> Level {
    match finding.severity {
        Severity::Error => Level::Error,
        Severity::Warning if finding.rule.and_then(find).is_some_and(|rule| rule.level == Level::Note) => Level::Note,
        Severity::Warning => Level::Warning,
    }
}

/// The table for the guide.
pub fn markdown() -> String {
    let mut text = String::from("| Rule | Level | What it finds | Why, and what to do |\n|---|---|---|---|\n");
    for rule in RULES {
        text.push_str(&format!("| `{}` | {} | {} | {} |\n", rule.id, rule.level.name(), rule.summary, rule.help));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_sorted_by_name_and_say_what_they_are() {
        assert!(RULES.windows(2).all(|pair| pair[0].id < pair[1].id));
        for rule in RULES {
            assert!(rule.help.ends_with('.') && !rule.summary.ends_with('.'), "{}", rule.id);
            assert!(!rule.help.contains('|') && !rule.summary.contains('|'), "{}", rule.id);
        }
    }
}
