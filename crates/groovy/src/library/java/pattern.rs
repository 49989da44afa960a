//! Patterns of dates: `yyyy-MM-dd'T'HH:mm:ss.SSSZ`, of `SimpleDateFormat` and of `DateTimeFormatter`. English, weeks from
//! Sunday, as in Java's `Locale.US`.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

use crate::value::Zone;
use crate::value::java::{DAYS, MONTHS, offset_text};
use crate::value::text::padded;

/// Longest pattern that is looked at, in characters.
pub(super) const PATTERN_MAX: usize = 1000;

/// A moment as a clock on a wall shows it.
pub(super) struct Moment {
    pub(super) local: DateTime,
    /// Seconds east of Greenwich; `None`: the value has no zone.
    pub(super) offset: Option<i32>,
    /// Short name of the zone: `CET`.
    pub(super) short: String,
    pub(super) zone: String,
}

impl Moment {
    pub(super) fn at(at: jiff::Timestamp, zone: &Zone) -> Moment {
        let info = zone.rules.to_offset_info(at);
        // Zones that have no letters of their own are named by their offset.
        let short = match info.abbreviation() {
            letters if letters.starts_with(|c: char| c.is_ascii_alphabetic()) && !zone.name.starts_with("GMT") => {
                letters.to_string()
            }
            _ => zone.name.to_string(),
        };
        Moment {
            local: zone.rules.to_datetime(at),
            offset: Some(info.offset().seconds()),
            short,
            zone: zone.name.to_string(),
        }
    }

    pub(super) fn local(local: DateTime) -> Moment {
        Moment { local, offset: None, short: String::new(), zone: String::new() }
    }
}

/// One part of a pattern.
enum Part {
    Text(String),
    /// A letter and how often it stands there.
    Field(char, usize),
}

/// The parts; `Err` names a letter that means nothing.
fn parts(pattern: &str) -> Result<Vec<Part>, String> {
    let chars: Vec<char> = pattern.chars().take(PATTERN_MAX).collect();
    let (mut out, mut i) = (Vec::new(), 0);
    let mut text = String::new();
    while i < chars.len() {
        let c = chars[i];
        if c == '\'' {
            i += 1;
            if chars.get(i) == Some(&'\'') {
                text.push('\'');
                i += 1;
                continue;
            }
            loop {
                match chars.get(i) {
                    None => return Err("Unterminated quote".into()),
                    Some('\'') if chars.get(i + 1) == Some(&'\'') => {
                        text.push('\'');
                        i += 2;
                    }
                    Some('\'') => break,
                    Some(c) => {
                        text.push(*c);
                        i += 1;
                    }
                }
            }
            i += 1;
        } else if c.is_ascii_alphabetic() {
            let count = chars[i..].iter().take_while(|o| **o == c).count();
            if !"GyuYMLwWDdFEeaHkKhmsSnzZXxVOQqN".contains(c) {
                return Err(format!("Illegal pattern character '{c}'"));
            }
            if !text.is_empty() {
                out.push(Part::Text(std::mem::take(&mut text)));
            }
            out.push(Part::Field(c, count));
            i += count;
        } else {
            // What is optional when it is read is there when it is written.
            if c != '[' && c != ']' {
                text.push(c);
            }
            i += 1;
        }
    }
    if !text.is_empty() {
        out.push(Part::Text(text));
    }
    Ok(out)
}

/// Writes a moment. `old` is `SimpleDateFormat`.
pub(super) fn format(pattern: &str, moment: &Moment, old: bool) -> Result<String, String> {
    let mut out = String::new();
    for part in parts(pattern)? {
        match part {
            Part::Text(text) => out.push_str(&text),
            Part::Field(letter, count) => out.push_str(&field(letter, count, moment, old)?),
        }
    }
    Ok(out)
}

