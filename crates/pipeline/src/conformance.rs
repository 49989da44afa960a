//! Cases of `declarative-runtime.jsonl`: what each assumes, and whether a run of it came out as it says. For tests, here and
//! on a real driver; it does no I/O, the caller brings the text of the table and performs the requests.

use std::collections::BTreeMap;

use model::change::{Change, ChangedFile, Edit};
use model::credential::CredentialKind;
use model::outcome::Outcome;
use model::run::InstalledTool;
use regex::Regex;
use serde::Deserialize;

use crate::engine::{BuildCause, RunFacts};

mod builds;
mod libraries;

pub use libraries::FixtureLibrary;

pub use crate::run::glob::matches as ant_matches;

/// One line of the table.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// `Class#method`; several cases may share one.
    pub id: String,
    /// The definition.
    pub script: String,
    /// Name of the outcome, where the case says.
    pub result: Option<String>,
    /// Fixtures that it assumes.
    pub needs: Vec<String>,
    /// Each must be in the log.
    pub log_contains: Vec<String>,
    /// None may be in the log.
    pub log_excludes: Vec<String>,
    /// Patterns that must be found in the log.
    pub log_matches: Vec<String>,
    /// Must be in the log in this order.
    pub log_in_order: Vec<String>,
    /// Name and content (or several parts of it) of archived files.
    pub archives: Vec<(String, Content)>,
}

/// Content of an archived file.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// All of it.
    Whole(String),
    /// Each is in it.
    Parts(Vec<String>),
}

/// What a case assumes of the world.
#[derive(Clone, Debug, Default)]
pub struct Fixture {
    /// For [`crate::engine::RunInput`].
    pub facts: RunFacts,
    /// Variables of each agent.
    pub agent_env: Vec<(String, String)>,
    /// Files of the repository.
    pub files: Vec<(String, String)>,
    /// Name and text of programs on the `PATH` of each agent.
    pub programs: Vec<(String, String)>,
    /// Tools that the run is told of: name, program in `bin`, and its text. Whoever runs the case says their folders.
    pub tools: Vec<(String, String, String)>,
    /// Shared libraries.
    pub libraries: Vec<FixtureLibrary>,
    /// Credentials by id.
    pub credentials: Vec<(String, HeldCredential)>,
    /// What came since the run before.
    pub changes: Vec<Change>,
    /// Other projects, and how their runs end.
    pub projects: Vec<(String, Outcome)>,
    /// What `alice` says to each `input`, in their order: the parameters' values in theirs, or (`None`) no.
    pub answers: Vec<Option<Vec<(String, String)>>>,
}

/// A build of a case: what it shows, and what it assumes.
#[derive(Clone, Debug)]
pub struct Build {
    /// The case, with what is expected of this build alone.
    pub case: Case,
    /// Its world. What the build before has stashed is there.
    pub fixture: Fixture,
}

/// A credential that a case assumes.
#[derive(Clone, Debug)]
pub enum HeldCredential {
    /// One value.
    Text(String),
    /// A user name and a password.
    UsernamePassword {
        /// The name.
        username: String,
        /// The password.
        password: String,
        /// The name is masked, too.
        is_username_secret: bool,
    },
    /// A file.
    File {
        /// Its name.
        name: String,
        /// What is in it.
        text: String,
    },
    /// A private key.
    SshKey {
        /// Whose.
        username: String,
        /// The key.
        key: String,
        /// Empty: none.
        passphrase: String,
    },
    /// A key store.
    Certificate,
}

impl HeldCredential {
    /// What it is.
    pub fn kind(&self) -> CredentialKind {
        match self {
            HeldCredential::Text(_) => CredentialKind::String,
            HeldCredential::UsernamePassword { .. } => CredentialKind::UsernamePassword,
            HeldCredential::File { .. } => CredentialKind::File,
            HeldCredential::SshKey { .. } => CredentialKind::SshKey,
            HeldCredential::Certificate => CredentialKind::Certificate,
        }
    }
}

impl Fixture {
    /// Variables of the agent that a label names.
    pub fn env_of(&self, label: Option<&str>) -> Vec<(String, String)> {
        let which = match label {
            Some("other-label") => "second".to_owned(),
            Some(label) => match label.strip_suffix("-agent") {
                Some(name) => format!("{name} agent"),
                None => "first".to_owned(),
            },
            None => "any".to_owned(),
        };
        let mut env = self.agent_env.clone();
        env.push(("WHICH_AGENT".to_owned(), which));
        env
    }
}

