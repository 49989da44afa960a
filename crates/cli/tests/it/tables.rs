//! The tables of cases of Jenkins' own plugins, for real: each case is a project with a repository, run by the built binary on
//! the real drivers, its log and its artifacts compared with what Jenkins gives.

mod docker;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::change::Change;
use model::outcome::Outcome;
use pipeline::conformance::{self, Build, Case, Fixture, HeldCredential};
use pipeline::engine::BuildCause;

use crate::project::{Project, Ran, cofferdam, finish, sandboxes_work};
use crate::terminal;
use docker::Docker;

/// Cases run at the same time: most of a case is waiting.
const THREADS: usize = 4;

/// Folder of the repository for programs that an agent has.
const PROGRAMS: &str = "programs";

/// Folder of the repository for the tools that a run is told of.
const TOOLS: &str = "tools";

/// Folder beside the repository for the libraries that a case assumes.
const LIBRARIES: &str = "libraries";

/// What only a server has: a run on one machine ends with all that it had.
const ONLY_AT_A_SERVER: &[(&str, &str)] = &[
    ("RestartDeclarativePipelineActionTest#stashAndRestart", "stashes that outlive their run are a server's"),
    ("BasicModelDefTest#booleanParamBuildStep", "runs of other projects are a server's"),
];

/// One table, and the cases of it that fail, with the reason of each.
struct Table {
    name: &'static str,
    failing: &'static str,
    docker: Option<Docker>,
}

/// What became of a case.
enum Verdict {
    Passed,
    Skipped(String),
    Failed { findings: Vec<String>, log: String },
}

#[test]
fn declarative_runtime_table_on_the_real_drivers() {
    Table { name: "declarative-runtime", failing: include_str!("failing/declarative-runtime.txt"), docker: None }
        .check();
}

#[test]
fn docker_runtime_table_on_the_real_drivers() {
    if !sandboxes_work() {
        return;
    }
    let Some(docker) = Docker::start() else { return };
    let failing = include_str!("failing/docker-runtime.txt");
    Table { name: "docker-runtime", failing, docker: Some(docker) }.check();
}

impl Table {
    fn check(&self) {
        if !sandboxes_work() {
            return;
        }
        let file = folder().join(format!("{}.jsonl", self.name));
        let Ok(text) = std::fs::read_to_string(&file) else {
            println!("skipped: not found ({}.jsonl)", self.name);
            return;
        };
        let only = std::env::var("COFFERDAM_CASE").ok();
        let wanted = |case: &Case| only.as_ref().is_none_or(|o| case.id.contains(o.as_str()));
        let cases: Vec<Case> = conformance::parse(&text).unwrap().into_iter().filter(wanted).collect();
        let verdicts = self.run_all(&cases);
        let mut listed = reasons(self.failing);
        let (mut passed, mut expected, mut skipped, mut wrong) = (0, 0, 0, Vec::new());
        for (case, verdict) in cases.iter().zip(verdicts) {
            match (verdict, listed.remove(case.id.as_str())) {
                (Verdict::Skipped(why), None) => {
                    println!("skipped: {}: {why}", case.id);
                    skipped += 1;
                }
                (Verdict::Passed, None) => passed += 1,
                (Verdict::Failed { .. }, Some(reason)) => {
                    println!("fails as listed: {}: {reason}", case.id);
                    expected += 1;
                }
                (Verdict::Passed | Verdict::Skipped(_), Some(_)) => {
                    wrong.push(format!("{} is listed as failing, but did not fail: take it off the list", case.id));
                }
                (Verdict::Failed { findings, log }, None) => {
                    println!("=== {}\n{log}", case.id);
                    wrong.push(format!("{}: {}", case.id, findings.join("; ")));
                }
            }
        }
        println!("{}: {passed} passed, {expected} expected failures, {skipped} skipped", self.name);
        if only.is_none() {
            wrong.extend(listed.keys().map(|id| format!("{id} is listed as failing, but is no case")));
        }
        assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
    }

    /// The verdicts in the order of the cases.
    fn run_all(&self, cases: &[Case]) -> Vec<Verdict> {
        let next = AtomicUsize::new(0);
        let verdicts: Vec<Mutex<Option<Verdict>>> = cases.iter().map(|_| Mutex::default()).collect();
        std::thread::scope(|scope| {
            for _ in 0..self.docker.as_ref().map_or(THREADS, Docker::at_once) {
                scope.spawn(|| {
                    while let Some((case, verdict)) = {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        cases.get(at).zip(verdicts.get(at))
                    } {
                        *verdict.lock().unwrap() = Some(self.run(case));
                    }
                });
            }
        });
        verdicts.into_iter().map(|v| v.into_inner().unwrap().unwrap()).collect()
    }

