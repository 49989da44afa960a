//! Static methods and constants of Java's classes, and the methods of `Class` itself.

use std::rc::Rc;

use super::{Answer, collection_statics, int, number_statics, yes};
use crate::machine::{Ctx, Fault, accessor};
use crate::value::{Class, Value};

pub(crate) fn method(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str, args: &[Value]) -> Answer {
    if let Some(found) = of_class(ctx, class, name, args)? {
        return Ok(Some(found));
    }
    if let Some(outside) = crate::outside::of_static(&class.name, name) {
        return Err(ctx.refuse(&format!("{}.{name}", class.name), outside));
    }
    if let Some(found) = super::java::statics(ctx, class, name, args)? {
        return Ok(Some(found));
    }
    // What is given is looked through, and changed.
    ctx.pay(args.iter().map(super::weight).sum::<usize>() / 16)?;
    let found = match &*class.name {
        "java.lang.Math" | "java.lang.StrictMath" => number_statics::math(ctx, name, args)?,
        "java.lang.Integer" | "java.lang.Long" | "java.lang.Short" | "java.lang.Byte" => {
            number_statics::integers(ctx, class, name, args)?
        }
        "java.lang.Double"
        | "java.lang.Float"
        | "java.lang.Boolean"
        | "java.math.BigDecimal"
        | "java.math.BigInteger" => number_statics::parsers(ctx, class, name, args)?,
        "java.lang.String" => string(ctx, name, args)?,
        "java.lang.Character" => number_statics::characters(ctx, name, args)?,
        "groovy.util.slurpersupport.Node" | "groovy.xml.XmlUtil" => super::xml::statics(ctx, name, args)?,
        "groovy.util.ConfigSlurper" => match (name, args) {
            ("$script", [text]) => {
                let text = ctx.text(text)?;
                let (code, script) = ctx.world.closure_of_text(&text)?;
                Some(Value::list(vec![code, script]))
            }
            ("$keyword", [word]) => {
                let word = ctx.text(word)?;
                Some(Value::Bool(crate::lexer::token::Kind::keyword(&word).is_some()))
            }
            _ => None,
        },
        "java.util.Comparator" | "java.util.Map$Entry" => super::comparators::statics(ctx, name, args)?,
        "java.util.Collections" => collection_statics::collections(ctx, name, args)?,
        "java.util.Arrays" | "java.util.List" | "java.util.Set" | "java.util.Map" => {
            collection_statics::arrays(ctx, &class.name, name, args)?
        }
        "java.util.EnumSet" => super::enums::sets(ctx, name, args)?,
        "java.util.Objects" => collection_statics::objects(ctx, name, args)?,
        "java.util.regex.Pattern" => patterns(ctx, name, args)?,
        "org.apache.commons.lang.StringUtils" | "org.apache.commons.lang3.StringUtils" => {
            super::string_utils::statics(ctx, name, args)?
        }
        json if json.starts_with("net.sf.json.") => super::json_lib::statics(ctx, class, name, args)?,
        "groovy.json.JsonOutput" => super::json::output(ctx, name, args)?,
        "java.util.regex.Matcher" if name == "quoteReplacement" => match args {
            [text] => Some(Value::str(ctx.text(text)?.replace('\\', "\\\\").replace('$', "\\$"))),
            _ => None,
        },
        "java.net.URLEncoder" | "java.net.URLDecoder" => super::json::url(ctx, name, args)?,
        _ => None,
    };
    match found {
        Some(value) => Ok(Some(value)),
        None if class.script.is_some() => Ok(None),
        None => match ctx.host.static_call(&class.name, name, args) {
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(exception)) => Err(Fault::Throw(exception)),
            None => Ok(None),
        },
    }
}

