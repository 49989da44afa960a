//! Binary operators of the types that are not the script's. `None`: it is a method call on a script object, or an error.

use std::rc::Rc;

use super::{Answer, compare, lists, numbers, yes};
use crate::ast::BinaryOp;
use crate::machine::{Ctx, Fault};
use crate::value::{Buffer, BufferKind, Closure, ClosureCode, ListKind, Map, MapKind, Object, Value, is_number};

pub(crate) fn binary(ctx: &mut Ctx<'_>, op: BinaryOp, a: &Value, b: &Value) -> Answer {
    if is_number(a) && is_number(b) {
        return numbers::arithmetic(ctx, op, a, b);
    }
    // A list of one is taken apart where a method wants what is in it.
    if is_number(a)
        && let Some(one) = only(op, b).filter(is_number)
    {
        return numbers::arithmetic(ctx, op, a, &one);
    }
    if op == BinaryOp::Mul
        && matches!(a, Value::Str(_) | Value::GString(_) | Value::List(_))
        && let Some(one) = only(op, b).filter(is_number)
    {
        return binary(ctx, op, a, &one);
    }
    match (op, a) {
        // Two characters are numbers; a character and a string are not added.
        (BinaryOp::Add, Value::Char(_)) => Ok(None),
        (BinaryOp::Add, Value::GString(_)) if b.is_text() => join(ctx, a, b),
        (BinaryOp::Add, Value::Str(_) | Value::GString(_)) => concat(ctx, a, b),
        (BinaryOp::Add, Value::Null) if b.is_text() => concat(ctx, a, b),
        (BinaryOp::Add, Value::Null) if !matches!(b, Value::Null) => {
            let text = ctx.styled(b, crate::value::render::Style::Java)?;
            Err(ctx.world.null_pointer(format!("Cannot execute null+{text}")))
        }
        (BinaryOp::Add, _) if b.is_text() && is_number(a) => concat(ctx, a, b),
        (_, Value::Str(_) | Value::GString(_)) => text(ctx, op, a, b),
        (_, Value::List(_) | Value::Range(_) | Value::Set(_)) => collection(ctx, op, a, b),
        (_, Value::Map(m)) => map(ctx, op, a, m, b),
        (BinaryOp::ShiftLeft, Value::Object(o)) if own_list(o, op).is_some() && o.class.has_method("add") => {
            ctx.ask(a, "add", std::slice::from_ref(b))?;
            Ok(Some(a.clone()))
        }
        (_, Value::Object(o)) if let Some(list) = own_list(o, op) => match (op, collection(ctx, op, &list, b)?) {
            (BinaryOp::ShiftLeft, Some(_)) => Ok(Some(a.clone())),
            (_, made) => Ok(made),
        },
        (_, Value::Object(o)) if o.as_map().is_some() && !o.class.has_method(crate::machine::binary_name(op)) => {
            let m = o.as_map().unwrap_or_else(|| Rc::new(Map::new(MapKind::Linked)));
            map(ctx, op, a, &m, b)
        }
        (BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor, Value::Bool(x)) => {
            let y = b.truth();
            yes(match op {
                BinaryOp::BitAnd => *x & y,
                BinaryOp::BitOr => *x | y,
                _ => *x ^ y,
            })
        }
        (BinaryOp::ShiftLeft, Value::Buffer(buffer)) => {
            let text = ctx.text(b)?;
            ctx.room(buffer.text.borrow().len() + text.len())?;
            buffer.text.borrow_mut().push_str(&text);
            buffer.recount();
            Ok(Some(a.clone()))
        }
        (BinaryOp::Add, Value::Buffer(_)) => concat(ctx, a, b),
        (BinaryOp::ShiftLeft | BinaryOp::ShiftRight, Value::Closure(_)) if matches!(b, Value::Closure(_)) => {
            let (first, then) = if op == BinaryOp::ShiftRight { (a, b) } else { (b, a) };
            let code = ClosureCode::Composed { first: first.clone(), then: then.clone() };
            Ok(Some(Value::Closure(Rc::new(Closure::new(code, Vec::new(), Value::Null, Value::Null)))))
        }
        _ => Ok(None),
    }
}

