//! Maps and sets. Order is insertion order, sorted for the tree kinds, and for the hash kinds that of Java's tables: scripts see it.

use std::cell::{Cell, Ref, RefCell};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use indexmap::IndexMap;

use super::meter::Charge;
use super::release::release;
use super::{Compared, Value, compare_plain, equality, hash};

/// What a map or set says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// `LinkedHashMap`, `LinkedHashSet`
    Linked,
    /// `HashMap`, `HashSet`
    Hash,
    /// `TreeMap`, `TreeSet`
    Tree,
    /// An unmodifiable one.
    Fixed,
    /// `groovy.json.internal.LazyMap`, what `JsonSlurper` reads: on Java 9 and later its keys are sorted.
    Lazy,
    /// `net.sf.json.JSONObject`: its keys are texts, and what it holds is JSON.
    Json,
}

/// How a map that sorts its keys does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As the keys compare.
    #[default]
    Natural,
    /// The other way round.
    Reverse,
    /// Texts, whose case does not count.
    CaseInsensitive,
}

/// A value as a key: equal as Java's `equals` says, not as Groovy's `==`.
#[derive(Clone, Debug)]
pub struct Key(pub Value);

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        // Keys that hash alike are compared; how many there are is the script's choice.
        super::Meter::work(usize::from(self.0.is_container()) + equality::text_work(&self.0, &other.0));
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
        Value::Byte(n) => n.hash(state),
        Value::Short(n) => n.hash(state),
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
            for item in l.items().iter().take(32) {
                hash_value(item, state, levels - 1);
            }
        }
        Value::Map(m) | Value::Set(m) => m.len().hash(state),
        Value::Entry(e) if levels > 0 => hash_value(&e.key, state, levels - 1),
        Value::Object(o) if o.marked(super::EQUAL_BY_FIELDS) => {
            o.class.name.hash(state);
            if levels > 0 {
                o.field_values().iter().for_each(|v| hash_value(v, state, levels - 1));
            }
        }
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
    order: Cell<Order>,
    /// The script's own comparator of a map that sorts its keys.
    comparator: Option<Value>,
    /// Where the next new key goes, as whoever asked the script has found.
    place: Cell<Option<usize>>,
    /// The map whose keys or entries a set is: what is removed from the set is removed from the map.
    source: Option<Rc<Map>>,
    charge: Charge,
    /// Size of the table that Java would have, for the hash kinds.
    table: Cell<u32>,
    /// Keys were added since the entries were last brought into the order of the table.
    unordered: Cell<bool>,
}

/// Java's table of a new map.
const TABLE: u32 = 16;

const HEADER: usize = 160;
const ENTRY: usize = 2 * size_of::<Value>() + 16;

impl Map {
    /// An empty one.
    pub fn new(kind: MapKind) -> Self {
        Map::with_table(kind, TABLE)
    }

    /// An empty one that was made for so many entries, as Java's constructors take it.
    pub fn with_capacity(kind: MapKind, capacity: usize) -> Self {
        Map::with_table(kind, hash::table_for(capacity))
    }

    /// An empty one for what a collection of this size is copied into: Java makes sets no smaller than usual.
    pub fn for_copy(kind: MapKind, size: usize, set: bool) -> Self {
        Map::with_capacity(kind, (size + size / 3 + 1).max(if set { TABLE as usize } else { 1 }))
    }

    fn with_table(kind: MapKind, table: u32) -> Self {
        let (table, unordered) = (Cell::new(table), Cell::new(false));
        let order = Cell::default();
        let source = None;
        Map {
            entries: RefCell::default(),
            kind,
            default: None,
            order,
            comparator: None,
            place: Cell::default(),
            source,
            charge: Charge::new(HEADER),
            table,
            unordered,
        }
    }

