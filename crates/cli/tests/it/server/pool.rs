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
    let (place, _files) = place(&image, &["--warm-image", &format!("{image}=1"), "--warm-half-life", "8s"]);
    // The first may be asked for before there is one.
    wait_until("one that was made ahead", || place.comes_from_the_pool("app"));
}
