//! `value as T` and casts to Java's types.

use std::rc::Rc;

use num_bigint::BigInt;

use super::{Answer, int, numbers, sequence, strings, yes};
use crate::machine::{Ctx, Fault, LimitKind};
use crate::value::{List, ListKind, Map, MapKind, Value, is_number, to_decimal, to_f64};

/// A `BigInteger` from text.
pub(crate) fn big_integer(ctx: &Ctx<'_>, text: &str) -> Result<Value, Fault> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if text.is_empty() {
        return Err(ctx.fail("java.lang.NumberFormatException", "Zero length BigInteger"));
    }
    // Reading digits costs their square.
    if text.len() as u64 > crate::value::decimal::DIGITS_MAX {
        return Err(Fault::Limit(LimitKind::Digits));
    }
    let parsed = BigInt::parse_bytes(digits.as_bytes(), 10);
    parsed.map(Value::big).ok_or_else(|| strings::number_fault(ctx, text))
}

/// The value as the named type; `None` where there is no such conversion. `explicit` is `as`, else a cast.
pub(crate) fn to_type(ctx: &mut Ctx<'_>, value: &Value, name: &str, explicit: bool) -> Answer {
    match name {
        "java.lang.String" => match value {
            Value::Null => yes(Value::Null),
            // A cast is Java's `toString()`, which writes maps otherwise than Groovy does.
            other if !explicit => yes(ctx.styled(other, crate::value::render::Style::Java)?),
            other => yes(Value::Str(ctx.str(other)?)),
        },
        "boolean" | "java.lang.Boolean" => yes(truth(ctx, value)?),
        "char" | "java.lang.Character" => match value {
            Value::Str(s) if s.units() == 1 || explicit && s.units() > 1 => {
                yes(s.unit(0).map_or(Value::Null, Value::Char))
            }
            Value::Char(_) => yes(value.clone()),
            Value::GString(_) => {
                let text = Value::Str(ctx.str(value)?);
                to_type(ctx, &text, name, explicit)
            }
            Value::Str(s) if explicit && s.is_empty() => {
                let class = "java.lang.StringIndexOutOfBoundsException";
                Err(ctx.fail(class, "String index out of range: 0"))
            }
            // Java makes an `int` of it first.
            Value::Double(n) => yes(Value::Char(*n as i32 as u16)),
            Value::Float(n) => yes(Value::Char(*n as i32 as u16)),
            n if is_number(n) => yes(Value::Char(numbers::truncated(n) as u16)),
            _ => Ok(None),
        },
        "java.util.List" if !explicit && matches!(value, Value::Set(_)) => Err(ctx.cast_fault(value, name)),
        "java.util.List"
        | "java.util.ArrayList"
        | "java.util.Collection"
        | "java.lang.Iterable"
        | "java.util.LinkedList"
        | "java.util.Queue"
        | "java.util.Deque"
        | "java.util.Stack"
            if explicit || !value.is_text() =>
        {
            list(ctx, value, name)
        }
        // What differs between threads alone is one class here.
        "java.util.Vector"
        | "java.util.concurrent.BlockingDeque"
        | "java.util.concurrent.BlockingQueue"
        | "java.util.concurrent.ConcurrentLinkedDeque"
        | "java.util.concurrent.ConcurrentLinkedQueue"
        | "java.util.concurrent.CopyOnWriteArrayList"
        | "java.util.concurrent.LinkedBlockingDeque"
        | "java.util.concurrent.LinkedBlockingQueue"
            if matches!(value, Value::List(_)) =>
        {
            yes(value.clone())
        }
        "java.util.Hashtable"
        | "java.util.IdentityHashMap"
        | "java.util.WeakHashMap"
        | "java.util.concurrent.ConcurrentMap"
            if matches!(value, Value::Map(_)) =>
        {
            yes(value.clone())
        }
        "java.util.Set"
        | "java.util.LinkedHashSet"
        | "java.util.HashSet"
        | "java.util.TreeSet"
        | "java.util.SortedSet" => set(ctx, value, name),
        "java.util.Map"
        | "java.util.LinkedHashMap"
        | "java.util.HashMap"
        | "java.util.TreeMap"
        | "java.util.concurrent.ConcurrentHashMap"
        | "java.util.SortedMap" => match value {
            Value::Map(m) => {
                let kind = map_kind(name);
                if m.kind() == kind { yes(value.clone()) } else { copied(ctx, m, kind) }
            }
            _ => Ok(None),
        },
        "java.io.StringWriter"
        | "java.io.PrintWriter"
        | "java.io.BufferedWriter"
        | "java.io.Writer"
        | "java.lang.Appendable"
        | "java.lang.StringBuffer"
        | "java.lang.StringBuilder"
            if matches!(value, Value::Buffer(b) if b.kind.is(name)) =>
        {
            yes(value.clone())
        }
        "java.lang.CharSequence" if is_number(value) => yes(ctx.text(value)?),
        "java.util.regex.Pattern" => {
            let text = ctx.text(value)?;
            Ok(Some(Value::Pattern(ctx.world.pattern(&text, 0)?)))
        }
        "java.lang.Class" if value.is_text() => {
            let text = ctx.text(value)?;
            Ok(ctx.world.class(&text).map(Value::Class))
        }
        "groovy.lang.Closure" => Ok(None),
        _ => number(ctx, value, name, explicit),
    }
}

