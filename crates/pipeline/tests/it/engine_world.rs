//! A small world for engine tests: agents are folders, `sh` runs for real, time is virtual.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use model::build::Built;
use model::credential::{Credential, CredentialWish, Secret, SecretContent};
use model::event::{Event, LogSource};
use model::ids::{JobId, RequestId, StageId, StepId};
use model::request::{
    AgentSpec, Allocated, DigestAlgorithm, Failure, FailureKind, FoundFile, Question, Reply, Request, ShellScript,
};
use model::run::InstalledTool;
use model::test_result::TestCounts;
use pipeline::conformance::{Fixture, HeldCredential};
use pipeline::engine::{Engine, Output, RunInput};
use pipeline::log::LogRenderer;
use tempfile::TempDir;

use crate::engine_files::{append, collect, executable, list, put};
pub use crate::engine_ran::{Ran, Stashes};

/// Most requests of one run: a run that does not end is a finding, not a hang.
const MAX_REQUESTS: usize = 100_000;

/// What performs the requests.
pub struct World {
    root: TempDir,
    fixture: Fixture,
    places: BTreeMap<JobId, PathBuf>,
    stages: BTreeMap<StepId, Option<StageId>>,
    /// Who is answered when; false: it has not what it waits for by then.
    sleeping: BTreeMap<(u64, RequestId), bool>,
    now_ms: u64,
    /// What the run before has stashed is there, too.
    pub stashes: Stashes,
    secrets: Vec<String>,
    ran: (LogRenderer, String, BTreeMap<String, String>, Vec<Request>, Vec<Event>),
    /// Aborts the run at this virtual time.
    pub abort_at_ms: Option<u64>,
    /// What is said to each `input`; who is asked more is nobody.
    pub decisions: VecDeque<Option<Vec<(String, String)>>>,
    /// What another run has locked, until the virtual time.
    pub locked: BTreeMap<String, u64>,
    /// A newer run has passed the milestones from this one.
    pub milestone: Option<i64>,
}

impl World {
    pub fn new(fixture: Fixture) -> World {
        let decisions = fixture.answers.clone().into();
        World {
            root: tempfile::tempdir().unwrap(),
            fixture,
            places: BTreeMap::new(),
            stages: BTreeMap::new(),
            sleeping: BTreeMap::new(),
            now_ms: 0,
            stashes: BTreeMap::new(),
            secrets: Vec::new(),
            ran: Default::default(),
            abort_at_ms: None,
            decisions,
            locked: BTreeMap::new(),
            milestone: None,
        }
    }

    /// Runs a definition to its end. `Err`: it was rejected.
    pub fn run(self, source: &str) -> Result<Ran, Vec<String>> {
        let mut facts = self.fixture.facts.clone();
        facts.tools.extend(self.tools());
        self.run_input(RunInput {
            source: source.to_owned(),
            file_name: "Jenkinsfile".to_owned(),
            facts,
            ..RunInput::default()
        })
    }

    pub fn run_input(mut self, input: RunInput) -> Result<Ran, Vec<String>> {
        let engine = Engine::new(input).map_err(|d| d.into_iter().map(|d| d.message).collect::<Vec<_>>());
        let mut engine = engine?;
        loop {
            let outputs = engine.poll();
            for output in outputs {
                self.perform(&mut engine, output);
            }
            if let Some(end) = engine.end() {
                assert_eq!(engine.unanswered(), self.sleeping.len(), "requests are left");
                assert!(self.decisions.is_empty(), "nobody was asked: {:?}; log:\n{}", self.decisions, self.ran.1);
                let (_, log, archived, requests, events) = self.ran;
                let (end, stashes) = (end.clone(), self.stashes);
                return Ok(Ran { end, log, archived, requests, events, stashes });
            }
            if !engine.is_busy() && !self.pass_time(&mut engine) {
                panic!("the run waits for nothing; log:\n{}", self.ran.1);
            }
        }
    }

