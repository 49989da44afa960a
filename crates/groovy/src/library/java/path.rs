//! `File` and `Path` as values: names, parents, joining. What would touch a disk is refused (`outside`).

use std::rc::Rc;

use super::{object, value_of};
use crate::library::{Answer, convert, yes};
use crate::machine::{Ctx, Fault};
use crate::outside::Outside;
use crate::value::{Java, Object, Str, Value};

const FILE: &str = "java.io.File";
/// What Java's paths are on Linux.
const PATH: &str = "sun.nio.fs.UnixPath";

/// Java's idea of a path: no double slashes, none at the end.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '/' || !out.ends_with('/') {
            out.push(c);
        }
    }
    if out.len() > 1 && out.ends_with('/') {
        out.pop();
    }
    out
}

fn under(parent: &str, child: &str) -> String {
    match (parent, child) {
        ("", child) => clean(child),
        (parent, child) => clean(&format!("{parent}/{child}")),
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn parent_of(path: &str) -> Option<&str> {
    match path.rfind('/') {
        Some(0) if path.len() > 1 => Some("/"),
        Some(0) | None => None,
        Some(at) => Some(&path[..at]),
    }
}

fn file(ctx: &Ctx<'_>, text: String) -> Value {
    object(ctx, FILE, Java::Path(Str::new(text)))
}

fn path(ctx: &Ctx<'_>, text: String) -> Value {
    object(ctx, PATH, Java::Path(Str::new(text)))
}

fn or_null<T>(value: Option<T>, make: impl FnOnce(T) -> Value) -> Answer {
    yes(value.map_or(Value::Null, make))
}

pub(super) fn construct(ctx: &mut Ctx<'_>, args: &[Value]) -> Answer {
    let text = match args {
        [one] if one.is_null() => {
            return Err(Fault::Throw(ctx.world.throwable("java.lang.NullPointerException", Value::Null)));
        }
        [one] => {
            let text = ctx.text(one)?;
            // `new File(uri)`
            match value_of(one) {
                Some(Java::Address(_)) => clean(text.strip_prefix("file:").unwrap_or(&text)),
                _ => clean(&text),
            }
        }
        [parent, child] => {
            let parent = if parent.is_null() { String::new() } else { ctx.text(parent)? };
            under(&parent, &ctx.text(child)?)
        }
        _ => return Ok(None),
    };
    ctx.room(text.len())?;
    yes(file(ctx, text))
}

pub(super) fn statics(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    if !matches!(name, "get" | "of") {
        return Ok(None);
    }
    let mut whole = String::new();
    for part in args {
        let parts = match part {
            Value::List(l) if l.is_array() => l.snapshot(),
            other => vec![other.clone()],
        };
        for part in parts {
            whole = under(&whole, &ctx.text(&part)?);
            ctx.room(whole.len())?;
        }
    }
    yes(path(ctx, whole))
}

/// The path without `.` and `..`; a relative one would need the folder of a process.
fn absolute(ctx: &mut Ctx<'_>, text: &str, what: &str) -> Result<String, Fault> {
    if text.starts_with('/') { Ok(text.to_string()) } else { Err(ctx.refuse(what, Outside::Files)) }
}

fn normal(text: &str) -> String {
    clean(&super::address::normal(text))
}

pub(super) fn method(ctx: &mut Ctx<'_>, o: &Rc<Object>, text: &Str, name: &str, args: &[Value]) -> Answer {
    ctx.pay(text.len() / 256)?;
    match (name, args) {
        ("isAbsolute", []) => return yes(text.starts_with('/')),
        ("hashCode", []) => return yes(Value::Int(crate::value::hash::text(text) ^ 1_234_321)),
        ("toURI" | "toUri" | "toURL", []) => {
            let whole = absolute(ctx, text, &format!("{} of a relative path", o.class.name))?;
            return super::address::of_text(ctx, &format!("file:{whole}"), name == "toURL").map(Some);
        }
        _ => {}
    }
    if &*o.class.name == FILE {
        return file_method(ctx, text, name, args);
    }
    let names: Vec<&str> = text.split('/').filter(|n| !n.is_empty()).collect();
    match (name, args) {
        ("getFileName", []) => or_null(names.last(), |n| path(ctx, (*n).to_string())),
        ("getParent", []) => or_null(parent_of(text), |p| path(ctx, p.to_string())),
        ("getRoot", []) => or_null(text.starts_with('/').then_some("/"), |r| path(ctx, r.to_string())),
        ("getNameCount", []) => yes(Value::Int(names.len() as i32)),
        ("getName", [n]) => match names.get(convert::count(Some(n))) {
            Some(name) => yes(path(ctx, (*name).to_string())),
            None => Err(Fault::Throw(ctx.world.throwable("java.lang.IllegalArgumentException", Value::Null))),
        },
        ("subpath", [from, to]) => match names.get(convert::count(Some(from))..convert::count(Some(to))) {
            Some(part) if !part.is_empty() => yes(path(ctx, part.join("/"))),
            _ => Err(Fault::Throw(ctx.world.throwable("java.lang.IllegalArgumentException", Value::Null))),
        },
        ("resolve" | "resolveSibling", [other]) => {
            let other = ctx.text(other)?;
            let base = if name == "resolve" { text.as_str() } else { parent_of(text).unwrap_or("") };
            let whole = if other.starts_with('/') { clean(&other) } else { under(base, &other) };
            ctx.room(whole.len())?;
            yes(path(ctx, clean(&whole)))
        }
        ("relativize", [other]) => {
            let other = ctx.text(other)?;
            if other.starts_with('/') != text.starts_with('/') {
                return Err(ctx.world.illegal("'other' is different type of Path"));
            }
            let others: Vec<&str> = other.split('/').filter(|n| !n.is_empty()).collect();
            let same = names.iter().zip(&others).take_while(|(a, b)| a == b).count();
            let up = std::iter::repeat_n("..", names.len() - same);
            let parts: Vec<&str> = up.chain(others[same..].iter().copied()).collect();
            yes(path(ctx, parts.join("/")))
        }
        ("startsWith" | "endsWith", [other]) => {
            let other = clean(&ctx.text(other)?);
            let others: Vec<&str> = other.split('/').filter(|n| !n.is_empty()).collect();
            yes(if name == "startsWith" {
                other.starts_with('/') == text.starts_with('/') && names.starts_with(&others)
            } else {
                names.ends_with(&others) && (!other.starts_with('/') || clean(text) == other)
            })
        }
        ("normalize", []) => yes(path(ctx, normal(text))),
        ("toAbsolutePath", []) => {
            let whole = absolute(ctx, text, "java.nio.file.Path.toAbsolutePath of a relative path")?;
            yes(path(ctx, whole))
        }
        ("toFile", []) => yes(file(ctx, text.to_string())),
        ("toRealPath", _) => Err(ctx.refuse("java.nio.file.Path.toRealPath", Outside::Files)),
        _ => Ok(None),
    }
}

fn file_method(ctx: &mut Ctx<'_>, text: &Str, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("getName", []) => yes(name_of(text)),
        ("getPath", []) => yes(Value::Str(text.clone())),
        ("getParent", []) => or_null(parent_of(text), Value::str),
        ("getParentFile", []) => or_null(parent_of(text), |p| file(ctx, p.to_string())),
        ("getAbsolutePath" | "getCanonicalPath" | "getAbsoluteFile" | "getCanonicalFile", []) => {
            let whole = absolute(ctx, text, &format!("java.io.File.{name} of a relative path"))?;
            let whole = if name.contains("Canonical") { normal(&whole) } else { whole };
            yes(if name.ends_with("File") { file(ctx, whole) } else { Value::str(whole) })
        }
        ("toPath", []) => yes(path(ctx, text.to_string())),
        ("asBoolean", []) => yes(true),
        _ => Ok(None),
    }
}
