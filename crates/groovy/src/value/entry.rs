//! Entries of maps.

use std::cell::RefCell;
use std::rc::Rc;

use super::release::release;
use super::{Map, Value};

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

impl Entry {
    /// The entry of a map at a position.
    pub(crate) fn of(map: &Rc<Map>, at: usize) -> Option<Value> {
        let (key, value) = map.at(at)?;
        Some(Value::Entry(Rc::new(Entry { key, value: RefCell::new(value), map: Some(map.clone()) })))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let (key, value) = (std::mem::take(&mut self.key), self.value.take());
        release([key, value].into_iter().chain(self.map.take().map(Value::Map)));
    }
}
