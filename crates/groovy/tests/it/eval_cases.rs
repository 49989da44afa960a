//! Expressions and what the reference (Groovy 2.4.21) prints for them.

use groovy::machine::{MachineLimits, PlainOutcome, run_plain};

const REPORT: &str =
    "def t(c) { try { println c() } catch (Throwable e) { println \"${e.class.name}|${e.message}\" } }\n";

#[test]
fn expressions_print_what_groovy_prints() {
    check(include_str!("data/eval_cases.txt"), 200);
}

#[test]
fn classes_of_java_do_what_they_do_there() {
    check(include_str!("data/java_cases.txt"), 120);
}

/// Runs each case of a table that has more than so many.
fn check(table: &str, least: u32) {
    let mut parts = table.split("\n--- ");
    let declarations: String =
        parts.next().unwrap_or_default().lines().filter(|l| !l.starts_with('#')).map(|l| format!("{l}\n")).collect();
    let (mut count, mut wrong) = (0, Vec::new());
    for case in parts {
        let (source, expected) = case.split_once('\n').unwrap_or((case, ""));
        let script = format!("{REPORT}{declarations}t {{ {source} }}\n");
        let mut printed = String::new();
        let outcome =
            run_plain(&script, "gen.groovy", &[], MachineLimits::default(), &mut |text| printed.push_str(text));
        count += 1;
        if !matches!(outcome, PlainOutcome::Finished { .. }) {
            wrong.push(format!("{source}\n  {outcome:?}"));
        } else if printed.trim_end() != expected.trim_end() {
            wrong.push(format!("{source}\n  expected {expected:?}\n  printed  {printed:?}"));
        }
    }
    assert!(count > least, "the table was read");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
