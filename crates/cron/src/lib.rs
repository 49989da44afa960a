//! When a trigger starts a run: specifications in Jenkins' cron syntax, and the moments that they name. Pure.
//!
//! ```text
//! TZ=Europe/London        a time zone, on the first line only; without it times are UTC
//! # nightly               a comment, on a line of its own
//! H H(0-7) * * 1-5        minute 0-59, hour 0-23, day of month 1-31, month 1-12, day of week 0-7 (0 and 7 are Sunday)
//! @midnight               @yearly @annually @monthly @weekly @daily @midnight @hourly
//! ```
//!
//! A field is a list, separated by commas, of `*`, `*/n`, `a`, `a-b`, `a-b/n`, `H`, `H/n`, `H(a-b)` and `H(a-b)/n`. `H` is a value that
//! follows from the job's name (`hash.rs` says how). A moment matches a line when all five fields match, the day of the month *and*
//! the day of the week; it matches the specification when it matches one of the lines.
//!
//! When clocks are changed:
//! * A time that does not exist is moved by the length of the gap: 02:30 is 03:30 on a day when 02:00 is followed by 03:00. A run is
//!   neither left out nor, by the clock of somebody who did not change it, late.
//! * A time that exists twice counts the first time only; but a line whose hour field admits every hour means all hours that there
//!   are, not times of a day, and counts both times. So a nightly run is not started twice, and an hourly one does not pause.
//! * Times of several lines that fall on the same moment are one moment.
//!
//! Never: a clock, I/O, randomness, the host's time zones, a search without an end.
//!
//! Start reading at [`Schedule`]; `parse.rs` reads lines, `entry.rs` finds moments.

mod cursor;
mod entry;
mod field;
mod hash;
mod parse;
mod warning;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use entry::Entry;

/// Largest specification in bytes. Those of real jobs have a few lines; the rest of the limit is for comments.
pub const MAX_BYTES: usize = 64 * 1024;
/// Most lines of a specification, with comments and empty ones: each costs a search whenever the next moment is asked for.
pub const MAX_LINES: usize = 100;

/// A specification that was understood: all moments at which it starts a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    entries: Vec<Entry>,
    zone: TimeZone,
    warnings: Vec<Warning>,
}

/// Why a text is no specification, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct CronError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// A line that can be understood but is probably not what was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// From 1.
    pub line: usize,
    /// What it does, and what would be better.
    pub message: String,
}

impl Schedule {
    /// Reads a specification for the job with the full name `name`, from which every `H` follows. Without a line that names a moment it
    /// is valid, and empty.
    pub fn parse(text: &str, name: &str) -> Result<Self, CronError> {
        let (zone, lines) = parse::specification(text, name)?;
        let warnings = warning::all(&lines);
        let entries = lines.iter().map(|line| Entry::new(&line.fields)).collect();
        Ok(Self { entries, zone, warnings })
    }

    /// The first moment after `after_ms`, both in milliseconds since the epoch. `None`: there is none, or none that a calendar until the
    /// year 9999 holds.
    pub fn next_after(&self, after_ms: u64) -> Option<u64> {
        let after = Timestamp::from_millisecond(i64::try_from(after_ms).ok()?).ok()?;
        let next = self.entries.iter().filter_map(|entry| entry.next_after(after, &self.zone)).min()?;
        u64::try_from(next.as_millisecond()).ok()
    }

    /// The first moment after `since_ms` and not after `until_ms`: whether a run is due for somebody who last looked at `since_ms`. However
    /// many moments were missed meanwhile, it is one run.
    pub fn due(&self, since_ms: u64, until_ms: u64) -> Option<u64> {
        self.next_after(since_ms).filter(|moment| *moment <= until_ms)
    }

    /// What is probably not meant as it stands, in the order of the lines.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}
