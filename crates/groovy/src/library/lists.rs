//! Methods of lists and arrays that call no closures.

use std::cell::Cell;
use std::rc::Rc;

use super::{Answer, compare, int, operators, sequence, shapes, yes};
use crate::ast::BinaryOp;
use crate::machine::{Ctx, Fault};
use crate::value::{Iter, List, ListKind, Map, Value};

/// An iterator over a collection.
pub(crate) fn iterator(source: Value) -> Value {
    let expected = crate::machine::iterated_size(&source);
    Value::Iter(Rc::new(Iter { source, at: Cell::new(0), expected: Cell::new(expected) }))
}

/// A collection of the kind of `like` (sets stay sets, everything else is a list).
pub(crate) fn like(like: &Value, items: Vec<Value>) -> Value {
    match like {
        Value::Set(s) => {
            let out = Map::new(super::maps::similar(s)).sorted_like(s);
            items.into_iter().for_each(|item| _ = out.add(item));
            Value::Set(Rc::new(out))
        }
        Value::List(l) if l.is_array() => Value::List(Rc::new(List::new(items, l.kind().clone()))),
        _ => Value::list(items),
    }
}

/// Items of a collection, in their order, as a collection of its kind.
pub(crate) fn part(of: &Value, items: Vec<Value>) -> Value {
    let Value::Set(s) = of else { return like(of, items) };
    Value::Set(Rc::new(s.part(super::maps::similar(s), items.into_iter().map(|item| (item, Value::Null)))))
}

/// The same where the script may have to say what a set holds, and which kind of set it becomes.
pub(crate) fn like_in_order(
    ctx: &mut Ctx<'_>,
    of: &Value,
    items: Vec<Value>,
    kind: fn(&Map) -> crate::value::MapKind,
) -> Result<Value, Fault> {
    let Value::Set(s) = of else { return Ok(like(of, items)) };
    let out = Map::new(kind(s)).sorted_like(s);
    for item in items {
        ctx.pay(1)?;
        let item = super::sets::key(ctx, &out, &item)?;
        out.add(item);
    }
    Ok(Value::Set(Rc::new(out)))
}

/// The list that a method changes: the values of a map are in no order of their own.
fn in_place(this: &Value) -> Option<&Rc<List>> {
    match this {
        Value::List(l) if *l.kind() != ListKind::Values => Some(l),
        _ => None,
    }
}

pub(crate) fn writable(ctx: &Ctx<'_>, l: &List) -> Result<(), Fault> {
    if l.is_fixed() {
        return Err(Fault::Throw(ctx.world.throwable("java.lang.UnsupportedOperationException", Value::Null)));
    }
    Ok(())
}

pub(crate) fn method(ctx: &mut Ctx<'_>, this: &Value, l: &Rc<List>, name: &str, args: &[Value]) -> Answer {
    if l.is_stale() {
        return Err(Fault::Throw(ctx.world.throwable("java.util.ConcurrentModificationException", Value::Null)));
    }
    if let Some(found) = reading(ctx, this, l, name, args)? {
        return Ok(Some(found));
    }
    if !l.is_array() {
        // Of other lists it is Groovy's `first()`.
        if matches!(l.kind(), ListKind::Linked | ListKind::Deque)
            && matches!(name, "getFirst" | "getLast")
            && let Some(found) = super::queues::queue(ctx, l, name, args)?
        {
            return Ok(Some(found));
        }
        if let Some(found) = changing(ctx, this, l, name, args)? {
            return Ok(Some(found));
        }
        if let Some(found) = super::queues::queue(ctx, l, name, args)? {
            return Ok(Some(found));
        }
    }
    let items = l.snapshot();
    whole(ctx, this, &items, name, args)
}