/// Methods of `java.lang.Class`.
fn of_class(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str, args: &[Value]) -> Answer {
    if let Some(found) = super::enums::of_class(ctx, class, name, args)? {
        return Ok(Some(found));
    }
    match (name, args) {
        ("getName" | "getTypeName", []) => yes(&*class.name),
        ("getCanonicalName", []) => yes(class.canonical_name()),
        ("getSimpleName", []) => yes(class.simple_name()),
        ("getPackage", []) => yes(class.name.rsplit_once('.').map_or(Value::Null, |(p, _)| Value::str(p))),
        ("getSuperclass", []) => yes(match &class.superclass {
            Some(above) => Value::Class(above.clone()),
            None if class.script.as_ref().is_some_and(|s| s.kind == crate::ast::ClassKind::Class) => {
                Value::Class(ctx.world.java_class("java.lang.Object"))
            }
            None => Value::Null,
        }),
        ("getInterfaces", []) => {
            let mut all = class.interfaces.clone();
            // The first class of a script in a line is what Groovy makes an object of its own.
            let above = class.superclass.as_ref().is_some_and(|c| c.script.is_some());
            if !above && class.script.as_ref().is_some_and(|s| s.kind == crate::ast::ClassKind::Class) {
                all.push(ctx.world.java_class("groovy.lang.GroovyObject"));
            }
            yes(Value::array(all.into_iter().map(Value::Class).collect(), "java.lang.Class"))
        }
        // What a meta class is asked of an object, past what the object's own methods make of it.
        ("getProperty", [object @ Value::Object(o), key]) if o.class.is_a(&class.name) => {
            let name = ctx.text(key)?;
            let getter =
                ["get", "is"].map(|prefix| accessor(prefix, &name)).into_iter().find(|g| o.class.has_method(g));
            match (getter, o.field(&name)) {
                (Some(getter), _) => ctx.ask(object, "$got", &[Value::str(getter)]).map(Some),
                (None, Some(value)) => yes(value),
                (None, None) => Err(ctx.world.missing_property(&name, &o.class.name)),
            }
        }
        ("hasProperty" | "getMetaProperty", [object @ Value::Object(o), key]) if o.class.is_a(&class.name) => {
            super::method(ctx, object, "hasProperty", std::slice::from_ref(key))
        }
        ("isCase", [Value::Class(other)]) => yes(other.is_a(&class.name)),
        ("isInstance" | "isCase", [value]) => yes(!value.is_null() && ctx.world.class_of(value).is_a(&class.name)),
        ("isAssignableFrom", [Value::Class(other)]) => yes(other.is_a(&class.name)),
        ("isInterface", []) => {
            let script = class.script.as_ref().is_some_and(|s| s.kind == crate::ast::ClassKind::Interface);
            yes(script || crate::value::is_interface_name(&class.name))
        }
        ("isEnum", []) => yes(class.script.as_ref().is_some_and(|s| s.kind == crate::ast::ClassKind::Enum)),
        ("isArray", []) => yes(class.name.starts_with('[')),
        ("cast", [value]) => yes(value.clone()),
        ("desiredAssertionStatus", _) => yes(true),
        ("getComponentType", []) => yes(match crate::value::element_of_array(&class.name) {
            Some(element) => Value::Class(ctx.world.class(&element).unwrap_or_else(|| ctx.world.java_class(&element))),
            None => Value::Null,
        }),
        ("newInstance", []) if class.script.is_none() => super::construct::java(ctx, class, args),
        _ => Ok(None),
    }
}

