//! Static methods of `Collections`, `Arrays`, `List`, `Set`, `Map` and `Objects` that call no closures.

use std::rc::Rc;

use super::{Answer, comparators, compare, convert, int, lists, sequence, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{List, ListKind, Map, MapKind, Value};

pub(super) fn collections(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("emptyList", []) => yes(Value::List(Rc::new(List::new(Vec::new(), ListKind::Fixed)))),
        ("emptyMap", []) => yes(Value::Map(Rc::new(Map::new(MapKind::Fixed)))),
        ("emptySet", []) => yes(Value::Set(Rc::new(Map::new(MapKind::Fixed)))),
        ("emptyIterator" | "emptyListIterator", []) => yes(lists::iterator(Value::list(Vec::new()))),
        ("singletonList", [item]) => yes(Value::List(Rc::new(List::new(vec![item.clone()], ListKind::Fixed)))),
        ("singleton", [item]) => yes(Value::Set(Rc::new(fixed([(item.clone(), Value::Null)])))),
        ("singletonMap", [key, value]) => yes(Value::Map(Rc::new(fixed([(key.clone(), value.clone())])))),
        (unmodifiable, [c]) if unmodifiable.starts_with("unmodifiable") => super::method(ctx, c, "asImmutable", &[]),
        (same, [c, ..]) if same.starts_with("synchronized") || same.starts_with("checked") => yes(c.clone()),
        ("newSetFromMap" | "asLifoQueue", [c]) => yes(match c {
            Value::Map(m) => Value::Set(Rc::new(m.copy(m.kind()))),
            other => other.clone(),
        }),
        ("reverseOrder", by) if by.len() <= 1 => comparators::reverse(ctx, by.first()).map(Some),
        ("max" | "min", [c]) if sequence(ctx, c)?.is_some_and(|items| items.is_empty()) => {
            Err(Fault::Throw(ctx.world.throwable("java.util.NoSuchElementException", Value::Null)))
        }
        ("sort", [c]) => Ok(super::method(ctx, c, "sort", &[])?.map(|_| Value::Null)),
        ("max" | "min", [c]) => super::method(ctx, c, name, &[]),
        ("disjoint", [a, b]) => super::method(ctx, a, "disjoint", std::slice::from_ref(b)),
        ("enumeration", [c]) => super::method(ctx, c, "iterator", &[]),
        ("list", [c]) => super::method(ctx, c, "toList", &[]),
        ("indexOfSubList" | "lastIndexOfSubList", [all, part]) => {
            let (all, part) = (sequence(ctx, all)?.unwrap_or_default(), sequence(ctx, part)?.unwrap_or_default());
            let places: Vec<usize> = (0..(all.len() + 1).saturating_sub(part.len())).collect();
            let mut found = -1;
            for at in places {
                ctx.pay(1 + part.len() / 8)?;
                let mut same = true;
                for (a, b) in all[at..].iter().zip(&part) {
                    same = same && compare::equals(ctx, a, b)?;
                }
                if same && (found < 0 || name == "lastIndexOfSubList") {
                    found = at as i32;
                }
            }
            yes(Value::Int(found))
        }
        ("reverse" | "rotate" | "fill" | "replaceAll" | "copy" | "swap" | "shuffle", [Value::List(l), ..])
            if *l.kind() == ListKind::Fixed =>
        {
            lists::writable(ctx, l).map(|()| None)
        }
        ("rotate", [Value::List(l), by]) => {
            let by = int(by).unwrap_or(0).rem_euclid(l.len().max(1) as i64) as usize;
            l.change(|items| items.rotate_right(by));
            yes(Value::Null)
        }
        ("fill", [Value::List(l), item]) => {
            l.change(|items| items.fill(item.clone()));
            yes(Value::Null)
        }
        ("replaceAll", [Value::List(l), from, to]) => {
            let mut items = l.snapshot();
            let mut changed = false;
            for item in &mut items {
                if compare::equals(ctx, item, from)? {
                    *item = to.clone();
                    changed = true;
                }
            }
            l.change(|old| **old = items);
            yes(changed)
        }
        ("copy", [Value::List(to), from]) => {
            let from = sequence(ctx, from)?.unwrap_or_default();
            if from.len() > to.len() {
                return Err(ctx.fail("java.lang.IndexOutOfBoundsException", "Source does not fit in dest"));
            }
            to.change(|items| items[..from.len()].clone_from_slice(&from));
            yes(Value::Null)
        }
        ("reverse", [Value::List(l)]) => {
            l.change(|items| items.reverse());
            yes(Value::Null)
        }
        ("nCopies", [n, item]) => {
            if let Some(n) = int(n).filter(|n| *n < 0) {
                return Err(ctx.world.illegal(format!("List length = {n}")));
            }
            let n = convert::count(Some(n));
            ctx.room_for_items(n as u64)?;
            yes(Value::List(Rc::new(List::new(vec![item.clone(); n], ListKind::Fixed))))
        }
        ("shuffle", [Value::List(l), rest @ ..]) => {
            let mut items = l.snapshot();
            super::java::shuffle(ctx, &mut items, rest.first())?;
            l.change(|old| old.clone_from_slice(&items));
            yes(Value::Null)
        }
        ("swap", [Value::List(l), a, b]) => {
            let (a, b) = (convert::count(Some(a)), convert::count(Some(b)));
            if a.max(b) >= l.len() {
                return Err(ctx.fail(
                    "java.lang.IndexOutOfBoundsException",
                    format!("Index {} out of bounds for length {}", a.max(b), l.len()),
                ));
            }
            l.change(|items| items.swap(a, b));
            yes(Value::Null)
        }
        ("frequency", [c, item]) => super::method(ctx, c, "count", std::slice::from_ref(item)),
        ("addAll", [c, items @ ..]) => super::method(ctx, c, "addAll", &[Value::list(items.to_vec())]),
        ("binarySearch", [c, item]) => {
            let items = sequence(ctx, c)?.unwrap_or_default();
            let (mut low, mut high) = (0, items.len());
            while low < high {
                let middle = (low + high) / 2;
                match compare::compare(ctx, &items[middle], item)? {
                    std::cmp::Ordering::Less => low = middle + 1,
                    std::cmp::Ordering::Greater => high = middle,
                    std::cmp::Ordering::Equal => return yes(Value::Int(middle as i32)),
                }
            }
            yes(Value::Int(-(low as i32) - 1))
        }
        _ => Ok(None),
    }
}

