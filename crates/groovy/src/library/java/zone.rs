//! `TimeZone`, `ZoneId` and `ZoneOffset`.

use jiff::tz::TimeZone;

use super::{pattern, value_of};
use crate::library::{Answer, int, yes};
use crate::machine::{Ctx, Fault};
use crate::value::java::{offset_text, timestamp};
use crate::value::{Java, Str, Value, Zone};

/// Short names that Java knows beside those of the database.
const SHORT: &[(&str, &str)] = &[
    ("ACT", "Australia/Darwin"),
    ("AET", "Australia/Sydney"),
    ("BST", "Asia/Dhaka"),
    ("CET", "CET"),
    ("CST", "America/Chicago"),
    ("CTT", "Asia/Shanghai"),
    ("ECT", "Europe/Paris"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("PST", "America/Los_Angeles"),
    ("SST", "Pacific/Guadalcanal"),
];

/// A zone by its id.
pub(super) fn find(id: &str) -> Option<Zone> {
    if matches!(id, "UTC" | "GMT" | "UT" | "Z" | "Etc/UTC" | "Etc/GMT" | "Universal" | "Zulu") {
        return Some(Zone { name: Str::new(id), rules: TimeZone::UTC });
    }
    let after = id.strip_prefix("GMT").or(id.strip_prefix("UTC")).or(id.strip_prefix("UT"));
    if let Some(offset) = pattern::offset(after.unwrap_or(id)) {
        let seconds = offset.seconds();
        return Some(match after {
            Some(rest) => {
                let prefix = &id[..id.len() - rest.len()];
                Zone {
                    name: Str::new(format!("{prefix}{}", offset_text(seconds, ":", false))),
                    rules: offset.to_time_zone(),
                }
            }
            None => Zone::fixed(offset),
        });
    }
    // The letters of a zone say no more than the database does: no path, nothing of the host.
    let plain = id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || "/_+-".contains(c));
    let full = SHORT.iter().find(|(short, _)| *short == id).map_or(id, |(_, full)| full);
    let rules = TimeZone::get(full).ok().filter(|_| plain)?;
    Some(Zone { name: Str::new(id), rules })
}

/// A zone, or the name of one.
pub(super) fn zone_of(ctx: &mut Ctx<'_>, value: &Value) -> Result<Zone, Fault> {
    if let Some(Java::Zone(zone)) = value_of(value) {
        return Ok(zone);
    }
    let id = ctx.text(value)?;
    find(&id).ok_or_else(|| ctx.fail("java.time.zone.ZoneRulesException", format!("Unknown time-zone ID: {id}")))
}

/// A new object of the zone.
pub(super) fn object(ctx: &Ctx<'_>, class: &str, zone: Zone) -> Value {
    super::object(ctx, class, Java::Zone(zone))
}

pub(super) fn statics(ctx: &mut Ctx<'_>, class: &str, name: &str, args: &[Value]) -> Answer {
    match (class, name, args) {
        ("java.util.TimeZone", "getTimeZone", [id]) => {
            let zone = match value_of(id) {
                Some(Java::Zone(zone)) => zone,
                // Java takes what it does not know for Greenwich.
                _ => find(&ctx.text(id)?).unwrap_or(Zone { name: Str::new("GMT"), rules: TimeZone::UTC }),
            };
            yes(object(ctx, class, zone))
        }
        ("java.util.TimeZone", "getDefault", []) | ("java.time.ZoneId", "systemDefault", []) => {
            yes(object(ctx, class, Zone::utc()))
        }
        ("java.util.TimeZone", "setDefault", [_]) => {
            Err(ctx.refuse("java.util.TimeZone.setDefault", crate::outside::Outside::System))
        }
        ("java.time.ZoneId" | "java.time.ZoneOffset", "of", [id]) => {
            let zone = zone_of(ctx, id)?;
            let class = if zone.is_offset() { "java.time.ZoneOffset" } else { "java.time.ZoneRegion" };
            yes(object(ctx, class, zone))
        }
        ("java.time.ZoneOffset", "ofHours" | "ofTotalSeconds" | "ofHoursMinutes", [first, rest @ ..]) => {
            let first = int(first).unwrap_or(0);
            let seconds = match name {
                "ofTotalSeconds" => first,
                _ => {
                    let minutes = rest.first().and_then(int).unwrap_or(0);
                    first.saturating_mul(3600).saturating_add(minutes.saturating_mul(60))
                }
            };
            match i32::try_from(seconds).ok().and_then(|s| jiff::tz::Offset::from_seconds(s).ok()) {
                Some(offset) if seconds.abs() <= 18 * 3600 => yes(object(ctx, class, Zone::fixed(offset))),
                _ => Err(ctx.fail("java.time.DateTimeException", "Zone offset not in valid range: -18:00 to +18:00")),
            }
        }
        _ => Ok(None),
    }
}

pub(super) fn method(ctx: &mut Ctx<'_>, zone: &Zone, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("getID" | "getId", []) => yes(Value::Str(zone.name.clone())),
        ("getDisplayName", _) => yes(Value::Str(zone.name.clone())),
        ("getRawOffset", []) => {
            let offset = zone.rules.to_offset(timestamp(0)).seconds();
            yes(Value::Int(offset.saturating_mul(1000)))
        }
        ("getOffset", [ms]) => {
            let at = match value_of(ms) {
                Some(Java::Date(ms)) => ms,
                _ => int(ms).unwrap_or(0),
            };
            yes(Value::Int(zone.offset_at(timestamp(at)).saturating_mul(1000)))
        }
        ("inDaylightTime", [date]) => match value_of(date) {
            Some(Java::Date(ms)) => yes(zone.rules.to_offset_info(timestamp(ms)).dst().is_dst()),
            _ => Ok(None),
        },
        ("getTotalSeconds", []) => yes(Value::Int(zone.offset_at(timestamp(0)))),
        ("toZoneId" | "normalized", []) => yes(object(ctx, "java.time.ZoneRegion", zone.clone())),
        _ => Ok(None),
    }
}
