//! Calls that no method answers: closures in properties, `methodMissing`, and the exception.

use std::rc::Rc;

use super::exec::{Step, Vm};
use super::fiber::Landing;
use super::need::Fault;
use crate::compile::{Function, Type};
use crate::value::{Class, Closure, ListKind, Value};

/// Methods that Groovy has for whatever can be iterated, and the library for lists.
const OF_ITERABLES: &[&str] = &[
    "asList",
    "collate",
    "collectEntries",
    "collectMany",
    "collectNested",
    "combinations",
    "contains",
    "containsAll",
    "count",
    "countBy",
    "disjoint",
    "drop",
    "dropRight",
    "dropWhile",
    "findIndexOf",
    "findIndexValues",
    "findLastIndexOf",
    "findResults",
    "first",
    "flatten",
    "groupBy",
    "head",
    "indexed",
    "init",
    "intersect",
    "join",
    "last",
    "max",
    "min",
    "permutations",
    "size",
    "sort",
    "sum",
    "tail",
    "take",
    "takeRight",
    "takeWhile",
    "toList",
    "toSet",
    "toSorted",
    "toUnique",
    "withIndex",
];

impl Vm<'_> {
    /// The items of an object that can be iterated, where a method of that name is one of theirs.
    pub(super) fn iterated_for(&mut self, receiver: &Value, name: &str) -> Result<Option<Value>, Fault> {
        let Value::Object(object) = receiver else { return Ok(None) };
        if !OF_ITERABLES.contains(&name) || !object.class.is_iterated() {
            return Ok(None);
        }
        self.ctx().ask(receiver, "$items", &[]).map(Some)
    }

    /// `methodMissing`, or the exception.
    pub(super) fn call_missing(
        &mut self,
        receiver: Value,
        at: usize,
        base: usize,
        name: &str,
        landing: Landing,
    ) -> Step {
        if let Value::Object(object) = &receiver {
            let skipped = usize::from(self.intercepts(&receiver, name));
            for handler in ["methodMissing", "invokeMethod"].into_iter().skip(skipped) {
                let methods = object.class.methods(handler);
                if let Some(func) = methods.into_iter().find(|m| m.params.len() == 2) {
                    let args = self.f.stack.split_off(base);
                    self.f.stack.truncate(at + 1);
                    self.f.stack.extend([Value::str(name), Value::array(args, "java.lang.Object")]);
                    return self.call_function(func, receiver.clone(), None, at, at + 1, landing);
                }
            }
        }
        // A method of the interface that a map was made of has no code there.
        if let Value::Object(object) = &receiver
            && let Some(face) = object.class.superclass.as_ref().filter(|_| object.class.is_of_code())
            && let Some(face) = self.world.class(&face.name)
            && self.world.select(&face.methods(name), &self.f.stack[base..])?.is_some()
        {
            return Err(Fault::Throw(self.world.throwable("java.lang.UnsupportedOperationException", Value::Null)));
        }
        if receiver.is_null() {
            return Err(self.world.null_pointer(format!("Cannot invoke method {name}() on null object")));
        }
        let args = self.f.stack[base..].to_vec();
        Err(match &receiver {
            Value::Class(c) => match self.unresolved(c) {
                Some(fault) => fault,
                None => self.ctx().missing_method(name, &c.name, true, &args),
            },
            Value::Closure(c) => {
                // Groovy asks the owner in the end.
                let (mut owner, mut steps) = (c.owner.clone(), 0);
                while let (Value::Closure(outer), true) = (&owner, steps < 200) {
                    (owner, steps) = (outer.owner.clone(), steps + 1);
                }
                let class = if owner.is_null() { receiver.type_name() } else { owner.type_name() };
                self.ctx().missing_method(name, &class, false, &args)
            }
            // What a GString has no method for, its text is asked.
            Value::GString(_) => self.ctx().missing_method(name, "java.lang.String", false, &args),
            other => self.ctx().missing_method(name, &other.type_name(), false, &args),
        })
    }

    /// Whether a call goes to the `invokeMethod` of a `GroovyInterceptable`. What the library itself asks of objects does not.
    pub(super) fn intercepts(&self, receiver: &Value, name: &str) -> bool {
        const ASKED: [&str; 5] = ["toString", "hashCode", "equals", "compareTo", "getMetaClass"];
        let Value::Object(object) = receiver else { return false };
        object.class.script.as_ref().is_some_and(|s| s.intercepts)
            && !name.starts_with('$')
            && !ASKED.contains(&name)
            && self.f.frames.last().is_some_and(|frame| !frame.func.library)
    }

    /// A closure that is the value of a property of the receiver.
    pub(super) fn closure_in_property(&mut self, receiver: &Value, name: &str) -> Option<Rc<Closure>> {
        let value = match receiver {
            Value::Map(map) => map.get(&Value::str(name)),
            Value::Object(object) => {
                let in_map = || object.as_map()?.get(&Value::str(name));
                object.field(name).or_else(in_map).or_else(|| object.class.static_value(name))
            }
            Value::Class(class) => class.static_value(name),
            _ => None,
        };
        match value {
            Some(Value::Closure(c)) => Some(c),
            _ => None,
        }
    }
}

/// `get(String)` or `set(String, value)` of a class of a script, which its objects have for all properties that they lack.
///
/// Source: `MetaClassImpl`, its `genericGetMethod` and `genericSetMethod`.
pub(super) fn of_all_properties(class: &Class, name: &str, params: usize) -> Option<Rc<Function>> {
    let takes_name = |f: &Function| matches!(&f.params[0].ty, Type::Class(name) if &**name == "java.lang.String");
    let found = class.methods(name).into_iter().find(|f| f.params.len() == params && takes_name(f))?;
    (!found.library && !class.is_a("groovy.lang.Script")).then_some(found)
}

/// Methods that the library has for its own sake, and Groovy has not for such a receiver.
pub(super) fn lacks(receiver: &Value, name: &str, args: &[Value]) -> bool {
    match receiver {
        Value::Null => {
            matches!((name, args), ("split" | "find" | "findAll" | "any" | "every", [test]) if !matches!(test, Value::Closure(_)))
        }
        Value::List(l) => match l.kind() {
            ListKind::JavaArray(element) => matches!(name, "sort" | "toSorted") && crate::value::is_primitive(element),
            _ => false,
        },
        _ => false,
    }
}
