//! What is probably not meant.

use super::parse;

/// The warnings about a specification: how many, and words of each.
fn check(specification: &str, expect: &[(usize, &str)]) {
    let schedule = parse(specification);
    let warnings = schedule.warnings();
    assert_eq!(warnings.len(), expect.len(), "{specification:?}: {warnings:?}");
    for (warning, (line, words)) in warnings.iter().zip(expect) {
        assert_eq!(warning.line, *line, "{specification:?}: {warning:?}");
        assert!(warning.message.contains(words), "{specification:?}: {warning:?} says not {words:?}");
    }
}

#[test]
fn nothing_to_say() {
    for specification in [
        "@hourly",
        "@midnight",
        "H H(0-2) * * *",
        "H/15 * 1 1 *",
        "0 3 H/15 * *",
        "H(0-29)/7 * * * *",
        "H H 1-7 * 0",
        "0,10,40 * * * *",
        "5-40/7 * * * *",
        "H * 29 2 *",
        "H * 30,31 4,2 *",
    ] {
        check(specification, &[]);
    }
}

#[test]
fn every_minute() {
    for (specification, better) in [
        ("* * * * *", "`H * * * *`"),
        ("*/1 * * * *", "`H * * * *`"),
        ("0-59\t 6,18 * * *", "`H 6,18 * * *`"),
        ("* 0 * * *", "`H 0 * * *`"),
    ] {
        check(specification, &[(1, better)]);
    }
}

#[test]
fn load() {
    for (specification, better) in [
        ("0 * * * *", "`H * * * *` rather than `0 * * * *`"),
        ("00 22 * * 6", "`H 22 * * 6`"),
        ("*/15 * * * *", "`H/15 * * * *`"),
        ("0,15,30,45 * * * *", "`H/15 * * * *`"),
        ("*/60 * * * *", "`H * * * *`"),
    ] {
        check(specification, &[(1, better)]);
    }
    check("# hourly\nH * * * *\n\n 5 * * * *", &[(4, "`H * * * *`")]);
}

#[test]
fn uneven_steps() {
    check("H/7 * * * *", &[(1, "60 is no multiple of 7: where a new hour begins")]);
    check("H H/5 * * *", &[(1, "24 is no multiple of 5: where a new day begins")]);
    check("H H 1 H/5 *", &[(1, "a new year begins")]);
    check("H H * * */2", &[(1, "7 is no multiple of 2")]);
    check("*/7 * * * *", &[(1, "`H/7 * * * *`"), (1, "60 is no multiple of 7")]);
    check("*/90 * * * *", &[(1, "`H * * * *`"), (1, "only the first minute")]);
    check("H H H/3 * *", &[(1, "first day of each month")]);
    check("H H */5 * *", &[(1, "first day of each month")]);
    check("H/1 * * * *", &[(1, "chooses one minute")]);
    check("H H(1-4)/1 * * *", &[(1, "chooses one hour")]);
}

#[test]
fn what_never_starts_a_run() {
    check("", &[(1, "no line names a time")]);
    check("TZ=Europe/London\n# later", &[(1, "no line names a time")]);
    check("@daily\nH H 31 4,6 *", &[(2, "none of its months has such a day")]);
    check("H H 30 2 *", &[(1, "none of its months has such a day")]);
}
