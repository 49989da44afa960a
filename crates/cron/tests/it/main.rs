//! Specifications as people write them, and the moments they come to.

mod clocks;
mod hash;
mod random;
mod syntax;
mod times;
mod warnings;

use cron::Schedule;
use jiff::Timestamp;

fn ms(time: &str) -> u64 {
    let time: Timestamp = time.parse().unwrap_or_else(|error| panic!("{time}: {error}"));
    time.as_millisecond().try_into().unwrap()
}

fn utc(ms: u64) -> String {
    Timestamp::from_millisecond(ms.try_into().unwrap()).unwrap().to_string()
}

fn parse(specification: &str) -> Schedule {
    Schedule::parse(specification, "team/app").unwrap_or_else(|error| panic!("{specification:?}: {error}"))
}

/// The first moments after `after` are the expected ones; both with their offset from UTC.
fn check(specification: &str, after: &str, expect: &[&str]) {
    let schedule = parse(specification);
    let mut moment = ms(after);
    for expected in expect {
        let next =
            schedule.next_after(moment).unwrap_or_else(|| panic!("{specification:?}: none after {}", utc(moment)));
        assert_eq!(utc(next), utc(ms(expected)), "{specification:?} after {}", utc(moment));
        moment = next;
    }
}
