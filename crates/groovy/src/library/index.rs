//! `a[b]` and `a[b] = c`.

use std::rc::Rc;

use super::{Answer, int, lists, regex, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{BufferKind, List, ListKind, Map, MapKind, Object, Range, Str, Value, hash};

/// `object[key]`; `None`: it is a call of `getAt`.
pub(crate) fn get(ctx: &mut Ctx<'_>, object: &Value, key: &Value) -> Answer {
    match (object, key) {
        // A key in brackets is text, unlike one of `get` or of a literal map.
        (Value::Map(_), Value::GString(_)) => {
            let key = Value::Str(ctx.str(key)?);
            get(ctx, object, &key)
        }
        (Value::Map(m), key) if m.kind() == MapKind::Tree || hash::asks(key) => {
            super::maps::method(ctx, object, m, "get", std::slice::from_ref(key))
        }
        (Value::Map(m), _) => match m.get(key) {
            Some(value) => Ok(Some(value)),
            None if m.default().is_some() => ctx.ask(object, "$defaulted", std::slice::from_ref(key)).map(Some),
            None => yes(Value::Null),
        },
        (Value::Object(o), _) if let Some(list) = held_list(o, "getAt") => match key {
            Value::Int(n) if *n >= 0 && o.class.has_method("get") => {
                ctx.ask(object, "get", std::slice::from_ref(key)).map(Some)
            }
            _ => get(ctx, &list, key),
        },
        (Value::Object(o), _) if o.as_map().is_some() && o.class.has_method("get") && !o.class.has_method("getAt") => {
            ctx.ask(object, "get", std::slice::from_ref(key)).map(Some)
        }
        (Value::Object(o), _) => match o.as_map().filter(|_| !o.class.has_method("getAt")) {
            Some(m) => {
                let key = super::sets::key(ctx, &m, key)?;
                m.forget_place();
                yes(m.get(&key).unwrap_or_default())
            }
            None => Ok(None),
        },
        (Value::List(l), Value::Int(n)) if lacks(l, i64::from(*n)) => {
            ctx.ask(object, "$defaulted", std::slice::from_ref(key)).map(Some)
        }
        (Value::List(l), Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_)) => {
            list_item(ctx, l, int(key).unwrap_or(0))
        }
        (Value::Range(r), Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_)) => {
            let (n, size) = (int(key).unwrap_or(0), r.size() as i64);
            let n = checked(ctx, n, size, false)?;
            yes(u64::try_from(n).ok().and_then(|n| r.at(n)).unwrap_or_default())
        }
        (Value::Str(s), Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_)) => {
            char_text(ctx, s, int(key).unwrap_or(0))
        }
        (Value::GString(_), _) => {
            let text = Value::Str(ctx.str(object)?);
            get(ctx, &text, key)
        }
        // What is no position is the name of a property.
        (Value::List(_) | Value::Set(_) | Value::Range(_), Value::Str(_) | Value::GString(_)) => {
            let name = ctx.text(key)?;
            super::property(ctx, object, &name)
        }
        (Value::Str(_) | Value::Char(_), Value::Str(_) | Value::GString(_)) => named(ctx, object, key),
        (n, Value::Str(_) | Value::GString(_)) if crate::value::is_number(n) => named(ctx, object, key),
        (Value::List(_) | Value::Range(_) | Value::Str(_), Value::Range(r)) => range_of(ctx, object, r),
        (Value::List(_) | Value::Range(_) | Value::Str(_), Value::List(keys)) => {
            let mut out = Vec::new();
            for key in keys.snapshot() {
                match (get(ctx, object, &key)?, &key) {
                    (Some(Value::List(part)), Value::Range(_) | Value::List(_)) => {
                        out.extend(part.items().iter().cloned())
                    }
                    (Some(item), _) => out.push(item),
                    (None, _) => return Ok(None),
                }
            }
            if let Value::Str(_) = object {
                let text: Result<String, Fault> = out.iter().map(|v| ctx.text(v)).collect();
                return yes(text?);
            }
            yes(Value::list(out))
        }
        (Value::Set(s), Value::Int(_)) => {
            let n = int(key).unwrap_or(0);
            let at = if n < 0 { n + s.len() as i64 } else { n };
            yes(usize::try_from(at).ok().and_then(|at| s.at(at)).map(|(k, _)| k).unwrap_or_default())
        }
        (Value::Matcher(m), Value::Int(_)) => {
            let matches = regex::all(ctx, &m.pattern, &m.text)?;
            let n = int(key).unwrap_or(0);
            let at = if n < 0 { n + matches.len() as i64 } else { n };
            let found = usize::try_from(at).ok().and_then(|i| matches.get(i));
            match found {
                Some(groups) => {
                    *m.groups.borrow_mut() = Some(groups.clone());
                    yes(regex::match_value(&m.text, groups))
                }
                None => {
                    let last = matches.len() as i64 - 1;
                    let message = format!("index is out of range {}..{last} (index = {n})", -(last + 1));
                    Err(ctx.fail("java.lang.IndexOutOfBoundsException", message))
                }
            }
        }
        (Value::Matcher(m), _) => {
            let list = Value::list(super::matchers::all(ctx, m)?);
            get(ctx, &list, key)
        }
        (Value::Entry(e), Value::Str(s)) if &**s == "key" => yes(e.key.clone()),
        (Value::Entry(e), Value::Str(s)) if &**s == "value" => yes(e.value.borrow().clone()),
        (Value::Buffer(b), _) => {
            let text = Value::str(b.text.borrow().as_str());
            get(ctx, &text, key)
        }
        (Value::Null, _) => Err(ctx.world.null_pointer("Cannot invoke method getAt() on null object")),
        _ => Ok(None),
    }
}

