//! Equality, order and `isCase`, asking the script's `equals` and `compareTo` where it has them.

use std::cmp::Ordering;

use crate::ast::BinaryOp;
use crate::machine::{Ctx, Fault};
use crate::value::{Compared, Key, Map, Script, Value, compare_plain, equal_by, hash, same_key_by, text_work};

/// Groovy's `==`.
pub(crate) fn equals(ctx: &mut Ctx<'_>, a: &Value, b: &Value) -> Result<bool, Fault> {
    if (asks(a) || asks(b)) && a.is_text() && b.is_text() {
        return Ok(ctx.text(a)? == ctx.text(b)?);
    }
    compared(ctx, a, b, equal_by)
}

/// Whether only the script can say what a text is.
fn asks(value: &Value) -> bool {
    let only_it = |part: &Value| matches!(part, Value::Closure(_) | Value::Object(_) | Value::GString(_));
    matches!(value, Value::GString(text) if text.values.iter().any(only_it))
}

/// Java's `equals` of two keys.
pub(super) fn same_key(ctx: &mut Ctx<'_>, a: &Value, b: &Value) -> Result<bool, Fault> {
    compared(ctx, a, b, same_key_by)
}

fn compared(
    ctx: &mut Ctx<'_>,
    a: &Value,
    b: &Value,
    how: fn(&Value, &Value, &mut dyn Script, &mut usize) -> Option<bool>,
) -> Result<bool, Fault> {
    let mut pairs = 0;
    let mut asked = Asked { ctx, fault: None };
    let answer = how(a, b, &mut asked, &mut pairs);
    let fault = asked.fault;
    ctx.pay(pairs / PAIRS_AT_ONCE)?;
    match fault {
        Some(fault) => Err(fault),
        None => Ok(answer.unwrap_or(false)),
    }
}

/// The script, and why it did not answer.
struct Asked<'a, 'c> {
    ctx: &'a mut Ctx<'c>,
    fault: Option<Fault>,
}

impl Script for Asked<'_, '_> {
    fn equal(&mut self, a: &Value, b: &Value) -> Option<bool> {
        object_equals(self.ctx, a, b).map_err(|fault| self.fault = Some(fault)).ok()
    }

    fn held(&mut self, map: &Map, key: &Value) -> Option<Option<Value>> {
        let held = super::sets::key(self.ctx, map, key);
        map.forget_place();
        match held {
            Ok(held) => Some(map.has(&held).then_some(held)),
            // A key that a sorted map cannot have is not there.
            Err(Fault::Throw(_)) => Some(None),
            Err(fault) => {
                self.fault = Some(fault);
                None
            }
        }
    }
}

/// Pairs of values that are compared for about the price of one instruction.
pub(super) const PAIRS_AT_ONCE: usize = 2;

fn object_equals(ctx: &Ctx<'_>, a: &Value, b: &Value) -> Result<bool, Fault> {
    if let Value::Object(o) = a {
        if o.class.has_method("equals") {
            return Ok(ctx.ask(a, "equals", std::slice::from_ref(b))?.truth());
        }
        let same_class = matches!(b, Value::Object(p) if p.class == o.class);
        if o.class.has_method("compareTo") && same_class {
            // What cannot be compared is not equal.
            return Ok(ctx.ask(a, "$compared", std::slice::from_ref(b))?.as_i64() == Some(0));
        }
    }
    Ok(a.same(b))
}

/// Groovy's `<=>`.
pub(crate) fn compare(ctx: &mut Ctx<'_>, a: &Value, b: &Value) -> Result<Ordering, Fault> {
    if !asks(a)
        && !asks(b)
        && let Compared::Order(order) = compare_plain(a, b)
    {
        return ctx.pay(text_work(a, b) / PAIRS_AT_ONCE).map(|()| order);
    }
    if matches!(a, Value::GString(_)) && !b.is_null() || asks(b) && a.is_text() {
        let (x, y) = (ctx.str(a)?, ctx.str(b)?);
        if let Compared::Order(order) = compare_plain(&Value::Str(x), &Value::Str(y)) {
            return Ok(order);
        }
    }
    // A string of one letter counts as a number beside a number.
    let letter = |v: &Value| match v {
        Value::Str(s) if s.units() == 1 => s.unit(0).map(|u| Value::Int(i32::from(u))),
        v if crate::value::is_number(v) => Some(v.clone()),
        _ => None,
    };
    if let (Some(x), Some(y)) = (letter(a), letter(b))
        && let Compared::Order(order) = compare_plain(&x, &y)
    {
        return Ok(order);
    }
    if let Value::Object(x) = a
        && x.class.has_method("compareTo")
    {
        let answer = ctx.ask(a, "compareTo", std::slice::from_ref(b))?;
        return Ok(answer.as_i64().unwrap_or(0).cmp(&0));
    }
    // What has no order is not equal because it looks alike.
    if a.same(b) {
        return Ok(Ordering::Equal);
    }
    incomparable(ctx, a, b)
}

