//! Methods of maps and of their entries that call no closures.

use std::rc::Rc;

use super::{Answer, compare, int, lists, yes};
use crate::ast::BinaryOp;
use crate::machine::{Ctx, Fault};
use crate::value::{Closure, ClosureCode, Entry, List, ListKind, Map, MapKind, Value, hash};

/// The entry at a position.
pub(crate) fn entry_at(map: &Rc<Map>, at: usize) -> Option<Value> {
    Entry::of(map, at)
}

pub(crate) fn writable(ctx: &Ctx<'_>, m: &Map) -> Result<(), Fault> {
    if m.kind() == MapKind::Fixed {
        return Err(Fault::Throw(ctx.world.throwable("java.lang.UnsupportedOperationException", Value::Null)));
    }
    Ok(())
}

/// The keys or entries of a map, as a set. What is taken from it is taken from the map, unless nothing may be.
fn view(map: &Rc<Map>, entries: bool) -> Value {
    let view = Map::view(map, entries);
    Value::Set(Rc::new(if map.kind() == MapKind::Fixed { view.copy(MapKind::Fixed) } else { view }))
}

/// Number of parameters a closure says it has (`maximumNumberOfParameters`).
pub(crate) fn parameter_count(closure: &Closure) -> usize {
    let mut closure = closure;
    let mut given = 0;
    loop {
        match &closure.code {
            ClosureCode::Function(f) => return f.params.len().saturating_sub(given),
            ClosureCode::Method { .. } => return 1,
            ClosureCode::Curried { inner: Value::Closure(inner), args, .. } => {
                given += args.len();
                closure = inner;
            }
            ClosureCode::Composed { first: Value::Closure(first), .. } => closure = first,
            _ => return 1,
        }
    }
}

/// Groovy hands a closure key and value of an entry where it has a parameter for each. The arguments on the stack are
/// `(entry)`, `(entry, index)` or `(start, entry)`.
pub(crate) fn spread_entry(stack: &mut Vec<Value>, base: usize, name: &str, closure: &Closure) {
    let count = parameter_count(closure);
    let (at, wanted) = match name {
        "$entry" => (base, 2),
        "$entryIndex" => (base, 3),
        _ => (base + 1, 3),
    };
    if count != wanted {
        return;
    }
    if let Some(Value::Entry(e)) = stack.get(at).cloned() {
        let value = e.value.borrow().clone();
        stack.splice(at..=at, [e.key.clone(), value]);
    }
}

pub(crate) fn method(ctx: &mut Ctx<'_>, this: &Value, m: &Rc<Map>, name: &str, args: &[Value]) -> Answer {
    const KEYED: &[&str] =
        &["get", "getAt", "put", "putAt", "containsKey", "remove", "putIfAbsent", "getOrDefault", "replace"];
    if let [key, rest @ ..] = args
        && (m.kind() == MapKind::Tree || hash::asks(key))
        && KEYED.contains(&name)
    {
        let key = super::sets::key(ctx, m, key)?;
        let args: Vec<Value> = std::iter::once(key).chain(rest.iter().cloned()).collect();
        let answer = match reading(ctx, this, m, name, &args)? {
            Some(found) => Ok(Some(found)),
            None => changing(ctx, this, m, name, &args),
        };
        m.forget_place();
        return answer;
    }
    if m.kind() == MapKind::Tree
        && let Some(found) = super::trees::of_map(ctx, m, name, args)?
    {
        return Ok(Some(found));
    }
    if let Some(found) = reading(ctx, this, m, name, args)? {
        return Ok(Some(found));
    }
    changing(ctx, this, m, name, args)
}

