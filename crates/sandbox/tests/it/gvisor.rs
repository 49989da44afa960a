//! The `gvisor` driver, on a real `runsc`.

use sandbox::gvisor::Gvisor;
use sandbox::{Driver as _, Finding, LayerSource, SandboxSpec, conformance};

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
    place::keep("gvisor", &report);
    assert!(report.passed(), "{report}");
}

/// Whose network it is stands in its probe, as what is less than others have.
#[tokio::test]
async fn gvisor_says_whose_network_it_has() {
    let Some(driver) = driver() else { return };
    let probe = driver.probe();
    let check = probe.checks.iter().find(|check| check.what == "network").unwrap();
    assert!(matches!(&check.finding, Finding::Reduced { reason, .. } if reason.contains("host kernel")), "{probe:?}");
    assert!(probe.usable(), "{probe:?}");
}

#[tokio::test]
async fn gvisor_from_a_pool() {
    let (Some(driver), Some(layer)) = (driver(), place::image_erofs()) else { return };
    let driver = crate::pools::warm(std::sync::Arc::new(driver));
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    let (claims, patience) = (conformance::Claims::all(), conformance::PATIENCE);
    let report = conformance::run(&conformance::Subject { driver: &driver, spec: &spec, claims, patience }).await;
    place::keep("gvisor (pool)", &report);
    assert!(report.passed(), "{report}");
    driver.close().await;
}

/// What an image has at `/tmp` leads nowhere but into its own root, and where it has nothing there is a folder.
#[tokio::test]
async fn gvisor_takes_no_link_of_an_image_for_a_place_of_its_own() {
    let (Some(driver), Some(base)) = (driver(), place::image_dir()) else { return };
    let folder = tempfile::tempdir_in(place::base()).unwrap();
    std::os::unix::fs::symlink("/", folder.path().join("tmp")).unwrap();
    let layers = vec![base, LayerSource::Dir(folder.path().to_owned())];
    let text = place::said(&driver, SandboxSpec::image(layers), &["/bin/sh", "-c", "ls -a /tmp/ /"]).await;
    assert!(text.contains("bin"), "{text}");
    for of_the_jail in ["records", "bundle", "kernel", "sandbox-tmp"] {
        assert!(!text.contains(of_the_jail), "{of_the_jail} of the jail is seen: {text}");
    }
}

/// Debian's release of 2022 refuses a flag that `ls`, `stat` and so Maven's own script pass.
#[tokio::test]
async fn gvisor_of_2022_answers_what_ls_asks() {
    let (Some(driver), Some(layer)) = (driver(), place::python_image()) else { return };
    let asked = "import ctypes, sys\n\
        c = ctypes.CDLL(None, use_errno=True)\n\
        at_no_automount, basic, buffer = 0x800, 0x7ff, ctypes.create_string_buffer(256)\n\
        result = c.statx(-100, b'/etc', at_no_automount, basic, buffer)\n\
        print('statx', result, ctypes.get_errno(), oct(int.from_bytes(buffer[28:30], 'little') & 0o170000))";
    let text = place::said(&driver, SandboxSpec::image(vec![layer]), &["/usr/bin/python3", "-c", asked]).await;
    assert_eq!(text.trim(), "statx 0 0 0o40000");
}