    fn run(&self, case: &Case) -> Verdict {
        if let Some((_, why)) = ONLY_AT_A_SERVER.iter().find(|(id, _)| *id == case.id) {
            return Verdict::Skipped((*why).to_owned());
        }
        if let Some(why) = self.docker.as_ref().and_then(|docker| docker.lacks(&case.id)) {
            return Verdict::Skipped(why.to_owned());
        }
        let builds = match conformance::builds(case) {
            Ok(builds) => builds,
            Err(why) => return Verdict::Skipped(why),
        };
        let (mut findings, mut logs) = (Vec::new(), String::new());
        for build in builds {
            let (found, log) = self.run_build(&build);
            findings.extend(found);
            logs.push_str(&log);
        }
        if let Some(why) = self.docker.as_ref().and_then(|docker| docker.lacked(&case.id, &logs)) {
            return Verdict::Skipped(why.to_owned());
        }
        if findings.is_empty() {
            if std::env::var_os("COFFERDAM_CASE").is_some() {
                println!("=== {} passed\n{logs}", case.id);
            }
            return Verdict::Passed;
        }
        Verdict::Failed { findings, log: logs }
    }

    /// What is wrong with a build of a case, and its log.
    fn run_build(&self, Build { case, fixture }: &Build) -> (Vec<String>, String) {
        let project = project(case, fixture);
        let artifacts = tempfile::tempdir().unwrap();
        let mut command = cofferdam();
        command.args(["run", "--progress", "jenkins", "--network", "none", "--artifacts"]).arg(artifacts.path());
        self.docker.iter().for_each(|docker| docker.furnish(&mut command));
        for library in &fixture.libraries {
            let folder = project.path().join(LIBRARIES).join(library.name);
            command.arg(format!("--library={}={}", library.name, folder.display()));
        }
        let given = credentials(fixture);
        if let Some(file) = &given {
            command.arg("--credentials").arg(file.path());
        }
        command.args(flags(fixture)).arg(project.path().join(folder_of(fixture)));
        let ran = match fixture.answers.as_slice() {
            [] => finish(command.output().unwrap()),
            answers => answered(&command, answers),
        };
        let (outcome, log) = outcome_and_log(&ran);
        let findings = match outcome {
            Some(outcome) => case.findings(outcome, &log, &files_below(artifacts.path())),
            None => vec![format!("ended with code {} and no result", ran.code)],
        };
        (findings, log)
    }
}

/// Runs it on a terminal, where `alice` gives these answers.
fn answered(command: &Command, answers: &[Option<Vec<(String, String)>>]) -> Ran {
    let keys = answers.iter().flat_map(|answer| {
        let values = answer.iter().flatten().map(|(name, value)| (format!("{name} ["), value.clone()));
        let decision = if answer.is_some() { "p" } else { "a" };
        values.chain([("[p/a]: ".to_owned(), decision.to_owned())])
    });
    let (code, seen) = terminal::type_into(terminal::around(command).env("USER", "alice"), keys);
    Ran { code, stdout: seen.replace('\r', ""), stderr: String::new() }
}

/// The list of failing cases: `id: reason` a line.
fn reasons(list: &str) -> BTreeMap<&str, &str> {
    let lines: Vec<_> = list.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with("# ")).collect();
    let reasons: BTreeMap<_, _> =
        lines.iter().map(|l| l.split_once(": ").unwrap_or_else(|| panic!("no reason: {l}"))).collect();
    let ids: BTreeSet<_> = reasons.keys().collect();
    assert_eq!(ids.len(), lines.len(), "an id is listed twice");
    reasons
}

fn folder() -> PathBuf {
    let folder = std::env::var_os("COFFERDAM_CONFORMANCE").map(PathBuf::from);
    folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"))
}

/// The last part of the job's name.
fn folder_of(fixture: &Fixture) -> &str {
    let name = &fixture.facts.job_name;
    name.rsplit('/').next().unwrap_or(name)
}

/// A repository with the definition and the files of the fixture; its folder has the name of the job.
fn project(case: &Case, fixture: &Fixture) -> Project {
    let project = Project::new("");
    let name = folder_of(fixture);
    project.write(&format!("{name}/Jenkinsfile"), &case.script);
    for (path, text) in &fixture.files {
        project.write(&format!("{name}/{path}"), text);
    }
    for (program, text) in &fixture.programs {
        executable(&project, &format!("{name}/{PROGRAMS}/{program}"), text);
    }
    for (tool, program, text) in &fixture.tools {
        executable(&project, &format!("{name}/{TOOLS}/{tool}/bin/{program}"), text);
    }
    for library in &fixture.libraries {
        for (path, text) in library.files {
            project.write(&format!("{LIBRARIES}/{}/{path}", library.name), text);
        }
        let folder = format!("{LIBRARIES}/{}", library.name);
        project.commit_folder(&folder, "master");
        // Some ask for that version.
        project.git(&["-C", &folder, "branch", "test"]);
    }
    project.commit_folder(name, "master");
    for Change { message, files, .. } in &fixture.changes {
        for file in files {
            project.write(&format!("{name}/{}", file.path), "new");
        }
        project.git(&["-C", name, "add", "-A"]);
        project.git(&["-C", name, "commit", "-q", "-m", message]);
    }
    project
}

