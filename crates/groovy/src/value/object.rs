//! Instances of script classes, exceptions, and scripts themselves.

use std::cell::RefCell;
use std::rc::Rc;

use super::meter::Charge;
use super::release::release;
use super::{Class, Java, List, Map, Value, Variable};
use crate::ast::Text;
use crate::machine::ScriptId;
use crate::span::Span;

/// A line of a script stack trace, innermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceLine {
    /// Function or class the place is in.
    pub function: Text,
    /// Script.
    pub script: ScriptId,
    /// Place in its source.
    pub span: Span,
}

/// What makes an object an exception.
#[derive(Clone, Debug, Default)]
pub struct Throwable {
    /// `getMessage()`
    pub message: Value,
    /// `getCause()`
    pub cause: Value,
    /// Places, filled in when it is thrown first.
    pub trace: Vec<TraceLine>,
    /// Whether `trace` is filled.
    pub thrown: bool,
    /// What a host's exception knows besides: `causes` for `getCauses()` and `.causes`.
    pub facts: Vec<(Text, Value)>,
}

/// The fact of an exception what its own `getMessage` says, once that was asked for whoever reports it.
const SAID: &str = "$said";
/// The fact of an exception that others were thrown beside it.
const SUPPRESSED: &str = "suppressed";

impl Throwable {
    /// Whether its own message was asked for.
    pub(crate) fn said(&self) -> Option<&Value> {
        self.facts.iter().find(|(name, _)| &**name == SAID).map(|(_, value)| value)
    }

    /// `getSuppressed()`, where there are some.
    pub fn suppressed(&self) -> Option<Rc<List>> {
        self.facts.iter().find_map(|(name, value)| match value {
            Value::List(list) if &**name == SUPPRESSED => Some(list.clone()),
            _ => None,
        })
    }
}

/// The part of an object that Java would hold.
#[derive(Clone, Debug, Default)]
pub enum Native {
    /// None.
    #[default]
    None,
    /// An exception or error.
    Throwable(Throwable),
    /// A class that extends a map.
    Map(Rc<Map>),
    /// A class that extends a list.
    List(Rc<List>),
    /// A script: its binding and steps are reached through it.
    Script(ScriptId),
    /// A package of a library's classes: `library('x').org.acme`.
    Package(Text),
    /// A date, an address, a digest …
    Java(Box<Java>),
    /// `new Object()` and other opaque Java objects.
    Opaque,
}

/// A class with this field shows its fields as its text (`@ToString`).
pub(crate) const SHOWS_FIELDS: &str = "$shows";
/// Objects of a class with this field are equal when their fields are (`@EqualsAndHashCode`).
pub(crate) const EQUAL_BY_FIELDS: &str = "$equal";

/// The field of an inner or anonymous class that holds the object around it.
pub(crate) const OUTER: &str = "$outer";

/// An object.
#[derive(Debug)]
pub struct Object {
    /// Its class.
    pub class: Rc<Class>,
    /// Fields by slot.
    pub fields: RefCell<Vec<Value>>,
    /// What Java would hold.
    pub native: RefCell<Native>,
    /// Fields of an anonymous class that are variables of the code around it, by slot.
    shared: RefCell<Vec<(usize, Rc<Variable>)>>,
    _charge: Charge,
}

impl Object {
    /// An object whose fields are all null.
    pub fn new(class: Rc<Class>, native: Native) -> Self {
        let count = class.script.as_ref().map_or(0, |s| s.fields.len());
        let charge = Charge::new(128 + count * size_of::<Value>());
        let (fields, shared) = (RefCell::new(vec![Value::Null; count]), RefCell::default());
        Object { class, fields, native: RefCell::new(native), shared, _charge: charge }
    }

    /// Makes a field a variable that other code has, too.
    pub(crate) fn share(&self, name: &str, variable: Rc<Variable>) {
        if let Some(slot) = self.slot(name) {
            self.shared.borrow_mut().push((slot, variable));
        }
    }

    /// The variable that a field is, where it is one.
    pub(crate) fn shared_at(&self, slot: usize) -> Option<Rc<Variable>> {
        self.shared.borrow().iter().find(|(at, _)| *at == slot).map(|(_, variable)| variable.clone())
    }

    /// The same, of all fields, which are none from then on.
    pub(crate) fn take_shared(&self) -> Vec<Rc<Variable>> {
        self.shared.borrow_mut().drain(..).map(|(_, variable)| variable).collect()
    }

    /// Slot of a field.
    pub fn slot(&self, name: &str) -> Option<usize> {
        Some(self.class.script.as_ref()?.fields.get(name)?.slot)
    }

    /// Value of a field.
    pub fn field(&self, name: &str) -> Option<Value> {
        self.slot(name).map(|slot| self.at(slot))
    }

    /// The same by its slot.
    pub(crate) fn at(&self, slot: usize) -> Value {
        match self.shared_at(slot) {
            Some(variable) => variable.0.borrow().clone(),
            None => self.fields.borrow().get(slot).cloned().unwrap_or_default(),
        }
    }

