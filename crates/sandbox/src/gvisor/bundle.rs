//! What gVisor is told: a configuration of the OCI runtime specification, and the words of its command line.

use std::sync::atomic::{AtomicU64, Ordering};

use launcher::protocol::{INIT, KERNEL, Plan, SANDBOX_ROOT, SANDBOX_TMP};
use serde_json::json;

/// Folder of the configuration in the small root.
const BUNDLE: &str = "/bundle";
/// Number of the next one that this process starts.
static NEXT: AtomicU64 = AtomicU64::new(1);
/// Folder of gVisor's own records there.
const RECORDS: &str = "/records";

/// How gVisor gets hold of the system calls of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// By a system call filter that traps (releases since 2023).
    Systrap,
    /// As a debugger does: slower, and on every kernel.
    Ptrace,
}

impl Platform {
    pub(super) fn name(self) -> &'static str {
        match self {
            Platform::Systrap => "systrap",
            Platform::Ptrace => "ptrace",
        }
    }
}

/// The command line.
pub(super) fn arguments(platform: Platform, plan: &Plan) -> Vec<String> {
    // A namespace that is given, or another one's, is fenced from outside, and belongs to no user namespace of the sandbox: gVisor's own network
    // stack could not take its interface over.
    let network = if plan.netns || plan.joins { "host" } else { "none" };
    [
        KERNEL,
        &format!("--root={RECORDS}"),
        &format!("--platform={}", platform.name()),
        &format!("--network={network}"),
        // Those of the sandbox stand around gVisor itself.
        "--ignore-cgroups",
        // The writable layer is the launcher's, whose size is limited.
        "--overlay2=none",
        "run",
        "--bundle",
        BUNDLE,
        // A socket of gVisor's own has this name in the network, which another one may share.
        &format!("sandbox-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
    ]
    .map(str::to_owned)
    .into()
}

/// Files of the small root.
pub(super) fn files(plan: &Plan, capabilities: &[u8], root_capabilities: u64) -> Vec<(String, String)> {
    vec![
        (format!("{BUNDLE}/config.json"), configuration(plan, capabilities, root_capabilities).to_string()),
        // For their folders: a file is the only thing that a launcher puts there.
        (format!("{RECORDS}/README"), "records of gVisor\n".to_owned()),
        ("/tmp/README".to_owned(), "gVisor's own empty root is mounted over this\n".to_owned()),
    ]
}

fn configuration(plan: &Plan, capabilities: &[u8], root_capabilities: u64) -> serde_json::Value {
    let capabilities: Vec<_> = capabilities.iter().filter_map(|number| name(*number)).collect();
    let limits = &plan.limits;
    let rlimit = |kind: &str, value: u64| json!({"type": kind, "soft": value, "hard": value});
    // Without this gVisor would mount a file system of its own where the image has none, beyond the limit of the disk.
    let temporary = json!({
        "destination": "/tmp",
        "type": "bind",
        "source": SANDBOX_TMP,
        "options": ["rbind", "rw", "nosuid", "nodev"],
    });
    json!({
        "ociVersion": "1.0.0",
        "hostname": plan.hostname,
        "root": {"path": SANDBOX_ROOT, "readonly": false},
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": [INIT, "--stdin", "--root-capabilities", root_capabilities.to_string()],
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": {
                "bounding": capabilities,
                "effective": capabilities,
                "permitted": capabilities,
                "inheritable": [],
                "ambient": [],
            },
            "rlimits": [
                rlimit("RLIMIT_NOFILE", u64::from(limits.open_files)),
                rlimit("RLIMIT_CORE", 0),
            ],
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "nodev", "noexec", "mode=1777", format!("size={}", limits.disk_bytes)]},
            temporary,
        ],
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}],
        },
    })
}

/// As the specification writes a capability.
fn name(number: u8) -> Option<&'static str> {
    Some(match number {
        0 => "CAP_CHOWN",
        1 => "CAP_DAC_OVERRIDE",
        3 => "CAP_FOWNER",
        4 => "CAP_FSETID",
        5 => "CAP_KILL",
        6 => "CAP_SETGID",
        7 => "CAP_SETUID",
        8 => "CAP_SETPCAP",
        _ => return None,
    })
}
