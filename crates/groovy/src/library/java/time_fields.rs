//! What is asked of dates, times and lengths of `java.time`, and how they are changed into others.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Span, Timestamp, Unit};

use super::time::{beyond, constant_of, length, name_of, nanos_of, new};
use super::{date, value_of, zone};
use crate::library::{Answer, int, yes};
use crate::machine::Ctx;
use crate::value::{Java, Value, Zone};

/// A moment on the line of time; a local one as if it were in UTC.
pub(super) fn instant_of(value: &Value) -> Option<Timestamp> {
    match value_of(value)? {
        Java::Instant(at) | Java::Zoned(at, _) => Some(at),
        other => Offset::UTC.to_timestamp(local_of(&other)?).ok(),
    }
}

fn local_of(java: &Java) -> Option<DateTime> {
    Some(match java {
        Java::LocalDate(date) => date.at(0, 0, 0, 0),
        Java::LocalTime(time) => time.on(1970, 1, 1),
        Java::LocalDateTime(local) => *local,
        Java::Zoned(at, zone) => zone.rules.to_datetime(*at),
        Java::Instant(at) => Offset::UTC.to_datetime(*at),
        _ => return None,
    })
}

/// The same kind of value with another date and time.
fn with_local(java: &Java, local: DateTime) -> Option<Java> {
    Some(match java {
        Java::LocalDate(_) => Java::LocalDate(local.date()),
        Java::LocalTime(_) => Java::LocalTime(local.time()),
        Java::LocalDateTime(_) => Java::LocalDateTime(local),
        Java::Zoned(_, zone) => Java::Zoned(zone.rules.to_timestamp(local).ok()?, zone.clone()),
        Java::Instant(_) => Java::Instant(Offset::UTC.to_timestamp(local).ok()?),
        _ => return None,
    })
}

/// So many of a unit later.
fn later(java: &Java, amount: i64, unit: &str) -> Option<Java> {
    match java {
        Java::Duration(d) => return Some(Java::Duration(d.checked_add(length(amount, unit)?)?)),
        Java::Period(years, months, days) => {
            return Some(match unit {
                "YEARS" => Java::Period(years.checked_add(amount)?, *months, *days),
                "MONTHS" => Java::Period(*years, months.checked_add(amount)?, *days),
                "DAYS" => Java::Period(*years, *months, days.checked_add(amount)?),
                _ => return None,
            });
        }
        _ => {}
    }
    let span = Span::new();
    let span = match unit {
        "DAYS" => span.try_days(amount).ok()?,
        "WEEKS" => span.try_weeks(amount).ok()?,
        "MONTHS" => span.try_months(amount).ok()?,
        "YEARS" => span.try_years(amount).ok()?,
        "DECADES" => span.try_years(amount.checked_mul(10)?).ok()?,
        _ => return add_length(java, length(amount, unit)?),
    };
    with_local(java, local_of(java)?.checked_add(span).ok()?)
}

/// So much later; on the line of time where the value is on it.
fn add_length(java: &Java, length: SignedDuration) -> Option<Java> {
    Some(match java {
        Java::Zoned(at, zone) => Java::Zoned(at.checked_add(length).ok()?, zone.clone()),
        Java::Instant(at) => Java::Instant(at.checked_add(length).ok()?),
        Java::Duration(d) => Java::Duration(d.checked_add(length)?),
        Java::LocalTime(time) => Java::LocalTime(time.wrapping_add(length)),
        Java::LocalDate(_) => return None,
        _ => with_local(java, local_of(java)?.checked_add(length).ok()?)?,
    })
}

/// `plus` and `minus` with an amount that is an object, or a number and a unit.
fn plus(java: &Java, args: &[Value], sign: i64) -> Option<Java> {
    match args {
        [amount, unit] => later(java, int(amount)?.checked_mul(sign)?, &name_of(unit)?),
        [amount] => match value_of(amount) {
            Some(Java::Duration(d)) => add_length(java, if sign < 0 { d.checked_neg()? } else { d }),
            Some(Java::Period(years, months, days)) => {
                let java = later(java, years.checked_mul(sign)?, "YEARS")?;
                let java = later(&java, months.checked_mul(sign)?, "MONTHS")?;
                later(&java, days.checked_mul(sign)?, "DAYS")
            }
            // Groovy's own: days of a date, seconds of what has a time.
            None => later(
                java,
                int(amount)?.checked_mul(sign)?,
                if matches!(java, Java::LocalDate(_)) { "DAYS" } else { "SECONDS" },
            ),
            _ => None,
        },
        _ => None,
    }
}

