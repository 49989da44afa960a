//! Ranges: their own methods, then those of lists.

use std::rc::Rc;

use super::{Answer, int, yes};
use crate::machine::{Ctx, Fault};
use crate::value::render::Style;
use crate::value::{List, ListKind, Range, RangeKind, Value};

/// What a range without its end ends with, and whether that belongs to it: where both ends are the same there is nothing in it.
///
/// Source: `ScriptBytecodeAdapter.createRange`.
pub(crate) fn last(ctx: &mut Ctx<'_>, from: &Value, to: Value) -> Result<(Value, bool), Fault> {
    let steps = to.is_text() || matches!(to, Value::Char(_)) || crate::value::is_number(&to);
    if to.is_null() && !from.is_null() {
        return Err(ctx.world.null_pointer("Cannot invoke method next() on null object"));
    }
    if !steps || from.is_null() {
        return Ok((to, false));
    }
    Ok(match super::compare::compare(ctx, from, &to)? {
        std::cmp::Ordering::Equal => (to, false),
        std::cmp::Ordering::Less => (super::numbers::step(ctx, &to, "previous")?, true),
        std::cmp::Ordering::Greater => (super::numbers::step(ctx, &to, "next")?, true),
    })
}

/// Whether a range goes down. Source: `ObjectRange`.
fn is_reversed(ctx: &mut Ctx<'_>, from: &Value, to: &Value) -> Result<bool, Fault> {
    for (end, name) in [(from, "from"), (to, "to")] {
        if end.is_null() {
            let message = format!("Must specify a non-null value for the '{name}' index in a Range");
            return Err(ctx.fail("java.lang.IllegalArgumentException", message));
        }
    }
    let is_plain = |end: &Value| end.is_text() || crate::value::is_number(end);
    match super::compare::compare(ctx, from, to) {
        Err(Fault::Throw(_)) if is_plain(from) && is_plain(to) => {
            let simple = |value: &Value| {
                let name = value.type_name();
                name.rsplit('.').next().unwrap_or_default().to_owned()
            };
            let (from, to) = (simple(from), simple(to));
            let message = format!(
                "Unable to create range due to incompatible types: {from}..{to} (possible missing brackets around range?)"
            );
            Err(ctx.fail("java.lang.IllegalArgumentException", message))
        }
        order => Ok(order?.is_gt()),
    }
}

/// A range with a text at one end or both: what `next` will not reach is refused, and letters are numbers beside a number.
fn of_texts(ctx: &mut Ctx<'_>, small: &Value, large: &Value, ascending: bool) -> Result<Option<Value>, Fault> {
    if !small.is_text() && !large.is_text() {
        return Ok(None);
    }
    let (start, end) = (ctx.text(small)?, ctx.text(large)?);
    let refuse =
        |why: &str| ctx.fail("java.lang.IllegalArgumentException", format!("Incompatible Strings for Range: {why}"));
    if start.len() > end.len() {
        return Err(refuse("starting String is longer than ending string"));
    }
    let same = start.bytes().zip(end.bytes()).take_while(|(x, y)| x == y).count();
    if same + 1 < start.len() {
        return Err(refuse("String#next() will not reach the expected value"));
    }
    if small.is_text() && large.is_text() {
        return Ok(None);
    }
    let code = |value: &Value| match value {
        Value::Str(s) if s.units() == 1 => s.unit(0).map(i64::from),
        other => other.as_i64(),
    };
    Ok(code(small).zip(code(large)).map(|(x, y)| {
        let (from, to) = if ascending { (x, y) } else { (y, x) };
        Value::Range(Rc::new(Range { from, to, inclusive: true, kind: RangeKind::Int }))
    }))
}

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
    let ascending = !is_reversed(ctx, from, to)?;
    let (small, large) = if ascending { (from, to) } else { (to, from) };
    if let Some(range) = of_texts(ctx, small, large, ascending)? {
        return Ok(range);
    }
    if !ascending && small.is_text() && ctx.text(small)?.len() < ctx.text(large)?.len() {
        // What goes back from the longer text never gets shorter.
        let up = by_steps(ctx, small, large, inclusive)?;
        return Ok(Value::list(up.items().unwrap_or_default().into_iter().rev().collect()));
    }
    let name = if ascending { "next" } else { "previous" };
    // Dates and texts are more than their place in the list.
    let weight = match from {
        Value::Decimal(_) | Value::BigInt(_) => 8,
        from if crate::value::is_number(from) => 1,
        _ => 6,
    };
    // How many numbers there are is known before they are made.
    if let (Some(x), Some(y)) = (crate::value::to_f64(from), crate::value::to_f64(to)) {
        ctx.room_for_items(((x - y).abs() as u64).saturating_mul(weight))?;
    }
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