pub(super) fn arrays(ctx: &mut Ctx<'_>, class: &str, name: &str, args: &[Value]) -> Answer {
    match (class, name, args) {
        ("java.util.Arrays", "asList", [one @ Value::List(l)]) if l.is_array() => {
            yes(Value::list(sequence(ctx, one)?.unwrap_or_default()))
        }
        ("java.util.Arrays", "asList", items) => yes(Value::list(items.to_vec())),
        ("java.util.Arrays", "toString", [Value::Null]) => yes("null"),
        ("java.util.Arrays", "toString" | "deepToString", [one]) => {
            let list = Value::list(sequence(ctx, one)?.unwrap_or_default());
            yes(ctx.text(&list)?)
        }
        ("java.util.Arrays", "hashCode" | "deepHashCode", [one]) => {
            let items = sequence(ctx, one)?.unwrap_or_default();
            hash_of(ctx, &items)
        }
        ("java.util.Arrays", "binarySearch", [one, item]) => collections(ctx, name, &[one.clone(), item.clone()]),
        ("java.util.Arrays", "stream", [one]) => ctx.ask(one, "stream", &[]).map(Some),
        ("java.util.Arrays", "sort", [one]) => {
            let Value::List(l) = one else { return Ok(None) };
            sort_part(ctx, l, 0, l.len()).map(Some)
        }
        ("java.util.Arrays", "sort", [Value::List(l), from, to]) if int(from).is_some() && int(to).is_some() => {
            let (from, to) = part_of(ctx, l, from, to)?;
            sort_part(ctx, l, from, to).map(Some)
        }
        ("java.util.Arrays", "equals" | "deepEquals", [a, b]) => yes(compare::equals(ctx, a, b)?),
        ("java.util.Arrays", "fill", [Value::List(l), item]) => {
            l.change(|items| items.fill(item.clone()));
            yes(Value::Null)
        }
        ("java.util.Arrays", "fill", [Value::List(l), from, to, item]) => {
            let (from, to) = part_of(ctx, l, from, to)?;
            l.change(|items| items[from..to].fill(item.clone()));
            yes(Value::Null)
        }
        ("java.util.Arrays", "copyOf", [Value::List(l), length]) => {
            if let Some(n) = int(length).filter(|n| *n < 0) {
                return Err(ctx.fail("java.lang.NegativeArraySizeException", n.to_string()));
            }
            copied(ctx, l, 0, convert::count(Some(length))).map(Some)
        }
        ("java.util.Arrays", "copyOfRange", [Value::List(l), from, to]) => {
            let (from, to) = (int(from).unwrap_or(0), int(to).unwrap_or(0));
            if from > to {
                return Err(ctx.world.illegal(format!("{from} > {to}")));
            }
            if from < 0 || from > l.len() as i64 {
                let message = format!("Array index out of range: {from}");
                return Err(ctx.fail("java.lang.ArrayIndexOutOfBoundsException", message));
            }
            copied(ctx, l, from as usize, to as usize).map(Some)
        }
        ("java.util.List", "of", items) => yes(Value::List(Rc::new(List::new(items.to_vec(), ListKind::Fixed)))),
        ("java.util.Set", "of", items) => yes(Value::set(items.iter().cloned())),
        ("java.util.Map", "of", items) => {
            yes(Value::map(items.chunks(2).map(|c| (c[0].clone(), c.get(1).cloned().unwrap_or_default()))))
        }
        _ => Ok(None),
    }
}

