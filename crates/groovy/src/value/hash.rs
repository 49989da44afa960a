//! Java's hash codes, and the order in which a `HashMap` of Java's keeps its keys.

use num_bigint::{BigInt, Sign};

use super::{Decimal, Value};

/// Values that one hash looks at; more than any real key has. What contains itself ends here.
const VALUES_MAX: usize = 1_000_000;

/// How the hash of a collection is made of those of its items.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mix {
    /// `31 * h + x`
    List,
    /// `h + x`
    Sum,
    /// `h ^ x`
    Entry,
}

struct Open {
    items: std::vec::IntoIter<Value>,
    mix: Mix,
    hash: i32,
}

/// Java's `hashCode()` of a value, where no method of the script is needed for it. Objects answer by the name of their class: an
/// identity must not differ between runs.
pub(crate) fn hash_code(value: &Value) -> i32 {
    hash_by(value, &mut |_| None::<Result<i32, ()>>).unwrap_or(0)
}

/// [`hash_code`], where `ask` may answer for objects.
pub(crate) fn hash_by<E>(value: &Value, ask: &mut dyn FnMut(&Value) -> Option<Result<i32, E>>) -> Result<i32, E> {
    let mut single = |value: &Value| match value {
        Value::Object(_) => ask(value).unwrap_or_else(|| Ok(leaf(value))),
        other => Ok(leaf(other)),
    };
    let Some(first) = open(value) else { return single(value) };
    let mut work = vec![first];
    for step in 0..VALUES_MAX {
        super::Meter::work(step % 2);
        let Some(top) = work.last_mut() else { break };
        let next = top.items.next();
        let done = match next {
            Some(item) => match open(&item) {
                Some(inner) => {
                    work.push(inner);
                    continue;
                }
                None => single(&item)?,
            },
            None => {
                let hash = top.hash;
                work.pop();
                if work.is_empty() {
                    return Ok(hash);
                }
                hash
            }
        };
        if let Some(top) = work.last_mut() {
            top.hash = match top.mix {
                Mix::List => top.hash.wrapping_mul(31).wrapping_add(done),
                Mix::Sum => top.hash.wrapping_add(done),
                Mix::Entry => top.hash ^ done,
            };
        }
    }
    Ok(0)
}

/// Whether the script says what a value hashes to and equals: an object with methods for both, or what holds such.
pub(crate) fn asks(value: &Value) -> bool {
    let may =
        |v: &&Value| matches!(v, Value::Object(_) | Value::List(_) | Value::Map(_) | Value::Set(_) | Value::Entry(_));
    if !may(&value) {
        return false;
    }
    let mut work = vec![value.clone()];
    let mut steps = 0;
    while let Some(value) = work.pop() {
        steps += 1;
        match &value {
            Value::Object(o) if says(o) => return true,
            Value::Object(o) if o.marked(super::EQUAL_BY_FIELDS) => work.extend(o.field_values()),
            Value::List(l) if !l.is_array() => {
                steps += l.len() / 8;
                work.extend(l.items().iter().filter(may).cloned());
            }
            Value::Map(m) | Value::Set(m) => {
                steps += m.len() / 8;
                for (key, value) in m.entries().iter() {
                    work.extend([&key.0, value].into_iter().filter(may).cloned());
                }
            }
            Value::Entry(e) => work.extend([e.key.clone(), e.value.borrow().clone()]),
            _ => {}
        }
        if steps + work.len() > VALUES_MAX {
            break;
        }
    }
    super::Meter::work(steps / 2);
    false
}

/// Whether the class of an object has its own `equals` and `hashCode`.
pub(crate) fn says(object: &super::Object) -> bool {
    object.class.has_method("equals") && object.class.has_method("hashCode")
}

fn open(value: &Value) -> Option<Open> {
    let (items, mix, hash) = match value {
        Value::List(l) if !l.is_array() => (l.snapshot(), Mix::List, 1),
        Value::Range(r) if r.kind != super::RangeKind::Int && r.size() <= VALUES_MAX as u64 => {
            (r.iter().collect(), Mix::List, 1)
        }
        Value::Set(s) => (s.keys(), Mix::Sum, 0),
        Value::Map(m) => {
            let entry = |(key, value): (&super::Key, &Value)| {
                let value = std::cell::RefCell::new(value.clone());
                Value::Entry(std::rc::Rc::new(super::Entry { key: key.0.clone(), value, map: None }))
            };
            (m.entries().iter().map(entry).collect(), Mix::Sum, 0)
        }
        Value::Entry(e) => (vec![e.key.clone(), e.value.borrow().clone()], Mix::Entry, 0),
        Value::Object(o) if !o.class.has_method("hashCode") => return open(&o.held()?),
        _ => return None,
    };
    Some(Open { items: items.into_iter(), mix, hash })
}

fn leaf(value: &Value) -> i32 {
    match value {
        Value::Null => 0,
        Value::Bool(true) => 1231,
        Value::Bool(false) => 1237,
        Value::Byte(n) => i32::from(*n),
        Value::Short(n) => i32::from(*n),
        Value::Int(n) => *n,
        Value::Char(c) => i32::from(*c),
        Value::Long(n) => folded(*n as u64),
        Value::Float(n) => n.to_bits() as i32,
        Value::Double(n) => folded(n.to_bits()),
        Value::BigInt(n) => big(n),
        Value::Decimal(n) => decimal(n),
        Value::Str(s) => text(s),
        Value::GString(_) => text(&value.to_text()).wrapping_add(37),
        // An IntRange has a formula of its own.
        Value::Range(r) => match r.ends() {
            Some((a, b)) => {
                let (from, to) = (a.min(b) as i32, a.max(b) as i32);
                let sum = from.wrapping_add(to);
                (sum.wrapping_add(1).wrapping_mul(sum) >> 1).wrapping_add(to)
            }
            None => 1,
        },
        other => text(&other.type_name()),
    }
}

fn folded(bits: u64) -> i32 {
    (bits ^ (bits >> 32)) as i32
}

/// `String.hashCode()`
pub(crate) fn text(s: &str) -> i32 {
    s.encode_utf16().fold(0i32, |h, u| h.wrapping_mul(31).wrapping_add(i32::from(u)))
}

fn big(n: &BigInt) -> i32 {
    let words = n.iter_u32_digits().rev();
    let hash = words.fold(0i32, |h, w| h.wrapping_mul(31).wrapping_add(w as i32));
    if n.sign() == Sign::Minus { hash.wrapping_neg() } else { hash }
}

fn decimal(n: &Decimal) -> i32 {
    // A value that fits a long is hashed as one; the words are the same as those of a BigInteger.
    big(n.unscaled()).wrapping_mul(31).wrapping_add(n.scale() as i32)
}

/// The bucket of a hash in a table of this size (a power of two).
pub(crate) fn bucket(hash: i32, table: u32) -> u32 {
    let hash = hash as u32;
    (hash ^ (hash >> 16)) & (table - 1)
}

/// The smallest table of Java's for this capacity.
pub(crate) fn table_for(capacity: usize) -> u32 {
    u32::try_from(capacity).unwrap_or(1 << 30).clamp(1, 1 << 30).next_power_of_two()
}
