//! Equality and order of values, without recursion and with bounded work.

use std::cmp::Ordering;
use std::rc::Rc;

use indexmap::IndexSet;
use num_bigint::BigInt;

use super::{Decimal, Key, Map, MapKind, Native, Order, Value, hash};

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

/// What only the script can say while values are compared. `None` ends the comparison without an answer.
pub(crate) trait Script {
    /// Whether two objects are equal.
    fn equal(&mut self, a: &Value, b: &Value) -> Option<bool>;

    /// The key that a map has for a key which it does not have as it is.
    fn held(&mut self, map: &Map, key: &Value) -> Option<Option<Value>>;
}

/// No script: objects are equal to themselves.
struct Unasked;

impl Script for Unasked {
    fn equal(&mut self, a: &Value, b: &Value) -> Option<bool> {
        Some(identical(a, b))
    }

    fn held(&mut self, map: &Map, key: &Value) -> Option<Option<Value>> {
        Some(map.equal_key(key).filter(|_| map.kind() == MapKind::Tree))
    }
}

/// Groovy's `==` without methods of the script.
pub(crate) fn equal_plain(a: &Value, b: &Value) -> bool {
    equal_by(a, b, &mut Unasked, &mut 0).unwrap_or(false)
}

/// Groovy's `==`. `pairs` counts what was looked at.
pub(crate) fn equal_by(a: &Value, b: &Value, script: &mut dyn Script, pairs: &mut usize) -> Option<bool> {
    if let Some(answer) = equal_leaf(a, b) {
        *pairs += text_work(a, b);
        return Some(answer);
    }
    Comparison { script, pairs, depth: 0, of_keys: false }.equal(a, b)
}

/// Java's `equals` of two keys, where the script is asked for what it has methods for.
pub(crate) fn same_key_by(a: &Value, b: &Value, script: &mut dyn Script, pairs: &mut usize) -> Option<bool> {
    Comparison { script, pairs, depth: 0, of_keys: true }.equal(a, b)
}

/// Sets within sets whose items are compared as Groovy does.
const SETS_MAX: u32 = 8;

/// A comparison on its way.
struct Comparison<'a> {
    script: &'a mut dyn Script,
    pairs: &'a mut usize,
    /// Sets around what is compared.
    depth: u32,
    /// Java's `equals` counts, not Groovy's `==`.
    of_keys: bool,
}

impl Comparison<'_> {
    fn equal(&mut self, a: &Value, b: &Value) -> Option<bool> {
        let mut work = vec![(a.clone(), b.clone())];
        while let Some((a, b)) = work.pop() {
            *self.pairs += 1 + text_work(&a, &b);
            if *self.pairs > PAIRS_MAX {
                return Some(false);
            }
            let leaf = if self.of_keys { key_leaf(&a, &b) } else { equal_leaf(&a, &b) };
            match leaf {
                Some(true) => continue,
                Some(false) => return Some(false),
                None => {}
            }
            if identical(&a, &b) {
                continue;
            }
            let same = match self.expand(&a, &b, &mut work)? {
                Expanded::Same => true,
                Expanded::Different => return Some(false),
                Expanded::Objects => self.script.equal(&a, &b)?,
                Expanded::Maps(x, y) => self.maps(&x, &y, &mut work)?,
                Expanded::Sets(x, y) => self.sets(&x, &y)?,
            };
            if !same {
                return Some(false);
            }
        }
        Some(true)
    }

    /// The values of the same keys of two maps are left to compare.
    fn maps(&mut self, x: &Map, y: &Map, work: &mut Vec<(Value, Value)>) -> Option<bool> {
        if x.len() != y.len() {
            return Some(false);
        }
        let mut missing = Vec::new();
        for (key, value) in x.entries().iter() {
            match y.get(&key.0) {
                Some(other) => work.push((value.clone(), other)),
                None => missing.push((key.0.clone(), value.clone())),
            }
        }
        for (key, value) in missing {
            let held = self.script.held(y, &key)?;
            let Some(other) = held.as_ref().and_then(|held| y.get(held)) else { return Some(false) };
            // One that sorts its keys may see more of them as equal than the other does.
            if let Some(held) = held.filter(|held| y.kind() == MapKind::Tree && !x.has(held))
                && self.script.held(x, &held)?.is_none()
            {
                return Some(false);
            }
            work.push((value, other));
        }
        Some(true)
    }

    /// Whether each item of a set is in the other. Groovy looks for one that is equal by `==`.
    fn sets(&mut self, x: &Map, y: &Map) -> Option<bool> {
        if x.len() != y.len() {
            return Some(false);
        }
        let missing: Vec<Value> = x.keys().into_iter().filter(|key| !y.has(key)).collect();
        if missing.is_empty() {
            return Some(true);
        }
        let mut left: IndexSet<Key> = y.keys().into_iter().filter(|key| !x.has(key)).map(Key).collect();
        *self.pairs += x.len() / 4;
        let mut apart = Vec::new();
        // A comparator says nothing of what is equal.
        let keyed = y.kind() != MapKind::Tree || y.key_order() == Order::Natural && y.comparator().is_none();
        for item in missing {
            let held = if keyed { self.script.held(y, &item)? } else { None };
            match held {
                Some(held) => drop(left.swap_remove(&Key(held))),
                None => apart.push(item),
            }
        }
        let loose = !self.of_keys && self.depth < SETS_MAX && !unlike(&apart, &left);
        for item in apart {
            let mut found = None;
            for (at, other) in left.iter().enumerate().take_while(|_| loose) {
                if self.inner().equal(&item, &other.0)? {
                    found = Some(at);
                    break;
                }
            }
            let Some(found) = found else { return Some(false) };
            left.swap_remove_index(found);
        }
        Some(true)
    }

    fn expand(&mut self, a: &Value, b: &Value, work: &mut Vec<(Value, Value)>) -> Option<Expanded> {
        let Value::Object(x) = a else { return Some(expand(a, b, work)) };
        if !self.of_keys {
            return Some(expand(a, b, work));
        }
        if hash::says(x) {
            return Some(Expanded::Objects);
        }
        // What is equal by its fields compares them as Groovy does.
        if x.marked(super::EQUAL_BY_FIELDS) {
            return self.inner().equal(a, b).map(verdict);
        }
        Some(match expand(a, b, work) {
            Expanded::Objects => Expanded::Different,
            other => other,
        })
    }

    /// A comparison of what is inside, by Groovy's `==`.
    fn inner(&mut self) -> Comparison<'_> {
        Comparison { script: &mut *self.script, pairs: &mut *self.pairs, depth: self.depth + 1, of_keys: false }
    }
}

