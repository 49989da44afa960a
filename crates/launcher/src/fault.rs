//! Failures with the operation and the object that failed.

use std::fmt;

use rustix::io::Errno;

use crate::protocol::{Fault, FaultKind};

pub(crate) type Result<T> = std::result::Result<T, Fault>;

/// Says what was being done when a call failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for rustix::io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| Fault { kind: FaultKind::Kernel, what: what(), errno: errno.raw_os_error() })
    }
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            Fault { kind: FaultKind::Kernel, what: what(), errno }
        })
    }
}

impl Fault {
    /// The specification cannot be met.
    pub(crate) fn spec(what: impl Into<String>) -> Fault {
        Fault { kind: FaultKind::Spec, what: what.into(), errno: 0 }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno {
            0 => write!(f, "{}", self.what),
            errno => write!(f, "{}: {}", self.what, Errno::from_raw_os_error(errno)),
        }
    }
}
