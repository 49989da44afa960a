//! Maps and sets. Order is insertion order, sorted for the tree kinds, and for the hash kinds that of Java's tables: scripts see it.

mod keyed;

use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;

use indexmap::IndexMap;

use super::codes::Codes;
use super::meter::Charge;
use super::release::release;
use super::{Entry, Key, Order, Value, hash};

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
    source: Option<Source>,
    /// How often it was changed.
    changes: Cell<u32>,
    /// How often keys came or went.
    shape: Cell<u32>,
    charge: Charge,
    /// The hashes of keys that only the script can tell, where there are such keys.
    codes: RefCell<Option<Box<Codes>>>,
    /// Size of the table that Java would have, for the hash kinds.
    table: Cell<u32>,
    /// Keys were added since the entries were last brought into the order of the table.
    unordered: Cell<bool>,
}

/// What a set is a view of.
#[derive(Debug)]
struct Source {
    map: Rc<Map>,
    /// Its entries; else its keys.
    entries: bool,
    /// The shape of the map that the set has.
    seen: Cell<u32>,
}

/// Java's table of a new map.
const TABLE: u32 = 16;

const HEADER: usize = 160;
/// What it costs to show a key or an entry in a view, in instructions.
const SHOWN: usize = 6;
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
            changes: Cell::default(),
            shape: Cell::default(),
            charge: Charge::new(HEADER),
            codes: RefCell::default(),
            table,
            unordered,
        }
    }

    /// A map with the entries of `self` that makes missing values with `default`.
    pub fn with_default(&self, default: Value) -> Map {
        let out = Map {
            entries: RefCell::new(self.entries().clone()),
            kind: self.kind,
            default: Some(default),
            order: self.order.clone(),
            comparator: self.comparator.clone(),
            place: Cell::default(),
            source: None,
            changes: Cell::default(),
            shape: Cell::default(),
            charge: Charge::new(HEADER),
            codes: self.codes.clone(),
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
            out.default = self.default.clone().filter(|of| matches!(of, Value::Class(_)));
            out.entries.replace(self.entries().clone());
            out.recount();
            return out;
        }
        for (k, v) in self.entries().iter() {
            out.put(k.0.clone(), v.clone());
        }
        if self.kind != MapKind::Tree {
            out.codes = self.codes.clone();
        }
        out.recount();
        out
    }

    /// What it says it is.
    pub fn kind(&self) -> MapKind {
        self.kind
    }

    /// The keys or entries of a map, as a set: what is removed from it is removed from the map, and it shows what the map has.
    pub(crate) fn view(source: &Rc<Map>, entries: bool) -> Map {
        let sorted = !entries && source.kind == MapKind::Tree;
        let mut out = Map::new(if sorted { MapKind::Tree } else { MapKind::Linked }).sorted_like(source);
        out.source = Some(Source { map: source.clone(), entries, seen: Cell::new(source.shape.get().wrapping_sub(1)) });
        out
    }

    /// Whether it shows the keys or entries of a map.
    pub(crate) fn is_view(&self) -> bool {
        self.source.is_some()
    }

    /// How often it was changed, as far as a number goes round.
    pub(super) fn changes(&self) -> u32 {
        self.changes.get()
    }

    /// Brings what shows the keys or entries of a map to where the map is.
    fn fresh(&self) {
        let Some(source) = self.source.as_ref().filter(|s| s.seen.get() != s.map.shape.get()) else { return };
        // What it shows may be looked into meanwhile, and the set may be in it.
        source.seen.set(source.map.shape.get());
        let keys = source.map.keys();
        super::Meter::work(SHOWN * keys.len() + 1);
        let items = keys.into_iter().enumerate().map(|(at, key)| match source.entries {
            true => Entry::of(&source.map, at).unwrap_or(key),
            false => key,
        });
        let items: IndexMap<Key, Value> = items.map(|item| (Key(item), Value::Null)).collect();
        let codes = match source.entries {
            true => items.keys().any(|item| hash::asks(&item.0)).then(Codes::lacking),
            false => source.map.codes.borrow().clone(),
        };
        drop(self.codes.replace(codes));
        let Ok(mut held) = self.entries.try_borrow_mut() else { return };
        let before = std::mem::replace(&mut *held, items);
        drop(held);
        drop(before);
        self.recount();
    }

    fn changed(&self, shape: bool) {
        self.changes.set(self.changes.get().wrapping_add(1));
        self.shape.set(self.shape.get().wrapping_add(u32::from(shape)));
    }

    /// The closure of `withDefault`; the enum of a set that was made for its constants.
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
        self.fresh();
        if self.unordered.take() {
            self.order();
        }
        self.entries.borrow()
    }

    /// Brings the entries into the order of Java's table: by bucket, and within one as they came.
    fn order(&self) {
        let table = self.table.get();
        let codes = self.codes.borrow();
        let code = |key: &Value| codes.as_ref().and_then(|c| c.of(key)).unwrap_or_else(|| hash::hash_code(key));
        self.change(true, |entries| entries.sort_by_cached_key(|key, _| hash::bucket(code(&key.0), table)));
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        match &self.source {
            Some(source) => source.map.len(),
            None => self.entries.borrow().len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key.
    pub fn get(&self, key: &Value) -> Option<Value> {
        self.fresh();
        self.entries.borrow().get(&Key(key.clone())).cloned()
    }

    /// Whether it has the key.
    pub fn has(&self, key: &Value) -> bool {
        if let Some(source) = self.source.as_ref().filter(|source| !source.entries) {
            return source.map.has(key);
        }
        self.fresh();
        self.entries.borrow().contains_key(&Key(key.clone()))
    }

    /// The keys in order.
    pub fn keys(&self) -> Vec<Value> {
        let keys: Vec<Value> = self.entries().keys().map(|k| k.0.clone()).collect();
        self.refreshed(0, &keys);
        keys
    }

    /// The values in order.
    pub fn values(&self) -> Vec<Value> {
        self.entries().values().cloned().collect()
    }

    /// Key and value at a position.
    pub fn at(&self, index: usize) -> Option<(Value, Value)> {
        let found = self.entries().get_index(index).map(|(k, v)| (k.0.clone(), v.clone()))?;
        self.refreshed(index, std::slice::from_ref(&found.0));
        Some(found)
    }

    /// Gives entries of a map, from a position on, the values that the map has now.
    fn refreshed(&self, from: usize, items: &[Value]) {
        let Some(source) = self.source.as_ref().filter(|source| source.entries) else { return };
        for (at, item) in items.iter().enumerate() {
            if let (Value::Entry(entry), Some((_, value))) = (item, source.map.at(from + at)) {
                let before = entry.value.try_borrow_mut().map(|mut held| std::mem::replace(&mut *held, value));
                drop(before);
            }
        }
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
        if key.is_container() && !self.has(&key) {
            self.came(&key);
        }
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
        self.changed(before.is_none());
        self.recount();
        before
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
        self.fresh();
        let before = self.change(key.is_container(), |entries| entries.shift_remove(&Key(key.clone())))?;
        self.changed(true);
        self.recount();
        if let Some(source) = &self.source {
            match key {
                Value::Entry(entry) => drop(source.map.remove(&entry.key)),
                key => drop(source.map.remove(key)),
            }
            source.seen.set(source.map.shape.get());
        }
        Some(before)
    }

    /// Removes the entry at a position.
    pub(super) fn remove_at(&self, at: usize) {
        drop(self.at(at).and_then(|(key, _)| self.remove(&key)));
    }

    /// Keeps the entries at the positions that are true.
    pub(super) fn retain(&self, kept: &[bool]) {
        self.fresh();
        let mut gone = Vec::new();
        let entries = std::mem::take(&mut *self.entries.borrow_mut());
        let mut at = kept.iter();
        let left = entries.into_iter().filter_map(|entry| match at.next() {
            Some(false) => {
                gone.push(entry);
                None
            }
            _ => Some(entry),
        });
        let left = left.collect();
        self.entries.replace(left);
        self.changed(true);
        self.recount();
    }

    /// Removes everything.
    pub fn clear(&self) {
        drop(self.codes.take());
        let before = std::mem::take(&mut *self.entries.borrow_mut());
        self.changed(true);
        self.recount();
        drop(before);
        if let Some(source) = &self.source {
            source.map.clear();
            source.seen.set(source.map.shape.get());
        }
    }

    fn recount(&self) {
        let (entries, mut codes) = (self.entries.borrow(), self.codes.borrow_mut());
        if let Some(codes) = codes.as_mut().filter(|codes| codes.len() > 2 * entries.len() + 16) {
            super::Meter::work(codes.len());
            codes.prune(&|key| entries.contains_key(key));
        }
        let hashed = codes.as_ref().map_or(0, |codes| codes.len());
        self.charge.set(HEADER + (entries.capacity() + 2 * hashed) * ENTRY);
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let entries = std::mem::take(self.entries.get_mut());
        let held = self
            .default
            .take()
            .into_iter()
            .chain(self.comparator.take())
            .chain(self.source.take().map(|source| Value::Map(source.map)));
        release(entries.into_iter().flat_map(|(k, v)| [k.0, v]).chain(held));
    }
}
