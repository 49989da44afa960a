//! Collections made of all ways to choose or to order items, and small questions about items.

use std::rc::Rc;

use super::{Answer, compare, lists, operators, sequence, yes};
use crate::ast::BinaryOp;
use crate::machine::{Ctx, Fault};
use crate::value::{ListKind, Map, MapKind, Value};

/// The first list varies fastest.
pub(crate) fn combinations(ctx: &mut Ctx<'_>, items: &[Value]) -> Answer {
    let mut out: Vec<Vec<Value>> = vec![Vec::new()];
    for (i, choices) in items.iter().enumerate() {
        let choices = choices.items().unwrap_or_else(|| vec![choices.clone()]);
        ctx.room_for_items((out.len() as u64).saturating_mul(choices.len() as u64).saturating_mul(i as u64 + 8))?;
        let mut next = Vec::with_capacity(out.len() * choices.len());
        for choice in &choices {
            next.extend(out.iter().map(|o| o.iter().chain([choice]).cloned().collect::<Vec<Value>>()));
        }
        out = next;
        ctx.world.charge(out.len());
    }
    yes(Value::list(out.into_iter().map(Value::list).collect()))
}

pub(crate) fn permutations(ctx: &mut Ctx<'_>, items: &[Value]) -> Answer {
    let count = (1..=items.len() as u64).try_fold(1u64, u64::checked_mul).unwrap_or(u64::MAX);
    ctx.room_for_items(count.saturating_mul(items.len() as u64 + 8))?;
    let mut order: Vec<usize> = (0..items.len()).collect();
    let out = Map::new(MapKind::Linked);
    loop {
        out.add(Value::list(order.iter().map(|i| items[*i].clone()).collect()));
        // The next arrangement in lexical order.
        let Some(i) = (1..order.len()).rev().find(|i| order[i - 1] < order[*i]) else { break };
        let Some(j) = (i..order.len()).rev().find(|j| order[*j] > order[i - 1]) else { break };
        order.swap(i - 1, j);
        order[i..].reverse();
    }
    yes(Value::Set(Rc::new(out)))
}

/// Whether an item has an order of its own, which code of the script decides.
pub(crate) fn compares_itself(item: &Value) -> bool {
    matches!(item, Value::Object(o) if o.class.has_method("compareTo"))
}

/// The items of a collection; what is none is one item.
pub(crate) fn items_or_one(ctx: &mut Ctx<'_>, value: &Value) -> Result<Vec<Value>, Fault> {
    match value {
        Value::Null => Err(ctx.world.null_pointer("the argument is null")),
        Value::List(_) | Value::Set(_) | Value::Range(_) => Ok(sequence(ctx, value)?.unwrap_or_default()),
        one => Ok(vec![one.clone()]),
    }
}

/// What the sum of an empty array of primitives is.
pub(crate) fn zero(this: &Value) -> Option<Value> {
    let Value::List(l) = this else { return None };
    let ListKind::JavaArray(element) = l.kind() else { return None };
    Some(match &**element {
        "byte" => Value::Byte(0),
        "short" => Value::Short(0),
        "int" => Value::Int(0),
        "long" => Value::Long(0),
        "float" => Value::Float(0.0),
        "double" => Value::Double(0.0),
        _ => return None,
    })
}

/// The items of the shorter collection that are in the other one as well; the result is of the kind of the longer.
pub(super) fn intersect(ctx: &mut Ctx<'_>, this: &Value, other: &Value) -> Answer {
    let (left, right) = (sequence(ctx, this)?.unwrap_or_default(), sequence(ctx, other)?.unwrap_or_default());
    let nothing = left.is_empty() || right.is_empty();
    let ((like, from), chosen) = if left.len() < right.len() { ((other, right), left) } else { ((this, left), right) };
    let mut out = Vec::new();
    for item in chosen {
        if compare::position(ctx, &from, &item)?.is_some() {
            out.push(item);
        }
    }
    lists::like_in_order(ctx, if nothing { this } else { like }, out, super::maps::similar).map(Some)
}

/// Rows as columns: as many as the shortest row has items.
pub(super) fn transpose(ctx: &mut Ctx<'_>, items: &[Value]) -> Answer {
    let mut rows = Vec::new();
    for item in items {
        rows.push(match item {
            Value::List(_) | Value::Range(_) => sequence(ctx, item)?.unwrap_or_default(),
            Value::Null => return Err(ctx.world.null_pointer("the argument is null")),
            other => {
                let text = ctx.styled(other, crate::value::render::Style::Java)?;
                let from = other.type_name();
                let message = format!("Cannot cast object '{text}' with class '{from}' to class 'java.util.List'");
                return Err(ctx.fail("org.codehaus.groovy.runtime.typehandling.GroovyCastException", message));
            }
        });
    }
    let width = rows.iter().map(Vec::len).min().unwrap_or(0);
    let columns = (0..width).map(|at| Value::list(rows.iter().map(|row| row[at].clone()).collect()));
    yes(Value::list(columns.collect()))
}

/// The sum of items, from `start` on where there is one.
pub(super) fn sum(ctx: &mut Ctx<'_>, items: &[Value], start: Option<Value>) -> Answer {
    let mut total = start;
    for item in items {
        total = Some(match total {
            None => item.clone(),
            Some(Value::Null) => return Err(ctx.world.null_pointer("the argument is null")),
            Some(t @ Value::Object(_)) => ctx.ask(&t, "plus", std::slice::from_ref(item))?,
            Some(t) => operators::binary(ctx, BinaryOp::Add, &t, item)?
                .ok_or_else(|| ctx.world.missing_method("plus", &t.type_name(), false, std::slice::from_ref(item)))?,
        });
    }
    yes(total.unwrap_or_default())
}
