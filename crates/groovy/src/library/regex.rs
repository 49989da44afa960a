//! `=~`, `==~`, and the methods of strings that take regular expressions (without closures).

use std::rc::Rc;

use super::{Answer, int, yes};
use crate::ast::BinaryOp;
use crate::machine::{Ctx, Fault};
use crate::value::{Groups, Matcher, Pattern, PatternError, Str, Value};

/// An expression that gave up is an exception of the script.
pub(crate) fn checked<T>(ctx: &Ctx<'_>, result: Result<T, PatternError>) -> Result<T, Fault> {
    result.map_err(|e| ctx.fail("java.util.regex.PatternSyntaxException", e.0))
}

/// How many matches are looked at before their price is looked at.
const MATCHES_AT_ONCE: usize = 1024;

/// The matches of a text in the order of their places, to look at one by one. Ends where they cost more than the script has left.
fn each<'a>(
    ctx: &mut Ctx<'_>,
    p: &'a Pattern,
    s: &'a str,
    mut look: impl FnMut(&mut Ctx<'_>, Groups) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for (at, groups) in p.find_all(s).enumerate() {
        if at % MATCHES_AT_ONCE == 0 {
            ctx.pay(MATCHES_AT_ONCE)?;
        }
        let groups = checked(ctx, groups)?;
        look(ctx, groups)?;
    }
    Ok(())
}

/// All matches of a text at once: no more than there is memory for, with what is made of them.
pub(crate) fn all(ctx: &mut Ctx<'_>, p: &Pattern, s: &str) -> Result<Vec<Groups>, Fault> {
    let (mut out, size) = (Vec::new(), 8 + 4 * p.group_count() as u64);
    each(ctx, p, s, |ctx, groups| {
        if out.len() % MATCHES_AT_ONCE == 0 {
            ctx.room_for_items(out.len() as u64 * size)?;
        }
        out.push(groups);
        Ok(())
    })?;
    Ok(out)
}

/// How many matches there are.
pub(crate) fn count(ctx: &mut Ctx<'_>, m: &Matcher) -> Result<usize, Fault> {
    let mut count = 0;
    each(ctx, &m.pattern, &m.text, |_, _| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// The pattern that a value is, or is the text of.
pub(crate) fn pattern(ctx: &mut Ctx<'_>, value: &Value) -> Result<Rc<Pattern>, Fault> {
    match value {
        Value::Pattern(p) => Ok(p.clone()),
        other => {
            let text = ctx.text(other)?;
            ctx.world.pattern(&text, 0)
        }
    }
}

/// `text =~ pattern` and `text ==~ pattern`
pub(crate) fn operator(ctx: &mut Ctx<'_>, op: BinaryOp, a: &Value, b: &Value) -> Result<Value, Fault> {
    let pattern = pattern(ctx, b)?;
    if a.is_null() && op == BinaryOp::Match {
        return Ok(Value::Bool(false));
    }
    let text = ctx.str(a)?;
    ctx.world.charge(text.len() / 32);
    if op == BinaryOp::Match {
        return Ok(Value::Bool(checked(ctx, pattern.matches(&text))?.is_some()));
    }
    Ok(Value::Matcher(Rc::new(Matcher::new(pattern, text))))
}

pub(crate) fn string_method(ctx: &mut Ctx<'_>, s: &Str, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("matches", [p]) => {
            let p = pattern(ctx, p)?;
            yes(checked(ctx, p.matches(s))?.is_some())
        }
        ("replaceAll" | "replaceFirst", [p, new]) if !matches!(new, Value::Closure(_)) => {
            let (p, new) = (pattern(ctx, p)?, ctx.text(new)?);
            replace(ctx, s, &p, &new, name == "replaceFirst").map(Some)
        }
        ("split", []) => yes(array(super::strings::string_list(s.split(is_space).filter(|t| !t.is_empty())))),
        ("split", [p, rest @ ..]) if !matches!(p, Value::Closure(_)) => {
            let p = pattern(ctx, p)?;
            let limit = rest.first().and_then(int).unwrap_or(0);
            yes(array(Value::list(split(ctx, s, &p, limit)?)))
        }
        ("find", [p]) if !matches!(p, Value::Closure(_)) => {
            let p = pattern(ctx, p)?;
            let found = checked(ctx, p.find(s, 0))?.and_then(|g| g[0]);
            yes(found.map_or(Value::Null, |(a, b)| Value::str(&s[a..b])))
        }
        ("findAll", [p]) if !matches!(p, Value::Closure(_)) => {
            let p = pattern(ctx, p)?;
            let all = all(ctx, &p, s)?;
            yes(Value::list(all.iter().map(|g| group(s, g[0])).collect()))
        }
        // What the Groovy part of the library needs for closures on matches: `[[start, end, argument], …]`.
        ("$matches", [p]) => {
            let p = pattern(ctx, p)?;
            let all = all(ctx, &p, s)?;
            ctx.room_for_items(all.len() as u64 * 20)?;
            let items = all.iter().map(|g| {
                let (a, b) = g[0].unwrap_or((0, 0));
                Value::list(vec![Value::Int(a as i32), Value::Int(b as i32), match_value(s, g)])
            });
            yes(Value::list(items.collect()))
        }
        ("$bytes", [a, b]) => {
            let (a, b) = (int(a).unwrap_or(0) as usize, int(b).unwrap_or(s.len() as i64) as usize);
            yes(s.get(a..b.min(s.len())).unwrap_or_default())
        }
        ("eachMatch", _) => Ok(None),
        ("bitwiseNegate", []) => Ok(Some(Value::Pattern(ctx.world.pattern(s, 0)?))),
        _ => Ok(None),
    }
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{b}'
}

