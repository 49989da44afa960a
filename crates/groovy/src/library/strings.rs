//! Methods of `String` (and of `GString`, which is rendered first).

use super::{Answer, int, text, yes};
use crate::ast::BinaryOp;
use crate::machine::{Ctx, Fault};
use crate::value::{GString, Str, Value};

pub(crate) fn method(ctx: &mut Ctx<'_>, s: &Str, name: &str, args: &[Value]) -> Answer {
    if let Some(found) = simple(ctx, s, name, args)? {
        return Ok(Some(found));
    }
    if let Some(found) = searching(ctx, s, name, args)? {
        return Ok(Some(found));
    }
    if let Some(found) = numeric(ctx, s, name, args)? {
        return Ok(Some(found));
    }
    if let Some(found) = super::regex::string_method(ctx, s, name, args)? {
        return Ok(Some(found));
    }
    text::layout(ctx, s, name, args)
}

/// What a text with values is made of.
pub(super) fn gstring_part(ctx: &mut Ctx<'_>, g: &GString, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("getValues", []) => yes(Value::array(g.values.clone(), "java.lang.Object")),
        ("getStrings", []) => yes(Value::array(g.texts.iter().cloned().map(Value::Str).collect(), "java.lang.String")),
        ("getValueCount", []) => yes(Value::Int(g.values.len() as i32)),
        ("getValue", [n @ Value::Int(i)]) => {
            let found = usize::try_from(*i).ok().and_then(|i| g.values.get(i)).cloned();
            found.map(Some).ok_or_else(|| {
                let message = format!("Index {n} out of bounds for length {}", g.values.len());
                ctx.fail("java.lang.ArrayIndexOutOfBoundsException", message)
            })
        }
        _ => Ok(None),
    }
}