fn field(letter: char, count: usize, moment: &Moment, old: bool) -> Result<String, String> {
    let at = moment.local;
    let number = |n: i64| padded(&n.to_string(), count, '0');
    let name = |names: &[&str], i: usize| if count >= 4 { names[i].to_string() } else { names[i][..3].to_string() };
    let offset = || moment.offset.ok_or_else(|| "Unsupported field: OffsetSeconds".to_string());
    let weekday = i64::from(at.weekday().to_monday_one_offset());
    let sunday_first = i64::from(at.weekday().to_sunday_zero_offset());
    Ok(match letter {
        'G' => "AD".into(),
        'u' if old => number(weekday),
        'y' | 'u' => year(i64::from(at.year()), count),
        'Y' => year(week_of_year(at.date()).0, count),
        'M' | 'L' if count >= 3 => name(&MONTHS, at.month() as usize - 1),
        'M' | 'L' => number(i64::from(at.month())),
        'Q' | 'q' => number((i64::from(at.month()) - 1) / 3 + 1),
        'w' => number(week_of_year(at.date()).1),
        'W' => number(
            (i64::from(at.day()) - 1 + i64::from(at.date().first_of_month().weekday().to_sunday_zero_offset())) / 7 + 1,
        ),
        'D' => number(i64::from(at.day_of_year())),
        'd' => number(i64::from(at.day())),
        'F' => number((i64::from(at.day()) - 1) / 7 + 1),
        'E' => name(&DAYS, weekday as usize - 1),
        'e' if count >= 3 => name(&DAYS, weekday as usize - 1),
        'e' => number(sunday_first + 1),
        'a' => if at.hour() < 12 { "AM" } else { "PM" }.into(),
        'H' => number(i64::from(at.hour())),
        'k' => number(if at.hour() == 0 { 24 } else { i64::from(at.hour()) }),
        'K' => number(i64::from(at.hour() % 12)),
        'h' => number(if at.hour() % 12 == 0 { 12 } else { i64::from(at.hour() % 12) }),
        'm' => number(i64::from(at.minute())),
        's' => number(i64::from(at.second())),
        'S' if old => number(i64::from(at.millisecond())),
        'S' => {
            format!("{:09}", at.subsec_nanosecond()).chars().chain(std::iter::repeat('0')).take(count.min(9)).collect()
        }
        'n' => number(i64::from(at.subsec_nanosecond())),
        'N' => {
            let seconds = i64::from(at.hour()) * 3600 + i64::from(at.minute()) * 60 + i64::from(at.second());
            number(seconds * 1_000_000_000 + i64::from(at.subsec_nanosecond()))
        }
        'z' => {
            offset()?;
            if count >= 4 && moment.zone == "UTC" { "Coordinated Universal Time".into() } else { moment.short.clone() }
        }
        'V' => {
            offset()?;
            moment.zone.clone()
        }
        'Z' if count == 5 && !old => offset_text(offset()?, ":", true),
        'Z' => offset_text(offset()?, "", false),
        'O' => match offset()? {
            0 => "GMT".into(),
            n => format!("GMT{}", offset_text(n, ":", false)),
        },
        'X' | 'x' => {
            let seconds = offset()?;
            match count {
                _ if seconds == 0 && letter == 'X' => "Z".into(),
                1 if seconds % 3600 == 0 || old => offset_text(seconds, "", false)[..3].into(),
                1 | 2 | 4 => offset_text(seconds, "", false),
                _ => offset_text(seconds, ":", false),
            }
        }
        other => return Err(format!("Illegal pattern character '{other}'")),
    })
}

fn year(year: i64, count: usize) -> String {
    if count == 2 {
        return format!("{:02}", year.rem_euclid(100));
    }
    let sign = if year < 0 { "-" } else { "" };
    format!("{sign}{}", padded(&year.unsigned_abs().to_string(), count.saturating_sub(sign.len()), '0'))
}

/// Year and number of the week: weeks from Sunday, the first is the one with the first of January.
pub(super) fn week_of_year(date: Date) -> (i64, i64) {
    let last = date.last_of_year();
    let left = i64::from(last.day_of_year() - date.day_of_year());
    let next_starts = i64::from(last.weekday().to_sunday_zero_offset());
    // The week of the next first of January.
    if next_starts != 6 && left <= next_starts {
        return (i64::from(date.year()) + 1, 1);
    }
    let first = i64::from(date.first_of_year().weekday().to_sunday_zero_offset());
    (i64::from(date.year()), (i64::from(date.day_of_year()) - 1 + first) / 7 + 1)
}

/// What a text said of a date.
#[derive(Default)]
pub(super) struct Read {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    half: Option<i64>,
    hour_of_half: Option<i64>,
    minute: Option<i64>,
    second: Option<i64>,
    nanos: Option<i64>,
    /// The zone that it names.
    pub(super) zone: Option<Zone>,
}

impl Read {
    pub(super) fn has_date(&self) -> bool {
        self.day.is_some() || self.day_of_year.is_some()
    }

    pub(super) fn has_time(&self) -> bool {
        self.hour.is_some() || self.hour_of_half.is_some()
    }

    /// The moment; what was not said is that of 1970. `strict`: no 32nd of January.
    pub(super) fn moment(&self, strict: bool) -> Option<DateTime> {
        let hour = self.hour.unwrap_or_else(|| self.hour_of_half.map_or(0, |h| h % 12 + 12 * self.half.unwrap_or(0)));
        let (minute, second) = (self.minute.unwrap_or(0), self.second.unwrap_or(0));
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        let year = self.year.unwrap_or(1970);
        if strict {
            let ok = (1..=12).contains(&month) && hour < 24 && minute < 60 && second < 60;
            let date = Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
            let small = |n: i64| i8::try_from(n).ok();
            let nanos = i32::try_from(self.nanos.unwrap_or(0)).ok()?;
            let time = Time::new(small(hour)?, small(minute)?, small(second)?, nanos).ok()?;
            return ok.then(|| date.to_datetime(time));
        }
        let start = Date::new(i16::try_from(year).ok()?, 1, 1).ok()?;
        let days = match self.day_of_year {
            Some(n) if self.day.is_none() => jiff::Span::new().try_days(n - 1).ok()?,
            _ => jiff::Span::new().try_months(month - 1).ok()?.try_days(day - 1).ok()?,
        };
        let seconds = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
        let time = jiff::SignedDuration::new(seconds, 0)
            .checked_add(jiff::SignedDuration::from_nanos(self.nanos.unwrap_or(0)))?;
        start.checked_add(days).ok()?.at(0, 0, 0, 0).checked_add(time).ok()
    }
}

