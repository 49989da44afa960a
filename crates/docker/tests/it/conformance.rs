//! The conformance suite over both drivers.

use std::path::Path;
use std::time::Duration;

use sandbox::conformance::{Claims, Subject, run};
use sandbox::{Driver, SandboxSpec};

use crate::place;

/// Twenty services at once are slow on two processors.
const PATIENCE: Duration = Duration::from_secs(120);

/// What neither driver claims, and why.
const REASONS: [&str; 3] = [
    "shared_workspace: it lies in the writable layer of its container; a volume for each job would lie outside of the quota",
    "process_limit: it holds, but no call and no event of an engine tells that a fork was refused",
    "disk_limit: the writable layer is limited on XFS with project quotas alone, and its fill is told by a walk through all files",
];

async fn check(driver: &dyn Driver, spec: &(dyn Fn() -> SandboxSpec + Sync)) {
    let claims = Claims { programs: true, memory_limit: true, ..Claims::default() };
    let report = run(&Subject { driver, spec, claims, patience: PATIENCE }).await;
    println!("{}:\n{report}not claimed: {}", driver.name(), REASONS.join("\nnot claimed: "));
    report.keep(Path::new(env!("CARGO_TARGET_TMPDIR")), driver.name(), &REASONS.join("; ")).unwrap();
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