/// `object['name']` of a value that has no items.
fn named(ctx: &mut Ctx<'_>, object: &Value, key: &Value) -> Answer {
    let name = ctx.text(key)?;
    match super::property(ctx, object, &name)? {
        Some(value) => Ok(Some(value)),
        None => Err(ctx.world.missing_property(&name, &object.type_name())),
    }
}

/// Whether a list has a closure for such an item, and not the item.
pub(crate) fn lacks(list: &List, n: i64) -> bool {
    list.default().is_some() && n >= 0 && list.get(n as usize).is_none_or(|item| item.is_null())
}

fn list_item(ctx: &Ctx<'_>, list: &List, n: i64) -> Answer {
    if list.is_stale() {
        return Err(Fault::Throw(ctx.world.throwable("java.util.ConcurrentModificationException", Value::Null)));
    }
    let items = list.items();
    let at = checked(ctx, n, items.len() as i64, list.is_array())?;
    yes(items.get(at as usize).cloned().unwrap_or_default())
}

/// Where the index of a list or array points to; one from the end may not be before its beginning, one of an array not behind
/// its end.
fn checked(ctx: &Ctx<'_>, n: i64, len: i64, is_array: bool) -> Result<i64, Fault> {
    let at = if n < 0 { n + len } else { n };
    let message = if at < 0 {
        format!("Negative array index [{n}] too large for array size {len}")
    } else if is_array && at >= len {
        format!("Index {n} out of bounds for length {len}")
    } else {
        return Ok(at);
    };
    Err(ctx.fail("java.lang.ArrayIndexOutOfBoundsException", message))
}

fn char_text(ctx: &Ctx<'_>, s: &Str, n: i64) -> Answer {
    let len = s.units() as i64;
    let at = if n < 0 { n + len } else { n };
    if at < 0 {
        let message = format!("Negative array index [{n}] too large for array size {len}");
        return Err(ctx.fail("java.lang.ArrayIndexOutOfBoundsException", message));
    }
    if at >= len {
        return Err(super::strings::out_of_bounds(ctx, n, n.saturating_add(1), len));
    }
    yes(s.slice(at as usize, at as usize + 1))
}

/// Positions of a range in a collection of `size` items: from, to (exclusive), reversed. They may lie outside.
fn bounds(r: &Range, size: i64) -> (i64, i64, bool) {
    let norm = |n: i64| if n < 0 { n.saturating_add(size) } else { n };
    let (from, to) = (norm(r.from), norm(r.to));
    if !r.inclusive && r.from == r.to {
        return (0, 0, false);
    }
    if from > to {
        return (if r.inclusive { to } else { to + 1 }, from + 1, true);
    }
    (from, if r.inclusive { to + 1 } else { to }, false)
}

fn range_of(ctx: &mut Ctx<'_>, object: &Value, r: &Range) -> Answer {
    match object {
        Value::Str(s) => {
            let len = s.units() as i64;
            let (from, to, reversed) = bounds(r, len);
            if from < 0 || to > len || from > to {
                return Err(super::strings::out_of_bounds(ctx, from, to, len));
            }
            let part = s.slice(from as usize, to as usize);
            yes(if reversed { part.chars().rev().collect::<String>() } else { part.to_string() })
        }
        other => {
            let items = super::sequence(ctx, other)?.unwrap_or_default();
            let (from, to, reversed) = bounds(r, items.len() as i64);
            if from == to {
                return yes(Value::list(Vec::new()));
            }
            if from < 0 || to > items.len() as i64 {
                let message = if from < 0 { format!("fromIndex = {from}") } else { format!("toIndex = {to}") };
                return Err(ctx.fail("java.lang.IndexOutOfBoundsException", message));
            }
            let mut part = items[from as usize..to as usize].to_vec();
            if reversed {
                part.reverse();
            }
            yes(Value::list(part))
        }
    }
}

