//! A small launcher: fresh PID, mount and IPC namespaces (and a user namespace), `/proc` of its own, then init.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Who makes the namespaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Maker {
    /// Root, without a user namespace.
    Root,
    /// Root, with a user namespace that has ids 0 to 65535.
    RootWithIds,
    /// An unprivileged user, alone in a user namespace as 0.
    Unprivileged,
}

/// An unprivileged user that owns nothing on any host.
const NOBODY_MUCH: u32 = 54_321;

/// A place with init in it.
pub struct Place {
    pub stream: Option<UnixStream>,
    middle: Child,
}

impl Place {
    /// Makes a place; `None` (with the reason printed) where this host or user cannot.
    pub fn make(maker: Maker) -> Option<Place> {
        // SAFETY: takes nothing.
        let root = unsafe { libc::geteuid() } == 0;
        if !root && maker != Maker::Unprivileged {
            println!("skipped: needs root");
            return None;
        }
        let (ours, theirs) = UnixStream::pair().unwrap();
        let theirs_fd = theirs.as_raw_fd();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cofferdam-init"));
        command.args(["--fd", &theirs_fd.to_string()]).env_clear().stdin(Stdio::null());
        // SAFETY: system calls, and a few allocations, which are sound here: the allocator of this libc survives a fork.
        unsafe { command.pre_exec(move || isolate(maker, root, theirs_fd)) };
        match command.spawn() {
            Ok(middle) => Some(Place { stream: Some(ours), middle }),
            Err(error) if maker == Maker::Unprivileged => {
                println!("skipped: no unprivileged user namespace here: {error}");
                None
            }
            Err(error) => panic!("start init: {error}"),
        }
    }

    /// The process id of init, as the host sees it.
    pub fn init_pid(&self) -> u32 {
        let middle = self.middle.id();
        let children = std::fs::read_to_string(format!("/proc/{middle}/task/{middle}/children")).unwrap();
        children.split_whitespace().next().expect("init lives").parse().unwrap()
    }

    /// A line of init's `/proc/PID/status`, in KiB.
    pub fn memory_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.init_pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).expect("the field exists");
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// The most memory that init ever used beside the pages of its program, in KiB: of those the kernel maps as many as it likes.
    pub fn own_peak_kib(&self) -> u64 {
        self.memory_kib("VmHWM").saturating_sub(self.memory_kib("RssFile"))
    }

    /// Waits for the end of init; its exit code.
    pub fn wait(&mut self) -> i32 {
        self.stream = None;
        self.middle.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.wait();
    }
}

/// A process that stays outside of the user namespace and writes its map when told.
fn start_mapper() -> io::Result<(i32, i32)> {
    let mut ends = [0; 2];
    // SAFETY: integers and a buffer for two descriptors.
    unsafe {
        check(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC))?;
        let target = libc::getpid();
        let pid = check(libc::fork())?;
        if pid == 0 {
            let mut byte = 0u8;
            libc::read(ends[0], (&raw mut byte).cast(), 1);
            for map in ["uid_map", "gid_map"] {
                if std::fs::write(format!("/proc/{target}/{map}"), "0 0 65536").is_err() {
                    libc::_exit(1);
                }
            }
            libc::_exit(0);
        }
        Ok((pid, ends[1]))
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Runs in the forked child. Returns only in the process that becomes init.
fn isolate(maker: Maker, root: bool, stream: i32) -> io::Result<()> {
    // SAFETY: all calls take integers or pointers to constants.
    unsafe {
        if maker == Maker::Unprivileged && root {
            check(libc::setgroups(0, std::ptr::null()))?;
            check(libc::setresgid(NOBODY_MUCH, NOBODY_MUCH, NOBODY_MUCH))?;
            check(libc::setresuid(NOBODY_MUCH, NOBODY_MUCH, NOBODY_MUCH))?;
            check(libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0))?;
        }
        let (uid, gid) = (libc::geteuid(), libc::getegid());
        let user = if maker == Maker::Root { 0 } else { libc::CLONE_NEWUSER };
        let mapper = if maker == Maker::RootWithIds { Some(start_mapper()?) } else { None };
        check(libc::unshare(user | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC))?;
        if let Some((pid, go)) = mapper {
            libc::write(go, b"!".as_ptr().cast(), 1);
            let mut status = 0;
            check(libc::waitpid(pid, &raw mut status, 0))?;
        }
        match maker {
            Maker::Root | Maker::RootWithIds => {}
            Maker::Unprivileged => {
                std::fs::write("/proc/self/setgroups", "deny")?;
                std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
                std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
            }
        }
        let pid = check(libc::fork())?;
        if pid > 0 {
            libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
            let mut status = 0;
            libc::waitpid(pid, &raw mut status, 0);
            libc::_exit(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 99 });
        }
        let none = std::ptr::null();
        check(libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()))?;
        check(libc::mount(c"proc".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr(), 0, none.cast()))?;
        let pts = c"newinstance,ptmxmode=0666,mode=0620".as_ptr();
        check(libc::mount(c"devpts".as_ptr(), c"/dev/pts".as_ptr(), c"devpts".as_ptr(), 0, pts.cast()))?;
        check(libc::mount(c"/dev/pts/ptmx".as_ptr(), c"/dev/ptmx".as_ptr(), none, libc::MS_BIND, none.cast()))?;
        check(libc::fcntl(stream, libc::F_SETFD, 0))?;
    }
    Ok(())
}
