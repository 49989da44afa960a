//! The binary as a user without any privilege, who has subordinate ids. Root becomes such a user in a mount namespace whose
//! `/etc/passwd`, `/etc/subuid` and `/etc/subgid` are the test's own, so that nothing of the system changes.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::images::{busybox_layer, docker_archive};
use crate::interruption::{descendants, start_time};
use crate::project::{Ran, finish};

/// Ids that no package and no administrator gives out.
const USER: u32 = 0x6123_4567;
const FIRST: u32 = 0x6200_0000;

/// Binds the files over those of the system, becomes the user, and starts the program: one process from first to last.
const BECOME: &str = r#"set -e
for file in passwd subuid subgid; do mount --bind "$1/$file" "/etc/$file"; done
home=$1/home user=$2; shift 2
cd "$home"
exec setpriv --reuid "$user" --regid "$user" --clear-groups --inh-caps=-all \
    env -i HOME="$home" XDG_RUNTIME_DIR="$home/run" PATH=/usr/local/bin:/usr/bin:/bin "$@""#;

/// A user of its own, gone with the value.
struct User {
    dir: tempfile::TempDir,
}

impl User {
    /// With so many subordinate ids. `None`, with the reason printed, where the test cannot be made.
    fn with_ids(count: u32) -> Option<User> {
        let skip = |reason: &str| {
            println!("skipped: {reason}");
            None
        };
        if !rustix::process::getuid().is_root() {
            return skip("only root can become another user");
        }
        for program in ["newuidmap", "newgidmap", "unshare", "setpriv"] {
            if !Path::new("/usr/bin").join(program).exists() {
                return skip(&format!("{program} is not installed"));
            }
        }
        let dir = tempfile::Builder::new().prefix("cofferdam-user-").tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let user = User { dir };
        let system = std::fs::read_to_string("/etc/passwd").unwrap();
        let home = user.home().display().to_string();
        user.file("passwd", &format!("{system}\nstranger:x:{USER}:{USER}::{home}:/bin/sh\n"));
        let range = if count == 0 { String::new() } else { format!("stranger:{FIRST}:{count}\n") };
        user.file("subuid", &range);
        user.file("subgid", &range);
        for folder in ["home", "home/run", "home/project"] {
            let path = user.dir.path().join(folder);
            std::fs::create_dir(&path).unwrap();
            chown(&path, Some(USER), Some(USER)).unwrap();
        }
        std::fs::set_permissions(user.home().join("run"), std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::copy(env!("CARGO_BIN_EXE_cofferdam"), user.program()).unwrap();
        std::fs::set_permissions(user.program(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Some(user)
    }

    /// Who can make sandboxes; `None`, with the reason printed, where this host lets nobody but root.
    fn able() -> Option<User> {
        let user = User::with_ids(65536)?;
        let doctor = user.run(&["doctor"]);
        if doctor.code != 0 {
            println!("skipped: this host makes no sandboxes for users other than root: {}", doctor.stdout.trim());
            return None;
        }
        Some(user)
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn program(&self) -> PathBuf {
        self.dir.path().join("cofferdam")
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    /// Any program as this user; its process id is that of the program.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", BECOME, "sh"]);
        command.arg(self.dir.path()).arg(USER.to_string()).args(words).stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        let program = self.program();
        finish(self.command(&[&[program.to_str().unwrap()], words].concat()).output().unwrap())
    }

    /// A declarative pipeline of these parts, in the user's project.
    fn define(&self, agent: &str, body: &str) {
        let text = format!("pipeline {{ agent {agent}\n options {{ skipDefaultCheckout() }}\n{body}\n}}\n");
        self.file("home/project/Jenkinsfile", &text);
    }

    fn run_steps(&self, agent: &str, steps: &str, flags: &[&str]) -> Ran {
        self.define(agent, &format!("stages {{ stage('S') {{ steps {{\n{steps}\n}} }} }}"));
        self.run(&[&["run", "--progress", "plain", "project"], flags].concat())
    }
}

fn holds(ran: &Ran, code: i32, words: &[&str]) {
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, code, "{all}");
    for words in words {
        assert!(all.contains(words), "`{words}` is not in:\n{all}");
    }
}

#[test]
fn doctor_says_what_a_user_lacks() {
    let Some(user) = User::able() else { return };
    let doctor = user.run(&["doctor"]);
    holds(&doctor, 0, &["plain folders", "needs root", "subordinate ids", "memory limit"]);
}

#[test]
fn tools_of_the_host_run_and_a_missing_network_is_said_once() {
    let Some(user) = User::able() else { return };
    user.define(
        "none",
        "stages { stage('A') { agent any\n steps { sh 'id; touch x' } }\n stage('B') { agent any\n steps { sh 'test ! -e x' } } }",
    );
    let ran = user.run(&["run", "project"]);
    holds(&ran, 0, &["uid=1000"]);
    assert_eq!(ran.stdout.matches("sandboxes have no network here").count(), 1, "{}", ran.stdout);
    let unwanted = user.run(&["run", "--network", "none", "project"]);
    holds(&unwanted, 0, &[]);
    assert!(!unwanted.stdout.contains("no network here"), "{}", unwanted.stdout);
    let clone = user.run_steps("any", "git 'https://example.invalid/a.git'", &[]);
    holds(&clone, 7, &["cannot clone https://example.invalid/a.git: sandboxes have no network"]);
}

#[test]
fn images_are_folders_that_only_their_user_sees() {
    let Some(user) = User::able() else { return };
    let Some(layer) = busybox_layer(&[("entry.sh", "#!/bin/sh\nexec \"$@\"\n")]) else { return };
    let archive = docker_archive(&["test.invalid/user:1"], r#"{"Env":["PATH=/bin"]}"#, &layer);
    std::fs::set_permissions(archive.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let path = archive.path().to_str().unwrap();
    holds(&user.run(&["image", "import", path]), 0, &["test.invalid/user:1"]);
    holds(&user.run(&["image", "ls", "-q"]), 0, &["test.invalid/user:1"]);

    let plain =
        user.run_steps("{ docker 'test.invalid/user:1' }", "sh 'id; touch f \"$HOME/x\"; ls -ln /bin/busybox'", &[]);
    holds(&plain, 0, &["uid=1000(jenkins)", " 0        0 "]);
    let named = "{ docker { image 'test.invalid/user:1'; args '-u builder' } }";
    holds(&user.run_steps(named, "sh 'id; touch x'", &[]), 0, &["uid=1234(builder)"]);
    let root = "{ docker { image 'test.invalid/user:1'; args '-u root' } }";
    holds(&user.run_steps(root, "sh 'id; touch /etc/x; stat -c %u:%g /etc/x'", &[]), 0, &["uid=0(root)", "0:0"]);
    let shared = "stages { stage('B') { steps { sh 'echo outer > f' } }\n stage('C') { agent { docker { image 'test.invalid/user:1'; reuseNode true } } steps { sh 'cat f' } } }";
    user.define("any", shared);
    holds(&user.run(&["run", "project"]), 0, &["outer"]);

    holds(&user.run(&["image", "rm", "test.invalid/user:1"]), 0, &["removed sha256:"]);
    let store = user.home().join(".local/share/cofferdam");
    for folder in ["layers", "tmp", "images"] {
        assert_eq!(std::fs::read_dir(store.join(folder)).unwrap().count(), 0, "{folder} is not empty");
    }
}

#[test]
fn limits_hold_without_groups() {
    let Some(user) = User::able() else { return };
    let disk = user.run_steps("any", "sh 'dd if=/dev/zero of=big bs=1M count=64'", &["--disk", "8M"]);
    holds(&disk, 1, &["disk limit of 8 MiB"]);
    let forks = "sh 'for i in $(seq 100); do sleep 60 & done; wait'";
    let crowd = user.run_steps("any", forks, &["--processes", "20"]);
    assert_ne!(crowd.code, 0);
    holds(&crowd, crowd.code, &["limit of 20 processes"]);
    let memory = "sh 'x=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; while :; do x=$x$x; done'";
    let memory = user.run_steps("any", memory, &["--memory", "64M"]);
    holds(&memory, 1, &["memory limit of 64 MiB here, and the largest had"]);
    let time = user.run_steps("any", "sh 'sleep 600'", &["--timeout", "1s"]);
    holds(&time, 124, &["time limit of 1 s"]);
}

/// Starts a pipeline that waits, and returns when it does.
fn waiting(user: &User) -> (std::process::Child, BufReader<std::process::ChildStdout>) {
    user.define(
        "any",
        "stages { stage('S') { steps { sh 'echo RUNS; sleep 600' } } }\n post { always { echo 'POST ALWAYS' } }",
    );
    let program = user.program();
    let words = [program.to_str().unwrap(), "run", "--progress", "plain", "project"];
    let mut child = user.command(&words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.ends_with("] RUNS\n") {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the run ended early");
    }
    (child, lines)
}

#[test]
fn ctrl_c_and_kill_9_leave_nothing() {
    let Some(user) = User::able() else { return };
    let (mut child, lines) = waiting(&user);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let rest: Vec<String> = lines.lines().map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("POST ALWAYS")), "{rest:?}");

    let (mut child, _lines) = waiting(&user);
    let family = descendants(child.id());
    assert!(family.len() >= 3, "launcher, init and the step: {family:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while family.iter().any(|(pid, start)| start_time(*pid) == Some(*start)) {
        assert!(Instant::now() < deadline, "still there: {family:?}");
        std::thread::yield_now();
    }
    holds(&user.run(&["clean"]), 0, &[]);
    holds(&user.run(&["clean"]), 0, &["nothing was left behind"]);
}

#[test]
fn without_ids_the_error_names_the_remedy() {
    for count in [0, 999] {
        let Some(user) = User::with_ids(count) else { return };
        holds(&user.run_steps("any", "sh 'true'", &[]), 7, &["/etc/subuid", "hint: ", "usermod --add-subuids"]);
        holds(&user.run(&["doctor"]), 7, &["cannot be used", "usermod --add-subuids"]);
    }
}

#[test]
fn without_user_namespaces_the_error_says_so() {
    let Some(user) = User::able() else { return };
    if !Path::new("/usr/bin/bwrap").exists() {
        println!("skipped: bubblewrap is not installed");
        return;
    }
    user.define("any", "stages { stage('S') { steps { sh 'true' } } }");
    let program = user.program();
    let walls = ["bwrap", "--unshare-user", "--disable-userns", "--bind", "/", "/", "--dev-bind", "/dev", "/dev"];
    let words = [&walls[..], &[program.to_str().unwrap(), "run", "project"]].concat();
    let ran = finish(user.command(&words).output().unwrap());
    if ran.stderr.contains("bwrap:") {
        println!("skipped: {}", ran.stderr.trim());
        return;
    }
    holds(&ran, 7, &["make a user namespace", "user.max_user_namespaces", "hint: "]);
    assert!(!ran.stderr.contains("No space left"), "{}", ran.stderr);
}

#[test]
fn folders_that_cannot_be_used_are_named() {
    let Some(user) = User::able() else { return };
    let closed = user.dir.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    let closed = closed.to_str().unwrap();
    for words in [&["image", "ls"][..], &["clean"], &["run", "project"]] {
        user.define("{ docker 'test.invalid/a:1' }", "stages { stage('S') { steps { sh 'true' } } }");
        let ran = user.run(&[&["--home", closed], words].concat());
        holds(&ran, 7, &[closed, "Permission denied", "--home"]);
    }
    // A folder that cannot be looked into is not an empty one.
    let store = user.home().join("store");
    holds(&user.run(&["--home", "store", "image", "ls"]), 0, &[]);
    std::fs::set_permissions(store.join("layers"), std::fs::Permissions::from_mode(0o000)).unwrap();
    holds(&user.run(&["--home", "store", "run", "project"]), 7, &["store/layers: Permission denied"]);
    holds(&user.run(&["--home", "store", "doctor"]), 0, &["store/layers: Permission denied"]);
    // The project itself may be read-only, until it is to keep artifacts.
    std::fs::set_permissions(user.home().join("project"), std::fs::Permissions::from_mode(0o555)).unwrap();
    let artifacts = user.run_steps("any", "sh 'echo > f'\narchiveArtifacts 'f'", &[]);
    holds(&artifacts, 7, &["project/.cofferdam/artifacts: Permission denied", "--artifacts"]);
}

#[test]
fn a_repository_of_somebody_else_is_not_taken_for_none() {
    let Some(user) = User::able() else { return };
    user.define("any", "stages { stage('S') { steps { sh 'true' } } }");
    let made = Command::new("git").args(["init", "-q"]).arg(user.home().join("project")).status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: git is not installed");
        return;
    }
    chown(user.home().join("project"), Some(0), Some(0)).unwrap();
    holds(&user.run(&["run", "project"]), 7, &["belongs to another user", "safe.directory"]);
}
