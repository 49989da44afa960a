//! `Date`, `Timestamp` and `SimpleDateFormat`. Where no zone is named it is UTC: what a script computes must not depend on
//! the place that it runs at.

use std::rc::Rc;

use jiff::Span;

use super::{object, pattern, set, value_of, zone};
use crate::library::{Answer, int, yes};
use crate::machine::{Ctx, Fault};
use crate::value::java::timestamp;
use crate::value::{Class, Java, Object, Str, Value, Zone};

const DATE: &str = "java.util.Date";
const DAY_MS: i64 = 86_400_000;
/// What `new SimpleDateFormat()` writes.
const SHORT: &str = "M/d/yy h:mm a";

pub(super) fn new(ctx: &Ctx<'_>, ms: i64) -> Value {
    object(ctx, DATE, Java::Date(ms))
}

pub(super) fn construct(ctx: &mut Ctx<'_>, class: &Rc<Class>, args: &[Value]) -> Answer {
    if &*class.name == "java.text.SimpleDateFormat" {
        let pattern = args.first().map_or(Ok(SHORT.to_string()), |p| ctx.text(p))?;
        check(ctx, &pattern)?;
        return yes(object(ctx, &class.name, Java::DateFormat(Str::new(pattern), None)));
    }
    let ms = match args {
        [] => ctx.now_ms("new java.util.Date")?,
        [Value::Str(_) | Value::GString(_)] => {
            let text = ctx.text(&args[0])?;
            let patterns = ["EEE MMM dd HH:mm:ss z yyyy", "yyyy/MM/dd HH:mm:ss", "yyyy/MM/dd", "MM/dd/yyyy"];
            let found = patterns.iter().find_map(|p| parse_ms(p, &text, None));
            found.ok_or_else(|| Fault::Throw(ctx.world.throwable("java.lang.IllegalArgumentException", Value::Null)))?
        }
        [one] => match int(one) {
            Some(ms) => ms,
            None => return Ok(None),
        },
        // Years count from 1900, months from 0.
        [year, month, day, rest @ ..] if [0, 2, 3].contains(&rest.len()) => {
            let n = |v: Option<&Value>| v.and_then(int).unwrap_or(0);
            let parts = [
                n(Some(year)).saturating_add(1900),
                n(Some(month)),
                n(Some(day)),
                n(rest.first()),
                n(rest.get(1)),
                n(rest.get(2)),
            ];
            from_parts(parts, &Zone::utc()).ok_or_else(|| ctx.world.illegal("the date is beyond what is known"))?
        }
        _ => return Ok(None),
    };
    yes(object(ctx, &class.name, Java::Date(ms)))
}

/// Milliseconds of year, month (from 0), day, hour, minute, second; any of them may be beyond its range.
pub(super) fn from_parts([year, month, day, hour, minute, second]: [i64; 6], zone: &Zone) -> Option<i64> {
    let first = jiff::civil::Date::new(i16::try_from(year).ok()?, 1, 1).ok()?.at(0, 0, 0, 0);
    let date = first.checked_add(Span::new().try_months(month).ok()?).ok()?;
    let date = date.checked_add(Span::new().try_days(day.checked_sub(1)?).ok()?).ok()?;
    let seconds = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
    let local = date.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()?;
    Some(zone.rules.to_timestamp(local).ok()?.as_millisecond())
}

fn check(ctx: &Ctx<'_>, text: &str) -> Result<(), Fault> {
    let sample = pattern::Moment::at(timestamp(0), &Zone::utc());
    pattern::format(text, &sample, true).map(drop).map_err(|message| ctx.world.illegal(message))
}

/// Writes the time by a pattern.
pub(super) fn format(ctx: &Ctx<'_>, ms: i64, pattern: &str, zone: &Zone) -> Result<Value, Fault> {
    let moment = pattern::Moment::at(timestamp(ms), zone);
    let text = pattern::format(pattern, &moment, true).map_err(|message| ctx.world.illegal(message))?;
    ctx.new_str(text)
}

fn parse_ms(pattern: &str, text: &str, zone: Option<&Zone>) -> Option<i64> {
    let (read, _) = pattern::read(pattern, text, true).ok()?;
    let local = read.moment(false)?;
    let utc = Zone::utc();
    let zone = read.zone.as_ref().or(zone).unwrap_or(&utc);
    Some(zone.rules.to_timestamp(local).ok()?.as_millisecond())
}

fn parse(ctx: &Ctx<'_>, pattern: &str, text: &str, zone: Option<&Zone>) -> Result<Value, Fault> {
    match parse_ms(pattern, text, zone) {
        Some(ms) => Ok(new(ctx, ms)),
        None => Err(ctx.fail("java.text.ParseException", format!("Unparseable date: \"{text}\""))),
    }
}

