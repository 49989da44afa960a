//! What runs archive: at the server, not at agents, until it is forgotten.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::place::{Place, wait_until};
use crate::project::{Project, sandboxes_work};

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flatten().flat_map(|entry| below(entry.path())).collect()
}

const ARCHIVES: &str = "node {\n\
    sh 'mkdir -p out/deep \"out/a b\"; printf hello > \"out/a b/ü.txt\"; head -c 9000000 /dev/zero | tr \"\\\\0\" x > out/deep/large.bin; : > out/empty'\n\
    sh 'ln -s /etc/passwd out/link; touch \"out/$(printf \"a\\\\nb\")\"'\n\
    archiveArtifacts artifacts: 'out/**', excludes: 'out/none'\n\
    sh 'printf again > \"out/a b/ü.txt\"'\n\
    archiveArtifacts 'out/a b/*'\n\
}";

#[test]
fn what_is_archived_is_at_the_server_until_it_is_forgotten() {
    let Some(place) = Place::with_agent() else { return };
    let project = Project::new(ARCHIVES);
    place.put("app", &project);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    assert_eq!(ran.code, 0, "{ran:?}\n{}", place.logs());
    assert!(ran.stdout.contains("has a name that no server takes"), "{ran:?}");
    // Nothing of it is left at the agent.
    let left: Vec<_> = files(&place.folder.path().join("one")).into_iter().filter(|file| is_archived(file)).collect();
    assert!(left.is_empty(), "{left:?}");
    let blobs = place.folder.path().join("server/blobs");
    assert!(files(&blobs).len() >= 3, "{:?}", files(&blobs));
    // Listed: for people, and for programs.
    let listed = place.ask(&["artifacts", "1"]).stdout;
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(listed.contains("8.6 MiB  out/deep/large.bin"), "{listed}");
    let of_json = |text: &str| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    let listed = of_json(&place.ask(&["artifacts", "1", "out/deep", "--output", "json"]).stdout);
    assert_eq!((listed.len(), &listed[0]["bytes"]), (1, &9_000_000.into()));
    // Brought here.
    let to = tempfile::tempdir().unwrap();
    let folder = to.path().join("here");
    let ran = place.ask(&["artifacts", "1", "--to", folder.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.lines().count(), ran.stderr.as_str()), (0, 3, ""), "{ran:?}");
    assert_eq!(std::fs::read_to_string(folder.join("out/a b/ü.txt")).unwrap(), "again");
    assert_eq!(std::fs::read(folder.join("out/deep/large.bin")).unwrap(), vec![b'x'; 9_000_000]);
    assert_eq!(std::fs::read(folder.join("out/empty")).unwrap(), b"");
    assert_eq!(files(&folder).len(), 3, "{:?}", files(&folder));
    // Over a file of before, and over nothing else.
    std::fs::write(folder.join("out/empty"), "not any more").unwrap();
    std::fs::write(to.path().join("mine"), "mine").unwrap();
    let ran = place.ask(&["artifacts", "1", "out/empty", "--to", folder.to_str().unwrap(), "--output", "json"]);
    assert_eq!((ran.code, &of_json(&ran.stdout)[0]["path"]), (0, &"out/empty".into()), "{ran:?}");
    assert_eq!(std::fs::read(folder.join("out/empty")).unwrap(), b"");
    std::fs::remove_file(folder.join("out/empty")).unwrap();
    std::os::unix::fs::symlink(to.path().join("mine"), folder.join("out/empty")).unwrap();
    let ran = place.ask(&["artifacts", "1", "out/empty", "--to", folder.to_str().unwrap()]);
    assert!(ran.code != 0 && ran.stderr.contains("no file"), "{ran:?}");
    std::fs::remove_dir_all(folder.join("out/deep")).unwrap();
    std::os::unix::fs::symlink(to.path(), folder.join("out/deep")).unwrap();
    assert_ne!(place.ask(&["artifacts", "1", "out/deep", "--to", folder.to_str().unwrap()]).code, 0);
    assert_eq!(std::fs::read_to_string(to.path().join("mine")).unwrap(), "mine");
    assert!(!to.path().join("large.bin").exists());
    assert_eq!(place.ask(&["artifacts", "1", "none"]).code, 2);
    assert_eq!(place.ask(&["artifacts", "9"]).code, 2);
    // Forgotten with the run.
    let path = project.path().to_str().unwrap();
    assert_eq!(place.ask(&["projects", "put", "app", "--folder", path, "--keep-runs", "0"]).code, 0);
    wait_until("its blobs are gone", || files(&blobs).is_empty());
    assert_eq!(place.ask(&["artifacts", "1"]).code, 2);
}

