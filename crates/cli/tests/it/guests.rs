//! What virtual machines boot: made, listed, removed; whole or not there at all.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::project::{cofferdam, finish, run};

/// A download takes no longer.
const PATIENCE: Duration = Duration::from_secs(120);
/// What the kernel needs to end processes, on a machine that has other work.
const AT_ONCE: Duration = Duration::from_secs(3);
/// A moment is short: so often it may be missed.
const MOST_MISSES: u32 = 5;

#[test]
fn guest_commands_say_what_is_not_there() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().to_str().unwrap();
    let ran = run(&["--home", home, "guest", "ls"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
    let ran = run(&["--home", home, "guest", "rm", "84275c09fc82"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("no guest and no engine root \"84275c09fc82\""), "{}", ran.stderr);
}

/// Two builds of one package, at two places, are the same bytes; what is removed is gone.
#[test]
fn guests_are_made_the_same_listed_and_removed() {
    let places = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let guest = |place: &tempfile::TempDir, words: &[&str]| {
        let home = place.path().to_str().unwrap();
        run(&[&["--home", home, "guest"], words].concat())
    };
    let mut made = Vec::new();
    for place in &places {
        let built = guest(place, &["build"]);
        if built.code != 0 {
            // What Debian's package is fetched with; anything else is our fault.
            assert!(built.stderr.contains("apt-"), "{built:?}");
            println!("skipped: guest build: {}", built.stderr.trim());
            return;
        }
        let listed = guest(place, &["ls"]);
        let (name, _) = listed.stdout.split_once(' ').unwrap_or_else(|| panic!("{listed:?}"));
        assert!(built.stdout.starts_with(name) && listed.stdout.trim_end().ends_with("(used)"), "{built:?} {listed:?}");
        let folder = fs::read_dir(place.path().join("guests")).unwrap().flatten().find(|entry| entry.path().is_dir());
        let folder = folder.unwrap().path();
        made.push((name.to_owned(), ["kernel", "initrd"].map(|file| fs::read(folder.join(file)).unwrap())));
    }
    assert!(made[0] == made[1], "{} and {} differ", made[0].0, made[1].0);
    let removed = guest(&places[0], &["rm", &made[0].0]);
    assert_eq!((removed.code, guest(&places[0], &["ls"]).stdout.as_str()), (0, ""), "{removed:?}");
    assert!(!guest(&places[1], &["ls"]).stdout.is_empty());
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// What some process is making there, or was.
fn half_made(folder: &Path) -> Vec<PathBuf> {
    let is_half_made =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("making-"));
    entries(folder).into_iter().filter(is_half_made).collect()
}

/// Processes that work in a folder, or were told its name.
fn processes_at(folder: &Path) -> Vec<PathBuf> {
    let name = folder.to_string_lossy().into_owned();
    let is_there = |process: &PathBuf| {
        let named = fs::read(process.join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&name));
        named || fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
    };
    entries(Path::new("/proc")).into_iter().filter(is_there).collect()
}

fn wait_until(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < patience, "{what}");
        std::thread::yield_now();
    }
}

