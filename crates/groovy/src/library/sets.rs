//! Methods of sets.

use std::rc::Rc;

use super::{Answer, compare, lists, sequence, yes};
use crate::machine::Ctx;
use crate::value::{Map, MapKind, Value};

pub(crate) fn method(ctx: &mut Ctx<'_>, this: &Value, s: &Rc<Map>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("size", []) => return yes(Value::Int(s.len() as i32)),
        ("isEmpty", []) => return yes(s.is_empty()),
        ("contains", [item]) => return yes(compare::contains(ctx, this, item)?),
        ("iterator", []) => return yes(lists::iterator(this.clone())),
        ("clone", []) => return yes(lists::like(this, s.keys())),
        ("asImmutable" | "asUnmodifiable", []) => return yes(Value::Set(Rc::new(s.copy(MapKind::Fixed)))),
        ("toSet", []) => return yes(lists::like(this, s.keys())),
        ("getAt", [key]) => return super::index::get(ctx, this, key),
        _ => {}
    }
    const CHANGES: &[&str] = &["add", "addAll", "remove", "removeAll", "retainAll", "clear", "leftShift"];
    if CHANGES.contains(&name) && s.kind() == MapKind::Fixed {
        super::maps::writable(ctx, s)?;
    }
    match (name, args) {
        ("add", [item]) => return yes(s.add(item.clone())),
        ("addAll", [other]) => {
            let others = sequence(ctx, other)?.unwrap_or_default();
            ctx.room_for_items(2 * others.len() as u64)?;
            let mut changed = false;
            for item in others {
                changed |= s.add(item);
            }
            return yes(changed);
        }
        ("remove", [item]) => return yes(s.remove(item).is_some()),
        ("removeAll" | "retainAll", [other]) if !matches!(other, Value::Closure(_)) => {
            let others = sequence(ctx, other)?.unwrap_or_default();
            let mut changed = false;
            for item in s.keys() {
                if compare::java_position(ctx, &others, &item)?.is_some() == (name == "removeAll") {
                    s.remove(&item);
                    changed = true;
                }
            }
            return yes(changed);
        }
        ("clear", []) => {
            s.clear();
            return yes(Value::Null);
        }
        _ => {}
    }
    lists::whole(ctx, this, &s.keys(), name, args)
}
