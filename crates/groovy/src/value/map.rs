//! Maps and sets. Order is insertion order (sorted for the tree kinds), never the order of hashes.

use std::cell::{Ref, RefCell};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use indexmap::IndexMap;

use super::meter::Charge;
use super::release::release;
use super::{Compared, Value, compare_plain, equality};

/// What a map or set says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// `LinkedHashMap`, `LinkedHashSet`
    Linked,
    /// `HashMap`, `HashSet` (here in insertion order)
    Hash,
    /// `TreeMap`, `TreeSet`
    Tree,
    /// An unmodifiable one.
    Fixed,
}

/// A value as a key: equal as Java's `equals` says, not as Groovy's `==`.
#[derive(Clone, Debug)]
pub struct Key(pub Value);

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        equality::same_key(&self.0, &other.0)
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_value(&self.0, state, 3);
    }
}

/// Coarse below the third level: equal keys hash equal, and no nesting can make it recurse.
fn hash_value<H: Hasher>(value: &Value, state: &mut H, levels: u32) {
    match value {
        Value::Null => 0u8.hash(state),
        Value::Bool(b) => b.hash(state),
        Value::Char(c) => c.hash(state),
        Value::Int(n) => n.hash(state),
        Value::Long(n) => n.hash(state),
        Value::Float(n) => n.to_bits().hash(state),
        Value::Double(n) => n.to_bits().hash(state),
        Value::BigInt(n) => n.hash(state),
        Value::Decimal(n) => n.unscaled().hash(state),
        Value::Str(s) => s.as_str().hash(state),
        // Two of them are equal when their texts are.
        Value::GString(_) => value.to_text().hash(state),
        Value::Class(c) => c.name.hash(state),
        Value::Host(h) => h.hash(state),
        Value::List(l) if levels > 0 => {
            l.len().hash(state);
            for item in l.items().iter().take(4) {
                hash_value(item, state, levels - 1);
            }
        }
        Value::Map(m) | Value::Set(m) => m.len().hash(state),
        Value::Object(o) => match &*o.native.borrow() {
            super::Native::Java(java) if java.same(java).is_some() => java.hash_into(state),
            _ => std::ptr::hash(Rc::as_ptr(o), state),
        },
        Value::Closure(c) => std::ptr::hash(Rc::as_ptr(c), state),
        _ => 1u8.hash(state),
    }
}

/// A map, or a set (whose values are all null).
#[derive(Debug)]
pub struct Map {
    entries: RefCell<IndexMap<Key, Value>>,
    kind: MapKind,
    default: Option<Value>,
    charge: Charge,
}

const HEADER: usize = 160;
const ENTRY: usize = 2 * size_of::<Value>() + 16;

impl Map {
    /// An empty one.
    pub fn new(kind: MapKind) -> Self {
        Map { entries: RefCell::default(), kind, default: None, charge: Charge::new(HEADER) }
    }

    /// A map with the entries of `self` that makes missing values with `default`.
    pub fn with_default(&self, default: Value) -> Map {
        let out = Map {
            entries: RefCell::new(self.entries.borrow().clone()),
            kind: self.kind,
            default: Some(default),
            charge: Charge::new(HEADER),
        };
        out.recount();
        out
    }

    /// A copy of another kind.
    pub fn copy(&self, kind: MapKind) -> Map {
        let out = Map::new(kind);
        for (k, v) in self.entries.borrow().iter() {
            out.put(k.0.clone(), v.clone());
        }
        out
    }

    /// What it says it is.
    pub fn kind(&self) -> MapKind {
        self.kind
    }

    /// The closure of `withDefault`.
    pub fn default(&self) -> Option<&Value> {
        self.default.as_ref()
    }

    pub(crate) fn class_name(&self, set: bool) -> &'static str {
        match (self.kind, set) {
            (MapKind::Linked, false) => "java.util.LinkedHashMap",
            (MapKind::Hash, false) => "java.util.HashMap",
            (MapKind::Tree, false) => "java.util.TreeMap",
            (MapKind::Fixed, false) => "java.util.Collections$UnmodifiableMap",
            (MapKind::Linked, true) => "java.util.LinkedHashSet",
            (MapKind::Hash, true) => "java.util.HashSet",
            (MapKind::Tree, true) => "java.util.TreeSet",
            (MapKind::Fixed, true) => "java.util.Collections$UnmodifiableSet",
        }
    }

    /// The entries in order.
    pub fn entries(&self) -> Ref<'_, IndexMap<Key, Value>> {
        self.entries.borrow()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &Value) -> Option<Value> {
        self.entries.borrow().get(&Key(key.clone())).cloned()
    }

    /// Whether it has the key.
    pub fn has(&self, key: &Value) -> bool {
        self.entries.borrow().contains_key(&Key(key.clone()))
    }

    /// The keys in order.
    pub fn keys(&self) -> Vec<Value> {
        self.entries.borrow().keys().map(|k| k.0.clone()).collect()
    }

    /// The values in order.
    pub fn values(&self) -> Vec<Value> {
        self.entries.borrow().values().cloned().collect()
    }

    /// Key and value at a position.
    pub fn at(&self, index: usize) -> Option<(Value, Value)> {
        self.entries.borrow().get_index(index).map(|(k, v)| (k.0.clone(), v.clone()))
    }

    /// Sets a value, answers the one before.
    pub fn put(&self, key: Value, value: Value) -> Option<Value> {
        let before = if self.kind == MapKind::Tree {
            self.put_sorted(key, value)
        } else {
            self.entries.borrow_mut().insert(Key(key), value)
        };
        self.recount();
        before
    }

    fn put_sorted(&self, key: Value, value: Value) -> Option<Value> {
        let mut entries = self.entries.borrow_mut();
        let (mut low, mut high) = (0, entries.len());
        while low < high {
            let middle = (low + high) / 2;
            let order = entries.get_index(middle).map(|(k, _)| compare_plain(&k.0, &key));
            match order {
                Some(Compared::Order(std::cmp::Ordering::Less)) => low = middle + 1,
                Some(Compared::Order(std::cmp::Ordering::Equal)) => {
                    return entries.get_index_mut(middle).map(|(_, v)| std::mem::replace(v, value));
                }
                _ => high = middle,
            }
        }
        entries.shift_insert(low, Key(key), value)
    }

    /// Adds to a set; answers whether it was new.
    pub fn add(&self, item: Value) -> bool {
        if self.has(&item) {
            return false;
        }
        self.put(item, Value::Null);
        true
    }

    /// Removes a key, answers its value.
    pub fn remove(&self, key: &Value) -> Option<Value> {
        let before = self.entries.borrow_mut().shift_remove(&Key(key.clone()));
        self.recount();
        before
    }

    /// Removes everything.
    pub fn clear(&self) {
        let before = std::mem::take(&mut *self.entries.borrow_mut());
        self.recount();
        drop(before);
    }

    fn recount(&self) {
        self.charge.set(HEADER + self.entries.borrow().capacity() * ENTRY);
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let entries = std::mem::take(self.entries.get_mut());
        release(entries.into_iter().flat_map(|(k, v)| [k.0, v]).chain(self.default.take()));
    }
}

/// One key and value of a map, as iteration hands them out.
#[derive(Debug)]
pub struct Entry {
    /// Key.
    pub key: Value,
    /// Value when the entry was taken.
    pub value: RefCell<Value>,
    /// The map that `setValue` writes to.
    pub map: Option<Rc<Map>>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let (key, value) = (std::mem::take(&mut self.key), self.value.take());
        release([key, value].into_iter().chain(self.map.take().map(Value::Map)));
    }
}
