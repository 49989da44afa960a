//! A Docker Engine in the machine, for its one sandbox: its programs come on a disk, its data and the workspace are on the scratch
//! disk, and end with the machine. Whoever has its socket is root here, and nowhere else.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change, unmount,
};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::{Offer, SCRATCH, boot};
use crate::fault::{Doing, Result};
use crate::protocol::{Bind, Fault, Plan};
use crate::sys::{self, Cloned};

/// Modules of the kernel that it needs beside those of every machine, as `boot::MODULES`.
pub(super) const MODULES: &str = "modules/engine";
/// Where its root is made.
const PLACE: &str = "/engine";
const ROOT: &str = "/engine/root";
/// Folder of its root that is the sandbox's folder of workspaces, under the same name, so that paths mean the same to both.
const WORKSPACES: &str = "/workspace";
const SOCKET: &str = "/run/docker.sock";
const CONTAINERD: &str = "/run/containerd/containerd.sock";
/// Addresses of its containers (`daemon.json` of the engine's root).
const CONTAINERS: &str = "172.30.0.0/16";
/// What its changes to its own root may take of the machine's memory.
const CHANGES: &std::ffi::CStr = c"mode=0755,size=64m";
/// How long one of its parts may take to answer.
const PATIENCE: Duration = Duration::from_secs(100);
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
/// Of its log, what is told where it does not start.
const LAST_WORDS: usize = 400;

/// The running engine.
pub(super) struct Engine {
    daemon: Child,
    /// Its mount namespace.
    view: OwnedFd,
}

impl Engine {
    /// Ends it and starts it anew with images in its store. It has made nothing yet that a sudden end could break.
    pub(super) fn with(mut self, offer: &Offer) -> Result<Engine> {
        let _ = self.daemon.kill();
        // Where it had ended before, it was buried with the orphans.
        let _ = self.daemon.wait();
        let _ = fs::remove_file(within("/run/docker.pid"));
        // By which it knows itself; a copy of a machine is not the one that was saved.
        let _ = fs::remove_file(within("/etc/docker/key.json"));
        let _ = fs::remove_file(within(SOCKET));
        for (_, folder) in &offer.mounts {
            let folder = within(folder);
            fs::create_dir_all(&folder).doing(|| format!("make {}", folder.display()))?;
        }
        mount_layers(&self.view, &offer.mounts)?;
        for file in &offer.files {
            let path = parent_made(&file.path)?;
            fs::write(&path, &file.content).doing(|| format!("write {}", path.display()))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(file.mode))
                .doing(|| format!("chmod {}", path.display()))?;
        }
        for (link, target) in &offer.links {
            let path = parent_made(link)?;
            symlink(target, &path).doing(|| format!("make {}", path.display()))?;
        }
        daemon(self.view)
    }
}

fn parent_made(path: &str) -> Result<PathBuf> {
    let path = within(path);
    let parent = path.parent().unwrap_or(&path);
    fs::create_dir_all(parent).doing(|| format!("make {}", parent.display()))?;
    Ok(path)
}

/// Starts it, and waits until it answers.
pub(super) fn start(programs: &Path) -> Result<Engine> {
    boot::load_modules(Path::new("/").join(MODULES).as_path())?;
    make_root(programs)?;
    let view = view()?;
    run(&view, "containerd", &["--log-level", "warn"])?;
    wait_for(CONTAINERD, "containerd", |_| Ok(true))?;
    // The engine itself makes no rules: each of its seventy calls would take a tenth of a second where a processor is translated.
    let rule = ["-t", "nat", "-A", "POSTROUTING", "-s", CONTAINERS, "!", "-d", CONTAINERS, "-j", "MASQUERADE"];
    let ruled = inside(&view, "iptables").args(rule).status();
    if !ruled.doing(|| "start iptables".into())?.success() {
        return Err(Fault::spec("iptables: the addresses of containers cannot be hidden"));
    }
    daemon(view)
}

fn daemon(view: OwnedFd) -> Result<Engine> {
    let daemon = run(&view, "dockerd", &["--log-level", "warn"])?;
    wait_for(SOCKET, "dockerd", |stream| {
        stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer.ends_with(b"200"))
    })?;
    let socket = within(SOCKET);
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).doing(|| format!("open {}", socket.display()))?;
    Ok(Engine { daemon, view })
}

/// What a sandbox sees of it: its socket, and the workspaces that both know by the same path.
pub(super) fn show(plan: &mut Plan) -> Result<()> {
    let resolver = within("/run/resolv.conf");
    fs::write(&resolver, &plan.resolv_conf).doing(|| format!("write {}", resolver.display()))?;
    let bind = |source: &str, target: &str| Bind { source: within(source), target: target.to_owned() };
    plan.binds.push(bind(WORKSPACES, WORKSPACES));
    plan.binds.push(bind(SOCKET, "/run/docker.sock"));
    plan.binds.push(bind(SOCKET, "/var/run/docker.sock"));
    Ok(())
}

fn within(path: &str) -> PathBuf {
    PathBuf::from(format!("{ROOT}{path}"))
}

