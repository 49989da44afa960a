//! Static methods and constants of Java's classes, and the methods of `Class` itself.

use std::rc::Rc;

use super::{Answer, compare, convert, int, numbers, sequence, strings, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{Class, List, ListKind, Map, MapKind, Value, to_f64};

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
    let found = match &*class.name {
        "java.lang.Math" | "java.lang.StrictMath" => math(ctx, name, args)?,
        "java.lang.Integer" | "java.lang.Long" | "java.lang.Short" | "java.lang.Byte" => {
            integers(ctx, class, name, args)?
        }
        "java.lang.Double"
        | "java.lang.Float"
        | "java.lang.Boolean"
        | "java.math.BigDecimal"
        | "java.math.BigInteger" => parsers(ctx, class, name, args)?,
        "java.lang.String" => string(ctx, name, args)?,
        "java.lang.Character" => match args {
            [Value::Char(c)] => super::text::char_method(ctx, *c, name, &[])?,
            [Value::Str(s)] if s.units() == 1 => super::text::char_method(ctx, s.unit(0).unwrap_or(0), name, &[])?,
            _ => None,
        },
        "groovy.util.slurpersupport.Node" | "groovy.xml.XmlUtil" => super::xml::statics(ctx, name, args)?,
        "groovy.util.ConfigSlurper" => match (name, args) {
            ("$script", [text]) => {
                let text = ctx.text(text)?;
                let (code, script) = ctx.world.closure_of_text(&text)?;
                Some(Value::list(vec![code, script]))
            }
            _ => None,
        },
        "java.util.Collections" => collections(ctx, name, args)?,
        "java.util.Arrays" | "java.util.List" | "java.util.Set" | "java.util.Map" => {
            arrays(ctx, &class.name, name, args)?
        }
        "java.util.Objects" => objects(ctx, name, args)?,
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
    match (name, args) {
        ("getName" | "getTypeName" | "getCanonicalName", []) => yes(&*class.name),
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
        ("values", []) if class.script.is_some() => match sequence(ctx, &Value::Class(class.clone()))? {
            Some(items) => yes(Value::array(items, &class.name)),
            None => Ok(None),
        },
        ("valueOf", [key]) if class.script.is_some() => {
            let key = ctx.text(key)?;
            let found = class.script.as_ref().and_then(|s| s.statics.borrow().get(&*key).cloned());
            match found {
                Some(value) => Ok(Some(value)),
                None => Err(ctx.world.illegal(format!("No enum constant {}.{key}", class.name))),
            }
        }
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
        ("java.lang.Short", "MAX_VALUE") => Value::Int(i32::from(i16::MAX)),
        ("java.lang.Short", "MIN_VALUE") => Value::Int(i32::from(i16::MIN)),
        ("java.lang.Byte", "MAX_VALUE") => Value::Int(i32::from(i8::MAX)),
        ("java.lang.Byte", "MIN_VALUE") => Value::Int(i32::from(i8::MIN)),
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
        ("java.math.BigDecimal" | "java.math.RoundingMode", mode)
            if mode.chars().all(|c| c.is_ascii_uppercase() || c == '_') =>
        {
            Value::str(mode)
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
        ("java.util.Collections", "EMPTY_LIST") => Value::list(Vec::new()),
        ("java.util.Collections", "EMPTY_MAP") => Value::map([]),
        ("java.util.Locale", locale) => Value::str(locale),
        (_, "class") => Value::Class(class.clone()),
        (_, "name" | "simpleName" | "superclass" | "interfaces" | "canonicalName" | "package") => {
            let getter = format!("get{}{}", name[..1].to_uppercase(), &name[1..]);
            return of_class(ctx, class, &getter, &[]);
        }
        _ => return Ok(None),
    };
    yes(value)
}

fn math(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    let f = |i: usize| args.get(i).and_then(to_f64).unwrap_or(f64::NAN);
    match (name, args) {
        ("random", []) => super::java::random_double(ctx),
        ("max" | "min", [a, b]) => {
            let greater = compare::compare(ctx, a, b)?.is_ge();
            let chosen = if greater == (name == "max") { a } else { b };
            let wide = matches!(a, Value::Double(_))
                || matches!(b, Value::Double(_))
                || matches!(a, Value::Decimal(_))
                || matches!(b, Value::Decimal(_));
            let long = matches!(a, Value::Long(_)) || matches!(b, Value::Long(_));
            yes(match chosen {
                v if wide => Value::Double(to_f64(v).unwrap_or(f64::NAN)),
                v if long => Value::Long(v.as_i64().unwrap_or(0)),
                v => v.clone(),
            })
        }
        ("abs", [v @ Value::Decimal(_)]) => yes(Value::Double(to_f64(v).unwrap_or(0.0).abs())),
        ("abs", [v]) => numbers::method(ctx, v, "abs", &[]),
        ("round", [Value::Float(n)]) => yes(Value::Int((f64::from(*n) + 0.5).floor() as i32)),
        ("round", [_]) => yes(Value::Long((f(0) + 0.5).floor() as i64)),
        ("floorMod", [a, b]) | ("floorDiv", [a, b]) => {
            let (Some(x), Some(y)) = (int(a), int(b)) else { return Ok(None) };
            if y == 0 {
                return Err(ctx.fail("java.lang.ArithmeticException", "/ by zero"));
            }
            let r = if name == "floorMod" { x - y * x.div_euclid(y) } else { (x as f64 / y as f64).floor() as i64 };
            let r = if name == "floorMod" && r != 0 && (r < 0) != (y < 0) { r + y } else { r };
            yes(if matches!(a, Value::Int(_)) { Value::Int(r as i32) } else { Value::Long(r) })
        }
        ("pow", [_, _]) => yes(Value::Double(f(0).powf(f(1)))),
        (
            "sqrt" | "cbrt" | "ceil" | "floor" | "rint" | "sin" | "cos" | "tan" | "atan" | "exp" | "log" | "log10"
            | "signum",
            [_],
        ) => {
            let x = f(0);
            yes(Value::Double(match name {
                "sqrt" => x.sqrt(),
                "cbrt" => x.cbrt(),
                "ceil" => x.ceil(),
                "floor" => x.floor(),
                "rint" => x.round_ties_even(),
                "sin" => x.sin(),
                "cos" => x.cos(),
                "tan" => x.tan(),
                "atan" => x.atan(),
                "exp" => x.exp(),
                "log" => x.ln(),
                "log10" => x.log10(),
                _ => {
                    if x == 0.0 {
                        x
                    } else {
                        x.signum()
                    }
                }
            }))
        }
        _ => Ok(None),
    }
}

fn integers(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str, args: &[Value]) -> Answer {
    let long = &*class.name == "java.lang.Long";
    match (name, args) {
        ("parseInt" | "parseLong" | "valueOf" | "decode", [Value::Null, ..]) => {
            Err(ctx.fail("java.lang.NumberFormatException", "Cannot parse null string"))
        }
        ("decode", [source]) if source.is_text() => {
            let text = ctx.text(source)?;
            let (sign, digits) = text.strip_prefix('-').map_or(("", &*text), |rest| ("-", rest));
            let prefixes = [("0x", 16), ("0X", 16), ("#", 16), ("0", 8)];
            let found =
                prefixes.iter().find_map(|(p, r)| digits.strip_prefix(p).filter(|d| !d.is_empty()).map(|d| (d, *r)));
            let (digits, radix) = found.unwrap_or((digits, 10));
            let text = format!("{sign}{digits}");
            if long { strings::parse_long(ctx, &text, radix) } else { strings::parse_int(ctx, &text, radix) }.map(Some)
        }
        ("parseInt" | "parseLong" | "valueOf" | "decode", [source, rest @ ..]) => {
            if !source.is_text() {
                return convert::to_type(ctx, source, &class.name, true);
            }
            let (text, radix) = (ctx.text(source)?, rest.first().and_then(int).unwrap_or(10));
            let radix = u32::try_from(radix).ok().filter(|r| (2..=36).contains(r)).unwrap_or(10);
            if long {
                strings::parse_long(ctx, &text, radix).map(Some)
            } else {
                strings::parse_int(ctx, &text, radix).map(Some)
            }
        }
        ("toString", [n]) => yes(ctx.text(n)?),
        ("toString", [n, radix]) => yes(in_radix(int(n).unwrap_or(0), int(radix).unwrap_or(10))),
        ("toHexString" | "toBinaryString" | "toOctalString", [n]) => {
            let n = int(n).unwrap_or(0);
            let bits = if long { n as u64 } else { u64::from(n as u32) };
            yes(match name {
                "toHexString" => format!("{bits:x}"),
                "toBinaryString" => format!("{bits:b}"),
                _ => format!("{bits:o}"),
            })
        }
        ("compare", [a, b]) => yes(Value::Int(compare::compare(ctx, a, b)? as i32)),
        ("max" | "min" | "abs", _) => math(ctx, name, args),
        ("signum", [n]) => yes(Value::Int(int(n).unwrap_or(0).signum() as i32)),
        ("bitCount", [n]) => yes(Value::Int(int(n).unwrap_or(0).count_ones() as i32)),
        ("sum", [a, b]) => numbers::arithmetic(ctx, crate::ast::BinaryOp::Add, a, b),
        _ => Ok(None),
    }
}

fn in_radix(n: i64, radix: i64) -> String {
    let radix = if (2..=36).contains(&radix) { radix as u64 } else { 10 };
    let (mut rest, mut digits) = (n.unsigned_abs(), Vec::new());
    loop {
        digits.push(char::from_digit((rest % radix) as u32, radix as u32).unwrap_or('0'));
        rest /= radix;
        if rest == 0 {
            break;
        }
    }
    if n < 0 {
        digits.push('-');
    }
    digits.iter().rev().collect()
}

fn parsers(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("parseBoolean", [text]) => yes(!text.is_null() && ctx.text(text)?.eq_ignore_ascii_case("true")),
        ("valueOf", [source]) if &*class.name == "java.lang.Boolean" && source.is_text() => {
            yes(ctx.text(source)?.eq_ignore_ascii_case("true"))
        }
        ("parseDouble" | "parseFloat" | "valueOf", [source, ..]) => convert::to_type(ctx, source, &class.name, true),
        ("toString", [value]) => yes(ctx.text(value)?),
        ("compare", [a, b]) => yes(Value::Int(compare::compare(ctx, a, b)? as i32)),
        ("isNaN", [n]) => yes(to_f64(n).is_some_and(f64::is_nan)),
        _ => Ok(None),
    }
}

fn string(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("valueOf" | "copyValueOf", [value]) => match value {
            Value::List(l) if l.is_array() => yes(l.items().iter().map(Value::to_text).collect::<String>()),
            other => yes(ctx.styled(other, crate::value::render::Style::Java)?),
        },
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

fn collections(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("emptyList", []) => yes(Value::List(Rc::new(List::new(Vec::new(), ListKind::Fixed)))),
        ("emptyMap", []) => yes(Value::Map(Rc::new(Map::new(MapKind::Fixed)))),
        ("emptySet", []) => yes(Value::Set(Rc::new(Map::new(MapKind::Fixed)))),
        ("singletonList" | "singleton", [item]) => yes(Value::list(vec![item.clone()])),
        ("unmodifiableList" | "unmodifiableMap" | "unmodifiableSet" | "unmodifiableCollection", [c]) => {
            super::method(ctx, c, "asImmutable", &[])
        }
        ("synchronizedList" | "synchronizedMap", [c]) => yes(c.clone()),
        ("sort" | "max" | "min", [c]) => super::method(ctx, c, name, &[]),
        ("reverse", [Value::List(l)]) => {
            l.change(|items| items.reverse());
            yes(Value::Null)
        }
        ("nCopies", [n, item]) => {
            let n = convert::count(Some(n));
            ctx.room_for_items(n as u64)?;
            yes(Value::list(vec![item.clone(); n]))
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

fn arrays(ctx: &mut Ctx<'_>, class: &str, name: &str, args: &[Value]) -> Answer {
    match (class, name, args) {
        ("java.util.Arrays", "asList", [one @ Value::List(l)]) if l.is_array() => {
            yes(Value::list(sequence(ctx, one)?.unwrap_or_default()))
        }
        ("java.util.Arrays", "asList", items) => yes(Value::list(items.to_vec())),
        ("java.util.Arrays", "toString", [one]) => {
            let list = Value::list(sequence(ctx, one)?.unwrap_or_default());
            yes(ctx.text(&list)?)
        }
        ("java.util.Arrays", "stream", [one]) => ctx.ask(one, "stream", &[]).map(Some),
        ("java.util.Arrays", "sort", [one]) => super::method(ctx, one, "sort", &[]),
        ("java.util.Arrays", "equals", [a, b]) => yes(compare::equals(ctx, a, b)?),
        ("java.util.Arrays", "fill", [Value::List(l), item]) => {
            l.change(|items| items.fill(item.clone()));
            yes(Value::Null)
        }
        ("java.util.Arrays", "copyOfRange", [one, from, to]) => {
            super::method(ctx, one, "subList", &[from.clone(), to.clone()])
        }
        ("java.util.List", "of", items) => yes(Value::List(Rc::new(List::new(items.to_vec(), ListKind::Fixed)))),
        ("java.util.Set", "of", items) => yes(Value::set(items.iter().cloned())),
        ("java.util.Map", "of", items) => {
            yes(Value::map(items.chunks(2).map(|c| (c[0].clone(), c.get(1).cloned().unwrap_or_default()))))
        }
        _ => Ok(None),
    }
}

fn objects(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("equals", [a, b]) => yes(compare::equals(ctx, a, b)?),
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
        ("hash" | "hashCode", [a, ..]) => super::objects::method(ctx, a, "hashCode", &[]),
        ("requireNonNull", [a, rest @ ..]) if a.is_null() => {
            let message = rest.first().map_or(Ok(String::new()), |m| ctx.text(m))?;
            Err(ctx.world.null_pointer(message))
        }
        ("requireNonNull", [a, ..]) => yes(a.clone()),
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
