//! Lists and arrays.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::rc::Rc;

use super::meter::{Charge, Meter};
use super::release::release;
use super::view::View;
use super::{Map, MapKind, Value};
use crate::ast::Text;

/// What a list says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// `java.util.ArrayList`
    Array,
    /// `java.util.LinkedList` and queues.
    Linked,
    /// `java.util.ArrayDeque` and the like: `push` and `pop` are at its front.
    Deque,
    /// An unmodifiable list.
    Fixed,
    /// The values of a map, which may be taken away and not changed.
    Values,
    /// `groovy.util.NodeList`
    Nodes,
    /// `groovy.lang.Tuple`, which nobody changes.
    Tuple,
    /// `java.util.Stack`
    Stack,
    /// `net.sf.json.JSONArray`
    Json,
    /// A Java array of this element type.
    JavaArray(Text),
}

/// A list or array.
#[derive(Debug)]
pub struct List {
    items: RefCell<Vec<Value>>,
    kind: ListKind,
    /// Makes items that are asked for and are not there: a closure of their index, and whether those before them are made, too.
    default: Option<(Value, bool)>,
    /// What its items are a part of.
    view: Option<Box<View>>,
    /// How often it was changed.
    changes: Cell<u32>,
    capacity: Cell<usize>,
    charge: Charge,
}

const HEADER: usize = 96;

/// What it costs to copy an item into a part, in instructions.
const COPIED: usize = 2;

impl List {
    /// A list of this kind.
    pub fn new(items: Vec<Value>, kind: ListKind) -> Self {
        let items = match &kind {
            ListKind::JavaArray(element) if matches!(&**element, "byte" | "short") => {
                items.into_iter().map(|item| held(item, element)).collect()
            }
            _ => items,
        };
        let capacity = items.capacity();
        let charge = Charge::new(HEADER + capacity * size_of::<Value>());
        let (items, changes, capacity) = (RefCell::new(items), Cell::default(), Cell::new(capacity));
        List { items, kind, default: None, view: None, changes, capacity, charge }
    }

    /// The items from a position to another of a list: what is changed in one is changed in both.
    pub(crate) fn part(of: &Rc<List>, from: usize, to: usize) -> List {
        let items = of.items().get(from..to).unwrap_or_default().to_vec();
        let mut out = List::new(items, ListKind::Array);
        out.view = Some(Box::new(View::part(of, from)));
        out
    }

    /// The values of a map, through which entries can be taken from it.
    pub(crate) fn values(of: &Rc<Map>) -> List {
        let mut out = List::new(Vec::new(), ListKind::Values);
        out.view = Some(Box::new(View::values(of)));
        out
    }

    /// A list with the same items that makes missing ones with a closure; `eager`: with all before them.
    pub fn with_default(&self, closure: Value, eager: bool) -> List {
        let mut out = List::new(self.snapshot(), ListKind::Array);
        out.default = Some((closure, eager));
        out
    }

    /// The closure of `withDefault`, and whether it is eager.
    pub fn default(&self) -> Option<&(Value, bool)> {
        self.default.as_ref()
    }

    /// What it says it is.
    pub fn kind(&self) -> &ListKind {
        &self.kind
    }

    /// The type of the items of an array, by its name.
    pub(crate) fn element_name(&self) -> Option<&str> {
        if let ListKind::JavaArray(element) = &self.kind { Some(element) } else { None }
    }

    /// Whether it is an array, and not one of primitives.
    pub(crate) fn is_object_array(&self) -> bool {
        self.element_name().is_some_and(|element| !super::is_primitive(element))
    }

    /// A value as an array of primitives holds it; all else holds it as it is.
    pub(crate) fn element(&self, value: Value) -> Value {
        match &self.kind {
            ListKind::JavaArray(element) => held(value, element),
            _ => value,
        }
    }

    /// What it is a part of.
    pub(super) fn view(&self) -> Option<&View> {
        self.view.as_deref()
    }

    /// The name of its class.
    pub(super) fn class_name(&self) -> String {
        match self.kind() {
            ListKind::Array => "java.util.ArrayList".into(),
            ListKind::Linked => "java.util.LinkedList".into(),
            ListKind::Deque => "java.util.ArrayDeque".into(),
            ListKind::Json => "net.sf.json.JSONArray".into(),
            ListKind::Values => self.values_class().into(),
            ListKind::Nodes => "groovy.util.NodeList".into(),
            ListKind::Stack => "java.util.Stack".into(),
            ListKind::Tuple if self.len() == 2 => "groovy.lang.Tuple2".into(),
            ListKind::Tuple => "groovy.lang.Tuple".into(),
            ListKind::Fixed => "java.util.Collections$UnmodifiableRandomAccessList".into(),
            ListKind::JavaArray(element) => super::class_names::array_name(element),
        }
    }