    /// Whether a field is what makes a constant of an enum, and set.
    pub(crate) fn is_settled(&self, name: &str) -> bool {
        let makes = matches!(name, "$name" | "$ordinal") && self.class.enumeration().is_some();
        makes && self.field(name).is_some_and(|value| !value.is_null())
    }

    /// The class that [`EQUAL_BY_FIELDS`] stands before, farthest above, and the values of its fields: what children add does not count.
    pub(crate) fn compared(&self) -> Option<(&Rc<Class>, Vec<Value>)> {
        let mark = self.slot(EQUAL_BY_FIELDS)?;
        let has_mark = |c: &&Rc<Class>| c.script.as_ref().is_some_and(|s| s.fields.contains_key(EQUAL_BY_FIELDS));
        let above = std::iter::successors(Some(&self.class), |class| class.superclass.as_ref());
        let script = self.class.script.as_ref()?;
        let fields = self.fields.borrow();
        let own = script.fields.iter().filter(|(name, f)| f.slot < mark && !name.starts_with('$'));
        let values = own.map(|(_, f)| fields.get(f.slot).cloned().unwrap_or_default()).collect();
        above.take_while(has_mark).last().map(|class| (class, values))
    }

    /// Whether its class has a mark ([`SHOWS_FIELDS`], [`EQUAL_BY_FIELDS`]).
    pub(crate) fn marked(&self, mark: &str) -> bool {
        self.class.script.as_ref().is_some_and(|s| s.fields.contains_key(mark))
    }

    /// Values of the fields that the script declared, in order.
    pub(crate) fn field_values(&self) -> Vec<Value> {
        let Some(script) = &self.class.script else { return Vec::new() };
        let fields = self.fields.borrow();
        let own = script.fields.iter().filter(|(name, _)| !name.starts_with('$'));
        own.map(|(_, f)| fields.get(f.slot).cloned().unwrap_or_default()).collect()
    }

    /// The map that the object is, for classes that extend one.
    pub fn as_map(&self) -> Option<Rc<Map>> {
        match &*self.native.borrow() {
            Native::Map(m) => Some(m.clone()),
            _ => None,
        }
    }

    /// The list that the object is, for classes that extend one.
    pub fn as_list(&self) -> Option<Rc<List>> {
        match &*self.native.borrow() {
            Native::List(l) => Some(l.clone()),
            _ => None,
        }
    }

    /// The map or list that the object is, as a value.
    pub(crate) fn held(&self) -> Option<Value> {
        match &*self.native.borrow() {
            Native::Map(m) => Some(Value::Map(m.clone())),
            Native::List(l) => Some(Value::List(l.clone())),
            _ => None,
        }
    }

    /// What Java holds, where it is plain data.
    pub fn java(&self) -> Option<Java> {
        match &*self.native.borrow() {
            Native::Java(java) => Some((**java).clone()),
            _ => None,
        }
    }

    /// The exception that the object is.
    pub fn throwable(&self) -> Option<Throwable> {
        match &*self.native.borrow() {
            Native::Throwable(t) => Some(t.clone()),
            _ => None,
        }
    }

    /// Keeps what an exception says of itself.
    pub(crate) fn say(&self, message: Value) {
        let Native::Throwable(t) = &mut *self.native.borrow_mut() else { return };
        t.facts.retain(|(name, _)| &**name != SAID);
        t.facts.push((SAID.into(), message));
    }

    /// The method of the script that answers an exception's message, where there is one.
    pub(crate) fn message_method(&self) -> Option<&'static str> {
        self.class.script.as_ref().filter(|_| matches!(*self.native.borrow(), Native::Throwable(_)))?;
        ["getLocalizedMessage", "getMessage"].into_iter().find(|name| self.class.has_method(name))
    }

    /// `addSuppressed(other)`; nothing where it is no exception.
    pub fn suppress(&self, other: Value) {
        let Native::Throwable(t) = &mut *self.native.borrow_mut() else { return };
        match t.suppressed() {
            Some(list) => list.push(other),
            None => t.facts.push((SUPPRESSED.into(), Value::list(vec![other]))),
        }
    }
}

impl Value {
    /// The list that a value is, also as an object of a class that extends one.
    pub(crate) fn as_list(&self) -> Option<Rc<List>> {
        match self {
            Value::List(l) => Some(l.clone()),
            Value::Object(o) => o.as_list(),
            _ => None,
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let fields = std::mem::take(self.fields.get_mut());
        let native = match self.native.take() {
            Native::Throwable(t) => {
                [t.message, t.cause].into_iter().chain(t.facts.into_iter().map(|(_, value)| value)).collect()
            }
            Native::Map(m) => vec![Value::Map(m)],
            Native::List(l) => vec![Value::List(l)],
            _ => Vec::new(),
        };
        release(fields.into_iter().chain(native));
    }
}
