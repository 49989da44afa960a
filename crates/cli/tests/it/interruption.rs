//! Ctrl-C, termination, and kill -9: `post` runs where it can, and nothing is left in any case.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::project::{Project, home, run, sandboxes_work};

/// A definition whose step says when it runs, and then waits.
const WAITS: &str = "pipeline { agent any\n options { skipDefaultCheckout() }\n stages { stage('S') { steps { sh 'echo RUNS; sleep 600' } } }\n \
    post { aborted { echo 'POST ABORTED' } always { sh 'echo POST ALWAYS' } } }\n";

fn start(project: &Project) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child =
        project.command(&["--progress", "plain"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.ends_with("] RUNS\n") {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the run ended early");
    }
    (child, lines)
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn ctrl_c_termination_and_a_closed_terminal_run_post_and_end_with_130() {
    if !sandboxes_work() {
        return;
    }
    for name in ["-INT", "-TERM", "-HUP"] {
        let project = Project::new(WAITS);
        let (mut child, lines) = start(&project);
        signal(&child, name);
        let rest: String = lines.lines().map(|line| line.unwrap() + "\n").collect();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{name}: {rest}");
        for text in ["POST ABORTED", "POST ALWAYS", "Finished: ABORTED"] {
            assert!(rest.contains(text), "{name}: {text} is missing: {rest}");
        }
    }
}

/// What catches the interruption does not take its meaning away.
#[test]
fn ctrl_c_that_was_caught_ends_with_130() {
    if !sandboxes_work() {
        return;
    }
    for catches in ["catchError { STEP }", "try { STEP } catch (e) { }", "try { STEP } catch (e) { error 'other' }"] {
        let step = "sh 'echo \"] RUNS\"; sleep 600'";
        let project = Project::new(&format!("node {{ {}\n echo 'goes on' }}\n", catches.replace("STEP", step)));
        let (mut child, lines) = start(&project);
        signal(&child, "-INT");
        let rest: String = lines.lines().map(|line| line.unwrap() + "\n").collect();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
        assert_eq!(rest.contains("goes on"), !catches.contains("other"), "{rest}");
        assert!(rest.contains("Finished: ABORTED"), "{rest}");
    }
}

/// What it says without a pause keeps nobody from telling it.
#[test]
fn ctrl_c_is_heard_where_nothing_pauses() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::new("node { sh 'echo \"] RUNS\"'; retry(1000000000) { error 'x' } }\n");
    let (mut child, mut lines) = start(&project);
    assert_eq!(lines.by_ref().lines().take(5_000).count(), 5_000);
    signal(&child, "-INT");
    let mut after = lines.lines().map(Result::unwrap).skip_while(|line| !line.contains("once more (Ctrl-C)"));
    assert!(after.by_ref().take(10_000).any(|line| line.contains("Finished: ABORTED")), "it goes on and on");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// The first interruption gives a step its time; the second one does not, and lets no `post` condition begin.
#[test]
fn a_second_ctrl_c_waits_for_nobody() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::new(
        "pipeline { agent any\n options { skipDefaultCheckout() }\n stages { stage('S') { steps { sh '''
            trap 'echo STAYS' TERM
            echo RUNS
            while :; do sleep 600 || :; done
         ''' } } }\n \
         post { aborted { echo 'POST ABORTED' } always { echo 'POST ALWAYS' } } }\n",
    );
    let (mut child, mut lines) = start(&project);
    signal(&child, "-INT");
    let mut said = String::new();
    while !said.ends_with("] STAYS\n") {
        assert_ne!(lines.read_line(&mut said).unwrap(), 0, "the run ended early: {said}");
    }
    signal(&child, "-INT");
    let rest: String = lines.lines().map(|line| line.unwrap() + "\n").collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("Finished: ABORTED") && !rest.contains("POST"), "{rest}");
}

/// A registry that accepts, and never answers.
#[test]
fn ctrl_c_ends_a_pull() {
    if !sandboxes_work() {
        return;
    }
    let registry = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("test.invalid=http://{}", registry.local_addr().unwrap());
    let project = Project::new(
        "pipeline { agent { docker 'test.invalid/a:1' }\n stages { stage('S') { steps { sh 'true' } } } }\n",
    );
    let mut command = project.command(&["--progress", "plain"]);
    let mut child = command.env("COFFERDAM_MIRRORS", mirror).stdout(Stdio::piped()).spawn().unwrap();
    registry.set_nonblocking(true).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let _stalled = loop {
        match registry.accept() {
            Ok(connection) => break connection,
            Err(error) => assert!(Instant::now() < deadline, "nobody asked the registry: {error}"),
        }
        std::thread::yield_now();
    };
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn kill_9_leaves_nothing_that_clean_does_not_remove() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::new(WAITS);
    let (mut child, _lines) = start(&project);
    let family = descendants(child.id());
    assert!(family.len() >= 3, "launcher, init and the step: {family:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while family.iter().any(|(pid, start)| start_time(*pid) == Some(*start)) {
        assert!(Instant::now() < deadline, "still there: {family:?}");
        std::thread::yield_now();
    }
    // What a run killed in the middle of a checkout would have left.
    let scratch = home().join("scratch");
    let (dead, living) = (scratch.join("git-999999999-x"), scratch.join(format!("git-{}-x", std::process::id())));
    for folder in [&dead, &living] {
        std::fs::create_dir_all(folder.join("objects")).unwrap();
    }
    let first = run(&["clean"]);
    assert_eq!(first.code, 0, "{first:?}");
    assert!(!dead.exists() && living.exists());
    std::fs::remove_dir_all(&living).unwrap();
    let second = run(&["clean", "--output", "json"]);
    assert_eq!(second.code, 0, "{second:?}");
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.lines().any(|line| line.contains("cofferdam")), "{mounts}");
}

/// Process ids below a process, with their start times so that a number that is used again is not mistaken.
pub fn descendants(pid: u32) -> Vec<(u32, u64)> {
    let mut all = Vec::new();
    let mut next = vec![pid];
    while let Some(parent) = next.pop() {
        for task in std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            for child in text.split_whitespace().filter_map(|word| word.parse().ok()) {
                all.extend(start_time(child).map(|start| (child, start)));
                next.push(child);
            }
        }
    }
    all
}

pub fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if fields.first() == Some(&"Z") { None } else { fields.get(19)?.parse().ok() }
}

/// What a terminal sends goes to all of its group: the engine is told by who runs it, and lives.
#[test]
fn the_engine_is_in_no_group_of_a_terminal() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::new(WAITS);
    let (mut child, lines) = start(&project);
    // Behind the name: state, parent, group.
    let parent_and_group = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut words = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    let own = child.id().to_string();
    let group = parent_and_group(&own).unwrap().1;
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let engines: Vec<_> = processes
        .filter(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.ends_with(b"\0engine\0")))
        .filter_map(|pid| parent_and_group(&pid))
        .filter(|(parent, _)| *parent == own)
        .collect();
    signal(&child, "-INT");
    lines.lines().for_each(|line| drop(line.unwrap()));
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!engines.is_empty() && engines.iter().all(|(_, of_engine)| *of_engine != group), "{engines:?} {group}");
}