pub(super) fn statics(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str, args: &[Value]) -> Answer {
    match (&*class.name, name, args) {
        (DATE, "parse", [pattern, text, rest @ ..]) => {
            let (pattern, text) = (ctx.text(pattern)?, ctx.text(text)?);
            let zone = rest.first().map(|z| zone::zone_of(ctx, z)).transpose()?;
            check(ctx, &pattern)?;
            parse(ctx, &pattern, &text, zone.as_ref()).map(Some)
        }
        (DATE, "parseToStringDate", [text]) => {
            let text = ctx.text(text)?;
            parse(ctx, "EEE MMM dd HH:mm:ss z yyyy", &text, None).map(Some)
        }
        (DATE, "from", [instant]) => match value_of(instant) {
            Some(Java::Instant(at)) => yes(new(ctx, at.as_millisecond())),
            _ => Ok(None),
        },
        ("java.text.DateFormat", "getInstance" | "getDateTimeInstance" | "getDateInstance" | "getTimeInstance", _) => {
            let pattern = match name {
                "getInstance" => SHORT,
                "getDateInstance" => "MMM d, yyyy",
                "getTimeInstance" => "h:mm:ss a",
                _ => "MMM d, yyyy h:mm:ss a",
            };
            yes(object(ctx, "java.text.SimpleDateFormat", Java::DateFormat(Str::new(pattern), None)))
        }
        _ => Ok(None),
    }
}

/// The time with what a map has of its fields, by Groovy's names or `Calendar`'s numbers; what else it has counts for nothing.
pub(super) fn updated(ctx: &Ctx<'_>, ms: i64, zone: &Zone, fields: &Value) -> Result<i64, Fault> {
    let at = zone.rules.to_datetime(timestamp(ms));
    let date = [i64::from(at.year()), i64::from(at.month()) - 1, i64::from(at.day())];
    let time = [i64::from(at.hour()), i64::from(at.minute()), i64::from(at.second())];
    let mut parts = [date, time].concat();
    let Value::Map(fields) = fields else { return Ok(ms) };
    for (key, value) in (0..fields.len()).map_while(|at| fields.at(at)) {
        let place = match (&*key.to_text(), int(&key)) {
            ("year", _) | (_, Some(1)) => 0,
            ("month", _) | (_, Some(2)) => 1,
            ("date" | "dayOfMonth", _) | (_, Some(5)) => 2,
            ("hourOfDay", _) | (_, Some(11)) => 3,
            ("minute", _) | (_, Some(12)) => 4,
            ("second", _) | (_, Some(13)) => 5,
            _ => continue,
        };
        parts[place] = int(&value).unwrap_or(parts[place]);
    }
    let beyond = || ctx.world.illegal("the date is beyond what is known");
    let parts: [i64; 6] = parts.try_into().map_err(|_| beyond())?;
    Ok(from_parts(parts, zone).ok_or_else(beyond)?.saturating_add(ms.rem_euclid(1000)))
}

/// A whole number of days later, the time of the day as it is.
fn days_later(ctx: &Ctx<'_>, o: &Object, ms: i64, days: Option<i64>) -> Answer {
    let Some(later) = days.and_then(|d| d.checked_mul(DAY_MS)).and_then(|d| ms.checked_add(d)) else { return Ok(None) };
    yes(object(ctx, &o.class.name, Java::Date(later)))
}