/// Groovy truth, asking the script's `asBoolean`.
pub(crate) fn truth(ctx: &mut Ctx<'_>, value: &Value) -> Result<bool, Fault> {
    match value {
        Value::Object(o) if o.class.has_method("asBoolean") => Ok(ctx.ask(value, "asBoolean", &[])?.truth()),
        Value::GString(_) => Ok(!ctx.text(value)?.is_empty()),
        Value::Matcher(matcher) => super::regex::checked(ctx, matcher.find_next()),
        other => Ok(other.truth()),
    }
}

fn list(ctx: &mut Ctx<'_>, value: &Value, name: &str) -> Answer {
    let items = match value {
        Value::Str(_)
        | Value::GString(_)
        | Value::List(_)
        | Value::Set(_)
        | Value::Range(_)
        | Value::Matcher(_)
        | Value::Iter(_) => sequence(ctx, value)?.unwrap_or_default(),
        _ => return Ok(None),
    };
    let kind = if matches!(name, "java.util.LinkedList" | "java.util.Queue" | "java.util.Deque") {
        ListKind::Linked
    } else if name == "java.util.Stack" {
        ListKind::Stack
    } else {
        ListKind::Array
    };
    yes(Value::List(Rc::new(List::new(items, kind))))
}

fn set(ctx: &mut Ctx<'_>, value: &Value, name: &str) -> Answer {
    match value {
        Value::Str(_) | Value::GString(_) | Value::List(_) | Value::Set(_) | Value::Range(_) | Value::Matcher(_) => {
            super::sets::of_kind(ctx, map_kind(name), value)
        }
        _ => Ok(None),
    }
}

/// A copy of another kind; one that sorts its keys takes only what it can compare.
pub(crate) fn copied(ctx: &mut Ctx<'_>, m: &Rc<Map>, kind: MapKind) -> Answer {
    if kind != MapKind::Tree {
        return yes(Value::Map(Rc::new(m.copy(kind))));
    }
    ctx.room_for_items(2 * m.len() as u64)?;
    if m.kind() == MapKind::Tree {
        return yes(Value::Map(Rc::new(m.copy(kind))));
    }
    let out = Map::new(kind);
    if m.keys().first().is_some_and(|key| super::sets::asks(&out, key)) {
        return ctx.ask(&Value::Map(m.clone()), "$toTree", &[]).map(Some);
    }
    for key in m.keys() {
        let value = m.get(&key).unwrap_or_default();
        out.put(super::sets::key(ctx, &out, &key)?, value);
    }
    yes(Value::Map(Rc::new(out)))
}

pub(crate) fn map_kind(name: &str) -> MapKind {
    if name.contains("Tree") || name.contains("Sorted") || name == "java.util.EnumMap" {
        MapKind::Tree
    } else if name.contains("Linked") || matches!(name, "java.util.Map" | "java.util.Set") {
        MapKind::Linked
    } else {
        MapKind::Hash
    }
}

