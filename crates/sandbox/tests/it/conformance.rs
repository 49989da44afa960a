//! The conformance suite over every driver.

use sandbox::conformance::{Claims, Subject, run};
use sandbox::{Driver, LayerSource, SandboxSpec};

use crate::place;

async fn check(driver: &dyn Driver, spec: &(dyn Fn() -> SandboxSpec + Sync), claims: Claims) {
    let report = run(&Subject { driver, spec, claims }).await;
    println!("{}:\n{report}", driver.name());
    assert!(report.passed(), "{}:\n{report}", driver.name());
}

/// What this host lets the local drivers claim.
fn claims(driver: &dyn Driver) -> Claims {
    let good = |what: &str| {
        let probe = driver.probe();
        let check = probe.checks.iter().find(|check| check.what == what);
        check.is_some_and(|check| matches!(check.finding, sandbox::Finding::Good(_)))
    };
    Claims { memory_limit: good("memory limit"), process_limit_named: good("process limit"), ..Claims::all() }
}

async fn check_image(layer: Option<LayerSource>) {
    let (Some(layer), Some(local)) = (layer, place::local()) else { return };
    let driver = local.container();
    check(&*driver, &|| SandboxSpec::image(vec![layer.clone()]), claims(&*driver)).await;
}

#[tokio::test]
async fn container_of_folders() {
    check_image(place::image_dir()).await;
}

#[tokio::test]
async fn container_of_erofs() {
    check_image(place::image_erofs()).await;
}

#[tokio::test]
async fn process() {
    let Some(local) = place::local() else { return };
    let driver = local.process();
    check(&*driver, &SandboxSpec::host_tools, claims(&*driver)).await;
}