/// How many whole units lie between two values.
fn between(a: &Java, b: &Java, unit: &str) -> Option<i64> {
    // Lengths on the line of time, or dates as one reads them on a calendar.
    let (from, to) = (local_of(a)?, local_of(b)?);
    if let Some(nanos) = nanos_of(unit).filter(|_| unit != "DAYS" || matches!(a, Java::Instant(_))) {
        let on_line = |java: &Java, local: DateTime| match java {
            Java::Zoned(at, _) | Java::Instant(at) => Some(*at),
            _ => Offset::UTC.to_timestamp(local).ok(),
        };
        let length = on_line(a, from)?.duration_until(on_line(b, to)?).as_nanos();
        return i64::try_from(length / nanos).ok();
    }
    let span = |unit: Unit| from.until((unit, to)).ok();
    Some(match unit {
        "DAYS" => span(Unit::Day)?.get_days().into(),
        "WEEKS" => i64::from(span(Unit::Day)?.get_days()) / 7,
        "MONTHS" => span(Unit::Month)?.get_months().into(),
        "YEARS" => span(Unit::Year)?.get_years().into(),
        "DECADES" => i64::from(span(Unit::Year)?.get_years()) / 10,
        _ => return None,
    })
}

pub(super) fn method(ctx: &mut Ctx<'_>, this: &Value, java: &Java, name: &str, args: &[Value]) -> Answer {
    let result = |ctx: &Ctx<'_>, java: Option<Java>| match java {
        Some(java) => yes(new(ctx, java)),
        None => Err(beyond(ctx)),
    };
    match java {
        Java::Duration(d) => {
            if let Some(value) = of_duration(*d, name, args) {
                let value = value.ok_or_else(|| ctx.fail("java.lang.ArithmeticException", "long overflow"))?;
                return yes(new(ctx, value));
            }
            if let Some(n) = duration_number(*d, name) {
                return yes(n);
            }
        }
        Java::Period(years, months, days) => {
            let n = match name {
                "getYears" => years,
                "getMonths" => months,
                "getDays" => days,
                "toTotalMonths" => return yes(Value::Long(years.saturating_mul(12).saturating_add(*months))),
                _ => &i64::MIN,
            };
            if *n != i64::MIN {
                return yes(Value::Int(*n as i32));
            }
        }
        _ => {}
    }
    match (name, args) {
        ("plus", _) => return result(ctx, plus(java, args, 1)),
        ("minus", [one]) if matches!(java, Java::LocalDate(_)) && matches!(value_of(one), Some(Java::LocalDate(_))) => {
            let other = value_of(one).and_then(|other| between(&other, java, "DAYS"));
            return yes(Value::Long(other.unwrap_or(0)));
        }
        ("minus", _) => return result(ctx, plus(java, args, -1)),
        ("next", []) => return result(ctx, plus(java, &[Value::Int(1)], 1)),
        ("previous", []) => return result(ctx, plus(java, &[Value::Int(1)], -1)),
        _ => {}
    }
    for (prefix, sign) in [("plus", 1), ("minus", -1)] {
        if let (Some(unit), [amount]) = (name.strip_prefix(prefix), args)
            && let Some(amount) = int(amount)
        {
            return result(ctx, amount.checked_mul(sign).and_then(|n| later(java, n, &unit.to_uppercase())));
        }
    }
    let Some(local) = local_of(java) else { return Ok(None) };
    if let Some(found) = field(ctx, java, local, name, args)? {
        return Ok(Some(found));
    }
    if let Some(found) = changed(ctx, java, local, name, args)? {
        return Ok(Some(found));
    }
    match (name, args) {
        ("with", [adjuster @ Value::Closure(_)]) => ctx.ask(adjuster, "call", std::slice::from_ref(this)).map(Some),
        ("isBefore" | "isAfter" | "isEqual", [other]) => {
            let order = instant_of(this).zip(instant_of(other)).map(|(a, b)| a.cmp(&b));
            match (order, name) {
                (Some(order), "isBefore") => yes(order.is_lt()),
                (Some(order), "isAfter") => yes(order.is_gt()),
                (Some(order), _) => yes(order.is_eq()),
                (None, _) => Ok(None),
            }
        }
        ("until", [other]) => super::time::statics(
            ctx,
            &ctx.world.java_class("java.time.Period"),
            "between",
            &[this.clone(), other.clone()],
        ),
        ("until", [other, unit]) => match value_of(other) {
            Some(other) => {
                let n = name_of(unit).and_then(|unit| between(java, &other, &unit));
                n.map(Value::Long).ok_or_else(|| beyond(ctx)).map(Some)
            }
            None => Ok(None),
        },
        ("format", [format]) => match value_of(format) {
            Some(Java::DateFormat(pattern, zone)) => super::time::format(ctx, this, &pattern, zone).map(Some),
            _ => {
                let pattern = ctx.text(format)?;
                super::time::format(ctx, this, &pattern, None).map(Some)
            }
        },
        _ => Ok(None),
    }
}