/// Reads a text; `Err`: the position (in bytes) at which it does not fit.
pub(super) fn read(pattern: &str, text: &str, old: bool) -> Result<(Read, usize), usize> {
    let parts = parts(pattern).map_err(|_| 0usize)?;
    let (mut read, mut at) = (Read::default(), 0);
    for (i, part) in parts.iter().enumerate() {
        match part {
            Part::Text(wanted) => {
                if !text[at..].starts_with(wanted.as_str()) {
                    return Err(at);
                }
                at += wanted.len();
            }
            Part::Field(letter, count) => {
                let adjacent = matches!(parts.get(i + 1), Some(Part::Field(next, n)) if is_number(*next, *n));
                at = read_field(&mut read, text, at, *letter, *count, adjacent || !old, old).ok_or(at)?;
            }
        }
    }
    Ok((read, at))
}

fn is_number(letter: char, count: usize) -> bool {
    !("GEaZzXxVO".contains(letter) || matches!(letter, 'M' | 'L') && count >= 3)
}

fn read_field(
    read: &mut Read,
    text: &str,
    at: usize,
    letter: char,
    count: usize,
    fixed: bool,
    old: bool,
) -> Option<usize> {
    let rest = &text[at..];
    if !is_number(letter, count) {
        return read_name(read, rest, letter).map(|n| at + n);
    }
    let most = match letter {
        'y' | 'u' if count != 2 && !(old && fixed) => 9,
        _ if fixed && count == 1 => 19,
        _ if fixed => count,
        _ => 18,
    };
    let skip = if old { rest.len() - rest.trim_start_matches(' ').len() } else { 0 };
    let sign = usize::from(old && rest[skip..].starts_with('-'));
    let digits: String = rest[skip + sign..].chars().take_while(char::is_ascii_digit).take(most).collect();
    if digits.is_empty() || !old && count > 1 && digits.len() < count && !matches!(letter, 'y' | 'u') {
        return None;
    }
    let n: i64 = digits.parse::<i64>().ok()? * if sign == 1 { -1 } else { 1 };
    match letter {
        // Java takes the century that is nearest to the day on which the program runs.
        'y' | 'u' | 'Y' if count == 2 && digits.len() == 2 => {
            read.year = Some(if old && n > 46 { 1900 + n } else { 2000 + n })
        }
        'u' if old => {}
        'y' | 'u' | 'Y' => read.year = Some(n),
        'M' | 'L' => read.month = Some(n),
        'd' => read.day = Some(n),
        'D' => read.day_of_year = Some(n),
        'H' => read.hour = Some(n),
        'k' => read.hour = Some(n % 24),
        'h' | 'K' => read.hour_of_half = Some(n % 12),
        'm' => read.minute = Some(n),
        's' => read.second = Some(n),
        'S' if old => read.nanos = Some(n.checked_mul(1_000_000)?),
        'S' => read.nanos = Some(n * 10i64.pow(9 - digits.len().min(9) as u32)),
        'n' => read.nanos = Some(n),
        _ => {}
    }
    Some(at + skip + sign + digits.len())
}

fn read_name(read: &mut Read, rest: &str, letter: char) -> Option<usize> {
    // The full name, or its first three letters.
    let named = |names: &[&str]| {
        let lower = rest.chars().take(12).collect::<String>().to_ascii_lowercase();
        let full = names.iter().position(|n| lower.starts_with(&n.to_ascii_lowercase())).map(|i| (i, names[i].len()));
        full.or_else(|| names.iter().position(|n| lower.starts_with(&n[..3].to_ascii_lowercase())).map(|i| (i, 3)))
    };
    match letter {
        'G' => rest.starts_with("AD").then_some(2),
        'M' | 'L' => {
            let (i, size) = named(&MONTHS)?;
            read.month = Some(i as i64 + 1);
            Some(size)
        }
        'E' => named(&DAYS).map(|(_, size)| size),
        'a' => {
            let half = rest.get(..2)?.to_ascii_uppercase();
            read.half = Some(match half.as_str() {
                "AM" => 0,
                "PM" => 1,
                _ => return None,
            });
            Some(2)
        }
        _ => {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-:/_".contains(c))).unwrap_or(rest.len());
            let zone = super::zone::find(&rest[..end])?;
            read.zone = Some(zone);
            Some(end)
        }
    }
}

/// `+02:00`, `+0200`, `-7`, `Z` as an offset.
pub(super) fn offset(text: &str) -> Option<Offset> {
    if text == "Z" {
        return Some(Offset::UTC);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = match digits.len() {
        1 | 2 => (digits.parse::<i32>().ok()?, 0),
        3 => (digits[..1].parse().ok()?, digits[1..].parse().ok()?),
        4 => (digits[..2].parse().ok()?, digits[2..].parse().ok()?),
        _ => return None,
    };
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok().filter(|_| hours <= 18 && minutes < 60)
}
