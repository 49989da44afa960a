//! Server and agent as two users of one machine.

use std::fs::{Permissions, metadata, set_permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::place::{Place, Process};
use crate::project::{Project, cofferdam, sandboxes_work};

/// `nobody`
const NOBODY: u32 = 65534;

/// By the kernel: real, effective, saved and of the file system.
fn users_of(process: &Process) -> Vec<u32> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    line.split_whitespace().map(|user| user.parse().unwrap()).collect()
}

/// Everybody may go there.
fn is_open(path: &Path) -> bool {
    path.ancestors().skip(1).all(|folder| metadata(folder).is_ok_and(|folder| folder.mode() & 1 == 1))
}

/// The server needs no rights at all, and what either has is nothing for the other, or for anybody else.
#[test]
fn a_server_is_nobody() {
    if !sandboxes_work() {
        return;
    }
    if users_of_me() != 0 || !is_open(Path::new(cofferdam().get_program())) {
        println!("skipped: only root can be two users, with a program that both can reach");
        return;
    }
    let mut place = Place::on_nothing();
    set_permissions(place.folder.path(), Permissions::from_mode(0o711)).unwrap();
    let data = place.folder.path().join("server");
    std::fs::create_dir(&data).unwrap();
    chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
    place.user = Some(NOBODY);
    place.start_server();
    place.add_agent("one");
    assert_eq!(users_of(place.server.as_ref().unwrap()), [NOBODY; 4]);
    assert_eq!(users_of(&place.agents[0]), [0; 4]);
    let project = Project::new("node { sh 'echo done' }");
    place.put("app", &project);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    assert!(ran.code == 0 && ran.stdout.lines().any(|line| line == "done"), "{ran:?}\n{}", place.logs());
    let open = all_below(&data).into_iter().chain([data]).filter(|path| metadata(path).unwrap().mode() & 0o077 != 0);
    assert_eq!(open.collect::<Vec<_>>(), [] as [PathBuf; 0]);
    assert_eq!(metadata(place.folder.path().join("one/agent.key")).unwrap().mode() & 0o077, 0);
}

fn all_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { [all_below(&path), vec![path]].concat() } else { vec![path] }).collect()
}

fn users_of_me() -> u32 {
    metadata("/proc/self").unwrap().uid()
}
