//! Pools before drivers: what is made ahead, given out once, and made again.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use model::ids::SandboxId;
use sandbox::fake::{Fake, Scripted};
use sandbox::session::{Output, Session};
use sandbox::warm::{Warm, WarmConfig};
use sandbox::{
    Connected, Connector, CreateError, Driver, DriverError, EndCause, Ended, EngineSpec, Ids, LayerSource, LimitKind,
    LimitMet, NetworkSource, Pending, Sandbox, SandboxSpec, Usage,
};
use wire::init::{ExecSpec, User};

use crate::conformance::{check, claims};
use crate::{microvm, place};

pub fn warm(driver: Arc<dyn Driver>) -> Warm {
    Warm::new(driver, warm_config()).unwrap()
}

pub fn warm_config() -> WarmConfig {
    WarmConfig {
        ceiling: 4,
        budget_bytes: 1 << 30,
        cost_bytes: 1 << 20,
        factor: 2.0,
        half_life: Duration::from_secs(60),
        floor: Vec::new(),
        max_age: Duration::from_secs(600),
    }
}

/// Until so many are ready, within bounds that no host needs.
async fn until_ready(driver: &Warm, holds: impl Fn(usize) -> bool) -> usize {
    until_ready_within(driver, Duration::from_secs(60), holds).await
}

async fn until_ready_within(driver: &Warm, patience: Duration, holds: impl Fn(usize) -> bool) -> usize {
    let until = Instant::now() + patience;
    while !holds(driver.ready()) && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    driver.ready()
}

/// A floor is there before anybody asks, and again after somebody has.
#[tokio::test]
async fn a_pool_keeps_its_floor() {
    let (Some(layer), Some(local)) = (place::image_erofs(), place::local()) else { return };
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    let config = WarmConfig { floor: vec![(Arc::new(spec()), 2)], factor: 0.0, ..warm_config() };
    let driver = Warm::new(local.container(), config).unwrap();
    assert_eq!(until_ready(&driver, |ready| ready == 2).await, 2);
    let sandbox = driver.create(spec()).await.unwrap();
    assert_eq!(until_ready(&driver, |ready| ready == 2).await, 2);
    driver.destroy(sandbox.id).await.unwrap();
    driver.close().await;
}

/// What waits is made ahead; when nothing is asked for any more, what was made goes.
#[tokio::test]
async fn a_pool_follows_the_queue_and_forgets_it() {
    let (Some(layer), Some(local)) = (place::image_erofs(), place::local()) else { return };
    let config =
        WarmConfig { half_life: Duration::from_millis(300), max_age: Duration::from_secs(20), ..warm_config() };
    let driver = Warm::new(local.container(), config).unwrap();
    driver.expect(&SandboxSpec::image(vec![layer.clone()]), 2);
    assert_eq!(until_ready(&driver, |ready| ready == 4).await, 4, "twice as many as wait, at most the ceiling");
    assert_eq!(until_ready(&driver, |ready| ready == 0).await, 0, "nobody has come");
    driver.close().await;
}

/// A driver with a pool before it is a driver.
#[tokio::test]
async fn container_from_a_pool() {
    let (Some(layer), Some(local)) = (place::image_erofs(), place::local()) else { return };
    let claims = claims(&*local.container());
    let driver = warm(local.container());
    check("container (pool)", &driver, &|| SandboxSpec::image(vec![layer.clone()]), claims).await;
    driver.close().await;
    assert_eq!(driver.ready(), 0);
}

#[tokio::test]
async fn process_from_a_pool() {
    let Some(local) = place::local() else { return };
    let claims = claims(&*local.process());
    let driver = warm(local.process());
    check("process (pool)", &driver, &SandboxSpec::host_tools, claims).await;
    assert!(until_ready(&driver, |ready| ready > 0).await > 0, "none was made ahead");
    driver.close().await;
    assert_eq!(driver.ready(), 0);
}