/// Numbers and names that a value has.
fn field(ctx: &mut Ctx<'_>, java: &Java, at: DateTime, name: &str, args: &[Value]) -> Answer {
    if !args.is_empty() {
        return Ok(None);
    }
    let has_date = !matches!(java, Java::LocalTime(_) | Java::Instant(_));
    let has_time = !matches!(java, Java::LocalDate(_) | Java::Instant(_));
    match name {
        "getYear" if has_date => yes(Value::Int(at.year().into())),
        "getMonthValue" if has_date => yes(Value::Int(at.month().into())),
        "getMonth" if has_date => constant_of(ctx, "java.time.Month", at.month()),
        "getDayOfMonth" if has_date => yes(Value::Int(at.day().into())),
        "getDayOfYear" if has_date => yes(Value::Int(at.day_of_year().into())),
        "getDayOfWeek" if has_date => constant_of(ctx, "java.time.DayOfWeek", at.weekday().to_monday_one_offset()),
        "lengthOfMonth" if has_date => yes(Value::Int(at.days_in_month().into())),
        "lengthOfYear" if has_date => yes(Value::Int(at.days_in_year().into())),
        "isLeapYear" if has_date => yes(at.in_leap_year()),
        "getHour" if has_time => yes(Value::Int(at.hour().into())),
        "getMinute" if has_time => yes(Value::Int(at.minute().into())),
        "getSecond" if has_time => yes(Value::Int(at.second().into())),
        "getNano" => yes(Value::Int(at.subsec_nanosecond())),
        "toEpochDay" => yes(Value::Long(
            between(&Java::Instant(Timestamp::UNIX_EPOCH), &Java::LocalDateTime(at), "DAYS").unwrap_or(0),
        )),
        "toSecondOfDay" => {
            yes(Value::Int(i32::from(at.hour()) * 3600 + i32::from(at.minute()) * 60 + i32::from(at.second())))
        }
        "toEpochMilli" => match java {
            Java::Instant(at) => yes(Value::Long(at.as_millisecond())),
            _ => Ok(None),
        },
        "getEpochSecond" | "toEpochSecond" => match java {
            Java::Instant(at) | Java::Zoned(at, _) => {
                yes(Value::Long(at.as_nanosecond().div_euclid(1_000_000_000) as i64))
            }
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Other values made of this one.
fn changed(ctx: &mut Ctx<'_>, java: &Java, local: DateTime, name: &str, args: &[Value]) -> Answer {
    let made = |ctx: &Ctx<'_>, java: Option<Java>| java.map(|j| new(ctx, j)).ok_or_else(|| beyond(ctx)).map(Some);
    match (name, args) {
        ("toLocalDate", []) => yes(new(ctx, Java::LocalDate(local.date()))),
        ("toLocalTime", []) => yes(new(ctx, Java::LocalTime(local.time()))),
        ("toLocalDateTime", []) => yes(new(ctx, Java::LocalDateTime(local))),
        ("atStartOfDay", []) => yes(new(ctx, Java::LocalDateTime(local))),
        ("atTime", [hour, minute, rest @ ..]) => {
            let n = |v: Option<&Value>| v.and_then(int).and_then(|n| i8::try_from(n).ok()).unwrap_or(0);
            let time = jiff::civil::Time::new(n(Some(hour)), n(Some(minute)), n(rest.first()), 0).ok();
            made(ctx, time.map(|time| Java::LocalDateTime(local.date().to_datetime(time))))
        }
        ("atTime", [time]) => match value_of(time) {
            Some(Java::LocalTime(time)) => yes(new(ctx, Java::LocalDateTime(local.date().to_datetime(time)))),
            _ => Ok(None),
        },
        ("atZone" | "atStartOfDay" | "atOffset", [place]) => {
            let zone = zone::zone_of(ctx, place)?;
            let at = match java {
                Java::Instant(at) => Some(*at),
                _ => zone.rules.to_timestamp(local).ok(),
            };
            made(ctx, at.map(|at| Java::Zoned(at, zone)))
        }
        ("toInstant", _) => {
            let at = match (java, args.first()) {
                (Java::Zoned(at, _) | Java::Instant(at), _) => Some(*at),
                (_, Some(place)) => zone::zone_of(ctx, place)?.rules.to_timestamp(local).ok(),
                _ => return Ok(None),
            };
            made(ctx, at.map(Java::Instant))
        }
        ("toDate", []) => match java {
            Java::Instant(at) | Java::Zoned(at, _) => yes(date::new(ctx, at.as_millisecond())),
            _ => Ok(None),
        },
        ("withZoneSameInstant" | "withOffsetSameInstant", [place]) => {
            let zone = zone::zone_of(ctx, place)?;
            match java {
                Java::Zoned(at, _) => yes(new(ctx, Java::Zoned(*at, zone))),
                _ => Ok(None),
            }
        }
        ("withZoneSameLocal", [place]) => {
            let zone = zone::zone_of(ctx, place)?;
            made(ctx, zone.rules.to_timestamp(local).ok().map(|at| Java::Zoned(at, zone)))
        }
        ("getZone" | "getOffset", []) => match java {
            Java::Zoned(at, zone) => {
                let zone = if name == "getZone" { zone.clone() } else { Zone::fixed(zone.rules.to_offset(*at)) };
                let class = if zone.is_offset() { "java.time.ZoneOffset" } else { "java.time.ZoneRegion" };
                yes(zone::object(ctx, class, zone))
            }
            _ => Ok(None),
        },
        ("toOffsetDateTime", []) => match java {
            Java::Zoned(at, zone) => yes(new(ctx, Java::Zoned(*at, Zone::fixed(zone.rules.to_offset(*at))))),
            _ => Ok(None),
        },
        ("truncatedTo", [unit]) => {
            let nanos = name_of(unit).and_then(|unit| nanos_of(&unit));
            let Some(nanos) = nanos else {
                return Err(ctx.fail(
                    "java.time.temporal.UnsupportedTemporalTypeException",
                    "Unit is too large to be used for truncation",
                ));
            };
            let midnight = local.date().at(0, 0, 0, 0);
            let since = midnight.duration_until(local).as_nanos() / nanos * nanos;
            let length = SignedDuration::try_from_nanos_i128(since);
            made(ctx, length.and_then(|l| midnight.checked_add(l).ok()).and_then(|local| with_local(java, local)))
        }
        (setter, [to]) if setter.starts_with("with") => {
            let Some(to) = int(to) else { return Ok(None) };
            let (small, year) = (i8::try_from(to).map_err(|_| beyond(ctx)), i16::try_from(to).map_err(|_| beyond(ctx)));
            let with = local.with();
            let with = match &setter[4..] {
                "Year" => with.year(year?),
                "Month" => with.month(small?),
                "DayOfMonth" => with.day(small?),
                "DayOfYear" => with.day_of_year(year?),
                "Hour" => with.hour(small?),
                "Minute" => with.minute(small?),
                "Second" => with.second(small?),
                "Nano" => with.subsec_nanosecond(i32::try_from(to).map_err(|_| beyond(ctx))?),
                _ => return Ok(None),
            };
            made(ctx, with.build().ok().and_then(|local| with_local(java, local)))
        }
        _ => Ok(None),
    }
}

/// Lengths made of a length; the inner `None` is one beyond what there is.
fn of_duration(d: SignedDuration, name: &str, args: &[Value]) -> Option<Option<Java>> {
    let n = || args.first().and_then(int).and_then(|n| i32::try_from(n).ok());
    Some(match name {
        "abs" if d.is_negative() => d.checked_neg().map(Java::Duration),
        "abs" => Some(Java::Duration(d)),
        "negated" => d.checked_neg().map(Java::Duration),
        "multipliedBy" => n().and_then(|n| d.checked_mul(n)).map(Java::Duration),
        "dividedBy" => n().and_then(|n| d.checked_div(n)).map(Java::Duration),
        _ => return None,
    })
}

fn duration_number(d: SignedDuration, name: &str) -> Option<Value> {
    let seconds = d.as_secs();
    Some(match name {
        "toDays" | "toDaysPart" => Value::Long(seconds / 86400),
        "toHours" => Value::Long(seconds / 3600),
        "toMinutes" => Value::Long(seconds / 60),
        "getSeconds" | "toSeconds" => Value::Long(seconds.saturating_sub(i64::from(d.subsec_nanos() < 0))),
        "toMillis" => Value::Long(d.as_millis() as i64),
        "toNanos" => Value::Long(d.as_nanos() as i64),
        "getNano" => Value::Int(d.subsec_nanos().rem_euclid(1_000_000_000)),
        "toHoursPart" => Value::Int((seconds / 3600 % 24) as i32),
        "toMinutesPart" => Value::Int((seconds / 60 % 60) as i32),
        "toSecondsPart" => Value::Int((seconds % 60) as i32),
        "toMillisPart" => Value::Int(d.subsec_millis()),
        "isZero" => Value::Bool(d.is_zero()),
        "isNegative" => Value::Bool(d.is_negative()),
        _ => return None,
    })
}
