//! How strong the walls of a sandbox are.

use serde::{Deserialize, Serialize};

/// Isolation rungs, weakest first; a policy names the lowest that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rung {
    /// The host's own tools, read-only, in fresh namespaces.
    Process,
    /// An OCI image in all namespaces.
    Container,
    /// The image on a user-space kernel.
    Gvisor,
    /// The image on a kernel of its own.
    Microvm,
    /// A fresh machine, used once.
    Machine,
}

impl Rung {
    /// The name in policies, options and messages.
    pub fn name(self) -> &'static str {
        match self {
            Rung::Process => "process",
            Rung::Container => "container",
            Rung::Gvisor => "gvisor",
            Rung::Microvm => "microvm",
            Rung::Machine => "machine",
        }
    }
}

/// What a run needs of the host that makes its sandboxes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Sandboxes of this rung at least.
    pub rung: Rung,
    /// One of them with a Docker Engine of its own.
    pub engine: bool,
    /// Labels that its definition asks for, as an expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl Needs {
    /// Of a rung, and nothing else.
    pub fn of_rung(rung: Rung) -> Needs {
        Needs { rung, engine: false, label: None }
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Needs) -> Needs {
        let label = match (self.label, other.label) {
            (Some(own), Some(other)) if own != other => Some(format!("({own}) && ({other})")),
            (own, other) => own.or(other),
        };
        Needs { rung: self.rung.max(other.rung), engine: self.engine || other.engine, label }
    }
}

/// Whose code a run is, computed from facts that the author of the code has no hand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// What was pushed to a protected branch or tag.
    Protected,
    /// Of somebody with write access.
    Member,
    /// Of everybody else: pull requests from forks.
    Stranger,
}

impl Trust {
    /// The name in policies, options and messages.
    pub fn name(self) -> &'static str {
        match self {
            Trust::Protected => "protected",
            Trust::Member => "member",
            Trust::Stranger => "stranger",
        }
    }

    /// The lowest rung that such code may have, where no policy says more: a stranger's has a kernel of its own.
    pub fn minimum(self) -> Rung {
        match self {
            Trust::Protected | Trust::Member => Rung::Container,
            Trust::Stranger => Rung::Microvm,
        }
    }
}
