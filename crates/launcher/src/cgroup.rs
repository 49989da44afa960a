//! Control groups: memory, processes and share of CPU time of one sandbox, by whichever version the host has for each.
//!
//! Every launcher makes its groups below `cofferdam` at the root of the hierarchy, named by its process id, its start time
//! and a counter, so that a later launcher can tell what the dead ones left. Nothing is ever killed through a group that a
//! later launcher finds: the processes of a sandbox die with their launcher.
//!
//! A group is used for one sandbox after another, as long as nothing of the last one is left in it: no process, and next to
//! no memory. Its counters begin where the last sandbox left them, which [`Group::count`] takes off.

use std::fs;
use std::io::read_to_string;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use model::limits::Limits;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::fault::{Doing, Result};
use crate::hierarchies::{enable, find};
use crate::ids::write_to;
use crate::protocol::Usage;
use crate::stall::Memory;

const FOLDER: &str = "cofferdam";
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];
const CPU_PERIOD_US: u64 = 100_000;
/// Groups that wait for the next sandbox.
const KEPT: usize = 64;
/// A group to which more than this is still charged (page cache, mostly) is not used again: the next sandbox's peak would show it.
const CLEAN_BYTES: u64 = 8 << 20;

/// Where groups are made.
pub(crate) struct Cgroups {
    /// One per hierarchy in use.
    hierarchies: Vec<Hierarchy>,
    prefix: String,
    made: u64,
    /// Empty groups.
    idle: Vec<Group>,
    /// Why a controller is not in use, by [`CONTROLLERS`].
    reasons: [Option<String>; 3],
}

struct Hierarchy {
    base: PathBuf,
    folder: OwnedFd,
    version: u8,
    controllers: Vec<&'static str>,
}

/// The groups of one sandbox.
pub(crate) struct Group {
    name: String,
    members: Vec<Member>,
    /// Limits that are set.
    set: Option<Limits>,
    /// Limits were set, these or others.
    was_set: bool,
    /// What had been counted before this sandbox.
    before: Usage,
    leaving: bool,
}

/// What came of making groups as if they were new.
enum Renewal {
    Empty,
    InUse,
    Unclean,
}

struct Member {
    parent: OwnedFd,
    folder: OwnedFd,
    version: u8,
    controllers: Vec<&'static str>,
}

