//! How a run, stage or step ended.

use serde::{Deserialize, Serialize};

/// Results in Jenkins' order: a result only ever gets worse, and `worst` is the larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// Everything went well.
    Success,
    /// It ran to its end, with findings (failed tests, `unstable`).
    Unstable,
    /// The workload failed.
    Failure,
    /// It was not built.
    NotBuilt,
    /// Somebody or a limit ended it.
    Aborted,
}

impl Outcome {
    /// The worse of the two.
    pub fn worst(self, other: Outcome) -> Outcome {
        self.max(other)
    }

    /// Jenkins' name: `SUCCESS`, `NOT_BUILT` …
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Success => "SUCCESS",
            Outcome::Unstable => "UNSTABLE",
            Outcome::Failure => "FAILURE",
            Outcome::NotBuilt => "NOT_BUILT",
            Outcome::Aborted => "ABORTED",
        }
    }

    /// The outcome of that name; Jenkins' `Result.fromString` takes any case.
    pub fn from_name(name: &str) -> Option<Outcome> {
        [Outcome::Success, Outcome::Unstable, Outcome::Failure, Outcome::NotBuilt, Outcome::Aborted]
            .into_iter()
            .find(|o| o.name().eq_ignore_ascii_case(name))
    }
}
