//! Nothing is left: not after the end of a sandbox, and not after kill -9 at any moment.

mod killed;
mod saved;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sandbox::gvisor::Gvisor;
use sandbox::local::Local;
use sandbox::microvm::{Acceleration, MicroVm, MonitorKind};
use sandbox::session::Session;
use sandbox::{Driver, EngineSpec, NetworkSource, SandboxSpec};
use wire::init::{ExecSpec, User};

use crate::{microvm, monitors, place, pools};

/// Variable that makes [`victim`] one.
pub const VICTIM: &str = "COFFERDAM_TEST_VICTIM";
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

/// What a victim makes its sandboxes with.
async fn driver_of(kind: &str, local: &Local) -> Option<Arc<dyn Driver>> {
    let machines = || Some(MicroVm::new(local.clone(), microvm::config(Some(Acceleration::Tcg))?));
    Some(match kind {
        "gvisor" => Arc::new(Gvisor::find(local.clone())?),
        "microvm" => Arc::new(machines()?),
        "pool" => Arc::new(pools::warm(Arc::new(machines()?))),
        "engine" => Arc::new(microvm::engine_driver_of(local.clone())?),
        "firecracker" => Arc::new(monitors::on_stand_in(MonitorKind::Firecracker, local.clone())?),
        "cloud-hypervisor" => Arc::new(monitors::on_stand_in(MonitorKind::CloudHypervisor, local.clone())?),
        _ => local.container(),
    })
}

/// A network namespace with an interface, whose other end stands in this process's.
pub fn netns(number: usize) -> OwnedFd {
    let inside = std::thread::spawn(|| {
        // SAFETY: this thread alone moves, and ends.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
        OwnedFd::from(fs::File::open("/proc/thread-self/ns/net").unwrap())
    });
    let inside = inside.join().unwrap();
    let script = "ip link add made$1 type veth peer name eth0 netns /proc/$2/fd/$3 && ip link set made$1 up && \
        nsenter --net=/proc/$2/fd/$3 sh -ec 'ip addr add 192.0.2.2/24 dev eth0; ip link set eth0 up; ip route add default via 192.0.2.1'";
    let words = [number.to_string(), std::process::id().to_string(), inside.as_raw_fd().to_string()];
    assert!(Command::new("sh").args(["-ec", script, "sh"]).args(words).status().unwrap().success());
    inside
}

/// Makes sandboxes with living processes and ends them, until it is killed. Does nothing unless it was asked to.
#[tokio::test]
async fn victim() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let kind = std::env::var(VICTIM).unwrap();
    // `microvm 211`: with so much memory, in MiB.
    let (kind, memory) = kind.split_once(' ').map_or((kind.as_str(), None), |(kind, mib)| (kind, mib.parse().ok()));
    let memory = memory.map(|mib: u64| mib << 20);
    let layer = if kind == "container" || kind == "gvisor" { place::image_dir() } else { place::image_erofs() };
    let (Some(local), Some(layer)) = (place::local(), layer) else { return };
    let Some(driver) = driver_of(kind, &local).await else { return };
    println!("\nlauncher {}", local.launcher_pid());
    let mut living = Vec::new();
    for number in 0.. {
        let mut spec = match kind {
            "engine" => SandboxSpec {
                engine: Some(EngineSpec::default()),
                network: NetworkSource::Netns { netns: netns(number), resolv_conf: String::new() },
                ..SandboxSpec::host_tools()
            },
            _ => SandboxSpec::image(vec![layer.clone()]),
        };
        spec.limits.memory_bytes = memory.unwrap_or(spec.limits.memory_bytes);
        let sandbox = driver.create(spec).await.unwrap();
        sandbox.stream.set_nonblocking(true).unwrap();
        let stream = tokio::net::UnixStream::from_std(sandbox.stream).unwrap();
        let session = Session::start(stream).await.unwrap();
        let argv = ["/bin/sh", "-c", "setsid sleep 4000 & trap '' TERM; while :; do sleep 1; done"];
        let user = User { uid: 1000, gid: 1000, groups: Vec::new() };
        let spec = ExecSpec { argv: argv.map(Into::into).into(), cwd: "/".into(), user, ..ExecSpec::default() };
        let running = session.exec(spec).await.unwrap();
        living.push((sandbox.id, session, running));
        println!("\nmade {number}");
        if living.len() > if kind == "engine" { 1 } else { 3 } {
            driver.destroy(living.remove(0).0).await.unwrap();
        }
    }
}

/// A victim that has made so many sandboxes, and its launcher.
fn start_victim(kind: &str, image: &Path, made: usize) -> (Child, u32) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["leftovers::victim", "--exact", "--nocapture"])
        .env(VICTIM, kind)
        .env(place::IMAGE, image)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let launcher = lines.find_map(|line| line.strip_prefix("launcher ")?.parse().ok());
    let enough = made == 0 || lines.filter(|line| line.starts_with("made ")).nth(made - 1).is_some();
    match launcher.filter(|_| enough) {
        Some(launcher) => (child, launcher),
        None => panic!("the victim did not start: {:?}", child.wait()),
    }
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