fn array(list: Value) -> Value {
    Value::array(list.items().unwrap_or_default(), "java.lang.String")
}

pub(crate) fn group(text: &str, place: Option<(usize, usize)>) -> Value {
    place.map_or(Value::Null, |(a, b)| Value::str(&text[a..b]))
}

/// A match as closures see it: the text, or text and groups.
pub(crate) fn match_value(text: &str, groups: &[Option<(usize, usize)>]) -> Value {
    if groups.len() == 1 {
        return group(text, groups[0]);
    }
    Value::list(groups.iter().map(|g| group(text, *g)).collect())
}

/// Java's replacement texts: `$1`, `${name}`, `\$`.
pub(crate) fn expand(
    ctx: &Ctx<'_>,
    template: &str,
    text: &str,
    pattern: &Pattern,
    groups: &[Option<(usize, usize)>],
    out: &mut String,
) -> Result<(), Fault> {
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            '$' => {
                let number = if chars.peek() == Some(&'{') {
                    chars.next();
                    let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
                    pattern
                        .group_number(&name)
                        .ok_or_else(|| ctx.world.illegal(format!("No group with name {{{name}}}")))?
                } else {
                    let Some(first) = chars.peek().and_then(|c| c.to_digit(10)) else {
                        return Err(ctx.world.illegal("Illegal group reference: group index is missing"));
                    };
                    chars.next();
                    let mut number = first as usize;
                    while let Some(d) = chars.peek().and_then(|c| c.to_digit(10)) {
                        let next = number * 10 + d as usize;
                        if next >= groups.len() {
                            break;
                        }
                        number = next;
                        chars.next();
                    }
                    number
                };
                let Some(place) = groups.get(number) else {
                    return Err(ctx.fail("java.lang.IndexOutOfBoundsException", format!("No group {number}")));
                };
                if let Some((a, b)) = place {
                    out.push_str(&text[*a..*b]);
                }
            }
            other => out.push(other),
        }
        ctx.room(out.len())?;
    }
    Ok(())
}

pub(crate) fn replace(ctx: &mut Ctx<'_>, s: &str, p: &Pattern, new: &str, first: bool) -> Result<Value, Fault> {
    let (mut out, mut from) = (String::new(), 0);
    let mut put = |ctx: &mut Ctx<'_>, groups: Groups| {
        let Some((a, b)) = groups[0] else { return Ok(()) };
        out.push_str(&s[from..a]);
        expand(ctx, new, s, p, &groups, &mut out)?;
        from = b;
        ctx.room(out.len())
    };
    if first {
        checked(ctx, p.find(s, 0))?.map_or(Ok(()), |groups| put(ctx, groups))?;
    } else {
        each(ctx, p, s, put)?;
    }
    out.push_str(&s[from..]);
    ctx.new_str(out)
}

/// Java's `split`: empty parts at the end go, unless there is a negative limit.
fn split(ctx: &mut Ctx<'_>, s: &str, p: &Pattern, limit: i64) -> Result<Vec<Value>, Fault> {
    let (mut parts, mut from) = (Vec::new(), 0);
    for groups in p.find_all(s) {
        let Some((a, b)) = checked(ctx, groups)?[0] else { continue };
        if parts.len() % MATCHES_AT_ONCE == 0 {
            ctx.room_for_items(parts.len() as u64 * 8)?;
            ctx.pay(MATCHES_AT_ONCE)?;
        }
        if limit > 0 && parts.len() as i64 == limit - 1 {
            break;
        }
        // An empty match at the start gives no empty first part.
        if b == 0 {
            continue;
        }
        parts.push(&s[from..a]);
        from = b;
    }
    parts.push(&s[from..]);
    if limit == 0 && parts.len() > 1 {
        while parts.last().is_some_and(|t| t.is_empty()) {
            parts.pop();
        }
    }
    Ok(parts.into_iter().map(Value::str).collect())
}
