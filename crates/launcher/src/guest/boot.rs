//! From the kernel's first instruction for us to a machine that a launcher can work in.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat, statvfs};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change, mount_move};
use rustix::system::finit_module;
use rustix::time::{ClockId, Timespec, clock_settime};

use super::{Network, Places, SCRATCH};
use crate::fault::{Doing, Result};
use crate::sys;

/// Modules of the kernel, one path a line, in the order in which they are loaded.
const MODULES: &str = "/modules/list";
/// Where the root that is not the kernel's own is made.
const ROOT: &str = "/root";
/// The machine's only one.
const INTERFACE: &str = "eth0";
/// Folders of that root.
const FOLDERS: [&str; 6] = ["dev", "proc", "run", "scratch", "sys", "tmp"];

/// Everything.
pub(super) fn boot() -> Result<()> {
    let plain = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    file_system("dev", "/dev", "devtmpfs", MountFlags::NOSUID | MountFlags::NOEXEC)?;
    console();
    file_system("proc", "/proc", "proc", plain)?;
    file_system("sys", "/sys", "sysfs", plain)?;
    load_modules(Path::new(MODULES))?;
    new_root()?;
    file_system("cgroups", "/sys/fs/cgroup", "cgroup2", plain)?;
    file_system("run", "/run", "tmpfs", MountFlags::NOSUID | MountFlags::NODEV)?;
    fs::create_dir("/run/cofferdam").doing(|| "make /run/cofferdam".into())?;
    sys::loopback_up().doing(|| "bring loopback up".into())
}

/// Whether this word stands on the kernel's command line.
pub(super) fn is_told(word: &str) -> bool {
    fs::read_to_string("/proc/cmdline").is_ok_and(|line| line.split_ascii_whitespace().any(|found| found == word))
}

/// Has the driver look at so many places that were empty when the kernel started: this machine is a copy, and has other devices.
pub(super) fn find_devices(places: Places) -> Result<()> {
    for index in places.first..places.first.saturating_add(places.count) {
        let place = format!("LNRO0005:{index:02x}");
        fs::write("/sys/bus/platform/drivers/virtio-mmio/bind", &place).doing(|| format!("find the device {place}"))?;
    }
    Ok(())
}

/// Mounts the disk for what is written. Nobody waits for it to be clean: it ends with the machine.
pub(super) fn scratch(disk: &Path, inodes: u64) -> Result<()> {
    let flags = MountFlags::NOATIME | MountFlags::NODEV;
    mount(disk, SCRATCH, "ext4", flags, Some(c"noinit_itable")).doing(|| format!("mount {}", disk.display()))?;
    let free = statvfs(SCRATCH).doing(|| format!("look at {SCRATCH}"))?.f_ffree;
    // `mkfs` gives each 128 MiB no fewer than 16.
    let taken = Path::new(SCRATCH).join(".taken");
    let take = || {
        fs::create_dir(&taken)?;
        (inodes + 1..free).try_for_each(|number| File::create(taken.join(number.to_string())).map(drop))
    };
    if free > inodes + inodes / 50 + 64 { take().doing(|| "take files away".into()) } else { Ok(()) }
}

/// The folder on it that is a sandbox's writable layer; `None`: there is no such disk.
pub(super) fn writable() -> Option<PathBuf> {
    // Made by mkfs in every such file system.
    let has_disk = Path::new(SCRATCH).join("lost+found").exists();
    has_disk.then(|| Path::new(SCRATCH).join("sandbox"))
}

/// Gives the machine's interface its addresses.
pub(super) fn network(Network { address, neighbour, mac }: Network) -> Result<()> {
    for (setting, value) in [("all/disable_ipv6", "1"), ("default/disable_ipv6", "1")] {
        // A kernel without it has none to switch off.
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{setting}"), value);
    }
    if let Some(mac) = mac {
        sys::set_link_address(INTERFACE, mac).doing(|| format!("give {INTERFACE} an address of its own"))?;
    }
    sys::configure_interface(INTERFACE, address, neighbour).doing(|| format!("configure {INTERFACE}"))
}

