//! What this machine offers to runs, as it was told at its start: for `run` and `agent`, in the same way.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use agent::{Credentials, Host, HostOptions, KnownLibrary, Noted, Scm, WayOut};
use model::limits::Limits;
use model::request::{AgentSpec, DockerSpec};
use model::resources::Resources;
use model::rung::Rung;
use queue::Offer;
use sandbox::microvm::MonitorKind;
use wire::agent::Offers;

use crate::args::{Elsewhere, LimitArgs, PlaceArgs, WarmImage};
use crate::failure::CommandFailure;
use crate::place;
use crate::standing::{Note, Standing, ask};

/// Projects of which is kept in mind what their runs have asked for.
const MOST_PROJECTS: usize = 1000;

/// See the module.
pub struct Machine {
    drivers: Mutex<place::Drivers>,
    /// Keeps drivers open from run to run.
    standing: Option<Arc<Standing>>,
    /// What each project's runs have asked for.
    noted: Mutex<HashMap<String, Noted>>,
    minimum: (Rung, String),
    monitor: MonitorKind,
    elsewhere: Option<Elsewhere>,
    way_out: WayOut,
    limits: Limits,
    nested: bool,
    home: Option<PathBuf>,
}

/// What differs from run to run.
pub struct Of {
    /// Full name of the project; its last part is that of the workspace's path.
    pub project: String,
    /// What each job may use instead of what it may otherwise.
    pub resources: Resources,
    /// A rung that is asked for beside the machine's own, and who does.
    pub minimum: Option<(Rung, String)>,
    /// Text in which names of images may stand.
    pub mentions: String,
    /// What `checkout scm` checks out.
    pub scm: Option<Arc<dyn Scm>>,
    /// What the run may have of credentials; `None`: a server's run, which has none yet.
    pub credentials: Option<Arc<Credentials>>,
    /// Where archived artifacts go.
    pub artifacts: PathBuf,
    /// Ask the registry for every image.
    pub always_pull: bool,
    /// Variables of every job.
    pub env: Vec<(String, String)>,
    /// Variables (label, name, value) of the jobs that ask for a label.
    pub label_env: Vec<(String, String, String)>,
    /// Libraries that definitions find by their names.
    pub libraries: Vec<KnownLibrary>,
}

impl Of {
    /// No run.
    pub fn nothing() -> Of {
        Of {
            project: String::new(),
            resources: Resources::default(),
            minimum: None,
            mentions: String::new(),
            scm: None,
            credentials: None,
            artifacts: PathBuf::new(),
            always_pull: false,
            env: Vec::new(),
            label_env: Vec::new(),
            libraries: Vec::new(),
        }
    }
}

impl Machine {
    /// # Errors
    /// A monitor that is not there, an engine whose address is none.
    pub fn new(
        args: &PlaceArgs,
        home: Option<&Path>,
        drivers: place::Drivers,
        standing: Option<Standing>,
    ) -> Result<Machine, CommandFailure> {
        let elsewhere = args.engines.elsewhere().map_err(CommandFailure::usage)?;
        Ok(Machine {
            drivers: Mutex::new(drivers),
            standing: standing.map(Arc::new),
            noted: Mutex::default(),
            minimum: args.walls.minimum(),
            monitor: args.monitor.find().map_err(CommandFailure::usage)?,
            way_out: place::way_out(args.network, elsewhere.as_ref())?,
            elsewhere,
            limits: limits(&args.limits),
            nested: args.nested_namespaces,
            home: home.map(Path::to_owned),
        })
    }

    /// The local drivers. Whoever has killed their launcher has ended what was there; for what comes there is another.
    fn drivers(&self) -> Result<place::Drivers, CommandFailure> {
        let mut drivers = self.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        if drivers.local.is_gone() {
            tracing::warn!("the launcher has died, and every sandbox with it; another one is started");
            *drivers = place::drivers()?;
        }
        Ok(drivers.clone())
    }