    /// A map with the entries of `self` that makes missing values with `default`.
    pub fn with_default(&self, default: Value) -> Map {
        let out = Map {
            entries: RefCell::new(self.entries.borrow().clone()),
            kind: self.kind,
            default: Some(default),
            order: self.order.clone(),
            comparator: self.comparator.clone(),
            place: Cell::default(),
            source: None,
            charge: Charge::new(HEADER),
            table: self.table.clone(),
            unordered: self.unordered.clone(),
        };
        out.recount();
        out
    }

    /// A copy of another kind.
    pub fn copy(&self, kind: MapKind) -> Map {
        let mut out = Map::for_copy(kind, self.len(), false);
        if kind == MapKind::Tree && self.kind == MapKind::Tree {
            out = out.sorted_like(self);
        }
        for (k, v) in self.entries().iter() {
            out.put(k.0.clone(), v.clone());
        }
        out
    }

    /// What it says it is.
    pub fn kind(&self) -> MapKind {
        self.kind
    }

    /// The set of these items, the keys or entries of a map, from which they go when they are removed from the set.
    pub fn view(source: &Rc<Map>, items: impl IntoIterator<Item = Value>) -> Map {
        let mut out = Map::new(MapKind::Linked);
        items.into_iter().for_each(|item| drop(out.put_plain(item, Value::Null)));
        out.source = Some(source.clone());
        out
    }

    /// How its keys are sorted, where they are.
    pub fn key_order(&self) -> Order {
        self.order.get()
    }

    /// The same map with another order of keys; it must be empty.
    pub fn ordered(self, order: Order) -> Map {
        self.order.set(order);
        self
    }

    /// The same map sorted by a comparator that only the script knows; it must be empty.
    pub(crate) fn sorted_by(mut self, comparator: Value) -> Map {
        self.comparator = Some(comparator);
        self
    }

    /// The same map sorted as another one; it must be empty.
    pub(crate) fn sorted_like(mut self, other: &Map) -> Map {
        self.comparator = other.comparator.clone();
        self.ordered(other.key_order())
    }

    /// The script's own comparator.
    pub(crate) fn comparator(&self) -> Option<&Value> {
        self.comparator.as_ref()
    }

