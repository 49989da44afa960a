//! Walls that a process raises around itself before it reads a byte of what strangers wrote: no identity, no files, no network, no
//! other processes, a list of system calls, limits.
//!
//! Never: reads input, knows what the process is for, lets a wall down again. Start reading at [`raise`].

mod calls;
mod deed;
mod programs;
mod rise;

use serde::{Deserialize, Serialize};

pub use calls::check;
pub use deed::{Deed, FORBIDDEN, attempt};
pub use programs::no_programs;
pub use rise::{Enclosure, landlock, limit_next, raise, set_limits};

/// The walls around a confined process, as it found them after raising them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walls {
    /// Landlock ABI that was enforced; `None` where the kernel has none (seccomp alone then stands).
    pub landlock_abi: Option<u32>,
    /// The system call filter is in force.
    pub seccomp: bool,
}