    /// So many runs of a project wait.
    pub fn waits(&self, project: &str, count: u64) {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner).get(project).cloned();
        if let Some(noted) = noted {
            noted.expect(count);
        }
    }

    fn noted(&self, project: &str) -> Noted {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= MOST_PROJECTS && !noted.contains_key(project) {
            noted.clear();
        }
        noted.entry(project.to_owned()).or_default().clone()
    }

    /// What it has for runs now, as a server wants to know it.
    pub fn offers(&self) -> Offers {
        let home = self.home.as_deref();
        let usable = |offer: &Offer| offer.unusable.is_none() && offer.refuses.is_none();
        let all = place::offers(None, self.elsewhere.as_ref(), &self.monitor, home);
        let all: Vec<_> = all.into_iter().filter(usable).collect();
        let images = place::open_store(home).and_then(|store| store.list()).unwrap_or_default();
        Offers {
            rungs: all.iter().map(|offer| offer.rung).collect(),
            engine: all.iter().any(|offer| offer.engine.is_ok()),
            images: images.iter().map(|image| image.digest.to_string()).collect(),
            ..Offers::default()
        }
    }

    /// For one run.
    pub fn host(&self, of: Of) -> Result<Host, CommandFailure> {
        self.host_with(of, self.standing.as_ref())
    }

    fn host_with(&self, of: Of, standing: Option<&Arc<Standing>>) -> Result<Host, CommandFailure> {
        let mut drivers =
            place::set_of(&self.drivers()?, self.elsewhere.clone(), &self.monitor, self.home.as_deref(), standing);
        drivers.noted = standing.map(|_| self.noted(&of.project));
        let asked = of.minimum.filter(|(rung, _)| *rung > self.minimum.0);
        let minimum = asked.unwrap_or_else(|| self.minimum.clone());
        let store_home = self.home.clone();
        Ok(Host {
            mentions: of.mentions,
            drivers,
            store: Box::new(move || place::open_store(store_home.as_deref())),
            way_out: self.way_out_of(minimum.0),
            minimum,
            scm: of.scm,
            credentials: of.credentials,
            options: HostOptions {
                job_name: of.project.rsplit('/').next().unwrap_or(&of.project).to_owned(),
                limits: limits_of(self.limits, of.resources),
                nested: self.nested,
                always_pull: of.always_pull,
                artifacts: of.artifacts,
                scratch: place::home(self.home.as_deref()).join("scratch"),
                labels: Vec::new(),
                env: of.env,
                label_env: of.label_env,
                libraries: of.libraries,
            },
        })
    }

    fn way_out_of(&self, minimum: Rung) -> WayOut {
        let of_machines = minimum == Rung::Microvm && matches!(self.way_out, WayOut::Internet(_));
        match of_machines.then(sandbox::microvm::MicroVm::without_network).flatten() {
            Some(reason) => WayOut::Impossible(reason),
            None => self.way_out.clone(),
        }
    }

    /// Has as many sandboxes ready at any time as a flag says, of the kind that a job gets which asks for such a one now. `number` is
    /// that flag's.
    ///
    /// # Errors
    /// In words: there is none of the kind, or no room for them.
    pub async fn keep_ready(&self, number: usize, flag: &WarmImage) -> Result<(), String> {
        let Some(standing) = &self.standing else { return Ok(()) };
        let note = Note::default();
        let asking = Arc::new(standing.noting(&note));
        let minimum = flag.rung.map(|rung| (rung, format!("`--warm-image {flag}`")));
        let host = self.host_with(Of { minimum, ..Of::nothing() }, Some(&asking)).map_err(|failure| failure.message)?;
        let agent = match &flag.image {
            Some(image) => AgentSpec::Docker(DockerSpec { image: image.clone(), ..DockerSpec::default() }),
            None => AgentSpec::Any,
        };
        let kind = ask(host, &note, agent, flag.engine.then(|| format!("`--warm-image {flag}`"))).await?;
        standing.keep(number, kind, flag.count).await
    }

    /// Opens the driver of what is elsewhere, where it is not open: it then takes away what agents have left there that were killed,
    /// whether or not a job is ever placed there.
    ///
    /// # Errors
    /// In words: it cannot be reached.
    pub async fn reach_elsewhere(&self) -> Result<(), String> {
        let (Some(elsewhere), Some(standing)) = (self.elsewhere.clone(), &self.standing) else { return Ok(()) };
        let drivers = self.drivers().map_err(|failure| failure.message)?;
        // As a job opens it, or the first would open it once more.
        let of = drivers.local.launcher_pid().to_string();
        let opened = standing.driver(elsewhere.driver(), of, place::open_elsewhere(elsewhere)).await;
        opened.map(drop).map_err(|trouble| trouble.0.message)
    }

    /// Ends what was made ahead.
    pub async fn close(&self) {
        if let Some(standing) = &self.standing {
            standing.close().await;
        }
    }
}

