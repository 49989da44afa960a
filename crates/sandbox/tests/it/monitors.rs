//! The `microvm` driver on Firecracker and Cloud Hypervisor: on a stand-in for both, in a real jail, and on the programs themselves
//! where `COFFERDAM_FIRECRACKER` and `COFFERDAM_CLOUD_HYPERVISOR` name them, as far as this host's processor lets them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::limits::Limits;
use sandbox::conformance::{Claims, PATIENCE, Subject, run};
use sandbox::guest::{Description, Guest};
use sandbox::local::Local;
use sandbox::microvm::{Acceleration, MicroVm, MicroVmConfig, MonitorKind};
use sandbox::{CreateError, Driver as _, EngineSpec, LayerSource, SandboxSpec};

use crate::{microvm, place};

/// A driver that boots what passes for a kernel in the eyes of the stand-in, and the folder of that.
fn on(monitor: MonitorKind, acceleration: Acceleration) -> Option<(MicroVm, tempfile::TempDir)> {
    on_local(monitor, acceleration, place::local()?)
}

/// A driver on a stand-in that is not to be told of its end.
pub fn on_stand_in(monitor: fn(PathBuf) -> MonitorKind, local: Local) -> Option<MicroVm> {
    let (driver, folder) = on_local(monitor(stand_in()?), Acceleration::Kvm, local)?;
    // Its name says whose it is, for those who clear up after dead tests.
    let _ = folder.keep();
    Some(driver)
}

fn on_local(monitor: MonitorKind, acceleration: Acceleration, local: Local) -> Option<(MicroVm, tempfile::TempDir)> {
    if !rustix::process::getuid().is_root() {
        println!("skipped: only root can give a monitor its devices");
        return None;
    }
    let owner = format!("-{}", std::process::id());
    let folder = tempfile::Builder::new().prefix("monitor-").suffix(&owner).tempdir_in(place::base()).unwrap();
    // Both an ELF file and what distributions ship.
    let mut kernel = b"\x7fELF".to_vec();
    kernel.resize(0x202, 0);
    kernel.extend(b"HdrS");
    fs::write(folder.path().join("kernel"), kernel).unwrap();
    fs::write(folder.path().join("initrd"), "initrd").unwrap();
    let text = || "stand-in".to_owned();
    let description = Description { release: text(), package: text(), launcher: text(), digest: text() };
    let guest = Guest { folder: folder.path().to_owned(), description };
    Some((MicroVm::new(local, config(monitor, guest, Some(acceleration))), folder))
}

/// There is an engine, so that nothing but the monitor can be why a machine has none.
fn config(monitor: MonitorKind, guest: Guest, acceleration: Option<Acceleration>) -> MicroVmConfig {
    let engine = Some("/dev/null".into());
    MicroVmConfig { monitor, guest, acceleration, copies: true, engine, scratch: place::base().join("scratch") }
}

/// The program of `examples`, which is built with the tests.
fn stand_in() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("COFFERDAM_STAND_IN") {
        return Some(given.into());
    }
    let own = std::env::current_exe().unwrap();
    let program = own.parent()?.parent()?.join("examples/monitor_stand_in");
    if !program.exists() {
        println!("skipped: {} is not built", program.display());
        return None;
    }
    Some(program)
}

fn layer(folder: &tempfile::TempDir, mode: u32) -> LayerSource {
    let path = folder.path().join("layer");
    fs::write(&path, "layer").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    LayerSource::Erofs(path)
}

async fn check_conformance(name: &str, monitor: fn(PathBuf) -> MonitorKind) {
    let Some(program) = stand_in() else { return };
    let Some((driver, folder)) = on(monitor(program), Acceleration::Kvm) else { return };
    let spec = || SandboxSpec::image(vec![layer(&folder, 0o644)]);
    let report = run(&Subject { driver: &driver, spec: &spec, claims: Claims::default(), patience: PATIENCE }).await;
    println!("{report}");
    place::keep(name, &report, "a stand-in has no machine, and claims nothing but a life");
    assert!(report.passed(), "{report}");
}

