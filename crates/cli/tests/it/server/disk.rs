//! A server whose disk is full.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::place::{Place, wait_until};
use crate::project::{Project, sandboxes_work};

/// A file system of a few MiB, in memory.
struct Small(PathBuf);

impl Small {
    fn at(folder: &Path) -> Option<Small> {
        std::fs::create_dir_all(folder).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(folder).output().unwrap();
        if !mounted.status.success() {
            println!("skipped: no file system can be mounted here");
            return None;
        }
        Some(Small(folder.to_owned()))
    }

    /// Until there is no room for a byte.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        let mut piece = 1 << 20;
        while piece > 0 {
            if file.write_all(&vec![1; piece]).is_err() {
                piece /= 2;
            }
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Whoever has a file there keeps it until they end.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// It says so, takes nothing that it cannot keep, and goes on when there is room: no run is lost, nothing is done twice, and every line is there
/// once.
#[test]
fn a_full_disk_loses_nothing() {
    if !sandboxes_work() {
        return;
    }
    let mut place = Place::on_nothing();
    let Some(small) = Small::at(&place.folder.path().join("server")) else { return };
    place.start_server();
    place.add_agent("one");
    let marks = tempfile::tempdir().unwrap();
    let project = Project::new(
        "node {\n\
         sh 'i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo \"line $i of the first, which has some text, so that it takes room\"; sleep 0.02; done'\n\
         sh 'echo second'\n}",
    );
    place.put("app", &project);
    assert_eq!(place.ask(&["trigger", "app"]).code, 0);
    let has = |line: &str| place.ask(&["logs", "1"]).stdout.lines().any(|said| said == line);
    wait_until("it writes", || has("line 5 of the first, which has some text, so that it takes room"));
    small.fill();
    let folder = marks.path().to_str().unwrap();
    let put = |name: &str| place.ask(&["projects", "put", name, "--folder", folder]);
    let mut refused = None;
    wait_until("it takes nothing more", || {
        let ran = put("other");
        refused = (ran.code != 0).then_some(ran.stderr);
        refused.is_some()
    });
    let refused = refused.unwrap();
    assert!(refused.contains("full"), "{refused}");
    // What is there is still shown.
    assert!(place.ask(&["runs"]).stdout.contains("app #1  running"), "{}", place.logs());
    wait_until("the run has written down nothing for a while", || place.logs().contains("is taken up again"));
    small.make_room();
    wait_until("it takes something again", || put("other").code == 0);
    let ended = place.wait_for_end(1);
    assert_eq!(ended["outcome"], "SUCCESS", "{ended}\n{}", place.logs());
    let log = place.ask(&["logs", "1"]).stdout;
    let lines: Vec<_> = log.lines().filter(|line| line.starts_with("line ") || *line == "second").collect();
    let expect = (1..=400).map(|i| format!("line {i} of the first, which has some text, so that it takes room"));
    let expect: Vec<_> = expect.chain(["second".to_owned()]).collect();
    assert_eq!(lines, expect, "{log}");
}
