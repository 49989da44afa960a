//! The same tests as a user other than root, with subordinate ids. Root makes such a user for the time of the test.

use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::place;

const NAME: &str = "cofferdam-test";
/// Neither the ids nor the ranges are anybody's by default.
const UID: u32 = 61_234;
const FIRST: u32 = 1_500_000_000;

struct TestUser;

impl TestUser {
    fn make() -> Option<TestUser> {
        let uid = UID.to_string();
        let _ = Command::new("groupadd").args(["--gid", &uid, NAME]).output();
        let made = Command::new("useradd").args(["--no-create-home", "--uid", &uid, "--gid", &uid, NAME]).output();
        // 9: it is there, from a test that was killed.
        if !made.as_ref().is_ok_and(|output| matches!(output.status.code(), Some(0 | 9))) {
            println!("skipped: useradd: {made:?}");
            return None;
        }
        for file in ["/etc/subuid", "/etc/subgid"] {
            let text = fs::read_to_string(file).unwrap_or_default();
            let mut text: String =
                text.lines().filter(|line| !line.starts_with(NAME)).map(|l| format!("{l}\n")).collect();
            text.push_str(&format!("{NAME}:{FIRST}:65536\n"));
            fs::write(file, text).unwrap();
        }
        Some(TestUser)
    }
}

impl Drop for TestUser {
    fn drop(&mut self) {
        for program in ["userdel", "groupdel"] {
            let _ = Command::new(program).arg(NAME).output();
        }
    }
}

#[test]
fn unprivileged() {
    if !rustix::process::getuid().is_root() {
        println!("skipped: only root can make a user; the other tests of this user are the same");
        return;
    }
    if !Path::new("/usr/bin/newuidmap").exists() {
        println!("skipped: newuidmap is not installed");
        return;
    }
    let (Some(image), Some(_user)) = (image(), TestUser::make()) else { return };
    let suites = ["conformance::container_of_folders", "conformance::process"];
    let tests = suites.into_iter().chain(["shared_network::containers_of_one_pod"]);
    let mut command = Command::new("/proc/self/exe");
    command.args(tests).args(["--exact", "--nocapture", "--test-threads", "1"]);
    command.env(place::IMAGE, &image).env_remove("XDG_RUNTIME_DIR").current_dir("/").uid(UID).gid(UID);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    let _ = fs::remove_dir_all(format!("/tmp/cofferdam-test-{UID}"));
    let _ = fs::remove_dir_all(&image);
    assert!(output.status.success(), "{:?}", output.status);
    assert!(!text.contains("skipped:"));
    assert_eq!(text.matches("passed       a_sandbox_starts_and_greets").count(), suites.len());
    assert!(text.contains("passed       containers_of_one_pod"));
}

/// The test image, owned as an unprivileged user's layer store has it: by the user, who is its root.
fn image() -> Option<std::path::PathBuf> {
    let sandbox::LayerSource::Dir(source) = place::image_dir()? else { return None };
    let target = place::base().join(format!("image-of-{NAME}"));
    let _ = fs::remove_dir_all(&target);
    let copied = Command::new("cp").arg("-a").arg(source).arg(&target).status().unwrap();
    assert!(copied.success());
    give(&target);
    fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();
    Some(target)
}

fn give(path: &Path) {
    lchown(path, Some(UID), Some(UID)).unwrap();
    if fs::symlink_metadata(path).unwrap().is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path()));
    }
}
