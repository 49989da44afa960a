//! Methods of sets.

use std::rc::Rc;

use super::{Answer, compare, lists, sequence, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{Map, MapKind, Value, hash};

/// The key of the map that equals a key by the script's own `equals` and `hashCode`, or the key as it is.
pub(crate) fn key(ctx: &mut Ctx<'_>, map: &Map, key: &Value) -> Result<Value, Fault> {
    if map.kind() == MapKind::Tree {
        if super::trees::asks(map, key) {
            return super::trees::settled(ctx, map, key);
        }
        sorts(ctx, map, key)?;
        return Ok(map.equal_key(key).unwrap_or_else(|| key.clone()));
    }
    if !hash::asks(key) {
        return Ok(key.clone());
    }
    let code = hash_code(ctx, key)?;
    for other in map.without_code() {
        let code = hash_code(ctx, &other)?;
        map.keep_code(other, code);
    }
    for other in map.alike(code) {
        ctx.pay(1)?;
        if other.same(key) || compare::same_key(ctx, key, &other)? {
            return Ok(other);
        }
    }
    map.note_code(key, code);
    Ok(key.clone())
}

/// Java's `hashCode()` of a value, with what the script says of objects.
pub(super) fn hash_code(ctx: &mut Ctx<'_>, value: &Value) -> Result<i32, Fault> {
    hash::hash_by(value, &mut |value| match value {
        Value::Object(o) if hash::says(o) => {
            Some(ctx.ask(value, "hashCode", &[]).map(|code| code.as_i64().unwrap_or(0) as i32))
        }
        _ => None,
    })
}

/// Whether the script is asked for a key.
pub(crate) fn asks(map: &Map, key: &Value) -> bool {
    super::trees::asks(map, key) || map.kind() != MapKind::Tree && hash::asks(key)
}

/// Whether the script is asked for one of the items of a collection, or keys of a map, that come into a map: they are put one by one
/// then.
pub(crate) fn asks_one_of(map: &Map, items: &Value) -> bool {
    match items {
        Value::List(l) => l.items().iter().any(|item| asks(map, item)),
        Value::Set(other) => other.entries().keys().any(|key| asks(map, &key.0)),
        Value::Map(other) => other.entries().keys().any(|key| asks(map, &key.0)),
        _ => map.comparator().is_some(),
    }
}

/// Whether two values are constants of the same enum: those with bodies have classes of their own.
fn of_one_enum(a: &Value, b: &Value) -> bool {
    let of = |value: &Value| match value {
        Value::Object(o) => o.class.enumeration().map(|class| class.name.clone()),
        _ => None,
    };
    of(a).is_some_and(|class| of(b) == Some(class))
}

/// Whether a map that sorts its keys can have such a key: Java compares it with one that is there, or with itself.
fn sorts(ctx: &Ctx<'_>, map: &Map, key: &Value) -> Result<(), Fault> {
    const COMPARABLE: &str = "java.lang.Comparable";
    let cast = |from: &str, to: &str| Err(ctx.fail("java.lang.ClassCastException", compare::class_cast(from, to)));
    let name = key.type_name();
    if key.is_null() {
        return Err(ctx.world.null_pointer("the argument is null"));
    }
    if !matches!(key, Value::Object(_) | Value::Host(_)) && !crate::value::is_subtype(&name, COMPARABLE) {
        return cast(&name, COMPARABLE);
    }
    match map.at(0) {
        // It compares its text with whatever is there.
        Some(_) if matches!(key, Value::GString(_)) => Ok(()),
        Some((other, _))
            if !(key.is_text() && other.is_text()) && other.type_name() != name && !of_one_enum(&other, key) =>
        {
            cast(&other.type_name(), &name)
        }
        _ => Ok(()),
    }
}

/// Takes out of a set what is not among `kept`, which are items of it in its order.
pub(super) fn keep(ctx: &mut Ctx<'_>, s: &Rc<Map>, kept: &[Value]) -> Result<(), Fault> {
    super::maps::writable(ctx, s)?;
    let mut kept = kept.iter().peekable();
    for item in s.keys() {
        if kept.next_if(|other| other.same(&item)).is_none() {
            ctx.pay(s.len() / 64)?;
            s.remove(&item);
        }
    }
    Ok(())
}

pub(super) fn is_collection(value: &Value) -> bool {
    matches!(value, Value::List(_) | Value::Set(_) | Value::Range(_))
}

/// Whether a collection is a set that sorts what it holds.
pub(super) fn is_sorted(value: &Value) -> bool {
    matches!(value, Value::Set(s) if s.kind() == MapKind::Tree)
}

/// The `HashSet` that `toSet()` makes.
pub(super) fn hashed(ctx: &mut Ctx<'_>, items: Vec<Value>) -> Answer {
    filled(ctx, Map::with_capacity(MapKind::Hash, items.len()), items)
}

/// `new HashSet(items)`
pub(super) fn copied(ctx: &mut Ctx<'_>, items: Vec<Value>) -> Answer {
    filled(ctx, Map::for_copy(MapKind::Hash, items.len(), true), items)
}

fn filled(ctx: &mut Ctx<'_>, set: Map, items: Vec<Value>) -> Answer {
    for item in items {
        ctx.pay(usize::from(item.is_container()))?;
        let item = key(ctx, &set, &item)?;
        set.add(item);
    }
    yes(Value::Set(Rc::new(set)))
}

/// A set of a kind of the items of a collection.
pub(super) fn of_kind(ctx: &mut Ctx<'_>, kind: MapKind, source: &Value) -> Answer {
    let items = sequence(ctx, source)?.unwrap_or_default();
    ctx.room_for_items(2 * items.len() as u64)?;
    let set = Map::for_copy(kind, items.len(), true);
    ctx.world.charge(items.len());
    if asks_one_of(&set, source) {
        let name = match kind {
            MapKind::Tree => "$toTree",
            MapKind::Hash => "$toHash",
            _ => "$toLinked",
        };
        return ctx.ask(source, name, &[]).map(Some);
    }
    for item in items {
        let item = key(ctx, &set, &item)?;
        set.add(item);
    }
    yes(Value::Set(Rc::new(set)))
}

pub(crate) fn method(ctx: &mut Ctx<'_>, this: &Value, s: &Rc<Map>, name: &str, args: &[Value]) -> Answer {
    // Nothing is added to the keys or entries of a map.
    if s.is_view() && matches!(name, "add" | "addAll" | "leftShift") {
        return Err(Fault::Throw(ctx.world.throwable("java.lang.UnsupportedOperationException", Value::Null)));
    }
    if let ("add" | "remove" | "contains", [item]) = (name, args)
        && (s.kind() == MapKind::Tree || hash::asks(item))
    {
        let item = key(ctx, s, item)?;
        let answer = match name {
            "contains" => yes(s.has(&item)),
            _ if s.kind() == MapKind::Fixed => {
                Err(Fault::Throw(ctx.world.throwable("java.lang.UnsupportedOperationException", Value::Null)))
            }
            "add" => yes(s.add(item)),
            _ => yes(s.remove(&item).is_some()),
        };
        s.forget_place();
        return answer;
    }
    if s.kind() == MapKind::Tree
        && let Some(found) = super::trees::of_set(ctx, s, name, args)?
    {
        return Ok(Some(found));
    }
    match (name, args) {
        ("size", []) => return yes(Value::Int(s.len() as i32)),
        ("isEmpty", []) => return yes(s.is_empty()),
        ("contains", [item]) => return yes(compare::contains(ctx, this, item)?),
        ("iterator", []) => return yes(lists::iterator(this.clone())),
        ("clone", []) => return yes(lists::part(this, s.keys())),
        ("asImmutable" | "asUnmodifiable", []) => return yes(Value::Set(Rc::new(s.copy(MapKind::Fixed)))),
        ("toSet", []) => return hashed(ctx, s.keys()),
        ("getAt", [key]) => return super::index::get(ctx, this, key),
        _ => {}
    }
    const CHANGES: &[&str] = &["add", "addAll", "remove", "removeAll", "retainAll", "clear", "leftShift"];
    if CHANGES.contains(&name) && s.kind() == MapKind::Fixed {
        super::maps::writable(ctx, s)?;
    }
    match (name, args) {
        ("add", [item]) => return yes(s.add(item.clone())),
        // The script is asked where each goes: they are added one by one.
        ("addAll", [other]) if asks_one_of(s, other) => {
            return ctx.ask(this, "$addEach", std::slice::from_ref(other)).map(Some);
        }
        ("addAll", [other]) => {
            let others = sequence(ctx, other)?.unwrap_or_default();
            ctx.room_for_items(2 * others.len() as u64)?;
            let mut changed = false;
            for item in others {
                let item = key(ctx, s, &item)?;
                changed |= s.add(item);
            }
            return yes(changed);
        }
        ("remove", [item]) => return yes(s.remove(item).is_some()),
        // The script, or an order, says what is equal: they are asked for one by one.
        ("removeAll" | "retainAll" | "containsAll", [other])
            if is_collection(other) && (s.kind() == MapKind::Tree || is_sorted(other)) =>
        {
            let name = match name {
                "removeAll" => "$removeEach",
                "retainAll" => "$retainEach",
                _ => "$containsEach",
            };
            return ctx.ask(this, name, std::slice::from_ref(other)).map(Some);
        }
        ("removeAll" | "retainAll", [other]) if !matches!(other, Value::Closure(_)) => {
            let others = sequence(ctx, other)?.unwrap_or_default();
            let mut changed = false;
            for item in s.keys() {
                if compare::java_position(ctx, &others, &item)?.is_some() == (name == "removeAll") {
                    ctx.pay(s.len() / 64)?;
                    s.remove(&item);
                    changed = true;
                }
            }
            return yes(changed);
        }
        ("clear", []) => {
            s.clear();
            return yes(Value::Null);
        }
        _ => {}
    }
    lists::whole(ctx, this, &s.keys(), name, args)
}