/// What is made ahead of who asks for it has a network of its own already.
#[tokio::test]
async fn a_pool_connects_what_is_to_have_a_network() {
    let (Some(layer), Some(local)) = (place::image_erofs(), place::local()) else { return };
    if !rustix::process::getuid().is_root() {
        println!("skipped: only root makes network namespaces for others");
        return;
    }
    let networks = Arc::new(Networks::default());
    let driver = warm(local.container());
    let mut seen = BTreeSet::new();
    for round in 0..3 {
        let network = NetworkSource::OnDemand(networks.clone());
        let sandbox = driver.create(SandboxSpec { network, ..SandboxSpec::image(vec![layer.clone()]) }).await.unwrap();
        sandbox.stream.set_nonblocking(true).unwrap();
        let session = Session::start(tokio::net::UnixStream::from_std(sandbox.stream).unwrap()).await.unwrap();
        let resolver = session.read_file(None, "/etc/resolv.conf", 4096).await.unwrap();
        assert!(seen.insert(resolver), "round {round}: two have one network");
        driver.destroy(sandbox.id).await.unwrap();
        assert!(until_ready(&driver, |ready| ready > 0).await > 0, "round {round}: nothing is made ahead");
    }
    driver.close().await;
    assert!(networks.0.load(Ordering::Relaxed) > 3, "networks were made for those ahead");
}

/// Counts what it makes.
#[derive(Debug, Default)]
struct Networks(AtomicUsize);

impl Connector for Networks {
    fn connect(&self) -> Pending<'_, Result<Connected, CreateError>> {
        let netns = std::thread::spawn(|| {
            // SAFETY: this thread alone moves, and ends.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
            std::fs::File::open("/proc/thread-self/ns/net").unwrap()
        });
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let made = (netns.join().unwrap().into(), format!("nameserver 192.0.2.{number}\n"));
        Box::pin(std::future::ready(Ok(made)))
    }
}

/// Its time begins when it is given.
#[tokio::test]
async fn a_member_has_the_time_of_who_gets_it_and_no_more() {
    let (Some(layer), Some(local)) = (place::image_erofs(), place::local()) else { return };
    let driver = warm(local.container());
    let spec = || {
        let mut spec = SandboxSpec::image(vec![layer.clone()]);
        spec.limits.wall_ms = 1500;
        spec
    };
    driver.expect(&spec(), 1);
    assert!(until_ready(&driver, |ready| ready > 0).await > 0);
    let claimed = driver.create(spec()).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), claimed.ended()).await.expect("it is ended in time");
    let met = LimitMet { kind: LimitKind::Wall, value: 1500, times: 1 };
    assert_eq!(ended.cause, EndCause::Limit(met));
    assert_eq!(driver.destroy(claimed.id).await.unwrap(), ended, "it has one end");
    driver.close().await;
}

