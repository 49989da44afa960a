//! The loop of the launcher: messages of the driver, words and ends of sandboxes, deadlines, and sandboxes begun ahead.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::cgroup::Cgroups;
use crate::channel;
use crate::embryo::{self, Embryo, Hatch, Nest, Shape, Without};
use crate::fault::{Doing, Result};
use crate::ids::{Ids, Mapping};
use crate::layers::{Layers, bind, clone_tree, writable};
use crate::living::{Clearing, Living, Spare};
use crate::protocol::{End, Fault, FaultKind, Features, LayerSource, Plan, Reply, Request, Settings, Usage, Walls};
use crate::role::Things;
use crate::{rootless, stage, sys, tools};

/// How long cgroups that are still in use are left alone.
const RETRY: Duration = Duration::from_millis(1);
/// So long must nothing happen before the first sandbox is begun ahead of a need that there may never be.
const QUIET: Duration = Duration::from_millis(20);
/// At the end of the driver: how long the cgroups of the last sandboxes are waited for. What is left then, the next sweep takes.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Serves the driver on standard input until it is gone; then ends every sandbox.
pub fn serve() -> std::result::Result<(), Fault> {
    // SAFETY: whoever starts this program gives it its socket as standard input.
    let control = unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(0) };
    sys::set_name(c"cofferdam-launc");
    // Not the terminal's: an interrupt is for the driver to act on.
    let _ = rustix::process::setsid();
    // Memory is hidden from other processes. A user's other processes may do what they like to this one anyway, and it has to
    // write files of its children in `/proc`, which root may always.
    if rustix::process::getuid().is_root() {
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    }
    let first = channel::receive::<Request>(&control).doing(|| "receive the settings".into())?;
    let Some((Request::Start(settings), _)) = first else { return Ok(()) };
    let mut server = match Server::open(control.try_clone().doing(|| "copy a descriptor".into())?, *settings) {
        Ok(server) => server,
        Err(fault) if fault.errno == Errno::PIPE.raw_os_error() => return Ok(()),
        Err(fault) => {
            let reply = Reply::Failed { token: 0, fault: fault.clone() };
            // Who started us says it, once.
            return channel::send(&control, &reply, &[]).map_err(|_| fault);
        }
    };
    let result = server.run();
    server.end_all();
    match result {
        // The driver has gone in the middle of a sentence.
        Err(fault) if fault.errno == Errno::PIPE.raw_os_error() => Ok(()),
        result => result,
    }
}

struct Server {
    control: OwnedFd,
    settings: Settings,
    cgroups: Cgroups,
    ids: Ids,
    layers: Layers,
    time_namespace: bool,
    /// Trees of the host's tools that were made.
    trees: HashSet<String>,
    /// File systems in memory can be id-mapped.
    maps_memory: bool,
    /// A sandbox has ended, so that more are to be expected.
    is_reused: bool,
    /// Removed at the start, and not yet told to anybody.
    swept: Vec<String>,
    /// Work ahead has failed; it is left alone until somebody asks for a sandbox.
    is_tired: bool,
    /// Begun, and told nothing yet.
    ahead: Vec<Embryo>,
    living: Vec<Living>,
    clearing: Vec<Clearing>,
    /// Wait for the workspace that they are to share.
    waiting: Vec<Asked>,
}

/// A sandbox that was asked for.
struct Asked {
    token: u64,
    plan: Plan,
    stream: OwnedFd,
    netns: Option<OwnedFd>,
    /// For its program.
    given: Vec<OwnedFd>,
}

impl Server {
    fn open(control: OwnedFd, settings: Settings) -> Result<Server> {
        // Before a user namespace of our own would hide what the host lets us do.
        let cgroups = Cgroups::open(settings.cgroups);
        let ids = Ids::open(&settings, settings.subordinate)?;
        if let Some(subordinate) = settings.subordinate {
            rootless::enter(subordinate)?;
        }
        stage::enter(&settings, settings.subordinate.is_none())?;
        let layers = Layers::new(settings.loop_devices);
        let mut server = Server {
            control,
            settings,
            cgroups,
            ids,
            layers,
            time_namespace: true,
            trees: HashSet::new(),
            maps_memory: true,
            is_reused: false,
            swept: Vec::new(),
            is_tired: false,
            ahead: Vec::new(),
            living: Vec::new(),
            clearing: Vec::new(),
            waiting: Vec::new(),
        };
        // The first one proves that sandboxes can be begun at all.
        let first = server.begin(&Walls::default(), None, server.ids.as_user())?;
        server.ahead.push(first);
        let features = server.features();
        server.say(&Reply::Ready(features))?;
        // While the driver does something else.
        server.swept = server.cgroups.sweep();
        Ok(server)
    }

