//! Methods that every object has, exceptions, `null`, booleans, and printing.

use std::rc::Rc;

use super::{Answer, compare, yes};
use crate::compile::Type;
use crate::machine::{Ctx, Fault, ScriptId};
use crate::value::render::Style;
use crate::value::{Class, Native, Object, Throwable, Value, hash};

/// `print`, `println`, `printf`, `sprintf`.
pub(crate) fn print(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    let text = match (name, args) {
        ("println", []) => "\n".to_string(),
        ("println", [value]) => line(ctx, value)? + "\n",
        ("print", [value]) => line(ctx, value)?,
        ("printf", [template, values @ ..]) | ("sprintf", [template, values @ ..]) => {
            let template = ctx.text(template)?;
            let text = super::format::format_list(ctx, &template, values)?;
            if name == "sprintf" {
                return Ok(Some(text));
            }
            text.to_text()
        }
        _ => return Ok(None),
    };
    // Whoever reads it keeps it: what is said has an end.
    ctx.world.charge(text.len());
    ctx.host.print(&text);
    yes(Value::Null)
}

/// `object.properties`; where a getter of the script answers, it is asked.
pub(crate) fn properties(ctx: &mut Ctx<'_>, this: &Value, o: &Object) -> Result<Value, Fault> {
    let names = o.class.readable();
    ctx.pay(names.len())?;
    let field = |name: &crate::ast::Text| match &**name {
        "class" => Some(Value::Class(o.class.clone())),
        plain => {
            let has_getter =
                ["get", "is"].iter().any(|prefix| o.class.has_method(&crate::machine::accessor(prefix, plain)));
            o.field(plain).filter(|_| !has_getter)
        }
    };
    match names.iter().map(|name| Some((Value::str(&**name), field(name)?))).collect::<Option<Vec<_>>>() {
        Some(all) => Ok(Value::map(all)),
        None => ctx.ask(this, "getProperties", &[]),
    }
}

/// Whether it is an object that is no map: text in brackets names a property of it.
fn is_plain(value: &Value) -> bool {
    matches!(value, Value::Object(o) if o.as_map().is_none())
}

/// An array of characters prints as its text.
fn line(ctx: &mut Ctx<'_>, value: &Value) -> Result<String, Fault> {
    match value {
        Value::List(l) if matches!(l.kind(), crate::value::ListKind::JavaArray(e) if &**e == "char") => {
            l.items().iter().map(|c| ctx.text(c)).collect()
        }
        other => ctx.text(other),
    }
}

