//! `java.time`: making dates and times, and reading and writing them. What is asked of one is in [`super::time_fields`].

use std::rc::Rc;

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};

use super::{object, pattern, value_of, zone};
use crate::library::{Answer, int, yes};
use crate::machine::{Ctx, Fault};
use crate::value::java::{day_text, offset_text};
use crate::value::{Class, Java, Str, Value, Zone};

/// A formatter that writes and reads what `toString` and `parse` do.
const ISO: &str = "@";

const FORMATS: &[(&str, &str)] = &[
    ("BASIC_ISO_DATE", "yyyyMMdd"),
    ("ISO_DATE", "yyyy-MM-dd"),
    ("ISO_DATE_TIME", ISO),
    ("ISO_INSTANT", "@instant"),
    ("ISO_LOCAL_DATE", "yyyy-MM-dd"),
    ("ISO_LOCAL_DATE_TIME", "@local"),
    ("ISO_LOCAL_TIME", "@time"),
    ("ISO_OFFSET_DATE_TIME", "@offset"),
    ("ISO_TIME", "@time"),
    ("ISO_ZONED_DATE_TIME", ISO),
    ("RFC_1123_DATE_TIME", "EEE, d MMM yyyy HH:mm:ss 'GMT'"),
];

/// The class of the object that holds it.
fn class_of(java: &Java) -> &'static str {
    match java {
        Java::Instant(_) => "java.time.Instant",
        Java::LocalDate(_) => "java.time.LocalDate",
        Java::LocalTime(_) => "java.time.LocalTime",
        Java::LocalDateTime(_) => "java.time.LocalDateTime",
        Java::Duration(_) => "java.time.Duration",
        Java::Period(..) => "java.time.Period",
        Java::Zoned(_, zone) if zone.is_offset() => "java.time.OffsetDateTime",
        _ => "java.time.ZonedDateTime",
    }
}

/// A value of `java.time`.
pub(super) fn new(ctx: &Ctx<'_>, java: Java) -> Value {
    object(ctx, class_of(&java), java)
}

pub(super) fn beyond(ctx: &Ctx<'_>) -> Fault {
    ctx.fail("java.time.DateTimeException", "the value is beyond what there is")
}

fn made(ctx: &Ctx<'_>, java: Option<Java>) -> Answer {
    java.map(|java| new(ctx, java)).ok_or_else(|| beyond(ctx)).map(Some)
}

/// A constant of an enum that is written in Groovy.
pub(super) fn constant_of(ctx: &Ctx<'_>, class: &str, n: i8) -> Answer {
    let Some(class) = ctx.world.class(class) else { return Ok(None) };
    if class.script.as_ref().is_some_and(|s| s.state.get() == crate::value::InitState::Pending) {
        return Err(Fault::Init(class));
    }
    ctx.ask(&Value::Class(class), "of", &[Value::Int(i32::from(n))]).map(Some)
}

/// The name of a constant of an enum: `DAYS`.
pub(super) fn name_of(value: &Value) -> Option<String> {
    match value {
        Value::Object(o) => o.field("$name").map(|n| n.to_text()),
        Value::Str(s) => Some(s.to_string()),
        _ => None,
    }
}

pub(super) fn constant(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str) -> Answer {
    let java = match (&*class.name, name) {
        ("java.time.format.DateTimeFormatter", _) => match FORMATS.iter().find(|(n, _)| *n == name) {
            Some((_, pattern)) => return yes(object(ctx, &class.name, Java::DateFormat(Str::new(*pattern), None))),
            None => return Ok(None),
        },
        ("java.time.ZoneOffset", "UTC") => {
            return yes(zone::object(ctx, &class.name, Zone::fixed(jiff::tz::Offset::UTC)));
        }
        ("java.time.Instant", "EPOCH") => Java::Instant(Timestamp::UNIX_EPOCH),
        ("java.time.Duration", "ZERO") => Java::Duration(SignedDuration::ZERO),
        ("java.time.Period", "ZERO") => Java::Period(0, 0, 0),
        ("java.time.LocalTime", "MIDNIGHT" | "MIN") => Java::LocalTime(Time::midnight()),
        ("java.time.LocalTime", "MAX") => Java::LocalTime(Time::MAX),
        ("java.time.LocalTime", "NOON") => Java::LocalTime(Time::constant(12, 0, 0, 0)),
        _ => return Ok(None),
    };
    yes(new(ctx, java))
}

