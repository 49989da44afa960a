//! The `microvm` driver on Firecracker and Cloud Hypervisor: on a stand-in for both, in a real jail, and on the programs themselves
//! where `COFFERDAM_FIRECRACKER` and `COFFERDAM_CLOUD_HYPERVISOR` name them, as far as this host's processor lets them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::limits::Limits;
use sandbox::conformance::{Claims, PATIENCE, Subject, run};
use sandbox::guest::{Description, Guest};
use sandbox::local::Local;
use sandbox::microvm::{Acceleration, MicroVm, MicroVmConfig, MonitorKind};
use sandbox::{CreateError, Driver as _, EngineSpec, LayerSource, NetworkSource, SandboxSpec};

use crate::jail::Jailed;
use crate::{leftovers, microvm, place};

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
    Some((MicroVm::new(local, config(monitor, guest_in(folder.path()), Some(acceleration))), folder))
}

fn guest_in(folder: &Path) -> Guest {
    let text = || "stand-in".to_owned();
    let description = Description { release: text(), package: text(), launcher: text(), digest: text() };
    Guest { folder: folder.to_owned(), description }
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
    let claims = Claims::none("a stand-in has no machine, and claims nothing but a life");
    let report = run(&Subject { driver: &driver, spec: &spec, claims, patience: PATIENCE }).await;
    println!("{report}");
    place::keep(name, &report);
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

/// Machines of one shape are copies of one that was saved, for another process too; those of another shape are not.
#[test]
fn firecrackers_machines_are_copied() {
    let monitor = MonitorKind::Firecracker;
    if !Path::new("/usr/sbin/ip").exists() {
        println!("skipped: needs ip");
        return;
    }
    place::in_a_network_of_its_own(async move || {
        let (Some(program), Some(local)) = (stand_in(), place::local()) else { return };
        let Some((first, folder)) = on_local(monitor(program.clone()), Acceleration::Kvm, local.clone()) else {
            return;
        };
        let netns = |number| NetworkSource::Netns { netns: leftovers::netns(number), resolv_conf: String::new() };
        let layer = |number: usize| {
            let path = folder.path().join(number.to_string());
            // By which the stand-in knows that each is in its place.
            fs::write(&path, format!("layer {number}")).unwrap();
            LayerSource::Erofs(path)
        };
        // A small one: to save it takes as much room on the disk as it has memory.
        let limits = Limits { memory_bytes: 64 << 20, ..Limits::default() };
        let image = |layers| SandboxSpec::image((0..layers).map(layer).collect());
        let spec = |layers, network| SandboxSpec { network, limits, ..image(layers) };
        for network in [NetworkSource::None, netns(0)] {
            let sandbox = first.create(spec(3, network)).await.unwrap();
            first.destroy(sandbox.id).await.unwrap();
        }
        let saved = fs::read_dir(folder.path().join("templates")).unwrap().count();
        assert_eq!(saved, 2, "one of each shape; what was in the way is told above");
        // From now on nothing boots.
        fs::write(folder.path().join("kernel"), "no kernel").unwrap();
        fs::remove_file(folder.path().join("vmlinux")).ok();
        let second = MicroVm::new(local, config(monitor(program), guest_in(folder.path()), Some(Acceleration::Kvm)));
        // One place is to spare, then none.
        for (layers, network) in [(3, NetworkSource::None), (4, NetworkSource::None), (3, netns(1))] {
            let sandbox = second.create(spec(layers, network)).await.unwrap();
            second.destroy(sandbox.id).await.unwrap();
        }
        second.create(spec(5, NetworkSource::None)).await.expect_err("that is another shape, and nothing boots");
    });
}

/// Each copy would have all of the memory for itself.
#[tokio::test]
async fn cloud_hypervisors_machines_boot_each() {
    let Some(program) = stand_in() else { return };
    let Some((driver, folder)) = on(MonitorKind::CloudHypervisor(program), Acceleration::Kvm) else { return };
    let sandbox = driver.create(SandboxSpec::image(vec![layer(&folder, 0o644)])).await.unwrap();
    driver.destroy(sandbox.id).await.unwrap();
    assert!(!folder.path().join("templates").exists());
}

/// Who breaks out of such a monitor finds what who breaks out of QEMU finds. `opens`: it opens its machine's interface itself.
fn check_jail(monitor: fn(PathBuf) -> MonitorKind, opens: bool) {
    let tools = ["/usr/sbin/ip", "/usr/bin/nsenter", "/usr/bin/ldd"];
    if !rustix::process::getuid().is_root() || !tools.iter().all(|tool| Path::new(tool).exists()) {
        println!("skipped: needs root, ip, nsenter and ldd");
        return;
    }
    place::in_a_network_of_its_own(async move || {
        let (Some(program), Some(local)) = (stand_in(), place::local()) else { return };
        let launcher = local.launcher_pid();
        let Some((driver, folder)) = on_local(monitor(program.clone()), Acceleration::Kvm, local) else { return };
        for has_network in [false, true] {
            let network = match has_network {
                true => NetworkSource::Netns { netns: leftovers::netns(0), resolv_conf: String::new() },
                false => NetworkSource::None,
            };
            let spec = SandboxSpec { network, ..SandboxSpec::image(vec![layer(&folder, 0o644)]) };
            let sandbox = driver.create(spec).await.unwrap();
            let monitor = jailed(launcher, &program);
            monitor.check(launcher);
            monitor.check_files(&program, &["monitor"]);
            monitor.check_open(&[folder.path()]);
            let devices = ["full", "null", "random", "urandom", "zero"].into_iter();
            let given = [("kvm", Path::new("/dev/kvm").exists()), ("net/tun", has_network && opens)];
            let given = given.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| *name);
            monitor.check_devices(devices.chain(given));
            // Of the one that it is given only a descriptor of, a stand-in has no use.
            let interfaces = [("eth0", has_network), ("lo", true), ("tap0", has_network && opens)];
            let interfaces = interfaces.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name);
            assert!(monitor.interfaces().iter().eq(interfaces), "{:?}", monitor.interfaces());
            driver.destroy(sandbox.id).await.unwrap();
        }
    });
}

/// The one process of this program that the launcher has started, under whatever name.
fn jailed(launcher: u32, program: &Path) -> Jailed {
    let children = fs::read_to_string(format!("/proc/{launcher}/task/{launcher}/children")).unwrap();
    let file = |path: &str| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    let is_it = |pid: &u32| file(&format!("/proc/{pid}/exe")) == file(program.to_str().unwrap());
    let found: Vec<u32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).filter(is_it).collect();
    let [pid] = found[..] else { panic!("{found:?}") };
    Jailed::new(pid)
}

#[test]
fn firecracker_is_in_a_root_of_its_own() {
    check_jail(MonitorKind::Firecracker, true);
}

#[test]
fn cloud_hypervisor_is_in_a_root_of_its_own() {
    check_jail(MonitorKind::CloudHypervisor, false);
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
