//! The kernel calls that no safe crate wraps: the one place with `unsafe` in this crate.

use std::ffi::CStr;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::{Errno, Result};

/// What [`clone`] returned, and where.
pub(crate) enum Cloned {
    /// In the new process.
    Child,
    /// In the launcher: the process's id and descriptor.
    Parent(i32, OwnedFd),
}

#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// `CLONE_NEWTIME`: valid for `clone3` although it overlaps the signal bits of `clone`.
pub(crate) const CLONE_NEWTIME: u64 = 0x80;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks into new namespaces. The copy goes on after this call with a copy of all memory, like `fork`.
pub(crate) fn clone(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned> {
    let mut pidfd: i32 = -1;
    let mut args = CloneArgs {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a valid clone_args of the size given; without CLONE_VM and a stack it behaves as fork. The process
    // has one thread, so no lock of another thread is held in the copy. `pidfd` is written before the call returns.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    match result {
        0 => Ok(Cloned::Child),
        // SAFETY: the kernel has stored a new descriptor that nobody else owns.
        pid if pid > 0 => Ok(Cloned::Parent(pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) })),
        _ => Err(last_error()),
    }
}

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

pub(crate) const ATTR_RDONLY: u64 = 0x1;
pub(crate) const ATTR_NOSUID: u64 = 0x2;
pub(crate) const ATTR_NODEV: u64 = 0x4;
pub(crate) const ATTR_NOEXEC: u64 = 0x8;
const ATTR_IDMAP: u64 = 0x0010_0000;

/// Sets attributes of a mount (and of those below it), and the id mapping of a user namespace.
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    set: u64,
    idmap: Option<BorrowedFd<'_>>,
    recursive: bool,
) -> Result<()> {
    let attr = MountAttr {
        set: set | if idmap.is_some() { ATTR_IDMAP } else { 0 },
        clear: 0,
        propagation: 0,
        userns_fd: idmap.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: an empty C string and a valid mount_attr of the size given.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })
}

/// Joins a new session keyring, which nobody else can search.
pub(crate) fn join_new_session_keyring() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) })
}

/// Makes descriptor `to` the same as `from`, kept over `exec` only below 3.
pub(crate) fn duplicate_to(from: i32, to: i32) -> Result<()> {
    if from == to {
        return Ok(());
    }
    let flags = if to < 3 { 0 } else { libc::O_CLOEXEC };
    // SAFETY: the callers own the number `to`.
    check(unsafe { libc::syscall(libc::SYS_dup3, from, to, flags) })
}

/// Makes descriptor `to` the same as `from`, and keeps it over `exec`.
pub(crate) fn hand_down(from: i32, to: i32) -> Result<()> {
    // SAFETY: the callers own the number `to`, and `from` differs from it.
    check(unsafe { libc::syscall(libc::SYS_dup3, from, to, 0) })
}

/// Goes on as another program; everything that is not handed down must be close-on-exec.
pub(crate) fn execute(argv: &[std::ffi::CString], environment: &[std::ffi::CString]) -> Result<()> {
    let pointers = |words: &[std::ffi::CString]| -> Vec<*const libc::c_char> {
        words.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (arguments, variables) = (pointers(argv), pointers(environment));
    let Some(program) = argv.first() else { return Err(Errno::INVAL) };
    // SAFETY: both arrays end with a null pointer, and their strings outlive the call.
    check(unsafe { libc::syscall(libc::SYS_execve, program.as_ptr(), arguments.as_ptr(), variables.as_ptr()) })
}

/// Closes all descriptors from `first` on.
pub(crate) fn close_from(first: u32) -> Result<()> {
    // SAFETY: only descriptors that the caller has given up are closed; their owners are never dropped (the callers are
    // processes that go on with nothing but the descriptors below `first`).
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) })
}

/// Installs a seccomp program for this process and all that it starts.
pub(crate) fn install_filter(filter: &[libc::sock_filter]) -> Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| Errno::TOOBIG)?,
        filter: filter.as_ptr().cast_mut(),
    };
    const SECCOMP_SET_MODE_FILTER: libc::c_uint = 1;
    // SAFETY: the program lives during the call; the kernel copies and checks it.
    check(unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &raw const program) })
}

/// Sets both values of a resource limit.
pub(crate) fn set_rlimit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: a valid structure for the own process.
    check(unsafe {
        libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const limit, std::ptr::null_mut::<libc::rlimit64>())
    })
}

