//! Process 1 that is a program of the host instead of init.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::NOT_MADE;
use super::kernel;
use super::root::{Root, attach_at, clone_of};
use crate::fault::{Doing, Result};
use crate::protocol::{INIT, Ids, KERNEL, Plan, Program, Role, SANDBOX_ROOT, SANDBOX_TMP};
use crate::sys;

/// Standard streams.
const STANDARD: i32 = 3;
/// The whole environment.
const ENVIRONMENT: [&str; 2] = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"];

/// Enters the small root of a [`Role::Kernel`].
pub(super) fn surround(root: Root, files: &[(String, String)], plan: &Plan, program: &OwnedFd) -> Result<()> {
    let mut init = File::open("/proc/self/exe").doing(|| "open init".into())?;
    root.put(INIT, 0o555, &mut init)?;
    // Where the image's `/tmp` leads within its own root; made where there is none.
    let temporary = clone_of(root.folder("/tmp")?.as_fd())?;
    let around = root.surround(SANDBOX_ROOT, plan.read_only_root)?;
    for (path, content) in files {
        around.put(path, 0o644, &mut content.as_bytes())?;
    }
    around.attach(temporary.as_fd(), SANDBOX_TMP)?;
    place(&around, KERNEL, program)?;
    kernel::mount_all(&around, plan)?;
    around.enter(false)
}

/// Puts the host's file of a program where it is to be found.
pub(super) fn place(root: &Root, path: &str, program: &OwnedFd) -> Result<()> {
    root.put(path, 0o755, &mut std::io::empty())?;
    let place = root.open(path, OFlags::PATH | OFlags::NOFOLLOW).doing(|| format!("open {path}"))?;
    attach_at(program.as_fd(), place.as_fd(), "")
}

/// Goes on as the program; returns never. What went wrong is said where the program would say it.
pub(super) fn become_it(program: &Program, user: Ids, stream: OwnedFd, given: Vec<OwnedFd>) -> ! {
    let failed = start(program, user, &stream, &given);
    let name = program.argv.first().map_or("", |name| name);
    let console = match &program.role {
        Role::Monitor { .. } => Some(&stream),
        Role::Kernel { .. } => given.first(),
    };
    if let Some(console) = console {
        let _ = rustix::io::write(console, format!("{name}: {failed}\n").as_bytes());
    }
    sys::exit_now(NOT_MADE)
}

fn start(program: &Program, user: Ids, stream: &OwnedFd, given: &[OwnedFd]) -> rustix::io::Errno {
    let result = (|| {
        let null = openat(CWD, "/dev/null", OFlags::RDWR, Mode::empty())?;
        let above = STANDARD + i32::try_from(given.len()).map_err(|_| rustix::io::Errno::MFILE)?;
        // Out of the way of the numbers that they get.
        let high = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, above);
        let null = high(&null)?;
        let stream = high(stream)?;
        let given = given.iter().map(high).collect::<rustix::io::Result<Vec<_>>>()?;
        let standard = match (&program.role, given.first()) {
            (Role::Kernel { .. }, Some(console)) => [&stream, &null, console],
            _ => [&null, &stream, &stream],
        };
        for (number, fd) in (0..).zip(standard.into_iter().chain(&given)) {
            sys::hand_down(fd.as_raw_fd(), number)?;
        }
        match program.role {
            Role::Monitor { .. } => sys::become_ids(user.uid, user.gid)?,
            Role::Kernel { .. } => sys::become_ids(0, 0)?,
        }
        super::die_with_launcher()?;
        let words = |words: Vec<String>| {
            words
                .into_iter()
                .map(CString::new)
                .collect::<std::result::Result<Vec<_>, _>>()
                .map_err(|_| rustix::io::Errno::INVAL)
        };
        let (argv, environment) = (words(program.argv.clone())?, words(ENVIRONMENT.map(String::from).into())?);
        sys::execute(&argv, &environment)
    })();
    result.err().unwrap_or(rustix::io::Errno::NOEXEC)
}
