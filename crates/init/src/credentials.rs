//! What a process of the workload gives up before it runs: capabilities, ids, the hope of new privileges, system calls.

use std::io;

use wire::init::User;

use crate::InitConfig;
use crate::sys::check;

/// Highest capability number that any kernel may know: the set has 64 bits.
const MAX_CAPABILITY: i32 = 63;

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAP_VERSION_3: u32 = 0x2008_0522;

/// Which step failed, for the report.
pub(crate) type Step = &'static str;

/// Gives up everything that `config` says and becomes `user`. Order matters: the bounding set needs capabilities, the ids
/// need capabilities, and the filter comes last so that it does not have to allow what only this function does.
pub(crate) fn become_user(user: &User, config: &InitConfig) -> Result<(), (Step, io::Error)> {
    let kept = if user.uid == 0 { config.root_capabilities } else { 0 };
    if config.no_new_privs {
        no_new_privs().map_err(|e| ("forbid new privileges", e))?;
    } else {
        // Without that promise only a privileged process may install a filter.
        install_filter(&config.filter).map_err(|e| ("install the system call filter", e))?;
    }
    if config.drop_capabilities {
        drop_bounding_set(kept).map_err(|e| ("drop the bounding set", e))?;
    }
    set_ids(user)?;
    if config.drop_capabilities {
        set_capabilities(kept).map_err(|e| ("drop capabilities", e))?;
    }
    if config.no_new_privs {
        install_filter(&config.filter).map_err(|e| ("install the system call filter", e))?;
    }
    Ok(())
}

fn no_new_privs() -> io::Result<()> {
    // SAFETY: takes integers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }).map(drop)
}

fn drop_bounding_set(kept: u64) -> io::Result<()> {
    for capability in 0..=MAX_CAPABILITY {
        if kept & (1 << capability) != 0 {
            continue;
        }
        // SAFETY: takes integers.
        match unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability, 0, 0, 0) } {
            1 => {}
            0 => continue,
            // Past the last one that this kernel knows.
            _ => break,
        }
        // SAFETY: takes integers.
        if let Err(error) = check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }) {
            // Somebody who has no capability cannot gain one through the bounding set either, as new privileges are forbidden.
            return if permitted()? == 0 { Ok(()) } else { Err(error) };
        }
    }
    Ok(())
}

fn set_ids(user: &User) -> Result<(), (Step, io::Error)> {
    // SAFETY: the pointer is valid for the length that is given.
    let groups = check(unsafe { libc::setgroups(user.groups.len(), user.groups.as_ptr()) });
    if let Err(error) = groups {
        // A user namespace that an unprivileged user made alone cannot set groups; then none of the host's is worth anything.
        let nothing_asked = user.groups.is_empty() || user.groups == [user.gid];
        if !(nothing_asked && error.raw_os_error() == Some(libc::EPERM)) {
            return Err(("set groups", error));
        }
    }
    // SAFETY: takes integers.
    check(unsafe { libc::setresgid(user.gid, user.gid, user.gid) }).map_err(|e| ("set the group id", e))?;
    // SAFETY: takes integers.
    check(unsafe { libc::setresuid(user.uid, user.uid, user.uid) }).map_err(|e| ("set the user id", e))?;
    // Changing ids resets this to the system's choice for set-user-id programs.
    // SAFETY: takes integers.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }).map_err(|e| ("forbid dumps", e))?;
    Ok(())
}

fn permitted() -> io::Result<u64> {
    let header = CapHeader { version: CAP_VERSION_3, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: version 3 reads one header and writes two data elements.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) };
    check(i32::try_from(result).unwrap_or(-1))?;
    Ok(u64::from(data[0].permitted) | u64::from(data[1].permitted) << 32)
}

fn set_capabilities(kept: u64) -> io::Result<()> {
    // SAFETY: takes integers.
    match check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) }) {
        // A kernel that knows none (gVisor's) has none to clear.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
        result => drop(result?),
    }
    let kept = kept & permitted()?;
    let header = CapHeader { version: CAP_VERSION_3, pid: 0 };
    #[allow(clippy::cast_possible_truncation, reason = "the two halves of the set")]
    let half = |bits: u64| CapData { effective: bits as u32, permitted: bits as u32, inheritable: 0 };
    let data = [half(kept & 0xffff_ffff), half(kept >> 32)];
    // SAFETY: version 3 reads one header and two data elements.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    check(i32::try_from(result).unwrap_or(-1)).map(drop)
}

fn install_filter(filter: &[libc::sock_filter]) -> io::Result<()> {
    if filter.is_empty() {
        return Ok(());
    }
    let length = u16::try_from(filter.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the kernel reads `len` instructions from `filter` and keeps no pointer.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    check(i32::try_from(result).unwrap_or(-1)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP_CHOWN: u64 = 1;
    const LOAD_SYSCALL_NUMBER: libc::sock_filter = libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };

    /// A filter that refuses `getppid` with error 77 and allows the rest.
    fn refuse_getppid() -> Vec<libc::sock_filter> {
        let number = u32::try_from(libc::SYS_getppid).unwrap();
        let refused = libc::SECCOMP_RET_ERRNO | 77;
        vec![
            LOAD_SYSCALL_NUMBER,
            libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: number },
            libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: refused },
            libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW },
        ]
    }

    /// What a child sees after it became `uid`: permitted set, new privileges forbidden, `getppid` refused.
    fn check(uid: u32, config: &InitConfig, expect: (u64, bool, bool)) {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let user = User { uid, gid: uid, groups: vec![] };
        // SAFETY: the child makes system calls only, and ends without unwinding.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let seen = become_user(&user, config).map(|()| {
                let effective = permitted().unwrap_or(u64::MAX);
                // SAFETY: takes integers.
                let promised = unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) } == 1;
                // SAFETY: takes nothing.
                let refused = unsafe { libc::syscall(libc::SYS_getppid) } < 0;
                (effective, promised, refused)
            });
            crate::sys::exit(if seen.is_ok_and(|seen| seen == expect) { 0 } else { 1 });
        }
        let mut status = 0;
        // SAFETY: the pointer is writable.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{uid}: {expect:?}, {status:#x}");
    }

    #[test]
    fn gives_up_everything_but_what_root_may_keep() {
        let usual = InitConfig { root_capabilities: CAP_CHOWN, filter: refuse_getppid(), ..InitConfig::default() };
        check(1000, &usual, (0, true, true));
        check(0, &usual, (CAP_CHOWN, true, true));
        check(0, &InitConfig::default(), (0, true, false));
    }

    #[test]
    fn each_defence_can_be_left_out_for_its_control() {
        let filter = refuse_getppid();
        let all = permitted().unwrap();
        check(0, &InitConfig { drop_capabilities: false, ..InitConfig::default() }, (all, true, false));
        check(1000, &InitConfig { no_new_privs: false, filter, ..InitConfig::default() }, (0, false, true));
    }
}