/// Constants: `Integer.MAX_VALUE`, `Closure.DELEGATE_FIRST`; properties of `Class`: `name`, `simpleName`.
pub(crate) fn constant(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str) -> Answer {
    if let Some(value) = super::java::constant(ctx, class, name)? {
        return Ok(Some(value));
    }
    let value = match (&*class.name, name) {
        ("java.lang.Integer", "MAX_VALUE") => Value::Int(i32::MAX),
        ("java.lang.Integer", "MIN_VALUE") => Value::Int(i32::MIN),
        ("java.lang.Long", "MAX_VALUE") => Value::Long(i64::MAX),
        ("java.lang.Long", "MIN_VALUE") => Value::Long(i64::MIN),
        ("java.lang.Double", "MAX_VALUE") => Value::Double(f64::MAX),
        ("java.lang.Double", "MIN_VALUE") => Value::Double(5e-324),
        ("java.lang.Float", "MAX_VALUE") => Value::Float(f32::MAX),
        ("java.lang.Float", "MIN_VALUE") => Value::Float(1.4e-45),
        ("java.lang.Short", "MAX_VALUE") => Value::Short(i16::MAX),
        ("java.lang.Short", "MIN_VALUE") => Value::Short(i16::MIN),
        ("java.lang.Short", "SIZE") => Value::Int(16),
        ("java.lang.Short", "BYTES") => Value::Int(2),
        ("java.lang.Byte", "MAX_VALUE") => Value::Byte(i8::MAX),
        ("java.lang.Byte", "MIN_VALUE") => Value::Byte(i8::MIN),
        (boxed, "TYPE") => match primitive_of(boxed) {
            Some(primitive) => Value::Class(ctx.world.java_class(primitive)),
            None => return Ok(None),
        },
        ("java.lang.Byte", "SIZE") => Value::Int(8),
        ("java.lang.Byte", "BYTES") => Value::Int(1),
        ("java.lang.Integer" | "java.lang.Float", "SIZE") => Value::Int(32),
        ("java.lang.Integer" | "java.lang.Float", "BYTES") => Value::Int(4),
        ("java.lang.Long" | "java.lang.Double", "SIZE") => Value::Int(64),
        ("java.lang.Long" | "java.lang.Double", "BYTES") => Value::Int(8),
        ("java.lang.Character", "MAX_VALUE") => Value::Char(u16::MAX),
        ("java.lang.Character", "MIN_VALUE") => Value::Char(0),
        ("java.lang.Double", "MIN_NORMAL") => Value::Double(f64::MIN_POSITIVE),
        ("java.lang.Float", "MIN_NORMAL") => Value::Float(f32::MIN_POSITIVE),
        ("java.lang.Float", "NaN") => Value::Float(f32::NAN),
        ("java.lang.Float", "POSITIVE_INFINITY") => Value::Float(f32::INFINITY),
        ("java.lang.Float", "NEGATIVE_INFINITY") => Value::Float(f32::NEG_INFINITY),
        ("java.lang.Double", "NaN") => Value::Double(f64::NAN),
        ("java.lang.Double", "POSITIVE_INFINITY") => Value::Double(f64::INFINITY),
        ("java.lang.Double", "NEGATIVE_INFINITY") => Value::Double(f64::NEG_INFINITY),
        ("java.lang.System", "out" | "err") => super::construct::opaque(ctx, "java.io.PrintStream"),
        ("java.lang.Boolean", "TRUE") => Value::Bool(true),
        ("java.lang.Boolean", "FALSE") => Value::Bool(false),
        ("java.lang.Math", "PI") => Value::Double(std::f64::consts::PI),
        ("java.lang.Math", "E") => Value::Double(std::f64::consts::E),
        ("java.math.BigDecimal" | "java.math.BigInteger", "ZERO" | "ONE" | "TEN") => {
            let n = if name == "ZERO" {
                0
            } else if name == "ONE" {
                1
            } else {
                10
            };
            if &*class.name == "java.math.BigInteger" {
                Value::big(n.into())
            } else {
                Value::decimal(crate::value::Decimal::new(n.into(), 0))
            }
        }
        ("java.math.BigDecimal", mode) if mode.starts_with("ROUND_") => match super::decimals::number_of(mode) {
            Some(number) => Value::Int(number),
            None => return Ok(None),
        },
        ("groovy.lang.GString", "EMPTY") => {
            Value::GString(Rc::new(crate::value::GString::new(vec![crate::value::Str::new("")], Vec::new())))
        }
        ("groovy.lang.Closure", "IDENTITY") => {
            return ctx.ask(&Value::Class(class.clone()), "$identity", &[]).map(Some);
        }
        ("groovy.lang.Closure", "OWNER_FIRST") => Value::Int(0),
        ("groovy.lang.Closure", "DELEGATE_FIRST") => Value::Int(1),
        ("groovy.lang.Closure", "OWNER_ONLY") => Value::Int(2),
        ("groovy.lang.Closure", "DELEGATE_ONLY") => Value::Int(3),
        ("groovy.lang.Closure", "TO_SELF") => Value::Int(4),
        ("java.util.regex.Pattern", "CASE_INSENSITIVE") => Value::Int(2),
        ("java.util.regex.Pattern", "COMMENTS") => Value::Int(4),
        ("java.util.regex.Pattern", "MULTILINE") => Value::Int(8),
        ("java.util.regex.Pattern", "LITERAL") => Value::Int(16),
        ("java.util.regex.Pattern", "DOTALL") => Value::Int(32),
        ("java.util.regex.Pattern", "UNICODE_CASE") => Value::Int(64),
        ("java.io.File", "separator") => Value::str("/"),
        ("java.io.File", "pathSeparator") => Value::str(":"),
        ("java.nio.charset.StandardCharsets", charset) => Value::str(charset.replace('_', "-")),
        ("java.lang.String", "CASE_INSENSITIVE_ORDER") => {
            super::comparators::made(ctx, "case", &Value::Null, &Value::Null)
        }
        ("java.util.Collections", "EMPTY_SET") => Value::set([]),
        ("java.util.Collections", "EMPTY_LIST") => Value::list(Vec::new()),
        ("java.util.Collections", "EMPTY_MAP") => Value::map([]),
        (_, "class") => Value::Class(class.clone()),
        (_, "name" | "simpleName" | "superclass" | "interfaces" | "canonicalName" | "package") => {
            let getter = format!("get{}{}", name[..1].to_uppercase(), &name[1..]);
            return of_class(ctx, class, &getter, &[]);
        }
        _ => return Ok(None),
    };
    yes(value)
}

