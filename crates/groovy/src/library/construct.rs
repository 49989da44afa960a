//! `new` of Java's classes.

use std::cell::RefCell;
use std::rc::Rc;

use super::{Answer, convert, decimals, sequence, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{Buffer, BufferKind, Class, Entry, List, ListKind, Map, MapKind, Native, Object, Throwable, Value};

/// Jenkins' exception of an interrupted step, which scripts make too: of a result, and causes.
const INTERRUPTED: &str = "org.jenkinsci.plugins.workflow.steps.FlowInterruptedException";

fn interrupted(args: &[Value]) -> Throwable {
    let (result, rest) = args.split_first().map(|(result, rest)| (result.clone(), rest)).unwrap_or_default();
    let causes = rest.iter().flat_map(|cause| cause.items().unwrap_or_else(|| vec![cause.clone()]));
    let causes = causes.filter(|cause| !matches!(cause, Value::Bool(_))).collect();
    let actual = Value::Bool(!matches!(rest, [Value::Bool(false), ..]));
    let facts = [("result", result), ("causes", Value::list(causes)), ("actualInterruption", actual)];
    Throwable { facts: facts.map(|(name, value)| (name.into(), value)).into(), ..Throwable::default() }
}

/// The exception that constructor arguments make: message, cause, or both.
pub(crate) fn throwable(ctx: &mut Ctx<'_>, args: &[Value]) -> Result<Throwable, Fault> {
    let is_cause = |v: &Value| matches!(v, Value::Object(o) if o.throwable().is_some());
    Ok(match args {
        [] => Throwable::default(),
        [cause] if is_cause(cause) => {
            Throwable { message: Value::str(ctx.text(cause)?), cause: cause.clone(), ..Throwable::default() }
        }
        [message, rest @ ..] => {
            let message = if message.is_null() { Value::Null } else { Value::Str(ctx.str(message)?) };
            let cause = rest.iter().find(|v| is_cause(v)).cloned().unwrap_or_default();
            Throwable { message, cause, ..Throwable::default() }
        }
    })
}

/// Groovy's exceptions of what is not there, made of a name, a class and arguments.
fn missing(ctx: &Ctx<'_>, class: &str, args: &[Value]) -> Answer {
    let fault = match (class, args) {
        ("groovy.lang.MissingPropertyException", [name, Value::Class(of)]) => {
            ctx.world.missing_property(&ctx.text(name)?, &of.name)
        }
        ("groovy.lang.MissingMethodException", [name, Value::Class(of), given, rest @ ..]) => {
            let is_static = rest.first().is_some_and(Value::truth);
            ctx.world.missing_method(&ctx.text(name)?, &of.name, is_static, &given.items().unwrap_or_default())
        }
        _ => return Ok(None),
    };
    match fault {
        Fault::Throw(made) => Ok(Some(made)),
        other => Err(other),
    }
}

/// An instance of a Java class; `None`: the host may know it.
pub(crate) fn java(ctx: &mut Ctx<'_>, class: &Rc<Class>, args: &[Value]) -> Answer {
    if class.is_throwable() {
        if let Some(missing) = missing(ctx, &class.name, args)? {
            return yes(missing);
        }
        let t = if &*class.name == INTERRUPTED { interrupted(args) } else { throwable(ctx, args)? };
        return yes(Value::Object(Rc::new(Object::new(class.clone(), Native::Throwable(t)))));
    }
    let plain = super::plain_lists(args);
    let args = plain.as_deref().unwrap_or(args);
    let name = &*class.name;
    if let Some(outside) = crate::outside::of_static(name, "new") {
        return Err(ctx.refuse(&format!("new {name}"), outside));
    }
    if let Some(value) = super::java::construct(ctx, class, args)? {
        return Ok(Some(value));
    }
    if let Some(made) = super::json_lib::construct(name, args) {
        return Ok(Some(made));
    }
    match (name, args) {
        ("java.lang.Object", []) => yes(Value::Object(Rc::new(Object::new(class.clone(), Native::Opaque)))),
        ("java.util.ArrayList" | "java.util.Vector" | "java.util.concurrent.CopyOnWriteArrayList", _) => {
            list(ctx, args, ListKind::Array)
        }
        (
            "java.util.LinkedList"
            | "java.util.concurrent.ConcurrentLinkedQueue"
            | "java.util.concurrent.LinkedBlockingQueue",
            _,
        ) => list(ctx, args, ListKind::Linked),
        ("java.util.ArrayDeque" | "java.util.concurrent.ConcurrentLinkedDeque", _) => list(ctx, args, ListKind::Deque),
        (
            "groovy.util.MapEntry" | "java.util.AbstractMap$SimpleEntry" | "java.util.AbstractMap$SimpleImmutableEntry",
            [key, value],
        ) => yes(Value::Entry(Rc::new(Entry { key: key.clone(), value: RefCell::new(value.clone()), map: None }))),
        ("java.util.Stack", []) => list(ctx, args, ListKind::Stack),
        ("groovy.lang.Tuple", [Value::List(items)]) if items.is_array() => yes(tuple(items.snapshot())),
        ("groovy.lang.Tuple", _) => yes(tuple(args.to_vec())),
        ("groovy.lang.Tuple2", [_, _]) => yes(tuple(args.to_vec())),
        ("groovy.util.NodeList", _) => list(ctx, args, ListKind::Nodes),
        (
            "java.util.HashSet"
            | "java.util.LinkedHashSet"
            | "java.util.TreeSet"
            | "java.util.concurrent.ConcurrentSkipListSet"
            | "java.util.concurrent.CopyOnWriteArraySet",
            _,
        ) => {
            let kind = convert::map_kind(name);
            match args {
                // One that is sorted already stays so.
                [Value::Set(other)] if kind == MapKind::Tree && other.kind() == MapKind::Tree => {
                    return yes(Value::Set(Rc::new(other.copy(kind))));
                }
                [source @ (Value::List(_) | Value::Set(_))] => return super::sets::of_kind(ctx, kind, source),
                [Value::Int(n)] => return yes(Value::Set(Rc::new(Map::with_capacity(kind, (*n).max(0) as usize)))),
                _ => {}
            }
            let source = match args.first() {
                Some(Value::Object(_) | Value::Closure(_)) | None => Vec::new(),
                Some(source) => sequence(ctx, source)?.unwrap_or_default(),
            };
            let set = Map::for_copy(kind, source.len(), true);
            let set = sorted(name, set, args);
            for item in source {
                let item = super::sets::key(ctx, &set, &item)?;
                set.add(item);
            }
            yes(Value::Set(Rc::new(set)))
        }
        (
            "java.util.HashMap"
            | "java.util.LinkedHashMap"
            | "java.util.TreeMap"
            | "java.util.concurrent.ConcurrentHashMap"
            | "java.util.concurrent.ConcurrentSkipListMap"
            | "java.util.EnumMap"
            | "java.util.Hashtable"
            | "java.util.WeakHashMap"
            | "java.util.IdentityHashMap",
            _,
        ) => match args.first() {
            Some(Value::Map(m)) => convert::copied(ctx, m, convert::map_kind(name)),
            _ => yes(Value::Map(Rc::new(sorted(name, Map::new(convert::map_kind(name)), args)))),
        },
        ("java.lang.StringBuilder" | "java.lang.StringBuffer" | "java.io.StringWriter", _) => {
            let text = match args.first() {
                Some(v) if v.is_text() => ctx.text(v)?,
                _ => String::new(),
            };
            yes(Value::Buffer(Rc::new(Buffer::new(text, BufferKind::of(name)))))
        }
        // Writers around a writer write to it.
        ("java.io.PrintWriter" | "java.io.BufferedWriter", [inner @ Value::Buffer(_), ..]) => yes(inner.clone()),
        (
            "java.io.PrintStream" | "java.io.PrintWriter" | "java.io.BufferedWriter" | "java.io.OutputStreamWriter",
            [stream @ Value::Object(o), ..],
        ) if o.class.is_a("java.io.OutputStream") => yes(stream.clone()),
        ("java.lang.String", [source, rest @ ..]) => match source {
            Value::List(l) => {
                let bytes: Option<Vec<u8>> = l.items().iter().map(|b| b.as_i64().map(|n| n as u8)).collect();
                match (l.items().first(), bytes) {
                    (Some(Value::Char(_)), _) => yes(l.items().iter().map(Value::to_text).collect::<String>()),
                    (_, Some(bytes)) => yes(super::charset::text(ctx, &bytes, rest)?),
                    _ => Ok(None),
                }
            }
            other => yes(Value::Str(ctx.str(other)?)),
        },
        ("java.lang.String", []) => yes(""),
        ("java.math.BigDecimal", [source, how @ ..]) if !how.is_empty() => decimals::construct(ctx, class, source, how),
        ("java.math.BigDecimal", [source @ (Value::Double(_) | Value::Float(_)), ..]) => {
            convert::to_type(ctx, source, name, false)
        }
        ("java.math.BigDecimal", [source, ..]) => convert::to_type(ctx, source, name, true),
        ("java.math.BigInteger", [Value::List(bytes)]) => {
            let bytes: Vec<u8> = bytes.items().iter().filter_map(Value::as_i64).map(|n| n as u8).collect();
            super::numbers::checked_big(num_bigint::BigInt::from_signed_bytes_be(&bytes)).map(Some)
        }
        ("java.math.BigInteger", [sign, Value::List(bytes)]) => {
            let sign = if super::int(sign) == Some(-1) { num_bigint::Sign::Minus } else { num_bigint::Sign::Plus };
            let bytes: Vec<u8> = bytes.items().iter().filter_map(Value::as_i64).map(|n| n as u8).collect();
            super::numbers::checked_big(num_bigint::BigInt::from_bytes_be(sign, &bytes)).map(Some)
        }
        ("java.math.BigInteger", [text, radix]) => {
            let (text, radix) = (ctx.text(text)?, super::int(radix).unwrap_or(10) as u32);
            ctx.room(text.len())?;
            if text.len() as u64 > crate::value::decimal::DIGITS_MAX {
                return Err(Fault::Limit(crate::machine::LimitKind::Digits));
            }
            let is_known = (2..=36).contains(&radix);
            let parsed = num_bigint::BigInt::parse_bytes(text.as_bytes(), radix.clamp(2, 36)).filter(|_| is_known);
            parsed.map(Value::big).ok_or_else(|| super::strings::number_fault(ctx, &text)).map(Some)
        }
        ("java.lang.Boolean", [text]) if text.is_text() => yes(ctx.text(text)?.eq_ignore_ascii_case("true")),
        ("groovy.lang.IntRange", [inclusive @ .., Value::Int(from), Value::Int(to)]) if inclusive.len() <= 1 => {
            let (from, to, kind) = (i64::from(*from), i64::from(*to), crate::value::RangeKind::Int);
            let inclusive = inclusive.first().is_none_or(Value::truth);
            yes(Value::Range(Rc::new(crate::value::Range { from, to, inclusive, kind })))
        }
        ("java.lang.Character", [Value::Char(_)]) => yes(args[0].clone()),
        ("java.math.BigInteger", [source]) => convert::to_type(ctx, source, name, true),
        (
            "java.lang.Integer" | "java.lang.Long" | "java.lang.Double" | "java.lang.Float" | "java.lang.Boolean"
            | "java.lang.Short" | "java.lang.Byte",
            [source],
        ) => convert::to_type(ctx, source, name, true),
        ("groovy.json.JsonSlurper" | "groovy.json.JsonSlurperClassic", _) => {
            yes(Value::Object(Rc::new(Object::new(class.clone(), Native::Opaque))))
        }
        _ => Ok(None),
    }
}

/// A new map with the order that a comparator gives it, where it sorts its keys.
fn sorted(class: &str, map: Map, args: &[Value]) -> Map {
    let Some(by) = args.first().filter(|_| convert::map_kind(class) == MapKind::Tree) else { return map };
    match super::comparators::order_of(by) {
        Some(order) => map.ordered(order),
        None => map.sorted_by(by.clone()),
    }
}

/// A tuple of these.
pub(super) fn tuple(items: Vec<Value>) -> Value {
    Value::List(Rc::new(List::new(items, ListKind::Tuple)))
}

/// An object that only has its class.
pub(crate) fn opaque(ctx: &Ctx<'_>, class: &str) -> Value {
    Value::Object(Rc::new(Object::new(ctx.world.java_class(class), Native::Opaque)))
}

fn list(ctx: &mut Ctx<'_>, args: &[Value], kind: ListKind) -> Answer {
    let items = match args.first() {
        Some(source @ (Value::List(_) | Value::Set(_) | Value::Range(_) | Value::Iter(_))) => {
            sequence(ctx, source)?.unwrap_or_default()
        }
        _ => Vec::new(),
    };
    yes(Value::List(Rc::new(List::new(items, kind))))
}