/// Whether texts, or numbers of one class, are in neither as anything else: what differs is not equal.
fn unlike(items: &[Value], others: &IndexSet<Key>) -> bool {
    let Some(first) = items.first() else { return true };
    let plain = matches!(first, Value::Str(_) | Value::Int(_) | Value::Long(_) | Value::Bool(_) | Value::Null);
    let class = std::mem::discriminant(first);
    let mut all = items.iter().chain(others.iter().map(|key| &key.0));
    plain && all.all(|item| std::mem::discriminant(item) == class)
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
    Maps(Rc<Map>, Rc<Map>),
    Sets(Rc<Map>, Rc<Map>),
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
        (Value::Map(x), Value::Map(y)) => Expanded::Maps(x.clone(), y.clone()),
        (Value::Set(x), Value::Set(y)) => Expanded::Sets(x.clone(), y.clone()),
        (Value::Entry(x), Value::Entry(y)) => {
            work.push((x.key.clone(), y.key.clone()));
            work.push((x.value.borrow().clone(), y.value.borrow().clone()));
            Expanded::Same
        }
        (Value::Object(x), Value::Object(y)) if let Some((x, y)) = compared(x, y) => {
            work.extend(x.into_iter().zip(y));
            Expanded::Same
        }
        (Value::Object(_), _) | (_, Value::Object(_)) => match (held(a), held(b)) {
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

fn held(value: &Value) -> Option<Value> {
    match value {
        Value::Map(_) | Value::List(_) => Some(value.clone()),
        Value::Object(o) => o.held(),
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
    if let Some(answer) = key_leaf(a, b) {
        return answer;
    }
    let mut pairs = 0;
    let same = same_key_by(a, b, &mut Unasked, &mut pairs);
    super::Meter::work(pairs / 2);
    same.unwrap_or(false)
}

/// [`same_key`] of values without contents.
fn key_leaf(a: &Value, b: &Value) -> Option<bool> {
    Some(match (a, b) {
        (Value::Str(x), Value::Str(y)) => x == y,
        (Value::Str(_), Value::GString(_)) | (Value::GString(_), Value::Str(_)) => false,
        (Value::Decimal(x), Value::Decimal(y)) => x.scale() == y.scale() && x.unscaled() == y.unscaled(),
        (Value::List(x), Value::List(y)) if x.is_array() || y.is_array() => Rc::ptr_eq(x, y),
        (Value::Range(_), Value::List(_))
        | (Value::List(_), Value::Range(_) | Value::List(_))
        | (Value::Map(_), Value::Map(_))
        | (Value::Set(_), Value::Set(_))
        | (Value::Entry(_), Value::Entry(_)) => return None,
        (Value::Buffer(x), Value::Buffer(y)) => Rc::ptr_eq(x, y),
        (Value::Float(x), Value::Float(y)) => x.to_bits() == y.to_bits(),
        (Value::Double(x), Value::Double(y)) => x.to_bits() == y.to_bits(),
        (Value::Object(_), Value::Object(_)) => return None,
        (Value::Object(o), Value::List(_) | Value::Map(_)) | (Value::List(_) | Value::Map(_), Value::Object(o))
            if o.held().is_some() =>
        {
            return None;
        }
        _ if std::mem::discriminant(a) != std::mem::discriminant(b) => false,
        _ => return equal_leaf(a, b),
    })
}
