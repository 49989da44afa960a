//! The methods and properties of Java's and Groovy's own types, as far as pipelines use them.
//!
//! Native here: what needs no script code. What calls closures is written in Groovy, in `prelude/`. A function answers
//! `None` where the type has no such method, so that the next place is asked.

pub(crate) mod assertion;
mod big_integers;
mod bytes;
pub(crate) mod charset;
pub(crate) mod closures;
mod collection_statics;
mod comparators;
pub(crate) mod compare;
pub(crate) mod construct;
pub(crate) mod convert;
mod decimals;
mod enums;
mod format;
pub(crate) mod index;
mod java;
mod json;
mod json_lib;
mod lists;
pub(crate) mod maps;
mod matchers;
mod number_statics;
pub(crate) mod numbers;
mod objects;
pub(crate) mod operators;
mod properties;
mod queues;
pub(crate) mod range;
pub(crate) mod regex;
pub(crate) mod sets;
mod shapes;
mod statics;
mod string_utils;
mod strings;
mod text;
mod trees;
mod xml;

use crate::machine::{Ctx, Fault};
use crate::outside;
use crate::value::{Native, Value};
pub(crate) use objects::getter_of;
pub(crate) use properties::{property, set_property};

/// The result of a method, or `None` where there is no such method.
pub(crate) type Answer = Result<Option<Value>, Fault>;

/// `Ok(Some(value))`
pub(crate) fn yes(value: impl Into<Value>) -> Answer {
    Ok(Some(value.into()))
}

/// Methods that take no longer for a larger receiver.
const QUICK: &[&str] = &[
    "size",
    "length",
    "get",
    "getAt",
    "put",
    "putAt",
    "add",
    "isEmpty",
    "containsKey",
    "charAt",
    "$pair",
    "hasNext",
    "next",
    "leftShift",
    "push",
    "pop",
    "last",
    "first",
    "append",
    "key",
    "value",
    "getKey",
    "getValue",
    "call",
    "ceiling",
    "floor",
    "higher",
    "lower",
];

/// What a range knows by its ends; `step` pays for what it makes.
const RANGE_QUICK: &[&str] =
    &["contains", "containsWithinBounds", "getFrom", "getTo", "isReverse", "max", "min", "step", "subList"];

/// `receiver.name(args)`
pub(crate) fn method(ctx: &mut Ctx<'_>, receiver: &Value, name: &str, args: &[Value]) -> Answer {
    let found = known_method(ctx, receiver, name, args)?;
    if found.is_none() && !receiver.is_null() && outside::is_mentioned(name) {
        refuse(ctx, receiver, name)?;
    }
    Ok(found)
}

/// An exception where the method reaches outside of the script.
fn refuse(ctx: &mut Ctx<'_>, receiver: &Value, name: &str) -> Result<(), Fault> {
    let class = match receiver {
        Value::GString(_) => ctx.world.java_class("java.lang.String"),
        other => ctx.world.class_of(other),
    };
    // A class of the script may have such a method further on (`methodMissing`).
    if class.script.is_some() && !class.is_throwable() {
        return Ok(());
    }
    match outside::of_method(&|of| class.is_a(of), name) {
        Some(reached) => {
            let what = match receiver {
                Value::Class(c) => format!("{}.class.{name}", c.name),
                _ => format!("method {} {name}", class.name),
            };
            Err(ctx.refuse(&what, reached))
        }
        None => Ok(()),
    }
}

/// The same arguments, where objects that are lists are among them, which are plain ones then.
pub(crate) fn plain_lists(args: &[Value]) -> Option<Vec<Value>> {
    let is_object = |arg: &Value| matches!(arg, Value::Object(o) if o.as_list().is_some());
    let plain = |arg: &Value| arg.as_list().map_or_else(|| arg.clone(), Value::List);
    args.iter().any(is_object).then(|| args.iter().map(plain).collect())
}

/// What takes other collections apart, of which objects that are lists are some.
const TAKES_COLLECTIONS: &[&str] =
    &["addAll", "containsAll", "disjoint", "intersect", "join", "minus", "plus", "removeAll", "retainAll"];

