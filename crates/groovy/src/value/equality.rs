//! Equality and order of values, without recursion and with bounded work.

use std::cmp::Ordering;
use std::rc::Rc;

use num_bigint::BigInt;

use super::{Decimal, Native, Value};

/// Pairs that one comparison looks at before it answers "not equal": more than any real data has, few enough to end.
const PAIRS_MAX: usize = 20_000_000;

/// What comparing two values needs.
#[derive(Debug)]
pub(crate) enum Compared {
    /// The answer.
    Order(Ordering),
    /// The values have no order that is known without the script (or none at all).
    Unknown,
}

/// Groovy's `==` without methods of the script.
pub(crate) fn equal_plain(a: &Value, b: &Value) -> bool {
    equal_by(a, b, &mut |a, b| Some(identical(a, b)), &mut 0).unwrap_or(false)
}

/// Groovy's `==`. `objects` answers for script objects; `None` from it ends the comparison with `None`. `pairs` counts what was
/// looked at.
pub(crate) fn equal_by(
    a: &Value,
    b: &Value,
    objects: &mut dyn FnMut(&Value, &Value) -> Option<bool>,
    pairs: &mut usize,
) -> Option<bool> {
    if let Some(answer) = equal_leaf(a, b) {
        *pairs += text_work(a, b);
        return Some(answer);
    }
    let mut work = vec![(a.clone(), b.clone())];
    while let Some((a, b)) = work.pop() {
        *pairs += 1 + text_work(&a, &b);
        if *pairs > PAIRS_MAX {
            return Some(false);
        }
        match equal_leaf(&a, &b) {
            Some(true) => continue,
            Some(false) => return Some(false),
            None => {}
        }
        if identical(&a, &b) {
            continue;
        }
        match expand(&a, &b, &mut work) {
            Expanded::Same => {}
            Expanded::Different => return Some(false),
            Expanded::Objects => match objects(&a, &b) {
                Some(true) => {}
                other => return other,
            },
        }
    }
    Some(true)
}

/// Text that is compared for about the price of a pair of other values.
const BYTES_A_PAIR: usize = 128;

/// What comparing two texts costs, in pairs.
pub(crate) fn text_work(a: &Value, b: &Value) -> usize {
    match (a, b) {
        (Value::Str(x), Value::Str(y)) => x.len().min(y.len()) / BYTES_A_PAIR,
        _ => 0,
    }
}

enum Expanded {
    Same,
    Different,
    Objects,
}

fn verdict(same: bool) -> Expanded {
    if same { Expanded::Same } else { Expanded::Different }
}

fn expand(a: &Value, b: &Value, work: &mut Vec<(Value, Value)>) -> Expanded {
    match (a, b) {
        (Value::List(x), Value::List(y)) => {
            if x.len() != y.len() {
                return Expanded::Different;
            }
            work.extend(x.items().iter().cloned().zip(y.items().iter().cloned()).rev());
            Expanded::Same
        }
        (Value::Range(r), Value::List(l)) | (Value::List(l), Value::Range(r)) => {
            if r.size() != l.len() as u64 {
                return Expanded::Different;
            }
            work.extend(r.iter().zip(l.items().iter().cloned()));
            Expanded::Same
        }
        (Value::Range(x), Value::Range(y)) => verdict(x.ends() == y.ends() && x.kind == y.kind),
        (Value::Map(x), Value::Map(y)) => {
            if x.len() != y.len() {
                return Expanded::Different;
            }
            for (key, value) in x.entries().iter() {
                match y.get(&key.0) {
                    Some(other) => work.push((value.clone(), other)),
                    None => return Expanded::Different,
                }
            }
            Expanded::Same
        }
        (Value::Set(x), Value::Set(y)) => {
            let same = x.len() == y.len() && x.entries().keys().all(|k| y.has(&k.0));
            verdict(same)
        }
        (Value::Entry(x), Value::Entry(y)) => {
            work.push((x.key.clone(), y.key.clone()));
            work.push((x.value.borrow().clone(), y.value.borrow().clone()));
            Expanded::Same
        }
        (Value::Object(x), Value::Object(y)) if let Some((x, y)) = compared(x, y) => {
            work.extend(x.into_iter().zip(y));
            Expanded::Same
        }
        (Value::Object(_), _) | (_, Value::Object(_)) => match (map_of(a), map_of(b)) {
            (Some(x), Some(y)) => {
                work.push((x, y));
                Expanded::Same
            }
            _ => match java_same(a, b) {
                Some(same) => verdict(same),
                None => Expanded::Objects,
            },
        },
        _ => verdict(identical(a, b)),
    }
}

/// The values of two objects that are equal when these are.
fn compared(x: &super::Object, y: &super::Object) -> Option<(Vec<Value>, Vec<Value>)> {
    let ((of_x, x_values), (of_y, y_values)) = (x.compared()?, y.compared()?);
    let asks = x.class.has_method("equals") || y.class.has_method("equals");
    (of_x == of_y && !asks).then_some((x_values, y_values))
}