    /// What Java calls the values of a map.
    fn values_class(&self) -> &'static str {
        match self.view().and_then(View::map).map(Map::kind) {
            Some(MapKind::Hash) => "java.util.HashMap$Values",
            Some(MapKind::Tree) => "java.util.TreeMap$Values",
            _ => "java.util.LinkedHashMap$LinkedValues",
        }
    }

    /// How often it was changed, as far as a number goes round.
    pub(super) fn changes(&self) -> u32 {
        self.fresh();
        self.changes.get()
    }

    /// Whether it is part of a list that has got longer or shorter otherwise.
    pub(crate) fn is_stale(&self) -> bool {
        self.view().is_some_and(View::is_stale)
    }

    /// Brings a part to where the whole is.
    fn fresh(&self) {
        let Some(view) = self.view() else { return };
        let len = self.items.borrow().len();
        let Some(items) = view.newer(len) else { return };
        let Ok(mut held) = self.items.try_borrow_mut() else { return };
        Meter::work(COPIED * items.len() + 1);
        let before = std::mem::replace(&mut *held, items);
        drop(held);
        drop(before);
        view.settle();
        self.changes.set(self.changes.get().wrapping_add(1));
        self.recount();
    }

    /// Whether nobody may change it.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self.kind, ListKind::Fixed | ListKind::Tuple | ListKind::Values)
    }

    /// Whether a part of it can be changed in its place.
    pub(crate) fn has_parts(&self) -> bool {
        matches!(self.kind, ListKind::Array | ListKind::Linked | ListKind::Stack)
    }

    /// Whether it is a Java array.
    pub fn is_array(&self) -> bool {
        matches!(self.kind, ListKind::JavaArray(_))
    }

    /// The items.
    pub fn items(&self) -> Ref<'_, Vec<Value>> {
        self.fresh();
        self.items.borrow()
    }

    /// A copy of the items.
    pub fn snapshot(&self) -> Vec<Value> {
        self.items().clone()
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.view().and_then(View::shown).unwrap_or_else(|| self.items().len())
    }

    /// Whether it has no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at an index.
    pub fn get(&self, index: usize) -> Option<Value> {
        self.items().get(index).cloned()
    }

    /// Appends.
    pub fn push(&self, value: Value) {
        let value = if self.kind == ListKind::Json { super::json::held(value, &Value::Null) } else { value };
        if self.view.is_some() {
            return self.change(|items| items.push(value));
        }
        self.items.borrow_mut().push(value);
        self.changes.set(self.changes.get().wrapping_add(1));
        self.recount();
    }

    /// Changes the items; what it holds is counted again.
    pub fn change<T>(&self, f: impl FnOnce(&mut RefMut<'_, Vec<Value>>) -> T) -> T {
        self.fresh();
        let mut items = self.items.borrow_mut();
        let before = items.len();
        let answer = f(&mut items);
        drop(items);
        self.changes.set(self.changes.get().wrapping_add(1));
        self.recount();
        if let Some(view) = self.view() {
            let items = self.items.borrow().clone();
            Meter::work(COPIED * items.len() + 1);
            view.write(before, items);
        }
        answer
    }

    /// Sets an item that is there, answers the one before.
    pub(crate) fn put(&self, at: usize, value: Value) -> Option<Value> {
        self.fresh();
        if let Some(view) = self.view() {
            view.put(at, &value);
        }
        let before = self.items.borrow_mut().get_mut(at).map(|item| std::mem::replace(item, value));
        self.changes.set(self.changes.get().wrapping_add(1));
        before
    }

    /// Removes an item; the entry of a map that it is the value of.
    pub(crate) fn remove_at(&self, at: usize) {
        match self.view().and_then(View::map) {
            Some(map) => map.remove_at(at),
            None => drop(self.change(|items| (at < items.len()).then(|| items.remove(at)))),
        }
    }

    /// Keeps the items at the positions that are true.
    pub(crate) fn retain(&self, kept: &[bool]) {
        if let Some(map) = self.view().and_then(View::map) {
            return map.retain(kept);
        }
        let mut gone = Vec::new();
        self.change(|items| {
            let all = std::mem::take(&mut **items);
            for (at, item) in all.into_iter().enumerate() {
                if kept.get(at).copied().unwrap_or(true) { items.push(item) } else { gone.push(item) }
            }
        });
    }

    fn recount(&self) {
        let capacity = self.items.borrow().capacity();
        if capacity != self.capacity.get() {
            self.capacity.set(capacity);
            self.charge.set(HEADER + capacity * size_of::<Value>());
        }
    }
}

/// A number as an array of these primitives has it.
fn held(value: Value, element: &str) -> Value {
    let Some(whole) = value.as_i64().filter(|_| super::is_number(&value)) else { return value };
    match element {
        "byte" => Value::Byte(whole as i8),
        "short" => Value::Short(whole as i16),
        "long" => Value::Long(whole),
        "double" => super::to_f64(&value).map_or(value, Value::Double),
        _ => value,
    }
}

impl Drop for List {
    fn drop(&mut self) {
        let default = self.default.take().map(|(closure, _)| closure);
        let whole = self.view.take().map(|view| view.into_whole());
        release(self.items.get_mut().drain(..).chain(default).chain(whole));
    }
}