fn executable(project: &Project, path: &str, text: &str) {
    project.write(path, text);
    std::fs::set_permissions(project.path().join(path), std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The credentials of a case in a file of its own.
fn credentials(fixture: &Fixture) -> Option<tempfile::NamedTempFile> {
    let text: Vec<String> =
        fixture.credentials.iter().map(|(id, held)| format!("[{id}]\n{}", table_of(held))).collect();
    let file = (!text.is_empty()).then(|| tempfile::NamedTempFile::new().unwrap())?;
    std::fs::write(file.path(), text.join("\n")).unwrap();
    Some(file)
}

fn table_of(held: &HeldCredential) -> String {
    match held {
        HeldCredential::Text(text) => format!("kind = 'string'\nvalue = '{text}'\n"),
        HeldCredential::UsernamePassword { username, password, is_username_secret } => format!(
            "kind = 'username-password'\nusername = '{username}'\nusername-secret = {is_username_secret}\npassword = '{password}'\n"
        ),
        HeldCredential::File { name, text } => format!("kind = 'file'\nname = '{name}'\nvalue = \"\"\"{text}\"\"\"\n"),
        HeldCredential::SshKey { username, key, passphrase } => {
            format!(
                "kind = 'ssh-key'\nusername = '{username}'\nvalue = \"\"\"{key}\"\"\"\npassphrase = '{passphrase}'\n"
            )
        }
        HeldCredential::Certificate => "kind = 'certificate'\nvalue = 'store'\n".to_owned(),
    }
}

/// What a case assumes, as flags.
fn flags(fixture: &Fixture) -> Vec<String> {
    let facts = &fixture.facts;
    let mut flags = vec![format!("--job-name={}", facts.job_name), format!("--build-number={}", facts.build_number)];
    let commits = fixture.changes.len();
    flags.extend(facts.previous_commit.as_ref().map(|_| format!("--changes-since=HEAD~{commits}")));
    flags.extend(facts.restart_from.as_ref().map(|stage| format!("--from-stage={stage}")));
    flags.extend(facts.previous.map(|outcome| format!("--previous-result={}", outcome.name())));
    flags.extend(facts.causes.iter().map(|cause| format!("--cause={}", cause_flag(cause))));
    flags.extend(facts.env.iter().map(|(name, value)| format!("--env={name}={value}")));
    flags.extend(facts.libraries.iter().map(|name| format!("--load-library={name}")));
    flags.extend(facts.params.iter().map(|(name, value)| format!("--param={name}={value}")));
    let (tools, folder) = (fixture.tools.iter(), folder_of(fixture));
    flags.extend(tools.map(|(name, ..)| format!("--tool={name}=/workspace/{folder}/{TOOLS}/{name}")));
    flags.extend(facts.tools.iter().map(|tool| format!("--tool={}={}", tool.name, tool.folder)));
    flags.extend(fixture.env_of(None).iter().map(|(name, value)| format!("--env={name}={value}")));
    if !fixture.programs.is_empty() {
        let path = format!("/workspace/{folder}/{PROGRAMS}:/usr/local/bin:/usr/bin:/bin");
        flags.push(format!("--env=PATH={path}"));
    }
    for label in
        ["some-label", "other-label", "first-agent", "second-agent", "linux-agent", "mac-agent", "windows-agent"]
    {
        let of_label = fixture.env_of(Some(label));
        let own = of_label.iter().filter(|pair| !fixture.agent_env.contains(pair));
        flags.extend(own.map(|(name, value)| format!("--node-env={label}:{name}={value}")));
    }
    flags
}

fn cause_flag(cause: &BuildCause) -> String {
    match (&*cause.class, &cause.user) {
        (_, Some(user)) => format!("user:{user}"),
        ("hudson.triggers.TimerTrigger$TimerTriggerCause", None) => "timer".to_owned(),
        ("hudson.triggers.SCMTrigger$SCMTriggerCause", None) => "scm".to_owned(),
        (class, None) => panic!("no flag for {class}"),
    }
}

/// The result that the log ends with. Jenkins reports a definition that it rejects as a failed build, with the findings in its log.
fn outcome_and_log(ran: &Ran) -> (Option<Outcome>, String) {
    if ran.code == 5 {
        return (Some(Outcome::Failure), ran.stderr.clone());
    }
    let last = ran.stdout.lines().last().and_then(|line| line.strip_prefix("Finished: "));
    let log = if ran.stderr.is_empty() { ran.stdout.clone() } else { format!("{}{}", ran.stdout, ran.stderr) };
    (last.and_then(Outcome::from_name), log)
}

fn files_below(folder: &Path) -> BTreeMap<String, String> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(current) = folders.pop() {
        for entry in std::fs::read_dir(current).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                found.insert(name, String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned());
            }
        }
    }
    found
}