/// Whether two of Java's plain values are equal.
fn java_same(a: &Value, b: &Value) -> Option<bool> {
    let (Value::Object(x), Value::Object(y)) = (a, b) else { return None };
    match (&*x.native.borrow(), &*y.native.borrow()) {
        (Native::Java(x), Native::Java(y)) => x.same(y),
        _ => None,
    }
}

/// The order of two of Java's plain values.
fn java_order(a: &Value, b: &Value) -> Option<Ordering> {
    let (Value::Object(x), Value::Object(y)) = (a, b) else { return None };
    match (&*x.native.borrow(), &*y.native.borrow()) {
        (Native::Java(x), Native::Java(y)) => x.order(y),
        _ => None,
    }
}

fn map_of(value: &Value) -> Option<Value> {
    match value {
        Value::Map(_) => Some(value.clone()),
        Value::Object(o) => match &*o.native.borrow() {
            Native::Map(m) => Some(Value::Map(m.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// The answer for values without contents.
fn equal_leaf(a: &Value, b: &Value) -> Option<bool> {
    Some(match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Null, _) | (_, Value::Null) => false,
        (Value::Bool(x), Value::Bool(y)) => x == y,
        (Value::Int(x), Value::Int(y)) => x == y,
        (Value::Str(x), Value::Str(y)) => x == y,
        (Value::Str(_) | Value::GString(_), Value::Str(_) | Value::GString(_)) => a.to_text() == b.to_text(),
        (Value::Char(x), Value::Str(y)) | (Value::Str(y), Value::Char(x)) => y.units() == 1 && y.unit(0) == Some(*x),
        // Java compares two of the same class by their text.
        (Value::Buffer(x), Value::Buffer(y)) if x.kind == y.kind && x.kind != super::BufferKind::Writer => {
            Rc::ptr_eq(x, y) || *x.text.borrow() == *y.text.borrow()
        }
        (Value::Class(x), Value::Class(y)) => x == y,
        (Value::Host(x), Value::Host(y)) => x == y,
        _ if is_number(a) && is_number(b) => numeric_order(a, b) == Some(Ordering::Equal),
        // A string of one letter is a character beside a number.
        (Value::Str(s), n) | (n, Value::Str(s)) if is_number(n) => {
            s.units() == 1 && s.unit(0).is_some_and(|u| numeric_order(&Value::Char(u), n) == Some(Ordering::Equal))
        }
        (Value::Bool(_) | Value::Str(_) | Value::Class(_) | Value::Host(_), _) if !matches!(b, Value::Object(_)) => {
            false
        }
        _ => return None,
    })
}

/// Whether it counts as a number in comparisons (a character does).
pub(crate) fn is_number(v: &Value) -> bool {
    matches!(
        v,
        Value::Byte(_)
            | Value::Short(_)
            | Value::Int(_)
            | Value::Long(_)
            | Value::BigInt(_)
            | Value::Decimal(_)
            | Value::Float(_)
            | Value::Double(_)
            | Value::Char(_)
    )
}

fn floating(v: &Value) -> Option<f64> {
    match v {
        Value::Float(n) => Some(f64::from(*n)),
        Value::Double(n) => Some(*n),
        _ => None,
    }
}

/// A number as a double.
pub(crate) fn to_f64(v: &Value) -> Option<f64> {
    match v {
        Value::Decimal(d) => Some(d.to_f64()),
        Value::BigInt(n) => n.to_string().parse().ok(),
        _ => floating(v).or_else(|| v.as_i64().map(|n| n as f64)),
    }
}

/// An exact number as a decimal.
pub(crate) fn to_decimal(v: &Value) -> Option<Decimal> {
    match v {
        Value::Decimal(d) => Some((**d).clone()),
        Value::BigInt(n) => Some(Decimal::new((**n).clone(), 0)),
        Value::Float(n) => Decimal::from_double(f64::from(*n)),
        Value::Double(n) => Decimal::from_double(*n),
        _ => v.as_i64().map(|n| Decimal::new(BigInt::from(n), 0)),
    }
}

/// Order of two numbers of any types.
pub(crate) fn numeric_order(a: &Value, b: &Value) -> Option<Ordering> {
    if let (Value::Int(x), Value::Int(y)) = (a, b) {
        return Some(x.cmp(y));
    }
    if floating(a).is_some() || floating(b).is_some() {
        let (x, y) = (to_f64(a)?, to_f64(b)?);
        return Some(x.partial_cmp(&y).unwrap_or_else(|| x.is_nan().cmp(&y.is_nan())));
    }
    match (a, b) {
        (Value::BigInt(_) | Value::Decimal(_), _) | (_, Value::BigInt(_) | Value::Decimal(_)) => {
            Some(to_decimal(a)?.compare(&to_decimal(b)?))
        }
        _ => Some(a.as_i64()?.cmp(&b.as_i64()?)),
    }
}

/// Groovy's `<=>` without methods of the script.
pub(crate) fn compare_plain(a: &Value, b: &Value) -> Compared {
    match (a, b) {
        (Value::Null, Value::Null) => Compared::Order(Ordering::Equal),
        (Value::Null, _) => Compared::Order(Ordering::Less),
        (_, Value::Null) => Compared::Order(Ordering::Greater),
        (Value::Bool(x), Value::Bool(y)) => Compared::Order(x.cmp(y)),
        (Value::Char(x), Value::Str(y)) => text_order(&Value::unit_text(*x), y),
        (Value::Str(x), Value::Char(y)) => text_order(x, &Value::unit_text(*y)),
        (Value::Str(x), Value::Str(y)) => text_order(x, y),
        (Value::Str(_) | Value::GString(_), Value::Str(_) | Value::GString(_)) => {
            text_order(&a.to_text(), &b.to_text())
        }
        _ if is_number(a) && is_number(b) => numeric_order(a, b).map_or(Compared::Unknown, Compared::Order),
        _ => java_order(a, b).or_else(|| constant_order(a, b)).map_or(Compared::Unknown, Compared::Order),
    }
}

/// Constants of an enum are in the order in which they are declared.
fn constant_order(a: &Value, b: &Value) -> Option<Ordering> {
    let (Value::Object(x), Value::Object(y)) = (a, b) else { return None };
    let of_one_enum = x.class.enumeration()? == y.class.enumeration()?;
    of_one_enum.then(|| x.field("$ordinal")?.as_i64().partial_cmp(&y.field("$ordinal")?.as_i64())).flatten()
}

/// Java orders strings by UTF-16 units.
fn text_order(a: &str, b: &str) -> Compared {
    let order = if a.is_ascii() || b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) };
    Compared::Order(order)
}

/// Whether both are the same object.
pub(crate) fn identical(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::List(x), Value::List(y)) => Rc::ptr_eq(x, y),
        (Value::Map(x), Value::Map(y)) | (Value::Set(x), Value::Set(y)) => Rc::ptr_eq(x, y),
        (Value::Object(x), Value::Object(y)) => Rc::ptr_eq(x, y),
        (Value::Closure(x), Value::Closure(y)) => Rc::ptr_eq(x, y),
        (Value::GString(x), Value::GString(y)) => Rc::ptr_eq(x, y),
        (Value::Range(x), Value::Range(y)) => Rc::ptr_eq(x, y),
        (Value::Entry(x), Value::Entry(y)) => Rc::ptr_eq(x, y),
        (Value::Pattern(x), Value::Pattern(y)) => Rc::ptr_eq(x, y),
        (Value::Matcher(x), Value::Matcher(y)) => Rc::ptr_eq(x, y),
        (Value::Buffer(x), Value::Buffer(y)) => Rc::ptr_eq(x, y),
        (Value::Iter(x), Value::Iter(y)) => Rc::ptr_eq(x, y),
        (Value::Float(x), Value::Float(y)) => x == y,
        (Value::Double(x), Value::Double(y)) => x == y,
        (Value::Null, _) | (_, Value::Null) => a.is_null() && b.is_null(),
        _ if std::mem::discriminant(a) == std::mem::discriminant(b) => equal_leaf(a, b).unwrap_or(false),
        _ => false,
    }
}