fn known_method(ctx: &mut Ctx<'_>, receiver: &Value, name: &str, args: &[Value]) -> Answer {
    // An object that is a list does what that does.
    if let Value::Object(o) = receiver
        && let Some(list) = o.as_list().filter(|_| !matches!(name, "is" | "getClass"))
    {
        let found = known_method(ctx, &Value::List(list), name, args)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    if let Some(args) = plain_lists(args)
        && (TAKES_COLLECTIONS.contains(&name) || matches!(receiver, Value::Class(class) if class.script.is_none()))
    {
        return known_method(ctx, receiver, name, &args);
    }
    let looks_up = name == "contains" && matches!(receiver, Value::Set(_));
    let has_ends = matches!(receiver, Value::Range(_)) && RANGE_QUICK.contains(&name);
    if !QUICK.contains(&name) && !looks_up && !has_ends {
        ctx.world.charge(weight(receiver) / 16);
    }
    // Arguments are compared and hashed.
    ctx.pay(args.iter().map(text_weight).sum())?;
    if args.iter().any(|arg| matches!(arg, Value::List(_) | Value::Range(_))) && TAKES_COLLECTIONS.contains(&name) {
        ctx.world.charge(args.iter().map(|arg| weight(arg) / 16).fold(0, usize::saturating_add));
    }
    if let Some(found) = json_lib::method(ctx, receiver, name, args)? {
        return Ok(Some(found));
    }
    let found = match receiver {
        Value::Str(s) => strings::method(ctx, s, name, args)?,
        Value::GString(g) => match name {
            "is" | "getClass" | "hashCode" | "inspect" => None,
            "getValues" | "getStrings" | "getValueCount" | "getValue" => strings::gstring_part(ctx, g, name, args)?,
            "equals" => {
                Some(Value::Bool(args.first().is_some_and(|a| matches!(a, Value::GString(_)) && a.equals(receiver))))
            }
            "stripIndent" if args.is_empty() => Some(text::groovy_strip_indent(&ctx.text(receiver)?).into()),
            _ => strings::method(ctx, &ctx.str(receiver)?, name, args)?,
        },
        Value::List(l) => match bytes::method(ctx, l, name, args)? {
            Some(value) => Some(value),
            None => lists::method(ctx, receiver, l, name, args)?,
        },
        Value::Range(r) => range::method(ctx, r, name, args)?,
        Value::Map(m) => maps::method(ctx, receiver, m, name, args)?,
        Value::Set(s) => sets::method(ctx, receiver, s, name, args)?,
        Value::Entry(e) => maps::entry_method(e, name, args),
        Value::Closure(c) => closures::method(ctx, c, name, args)?,
        Value::Class(c) => statics::method(ctx, c, name, args)?,
        Value::Buffer(b) => text::buffer_method(ctx, receiver, b, name, args)?,
        Value::Matcher(m) => matchers::method(ctx, receiver, m, name, args)?,
        Value::Pattern(p) => matchers::pattern_method(ctx, p, name, args)?,
        Value::Iter(i) => queues::iterator_method(ctx, i, name, args)?,
        Value::Char(c) => text::char_method(ctx, *c, name, args)?,
        Value::Bool(b) => objects::bool_method(*b, name, args),
        Value::Object(o) => {
            match o.as_map() {
                Some(m) if o.class.name.ends_with("$proxy") => match m.get(&Value::str(name)) {
                    // An interface made of closures: the method is called as one.
                    Some(_) => None,
                    None => objects::object_method(ctx, receiver, o, name, args)?,
                },
                Some(m) => maps::method(ctx, receiver, &m, name, args)?,
                None => match java::method(ctx, receiver, o, name, args)? {
                    Some(value) => Some(value),
                    None => objects::object_method(ctx, receiver, o, name, args)?,
                },
            }
        }
        Value::Null => objects::null_method(ctx, name, args)?,
        other => numbers::method(ctx, other, name, args)?,
    };
    match found {
        Some(value) => {
            // Making something is work too, and more so than looking at it.
            if !QUICK.contains(&name) {
                ctx.pay(weight(&value) / 4)?;
            }
            Ok(Some(value))
        }
        None if receiver.is_null() => Ok(None),
        None => objects::method(ctx, receiver, name, args),
    }
}

/// What looking at a text costs, in instructions.
pub(crate) fn text_weight(value: &Value) -> usize {
    if let Value::Str(s) = value { s.len() / 256 } else { 0 }
}

/// How much a method may have to look at.
fn weight(receiver: &Value) -> usize {
    match receiver {
        Value::Str(s) => s.len() / 8,
        Value::List(l) => l.len(),
        Value::Map(m) | Value::Set(m) => m.len(),
        Value::Range(r) => usize::try_from(r.size()).unwrap_or(usize::MAX),
        _ => 0,
    }
}

/// `name(args)` without a receiver, where nothing of the script is meant: `println` and what the object in question has.
pub(crate) fn unqualified(ctx: &mut Ctx<'_>, target: &Value, name: &str, args: &[Value]) -> Answer {
    if let Some(value) = objects::print(ctx, name, args)? {
        return Ok(Some(value));
    }
    match target {
        Value::Object(o) if matches!(*o.native.borrow(), Native::Script(_)) => {
            match objects::object_method(ctx, target, o, name, args)? {
                Some(value) => Ok(Some(value)),
                None => objects::method(ctx, target, name, args),
            }
        }
        other => method(ctx, other, name, args),
    }
}

/// `super.name(args)` where the superclass is Java's.
pub(crate) fn super_method(ctx: &mut Ctx<'_>, this: &Value, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        // The name of the test class in Jenkins' own suite stands for any Java superclass with a `toString`.
        ("toString", []) => match this {
            Value::Object(o)
                if matches!(*o.native.borrow(), Native::Throwable(_) | Native::Map(_) | Native::List(_)) =>
            {
                objects::java_text(ctx, o)
            }
            Value::Object(o) if o.field("$name").is_some() => Ok(o.field("$name")),
            other => yes(format!("{}@1", other.type_name())),
        },
        ("equals", [other]) => yes(this.same(other)),
        _ => method(ctx, this, name, args),
    }
}

