//! What a host can do for a driver, for `doctor`.

use model::rung::Rung;
use serde::Serialize;

/// The findings of one driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Name of the driver.
    pub driver: &'static str,
    /// Its rung.
    pub rung: Rung,
    /// Everything that was looked at, in the order of a reader.
    pub checks: Vec<Check>,
}

/// One thing that a driver needs or can use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What, in a few words: `user namespaces`, `memory limit`.
    pub what: &'static str,
    /// What was found.
    pub finding: Finding,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It is there; how (`cgroup v2`, `file-backed EROFS`).
    Good(String),
    /// It is not, and sandboxes are made without; what is lost, and what would bring it.
    Reduced {
        /// What is lost.
        reason: String,
        /// What to install or set.
        remedy: String,
    },
    /// It is not, and no sandbox can be made.
    Missing {
        /// Why.
        reason: String,
        /// What to install or set.
        remedy: String,
    },
}

impl Probe {
    /// Whether sandboxes can be made.
    pub fn usable(&self) -> bool {
        self.blockers().next().is_none()
    }

    /// What stands in the way.
    pub fn blockers(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| matches!(check.finding, Finding::Missing { .. }))
    }
}