/// Java's `equals` of two map keys: types must agree, decimals must agree in scale.
pub(crate) fn same_key(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Str(x), Value::Str(y)) => x == y,
        (Value::Str(_), Value::GString(_)) | (Value::GString(_), Value::Str(_)) => false,
        (Value::Decimal(x), Value::Decimal(y)) => x.scale() == y.scale() && x.unscaled() == y.unscaled(),
        (Value::Range(_), Value::List(_)) | (Value::List(_), Value::Range(_)) => same_keys(a, b),
        (Value::List(x), Value::List(y)) if x.is_array() || y.is_array() => Rc::ptr_eq(x, y),
        (Value::List(_), Value::List(_)) | (Value::Map(_), Value::Map(_)) | (Value::Entry(_), Value::Entry(_)) => {
            same_keys(a, b)
        }
        (Value::Buffer(x), Value::Buffer(y)) => Rc::ptr_eq(x, y),
        (Value::Float(x), Value::Float(y)) => x.to_bits() == y.to_bits(),
        (Value::Double(x), Value::Double(y)) => x.to_bits() == y.to_bits(),
        _ if std::mem::discriminant(a) != std::mem::discriminant(b) => false,
        _ => equal_plain(a, b),
    }
}

/// [`same_key`] of the contents of collections.
fn same_keys(a: &Value, b: &Value) -> bool {
    let mut work = Vec::new();
    let mut next = Some((a.clone(), b.clone()));
    let mut pairs = 0;
    while let Some((a, b)) = next {
        pairs += 1;
        let collections = matches!(
            (&a, &b),
            (Value::List(_) | Value::Range(_), Value::List(_) | Value::Range(_))
                | (Value::Map(_), Value::Map(_))
                | (Value::Entry(_), Value::Entry(_))
        );
        let same = if !collections {
            same_key(&a, &b)
        } else {
            identical(&a, &b) || matches!(expand(&a, &b, &mut work), Expanded::Same)
        };
        super::Meter::work(pairs % 2);
        if !same || pairs > PAIRS_MAX {
            return false;
        }
        next = work.pop();
    }
    true
}