fn reading(ctx: &mut Ctx<'_>, this: &Value, m: &Rc<Map>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("size", []) => yes(Value::Int(m.len() as i32)),
        ("isEmpty", []) => yes(m.is_empty()),
        ("get" | "getAt", [key]) => match m.get(key) {
            Some(value) => Ok(Some(value)),
            None if m.default().is_some() => ctx.ask(this, "$defaulted", std::slice::from_ref(key)).map(Some),
            None => yes(Value::Null),
        },
        ("getOrDefault", [key, default]) => yes(m.get(key).unwrap_or_else(|| default.clone())),
        // Groovy's `get(key, default)` stores the default.
        ("get", [key, default]) => match m.get(key) {
            Some(value) => Ok(Some(value)),
            None => {
                writable(ctx, m)?;
                m.put(key.clone(), default.clone());
                yes(default.clone())
            }
        },
        ("$default", []) => yes(m.default().cloned().unwrap_or_default()),
        ("$withDefault", [closure]) => yes(Value::Map(Rc::new(m.with_default(closure.clone())))),
        ("containsKey", [key]) => yes(m.has(key)),
        ("containsValue", [value]) => yes(compare::java_position(ctx, &m.values(), value)?.is_some()),
        ("keySet", []) => yes(view(m, false)),
        ("values", []) if m.kind() == MapKind::Fixed => {
            yes(Value::List(Rc::new(List::new(m.values(), ListKind::Fixed))))
        }
        ("values", []) => yes(Value::List(Rc::new(List::values(m)))),
        ("entrySet", []) => {
            ctx.room_for_items(m.len() as u64 * 8)?;
            yes(view(m, true))
        }
        ("$copied", []) => yes(Value::Map(Rc::new(m.copy(similar(m))))),
        ("$similar", []) => yes(Value::Map(Rc::new(Map::new(similar(m)).sorted_like(m)))),
        ("iterator", []) => yes(lists::iterator(this.clone())),
        ("clone", []) => yes(Value::Map(Rc::new(m.copy(m.kind())))),
        ("asImmutable" | "asUnmodifiable", []) => yes(Value::Map(Rc::new(m.copy(MapKind::Fixed)))),
        ("toString", []) if m.kind() == MapKind::Lazy => yes(ctx.styled(this, crate::value::render::Style::Java)?),
        ("toMapString", []) => yes(ctx.text(this)?),
        ("subMap", [keys, ..]) => {
            let keys = match keys {
                Value::List(_) | Value::Set(_) | Value::Range(_) if args.len() == 1 => {
                    super::sequence(ctx, keys)?.unwrap_or_default()
                }
                _ => args.to_vec(),
            };
            if keys.iter().any(|key| super::sets::asks(m, key) || hash::asks(key)) && args.len() == 1 {
                return ctx.ask(this, "$subMap", args).map(Some);
            }
            let found = Map::new(MapKind::Linked);
            for key in keys {
                let held = super::sets::key(ctx, m, &key)?;
                if let Some(value) = m.get(&held) {
                    let key = super::sets::key(ctx, &found, &key)?;
                    found.put(key, value);
                }
            }
            m.forget_place();
            yes(Value::Map(Rc::new(found)))
        }
        ("plus", [other]) => super::operators::binary(ctx, BinaryOp::Add, this, other),
        ("minus", [other]) => super::operators::binary(ctx, BinaryOp::Sub, this, other),
        ("equals", [other]) => yes(compare::equals(ctx, this, other)?),
        ("firstKey" | "lastKey", []) => {
            let keys = m.keys();
            yes(if name == "firstKey" { keys.first() } else { keys.last() }.cloned().unwrap_or_default())
        }
        ("take" | "drop", [n]) => {
            let n = int(n).unwrap_or(0).max(0) as usize;
            let (skip, take) = if name == "take" { (0, n) } else { (n, usize::MAX) };
            let pairs: Vec<(Value, Value)> = (skip..m.len()).take(take).filter_map(|i| m.at(i)).collect();
            yes(Value::Map(Rc::new(m.part(similar(m), pairs))))
        }
        ("sort", []) => {
            let mut keys = m.keys();
            compare::sort(ctx, &mut keys)?;
            let pairs = keys.into_iter().map(|k| (k.clone(), m.get(&k).unwrap_or_default()));
            yes(Value::Map(Rc::new(m.part(MapKind::Linked, pairs))))
        }
        ("getProperty", [key]) => {
            let key = Value::Str(ctx.str(key)?);
            yes(m.get(&key).unwrap_or_default())
        }
        _ => Ok(None),
    }
}