    fn features(&self) -> Features {
        let [memory, processes, cpu] = self.cgroups.describe();
        Features {
            privileged: self.settings.subordinate.is_none(),
            memory,
            processes,
            cpu,
            time_namespace: self.time_namespace,
        }
    }

    fn say(&self, reply: &Reply) -> Result<()> {
        channel::send(&self.control, reply, &[]).doing(|| "send to the driver".into())
    }

    /// Until the driver is gone.
    fn run(&mut self) -> Result<()> {
        loop {
            let (spoken, ended, control) = self.wait()?;
            let quiet = spoken.is_empty() && ended.is_empty() && self.clearing.is_empty();
            for token in spoken {
                self.hear(token)?;
            }
            for token in ended {
                self.bury(token)?;
            }
            let now = Instant::now();
            self.living.iter_mut().for_each(|living| living.look(now));
            self.clear()?;
            if control {
                match channel::receive_now::<Request>(&self.control) {
                    Ok(Some((request, descriptors))) => self.obey(request, descriptors)?,
                    Ok(None) => return Ok(()),
                    Err(Errno::AGAIN) => {}
                    Err(errno) => return Err(errno).doing(|| "receive from the driver".into()),
                }
            } else if quiet {
                self.work_ahead();
            }
        }
    }

    /// Waits for something to do: tokens of those who spoke, tokens of those who ended, and whether the driver has.
    fn wait(&mut self) -> Result<(Vec<u64>, Vec<u64>, bool)> {
        let timeout = self.timeout();
        let mut watched = vec![PollFd::new(&self.control, PollFlags::IN)];
        for living in &self.living {
            watched.push(PollFd::new(&living.embryo.pidfd, PollFlags::IN));
            if living.is_hatching() {
                watched.push(PollFd::new(&living.embryo.channel, PollFlags::IN));
            }
        }
        let timeout = timeout.map(|time| Timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        match poll(&mut watched, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).doing(|| "wait".into()),
        }
        let mut ready = watched.iter().map(|entry| !entry.revents().is_empty());
        let control = ready.next().unwrap_or_default();
        let (mut spoken, mut ended) = (Vec::new(), Vec::new());
        for living in &self.living {
            if ready.next().unwrap_or_default() {
                ended.push(living.token);
            }
            if living.is_hatching() && ready.next().unwrap_or_default() {
                spoken.push(living.token);
            }
        }
        Ok((spoken, ended, control))
    }

    /// Nothing else to do. A failure shows when a sandbox is asked for.
    fn work_ahead(&mut self) {
        if !self.is_short() {
            return;
        }
        match self.begin(&Walls::default(), None, self.ids.as_user()) {
            Ok(embryo) => self.ahead.push(embryo),
            Err(_) => self.is_tired = true,
        }
    }

    /// Whether a sandbox should be begun ahead: not while somebody waits for one.
    fn is_short(&self) -> bool {
        !self.is_tired
            && self.ahead.len() < self.settings.ahead as usize
            && !self.living.iter().any(Living::is_hatching)
    }

