//! Values of flags.

use model::outcome::Outcome;
use model::run::BuildCause;

pub(in crate::args) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

pub(in crate::args) fn parse_outcome(text: &str) -> Result<Outcome, String> {
    Outcome::from_name(&text.to_ascii_uppercase())
        .ok_or_else(|| "expected SUCCESS, UNSTABLE, FAILURE, NOT_BUILT or ABORTED".to_owned())
}

pub(in crate::args) fn parse_cause(text: &str) -> Result<BuildCause, String> {
    let cause = |class: &str, description: String, user: Option<&str>| BuildCause {
        class: class.to_owned(),
        description,
        user: user.map(str::to_owned),
    };
    Ok(match text.split_once(':').unwrap_or((text, "")) {
        ("user", "") => cause("hudson.model.Cause$UserIdCause", "Started from the command line".to_owned(), None),
        ("user", name) => cause("hudson.model.Cause$UserIdCause", format!("Started by user {name}"), Some(name)),
        ("timer", "") => cause("hudson.triggers.TimerTrigger$TimerTriggerCause", "Started by timer".to_owned(), None),
        ("scm", "") => cause("hudson.triggers.SCMTrigger$SCMTriggerCause", "Started by an SCM change".to_owned(), None),
        ("upstream", "") => cause("hudson.model.Cause$UpstreamCause", "Started by upstream project".to_owned(), None),
        _ => return Err("expected user, user:NAME, timer, scm or upstream".to_owned()),
    })
}

pub(in crate::args) fn parse_node_env(text: &str) -> Result<(String, String, String), String> {
    let Some((label, pair)) = text.split_once(':').filter(|(label, _)| !label.is_empty() && !label.contains('='))
    else {
        return Err("expected LABEL:NAME=VALUE".to_owned());
    };
    parse_pair(pair)
        .map(|(name, value)| (label.to_owned(), name, value))
        .map_err(|_| "expected LABEL:NAME=VALUE".to_owned())
}

pub(in crate::args) fn parse_count(text: &str) -> Result<(String, u64), String> {
    // A reference has no `=`.
    let (name, count) = parse_pair(text).map_err(|_| "expected IMAGE=N".to_owned())?;
    count.parse().map(|count| (name, count)).map_err(|_| "expected IMAGE=N".to_owned())
}

pub(in crate::args) fn parse_factor(text: &str) -> Result<f64, String> {
    let factor: Option<f64> = text.parse().ok();
    factor.filter(|factor| (0.0..=1000.0).contains(factor)).ok_or_else(|| "expected a number up to 1000".to_owned())
}

/// Below it no program starts; Docker's minimum too.
const LEAST_MEMORY: u64 = 6 << 20;

pub(in crate::args) fn parse_memory(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        bytes if bytes < LEAST_MEMORY => Err(format!("at least {} MiB are needed", LEAST_MEMORY >> 20)),
        bytes => Ok(bytes),
    }
}

pub(in crate::args) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1_u64 << 40,
        other => return Err(format!("unknown unit `{other}`; use K, M, G or T")),
    };
    let number: f64 = digits.parse().map_err(|_| "expected a size such as 512M or 4G".to_owned())?;
    if !number.is_finite() || number < 0.0 {
        return Err("expected a size such as 512M or 4G".to_owned());
    }
    Ok((number * unit as f64) as u64)
}

pub(in crate::args) fn parse_cores(text: &str) -> Result<u32, String> {
    match text.parse::<f64>() {
        Ok(cores) if cores > 0.0 && cores <= 1024.0 => Ok((cores * 1000.0).round() as u32),
        _ => Err("expected a number of cores such as 1.5".to_owned()),
    }
}

pub(in crate::args) fn parse_duration_ms(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1.0,
        "" | "s" => 1000.0,
        "m" | "min" => 60_000.0,
        "h" => 3_600_000.0,
        other => return Err(format!("unknown unit `{other}`; use ms, s, m or h")),
    };
    match digits.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok((number * unit) as u64),
        _ => Err("expected a time such as 90s, 20m or 2h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_a_run_are_checked() {
        assert_eq!(parse_outcome("unstable"), Ok(Outcome::Unstable));
        assert!(parse_outcome("GREEN").is_err());
        assert_eq!(parse_cause("user:ada").map(|c| c.user), Ok(Some("ada".to_owned())));
        assert!(parse_cause("moon").is_err() && parse_cause("timer:x").is_err());
        assert_eq!(parse_node_env("linux:A=b:c=d"), Ok(("linux".to_owned(), "A".to_owned(), "b:c=d".to_owned())));
        assert!(
            parse_node_env("A=b").is_err() && parse_node_env("A=b:c=d").is_err() && parse_node_env(":A=b").is_err()
        );
    }

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(parse_size("4G"), Ok(4 << 30));
        assert_eq!(parse_size("1.5k"), Ok(1536));
        assert!(parse_size("4X").is_err());
        assert!(parse_size("-1").is_err());
        assert_eq!(parse_duration_ms("2h"), Ok(7_200_000));
        assert_eq!(parse_duration_ms("90"), Ok(90_000));
        assert_eq!(parse_cores("1.5"), Ok(1500));
        assert!(parse_cores("0").is_err());
    }
}