/// The item of a list that has one; what works on bits takes the first of several.
fn only(op: BinaryOp, value: &Value) -> Option<Value> {
    use BinaryOp::{Add, Div, Mod, Mul, Pow, Sub};
    let of_bits = !matches!(op, Add | Sub | Mul | Div | Mod | Pow);
    match value {
        Value::List(l) if !l.is_array() && (l.len() == 1 || of_bits) => l.get(0),
        Value::Range(r) if r.size() == 1 => r.at(0),
        _ => None,
    }
}

fn concat(ctx: &mut Ctx<'_>, a: &Value, b: &Value) -> Answer {
    let (left, right) = (ctx.str(a)?, ctx.str(b)?);
    ctx.room(left.len() + right.len())?;
    ctx.world.charge((left.len() + right.len()) / 128);
    let mut out = String::with_capacity(left.len() + right.len());
    out.push_str(&left);
    out.push_str(&right);
    yes(out)
}

/// What is added to a GString becomes part of one: its values are still looked at when it is rendered.
fn join(ctx: &mut Ctx<'_>, a: &Value, b: &Value) -> Answer {
    let Value::GString(left) = a else { return Ok(None) };
    let (mut texts, mut values) = (left.texts.clone(), left.values.clone());
    ctx.room_for_items(2 * values.len() as u64 + 64)?;
    ctx.world.charge(values.len() / 4);
    let empty = || crate::value::Str::new("");
    if texts.len() == values.len() {
        texts.push(empty());
    }
    match b {
        Value::GString(right) => {
            ctx.room_for_items(2 * right.values.len() as u64)?;
            let mut rest = right.texts.iter().cloned();
            let first = rest.next().unwrap_or_else(empty);
            if let Some(last) = texts.last_mut() {
                ctx.room(last.len() + first.len())?;
                *last = crate::value::Str::new(format!("{last}{first}"));
            }
            texts.extend(rest);
            values.extend(right.values.iter().cloned());
        }
        other => {
            let text = ctx.str(other)?;
            if let Some(last) = texts.last_mut() {
                ctx.room(last.len() + text.len())?;
                ctx.world.charge((last.len() + text.len()) / 128);
                *last = crate::value::Str::new(format!("{last}{text}"));
            }
        }
    }
    Ok(Some(Value::GString(Rc::new(crate::value::GString::new(texts, values)))))
}

fn text(ctx: &mut Ctx<'_>, op: BinaryOp, a: &Value, b: &Value) -> Answer {
    match (op, b) {
        (BinaryOp::Mul, n) if is_number(n) => repeat(ctx, a, n.as_i64().unwrap_or(0)),
        (BinaryOp::Sub, Value::Pattern(p)) => {
            let text = ctx.text(a)?;
            let found = super::regex::checked(ctx, p.find(&text, 0))?.and_then(|g| g[0]);
            yes(found.map_or(text.clone(), |(from, to)| format!("{}{}", &text[..from], &text[to..])))
        }
        (BinaryOp::Sub, _) => {
            let (text, part) = (ctx.text(a)?, ctx.text(b)?);
            yes(text.replacen(&part, "", 1))
        }
        (BinaryOp::ShiftLeft, _) => {
            let text = format!("{}{}", ctx.text(a)?, ctx.text(b)?);
            ctx.room(text.len())?;
            let kind = if matches!(a, Value::Str(_)) { BufferKind::Buffer } else { BufferKind::Builder };
            Ok(Some(Value::Buffer(Rc::new(Buffer::new(text, kind)))))
        }
        _ => Ok(None),
    }
}

/// `text * n`
pub(crate) fn repeat(ctx: &mut Ctx<'_>, a: &Value, n: i64) -> Answer {
    let text = ctx.text(a)?;
    let count = usize::try_from(n).map_err(|_| {
        ctx.world.illegal(format!("multiply() should be called with a number of 0 or greater not: {n}"))
    })?;
    ctx.room(text.len().saturating_mul(count))?;
    ctx.world.charge(text.len() * count / 64);
    yes(text.repeat(count))
}

/// The list that an object is, where its class has not its own operator.
fn own_list(o: &Object, op: BinaryOp) -> Option<Value> {
    o.as_list().filter(|_| !o.class.has_method(crate::machine::binary_name(op))).map(Value::List)
}