    /// Lets time pass until something happens.
    fn pass_time(&mut self, engine: &mut Engine) -> bool {
        let next = self.sleeping.keys().next().copied();
        if let Some(at) = self.abort_at_ms.filter(|at| next.is_none_or(|(until, _)| *at <= until)) {
            (self.now_ms, self.abort_at_ms) = (at.max(self.now_ms), None);
            engine.abort("Aborted by the test");
            return true;
        }
        let Some((until, id)) = next else { return false };
        self.now_ms = self.now_ms.max(until);
        let is_in_time = self.sleeping.remove(&(until, id)).is_none_or(|is_in_time| is_in_time);
        engine.answer(id, if is_in_time { Reply::Done } else { Reply::Bool(false) })
    }

    fn perform(&mut self, engine: &mut Engine, output: Output) {
        match output {
            Output::Event(event) => self.event(event),
            Output::Cancel { id } => {
                self.sleeping.retain(|(_, sleeper), _| *sleeper != id);
                engine.answer(id, Reply::Cancelled);
            }
            Output::Request { id, request } => {
                let request = *request;
                self.ran.3.push(request.clone());
                assert!(self.ran.3.len() < MAX_REQUESTS, "too many requests");
                if let Request::Sleep { ms } = request {
                    self.sleeping.insert((self.now_ms.saturating_add(ms), id), true);
                    return;
                }
                if let Request::Lock(wish) = &request {
                    let until = wish.names.iter().filter_map(|name| self.locked.get(name)).max();
                    if let Some(until) = until.filter(|until| **until > self.now_ms && !wish.skips) {
                        let most = wish.most_ms.map_or(u64::MAX, |most| self.now_ms.saturating_add(most));
                        self.sleeping.insert(((*until).min(most), id), *until <= most);
                        return;
                    }
                }
                let reply = self.answer(request).unwrap_or_else(|message| {
                    Reply::Failed(Failure { kind: FailureKind::Workload, message, hint: None })
                });
                assert!(engine.answer(id, reply));
            }
        }
    }

    fn event(&mut self, mut event: Event) {
        event.each_text(&mut |text| self.secrets.iter().for_each(|secret| *text = text.replace(secret, "****")));
        if let Event::StepStarted { step, stage, .. } = &event {
            self.stages.insert(*step, *stage);
        }
        if let Some(line) = self.ran.0.line(&event) {
            self.ran.1.push_str(&line);
            self.ran.1.push('\n');
        }
        self.ran.4.push(event);
    }

