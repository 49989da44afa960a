//! How a map holds keys that it sorts, and keys that only the script can compare or hash.

use indexmap::IndexMap;

use super::Map;
use crate::value::{Key, MapKind, Meter, Order, Value, hash};

impl Map {
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

    /// Some of its entries, in their order.
    pub(crate) fn part(&self, kind: MapKind, pairs: impl IntoIterator<Item = (Value, Value)>) -> Map {
        let out = Map::new(kind).sorted_like(self);
        pairs.into_iter().for_each(|(key, value)| out.put_last(key, value));
        out
    }

    /// Adds a key behind all others, where it belongs there.
    pub(crate) fn put_last(&self, key: Value, value: Value) {
        self.came(&key);
        self.change(key.is_container(), |entries| entries.insert(Key(key), value));
        self.changed(true);
        self.recount();
    }

    /// Forgets where the next new key goes, and its hash: what has been asked about it is over.
    pub(crate) fn forget_place(&self) {
        self.place.set(None);
        if let Some(codes) = &mut *self.codes.borrow_mut() {
            codes.note(None);
        }
    }

    /// Keeps the hash of a key that comes.
    pub(super) fn came(&self, key: &Value) {
        if self.kind != MapKind::Tree && hash::asks(key) {
            self.codes.borrow_mut().get_or_insert_default().came(key);
        }
    }

    /// The keys that only the script can hash, and nobody has asked.
    pub(crate) fn without_code(&self) -> Vec<Value> {
        self.fresh();
        if !self.codes.borrow().as_ref().is_some_and(|codes| codes.lacking) {
            return Vec::new();
        }
        let mut keys = self.keys();
        Meter::work(keys.len());
        let mut codes = self.codes.borrow_mut();
        let codes = codes.get_or_insert_default();
        keys.retain(|key| hash::asks(key) && codes.of(key).is_none());
        codes.lacking = !keys.is_empty();
        keys
    }

    /// Keeps what the script says is the hash of a key.
    pub(crate) fn keep_code(&self, key: Value, code: i32) {
        self.codes.borrow_mut().get_or_insert_default().keep(key, code);
        self.recount();
    }

    /// Keeps the hash of a key that is not there yet.
    pub(crate) fn note_code(&self, key: &Value, code: i32) {
        self.codes.borrow_mut().get_or_insert_default().note(Some((key.clone(), code)));
    }

    /// The keys of this hash, as the script says.
    pub(crate) fn alike(&self, code: i32) -> Vec<Value> {
        let mut keys = self.codes.borrow().as_ref().map(|codes| codes.alike(code)).unwrap_or_default();
        Meter::work(keys.len());
        keys.retain(|key| self.has(key));
        keys
    }

    /// The key of a map that sorts its keys that compares as equal.
    pub(crate) fn equal_key(&self, key: &Value) -> Option<Value> {
        self.fresh();
        let entries = self.entries.borrow();
        if entries.contains_key(&Key(key.clone())) {
            return Some(key.clone());
        }
        if self.comparator.is_some() {
            return None;
        }
        Meter::work(1);
        let at = self.order.get().place(&entries, key).ok()?;
        entries.get_index(at).map(|(held, _)| held.0.clone())
    }

    pub(super) fn put_sorted(&self, key: Value, value: Value) -> Option<Value> {
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
        match by.place(entries, &key) {
            Ok(at) => entries.get_index_mut(at).map(|(_, held)| std::mem::replace(held, value)),
            Err(at) => {
                let key = Key(key);
                // What only the script can compare may be there at another place.
                match entries.get_mut(&key) {
                    Some(held) => Some(std::mem::replace(held, value)),
                    None => entries.shift_insert(at, key, value),
                }
            }
        }
    }
}
