//! A world in which every command succeeds, files say something plausible, people say yes, and credentials and agents of any kind are there.

use std::collections::{BTreeMap, BTreeSet};

use crate::beside::Beside;
use groovy::machine::MachineLimits;
use model::event::Event;
use model::ids::StepId;
use model::outcome::Outcome;
use model::planning::{self, MAX_REQUESTS, MAX_VIRTUAL_MS};
use model::pod::PodDefinition;
use model::request::{AgentSpec, Reply, Request, ShellScript};
use model::run::{BuildCause, RunFacts};
use pipeline::engine::{Engine, Output, RunInput};
use serde_json::json;

/// Instructions of one file: an endless loop is a line of the report after a moment.
const FUEL: u64 = 5_000_000;
/// Turns of the engine, for what goes on without a request.
const MAX_TURNS: u32 = 100_000;
/// A commit.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What Prow tells a job of the change that it is about.
const JOB_SPEC: &str = r#"{"type": "presubmit", "job": "check", "refs": {"org": "team", "repo": "app", "base_ref": "master", "base_sha": "0123456",
 "pulls": [{"number": 12, "author": "alice", "sha": "89abcde", "title": "A change"}]}}"#;

/// How a file ends.
pub enum End {
    /// It does not begin: what is wrong in it.
    Rejected(String),
    /// It comes to its end, with this result, and says why.
    Ended(Outcome, Option<String>),
    /// It goes on for longer than anything that ends.
    Stuck(&'static str),
}

/// What a file is given beside what is in it.
#[derive(Debug, Default)]
pub struct Given {
    pub parameters: Vec<String>,
    /// What each template of pods has.
    pub containers: BTreeSet<String>,
    /// Labels that it has asked for: each is a template, where these have containers.
    pub labels: BTreeSet<String>,
}

impl Given {
    fn pods(&self) -> Vec<PodDefinition> {
        let containers = self.containers.iter().map(|name| json!({"name": name, "image": name, "command": ["cat"]}));
        let pod = json!({"spec": {"containers": containers.collect::<Vec<_>>()}}).to_string();
        let labels = self.labels.iter().filter(|_| !self.containers.is_empty());
        labels.map(|label| PodDefinition { name: label.clone(), yaml: pod.clone() }).collect()
    }
}

/// Runs a definition, as a multibranch project's with these parameters, and notes the labels that it asks for.
pub fn run(source: &str, given: &mut Given, beside: Option<&Beside>) -> End {
    let mut facts = facts(&given.parameters);
    facts.pods = given.pods();
    if beside.is_some_and(Beside::has_library) {
        facts.libraries.push("repository".to_owned());
    }
    let input = RunInput {
        source: source.to_owned(),
        file_name: "Jenkinsfile".to_owned(),
        facts,
        limits: MachineLimits { fuel: FUEL, ..MachineLimits::default() },
    };
    match Engine::new(input) {
        Ok(engine) => World::new(engine, beside, &mut given.labels).run(),
        Err(found) => End::Rejected(found.first().map(|found| found.message.clone()).unwrap_or_default()),
    }
}

fn facts(parameters: &[String]) -> RunFacts {
    let env = [
        ("BRANCH_NAME", "master"),
        ("BRANCH_IS_PRIMARY", "true"),
        ("GIT_BRANCH", "master"),
        ("GIT_COMMIT", COMMIT),
        ("GIT_URL", "https://git.example/team/app.git"),
        ("JENKINS_HOME", "/var/lib/jenkins"),
    ];
    RunFacts {
        job_name: "team/app/master".to_owned(),
        build_number: 7,
        // 2026-01-01
        started_at_ms: 1_767_225_600_000,
        previous: Some(Outcome::Success),
        has_scm: true,
        records_deliveries: true,
        server_url: Some("https://ci.example".to_owned()),
        causes: vec![BuildCause {
            class: "hudson.model.Cause$UserIdCause".to_owned(),
            description: "Started by user alice".to_owned(),
            user: Some("alice".to_owned()),
        }],
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        params: parameters.iter().map(|name| (name.clone(), value_of(name).to_owned())).collect(),
        ..RunFacts::default()
    }
}

/// What a parameter is, by its name.
fn value_of(name: &str) -> &'static str {
    match name {
        // What Prow hands to a job.
        "JOB_SPEC" => JOB_SPEC,
        _ if name.contains("VERSION") => "1.2.3",
        _ if name.contains("BRANCH") => "master",
        _ if name.contains("COMMIT") || name.contains("SHA") => COMMIT,
        _ => "1",
    }
}

struct World<'a> {
    engine: Engine,
    beside: Option<&'a Beside>,
    now_ms: u64,
    timers: BTreeMap<(u64, model::ids::RequestId), ()>,
    files: BTreeMap<String, String>,
    steps: BTreeMap<StepId, String>,
    /// What the step `error` has said, and the last step that failed.
    errors: Vec<String>,
    failed: Option<String>,
    labels: &'a mut BTreeSet<String>,
    /// The last name that the log says is unknown, with the words for it.
    unknown: Option<String>,
}

