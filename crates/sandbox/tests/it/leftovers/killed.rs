//! What runs a sandbox's kernel is killed from outside, as a host does that has no memory left: the sandbox is lost and gone, and the
//! driver goes on.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use sandbox::gvisor::Gvisor;
use sandbox::microvm::{Acceleration, MicroVm};
use sandbox::session::{Running, Session};
use sandbox::warm::{Warm, WarmConfig};
use sandbox::{Driver, EndCause, NetworkSource, Sandbox, SandboxSpec};
use wire::init::{ExecSpec, User};

use super::{interfaces, kill, netns, remains, wait_until};
use crate::{microvm, place, pools};

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at what others do.
const PAUSE: Duration = Duration::from_millis(5);

/// By what a sandbox is known on the host.
struct Marks {
    /// Number and start of each process. Its groups are the next sandbox's soon.
    processes: BTreeSet<(u32, u64)>,
    /// Files without a name that it writes to.
    disks: BTreeSet<Disk>,
}

impl Marks {
    /// Of the sandbox that this process belongs to.
    fn of(pid: u32) -> Marks {
        let groups = groups(pid).unwrap();
        assert!(groups.contains("/cofferdam/"), "{groups}");
        let own = processes().filter(|pid| self::groups(*pid).as_ref() == Some(&groups));
        Marks { processes: own.filter_map(|pid| Some((pid, started(pid)?))).collect(), disks: disks(pid) }
    }

    /// Nothing is left, now.
    fn check_gone(&self) {
        for pid in processes() {
            let is_left = started(pid).is_some_and(|started| self.processes.contains(&(pid, started)));
            assert!(!is_left, "process {pid} is left");
            let open = disks(pid);
            assert!(open.is_disjoint(&self.disks), "process {pid} keeps a disk: {open:?}");
        }
    }
}

fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
}

fn groups(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()
}

/// In clock ticks since the host's start. Source: proc(5), the 22nd field of `stat`, of which the second may hold anything.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(19)?.parse().ok()
}

/// What tells a file from all others: device, number, birth. The number alone is the next file's soon.
type Disk = (u64, u64, SystemTime);

/// Of machines, those that are open in this process.
fn disks(pid: u32) -> BTreeSet<Disk> {
    let folder = place::base().join("scratch");
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten().map(|entry| entry.path());
    let of_machines = entries.filter(|path| fs::read_link(path).is_ok_and(|link| link.starts_with(&folder)));
    let found = of_machines.filter_map(|path| fs::metadata(path).ok());
    found.map(|found| (found.dev(), found.ino(), found.created().expect("the file system knows births"))).collect()
}

/// With the driver everything goes that its launcher has kept; what a pool is just making ends when it is made.
async fn check_nothing_stays<T>(driver: T, launcher: u32) {
    drop(driver);
    let gone = async {
        while !matches!(remains(launcher), (processes, groups) if processes.is_empty() && groups.is_empty()) {
            tokio::time::sleep(PAUSE).await;
        }
    };
    let gone = tokio::time::timeout(PATIENCE, gone).await;
    assert!(gone.is_ok(), "something stays: {:?}", remains(launcher));
}

/// Interfaces of another network namespace.
fn interfaces_of(netns: &OwnedFd) -> BTreeSet<String> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            interfaces()
        });
        thread.join().unwrap()
    })
}

/// Something that would run for long.
async fn busy(sandbox: &Sandbox) -> (Session, Running) {
    let stream = sandbox.stream.try_clone().unwrap();
    stream.set_nonblocking(true).unwrap();
    let session = Session::start(tokio::net::UnixStream::from_std(stream).unwrap()).await.unwrap();
    let argv = ["/bin/sh", "-c", "setsid sleep 4000 & sleep 4000"].map(Into::into).into();
    let user = User { uid: sandbox.user.uid, gid: sandbox.user.gid, groups: Vec::new() };
    let running = session.exec(ExecSpec { argv, cwd: "/".into(), user, ..ExecSpec::default() }).await.unwrap();
    (session, running)
}

/// It is told that the sandbox has ended so, whoever asks; what it ran has no end of its own.
async fn check_ends(driver: &dyn Driver, sandbox: &Sandbox, mut running: Running, expect: impl Fn(&EndCause) -> bool) {
    let ended = tokio::time::timeout(PATIENCE, sandbox.ended()).await.expect("it has ended");
    assert!(expect(&ended.cause), "{ended:?}");
    let heard = tokio::time::timeout(PATIENCE, running.wait()).await.expect("its session has ended");
    assert!(heard.is_err(), "{heard:?}");
    assert_eq!(driver.destroy(sandbox.id).await.unwrap(), ended);
}

async fn check_works(driver: &dyn Driver, spec: SandboxSpec) {
    let sandbox = driver.create(spec).await.unwrap();
    microvm::check_echo(sandbox.stream).await;
    assert_eq!(driver.destroy(sandbox.id).await.unwrap().cause, EndCause::Destroyed);
}