/// Methods of every object but `null`.
pub(crate) fn method(ctx: &mut Ctx<'_>, this: &Value, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("toString", []) => match this {
            Value::Range(r) => yes(r.java_text()),
            _ => yes(ctx.text(this)?),
        },
        ("getClass", []) => yes(Value::Class(ctx.world.class_of(this))),
        ("equals", [other]) => yes(java_equals(ctx, this, other)?),
        ("hashCode", []) => {
            ctx.pay(super::weight(this))?;
            // One of the script's own asks here what it would be without its method.
            let code = if matches!(this, Value::Object(_)) {
                hash::hash_code(this)
            } else {
                super::sets::hash_code(ctx, this)?
            };
            yes(Value::Int(code))
        }
        ("is", [other]) => yes(this.same(other)),
        ("inspect", []) if matches!(this, Value::Object(o) if o.as_map().is_none()) => yes(ctx.text(this)?),
        // Java's text, without quotes.
        ("inspect", []) if matches!(this, Value::Entry(_)) => yes(ctx.styled(this, Style::Java)?),
        ("inspect", []) => yes(ctx.styled(this, Style::Inspect)?),
        ("dump", []) => match this {
            Value::Object(o) if o.class.script.is_some() => dump(ctx, this, o),
            _ => yes(ctx.text(this)?),
        },
        ("asBoolean", []) => yes(this.truth()),
        ("compareTo", [other]) if !matches!(this, Value::Object(o) if !o.class.is_a("java.lang.Comparable")) => {
            yes(Value::Int(compare::java_compare(ctx, this, other)? as i32))
        }
        ("$order", [other]) => yes(Value::Int(compare::order(ctx, this, other)? as i32)),
        ("isCase", [value]) => yes(compare::is_case(ctx, this, value)?),
        ("getAt", [key]) if key.is_text() && is_plain(this) => ctx.ask(this, "getProperty", args).map(Some),
        ("putAt", [key, _]) if key.is_text() && is_plain(this) => ctx.ask(this, "setProperty", args).map(Some),
        ("getAt", [key]) => super::index::get(ctx, this, key),
        ("getProperty", [key]) if !matches!(this, Value::Object(_)) => {
            let key = ctx.text(key)?;
            super::property(ctx, this, &key)
        }
        ("hasProperty", [key]) => {
            let key = ctx.text(key)?;
            let has = match this {
                Value::Object(o) => o.field(&key).is_some() || o.class.has_method(&format!("get{}", capital(&key))),
                other => super::property(ctx, other, &key)?.is_some(),
            };
            yes(has)
        }
        // What is asked for is the second argument of a metaclass.
        ("respondsTo", [Value::Object(_), key, ..] | [key, ..]) => {
            let key = ctx.text(key)?;
            let has = match this {
                Value::Object(o) => o.class.has_method(&key),
                Value::Class(c) => c.has_method(&key),
                _ => false,
            };
            yes(Value::list(if has { vec![Value::str(key)] } else { Vec::new() }))
        }
        ("asType", [Value::Class(c)]) => Ok(super::convert::to_type(ctx, this, &c.name, true)?
            .or_else(|| crate::value::is_subtype(&this.type_name(), &c.name).then(|| this.clone()))),
        ("println" | "print" | "printf" | "sprintf", _) => print(ctx, name, args),
        ("iterator", []) => match super::sequence(ctx, this)? {
            Some(items) => yes(super::lists::iterator(Value::list(items))),
            None => yes(super::lists::iterator(Value::list(vec![this.clone()]))),
        },
        ("size", []) => match super::sequence(ctx, this)? {
            Some(items) => yes(Value::Int(items.len() as i32)),
            None => Ok(None),
        },
        ("notify" | "notifyAll" | "wait" | "finalize" | "getMetaClass", _) => Ok(None),
        _ => Ok(None),
    }
}

/// The class of an object and all its fields, those of its superclasses last.
fn dump(ctx: &mut Ctx<'_>, this: &Value, o: &Rc<Object>) -> Answer {
    let mut fields: Vec<(usize, &crate::ast::Text, usize)> = Vec::new();
    let lineage = o.class.lineage();
    if let Some(script) = &o.class.script {
        for (name, field) in script.fields.iter().filter(|(name, _)| !name.starts_with('$')) {
            let depth = lineage.iter().position(|class| class.name == field.owner);
            fields.push((depth.unwrap_or(usize::MAX), name, field.slot));
        }
    }
    ctx.pay(fields.len())?;
    fields.sort_by_key(|(depth, _, slot)| (*depth, *slot));
    let mut out = format!("<{}@{:x}", o.class.name, super::sets::hash_code(ctx, this)?);
    for (_, name, slot) in fields {
        let value = o.fields.borrow().get(slot).cloned().unwrap_or_default();
        out += &format!(" {name}={}", ctx.text(&value)?);
        ctx.room(out.len())?;
    }
    yes(out + ">")
}

fn capital(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or(String::new(), |c| c.to_uppercase().collect::<String>() + chars.as_str())
}

