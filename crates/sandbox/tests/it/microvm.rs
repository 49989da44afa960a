//! The `microvm` driver, on a real QEMU and Debian's kernel.

use std::path::Path;
use std::sync::OnceLock;

use sandbox::guest::{Guest, Guests, Source, build};
use sandbox::microvm::{Acceleration, MicroVm, MicroVmConfig};
use sandbox::{Driver as _, SandboxSpec, conformance};

use crate::place;

/// A guest that all tests of this machine share.
fn guest() -> Option<Guest> {
    static GUEST: OnceLock<Option<Guest>> = OnceLock::new();
    GUEST
        .get_or_init(|| {
            let guests = Guests::new(place::base().join("guests"));
            build(&guests, &Source::Debian).map_err(|error| println!("skipped: {error}")).ok()
        })
        .clone()
}

fn driver(acceleration: Option<Acceleration>) -> Option<MicroVm> {
    if !Path::new("/usr/bin/qemu-system-x86_64").exists() {
        println!("skipped: qemu-system-x86 is not installed");
        return None;
    }
    let config = MicroVmConfig { guest: guest()?, acceleration };
    Some(MicroVm::new(place::local()?, config))
}

#[tokio::test]
async fn conformance_of_the_microvm() {
    let (Some(driver), Some(layer)) = (driver(Some(Acceleration::Tcg)), place::image_erofs()) else { return };
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    let claims = conformance::Claims { shared_workspace: false, ..conformance::Claims::all() };
    let report = conformance::run(&conformance::Subject {
        driver: &driver,
        spec: &spec,
        claims,
        patience: conformance::PATIENCE * 3,
    })
    .await;
    println!("microvm:\n{report}");
    assert!(report.passed(), "{report}");
}

/// A `/dev/kvm` that boots nothing is passed by, and a machine is there all the same.
#[tokio::test]
async fn microvm_runs_on_the_processor_only_where_one_boots() {
    let (Some(driver), Some(layer)) = (driver(None), place::image_erofs()) else { return };
    let found = driver.acceleration().await;
    println!("machines of this host: {found:?}");
    assert!(found == Acceleration::Tcg || Path::new("/dev/kvm").exists());
    let sandbox = driver.create(SandboxSpec::image(vec![layer])).await.unwrap();
    driver.destroy(sandbox.id).await.unwrap();
    let kept = std::fs::read_to_string(guest().unwrap().kernel().with_file_name("processor")).unwrap_or_default();
    assert_eq!(kept.starts_with("boots "), found == Acceleration::Kvm, "{kept}");
    assert_eq!(kept.starts_with("translated "), found == Acceleration::Tcg && Path::new("/dev/kvm").exists(), "{kept}");
}