fn reading(ctx: &mut Ctx<'_>, this: &Value, l: &Rc<List>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("size", []) => yes(Value::Int(l.len() as i32)),
        ("length", []) if l.is_array() => yes(Value::Int(l.len() as i32)),
        ("isEmpty", []) => yes(l.is_empty()),
        ("$withDefault", [closure, eager]) => yes(Value::List(Rc::new(l.with_default(closure.clone(), eager.truth())))),
        ("$default", []) => {
            let (closure, eager) = l.default().cloned().unwrap_or_default();
            yes(Value::list(vec![closure, Value::Bool(eager)]))
        }
        ("get" | "elementAt", [n]) => {
            let key = n;
            let Some(n) = int(n) else { return Ok(None) };
            if super::index::lacks(l, n) {
                return ctx.ask(this, "$defaulted", std::slice::from_ref(key)).map(Some);
            }
            match usize::try_from(n).ok().and_then(|i| l.get(i)) {
                Some(value) => Ok(Some(value)),
                None => Err(out_of_bounds(ctx, n, l.len())),
            }
        }
        ("getAt", [key]) => super::index::get(ctx, this, key),
        ("putAt", [at @ Value::Int(_), item]) if let Some(element) = l.element_name() => {
            let held = super::convert::to_type(ctx, item, element, false)?.unwrap_or_else(|| item.clone());
            super::index::set(ctx, this, at, &held).map(|_| Some(Value::Null))
        }
        ("clone", []) if matches!(l.kind(), ListKind::Stack | ListKind::Linked | ListKind::Deque) => {
            yes(Value::List(Rc::new(List::new(l.snapshot(), l.kind().clone()))))
        }
        // Groovy's: of its nodes too.
        ("clone", []) if *l.kind() == ListKind::Nodes => Ok(None),
        ("clone", []) => yes(like(this, l.snapshot())),
        ("iterator", []) => yes(iterator(this.clone())),
        ("toString", []) if l.is_array() => Ok(None),
        ("asImmutable" | "asUnmodifiable", []) => yes(Value::List(Rc::new(List::new(l.snapshot(), ListKind::Fixed)))),
        ("subList", [from, to]) => super::index::part(ctx, l, int(from).unwrap_or(-1), int(to).unwrap_or(-1)),
        ("asSynchronized" | "asList", []) => Ok(Some(this.clone())),
        ("contains", [item]) => yes(compare::java_position(ctx, &l.snapshot(), item)?.is_some()),
        ("indexOf", [item]) => {
            let at = compare::java_position(ctx, &l.snapshot(), item)?;
            yes(Value::Int(at.map_or(-1, |i| i as i32)))
        }
        ("lastIndexOf", [item]) => {
            let reversed: Vec<Value> = l.items().iter().rev().cloned().collect();
            let at = compare::java_position(ctx, &reversed, item)?;
            yes(Value::Int(at.map_or(-1, |i| (l.len() - 1 - i) as i32)))
        }
        _ => Ok(None),
    }
}

pub(crate) fn out_of_bounds(ctx: &Ctx<'_>, n: i64, len: usize) -> Fault {
    ctx.fail("java.lang.IndexOutOfBoundsException", format!("Index {n} out of bounds for length {len}"))
}

/// Methods that look at all items and change nothing; sets share them.
pub(crate) fn whole(ctx: &mut Ctx<'_>, this: &Value, items: &[Value], name: &str, args: &[Value]) -> Answer {
    if let Some(found) = parts(ctx, this, items, name, args)? {
        return Ok(Some(found));
    }
    if let Some(found) = combined(ctx, this, items, name, args)? {
        return Ok(Some(found));
    }
    shapes(ctx, this, items, name, args)
}