fn simple(ctx: &mut Ctx<'_>, s: &Str, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("length" | "size", []) => yes(Value::Int(s.units() as i32)),
        ("trim", []) => yes(s.trim_matches(|c: char| c <= ' ')),
        ("isEmpty", []) => yes(s.is_empty()),
        ("toLowerCase", _) => yes(s.to_lowercase()),
        ("toUpperCase", _) => yes(s.to_uppercase()),
        ("toString" | "intern" | "toGString", []) => yes(Value::Str(s.clone())),
        (
            "concat" | "split" | "tokenize" | "replaceAll" | "replaceFirst" | "replace" | "indexOf" | "lastIndexOf"
            | "count",
            args,
        ) if args.iter().any(Value::is_null) => Err(ctx.world.null_pointer("the argument is null")),
        ("concat", [other]) => super::operators::binary(ctx, BinaryOp::Add, &Value::Str(s.clone()), other),
        ("plus", [other]) => super::operators::binary(ctx, BinaryOp::Add, &Value::Str(s.clone()), other),
        ("minus", [other]) => super::operators::binary(ctx, BinaryOp::Sub, &Value::Str(s.clone()), other),
        ("multiply", [other]) => super::operators::binary(ctx, BinaryOp::Mul, &Value::Str(s.clone()), other),
        ("leftShift", [other]) => super::operators::binary(ctx, BinaryOp::ShiftLeft, &Value::Str(s.clone()), other),
        ("equals", [other]) => yes(matches!(other, Value::Str(o) if o == s)),
        ("equalsIgnoreCase", [other]) => yes(!other.is_null() && ctx.text(other)?.to_lowercase() == s.to_lowercase()),
        ("compareTo", [other]) if other.is_text() => yes(Value::Int(java_compare(s, &ctx.text(other)?))),
        ("compareToIgnoreCase", [other]) => {
            yes(Value::Int(java_compare(&s.to_lowercase(), &ctx.text(other)?.to_lowercase())))
        }
        ("contentEquals", [other]) => yes(ctx.text(other)? == **s),
        ("codePointCount", [from, to]) => {
            let (from, to) = (int(from).unwrap_or(0).max(0) as usize, int(to).unwrap_or(0).max(0) as usize);
            yes(Value::Int(s.slice(from, to).chars().count() as i32))
        }
        ("regionMatches", [Value::Bool(loose), rest @ ..]) => region(ctx, s, *loose, rest),
        ("regionMatches", rest) => region(ctx, s, false, rest),
        ("hashCode", []) => yes(Value::Int(crate::value::hash::text(s))),
        ("reverse", []) => yes(s.chars().rev().collect::<String>()),
        ("capitalize", []) => yes(change_first(s, |c| c.to_uppercase().collect())),
        ("uncapitalize", []) => yes(change_first(s, |c| c.to_lowercase().collect())),
        ("toCharArray" | "getChars", []) => {
            ctx.room_for_items(s.len() as u64)?;
            yes(Value::array(s.encode_utf16().map(Value::Char).collect(), "char"))
        }
        ("getBytes" | "bytes", rest) if rest.len() <= 1 => {
            let charset = super::charset::of(ctx, rest.first())?;
            ctx.room_for_items(charset.most(s) as u64)?;
            let bytes = charset.encode(s);
            yes(Value::array(bytes.into_iter().map(|b| Value::Int(i32::from(b as i8))).collect(), "byte"))
        }
        ("toList", []) => {
            ctx.room_for_items(s.len() as u64 * 6)?;
            yes(Value::list(s.chars().map(|c| Value::str(c.to_string())).collect()))
        }
        ("toSet", []) => {
            ctx.room_for_items(s.len() as u64 * 6)?;
            let letters = s.chars().map(|c| Value::str(c.to_string()));
            let letters: Vec<Value> = letters.collect();
            super::sets::copied(ctx, letters)
        }
        ("isAllWhitespace" | "isBlank", []) => yes(s.chars().all(char::is_whitespace)),
        ("charAt", [i]) => char_at(ctx, s, i),
        ("codePointAt", [i]) => match char_at(ctx, s, i)? {
            Some(Value::Char(c)) => yes(Value::Int(i32::from(c))),
            other => Ok(other),
        },
        ("getAt", [key]) => super::index::get(ctx, &Value::Str(s.clone()), key),
        ("substring" | "subSequence", [from]) => substring(ctx, s, from, None),
        ("substring" | "subSequence", [from, to]) => substring(ctx, s, from, Some(to)),
        ("take" | "drop" | "takeRight" | "dropRight", [n]) => {
            let (n, len) = (int(n).unwrap_or(0).max(0) as usize, s.units());
            let n = n.min(len);
            yes(match name {
                "take" => s.slice(0, n),
                "drop" => s.slice(n, len),
                "takeRight" => s.slice(len - n, len),
                _ => s.slice(0, len - n),
            })
        }
        ("isCase", [other]) => yes(!other.is_null() && ctx.text(other)? == **s),
        ("toBoolean", []) => yes(matches!(s.trim().to_lowercase().as_str(), "true" | "y" | "1")),
        ("chars", []) => yes(Value::list(s.encode_utf16().map(|u| Value::Int(i32::from(u))).collect())),
        ("next", []) => yes(text::neighbour(s, 1)),
        ("previous", []) => yes(text::neighbour(s, -1)),
        _ => Ok(None),
    }
}

/// Java's `String.compareTo`: the difference, not only its sign.
fn java_compare(a: &str, b: &str) -> i32 {
    let (mut x, mut y) = (a.encode_utf16(), b.encode_utf16());
    loop {
        match (x.next(), y.next()) {
            (Some(p), Some(q)) if p != q => return i32::from(p) - i32::from(q),
            (Some(_), Some(_)) => {}
            _ => return a.encode_utf16().count() as i32 - b.encode_utf16().count() as i32,
        }
    }
}

fn change_first(s: &str, f: impl Fn(char) -> String) -> String {
    let mut chars = s.chars();
    match chars.next() {
        Some(first) => f(first) + chars.as_str(),
        None => String::new(),
    }
}

fn char_at(ctx: &mut Ctx<'_>, s: &Str, i: &Value) -> Answer {
    let index = int(i).unwrap_or(-1);
    match usize::try_from(index).ok().and_then(|n| s.unit(n)) {
        Some(unit) => yes(Value::Char(unit)),
        None => {
            let message = format!("String index out of range: {index}");
            Err(ctx.fail("java.lang.StringIndexOutOfBoundsException", message))
        }
    }
}

fn substring(ctx: &mut Ctx<'_>, s: &Str, from: &Value, to: Option<&Value>) -> Answer {
    let len = s.units() as i64;
    let (Some(from), Some(to)) = (int(from), to.map_or(Some(len), int)) else { return Ok(None) };
    if from < 0 || to > len || from > to {
        return Err(out_of_bounds(ctx, from, to, len));
    }
    yes(s.slice(from as usize, to as usize))
}