pub(super) fn objects(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("equals", [a, b]) if a.is_null() || b.is_null() => yes(a.is_null() && b.is_null()),
        ("equals", [a, b]) => yes(super::objects::java_equals(ctx, a, b)?),
        ("deepEquals", [a, b]) => yes(compare::equals(ctx, a, b)?),
        ("isNull", [a]) => yes(a.is_null()),
        ("nonNull", [a]) => yes(!a.is_null()),
        ("toString", [a]) => yes(ctx.text(a)?),
        ("toString", [a, default]) => {
            if a.is_null() {
                yes(default.clone())
            } else {
                yes(ctx.text(a)?)
            }
        }
        ("hash", items) => hash_of(ctx, items),
        ("hashCode", [Value::Null]) => yes(Value::Int(0)),
        ("hashCode", [a]) => super::method(ctx, a, "hashCode", &[]),
        ("requireNonNull", [Value::Null, Value::Closure(_)]) => Ok(None),
        ("requireNonNull", [Value::Null, rest @ ..]) => {
            let message = rest.first().map_or(Ok(Value::Null), |m| ctx.text(m).map(Value::str))?;
            Err(Fault::Throw(ctx.world.throwable("java.lang.NullPointerException", message)))
        }
        ("requireNonNullElse", [a, other]) => yes(if a.is_null() { other.clone() } else { a.clone() }),
        ("requireNonNull", [a, ..]) => yes(a.clone()),
        _ => Ok(None),
    }
}

fn fixed(pairs: impl IntoIterator<Item = (Value, Value)>) -> Map {
    let map = Map::new(MapKind::Linked);
    pairs.into_iter().for_each(|(key, value)| drop(map.put(key, value)));
    map.copy(MapKind::Fixed)
}

/// The hash of a list of these items, as Java reckons it.
fn hash_of(ctx: &mut Ctx<'_>, items: &[Value]) -> Answer {
    let mut hash = 1i32;
    for item in items {
        let one = match item {
            Value::Null => 0,
            Value::Object(o) if o.class.has_method("hashCode") => {
                ctx.ask(item, "hashCode", &[])?.as_i64().unwrap_or(0) as i32
            }
            other => {
                ctx.pay(super::weight(other))?;
                crate::value::hash::hash_code(other)
            }
        };
        hash = hash.wrapping_mul(31).wrapping_add(one);
    }
    yes(Value::Int(hash))
}

/// The ends of a part of an array.
fn part_of(ctx: &Ctx<'_>, l: &List, from: &Value, to: &Value) -> Result<(usize, usize), Fault> {
    let (from, to) = (int(from).unwrap_or(0), int(to).unwrap_or(0));
    if from > to {
        return Err(ctx.world.illegal(format!("fromIndex({from}) > toIndex({to})")));
    }
    match [from, to].into_iter().find(|n| !(0..=l.len() as i64).contains(n)) {
        Some(n) => {
            let message = format!("Array index out of range: {n}");
            Err(ctx.fail("java.lang.ArrayIndexOutOfBoundsException", message))
        }
        None => Ok((from as usize, to as usize)),
    }
}

fn sort_part(ctx: &mut Ctx<'_>, l: &List, from: usize, to: usize) -> Result<Value, Fault> {
    let mut part = l.items()[from..to].to_vec();
    compare::sort(ctx, &mut part)?;
    l.change(|items| items[from..to].clone_from_slice(&part));
    Ok(Value::Null)
}

/// A part of an array; what is beyond its end is what a new array has.
fn copied(ctx: &mut Ctx<'_>, l: &List, from: usize, to: usize) -> Result<Value, Fault> {
    ctx.room_for_items((to - from) as u64)?;
    let blank = match l.kind() {
        ListKind::JavaArray(element) => match &**element {
            "byte" => Value::Byte(0),
            "short" => Value::Short(0),
            "int" => Value::Int(0),
            "long" => Value::Long(0),
            "float" => Value::Float(0.0),
            "double" => Value::Double(0.0),
            "boolean" => Value::Bool(false),
            "char" => Value::Char(0),
            _ => Value::Null,
        },
        _ => Value::Null,
    };
    let mut items: Vec<Value> = l.items().iter().take(to).skip(from).cloned().collect();
    items.resize(to - from, blank);
    Ok(Value::List(Rc::new(List::new(items, l.kind().clone()))))
}
