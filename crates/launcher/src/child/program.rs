//! Process 1 that is a program of the host instead of init.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::NOT_MADE;
use crate::protocol::{Ids, Program};
use crate::sys;

/// Standard streams.
const STANDARD: i32 = 3;
/// The whole environment.
const ENVIRONMENT: [&str; 2] = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"];

/// Goes on as the program; returns never. What went wrong is said on the stream.
pub(super) fn become_it(program: &Program, user: Ids, stream: OwnedFd, given: Vec<OwnedFd>) -> ! {
    let failed = start(program, user, &stream, given);
    let _ =
        rustix::io::write(&stream, format!("{}: {failed}\n", program.argv.first().map_or("", |name| name)).as_bytes());
    sys::exit_now(NOT_MADE)
}

fn start(program: &Program, user: Ids, stream: &OwnedFd, given: Vec<OwnedFd>) -> rustix::io::Errno {
    let result = (|| {
        let null = openat(CWD, "/dev/null", OFlags::RDWR, Mode::empty())?;
        let above = STANDARD + i32::try_from(given.len()).map_err(|_| rustix::io::Errno::MFILE)?;
        // Out of the way of the numbers that they get.
        let high = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, above);
        let (null, stream) = (high(&null)?, high(stream)?);
        let given = given.iter().map(high).collect::<rustix::io::Result<Vec<_>>>()?;
        let all = [&null, &stream, &stream].into_iter().chain(&given);
        for (number, fd) in (0..).zip(all) {
            sys::hand_down(fd.as_raw_fd(), number)?;
        }
        sys::become_ids(user.uid, user.gid)?;
        super::die_with_launcher()?;
        let words = |words: Vec<String>| {
            words.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>().map_err(|_| rustix::io::Errno::INVAL)
        };
        let (argv, environment) = (words(program.argv.clone())?, words(ENVIRONMENT.map(String::from).into())?);
        sys::execute(&argv, &environment)
    })();
    result.err().unwrap_or(rustix::io::Errno::NOEXEC)
}
