//! Values of Java's classes that are plain data: dates, addresses, paths, digests. Their methods are in `library::java`.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::{Buffer, Class, Native, Object, Str, Value};

/// A time zone with the name that it was asked for by.
#[derive(Clone, Debug)]
pub struct Zone {
    /// `Europe/Berlin`, `GMT+02:00`, `Z`.
    pub name: Str,
    /// Its rules.
    pub rules: TimeZone,
}

impl Zone {
    /// `UTC`
    pub fn utc() -> Zone {
        Zone { name: Str::new("UTC"), rules: TimeZone::UTC }
    }

    /// Of a fixed offset.
    pub fn fixed(offset: Offset) -> Zone {
        Zone { name: Str::new(offset_text(offset.seconds(), ":", true)), rules: offset.to_time_zone() }
    }

    /// Whether it is nothing but an offset: `Z`, `+02:00`.
    pub fn is_offset(&self) -> bool {
        self.name.starts_with(['+', '-']) || &*self.name == "Z"
    }

    /// The offset at a time, in seconds.
    pub fn offset_at(&self, at: Timestamp) -> i32 {
        self.rules.to_offset(at).seconds()
    }
}

/// How numbers are written: what `#,##0.00` says.
#[derive(Clone, Debug)]
pub struct NumberPattern {
    /// Before the digits.
    pub prefix: Str,
    /// Behind them.
    pub suffix: Str,
    /// Fewest digits before the point.
    pub least_whole: usize,
    /// Fewest digits behind it.
    pub least_fraction: usize,
    /// Most digits behind it.
    pub most_fraction: usize,
    /// Digits between two commas; 0: no commas.
    pub group: usize,
    /// The number is written times ten to the power of this: 2 for percent.
    pub shift: u32,
    /// Java's name of the way to round.
    pub rounding: Str,
}

/// What a Java object holds; its class says what it is.
#[derive(Clone, Debug)]
pub enum Java {
    /// `Date`: milliseconds since 1970.
    Date(i64),
    /// `Calendar`
    Calendar(i64, Zone),
    /// `Instant`
    Instant(Timestamp),
    /// `LocalDate`
    LocalDate(Date),
    /// `LocalTime`
    LocalTime(Time),
    /// `LocalDateTime`
    LocalDateTime(DateTime),
    /// `ZonedDateTime`, `OffsetDateTime`
    Zoned(Timestamp, Zone),
    /// `Duration`
    Duration(SignedDuration),
    /// `Period`: years, months, days.
    Period(i64, i64, i64),
    /// `TimeZone`, `ZoneId`, `ZoneOffset`
    Zone(Zone),
    /// `SimpleDateFormat`, `DateTimeFormatter`: a pattern, and a zone where one was set.
    DateFormat(Str, Option<Zone>),
    /// `DecimalFormat`, `NumberFormat`
    NumberFormat(NumberPattern),
    /// `Base64.Encoder` and `Base64.Decoder`
    Base64 {
        /// `-` and `_` instead of `+` and `/`.
        url: bool,
        /// `=` at the end.
        padded: bool,
    },
    /// `UUID`
    Uuid(u128),
    /// `URL`, `URI`: its text.
    Address(Str),
    /// `File`, `Path`: its text.
    Path(Str),
    /// `MessageDigest`, `Mac`: the algorithm, the key of a `Mac`, the bytes so far (a character each).
    Digest {
        /// `SHA-256`
        algorithm: Str,
        /// Of a `Mac`, once it has one; a character each byte.
        key: Option<Str>,
        /// What was given to it.
        data: Rc<Buffer>,
    },
    /// `JSONNull`, of json-lib.
    JsonNull,
    /// `Random`: the state of Java's generator.
    Random(u64),
}