/// Java's `compareTo`: numbers compare with numbers, all else with its own class.
pub(crate) fn java_compare(ctx: &mut Ctx<'_>, a: &Value, b: &Value) -> Result<Ordering, Fault> {
    let is_text = |v: &Value| matches!(v, Value::Str(_) | Value::GString(_));
    // A GString compares its text with that of anything.
    if let (Value::GString(_), false) = (a, b.is_null()) {
        let (x, y) = (ctx.str(a)?, ctx.str(b)?);
        return compare(ctx, &Value::Str(x), &Value::Str(y));
    }
    if crate::value::is_number(a) != crate::value::is_number(b) || is_text(a) && !is_text(b) {
        return incomparable(ctx, a, b);
    }
    compare(ctx, a, b)
}

/// The exception for two values without an order: what compares itself with its own class only says so by a failed cast.
fn incomparable(ctx: &mut Ctx<'_>, a: &Value, b: &Value) -> Result<Ordering, Fault> {
    if b.is_null() {
        return Err(ctx.world.null_pointer("the argument is null"));
    }
    if matches!(a, Value::Object(o) if o.class.enumeration().is_some()) {
        return Err(ctx.fail("java.lang.ClassCastException", class_cast(&b.type_name(), "java.lang.Enum")));
    }
    let message = format!("Cannot compare {} and {}", shown(ctx, a)?, shown(ctx, b)?);
    let comparable = match a {
        Value::Object(o) => o.class.is_a("java.lang.Comparable"),
        other => crate::value::is_subtype(&other.type_name(), "java.lang.Comparable"),
    };
    Err(match (comparable, a) {
        (true, Value::Object(o)) if o.java().is_none() => ctx.world.illegal(message),
        (true, _) => ctx.fail("java.lang.ClassCastException", class_cast(&b.type_name(), &a.type_name())),
        _ => ctx.fail("groovy.lang.GroovyRuntimeException", message),
    })
}

/// The words of a failed cast between classes of Java itself.
pub(crate) fn class_cast(from: &str, to: &str) -> String {
    let own = |name: &str| name.starts_with("java.");
    let whose = if own(from) && own(to) {
        format!(" ({from} and {to} are in module java.base of loader 'bootstrap')")
    } else {
        String::new()
    };
    format!("class {from} cannot be cast to class {to}{whose}")
}

/// Class and value as Java's `MessageFormat` writes them: whole numbers with commas.
fn shown(ctx: &mut Ctx<'_>, v: &Value) -> Result<String, Fault> {
    let text = match v {
        Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_) | Value::BigInt(_) => {
            super::format::format(ctx, "%,d", std::slice::from_ref(v))?.to_text()
        }
        other => ctx.styled(other, crate::value::render::Style::Java)?,
    };
    Ok(format!("{} with value '{text}'", v.type_name()))
}

/// The order that sorting uses: what cannot be compared is ordered by its hash.
pub(crate) fn order(ctx: &mut Ctx<'_>, a: &Value, b: &Value) -> Result<Ordering, Fault> {
    match compare(ctx, a, b) {
        Err(Fault::Throw(_)) => {
            let (x, y) = (hash::hash_code(a), hash::hash_code(b));
            let same = match (a, b) {
                (Value::List(_) | Value::Map(_), Value::List(_) | Value::Map(_)) => Key(a.clone()) == Key(b.clone()),
                _ => super::objects::java_equals(ctx, a, b)?,
            };
            Ok(if x == y && same {
                Ordering::Equal
            } else if x > y {
                Ordering::Greater
            } else {
                Ordering::Less
            })
        }
        other => other,
    }
}

/// `<`, `<=`, `>`, `>=`
pub(crate) fn relation(ctx: &mut Ctx<'_>, op: BinaryOp, a: &Value, b: &Value) -> Result<bool, Fault> {
    let order = compare(ctx, a, b)?;
    Ok(match op {
        BinaryOp::Less => order.is_lt(),
        BinaryOp::LessEq => order.is_le(),
        BinaryOp::Greater => order.is_gt(),
        _ => order.is_ge(),
    })
}