/// Java's `equals`: numbers of different types differ.
pub(crate) fn java_equals(ctx: &mut Ctx<'_>, a: &Value, b: &Value) -> Result<bool, Fault> {
    let is_text = |value: &Value| matches!(value, Value::Str(_) | Value::GString(_) | Value::Char(_));
    // What has an order and no `equals` is equal to itself only; Groovy's `==` asks the order.
    if let Value::Object(o) = a
        && o.class.has_method("compareTo")
        && !o.class.has_method("equals")
        && !o.marked(crate::value::EQUAL_BY_FIELDS)
    {
        return Ok(a.same(b));
    }
    if crate::value::is_number(a) || is_text(a) && is_text(b) {
        let answer = crate::value::Key(a.clone()) == crate::value::Key(b.clone());
        return ctx.pay(crate::value::text_work(a, b) / compare::PAIRS_AT_ONCE).map(|()| answer);
    }
    // `compareTo` is for `==` alone.
    if let Value::Object(o) = a
        && o.class.has_method("compareTo")
        && !o.class.has_method("equals")
        && !o.marked(crate::value::EQUAL_BY_FIELDS)
    {
        return Ok(a.same(b));
    }
    compare::equals(ctx, a, b)
}

/// Methods of instances of script classes, enums, exceptions and opaque Java objects.
pub(crate) fn object_method(ctx: &mut Ctx<'_>, this: &Value, o: &Rc<Object>, name: &str, args: &[Value]) -> Answer {
    if let Some(t) = o.throwable()
        && let Some(value) = throwable_method(ctx, this, o, t, name, args)?
    {
        return Ok(Some(value));
    }
    if o.slot("$ordinal").is_some()
        && let Some(value) = super::enums::of_constant(ctx, o, name, args)?
    {
        return Ok(Some(value));
    }
    if let Some(id) = this.script_id()
        && let Some(value) = of_binding(ctx, (this, id), name, args)?
    {
        return Ok(Some(value));
    }
    match (name, args) {
        // Its characters or bytes in an array, or what has them to read.
        ("parse", [source]) if o.class.name.starts_with("groovy.json.JsonSlurper") => {
            let text = match source {
                Value::List(l) if matches!(l.kind(), crate::value::ListKind::JavaArray(e) if matches!(&**e, "byte" | "char")) =>
                {
                    let string = ctx.world.java_class("java.lang.String");
                    super::construct::java(ctx, &string, args)?.unwrap_or_default()
                }
                Value::Object(reader) if reader.class.has_method("getText") => ctx.ask(source, "getText", &[])?,
                _ => return Ok(None),
            };
            super::json::slurp(ctx, &text, o.class.name.ends_with("Classic"))
        }
        ("parseText", [text]) if o.class.name.starts_with("groovy.json.JsonSlurper") => {
            super::json::slurp(ctx, text, o.class.name.ends_with("Classic"))
        }
        ("$fields", [Value::Map(given)]) => {
            for (key, value) in given.entries().iter() {
                let key = key.0.to_text();
                let Some(slot) = o.slot(&key).filter(|_| !key.starts_with('$')) else {
                    return Err(ctx.world.missing_property(&key, &o.class.name));
                };
                let before = o.fields.borrow_mut().get_mut(slot).map(|f| std::mem::replace(f, value.clone()));
                drop(before);
            }
            yes(Value::Null)
        }
        ("$readable", []) => {
            let mut names = o.class.readable();
            if o.class.enumeration().is_some() {
                names.push("declaringClass".into());
            }
            ctx.pay(names.len())?;
            yes(Value::list(names.iter().map(|name| Value::str(&**name)).collect()))
        }
        // `getX()` and `setX(v)` of a property, which Groovy writes for the class.
        (getter, []) if getter.len() > 3 && getter.starts_with("get") => {
            Ok(accessor_field(&getter[3..]).and_then(|n| o.field(&n)))
        }
        (getter, []) if getter.len() > 2 && getter.starts_with("is") => {
            let field = accessor_field(&getter[2..]).filter(|name| is_boolean(&o.class, name));
            Ok(field.and_then(|name| o.field(&name)))
        }
        (setter, [value]) if setter.len() > 3 && setter.starts_with("set") => {
            let slot = accessor_field(&setter[3..]).and_then(|n| o.slot(&n));
            Ok(slot
                .and_then(|s| o.fields.borrow_mut().get_mut(s).map(|f| std::mem::replace(f, value.clone())))
                .map(|_| Value::Null))
        }
        // What is no script answers as `object."$name"` does.
        ("getProperty", [_]) | ("setProperty", [_, _]) if this.script_id().is_none() => Ok(None),
        ("getProperty", [key]) => {
            let key = ctx.text(key)?;
            match o.field(&key) {
                Some(value) => Ok(Some(value)),
                None if let Some(id) = this.script_id() => {
                    let own = ctx.world.variable(id, &key).cloned().or(ctx.world.global(&key)?);
                    match own.map(Ok).or_else(|| ctx.host.property(None, &key)) {
                        Some(Ok(value)) => Ok(Some(value)),
                        Some(Err(exception)) => Err(Fault::Throw(exception)),
                        None => Err(ctx.world.missing_property(&key, &o.class.name)),
                    }
                }
                None => Err(ctx.world.missing_property(&key, &o.class.name)),
            }
        }
        ("setProperty", [key, value]) => {
            let key = ctx.text(key)?;
            match o.slot(&key) {
                Some(slot) => drop(o.fields.borrow_mut().get_mut(slot).map(|f| std::mem::replace(f, value.clone()))),
                None => ctx.world.set_variable(this.script_id().unwrap_or_default(), key.into(), value.clone()),
            }
            yes(Value::Null)
        }
        _ => Ok(None),
    }
}

