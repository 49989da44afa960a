//! A user other than root: a user namespace of the launcher's own, with the user as id 0 and its subordinate ids after it; and a network
//! namespace that belongs to it, for out of one of a sandbox there is a way back to no other.

use std::io::{Read, Write, pipe};
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::thread::UnshareFlags;

use crate::fault::{Doing, Result};
use crate::protocol::{Fault, FaultKind, Subordinate};
use crate::sys::{self, Cloned};

/// Moves this process into a new user namespace in which it has all capabilities and no supplementary groups.
pub(crate) fn enter(ids: Subordinate) -> Result<()> {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let own = std::process::id().to_string();
    let (mut ready, mut done) = pipe().doing(|| "make a pipe".into())?;
    // The map of a namespace is written from outside of it, so a copy of this process stays there until it is.
    match sys::clone(0, None).doing(|| "fork".into())? {
        Cloned::Child => {
            drop(done);
            let mut byte = [0];
            let told = ready.read_exact(&mut byte).is_ok();
            let mapped = told
                && map("newuidmap", &own, uid, ids.uid, ids.count)
                && map("newgidmap", &own, gid, ids.gid, ids.count);
            sys::exit_now(i32::from(!mapped));
        }
        Cloned::Parent(pid, _pidfd) => {
            drop(ready);
            // SAFETY: this process has one thread.
            let entered = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNET) };
            if entered.is_ok() {
                done.write_all(&[1]).doing(|| "write to a pipe".into())?;
            }
            drop(done);
            let (status, _) = sys::reap(pid).doing(|| "reap a child".into())?;
            // The kernel says "no space" where it means that none, or none more, may be made.
            entered.map_err(|errno| Fault {
                kind: FaultKind::Kernel,
                what: match errno {
                    Errno::NOSPC => {
                        "make a user namespace: user.max_user_namespaces, here or outside, allows none".into()
                    }
                    _ => "make a user namespace".to_owned(),
                },
                errno: if errno == Errno::NOSPC { Errno::PERM } else { errno }.raw_os_error(),
            })?;
            if status != 0 {
                let what = "map subordinate ids with newuidmap and newgidmap".to_owned();
                return Err(Fault { kind: FaultKind::Kernel, what, errno: Errno::PERM.raw_os_error() });
            }
            sys::become_ids(0, 0).doing(|| "become root of the own user namespace".into())
        }
    }
}

fn map(program: &str, pid: &str, own: u32, first: u32, count: u32) -> bool {
    let words = [0, own, 1, 1, first, count].map(|number| number.to_string());
    let status = Command::new(program).arg(pid).args(words).stdin(Stdio::null()).stdout(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