    fn answer(&mut self, request: Request) -> Result<Reply, String> {
        let said = |e: std::io::Error| e.to_string();
        Ok(match request {
            Request::Allocate { job, agent, .. } => Reply::Allocated(self.allocate(job, &agent)),
            Request::Release { .. } | Request::Unlock { .. } => Reply::Done,
            Request::Lock(wish) => {
                let is_free = |name| self.locked.get(name).is_none_or(|until| *until <= self.now_ms);
                if wish.names.iter().all(is_free) { Reply::Done } else { Reply::Bool(false) }
            }
            Request::Milestone { ordinal } => match self.milestone {
                Some(newer) if ordinal <= newer => Reply::Superseded { by: 7 },
                _ => Reply::Done,
            },
            Request::MakeDir { path, .. } | Request::MakeWorkspace { path, .. } => {
                fs::create_dir_all(path).map_err(said)?;
                Reply::Done
            }
            Request::Exec { step, script, job } => self.exec(job, step, &script),
            Request::Checkout { dir, source, .. } => self.checkout(&dir, source.is_none()),
            Request::ReadFile { path, .. } => Reply::Text(
                fs::read_to_string(&path).map_err(|_| format!("java.nio.file.NoSuchFileException: {path}"))?,
            ),
            Request::WriteFile { path, text, .. } => {
                fs::create_dir_all(Path::new(&path).parent().unwrap()).map_err(said)?;
                fs::write(path, text).map_err(said)?;
                Reply::Done
            }
            Request::FileExists { path, .. } => Reply::Bool(Path::new(&path).exists()),
            Request::DeleteDir { path, .. } => {
                if Path::new(&path).exists() {
                    fs::remove_dir_all(path).map_err(said)?;
                }
                Reply::Done
            }
            Request::Stash { name, files, .. } => {
                let found = collect(&files);
                let count = found.len() as u64;
                self.stashes.insert(name, found);
                Reply::Count(count)
            }
            Request::Unstash { name, dir, .. } => {
                let files = self.stashes.get(&name).ok_or_else(|| format!("No such saved stash ‘{name}’"))?;
                for (path, bytes) in files {
                    put(&Path::new(&dir).join(path), bytes)?;
                }
                Reply::Done
            }
            Request::Archive { files, below, .. } => {
                let folder = below.map_or_else(String::new, |folder| folder + "/");
                let found = collect(&files);
                let count = found.len() as u64;
                for (path, bytes) in found {
                    self.ran.2.insert(format!("{folder}{path}"), String::from_utf8_lossy(&bytes).into_owned());
                }
                Reply::Count(count)
            }
            Request::Unarchive { files, .. } => {
                let folder = files.includes.trim_end_matches("**");
                let found: Vec<_> = self.ran.2.iter().filter(|(path, _)| path.starts_with(folder)).collect();
                for (path, text) in &found {
                    let to = if **path == files.includes { files.dir.clone() } else { format!("{}/{path}", files.dir) };
                    put(Path::new(&to), text.as_bytes())?;
                }
                Reply::Count(found.len() as u64)
            }
            Request::TestReport { files, .. } => {
                let found = collect(&files);
                let count = |what: &str| {
                    let texts = found.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).matches(what).count());
                    texts.sum::<usize>() as u64
                };
                let (all, failed) = (count("<testcase"), count("<failure"));
                let tests = TestCounts { failed, skipped: 0, passed: all - failed };
                Reply::Tests { files: found.len() as u64, tests }
            }
            Request::Library(wish) => {
                let found = self.fixture.libraries.iter().find(|library| library.name == wish.name);
                let none = || format!("Could not find any definition of libraries [{}]", wish.name);
                Reply::Library(found.ok_or_else(none)?.found(wish.version))
            }
            Request::Credential(wish) => match self.credential(&wish) {
                Ok(given) => Reply::Credential(given),
                Err(failure) => Reply::Failed(failure),
            },
            Request::ReadTrusted { path } => {
                let found = self.fixture.files.iter().find(|(name, _)| *name == path);
                Reply::Text(found.ok_or_else(|| format!("{path}: no such file"))?.1.clone())
            }
            Request::Build(wish) => match self.fixture.projects.iter().find(|(name, _)| wish.names.contains(name)) {
                Some((name, outcome)) => Reply::Built(Built {
                    job_name: name.clone(),
                    number: 7,
                    outcome: wish.waits.then_some(*outcome),
                    duration_ms: 2500,
                    parameters: wish.parameters,
                    ..Built::default()
                }),
                None => return Err(format!("No item named {} found", wish.names[0])),
            },
            Request::Copy { wish, files, .. } => {
                let name = wish.names.last().cloned().unwrap_or_default();
                if name != "library" {
                    return Err(format!("Unable to find project for artifact copy: {name}"));
                }
                let found = if files.includes == "none" { 0 } else { 1 };
                put(&Path::new(&files.dir).join("copied"), format!("{:?} {}", wish.which, wish.flatten).as_bytes())?;
                Reply::Copied { count: found, number: 7 }
            }
            Request::Mask { values } => {
                let short = values.iter().filter(|value| value.len() < 4).count() as u64;
                self.secrets.extend(values);
                Reply::Count(short)
            }
            Request::Changes { .. } => Reply::Changes(Some(self.fixture.changes.clone())),
            Request::Now => Reply::Time(self.now_ms),
            Request::Input(Question { message, .. }) => match self.decisions.pop_front() {
                Some(values) => Reply::Decided { by: "alice".to_owned(), values },
                None => {
                    return Err(format!("The run stops at ‘input’ (“{message}”): there is nobody to answer it here"));
                }
            },
            Request::Sleep { .. } => unreachable!(),
            Request::FindFiles { files, folders, is_shallow, .. } => {
                let is_meant =
                    |file: &FoundFile| (folders || !file.is_folder) && !(is_shallow && file.path.contains('/'));
                Reply::Found(list(&files).into_iter().filter(is_meant).collect())
            }
            Request::Delete { paths, .. } => {
                for path in paths.iter().map(Path::new).filter(|path| path.exists()) {
                    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.map_err(said)?;
                }
                Reply::Done
            }
            Request::Digest { path, algorithm, .. } => {
                let program = match algorithm {
                    DigestAlgorithm::Md5 => "md5sum",
                    DigestAlgorithm::Sha1 => "sha1sum",
                    DigestAlgorithm::Sha256 => "sha256sum",
                    DigestAlgorithm::Sha512 => "sha512sum",
                };
                let output = Command::new(program).arg(&path).output().map_err(said)?;
                if !output.status.success() {
                    return Err(format!("java.nio.file.NoSuchFileException: {path}"));
                }
                Reply::Text(String::from_utf8_lossy(&output.stdout).split(' ').next().unwrap_or_default().to_owned())
            }
            Request::Pack { files, archive, overwrite, .. } => {
                crate::engine_archives::pack(&files, &collect(&files), &archive, overwrite)?
            }
            Request::Unpack { archive, files, purpose, .. } => {
                crate::engine_archives::unpack(&archive, &files, purpose)?
            }
            Request::Append { path, text, .. } => {
                append(&path, text.as_bytes());
                Reply::Done
            }
            Request::Touch { path, time_ms, .. } => {
                let file = fs::OpenOptions::new().append(true).create(true).open(path).map_err(said)?;
                let time = std::time::Duration::from_millis(time_ms.unwrap_or(0).unsigned_abs());
                file.set_modified(std::time::UNIX_EPOCH + time).map_err(said)?;
                Reply::Done
            }
        })
    }

    /// What a real performer does, with what the fixture has; from then on its secrets are masked.
    fn credential(&mut self, wish: &CredentialWish) -> Result<Credential, Failure> {
        let held = self.fixture.credentials.iter().find(|(id, _)| *id == wish.id).map(|(_, held)| held.clone());
        if let Some(refused) = wish.refusal(held.as_ref().map(HeldCredential::kind)) {
            return Err(refused);
        }
        let file = wish.file.as_ref();
        let write = |own: &str, text: &str, mode: u32| {
            let file = file.unwrap();
            let name = if file.name.is_empty() { own } else { &file.name };
            fs::create_dir_all(&file.dir).unwrap();
            fs::set_permissions(&file.dir, fs::Permissions::from_mode(0o700)).unwrap();
            let path = format!("{}/{name}", file.dir);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let given = match held.unwrap() {
            HeldCredential::Text(text) => Credential::Text(Secret::new(text)),
            HeldCredential::UsernamePassword { username, password, is_username_secret } => {
                let path = file.and_then(|file| match &file.content {
                    SecretContent::DockerLogin(url) => Some(write("", &format!("{url} {username}"), 0o400)),
                    SecretContent::GitAskpass => Some(write("", "#!/bin/sh\necho \"$GIT_PASSWORD\"\n", 0o500)),
                    _ => None,
                });
                let password = Secret::new(password);
                Credential::UsernamePassword { username, is_username_secret, password, path }
            }
            HeldCredential::File { name, text } => Credential::File { path: write(&name, &text, 0o400) },
            HeldCredential::SshKey { username, key, passphrase } => {
                let path = write("key", &key, 0o400);
                let passphrase = Secret::new(passphrase);
                Credential::SshKey { username, is_username_secret: true, passphrase, path }
            }
            HeldCredential::Certificate => {
                let (path, password) = (write("keystore", "store", 0o400), Secret::new("of-the-store"));
                Credential::Certificate { path, password, alias: "mine".to_owned() }
            }
        };
        self.secrets.extend(given.secrets());
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Ok(given)
    }

    /// `PATH` of each agent, with the programs of the fixture.
    fn path(&self) -> String {
        let folder = self.root.path().join("programs");
        for (name, text) in &self.fixture.programs {
            executable(&folder.join(name), text);
        }
        let own = if folder.exists() { format!("{}:", folder.display()) } else { String::new() };
        format!("{own}/usr/local/bin:/usr/bin:/bin")
    }

    /// The tools of the fixture, each in a folder of its own.
    fn tools(&self) -> Vec<InstalledTool> {
        let tools = self.fixture.tools.iter().map(|(name, program, text)| {
            let folder = self.root.path().join("tools").join(name);
            executable(&folder.join("bin").join(program), text);
            InstalledTool { name: name.clone(), kind: String::new(), folder: folder.display().to_string() }
        });
        tools.collect()
    }

    fn allocate(&mut self, job: JobId, agent: &AgentSpec) -> Allocated {
        let (label, shared) = match agent {
            AgentSpec::Any => (None, None),
            AgentSpec::Label(label) => (Some(label.as_str()), None),
            AgentSpec::Docker(docker) => (docker.label.as_deref(), docker.workspace_of),
        };
        let workspace = match shared.and_then(|s| self.places.get(&s)) {
            Some(path) => path.clone(),
            None => self.root.path().join(job.to_string()).join("workspace").join("test0"),
        };
        fs::create_dir_all(&workspace).unwrap();
        self.places.insert(job, workspace.clone());
        Allocated {
            workspace: workspace.to_string_lossy().into_owned(),
            node_name: label.unwrap_or("here").to_owned(),
            env: self.fixture.env_of(label),
            path: self.path(),
            home: "/root".to_owned(),
            rung: None,
        }
    }

    fn exec(&mut self, job: JobId, step: StepId, script: &ShellScript) -> Reply {
        fs::create_dir_all(&script.dir).unwrap();
        let file = self.root.path().join(format!("{job}-{step}.sh"));
        fs::write(&file, &script.text).unwrap();
        let mut words = match &script.interpreter {
            Some(words) => words.clone(),
            None => vec!["sh".to_owned(), "-xe".to_owned()],
        };
        words.push(file.to_string_lossy().into_owned());
        let output = Command::new(&words[0])
            .args(&words[1..])
            .current_dir(&script.dir)
            .env_clear()
            .env("PATH", self.path())
            .envs(self.fixture.agent_env.iter().cloned())
            .envs(script.env.iter().cloned())
            .stdin(Stdio::null())
            .output();
        let output = output.unwrap();
        self.lines(step, LogSource::Stderr, &output.stderr);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !script.capture {
            self.lines(step, LogSource::Stdout, &output.stdout);
        }
        for copy in &script.copies {
            append(&copy.path, &output.stderr);
            append(&copy.path, if script.capture { b"" } else { &output.stdout });
        }
        Reply::Exited { code: output.status.code().unwrap_or(137), stdout: script.capture.then_some(text), limit: None }
    }

    fn lines(&mut self, step: StepId, source: LogSource, bytes: &[u8]) {
        let stage = self.stages.get(&step).copied().flatten();
        for line in String::from_utf8_lossy(bytes).lines() {
            self.event(Event::Log { step: Some(step), stage, source, text: line.to_owned() });
        }
    }

    fn checkout(&mut self, dir: &str, own: bool) -> Reply {
        fs::create_dir_all(dir).unwrap();
        let files = if own { self.fixture.files.clone() } else { Vec::new() };
        for (path, text) in files {
            let path = Path::new(dir).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let vars = [("GIT_COMMIT", "0123456789"), ("GIT_BRANCH", "master"), ("GIT_LOCAL_BRANCH", "master")];
        Reply::CheckedOut(vars.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec())
    }
}