fn number(ctx: &mut Ctx<'_>, value: &Value, name: &str, explicit: bool) -> Answer {
    let simple = name.strip_prefix("java.lang.").or(name.strip_prefix("java.math.")).unwrap_or(name);
    if !matches!(
        simple,
        "int"
            | "Integer"
            | "long"
            | "Long"
            | "short"
            | "Short"
            | "byte"
            | "Byte"
            | "float"
            | "Float"
            | "double"
            | "Double"
            | "Number"
            | "BigDecimal"
            | "BigInteger"
    ) {
        return Ok(None);
    }
    let source = match value {
        // A string of one letter is its code in a cast; `as` reads it as a number.
        Value::Str(s) if !explicit && s.units() == 1 => s.unit(0).map_or(Value::Null, |u| Value::Int(i32::from(u))),
        Value::Str(_) | Value::GString(_) if explicit => return parse(ctx, value, simple),
        Value::GString(_) => {
            let text = Value::Str(ctx.str(value)?);
            return number(ctx, &text, name, explicit);
        }
        Value::Char(c) => Value::Int(i32::from(*c)),
        v if is_number(v) => v.clone(),
        _ => return Ok(None),
    };
    let whole = numbers::truncated(&source);
    yes(match simple {
        "int" | "Integer" => Value::Int(match source {
            Value::Double(d) => d as i32,
            Value::Float(f) => f as i32,
            _ => whole as i32,
        }),
        "long" | "Long" => Value::Long(whole),
        "short" | "Short" => Value::Short(whole as i16),
        "byte" | "Byte" => Value::Byte(whole as i8),
        "float" | "Float" => Value::Float(to_f64(&source).unwrap_or(f64::NAN) as f32),
        // In a box it is the number that the digits say.
        "Double" if explicit && matches!(source, Value::Float(_)) => {
            return parse(ctx, &Value::str(source.to_text()), simple);
        }
        "double" | "Double" => Value::Double(to_f64(&source).unwrap_or(f64::NAN)),
        // `as` goes by the digits that the number is written with, a cast by its bits.
        "BigDecimal" if !explicit && matches!(source, Value::Double(_) | Value::Float(_)) => {
            match to_f64(&source).and_then(crate::value::Decimal::exactly) {
                Some(d) => Value::decimal(d),
                None => return Err(ctx.fail("java.lang.NumberFormatException", "Infinite or NaN")),
            }
        }
        "BigDecimal" if matches!(source, Value::Float(_)) => return parse(ctx, &Value::str(source.to_text()), simple),
        "BigDecimal" => match to_decimal(&source) {
            Some(d) => Value::decimal(d),
            None => return Err(numbers::decimal_fault(ctx, &source.to_text())),
        },
        "BigInteger" if matches!(source, Value::Double(_) | Value::Float(_)) => {
            match to_f64(&source).and_then(crate::value::decimal::whole) {
                Some(n) => Value::big(numbers::digits(Ok(n))?),
                None => return Err(ctx.fail("java.lang.NumberFormatException", "Infinite or NaN")),
            }
        }
        "BigInteger" => match to_decimal(&source) {
            Some(d) => Value::big(numbers::digits(d.to_bigint())?),
            None => return Err(ctx.fail("java.lang.NumberFormatException", "Infinite or NaN")),
        },
        _ => source,
    })
}

fn parse(ctx: &mut Ctx<'_>, value: &Value, simple: &str) -> Answer {
    let text = ctx.text(value)?;
    let text = text.trim();
    match simple {
        "int" | "Integer" => strings::parse_int(ctx, text, 10).map(Some),
        "short" | "Short" => strings::parse_small(ctx, text, 10, 16).map(Some),
        "byte" | "Byte" => strings::parse_small(ctx, text, 10, 8).map(Some),
        "long" | "Long" => strings::parse_long(ctx, text, 10).map(Some),
        "float" | "Float" => yes(Value::Float(strings::parse_double(ctx, text)? as f32)),
        "double" | "Double" => yes(Value::Double(strings::parse_double(ctx, text)?)),
        "BigInteger" => big_integer(ctx, text).map(Some),
        _ => yes(Value::decimal(numbers::parse_decimal(ctx, text)?)),
    }
}

/// An argument as an index or count.
pub(crate) fn count(value: Option<&Value>) -> usize {
    value.and_then(int).and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}