/// Hard limit of a resource.
pub(crate) fn hard_rlimit(resource: u32) -> Result<u64> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills a valid structure of the own process.
    check(unsafe {
        libc::syscall(libc::SYS_prlimit64, 0, resource, std::ptr::null::<libc::rlimit64>(), &raw mut limit)
    })?;
    Ok(limit.rlim_max)
}

/// Sets all three user ids, all three group ids, and no further groups, of the only thread.
pub(crate) fn become_ids(uid: u32, gid: u32) -> Result<()> {
    // SAFETY: plain system calls without pointers that are read.
    unsafe {
        check(libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<u32>()))?;
        check(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        check(libc::syscall(libc::SYS_setresuid, uid, uid, uid))
    }
}

/// Takes leave of any child that has ended; `None` where there is none.
pub(crate) fn reap_any() -> Option<i32> {
    let mut status = 0;
    // SAFETY: the pointer is writable; resources are not asked for.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    (pid > 0).then_some(pid)
}

/// Waits for a child that has ended; its wait status and the resources of it and the children that it waited for.
pub(crate) fn reap(pid: i32) -> Result<(i32, libc::rusage)> {
    let mut status = 0;
    // SAFETY: all-zero is a valid rusage; the kernel fills both.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        loop {
            let result = libc::wait4(pid, &raw mut status, 0, &raw mut usage);
            if result == pid {
                return Ok((status, usage));
            }
            match last_error() {
                Errno::INTR => {}
                errno => return Err(errno),
            }
        }
    }
}

/// Takes (or gives up) a lock on byte `offset` of a file, without waiting. `false`: somebody else has it.
pub(crate) fn lock_byte(file: BorrowedFd<'_>, offset: i64, take: bool) -> Result<bool> {
    let lock = libc::flock {
        l_type: if take { libc::F_WRLCK } else { libc::F_UNLCK } as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: offset,
        l_len: 1,
        l_pid: 0,
    };
    // SAFETY: a valid flock structure; the lock belongs to the open file description.
    match check(unsafe { libc::syscall(libc::SYS_fcntl, file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) }) {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// A socket that listens on a port of this virtual machine, for whoever else runs on or beside its monitor.
pub(crate) fn listen_vsock(port: u32) -> Result<OwnedFd> {
    // SAFETY: all-zero is a valid sockaddr_vm.
    let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
    address.svm_family = libc::AF_VSOCK as libc::sa_family_t;
    address.svm_cid = libc::VMADDR_CID_ANY;
    address.svm_port = port;
    // SAFETY: a plain system call whose descriptor is owned from here on.
    let socket = unsafe {
        match libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) {
            -1 => return Err(last_error()),
            socket => OwnedFd::from_raw_fd(socket),
        }
    };
    let length = size_of::<libc::sockaddr_vm>() as libc::socklen_t;
    // SAFETY: the kernel copies the address, whose length is given.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) }.into())?;
    rustix::net::listen(&socket, 1)?;
    Ok(socket)
}

/// A connection, and the number of the machine at its other end.
pub(crate) fn accept_vsock(listener: BorrowedFd<'_>) -> Result<(OwnedFd, u32)> {
    // SAFETY: all-zero is a valid sockaddr_vm.
    let mut peer: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_vm>() as libc::socklen_t;
    // SAFETY: the kernel writes an address of at most that length; the descriptor is owned from here on.
    unsafe {
        match libc::accept4(listener.as_raw_fd(), (&raw mut peer).cast(), &raw mut length, libc::SOCK_CLOEXEC) {
            -1 => Err(last_error()),
            socket => Ok((OwnedFd::from_raw_fd(socket), peer.svm_cid)),
        }
    }
}

/// A socket to configure interfaces of the current network namespace with, and the request for one of them.
fn interface(name: &str) -> Result<(OwnedFd, libc::ifreq)> {
    // SAFETY: a plain system call whose descriptor is owned from here on; all-zero is a valid ifreq.
    let (socket, mut request): (_, libc::ifreq) = unsafe {
        match libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) {
            -1 => return Err(last_error()),
            socket => (OwnedFd::from_raw_fd(socket), std::mem::zeroed()),
        }
    };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    Ok((socket, request))
}