/// Methods of `binding`, which is the script itself.
fn of_binding(ctx: &mut Ctx<'_>, (this, id): (&Value, ScriptId), name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("getBinding", []) => yes(this.clone()),
        ("hasVariable", [key]) => {
            let key = ctx.text(key)?;
            yes(ctx.world.variable(id, &key).is_some())
        }
        ("getVariable", [key]) => {
            let key = ctx.text(key)?;
            let value = ctx.world.variable(id, &key).cloned();
            value.map(Some).ok_or_else(|| ctx.world.missing_property(&key, "groovy.lang.Binding"))
        }
        ("setVariable", [key, value]) => {
            let key = ctx.text(key)?;
            ctx.world.set_variable(id, key.into(), value.clone());
            yes(Value::Null)
        }
        ("getVariables", []) => {
            let pairs: Vec<(Value, Value)> =
                ctx.world.binding(id).iter().map(|(k, v)| (Value::str(&**k), v.clone())).collect();
            yes(Value::map(pairs))
        }
        _ => Ok(None),
    }
}

/// The property whose getter a method is.
pub(crate) fn getter_of(method: &str) -> Option<String> {
    accessor_field(method.strip_prefix("get")?)
}

/// Whether a property is declared `boolean`: no other has an `isName()`.
fn is_boolean(class: &Class, name: &str) -> bool {
    let fields = class.lineage();
    let mut fields = fields.iter().filter_map(|class| class.script.as_ref()?.fields.get(name));
    fields.next().is_some_and(|field| field.ty == Type::Primitive("boolean"))
}

/// `Name` → `name`; a field that begins with two capitals keeps them.
fn accessor_field(rest: &str) -> Option<String> {
    let mut chars = rest.chars();
    let first = chars.next().filter(|c| c.is_uppercase())?;
    if chars.clone().next().is_some_and(char::is_uppercase) {
        return Some(rest.to_string());
    }
    Some(first.to_lowercase().collect::<String>() + chars.as_str())
}

