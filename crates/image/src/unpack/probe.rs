//! Deeds that a confined child must not be able to do, tried on purpose.

pub use confine::{Deed, FORBIDDEN};
use confine::{Enclosure, attempt, landlock, raise, set_limits};
use serde::{Deserialize, Serialize};

use super::child::{OPEN_FILES, STREAM_CALLS};
use super::fault::Said;
use super::{LayerReport, UnpackLimits, Walls};

/// Which walls stand while it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// None: the positive control.
    None,
    /// Landlock, without the system call filter in front of it.
    Landlock,
    /// All, as around a converter.
    All,
}

/// Raises the walls and does the deed. [`Said::Done`] if nothing stopped it, [`Said::Output`] if a call failed; the
/// system call filter kills.
pub(super) fn run(deed: Deed, standing: Standing) -> Said {
    let walls = match standing {
        Standing::None => Ok(Walls::default()),
        Standing::Landlock => landlock(Enclosure::Streams)
            .map(|abi| Walls { landlock_abi: abi, seccomp: false })
            .map_err(|error| error.to_string()),
        Standing::All => set_limits(256 << 20, 1, 0, OPEN_FILES).and_then(|()| raise(Enclosure::Streams, STREAM_CALLS)),
    };
    match walls.map(|walls| (walls, attempt(deed, standing == Standing::All))) {
        Err(message) => Said::Confine(message),
        Ok((walls, Ok(()))) => Said::Done(LayerReport { walls, ..LayerReport::default() }),
        Ok((_, Err(error))) => Said::Output(error.to_string()),
    }
}

/// Limits that a probe of memory or time is held to.
pub fn limits() -> UnpackLimits {
    UnpackLimits { memory_bytes: 256 << 20, cpu_seconds: 1, ..UnpackLimits::default() }
}
