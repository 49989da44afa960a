//! The conformance suite over every driver.

use sandbox::conformance::{Claims, PATIENCE, Subject, run};
use sandbox::fake::{Fake, Scripted};
use sandbox::local::{Local, LocalConfig};
use sandbox::session::{Output, Session};
use sandbox::{Driver, LayerSource, NetworkSource, SandboxSpec};
use wire::init::{ExecSpec, Status, Stream};

use crate::place;

async fn check(name: &str, driver: &dyn Driver, spec: &(dyn Fn() -> SandboxSpec + Sync), claims: Claims) {
    let report = run(&Subject { driver, spec, claims, patience: PATIENCE }).await;
    println!("{name}:\n{report}");
    let why = if claims.programs { "this host counts no memory of a sandbox" } else { "it runs no real programs" };
    place::keep(name, &report, why);
    assert!(report.passed(), "{}:\n{report}", driver.name());
}

/// What this host lets the local drivers claim.
fn claims(driver: &dyn Driver) -> Claims {
    let good = |what: &str| {
        let probe = driver.probe();
        let check = probe.checks.iter().find(|check| check.what == what);
        check.is_some_and(|check| matches!(check.finding, sandbox::Finding::Good(_)))
    };
    Claims { memory_limit: good("memory limit"), ..Claims::all() }
}

async fn check_image(name: &str, layer: Option<LayerSource>) {
    let (Some(layer), Some(local)) = (layer, place::local()) else { return };
    let driver = local.container();
    check(name, &*driver, &|| SandboxSpec::image(vec![layer.clone()]), claims(&*driver)).await;
}

#[tokio::test]
async fn fake() {
    let fake = Fake::new(|spec| Scripted { stdout: spec.argv.join(" ").into_bytes(), ..Scripted::default() });
    let claims = Claims { ..Claims::default() };
    check("fake", &fake, &|| SandboxSpec::image(vec![LayerSource::Dir("/".into())]), claims).await;

    let sandbox = fake.create(SandboxSpec::image(Vec::new())).await.unwrap();
    sandbox.stream.set_nonblocking(true).unwrap();
    let session = Session::start(tokio::net::UnixStream::from_std(sandbox.stream).unwrap()).await.unwrap();
    let spec = ExecSpec { argv: vec!["echo".into(), "hello".into()], ..ExecSpec::default() };
    let mut running = session.exec(spec).await.unwrap();
    let output = running.next().await.unwrap();
    assert_eq!(output, Some(Output::Data { stream: Stream::Stdout, data: b"echo hello".to_vec() }));
    assert_eq!(running.wait().await.unwrap().status, Status::Code(0));
    session.write_file(None, "/a/b", b"content", 0o644).await.unwrap();
    assert_eq!(session.read_file(None, "/a/b", 100).await.unwrap(), b"content");
    session.remove_tree(None, "/a", false).await.unwrap();
    assert!(session.read_file(None, "/a/b", 100).await.is_err());
    fake.destroy(sandbox.id).await.unwrap();
}

#[tokio::test]
async fn container_through_loop_devices() {
    let Some(layer) = place::image_erofs() else { return };
    let config = LocalConfig { loop_devices: true, ..place::config() };
    let Ok(local) = Local::open(&config) else {
        println!("skipped: no launcher");
        return;
    };
    let spec = SandboxSpec::image(vec![layer]);
    let driver = local.container();
    match driver.create(spec).await {
        Ok(sandbox) => drop(driver.destroy(sandbox.id).await.unwrap()),
        Err(error) if !std::path::Path::new("/dev/loop-control").exists() => println!("skipped: {error}"),
        Err(error) => panic!("{error}"),
    }
}

/// Where sandboxes can be made, the probe says so, within a runtime and without.
#[tokio::test]
async fn the_probe_tells_the_truth() {
    let usable = place::local().is_some();
    for probe in Local::probe(&place::config()) {
        println!("{probe:#?}");
        assert_eq!(probe.usable(), usable, "{probe:#?}");
    }
}

