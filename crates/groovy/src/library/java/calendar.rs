//! `Calendar`, as `GregorianCalendar`. Fields are worked out when they are asked for; setting one moves the time at once.

use std::rc::Rc;

use jiff::Span;

use super::{date, object, pattern, set, value_of, zone};
use crate::library::{Answer, int, yes};
use crate::machine::Ctx;
use crate::value::java::timestamp;
use crate::value::{Java, Object, Value, Zone};

const CLASS: &str = "java.util.GregorianCalendar";

const FIELDS: &[(&str, i64)] = &[
    ("ERA", 0),
    ("YEAR", 1),
    ("MONTH", 2),
    ("WEEK_OF_YEAR", 3),
    ("WEEK_OF_MONTH", 4),
    ("DATE", 5),
    ("DAY_OF_MONTH", 5),
    ("DAY_OF_YEAR", 6),
    ("DAY_OF_WEEK", 7),
    ("DAY_OF_WEEK_IN_MONTH", 8),
    ("AM_PM", 9),
    ("HOUR", 10),
    ("HOUR_OF_DAY", 11),
    ("MINUTE", 12),
    ("SECOND", 13),
    ("MILLISECOND", 14),
    ("ZONE_OFFSET", 15),
    ("DST_OFFSET", 16),
    ("AM", 0),
    ("PM", 1),
    ("SHORT", 1),
    ("LONG", 2),
];

/// `Calendar.YEAR`, `Calendar.JANUARY`, `Calendar.MONDAY`
pub(super) fn constant(name: &str) -> Option<Value> {
    let field = FIELDS.iter().find(|(n, _)| *n == name).map(|(_, n)| *n);
    let upper = |names: &[&str]| names.iter().position(|n| n.eq_ignore_ascii_case(name)).map(|i| i as i64);
    let is_upper = name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let month = || upper(&crate::value::java::MONTHS);
    // Sunday is the first, 1.
    let day = || upper(&crate::value::java::DAYS).map(|i| (i + 1) % 7 + 1);
    field.or_else(month).or_else(day).filter(|_| is_upper).map(|n| Value::Int(n as i32))
}

pub(super) fn construct(ctx: &mut Ctx<'_>, args: &[Value]) -> Answer {
    let (ms, zone) = match args {
        [] => (ctx.now_ms("new java.util.GregorianCalendar")?, Zone::utc()),
        [one] => (ctx.now_ms("new java.util.GregorianCalendar")?, zone::zone_of(ctx, one)?),
        parts => {
            let n = |i: usize| parts.get(i).and_then(int).unwrap_or(0);
            let all = [n(0), n(1), n(2), n(3), n(4), n(5)];
            let ms = date::from_parts(all, &Zone::utc());
            (ms.ok_or_else(|| ctx.world.illegal("the date is beyond what is known"))?, Zone::utc())
        }
    };
    yes(object(ctx, CLASS, Java::Calendar(ms, zone)))
}

pub(super) fn statics(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    if name != "getInstance" {
        return Ok(None);
    }
    // A locale is no zone.
    let named = args.iter().find(|a| value_of(a).is_some());
    let zone = named.map_or(Ok(Zone::utc()), |z| zone::zone_of(ctx, z))?;
    let ms = ctx.now_ms("java.util.Calendar.getInstance")?;
    yes(object(ctx, CLASS, Java::Calendar(ms, zone)))
}

/// A field of a time.
pub(super) fn field(ms: i64, zone: &Zone, field: i64) -> Option<Value> {
    let at = zone.rules.to_datetime(timestamp(ms));
    let n = match field {
        0 => 1,
        1 => i32::from(at.year()),
        2 => i32::from(at.month()) - 1,
        3 => pattern::week_of_year(at.date()).1 as i32,
        4 => {
            (i32::from(at.day()) - 1 + i32::from(at.date().first_of_month().weekday().to_sunday_zero_offset())) / 7 + 1
        }
        5 => i32::from(at.day()),
        6 => i32::from(at.day_of_year()),
        7 => i32::from(at.weekday().to_sunday_zero_offset()) + 1,
        8 => (i32::from(at.day()) - 1) / 7 + 1,
        9 => i32::from(at.hour() >= 12),
        10 => i32::from(at.hour() % 12),
        11 => i32::from(at.hour()),
        12 => i32::from(at.minute()),
        13 => i32::from(at.second()),
        14 => i32::from(at.millisecond()),
        15 | 16 => {
            let total = zone.offset_at(timestamp(ms)) * 1000;
            let dst = zone.rules.to_offset_info(timestamp(ms)).dst().is_dst();
            let saved = if dst { 3_600_000 } else { 0 };
            if field == 15 { total - saved } else { saved }
        }
        _ => return None,
    };
    Some(Value::Int(n))
}

/// The time with so much more in a field.
fn added(ms: i64, zone: &Zone, field: i64, amount: i64) -> Option<i64> {
    let span = Span::new();
    let span = match field {
        1 => span.try_years(amount).ok()?,
        2 => span.try_months(amount).ok()?,
        3 | 4 | 8 => span.try_weeks(amount).ok()?,
        5..=7 => span.try_days(amount).ok()?,
        9 => return ms.checked_add(amount.checked_mul(43_200_000)?),
        10 | 11 => return ms.checked_add(amount.checked_mul(3_600_000)?),
        12 => return ms.checked_add(amount.checked_mul(60_000)?),
        13 => return ms.checked_add(amount.checked_mul(1000)?),
        14 => return ms.checked_add(amount),
        _ => return None,
    };
    let local = zone.rules.to_datetime(timestamp(ms)).checked_add(span).ok()?;
    Some(zone.rules.to_timestamp(local).ok()?.as_millisecond())
}

