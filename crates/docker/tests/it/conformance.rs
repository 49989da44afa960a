//! The conformance suite over both drivers.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sandbox::conformance::{Claims, Subject, run};
use sandbox::warm::{Warm, WarmConfig};
use sandbox::{Driver, SandboxSpec};

use crate::place;

/// Twenty services at once are slow on two processors.
const PATIENCE: Duration = Duration::from_secs(120);

async fn check(driver: &dyn Driver, spec: &(dyn Fn() -> SandboxSpec + Sync)) {
    let claims = Claims {
        shared_workspace: Err(
            "it lies in the writable layer of its container; a volume for each job would lie outside of the quota",
        ),
        process_limit: Err("it holds, but no call and no event of an engine tells that a fork was refused"),
        disk_limit: Err(
            "the writable layer is limited on XFS with project quotas alone, and its fill is told by a walk through all files",
        ),
        ..Claims::all()
    };
    let report = run(&Subject { driver, spec, claims, patience: PATIENCE }).await;
    println!("{}:\n{report}", driver.name());
    report.keep(Path::new(env!("CARGO_TARGET_TMPDIR")), driver.name()).unwrap();
    assert!(report.passed(), "{}:\n{report}", driver.name());
}

#[tokio::test]
async fn engine_conformance_of_docker() {
    let Some(engine) = place::engine().await else { return };
    let driver = engine.docker().await;
    println!("{:#?}", driver.probe());
    check(&driver, &|| engine.spec()).await;
    engine.is_empty_but(0).await;
}

#[tokio::test]
async fn engine_conformance_of_swarm() {
    let Some(engine) = place::engine().await else { return };
    let driver = engine.swarm().await;
    println!("{:#?}", driver.probe());
    check(&driver, &|| engine.spec()).await;
    // The stub is the driver's, and goes with it.
    engine.is_empty_but(1).await;
    drop(driver);
    engine.is_empty_but(0).await;
}

/// Containers and services are made ahead too, each given once, and none is left of those that nobody took.
async fn check_pool(driver: Arc<dyn Driver>, spec: &(dyn Fn() -> SandboxSpec + Sync)) {
    let config = WarmConfig {
        ceiling: 2,
        budget_bytes: 1 << 30,
        cost_bytes: 1 << 20,
        factor: 1.0,
        half_life: Duration::from_secs(60),
        floor: vec![(Arc::new(spec()), 1)],
        max_age: Duration::from_secs(600),
    };
    let pool = Warm::new(driver, config).unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let began = Instant::now();
        while pool.ready() == 0 {
            assert!(began.elapsed() < PATIENCE, "nothing is made ahead");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let sandbox = pool.create(spec()).await.unwrap();
        assert!(seen.insert(sandbox.id), "a sandbox was given twice");
        pool.destroy(sandbox.id).await.unwrap();
    }
    pool.close().await;
    assert_eq!(pool.ready(), 0);
}

#[tokio::test]
async fn engine_has_pools_before_both_drivers() {
    let Some(engine) = place::engine().await else { return };
    check_pool(Arc::new(engine.docker().await), &|| engine.spec()).await;
    engine.is_empty_but(0).await;
    let swarm = Arc::new(engine.swarm().await);
    check_pool(Arc::clone(&swarm) as Arc<dyn Driver>, &|| engine.spec()).await;
    engine.is_empty_but(1).await;
    drop(swarm);
    engine.is_empty_but(0).await;
}
