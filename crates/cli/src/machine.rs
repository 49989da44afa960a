//! What this machine offers to runs, as it was told at its start: for `run` and `agent`, in the same way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent::{Host, HostOptions, Scm, WayOut};
use model::limits::Limits;
use model::rung::Rung;
use sandbox::microvm::MonitorKind;

use crate::args::{Elsewhere, LimitArgs, Network, PlaceArgs};
use crate::failure::CommandFailure;
use crate::place;
use crate::standing::Standing;

/// See the module.
pub struct Machine {
    drivers: place::Drivers,
    /// Keeps drivers open from run to run.
    standing: Option<Arc<Standing>>,
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
    /// Name of the project: the last part of the workspace's path.
    pub job_name: String,
    /// A rung that is asked for beside the machine's own, and who does.
    pub minimum: Option<(Rung, String)>,
    /// Text in which names of images may stand.
    pub mentions: String,
    /// What `checkout scm` checks out.
    pub scm: Option<Arc<dyn Scm>>,
    /// Where archived artifacts go.
    pub artifacts: PathBuf,
    /// Ask the registry for every image.
    pub always_pull: bool,
    /// Variables of every job.
    pub env: Vec<(String, String)>,
    /// Variables (label, name, value) of the jobs that ask for a label.
    pub label_env: Vec<(String, String, String)>,
}

impl Of {
    /// No run.
    pub fn nothing() -> Of {
        Of {
            job_name: String::new(),
            minimum: None,
            mentions: String::new(),
            scm: None,
            artifacts: PathBuf::new(),
            always_pull: false,
            env: Vec::new(),
            label_env: Vec::new(),
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
        Ok(Machine {
            drivers,
            standing: standing.map(Arc::new),
            minimum: args.walls.minimum(),
            monitor: args.monitor.find().map_err(CommandFailure::usage)?,
            elsewhere: args.engines.elsewhere().map_err(CommandFailure::usage)?,
            way_out: match args.network {
                Network::None => WayOut::Unwanted,
                Network::Internet => place::egress().map_or_else(WayOut::Impossible, WayOut::Internet),
            },
            limits: limits(&args.limits),
            nested: args.nested_namespaces,
            home: home.map(Path::to_owned),
        })
    }

    /// For one run.
    pub fn host(&self, of: Of) -> Host {
        let asked = of.minimum.filter(|(rung, _)| *rung > self.minimum.0);
        let minimum = asked.unwrap_or_else(|| self.minimum.clone());
        let store_home = self.home.clone();
        Host {
            mentions: of.mentions,
            drivers: place::set_of(
                &self.drivers,
                self.elsewhere.clone(),
                &self.monitor,
                self.home.as_deref(),
                self.standing.as_ref(),
            ),
            store: Box::new(move || place::open_store(store_home.as_deref())),
            way_out: self.way_out_of(minimum.0),
            minimum,
            scm: of.scm,
            options: HostOptions {
                job_name: of.job_name,
                limits: self.limits,
                nested: self.nested,
                always_pull: of.always_pull,
                artifacts: of.artifacts,
                scratch: place::home(self.home.as_deref()).join("scratch"),
                labels: Vec::new(),
                env: of.env,
                label_env: of.label_env,
            },
        }
    }

    fn way_out_of(&self, minimum: Rung) -> WayOut {
        let of_machines = minimum == Rung::Microvm && matches!(self.way_out, WayOut::Internet(_));
        match of_machines.then(sandbox::microvm::MicroVm::without_network).flatten() {
            Some(reason) => WayOut::Impossible(reason),
            None => self.way_out.clone(),
        }
    }

    /// Ends what was made ahead.
    pub async fn close(&self) {
        if let Some(standing) = &self.standing {
            standing.close().await;
        }
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