pub(super) fn statics(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str, args: &[Value]) -> Answer {
    let simple = class.simple_name();
    let simple = simple.as_str();
    match (simple, name) {
        ("DateTimeFormatter", "ofPattern") => {
            let text = args.first().map_or(Ok(String::new()), |p| ctx.text(p))?;
            let sample = pattern::Moment::at(Timestamp::UNIX_EPOCH, &Zone::utc());
            pattern::format(&text, &sample, false).map_err(|message| ctx.world.illegal(message))?;
            yes(object(ctx, &class.name, Java::DateFormat(Str::new(text), None)))
        }
        ("Duration", _) => duration(ctx, name, args),
        ("Period", _) => Ok(period(name, args).map(|java| new(ctx, java))),
        (_, "now") => now(ctx, simple, args),
        (_, "parse") => match args {
            [text, rest @ ..] => {
                let text = ctx.text(text)?;
                let format = match rest.first().and_then(value_of) {
                    Some(Java::DateFormat(pattern, zone)) => Some((pattern, zone)),
                    _ => None,
                };
                parse(ctx, simple, &text, format)
            }
            [] => Ok(None),
        },
        (_, "ofInstant") => match (args.first().and_then(value_of), args.get(1)) {
            (Some(Java::Instant(at)), Some(place)) => {
                let zone = zone::zone_of(ctx, place)?;
                yes(at_place(ctx, simple, at, zone))
            }
            _ => Ok(None),
        },
        ("Instant", "ofEpochMilli") => {
            made(ctx, number(args, 0).and_then(|n| Timestamp::from_millisecond(n).ok()).map(Java::Instant))
        }
        ("Instant", "ofEpochSecond") => {
            let at = number(args, 0).and_then(|n| Timestamp::new(n, number(args, 1).unwrap_or(0) as i32).ok());
            made(ctx, at.map(Java::Instant))
        }
        ("LocalDate", "ofEpochDay") => {
            let days = number(args, 0).and_then(|n| jiff::Span::new().try_days(n).ok());
            let date = days.and_then(|days| Date::constant(1970, 1, 1).checked_add(days).ok());
            made(ctx, date.map(Java::LocalDate))
        }
        ("LocalDate" | "LocalTime" | "LocalDateTime" | "ZonedDateTime", "of") => of(ctx, simple, args),
        ("Instant" | "LocalDate" | "LocalDateTime" | "ZonedDateTime", "from") => match args {
            [value] => yes(value.clone()),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

fn number(args: &[Value], i: usize) -> Option<i64> {
    args.get(i).and_then(int)
}

fn at_place(ctx: &Ctx<'_>, simple: &str, at: Timestamp, zone: Zone) -> Value {
    let local = zone.rules.to_datetime(at);
    match simple {
        "LocalDate" => new(ctx, Java::LocalDate(local.date())),
        "LocalTime" => new(ctx, Java::LocalTime(local.time())),
        "LocalDateTime" => new(ctx, Java::LocalDateTime(local)),
        other => object(ctx, &format!("java.time.{other}"), Java::Zoned(at, zone)),
    }
}

fn now(ctx: &mut Ctx<'_>, simple: &str, args: &[Value]) -> Answer {
    let zone = args.first().map_or(Ok(Zone::utc()), |z| zone::zone_of(ctx, z))?;
    let ms = ctx.now_ms(&format!("java.time.{simple}.now"))?;
    let at = crate::value::java::timestamp(ms);
    match simple {
        "Instant" => yes(new(ctx, Java::Instant(at))),
        "LocalDate" | "LocalTime" | "LocalDateTime" | "ZonedDateTime" | "OffsetDateTime" => {
            yes(at_place(ctx, simple, at, zone))
        }
        _ => Ok(None),
    }
}

/// A month as a number or a constant of `Month`.
fn month(value: &Value) -> Option<i64> {
    int(value).or_else(|| {
        let name = name_of(value)?;
        crate::value::java::MONTHS.iter().position(|m| m.eq_ignore_ascii_case(&name)).map(|i| i as i64 + 1)
    })
}

fn of(ctx: &mut Ctx<'_>, simple: &str, args: &[Value]) -> Answer {
    let small = |i: usize| number(args, i).map_or(Some(0), |n| i8::try_from(n).ok());
    let date = || {
        let year = i16::try_from(number(args, 0)?).ok()?;
        Date::new(year, i8::try_from(month(args.get(1)?)?).ok()?, small(2)?).ok()
    };
    let time = |from: usize| {
        let nanos = number(args, from + 3).unwrap_or(0);
        Time::new(small(from)?, small(from + 1)?, small(from + 2)?, i32::try_from(nanos).ok()?).ok()
    };
    let java = match (simple, args.first().and_then(value_of), args.get(1).and_then(value_of)) {
        ("LocalDateTime", Some(Java::LocalDate(date)), Some(Java::LocalTime(time))) => {
            Some(Java::LocalDateTime(date.to_datetime(time)))
        }
        ("ZonedDateTime", Some(Java::LocalDateTime(local)), _) => {
            let zone = args.get(1).map_or(Ok(Zone::utc()), |z| zone::zone_of(ctx, z))?;
            zone.rules.to_timestamp(local).ok().map(|at| Java::Zoned(at, zone))
        }
        ("ZonedDateTime", ..) if args.len() == 8 => {
            let zone = zone::zone_of(ctx, &args[7])?;
            let local = date().zip(time(3)).map(|(date, time)| date.to_datetime(time));
            local.and_then(|l| zone.rules.to_timestamp(l).ok()).map(|at| Java::Zoned(at, zone))
        }
        ("LocalDate", ..) => date().map(Java::LocalDate),
        ("LocalTime", ..) => time(0).map(Java::LocalTime),
        ("LocalDateTime", ..) => date().zip(time(3)).map(|(date, time)| Java::LocalDateTime(date.to_datetime(time))),
        _ => return Ok(None),
    };
    made(ctx, java)
}

/// The length of a unit by its name in `ChronoUnit` or `TimeUnit`, in nanoseconds; `None`: it has no fixed length.
pub(super) fn nanos_of(unit: &str) -> Option<i128> {
    Some(match unit {
        "NANOS" | "NANOSECONDS" => 1,
        "MICROS" | "MICROSECONDS" => 1000,
        "MILLIS" | "MILLISECONDS" => 1_000_000,
        "SECONDS" => 1_000_000_000,
        "MINUTES" => 60_000_000_000,
        "HOURS" => 3_600_000_000_000,
        "HALF_DAYS" => 43_200_000_000_000,
        "DAYS" => 86_400_000_000_000,
        _ => return None,
    })
}

/// So many of a unit.
pub(super) fn length(amount: i64, unit: &str) -> Option<SignedDuration> {
    SignedDuration::try_from_nanos_i128(nanos_of(unit)?.checked_mul(i128::from(amount))?)
}

fn duration(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    if let ("between", [a, b]) = (name, args) {
        return match (super::time_fields::instant_of(a), super::time_fields::instant_of(b)) {
            (Some(a), Some(b)) => yes(new(ctx, Java::Duration(a.duration_until(b)))),
            _ => Ok(None),
        };
    }
    if let ("parse", [text]) = (name, args) {
        let text = ctx.text(text)?;
        let parsed: Option<SignedDuration> = text.parse().ok();
        let fault = || ctx.fail("java.time.format.DateTimeParseException", "Text cannot be parsed to a Duration");
        return parsed.map(|length| new(ctx, Java::Duration(length))).ok_or_else(fault).map(Some);
    }
    let unit = match (name, args.get(1)) {
        ("of", Some(unit)) => name_of(unit).unwrap_or_default(),
        _ => match name.strip_prefix("of") {
            Some(unit) => unit.to_uppercase(),
            None => return Ok(None),
        },
    };
    let Some(amount) = number(args, 0) else { return Ok(None) };
    made(ctx, length(amount, &unit).map(Java::Duration))
}

fn period(name: &str, args: &[Value]) -> Option<Java> {
    if let ("between", [a, b]) = (name, args) {
        let (Java::LocalDate(a), Java::LocalDate(b)) = (value_of(a)?, value_of(b)?) else { return None };
        let span = a.until((jiff::Unit::Year, b)).ok()?;
        return Some(Java::Period(span.get_years().into(), span.get_months().into(), span.get_days().into()));
    }
    let n = number(args, 0)?;
    Some(match name {
        "ofYears" => Java::Period(n, 0, 0),
        "ofMonths" => Java::Period(0, n, 0),
        "ofWeeks" => Java::Period(0, 0, n.checked_mul(7)?),
        "ofDays" => Java::Period(0, 0, n),
        "of" => Java::Period(n, number(args, 1)?, number(args, 2)?),
        _ => return None,
    })
}

fn parse(ctx: &mut Ctx<'_>, simple: &str, text: &str, format: Option<(Str, Option<Zone>)>) -> Answer {
    let class = "java.time.format.DateTimeParseException";
    let fault = |at: usize| ctx.fail(class, format!("Text '{text}' could not be parsed at index {at}"));
    let (read, zone) = match &format {
        Some((pattern, zone)) if !pattern.starts_with(ISO) => {
            let (read, end) = pattern::read(pattern, text, false).map_err(fault)?;
            if end != text.len() {
                return Err(
                    ctx.fail(class, format!("Text '{text}' could not be parsed, unparsed text found at index {end}"))
                );
            }
            (read, zone.clone())
        }
        _ => return iso(simple, text).map(|java| new(ctx, java)).ok_or_else(|| fault(0)).map(Some),
    };
    let missing = || ctx.fail(class, format!("Text '{text}' could not be parsed: Unable to obtain {simple}"));
    let local = read.moment(true).ok_or_else(missing)?;
    if simple != "LocalTime" && !read.has_date() || !matches!(simple, "LocalDate") && !read.has_time() {
        return Err(missing());
    }
    let java = match simple {
        "LocalDate" => Java::LocalDate(local.date()),
        "LocalTime" => Java::LocalTime(local.time()),
        "LocalDateTime" => Java::LocalDateTime(local),
        _ => {
            let zone = read.zone.or(zone).ok_or_else(missing)?;
            let at = zone.rules.to_timestamp(local).map_err(|_| beyond(ctx))?;
            if simple == "Instant" { Java::Instant(at) } else { Java::Zoned(at, zone) }
        }
    };
    yes(new(ctx, java))
}

/// What `parse` reads without a formatter.
fn iso(simple: &str, text: &str) -> Option<Java> {
    // The other reader takes more than Java does.
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"-:.T".contains(&b));
    let full_time = |t: &str| t.len() >= 5 && t.as_bytes().get(2) == Some(&b':');
    match simple {
        "LocalDate" if plain && text.len() == 10 => text.parse::<Date>().ok().map(Java::LocalDate),
        "LocalTime" if plain && full_time(text) => text.parse::<Time>().ok().map(Java::LocalTime),
        "LocalDateTime" if plain && text.contains('T') => local(text).map(Java::LocalDateTime),
        "Instant" if text.contains('T') && text.ends_with('Z') => {
            let at = jiff::tz::Offset::UTC.to_timestamp(local(text.strip_suffix('Z')?)?).ok()?;
            Some(Java::Instant(at))
        }
        "ZonedDateTime" | "OffsetDateTime" => {
            let (moment, place) = match text.split_once('[') {
                Some((moment, place)) => (moment, place.strip_suffix(']')),
                None => (text, None),
            };
            let at = moment.find('T')?;
            let split = at + moment[at..].find(['+', '-', 'Z'])?;
            let offset = pattern::offset(&moment[split..])?;
            let at = offset.to_timestamp(local(&moment[..split])?).ok()?;
            let zone = place.map_or(Some(Zone::fixed(offset)), zone::find)?;
            Some(Java::Zoned(at, zone))
        }
        _ => None,
    }
}

fn local(text: &str) -> Option<DateTime> {
    let (date, time) = text.split_once('T')?;
    (date.len() == 10 && time.len() >= 5).then_some(())?;
    Some(date.parse::<Date>().ok()?.to_datetime(time.parse::<Time>().ok()?))
}

/// A time as formatters write it: with its seconds where `toString` leaves them out, and no more of their fraction than there is.
fn full_time(time: Time) -> String {
    let nanos = format!("{:09}", time.subsec_nanosecond());
    let fraction = nanos.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{:02}:{:02}:{:02}{point}{fraction}", time.hour(), time.minute(), time.second())
}

fn full(at: DateTime) -> String {
    format!("{}T{}", day_text(at.date()), full_time(at.time()))
}

/// `formatter.format(value)`, `value.format(formatter)`
pub(super) fn format(ctx: &Ctx<'_>, value: &Value, pattern: &str, zone: Option<Zone>) -> Result<Value, Fault> {
    let Some(java) = value_of(value) else { return Err(ctx.world.illegal("there is no date to format")) };
    let utc = || zone.clone().unwrap_or_else(Zone::utc);
    let moment = match &java {
        Java::LocalDate(date) => pattern::Moment::local(date.at(0, 0, 0, 0)),
        Java::LocalTime(time) => pattern::Moment::local(time.on(1970, 1, 1)),
        Java::LocalDateTime(local) => pattern::Moment::local(*local),
        Java::Zoned(at, own) => pattern::Moment::at(*at, zone.as_ref().unwrap_or(own)),
        Java::Instant(at) if zone.is_some() || pattern.starts_with(ISO) => pattern::Moment::at(*at, &utc()),
        Java::Instant(_) => {
            let class = "java.time.temporal.UnsupportedTemporalTypeException";
            return Err(ctx.fail(class, "Unsupported field: YearOfEra"));
        }
        _ => return Err(ctx.world.illegal("there is no date to format")),
    };
    let place = match &java {
        Java::Zoned(at, own) => Some((*at, zone.as_ref().unwrap_or(own))),
        Java::Instant(at) => zone.as_ref().map(|zone| (*at, zone)),
        _ => None,
    };
    let text = match (pattern, &java, place) {
        ("@instant", Java::Zoned(at, _), _) => Java::Instant(*at).text(),
        ("@local", ..) => Some(full(moment.local)),
        ("@time", ..) => Some(full_time(moment.local.time())),
        ("@offset", _, Some((at, zone))) => Some(full(moment.local) + &offset_text(zone.offset_at(at), ":", true)),
        (ISO, _, Some((at, zone))) => {
            let name = if zone.is_offset() { String::new() } else { format!("[{}]", zone.name) };
            Some(full(moment.local) + &offset_text(zone.offset_at(at), ":", true) + &name)
        }
        (ISO, Java::LocalDateTime(local), _) => Some(full(*local)),
        (iso, java, _) if iso.starts_with(ISO) => java.text(),
        _ => None,
    };
    match text {
        Some(text) => ctx.new_str(text),
        None => {
            let class = "java.time.temporal.UnsupportedTemporalTypeException";
            let text = pattern::format(pattern, &moment, false).map_err(|message| ctx.fail(class, message))?;
            ctx.new_str(text)
        }
    }
}

pub(super) fn method(ctx: &mut Ctx<'_>, this: &Value, java: &Java, name: &str, args: &[Value]) -> Answer {
    super::time_fields::method(ctx, this, java, name, args)
}