pub(crate) fn out_of_bounds(ctx: &Ctx<'_>, from: i64, to: i64, len: i64) -> Fault {
    let message = format!("begin {from}, end {to}, length {len}");
    ctx.fail("java.lang.StringIndexOutOfBoundsException", message)
}

fn searching(ctx: &mut Ctx<'_>, s: &Str, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("contains", [part]) => {
            not_null(ctx, part)?;
            yes(s.contains(&*ctx.str(part)?))
        }
        ("startsWith", [part]) => {
            not_null(ctx, part)?;
            yes(s.starts_with(&*ctx.str(part)?))
        }
        ("startsWith", [part, at]) => {
            let rest = s.slice(int(at).unwrap_or(0).max(0) as usize, s.units());
            yes(rest.starts_with(&*ctx.str(part)?))
        }
        ("endsWith", [part]) => {
            not_null(ctx, part)?;
            yes(s.ends_with(&*ctx.str(part)?))
        }
        ("indexOf", [part, rest @ ..]) if !matches!(part, Value::Closure(_)) => {
            let from = s.byte_at(rest.first().and_then(int).unwrap_or(0).max(0) as usize);
            let part = needle(ctx, part)?;
            let at = s[from..].find(&part).map(|i| s.unit_at(i + from) as i32);
            yes(Value::Int(at.unwrap_or(-1)))
        }
        ("lastIndexOf", [part, rest @ ..]) => {
            let part = needle(ctx, part)?;
            let end = match rest.first().and_then(int) {
                Some(n) => (s.byte_at(n.max(0) as usize) + part.len()).min(s.len()),
                None => s.len(),
            };
            let head = s.get(..end).unwrap_or(s);
            yes(Value::Int(head.rfind(&part).map_or(-1, |i| s.unit_at(i) as i32)))
        }
        ("replace", [old, new]) => {
            let (old, new) = (ctx.text(old)?, ctx.text(new)?);
            let hits = if old.is_empty() { s.len() + 1 } else { s.matches(&old).count() };
            ctx.room((s.len() + hits.saturating_mul(new.len())).saturating_sub(hits * old.len()))?;
            yes(s.replace(&old, &new))
        }
        ("count", [part]) if !matches!(part, Value::Closure(_)) => {
            let part = ctx.text(part)?;
            yes(Value::Int(s.matches(&part).count() as i32))
        }
        ("tokenize", []) => yes(tokens(ctx, s, " \t\n\r\u{c}")?),
        ("tokenize", [set]) => {
            let set = ctx.text(set)?;
            yes(tokens(ctx, s, &set)?)
        }
        ("join", items) if !items.is_empty() => {
            let parts: Result<Vec<String>, Fault> = match items {
                [one @ (Value::List(_) | Value::Set(_))] => {
                    one.items().unwrap_or_default().iter().map(|i| ctx.text(i)).collect()
                }
                many => many.iter().map(|i| ctx.text(i)).collect(),
            };
            let joined = parts?.join(s);
            ctx.new_str(joined).map(Some)
        }
        ("formatted", values) => super::format::format(ctx, s, values).map(Some),
        ("iterator", []) => {
            let items: Vec<Value> = s.chars().map(|c| Value::str(c.to_string())).collect();
            yes(super::lists::iterator(Value::list(items)))
        }
        _ => Ok(None),
    }
}

fn needle(ctx: &Ctx<'_>, part: &Value) -> Result<String, Fault> {
    match part {
        Value::Int(n) => Ok(Value::unit_text(*n as u16)),
        other => ctx.text(other),
    }
}

fn not_null(ctx: &Ctx<'_>, part: &Value) -> Result<(), Fault> {
    if part.is_null() { Err(ctx.world.null_pointer("the argument is null")) } else { Ok(()) }
}

fn tokens(ctx: &mut Ctx<'_>, s: &Str, set: &str) -> Result<Value, Fault> {
    ctx.room_for_items(s.len() as u64 / 2)?;
    let parts = s.split(|c| set.contains(c)).filter(|p| !p.is_empty());
    Ok(Value::list(parts.map(Value::str).collect()))
}

