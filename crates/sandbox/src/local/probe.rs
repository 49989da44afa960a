//! What `doctor` finds on this host.

use std::fs;
use std::path::Path;

use launcher::protocol::Features;
use model::rung::Rung;

use super::subordinate_ids;
use crate::{Check, CreateError, DriverError, Finding};

/// Looks at everything that a driver needs or can use. `launched`: what the launcher found, or why it did not start.
pub(super) fn checks(rung: Rung, launched: Result<&Features, &DriverError>) -> Vec<Check> {
    let root = rustix::process::getuid().is_root();
    let mut checks = vec![
        Check { what: "user namespaces", finding: user_namespaces() },
        Check { what: "user ids", finding: user_ids(root) },
        Check { what: "overlay file system", finding: file_system("overlay", "the root of a sandbox") },
    ];
    if !kernel_at_least(6, 6) {
        let reason = "a folder of the image that a step has removed cannot be made again (error EIO)";
        checks.push(Check { what: "writable layer", finding: reduced(reason, "Linux 6.6 or newer") });
    }
    if rung == Rung::Container && root {
        checks.push(Check { what: "image layers", finding: erofs() });
    } else if rung == Rung::Container {
        checks.push(Check {
            what: "image layers",
            finding: Finding::Good("plain folders (the kernel mounts EROFS for root only)".into()),
        });
    }
    match launched {
        Ok(features) => {
            checks.push(Check { what: "launcher", finding: Finding::Good("runs".into()) });
            checks.extend(limits(features, root));
        }
        Err(error) => checks.push(Check { what: "launcher", finding: launcher_missing(error) }),
    }
    checks
}

/// What came of making a sandbox.
pub(super) fn trial(made: &Result<(), CreateError>) -> Check {
    let finding = match made {
        Ok(()) => Finding::Good("an empty sandbox was made and ended".into()),
        Err(error) => missing(
            error.to_string(),
            "in a container, run it with all of /proc visible, and with mounts and user namespaces allowed",
        ),
    };
    Check { what: "trial", finding }
}

fn missing(reason: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding::Missing { reason: reason.into(), remedy: remedy.into() }
}

fn reduced(reason: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding::Reduced { reason: reason.into(), remedy: remedy.into() }
}

fn launcher_missing(error: &DriverError) -> Finding {
    let mut reason = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        reason = format!("{reason}: {source}");
    }
    missing(
        reason,
        "see the other findings; in a container, run it with all of /proc visible and user namespaces allowed",
    )
}

fn user_namespaces() -> Finding {
    if !Path::new("/proc/self/ns/user").exists() {
        return missing("the kernel has none", "use a kernel with CONFIG_USER_NS");
    }
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    if number("/proc/sys/user/max_user_namespaces") == Some(0) {
        return missing("switched off", "sysctl -w user.max_user_namespaces=10000");
    }
    let root = rustix::process::getuid().is_root();
    if !root && number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) {
        return missing("switched off for users other than root", "sysctl -w kernel.unprivileged_userns_clone=1");
    }
    if !root && number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        let remedy =
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for this program";
        return missing("AppArmor restricts them", remedy);
    }
    Finding::Good("for everybody".into())
}

fn user_ids(root: bool) -> Finding {
    if root {
        return Finding::Good("65536 of its own for each sandbox".into());
    }
    let remedy = "install the package `uidmap`, and give this user ids: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER";
    for program in ["newuidmap", "newgidmap"] {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).chain(["/usr/bin".into()]).any(|folder| folder.join(program).exists()) {
            return missing(format!("{program} is not installed"), remedy);
        }
    }
    match subordinate_ids() {
        Ok(ids) if ids.count < 65536 => {
            reduced(format!("only {} subordinate ids: images with higher ids do not work", ids.count), remedy)
        }
        Ok(ids) => {
            let first = ids.uid;
            reduced(
                format!("all sandboxes of this user share its subordinate ids from {first} on"),
                "as root, each sandbox has ids of its own",
            )
        }
        Err(reason) => missing(reason, remedy),
    }
}

fn file_system(name: &str, purpose: &str) -> Finding {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if known.lines().any(|line| line.split('\t').nth(1) == Some(name)) {
        return Finding::Good(name.into());
    }
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let modules = fs::read_to_string(format!("/lib/modules/{release}/modules.dep")).unwrap_or_default();
    let file = format!("/{name}.ko");
    if modules.lines().any(|line| line.split(':').next().is_some_and(|path| path.contains(&file))) {
        return Finding::Good(format!("{name}, a module that the kernel loads when it is needed"));
    }
    missing(format!("the kernel does not have {name}, which is {purpose}"), format!("modprobe {name}"))
}

fn erofs() -> Finding {
    match file_system("erofs", "how image layers are mounted") {
        Finding::Good(_) if kernel_at_least(6, 12) => Finding::Good("EROFS, straight from files".into()),
        Finding::Good(_) if Path::new("/dev/loop-control").exists() => {
            reduced("EROFS through loop devices, 2 ms more for the first use of a layer", "Linux 6.12 or newer")
        }
        Finding::Good(_) => {
            missing("this kernel mounts EROFS from devices only, and there are no loop devices", "modprobe loop")
        }
        finding => finding,
    }
}

fn kernel_at_least(major: u32, minor: u32) -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut parts = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or_default());
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) >= (major, minor)
}

fn limits(features: &Features, root: bool) -> Vec<Check> {
    let remedy = if root {
        "mount a cgroup hierarchy with this controller (on systemd hosts it is)"
    } else {
        "run as root, or in a service with Delegate=yes on a host with cgroup v2"
    };
    let check = |what, found: &Result<u8, String>, without: &str| Check {
        what,
        finding: match found {
            Ok(version) => Finding::Good(format!("cgroup v{version}")),
            Err(reason) => reduced(format!("{reason}; {without}"), remedy),
        },
    };
    let mut checks = vec![
        check("memory limit", &features.memory, "each process is limited by itself, not all together"),
        check("process limit", &features.processes, "the kernel's count for each user is used"),
        check("CPU share", &features.cpu, "not limited"),
    ];
    if !features.time_namespace {
        checks.push(Check {
            what: "time namespaces",
            finding: reduced("the kernel has none: sandboxes see the host's uptime", "Linux 5.6 or newer"),
        });
    }
    checks
}
