//! Nothing is left: not after the end of a sandbox, and not after kill -9 at any moment.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sandbox::SandboxSpec;
use sandbox::local::Local;
use sandbox::session::Session;
use wire::init::{ExecSpec, User};

use crate::place;

/// Variable that makes [`victim`] one.
const VICTIM: &str = "COFFERDAM_TEST_VICTIM";
/// How long the kernel may take to clear away what was killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a program can leave on the host, as far as it can be told from what others do at the same time.
#[derive(Debug, PartialEq, Eq)]
struct Snapshot {
    mounts: BTreeSet<String>,
    files: BTreeSet<String>,
}

impl Snapshot {
    fn take() -> Snapshot {
        let base = place::base().display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounts = mounts.lines().filter(|line| line.contains("cofferdam") || line.contains(&base));
        let files = fs::read_dir(place::base().join("state")).unwrap();
        Snapshot {
            mounts: mounts.map(str::to_owned).collect(),
            files: files.map(|entry| entry.unwrap().path().display().to_string()).collect(),
        }
    }
}

/// Processes in the cgroups of a launcher, and the cgroups.
fn remains(launcher: u32) -> (Vec<String>, Vec<String>) {
    let (mut processes, mut groups) = (Vec::new(), Vec::new());
    let mark = format!("/cofferdam/{launcher}-");
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        let known = fs::read_to_string(entry.path().join("cgroup")).is_ok_and(|text| text.contains(&mark));
        if known || pid == launcher.to_string() {
            processes.push(pid);
        }
    }
    for hierarchy in ["memory", "pids", "cpu", "."] {
        let Ok(entries) = fs::read_dir(format!("/sys/fs/cgroup/{hierarchy}/cofferdam")) else { continue };
        let names = entries.flatten().map(|entry| entry.path().display().to_string());
        groups.extend(names.filter(|name| name.contains(&mark)));
    }
    (processes, groups)
}

fn wait_until(what: &str, mut holds: impl FnMut() -> Result<(), String>) {
    let started = Instant::now();
    loop {
        match holds() {
            Ok(()) => return,
            Err(why) if started.elapsed() > PATIENCE => panic!("{what}: {why}"),
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// Makes sandboxes with living processes and ends them, until it is killed. Does nothing unless it was asked to.
#[tokio::test]
async fn victim() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let (Some(local), Some(layer)) = (place::local(), place::image_dir()) else { return };
    println!("\nlauncher {}", local.launcher_pid());
    let driver = local.container();
    let mut living = Vec::new();
    loop {
        let sandbox = driver.create(SandboxSpec::image(vec![layer.clone()])).await.unwrap();
        sandbox.stream.set_nonblocking(true).unwrap();
        let stream = tokio::net::UnixStream::from_std(sandbox.stream).unwrap();
        let session = Session::start(stream).await.unwrap();
        let argv = ["/bin/sh", "-c", "setsid sleep 4000 & trap '' TERM; while :; do sleep 1; done"];
        let user = User { uid: 1000, gid: 1000, groups: Vec::new() };
        let spec = ExecSpec { argv: argv.map(Into::into).into(), cwd: "/".into(), user, ..ExecSpec::default() };
        let running = session.exec(spec).await.unwrap();
        living.push((sandbox.id, session, running));
        if living.len() > 3 {
            driver.destroy(living.remove(0).0).await.unwrap();
        }
    }
}

fn start_victim(image: &std::path::Path) -> (Child, u32) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["leftovers::victim", "--exact", "--nocapture"])
        .env(VICTIM, "1")
        .env(place::IMAGE, image)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let launcher = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("launcher ")?.parse().ok());
    match launcher {
        Some(launcher) => (child, launcher),
        None => panic!("the victim did not start: {:?}", child.wait()),
    }
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

#[test]
fn nothing_is_left_after_kill_9_at_any_moment() {
    let Some(sandbox::LayerSource::Dir(image)) = place::image_dir() else { return };
    if place::local().is_none() {
        return;
    }
    let before = Snapshot::take();
    for round in 0u64..18 {
        let (mut victim, launcher) = start_victim(&image);
        // Moments between the first instruction and steady work, different in each round.
        std::thread::sleep(Duration::from_micros(round * round * 700));
        match round % 3 {
            0 => kill(victim.id()),
            1 => kill(launcher),
            _ => {
                kill(launcher);
                kill(victim.id());
            }
        }
        wait_until("processes are left", || match remains(launcher).0 {
            processes if processes.is_empty() => Ok(()),
            processes => Err(format!("round {round}: {processes:?}")),
        });
        kill(victim.id());
        victim.wait().unwrap();
        if round % 3 == 0 {
            // The launcher has outlived its driver by just so much.
            assert_eq!(remains(launcher).1, Vec::<String>::new(), "round {round}");
        }
        // The next start sweeps.
        let local = Local::open(&place::config()).unwrap();
        wait_until("cgroups are left", || match remains(launcher).1 {
            groups if groups.is_empty() => Ok(()),
            groups => Err(format!("round {round}: {groups:?}")),
        });
        drop(local);
    }
    assert_eq!(Snapshot::take(), before);
}

#[tokio::test]
async fn sweep_leaves_the_living_alone() {
    let (Some(one), Some(two), Some(layer)) = (place::local(), place::local(), place::image_dir()) else { return };
    let sandbox = one.container().create(SandboxSpec::image(vec![layer])).await.unwrap();
    let swept = two.container().sweep().await.unwrap();
    let own = format!("/{}-", one.launcher_pid());
    assert!(!swept.iter().any(|line| line.contains(&own)), "{swept:?}");
    let usage = one.container().usage(sandbox.id).await.unwrap();
    assert!(usage.limits_met.is_empty());
    one.container().destroy(sandbox.id).await.unwrap();
    let launcher = one.launcher_pid();
    drop(one);
    wait_until("the launcher stays", || match remains(launcher) {
        (processes, groups) if processes.is_empty() && groups.is_empty() => Ok(()),
        remains => Err(format!("{remains:?}")),
    });
}

/// The walls' clock lives in the launcher: nothing runs on without it, even while the driver's process keeps every stream open.
#[tokio::test]
async fn a_sandbox_dies_with_its_launcher() {
    let (Some(local), Some(layer)) = (place::local(), place::image_dir()) else { return };
    let driver = local.container();
    let sandbox = driver.create(SandboxSpec::image(vec![layer])).await.unwrap();
    let ended = sandbox.ended();
    let stream = sandbox.stream.try_clone().unwrap();
    stream.set_nonblocking(true).unwrap();
    let session = Session::start(tokio::net::UnixStream::from_std(stream).unwrap()).await.unwrap();
    let argv = ["/bin/sh", "-c", "setsid sleep 4000 & sleep 4000"];
    let user = User { uid: 1000, gid: 1000, groups: Vec::new() };
    let spec = ExecSpec { argv: argv.map(Into::into).into(), cwd: "/".into(), user, ..ExecSpec::default() };
    let running = session.exec(spec).await.unwrap();
    let launcher = local.launcher_pid();
    kill(launcher);
    assert_eq!(ended.await.cause, sandbox::EndCause::Lost);
    wait_until("processes outlive the launcher", || match remains(launcher).0 {
        processes if processes.is_empty() => Ok(()),
        processes => Err(format!("{processes:?}")),
    });
    drop((running, session, sandbox));
}
