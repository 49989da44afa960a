//! `StringUtils` of Apache's commons-lang, which Jenkins has: what takes `null` as well as a text.

use super::{Answer, sequence, yes};
use crate::machine::Ctx;
use crate::value::Value;

pub(crate) fn statics(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    let [first, rest @ ..] = args else { return Ok(None) };
    let absent = first.is_null();
    let text = if absent || matches!(first, Value::List(_) | Value::Set(_)) { String::new() } else { ctx.text(first)? };
    ctx.pay(text.len() / 64)?;
    match name {
        "isEmpty" => return yes(text.is_empty()),
        "isNotEmpty" => return yes(!text.is_empty()),
        "isBlank" => return yes(text.trim().is_empty()),
        "isNotBlank" => return yes(!text.trim().is_empty()),
        "defaultString" => {
            return if absent { yes(rest.first().map_or_else(|| Value::str(""), Value::clone)) } else { yes(text) };
        }
        "defaultIfEmpty" if text.is_empty() => return Ok(rest.first().cloned()),
        "defaultIfBlank" if text.trim().is_empty() => return Ok(rest.first().cloned()),
        "trimToEmpty" | "stripToEmpty" => return yes(text.trim()),
        "trimToNull" | "stripToNull" => {
            return yes(if text.trim().is_empty() { Value::Null } else { Value::str(text.trim()) });
        }
        "join" => {
            let list = Value::list(sequence(ctx, first)?.unwrap_or_default());
            let between = rest
                .first()
                .map_or(Ok(String::new()), |b| if b.is_null() { Ok(String::new()) } else { ctx.text(b) })?;
            return super::method(ctx, &list, "join", &[Value::str(between)]);
        }
        _ => {}
    }
    let other = match rest.first() {
        Some(value) if !value.is_null() => Some(ctx.text(value)?),
        _ => None,
    };
    let part = other.as_deref().unwrap_or("");
    match name {
        "equals" => return yes(absent == other.is_none() && text == part),
        "equalsIgnoreCase" => return yes(absent == other.is_none() && text.eq_ignore_ascii_case(part)),
        "contains" => return yes(!absent && other.is_some() && text.contains(part)),
        "startsWith" => return yes(!absent && text.starts_with(part)),
        "endsWith" => return yes(!absent && text.ends_with(part)),
        _ if absent => return if NULL_SAFE.contains(&name) { yes(Value::Null) } else { Ok(None) },
        _ => {}
    }
    let receiver = Value::str(text.as_str());
    match name {
        "strip" if other.is_some() => yes(text.trim_matches(|c| part.contains(c))),
        "strip" | "trim" => yes(text.trim()),
        "capitalize" => super::method(ctx, &receiver, "capitalize", &[]),
        "uncapitalize" => super::method(ctx, &receiver, "uncapitalize", &[]),
        "upperCase" => yes(text.to_uppercase()),
        "lowerCase" => yes(text.to_lowercase()),
        "reverse" => super::method(ctx, &receiver, "reverse", &[]),
        "substringBefore" => yes(text.split_once(part).map_or(text.as_str(), |(before, _)| before)),
        "substringAfter" => yes(text.split_once(part).map_or("", |(_, after)| after)),
        "substringBeforeLast" => yes(text.rsplit_once(part).map_or(text.as_str(), |(before, _)| before)),
        "substringAfterLast" => yes(text.rsplit_once(part).map_or("", |(_, after)| after)),
        "substringBetween" => {
            let close = rest.get(1).map_or(Ok(part.to_string()), |c| ctx.text(c))?;
            let found = text.split_once(part).and_then(|(_, after)| after.split_once(close.as_str()));
            yes(found.map_or(Value::Null, |(inner, _)| Value::str(inner)))
        }
        "remove" => yes(text.replace(part, "")),
        "removeStart" => yes(text.strip_prefix(part).unwrap_or(&text)),
        "removeEnd" => yes(text.strip_suffix(part).unwrap_or(&text)),
        "countMatches" => yes(Value::Int(if part.is_empty() { 0 } else { text.matches(part).count() as i32 })),
        "isNumeric" => yes(!text.is_empty() && text.chars().all(char::is_numeric)),
        "isAlpha" => yes(!text.is_empty() && text.chars().all(char::is_alphabetic)),
        "isAlphanumeric" => yes(!text.is_empty() && text.chars().all(char::is_alphanumeric)),
        "repeat" => super::method(ctx, &receiver, "multiply", &rest[..rest.len().min(1)]),
        "leftPad" => super::method(ctx, &receiver, "padLeft", rest),
        "rightPad" => super::method(ctx, &receiver, "padRight", rest),
        "center" => super::method(ctx, &receiver, "center", rest),
        "replace" => super::method(ctx, &receiver, "replace", rest),
        "split" => {
            let parts = super::method(ctx, &receiver, "tokenize", rest)?.unwrap_or_default();
            yes(Value::array(parts.items().unwrap_or_default(), "java.lang.String"))
        }
        _ => Ok(None),
    }
}

/// What answers `null` for `null`.
const NULL_SAFE: &[&str] = &[
    "capitalize",
    "center",
    "leftPad",
    "lowerCase",
    "remove",
    "removeEnd",
    "removeStart",
    "repeat",
    "replace",
    "reverse",
    "rightPad",
    "split",
    "strip",
    "substringAfter",
    "substringAfterLast",
    "substringBefore",
    "substringBeforeLast",
    "substringBetween",
    "trim",
    "uncapitalize",
    "upperCase",
];
