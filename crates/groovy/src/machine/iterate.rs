//! `for (x in y)`, indexing, and `switch` tests.

use std::cell::Cell;
use std::rc::Rc;

use super::exec::{Flow, Step, Vm};
use super::fiber::Landing;
use super::need::Fault;
use crate::compile::Type;
use crate::library;
use crate::value::{Iter, Value};

impl Vm<'_> {
    /// Replaces the value on the stack by an iterator over it.
    pub(super) fn iterate(&mut self) -> Step {
        let source = self.top(1).clone();
        let source = match &source {
            Value::Iter(_) => return Ok(Flow::Next),
            Value::List(_) | Value::Range(_) | Value::Map(_) | Value::Set(_) => source,
            Value::Null => Value::list(Vec::new()),
            Value::Object(o) => {
                if let Some(held) = o.held() {
                    held
                } else if o.class.has_method("iterator") {
                    let at = self.f.stack.len() - 1;
                    return self.call_method(at, at + 1, "iterator", false, Landing::Push);
                } else if o.class.is_a("java.util.Iterator") && o.class.has_method("hasNext") {
                    return Ok(Flow::Next);
                } else {
                    Value::list(vec![source.clone()])
                }
            }
            other => match library::sequence(&mut self.ctx(), other)? {
                Some(items) => Value::list(items),
                None => Value::list(vec![other.clone()]),
            },
        };
        let expected = size(&source);
        let iter = Iter { source, at: Cell::new(0), expected: Cell::new(expected) };
        self.replace(1, Value::Iter(Rc::new(iter)));
        Ok(Flow::Next)
    }

    /// Pushes the next item, or jumps to the end.
    pub(super) fn iterate_next(&mut self, slot: usize, end: u32) -> Step {
        let iter = match &self.f.stack[slot] {
            Value::Iter(iter) => iter.clone(),
            // An iterator object of the script.
            other => {
                let other = other.clone();
                let more = self.ctx().ask(&other, "hasNext", &[])?;
                if !more.truth() {
                    return Ok(self.jump(end));
                }
                self.f.stack.push(other);
                let at = self.f.stack.len() - 1;
                return self.call_method(at, at + 1, "next", false, Landing::Push);
            }
        };
        let at = iter.at.get();
        let now = size(&iter.source);
        if now != iter.expected.get() {
            // Java's lists notice a change on the next step, its maps know before whether there is one.
            let over = if let Value::List(_) = iter.source { at == now } else { at >= iter.expected.get() };
            if over {
                return Ok(self.jump(end));
            }
            let fault = self.world.throwable("java.util.ConcurrentModificationException", Value::Null);
            return Err(Fault::Throw(fault));
        }
        let stale = matches!(&iter.source, Value::List(l) if at < now && l.is_stale());
        if stale {
            let fault = self.world.throwable("java.util.ConcurrentModificationException", Value::Null);
            return Err(Fault::Throw(fault));
        }
        match item(&iter.source, at) {
            Some(value) => {
                iter.at.set(at + 1);
                self.f.stack.push(value);
                Ok(Flow::Next)
            }
            None => Ok(self.jump(end)),
        }
    }

    pub(super) fn index(&mut self) -> Step {
        let (object, key) = (self.top(2).clone(), self.top(1).clone());
        self.ctx().pay(library::text_weight(&key))?;
        let is_property = match &object {
            // `Color['RED']` is the property of that name.
            Value::Class(_) | Value::Host(_) => true,
            // So is that of an object, unless its class says what text means; one `getAt` for everything does not.
            Value::Object(o) => o.as_map().is_none() && !takes_text(&o.class, "getAt"),
            _ => false,
        };
        if is_property && key.is_text() {
            let name: crate::ast::Text = self.ctx().text(&key)?.into();
            if let Value::Class(class) = &object {
                self.ready(class)?;
            }
            let key = self.pop();
            let step = self.load_property(&name);
            if matches!(step, Err(Fault::Need(_) | Fault::Init(_))) {
                self.f.stack.push(key);
            }
            return step;
        }
        if let Some(value) = library::index::get(&mut self.ctx(), &object, &key)? {
            self.replace(2, value);
            return Ok(Flow::Next);
        }
        let at = self.f.stack.len() - 2;
        // `a[1, 2]` on an object with its own `getAt(a, b)` is not told apart from a list.
        self.call_method(at, at + 1, "getAt", false, Landing::Push)
    }

    pub(super) fn set_index(&mut self) -> Step {
        let (object, key, value) = (self.top(3).clone(), self.top(2).clone(), self.top(1).clone());
        self.ctx().pay(library::text_weight(&key))?;
        let value = self.held(&object, &key, value)?;
        if library::index::set(&mut self.ctx(), &object, &key, &value)? {
            self.drop_top(3);
            return Ok(Flow::Next);
        }
        if let Value::Object(o) = &object
            && !takes_text(&o.class, "putAt")
            && key.is_text()
        {
            let name: crate::ast::Text = self.ctx().text(&key)?.into();
            let at = self.f.stack.len() - 3;
            let key = self.f.stack.remove(at + 1);
            let step = self.set_property_at(at, &name);
            if matches!(step, Err(Fault::Need(_) | Fault::Init(_))) {
                self.f.stack.insert(at + 1, key);
            }
            return step;
        }
        let at = self.f.stack.len() - 3;
        self.call_method(at, at + 1, "putAt", false, Landing::Discard)
    }

    /// A value as an item of an array, which is of the array's type.
    ///
    /// Source: `ObjectArrayPutAtMetaMethod.adjustNewValue`.
    fn held(&mut self, object: &Value, key: &Value, value: Value) -> Result<Value, Fault> {
        let element = match object {
            Value::List(list) if !matches!(key, Value::Range(_) | Value::List(_)) => list.element_name(),
            _ => None,
        };
        let Some(element) = element else { return Ok(value) };
        self.cast(&value, &super::convert::element_type(element))
    }

    /// `case test:` and `value in test`; the value is below the test.
    pub(super) fn case(&mut self) -> Step {
        let (value, test) = (self.top(2).clone(), self.top(1).clone());
        if let Value::Closure(_) = test {
            let answer = self.ctx().ask(&test, "call", std::slice::from_ref(&value))?;
            self.replace(2, Value::Bool(answer.truth()));
            return Ok(Flow::Next);
        }
        if let Value::Object(o) = &test
            && o.class.has_method("isCase")
        {
            let answer = self.ctx().ask(&test, "isCase", std::slice::from_ref(&value))?;
            self.replace(2, Value::Bool(answer.truth()));
            return Ok(Flow::Next);
        }
        let is = match (&test, &value) {
            (Value::Class(class), Value::Class(of)) => of.is_a(&class.name),
            (Value::Class(class), _) => self.is_instance(&value, &class.name),
            (other, _) => library::compare::is_case(&mut self.ctx(), other, &value)?,
        };
        self.replace(2, Value::Bool(is));
        Ok(Flow::Next)
    }
}

/// Number of items of what an iterator goes over.
pub(crate) fn size(source: &Value) -> usize {
    match source {
        Value::List(l) => l.len(),
        Value::Map(m) | Value::Set(m) => m.len(),
        Value::Range(r) => usize::try_from(r.size()).unwrap_or(usize::MAX),
        _ => 0,
    }
}

/// The item at a position.
pub(crate) fn item(source: &Value, at: usize) -> Option<Value> {
    match source {
        Value::List(l) => l.get(at),
        Value::Set(s) => s.at(at).map(|(k, _)| k),
        Value::Map(m) => library::maps::entry_at(m, at),
        Value::Range(r) => r.at(at as u64),
        _ => None,
    }
}

/// Whether a class has a method whose first parameter is a text, and nothing more general.
fn takes_text(class: &crate::value::Class, method: &str) -> bool {
    const TEXTS: &[&str] = &["java.lang.String", "java.lang.CharSequence", "groovy.lang.GString"];
    let is_text = |ty: &Type| matches!(ty, Type::Class(name) if TEXTS.contains(&&**name));
    class.methods(method).iter().any(|f| f.params.first().is_some_and(|p| is_text(&p.ty)))
}
