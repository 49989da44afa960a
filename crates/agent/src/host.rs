//! What this host offers to jobs: drivers, images, a network, the project's files.

use std::path::PathBuf;
use std::sync::Arc;

use image::Store;
use model::limits::Limits;
use model::rung::Rung;
use queue::Need;
use sandbox::NetworkSource;
use sandbox::net::EgressOnDemand;
use tokio::sync::mpsc;

use crate::credentials::{self, Credentials};
use crate::drivers::Drivers;
use crate::failure::Trouble;
use crate::job::{Maker, Told};
use crate::library::KnownLibrary;
use crate::scm::Scm;

/// How jobs are run.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Name of the run's project: the last part of the workspace's path.
    pub job_name: String,
    /// Upper limits of each sandbox.
    pub limits: Limits,
    /// Programs of jobs with an image may make namespaces of their own: the operator's decision.
    pub nested: bool,
    /// Ask the registry for every image.
    pub always_pull: bool,
    /// Where archived artifacts go, where no server takes them.
    pub artifacts: PathBuf,
    /// Folder for stashes and other data of this run, outside of every sandbox.
    pub scratch: PathBuf,
    /// `NODE_LABELS`.
    pub labels: Vec<String>,
    /// Variables of every job.
    pub env: Vec<(String, String)>,
    /// Variables (label, name, value) of the jobs that ask for a label.
    pub label_env: Vec<(String, String, String)>,
    /// Libraries that definitions find by their names.
    pub libraries: Vec<KnownLibrary>,
}

/// What sandboxes may reach.
#[derive(Clone)]
pub enum WayOut {
    /// The internet.
    Internet(Arc<EgressOnDemand>),
    /// Nothing, because nobody wants it.
    Unwanted,
    /// Nothing, because this host cannot, for this reason.
    Impossible(String),
}

impl WayOut {
    /// Why there is none.
    pub(crate) fn missing(&self) -> Option<&str> {
        match self {
            WayOut::Internet(_) => None,
            WayOut::Unwanted => Some("it was switched off"),
            WayOut::Impossible(reason) => Some(reason),
        }
    }
}

/// This host.
pub struct Host {
    /// What makes sandboxes.
    pub drivers: Drivers,
    /// The lowest rung that jobs with an image may have, and who says so.
    pub minimum: (Rung, String),
    /// Images; opened when the first job names one.
    pub store: Box<dyn Fn() -> Result<Store, image::ImageError> + Send + Sync>,
    /// Text in which names of images may stand: the definition, and what the project builds images with.
    pub mentions: String,
    /// What sandboxes may reach.
    pub way_out: WayOut,
    /// What `checkout scm` checks out.
    pub scm: Option<Arc<dyn Scm>>,
    /// What the run may have of credentials; `None`: a server's run, which has none yet.
    pub credentials: Option<Arc<Credentials>>,
    /// How.
    pub options: HostOptions,
}

impl Host {
    /// What a job needs, before its definition is asked.
    pub(crate) fn need(&self, image: bool) -> Need {
        Need {
            image,
            minimum: self.minimum.clone(),
            engine: None,
            shares: None,
            network: self.way_out.missing().is_none(),
            nested: self.options.nested,
            memory_bytes: self.options.limits.memory_bytes,
            layers: None,
            device: None,
        }
    }

    /// Says that so many jobs with this image are to be expected, so that sandboxes for them can be made ahead. Pulls it where it
    /// is not in the store.
    ///
    /// # Errors
    /// It cannot be had, or no driver fits.
    pub async fn expect(&self, image: &str, count: u64) -> Result<(), Trouble> {
        // Nobody listens to its progress.
        let (events, _) = mpsc::channel(1);
        let maker = Maker { host: self, events: &events, told: &Told::default() };
        maker.expect(image, count).await
    }

    /// What the run has of credentials, for the use of that one.
    pub(crate) fn credentials(&self, id: &str) -> Result<&Credentials, Trouble> {
        self.credentials.as_deref().ok_or_else(|| credentials::none_here(id))
    }

    /// The network of a new sandbox.
    pub(crate) fn network(&self, wanted: bool) -> NetworkSource {
        match &self.way_out {
            WayOut::Internet(egress) if wanted => NetworkSource::OnDemand(Arc::clone(egress) as _),
            _ => NetworkSource::None,
        }
    }
}