/// An image whose shell is this script.
fn with_shell(name: &str, script: &str) -> Option<LayerSource> {
    place::image_erofs()?;
    let Some(LayerSource::Dir(busybox)) = place::image_dir() else { return None };
    let dir = place::base().join(format!("{name}-{}", std::process::id()));
    let file = dir.with_extension("erofs");
    let copied = Command::new("cp").arg("-a").arg(&busybox).arg(&dir).status().unwrap();
    assert!(copied.success());
    std::fs::remove_file(dir.join("bin/sh")).unwrap();
    std::fs::write(dir.join("bin/sh"), script).unwrap();
    std::fs::set_permissions(dir.join("bin/sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let made = Command::new("mkfs.erofs").arg("--quiet").arg(&file).arg(&dir).status().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(made.success());
    Some(LayerSource::Erofs(file))
}

async fn processes(session: &Session, user: Ids) -> String {
    let spec = ExecSpec {
        argv: ["/bin/busybox", "ps"].map(str::to_owned).into(),
        cwd: "/".into(),
        user: User { uid: user.uid, gid: user.gid, groups: Vec::new() },
        ..ExecSpec::default()
    };
    let mut running = session.exec(spec).await.unwrap();
    let mut text = Vec::new();
    while let Some(output) = running.next().await.unwrap() {
        if let Output::Data { data, .. } = output {
            text.extend(data);
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// What an image starts in a rehearsal is not there when somebody gets the sandbox.
#[tokio::test]
async fn nothing_of_an_image_runs_in_a_member_that_waits() {
    let Some(local) = place::local() else { return };
    let script =
        "#!/bin/busybox sh\n/bin/busybox setsid /bin/busybox sleep 1234 &\n/bin/busybox touch /tmp/rehearsed\n";
    let Some(layer) = with_shell("daemon", script) else { return };
    let driver = warm(local.container());
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    driver.expect(&spec(), 1);
    assert!(until_ready(&driver, |ready| ready > 0).await > 0);
    let claimed = driver.create(spec()).await.unwrap();
    claimed.stream.set_nonblocking(true).unwrap();
    let session = Session::start(tokio::net::UnixStream::from_std(claimed.stream).unwrap()).await.unwrap();
    assert!(session.stat(None, "/tmp/rehearsed", true).await.unwrap().is_some(), "a control: it has rehearsed");
    let text = processes(&session, claimed.user).await;
    assert!(text.contains("busybox ps") && !text.contains("sleep 1234"), "{text}");
    driver.destroy(claimed.id).await.unwrap();
    driver.close().await;
}

/// One whose rehearsal does not end is given to nobody.
#[tokio::test]
async fn a_member_that_fails_its_rehearsal_is_given_to_nobody() {
    let Some(local) = place::local() else { return };
    let Some(layer) = with_shell("slow", "#!/bin/busybox sh\nexec /bin/busybox sleep 1234\n") else { return };
    let driver = warm(local.container());
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    driver.expect(&spec(), 1);
    // Longer than a rehearsal may take.
    let began = Instant::now();
    until_ready(&driver, |ready| ready > 0 || began.elapsed() > Duration::from_secs(12)).await;
    assert_eq!(driver.ready(), 0);
    let made = driver.create(spec()).await.unwrap();
    made.stream.set_nonblocking(true).unwrap();
    let session = Session::start(tokio::net::UnixStream::from_std(made.stream).unwrap()).await.unwrap();
    assert!(processes(&session, made.user).await.contains("busybox ps"));
    driver.destroy(made.id).await.unwrap();
    driver.close().await;
}

/// A folder may be emptied and filled again while sandboxes of it wait.
#[tokio::test]
async fn what_lies_in_folders_is_not_made_ahead() {
    let (Some(layer), Some(local)) = (place::image_dir(), place::local()) else { return };
    let driver = warm(local.container());
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    driver.expect(&spec(), 3);
    let made = driver.create(spec()).await.unwrap();
    driver.destroy(made.id).await.unwrap();
    assert_eq!(driver.ready(), 0);
    driver.close().await;
}

/// A machine's Docker Engine is there before anybody asks for it, and is one of nobody else.
#[tokio::test]
async fn microvm_with_an_engine_from_a_pool() {
    let (Some(driver), Some(LayerSource::Erofs(layer))) = (microvm::engine_driver(), place::image_erofs()) else {
        return;
    };
    let spec = || {
        let engine = EngineSpec { images: vec![microvm::offered(layer.clone())] };
        SandboxSpec { engine: Some(engine), ..SandboxSpec::host_tools() }
    };
    let config = WarmConfig { ceiling: 1, floor: vec![(Arc::new(spec()), 1)], factor: 0.0, ..warm_config() };
    let pool = Warm::new(Arc::new(driver), config).unwrap();
    // What it has of its own, then what it leaves behind: an image, a volume, a network, a container that runs, and files.
    let script = "echo engine $(docker info -f '{{.ID}}'); docker info -f '{{.Containers}} containers {{.Images}} image'; \
        echo $(docker volume ls -q | wc -l) volumes $(docker network ls -q | wc -l) networks $(ls -A | wc -l) files; \
        docker tag registry.example/team/tools:3 left:1; docker network create left > /dev/null; touch left; \
        docker run -d --name left --network none -v left:/left left:1 sh -c 'echo ran > /left/file; sleep 4000' > /dev/null; \
        docker exec left sh -c 'until grep ran /left/file 2> /dev/null; do :; done'; docker ps -q | wc -l";
    let (mut given, mut engines) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..2 {
        let ready = until_ready_within(&pool, Duration::from_secs(240), |ready| ready == 1).await;
        assert_eq!(ready, 1, "none is made ahead");
        let claimed = pool.create(spec()).await.unwrap();
        assert_eq!(pool.ready(), 0, "it is the one that was made ahead");
        assert!(given.insert(claimed.id), "a machine was given twice");
        let text = microvm::script_in(claimed.stream, script).await;
        let (engine, rest) = text.split_once('\n').unwrap();
        assert_eq!(rest, "0 containers 1 image\n0 volumes 3 networks 0 files\nran\n1\n");
        assert!(engine.len() > 15 && engines.insert(engine.to_owned()), "{engine:?} of {engines:?}");
        assert_eq!(pool.destroy(claimed.id).await.unwrap().cause, EndCause::Destroyed);
    }
    pool.close().await;
}

/// Members whose end nobody has told of are found in a sweep, and made again.
#[tokio::test]
async fn a_pool_makes_again_what_its_records_miss() {
    let driver = Arc::new(Silent::new());
    let spec = || SandboxSpec::image(Vec::new());
    let config = WarmConfig { floor: vec![(Arc::new(spec()), 2)], factor: 0.0, ..warm_config() };
    let pool = Warm::new(driver.clone(), config).unwrap();
    assert_eq!(until_ready(&pool, |ready| ready == 2).await, 2);
    pool.sweep().await.unwrap();
    assert_eq!((pool.ready(), driver.made()), (2, 2), "what lives stays");
    driver.end_all().await;
    assert_eq!(pool.ready(), 2, "nobody has told");
    pool.sweep().await.unwrap();
    assert_eq!(until_ready(&pool, |ready| ready == 2).await, 2);
    assert_eq!(driver.made(), 4);
    let destroyed = || driver.destroyed.lock().unwrap().len();
    until_ready(&pool, |_| destroyed() == 2).await;
    assert_eq!(destroyed(), 2, "what was left of them is taken away");
    pool.close().await;
}

/// A driver whose sandboxes end without a word.
struct Silent {
    fake: Fake,
    made: Mutex<Vec<SandboxId>>,
    destroyed: Mutex<Vec<SandboxId>>,
    /// Keeps every watch open.
    tell: Mutex<Vec<tokio::sync::watch::Sender<Option<Ended>>>>,
}

impl Silent {
    fn new() -> Silent {
        let fake = Fake::new(|_| Scripted::default());
        Silent { fake, made: Mutex::default(), destroyed: Mutex::default(), tell: Mutex::default() }
    }

    fn made(&self) -> usize {
        self.made.lock().unwrap().len()
    }

    async fn end_all(&self) {
        let made = self.made.lock().unwrap().clone();
        for id in made {
            self.fake.destroy(id).await.unwrap();
        }
    }
}

impl Driver for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }

    fn rung(&self) -> model::rung::Rung {
        self.fake.rung()
    }

    fn probe(&self) -> sandbox::Probe {
        self.fake.probe()
    }

    fn create(&self, spec: SandboxSpec) -> Pending<'_, Result<Sandbox, CreateError>> {
        Box::pin(async move {
            let made = self.fake.create(spec).await?;
            let (tell, end) = tokio::sync::watch::channel(None);
            self.tell.lock().unwrap().push(tell);
            self.made.lock().unwrap().push(made.id);
            Ok(Sandbox { end, ..made })
        })
    }

    fn usage(&self, id: SandboxId) -> Pending<'_, Result<Usage, DriverError>> {
        self.fake.usage(id)
    }

    fn destroy(&self, id: SandboxId) -> Pending<'_, Result<Ended, DriverError>> {
        self.destroyed.lock().unwrap().push(id);
        self.fake.destroy(id)
    }

    fn sweep(&self) -> Pending<'_, Result<Vec<String>, DriverError>> {
        self.fake.sweep()
    }
}
