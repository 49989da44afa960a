//! Methods of `TreeMap` and `TreeSet` that go by the order of keys. What is a view in Java is a copy here.

use std::rc::Rc;

use super::{Answer, compare, lists, maps, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{Map, MapKind, Order, Value};

fn order(ctx: &mut Ctx<'_>, by: &Map, a: &Value, b: &Value) -> Result<std::cmp::Ordering, Fault> {
    if let Some(comparator) = by.comparator() {
        ctx.pay(1)?;
        let name = if matches!(comparator, Value::Closure(_)) { "call" } else { "compare" };
        let answer = ctx.ask(comparator, name, &[a.clone(), b.clone()])?;
        return Ok(answer.as_i64().unwrap_or(0).cmp(&0));
    }
    match by.key_order() {
        Order::Natural => compare::compare(ctx, a, b),
        Order::Reverse => compare::compare(ctx, b, a),
        Order::CaseInsensitive => Ok(ctx.text(a)?.to_lowercase().cmp(&ctx.text(b)?.to_lowercase())),
    }
}

/// Whether only the script can compare the keys of a map with a key.
pub(super) fn asks(map: &Map, key: &Value) -> bool {
    map.kind() == MapKind::Tree
        && (map.comparator().is_some() || matches!(key, Value::Object(o) if o.class.has_method("compareTo")))
}

/// Asks the script where a key belongs: the key that it equals, or else itself, and the map knows its place.
pub(super) fn settled(ctx: &mut Ctx<'_>, map: &Map, key: &Value) -> Result<Value, Fault> {
    if map.is_empty() {
        // Java compares the first key with itself, to see that it can.
        order(ctx, map, key, key)?;
    }
    let (mut low, mut high) = (0, map.len());
    while low < high {
        let middle = (low + high) / 2;
        let Some((held, _)) = map.at(middle) else { break };
        let order = order(ctx, map, key, &held)?;
        if order.is_eq() {
            return Ok(held);
        }
        if order.is_lt() { high = middle } else { low = middle + 1 }
    }
    map.place_next(low);
    Ok(key.clone())
}

/// How many keys come before a key, with those that equal it (`upto`) or without.
fn before(ctx: &mut Ctx<'_>, map: &Map, key: &Value, upto: bool) -> Result<usize, Fault> {
    let (mut low, mut high) = (0, map.len());
    while low < high {
        let middle = (low + high) / 2;
        let Some((held, _)) = map.at(middle) else { break };
        ctx.pay(1)?;
        let order = order(ctx, map, &held, key)?;
        if order.is_lt() || upto && order.is_eq() { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// The position of the neighbour of a key that a method names: `floor`, `lower`, `ceiling`, `higher`.
fn neighbour(ctx: &mut Ctx<'_>, map: &Map, which: &str, key: &Value) -> Result<Option<usize>, Fault> {
    let at = before(ctx, map, key, matches!(which, "floor" | "higher"))?;
    Ok(match which {
        "floor" | "lower" => at.checked_sub(1),
        _ => Some(at).filter(|at| *at < map.len()),
    })
}

/// The positions that `head…`, `tail…` and `sub…` mean.
fn part(ctx: &mut Ctx<'_>, map: &Map, which: &str, args: &[Value]) -> Result<Option<std::ops::Range<usize>>, Fault> {
    let flag = |at: usize, otherwise: bool| args.get(at).map_or(otherwise, Value::truth);
    if let ("sub", [from, to] | [from, _, to, _]) = (which, args)
        && order(ctx, map, from, to)?.is_gt()
    {
        return Err(ctx.world.illegal("fromKey > toKey"));
    }
    let part = match (which, args) {
        ("head", [to] | [to, Value::Bool(_)]) => 0..before(ctx, map, to, flag(1, false))?,
        ("tail", [from] | [from, Value::Bool(_)]) => before(ctx, map, from, !flag(1, true))?..map.len(),
        ("sub", [from, to]) => before(ctx, map, from, false)?..before(ctx, map, to, false)?,
        ("sub", [from, _, to, _]) => before(ctx, map, from, !flag(1, true))?..before(ctx, map, to, flag(3, false))?,
        _ => return Ok(None),
    };
    // Without its own end nothing may be left.
    Ok(Some(part.start.min(part.end)..part.end))
}

fn nothing(ctx: &Ctx<'_>) -> Fault {
    Fault::Throw(ctx.world.throwable("java.util.NoSuchElementException", Value::Null))
}

pub(super) fn of_map(ctx: &mut Ctx<'_>, m: &Rc<Map>, name: &str, args: &[Value]) -> Answer {
    let entry = |at: Option<usize>| at.and_then(|at| maps::entry_at(m, at)).unwrap_or_default();
    match (name, args) {
        ("firstKey" | "lastKey", []) if m.is_empty() => Err(nothing(ctx)),
        ("firstEntry", []) => yes(entry(Some(0))),
        ("lastEntry", []) => yes(entry(m.len().checked_sub(1))),
        ("pollFirstEntry" | "pollLastEntry", []) => {
            let at = if name == "pollFirstEntry" { Some(0) } else { m.len().checked_sub(1) };
            let found = entry(at);
            if let Value::Entry(e) = &found {
                m.remove(&e.key);
            }
            yes(found)
        }
        ("comparator", []) => yes(m.comparator().cloned().unwrap_or_default()),
        // It is sorted, whatever the keys are.
        ("sort", []) => yes(Value::Map(m.clone())),
        ("toSorted", []) => yes(Value::Map(Rc::new(m.copy(MapKind::Tree)))),
        ("navigableKeySet", []) => yes(Value::set(m.keys())),
        ("descendingKeySet", []) => yes(Value::set(m.keys().into_iter().rev())),
        ("descendingMap", []) => yes(Value::map((0..m.len()).rev().filter_map(|at| m.at(at)))),
        ("headMap" | "tailMap" | "subMap", _) => {
            ctx.pay(m.len() / 8)?;
            let Some(part) = part(ctx, m, &name[..name.len() - 3], args)? else { return Ok(None) };
            let out = Map::new(MapKind::Tree).sorted_like(m);
            part.filter_map(|at| m.at(at)).for_each(|(key, value)| out.put_last(key, value));
            yes(Value::Map(Rc::new(out)))
        }
        (_, [key]) => {
            let (which, wants_key) = match (name.strip_suffix("Key"), name.strip_suffix("Entry")) {
                (Some(which), _) => (which, true),
                (_, Some(which)) => (which, false),
                _ => return Ok(None),
            };
            if !matches!(which, "floor" | "lower" | "ceiling" | "higher") {
                return Ok(None);
            }
            let at = neighbour(ctx, m, which, key)?;
            yes(if wants_key { at.and_then(|at| m.at(at)).map_or(Value::Null, |(key, _)| key) } else { entry(at) })
        }
        _ => Ok(None),
    }
}

pub(super) fn of_set(ctx: &mut Ctx<'_>, s: &Rc<Map>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("first" | "last", []) if s.is_empty() => Err(nothing(ctx)),
        ("pollFirst" | "pollLast", []) => {
            let at = if name == "pollFirst" { Some(0) } else { s.len().checked_sub(1) };
            let found = at.and_then(|at| s.at(at)).map(|(key, _)| key);
            if let Some(key) = &found {
                // What stands behind it moves.
                ctx.pay(s.len() / 64)?;
                s.remove(key);
            }
            yes(found.unwrap_or_default())
        }
        ("comparator", []) => yes(s.comparator().cloned().unwrap_or_default()),
        ("sort", []) => yes(Value::Set(s.clone())),
        ("clone" | "toSorted", []) => yes(Value::Set(Rc::new(s.copy(MapKind::Tree)))),
        ("descendingSet", []) => yes(Value::set(s.keys().into_iter().rev())),
        ("descendingIterator", []) => yes(lists::iterator(Value::list(s.keys().into_iter().rev().collect()))),
        ("headSet" | "tailSet" | "subSet", _) => {
            ctx.pay(s.len() / 8)?;
            let Some(part) = part(ctx, s, &name[..name.len() - 3], args)? else { return Ok(None) };
            let out = Map::new(MapKind::Tree).sorted_like(s);
            part.filter_map(|at| s.at(at)).for_each(|(key, _)| out.put_last(key, Value::Null));
            yes(Value::Set(Rc::new(out)))
        }
        ("floor" | "lower" | "ceiling" | "higher", [key]) => {
            let at = neighbour(ctx, s, name, key)?;
            yes(at.and_then(|at| s.at(at)).map_or(Value::Null, |(key, _)| key))
        }
        _ => Ok(None),
    }
}
