//! What `H` comes to.

use std::collections::BTreeSet;

use cron::Schedule;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::{check, ms};

/// The first moments of a specification in 2027, in UTC.
fn times(specification: &str, name: &str, count: usize) -> Vec<DateTime> {
    let schedule = Schedule::parse(specification, name).unwrap();
    let first = schedule.next_after(ms("2026-12-31T23:59:00Z"));
    std::iter::successors(first, |moment| schedule.next_after(*moment))
        .map(|moment| Offset::UTC.to_datetime(Timestamp::from_millisecond(moment.try_into().unwrap()).unwrap()))
        .take(count)
        .collect()
}

fn minutes(specification: &str, name: &str, count: usize) -> BTreeSet<i8> {
    times(specification, name, count).into_iter().map(DateTime::minute).collect()
}

fn names() -> impl Iterator<Item = String> {
    (0..1000).map(|index| format!("folder/job-{index}"))
}

/// Values of another implementation of the rule in `hash.rs`. They never change.
#[test]
fn golden() {
    check("H H H H *", "2026-12-31T23:59:00Z", &["2027-05-25T15:52:00Z", "2028-05-25T15:52:00Z"]);
    check("H H * * H", "2026-12-31T23:59:00Z", &["2027-01-03T15:52:00Z", "2027-01-10T15:52:00Z"]);
    check("@midnight", "2026-12-31T23:59:00Z", &["2027-01-01T01:52:00Z", "2027-01-02T01:52:00Z"]);
    check("H/15 0 * * *", "2026-12-31T23:59:00Z", &["2027-01-01T00:13:00Z", "2027-01-01T00:28:00Z"]);
    check("H * * * *\nH * * * *", "2026-12-31T23:59:00Z", &["2027-01-01T00:00:00Z", "2027-01-01T00:52:00Z"]);
    assert_eq!(minutes("H * * * *\nH * * * *", "Straße", 4), [34, 56].into());
}

#[test]
fn every_value_is_in_its_range() {
    for name in names() {
        let time = times("H H(3-5) H * *", &name, 1)[0];
        assert!((0..60).contains(&time.minute()) && (3..6).contains(&time.hour()) && (1..29).contains(&time.day()));
        let time = times("H(10-19) * * H(5-6) H", &name, 1)[0];
        assert!((10..20).contains(&time.minute()) && (5..7).contains(&time.month()));
        assert_eq!(times("H H H H H", &name, 1).len(), 1);
        assert_eq!(times("H H(7-7) H(1-31) * *", &name, 1), times("H H(7-7) H(1-31) * *", &name, 1));
    }
}

#[test]
fn all_values_occur() {
    let of = |specification: &str, value: fn(DateTime) -> i8| -> BTreeSet<i8> {
        names().map(|name| value(times(specification, &name, 1)[0])).collect()
    };
    assert_eq!(of("H * * * *", DateTime::minute), (0..60).collect());
    assert_eq!(of("H(58-59) * * * *", DateTime::minute), (58..60).collect());
    assert_eq!(of("0 H * * *", DateTime::hour), (0..24).collect());
    assert_eq!(of("0 0 H * *", DateTime::day), (1..29).collect());
    assert_eq!(of("0 0 1 H *", DateTime::month), (1..13).collect());
    assert_eq!(of("0 0 * * H", |time| time.weekday().to_sunday_zero_offset()), (0..7).collect());
    assert_eq!(of("0 0 * * H(6-7)", |time| time.weekday().to_sunday_zero_offset()), [0, 6].into());
    assert_eq!(of("@midnight", DateTime::hour), (0..3).collect());
}

/// With 59 degrees of freedom, 98 is exceeded once in a thousand times by what is drawn by lot.
#[test]
fn jobs_are_spread_evenly() {
    let mut jobs = [0_u32; 60];
    for name in names() {
        jobs[usize::try_from(times("H * * * *", &name, 1)[0].minute()).unwrap()] += 1;
    }
    let expected = 1000.0 / 60.0;
    let chi_squared: f64 = jobs.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    assert!(chi_squared < 98.0, "{chi_squared}: {jobs:?}");
    assert!(jobs.iter().all(|count| (5..=32).contains(count)), "{jobs:?}");
}

#[test]
fn steps_begin_anywhere_and_go_on_evenly() {
    let mut beginnings = BTreeSet::new();
    for name in names() {
        let quarters = Vec::from_iter(minutes("H/15 * * * *", &name, 4));
        assert_eq!(quarters, [0, 15, 30, 45].map(|minute| minute + quarters[0]));
        beginnings.insert(quarters[0]);
        let tens = Vec::from_iter(minutes("H(0-29)/10 * * * *", &name, 4));
        assert!(tens[0] < 10 && tens[2] < 30);
        assert_eq!(tens, [0, 10, 20].map(|minute| minute + tens[0]));
    }
    assert_eq!(beginnings, (0..15).collect());
}

#[test]
fn lines_draw_anew_and_fields_do_not_depend_on_each_other() {
    let names: Vec<String> = names().collect();
    let two = names.iter().filter(|name| minutes("H * * * *\nH * * * *", name, 4).len() == 2).count();
    assert!(two > 950, "{two}");
    for name in &names[..100] {
        assert_eq!(minutes("H * * * *", name, 1), minutes("H H(3-4) H * 1-5", name, 1));
        assert_eq!(minutes("H 3 * * *", name, 1), minutes("# earlier, and without an hour\n\nH * * * *", name, 1));
        assert_eq!(minutes("H * * * *", name, 1), minutes("H/1 * * * *", name, 5));
    }
}

#[test]
fn aliases_are_what_they_stand_for() {
    let same = [
        ("@yearly", "H H H H *"),
        ("@annually", "H H H H *"),
        ("@monthly", "H H H * *"),
        ("@weekly", "H H * * H"),
        ("@daily", "H H * * *"),
        ("@midnight", "H H(0-2) * * *"),
        ("@hourly", "H * * * *"),
    ];
    for (alias, meaning) in same {
        assert_eq!(times(alias, "team/app", 3), times(meaning, "team/app", 3), "{alias}");
    }
}