fn numeric(ctx: &mut Ctx<'_>, s: &Str, name: &str, args: &[Value]) -> Answer {
    if !args.is_empty() {
        return Ok(None);
    }
    let t = s.trim();
    match name {
        "toInteger" => parse_int(ctx, t, 10).map(Some),
        "toShort" => parse_small(ctx, t, 10, 16).map(Some),
        "toCharacter" => char_at(ctx, s, &Value::Int(0)),
        "toLong" => parse_long(ctx, t, 10).map(Some),
        "toDouble" | "toFloat" if t.is_empty() => Err(ctx.fail("java.lang.NumberFormatException", "empty String")),
        "toDouble" => yes(Value::Double(parse_double(ctx, t)?)),
        "toFloat" => yes(Value::Float(parse_double(ctx, t)? as f32)),
        "toBigDecimal" => yes(Value::decimal(super::numbers::parse_decimal(ctx, t)?)),
        "toBigInteger" => super::convert::big_integer(ctx, t).map(Some),
        "isInteger" => yes(t.parse::<i32>().is_ok()),
        "isLong" => yes(t.parse::<i64>().is_ok()),
        "isBigInteger" => yes(!t.is_empty() && t.strip_prefix('-').unwrap_or(t).bytes().all(|b| b.is_ascii_digit())),
        "isNumber" | "isBigDecimal" => yes(crate::value::Decimal::parse(t).is_some()),
        "isDouble" | "isFloat" => yes(double(t).is_some()),
        _ => Ok(None),
    }
}

pub(crate) fn number_fault(ctx: &Ctx<'_>, text: &str) -> Fault {
    ctx.fail("java.lang.NumberFormatException", format!("For input string: \"{text}\""))
}

pub(crate) fn parse_int(ctx: &Ctx<'_>, text: &str, radix: u32) -> Result<Value, Fault> {
    i32::from_str_radix(text, radix).map(Value::Int).map_err(|_| number_fault(ctx, text))
}

pub(crate) fn parse_long(ctx: &Ctx<'_>, text: &str, radix: u32) -> Result<Value, Fault> {
    i64::from_str_radix(text, radix).map(Value::Long).map_err(|_| number_fault(ctx, text))
}

/// A `Byte` or `Short`, of that many bits.
pub(crate) fn parse_small(ctx: &Ctx<'_>, text: &str, radix: u32, bits: u32) -> Result<Value, Fault> {
    let n = i32::from_str_radix(text, radix).map_err(|_| number_fault(ctx, text))?;
    let small = if bits == 8 { i8::try_from(n).map(Value::Byte) } else { i16::try_from(n).map(Value::Short) };
    small.map_err(|_| {
        let message = format!("Value out of range. Value:\"{text}\" Radix:{radix}");
        ctx.fail("java.lang.NumberFormatException", message)
    })
}

pub(crate) fn parse_double(ctx: &Ctx<'_>, text: &str) -> Result<f64, Fault> {
    double(text).ok_or_else(|| number_fault(ctx, text))
}

/// A number as `Double.parseDouble` takes it: a letter for its type may follow, and hexadecimal ones have an exponent of 2.
fn double(text: &str) -> Option<f64> {
    let plain = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    match unsigned {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(sign * f64::INFINITY),
        _ => {}
    }
    if let Some(hexadecimal) = plain.strip_prefix(['-', '+']).unwrap_or(plain).strip_prefix("0x") {
        let (digits, exponent) = hexadecimal.split_once(['p', 'P'])?;
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        // What has more digits than fit is no number that anyone writes.
        let number = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
        let exponent =
            exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
        return Some(sign * number as f64 * 2f64.powi(exponent));
    }
    // Rust has other names of what is no number.
    plain.parse().ok().filter(|_| plain.contains(|c: char| c.is_ascii_digit()))
}

/// A list of strings.
pub(crate) fn string_list<'t>(parts: impl Iterator<Item = &'t str>) -> Value {
    Value::list(parts.map(Value::str).collect())
}

/// Whether a part of a text is a part of another: `(at, other, at, length)`.
fn region(ctx: &mut Ctx<'_>, s: &Str, loose: bool, args: &[Value]) -> Answer {
    let [at, other, from, length] = args else { return Ok(None) };
    let other = ctx.str(other)?;
    let [at, from, length] = [at, from, length].map(|n| int(n).unwrap_or(-1));
    if at < 0
        || from < 0
        || at.saturating_add(length) > s.units() as i64
        || from.saturating_add(length) > other.units() as i64
    {
        return yes(false);
    }
    let part = |s: &Str, at: i64| s.slice(at as usize, (at + length.max(0)) as usize).to_string();
    let (a, b) = (part(s, at), part(&other, from));
    yes(if loose { a.to_lowercase() == b.to_lowercase() } else { a == b })
}