/// The cases of a table, each with its id made unique (`Class#method`, `Class#method/2` …). Lines that are builds of one test are one.
///
/// # Errors
/// A line that is no case.
pub fn parse(table: &str) -> Result<Vec<Case>, serde_json::Error> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut cases: Vec<Case> = Vec::new();
    for line in table.lines().filter(|l| !l.trim().is_empty()) {
        let mut case: Case = serde_json::from_str(line)?;
        if builds::joins(cases.last_mut(), &case) {
            continue;
        }
        let count = seen.entry(case.id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            case.id = format!("{}/{count}", case.id);
        }
        cases.push(case);
    }
    Ok(cases)
}

/// Cases (or whole classes of them) that assume what no world of a test has, and what that is.
const SKIPPED: &[(&str, &str)] = &[
    ("RuntimeASTTransformerTest#globalConditionalStage", "a test plugin that rewrites the pipeline"),
    ("RuntimeASTTransformerTest#globalConditionalNoWhens", "a test plugin that rewrites the pipeline"),
    ("StepRuntimeTransformerContributorTest", "a test plugin that rewrites the steps"),
    ("UpgradeTest", "a build that an old Jenkins saved, in its Java serialization"),
    ("ValidatorTest#scriptSecurity", "the words of Jenkins' script sandbox for JVM classes"),
    ("InternalCallsTest", "a class of Jenkins' core (hudson.EnvVars)"),
    ("AgentTest#multipleVariablesForAgent", "an agent type of a test plugin (labelAndOtherField)"),
    ("AgentTest#retryLabel", "an agent that the test removes while it works"),
    ("WithContainerStepTest#envMasking", "a step of a test plugin (stepWithLauncher)"),
    ("WithContainerStepTest#removeInvalidEnvVars", "a step of a test plugin (removeInvalidEnvVarsStep)"),
    ("RegistryEndpointStepTest#stepExecutionWithCredentials", "a step of a test plugin (mockDockerLogin)"),
    ("ServerEndpointStepTest#stepExecutionWithCredentials", "a credential with the keys of a Docker server"),
    ("DeclarativeDockerUtilsTest#directParent", "a class of the plugin (DeclarativeDockerUtils)"),
    ("DeclarativeDockerUtilsTest#withDefaults", "a class of the plugin (DeclarativeDockerUtils)"),
    ("DeclarativeDockerUtilsTest#grandParentOverride", "a class of the plugin (DeclarativeDockerUtils)"),
];

/// The builds of a case in their order, or why what it assumes cannot be provided.
///
/// # Errors
/// The reason for skipping the case.
pub fn builds(case: &Case) -> Result<Vec<Build>, String> {
    match SKIPPED.iter().find(|(id, _)| case.id.starts_with(id)) {
        Some((_, why)) => Err((*why).to_owned()),
        None => Ok(builds::of(case, fixture(case))),
    }
}

