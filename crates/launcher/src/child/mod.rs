//! What a new process does, from its first instruction to becoming init: it builds its root, gives up all power, and
//! goes on as process 1, in the same program.
//!
//! Until its plan arrives it holds nothing but the channel to the launcher. It sees no path that a workload could have
//! prepared other than through [`root::Root`], which resolves beneath the new root only.

mod etc;
mod kernel;
mod power;
mod program;
mod root;
mod users;

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::Signal;
use rustix::thread::UnshareFlags;

use crate::cgroup::Group;
use crate::channel;
use crate::embryo::{Hatch, Hatched, Mapped};
use crate::fault::{Doing, Result};
use crate::ids::write_once;
use crate::protocol::{Fault, MONITOR, Made, Role, Settings, Walls};
use crate::{role, sys};

/// Exit code of a child that never became a sandbox.
const NOT_MADE: i32 = 71;
/// Where the channel is kept while everything else is closed.
const CHANNEL: i32 = 3;

/// Runs as the child; never returns.
pub(crate) fn run(settings: &Settings, walls: &Walls, given_network: bool, group: &Group, channel: OwnedFd) -> ! {
    // What went wrong ahead is said to the one who asks for a sandbox.
    let begun = begin(walls, given_network, group);
    let Ok(channel) = shed(channel, walls) else { sys::exit_now(NOT_MADE) };
    let Ok(Some((Mapped(true), _))) = channel::receive::<Mapped>(&channel) else { sys::exit_now(NOT_MADE) };
    let begun = begun.and_then(|()| go_ahead(settings, walls, given_network));
    let Ok(Some((hatch, descriptors))) = channel::receive::<Hatch>(&channel) else { sys::exit_now(NOT_MADE) };
    let mut descriptors = Descriptors(descriptors.into_iter());
    let made = begun.and_then(|()| {
        let stream = descriptors.next()?;
        let become_it = become_sandbox(settings, &hatch, &mut descriptors)?;
        Ok((stream, become_it, descriptors.0.collect()))
    });
    match made {
        Ok((stream, (made, places), given)) => {
            let user = made.user;
            // Where the launcher has died before, there is nobody to tell, and this process ends.
            if die_with_launcher().is_err() {
                sys::exit_now(NOT_MADE);
            }
            let all: Vec<_> = places.iter().map(AsFd::as_fd).collect();
            let told = channel::send(&channel, &Hatched::Made(made), &all);
            drop(all);
            drop((places, channel));
            if told.is_err() {
                sys::exit_now(NOT_MADE);
            }
            if let Some(program) = &hatch.plan.program {
                program::become_it(program, user, stream, given);
            }
            match settle(stream, &hatch) {
                Ok(stream) => init::run(init::Stream::Both(stream), init_config(settings, &hatch)),
                Err(_) => sys::exit_now(NOT_MADE),
            }
        }
        Err(fault) => {
            let _ = channel::send(&channel, &Hatched::Failed(fault), &[]);
            sys::exit_now(NOT_MADE)
        }
    }
}

/// Before its ids are mapped, and while it still has the launcher's descriptors.
fn begin(walls: &Walls, given_network: bool, group: &Group) -> Result<()> {
    group.join().doing(|| "move into the cgroups of the sandbox".into())?;
    let mut namespaces = UnshareFlags::NEWUTS;
    if walls.ipc_namespace {
        namespaces |= UnshareFlags::NEWIPC;
    }
    if walls.network_namespace && !given_network {
        namespaces |= UnshareFlags::NEWNET;
    }
    // SAFETY: one thread.
    unsafe { rustix::thread::unshare_unsafe(namespaces) }.doing(|| "make namespaces".into())
}

/// Everything that does not depend on the plan.
fn go_ahead(settings: &Settings, walls: &Walls, given_network: bool) -> Result<()> {
    power::prepare(walls)?;
    // SAFETY: one thread. Only now is this process in the cgroup that the namespace is to begin at.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP) }.doing(|| "make a cgroup namespace".into())?;
    if walls.network_namespace && !given_network {
        sys::loopback_up().doing(|| "bring loopback up".into())?;
        // Where `/proc/sys` is not to be written, ports below 1024 stay root's, whose power no workload has.
        let _ = write_once("/proc/sys/net/ipv4/ip_unprivileged_port_start", b"0");
    }
    kernel::prepare(settings, walls)
}

fn init_config(settings: &Settings, hatch: &Hatch) -> init::InitConfig {
    let walls = &hatch.plan.walls;
    init::InitConfig {
        // The filter stands already, for init too.
        filter: Vec::new(),
        root_capabilities: power::of_root(settings, &hatch.plan),
        drop_capabilities: walls.drop_capabilities,
        no_new_privs: walls.no_new_privs,
        close_descriptors: walls.close_descriptors,
    }
}