fn collection(ctx: &mut Ctx<'_>, op: BinaryOp, a: &Value, b: &Value) -> Answer {
    match op {
        BinaryOp::ShiftLeft if matches!(a, Value::List(l) if l.is_fixed()) => {
            return Err(Fault::Throw(ctx.world.throwable("java.lang.UnsupportedOperationException", Value::Null)));
        }
        BinaryOp::ShiftLeft if matches!(a, Value::List(l) if l.is_stale()) => {
            return Err(Fault::Throw(ctx.world.throwable("java.util.ConcurrentModificationException", Value::Null)));
        }
        BinaryOp::ShiftLeft if matches!(a, Value::Range(_)) => {
            return Err(Fault::Throw(ctx.world.throwable("java.lang.UnsupportedOperationException", Value::Null)));
        }
        BinaryOp::ShiftLeft if matches!(a, Value::Set(s) if s.is_view() || s.kind() == MapKind::Fixed) => {
            return Err(Fault::Throw(ctx.world.throwable("java.lang.UnsupportedOperationException", Value::Null)));
        }
        // What is equal is asked for as `removeAll` asks.
        BinaryOp::Sub if super::sets::is_sorted(a) => {
            return ctx.ask(a, "$without", std::slice::from_ref(b)).map(Some);
        }
        BinaryOp::ShiftLeft if let Value::Set(s) = a => {
            let item = super::sets::key(ctx, s, b)?;
            s.add(item);
            s.forget_place();
            return Ok(Some(a.clone()));
        }
        // The script is asked where each goes: they are added one by one.
        BinaryOp::Add if matches!(a, Value::Set(s) if asks_to_add(s, b)) => {
            return ctx.ask(a, "$plusEach", std::slice::from_ref(b)).map(Some);
        }
        BinaryOp::ShiftLeft => return append(a, b).map_or(Ok(None), |()| Ok(Some(a.clone()))),
        BinaryOp::Mul if is_number(b) && !matches!(a, Value::Set(_)) => {
            let items = super::sequence(ctx, a)?.unwrap_or_default();
            let count = b.as_i64().unwrap_or(0);
            if items.is_empty() {
                return yes(Value::list(items));
            }
            let Ok(count) = usize::try_from(count) else {
                return Err(ctx.world.illegal(format!("Illegal Capacity: {}", items.len() as i64 * count)));
            };
            ctx.room_for_items((items.len() as u64).saturating_mul(count as u64))?;
            let repeated = (0..count).flat_map(|_| items.iter().cloned()).collect();
            return Ok(Some(Value::list(repeated)));
        }
        // To nodes: what the closure builds goes behind each.
        BinaryOp::Add if matches!((a, b), (Value::List(l), Value::Closure(_)) if *l.kind() == ListKind::Nodes) => {
            return Ok(None);
        }
        BinaryOp::Add | BinaryOp::Sub => {}
        _ => return Ok(None),
    }
    // What is added to or taken from an array of objects makes one of `Object`; those of primitives have no such operator.
    let array = match a {
        Value::List(l) => match l.kind() {
            ListKind::JavaArray(element) if crate::value::is_primitive(element) => return Ok(None),
            ListKind::JavaArray(_) => true,
            _ => false,
        },
        _ => false,
    };
    let items = super::sequence(ctx, a)?.unwrap_or_default();
    let others = match b {
        // To a list an array is one item.
        Value::List(l) if l.is_array() && !array => vec![b.clone()],
        Value::List(_) | Value::Set(_) | Value::Range(_) => super::sequence(ctx, b)?.unwrap_or_default(),
        Value::Object(o) if o.as_list().is_some() => b.items().unwrap_or_default(),
        Value::Object(o) if o.class.is_a("java.util.Collection") && o.class.is_iterated() => {
            ctx.ask(b, "$items", &[])?.items().unwrap_or_default()
        }
        other => vec![other.clone()],
    };
    ctx.room_for_items((items.len() + others.len()) as u64)?;
    ctx.world.charge((items.len() + others.len()) / 3);
    let out =
        if op == BinaryOp::Add { items.into_iter().chain(others).collect() } else { without(ctx, items, &others)? };
    Ok(Some(if array { Value::array(out, "java.lang.Object") } else { of_sum(ctx, op, a, out)? }))
}

/// What a sum or difference of a collection is: of a set that something is taken from, the rest keeps its order.
fn of_sum(ctx: &mut Ctx<'_>, op: BinaryOp, a: &Value, items: Vec<Value>) -> Result<Value, Fault> {
    if op == BinaryOp::Sub {
        Ok(lists::part(a, items))
    } else {
        lists::like_in_order(ctx, a, items, super::maps::of_sum)
    }
}

