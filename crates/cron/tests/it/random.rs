//! Random specifications, repeatable from their seed, against a search minute by minute that is written for nothing but being right.

use cron::Schedule;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
/// How far the search minute by minute goes.
const SEARCHED_DAYS: i64 = 1;
const ZONES: [&str; 10] = [
    "UTC",
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/St_Johns",
    "America/Havana",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Asia/Pyongyang",
];

/// A small generator (xorshift), so that a failure is repeatable from its seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// A field as text, and the values that it admits.
type FieldOf = (String, Vec<u64>);

fn field(random: &mut Random, least: u64, greatest: u64, any: u64) -> FieldOf {
    if random.below(100) < any {
        return ("*".to_owned(), (least..=greatest).collect());
    }
    let (mut texts, mut values) = (Vec::new(), Vec::new());
    for _ in 0..=random.below(3) {
        let first = least + random.below(greatest - least + 1);
        let last = first + random.below(greatest - first + 1);
        let step = 1 + random.below(20);
        let (text, range) = match random.below(4) {
            0 => (format!("*/{step}"), least..=greatest),
            1 => (format!("{first}-{last}/{step}"), first..=last),
            _ => (first.to_string(), first..=first),
        };
        texts.push(text);
        values.extend(range.step_by(usize::try_from(step).unwrap()));
    }
    (texts.join(","), values)
}

/// A specification of one line, and what its fields admit.
struct Case {
    text: String,
    zone: TimeZone,
    fields: [Vec<u64>; 5],
}

impl Case {
    fn new(random: &mut Random) -> Self {
        let name = random.pick(&ZONES);
        let fields = [
            field(random, 0, 59, 2),
            field(random, 0, 23, 40),
            field(random, 1, 31, 70),
            field(random, 1, 12, 80),
            field(random, 0, 7, 70),
        ];
        let text = format!("TZ={name}\n{}", fields.each_ref().map(|(text, _)| text.as_str()).join(" "));
        let zone = TimeZoneDatabase::bundled().get(name).unwrap();
        Self { text, zone, fields: fields.map(|(_, values)| values) }
    }

    /// A moment up to a day before a change of the clock between 2010 and 2035, or just any.
    fn moment(&self, random: &mut Random) -> u64 {
        let any = 1_262_304_000_000 + random.below(25 * 365 * DAY_MS);
        let change = self.zone.following(Timestamp::from_millisecond(any.try_into().unwrap()).unwrap()).next();
        match change {
            Some(change) if random.below(4) > 0 => {
                u64::try_from(change.timestamp().as_millisecond()).unwrap() - random.below(DAY_MS)
            }
            _ => any,
        }
    }

    fn admits(&self, time: DateTime) -> bool {
        let [minutes, hours, days, months, weekdays] = &self.fields;
        let has = |values: &[u64], value: i8| values.contains(&u64::try_from(value).unwrap());
        let weekday = time.weekday().to_sunday_zero_offset();
        has(minutes, time.minute())
            && has(hours, time.hour())
            && has(days, time.day())
            && has(months, time.month())
            && (has(weekdays, weekday) || weekday == 0 && has(weekdays, 7))
    }

    /// Changes of the clock around a search.
    fn changes(&self, after: Timestamp) -> Vec<Change> {
        let days = |count| SignedDuration::from_hours(24 * count);
        let until = after + days(SEARCHED_DAYS + 1);
        let changes = self.zone.following(after - days(2)).take_while(|change| change.timestamp() < until);
        let change = |at: Timestamp| Change {
            at,
            before: self.zone.to_offset(at - SignedDuration::from_secs(1)),
            after: self.zone.to_offset(at),
        };
        changes.map(|transition| change(transition.timestamp())).collect()
    }

    /// Whether a minute is one of the moments, by the rule as the crate states it.
    fn matches(&self, moment: Timestamp, changes: &[Change]) -> bool {
        let now = self.admits(self.zone.to_datetime(moment));
        let recent = changes.iter().find(|change| change.at <= moment && moment < change.at + change.length());
        match recent {
            Some(change) if change.before < change.after => now || self.admits(change.before.to_datetime(moment)),
            Some(_) => now && (0..24).all(|hour| self.fields[1].contains(&hour)),
            None => now,
        }
    }
}

struct Change {
    at: Timestamp,
    before: Offset,
    after: Offset,
}

impl Change {
    /// Of the gap, or of the time that exists twice.
    fn length(&self) -> SignedDuration {
        SignedDuration::from_secs((self.before.seconds() - self.after.seconds()).abs().into())
    }
}

fn timestamp(ms: u64) -> Timestamp {
    Timestamp::from_millisecond(ms.try_into().unwrap()).unwrap()
}

#[test]
fn the_next_moment_matches_and_none_before_it_does() {
    let mut found = 0;
    for seed in 0..600 {
        let mut random = Random::new(seed);
        let case = Case::new(&mut random);
        let schedule = Schedule::parse(&case.text, "job").unwrap_or_else(|error| panic!("{:?}: {error}", case.text));
        let after = case.moment(&mut random);
        let changes = case.changes(timestamp(after));
        let end = after + SEARCHED_DAYS.cast_unsigned() * DAY_MS;
        let mut next = schedule.next_after(after);
        for minute in after / MINUTE_MS + 1..=end / MINUTE_MS {
            let minute = minute * MINUTE_MS;
            let at = timestamp(minute);
            let expect = case.matches(at, &changes);
            assert_eq!(next == Some(minute), expect, "seed {seed}: {:?} after {} at {at}", case.text, timestamp(after));
            if expect {
                found += 1;
                next = schedule.next_after(minute);
            }
        }
        if let Some(next) = next {
            let at = timestamp(next);
            assert!(next > end && case.matches(at, &case.changes(at)), "seed {seed}: {:?} at {at}", case.text);
        }
    }
    assert!(found > 10_000, "only {found} moments");
}

#[test]
fn no_text_makes_it_panic() {
    let pieces = [
        "*",
        "H",
        "/",
        "-",
        ",",
        "(",
        ")",
        " ",
        "\t",
        "\n",
        "\r\n",
        "#",
        "@",
        "@daily",
        "TZ=",
        "Europe/London",
        "0",
        "7",
        "59",
        "60",
        "31",
        "99999999999",
        "H(",
        "x",
        "ä",
        "\u{0}",
        "🦀",
        "H H * * *",
        "* * 31 2 *",
        "0-59/",
    ];
    let mut understood = 0;
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let length = random.below(14);
        let text: String = (0..length).map(|_| random.pick(&pieces)).collect();
        match Schedule::parse(&text, "job") {
            Ok(schedule) => {
                understood += 1;
                schedule.next_after(random.below(u64::MAX));
                schedule.next_after(random.below(1 << 42));
            }
            Err(error) => {
                let line = text.split('\n').nth(error.line - 1).unwrap();
                assert!((1..=line.chars().count() + 1).contains(&error.column), "{text:?}: {error}");
            }
        }
    }
    assert!(understood > 500, "{understood}");
}
