//! Ranges: their own methods, then those of lists.

use std::rc::Rc;

use super::{Answer, int, yes};
use crate::machine::{Ctx, Fault};
use crate::value::render::Style;
use crate::value::{List, ListKind, Range, RangeKind, Value};

/// Ranges of other things than whole numbers and letters, counted with `next` and `previous`.
pub(crate) fn by_steps(ctx: &mut Ctx<'_>, from: &Value, to: &Value, inclusive: bool) -> Result<Value, Fault> {
    if let (Value::Object(a), Value::Object(b)) = (from, to)
        && let (Some(x), Some(y)) =
            (a.field("$ordinal").and_then(|n| n.as_i64()), b.field("$ordinal").and_then(|n| n.as_i64()))
    {
        let all = super::sequence(ctx, &Value::Class(a.class.clone()))?.unwrap_or_default();
        let part = all.iter().skip(x.min(y).max(0) as usize).take(x.abs_diff(y) as usize + 1).cloned();
        let mut part: Vec<Value> = part.collect();
        if x > y {
            part.reverse();
        }
        if !inclusive {
            part.pop();
        }
        return Ok(Value::list(part));
    }
    let ascending = super::compare::compare(ctx, from, to)?.is_le();
    // Groovy goes one back from the end, and has what is not beyond.
    let to = &match inclusive || super::compare::compare(ctx, from, to)?.is_eq() || !crate::value::is_number(to) {
        true => to.clone(),
        false => super::numbers::step(ctx, to, if ascending { "previous" } else { "next" })?,
    };
    let name = if ascending { "next" } else { "previous" };
    // Dates and texts are more than their place in the list.
    let weight = if crate::value::is_number(from) { 1 } else { 6 };
    let (mut out, mut at) = (Vec::new(), from.clone());
    loop {
        let order = super::compare::compare(ctx, &at, to)?;
        let inside = if ascending { order.is_le() } else { order.is_ge() };
        if !inside || (!inclusive && order.is_eq()) {
            break;
        }
        out.push(at.clone());
        ctx.room_for_items(out.len() as u64 * weight)?;
        ctx.world.charge(4);
        if ctx.world.fuel == 0 {
            return Err(Fault::Limit(crate::machine::LimitKind::Fuel));
        }
        let next = super::numbers::step(ctx, &at, name)?;
        // Text that grew longer than the end never reaches it.
        if next.to_text().len() > to.to_text().len().max(from.to_text().len()) && from.is_text() {
            break;
        }
        at = next;
    }
    Ok(Value::list(out))
}

/// `subList`: a range again.
fn part(ctx: &mut Ctx<'_>, r: &Range, from: i64, to: i64) -> Answer {
    let size = r.size().min(i32::MAX as u64) as i64;
    if from < 0 || to > size {
        let wrong = if from < 0 { format!("fromIndex = {from}") } else { format!("toIndex = {to}") };
        return Err(ctx.fail("java.lang.IndexOutOfBoundsException", wrong));
    }
    if from > to {
        return Err(ctx.world.illegal(format!("fromIndex({from}) > toIndex({to})")));
    }
    let step = if r.reverse() { -1 } else { 1 };
    let first = r.from + from * step;
    yes(Value::Range(Rc::new(if from == to {
        Range { from: first, to: first, inclusive: false, kind: r.kind }
    } else {
        Range { from: first, to: first + (to - from - 1) * step, inclusive: true, kind: r.kind }
    })))
}

pub(crate) fn method(ctx: &mut Ctx<'_>, r: &Rc<Range>, name: &str, args: &[Value]) -> Answer {
    let ends = r.ends().map(|(a, b)| (a.min(b), a.max(b)));
    match (name, args) {
        ("size", []) => yes(Value::Int(r.size().min(i32::MAX as u64) as i32)),
        ("isEmpty", []) => yes(r.size() == 0),
        ("contains" | "containsWithinBounds", [item]) => yes(r.has(item)),
        ("isReverse", []) => yes(r.reverse()),
        ("getFrom", []) => yes(ends.map_or(Value::Null, |(a, _)| r.item(a))),
        ("getTo", []) => yes(ends.map_or(Value::Null, |(_, b)| r.item(b))),
        ("min", []) => yes(ends.map_or(Value::Null, |(a, _)| r.item(a))),
        ("max", []) => yes(ends.map_or(Value::Null, |(_, b)| r.item(b))),
        ("first" | "head", []) if r.size() > 0 => yes(r.at(0).unwrap_or_default()),
        ("last", []) if r.size() > 0 => yes(r.at(r.size() - 1).unwrap_or_default()),
        ("get", [n]) => {
            let n = int(n).unwrap_or(0);
            u64::try_from(n).ok().and_then(|n| r.at(n)).map(Some).ok_or_else(|| {
                let is = if r.kind == RangeKind::Int { "" } else { "is " };
                let message = match n {
                    ..0 => format!("Index: {n} should not be negative"),
                    _ => format!("Index: {n} {is}too big for range: {}", r.java_text()),
                };
                ctx.fail("java.lang.IndexOutOfBoundsException", message)
            })
        }
        ("subList", [from, to]) => part(ctx, r, int(from).unwrap_or(-1), int(to).unwrap_or(-1)),
        ("step", [n]) => {
            let step = int(n).unwrap_or(1).unsigned_abs().max(1);
            ctx.room_for_items(r.size() / step)?;
            let items = (0..r.size()).step_by(usize::try_from(step).unwrap_or(usize::MAX)).filter_map(|i| r.at(i));
            yes(Value::list(items.collect()))
        }
        ("inspect", []) => {
            let open = if r.inclusive { "" } else { "<" };
            let (from, to) = (ctx.styled(&r.item(r.from), Style::Inspect)?, ctx.styled(&r.item(r.to), Style::Inspect)?);
            yes(format!("{from}..{open}{to}"))
        }
        ("getClass" | "equals" | "toString" | "is" | "hashCode" | "clone", _) => Ok(None),
        (
            "pop" | "add" | "remove" | "clear" | "addAll" | "swap" | "set" | "putAt" | "push" | "leftShift"
            | "removeAt",
            _,
        ) => Err(Fault::Throw(ctx.world.throwable("java.lang.UnsupportedOperationException", Value::Null))),
        ("sort" | "unique", [] | [Value::Bool(true)]) => {
            Err(Fault::Throw(ctx.world.throwable("java.lang.UnsupportedOperationException", Value::Null)))
        }
        // What calls closures goes over the range without making a list of it.
        _ if args.iter().any(|a| matches!(a, Value::Closure(_))) => Ok(None),
        _ => {
            let items = super::sequence(ctx, &Value::Range(r.clone()))?.unwrap_or_default();
            let list = Rc::new(List::new(items, ListKind::Array));
            super::lists::method(ctx, &Value::List(list.clone()), &list, name, args)
        }
    }
}