fn throwable_method(
    ctx: &mut Ctx<'_>,
    this: &Value,
    o: &Rc<Object>,
    t: Throwable,
    name: &str,
    args: &[Value],
) -> Answer {
    match (name, args) {
        ("getLocalizedMessage", []) => message(ctx, o, &t).map(Some),
        ("getMessage", []) => yes(t.message),
        ("$say", [text]) => {
            o.say(text.clone());
            yes(Value::Null)
        }
        ("getCause", []) => yes(t.cause),
        ("toString", []) if !o.class.has_method("toString") => java_text(ctx, o),
        ("initCause", [cause]) => {
            *o.native.borrow_mut() = Native::Throwable(Throwable { cause: cause.clone(), ..t });
            Ok(Some(this.clone()))
        }
        ("getStackTrace", []) => {
            let lines = t.trace.iter().map(|l| Value::str(format!("{}(script {})", l.function, l.script.0)));
            yes(Value::array(lines.collect(), "java.lang.StackTraceElement"))
        }
        ("setStackTrace", [_]) => yes(Value::Null),
        ("addSuppressed", [other]) if other.same(this) => {
            Err(ctx.world.fail("java.lang.IllegalArgumentException", "Self-suppression not permitted"))
        }
        ("addSuppressed", [other @ Value::Object(_)]) => {
            ctx.room_for_items(1)?;
            o.suppress(other.clone());
            yes(Value::Null)
        }
        ("getSuppressed", []) => {
            let all = t.suppressed().map(|list| list.snapshot()).unwrap_or_default();
            yes(Value::array(all, "java.lang.Throwable"))
        }
        ("fillInStackTrace", []) => Ok(Some(this.clone())),
        ("printStackTrace", [Value::Buffer(b)]) => {
            let text = ctx.text(this)? + "\n";
            ctx.room(b.text.borrow().len() + text.len())?;
            b.text.borrow_mut().push_str(&text);
            b.recount();
            yes(Value::Null)
        }
        ("printStackTrace", _) => {
            let text = ctx.text(this)?;
            ctx.host.print(&format!("{text}\n"));
            yes(Value::Null)
        }
        (getter, []) if getter.starts_with("get") || getter.starts_with("is") => {
            let wanted = accessor_field(getter.trim_start_matches("get").trim_start_matches("is"));
            Ok(t.facts.into_iter().find(|(name, _)| wanted.as_deref() == Some(&**name)).map(|(_, value)| value))
        }
        _ => Ok(None),
    }
}

/// `getLocalizedMessage()` of an exception, which its class may have written itself.
fn message(ctx: &mut Ctx<'_>, o: &Rc<Object>, t: &Throwable) -> Result<Value, Fault> {
    match o.message_method() {
        Some(method) => ctx.ask(&Value::Object(o.clone()), method, &[]),
        None => Ok(t.message.clone()),
    }
}

/// `class: message` of an exception.
pub(crate) fn java_text(ctx: &mut Ctx<'_>, o: &Rc<Object>) -> Answer {
    let Some(t) = o.throwable() else {
        return match o.held() {
            Some(held) => yes(ctx.text(&held)?),
            None => yes(format!("{}@1", o.class.name)),
        };
    };
    let message = message(ctx, o, &t)?;
    if message.is_null() {
        return yes(&*o.class.name);
    }
    let text = ctx.text(&message)?;
    if &*o.class.name == "org.xml.sax.SAXParseException" {
        let facts: String = t.facts.iter().map(|(name, value)| format!("; {name}: {value}")).collect();
        return yes(format!("{}{facts}; {text}", o.class.name));
    }
    // A host's object that is no exception: what it is called.
    yes(if o.class.is_throwable() { format!("{}: {text}", o.class.name) } else { text })
}

/// What can be called on `null`.
pub(crate) fn null_method(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("toString" | "inspect", []) => yes("null"),
        ("equals" | "is", [other]) => yes(other.is_null()),
        ("asBoolean", []) => yes(false),
        ("$order", [other]) => yes(Value::Int(if other.is_null() { 0 } else { -1 })),
        ("asType", [_]) => yes(Value::Null),
        ("isCase", [other]) => yes(other.is_null()),
        ("iterator", []) => yes(super::lists::iterator(Value::list(Vec::new()))),
        ("getClass", []) => yes(Value::Class(ctx.world.java_class("org.codehaus.groovy.runtime.NullObject"))),
        ("plus", [other]) if other.is_text() => {
            super::operators::binary(ctx, crate::ast::BinaryOp::Add, &Value::Null, other)
        }
        _ => Ok(None),
    }
}

pub(crate) fn bool_method(b: bool, name: &str, args: &[Value]) -> Option<Value> {
    let other = args.first().map(Value::truth);
    Some(Value::Bool(match (name, other) {
        ("and", Some(o)) => b & o,
        ("or", Some(o)) => b | o,
        ("xor", Some(o)) => b ^ o,
        ("implies", Some(o)) => !b | o,
        ("booleanValue" | "asBoolean" | "toBoolean", None) => b,
        _ => return None,
    }))
}