/// The items that iterating over a value gives; `None` where it is no collection.
pub(crate) fn sequence(ctx: &mut Ctx<'_>, value: &Value) -> Result<Option<Vec<Value>>, Fault> {
    Ok(Some(match value {
        Value::List(l) if l.is_stale() => {
            return Err(Fault::Throw(ctx.world.throwable("java.util.ConcurrentModificationException", Value::Null)));
        }
        Value::List(_) | Value::Set(_) => value.items().unwrap_or_default(),
        Value::Range(r) => {
            ctx.room_for_items(r.size())?;
            r.iter().collect()
        }
        Value::Map(m) => (0..m.len()).filter_map(|i| maps::entry_at(m, i)).collect(),
        Value::Str(s) => {
            ctx.room_for_items(s.len() as u64 * 8)?;
            s.chars().map(|c| Value::str(c.to_string())).collect()
        }
        Value::GString(_) => ctx.text(value)?.chars().map(|c| Value::str(c.to_string())).collect(),
        Value::Matcher(m) => matchers::all(ctx, m)?,
        Value::Iter(i) => {
            let from = i.at.get();
            let size = i.expected.get();
            ctx.room_for_items(size.saturating_sub(from) as u64)?;
            i.at.set(size);
            (from..size).filter_map(|n| crate::machine::iterated(&i.source, n)).collect()
        }
        Value::Object(o) => match o.held() {
            Some(held) => return sequence(ctx, &held),
            None => return Ok(None),
        },
        Value::Class(c) => match enums::constants(c)? {
            Some(items) => items,
            None => return Ok(None),
        },
        _ => return Ok(None),
    }))
}

/// An argument as an `int`.
pub(crate) fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_) | Value::BigInt(_) | Value::Char(_) => {
            value.as_i64()
        }
        _ => None,
    }
}
