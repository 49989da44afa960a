//! Times as Jenkins writes and reads them.

/// The words of Jenkins' `Util.getTimeSpanString`: the two largest units.
pub(crate) fn in_words(ms: u64) -> String {
    let (seconds, minutes, hours, days) = (ms / 1000 % 60, ms / 60_000 % 60, ms / 3_600_000 % 24, ms / 86_400_000);
    let (months, years) = (days % 365 / 30, days / 365);
    match () {
        () if years > 0 => format!("{years} yr {months} mo"),
        () if months > 0 => format!("{months} mo {} {}", days % 30, plural(days % 30, "day")),
        () if days > 0 => format!("{days} {} {hours} hr", plural(days, "day")),
        () if hours > 0 => format!("{hours} hr {minutes} min"),
        () if minutes > 0 => format!("{minutes} min {seconds} sec"),
        () if seconds == 0 && ms >= 100 => format!("{} sec", format!("0.{:02}", ms / 10).trim_end_matches('0')),
        () if ms % 1000 >= 100 && seconds < 10 => format!("{seconds}.{} sec", ms % 1000 / 100),
        () if seconds > 0 => format!("{seconds} sec"),
        () => format!("{ms} ms"),
    }
}

fn plural(n: u64, word: &str) -> String {
    if n == 1 { word.to_owned() } else { format!("{word}s") }
}

/// Milliseconds of a `java.util.concurrent.TimeUnit`, as a fraction for the units below.
pub(crate) fn unit_ns(unit: &str) -> Option<u128> {
    Some(match unit.to_ascii_uppercase().as_str() {
        "NANOSECONDS" => 1,
        "MICROSECONDS" => 1_000,
        "MILLISECONDS" => 1_000_000,
        "SECONDS" => 1_000_000_000,
        "MINUTES" => 60_000_000_000,
        "HOURS" => 3_600_000_000_000,
        "DAYS" => 86_400_000_000_000,
        _ => return None,
    })
}

/// `amount` of a unit in milliseconds, rounded up, so that a tiny wait is still a wait.
pub(crate) fn to_ms(amount: u64, unit: &str) -> Option<u64> {
    let ns = u128::from(amount) * unit_ns(unit)?;
    Some(u64::try_from(ns.div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (ms, expect) in [
            (5, "5 ms"),
            (5_000, "5 sec"),
            (1_500, "1.5 sec"),
            (10_000, "10 sec"),
            (60_000, "1 min 0 sec"),
            (300_000, "5 min 0 sec"),
            (3_600_000, "1 hr 0 min"),
            (86_400_000, "1 day 0 hr"),
            (2 * 86_400_000 + 3_600_000, "2 days 1 hr"),
        ] {
            assert_eq!(in_words(ms), expect);
        }
    }

    #[test]
    fn units() {
        assert_eq!(to_ms(5, "MINUTES"), Some(300_000));
        assert_eq!(to_ms(1, "microseconds"), Some(1));
        assert_eq!(to_ms(u64::MAX, "DAYS"), Some(u64::MAX));
        assert_eq!(to_ms(1, "WEEKS"), None);
    }
}