/// Those of all runs, or of one whose project says more or less.
fn limits_of(all: Limits, own: Resources) -> Limits {
    let said = |value: u64| (value > 0).then_some(value);
    Limits {
        memory_bytes: said(own.memory_mib).map_or(all.memory_bytes, |mib| mib.saturating_mul(1 << 20)),
        cpu_millis: said(own.cpu_millis).map_or(all.cpu_millis, |millis| u32::try_from(millis).unwrap_or(u32::MAX)),
        ..all
    }
}

fn limits(args: &LimitArgs) -> Limits {
    let mut limits = Limits::default();
    if let Some(value) = args.memory {
        limits.memory_bytes = value;
    }
    limits.disk_bytes = args.disk.unwrap_or(limits.disk_bytes);
    limits.processes = args.processes.unwrap_or(limits.processes);
    limits.cpu_millis = args.cpus.unwrap_or(limits.cpu_millis);
    limits.wall_ms = args.timeout.unwrap_or(limits.wall_ms);
    limits.log_bytes = args.log.unwrap_or(limits.log_bytes);
    limits
}

/// Files with the limit of memory of each control group that a process is in, of either version, by what the kernel says of it.
fn groups_of(cgroup: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in cgroup.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|one| one == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        files.extend(Path::new(path).ancestors().map(|group| {
            let group = group.to_string_lossy();
            format!("{root}{}/{file}", group.trim_end_matches('/'))
        }));
    }
    files
}

/// What this machine has: all of its memory, or what its control group lets it have, and its processors.
pub fn resources() -> Resources {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let kib = |text: &str| text.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
    let meminfo = read("/proc/meminfo");
    let all = meminfo.lines().find(|line| line.starts_with("MemTotal:")).and_then(kib).map(|kib| kib >> 10);
    let groups = groups_of(&read("/proc/self/cgroup"));
    let limits = groups.iter().filter_map(|path| Some(read(path).trim().parse::<u64>().ok()? >> 20));
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory_mib = all.into_iter().chain(limits).min().unwrap_or_default();
    Resources { memory_mib, cpu_millis: processors as u64 * 1000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_above_a_process_limits_it() {
        let of_service = groups_of("0::/system.slice/agent.service\n");
        let below = |names: [&str; 3]| names.map(|name| format!("/sys/fs/cgroup{name}/memory.max"));
        assert_eq!(of_service, below(["/system.slice/agent.service", "/system.slice", ""]));
        let hybrid = groups_of("5:cpu,cpuacct:/x\n4:memory:/a\n0::/\n");
        let expect = ["memory/a/memory.limit_in_bytes", "memory/memory.limit_in_bytes", "memory.max"];
        assert_eq!(hybrid, expect.map(|file| format!("/sys/fs/cgroup/{file}")));
        let has = resources();
        assert!(has.memory_mib > 0 && has.cpu_millis >= 1000, "{has}");
    }
}