/// What a case assumes. Folders are there for the libraries and credentials that they bring.
fn fixture(case: &Case) -> Fixture {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut fixture = Fixture {
        facts: RunFacts { job_name: "test0".to_owned(), build_number: 1, has_scm: true, ..RunFacts::default() },
        agent_env: vec![pair("ONAGENT", "true"), pair("TMPDIR", "/tmp")],
        files: vec![pair("Jenkinsfile", &case.script)],
        programs: Vec::new(),
        tools: Vec::new(),
        libraries: libraries::of(case),
        credentials: Vec::new(),
        changes: Vec::new(),
        projects: Vec::new(),
        answers: Vec::new(),
    };
    fixture.facts.libraries =
        fixture.libraries.iter().filter(|library| library.implicit).map(|library| library.name.to_owned()).collect();
    let (class, method) = case.id.split_once('#').unwrap_or((&case.id, ""));
    match (class, method) {
        ("EnvironmentTest", "backslashesFromExistingEnvVar") => {
            fixture.agent_env.push(pair("HAS_BACKSLASHES", r"C:\Windows"))
        }
        ("EnvironmentTest", "defaultEnvValue") => fixture.agent_env.push(pair("FOO", "OTHER")),
        // It starts a run of itself.
        ("BasicModelDefTest", "booleanParamBuildStep") => fixture.projects.push(("test0".to_owned(), Outcome::Success)),
        ("BasicModelDefTest", "fromEvaluate") => fixture.files.push(pair("simplePipeline.groovy", SIMPLE)),
        ("BuildConditionResponderTest", "contextResultOverridesRunResult") => {
            fixture.files.push(pair("junitResult.xml", FAILED_TEST));
        }
        ("EnvironmentTest", "readFileInEnv") => fixture.files.push(pair("Version", "BANANA")),
        // These look at agents and variables, and use a Maven that is there.
        ("MatrixTest", method) if method.starts_with("matrixStageDirectives") => fixture.programs.push(maven()),
        ("ParallelTest", "parallelStagesAgentEnvWhen" | "parallelStagesGroupsAndStages") => {
            fixture.programs.push(maven());
        }
        ("ToolsTest", _) => {
            let maven = |version| (format!("apache-maven-{version}"), "mvn".to_owned(), says_version(version));
            fixture.tools = ["3.0.1", "3.5.0"].map(maven).to_vec();
        }
        ("ValidateDeclarativePipelineStepTest", "passes") => fixture.files.push(pair("testFile.groovy", VALID)),
        ("ValidateDeclarativePipelineStepTest", "noPipelineStep") => {
            fixture.files.push(pair("testFile.groovy", "echo 'hello'"));
        }
        ("WhenStageTest", method) if method.starts_with("whenChange") && method.ends_with(['2', 'R']) => {
            fixture.facts.build_number = 2;
            fixture.facts.previous_commit = Some("0".repeat(40));
            fixture.changes = changes(method);
        }
        ("WhenStageTest", "whenEquals/2") => {
            fixture.facts.build_number = 2;
            fixture.agent_env.push(pair("SECOND_STAGE", "RUN"));
        }
        ("WhenStageTest", method) if method.starts_with("BuildStatusWhen") => {
            fixture.facts.causes = vec![cause(method)]
        }
        ("PostStageTest", method) => post_stage(method, &mut fixture),
        ("CredentialWrapperStepTest", method) => fixture.credentials = credentials(method == "mixedEnvInFolder"),
        ("OptionsTest", "withCredentialsStageWrapper") => {
            let of = |text: &str| text.to_owned();
            let key = HeldCredential::SshKey { username: of("bob"), key: of("the-key"), passphrase: of("s3cr3t") };
            fixture.credentials.push((of("creds"), key));
        }
        ("StageInputTest" | "MatrixTest" | "WhenStageTest" | "BuildConditionResponderTest", method) => {
            fixture.answers = answers(method);
        }
        ("DockerDSLTest", "withTool") => {
            let (name, folder) = pair("default", "/usr");
            fixture.facts.tools.push(InstalledTool { name, kind: String::new(), folder });
        }
        ("DockerAgentTest", method) => {
            if method == "additionalDockerBuildArgsImageHash" {
                fixture.facts.job_name = "testFolder/parallelImageHashTest".to_owned();
            }
            fixture.files.push(dockerfile(method));
        }
        ("DeclarativeDockerUtilsTest", "runsOnCorrectSlave") => {
            // Each agent here runs images, so each is the one of the label that Jenkins is told for them.
            fixture.agent_env.push(pair("DOCKER_INDICATOR", "CORRECT"));
        }
        _ => {}
    }
    fixture
}

/// What these tests build their agents of.
fn dockerfile(method: &str) -> (String, String) {
    let path = if method.ends_with("InOtherDir") { "subdir/Dockerfile" } else { "Dockerfile" };
    let text = match method.starts_with("additionalDockerBuildArgs") {
        // What the image is called depends on each letter.
        true => "FROM ubuntu:noble\n\nARG someArg=thisArgHere\n\nRUN echo \"hi there, $someArg\" > /hi-there\n\n",
        false => "FROM ubuntu:noble\nRUN echo 'HI THERE' > /hi-there\n",
    };
    (path.to_owned(), text.to_owned())
}

