//! Methods of `Matcher` and `Pattern`.

use std::rc::Rc;

use super::regex::{checked, expand, group, match_value};
use super::{Answer, int, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{Matcher, Pattern, Value};

/// All matches, as indexing and iterating show them.
pub(crate) fn all(ctx: &mut Ctx<'_>, m: &Matcher) -> Result<Vec<Value>, Fault> {
    let matches = super::regex::all(ctx, &m.pattern, &m.text)?;
    Ok(matches.iter().map(|g| match_value(&m.text, g)).collect())
}

fn current(ctx: &Ctx<'_>, m: &Matcher) -> Result<Vec<Option<(usize, usize)>>, Fault> {
    let groups = m.groups.borrow().clone();
    groups.ok_or_else(|| ctx.fail("java.lang.IllegalStateException", "No match found"))
}

fn group_number(ctx: &Ctx<'_>, m: &Matcher, key: &Value) -> Result<usize, Fault> {
    if let Some(n) = int(key) {
        let ok = usize::try_from(n).ok().filter(|n| *n <= m.pattern.group_count());
        return ok.ok_or_else(|| ctx.fail("java.lang.IndexOutOfBoundsException", format!("No group {n}")));
    }
    let name = ctx.text(key)?;
    m.pattern.group_number(&name).ok_or_else(|| ctx.world.illegal(format!("No group with name <{name}>")))
}

pub(crate) fn method(ctx: &mut Ctx<'_>, this: &Value, m: &Rc<Matcher>, name: &str, args: &[Value]) -> Answer {
    ctx.world.charge(m.text.len() / 64);
    match (name, args) {
        ("find", []) | ("asBoolean", []) => yes(checked(ctx, m.find_next())?),
        ("find", [from]) => {
            m.reset();
            *m.next.borrow_mut() = Some(m.text.byte_at(int(from).unwrap_or(0).max(0) as usize));
            yes(checked(ctx, m.find_next())?)
        }
        ("matches", []) => {
            let found = checked(ctx, m.pattern.matches(&m.text))?;
            let hit = found.is_some();
            *m.groups.borrow_mut() = found;
            yes(hit)
        }
        ("lookingAt", []) => {
            let found = checked(ctx, m.pattern.find(&m.text, 0))?.filter(|g| g[0].is_some_and(|(a, _)| a == 0));
            let hit = found.is_some();
            *m.groups.borrow_mut() = found;
            yes(hit)
        }
        ("group", []) => yes(group(&m.text, current(ctx, m)?[0])),
        ("group", [key]) => {
            let groups = current(ctx, m)?;
            let n = group_number(ctx, m, key)?;
            yes(group(&m.text, groups.get(n).copied().flatten()))
        }
        ("start" | "end", rest) => {
            let groups = current(ctx, m)?;
            let n = rest.first().map_or(Ok(0), |k| group_number(ctx, m, k))?;
            let place = groups.get(n).copied().flatten();
            let at = place.map_or(-1, |(a, b)| m.text.unit_at(if name == "start" { a } else { b }) as i32);
            yes(Value::Int(at))
        }
        ("groupCount", []) => yes(Value::Int(m.pattern.group_count() as i32)),
        ("hasGroup", []) => yes(m.pattern.group_count() > 0),
        ("reset", []) => {
            m.reset();
            Ok(Some(this.clone()))
        }
        ("size", []) => yes(Value::Long(super::regex::count(ctx, m)? as i64)),
        ("getCount" | "count", []) => yes(Value::Int(super::regex::count(ctx, m)? as i32)),
        ("replaceAll" | "replaceFirst", [new]) => {
            let new = ctx.text(new)?;
            super::regex::replace(ctx, &m.text, &m.pattern, &new, name == "replaceFirst").map(Some)
        }
        ("appendReplacement", [Value::Buffer(b), new]) => {
            let (new, groups) = (ctx.text(new)?, current(ctx, m)?);
            let (from, to) = groups[0].unwrap_or((0, 0));
            let mut out = m.text[m.append_at.get()..from].to_string();
            expand(ctx, &new, &m.text, &m.pattern, &groups, &mut out)?;
            ctx.room(b.text.borrow().len() + out.len())?;
            b.text.borrow_mut().push_str(&out);
            b.recount();
            m.append_at.set(to);
            Ok(Some(this.clone()))
        }
        ("appendTail", [target @ Value::Buffer(b)]) => {
            b.text.borrow_mut().push_str(&m.text[m.append_at.get()..]);
            b.recount();
            Ok(Some(target.clone()))
        }
        ("getAt", [key]) => super::index::get(ctx, this, key),
        ("toList" | "iterator", []) => {
            let list = Value::list(all(ctx, m)?);
            yes(if name == "iterator" { super::lists::iterator(list) } else { list })
        }
        ("pattern", []) => yes(Value::Pattern(m.pattern.clone())),
        _ => Ok(None),
    }
}

pub(crate) fn pattern_method(ctx: &mut Ctx<'_>, p: &Rc<Pattern>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("matcher", [text]) => {
            let text = ctx.str(text)?;
            yes(Value::Matcher(Rc::new(Matcher::new(p.clone(), text))))
        }
        ("pattern" | "toString", []) => yes(Value::Str(p.source.clone())),
        ("flags", []) => yes(Value::Int(p.flags)),
        ("split", [text]) => {
            let text = ctx.str(text)?;
            super::regex::string_method(ctx, &text, "split", &[Value::Pattern(p.clone())])
        }
        ("isCase", [value]) => yes(super::compare::is_case(ctx, &Value::Pattern(p.clone()), value)?),
        _ => Ok(None),
    }
}
