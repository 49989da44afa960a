//! What a run wants of what another has archived: `copyArtifacts`.

use serde::{Deserialize, Serialize};

use crate::ids::RunId;
use crate::outcome::Outcome;

/// Which run of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhichRun {
    /// The last one that succeeded, or is unstable.
    #[default]
    LastSuccessful,
    /// The last one that succeeded.
    LastStable,
    /// The last one that is over.
    LastCompleted,
    /// The one of this number.
    Number(u64),
}

impl WhichRun {
    /// How the last one has ended; `None`: it is told by its number.
    pub fn outcomes(self) -> Option<&'static [Outcome]> {
        match self {
            WhichRun::LastSuccessful => Some(&[Outcome::Success, Outcome::Unstable]),
            WhichRun::LastStable => Some(&[Outcome::Success]),
            WhichRun::LastCompleted => Some(&COMPLETED),
            WhichRun::Number(_) => None,
        }
    }
}

/// All ends of a run.
pub const COMPLETED: [Outcome; 5] =
    [Outcome::Success, Outcome::Unstable, Outcome::Failure, Outcome::NotBuilt, Outcome::Aborted];

/// Whose artifacts are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyWish {
    /// Names that the job may have, from the first: a project, or one and a branch of it (`app/main`).
    pub names: Vec<String>,
    /// Which of its runs.
    pub which: WhichRun,
    /// They come without the folders that they lie in.
    pub flatten: bool,
    /// Which run that is: who keeps the runs says so, and nobody else is believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<CopiedRun>,
}

/// The run whose artifacts are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedRun {
    /// Which.
    pub run: RunId,
    /// Its number among those of its job.
    pub number: u64,
}