    fn timeout(&mut self) -> Option<Duration> {
        if !self.clearing.is_empty() {
            return Some(RETRY);
        }
        if self.is_short() {
            return Some(if self.is_reused { Duration::ZERO } else { QUIET });
        }
        let first = self.living.iter().filter_map(Living::next_look).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    fn hear(&mut self, token: u64) -> Result<()> {
        let Some(living) = self.living.iter_mut().find(|living| living.token == token) else { return Ok(()) };
        if let Some(reply) = living.step() {
            let folder = living.folder.take();
            let beside: Vec<_> = folder.iter().map(AsFd::as_fd).collect();
            channel::send(&self.control, &reply, &beside).doing(|| "send to the driver".into())?;
        }
        if self.waiting.is_empty() {
            return Ok(());
        }
        for asked in std::mem::take(&mut self.waiting) {
            self.create(asked)?;
        }
        Ok(())
    }

    fn bury(&mut self, token: u64) -> Result<()> {
        // What it said before it ended counts.
        self.hear(token)?;
        let Some(index) = self.living.iter().position(|living| living.token == token) else { return Ok(()) };
        let (clearing, mapping) = self.living.swap_remove(index).bury();
        self.ids.free(mapping);
        self.clearing.push(clearing);
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        let mut index = 0;
        while let Some(clearing) = self.clearing.get_mut(index) {
            match clearing.finish(&mut self.cgroups) {
                Some(_) => {
                    let clearing = self.clearing.swap_remove(index);
                    self.is_reused = true;
                    self.say(clearing.reply())?;
                }
                None => index += 1,
            }
        }
        Ok(())
    }

    fn obey(&mut self, request: Request, descriptors: Vec<OwnedFd>) -> Result<()> {
        match request {
            Request::Start(_) => Ok(()),
            Request::Create { token, plan } => {
                let mut descriptors = descriptors.into_iter();
                let Some(stream) = descriptors.next() else {
                    return self.say(&Reply::Failed { token, fault: Fault::spec("the stream is missing") });
                };
                let netns = if plan.netns { descriptors.next() } else { None };
                self.create(Asked { token, plan: *plan, stream, netns, given: descriptors.collect() })
            }
            Request::Destroy { token } => {
                if let Some(living) = self.living.iter_mut().find(|living| living.token == token) {
                    living.end(End::Destroyed);
                }
                Ok(())
            }
            Request::Usage { token } => {
                let living = self.living.iter_mut().find(|living| living.token == token);
                let usage = living.map(Living::usage);
                usage.map_or(Ok(()), |usage: Usage| self.say(&Reply::Usage { token, usage }))
            }
            Request::Sweep => {
                let mut swept = std::mem::take(&mut self.swept);
                swept.extend(self.cgroups.sweep());
                self.say(&Reply::Swept(swept))
            }
        }
    }

    fn create(&mut self, asked: Asked) -> Result<()> {
        let token = asked.token;
        match self.try_create(asked) {
            Ok(()) => Ok(()),
            Err(fault) => self.say(&Reply::Failed { token, fault }),
        }
    }

    fn try_create(&mut self, asked: Asked) -> Result<()> {
        let Asked { token, mut plan, stream, mut netns, given } = asked;
        self.is_tired = false;
        let mut shared = None;
        let mut spare = Spare::default();
        let mut mapping = self.ids.as_user().filter(|_| belongs_to_user(&plan));
        if let Some(other) = plan.share_with {
            let gone = || Fault { kind: FaultKind::SharedGone, what: String::new(), errno: 0 };
            let other = self.living.iter().find(|living| living.token == other).ok_or_else(gone)?;
            spare = Rc::clone(&other.workspace);
            mapping = Some(other.mapping());
            // Before anything is taken: what fails leaves it to the others.
            let network = if plan.joins && other.is_alive() { Some(other.network()?) } else { None };
            shared = spare.borrow_mut().take();
            if shared.is_none() {
                if !other.is_alive() && !other.is_hatching() {
                    return Err(gone());
                }
                // Another sharer has it, and gives a new one soon.
                self.waiting.push(Asked { token, plan, stream, netns, given });
                return Ok(());
            }
            if plan.joins {
                netns = network;
                plan.resolv_conf.clone_from(&other.resolv_conf);
            }
        }
        let embryo = match self.embryo_for(&plan, netns.as_ref().map(AsFd::as_fd), mapping) {
            Ok(embryo) => embryo,
            Err(fault) => {
                *spare.borrow_mut() = shared;
                return Err(fault);
            }
        };
        let uncounted = (plan.walls.rlimits && !self.cgroups.has("pids")).then_some(plan.limits.processes);
        let mut living = Living::new(token, embryo, spare, &plan.limits, uncounted);
        living.resolv_conf.clone_from(&plan.resolv_conf);
        match self.hatch(&mut living.embryo, plan, &stream, shared, &given) {
            Ok(folder) => {
                living.folder = folder;
                self.living.push(living);
                Ok(())
            }
            Err(fault) => {
                self.ids.free(living.mapping());
                living.embryo.discard().remove();
                Err(fault)
            }
        }
    }

    fn embryo_for(&mut self, plan: &Plan, netns: Option<BorrowedFd<'_>>, mapping: Option<Mapping>) -> Result<Embryo> {
        if plan.walls == Walls::default() && netns.is_none() && mapping == self.ids.as_user() {
            while let Some(embryo) = self.ahead.pop() {
                if rustix::process::pidfd_send_signal(&embryo.pidfd, rustix::process::Signal::CONT).is_ok() {
                    return Ok(embryo);
                }
                self.ids.free(embryo.mapping);
                embryo.discard().remove();
            }
        }
        self.begin(&plan.walls, netns, mapping)
    }

    fn begin(&mut self, walls: &Walls, netns: Option<BorrowedFd<'_>>, mapping: Option<Mapping>) -> Result<Embryo> {
        let mut nest = Nest {
            settings: &self.settings,
            ids: &mut self.ids,
            cgroups: &mut self.cgroups,
            time_namespace: &mut self.time_namespace,
        };
        embryo::begin(&mut nest, &Shape { walls, netns, mapping })
    }

    fn hatch(
        &mut self,
        embryo: &mut Embryo,
        plan: Plan,
        stream: &OwnedFd,
        shared: Option<OwnedFd>,
        given: &[OwnedFd],
    ) -> Result<Option<OwnedFd>> {
        let mut layers = Vec::new();
        let mut binds = Vec::new();
        let mut targets = Vec::new();
        match &plan.layers {
            Some(sources) => {
                let ids = self.ids.namespace(embryo.mapping);
                for source in sources {
                    layers.push(self.layers.mount(source, ids)?);
                }
            }
            None => {
                layers.push(self.tools(embryo.mapping)?);
                let ids = self.ids.namespace(embryo.mapping);
                for folder in tools::folders(&self.settings.tools) {
                    binds.push(bind(folder, ids)?);
                    targets.push(folder.display().to_string());
                }
            }
        }
        let writable = plan.writable.as_deref().map(|folder| writable(folder, embryo.mapping.first(), &plan.walls));
        let writable = writable.transpose()?;
        for shown in &plan.binds {
            binds.push(clone_tree(&shown.source, true)?);
            targets.push(shown.target.clone());
        }
        let things = plan
            .program
            .as_ref()
            .map(|program| Things::of(&program.role, embryo.mapping.first(), self.ids.namespace(embryo.mapping)));
        let Things { mounts, folder } = things.transpose()?.unwrap_or_default();
        let mut descriptors = vec![stream.as_fd()];
        descriptors.extend(shared.iter().map(AsFd::as_fd));
        descriptors.extend(
            layers.iter().chain(&writable).chain(&binds).chain(&mounts).chain(&folder).chain(given).map(AsFd::as_fd),
        );
        let without = Without { memory: !self.cgroups.has("memory"), processes: !self.cgroups.has("pids") };
        let hatch = Hatch { plan, layers: layers.len(), binds: targets, shared: shared.is_some(), without };
        embryo.hatch(&hatch, &descriptors)?;
        Ok(folder)
    }

    /// The tree with the host's tools as a layer. Memory file systems can be id-mapped since Linux 6.3; before, each range of ids
    /// gets a tree of its own.
    fn tools(&mut self, mapping: Mapping) -> Result<OwnedFd> {
        if self.maps_memory {
            let tree = self.tree("tools".to_owned(), 0)?;
            let ids = self.ids.namespace(mapping);
            match self.layers.mount(&tree, ids) {
                Err(fault) if ids.is_some() && fault.errno == Errno::INVAL.raw_os_error() => self.maps_memory = false,
                result => return result,
            }
        }
        let tree = self.tree(format!("tools-{}", mapping.first()), mapping.first())?;
        self.layers.mount(&tree, None)
    }

    fn tree(&mut self, name: String, root: u32) -> Result<LayerSource> {
        if !self.trees.contains(&name) {
            tools::make(&self.settings.tools, &name, root)?;
            self.trees.insert(name.clone());
        }
        Ok(LayerSource::Dir(name.into()))
    }

    /// The driver is gone: nothing may stay.
    fn end_all(&mut self) {
        for living in &mut self.living {
            living.end(End::Destroyed);
        }
        let mut groups = self.cgroups.close();
        groups.extend(self.ahead.drain(..).map(Embryo::discard));
        groups.extend(self.clearing.drain(..).filter_map(Clearing::into_group));
        groups.extend(self.living.drain(..).filter_map(|living| living.bury().0.into_group()));
        let until = Instant::now() + LAST_WORDS;
        loop {
            groups.retain_mut(|group| !group.remove());
            if groups.is_empty() || Instant::now() >= until {
                break;
            }
            // Nobody else is left to wait for.
            let _ = poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: RETRY.subsec_nanos().into() }));
        }
    }
}

/// Whether the layers of an unprivileged user belong to that user, who is root on the stage. The host's tools count as such
/// layers: a sandbox of an image may share their workspace, and then has the same ids.
fn belongs_to_user(plan: &Plan) -> bool {
    match plan.layers.as_ref().and_then(|layers| layers.last()) {
        Some(LayerSource::Dir(path)) => std::fs::metadata(path).is_ok_and(|found| found.uid() == 0),
        _ => true,
    }
}
