//! `use(Category) { … }`: while the closure runs, static methods of a class are methods of what their first parameter takes.

use std::rc::Rc;

use super::call::is_static;
use super::exec::{Step, Vm};
use super::fiber::Landing;
use super::need::Fault;
use crate::ast::ClassKind;
use crate::compile::{Function, Type};
use crate::value::{Class, Value};

/// Blocks of `use` within one another, and classes of one block.
const USED_MAX: usize = 100;

/// A static method, and the class in use that has it.
pub(super) type Method = (Rc<Class>, Rc<Function>);

impl Vm<'_> {
    /// `$use` and `$unuse`, with which the library's `use` begins and ends, `$standIn`, with which it makes an object of
    /// code, and `$typedFields`, with which it sets what nobody else may.
    pub(super) fn category_word(&mut self, at: usize, base: usize, name: &str, landing: Landing) -> Option<Step> {
        if !self.f.frames.last().is_some_and(|frame| frame.func.library) {
            return None;
        }
        match name {
            "$use" => {
                let given = self.f.stack[base..].to_vec();
                let all = given.iter().flat_map(|v| v.items().unwrap_or_else(|| vec![v.clone()]));
                let classes: Vec<Rc<Class>> = all
                    .filter_map(|v| match v {
                        Value::Class(class) => Some(class),
                        _ => None,
                    })
                    .take(USED_MAX)
                    .collect();
                if self.f.used.len() >= USED_MAX {
                    let message = format!("use within more than {USED_MAX} others");
                    return Some(Err(self.world.fail("java.lang.IllegalStateException", message)));
                }
                self.f.used.push(classes);
            }
            "$standIn" => {
                let Some(Value::Class(class)) = self.f.stack.get(base).cloned() else { return None };
                self.f.stack.truncate(at + 1);
                return Some(self.stand_in(&self.top(1).clone(), class));
            }
            "$typedFields" => return Some(self.put_fields(at, base, landing)),
            "$unuse" => drop(self.f.used.pop()),
            _ => return None,
        }
        Some(self.result(at, landing, Value::Null))
    }

    /// The method that a class in use has for a receiver and arguments.
    pub(super) fn of_category(
        &mut self,
        receiver: &Value,
        name: &str,
        args: &[Value],
    ) -> Result<Option<Method>, Fault> {
        if self.f.used.is_empty() || self.f.frames.last().is_none_or(|frame| frame.func.library) {
            return Ok(None);
        }
        let all: Vec<Value> = std::iter::once(receiver).chain(args).cloned().collect();
        let classes: Vec<Rc<Class>> = self.f.used.iter().flatten().rev().cloned().collect();
        self.world.charge(classes.len());
        for class in classes {
            let mut methods = class.methods(name);
            // What is null is an object of no class but this.
            methods.retain(|f| is_static(f) && (!receiver.is_null() || takes_anything(f)));
            if let Some(func) = self.of_annotated(&class, receiver, name, args)? {
                return Ok(Some((class, func)));
            }
            if methods.is_empty() {
                continue;
            }
            self.ready(&class)?;
            if let Some(func) = self.world.select(&methods, &all)?
                && !self.has_nearer(receiver, name, &func)
            {
                return Ok(Some((class, func)));
            }
        }
        Ok(None)
    }

    /// Whether a class below the one that a category's method is for has a method that takes the same.
    fn has_nearer(&self, receiver: &Value, name: &str, func: &Function) -> bool {
        let Value::Object(object) = receiver else { return false };
        let Some((of, taken)) = func.params.split_first() else { return false };
        let of = super::convert::element_name(&of.ty);
        let is_interface =
            self.world.class(&of).and_then(|c| c.script.as_ref().map(|s| s.kind)) == Some(ClassKind::Interface);
        if is_interface || crate::value::is_interface_name(&of) {
            return false;
        }
        let types = |f: &Function| f.params.iter().map(|p| p.ty.clone()).collect::<Vec<_>>();
        let taken: Vec<Type> = taken.iter().map(|p| p.ty.clone()).collect();
        let same = |f: &&Rc<Function>| !is_static(f) && types(f) == taken;
        let own = object.class.methods(name).into_iter();
        let nearest = own.filter(|f| same(&f)).find_map(|f| self.world.class(f.class.as_deref()?));
        nearest.is_some_and(|class| *class.name != *of && class.is_a(&of))
    }

    /// The same of a class with `@Category`, whose methods are those of what it is for.
    fn of_annotated(
        &mut self,
        class: &Rc<Class>,
        receiver: &Value,
        name: &str,
        args: &[Value],
    ) -> Result<Option<Rc<Function>>, Fault> {
        if class.static_owner("$category").is_none() {
            return Ok(None);
        }
        self.ready(class)?;
        let of = class.script.as_ref().and_then(|s| s.statics.borrow().get("$category").cloned());
        let Some(Value::Class(of)) = of.filter(|_| !receiver.is_null()) else { return Ok(None) };
        if !self.is_instance(receiver, &of.name) {
            return Ok(None);
        }
        let mut methods = class.methods(name);
        methods.retain(|f| !is_static(f));
        self.world.select(&methods, args)
    }

    /// Calls a method of a category: the receiver is its first argument.
    pub(super) fn call_category(&mut self, (class, func): Method, at: usize, base: usize, landing: Landing) -> Step {
        self.f.stack.drain(at + 1..base);
        if !is_static(&func) {
            let this = self.f.stack[at].clone();
            return self.call_function(func, this, None, at, at + 1, landing);
        }
        self.f.stack.insert(at, Value::Class(class.clone()));
        self.call_function(func, Value::Class(class), None, at, at + 1, landing)
    }
}

fn takes_anything(func: &Function) -> bool {
    func.params.first().is_some_and(|p| match &p.ty {
        Type::Any => true,
        Type::Class(name) => &**name == "java.lang.Object",
        _ => false,
    })
}