/// What Groovy makes of a map: one that sorts its keys again, or one that keeps them in the order of writing.
pub(crate) fn similar(m: &Map) -> MapKind {
    if m.kind() == MapKind::Tree { MapKind::Tree } else { MapKind::Linked }
}

/// What a sum of it and something else is: that keeps the order of hashes.
pub(crate) fn of_sum(m: &Map) -> MapKind {
    if m.kind() == MapKind::Hash { MapKind::Hash } else { similar(m) }
}

fn changing(ctx: &mut Ctx<'_>, this: &Value, m: &Rc<Map>, name: &str, args: &[Value]) -> Answer {
    const CHANGES: &[&str] =
        &["put", "putAt", "putAll", "putIfAbsent", "remove", "clear", "leftShift", "replace", "setProperty", "load"];
    if !CHANGES.contains(&name) {
        return Ok(None);
    }
    writable(ctx, m)?;
    match (name, args) {
        ("put", [key, value]) => yes(m.put(key.clone(), value.clone()).unwrap_or_default()),
        ("putAt", [key, value]) => {
            m.put(key.clone(), value.clone());
            yes(value.clone())
        }
        ("setProperty", [key, value]) => {
            let key = Value::Str(ctx.str(key)?);
            m.put(key, value.clone());
            yes(Value::Null)
        }
        ("putIfAbsent", [key, value]) => match m.get(key).filter(|v| !v.is_null()) {
            Some(before) => Ok(Some(before)),
            None => {
                m.put(key.clone(), value.clone());
                yes(Value::Null)
            }
        },
        ("replace", [key, value]) if m.has(key) => yes(m.put(key.clone(), value.clone()).unwrap_or_default()),
        ("replace", [_, _]) => yes(Value::Null),
        ("putAll", [other @ Value::Map(_)]) if super::sets::asks_one_of(m, other) => {
            ctx.ask(this, "$putEach", std::slice::from_ref(other)).map(Some)
        }
        ("putAll", [other]) => {
            let pairs: Vec<(Value, Value)> = match other {
                Value::Map(o) => o.entries().iter().map(|(k, v)| (k.0.clone(), v.clone())).collect(),
                Value::Null => {
                    return Err(Fault::Throw(ctx.world.throwable("java.lang.NullPointerException", Value::Null)));
                }
                other => {
                    let entries = super::sequence(ctx, other)?.unwrap_or_default();
                    let pair = |e: Value| match e {
                        Value::Entry(e) => Some((e.key.clone(), e.value.borrow().clone())),
                        _ => None,
                    };
                    entries.into_iter().filter_map(pair).collect()
                }
            };
            ctx.room_for_items(2 * pairs.len() as u64)?;
            for (key, value) in pairs {
                let key = super::sets::key(ctx, m, &key)?;
                m.put(key, value);
            }
            m.forget_place();
            // Groovy's own, of entries, answers the map.
            yes(if matches!(other, Value::Map(_)) { Value::Null } else { this.clone() })
        }
        ("leftShift", [other]) => super::operators::binary(ctx, BinaryOp::ShiftLeft, this, other),
        ("remove", [key]) => yes(m.remove(key).unwrap_or_default()),
        ("remove", [key, value]) | ("replace", [key, value, _]) => {
            let same = match m.get(key) {
                Some(held) => super::objects::java_equals(ctx, &held, value)?,
                None => false,
            };
            match (same, args.get(2)) {
                (true, Some(new)) => drop(m.put(key.clone(), new.clone())),
                (true, None) => drop(m.remove(key)),
                _ => {}
            }
            yes(same)
        }
        ("clear", []) => {
            m.clear();
            yes(Value::Null)
        }
        _ => Ok(None),
    }
}

pub(crate) fn entry_method(e: &Rc<Entry>, name: &str, args: &[Value]) -> Option<Value> {
    match (name, args) {
        ("getKey", []) => Some(e.key.clone()),
        ("getValue", []) => Some(e.value.borrow().clone()),
        ("setValue", [value]) => {
            let before = e.value.replace(value.clone());
            if let Some(map) = &e.map {
                map.put(e.key.clone(), value.clone());
            }
            Some(before)
        }
        _ => None,
    }
}
