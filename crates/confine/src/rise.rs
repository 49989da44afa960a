//! Raising them, in the order in which each still can be raised.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreatedAttr, Scope,
};

use crate::{Walls, calls};

/// The ABI whose rights we know; an older kernel enforces those it has.
const KNOWN_ABI: ABI = ABI::V6;

/// Standard input, output and error.
const STREAMS: u64 = 3;

/// What a child may reach.
#[derive(Clone, Copy, Debug)]
pub enum Enclosure<'a> {
    /// Its standard streams.
    Streams,
    /// Its standard streams, and everything below this directory.
    Folder(BorrowedFd<'a>),
}

/// Gives away everything that the child does not need, then locks the door. There must be no second thread. `calls`: the list of
/// system calls that are left.
///
/// # Errors
/// Fails if one of the walls that every kernel has cannot be raised; nothing may be read then.
pub fn raise(enclosure: Enclosure<'_>, calls: &str) -> Result<Walls, String> {
    die_with_parent()?;
    if let Enclosure::Streams = enclosure {
        become_nobody()?;
    }
    // SAFETY: prctl with plain integers.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } != 0 {
        return Err(format!("PR_SET_DUMPABLE: {}", io::Error::last_os_error()));
    }
    let landlock_abi = landlock(enclosure).map_err(|error| format!("Landlock: {error}"))?;
    if let Enclosure::Streams = enclosure {
        // Only now: the step before took a descriptor for a moment.
        set_limit(libc::RLIMIT_NOFILE, STREAMS).map_err(|error| format!("limit of open files: {error}"))?;
    }
    seccomp(calls)?;
    Ok(Walls { landlock_abi, seccomp: true })
}

/// Landlock alone; for the test that shows that each wall stands by itself. Returns the ABI that is enforced, if the kernel has any.
///
/// # Errors
/// The kernel has Landlock, and refuses.
pub fn landlock(enclosure: Enclosure<'_>) -> Result<Option<u32>, landlock::RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN_ABI))?
        .handle_access(AccessNet::from_all(KNOWN_ABI))?
        .scope(Scope::from_all(KNOWN_ABI))?
        .create()?;
    if let Enclosure::Folder(folder) = enclosure {
        // No right to execute. A whiteout is a character device to Landlock, so that kind may be made; without the
        // capability for it the kernel lets only device 0:0 through.
        let rights = AccessFs::from_all(KNOWN_ABI) & !AccessFs::Execute & !AccessFs::MakeBlock & !AccessFs::MakeSock;
        ruleset = ruleset.add_rule(PathBeneath::new(folder, rights))?;
    }
    let status = ruleset.restrict_self()?;
    Ok(match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => Some(effective_abi as u32),
        _ => None,
    })
}

/// The system call filter alone.
fn seccomp(list: &str) -> Result<(), String> {
    let filter = calls::compile(list, std::process::id())?;
    seccompiler::apply_filter(&filter).map_err(|error| format!("seccomp: {error}"))
}

fn die_with_parent() -> Result<(), String> {
    // SAFETY: prctl and getppid with plain integers.
    let orphaned = unsafe {
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) != 0 {
            return Err(format!("PR_SET_PDEATHSIG: {}", io::Error::last_os_error()));
        }
        libc::getppid() == 1 && libc::getpid() != 1
    };
    // Not an error in a container, where PID 1 may be the parent: there the pipes break instead.
    let _ = orphaned;
    Ok(())
}

/// Another identity and no capability. Only root can change its identity; for everyone else there is nothing to give.
fn become_nobody() -> Result<(), String> {
    const NOBODY: u32 = 65534;
    // SAFETY: plain integers, and an empty list that is not read.
    unsafe {
        if libc::geteuid() == 0 {
            // In a user namespace without that id these fail; the capabilities go in any case.
            libc::setgroups(0, std::ptr::null());
            libc::setresgid(NOBODY, NOBODY, NOBODY);
            libc::setresuid(NOBODY, NOBODY, NOBODY);
            // A change of identity forgets it.
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        }
    }
    rustix::thread::set_capabilities(
        None,
        rustix::thread::CapabilitySets {
            effective: rustix::thread::CapabilitySet::empty(),
            permitted: rustix::thread::CapabilitySet::empty(),
            inheritable: rustix::thread::CapabilitySet::empty(),
        },
    )
    .map_err(|error| format!("capset: {error}"))
}

/// Resource limits of a child, and no descriptor but the standard ones.
///
/// # Errors
/// Fails if the kernel refuses one.
pub fn set_limits(memory: u64, cpu_seconds: u64, file_bytes: u64, files: u64) -> Result<(), String> {
    // SAFETY: closes descriptors that nothing in this process uses yet.
    if unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) } != 0 {
        // Linux before 5.9.
        for descriptor in 3..1024 {
            // SAFETY: as above.
            unsafe { libc::close(descriptor) };
        }
    }
    for (which, what, value) in [
        (libc::RLIMIT_AS, "memory", memory),
        (libc::RLIMIT_CPU, "processor time", cpu_seconds),
        (libc::RLIMIT_FSIZE, "file size", file_bytes),
        (libc::RLIMIT_NOFILE, "open files", files),
        (libc::RLIMIT_CORE, "core dumps", 0),
        (libc::RLIMIT_MEMLOCK, "locked memory", 0),
        (libc::RLIMIT_NPROC, "processes", 0),
    ] {
        set_limit(which, value).map_err(|error| format!("limit of {what}: {error}"))?;
    }
    Ok(())
}

/// This process may compute for so long from now on, in seconds, until this is said again; then `SIGVTALRM` ends it. What it asks of the kernel does
/// not count.
pub fn limit_next(cpu_seconds: u32) {
    let none = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let timer =
        libc::itimerval { it_interval: none, it_value: libc::timeval { tv_sec: cpu_seconds.into(), tv_usec: 0 } };
    // SAFETY: `timer` is valid, and nothing is written back. A kernel without such a timer has no limit.
    unsafe { libc::setitimer(libc::ITIMER_VIRTUAL, &raw const timer, std::ptr::null_mut()) };
}

fn set_limit(which: libc::__rlimit_resource_t, value: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for both calls.
    let result = unsafe {
        libc::getrlimit(which, &raw mut limit);
        limit.rlim_cur = value.min(limit.rlim_max);
        // The hard limit of time kills without a word, so it comes a second later.
        limit.rlim_max = value.saturating_add(u64::from(which == libc::RLIMIT_CPU)).min(limit.rlim_max);
        libc::setrlimit(which, &raw const limit)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl<'a> Enclosure<'a> {
    /// Everything below `folder`.
    pub fn of(folder: &'a impl AsFd) -> Enclosure<'a> {
        Enclosure::Folder(folder.as_fd())
    }
}
