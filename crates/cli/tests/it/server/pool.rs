//! Sandboxes that an agent makes ahead.

use std::process::Command;

use super::place::{Place, wait_until};
use crate::images::busybox_image;
use crate::project::{Project, sandboxes_work};

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
        let born = ran.stdout.lines().find_map(|line| line.strip_prefix("born ")).map(str::to_owned);
        let born = born.unwrap_or_else(|| panic!("{ran:?}"));
        assert_eq!((born.len(), asked.len()), (35, 35), "{born} {asked}");
        born < asked
    }
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
fn an_agent_makes_ahead_what_it_is_told_to_expect() {
    if !sandboxes_work() {
        return;
    }
    let Some(image) = busybox_image("pool", r#"{"Env":["PATH=/bin"]}"#, &[]) else { return };
    let (place, _files) = place(&image, &["--warm-image", &format!("{image}=2")]);
    wait_until("both are there", || sandboxes_of(place.agents[0].0.id()) == SPARE + 2);
    assert!(place.comes_from_the_pool("app"), "and given to who asks");
    let agent = place.agents[0].0.id();
    drop(place);
    assert_eq!(sandboxes_of(agent), 0);
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

/// What an agent has is ended before it is, and the run goes on elsewhere.
#[test]
fn an_agent_that_is_stopped_ends_what_it_has() {
    let Some(mut place) = Place::with_agent() else { return };
    let project = Project::new("node { sh 'echo begun; sleep 600' }");
    place.put("app", &project);
    let id = place.trigger("app");
    wait_until("it has begun", || place.ask(&["logs", &id.to_string()]).stdout.contains("\nbegun"));
    let pid = place.agents[0].0.id();
    let stopped = Command::new("kill").arg("-TERM").arg(pid.to_string()).status().unwrap();
    assert!(stopped.success());
    assert_eq!(place.agents[0].0.wait().unwrap().code(), Some(130), "{}", place.logs());
    assert_eq!(sandboxes_of(pid), 0);
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
