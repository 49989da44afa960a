//! Sandboxes that an agent makes ahead.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use super::place::{Place, wait_until};
use crate::images::busybox_image;
use crate::interruption::{descendants, start_time};
use crate::kernels::guest;
use crate::project::{Project, run, sandboxes_work};

/// Prints when the sandbox's own files were made.
const BORN: &str = "pipeline { agent { docker 'IMAGE' }
  stages { stage('A') { steps { sh 'echo born $(stat -c %z /etc/hosts)' } } } }";

/// Now, in the same words, which are in the order of time.
fn now() -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut stat = Command::new("/bin/busybox");
    let said = stat.args(["stat", "-c", "%z"]).arg(file.path()).env("TZ", "UTC").output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

impl Place {
    /// Runs it; whether its sandbox was there before anybody asked.
    fn comes_from_the_pool(&self, project: &str) -> bool {
        let asked = now();
        let ran = self.ask(&["trigger", project, "--follow"]);
        assert_eq!(ran.code, 0, "{ran:?}\n{}", self.logs());
        born(&ran.stdout) < asked
    }
}

/// What a log says of [`BORN`].
fn born(log: &str) -> String {
    let born = log.lines().find_map(|line| line.strip_prefix("born ")).unwrap_or_else(|| panic!("{log}"));
    assert_eq!((born.len(), now().len()), (35, 35), "{born}");
    born.to_owned()
}

/// Those that [`descendants`] has found: whoever looks for children of a process that has ended finds none, for they have another
/// parent then.
fn is_gone(family: &[(u32, u64)]) -> bool {
    family.iter().all(|(pid, start)| start_time(*pid) != Some(*start))
}

fn place(image: &str, words: &[&str]) -> (Place, Project) {
    let mut place = Place::new();
    place.add_agent_with("one", words);
    let project = Project::new(&BORN.replace("IMAGE", image));
    // Two of them, for a sandbox that was made ahead is nobody's.
    for name in ["app", "other"] {
        place.put(name, &project);
    }
    (place, project)
}

