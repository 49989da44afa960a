//! Points in time in YAML 1.1: `2026-11-30`, `2026-11-30T08:15:00.25+01:00`. They are read as `java.util.Date`.

/// Milliseconds since 1970 of a plain scalar that is one. Without a zone it is UTC, and what a month or a day has too many goes on in
/// the next one, as Java's lenient calendar has it.
///
/// Source: the implicit resolver and `ConstructYamlTimestamp` of SnakeYAML.
pub(super) fn read(text: &str) -> Option<i64> {
    let (year, rest) = number(text, 4, 4)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 1, 2)?;
    let day_text = rest.strip_prefix('-')?;
    let (day, rest) = number(day_text, 1, 2)?;
    let midnight = days(year, month, day) * 86_400_000;
    if rest.is_empty() {
        return (text.len() == "2026-11-30".len()).then_some(midnight);
    }
    let time = match rest.strip_prefix(['T', 't']) {
        Some(time) => time,
        None => Some(rest.trim_start_matches([' ', '\t'])).filter(|time| time.len() < rest.len())?,
    };
    let (hours, rest) = number(time, 1, 2)?;
    let (minutes, rest) = number(rest.strip_prefix(':')?, 2, 2)?;
    let (seconds, rest) = number(rest.strip_prefix(':')?, 2, 2)?;
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count()),
        None => ("", rest),
    };
    let ms = format!("0.{fraction}0").parse::<f64>().ok()? * 1000.0;
    let ahead = zone(rest.trim_start_matches([' ', '\t']))?;
    Some(midnight + ((hours * 60 + minutes - ahead) * 60 + seconds) * 1000 + ms.round() as i64)
}

/// Minutes that a zone is ahead of UTC.
fn zone(text: &str) -> Option<i64> {
    if matches!(text, "" | "Z") {
        return Some(0);
    }
    let (hours, rest) = number(text.strip_prefix(['+', '-'])?, 1, 2)?;
    let minutes = match rest.strip_prefix(':') {
        Some(rest) => number(rest, 2, 2).filter(|(_, rest)| rest.is_empty())?.0,
        None if rest.is_empty() => 0,
        None => return None,
    };
    let ahead = hours * 60 + minutes;
    Some(if text.starts_with('-') { -ahead } else { ahead })
}

/// A number of so many digits, and what follows it.
fn number(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(count).filter(|_| count >= least)?;
    Some((digits.parse().ok()?, rest))
}

/// Days from 1970 to a day of the calendar. Months and days count from 1, and may be too large.
///
/// Source: Howard Hinnant, `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = (year + (month - 1).div_euclid(12), (month - 1).rem_euclid(12) + 1);
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5;
    year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468 + day - 1
}

/// A point in time as it is written.
///
/// Source: `RepresentDate` of SnakeYAML.
pub(super) fn write(ms: i64) -> String {
    let (day, rest) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // The days of the calendar again: an era has 400 years.
    let of_era = (day + 719_468).rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = (day + 719_468).div_euclid(146_097) * 400 + year_of_era + i64::from(month <= 2);
    let (seconds, ms) = (rest / 1000, rest % 1000);
    let fraction = if ms > 0 { format!(".{ms:03}") } else { String::new() };
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hours:02}:{minutes:02}:{seconds:02}{fraction}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time() {
        for (text, written) in [
            ("2026-11-30", "2026-11-30T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z"),
            ("2023-02-29", "2023-03-01T00:00:00Z"),
            ("1969-12-31", "1969-12-31T00:00:00Z"),
            ("1600-01-01", "1600-01-01T00:00:00Z"),
            ("2001-12-14t21:59:43.10-05:00", "2001-12-15T02:59:43.100Z"),
            ("2001-12-14 21:59:43.1 -5", "2001-12-15T02:59:43.100Z"),
            ("2001-12-15 2:59:43.1239", "2001-12-15T02:59:43.124Z"),
            ("2001-2-5T1:02:03Z", "2001-02-05T01:02:03Z"),
            ("2001-02-05T01:02:03+05:30", "2001-02-04T19:32:03Z"),
        ] {
            assert_eq!(read(text).map(write).as_deref(), Some(written), "{text}");
        }
        for text in [
            "2026-1-1",
            "2026-11",
            "20-11-2026",
            "2026-11-30T",
            "2026-11-30T1:2:3",
            "2026-11-30 10:00",
            "2026-11-3010:00:00",
            "2026-11-30T10:00:00 CET",
            "2026-11-30T10:00:00+1:2",
            "2026-11-30x",
            "2026-11-\u{e9}",
            "v2026-11-30",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