/// Has the kernel end this process, and with it the whole sandbox, when the launcher ends. The kernel forgets that whenever ids
/// change, so it is said once more when they no longer do.
fn die_with_launcher() -> rustix::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
}

/// Drops everything that came with the copy of the launcher.
fn shed(channel: OwnedFd, walls: &Walls) -> rustix::io::Result<OwnedFd> {
    // Should that have happened already, the channel is at its end.
    die_with_launcher()?;
    sys::set_name(c"cofferdam-init");
    let null = openat(CWD, "/dev/null", OFlags::RDWR, Mode::empty())?;
    sys::duplicate_to(channel.as_raw_fd(), CHANNEL)?;
    for standard in 0..CHANNEL {
        sys::duplicate_to(null.as_raw_fd(), standard)?;
    }
    // Their numbers are closed below, or are the channel's own.
    std::mem::forget((channel, null));
    if walls.close_descriptors {
        sys::close_from(CHANNEL as u32 + 1)?;
    }
    // SAFETY: the descriptor was just made, and nobody else closes it.
    Ok(unsafe { OwnedFd::from_raw_fd(CHANNEL) })
}

/// The descriptors of the plan, in their order.
struct Descriptors(std::vec::IntoIter<OwnedFd>);

impl Descriptors {
    fn next(&mut self) -> Result<OwnedFd> {
        self.0.next().ok_or_else(|| Fault::spec("a descriptor is missing"))
    }

    fn take(&mut self, count: usize) -> Result<Vec<OwnedFd>> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// Builds the root and gives up all power. Returns who the workload is, and descriptors of the writable layer, the workspace and the
/// network namespace to share, and the other file systems in memory.
fn become_sandbox(settings: &Settings, hatch: &Hatch, descriptors: &mut Descriptors) -> Result<(Made, Vec<OwnedFd>)> {
    let plan = &hatch.plan;
    let shared = if hatch.shared { Some(descriptors.next()?) } else { None };
    let layers = descriptors.take(hatch.layers)?;
    let writable = plan.writable.as_ref().map(|_| descriptors.next()).transpose()?;
    let binds = descriptors.take(hatch.binds.len())?;

    // While this is the launcher's `/proc`.
    let network = openat(CWD, "/proc/self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .doing(|| "open the network namespace".into())?;
    rustix::system::sethostname(plan.hostname.as_bytes()).doing(|| "set the host name".into())?;

    let (root, upper) = root::Root::build(plan, &layers, writable)?;
    drop(layers);
    for (bind, target) in binds.iter().zip(&hatch.binds) {
        root.attach(bind.as_fd(), target)?;
    }
    drop(binds);
    let role = plan.program.as_ref().map(|program| &program.role);
    if !matches!(role, Some(Role::Kernel { .. })) {
        kernel::mount_all(&root, plan)?;
    }
    if let Some(role @ Role::Monitor { program, .. }) = role {
        let names = role::devices(role);
        let devices = names.map(|name| Ok((name, descriptors.next()?))).collect::<Result<Vec<_>>>()?;
        if !devices.is_empty() {
            kernel::add_devices(&root, &devices)?;
        }
        if program.is_some() {
            program::place(&root, MONITOR, &descriptors.next()?)?;
        }
    }
    let inodes = plan.limits.inodes / plan.tmpfs.len().max(1) as u64;
    let in_memory = plan.tmpfs.iter().map(|tmpfs| root.tmpfs(tmpfs, inodes)).collect::<Result<Vec<_>>>()?;
    etc::write(plan, &root)?;
    let mut made = users::resolve(&plan.user, &root)?;
    users::complete(&mut made, &root);
    let workspace = root.workspace(plan, made.user, shared)?;
    match role {
        Some(Role::Kernel { files, .. }) => program::surround(root, files, plan, &descriptors.next()?)?,
        _ => root.enter(plan.read_only_root)?,
    }
    power::limit(plan, hatch.without)?;
    power::drop_all(settings, plan)?;
    Ok((made, [upper, workspace, network].into_iter().chain(in_memory).collect()))
}

/// The last step: nothing but the stream and an own `/dev/null` stays open, and the system call filter stands.
fn settle(stream: OwnedFd, hatch: &Hatch) -> rustix::io::Result<OwnedFd> {
    let null = openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    for standard in 0..CHANNEL {
        sys::duplicate_to(null.as_raw_fd(), standard)?;
    }
    drop(null);
    if hatch.plan.walls.close_descriptors {
        sys::duplicate_to(stream.as_raw_fd(), CHANNEL)?;
        std::mem::forget(stream);
        sys::close_from(CHANNEL as u32 + 1)?;
        // SAFETY: the descriptor was just made, and the numbers above it were closed.
        return Ok(unsafe { OwnedFd::from_raw_fd(CHANNEL) });
    }
    Ok(stream)
}