fn make_root(programs: &Path) -> Result<()> {
    let folder = |path: String| fs::create_dir_all(&path).doing(|| format!("make {path}"));
    folder(PLACE.to_owned())?;
    mount("engine", PLACE, "tmpfs", MountFlags::NODEV, CHANGES).doing(|| format!("mount {PLACE}"))?;
    for name in ["programs", "up", "work", "root"] {
        folder(format!("{PLACE}/{name}"))?;
    }
    let read_only = MountFlags::RDONLY | MountFlags::NODEV;
    mount(programs, "/engine/programs", "erofs", read_only, None).doing(|| format!("mount {}", programs.display()))?;
    let layers = c"lowerdir=/engine/programs,upperdir=/engine/up,workdir=/engine/work";
    mount("engine", ROOT, "overlay", MountFlags::empty(), layers).doing(|| format!("mount {ROOT}"))?;
    let plain = MountFlags::NOSUID | MountFlags::NODEV;
    for (kind, path, options) in
        [("tmpfs", "/run", Some(c"mode=0755")), ("tmpfs", "/tmp", Some(c"mode=1777")), ("proc", "/proc", None)]
    {
        folder(format!("{ROOT}{path}"))?;
        mount(kind, within(path), kind, plain, options).doing(|| format!("mount {ROOT}{path}"))?;
    }
    for path in ["/sys", "/dev"] {
        folder(format!("{ROOT}{path}"))?;
        mount_bind_recursive(path, within(path)).doing(|| format!("bind {path}"))?;
    }
    for (kind, path) in [("tmpfs", "/dev/shm"), ("devpts", "/dev/pts"), ("mqueue", "/dev/mqueue")] {
        folder(format!("{ROOT}{path}"))?;
        // The kernel may have none.
        let _ = mount(kind, within(path), kind, plain, None);
    }
    for (data, path) in [("docker", "/var/lib/docker"), ("workspace", WORKSPACES)] {
        let source = format!("{SCRATCH}/{data}");
        folder(source.clone())?;
        folder(format!("{ROOT}{path}"))?;
        mount_bind(&source, within(path)).doing(|| format!("bind {source}"))?;
    }
    Ok(())
}

/// Its own view of the file systems, with its root as the root of all: who joins a container joins such a view, and would find
/// the machine's root where this one were only a folder of it.
fn view() -> Result<OwnedFd> {
    let (ready, is_ready) = pipe()?;
    let (over, is_over) = pipe()?;
    match sys::clone(0, None).doing(|| "start a process".into())? {
        Cloned::Child => {
            drop((ready, is_over));
            let entered = enter_root().is_ok() && rustix::io::write(&is_ready, &[1]).is_ok();
            let _ = rustix::io::read(&over, &mut [0; 1]);
            sys::exit_now(i32::from(!entered))
        }
        Cloned::Parent(pid, _) => {
            drop((is_ready, over));
            let entered = rustix::io::read(&ready, &mut [0; 1]).is_ok_and(|count| count == 1);
            let path = format!("/proc/{pid}/ns/mnt");
            let view = openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            drop(is_over);
            let _ = sys::reap(pid);
            match entered {
                true => view.doing(|| format!("open {path}")),
                false => Err(Fault::spec("the engine's root cannot be entered")),
            }
        }
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing(|| "make a pipe".into())
}

fn enter_root() -> rustix::io::Result<()> {
    // SAFETY: one thread.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    rustix::process::chdir(ROOT)?;
    rustix::process::pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")
}

/// Mounts layers where the engine sees them.
fn mount_layers(view: &OwnedFd, mounts: &[(PathBuf, String)]) -> Result<()> {
    let mount_all = || {
        move_into_link_name_space(view.as_fd(), Some(LinkNameSpaceType::Mount))?;
        for (disk, folder) in mounts {
            mount(disk, folder, "erofs", MountFlags::RDONLY | MountFlags::NODEV, None)?;
        }
        Ok::<_, rustix::io::Errno>(())
    };
    match sys::clone(0, None).doing(|| "start a process".into())? {
        Cloned::Child => sys::exit_now(mount_all().err().map_or(0, rustix::io::Errno::raw_os_error)),
        Cloned::Parent(pid, _) => {
            let (status, _) = sys::reap(pid).doing(|| "wait for a process".into())?;
            match libc::WEXITSTATUS(status) {
                0 if libc::WIFEXITED(status) => Ok(()),
                code => Err(rustix::io::Errno::from_raw_os_error(code)).doing(|| "mount layers".into()),
            }
        }
    }
}

/// One of its programs, in its root, with nothing of the machine's but the kernel.
fn inside(view: &OwnedFd, program: &str) -> Command {
    let view = view.as_raw_fd();
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        .stdin(Stdio::null());
    // SAFETY: between fork and exec, one system call on a descriptor that is open as long as the engine.
    unsafe {
        command.pre_exec(move || {
            move_into_link_name_space(BorrowedFd::borrow_raw(view), Some(LinkNameSpaceType::Mount))?;
            Ok(())
        });
    }
    command
}

fn log_of(program: &str) -> PathBuf {
    within(&format!("/run/{program}.log"))
}

fn run(view: &OwnedFd, program: &str, arguments: &[&str]) -> Result<Child> {
    let log = File::create(log_of(program)).doing(|| format!("make the log of {program}"))?;
    let copy = log.try_clone().doing(|| "copy a descriptor".into())?;
    let child = inside(view, program).args(arguments).stdout(log).stderr(copy).spawn();
    // Its end is the machine's, or seen by whoever talks to it.
    child.doing(|| format!("start {program}"))
}

fn wait_for(socket: &str, program: &str, answers: impl Fn(&mut UnixStream) -> io::Result<bool>) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    let asked = || {
        let mut stream = UnixStream::connect(within(socket))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        answers(&mut stream)
    };
    while !asked().unwrap_or(false) {
        if Instant::now() > until {
            let log = fs::read(log_of(program)).unwrap_or_default();
            let last = String::from_utf8_lossy(&log[log.len().saturating_sub(LAST_WORDS)..]).into_owned();
            return Err(Fault::spec(format!("{program} does not answer; it says: {last}")));
        }
        let _ = rustix::event::poll(&mut [], Some(&PAUSE));
    }
    Ok(())
}