/// A copy of a machine knows what its original knew: random numbers and the clock become its own.
pub(super) fn become_fresh(seed: &[u8; 32], now_ns: u64) -> Result<()> {
    let random = openat(CWD, "/dev/urandom", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .doing(|| "open /dev/urandom".into())?;
    rustix::io::write(&random, seed).doing(|| "seed the random numbers".into())?;
    // Without this the kernel mixes the seed in at its next turn, up to a minute later.
    sys::reseed(&random).doing(|| "use the seed".into())?;
    let now = Timespec { tv_sec: (now_ns / 1_000_000_000) as i64, tv_nsec: (now_ns % 1_000_000_000) as i64 };
    clock_settime(ClockId::Realtime, now).doing(|| "set the clock".into())
}

fn file_system(source: &str, target: &str, kind: &str, flags: MountFlags) -> Result<()> {
    match fs::create_dir(target) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error).doing(|| format!("make {target}"))?,
        _ => {}
    }
    mount(source, target, kind, flags, None).doing(|| format!("mount {target}"))
}

/// The kernel gives its first process none where `/dev/console` was missing at its start.
fn console() {
    let Ok(console) = openat(CWD, "/dev/console", OFlags::RDWR, Mode::empty()) else { return };
    let number = std::os::fd::AsRawFd::as_raw_fd(&console);
    for standard in 0..3 {
        let _ = sys::duplicate_to(number, standard);
    }
    if number < 3 {
        std::mem::forget(console);
    }
}

pub(super) fn load_modules(list: &Path) -> Result<()> {
    let list = match fs::read_to_string(list) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result.doing(|| format!("read {}", list.display()))?,
    };
    // What reaches the host is there only where it is the way to it.
    let with_vsock = is_told(super::VSOCK);
    for path in list.lines().filter(|line| !line.is_empty() && (with_vsock || !line.contains("vsock"))) {
        let module = File::open(path).doing(|| format!("open {path}"))?;
        match finit_module(&module, c"", 0) {
            // Built into this kernel.
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            result => result.doing(|| format!("load {path}"))?,
        }
    }
    Ok(())
}

/// Those that an engine may need later go along to the new root.
fn keep_modules_of_engine() {
    let Ok(list) = fs::read_to_string(Path::new("/").join(super::engine::MODULES)) else { return };
    let _ = fs::create_dir(format!("{ROOT}/modules"));
    for path in list.lines().chain([&*format!("/{}", super::engine::MODULES)]) {
        // What is missing is missed when it is loaded.
        let _ = fs::copy(path, format!("{ROOT}{path}"));
    }
}

/// The kernel's first root cannot be left by `pivot_root`, as every sandbox does: goes on in one that can.
fn new_root() -> Result<()> {
    mount("root", ROOT, "tmpfs", MountFlags::empty(), Some(c"mode=0755"))
        .or_else(|_| {
            let _ = fs::create_dir(ROOT);
            mount("root", ROOT, "tmpfs", MountFlags::empty(), Some(c"mode=0755"))
        })
        .doing(|| "mount a root".into())?;
    for folder in FOLDERS {
        let path = Path::new(ROOT).join(folder);
        fs::create_dir(&path).doing(|| format!("make {}", path.display()))?;
    }
    for folder in ["dev", "proc", "sys"] {
        mount_move(format!("/{folder}"), format!("{ROOT}/{folder}")).doing(|| format!("move /{folder}"))?;
    }
    keep_modules_of_engine();
    // Their memory is worth more than they are.
    let _ = fs::remove_dir_all("/modules");
    let _ = fs::remove_file("/init");
    rustix::process::chdir(ROOT).doing(|| "go to the root".into())?;
    mount_move(".", "/").doing(|| "move the root".into())?;
    rustix::process::chroot(".").doing(|| "use the root".into())?;
    rustix::process::chdir("/").doing(|| "go to /".into())?;
    // What is mounted here later, the launcher sees too.
    mount_change("/", MountPropagationFlags::SHARED | MountPropagationFlags::REC).doing(|| "share the root".into())
}
