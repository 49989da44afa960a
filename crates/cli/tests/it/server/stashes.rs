//! What runs stash: at the server, so that it is there wherever a run goes on.

use super::artifacts::files;
use super::kill_9;
use super::place::{Place, wait_until};
use crate::project::{Project, sandboxes_work};

const TWO_PLACES: &str = "pipeline { agent none\n options { preserveStashes() }\n stages {\n\
    stage('Build') { agent { label 'linux' }\n steps { sh 'mkdir out; head -c 300000 /dev/zero | tr \"\\\\0\" x > out/large; echo made > out/x'\n\
        stash name: 'what is built', includes: 'out/**' } }\n\
    stage('Test') { agent { label 'arm' }\n steps { unstash 'what is built'; sh 'wc -c out/large; cat out/x; test -e good' } }\n\
    } }";

/// Jobs of one run at two agents, and a run that begins in the middle of another.
#[test]
fn what_is_stashed_at_one_agent_is_there_at_another() {
    if !sandboxes_work() {
        return;
    }
    let mut place = Place::new();
    place.add_agent_with("one", &["--label", "linux"]);
    place.add_agent_with("two", &["--label", "arm"]);
    let project = Project::new(TWO_PLACES);
    place.put("app", &project);
    let id = place.trigger("app").to_string();
    let ended = place.wait_for_end(1);
    let log = place.ask(&["logs", &id]).stdout;
    let logs = || {
        format!(
            "{log}\n{}\ntwo:\n{}",
            place.logs(),
            std::fs::read_to_string(place.folder.path().join("two.log")).unwrap()
        )
    };
    assert_eq!(ended["outcome"], "FAILURE", "{}", logs());
    assert_eq!(ended["agent"], 2, "the first had the first stage: it has the label");
    assert!(log.contains("300000 out/large") && log.contains("\nmade"), "{}", logs());
    let blobs = place.folder.path().join("server/blobs/stashes");
    assert_eq!(files(&blobs).len(), 1);
    // It is kept for who goes on from there.
    project.write("good", "");
    let ran = place.ask(&["rerun", &id, "--failed", "--follow"]);
    assert!(ran.code == 0 && ran.stdout.contains("\nmade") && !ran.stdout.contains("mkdir out"), "{ran:?}");
    let ran = place.ask(&["rerun", "2", "--from", "Test", "--follow"]);
    assert_eq!(ran.code, 0, "of a run that has it of another: {ran:?}");
    assert_eq!(files(&blobs).len(), 1, "once, however many runs have it");
    let path = project.path().to_str().unwrap();
    assert_eq!(place.ask(&["projects", "put", "app", "--folder", path, "--keep-runs", "0"]).code, 0);
    wait_until("it is gone with its runs", || files(&blobs).is_empty());
}

const AT_ONCE: &str = "pipeline { agent { label 'linux' }\n stages {\n\
    stage('Before') { steps { sh 'echo old > x'; stash name: 's', includes: 'x' } }\n\
    stage('Both') { parallel {\n\
        stage('here') { agent { label 'linux' }\n steps { sh 'echo here at $NODE_NAME'; stash name: 'h', allowEmpty: true } }\n\
        stage('there') { agent { label 'arm' }\n steps { unstash 's'; sh 'cat x; ls; echo there at $NODE_NAME; echo new > x'; stash name: 's', includes: 'x'; archiveArtifacts 'x' } }\n\
    } }\n\
    stage('After') { steps { unstash 's'; sh 'cat x' } } } }";

/// Jobs of one run at two agents at the same time: around both there is the sandbox of the run itself.
#[test]
fn branches_of_a_run_are_at_several_agents_at_once() {
    if !sandboxes_work() {
        return;
    }
    let mut place = Place::new();
    place.add_agent_with("one", &["--label", "linux"]);
    place.add_agent_with("two", &["--label", "arm"]);
    let project = Project::new(AT_ONCE);
    project.write("of-the-repository", "");
    place.put("app", &project);
    let id = place.trigger("app").to_string();
    let ended = place.wait_for_end(1);
    let log = place.ask(&["logs", &id]).stdout;
    assert_eq!(ended["outcome"], "SUCCESS", "{log}\n{}", place.logs());
    assert_eq!(ended["agent"], 1, "there it was from its beginning to its end");
    let says = |text: &str| log.lines().any(|line| line.ends_with(text));
    assert!(log.contains("goes to another agent, which has label ‘arm’") && says("old") && says("new"), "{log}");
    assert!(says("of-the-repository"), "it was checked out there: {log}");
    assert!(place.ask(&["artifacts", &id]).stdout.contains('x'));
    // Nothing of it is left anywhere.
    let audit = place.ask(&["audit", "--output", "json"]).stdout;
    assert!(audit.contains("run.lease_job") && audit.contains("run.end_job"), "{audit}");
    wait_until("its places are free", || place.ask(&["trigger", "app", "--follow"]).code == 0);
}

/// An agent is killed behind what it has stashed. When the run is over nobody has that any more.
#[test]
fn what_is_stashed_outlives_its_agent() {
    let Some(mut place) = Place::with_agent() else { return };
    let project = Project::new(
        "node { sh 'echo made > x; echo older > y'; stash name: 's', includes: 'y'; stash name: 's', includes: 'x' }\n\
         try { node { sh 'echo begun; sleep 600' } } catch (error) { echo 'caught' }\n\
         node { unstash 's'; sh 'ls; cat x'; unstash 'none' }",
    );
    place.put("app", &project);
    let id = place.trigger("app").to_string();
    wait_until("it has begun", || place.ask(&["logs", &id]).stdout.contains("\nbegun"));
    kill_9(place.agents[0].0.id());
    place.add_agent("two");
    assert_eq!(place.wait_for_end(1)["outcome"], "FAILURE", "{}", place.logs());
    let log = place.ask(&["logs", &id]).stdout;
    assert!(log.contains("caught") && log.contains("\nmade"), "{log}");
    assert!(log.contains("No such saved stash ‘none’"), "{log}");
    let blobs = place.folder.path().join("server/blobs/stashes");
    // Whoever tidies up is told by this.
    place.put("app", &project);
    wait_until("nothing is left of it", || files(&blobs).is_empty());
}