fn interface_up(socket: &OwnedFd, request: &mut libc::ifreq) -> Result<()> {
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    ioctl_read_from(socket.as_fd(), libc::SIOCSIFFLAGS, request)
}

/// Brings the loopback interface of the current network namespace up.
pub(crate) fn loopback_up() -> Result<()> {
    let (socket, mut request) = interface("lo")?;
    interface_up(&socket, &mut request)
}

/// Brings an interface up with an address of its own, behind which there is one neighbour: the way to everything else.
pub(crate) fn configure_interface(name: &str, address: Ipv4Addr, neighbour: Ipv4Addr) -> Result<()> {
    let plain = |address: Ipv4Addr| {
        // SAFETY: all-zero is a valid sockaddr_in, which fits into a sockaddr.
        let mut plain: libc::sockaddr_in = unsafe { std::mem::zeroed() };
        plain.sin_family = libc::AF_INET as libc::sa_family_t;
        plain.sin_addr.s_addr = u32::from_ne_bytes(address.octets());
        // SAFETY: both are 16 bytes of plain data.
        unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(plain) }
    };
    let host = Ipv4Addr::BROADCAST;
    let (socket, mut request) = interface(name)?;
    for (what, address) in [(libc::SIOCSIFADDR, address), (libc::SIOCSIFNETMASK, host)] {
        request.ifr_ifru.ifru_addr = plain(address);
        ioctl_read_from(socket.as_fd(), what, &request)?;
    }
    interface_up(&socket, &mut request)?;
    let device = std::ffi::CString::new(name).unwrap_or_default();
    let anywhere = Ipv4Addr::UNSPECIFIED;
    for (to, mask, gateway) in [(neighbour, host, None), (anywhere, anywhere, Some(neighbour))] {
        // SAFETY: all-zero is a valid rtentry.
        let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
        (route.rt_dst, route.rt_genmask) = (plain(to), plain(mask));
        route.rt_gateway = plain(gateway.unwrap_or(anywhere));
        route.rt_flags = libc::RTF_UP | if gateway.is_some() { libc::RTF_GATEWAY } else { libc::RTF_HOST };
        route.rt_dev = device.as_ptr().cast_mut();
        ioctl_read_from(socket.as_fd(), libc::SIOCADDRT, &route)?;
    }
    Ok(())
}

/// Gives an interface another address of the link layer.
pub(crate) fn set_link_address(name: &str, mac: [u8; 6]) -> Result<()> {
    let (socket, mut request) = interface(name)?;
    // SAFETY: all-zero is a valid sockaddr.
    let mut address: libc::sockaddr = unsafe { std::mem::zeroed() };
    address.sa_family = libc::ARPHRD_ETHER;
    for (to, from) in address.sa_data.iter_mut().zip(mac) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_hwaddr = address;
    ioctl_read_from(socket.as_fd(), libc::SIOCSIFHWADDR, &request)
}

/// `ioctl` with an integer argument.
pub(crate) fn ioctl_int(file: BorrowedFd<'_>, request: u64, argument: u64) -> Result<i64> {
    // SAFETY: used for requests whose argument is an integer.
    match unsafe { libc::syscall(libc::SYS_ioctl, file.as_raw_fd(), request, argument) } {
        -1 => Err(last_error()),
        value => Ok(value),
    }
}

/// `ioctl` with a pointer to plain data that the kernel only reads.
pub(crate) fn ioctl_read_from<T>(file: BorrowedFd<'_>, request: u64, argument: &T) -> Result<()> {
    // SAFETY: the callers pair each request with its structure.
    check(unsafe { libc::syscall(libc::SYS_ioctl, file.as_raw_fd(), request, std::ptr::from_ref(argument)) })
}

/// Has the kernel use what was written to its random number device.
pub(crate) fn reseed(random: impl AsFd) -> Result<()> {
    const RNDRESEEDCRNG: u64 = 0x5207;
    ioctl_int(random.as_fd(), RNDRESEEDCRNG, 0).map(|_| ())
}

/// Name of the process in lists.
pub(crate) fn set_name(name: &CStr) {
    // SAFETY: the kernel copies at most 16 bytes of a C string; failure has no consequence.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Ends this process without running anything of it.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: does not return.
    unsafe { libc::_exit(code) }
}

fn check(result: libc::c_long) -> Result<()> {
    if result == -1 { Err(last_error()) } else { Ok(()) }
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
