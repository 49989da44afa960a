//! The reader of `plugins.table`: what becomes of steps that Cofferdam does not run itself. Its format stands in its first lines.

use super::{Level, Support};

/// Each name with what becomes of it.
///
/// A line that is not understood ends in a panic: the table is part of the program, and a test reads it.
pub(super) fn parse(text: &'static str) -> Vec<(&'static str, Support)> {
    let mut support = None;
    let mut all = Vec::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        match line.split_once(" :") {
            Some((word, texts)) => {
                let (why, instead) = texts.split_once('|').unwrap_or((texts, ""));
                let instead = Some(instead.trim()).filter(|text| !text.is_empty());
                let level = Level { why: why.trim(), instead };
                support = Some(match word {
                    "record" => Support::Recorded(level),
                    "deliver" => Support::Delivered(level),
                    "refuse" => Support::Refused(level),
                    _ => panic!("catalogue: neither record, deliver nor refuse: {line}"),
                });
            }
            None => {
                let support = support.unwrap_or_else(|| panic!("catalogue: names of nothing: {line}"));
                all.extend(line.split_whitespace().map(|name| (name, support)));
            }
        }
    }
    all
}
