//! How a run looks.

use crate::project::{Project, sandboxes_work};

#[test]
fn json_is_one_object_a_line_with_a_summary_at_the_end() {
    if !sandboxes_work() {
        return;
    }
    let ran = Project::steps("echo 'x'\nsh 'echo y'").run(&["--output", "json"]);
    let events: Vec<serde_json::Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|e| e["event"].is_string() && e["at_ms"].is_u64()));
    let kinds: Vec<_> = events.iter().map(|e| e["event"].as_str().unwrap()).collect();
    for kind in [
        "stage_started",
        "job_started",
        "step_started",
        "log",
        "step_finished",
        "stage_finished",
        "job_finished",
        "run_finished",
    ] {
        assert!(kinds.contains(&kind), "{kind} is missing: {kinds:?}");
    }
    assert_eq!(events.last().unwrap()["event"], "summary");
    assert_eq!(events.last().unwrap()["outcome"], "SUCCESS");
}

#[test]
fn the_jenkins_view_prints_what_jenkins_prints() {
    if !sandboxes_work() {
        return;
    }
    let ran = Project::steps("echo 'x'").run(&["--progress", "jenkins"]);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.first(), Some(&"[Pipeline] Start of Pipeline"));
    assert!(lines.contains(&"[Pipeline] { (S)") && lines.contains(&"[Pipeline] echo"), "{lines:?}");
    assert_eq!(lines.last(), Some(&"Finished: SUCCESS"));
}

#[test]
fn quiet_prints_only_the_end() {
    if !sandboxes_work() {
        return;
    }
    let ran = Project::steps("echo 'x'").run(&["--progress", "quiet"]);
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
    assert!(ran.stdout.starts_with("Finished: SUCCESS in "));
}

#[test]
fn a_reader_that_goes_away_does_not_fail_the_run() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::steps("sh 'for i in $(seq 2000); do echo line $i; done; touch end'\nsh 'test -e end'");
    let mut child = project.command(&["--output", "json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn timestamps_and_branches_read_well_in_a_pipe() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::new(
        "pipeline { agent any\n options { skipDefaultCheckout(); timestamps() }\n stages { stage('P') { parallel {\n \
         stage('a') { steps { echo 'x' } }\n stage('b') { when { expression { false } } steps { echo 'y' } } } } } }\n",
    );
    let out = project.run(&[]).stdout;
    let line = out.lines().find(|line| line.ends_with(" x")).unwrap();
    assert!(line.starts_with("[P › a] 00:00:0"), "{out}");
    assert!(!out.contains("[P › b] ✔"), "a skipped branch has no result of its own: {out}");
    assert_eq!(out.matches("[P › a] ✔").count(), 1, "a branch and its stage are one: {out}");
    let log = project.run(&["--progress", "jenkins"]).stdout;
    let line = log.lines().find(|line| line.ends_with("Z] x")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.starts_with("[20") && line.len() == "[2026-01-02T03:04:05.678Z] x".len(), "{line}");
}
