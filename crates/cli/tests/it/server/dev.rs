//! `cofferdam dev`: a server and an agent for one folder, with one word, and nothing of them when that ends.

use std::fs;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::place::{Place, Process, wait_until};
use crate::project::{Project, cofferdam, sandboxes_work};

/// Processes that were told of this folder.
fn told_of(folder: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let words = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    words
        .map(|words| String::from_utf8_lossy(&words).replace('\0', " "))
        .filter(|words| words.contains(folder))
        .collect()
}

#[test]
fn a_folder_has_a_server_and_an_agent_with_one_word() {
    if !sandboxes_work() {
        return;
    }
    let place = Place::on_nothing();
    let project =
        Project::new("pipeline { agent any; stages { stage('Build') { steps { sh 'echo built on $PPID' } } } }");
    let (folder, listen) = (place.folder.path().to_str().unwrap(), format!("127.0.0.1:{}", place.port));
    let mut dev = cofferdam();
    dev.args(["dev", "--listen", &listen, "--network", "none", "--data", folder]).arg(project.path());
    let dev = dev.stdin(Stdio::null()).stdout(Stdio::null()).stderr(place.log("dev.log")).spawn().unwrap();
    let mut dev = Process(dev);
    let said = || fs::read_to_string(place.folder.path().join("dev.log")).unwrap_or_default();
    wait_until("it says where it is", || said().contains("pages: http://") || dev.0.try_wait().unwrap().is_some());
    let name = project.path().file_name().unwrap().to_str().unwrap();
    assert!(
        said().contains(&format!("cofferdam trigger {name} --follow")) && said().contains("COFFERDAM_TOKEN=cft_"),
        "{}",
        said()
    );
    let ran = place.ask(&["trigger", name, "--follow"]);
    assert!(ran.code == 0 && ran.stdout.contains("built on"), "{ran:?}\n{}", said());
    // A control: they are there, each with a part of the folder.
    let there = told_of(folder);
    assert!(
        there.iter().any(|words| words.contains(" server ")) && there.iter().any(|words| words.contains(" agent ")),
        "{there:?}"
    );
    kill_process(Pid::from_child(&dev.0), Signal::INT).unwrap();
    assert_eq!(dev.0.wait().unwrap().code(), Some(130));
    wait_until("nothing of it is left", || told_of(folder).is_empty());
}