/// The time with a field set.
fn with(ms: i64, zone: &Zone, of: i64, to: i64) -> Option<i64> {
    let now = field(ms, zone, of)?.as_i64()?;
    added(ms, zone, of, to.checked_sub(now)?)
}

fn last_of(ms: i64, zone: &Zone, of: i64) -> Option<i32> {
    let at = zone.rules.to_datetime(timestamp(ms));
    Some(match of {
        1 => 292_278_994,
        2 => 11,
        5 => i32::from(at.days_in_month()),
        6 => i32::from(at.days_in_year()),
        7 => 7,
        9 => 1,
        10 => 11,
        11 => 23,
        12 | 13 => 59,
        14 => 999,
        _ => return None,
    })
}

pub(super) fn method(ctx: &mut Ctx<'_>, o: &Rc<Object>, ms: i64, zone: Zone, name: &str, args: &[Value]) -> Answer {
    let beyond = |ctx: &Ctx<'_>| ctx.world.illegal("the date is beyond what is known");
    let n = |i: usize| args.get(i).and_then(int).unwrap_or(0);
    match (name, args) {
        ("get" | "getAt", [of]) if int(of).is_some() => Ok(field(ms, &zone, n(0))),
        ("set" | "putAt", [of, _]) if int(of).is_some() => {
            let ms = with(ms, &zone, n(0), n(1)).ok_or_else(|| beyond(ctx))?;
            set(o, Java::Calendar(ms, zone));
            yes(Value::Null)
        }
        ("set", [_, _, _, ..]) => {
            let hour = |i: usize, of: i64| {
                let now = || field(ms, &zone, of).and_then(|v| v.as_i64()).unwrap_or(0);
                args.get(i).and_then(int).unwrap_or_else(now)
            };
            let parts = [n(0), n(1), n(2), hour(3, 11), hour(4, 12), hour(5, 13)];
            let millis = ms.rem_euclid(1000);
            let ms = date::from_parts(parts, &zone).ok_or_else(|| beyond(ctx))? + millis;
            set(o, Java::Calendar(ms, zone));
            yes(Value::Null)
        }
        ("updated" | "copyWith", [fields @ Value::Map(_)]) => {
            let ms = date::updated(ctx, ms, &zone, fields)?;
            yes(object(ctx, CLASS, Java::Calendar(ms, zone)))
        }
        ("set", [fields @ Value::Map(_)]) => {
            let ms = date::updated(ctx, ms, &zone, fields)?;
            set(o, Java::Calendar(ms, zone));
            yes(Value::Null)
        }
        ("add", [_, _]) => {
            let ms = added(ms, &zone, n(0), n(1)).ok_or_else(|| beyond(ctx))?;
            set(o, Java::Calendar(ms, zone));
            yes(Value::Null)
        }
        ("getTime", []) => yes(date::new(ctx, ms)),
        ("getTimeInMillis", []) => yes(Value::Long(ms)),
        ("setTime" | "setTimeInMillis", [to]) => {
            let ms = match value_of(to) {
                Some(Java::Date(ms)) => ms,
                _ => n(0),
            };
            set(o, Java::Calendar(ms, zone));
            yes(Value::Null)
        }
        ("getTimeZone", []) => yes(zone::object(ctx, "java.util.TimeZone", zone)),
        ("setTimeZone", [to]) => {
            let zone = zone::zone_of(ctx, to)?;
            set(o, Java::Calendar(ms, zone));
            yes(Value::Null)
        }
        ("getActualMaximum" | "getMaximum", [_]) => Ok(last_of(ms, &zone, n(0)).map(Value::Int)),
        ("before" | "after", [other]) => match value_of(other) {
            Some(Java::Calendar(other, _)) => yes(if name == "before" { ms < other } else { ms > other }),
            _ => yes(false),
        },
        ("clear", []) => {
            set(o, Java::Calendar(0, zone));
            yes(Value::Null)
        }
        ("clearTime", []) => {
            let parts = [1, 2, 5].map(|f| field(ms, &zone, f).and_then(|v| v.as_i64()).unwrap_or(0));
            let ms = date::from_parts([parts[0], parts[1], parts[2], 0, 0, 0], &zone).ok_or_else(|| beyond(ctx))?;
            set(o, Java::Calendar(ms, zone));
            yes(Value::Object(o.clone()))
        }
        ("format", [pattern]) => {
            let pattern = ctx.text(pattern)?;
            date::format(ctx, ms, &pattern, &zone).map(Some)
        }
        ("toInstant", []) => yes(object(ctx, "java.time.Instant", Java::Instant(timestamp(ms)))),
        ("setLenient" | "setFirstDayOfWeek" | "setMinimalDaysInFirstWeek", [_]) => yes(Value::Null),
        ("getFirstDayOfWeek", []) => yes(Value::Int(1)),
        _ => Ok(None),
    }
}