fn parts(ctx: &mut Ctx<'_>, this: &Value, items: &[Value], name: &str, args: &[Value]) -> Answer {
    let none = |ctx: &Ctx<'_>, what: &str| {
        ctx.fail("java.util.NoSuchElementException", format!("Cannot access {what}() element from an empty List"))
    };
    match (name, args) {
        ("first" | "head" | "getFirst" | "firstElement", []) => {
            items.first().cloned().map(Some).ok_or_else(|| none(ctx, "first"))
        }
        ("last" | "getLast" | "lastElement", []) => items.last().cloned().map(Some).ok_or_else(|| none(ctx, "last")),
        ("tail" | "init", []) if items.is_empty() => {
            let word = if name == "tail" { "iterable" } else { "Iterable" };
            let message = format!("Cannot access {name}() for an empty {word}");
            Err(ctx.fail("java.util.NoSuchElementException", message))
        }
        ("tail", []) => yes(part(this, items.iter().skip(1).cloned().collect())),
        ("init", []) => yes(part(this, items[..items.len().saturating_sub(1)].to_vec())),
        ("take" | "drop" | "takeRight" | "dropRight", [n]) => {
            let n = (int(n).unwrap_or(0).max(0) as usize).min(items.len());
            let rest = items.len() - n;
            let chosen = match name {
                "take" => &items[..n],
                "drop" => &items[n..],
                "takeRight" => &items[rest..],
                _ => &items[..rest],
            };
            yes(part(this, chosen.to_vec()))
        }
        ("reverse", [] | [Value::Bool(false)]) => yes(like(this, items.iter().rev().cloned().collect())),
        ("reverse", [Value::Bool(true)]) => {
            let Some(l) = in_place(this) else { return Ok(None) };
            writable(ctx, l)?;
            l.change(|items| items.reverse());
            Ok(Some(this.clone()))
        }
        ("toArray", [Value::List(like)]) if like.is_array() => {
            let mut all = items.to_vec();
            all.resize(all.len().max(like.len()), Value::Null);
            yes(Value::List(Rc::new(List::new(all, like.kind().clone()))))
        }
        ("elements", []) => yes(iterator(Value::list(items.to_vec()))),
        ("toList" | "toArray", rest) if rest.len() <= 1 => yes(if name == "toList" {
            Value::list(items.to_vec())
        } else {
            Value::array(items.to_vec(), "java.lang.Object")
        }),
        ("toSet", []) => super::sets::hashed(ctx, items.to_vec()),
        ("join", [] | [Value::Str(_) | Value::GString(_) | Value::Char(_) | Value::Null]) => {
            let rest = args;
            let between = rest.first().filter(|s| !s.is_null()).map_or(Ok(String::new()), |s| ctx.text(s))?;
            let mut out = String::new();
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(&between);
                }
                out.push_str(&ctx.str(item)?);
                ctx.room(out.len())?;
            }
            yes(out)
        }
        ("indexed" | "withIndex", rest) => {
            let from = rest.first().and_then(int).unwrap_or(0) as i32;
            ctx.room_for_items(items.len() as u64 * 8)?;
            let numbered = items.iter().cloned().enumerate().map(|(i, v)| (Value::Int(i as i32 + from), v));
            yes(match name {
                "indexed" => Value::map(numbered),
                _ => Value::list(numbered.map(|(i, v)| super::construct::tuple(vec![v, i])).collect()),
            })
        }
        _ => Ok(None),
    }
}

fn combined(ctx: &mut Ctx<'_>, this: &Value, items: &[Value], name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("plus" | "minus" | "multiply" | "leftShift", [other]) => {
            let op = match name {
                "plus" => BinaryOp::Add,
                "minus" => BinaryOp::Sub,
                "multiply" => BinaryOp::Mul,
                _ => BinaryOp::ShiftLeft,
            };
            operators::binary(ctx, op, this, other)
        }
        ("sum", []) if items.is_empty() && shapes::zero(this).is_some() => Ok(shapes::zero(this)),
        // That of an array of bytes is a byte.
        ("sum", []) => shapes::sum(ctx, items, None).map(|sum| match this {
            Value::List(l) => sum.map(|sum| l.element(sum)),
            _ => sum,
        }),
        ("sum", [start]) if !matches!(start, Value::Closure(_)) => shapes::sum(ctx, items, Some(start.clone())),
        ("max" | "min", []) => {
            let wanted = if name == "max" { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Less };
            let mut best: Option<&Value> = None;
            for item in items.iter().filter(|i| !i.is_null()) {
                if best.is_none_or(|b| matches!(b, Value::Null))
                    || compare::compare(ctx, item, best.unwrap_or(&Value::Null))? == wanted
                {
                    best = Some(item);
                }
            }
            yes(best.cloned().unwrap_or_default())
        }
        // Objects that compare themselves are sorted by code of the library that may call them.
        ("sort" | "toSorted", [] | [Value::Bool(_)]) if items.iter().any(shapes::compares_itself) => Ok(None),
        ("sort" | "toSorted", [] | [Value::Bool(_)]) => {
            let mut sorted = items.to_vec();
            compare::sort(ctx, &mut sorted)?;
            if let (Some(l), true) = (in_place(this), name == "sort" && !matches!(args, [Value::Bool(false)])) {
                writable(ctx, l)?;
                l.change(|i| **i = sorted);
                return Ok(Some(this.clone()));
            }
            yes(Value::list(sorted))
        }
        ("unique" | "toUnique", [] | [Value::Bool(_)]) => {
            let mut out: Vec<Value> = Vec::new();
            for item in items {
                if compare::position(ctx, &out, item)?.is_none() {
                    out.push(item.clone());
                }
            }
            let changes = name == "unique" && !matches!(args, [Value::Bool(false)]);
            if let (Some(l), true) = (in_place(this), changes) {
                writable(ctx, l)?;
                l.change(|i| **i = out);
                return Ok(Some(this.clone()));
            }
            match this {
                Value::Set(s) if changes => super::sets::keep(ctx, s, &out).map(|()| Some(this.clone())),
                Value::Set(_) if name == "unique" => yes(Value::list(out)),
                _ => yes(part(this, out)),
            }
        }
        ("intersect", [other @ (Value::List(_) | Value::Set(_) | Value::Range(_))]) => {
            shapes::intersect(ctx, this, other)
        }
        ("disjoint", [other]) => {
            for item in sequence(ctx, other)?.unwrap_or_default() {
                if compare::position(ctx, items, &item)?.is_some() {
                    return yes(false);
                }
            }
            yes(true)
        }
        ("containsAll", [other]) => {
            for item in shapes::items_or_one(ctx, other)? {
                if compare::java_position(ctx, items, &item)?.is_none() {
                    return yes(false);
                }
            }
            yes(true)
        }
        ("count", [item]) if !matches!(item, Value::Closure(_)) => {
            let mut count = 0;
            for other in items {
                count += i32::from(compare::equals(ctx, other, item)?);
            }
            yes(Value::Int(count))
        }
        ("isCase", [item]) if matches!(this, Value::Set(_)) => yes(compare::contains(ctx, this, item)?),
        ("isCase", [item]) => yes(compare::java_position(ctx, items, item)?.is_some()),
        ("grep", []) => yes(Value::list(items.iter().filter(|i| i.truth()).cloned().collect())),
        ("equals", [other]) => yes(compare::equals(ctx, this, other)?),
        _ => Ok(None),
    }
}

