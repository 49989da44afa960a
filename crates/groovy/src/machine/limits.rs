//! What a script may use. Each limit has its own error, and no script can catch it.

use std::fmt;

use super::ScriptId;
use crate::span::Span;

/// Limits of one machine.
#[derive(Clone, Copy, Debug)]
pub struct MachineLimits {
    /// Instructions (library work counts, too).
    pub fuel: u64,
    /// Instructions that a fiber runs before others get their turn.
    pub slice: u32,
    /// Bytes that the values of all fibers hold together.
    pub heap_bytes: usize,
    /// Calls inside calls.
    pub call_depth: usize,
    /// Bytes of one string.
    pub string_bytes: usize,
}

impl Default for MachineLimits {
    /// Enough for every pipeline seen; small enough that a server runs hundreds at once.
    fn default() -> Self {
        MachineLimits {
            fuel: 200_000_000,
            slice: 100_000,
            heap_bytes: 256 << 20,
            call_depth: 4_000,
            string_bytes: 64 << 20,
        }
    }
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// [`MachineLimits::fuel`]
    Fuel,
    /// [`MachineLimits::heap_bytes`]
    Heap,
    /// [`MachineLimits::call_depth`]
    CallDepth,
    /// [`MachineLimits::string_bytes`]
    StringLength,
    /// [`crate::value::decimal::DIGITS_MAX`]
    Digits,
}

/// A limit was reached, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitExceeded {
    /// Which.
    pub what: LimitKind,
    /// Its value.
    pub limit: u64,
    /// Where the script was.
    pub span: Span,
    /// In which script.
    pub script: ScriptId,
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.limit;
        match self.what {
            LimitKind::Fuel => write!(f, "the script ran {limit} instructions, which is its limit (an endless loop?)"),
            LimitKind::Heap => write!(f, "the script's values grew beyond its memory limit of {limit} bytes"),
            LimitKind::CallDepth => write!(f, "calls went deeper than the limit of {limit} (an endless recursion?)"),
            LimitKind::StringLength => write!(f, "a string grew beyond the limit of {limit} bytes"),
            LimitKind::Digits => write!(f, "a number grew beyond the limit of {limit} digits"),
        }
    }
}

impl std::error::Error for LimitExceeded {}