/// What people say where these tests ask.
fn answers(method: &str) -> Vec<Option<Vec<(String, String)>>> {
    let yes = |values: &[(&str, &str)]| {
        Some(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    };
    match method {
        "parametersInInput" => vec![yes(&[("flag", "false"), ("fruit", "pear")])],
        "singleParameterInInput" => vec![yes(&[("flag", "false")])],
        // Each of two cells asks.
        "matrixInputWhenChildStage" => vec![yes(&[]), yes(&[])],
        "submitterParameterInInput" | "matrixInputWhenBeforeInput" | "whenBeforeInputTrue" => vec![yes(&[])],
        "abortedFlowInterruptedException" => vec![None],
        _ => Vec::new(),
    }
}

/// What came in before the second build: the commit that the condition is about, and around it others where there are more. Of a pull request
/// all that its builds have.
fn changes(method: &str) -> Vec<Change> {
    let commit = |message: &str, path: &str| Change {
        message: message.to_owned(),
        files: vec![ChangedFile { path: path.to_owned(), edit: Edit::Added }],
        ..Change::default()
    };
    let meant =
        commit("Some title that we don't care about\n\n[DEPENDENCY] some text\n\nand more", "webapp/js/somecode.js");
    let other = commit("Some other", "doc/b.txt");
    match method {
        _ if method.contains("MoreCommits") => vec![commit("Some file", "doc/a.txt"), meant, other],
        _ if method.ends_with("PR") => vec![meant, other],
        _ => vec![meant],
    }
}

/// What the tests of credentials define; a folder has two of its own.
fn credentials(in_folder: bool) -> Vec<(String, HeldCredential)> {
    let text = |text: &str| HeldCredential::Text(text.to_owned());
    let user = |name: &str, password: &str, is_username_secret| HeldCredential::UsernamePassword {
        username: name.to_owned(),
        password: password.to_owned(),
        is_username_secret,
    };
    let (first, second) = match in_folder {
        true => ("Some secret text for 1 folder", ("bobby-in-folder", "folder-supersecretpassword+mydogsname")),
        false => ("Some secret text for 1", ("bobby", "supersecretpassword+mydogsname")),
    };
    let all = [
        ("FOOcredentials", user("bobby", "s3cr37", true)),
        ("cred1", text(first)),
        ("cred2", user(second.0, second.1, true)),
        ("cred3", text("Some $secret text for 3")),
        ("certCred1", HeldCredential::Certificate),
    ];
    all.map(|(id, held)| (id.to_owned(), held)).to_vec()
}

/// What one case evaluates.
const SIMPLE: &str = "pipeline { agent none; stages { stage('foo') { steps { echo 'hello' } } } }";

/// A report of a test that failed.
const FAILED_TEST: &str = "<testsuite name=\"s\" tests=\"1\" failures=\"1\"><testcase classname=\"c\" name=\"t\"><failure message=\"no\"/></testcase></testsuite>";

/// A file that `validateDeclarativePipeline` likes.
const VALID: &str = "pipeline { agent any; stages { stage('a') { steps { echo 'a' } } } }";

fn maven() -> (String, String) {
    ("mvn".to_owned(), says_version("3.0.1"))
}

fn says_version(version: &str) -> String {
    format!("#!/bin/sh\necho 'Apache Maven {version} (a stand-in)'\n")
}

fn cause(method: &str) -> BuildCause {
    let (class, description, user) = match method {
        "BuildStatusWhenWithTimeTrigger" => {
            ("hudson.triggers.TimerTrigger$TimerTriggerCause", "Started by timer", None)
        }
        "BuildStatusWhenWithUserIdCause" => {
            ("hudson.model.Cause$UserIdCause", "Started by user vlinde", Some("vlinde"))
        }
        _ => ("hudson.triggers.SCMTrigger$SCMTriggerCause", "Started by an SCM change", None),
    };
    BuildCause { class: class.to_owned(), description: description.to_owned(), user: user.map(str::to_owned) }
}

/// These tests set the result through a variable of the agent, and some look at the build before.
fn post_stage(method: &str, fixture: &mut Fixture) {
    let result = match method {
        "withAllLocalUnstable" | "withAllLocalUnsuccessfulWithUnstable" | "withAllLocalChanged/3" => "UNSTABLE",
        "withAllLocalUnsuccessfulWithAborted" | "withAllLocalAborted" => "ABORTED",
        "withAllLocalUnsuccessfulWithFailure" => "FAILURE",
        "withAllLocalUnsuccessfulWithNotBuilt" => "NOT_BUILT",
        _ => "",
    };
    if !result.is_empty() {
        fixture.agent_env.push(("MAKE_RESULT".to_owned(), result.to_owned()));
    }
    if method.starts_with("withAllLocalChanged/") {
        fixture.facts.previous = Some(Outcome::Success);
    }
}

impl Case {
    /// What is wrong with a run of this case; empty when nothing is.
    pub fn findings(&self, outcome: Outcome, log: &str, archived: &BTreeMap<String, String>) -> Vec<String> {
        let mut findings = Vec::new();
        if let Some(expected) = self.result.as_ref().filter(|r| *r != outcome.name()) {
            findings.push(format!("result is {}, not {expected}", outcome.name()));
        }
        findings
            .extend(self.log_contains.iter().filter(|t| !log.contains(t.as_str())).map(|t| format!("log lacks {t:?}")));
        let excluded = |t: &&String| t.len() > 1 && *t != "[Pipeline] { (" && log.contains(t.as_str());
        findings.extend(self.log_excludes.iter().filter(excluded).map(|t| format!("log has {t:?}")));
        let found = |pattern: &String| Regex::new(pattern).is_ok_and(|r| r.is_match(log));
        findings.extend(self.log_matches.iter().filter(|p| !found(p)).map(|p| format!("log does not match {p:?}")));
        let mut rest = log;
        for text in &self.log_in_order {
            match rest.find(text.as_str()) {
                Some(at) => rest = &rest[at + text.len()..],
                None => findings.push(format!("log lacks {text:?} at its place in the order")),
            }
        }
        for (name, content) in &self.archives {
            let as_expected = archived.get(name).is_some_and(|found| match content {
                Content::Whole(text) => found == text,
                Content::Parts(parts) => parts.iter().all(|p| found.contains(p.as_str())),
            });
            if !as_expected {
                findings.push(format!("archive lacks {name} as expected: {:?}", archived.get(name)));
            }
        }
        findings
    }
}
