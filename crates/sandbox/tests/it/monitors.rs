//! The `microvm` driver on Firecracker and Cloud Hypervisor: the programs themselves, where `COFFERDAM_FIRECRACKER` and
//! `COFFERDAM_CLOUD_HYPERVISOR` name them, as far as this host's processor lets them.

use std::path::{Path, PathBuf};

use sandbox::microvm::{Acceleration, MicroVm, MicroVmConfig, MonitorKind};
use sandbox::{CreateError, Driver as _, SandboxSpec};

use crate::{microvm, place};

fn driver(monitor: MonitorKind, acceleration: Option<Acceleration>) -> Option<MicroVm> {
    if !rustix::process::getuid().is_root() {
        println!("skipped: only root can give a monitor its devices");
        return None;
    }
    let config = MicroVmConfig { monitor, guest: microvm::guest()?, acceleration, copies: true };
    Some(MicroVm::new(place::local()?, config))
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
    let Some(driver) = driver(monitor, None) else { return };
    let Some(layer) = place::image_erofs() else { return };
    match driver.create(SandboxSpec::image(vec![layer])).await {
        Ok(sandbox) => {
            microvm::check_echo(sandbox.stream).await;
            driver.destroy(sandbox.id).await.unwrap();
        }
        Err(CreateError::Unsupported { reason }) => {
            println!("skipped: {reason}");
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
