//! One pipeline on every rung that this host has: what a step sees of Jenkins is the same.

mod host_engine;
mod python;

use std::process::Command;
use std::sync::OnceLock;

use crate::images::busybox_image;
use crate::project::{Project, Ran, cofferdam, finish, home, sandboxes_work};
use host_engine::HostEngine;

/// Steps, files, stashes, artifacts, several jobs at once, a failure that is caught.
pub const PIPELINE: &str = "pipeline {
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

/// What every driver lets [`PIPELINE`] print.
pub fn check_pipeline(ran: &Ran) {
    for line in [
        "[Make] 1000",
        "[Make] caught script returned exit code 3",
        "[Use › one] made",
        "[Use › one] deep",
        "[Use › two] written",
    ] {
        assert!(ran.stdout.contains(line), "`{line}` is not in:\n{}", ran.stdout);
    }
}

fn check(name: &str, rung: &str) {
    let Some((project, ran)) = run(name, rung) else { return };
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    check_pipeline(&ran);
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
            // What Debian's packages are fetched with; anything else is our fault.
            assert!(said.contains("apt-"), "guest build: {said}");
            println!("skipped: guest build: {said}");
        }
        built.status.success()
    })
}

/// Whether machines have a Docker Engine; says why not.
pub fn engine() -> bool {
    let built = finish(cofferdam().args(["guest", "build", "--engine"]).output().unwrap());
    if built.code != 0 {
        assert!(built.stderr.contains("apt-"), "guest build --engine: {}", built.stderr);
        println!("skipped: guest build --engine: {}", built.stderr.trim());
    }
    built.code == 0
}

#[test]
fn a_pipeline_in_microvm_machines() {
    if guest() {
        check("kernels-microvm", "microvm");
    }
}

/// What stands behind the stages of `examples/tides`: a container on the workspace of the node, which asks for the host's engine.
const SHARED: &str = "
    stage('Shared') {
      agent { docker { image 'python:3-slim'; args '-v /var/run/docker.sock:/var/run/docker.sock'; reuseNode true } }
      steps { sh 'grep Ellery board.txt; python ping.py; echo written > shared' }
    }
    stage('Node') { steps { sh 'cat shared' } }
  }
}
";
const PING: &str = r"import socket
engine = socket.socket(socket.AF_UNIX)
engine.connect('/var/run/docker.sock')
engine.sendall(b'GET /_ping HTTP/1.0\r\n\r\n')
print([line for line in engine.makefile() if 'Server' in line][0])
";

/// A project with an image of its own and services that talk to each other, as its users have it.
#[test]
fn docker_in_a_job_on_a_microvm() {
    if !sandboxes_work() || !guest() || !python::put() || !engine() {
        return;
    }
    let Some(host) = HostEngine::start(python::PYTHON) else { return };
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/tides");
    let project = Project::new("");
    let copied = Command::new("cp").args(["-r", &format!("{example}/.")]).arg(project.path()).status().unwrap();
    assert!(copied.success());
    let stages = project.text("Jenkinsfile");
    let stages = stages.strip_suffix("\n  }\n}\n").unwrap();
    project.write("Jenkinsfile", &format!("{stages}{SHARED}")).write("ping.py", PING);
    let ran = finish(host.host_of(&project.command(&["--progress", "plain"])).output().unwrap());
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    let why = "job-1: driver microvm, because `docker.build` needs a Docker Engine of the job's own, which takes rung microvm";
    let ellery = "Ellery      11:10 4.5 m  23:41 4.3 m";
    let shared = format!("[Shared] {ellery}");
    for line in [why, "Successfully tagged tides:latest", &shared, "[Shared] Server: Docker/", "[Node] written"] {
        assert!(ran.stdout.contains(line), "`{line}` is not in:\n{}", ran.stdout);
    }
    let board = project.text(".cofferdam/artifacts/board.txt");
    for line in [ellery, "Sandwyke    05:06 3.0 m  17:47 3.4 m"] {
        assert!(board.lines().any(|said| said == line), "the services did not talk to each other:\n{board}");
    }
    assert_eq!(host.came(), 0, "somebody has asked the host's engine");
    let plan = finish(cofferdam().arg("plan").arg(project.path()).output().unwrap());
    let within = "container docker.io/library/python:3-slim on rung microvm, in the store";
    assert!(plan.stdout.lines().any(|line| line.trim_start().starts_with(within)), "{plan:?}");
    // What was built belonged to that job.
    let after = Project::new("node { sh 'docker images -q | wc -l' }");
    let ran = after.run(&["--progress", "plain"]);
    assert!(ran.code == 0 && ran.stdout.contains("\n0\n"), "{}\n{}", ran.stdout, ran.stderr);
}

