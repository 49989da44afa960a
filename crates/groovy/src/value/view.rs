//! What a list is a part of, where it is one: `list.subList(a, b)`, and the values of a map. It holds copies of the items; each
//! change is written to the whole, and when the whole has changed the items are copied again before they are looked at.

use std::cell::Cell;
use std::rc::Rc;

use super::{List, Map, Value};

/// Parts of parts that are looked through; what is farther in is a part of the last of them.
const NESTED_MAX: usize = 16;

#[derive(Debug)]
enum Whole {
    /// Items of a list from a position on.
    List(Rc<List>, usize),
    /// The values of a map.
    Map(Rc<Map>),
}

/// A part of a list or map.
#[derive(Debug)]
pub(super) struct View {
    whole: Whole,
    /// Parts that it is in, with itself.
    depth: usize,
    /// How often the whole had been changed when the items were copied.
    seen: Cell<u32>,
    /// How many items the whole had.
    length: Cell<usize>,
}

impl View {
    fn new(whole: Whole, depth: usize) -> View {
        let view = View { whole, depth, seen: Cell::default(), length: Cell::default() };
        view.settle();
        view
    }

    /// A part of a list from a position on.
    pub(super) fn part(of: &Rc<List>, from: usize) -> View {
        let around = of.view();
        let depth = around.map_or(0, |view| view.depth) + 1;
        match around.map(|view| &view.whole) {
            Some(Whole::List(of, at)) if depth > NESTED_MAX => View::new(Whole::List(of.clone(), at + from), depth - 1),
            _ => View::new(Whole::List(of.clone(), from), depth),
        }
    }

    /// The values of a map.
    pub(super) fn values(of: &Rc<Map>) -> View {
        let view = View::new(Whole::Map(of.clone()), 1);
        // Nothing is copied before somebody looks.
        view.seen.set(of.changes().wrapping_sub(1));
        view
    }

    /// The map whose values they are.
    pub(super) fn map(&self) -> Option<&Map> {
        match &self.whole {
            Whole::Map(map) => Some(map),
            Whole::List(..) => None,
        }
    }

    /// How many items it shows: what the map has.
    pub(super) fn shown(&self) -> Option<usize> {
        self.map().map(Map::len)
    }

    /// Whether the whole has got longer or shorter otherwise: nobody knows which items are meant.
    pub(super) fn is_stale(&self) -> bool {
        matches!(&self.whole, Whole::List(of, _) if of.len() != self.length.get() || of.is_stale())
    }

    /// The items, where they may be others than those that were copied.
    pub(super) fn newer(&self, len: usize) -> Option<Vec<Value>> {
        match &self.whole {
            Whole::List(of, from) if of.changes() != self.seen.get() && !self.is_stale() => {
                of.items().get(*from..from + len).map(<[Value]>::to_vec)
            }
            Whole::Map(of) if of.changes() != self.seen.get() => Some(of.values()),
            _ => None,
        }
    }

    /// The whole is as it was seen.
    pub(super) fn settle(&self) {
        let (seen, length) = match &self.whole {
            Whole::List(of, _) => (of.changes(), of.len()),
            Whole::Map(of) => (of.changes(), of.len()),
        };
        self.seen.set(seen);
        self.length.set(length);
    }

    /// Writes items in the place of the `before` that the part had.
    pub(super) fn write(&self, before: usize, items: Vec<Value>) {
        let Whole::List(of, from) = &self.whole else { return };
        if self.is_stale() {
            return;
        }
        let gone: Vec<Value> = of.change(|all| {
            let from = (*from).min(all.len());
            let to = from.saturating_add(before).min(all.len());
            all.splice(from..to, items).collect()
        });
        self.settle();
        drop(gone);
    }

    /// Writes one item.
    pub(super) fn put(&self, at: usize, value: &Value) {
        let Whole::List(of, from) = &self.whole else { return };
        if !self.is_stale() {
            drop(of.put(from + at, value.clone()));
            self.settle();
        }
    }

    /// The whole as a value.
    pub(super) fn into_whole(self) -> Value {
        match self.whole {
            Whole::List(of, _) => Value::List(of),
            Whole::Map(of) => Value::Map(of),
        }
    }
}