/// The primitive type of a class that has it in a box.
fn primitive_of(boxed: &str) -> Option<&'static str> {
    Some(match boxed.strip_prefix("java.lang.")? {
        "Boolean" => "boolean",
        "Character" => "char",
        "Byte" => "byte",
        "Short" => "short",
        "Integer" => "int",
        "Long" => "long",
        "Float" => "float",
        "Double" => "double",
        "Void" => "void",
        _ => return None,
    })
}

fn string(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("valueOf" | "copyValueOf", [value]) => match value {
            Value::List(l) if l.is_array() => yes(l.items().iter().map(Value::to_text).collect::<String>()),
            other => yes(ctx.styled(other, crate::value::render::Style::Java)?),
        },
        // Numbers are as in English anyway.
        ("format", [Value::Object(locale), template, values @ ..]) if &*locale.class.name == "java.util.Locale" => {
            let template = ctx.text(template)?;
            super::format::format(ctx, &template, values).map(Some)
        }
        ("format", [template, values @ ..]) => {
            let template = ctx.text(template)?;
            super::format::format(ctx, &template, values).map(Some)
        }
        ("join", [between, values @ ..]) => {
            let list = match values {
                [one @ (Value::List(_) | Value::Set(_))] => one.clone(),
                many => Value::list(many.to_vec()),
            };
            super::method(ctx, &list, "join", std::slice::from_ref(between))
        }
        _ => Ok(None),
    }
}

fn patterns(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("compile", [source, rest @ ..]) => {
            let (text, flags) = (ctx.text(source)?, rest.first().and_then(int).unwrap_or(0));
            Ok(Some(Value::Pattern(ctx.world.pattern(&text, flags as i32)?)))
        }
        ("quote", [text]) => yes(format!("\\Q{}\\E", ctx.text(text)?)),
        ("matches", [p, text]) => {
            let (p, text) = (ctx.text(p)?, ctx.text(text)?);
            let pattern = ctx.world.pattern(&p, 0)?;
            yes(super::regex::checked(ctx, pattern.matches(&text))?.is_some())
        }
        _ => Ok(None),
    }
}