/// Whether `value` is a case of `test` (for all but classes and closures).
pub(crate) fn is_case(ctx: &mut Ctx<'_>, test: &Value, value: &Value) -> Result<bool, Fault> {
    match test {
        Value::Range(r) => Ok(r.has(value)),
        Value::List(_) | Value::Set(_) => contains(ctx, test, value),
        Value::Object(o) if o.as_list().is_some() => contains(ctx, test, value),
        // What a map has for it counts, not whether it has the key.
        Value::Map(_) => {
            let found = super::method(ctx, test, "get", std::slice::from_ref(value))?.unwrap_or_default();
            super::convert::truth(ctx, &found)
        }
        Value::Pattern(p) => {
            if value.is_null() {
                return Ok(false);
            }
            let text = ctx.text(value)?;
            super::regex::checked(ctx, p.matches(&text)).map(|m| m.is_some())
        }
        Value::Str(_) | Value::GString(_) if !value.is_null() => Ok(ctx.text(test)? == ctx.text(value)?),
        other => equals(ctx, other, value),
    }
}

/// Whether a collection has the item.
pub(crate) fn contains(ctx: &mut Ctx<'_>, collection: &Value, item: &Value) -> Result<bool, Fault> {
    if let Value::Set(s) = collection {
        let item = super::sets::key(ctx, s, item)?;
        s.forget_place();
        return Ok(s.has(&item));
    }
    Ok(java_position(ctx, &collection.items().unwrap_or_default(), item)?.is_some())
}

/// How many items are copied and compared in the time of an instruction.
const COMPARED_PER_INSTRUCTION: usize = 4;

/// Where an item is that is equal as Java's collections see it: `1` is not `1L`, and no `GString` is a `String`.
pub(crate) fn java_position(ctx: &mut Ctx<'_>, items: &[Value], item: &Value) -> Result<Option<usize>, Fault> {
    ctx.pay(items.len() / COMPARED_PER_INSTRUCTION)?;
    for (i, x) in items.iter().enumerate() {
        if super::objects::java_equals(ctx, item, x)? {
            return Ok(Some(i));
        }
    }
    Ok(None)
}

/// Where an item is, by Groovy's `==`.
pub(crate) fn position(ctx: &mut Ctx<'_>, items: &[Value], item: &Value) -> Result<Option<usize>, Fault> {
    ctx.pay(items.len() / COMPARED_PER_INSTRUCTION)?;
    for (i, x) in items.iter().enumerate() {
        if equals(ctx, x, item)? {
            return Ok(Some(i));
        }
    }
    Ok(None)
}

/// Sorts by the natural order; stable, and able to stop for the script's `compareTo`. The steps are those of Java's sort, for an
/// order that is none shows them: `$mergeSort` of the prelude takes the same.
pub(crate) fn sort(ctx: &mut Ctx<'_>, items: &mut [Value]) -> Result<(), Fault> {
    ctx.world.charge(items.len());
    let n = items.len();
    if n < 32 {
        return insertion_sort(ctx, items);
    }
    let (mut from, mut to) = (items.to_vec(), items.to_vec());
    let mut width = 1;
    while width < n {
        for low in (0..n).step_by(2 * width) {
            let (mid, high) = ((low + width).min(n), (low + 2 * width).min(n));
            let (mut a, mut b) = (low, mid);
            for place in &mut to[low..high] {
                let left = a < mid && (b >= high || order(ctx, &from[b], &from[a])?.is_ge());
                let next = if left { &mut a } else { &mut b };
                *place = from[*next].clone();
                *next += 1;
            }
        }
        std::mem::swap(&mut from, &mut to);
        width *= 2;
    }
    items.clone_from_slice(&from);
    Ok(())
}

fn insertion_sort(ctx: &mut Ctx<'_>, items: &mut [Value]) -> Result<(), Fault> {
    let n = items.len();
    if n < 2 {
        return Ok(());
    }
    let falls = |ctx: &mut Ctx<'_>, items: &[Value], at: usize| Ok(order(ctx, &items[at], &items[at - 1])?.is_lt());
    let falling = falls(ctx, items, 1)?;
    let mut sorted = 2;
    while sorted < n && falls(ctx, items, sorted)? == falling {
        sorted += 1;
    }
    if falling {
        items[..sorted].reverse();
    }
    for at in sorted..n {
        let (mut low, mut high) = (0, at);
        while low < high {
            let mid = (low + high) / 2;
            if order(ctx, &items[at], &items[mid])?.is_lt() { high = mid } else { low = mid + 1 }
        }
        items[low..=at].rotate_right(1);
    }
    Ok(())
}
