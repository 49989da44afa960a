//! Methods of json-lib's objects and arrays: what `readJSON` gives, and `JSONObject.fromObject`. What they have of Java's maps and lists
//! is asked of those.
//!
//! Source: `net.sf.json.JSONObject`, `JSONArray` of jenkinsci/json-lib.

use std::rc::Rc;

use super::{Answer, int, lists, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{Class, Java, List, ListKind, Map, MapKind, Native, Object, Value, json, to_f64};

const OBJECT: &str = "net.sf.json.JSONObject";
const ARRAY: &str = "net.sf.json.JSONArray";
const NULL: &str = "net.sf.json.JSONNull";
const EXCEPTION: &str = "net.sf.json.JSONException";

/// `None`: it is none of json-lib's, or not one of the methods that only those have.
pub(crate) fn method(ctx: &mut Ctx<'_>, receiver: &Value, name: &str, args: &[Value]) -> Answer {
    match receiver {
        Value::Map(map) if map.kind() == MapKind::Json => of_object(ctx, receiver, map, name, args),
        Value::List(list) if *list.kind() == ListKind::Json => of_array(ctx, receiver, list, name, args),
        Value::Object(_) if json::is_null(receiver) => match (name, args) {
            ("isNullObject", []) => yes(true),
            ("isArray", []) => yes(false),
            ("isEmpty", []) => Err(ctx.fail(EXCEPTION, "Object is null")),
            ("size", []) => Err(ctx.fail(EXCEPTION, "Object is null")),
            ("toString", _) => yes("null"),
            ("equals", [other]) => yes(other.is_null() || json::is_null(other)),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The text that Java's `toString()` gives where Groovy shows a map or a list; `None`: it is none of json-lib's.
fn java_text(ctx: &mut Ctx<'_>, value: &Value) -> Answer {
    if json::is_json(value) { text(ctx, value, 0).map(Some) } else { Ok(None) }
}

fn of_object(ctx: &mut Ctx<'_>, this: &Value, map: &Rc<Map>, name: &str, args: &[Value]) -> Answer {
    let get = |key: &Value| map.get(&Value::from(key.to_text()));
    match (name, args) {
        ("toString", _) => printed(ctx, this, args),
        ("isArray" | "isNullObject", []) => yes(false),
        ("has", [key]) => yes(get(key).is_some()),
        ("opt", [key]) => yes(get(key).unwrap_or_default()),
        ("get", [key @ Value::GString(_)]) => yes(get(key).unwrap_or_default()),
        ("keys", []) => yes(lists::iterator(Value::list(map.keys()))),
        ("names", []) => yes(json::array(map.keys())),
        ("element", [key, value]) => {
            map.put(Value::from(ctx.text(key)?), value.clone());
            yes(this.clone())
        }
        ("elementOpt", [key, value]) => {
            if !key.is_null() && !value.is_null() {
                map.put(Value::from(ctx.text(key)?), value.clone());
            }
            yes(this.clone())
        }
        ("accumulate", [key, value]) => {
            let key = Value::from(ctx.text(key)?);
            match map.get(&key) {
                None => drop(map.put(key, value.clone())),
                Some(Value::List(list)) if *list.kind() == ListKind::Json => list.push(value.clone()),
                Some(before) => drop(map.put(key, json::array(vec![before, json::held(value.clone(), &Value::Null)]))),
            }
            yes(this.clone())
        }
        ("discard", [key]) => {
            map.remove(&Value::from(ctx.text(key)?));
            yes(this.clone())
        }
        (_, [key, rest @ ..]) => {
            let Some((kind, is_optional)) = kind_of(name) else { return Ok(None) };
            let key = ctx.text(key)?;
            let found = map.get(&Value::from(key.as_str()));
            typed(ctx, kind, is_optional, found, rest, &|| format!("JSONObject[\"{key}\"]"))
        }
        _ => Ok(None),
    }
}

fn of_array(ctx: &mut Ctx<'_>, this: &Value, list: &Rc<List>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("toString", _) => printed(ctx, this, args),
        ("isArray", []) => yes(true),
        // Unlike Groovy's, with the quotes of texts.
        ("join", [separator]) => join(ctx, list, separator, false),
        ("join", [separator, strip]) => join(ctx, list, separator, strip.truth()),
        ("opt", [index]) => yes(at(list, index).unwrap_or_default()),
        ("element", [value]) => {
            list.push(value.clone());
            yes(this.clone())
        }
        ("element", [index, value]) => {
            let args = [index.clone(), value.clone()];
            ctx.ask(this, "putAt", &args)?;
            yes(this.clone())
        }
        ("discard", [index]) => {
            if at(list, index).is_some() || !matches!(index, Value::Int(_)) {
                super::method(ctx, this, "remove", args)?;
            }
            yes(this.clone())
        }
        (_, [index @ Value::Int(number), rest @ ..]) => {
            let Some((kind, is_optional)) = kind_of(name) else { return Ok(None) };
            let found = at(list, index);
            if found.is_none() && !is_optional {
                return Err(lists::out_of_bounds(ctx, i64::from(*number), list.len()));
            }
            typed(ctx, kind, is_optional, found, rest, &|| format!("JSONArray[{number}]"))
        }
        _ => Ok(None),
    }
}

fn at(list: &List, index: &Value) -> Option<Value> {
    list.get(usize::try_from(int(index)?).ok()?)
}

/// `getString` is `("String", false)`, `optInt` is `("Int", true)`.
fn kind_of(name: &str) -> Option<(&str, bool)> {
    let (kind, is_optional) = match name.strip_prefix("opt") {
        Some(kind) => (kind, true),
        None => (name.strip_prefix("get")?, false),
    };
    let is_known = matches!(kind, "String" | "Boolean" | "Int" | "Long" | "Double" | "JSONObject" | "JSONArray");
    is_known.then_some((kind, is_optional))
}

/// `getX(key)` and `optX(key, default)`.
fn typed(
    ctx: &mut Ctx<'_>,
    kind: &str,
    is_optional: bool,
    found: Option<Value>,
    default: &[Value],
    place: &dyn Fn() -> String,
) -> Answer {
    let got = match found.filter(|value| !value.is_null()) {
        Some(value) => as_kind(ctx, kind, value)?,
        None => None,
    };
    match (got, is_optional) {
        (Some(value), _) => yes(value),
        (None, true) => yes(match (default, kind) {
            ([value, ..], _) => value.clone(),
            (_, "String") => Value::from(""),
            (_, "Boolean") => Value::Bool(false),
            (_, "Int") => Value::Int(0),
            (_, "Long") => Value::Long(0),
            (_, "Double") => Value::Double(f64::NAN),
            _ => Value::Null,
        }),
        (None, false) => {
            let what = match kind {
                "String" => "not found",
                "Boolean" => "is not a Boolean",
                "JSONObject" => "is not a JSONObject",
                "JSONArray" => "is not a JSONArray",
                _ => "is not a number",
            };
            Err(ctx.fail(EXCEPTION, format!("{} {what}.", place())))
        }
    }
}

fn as_kind(ctx: &mut Ctx<'_>, kind: &str, value: Value) -> Result<Option<Value>, Fault> {
    let number = |value: &Value| match value {
        Value::Str(text) => text.trim().parse().ok(),
        Value::Object(_) => None,
        other => to_f64(other),
    };
    Ok(match kind {
        "String" => match java_text(ctx, &value)? {
            Some(text) => Some(text),
            None => Some(Value::from(ctx.text(&value)?)),
        },
        "Boolean" => match &value {
            Value::Bool(_) => Some(value),
            Value::Str(text) if text.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
            Value::Str(text) if text.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
            _ => None,
        },
        // Java's conversions: beyond the range they cut off the number's bits, and stop at the end for one with a point.
        "Int" => match value.as_i64() {
            Some(whole) => Some(Value::Int(whole as i32)),
            None => number(&value).map(|number| Value::Int(number as i32)),
        },
        "Long" => match value.as_i64() {
            Some(whole) => Some(Value::Long(whole)),
            None => number(&value).map(|number| Value::Long(number as i64)),
        },
        "Double" => number(&value).map(Value::Double),
        "JSONObject" => match &value {
            Value::Map(map) if map.kind() == MapKind::Json => Some(value),
            // It says of itself that it is none.
            other if json::is_null(other) => Some(value),
            _ => None,
        },
        _ => matches!(&value, Value::List(list) if *list.kind() == ListKind::Json).then_some(value),
    })
}

/// `toString()`, `toString(indent)`.
fn printed(ctx: &mut Ctx<'_>, this: &Value, args: &[Value]) -> Answer {
    let indent = match args {
        [] => 0,
        [indent] => int(indent).unwrap_or(0),
        _ => return Ok(None),
    };
    text(ctx, this, usize::try_from(indent).unwrap_or(0).min(64)).map(Some)
}

fn text(ctx: &mut Ctx<'_>, value: &Value, indent: usize) -> Result<Value, Fault> {
    let room = ctx.world.limits.string_bytes;
    let Ok(text) = json::text(value, indent, room) else {
        // As much was written.
        ctx.pay(room / 16)?;
        return Err(
            ctx.fail(EXCEPTION, "There is a cycle in the hierarchy, or its text is longer than a string may be")
        );
    };
    ctx.pay(text.len() / 16)?;
    ctx.new_str(text)
}

fn join(ctx: &mut Ctx<'_>, list: &List, separator: &Value, strip: bool) -> Answer {
    let separator = ctx.text(separator)?;
    let mut out = String::new();
    for (index, item) in list.snapshot().iter().enumerate() {
        if index > 0 {
            out.push_str(&separator);
        }
        match item {
            Value::Str(plain) if strip => out.push_str(plain),
            item => out.push_str(&text(ctx, item, 0)?.to_text()),
        }
        ctx.room(out.len())?;
    }
    ctx.new_str(out).map(Some)
}

/// `new JSONObject()`, `new JSONArray()`.
pub(crate) fn construct(name: &str, args: &[Value]) -> Option<Value> {
    match (name, args) {
        (OBJECT, []) => Some(Value::Map(Rc::new(json::object()))),
        (ARRAY, []) => Some(json::array(Vec::new())),
        _ => None,
    }
}

/// `JSONObject.fromObject`, `JSONArray.fromObject`, `JSONSerializer.toJSON`, `JSONNull.instance`.
pub(crate) fn statics(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str, args: &[Value]) -> Answer {
    let null = null(ctx);
    let is_object = |value: &Value| matches!(value, Value::Map(_)) || json::is_null(value);
    match (&*class.name, name, args) {
        (NULL, "getInstance", []) => yes(null),
        (OBJECT, "fromObject", [source]) => match made(ctx, source, &null)? {
            value if is_object(&value) => yes(value),
            Value::List(_) => Err(ctx.fail(EXCEPTION, "'object' is an array. Use JSONArray instead")),
            value => Err(ctx.fail(EXCEPTION, format!("A JSONObject cannot be made of a {}", value.type_name()))),
        },
        (ARRAY, "fromObject", [source]) => match made(ctx, source, &null)? {
            list @ Value::List(_) => yes(list),
            value => yes(json::array(vec![value])),
        },
        ("net.sf.json.JSONSerializer", "toJSON", [source]) => match made(ctx, source, &null)? {
            value if is_object(&value) || matches!(value, Value::List(_)) => yes(value),
            _ => Err(ctx.fail(EXCEPTION, "Invalid JSON String")),
        },
        _ => Ok(None),
    }
}

fn null(ctx: &Ctx<'_>) -> Value {
    Value::Object(Rc::new(Object::new(ctx.world.java_class(NULL), Native::Java(Box::new(Java::JsonNull)))))
}

/// What a text says, or what a value is as JSON.
fn made(ctx: &mut Ctx<'_>, source: &Value, null: &Value) -> Result<Value, Fault> {
    let value = match source {
        Value::Str(_) | Value::GString(_) => {
            let text = ctx.text(source)?;
            super::json::parse_with(ctx, &text, MapKind::Linked, &|ctx, at| {
                ctx.fail(EXCEPTION, format!("Invalid JSON String: the text is no JSON at character {at}"))
            })?
        }
        Value::Object(object) if object.class.script.is_some() => super::objects::properties(ctx, source, object)?,
        other => other.clone(),
    };
    Ok(json::held(value, null))
}