pub(super) fn method(ctx: &mut Ctx<'_>, o: &Rc<Object>, ms: i64, name: &str, args: &[Value]) -> Answer {
    let other = |v: &Value| match value_of(v) {
        Some(Java::Date(ms) | Java::Calendar(ms, _)) => Some(ms),
        _ => None,
    };
    let local = Zone::utc().rules.to_datetime(timestamp(ms));
    match (name, args) {
        ("getTime", []) => yes(Value::Long(ms)),
        ("setTime", [to]) => {
            set(o, Java::Date(int(to).unwrap_or(0)));
            yes(Value::Null)
        }
        ("before" | "after", [date]) => match other(date) {
            Some(other) => yes(if name == "before" { ms < other } else { ms > other }),
            None => Ok(None),
        },
        ("hashCode", []) => yes(Value::Int((ms ^ (ms as u64 >> 32) as i64) as i32)),
        ("format", [pattern, rest @ ..]) => {
            let pattern = ctx.text(pattern)?;
            let zone = rest.first().map_or(Ok(Zone::utc()), |z| zone::zone_of(ctx, z))?;
            format(ctx, ms, &pattern, &zone).map(Some)
        }
        ("updated" | "copyWith", [fields @ Value::Map(_)]) => {
            yes(object(ctx, &o.class.name, Java::Date(updated(ctx, ms, &Zone::utc(), fields)?)))
        }
        ("set", [fields @ Value::Map(_)]) => {
            set(o, Java::Date(updated(ctx, ms, &Zone::utc(), fields)?));
            yes(Value::Null)
        }
        ("getDateString", []) => format(ctx, ms, "M/d/yy", &Zone::utc()).map(Some),
        ("getTimeString", []) => format(ctx, ms, "h:mm:ss a", &Zone::utc()).map(Some),
        ("getDateTimeString", []) => format(ctx, ms, "M/d/yy, h:mm:ss a", &Zone::utc()).map(Some),
        ("toLocaleString", []) => format(ctx, ms, "MMM d, yyyy, h:mm:ss a", &Zone::utc()).map(Some),
        ("toGMTString", []) => format(ctx, ms, "d MMM yyyy HH:mm:ss 'GMT'", &Zone::utc()).map(Some),
        ("clearTime", []) => {
            let cleared = ms.saturating_sub(ms.rem_euclid(DAY_MS));
            set(o, Java::Date(cleared));
            yes(Value::Object(o.clone()))
        }
        ("plus", [days]) => days_later(ctx, o, ms, int(days)),
        ("next", []) => days_later(ctx, o, ms, Some(1)),
        ("previous", []) => days_later(ctx, o, ms, Some(-1)),
        ("minus", [date]) if other(date).is_some() => {
            let days = ms.div_euclid(DAY_MS) - other(date).unwrap_or(0).div_euclid(DAY_MS);
            yes(Value::Int(days as i32))
        }
        ("minus", [days]) => days_later(ctx, o, ms, int(days).and_then(i64::checked_neg)),
        ("getAt", [field]) => Ok(calendar_field(ms, field)),
        ("toCalendar", []) => yes(object(ctx, "java.util.GregorianCalendar", Java::Calendar(ms, Zone::utc()))),
        ("toInstant", []) => yes(object(ctx, "java.time.Instant", Java::Instant(timestamp(ms)))),
        ("toTimestamp", []) => yes(object(ctx, "java.sql.Timestamp", Java::Date(ms))),
        ("getYear", []) => yes(Value::Int(i32::from(local.year()) - 1900)),
        ("getMonth", []) => yes(Value::Int(i32::from(local.month()) - 1)),
        ("getDate", []) => yes(Value::Int(i32::from(local.day()))),
        ("getDay", []) => yes(Value::Int(i32::from(local.weekday().to_sunday_zero_offset()))),
        ("getHours", []) => yes(Value::Int(i32::from(local.hour()))),
        ("getMinutes", []) => yes(Value::Int(i32::from(local.minute()))),
        ("getSeconds", []) => yes(Value::Int(i32::from(local.second()))),
        ("getTimezoneOffset", []) => yes(Value::Int(0)),
        _ => Ok(None),
    }
}

fn calendar_field(ms: i64, field: &Value) -> Option<Value> {
    super::calendar::field(ms, &Zone::utc(), int(field)?)
}

/// Methods of `SimpleDateFormat` and `DateTimeFormatter`.
pub(super) fn format_method(
    ctx: &mut Ctx<'_>,
    o: &Rc<Object>,
    pattern: &Str,
    zone: Option<Zone>,
    name: &str,
    args: &[Value],
) -> Answer {
    match (name, args) {
        ("format", [value, ..]) if o.class.name.starts_with("java.text.") => {
            let ms = match value_of(value) {
                Some(Java::Date(ms)) => ms,
                _ => match int(value) {
                    Some(ms) => ms,
                    None => return Err(ctx.world.illegal("Cannot format given Object as a Date")),
                },
            };
            format(ctx, ms, pattern, &zone.unwrap_or_else(Zone::utc)).map(Some)
        }
        ("parse", [text]) if o.class.name.starts_with("java.text.") => {
            let text = ctx.text(text)?;
            parse(ctx, pattern, &text, zone.as_ref()).map(Some)
        }
        ("format", [value]) => super::time::format(ctx, value, pattern, zone).map(Some),
        ("setTimeZone", [to]) => {
            let zone = zone::zone_of(ctx, to)?;
            set(o, Java::DateFormat(pattern.clone(), Some(zone)));
            yes(Value::Null)
        }
        ("getTimeZone", []) => yes(zone::object(ctx, "java.util.TimeZone", zone.unwrap_or_else(Zone::utc))),
        ("withZone", [to]) => {
            let zone = zone::zone_of(ctx, to)?;
            yes(object(ctx, &o.class.name, Java::DateFormat(pattern.clone(), Some(zone))))
        }
        ("withLocale", [_]) => yes(Value::Object(o.clone())),
        ("setLenient", [_]) => yes(Value::Null),
        ("toPattern", []) => yes(Value::Str(pattern.clone())),
        ("applyPattern", [new]) => {
            let new = ctx.text(new)?;
            check(ctx, &new)?;
            set(o, Java::DateFormat(Str::new(new), zone));
            yes(Value::Null)
        }
        _ => Ok(None),
    }
}
