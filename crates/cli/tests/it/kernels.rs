//! One pipeline on every rung that this host has: what a step sees of Jenkins is the same.

use std::process::Command;
use std::sync::OnceLock;

use crate::images::busybox_image;
use crate::project::{Project, Ran, home, sandboxes_work};

/// Steps, files, stashes, artifacts, several jobs at once, a failure that is caught.
const PIPELINE: &str = "pipeline {
  agent none
  stages {
    stage('Make') {
      agent { docker 'IMAGE' }
      steps {
        sh 'id -u; pwd; echo made > file; mkdir -p a/b; echo deep > a/b/c'
        stash name: 'files', includes: '**'
        script { try { sh 'exit 3' } catch (error) { echo \"caught ${error.message}\" } }
      }
    }
    stage('Use') {
      parallel {
        stage('one') { agent { docker 'IMAGE' }; options { skipDefaultCheckout() }
          steps { unstash 'files'; sh 'cat file a/b/c; ls | wc -l' } }
        stage('two') { agent { docker 'IMAGE' }; options { skipDefaultCheckout() }
          steps { writeFile file: 'x', text: 'written'; archiveArtifacts 'x'; echo sh(script: 'cat x', returnStdout: true) } }
      }
    }
  }
}";

fn run(name: &str, rung: &str) -> Option<(Project, Ran)> {
    if !sandboxes_work() {
        return None;
    }
    let image = busybox_image(name, r#"{"Env":["PATH=/bin"]}"#, &[])?;
    let project = Project::new(&PIPELINE.replace("IMAGE", &image));
    let ran = project.run(&["--rung", rung, "--progress", "plain", "--memory", "512M"]);
    Some((project, ran))
}

fn check(name: &str, rung: &str) {
    let Some((project, ran)) = run(name, rung) else { return };
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    for line in [
        "[Make] 1000",
        "[Make] caught script returned exit code 3",
        "[Use › one] made",
        "[Use › one] deep",
        "[Use › two] written",
    ] {
        assert!(ran.stdout.contains(line), "`{line}` is not in:\n{}", ran.stdout);
    }
    let started = ran.stdout.lines().filter(|line| line.contains(&format!(": {rung} sandbox with"))).count();
    assert_eq!(started, 3, "{}", ran.stdout);
    assert_eq!(project.text(".cofferdam/artifacts/x"), "written");
}

#[test]
fn a_pipeline_in_containers() {
    check("kernels-container", "container");
}

#[test]
fn a_pipeline_on_gvisor() {
    match std::path::Path::new("/usr/bin/runsc").exists() {
        true => check("kernels-gvisor", "gvisor"),
        false => println!("skipped: runsc is not installed"),
    }
}

/// Makes a guest for the store of these tests.
pub fn guest() -> bool {
    static MADE: OnceLock<bool> = OnceLock::new();
    *MADE.get_or_init(|| {
        if !std::path::Path::new("/usr/bin/qemu-system-x86_64").exists() {
            println!("skipped: qemu-system-x86 is not installed");
            return false;
        }
        let built = Command::new(env!("CARGO_BIN_EXE_cofferdam"))
            .env("COFFERDAM_HOME", home())
            .args(["guest", "build"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&built.stderr).trim().to_owned();
        if !built.status.success() {
            println!("skipped: guest build: {said}");
        }
        built.status.success()
    })
}

#[test]
fn a_pipeline_in_microvm_machines() {
    if guest() {
        check("kernels-microvm", "microvm");
    }
}

/// What is asked for and cannot be had is refused, with the reason and what to do.
#[test]
fn a_rung_that_is_not_there_is_refused() {
    let Some(image) = busybox_image("kernels-missing", r#"{"Env":["PATH=/bin"]}"#, &[]) else { return };
    let project =
        Project::new(&format!("node {{ docker.build('x'); docker.image('{image}').inside {{ sh 'true' }} }}"));
    let ran = project.run(&[]);
    if ran.code == 0 {
        return;
    }
    let text = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, 7, "{text}");
    assert!(text.contains("needs a Docker Engine of the job's own, which takes rung microvm"), "{text}");
    assert!(text.contains("guest build") || text.contains("qemu-system-x86"), "{text}");
}
