//! Properties of types that are not the script's: `map.key`, `list.length`, `closure.delegate`, `x.class`.

use super::{Answer, closures, method, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{ListKind, Native, Order, Value};

/// `object.name`
pub(crate) fn property(ctx: &mut Ctx<'_>, object: &Value, name: &str) -> Answer {
    match object {
        Value::Null => return Ok(None),
        Value::Object(o)
            if name != "class"
                && let Some(list) = o.as_list() =>
        {
            return property(ctx, &Value::List(list), name);
        }
        Value::Map(m) if m.comparator().is_some() || m.key_order() != Order::Natural => {
            let key = super::sets::key(ctx, m, &Value::str(name))?;
            return yes(m.get(&key).unwrap_or_default());
        }
        Value::Map(m) => return yes(m.get(&Value::str(name)).unwrap_or_default()),
        Value::Entry(e) => match name {
            "key" => return yes(e.key.clone()),
            "value" => return yes(e.value.borrow().clone()),
            _ => {}
        },
        Value::List(l) => {
            if name == "length" && matches!(l.kind(), ListKind::JavaArray(_)) {
                return yes(Value::Int(l.len() as i32));
            }
            if *l.kind() == ListKind::Tuple && l.len() == 2 && matches!(name, "first" | "second") {
                return yes(l.get(usize::from(name == "second")).unwrap_or_default());
            }
            // The field of Java's lists, which Jenkins opens to scripts; other lists have none.
            if name == "size" && matches!(l.kind(), ListKind::Array | ListKind::Linked) {
                return yes(Value::Int(l.len() as i32));
            }
            if name == "empty" && !l.is_array() {
                return yes(l.is_empty());
            }
            // What it is of nodes is asked of them.
            if *l.kind() == ListKind::Nodes && name != "class" {
                return Ok(None);
            }
            if matches!(l.kind(), ListKind::Linked | ListKind::Deque) && matches!(name, "first" | "last") {
                return method(ctx, object, if name == "first" { "getFirst" } else { "getLast" }, &[]);
            }
            if name == "indices" && !l.is_array() {
                return ctx.ask(object, "getIndices", &[]).map(Some);
            }
            if name != "class" {
                return spread(ctx, object, name);
            }
        }
        Value::Set(_) if name == "indices" => return ctx.ask(object, "getIndices", &[]).map(Some),
        Value::Set(_) if name == "empty" => return method(ctx, object, "isEmpty", &[]),
        Value::Set(_) | Value::Range(_) if !matches!(name, "class" | "from" | "to" | "reverse" | "empty") => {
            return spread(ctx, object, name);
        }
        Value::Closure(c) => {
            let getter = format!("get{}{}", name[..1].to_uppercase(), &name[1..]);
            if let Some(value) = closures::method(ctx, c, &getter, &[])? {
                return Ok(Some(value));
            }
        }
        Value::Class(class) => {
            if let Some(value) = super::statics::constant(ctx, class, name)? {
                return Ok(Some(value));
            }
        }
        Value::Object(o) => {
            if let Some(t) = o.throwable() {
                match name {
                    "localizedMessage" => return method(ctx, object, "getLocalizedMessage", &[]),
                    "message" => return yes(t.message),
                    "cause" => return yes(t.cause),
                    "stackTrace" => return method(ctx, object, "getStackTrace", &[]),
                    "suppressed" => return method(ctx, object, "getSuppressed", &[]),
                    _ => {
                        if let Some(missing) = missing_name(&o.class.name, &t.message, name) {
                            return yes(missing);
                        }
                        if let Some((_, value)) = t.facts.into_iter().find(|(fact, _)| **fact == *name) {
                            return Ok(Some(value));
                        }
                    }
                }
            }
            if name == "variables" && matches!(*o.native.borrow(), Native::Script(_)) {
                return method(ctx, object, "getVariables", &[]);
            }
            if name == "declaringClass" && o.class.enumeration().is_some() {
                return yes(super::enums::declaring(&o.class));
            }
            if name == "metaClass" || name == "properties" || name == "binding" {
                return match name {
                    "metaClass" => yes(Value::Class(o.class.clone())),
                    "properties" => ctx.ask(object, "getProperties", &[]).map(Some),
                    _ => method(ctx, object, "getBinding", &[]),
                };
            }
        }
        _ => {}
    }
    if name == "class" {
        return yes(Value::Class(ctx.world.class_of(object)));
    }
    getter(ctx, object, name)
}

/// What a `MissingPropertyException` or `MissingMethodException` of the machine's says that there is not, which its words name.
fn missing_name(class: &str, message: &Value, asked: &str) -> Option<String> {
    let (before, after) = match (class, asked) {
        ("groovy.lang.MissingPropertyException", "property") => ("No such property: ", " for class: "),
        ("groovy.lang.MissingMethodException", "method") => ("No signature of method: ", "() is applicable"),
        _ => return None,
    };
    let text = message.to_text();
    let name = text.strip_prefix(before)?.split_once(after)?.0;
    Some(if asked == "method" { name.rsplit('.').next().unwrap_or(name).to_string() } else { name.to_string() })
}

/// `object.name` as `object.getName()` or `object.isName()`, where Java has such a method.
fn getter(ctx: &mut Ctx<'_>, object: &Value, name: &str) -> Answer {
    let Some(first) = name.chars().next() else { return Ok(None) };
    let is_java = |o: &crate::value::Object| matches!(*o.native.borrow(), Native::Java(_));
    if matches!(object, Value::Object(o) if !is_java(o)) || matches!(name, "at" | "property") {
        return Ok(None);
    }
    // These are properties in Groovy because Java (or Groovy) has a getter of that name.
    let capital = format!("{}{}", first.to_uppercase(), &name[first.len_utf8()..]);
    for prefix in ["get", "is"] {
        if let Some(value) = method(ctx, object, &format!("{prefix}{capital}"), &[])? {
            return Ok(Some(value));
        }
    }
    // `text.bytes` and `text.chars` are written as methods here.
    match (object, name) {
        (Value::Str(_) | Value::GString(_), "bytes" | "chars") => method(ctx, object, name, &[]),
        (Value::Matcher(_), "count") => method(ctx, object, "getCount", &[]),
        _ => Ok(None),
    }
}

/// The property of each item, where no item needs the script for it.
fn spread(ctx: &mut Ctx<'_>, object: &Value, name: &str) -> Answer {
    let items = super::sequence(ctx, object)?.unwrap_or_default();
    if items.iter().any(|i| matches!(i, Value::Object(_) | Value::Host(_))) {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(items.len());
    for item in items.iter().filter(|i| !i.is_null()) {
        // Lists in lists: as deep as they are nested, which the depth check of the machine does not see.
        if let Value::List(_) = item {
            return Ok(None);
        }
        match property(ctx, item, name)? {
            Some(value) => out.push(value),
            None => return Err(ctx.world.missing_in_items(name, object, &item.type_name())),
        }
    }
    yes(Value::list(out))
}

/// `object.name = value` for types that are not the script's or the host's.
pub(crate) fn set_property(ctx: &mut Ctx<'_>, object: &Value, name: &str, value: &Value) -> Result<(), Fault> {
    match object {
        Value::Map(m) => {
            super::maps::writable(ctx, m)?;
            let key = super::sets::key(ctx, m, &Value::str(name))?;
            m.put(key, value.clone());
            Ok(())
        }
        Value::Closure(c) if closures::set_property(c, name, value) => Ok(()),
        Value::Entry(e) if name == "value" => {
            super::maps::entry_method(e, "setValue", std::slice::from_ref(value));
            Ok(())
        }
        Value::List(_) if matches!(value, Value::Null) => Ok(()),
        other => Err(ctx.world.missing_property(name, &other.type_name())),
    }
}
