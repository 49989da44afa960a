//! What runs virtual machines.

use std::path::PathBuf;

use clap::ValueEnum;
use sandbox::microvm::MonitorKind;

/// Monitors of virtual machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MonitorChoice {
    /// On the processor where a machine boots on it, else translated
    #[default]
    Qemu,
    /// `firecracker` of PATH; on the processor only, no Docker Engine
    Firecracker,
    /// `cloud-hypervisor` of PATH; as Firecracker
    CloudHypervisor,
}

impl MonitorChoice {
    /// The monitor with its program.
    ///
    /// # Errors
    /// It is not installed, in words.
    pub fn find(self) -> Result<MonitorKind, String> {
        Ok(match self {
            MonitorChoice::Qemu => MonitorKind::Qemu,
            MonitorChoice::Firecracker => MonitorKind::Firecracker(in_path("firecracker")?),
            MonitorChoice::CloudHypervisor => MonitorKind::CloudHypervisor(in_path("cloud-hypervisor")?),
        })
    }
}

fn in_path(program: &str) -> Result<PathBuf, String> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file());
    found.ok_or_else(|| format!("{program} is not in PATH"))
}
