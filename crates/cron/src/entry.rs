//! The moments of one line.

use std::cmp::Ordering;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Span, Timestamp, ToSpan};

use crate::field::{Field, Set};
use crate::parse::FieldValues;

/// How many dates are looked at before a search is given up. Every date falls on every day of the week once in 40 years, and sooner
/// except for 29 February around a century without one.
const MAX_DATES: u32 = 41 * 366;

/// What the five fields of a line admit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
}

impl Entry {
    pub(crate) fn new(fields: &[FieldValues; Field::ALL.len()]) -> Self {
        let [minutes, hours, days, months, weekdays] = fields.each_ref().map(|values| values.set);
        Self { minutes, hours, days, months, weekdays }
    }

    /// The first moment after `after`, by the clocks of `zone`.
    pub(crate) fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        // Times that do not exist on the day before may have been moved into this one.
        let mut date = zone.to_datetime(after).date().yesterday().ok()?;
        for _ in 0..MAX_DATES {
            if let Some(found) = self.first_on(date, after, zone) {
                // They may also have been moved behind the first moment of the next.
                let next = date.tomorrow().ok().and_then(|next| self.first_on(next, after, zone));
                return Some(next.map_or(found, |next| next.min(found)));
            }
            date = self.next_date(date)?;
        }
        None
    }

    /// Some date after `date`, with none that matches between them.
    fn next_date(&self, date: Date) -> Option<Date> {
        if self.months.contains(date.month().cast_unsigned()) {
            date.tomorrow().ok()
        } else {
            date.first_of_month().checked_add(1.month()).ok()
        }
    }

    fn admits(&self, date: Date) -> bool {
        self.months.contains(date.month().cast_unsigned())
            && self.days.contains(date.day().cast_unsigned())
            && self.weekdays.contains(date.weekday().to_sunday_zero_offset().cast_unsigned())
    }

    /// The first moment after `after` of those whose date is `date` before any is moved.
    fn first_on(&self, date: Date, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if !self.admits(date) {
            return None;
        }
        let midnight = at(date, 0, 0);
        if let Some(offset) = constant_offset(midnight, 1.day(), zone) {
            return self.first_at(date, self.hours, after, offset);
        }
        self.hours.at_least(0).filter_map(|hour| self.first_within(at(date, hour, 0), after, zone)).min()
    }

    /// The same for those of the hour that `hour` begins.
    fn first_within(&self, hour: DateTime, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let number = hour.hour().cast_unsigned();
        if let Some(offset) = constant_offset(hour, 1.hour(), zone) {
            return self.first_at(hour.date(), Set::stepped(number, number, 1), after, offset);
        }
        let times = self.minutes.at_least(0).map(|minute| at(hour.date(), number, minute));
        times.flat_map(|time| self.moments(time, zone)).filter(|moment| *moment > after).min()
    }

    /// The same for those of `hours`, which all have the same offset.
    fn first_at(&self, date: Date, hours: Set, after: Timestamp, offset: Offset) -> Option<Timestamp> {
        let passed = offset.to_datetime(after);
        let (hour, minute) = match passed.date().cmp(&date) {
            Ordering::Less => (0, 0),
            Ordering::Equal => (passed.hour().cast_unsigned(), passed.minute().cast_unsigned() + 1),
            Ordering::Greater => return None,
        };
        let same_hour = hours.contains(hour).then(|| self.minutes.at_least(minute).next()).flatten();
        let time = match same_hour {
            Some(minute) => at(date, hour, minute),
            None => at(date, hours.at_least(hour + 1).next()?, self.minutes.at_least(0).next()?),
        };
        offset.to_timestamp(time).ok()
    }

    /// When a time is: the rule for changes of the clock that the head of `lib.rs` states.
    fn moments(&self, time: DateTime, zone: &TimeZone) -> impl Iterator<Item = Timestamp> + use<> {
        let (first, second) = match zone.to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } => (offset, None),
            AmbiguousOffset::Gap { before, .. } => (before, None),
            AmbiguousOffset::Fold { before, after } => (before, self.is_hourly().then_some(after)),
        };
        [Some(first), second].into_iter().flatten().filter_map(move |offset| offset.to_timestamp(time).ok())
    }

    /// Whether it means all hours that there are, rather than times of a day.
    fn is_hourly(&self) -> bool {
        let (first, last) = Field::Hour.bounds();
        self.hours == Set::stepped(first, last, 1)
    }
}

fn at(date: Date, hour: u8, minute: u8) -> DateTime {
    date.at(hour.cast_signed(), minute.cast_signed(), 0, 0)
}

/// The offset of all times from `first` on for a length of at most a day; `None` where a clock is changed meanwhile. None was changed twice
/// within a day since 1970, which a test asserts.
fn constant_offset(first: DateTime, length: Span, zone: &TimeZone) -> Option<Offset> {
    let offset_at = |time: DateTime| match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Unambiguous { offset } => Some(offset),
        _ => None,
    };
    let offset = offset_at(first)?;
    (offset_at(first.checked_add(length).ok()?)? == offset).then_some(offset)
}