impl World<'_> {
    fn new<'a>(engine: Engine, beside: Option<&'a Beside>, labels: &'a mut BTreeSet<String>) -> World<'a> {
        World {
            engine,
            beside,
            now_ms: 0,
            timers: BTreeMap::new(),
            files: BTreeMap::new(),
            steps: BTreeMap::new(),
            errors: Vec::new(),
            failed: None,
            labels,
            unknown: None,
        }
    }

    fn run(mut self) -> End {
        let mut requests = 0;
        for _ in 0..MAX_TURNS {
            for output in self.engine.poll() {
                match output {
                    Output::Event(event) => self.hear(event),
                    Output::Cancel { id } => {
                        self.timers.retain(|(_, timer), ()| *timer != id);
                        self.engine.answer(id, Reply::Cancelled);
                    }
                    Output::Request { id, request } => {
                        requests += 1;
                        if let Request::Sleep { ms } = *request {
                            self.timers.insert((self.now_ms.saturating_add(ms), id), ());
                        } else {
                            let reply = self.reply(&request);
                            self.engine.answer(id, reply);
                        }
                    }
                }
            }
            if let Some(end) = self.engine.end() {
                let of_environment =
                    |message: &String| message.contains("variables have some issues with their values");
                if end.message.as_ref().is_some_and(of_environment) && self.unknown.is_some() {
                    return End::Ended(end.outcome, self.unknown);
                }
                let own = |message: &String| self.errors.contains(message);
                let message = end.message.clone().or(self.failed).map(|message| match own(&message) {
                    true => format!("{}(error step)", message.lines().next().unwrap_or_default()),
                    false => message,
                });
                return End::Ended(end.outcome, message);
            }
            if requests > MAX_REQUESTS {
                return End::Stuck("it asks for more and more");
            }
            if !self.engine.is_busy() {
                let Some(((until, id), ())) = self.timers.pop_first() else {
                    return End::Stuck("it waits for nothing");
                };
                self.now_ms = self.now_ms.max(until);
                if self.now_ms > MAX_VIRTUAL_MS {
                    return End::Stuck("it waits for longer than a week");
                }
                self.engine.answer(id, Reply::Done);
            }
        }
        End::Stuck("it goes on and on")
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Log { text, .. } => {
                let found = text.find("No such property: ").and_then(|at| text.get(at..)?.lines().next());
                self.unknown = found.map(str::to_owned).or(self.unknown.take());
            }
            Event::StepStarted { step, name, .. } => drop(self.steps.insert(step, name)),
            Event::StepFinished { step, message: Some(message), .. } => {
                if self.steps.get(&step).is_some_and(|name| name == "error") {
                    self.errors.push(message.clone());
                }
                self.failed.get_or_insert(message);
            }
            _ => {}
        }
    }

    fn reply(&mut self, request: &Request) -> Reply {
        match request {
            Request::Now => Reply::Time(self.now_ms),
            Request::Exec { script, .. } => {
                Reply::Exited { code: 0, stdout: script.capture.then(|| output_of(script)), limit: None }
            }
            Request::Checkout { .. } => {
                let known = [("GIT_COMMIT", COMMIT), ("GIT_BRANCH", "master"), ("GIT_LOCAL_BRANCH", "master")];
                Reply::CheckedOut(known.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
            }
            Request::WriteFile { path, text, .. } => {
                self.files.insert(path.clone(), text.clone());
                Reply::Done
            }
            Request::Allocate { agent, .. } => {
                if let AgentSpec::Label(label) = agent {
                    self.labels.insert(label.clone());
                }
                match planning::reply(request) {
                    Reply::Allocated(mut place) => {
                        place.env.push(("HOSTNAME".to_owned(), "agent-1".to_owned()));
                        Reply::Allocated(place)
                    }
                    other => other,
                }
            }
            Request::ReadFile { path, .. } | Request::ReadTrusted { path, .. } => {
                let kept = || self.beside.and_then(|beside| beside.text(path));
                let text = self.files.get(path).cloned().or_else(kept);
                Reply::Text(text.unwrap_or_else(|| content_of(path).to_owned()))
            }
            Request::Library(_) => Reply::Library(self.beside.map(Beside::library).unwrap_or_default()),
            other => planning::reply(other),
        }
    }
}

/// What a command prints, by its words.
fn output_of(script: &ShellScript) -> String {
    let text = script.text.as_str();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let printed = match () {
        // `httpRequest`: the heads of an answer with their length in front, and nothing behind.
        () if says(&["%{redirect_url}"]) => "16\nHTTP/1.1 200 OK",
        () if says(&["abbrev-ref", "symbolic-ref", "git branch"]) => "master",
        () if says(&["rev-parse --short", "%h"]) => "0123456",
        () if says(&["rev-parse", "%H", "merge-base", "rev-list", "ls-remote"]) => COMMIT,
        () if says(&["%an", "%ae", "%s", "%B"]) => "Alice",
        () if says(&["version", "VERSION", "describe", "git tag"]) => "1.2.3",
        () if says(&["date "]) => "20260101",
        () => "1",
    };
    format!("{printed}\n")
}

/// What a file says, by its name.
fn content_of(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ends = |ending: &str| name.ends_with(ending);
    match name {
        "pom.xml" => {
            "<project><modelVersion>4.0.0</modelVersion><groupId>example</groupId><artifactId>app</artifactId><version>1.2.3-SNAPSHOT</version></project>"
        }
        _ if ends(".json") => "{\"name\": \"app\", \"version\": \"1.2.3\"}",
        _ if ends(".yaml") || ends(".yml") => "name: app\nversion: 1.2.3\n",
        _ if ends(".properties") => "name=app\nversion=1.2.3\n",
        _ if ends(".xml") => "<app version=\"1.2.3\"/>",
        _ if ends(".groovy") || ends("Jenkinsfile") => "return this",
        _ => "1.2.3\n",
    }
}
