//! The five fields of a line, and sets of their values.

use std::fmt;

/// A field. Prints as people call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Minute,
    Hour,
    Day,
    Month,
    Weekday,
}

impl Field {
    /// In the order of a line.
    pub(crate) const ALL: [Self; 5] = [Self::Minute, Self::Hour, Self::Day, Self::Month, Self::Weekday];

    /// The least and the greatest value, both valid.
    pub(crate) fn bounds(self) -> (u8, u8) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::Day => (1, 31),
            Self::Month => (1, 12),
            Self::Weekday => (0, 7),
        }
    }

    /// What `H` chooses from when it names no range: days that every month has, and Sunday once.
    pub(crate) fn hash_bounds(self) -> (u8, u8) {
        match self {
            Self::Day => (1, 28),
            Self::Weekday => (0, 6),
            _ => self.bounds(),
        }
    }

    /// After how many values it starts afresh, and what then begins; `None` where that differs.
    pub(crate) fn cycle(self) -> Option<(u8, &'static str)> {
        match self {
            Self::Minute => Some((60, "hour")),
            Self::Hour => Some((24, "day")),
            Self::Day => None,
            Self::Month => Some((12, "year")),
            Self::Weekday => Some((7, "week")),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day of the month",
            Self::Month => "month",
            Self::Weekday => "day of the week",
        })
    }
}

/// Values of a field; all fields' values are below 60.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set(u64);

impl Set {
    /// `first`, and every `step`-th after it until `last`.
    pub(crate) fn stepped(first: u8, last: u8, step: u32) -> Self {
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        Self((first..=last).step_by(step.max(1)).fold(0, |bits, value| bits | (1 << value)))
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// With 7, which is Sunday too, written as 0.
    pub(crate) fn with_one_sunday(self) -> Self {
        let sunday = 1 << 7;
        if self.0 & sunday == 0 { self } else { Self((self.0 & !sunday) | 1) }
    }

    pub(crate) fn contains(self, value: u8) -> bool {
        self.0 & (1 << value) != 0
    }

    /// Its values from `least` on, ascending.
    pub(crate) fn at_least(self, least: u8) -> impl Iterator<Item = u8> {
        (least..60).filter(move |value| self.contains(*value))
    }
}