/// A network namespace that the caller made is the sandbox's.
#[tokio::test]
async fn a_given_network_is_used() {
    let (Some(layer), Some(local)) = (place::image_dir(), place::local()) else { return };
    if !rustix::process::getuid().is_root() || !std::path::Path::new("/usr/sbin/ip").exists() {
        println!("skipped: needs root and ip");
        return;
    }
    let netns = std::thread::spawn(|| {
        // SAFETY: this thread alone moves, and ends.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
        let made = std::process::Command::new("ip").args(["link", "add", "canary0", "type", "veth"]).status().unwrap();
        (made.success(), std::fs::File::open("/proc/thread-self/ns/net").unwrap())
    });
    let (made, netns) = netns.join().unwrap();
    let mut spec = SandboxSpec::image(vec![layer]);
    spec.network = NetworkSource::Netns { netns: netns.into(), resolv_conf: "nameserver 192.0.2.53\n".into() };
    let driver = local.container();
    let sandbox = driver.create(spec).await.unwrap();
    sandbox.stream.set_nonblocking(true).unwrap();
    let session = Session::start(tokio::net::UnixStream::from_std(sandbox.stream).unwrap()).await.unwrap();
    let interfaces = session.read_file(None, "/proc/self/net/dev", 4096).await.unwrap();
    assert!(!made || String::from_utf8_lossy(&interfaces).contains("canary0"));
    let resolver = session.read_file(None, "/etc/resolv.conf", 4096).await.unwrap();
    assert_eq!(resolver, b"nameserver 192.0.2.53\n");
    driver.destroy(sandbox.id).await.unwrap();
}

