//! Methods of lists as stacks and queues, and of iterators.

use std::rc::Rc;

use super::lists::{iterator, writable};
use super::{Answer, compare, sequence, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{Iter, List, ListKind, Value};

/// What `java.util.Stack` has for itself: its end is its top.
fn stack(ctx: &mut Ctx<'_>, l: &Rc<List>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("pop" | "peek", []) if l.is_empty() => {
            Err(Fault::Throw(ctx.world.throwable("java.util.EmptyStackException", Value::Null)))
        }
        ("pop", []) => Ok(l.change(|items| items.pop())),
        ("peek", []) => Ok(l.items().last().cloned()),
        ("search", [item]) => {
            let mut items = l.snapshot();
            items.reverse();
            let at = compare::java_position(ctx, &items, item)?;
            yes(Value::Int(at.map_or(-1, |at| at as i32 + 1)))
        }
        _ => Ok(None),
    }
}

/// Stacks and queues.
pub(super) fn queue(ctx: &mut Ctx<'_>, l: &Rc<List>, name: &str, args: &[Value]) -> Answer {
    let take = |first: bool| {
        l.change(|items| match (items.is_empty(), first) {
            (true, _) => None,
            (_, true) => Some(items.remove(0)),
            (_, false) => items.pop(),
        })
    };
    if *l.kind() == ListKind::Stack
        && let Some(found) = stack(ctx, l, name, args)?
    {
        return Ok(Some(found));
    }
    let missing = |ctx: &Ctx<'_>| Fault::Throw(ctx.world.throwable("java.util.NoSuchElementException", Value::Null));
    // What is taken from the front moves all that is behind it.
    if ["pop", "removeFirst", "remove", "poll", "pollFirst", "addFirst", "offerFirst"].contains(&name) {
        ctx.pay(l.len() / 64)?;
    }
    match (name, args) {
        ("pop" | "removeLast", []) => {
            writable(ctx, l)?;
            // `pop` of a deque takes the first, of all lists the last (Groovy 2.4).
            let first = name == "pop" && *l.kind() == ListKind::Deque;
            let empty = "Cannot pop() an empty List";
            take(first).map(Some).ok_or_else(|| match name {
                "pop" if !first => ctx.fail("java.util.NoSuchElementException", empty),
                _ => missing(ctx),
            })
        }
        ("removeFirst" | "remove", []) => take(true).map(Some).ok_or_else(|| missing(ctx)),
        ("poll" | "pollFirst", []) => yes(take(true).unwrap_or_default()),
        ("pollLast", []) => yes(take(false).unwrap_or_default()),
        ("element" | "getFirst" | "getLast", []) => {
            let found = if name == "getLast" { l.items().last().cloned() } else { l.get(0) };
            found.map(Some).ok_or_else(|| missing(ctx))
        }
        ("peekFirst", []) => yes(l.get(0).unwrap_or_default()),
        ("peekLast", []) => yes(l.items().last().cloned().unwrap_or_default()),
        ("peek", []) => {
            let first = matches!(l.kind(), ListKind::Linked | ListKind::Deque);
            yes(if first { l.get(0) } else { l.items().last().cloned() }.unwrap_or_default())
        }
        ("removeFirstOccurrence" | "removeLastOccurrence", [item]) => {
            let mut items = l.snapshot();
            if name == "removeLastOccurrence" {
                items.reverse();
            }
            let found = compare::java_position(ctx, &items, item)?;
            if let Some(at) = found {
                let at = if name == "removeLastOccurrence" { items.len() - 1 - at } else { at };
                drop(l.change(|items| items.remove(at)));
            }
            yes(found.is_some())
        }
        ("descendingIterator", []) => yes(iterator(Value::list(l.items().iter().rev().cloned().collect()))),
        ("ensureCapacity" | "trimToSize", _) => yes(Value::Null),
        ("offer" | "addLast" | "offerLast", [item]) => {
            l.push(item.clone());
            yes(true)
        }
        ("addFirst" | "offerFirst", [item]) => {
            l.change(|items| items.insert(0, item.clone()));
            yes(true)
        }
        ("empty", []) => yes(l.is_empty()),
        _ => Ok(None),
    }
}

pub(crate) fn iterator_method(ctx: &mut Ctx<'_>, i: &Rc<Iter>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("hasNext" | "hasMoreElements", []) => yes(i.at.get() < i.expected.get()),
        ("next" | "nextElement", []) => match crate::machine::iterated(&i.source, i.at.get()) {
            Some(value) => {
                i.at.set(i.at.get() + 1);
                Ok(Some(value))
            }
            None => Err(Fault::Throw(ctx.world.throwable("java.util.NoSuchElementException", Value::Null))),
        },
        ("remove", []) => {
            let at = i.at.get().saturating_sub(1);
            match &i.source {
                Value::List(l) if at < l.len() => {
                    ctx.pay(l.len() / 64)?;
                    l.remove_at(at);
                }
                Value::Map(m) | Value::Set(m) => {
                    if let Some((key, _)) = m.at(at) {
                        m.remove(&key);
                    }
                }
                _ => return Ok(None),
            }
            i.at.set(at);
            i.expected.set(i.expected.get().saturating_sub(1));
            yes(Value::Null)
        }
        ("take" | "drop", [Value::Int(_)])
        | ("reverse" | "withIndex" | "unique" | "toUnique" | "tail" | "init", [])
        | ("max" | "min" | "sum" | "join" | "toSet" | "indexed", [])
        | ("join", [Value::Str(_) | Value::GString(_)]) => of_rest(ctx, i, name, args),
        ("count", [item]) if !matches!(item, Value::Closure(_)) => of_rest(ctx, i, name, args),
        ("toList", []) => yes(Value::list(sequence(ctx, &Value::Iter(i.clone()))?.unwrap_or_default())),
        ("iterator", []) => yes(Value::Iter(i.clone())),
        _ => Ok(None),
    }
}

/// What is made of the items that are left, which Groovy gives as an iterator again or as a value.
fn of_rest(ctx: &mut Ctx<'_>, i: &Rc<Iter>, name: &str, args: &[Value]) -> Answer {
    let at = i.at.get();
    let items = sequence(ctx, &Value::Iter(i.clone()))?.unwrap_or_default();
    ctx.pay(items.len() / 16)?;
    let list = Value::list(items.clone());
    match super::lists::whole(ctx, &list, &items, name, args) {
        Ok(Some(made @ Value::List(_))) => yes(iterator(made)),
        Ok(found) => Ok(found),
        // An instruction that asks the script is done again.
        Err(fault) => {
            i.at.set(at);
            Err(fault)
        }
    }
}
