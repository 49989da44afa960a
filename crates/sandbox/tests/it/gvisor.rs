//! The `gvisor` driver, on a real `runsc`.

use sandbox::gvisor::Gvisor;
use sandbox::{SandboxSpec, conformance};

use crate::place;

fn driver() -> Option<Gvisor> {
    let found = Gvisor::find(place::local()?);
    if found.is_none() {
        println!("skipped: runsc is not installed");
    }
    found
}

#[tokio::test]
async fn conformance_of_gvisor() {
    let (Some(driver), Some(layer)) = (driver(), place::image_erofs()) else { return };
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    let claims = conformance::Claims::all();
    let patience = conformance::PATIENCE;
    let report = conformance::run(&conformance::Subject { driver: &driver, spec: &spec, claims, patience }).await;
    println!("gvisor:\n{report}");
    place::keep("gvisor", &report, "");
    assert!(report.passed(), "{report}");
}
