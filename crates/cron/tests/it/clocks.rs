//! Time zones, and days on which clocks are changed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

use super::{check, ms, parse, utc};

const LONDON: &str = "TZ=Europe/London\n";
const NEW_YORK: &str = "TZ=America/New_York\n";

/// All moments after `after` and until `until`.
fn all(specification: &str, after: &str, until: &str) -> Vec<String> {
    let schedule = parse(specification);
    let mut moments = Vec::new();
    let mut moment = ms(after);
    while let Some(next) = schedule.due(moment, ms(until)) {
        moments.push(utc(next));
        moment = next;
    }
    moments
}

#[test]
fn times_are_those_of_the_zone() {
    check(&format!("{LONDON}0 9 * * *"), "2026-01-10T00:00:00Z", &["2026-01-10T09:00:00+00:00"]);
    check(&format!("{LONDON}0 9 * * *"), "2026-07-10T00:00:00Z", &["2026-07-10T09:00:00+01:00"]);
    check(&format!("{NEW_YORK}0 9 * * 1"), "2026-07-10T00:00:00Z", &["2026-07-13T09:00:00-04:00"]);
    check("TZ=Asia/Kolkata\n15 0 1 * *", "2026-07-10T00:00:00Z", &["2026-08-01T00:15:00+05:30"]);
    check("TZ=Etc/GMT+5\r\n0 0 * * *", "2026-07-10T00:00:00Z", &["2026-07-10T05:00:00Z"]);
    check("TZ=UTC\n0 0 * * *", "2026-07-10T00:00:00Z", &["2026-07-11T00:00:00Z"]);
}

/// Londoners' clocks go from 01:00 to 02:00 on 29 March 2026, New Yorkers' from 02:00 to 03:00 on 8 March.
#[test]
fn a_time_that_does_not_exist_is_moved_by_the_gap() {
    check(
        &format!("{LONDON}30 1 * * *"),
        "2026-03-28T01:30:00Z",
        &["2026-03-29T02:30:00+01:00", "2026-03-30T01:30:00+01:00"],
    );
    check(
        &format!("{LONDON}0 1 * * *"),
        "2026-03-28T02:00:00Z",
        &["2026-03-29T02:00:00+01:00", "2026-03-30T01:00:00+01:00"],
    );
    check(
        &format!("{NEW_YORK}30 2 * * 0"),
        "2026-03-07T12:00:00Z",
        &["2026-03-08T03:30:00-04:00", "2026-03-15T02:30:00-04:00"],
    );
    // After the gap, on the same day, the moved time is still to come.
    check(&format!("{NEW_YORK}30 2 * * *"), "2026-03-08T03:10:00-04:00", &["2026-03-08T03:30:00-04:00"]);
}

#[test]
fn times_that_fall_together_are_one_moment() {
    let expect = ["2026-03-29T01:15:00Z", "2026-03-29T01:30:00Z", "2026-03-29T01:45:00Z", "2026-03-30T00:15:00Z"];
    assert_eq!(
        all(&format!("{LONDON}15,30,45 1-2 29 * *\n15 1 30 * *"), "2026-03-28T12:00:00Z", "2026-03-30T01:00:00Z"),
        expect
    );
    check(
        &format!("{LONDON}30 1 * * *\n0 2 * * *"),
        "2026-03-28T12:00:00Z",
        &["2026-03-29T02:00:00+01:00", "2026-03-29T02:30:00+01:00"],
    );
}

/// Londoners' clocks go from 02:00 to 01:00 on 25 October 2026, New Yorkers' from 02:00 to 01:00 on 1 November.
#[test]
fn a_time_of_day_that_exists_twice_counts_once() {
    check(
        &format!("{LONDON}30 1 * * *"),
        "2026-10-24T12:00:00Z",
        &["2026-10-25T01:30:00+01:00", "2026-10-26T01:30:00+00:00"],
    );
    check(
        &format!("{NEW_YORK}30 1 * * *"),
        "2026-10-31T12:00:00Z",
        &["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"],
    );
    // Asked between the two.
    check(&format!("{NEW_YORK}30 1 * * *"), "2026-11-01T01:40:00-04:00", &["2026-11-02T01:30:00-05:00"]);
    check(&format!("{NEW_YORK}30 1 * * *"), "2026-11-01T01:10:00-05:00", &["2026-11-02T01:30:00-05:00"]);
    check(
        &format!("{NEW_YORK}0 0-22 * * *"),
        "2026-11-01T00:30:00-04:00",
        &["2026-11-01T01:00:00-04:00", "2026-11-01T02:00:00-05:00"],
    );
}