fn start_build(home: &Path, words: &[&str]) -> Child {
    let mut command = cofferdam();
    command.arg("--home").arg(home).args(["guest", "build"]).args(words);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills what builds as soon as something holds. Whether it did before the end.
fn kill_when(child: &mut Child, holds: impl Fn() -> bool) -> bool {
    let mut is_hit = false;
    wait_until("that moment does not come", PATIENCE, || {
        is_hit = holds();
        is_hit || child.try_wait().unwrap().is_some()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    is_hit
}

/// As soon as there is a place for it; while the package is downloaded; while the guest's files are written.
#[test]
fn a_build_that_is_killed_leaves_no_guest_and_no_process() {
    let place = tempfile::tempdir().unwrap();
    let (home, guests) = (place.path(), place.path().join("guests"));
    let build = || finish(cofferdam().arg("--home").arg(home).args(["guest", "build"]).output().unwrap());
    let list = || finish(cofferdam().arg("--home").arg(home).args(["guest", "ls"]).output().unwrap()).stdout;
    let first = build();
    if first.code != 0 {
        assert!(first.stderr.contains("apt-"), "{first:?}");
        println!("skipped: guest build: {}", first.stderr.trim());
        return;
    }
    let remove = || {
        let listed = list();
        let (name, _) = listed.split_once(' ').unwrap_or_else(|| panic!("{listed:?}"));
        let removed = finish(cofferdam().arg("--home").arg(home).args(["guest", "rm", name]).output().unwrap());
        assert_eq!((removed.code, list().as_str()), (0, ""), "{removed:?}");
    };
    remove();
    let is_now: [&dyn Fn() -> bool; 3] = [
        &|| !half_made(&guests).is_empty(),
        &|| half_made(&guests).iter().any(|making| !entries(making).is_empty()),
        &|| half_made(&guests).iter().any(|making| making.join("guest/kernel").exists()),
    ];
    for (round, is_now) in is_now.into_iter().enumerate() {
        let mut misses = 0;
        while !kill_when(&mut start_build(home, &[]), is_now) {
            misses += 1;
            assert!(misses < MOST_MISSES, "round {round}: that moment is always missed");
            remove();
        }
        assert_eq!(list(), "", "round {round}");
        assert_eq!(half_made(&guests).len(), 1, "round {round}: a control");
        wait_until("its programs work on", AT_ONCE, || processes_at(home).is_empty());
        let again = build();
        assert_eq!((again.code, again.stdout.as_str()), (0, first.stdout.as_str()), "round {round}: {again:?}");
        assert_eq!(half_made(&guests), Vec::<PathBuf>::new(), "round {round}");
        remove();
    }
}

/// Also one that does not write to a broken pipe, and would go on for long.
#[test]
fn a_program_of_a_build_ends_with_it() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path();
    let program = home.join("bin/apt-cache");
    fs::create_dir(home.join("bin")).unwrap();
    fs::write(&program, "#!/bin/sh\nfor i in $(seq 600); do sleep 0.1; done\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = cofferdam();
    command.arg("--home").arg(home).args(["guest", "build"]);
    let path = format!("{}:{}", home.join("bin").display(), std::env::var("PATH").unwrap());
    let mut child = command.env("PATH", path).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let own = PathBuf::from(format!("/proc/{}", child.id()));
    assert!(kill_when(&mut child, || processes_at(&program).iter().any(|process| *process != own)));
    wait_until("it works on", AT_ONCE, || processes_at(&program).is_empty());
}

/// While hundreds of packages are downloaded; and who comes next takes away what was left.
#[test]
fn a_build_of_an_engine_that_is_killed_leaves_no_engine_and_no_process() {
    let place = tempfile::tempdir().unwrap();
    let (home, engines) = (place.path(), place.path().join("guests/engines"));
    let mut left = Vec::new();
    for round in 0..2 {
        let mut child = start_build(home, &["--engine"]);
        let is_now = || {
            let making = half_made(&engines).into_iter().filter(|making| !left.contains(making));
            let archives = making.flat_map(|making| entries(&making.join("apt/archives")));
            archives.into_iter().any(|path| path.extension().is_some_and(|end| end == "deb"))
        };
        if !kill_when(&mut child, is_now) {
            let built = run(&["--home", home.to_str().unwrap(), "guest", "build", "--engine"]);
            assert!(built.code != 0 && built.stderr.contains("apt-"), "{built:?}");
            println!("skipped: guest build --engine: {}", built.stderr.trim());
            return;
        }
        wait_until("its programs work on", AT_ONCE, || processes_at(home).is_empty());
        let now = half_made(&engines);
        assert!(now.len() == 1 && now != left, "round {round}: {now:?}");
        left = now;
        let listed = run(&["--home", home.to_str().unwrap(), "guest", "ls"]).stdout;
        assert!(listed.contains("guest") && !listed.contains("engine"), "{listed}");
    }
}
