//! What tests have said that they cannot do here, from the log of all tests; and whether a checked-in list lets them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;

/// Where `scripts/test.sh` leaves what the tests have printed: with cargo-nextest, and without.
const LOGS: [&str; 2] = ["target/nextest/default/junit.xml", "target/test.log"];
const MARK: &str = "skipped: ";

/// Prints each reason with how often it was given. Fails where one is not on `list`, if there is one.
pub fn run(root: &Path, list: Option<&str>) -> anyhow::Result<()> {
    let log = LOGS.iter().map(|log| root.join(log)).find(|log| log.exists()).context("no log of tests in target")?;
    let text = String::from_utf8_lossy(&fs::read(&log).with_context(|| log.display().to_string())?).into_owned();
    anyhow::ensure!(text.contains("test result: "), "{}: no test has run", log.display());
    let counts = skips(&text, log.extension().is_some_and(|extension| extension == "xml"));
    for (reason, count) in &counts {
        println!("{count:>5} {MARK}{reason}");
    }
    if counts.is_empty() {
        println!("nothing was skipped");
    }
    let Some(list) = list else { return Ok(()) };
    let text = fs::read_to_string(root.join(list)).with_context(|| list.to_owned())?;
    gate(&counts, &text, list)
}

/// Names each reason that `text`, the content of `list`, does not allow, and fails then.
fn gate(counts: &BTreeMap<String, usize>, text: &str, list: &str) -> anyhow::Result<()> {
    let allowed = parse(text)?;
    let is_allowed = |reason: &str| allowed.iter().any(|pattern| matches(pattern, reason));
    let others: Vec<_> = counts.keys().filter(|reason| !is_allowed(reason)).map(|r| format!("  {MARK}{r}")).collect();
    anyhow::ensure!(
        others.is_empty(),
        "tests were skipped for reasons that are not on {list}:\n{}\nhave them run here, or write there why they need not",
        others.join("\n")
    );
    Ok(())
}

/// How often each reason was given. A reason ends with its line.
fn skips(log: &str, is_xml: bool) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in log.lines() {
        let Some((_, reason)) = line.split_once(MARK) else { continue };
        let reason = if is_xml { plain(reason.split('<').next().unwrap_or(reason)) } else { reason.to_owned() };
        *counts.entry(reason.trim().to_owned()).or_default() += 1;
    }
    counts
}

fn plain(xml: &str) -> String {
    // The ampersand last, so that nothing is read twice.
    let names = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    names.iter().fold(xml.to_owned(), |text, (name, sign)| text.replace(name, sign))
}

/// The patterns of a list: `PATTERN  # why CI may do without` a line.
fn parse(list: &str) -> anyhow::Result<Vec<&str>> {
    let lines = list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (pattern, why) = line.split_once(" # ").with_context(|| format!("no reason: {line}"))?;
            let pattern = pattern.trim();
            anyhow::ensure!(!why.trim().is_empty() && !pattern.trim_matches('*').is_empty(), "no reason: {line}");
            Ok(pattern)
        })
        .collect()
}

/// Whether it is that text, where `*` stands for any.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(begin) else { return false };
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.rev().any(|at| matches(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# Why.\nnot found: *.jsonl  # they lie elsewhere\n\nX names no program # built by hand\n";

    fn check(log: &str, expect: Result<(), &str>) {
        let found = gate(&skips(log, false), LIST, "list").map_err(|error| error.to_string());
        match expect {
            Ok(()) => assert_eq!(found, Ok(()), "{log}"),
            Err(reason) => assert!(found.unwrap_err().contains(&format!("\n  skipped: {reason}\n")), "{log}"),
        }
    }

    #[test]
    fn a_skip_that_is_not_listed_fails() {
        check("test result: ok", Ok(()));
        check("skipped: X names no program\nskipped: not found: groovy-values.jsonl", Ok(()));
        check("skipped: X names no program\nskipped: needs root", Err("needs root"));
        check("skipped: X names no program any more", Err("X names no program any more"));
        check("skipped: not found: a.jsonl, nor b", Err("not found: a.jsonl, nor b"));
        check("skipped: it was not found: a.jsonl", Err("it was not found: a.jsonl"));
        check("skipped: ", Err(""));
    }

    #[test]
    fn reasons_are_read_as_they_were_printed() {
        let xml = "<out>running\nskipped: the &apos;words&apos; &amp;lt;\nok</out>\n<out>skipped: needs root</out>\n3 skipped\n<o>skipped: needs root";
        let expected = BTreeMap::from([("the 'words' &lt;".to_owned(), 1), ("needs root".to_owned(), 2)]);
        assert_eq!(skips(xml, true), expected);
    }

    #[test]
    fn a_pattern_has_a_reason_and_does_not_stand_for_everything() {
        for wrong in ["needs root", "needs root # ", "* # because", "** # because"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text) in [("a*", "a"), ("*a", "aaa"), ("a*b*c", "a b c b c"), ("*b*", "abc")] {
            assert!(matches(pattern, text), "{pattern}: {text}");
        }
        for (pattern, text) in [("a*", "ba"), ("*a", "ab"), ("a*b*c", "acb"), ("", "a")] {
            assert!(!matches(pattern, text), "{pattern}: {text}");
        }
    }
}