#[test]
fn every_hour_is_every_hour() {
    for (zone, day) in [
        ("Europe/London", "2026-10-25"),
        ("Europe/London", "2026-03-29"),
        ("America/New_York", "2026-11-01"),
        ("America/New_York", "2026-03-08"),
    ] {
        let from = format!("{day}T00:00:00Z");
        let moments = all(&format!("TZ={zone}\n20 * * * *"), &from, &format!("{day}T23:59:00Z"));
        let expect: Vec<String> = (0..24).map(|hour| format!("{day}T{hour:02}:20:00Z")).collect();
        assert_eq!(moments, expect, "{zone}");
    }
}

/// The gap is half an hour long on Lord Howe, and a whole day in Samoa in 2011; in Havana midnight falls into it.
#[test]
fn unusual_gaps() {
    check(
        "TZ=Australia/Lord_Howe\n10 2 * * *",
        "2026-10-03T00:00:00Z",
        &["2026-10-04T02:40:00+11:00", "2026-10-05T02:10:00+11:00"],
    );
    check(
        "TZ=Pacific/Apia\n0 8 30 * *",
        "2011-12-29T00:00:00Z",
        &["2011-12-31T08:00:00+14:00", "2012-01-30T08:00:00+14:00"],
    );
    check(
        "TZ=Pacific/Apia\n0 8 30 * *\n0 7 31 * *",
        "2011-12-29T00:00:00Z",
        &["2011-12-31T07:00:00+14:00", "2011-12-31T08:00:00+14:00"],
    );
    check(
        "TZ=Pacific/Apia\n0 8,20 29-31 12 *",
        "2011-12-30T09:30:00Z",
        &["2011-12-31T08:00:00+14:00", "2011-12-31T20:00:00+14:00"],
    );
    check(
        "TZ=America/Havana\n0 0 * * *",
        "2024-03-09T12:00:00Z",
        &["2024-03-10T01:00:00-04:00", "2024-03-11T00:00:00-04:00"],
    );
    check(
        "TZ=America/Havana\n30 0 * * *",
        "2024-11-02T12:00:00Z",
        &["2024-11-03T00:30:00-04:00", "2024-11-04T00:30:00-05:00"],
    );
}

/// In Pyongyang the half hour before midnight was left out on 4 May 2018: its times come among those of the next day.
#[test]
fn a_time_moved_behind_one_of_the_next_day() {
    check(
        "TZ=Asia/Pyongyang\n15,50 0,23 * * *",
        "2018-05-04T12:00:00Z",
        &[
            "2018-05-04T23:15:00+08:30",
            "2018-05-05T00:15:00+09:00",
            "2018-05-05T00:20:00+09:00",
            "2018-05-05T00:50:00+09:00",
            "2018-05-05T23:15:00+09:00",
        ],
    );
}

/// What `constant_offset` rests on: no clock is changed twice within two days.
#[test]
fn changes_of_a_clock_are_days_apart() {
    let (first, last): (Timestamp, Timestamp) =
        ("1970-01-01T00:00Z".parse().unwrap(), "2040-01-01T00:00Z".parse().unwrap());
    let database = TimeZoneDatabase::bundled();
    let mut zones = BTreeSet::new();
    for name in database.available() {
        let zone = database.get(name.as_str()).unwrap();
        let mut offset = zone.to_offset(first);
        let mut changed = None;
        for change in zone.following(first).take_while(|change| change.timestamp() < last) {
            if change.offset() == offset {
                continue;
            }
            let at = change.timestamp().as_second();
            assert!(
                changed.is_none_or(|before| at - before > 2 * 86_400),
                "{} at {}",
                name.as_str(),
                change.timestamp()
            );
            (offset, changed) = (change.offset(), Some(at));
        }
        zones.insert(name.as_str().to_owned());
    }
    assert!(zones.len() > 400, "{} zones", zones.len());
}