fn shapes(ctx: &mut Ctx<'_>, this: &Value, items: &[Value], name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("flatten", []) => {
            let mut out = Vec::new();
            // Depth first with a work list; what contains itself ends at the memory limit.
            let mut work: Vec<Value> = items.iter().rev().cloned().collect();
            while let Some(item) = work.pop() {
                match &item {
                    Value::List(_) | Value::Set(_) | Value::Range(_) => {
                        let inner = sequence(ctx, &item)?.unwrap_or_default();
                        work.extend(inner.into_iter().rev());
                    }
                    _ => out.push(item),
                }
                ctx.room_for_items((out.len() + work.len()) as u64)?;
                ctx.world.charge(1);
                if ctx.world.fuel == 0 {
                    return Err(Fault::Limit(crate::machine::LimitKind::Fuel));
                }
            }
            yes(like(this, out))
        }
        ("collate", [size, rest @ ..]) => {
            let size = int(size).unwrap_or(0).max(0) as usize;
            let (step, keep) = match rest {
                [] => (size, true),
                [Value::Bool(keep)] => (size, *keep),
                // Back from the first part there is none.
                [step, ..] if int(step).is_some_and(|n| n < 0) => (items.len().max(1), true),
                [step] => (int(step).unwrap_or(1).max(1) as usize, true),
                [step, keep, ..] => (int(step).unwrap_or(1).max(1) as usize, keep.truth()),
            };
            if size == 0 {
                return yes(Value::list(vec![this.clone()]));
            }
            ctx.room_for_items((items.len() / step.max(1) + 1) as u64 * (size as u64 + 8))?;
            let parts = (0..items.len()).step_by(step).map(|i| &items[i..(i + size).min(items.len())]);
            yes(Value::list(parts.filter(|p| keep || p.len() == size).map(|p| Value::list(p.to_vec())).collect()))
        }
        ("transpose", []) => shapes::transpose(ctx, items),
        ("combinations", []) => shapes::combinations(ctx, items),
        ("subsequences", []) => {
            ctx.room_for_items(1u64.checked_shl(items.len() as u32).unwrap_or(u64::MAX).saturating_mul(8))?;
            let sets = (1..1usize << items.len()).map(|mask| {
                let chosen = items.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
                Value::list(chosen.map(|(_, v)| v.clone()).collect())
            });
            yes(Value::set(sets))
        }
        ("permutations", []) => shapes::permutations(ctx, items),
        ("toListString", []) => yes(ctx.text(this)?),
        ("toSpreadMap", []) => {
            let pairs = items.chunks(2).map(|c| (c[0].clone(), c.get(1).cloned().unwrap_or_default()));
            yes(Value::map(pairs))
        }
        _ => Ok(None),
    }
}

