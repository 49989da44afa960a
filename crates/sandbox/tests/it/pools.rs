//! Pools before drivers: what is made ahead, given out once, and made again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use model::ids::SandboxId;
use sandbox::fake::{Fake, Scripted};
use sandbox::session::Session;
use sandbox::warm::{Warm, WarmConfig};
use sandbox::{
    Connected, Connector, CreateError, Driver, DriverError, Ended, NetworkSource, Pending, Sandbox, SandboxSpec, Usage,
};

use crate::conformance::{check, claims};
use crate::place;

pub fn warm(driver: Arc<dyn Driver>) -> Warm {
    Warm::new(driver, warm_config()).unwrap()
}

fn warm_config() -> WarmConfig {
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
    let until = Instant::now() + Duration::from_secs(60);
    while !holds(driver.ready()) && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    driver.ready()
}

/// A floor is there before anybody asks, and again after somebody has.
#[tokio::test]
async fn a_pool_keeps_its_floor() {
    let (Some(layer), Some(local)) = (place::image_dir(), place::local()) else { return };
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
    let (Some(layer), Some(local)) = (place::image_dir(), place::local()) else { return };
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