/// The forms in which definitions ask for an engine, each on a machine of its own.
const FORMS: &str = "pipeline {
  agent none
  stages {
    stage('File') {
      agent { dockerfile { filename 'ci/Dockerfile'; additionalBuildArgs '--pull=false --network none' } }
      steps { sh 'cat /made; cat page; id -u' }
    }
    stage('Host') {
      agent { docker { image 'IMAGE'; args '--privileged -v $HOME/cache:/cache -v /etc/hostname:/of-host:ro' } }
      steps { sh 'ls -d /cache; test -e /of-host; grep CapBnd /proc/1/status; cat page' }
    }
    stage('Scripted') {
      agent any
      steps {
        script {
          docker.image('IMAGE').withRun('-e A=b --network none', 'sleep 1000') { c -> sh \"docker exec ${c.id} sh -c 'echo service \\$A'\" }
          docker.image('IMAGE').inside('-e C=d') { sh 'echo inside $C; cat page; set +x; ALTERNATING' }
          def own = docker.build('own:1', '--pull=false --network none -f ci/Dockerfile .')
          own.inside { sh 'cat /made' }
          own.tag('2')
        }
        sh 'docker images -q own | wc -l; docker ps -q | wc -l'
      }
    }
  }
}";

#[test]
fn every_form_of_docker_is_honoured_on_a_microvm() {
    if !sandboxes_work() || !guest() {
        return;
    }
    let Some(image) = busybox_image("kernels-forms", r#"{"Env":["PATH=/bin"]}"#, &[]) else { return };
    if !engine() {
        return;
    }
    let Some(host) = HostEngine::start(&image) else { return };
    let alternating = "for n in 1 2 3 4 5 6 7 8 9; do echo out $n; echo err $n >&2; done";
    let project = Project::new(&FORMS.replace("IMAGE", &image).replace("ALTERNATING", alternating));
    project.write("ci/Dockerfile", &format!("FROM {image}\nRUN echo made > /made\n")).write("page", "a page\n");
    let ran = finish(host.host_of(&project.command(&["--progress", "plain"])).output().unwrap());
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    for line in [
        "[File] made",
        "[File] a page",
        "[File] 1000",
        "[Host] /cache",
        "[Host] a page",
        "[Scripted] service b",
        "[Scripted] inside d",
        "[Scripted] made",
        "[Scripted] 2",
        "[Scripted] 0",
    ] {
        assert!(ran.stdout.lines().any(|said| said == line), "`{line}` is not in:\n{}", ran.stdout);
    }
    let order: String = (1..=9).map(|n| format!("[Scripted] out {n}\n[Scripted] err {n}\n")).collect();
    assert!(ran.stdout.contains(&order), "both streams in the order of their words: {}", ran.stdout);
    let all = ran.stdout.lines().find_map(|line| line.strip_prefix("[Host] CapBnd:"));
    assert!(all.is_some_and(|set| set.trim().ends_with("fffffffff")), "privileged in its machine: {}", ran.stdout);
    assert_eq!(host.came(), 0, "somebody has asked the host's engine");
}

/// What is asked for and cannot be had is refused, with the reason and what to do.
#[test]
fn a_rung_that_is_not_there_is_refused() {
    if !sandboxes_work() {
        return;
    }
    // A store without a guest.
    let home = tempfile::tempdir().unwrap();
    let project = Project::new("node { docker.build('x'); docker.image('busybox').inside { sh 'true' } }");
    let ran = finish(project.command(&[]).env("COFFERDAM_HOME", home.path()).output().unwrap());
    let text = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, 7, "{text}");
    assert!(text.contains("needs a Docker Engine of the job's own, which takes rung microvm"), "{text}");
    assert!(text.contains("guest build") || text.contains("qemu-system-x86"), "{text}");
}

/// Whose code it is decides the rung at least, and `why` says so of every driver.
#[test]
fn a_strangers_code_asks_for_a_kernel_of_its_own() {
    let project =
        Project::new("pipeline { agent { docker 'maven:3' } stages { stage('Build') { steps { sh 'mvn' } } } }");
    let why = |args: &[&str]| {
        let mut command = cofferdam();
        finish(command.arg("why").args(args).arg(project.path()).output().unwrap()).stdout
    };
    let own = why(&[]);
    assert!(own.contains("rung container, driver container") && own.contains("because it names an image"), "{own}");
    assert!(own.contains("not process: rung process is below container"), "{own}");
    let strangers = why(&["--trust", "stranger"]);
    assert!(strangers.contains("because `--trust stranger` asks for rung microvm"), "{strangers}");
    assert!(strangers.contains("not container: rung container is below microvm"), "{strangers}");
}