    /// Says where the next key goes that is not there yet.
    pub(crate) fn place_next(&self, at: usize) {
        self.place.set(Some(at));
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
            (MapKind::Lazy, _) => "groovy.json.internal.LazyMap",
            (MapKind::Json, _) => "net.sf.json.JSONObject",
            (MapKind::Fixed, true) => "java.util.Collections$UnmodifiableSet",
        }
    }

    /// The entries in order.
    pub fn entries(&self) -> Ref<'_, IndexMap<Key, Value>> {
        if self.unordered.take() {
            self.order();
        }
        self.entries.borrow()
    }

    /// Brings the entries into the order of Java's table: by bucket, and within one as they came.
    fn order(&self) {
        let table = self.table.get();
        self.change(true, |entries| entries.sort_by_cached_key(|key, _| hash::bucket(&key.0, table)));
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
        self.entries().keys().map(|k| k.0.clone()).collect()
    }

    /// The values in order.
    pub fn values(&self) -> Vec<Value> {
        self.entries().values().cloned().collect()
    }

    /// Key and value at a position.
    pub fn at(&self, index: usize) -> Option<(Value, Value)> {
        self.entries().get_index(index).map(|(k, v)| (k.0.clone(), v.clone()))
    }

    /// Changes the entries. A key that holds other values may hold this map: it is looked into while it is hashed and compared, so the
    /// entries are taken out meanwhile, and such a map looks empty to itself.
    fn change<T>(&self, looks_inside: bool, f: impl FnOnce(&mut IndexMap<Key, Value>) -> T) -> T {
        if !looks_inside {
            return f(&mut self.entries.borrow_mut());
        }
        let mut entries = self.entries.take();
        let answer = f(&mut entries);
        self.entries.replace(entries);
        answer
    }

    /// Sets a value, answers the one before. An object of JSON has no null but its own: the key goes.
    pub fn put(&self, key: Value, value: Value) -> Option<Value> {
        if self.kind != MapKind::Json {
            return self.put_plain(key, value);
        }
        let key = if matches!(key, Value::Str(_)) { key } else { Value::from(key.to_text()) };
        if value.is_null() { self.remove(&key) } else { self.put_plain(key, super::json::held(value, &Value::Null)) }
    }

    pub(super) fn put_plain(&self, key: Value, value: Value) -> Option<Value> {
        let before = if matches!(self.kind, MapKind::Tree | MapKind::Lazy) {
            self.put_sorted(key, value)
        } else {
            self.change(key.is_container(), |entries| entries.insert(Key(key), value))
        };
        if self.kind == MapKind::Hash && before.is_none() {
            self.unordered.set(true);
            // Java doubles the table when it is three quarters full.
            if self.len() as u64 * 4 > u64::from(self.table.get()) * 3 {
                self.table.set(self.table.get().saturating_mul(2).min(1 << 30));
            }
        }
        self.recount();
        before
    }

    fn put_sorted(&self, key: Value, value: Value) -> Option<Value> {
        let by = self.order.get();
        let place = self.place.take();
        // What only the script can compare comes in its order, where nobody has looked for its place.
        let place = place.or_else(|| self.comparator.is_some().then_some(usize::MAX));
        self.change(key.is_container(), |entries| match place {
            Some(at) => {
                let key = Key(key);
                if let Some(held) = entries.get_mut(&key) {
                    return Some(std::mem::replace(held, value));
                }
                let at = at.min(entries.len());
                entries.shift_insert(at, key, value)
            }
            None => Map::insert_sorted(entries, by, key, value),
        })
    }

    fn insert_sorted(entries: &mut IndexMap<Key, Value>, by: Order, key: Value, value: Value) -> Option<Value> {
        let (mut low, mut high) = (0, entries.len());
        while low < high {
            let middle = (low + high) / 2;
            let order = entries.get_index(middle).map(|(k, _)| match (&k.0, &key) {
                // A GString is compared as text with whatever is there.
                (other, Value::GString(_)) => Compared::Order(other.to_text().cmp(&key.to_text())),
                (other, _) if by == Order::CaseInsensitive => {
                    Compared::Order(other.to_text().to_lowercase().cmp(&key.to_text().to_lowercase()))
                }
                (other, _) => match compare_plain(other, &key) {
                    Compared::Order(order) if by == Order::Reverse => Compared::Order(order.reverse()),
                    compared => compared,
                },
            });
            match order {
                Some(Compared::Order(std::cmp::Ordering::Less)) => low = middle + 1,
                Some(Compared::Order(std::cmp::Ordering::Equal)) => {
                    return entries.get_index_mut(middle).map(|(_, v)| std::mem::replace(v, value));
                }
                _ => high = middle,
            }
        }
        let key = Key(key);
        // What only the script can compare may be there at another place.
        match entries.get_mut(&key) {
            Some(held) => Some(std::mem::replace(held, value)),
            None => entries.shift_insert(low, key, value),
        }
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
        let before = self.change(key.is_container(), |entries| entries.shift_remove(&Key(key.clone())));
        self.recount();
        if let (Some(source), Some(_)) = (&self.source, &before) {
            match key {
                Value::Entry(entry) => drop(source.remove(&entry.key)),
                key => drop(source.remove(key)),
            }
        }
        before
    }

    /// Removes everything.
    pub fn clear(&self) {
        let before = std::mem::take(&mut *self.entries.borrow_mut());
        self.recount();
        drop(before);
        if let Some(source) = &self.source {
            source.clear();
        }
    }

    fn recount(&self) {
        self.charge.set(HEADER + self.entries.borrow().capacity() * ENTRY);
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let entries = std::mem::take(self.entries.get_mut());
        let held =
            self.default.take().into_iter().chain(self.comparator.take()).chain(self.source.take().map(Value::Map));
        release(entries.into_iter().flat_map(|(k, v)| [k.0, v]).chain(held));
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
