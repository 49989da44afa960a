//! Definitions and steps that misbehave: each gets a clear end, and the limit is named.

use std::time::{Duration, Instant};

use crate::project::{Project, Ran, run, sandboxes_work};

fn misbehave(steps: &str, args: &[&str]) -> Option<Ran> {
    sandboxes_work().then(|| Project::steps(steps).run(args))
}

fn shows(ran: &Ran, words: &str) {
    assert!(
        ran.stdout.contains(words) || ran.stderr.contains(words),
        "`{words}` is not in:\n{}\n{}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn broken_and_huge_definitions_are_invalid() {
    let project = Project::new("pipeline {\n agent any\n stages {\n stage('x') { steps { echo 'unclosed } } }\n}\n");
    let ran = project.run(&[]);
    assert_eq!(ran.code, 5, "{ran:?}");
    shows(&ran, "Jenkinsfile:4");
    let ran = Project::new(&"// x\n".repeat(1_000_000)).run(&[]);
    assert_eq!(ran.code, 5);
    shows(&ran, "larger than 4 MiB");
    let ran = Project::new(&format!("def x = {}1{}\n", "(".repeat(100_000), ")".repeat(100_000))).run(&[]);
    assert_eq!(ran.code, 5, "{}", ran.stderr.len());
    let project = Project::new("");
    std::fs::write(project.path().join("Jenkinsfile"), b"// caf\xe9\necho '\xff'\n").unwrap();
    let ran = project.run(&[]);
    assert_eq!(ran.code, 0, "as Groovy reads it: {ran:?}");
    shows(&ran, "Jenkinsfile:1: byte 6 is not UTF-8");
    shows(&ran, "\u{fffd}\n");
}

#[test]
fn an_unknown_step_is_named_first_and_fails_where_it_is_called() {
    let ran = Project::new("echo 'begun'\nif (env.NEVER) { ecoh 'x' }\n").run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    shows(&ran, "begun");
    shows(&ran, "unknown step \"ecoh\"");
    shows(&ran, "did you mean \"echo\"?");
    let ran = Project::new("echo 'begun'\necoh 'x'\n").run(&[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    shows(&ran, "begun");
    shows(&ran, "No such DSL method 'ecoh' found among steps [");
}

#[test]
fn endless_scripts_end_with_the_limit() {
    let endless = Project::new("while (true) { }\n").run(&[]);
    assert_eq!(endless.code, 1, "{endless:?}");
    shows(&endless, "limit");
    let recursion = Project::new("def f(x) { f(x + 1) }\nf(0)\n").run(&[]);
    assert_eq!(recursion.code, 1);
    shows(&recursion, "limit");
    let doubling = Project::new("def s = 'x'\nwhile (true) { s = s + s }\n").run(&[]);
    assert_eq!(doubling.code, 1);
    shows(&doubling, "limit");
}

#[test]
fn an_unknown_image_is_an_error_with_its_name() {
    if !sandboxes_work() {
        return;
    }
    // Port 9 on loopback answers at once that nobody listens.
    let ran = Project::new("node { docker.image('127.0.0.1:9/none:1').inside { sh 'true' } }\n").run(&[]);
    assert_ne!(ran.code, 0);
    shows(&ran, "127.0.0.1:9");
}

#[test]
fn output_of_any_kind_is_taken() {
    let Some(ran) = misbehave("sh 'printf \"\\\\377\\\\376 bytes\\\\n\"'", &[]) else { return };
    assert_eq!(ran.code, 0, "{ran:?}");
    shows(&ran, "\u{fffd}\u{fffd} bytes");
    let Some(ran) = misbehave("sh 'head -c 1073741824 /dev/zero | tr \"\\\\0\" x; echo; echo after'", &[]) else {
        return;
    };
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    shows(&ran, "bytes cut");
    shows(&ran, "after");
    assert!(ran.stdout.len() < 1 << 20, "{} bytes of output", ran.stdout.len());
}

#[test]
fn a_log_has_a_limit() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::new(
        "pipeline { agent any\n stages { stage('S') { steps { sh 'yes | head -c 20000000; echo the end; false' } } }\n \
         post { failure { sh 'echo after the limit' } } }\n",
    );
    let ran = project.run(&["--log", "1M", "--progress", "jenkins"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    shows(&ran, "the log limit of 1 MiB is reached");
    let Some(captured) = misbehave("script { sh(script: 'yes | head -c 40000000', returnStdout: true) }", &[]) else {
        return;
    };
    assert_eq!(captured.code, 1, "half a value is worse than none");
    shows(&captured, "returnStdout keeps at most 32 MiB");
    shows(&ran, "\nafter the limit");
    assert!(!ran.stdout.contains("\nthe end"), "it was kept");
    assert!(ran.stdout.len() < 3 << 20, "{} bytes of output", ran.stdout.len());
}

#[test]
fn memory_disk_and_process_table_have_limits_that_are_named() {
    let memory = "sh 'python3 -c \"x = bytearray(1 << 30); print(len(x))\"'";
    let Some(ran) = misbehave(memory, &["--memory", "128M"]) else { return };
    assert_eq!(ran.code, 1, "{ran:?}");
    shows(&ran, "memory limit of 128 MiB");
    let Some(ran) = misbehave("sh 'dd if=/dev/zero of=big bs=1M count=100'", &["--disk", "32M"]) else { return };
    assert_eq!(ran.code, 1);
    shows(&ran, "disk limit of 32 MiB");
    let forks = "sh 'for i in $(seq 200); do sleep 30 & done; wait'";
    let Some(ran) = misbehave(&format!("timeout(time: 20, unit: 'SECONDS') {{ {forks} }}"), &["--processes", "50"])
    else {
        return;
    };
    assert_ne!(ran.code, 0);
    shows(&ran, "limit of 50 processes");
    // What comes after it still works.
    let project = Project::new(
        "pipeline { agent any\n stages { stage('S') { steps { sh 'echo kept > result.txt; for i in $(seq 200); do sleep 30 & done; wait' } } }\n \
         post { always { archiveArtifacts 'result.txt' } cleanup { sh 'echo cleaned up' } } }\n",
    );
    let ran = project.run(&["--processes", "50"]);
    assert_eq!(ran.code, 1);
    shows(&ran, "because of the limit of 50 processes");
    shows(&ran, "] cleaned up");
    let kept = std::fs::read_to_string(project.path().join(".cofferdam/artifacts/result.txt")).unwrap();
    assert_eq!(kept, "kept\n", "{ran:?}");
    assert_eq!(project.run(&["--processes", "1"]).code, 2);
}

#[test]
fn a_step_that_does_not_want_to_end_ends() {
    let started = Instant::now();
    let ignores = "timeout(time: 1, unit: 'SECONDS') { sh 'trap \"\" TERM; while true; do sleep 1; done' }";
    let Some(ran) = misbehave(ignores, &[]) else { return };
    assert_eq!(ran.code, 124, "{ran:?}");
    let stops = "timeout(time: 1, unit: 'SECONDS') { sh 'kill -STOP $$' }";
    let Some(ran) = misbehave(stops, &[]) else { return };
    assert_eq!(ran.code, 124, "{ran:?}");
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn what_a_step_leaves_running_does_not_hold_it() {
    let started = Instant::now();
    let Some(ran) =
        misbehave("sh '(setsid sh -c \"sleep 600\" &) ; echo left'\nsh 'exec >&- 2>&-; exit 0'\necho 'next'", &[])
    else {
        return;
    };
    assert_eq!(ran.code, 0, "{ran:?}");
    shows(&ran, "next");
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn the_wall_clock_of_a_sandbox_ends_it() {
    let Some(ran) = misbehave("sh 'sleep 600'", &["--timeout", "2s"]) else { return };
    assert_ne!(ran.code, 0);
    shows(&ran, "time limit of 2 s");
}

#[test]
fn a_folder_that_is_no_project_is_a_usage_error() {
    let ran = run(&["run", "/dev/null"]);
    assert_eq!(ran.code, 2);
}