fn changing(ctx: &mut Ctx<'_>, this: &Value, l: &Rc<List>, name: &str, args: &[Value]) -> Answer {
    const CHANGES: &[&str] = &[
        "add",
        "addAll",
        "remove",
        "removeAt",
        "removeElement",
        "removeAll",
        "retainAll",
        "clear",
        "set",
        "putAt",
        "swap",
        "push",
        "$retain",
    ];
    if !CHANGES.contains(&name) {
        return Ok(None);
    }
    let is_values = *l.kind() == ListKind::Values;
    let takes = matches!(name, "remove" | "removeElement" | "removeAll" | "retainAll" | "clear" | "$retain");
    let has_closure = args.iter().any(|a| matches!(a, Value::Closure(_)));
    if !(has_closure || is_values && takes) || name == "add" {
        writable(ctx, l)?;
    }
    match (name, args) {
        ("add", [item]) => {
            l.push(item.clone());
            yes(true)
        }
        ("push", [item]) if *l.kind() == ListKind::Deque => {
            ctx.pay(l.len() / 64)?;
            l.change(|items| items.insert(0, item.clone()));
            yes(Value::Null)
        }
        ("push", [item]) => {
            l.push(item.clone());
            yes(if *l.kind() == ListKind::Stack { item.clone() } else { Value::Bool(true) })
        }
        ("add", [at, item]) => {
            let n = int(at).unwrap_or(-1);
            if n < 0 || n as usize > l.len() {
                return Err(out_of_bounds(ctx, n, l.len()));
            }
            ctx.pay(l.len() / 64)?;
            l.change(|items| items.insert(n as usize, item.clone()));
            yes(Value::Null)
        }
        ("addAll", [at @ .., other]) if at.len() <= 1 => {
            let Some(others) = sequence(ctx, other)? else { return Ok(None) };
            ctx.room_for_items((l.len() + others.len()) as u64)?;
            let changed = !others.is_empty();
            let at = at.first().and_then(int).map_or(l.len(), |n| (n.max(0) as usize).min(l.len()));
            l.change(|items| drop(items.splice(at..at, others)));
            yes(changed)
        }
        ("remove" | "removeAt", [Value::Int(n)]) if !is_values => {
            ctx.pay(l.len() / 64)?;
            let at = usize::try_from(*n).ok().filter(|i| *i < l.len());
            match at {
                Some(at) => yes(l.change(|items| items.remove(at))),
                None => Err(out_of_bounds(ctx, i64::from(*n), l.len())),
            }
        }
        ("remove" | "removeElement", [item]) => {
            let at = compare::java_position(ctx, &l.snapshot(), item)?;
            at.into_iter().for_each(|at| l.remove_at(at));
            yes(at.is_some())
        }
        ("removeAll" | "retainAll", [other]) if !matches!(other, Value::Closure(_)) => {
            if super::sets::is_sorted(other) {
                let name = if name == "removeAll" { "$removeEach" } else { "$retainEach" };
                return ctx.ask(this, name, std::slice::from_ref(other)).map(Some);
            }
            let others = sequence(ctx, other)?.unwrap_or_default();
            let mut kept = Vec::new();
            for item in l.snapshot() {
                kept.push(compare::java_position(ctx, &others, &item)?.is_some() == (name == "retainAll"));
            }
            l.retain(&kept);
            yes(kept.contains(&false))
        }
        ("$retain", [Value::List(kept)]) => {
            let kept: Vec<bool> = kept.items().iter().map(Value::truth).collect();
            l.retain(&kept);
            yes(kept.contains(&false))
        }
        ("clear", []) if is_values => {
            l.retain(&vec![false; l.len()]);
            yes(Value::Null)
        }
        ("clear", []) => {
            let before = l.change(|items| std::mem::take(&mut **items));
            drop(before);
            yes(Value::Null)
        }
        ("set" | "putAt", [at, item]) => {
            let before = match int(at).filter(|n| super::index::lacks(l, *n)) {
                Some(_) => Value::Null,
                None => super::index::get(ctx, this, at)?.unwrap_or_default(),
            };
            super::index::set(ctx, this, at, item)?;
            yes(before)
        }
        ("swap", [a, b]) => {
            let (a, b) = (int(a).unwrap_or(0) as usize, int(b).unwrap_or(0) as usize);
            if let Some(wrong) = [a, b].into_iter().find(|i| *i >= l.len()) {
                return Err(out_of_bounds(ctx, wrong as i64, l.len()));
            }
            l.change(|items| items.swap(a, b));
            Ok(Some(this.clone()))
        }
        _ => Ok(None),
    }
}