/// `object[key] = value`; `false`: it is a call of `putAt`.
pub(crate) fn set(ctx: &mut Ctx<'_>, object: &Value, key: &Value, value: &Value) -> Result<bool, Fault> {
    match (object, key) {
        (Value::Map(_), Value::GString(_)) => {
            let key = Value::Str(ctx.str(key)?);
            set(ctx, object, &key, value)
        }
        (Value::Map(m), _) => {
            super::maps::writable(ctx, m)?;
            let key = super::sets::key(ctx, m, key)?;
            m.put(key, value.clone());
            Ok(true)
        }
        (Value::Object(o), _) if let Some(list) = held_list(o, "putAt") => set(ctx, &list, key, value),
        (Value::Object(o), _) => match o.as_map().filter(|_| !o.class.has_method("putAt")) {
            Some(m) => put(ctx, o, &m, key.clone(), value).map(|()| true),
            None => Ok(false),
        },
        (Value::List(l), Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_)) => {
            lists::writable(ctx, l)?;
            let (n, len) = (int(key).unwrap_or(0), l.len() as i64);
            let at = checked(ctx, n, len, l.is_array())? as usize;
            if at >= l.len() {
                ctx.room_for_items(at as u64 + 1)?;
            }
            let value = l.element(value.clone());
            if at < l.len() {
                drop(l.put(at, value));
                return Ok(true);
            }
            let before = l.change(|items| {
                if at >= items.len() {
                    items.resize(at + 1, Value::Null);
                }
                std::mem::replace(&mut items[at], value)
            });
            drop(before);
            Ok(true)
        }
        (Value::List(l), Value::Range(r)) => {
            lists::writable(ctx, l)?;
            let (from, to, _) = bounds(r, l.len() as i64);
            if from < 0 || to > l.len() as i64 {
                return Err(lists::out_of_bounds(ctx, if from < 0 { from } else { to }, l.len()));
            }
            let (from, to) = (from as usize, to.max(from) as usize);
            let new = match value {
                Value::List(_) | Value::Set(_) | Value::Range(_) => super::sequence(ctx, value)?.unwrap_or_default(),
                other => vec![other.clone()],
            };
            let before: Vec<Value> = l.change(|items| items.splice(from..to, new).collect());
            drop(before);
            Ok(true)
        }
        // `list[0, 2] = [a, b]`: each position gets its value.
        (Value::List(l), Value::List(keys)) if !l.is_array() => {
            // What is no list goes to each of the positions.
            let values = match value {
                Value::Null => return Err(ctx.world.null_pointer("the argument is null")),
                Value::List(l) if !l.is_array() => l.snapshot(),
                Value::Range(r) => {
                    ctx.room_for_items(r.size())?;
                    r.iter().collect()
                }
                one => vec![one.clone(); keys.len()],
            };
            if keys.len() != values.len() {
                let message = format!("Trying to replace {} elements with {} elements", keys.len(), values.len());
                return Err(ctx.world.illegal(message));
            }
            for (key, value) in keys.snapshot().iter().zip(&values) {
                set(ctx, object, key, value)?;
            }
            Ok(true)
        }
        (Value::Buffer(b), Value::Range(r)) if b.kind != BufferKind::Writer => {
            let text = Str::new(b.text.borrow().as_str());
            let (from, to, _) = bounds(r, text.units() as i64);
            // An empty one still says where.
            let (from, to) = if r.size() == 0 { (r.from, r.from) } else { (from, to) };
            if from < 0 || from > text.units() as i64 {
                return Err(super::strings::out_of_bounds(ctx, from, to, text.units() as i64));
            }
            let (from, to) = (text.byte_at(from as usize), text.byte_at(to.max(from) as usize));
            let new = ctx.text(value)?;
            ctx.room(text.len().saturating_add(new.len()))?;
            b.text.borrow_mut().replace_range(from..to, &new);
            b.recount();
            Ok(true)
        }
        (Value::Null, _) => Err(ctx.world.null_pointer("Cannot invoke method putAt() on null object")),
        _ => Ok(false),
    }
}

/// `subList`: the items from a position to another.
pub(super) fn part(ctx: &Ctx<'_>, list: &Rc<List>, from: i64, to: i64) -> Answer {
    if from < 0 || to > list.len() as i64 {
        let wrong = if from < 0 { format!("fromIndex = {from}") } else { format!("toIndex = {to}") };
        return Err(ctx.fail("java.lang.IndexOutOfBoundsException", wrong));
    }
    if from > to {
        return Err(ctx.world.illegal(format!("fromIndex({from}) > toIndex({to})")));
    }
    let (from, to) = (from as usize, to as usize);
    let copy = |kind| List::new(list.items()[from..to].to_vec(), kind);
    yes(Value::List(Rc::new(match list.kind() {
        _ if list.has_parts() => List::part(list, from, to),
        _ if list.is_fixed() => copy(ListKind::Fixed),
        _ => copy(ListKind::Array),
    })))
}

/// Puts into the map that an object is, as its class may have it.
pub(crate) fn put(ctx: &mut Ctx<'_>, o: &Rc<Object>, map: &Map, key: Value, value: &Value) -> Result<(), Fault> {
    if o.class.has_method("put") {
        return ctx.ask(&Value::Object(o.clone()), "put", &[key, value.clone()]).map(drop);
    }
    let key = super::sets::key(ctx, map, &key)?;
    map.put(key, value.clone());
    Ok(())
}

/// The list that an object is, where its class has not its own operator.
fn held_list(o: &Object, operator: &str) -> Option<Value> {
    o.as_list().filter(|_| !o.class.has_method(operator)).map(Value::List)
}
