//! Lists and arrays.

use std::cell::{Cell, Ref, RefCell, RefMut};

use super::Value;
use super::meter::Charge;
use super::release::release;
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
    capacity: Cell<usize>,
    charge: Charge,
}

const HEADER: usize = 96;

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
        List { items: RefCell::new(items), kind, default: None, capacity: Cell::new(capacity), charge }
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

    /// A value as an array of primitives holds it; all else holds it as it is.
    pub(crate) fn element(&self, value: Value) -> Value {
        match &self.kind {
            ListKind::JavaArray(element) => held(value, element),
            _ => value,
        }
    }

    /// Whether nobody may change it.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self.kind, ListKind::Fixed | ListKind::Tuple)
    }

    /// Whether it is a Java array.
    pub fn is_array(&self) -> bool {
        matches!(self.kind, ListKind::JavaArray(_))
    }

    /// The items.
    pub fn items(&self) -> Ref<'_, Vec<Value>> {
        self.items.borrow()
    }

    /// A copy of the items.
    pub fn snapshot(&self) -> Vec<Value> {
        self.items.borrow().clone()
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items.borrow().len()
    }

    /// Whether it has no items.
    pub fn is_empty(&self) -> bool {
        self.items.borrow().is_empty()
    }

    /// The item at an index.
    pub fn get(&self, index: usize) -> Option<Value> {
        self.items.borrow().get(index).cloned()
    }

    /// Appends.
    pub fn push(&self, value: Value) {
        let value = if self.kind == ListKind::Json { super::json::held(value, &Value::Null) } else { value };
        self.items.borrow_mut().push(value);
        self.recount();
    }

    /// Changes the items; what it holds is counted again.
    pub fn change<T>(&self, f: impl FnOnce(&mut RefMut<'_, Vec<Value>>) -> T) -> T {
        let mut items = self.items.borrow_mut();
        let answer = f(&mut items);
        drop(items);
        self.recount();
        answer
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
        release(self.items.get_mut().drain(..).chain(default));
    }
}