/// The items that are not equal to one of `others`.
pub(crate) fn without(ctx: &mut Ctx<'_>, items: Vec<Value>, others: &[Value]) -> Result<Vec<Value>, Fault> {
    let mut out = Vec::new();
    for item in items {
        if compare::position(ctx, others, &item)?.is_none() {
            out.push(item);
        }
    }
    Ok(out)
}

/// `list << item`
pub(crate) fn append(a: &Value, b: &Value) -> Option<()> {
    match a {
        Value::List(l) if !l.is_array() && !l.is_fixed() => l.push(b.clone()),
        _ => return None,
    }
    Some(())
}

/// Whether the script is asked for what is added to a map or set.
fn asks_to_add(m: &Map, b: &Value) -> bool {
    let one = matches!(m.at(0), Some((key, _)) if super::sets::asks(m, &key));
    one || super::sets::asks_one_of(m, b) || super::sets::asks(m, b)
}

/// Keys and values of the entries that are added to a map.
fn pairs_of(ctx: &mut Ctx<'_>, b: &Value) -> Result<Vec<(Value, Value)>, Fault> {
    let items = match b {
        Value::Map(other) => return Ok(other.entries().iter().map(|(k, v)| (k.0.clone(), v.clone())).collect()),
        Value::Entry(_) => vec![b.clone()],
        _ => super::sequence(ctx, b)?.unwrap_or_default(),
    };
    let pair = |item: &Value| match item {
        Value::Entry(e) => Ok((e.key.clone(), e.value.borrow().clone())),
        Value::Null => {
            Err(ctx.world.null_pointer("Cannot invoke \"java.util.Map$Entry.getKey()\" because \"entry\" is null"))
        }
        other => {
            let message = compare::class_cast(&other.type_name(), "java.util.Map$Entry");
            Err(ctx.fail("java.lang.ClassCastException", message))
        }
    };
    items.iter().map(pair).collect()
}

fn map(ctx: &mut Ctx<'_>, op: BinaryOp, a: &Value, m: &Rc<Map>, b: &Value) -> Answer {
    // `map + [entry, …]`
    let are_entries = op == BinaryOp::Add
        && match b {
            Value::List(l) => !l.is_array(),
            other => matches!(other, Value::Set(_) | Value::Range(_)),
        };
    if !are_entries && !matches!(b, Value::Entry(_) | Value::Map(_))
        || !matches!(op, BinaryOp::ShiftLeft | BinaryOp::Add | BinaryOp::Sub)
    {
        return Ok(None);
    }
    if op == BinaryOp::ShiftLeft {
        super::maps::writable(ctx, m)?;
    }
    // What is taken away is equal, whatever an order says.
    let as_is = op == BinaryOp::Sub && m.kind() == MapKind::Tree;
    // The script is asked for the keys: they are looked at one by one.
    if !as_is && matches!(b, Value::Map(_)) && super::sets::asks_one_of(m, b) {
        let name = match op {
            BinaryOp::ShiftLeft => "$putEach",
            BinaryOp::Add => "$plusEach",
            _ => "$minusEach",
        };
        let this = Value::Map(m.clone());
        let made = ctx.ask(&this, name, std::slice::from_ref(b))?;
        return Ok(Some(if op == BinaryOp::ShiftLeft { a.clone() } else { made }));
    }
    let target = match op {
        BinaryOp::ShiftLeft => m.clone(),
        BinaryOp::Add => Rc::new(m.copy(super::maps::of_sum(m))),
        _ => Rc::new(m.copy(super::maps::similar(m))),
    };
    let pairs = pairs_of(ctx, b)?;
    if op != BinaryOp::Sub {
        ctx.room_for_items(2 * (target.len() + pairs.len()) as u64)?;
    }
    for (key, value) in pairs {
        let key = if as_is { key } else { super::sets::key(ctx, &target, &key)? };
        if op != BinaryOp::Sub {
            target.put(key, value);
        } else if let Some(mine) = target.get(&key)
            && compare::equals(ctx, &mine, &value)?
        {
            ctx.pay(target.len() / 64)?;
            target.remove(&key);
        }
    }
    target.forget_place();
    Ok(Some(if op == BinaryOp::ShiftLeft { a.clone() } else { Value::Map(target) }))
}
