//! What the script says of the hashes of keys: Java keeps the hash of a key beside it, and compares keys that hash alike only.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::release::release;
use super::{Key, Value};

/// The hashes of the keys of a map that only the script can tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Codes {
    alike: HashMap<i32, Vec<Value>>,
    of: IndexMap<Key, i32>,
    /// The map has keys that nobody has asked for their hashes.
    pub(super) lacking: bool,
    /// A key that is not there yet, and its hash.
    noted: Option<(Value, i32)>,
}

impl Codes {
    /// Those of keys that nobody has asked yet.
    pub(super) fn lacking() -> Box<Codes> {
        let mut codes = Box::<Codes>::default();
        codes.lacking = true;
        codes
    }

    /// How many it has.
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    /// The hash of a key.
    pub(super) fn of(&self, key: &Value) -> Option<i32> {
        self.of.get(&Key(key.clone())).copied()
    }

    /// The keys of a hash, and maybe some that are gone.
    pub(super) fn alike(&self, code: i32) -> Vec<Value> {
        self.alike.get(&code).cloned().unwrap_or_default()
    }

    /// Remembers the hash of a key that the map has.
    pub(super) fn keep(&mut self, key: Value, code: i32) {
        if self.of.insert(Key(key.clone()), code).is_none() {
            self.alike.entry(code).or_default().push(key);
        }
    }

    /// Forgets the keys that are gone.
    pub(super) fn prune(&mut self, stays: &dyn Fn(&Key) -> bool) {
        self.of.retain(|key, _| stays(key));
        let old = std::mem::take(&mut self.alike);
        // Keys of one hash stay in the order in which they came.
        for (code, keys) in old {
            let kept: Vec<Value> = keys.into_iter().filter(|key| stays(&Key(key.clone()))).collect();
            if !kept.is_empty() {
                self.alike.insert(code, kept);
            }
        }
    }

    /// Remembers the hash of a key that may come next.
    pub(super) fn note(&mut self, noted: Option<(Value, i32)>) {
        self.noted = noted;
    }

    /// A key comes.
    pub(super) fn came(&mut self, key: &Value) {
        match self.noted.take() {
            Some((noted, code)) if noted.same(key) => self.keep(noted, code),
            _ => self.lacking = true,
        }
    }
}

impl Drop for Codes {
    fn drop(&mut self) {
        let alike = std::mem::take(&mut self.alike);
        let of = std::mem::take(&mut self.of);
        let noted = self.noted.take().map(|(key, _)| key);
        release(alike.into_values().flatten().chain(of.into_keys().map(|key| key.0)).chain(noted));
    }
}