#[tokio::test]
async fn conformance_on_firecrackers_stand_in() {
    check_conformance("microvm (Firecracker's stand-in)", MonitorKind::Firecracker).await;
}

#[tokio::test]
async fn conformance_on_cloud_hypervisors_stand_in() {
    check_conformance("microvm (Cloud Hypervisor's stand-in)", MonitorKind::CloudHypervisor).await;
}

/// What a driver says of a sandbox that a machine cannot be made for, at once.
async fn check_refused(monitor: MonitorKind, acceleration: Acceleration, mode: u32, limits: Limits, expect: &str) {
    let Some((driver, folder)) = on(monitor, acceleration) else { return };
    let spec = SandboxSpec { limits, ..SandboxSpec::image(vec![layer(&folder, mode)]) };
    check_says(&driver, spec, expect).await;
}

async fn check_says(driver: &MicroVm, spec: SandboxSpec, expect: &str) {
    let began = Instant::now();
    let error = driver.create(spec).await.unwrap_err();
    let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    let said = format!("{error}{source}");
    assert!(said.contains(expect), "{said}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn monitors_say_why_there_is_no_machine() {
    use Acceleration::{Kvm, Tcg};
    let limits = Limits::default();
    let false_one = || MonitorKind::Firecracker("/bin/false".into());
    let nowhere = || MonitorKind::CloudHypervisor("/nowhere".into());
    check_refused(false_one(), Kvm, 0o644, limits, "Firecracker ended").await;
    check_refused(nowhere(), Kvm, 0o644, limits, "/nowhere").await;
    check_refused(nowhere(), Tcg, 0o644, limits, "Cloud Hypervisor runs machines on the processor only").await;
    check_refused(false_one(), Kvm, 0o600, limits, "other users cannot read it").await;
    let many = Limits { cpu_millis: 33_000, ..limits };
    check_refused(false_one(), Kvm, 0o644, many, "Firecracker makes machines of 1 to 32").await;
}

#[tokio::test]
async fn machines_of_other_monitors_have_no_engine() {
    for monitor in [MonitorKind::Firecracker("/bin/false".into()), MonitorKind::CloudHypervisor("/bin/false".into())] {
        let Some((driver, _folder)) = on(monitor, Acceleration::Kvm) else { return };
        let spec = SandboxSpec { engine: Some(EngineSpec::default()), ..SandboxSpec::host_tools() };
        check_says(&driver, spec, "have no Docker Engine; those of QEMU do").await;
    }
}

fn program(variable: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable);
    if found.is_none() {
        println!("skipped: {variable} names no program");
    }
    found.map(PathBuf::from)
}

/// In its jail it does all that it is asked. Whether the guest then runs is up to the processor.
async fn check_itself(monitor: MonitorKind) {
    let (Some(guest), Some(local), Some(layer)) = (microvm::guest(), place::local(), place::image_erofs()) else {
        return;
    };
    let driver = MicroVm::new(local, config(monitor, guest, None));
    match driver.create(SandboxSpec::image(vec![layer])).await {
        Ok(sandbox) => {
            microvm::check_echo(sandbox.stream).await;
            driver.destroy(sandbox.id).await.unwrap();
        }
        Err(CreateError::Unsupported { reason }) => {
            println!("skipped: {reason}");
            // All was granted; then nobody was there.
            let listens = reason.contains("nobody answered on port 1024 of the guest in time");
            assert!(listens || !Path::new("/dev/kvm").exists(), "{reason}");
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn microvm_on_firecracker_itself() {
    let Some(program) = program("COFFERDAM_FIRECRACKER") else { return };
    check_itself(MonitorKind::Firecracker(program)).await;
}

#[tokio::test]
async fn microvm_on_cloud_hypervisor_itself() {
    let Some(program) = program("COFFERDAM_CLOUD_HYPERVISOR") else { return };
    check_itself(MonitorKind::CloudHypervisor(program)).await;
}