#[test]
fn microvm_whose_monitor_is_killed_is_lost_and_gone() {
    let tools = ["/usr/sbin/ip", "/usr/bin/nsenter"];
    if !rustix::process::getuid().is_root() || !tools.iter().all(|tool| Path::new(tool).exists()) {
        println!("skipped: needs root, ip and nsenter");
        return;
    }
    let Some(config) = microvm::config(Some(Acceleration::Tcg)) else { return };
    place::in_a_network_of_its_own(async || {
        let (Some(local), Some(layer)) = (place::local(), place::image_erofs()) else { return };
        let launcher = local.launcher_pid();
        let driver = MicroVm::new(local, config);
        for number in 0..2 {
            let netns = netns(number);
            let network = NetworkSource::Netns { netns: netns.try_clone().unwrap(), resolv_conf: String::new() };
            let spec = SandboxSpec { network, ..SandboxSpec::image(vec![layer.clone()]) };
            let sandbox = driver.create(spec).await.unwrap();
            let (_session, running) = busy(&sandbox).await;
            let monitors = microvm::monitors(launcher);
            let [monitor] = monitors[..] else { panic!("{monitors:?}") };
            let marks = Marks::of(monitor);
            // A control: it is seen while it is there.
            assert_eq!(marks.disks.len(), 1, "{:?}", marks.disks);
            assert!(interfaces_of(&netns).contains("tap0"), "{:?}", interfaces_of(&netns));
            kill(monitor);
            check_ends(&driver, &sandbox, running, |cause| *cause == EndCause::Lost).await;
            marks.check_gone();
            assert_eq!(interfaces_of(&netns), BTreeSet::from(["eth0".to_owned(), "lo".to_owned()]));
        }
        check_works(&driver, SandboxSpec::image(vec![layer])).await;
        check_nothing_stays(driver, launcher).await;
    });
}

/// Until the pool has one member again that is none of these processes; its process.
async fn next_member(pool: &Warm, launcher: u32, not: &[u32]) -> u32 {
    let found = async {
        loop {
            let monitors = microvm::monitors(launcher);
            match monitors[..] {
                [monitor] if pool.ready() == 1 && !not.contains(&monitor) => break monitor,
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("a member is made")
}

#[tokio::test]
async fn microvm_of_a_pool_whose_monitor_is_killed_is_replaced() {
    let (Some(config), Some(layer)) = (microvm::config(Some(Acceleration::Tcg)), place::image_erofs()) else { return };
    let Some(local) = place::local() else { return };
    let launcher = local.launcher_pid();
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    let floor = vec![(Arc::new(spec()), 1)];
    let settings = WarmConfig { floor, factor: 0.0, ceiling: 1, ..pools::warm_config() };
    let pool = Warm::new(Arc::new(MicroVm::new(local, config)), settings).unwrap();
    let first = next_member(&pool, launcher, &[]).await;
    let marks = Marks::of(first);
    kill(first);
    let second = next_member(&pool, launcher, &[first]).await;
    marks.check_gone();

    // Who comes before the pool has noticed gets another.
    let marks = Marks::of(second);
    kill(second);
    // Not awaited: nobody else runs here meanwhile.
    wait_until("the monitor lives on", || started(second).map_or(Ok(()), |_| Err(format!("process {second}"))));
    assert_eq!(pool.ready(), 1, "a control: nobody has noticed");
    check_works(&pool, spec()).await;
    let third = next_member(&pool, launcher, &[first, second]).await;
    marks.check_gone();

    // A control: what is ready is what is given.
    let claimed = pool.create(spec()).await.unwrap();
    let (_session, running) = busy(&claimed).await;
    kill(third);
    check_ends(&pool, &claimed, running, |cause| *cause == EndCause::Lost).await;
    pool.close().await;
    check_nothing_stays(pool, launcher).await;
}

/// Of gVisor, every process: the one that started it, the one that has its files, the kernel.
#[tokio::test]
async fn gvisor_whose_process_is_killed_is_gone() {
    let (Some(local), Some(layer)) = (place::local(), place::image_erofs()) else { return };
    let launcher = local.launcher_pid();
    let Some(driver) = Gvisor::find(local) else {
        println!("skipped: runsc is not installed");
        return;
    };
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    for name in ["/kernel", "runsc-gofer", "runsc-sandbox"] {
        let sandbox = driver.create(spec()).await.unwrap();
        let (_session, running) = busy(&sandbox).await;
        let named =
            |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(name.as_bytes()));
        let all: Vec<u32> = remains(launcher).0.iter().map(|pid| pid.parse().unwrap()).collect();
        let found: Vec<_> = all.into_iter().filter(named).collect();
        let [pid] = found[..] else { panic!("{name}: {found:?}") };
        let marks = Marks::of(pid);
        assert!(marks.processes.len() >= 3, "a control: {:?}", marks.processes);
        kill(pid);
        // The first of them ends as the last one did, which ends with the others.
        let by_force = |cause: &EndCause| match cause {
            EndCause::Signalled(signal) => *signal == libc::SIGKILL,
            EndCause::Exited(code) => name != "/kernel" && *code != 0,
            _ => false,
        };
        check_ends(&driver, &sandbox, running, by_force).await;
        marks.check_gone();
    }
    check_works(&driver, spec()).await;
    check_nothing_stays(driver, launcher).await;
}
