//! How a run looks, and that a plan says the same before.

use std::path::Path;

use sha2::Digest as _;

use crate::kernels::guest;
use crate::project::{Project, Ran, cofferdam, finish, sandboxes_work};

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

/// A job with an image on a machine of its own: what is planned of it, and what its run says.
struct OnMachine {
    project: Project,
    args: Vec<String>,
    path: std::ffi::OsString,
}

impl OnMachine {
    fn new(agent: &str, args: &[&str]) -> OnMachine {
        let stages = "stages { stage('A') { steps { sh 'true' } } }";
        let project = Project::new(&format!("pipeline {{ agent {{ docker {agent} }} {stages} }}\n"));
        let args = ["--rung", "microvm", "--network", "none"].iter().chain(args).map(ToString::to_string).collect();
        OnMachine { project, args, path: std::env::var_os("PATH").unwrap_or_default() }
    }

    fn command(&self, name: &str) -> Ran {
        let mut command = cofferdam();
        command.arg(name).args(&self.args).arg(self.project.path()).env("PATH", &self.path);
        finish(command.output().unwrap())
    }

    /// The reason why a plan refuses it.
    fn planned(&self) -> Option<String> {
        let mut words = self.args.clone();
        words.extend(["--output".to_owned(), "json".to_owned()]);
        let plan = OnMachine {
            project: Project::new(&self.project.text("Jenkinsfile")),
            args: words,
            path: self.path.clone(),
        };
        let plan = plan.command("plan");
        let job = serde_json::from_str::<serde_json::Value>(&plan.stdout).unwrap()["jobs"][0].clone();
        let refused = job["refused"].as_str().map(str::to_owned);
        assert_eq!(
            (plan.code, job["driver"].is_null()),
            if refused.is_some() { (7, true) } else { (0, false) },
            "{job}"
        );
        refused
    }

    /// A plan refuses it with these words, and so does a run.
    fn is_refused(&self, words: &str) {
        let planned = self.planned().unwrap_or_default();
        let ran = self.command("run");
        assert!(planned.contains(words) && ran.code == 7, "{planned}\n{ran:?}");
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(words), "{planned}\n{ran:?}");
    }
}

/// Imports an image with a layer for each word, which has a file of that name; returns its name.
fn layered_image(name: &str, words: &[String]) -> String {
    let name = format!("test.invalid/{name}:1");
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |path: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, content).unwrap();
    };
    let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
    for (number, word) in words.iter().enumerate() {
        let mut layer = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(0);
        layer.append_data(&mut header, word, std::io::empty()).unwrap();
        let layer = layer.into_inner().unwrap();
        let hex: String = sha2::Sha256::digest(&layer).iter().map(|byte| format!("{byte:02x}")).collect();
        layers.push(format!("{number}.tar"));
        diff_ids.push(format!("sha256:{hex}"));
        add(&format!("{number}.tar"), &layer);
    }
    let root = serde_json::json!({"type": "layers", "diff_ids": diff_ids});
    let config = serde_json::json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": root});
    add("config.json", config.to_string().as_bytes());
    let manifest = serde_json::json!([{"Config": "config.json", "RepoTags": [name], "Layers": layers}]);
    add("manifest.json", manifest.to_string().as_bytes());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), archive.into_inner().unwrap()).unwrap();
    let imported = finish(cofferdam().args(["image", "import"]).arg(file.path()).output().unwrap());
    assert_eq!(imported.code, 0, "{imported:?}");
    name
}

#[test]
fn a_plan_knows_for_how_many_layers_a_machine_has_room() {
    if !sandboxes_work() || !guest() {
        return;
    }
    let words = |count: usize| (0..count).map(|number| format!("file-{number}")).collect::<Vec<_>>();
    let most = layered_image("layers-19", &[words(19), words(2)].concat());
    if let Some(reason) = OnMachine::new(&format!("'{most}'"), &[]).planned() {
        println!("skipped: {reason}");
        return;
    }
    let more = layered_image("layers-20", &words(20));
    let told = "driver microvm: the image has 20 layers, and one of its sandboxes has room for 19";
    OnMachine::new(&format!("'{more}'"), &[]).is_refused(told);
    let with_engine = OnMachine::new(&format!("{{ image '{most}'; args '--privileged' }}"), &[]);
    match with_engine.planned() {
        Some(reason) if reason.contains("guest build --engine") => println!("skipped: {reason}"),
        _ => with_engine.is_refused("the image has 21 layers, and a machine gives its Docker Engine 18 at most"),
    }
}

#[test]
fn a_plan_counts_the_memory_that_a_run_asks_for() {
    if !guest() {
        return;
    }
    let of = |args: &str| {
        let agent = format!("{{ image 'test.invalid/none:1'; args '{args}' }}");
        OnMachine::new(&agent, &["--memory", "64T"]).planned().unwrap_or_default()
    };
    let too_much = of("");
    if !too_much.contains("MiB for one of its sandboxes") {
        println!("skipped: {too_much}");
        return;
    }
    assert_eq!(of("--memory 64m"), "");
}

/// What passes for a monitor is none, so no machine of it boots, whatever the processor can do.
#[test]
fn a_plan_knows_what_a_run_has_found_out_about_a_monitor() {
    if !sandboxes_work() || !guest() {
        return;
    }
    if !Path::new("/bin/busybox").exists() {
        println!("skipped: busybox-static is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (monitor, name) in [("firecracker", "Firecracker"), ("cloud-hypervisor", "Cloud Hypervisor")] {
        std::fs::copy("/bin/busybox", folder.path().join(monitor)).unwrap();
        let image = layered_image("monitors", &["file".to_owned()]);
        let mut job = OnMachine::new(&format!("'{image}'"), &["--monitor", monitor]);
        let folders = std::env::split_paths(&job.path).collect::<Vec<_>>();
        job.path = std::env::join_paths([folder.path().to_owned()].into_iter().chain(folders)).unwrap();
        let first = job.command("run");
        assert_eq!(first.code, 7, "{first:?}");
        job.is_refused(&format!("{name} runs machines on the processor only, and here none boots there: "));
    }
}
