//! The conformance suite over every driver.

use sandbox::conformance::{Claims, PATIENCE, Subject, run};
use sandbox::fake::{Fake, Scripted};
use sandbox::local::{Local, LocalConfig};
use sandbox::session::{Output, Session};
use sandbox::{Driver, LayerSource, NetworkSource, SandboxSpec};
use wire::init::{ExecSpec, Status, Stream};

use crate::place;

pub async fn check(name: &str, driver: &dyn Driver, spec: &(dyn Fn() -> SandboxSpec + Sync), claims: Claims) {
    let report = run(&Subject { driver, spec, claims, patience: PATIENCE }).await;
    println!("{name}:\n{report}");
    place::keep(name, &report);
    assert!(report.passed(), "{}:\n{report}", driver.name());
}

/// What this host lets the local drivers claim.
pub fn claims(driver: &dyn Driver) -> Claims {
    let good = |what: &str| {
        let probe = driver.probe();
        let check = probe.checks.iter().find(|check| check.what == what);
        check.is_some_and(|check| matches!(check.finding, sandbox::Finding::Good(_)))
    };
    let memory_limit = good("memory limit").then_some(()).ok_or("this host counts no memory of a sandbox");
    Claims { memory_limit, ..Claims::all() }
}

async fn check_image(name: &str, layer: Option<LayerSource>) {
    let (Some(layer), Some(local)) = (layer, place::local()) else { return };
    let driver = local.container();
    check(name, &*driver, &|| SandboxSpec::image(vec![layer.clone()]), claims(&*driver)).await;
}

#[tokio::test]
async fn fake() {
    let fake = Fake::new(|spec| Scripted { stdout: spec.argv.join(" ").into_bytes(), ..Scripted::default() });
    let claims = Claims::none("it runs no real programs");
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