/// A root that was asked for can act on its own files, and on nothing else.
#[tokio::test]
async fn root_with_power_over_its_own_files() {
    let (Some(layer), Some(local)) = (place::image_dir(), place::local()) else { return };
    let driver = local.container();
    let mut spec = SandboxSpec::image(vec![layer]);
    spec.user = sandbox::User::Named("root".into());
    spec.capabilities = sandbox::Capabilities::OwnFiles;
    let sandbox = driver.create(spec).await.unwrap();
    sandbox.stream.set_nonblocking(true).unwrap();
    let session = Session::start(tokio::net::UnixStream::from_std(sandbox.stream).unwrap()).await.unwrap();
    let script = "set -e; echo x > /tmp/f; chown maven:maven /tmp/f; chmod 600 /tmp/f; cat /tmp/f; stat -c %U /tmp/f; \
                  mknod /tmp/d b 8 0 2>/dev/null && echo made; mount -t tmpfs t /mnt 2>/dev/null && echo mounted; \
                  grep CapEff /proc/self/status";
    let argv = ["/bin/sh", "-c", script].map(Into::into).into();
    let env = vec![("PATH".into(), "/bin".into())];
    let spec = ExecSpec { argv, env, cwd: "/".into(), ..ExecSpec::default() };
    let mut running = session.exec(spec).await.unwrap();
    let mut text = Vec::new();
    while let Some(Output::Data { data, .. }) = running.next().await.unwrap() {
        text.extend(data);
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(text, "x\nmaven\nCapEff:\t00000000000000fb\n");
    driver.destroy(sandbox.id).await.unwrap();
}

#[tokio::test]
async fn container_of_folders() {
    check_image("container (folders)", place::image_dir()).await;
}

#[tokio::test]
async fn container_of_erofs() {
    check_image("container", place::image_erofs()).await;
}

#[tokio::test]
async fn process() {
    let Some(local) = place::local() else { return };
    let driver = local.process();
    check("process", &*driver, &SandboxSpec::host_tools, claims(&*driver)).await;
}

pub fn warm(driver: std::sync::Arc<dyn Driver>) -> sandbox::warm::Warm {
    sandbox::warm::Warm::new(driver, warm_config()).unwrap()
}

fn warm_config() -> sandbox::warm::WarmConfig {
    sandbox::warm::WarmConfig {
        ceiling: 4,
        budget_bytes: 1 << 30,
        cost_bytes: 1 << 20,
        factor: 2.0,
        half_life: std::time::Duration::from_secs(60),
        floor: Vec::new(),
        max_age: std::time::Duration::from_secs(600),
        connect: None,
    }
}

/// Until so many are ready, within bounds that no host needs.
async fn until_ready(driver: &sandbox::warm::Warm, holds: impl Fn(usize) -> bool) -> usize {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !holds(driver.ready()) && std::time::Instant::now() < until {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    driver.ready()
}

/// A floor is there before anybody asks, and again after somebody has.
#[tokio::test]
async fn a_pool_keeps_its_floor() {
    let (Some(layer), Some(local)) = (place::image_dir(), place::local()) else { return };
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    let config =
        sandbox::warm::WarmConfig { floor: vec![(std::sync::Arc::new(spec()), 2)], factor: 0.0, ..warm_config() };
    let driver = sandbox::warm::Warm::new(local.container(), config).unwrap();
    assert_eq!(until_ready(&driver, |ready| ready == 2).await, 2);
    let sandbox = driver.create(spec()).await.unwrap();
    assert_eq!(until_ready(&driver, |ready| ready == 2).await, 2);
    driver.destroy(sandbox.id).await.unwrap();
    driver.close().await;
}

/// What waits is made ahead; when nothing is asked for any more, what was made goes.
#[tokio::test]
async fn a_pool_follows_the_queue_and_forgets_it() {
    let (Some(layer), Some(local)) = (place::image_dir(), place::local()) else { return };
    let config = sandbox::warm::WarmConfig {
        half_life: std::time::Duration::from_millis(300),
        max_age: std::time::Duration::from_secs(20),
        ..warm_config()
    };
    let driver = sandbox::warm::Warm::new(local.container(), config).unwrap();
    driver.queued(&SandboxSpec::image(vec![layer.clone()]), 2);
    assert_eq!(until_ready(&driver, |ready| ready == 4).await, 4, "twice as many as wait, at most the ceiling");
    assert_eq!(until_ready(&driver, |ready| ready == 0).await, 0, "nobody has come");
    driver.close().await;
}

/// A driver with a pool before it is a driver.
#[tokio::test]
async fn container_from_a_pool() {
    let (Some(layer), Some(local)) = (place::image_dir(), place::local()) else { return };
    let claims = claims(&*local.container());
    let driver = warm(local.container());
    check("container (pool)", &driver, &|| SandboxSpec::image(vec![layer.clone()]), claims).await;
    driver.close().await;
    assert_eq!(driver.ready(), 0);
}

/// What is made ahead of who asks for it has a network of its own already.
#[tokio::test]
async fn a_pool_connects_what_is_to_have_a_network() {
    let (Some(layer), Some(local)) = (place::image_dir(), place::local()) else { return };
    if !rustix::process::getuid().is_root() {
        println!("skipped: only root makes network namespaces for others");
        return;
    }
    let made = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&made);
    let network = move || {
        let netns = std::thread::spawn(|| {
            // SAFETY: this thread alone moves, and ends.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
            std::fs::File::open("/proc/thread-self/ns/net").unwrap()
        });
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let resolv_conf = format!("nameserver 192.0.2.{number}\n");
        NetworkSource::Netns { netns: netns.join().unwrap().into(), resolv_conf }
    };
    let ahead = network.clone();
    let connect: sandbox::warm::Connect = std::sync::Arc::new(move || {
        let network = ahead();
        Box::pin(async move { Ok(network) })
    });
    let config = sandbox::warm::WarmConfig { connect: Some(connect), ..warm_config() };
    let driver = sandbox::warm::Warm::new(local.container(), config).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..3 {
        let spec = SandboxSpec { network: network(), ..SandboxSpec::image(vec![layer.clone()]) };
        let sandbox = driver.create(spec).await.unwrap();
        sandbox.stream.set_nonblocking(true).unwrap();
        let session = Session::start(tokio::net::UnixStream::from_std(sandbox.stream).unwrap()).await.unwrap();
        let resolver = session.read_file(None, "/etc/resolv.conf", 4096).await.unwrap();
        assert!(seen.insert(resolver), "round {round}: two have one network");
        driver.destroy(sandbox.id).await.unwrap();
        assert!(until_ready(&driver, |ready| ready > 0).await > 0, "round {round}: nothing is made ahead");
    }
    driver.close().await;
    assert!(made.load(std::sync::atomic::Ordering::Relaxed) > 3, "networks were made for those ahead");
}

/// What is asked for again is there before, is given once, and is as if it had just been made.
#[tokio::test]
async fn a_pool_gives_each_sandbox_once() {
    let (Some(layer), Some(local)) = (place::image_dir(), place::local()) else { return };
    let driver = warm(local.container());
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..10 {
        let sandbox = driver.create(spec()).await.unwrap();
        assert!(seen.insert(sandbox.id), "round {round}: a sandbox was given twice");
        sandbox.stream.set_nonblocking(true).unwrap();
        let session = Session::start(tokio::net::UnixStream::from_std(sandbox.stream).unwrap()).await.unwrap();
        assert_eq!(session.stat(None, "/tmp/mine", true).await.unwrap(), None);
        session.write_file(None, "/tmp/mine", b"", 0o644).await.unwrap();
        driver.destroy(sandbox.id).await.unwrap();
        // The next one is made meanwhile.
        for _ in 0..1000 {
            if driver.ready() > 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(driver.ready() > 0, "round {round}: nothing is kept ready");
    }
    // Of another kind there is none, and it is not given in its place.
    let other = SandboxSpec { hostname: "other".into(), ..spec() };
    let sandbox = driver.create(other).await.unwrap();
    assert!(seen.insert(sandbox.id));
    driver.destroy(sandbox.id).await.unwrap();
    driver.close().await;
}