fn is_archived(file: &Path) -> bool {
    let text = file.to_string_lossy();
    text.contains("artifacts") || text.contains("large.bin")
}

/// Artifacts are on their way while their server is killed and started again.
#[test]
fn a_server_that_is_away_gets_them_later() {
    let Some(mut place) = Place::with_agent() else { return };
    let project = Project::new(
        "node { sh 'for i in $(seq 40); do head -c 500000 /dev/urandom > f$i; done; sha256sum f* > sums; echo made; sleep 1'\n\
         archiveArtifacts '*'\n echo 'kept' }",
    );
    place.put("app", &project);
    let id = place.trigger("app");
    wait_until("they are made", || place.ask(&["logs", &id.to_string()]).stdout.contains("\nmade"));
    for _ in 0..4 {
        place.kill_server();
        std::thread::sleep(std::time::Duration::from_millis(400));
        place.start_server();
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    assert_eq!(place.wait_for_end(id)["outcome"], "SUCCESS", "{}", place.logs());
    let to = tempfile::tempdir().unwrap();
    let ran = place.ask(&["artifacts", &id.to_string(), "--to", to.path().to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 41), "{ran:?}");
    let mut sums = std::process::Command::new("sha256sum");
    let checked = sums.args(["--check", "--quiet", "sums"]).current_dir(to.path()).status().unwrap();
    assert!(checked.success(), "every file is what it was");
    // And nothing of what was begun and cut off stays.
    wait_until("only what is kept is there", || files(&place.folder.path().join("server/blobs/artifacts")).len() <= 41);
}

const COMES_BACK: &str = "pipeline { agent none\n stages {\n\
    stage('Build') { agent { label 'linux' }\n steps { sh 'mkdir out; head -c 3000000 /dev/urandom > out/large; echo made > out/x; sha256sum out/large > out/sum'\n\
        archiveArtifacts 'out/**' } }\n\
    stage('Test') { agent { label 'arm' }\n steps { unarchive mapping: ['out/': '.', 'out/x': 'y']; sh 'sha256sum -c out/sum; cat y; ls out'\n\
        unarchive mapping: ['none/': '.'] } } } }";

/// A run goes on at another agent, and has there what it has archived.
#[test]
fn what_is_archived_at_one_agent_comes_back_at_another() {
    if !sandboxes_work() {
        return;
    }
    let mut place = Place::new();
    place.add_agent_with("one", &["--label", "linux"]);
    place.add_agent_with("two", &["--label", "arm"]);
    let project = Project::new(COMES_BACK);
    place.put("app", &project);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    assert!(ran.code != 0 && ran.stdout.contains("ERROR: no artifacts to unarchive in none/"), "{ran:?}");
    let said = |text: &str| ran.stdout.lines().any(|line| line == text);
    assert!(said("out/large: OK") && said("made") && said("large") && said("sum"), "{ran:?}\n{}", place.logs());
    // Nothing of it is left at the agent.
    let left: Vec<_> = files(&place.folder.path().join("two")).into_iter().filter(|file| is_archived(file)).collect();
    assert!(left.is_empty(), "{left:?}");
}