/// `step`: in microseconds; what is between the first instruction and steady work lies within the square of `rounds` of them. The last
/// rounds begin when a sandbox works.
fn nothing_is_left_at_any_moment(kind: &str, rounds: u64, step: u64) {
    let Some(sandbox::LayerSource::Dir(image)) = place::image_dir() else { return };
    if place::local().is_none() {
        return;
    }
    let before = Snapshot::take();
    for round in 0..rounds + 3 {
        let works = round >= rounds;
        let (mut victim, launcher) = start_victim(kind, &image, usize::from(works));
        if works {
            assert!(!remains(launcher).0.is_empty(), "a sandbox works, and nothing of it is seen");
        } else {
            // Another moment in each round.
            std::thread::sleep(Duration::from_micros(round * round * step));
        }
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
        swept(launcher, round);
    }
    assert_eq!(Snapshot::take(), before);
}

#[test]
fn nothing_is_left_after_kill_9_at_any_moment() {
    nothing_is_left_at_any_moment("container", 18, 700);
}

/// The machine is a copy: a second is enough for all of its life.
#[test]
fn nothing_of_a_microvm_is_left_after_kill_9_at_any_moment() {
    if microvm::config(Some(Acceleration::Tcg)).is_some() {
        nothing_is_left_at_any_moment("microvm", 12, 9_000);
    }
}

/// The next start sweeps, or the one after that: where the kernel has not let go of a process, its cgroup stays.
fn swept(launcher: u32, round: u64) {
    wait_until("cgroups are left", || {
        drop(Local::open(&place::config()).unwrap());
        match remains(launcher).1 {
            groups if groups.is_empty() => Ok(()),
            groups => Err(format!("round {round}: {groups:?}")),
        }
    });
}

/// Interfaces of this thread's network namespace.
fn interfaces() -> BTreeSet<String> {
    let text = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

/// Kernels of their own are processes of the host too: monitors, and gVisor's. `made`: how many sandboxes a victim makes first.
/// Networks of the victim have their other ends in a namespace of this test, which sees them go.
fn nothing_of_kernels_is_left(kind: &'static str, rounds: u64, made: usize) {
    let Some(sandbox::LayerSource::Dir(image)) = place::image_dir() else { return };
    if place::local().is_none() {
        return;
    }
    let own = std::thread::spawn(move || {
        // SAFETY: this thread alone moves, and ends; what it starts stays with it.
        let alone = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
        for round in 0..rounds {
            let (mut victim, launcher) = start_victim(kind, &image, made);
            // Until a kernel lives, and then for a moment that differs in each round.
            wait_until("no kernel was started", || match remains(launcher).0.len() {
                0..3 => Err("none".to_owned()),
                _ => Ok(()),
            });
            std::thread::sleep(Duration::from_millis(round * 137));
            let before = interfaces();
            kill(if round % 2 == 0 { victim.id() } else { launcher });
            wait_until("processes are left", || match remains(launcher).0 {
                processes if processes.is_empty() => Ok(()),
                processes => Err(format!("round {round}: {processes:?}")),
            });
            kill(victim.id());
            victim.wait().unwrap();
            swept(launcher, round);
            if alone && kind == "engine" {
                assert!(before.len() > 1, "round {round}: the victim's machine has an interface: {before:?}");
                wait_until("interfaces are left", || match interfaces() {
                    left if left.iter().all(|name| name == "lo") => Ok(()),
                    left => Err(format!("round {round}: {left:?}")),
                });
            }
        }
    });
    if let Err(panic) = own.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn nothing_of_gvisor_is_left_after_kill_9() {
    match Gvisor::is_installed() {
        true => nothing_of_kernels_is_left("gvisor", 6, 0),
        false => println!("skipped: runsc is not installed"),
    }
}

#[test]
fn nothing_of_a_microvm_is_left_after_kill_9() {
    if microvm::config(Some(Acceleration::Tcg)).is_some() {
        nothing_of_kernels_is_left("microvm", 6, 0);
    }
}

/// Members that nobody has asked for yet, and those that are in the making.
#[test]
fn nothing_of_a_pool_is_left_after_kill_9() {
    if microvm::config(Some(Acceleration::Tcg)).is_some() {
        nothing_of_kernels_is_left("pool", 4, 2);
    }
}

/// A machine with a Docker Engine and an interface.
#[test]
fn nothing_of_an_engine_and_its_interface_is_left_after_kill_9() {
    let tools = ["/usr/sbin/ip", "/usr/bin/nsenter"];
    if !rustix::process::getuid().is_root() || !tools.iter().all(|tool| Path::new(tool).exists()) {
        println!("skipped: needs root, ip and nsenter");
    } else if place::local().and_then(microvm::engine_driver_of).is_some() {
        nothing_of_kernels_is_left("engine", 2, 1);
    }
}

/// Monitors that are asked over a socket: their stand-ins, in their jails.
#[test]
fn nothing_of_other_monitors_is_left_after_kill_9() {
    if place::local().and_then(|local| monitors::on_stand_in(MonitorKind::Firecracker, local)).is_some() {
        nothing_of_kernels_is_left("firecracker", 3, 1);
        nothing_of_kernels_is_left("cloud-hypervisor", 3, 1);
    }
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
