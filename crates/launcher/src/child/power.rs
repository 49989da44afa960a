//! Giving up power: ids, keyring, limits, capabilities, privileges, system calls.

use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::embryo::Without;
use crate::fault::{Doing, Result};
use crate::ids::write_once;
use crate::protocol::{Capabilities, Fault, Plan, Settings, Walls};
use crate::sys;

/// What init itself keeps, inside its user namespace: to start processes with other ids, to end them, and to work on files on
/// behalf of the host. None of it reaches what it starts.
const OF_INIT: [u8; 8] = [
    0, // CAP_CHOWN
    1, // CAP_DAC_OVERRIDE
    3, // CAP_FOWNER
    4, // CAP_FSETID
    5, // CAP_KILL
    6, // CAP_SETGID
    7, // CAP_SETUID
    8, // CAP_SETPCAP
];
/// Who maps its own user id 0 into a user namespace must have it (Linux 5.12).
const CAP_SETFCAP: u32 = 31;
/// The kernel ends a sandbox's processes before those of the host where memory is short.
const OOM_SCORE_ADJ: &[u8] = b"300";

/// Before the root is built.
pub(super) fn prepare(walls: &Walls) -> Result<()> {
    let _ = write_once("/proc/self/oom_score_adj", OOM_SCORE_ADJ);
    sys::become_ids(0, 0).doing(|| "become root of the sandbox".into())?;
    // A session of its own: no terminal of the host.
    let _ = rustix::process::setsid();
    rustix::process::umask(rustix::fs::Mode::from(0o022));
    if walls.keyring {
        match sys::join_new_session_keyring() {
            // A kernel without keyrings has none to protect.
            Ok(()) | Err(rustix::io::Errno::NOSYS) => {}
            result => result.doing(|| "make a session keyring".into())?,
        }
    }
    if walls.no_nested_userns {
        let path = "/proc/sys/user/max_user_namespaces";
        write_once(path, b"0").doing(|| format!("write {path}"))?;
    }
    Ok(())
}

/// Limits of each process.
pub(super) fn limit(plan: &Plan, without: Without) -> Result<()> {
    if !plan.walls.rlimits {
        return Ok(());
    }
    let open_files = u64::from(plan.limits.open_files);
    let mut limits = vec![
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_NOFILE, open_files),
        (libc::RLIMIT_MEMLOCK, 8 << 20),
        (libc::RLIMIT_RTPRIO, 0),
        (libc::RLIMIT_NICE, 0),
    ];
    // The kernel counts the processes of each user of each user namespace, so this is the sandbox's own count.
    if without.processes {
        limits.push((libc::RLIMIT_NPROC, u64::from(plan.limits.processes)));
    }
    // For each process only: the best there is without a cgroup.
    if without.memory {
        limits.push((libc::RLIMIT_DATA, plan.limits.memory_bytes));
    }
    for (resource, value) in limits {
        let lowered = sys::hard_rlimit(resource).and_then(|hard| {
            let value = value.min(hard);
            sys::set_rlimit(resource, value, value)
        });
        lowered.doing(|| format!("set resource limit {resource}"))?;
    }
    Ok(())
}

/// After the root was built.
pub(super) fn drop_all(settings: &Settings, plan: &Plan) -> Result<()> {
    let walls = &plan.walls;
    let bytes = if plan.nested { &settings.nested_filter } else { &settings.filter };
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .doing(|| "hide memory from other processes".into())?;
    // Without the promise below, only who still has capabilities may install a filter.
    if walls.seccomp && !walls.no_new_privs {
        sys::install_filter(&filter(bytes)?).doing(|| "install the system call filter".into())?;
    }
    if walls.drop_capabilities {
        let kept = CapabilitySet::from_bits_retain(of_root(settings, plan));
        bound(kept).doing(|| "bound capabilities".into())?;
        let own = set_of(&OF_INIT) | kept;
        let sets = CapabilitySets { effective: own, permitted: own, inheritable: CapabilitySet::empty() };
        rustix::thread::clear_ambient_capability_set().doing(|| "drop ambient capabilities".into())?;
        rustix::thread::set_capabilities(None, sets).doing(|| "drop capabilities".into())?;
    }
    if walls.no_new_privs {
        rustix::thread::set_no_new_privs(true).doing(|| "refuse new privileges".into())?;
    }
    if walls.seccomp && walls.no_new_privs {
        sys::install_filter(&filter(bytes)?).doing(|| "install the system call filter".into())?;
    }
    Ok(())
}

/// What user id 0 of the workload has, bit N for capability N.
pub(super) fn of_root(settings: &Settings, plan: &Plan) -> u64 {
    match plan.capabilities {
        Capabilities::None => 0,
        Capabilities::OwnFiles if plan.nested => set_of(&settings.file_capabilities).bits() | 1 << CAP_SETFCAP,
        Capabilities::OwnFiles => set_of(&settings.file_capabilities).bits(),
    }
}

fn set_of(numbers: &[u8]) -> CapabilitySet {
    CapabilitySet::from_bits_retain(numbers.iter().fold(0, |set, number| set | 1u64 << (number & 63)))
}

/// Drops everything else from the set that programs can ever gain.
fn bound(kept: CapabilitySet) -> rustix::io::Result<()> {
    for number in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(one) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(one) {
            // Past the last capability that this kernel knows.
            Err(rustix::io::Errno::INVAL) => break,
            result => result?,
        }
    }
    Ok(())
}

fn filter(bytes: &[u8]) -> Result<Vec<libc::sock_filter>> {
    let (instructions, []) = bytes.as_chunks::<8>() else { return Err(Fault::spec("the filter is cut off")) };
    Ok(instructions
        .iter()
        .map(|[c0, c1, jt, jf, k0, k1, k2, k3]| libc::sock_filter {
            code: u16::from_ne_bytes([*c0, *c1]),
            jt: *jt,
            jf: *jf,
            k: u32::from_ne_bytes([*k0, *k1, *k2, *k3]),
        })
        .collect())
}