impl Value {
    /// A `java.util.Date` of milliseconds since 1970.
    pub fn date(ms: i64) -> Value {
        let class = Rc::new(Class::named("java.util.Date", None));
        Value::Object(Rc::new(Object::new(class, Native::Java(Box::new(Java::Date(ms))))))
    }

    /// The milliseconds since 1970 of a date or a calendar.
    pub fn date_ms(&self) -> Option<i64> {
        match self {
            Value::Object(object) => match object.java()? {
                Java::Date(ms) | Java::Calendar(ms, _) => Some(ms),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Java {
    /// `toString()`; `None`: Java shows class and identity.
    pub(crate) fn text(&self) -> Option<String> {
        Some(match self {
            Java::Date(ms) => date_text(*ms, &Zone::utc()),
            Java::Calendar(ms, zone) => format!("java.util.GregorianCalendar[time={ms},zone={}]", zone.name),
            Java::Instant(at) => {
                let local = Offset::UTC.to_datetime(*at);
                format!("{}T{}Z", day_text(local.date()), time_text(local.time(), true))
            }
            Java::LocalDate(date) => day_text(*date),
            Java::LocalTime(time) => time_text(*time, false),
            Java::LocalDateTime(at) => local_text(*at),
            Java::Zoned(at, zone) => {
                let local = zone.rules.to_datetime(*at);
                let offset = offset_text(zone.offset_at(*at), ":", true);
                let name = if zone.is_offset() { String::new() } else { format!("[{}]", zone.name) };
                format!("{}{offset}{name}", local_text(local))
            }
            Java::Duration(length) => duration_text(*length),
            Java::Period(0, 0, 0) => "P0D".into(),
            Java::Period(years, months, days) => {
                let part = |n: &i64, letter: &str| if *n == 0 { String::new() } else { format!("{n}{letter}") };
                format!("P{}{}{}", part(years, "Y"), part(months, "M"), part(days, "D"))
            }
            Java::Zone(zone) => zone.name.to_string(),
            Java::Uuid(id) => {
                let hex = format!("{id:032x}");
                format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
            }
            Java::Address(text) | Java::Path(text) => text.to_string(),
            Java::JsonNull => "null".into(),
            Java::DateFormat(..)
            | Java::NumberFormat(_)
            | Java::Base64 { .. }
            | Java::Digest { .. }
            | Java::Random(_) => return None,
        })
    }

    /// The same of a `java.sql.Timestamp`: `1970-01-01 00:00:00.0`.
    pub(crate) fn timestamp_text(&self) -> Option<String> {
        let Java::Date(ms) = self else { return None };
        let at = Zone::utc().rules.to_datetime(timestamp(*ms));
        let millis = format!("{:03}", at.millisecond());
        let (first, rest) = millis.split_at(1);
        let (day, time) = (day_text(at.date()), at.time());
        let rest = rest.trim_end_matches('0');
        Some(format!("{day} {:02}:{:02}:{:02}.{first}{rest}", time.hour(), time.minute(), time.second()))
    }

    /// `equals`; `None`: only the object itself is.
    pub(crate) fn same(&self, other: &Java) -> Option<bool> {
        match (self, other) {
            (Java::Zoned(a, x), Java::Zoned(b, y)) => Some(a == b && x.name == y.name),
            (Java::Duration(a), Java::Duration(b)) => Some(a == b),
            (Java::Period(a, b, c), Java::Period(x, y, z)) => Some((a, b, c) == (x, y, z)),
            (Java::JsonNull, Java::JsonNull) => Some(true),
            (Java::Zone(a), Java::Zone(b)) => Some(a.name == b.name),
            (Java::Address(a), Java::Address(b)) | (Java::Path(a), Java::Path(b)) => Some(a == b),
            _ => self.order(other).map(Ordering::is_eq),
        }
    }

    /// `compareTo`, where there is one.
    pub(crate) fn order(&self, other: &Java) -> Option<Ordering> {
        Some(match (self, other) {
            (Java::Date(a), Java::Date(b)) => a.cmp(b),
            (Java::Calendar(a, _), Java::Calendar(b, _)) => a.cmp(b),
            (Java::Instant(a), Java::Instant(b)) => a.cmp(b),
            (Java::LocalDate(a), Java::LocalDate(b)) => a.cmp(b),
            (Java::LocalTime(a), Java::LocalTime(b)) => a.cmp(b),
            (Java::LocalDateTime(a), Java::LocalDateTime(b)) => a.cmp(b),
            (Java::Zoned(a, _), Java::Zoned(b, _)) => a.cmp(b),
            (Java::Duration(a), Java::Duration(b)) => a.cmp(b),
            // Java compares the halves as signed numbers.
            (Java::Uuid(a), Java::Uuid(b)) => {
                let halves = |n: &u128| ((n >> 64) as i64, *n as i64);
                halves(a).cmp(&halves(b))
            }
            (Java::Address(a), Java::Address(b)) | (Java::Path(a), Java::Path(b)) => a.as_str().cmp(b.as_str()),
            _ => return None,
        })
    }

    /// Equal ones hash equal.
    pub(crate) fn hash_into<H: Hasher>(&self, state: &mut H) {
        if self.same(self).is_some() {
            self.text().hash(state);
        }
    }
}

/// Short names of the months and the days of the week (from Monday).
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// From Monday.
pub(crate) const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Milliseconds since 1970 as a timestamp; what is beyond the years that are known is moved to their end.
pub(crate) fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// `Thu Jan 01 00:00:00 UTC 1970`
fn date_text(ms: i64, zone: &Zone) -> String {
    let at = zone.rules.to_datetime(timestamp(ms));
    format!(
        "{} {} {:02} {:02}:{:02}:{:02} {} {}",
        &DAYS[at.weekday().to_monday_zero_offset() as usize][..3],
        &MONTHS[at.month() as usize - 1][..3],
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        zone.name,
        at.year()
    )
}

/// `1970-01-01`
pub(crate) fn day_text(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
}

/// `10:15`, `10:15:30`, `10:15:30.123`
fn time_text(time: Time, seconds: bool) -> String {
    let nanos = time.subsec_nanosecond();
    let mut out = format!("{:02}:{:02}", time.hour(), time.minute());
    if seconds || time.second() != 0 || nanos != 0 {
        out += &format!(":{:02}", time.second());
    }
    match nanos {
        0 => {}
        n if n % 1_000_000 == 0 => out += &format!(".{:03}", n / 1_000_000),
        n if n % 1000 == 0 => out += &format!(".{:06}", n / 1000),
        n => out += &format!(".{n:09}"),
    }
    out
}

fn local_text(at: DateTime) -> String {
    format!("{}T{}", day_text(at.date()), time_text(at.time(), false))
}

/// `+02:00`; `Z` for none where that is wanted.
pub(crate) fn offset_text(seconds: i32, between: &str, z: bool) -> String {
    if seconds == 0 && z {
        return "Z".into();
    }
    let (sign, size) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    format!("{sign}{:02}{between}{:02}", size / 3600, size / 60 % 60)
}

/// `PT1H2M3.5S`
fn duration_text(length: SignedDuration) -> String {
    if length.is_zero() {
        return "PT0S".into();
    }
    let (seconds, nanos) = (length.as_secs(), length.subsec_nanos());
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut out = String::from("PT");
    if hours != 0 {
        out += &format!("{hours}H");
    }
    if minutes != 0 {
        out += &format!("{minutes}M");
    }
    if rest != 0 || nanos != 0 {
        let sign = if rest < 0 || nanos < 0 { "-" } else { "" };
        out += &format!("{sign}{}", rest.abs());
        if nanos != 0 {
            let digits = format!("{:09}", nanos.abs());
            out += &format!(".{}", digits.trim_end_matches('0'));
        }
        out.push('S');
    }
    out
}