#[test]
fn an_agent_makes_ahead_what_was_asked_for_lately() {
    if !sandboxes_work() {
        return;
    }
    let Some(image) = busybox_image("pool", r#"{"Env":["PATH=/bin"]}"#, &[]) else { return };
    let (with, _files) = place(&image, &[]);
    assert!(!with.comes_from_the_pool("app"), "nobody has asked before");
    wait_until("another project gets one that was made ahead", || with.comes_from_the_pool("other"));
    let (without, _files) = place(&image, &["--warm", "0"]);
    for _ in 0..3 {
        assert!(!without.comes_from_the_pool("app"), "a control");
    }
}

#[test]
fn an_agent_keeps_ready_what_it_is_told_to() {
    if !sandboxes_work() {
        return;
    }
    let Some(image) = busybox_image("pool", r#"{"Env":["PATH=/bin"]}"#, &[]) else { return };
    // Demand is worth nothing, so what is there was promised.
    let (place, _files) = place(&image, &["--warm-image", &format!("{image}=2"), "--warm-factor", "0"]);
    let agent = place.agents[0].0.id();
    wait_until("both are there", || sandboxes_of(agent) == SPARE + 2);
    for project in ["app", "other", "app"] {
        assert!(place.comes_from_the_pool(project), "and given to who asks");
        wait_until("both are there again", || sandboxes_of(agent) == SPARE + 2);
    }
    let family = descendants(agent);
    assert!(family.len() > SPARE + 2, "the launcher too: {family:?}");
    drop(place);
    wait_until("all of them are gone", || is_gone(&family));
}

const SECRET: &str = "a secret of the forge";

/// Strangers' jobs have machines, whatever the agent's own rung is.
#[test]
fn an_agent_keeps_a_microvm_ready_for_strangers() {
    if !sandboxes_work() || !guest() {
        return;
    }
    if ["openssl", "curl"].iter().any(|program| Command::new(program).arg("--version").output().is_err()) {
        println!("skipped: openssl or curl is not installed");
        return;
    }
    let Some(image) = busybox_image("pool-stranger", r#"{"Env":["PATH=/bin"]}"#, &[]) else { return };
    let (project, _web, url) = super::served(&BORN.replace("IMAGE", &image));
    let place = |words: &[&str]| {
        let mut place = Place::new();
        place.add_agent_with("one", &[&["--memory", "512M", "--warm-factor", "0"], words].concat());
        let secret = place.folder.path().join("secret");
        std::fs::write(&secret, SECRET).unwrap();
        let hook = ["--hook", "github", "--hook-secret-file", secret.to_str().unwrap()];
        let put = place.ask(&[&["projects", "put", "app", "--git", &url][..], &hook].concat());
        assert_eq!(put.code, 0, "{put:?}");
        place
    };
    let commit = project.git(&["rev-parse", "main"]);
    let request = serde_json::json!({ "action": "synchronize", "number": 7, "pull_request": { "number": 7,
        "title": "mine", "user": { "login": "eve" }, "head": { "sha": commit, "ref": "patch", "repo": { "id": 2 } },
        "base": { "ref": "main", "repo": { "id": 1 } } } });
    // Its first run.
    let run = |place: &Place| {
        let asked = now();
        let (status, said) = super::hook(place, "pull_request", "one", SECRET, &request);
        assert_eq!((status, &said["trust"]), (202, &"stranger".into()), "{said}");
        let run = said["run"].as_u64().unwrap();
        let ended = place.wait_for_end(run);
        let log = place.ask(&["logs", &run.to_string()]).stdout;
        assert_eq!(ended["outcome"], "SUCCESS", "{log}\n{}", place.logs());
        (run.to_string(), born(&log) < asked)
    };
    let (_, came_from_the_pool) = run(&place(&[]));
    assert!(!came_from_the_pool, "a control");
    let place = place(&["--warm-image", &format!("{image}=1@microvm")]);
    let (run, _) = run(&place);
    wait_until("a stranger gets one that was made ahead", || {
        let asked = now();
        let ran = place.ask(&["rerun", &run, "--follow"]);
        assert_eq!(ran.code, 0, "{ran:?}\n{}", place.logs());
        born(&ran.stdout) < asked
    });
}

#[test]
fn an_agent_prepares_for_what_waits() {
    if !sandboxes_work() {
        return;
    }
    let Some(image) = busybox_image("pool", r#"{"Env":["PATH=/bin"]}"#, &[]) else { return };
    let (place, files) = place(&image, &["--runs", "1", "--warm", "8"]);
    assert!(!place.comes_from_the_pool("app"), "nobody has asked before");
    let blocking = Project::new("node { sh 'while [ -e .. ]; do sleep 1; done' }");
    place.put("blocking", &blocking);
    let id = place.trigger("blocking");
    wait_until("it runs", || place.run(id)["status"] == "running");
    // Of each driver one or two are kept for runs that have been, which are fewer than what waits.
    for _ in 0..6 {
        place.trigger("app");
    }
    wait_until("six are there", || sandboxes_of(place.agents[0].0.id()) >= SPARE + 1 + 6);
    drop(files);
}

/// Whoever kills its launcher ends what runs; what comes then is run as before.
#[test]
fn an_agent_outlives_its_launcher() {
    let Some(place) = Place::with_agent() else { return };
    let project = Project::new("node { sh 'echo still here' }");
    place.put("app", &project);
    assert_eq!(place.ask(&["trigger", "app", "--follow"]).code, 0);
    let agent = place.agents[0].0.id();
    let launchers = || of_agent(agent, "cofferdam-launc");
    let [launcher] = launchers()[..] else { panic!("{:?}", launchers()) };
    super::kill_9(launcher);
    wait_until("it is gone", || launchers() != [launcher]);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    assert_eq!(ran.code, 0, "{ran:?}\n{}", place.logs());
}

/// What killed agents have left at an engine elsewhere goes as soon as that is there, whether or not a job is ever placed there.
#[test]
fn an_agent_sweeps_an_engine_that_is_away_when_it_starts() {
    if !sandboxes_work() {
        return;
    }
    let mut place = Place::new();
    let socket = place.folder.path().join("engine");
    place.add_agent_with("one", &["--docker", &format!("unix://{}", socket.display()), "--docker-shared"]);
    let project = Project::new("node { sh 'echo here' }");
    place.put("app", &project);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    assert_eq!(ran.code, 0, "what is not placed there runs: {ran:?}\n{}", place.logs());
    let asked = engine(&socket);
    wait_until("what nobody has is removed", || has_removed(&asked.lock().unwrap(), "dead"));
    assert!(!has_removed(&asked.lock().unwrap(), "living"));
}

fn has_removed(asked: &[String], name: &str) -> bool {
    asked.iter().any(|line| line.starts_with("DELETE ") && line.contains(&format!("/containers/{name}?")))
}

/// Whoever asks for it hears what was removed there.
#[test]
fn clean_says_what_was_left_at_an_engine() {
    if !sandboxes_work() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine");
    engine(&socket);
    let cleaned = run(&["clean", "--docker", &format!("unix://{}", socket.display())]);
    assert!(cleaned.code == 0 && cleaned.stdout.contains("container dead of dead\n"), "{cleaned:?}");
    assert!(!cleaned.stdout.contains("living"), "{cleaned:?}");
}

/// An engine as far as the question goes what is left there: of a time that is over, and of a machine that cannot be looked at. What
/// it was asked, a line each.
fn engine(socket: &Path) -> Arc<Mutex<Vec<String>>> {
    let container = |name: &str, until: u64| {
        let labels = serde_json::json!({ "cofferdam.owner": name, "cofferdam.until": until.to_string() });
        serde_json::json!({ "Id": name, "Labels": labels })
    };
    let left = [container("dead", 1_000_000_000), container("living", 99_000_000_000)];
    let asked = Arc::new(Mutex::new(Vec::<String>::new()));
    let (listener, all) = (UnixListener::bind(socket).unwrap(), Arc::clone(&asked));
    let answer = move |stream: UnixStream| {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        // None of these has a body.
        while let Some(first) = lines.next() {
            lines.by_ref().find(String::is_empty);
            let body = match first.split(['?', ' ']).nth(1).unwrap_or_default() {
                path if path.ends_with("/version") => r#"{"ApiVersion":"1.41","Version":"20.10.24"}"#.to_owned(),
                path if path.ends_with("/info") => r#"{"Name":"elsewhere","NCPU":1}"#.to_owned(),
                path if path.ends_with("/containers/json") => {
                    let is_there = |name: &str| !has_removed(&all.lock().unwrap(), name);
                    let there = left.iter().filter(|left| is_there(left["Id"].as_str().unwrap()));
                    serde_json::json!(there.collect::<Vec<_>>()).to_string()
                }
                _ => "{}".to_owned(),
            };
            all.lock().unwrap().push(first);
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
            if (&stream).write_all((head + &body).as_bytes()).is_err() {
                return;
            }
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || answer(stream));
        }
    });
    asked
}

/// What an agent has is ended before it is, and the run goes on elsewhere.
#[test]
fn an_agent_that_is_stopped_ends_what_it_has() {
    let Some(mut place) = Place::with_agent() else { return };
    let project = Project::new("node { sh 'echo begun; sleep 600' }");
    place.put("app", &project);
    let id = place.trigger("app");
    wait_until("it has begun", || place.ask(&["logs", &id.to_string()]).stdout.contains("\nbegun"));
    let pid = place.agents[0].0.id();
    let family = descendants(pid);
    assert!(family.len() > 4, "launcher, init, the step, who evaluates the run: {family:?}");
    let stopped = Command::new("kill").arg("-TERM").arg(pid.to_string()).status().unwrap();
    assert!(stopped.success());
    assert_eq!(place.agents[0].0.wait().unwrap().code(), Some(130), "{}", place.logs());
    wait_until("all of it is gone", || is_gone(&family));
    assert_ne!(place.run(id)["status"], "done", "its end is not the run's");
    place.agents.clear();
}

/// Processes below an agent's, by the first 15 bytes of their name.
fn of_agent(agent: u32, name: &str) -> Vec<u32> {
    let status = |pid: u32, key: &str| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim().to_owned())
    };
    let parent = |pid: u32| status(pid, "PPid:").and_then(|pid| pid.parse::<u32>().ok());
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let below = |pid: &u32| std::iter::successors(Some(*pid), |pid| parent(*pid)).take(32).any(|pid| pid == agent);
    pids.filter(|pid| status(*pid, "Name:").as_deref() == Some(name)).filter(below).collect()
}

/// The process that the next sandbox comes of, whatever it will be.
const SPARE: usize = 1;

fn sandboxes_of(agent: u32) -> usize {
    // Their first processes; what works for them has the same name and another parent.
    let all = of_agent(agent, "cofferdam-init");
    let launchers = of_agent(agent, "cofferdam-launc");
    let parent = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_first = |pid: &&u32| {
        let stat = parent(**pid);
        let after = stat.rsplit(')').next().unwrap_or_default().split_whitespace().nth(1).map(str::to_owned);
        after.and_then(|parent| parent.parse::<u32>().ok()).is_some_and(|parent| launchers.contains(&parent))
    };
    all.iter().filter(is_first).count()
}