impl Cgroups {
    /// Looks for the controllers that this host lets us use.
    pub(crate) fn open(wanted: bool) -> Cgroups {
        let prefix = format!("{}-{}-", std::process::id(), start_time("self").unwrap_or_default());
        let mut cgroups =
            Cgroups { hierarchies: Vec::new(), prefix, made: 0, idle: Vec::new(), reasons: [const { None }; 3] };
        if !wanted {
            cgroups.reasons = CONTROLLERS.map(|_| Some("switched off".to_owned()));
            return cgroups;
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for (index, controller) in CONTROLLERS.into_iter().enumerate() {
            if let Err(reason) = cgroups.add(controller, &mounts) {
                cgroups.reasons[index] = Some(reason);
            }
        }
        cgroups
    }

    fn add(&mut self, controller: &'static str, mounts: &str) -> std::result::Result<(), String> {
        let (root, version) =
            find(controller, mounts).ok_or_else(|| format!("no cgroup hierarchy with {controller} is mounted"))?;
        let base = root.join(FOLDER);
        if let Some(known) = self.hierarchies.iter_mut().find(|hierarchy| hierarchy.base == base) {
            enable(&root, &base, version, controller)?;
            known.controllers.push(controller);
            return Ok(());
        }
        match mkdirat(CWD, &base, Mode::from(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(format!("cannot make {}: {errno}", base.display())),
        }
        enable(&root, &base, version, controller)?;
        let folder = openat(CWD, &base, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| format!("cannot open {}: {errno}", base.display()))?;
        if rustix::fs::access(&base, rustix::fs::Access::WRITE_OK).is_err() {
            return Err(format!("no permission to make groups in {}", base.display()));
        }
        self.hierarchies.push(Hierarchy { base, folder, version, controllers: vec![controller] });
        Ok(())
    }

    /// By [`CONTROLLERS`]: the version in use, or why none is.
    pub(crate) fn describe(&self) -> [std::result::Result<u8, String>; 3] {
        std::array::from_fn(|index| {
            let mut hierarchies = self.hierarchies.iter();
            let hierarchy = hierarchies.find(|hierarchy| hierarchy.controllers.contains(&CONTROLLERS[index]));
            hierarchy.map(|hierarchy| hierarchy.version).ok_or_else(|| self.reasons[index].clone().unwrap_or_default())
        })
    }

    pub(crate) fn has(&self, controller: &str) -> bool {
        self.hierarchies.iter().any(|hierarchy| hierarchy.controllers.contains(&controller))
    }

    /// Groups for one sandbox: those that wait, or new ones.
    pub(crate) fn make(&mut self) -> Result<Group> {
        // The one used last is the one that processors remember.
        self.idle.pop().map_or_else(|| self.make_new(), Ok)
    }

    fn make_new(&mut self) -> Result<Group> {
        self.made += 1;
        let name = format!("{}{}", self.prefix, self.made);
        let mut group =
            Group { name, members: Vec::new(), set: None, was_set: false, before: Usage::default(), leaving: false };
        for hierarchy in &self.hierarchies {
            match member(hierarchy, &group.name) {
                Ok(member) => group.members.push(member),
                Err(fault) => {
                    group.remove();
                    return Err(fault);
                }
            }
        }
        Ok(group)
    }

    /// Takes groups back when their sandbox has ended; gives them back while something is left in them.
    pub(crate) fn take_back(&mut self, mut group: Group) -> Option<Group> {
        if self.idle.len() >= KEPT || group.leaving {
            return (!group.remove()).then_some(group);
        }
        match group.renew() {
            Renewal::Empty => {
                self.idle.push(group);
                None
            }
            Renewal::InUse => Some(group),
            Renewal::Unclean => (!group.remove()).then_some(group),
        }
    }

    /// All groups that wait, for the caller to remove.
    pub(crate) fn close(&mut self) -> Vec<Group> {
        std::mem::take(&mut self.idle)
    }

    /// Removes the groups of dead launchers.
    pub(crate) fn sweep(&self) -> Vec<String> {
        let mut removed = Vec::new();
        for hierarchy in &self.hierarchies {
            let Ok(entries) = fs::read_dir(&hierarchy.base) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                if is_dead(name) && unlinkat(&hierarchy.folder, name, AtFlags::REMOVEDIR).is_ok() {
                    removed.push(format!("cgroup {}", hierarchy.base.join(name).display()));
                }
            }
        }
        removed
    }
}

fn member(hierarchy: &Hierarchy, name: &str) -> Result<Member> {
    let what = || format!("make cgroup {}/{name}", hierarchy.base.display());
    match mkdirat(&hierarchy.folder, name, Mode::from(0o755)) {
        // Somebody has removed the folder that was there at the start.
        Err(Errno::NOENT) => {
            return Err(Errno::NOENT).doing(what);
        }
        result => result.doing(what)?,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(&hierarchy.folder, name, flags, Mode::empty()).doing(what)?;
    let parent = hierarchy.folder.try_clone().doing(what)?;
    Ok(Member { parent, folder, version: hierarchy.version, controllers: hierarchy.controllers.clone() })
}

impl Group {
    /// Where `clone3` puts a new process straight away.
    pub(crate) fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        self.members.iter().find(|member| member.version == 2).map(|member| member.folder.as_fd())
    }

    /// Moves the calling process, which has one thread, into the groups that [`Group::clone_into`] does not cover. As a thread that
    /// moves itself: the kernel then need not wait for all processors, as it does for a process (`cgroup.procs`, 10 ms and more).
    pub(crate) fn join(&self) -> rustix::io::Result<()> {
        self.members.iter().filter(|member| member.version == 1).try_for_each(|member| member.write("tasks", 0))
    }

    /// Sets the limits.
    pub(crate) fn limit(&mut self, limits: &Limits) -> Result<()> {
        if self.set.as_ref() == Some(limits) {
            return Ok(());
        }
        self.set = Some(*limits);
        let again = std::mem::replace(&mut self.was_set, true);
        let what = |what: &str| format!("set {what} of cgroup {}", self.name);
        let quota = u64::from(limits.cpu_millis) * CPU_PERIOD_US / 1000;
        for member in &self.members {
            for controller in &member.controllers {
                match (*controller, member.version) {
                    ("memory", 1) => {
                        let file = "memory.limit_in_bytes";
                        if again {
                            // This one may never be the lower one.
                            let _ = member.write_text("memory.memsw.limit_in_bytes", "-1");
                        }
                        member.write(file, limits.memory_bytes).doing(|| what(file))?;
                        member.write_if_there("memory.memsw.limit_in_bytes", limits.memory_bytes)?;
                    }
                    ("memory", _) => {
                        member.write("memory.max", limits.memory_bytes).doing(|| what("memory.max"))?;
                        member.write_if_there("memory.swap.max", 0)?;
                    }
                    ("pids", _) => member.write("pids.max", limits.processes.into()).doing(|| what("pids.max"))?,
                    ("cpu", 1) => {
                        member.write("cpu.cfs_quota_us", quota.max(1000)).doing(|| what("cpu.cfs_quota_us"))?;
                    }
                    _ => {
                        let text = format!("{} {CPU_PERIOD_US}", quota.max(1000));
                        member.write_text("cpu.max", &text).doing(|| what("cpu.max"))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds what the groups have counted.
    pub(crate) fn count(&self, usage: &mut Usage) {
        for member in &self.members {
            for controller in &member.controllers {
                match (*controller, member.version) {
                    ("memory", 1) => {
                        usage.memory_peak = member.number("memory.max_usage_in_bytes");
                        usage.memory_kills = member.field("memory.oom_control", "oom_kill").unwrap_or(0);
                    }
                    ("memory", _) => {
                        usage.memory_peak = member.number("memory.peak");
                        usage.memory_kills = member.field("memory.events", "oom_kill").unwrap_or(0);
                    }
                    ("pids", _) => usage.refused_forks = member.field("pids.events", "max").unwrap_or(0),
                    ("cpu", 2) => usage.cpu_us = member.field("cpu.stat", "usage_usec"),
                    _ => {}
                }
            }
        }
        usage.memory_kills = usage.memory_kills.saturating_sub(self.before.memory_kills);
        usage.refused_forks = usage.refused_forks.saturating_sub(self.before.refused_forks);
        usage.cpu_us = usage.cpu_us.map(|all| all.saturating_sub(self.before.cpu_us.unwrap_or_default()));
    }

    /// What it says of its memory, where it says enough.
    pub(crate) fn memory(&self) -> Option<Memory> {
        let member = self.member_of_memory()?;
        let limit = self.set?.memory_bytes;
        let [current, stat, pressure] =
            ["memory.current", "memory.stat", "memory.pressure"].map(|file| member.read(file));
        Memory::read(&current?, &stat?, &pressure?, limit)
    }

    /// Whether it can tell [`Group::memory`].
    pub(crate) fn tells_memory(&self) -> bool {
        self.member_of_memory().is_some_and(|member| member.read("memory.pressure").is_some())
    }

    fn member_of_memory(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.version == 2 && member.controllers.contains(&"memory"))
    }

    /// Kills the process with the largest memory, but never this one. Whether there was one.
    pub(crate) fn kill_largest(&self, never: i32) -> bool {
        let Some(member) = self.member_of_memory() else { return false };
        let largest = member.processes().into_iter().filter(|pid| *pid != never).max_by_key(|pid| resident_pages(*pid));
        let Some(pid) = largest.and_then(Pid::from_raw) else { return false };
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
        // Meanwhile the number may have become somebody else's.
        member.processes().contains(&pid.as_raw_nonzero().get()) && pidfd_send_signal(&process, Signal::KILL).is_ok()
    }

    /// Makes the groups as if they were new, where nothing is left in them.
    fn renew(&mut self) -> Renewal {
        for member in &self.members {
            match member.read("cgroup.procs") {
                Some(text) if text.is_empty() => {}
                Some(_) => return Renewal::InUse,
                None => return Renewal::Unclean,
            }
        }
        self.before = Usage::default();
        let mut counted = Usage::default();
        self.count(&mut counted);
        self.before = counted;
        for member in &self.members {
            for controller in &member.controllers {
                let clean = match (*controller, member.version) {
                    ("memory", 1) => {
                        member.number("memory.usage_in_bytes").is_some_and(|bytes| bytes < CLEAN_BYTES)
                            && member.write("memory.max_usage_in_bytes", 0).is_ok()
                    }
                    // A peak that cannot be set back for good.
                    ("memory", _) => false,
                    // A sandbox that has used up its share must not hold up the next one.
                    ("cpu", 1) => {
                        let full = self.set.is_none_or(|set| set.cpu_millis >= processors() * 1000);
                        full || {
                            self.set = None;
                            member.write_text("cpu.cfs_quota_us", "-1").is_ok()
                        }
                    }
                    _ => true,
                };
                if !clean {
                    return Renewal::Unclean;
                }
            }
        }
        Renewal::Empty
    }

    /// Removes the groups; `false` while one is still in use.
    pub(crate) fn remove(&mut self) -> bool {
        self.leaving = true;
        let name = &self.name;
        self.members.retain(|member| {
            let result = unlinkat(&member.parent, name.as_str(), AtFlags::REMOVEDIR);
            !matches!(result, Ok(()) | Err(Errno::NOENT))
        });
        self.members.is_empty()
    }
}

impl Member {
    fn open(&self, file: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        openat(&self.folder, file, flags | OFlags::CLOEXEC, Mode::empty())
    }

    fn write(&self, file: &str, value: u64) -> rustix::io::Result<()> {
        self.write_text(file, &value.to_string())
    }

    fn write_text(&self, file: &str, text: &str) -> rustix::io::Result<()> {
        write_to(self.open(file, OFlags::WRONLY)?.as_fd(), text.as_bytes())
    }

    fn write_if_there(&self, file: &str, value: u64) -> Result<()> {
        match self.write(file, value) {
            Err(Errno::NOENT) => Ok(()),
            result => result.doing(|| format!("set {file}")),
        }
    }

    fn read(&self, file: &str) -> Option<String> {
        let file = self.open(file, OFlags::RDONLY).ok()?;
        let mut text = vec![0; 4096];
        let length = rustix::io::read(&file, &mut text).ok()?;
        text.truncate(length);
        String::from_utf8(text).ok()
    }

    fn processes(&self) -> Vec<i32> {
        let text =
            self.open("cgroup.procs", OFlags::RDONLY).ok().and_then(|file| read_to_string(fs::File::from(file)).ok());
        text.unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect()
    }

    fn number(&self, file: &str) -> Option<u64> {
        self.read(file)?.trim().parse().ok()
    }

    fn field(&self, file: &str, field: &str) -> Option<u64> {
        let text = self.read(file)?;
        text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(' ')?.trim().parse().ok())
    }
}

/// Of one that has ended, none.
fn resident_pages(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0)
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX / 1000))
}

/// Whether the launcher that made a group (`PID-START-N`) is no more.
fn is_dead(name: &str) -> bool {
    let mut parts = name.split('-');
    let (Some(pid), Some(start), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    pid.parse::<u32>().is_ok() && start_time(pid).is_none_or(|now| now != start)
}

/// When a process was started, in clock ticks since boot. One that has ended, and that nobody has asked after yet, is none.
fn start_time(pid: &str) -> Option<String> {
    start_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?).map(str::to_owned)
}

fn start_in(stat: &str) -> Option<&str> {
    // The name of the program, in brackets, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.nth(18),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_is_none() {
        let stat = |state: &str| format!("7 (a ) b) {state} 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0");
        assert_eq!(start_in(&stat("S")), Some("12345"));
        assert_eq!(start_in(&stat("Z")), None);
    }

    #[test]
    fn only_groups_of_dead_launchers_are_dead() {
        let own = start_time("self").unwrap();
        assert!(!is_dead(&format!("{}-{own}-1", std::process::id())));
        assert!(is_dead(&format!("{}-{own}1-1", std::process::id())));
        assert!(is_dead("999999999-1-1"));
        assert!(!is_dead("something-else"));
        assert!(!is_dead("user.slice"));
    }
}
