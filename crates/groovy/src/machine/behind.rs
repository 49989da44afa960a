//! What is asked of a closure and closures do not have: it is meant for those behind it, its owner and delegate.

use std::rc::Rc;

use super::exec::{Step, Vm};
use super::fiber::Landing;
use super::fields::getter;
use super::name::{behind, class_value};
use super::need::Fault;
use super::property::Found;
use crate::ast::Text;
use crate::value::{Closure, Value};

/// The class of the first object in which a closure looks for names, which says that there is no such name.
pub(super) fn first_behind(closure: &Rc<Closure>) -> String {
    behind(closure).first().cloned().unwrap_or_else(|| Value::Closure(closure.clone())).type_name()
}

impl Vm<'_> {
    /// Who behind a closure has a method that is called on the closure itself: `owner.echo 'x'` in a closure within a closure.
    pub(super) fn behind_with(&mut self, closure: &Rc<Closure>, name: &str) -> Option<Value> {
        let targets = behind(closure);
        self.world.charge(targets.len());
        targets.into_iter().find(|target| match target {
            Value::Object(o) => {
                let is_step = || self.host.has_method(None, name) && self.host.goes_first(name);
                let of_script = |id| is_step() || self.world.variable(id, name).is_some();
                o.class.has_method(name)
                    || o.class.has_method("methodMissing")
                    || target.script_id().is_some_and(of_script)
            }
            Value::Class(class) => class.has_method(name),
            Value::Host(host) => self.host.has_method(Some(host), name),
            _ => false,
        })
    }

    /// A property of a closure that closures do not have: it is one of its owner or delegate, as a name in its code would be.
    pub(super) fn property_behind(&mut self, closure: &Rc<Closure>, name: &str) -> Result<Found, Fault> {
        let (targets, name) = (behind(closure), Text::from(name));
        self.world.charge(targets.len());
        for target in targets {
            if let (Value::Object(object), None) = (&target, target.script_id())
                && let Some(func) = getter(&object.class, &name)
            {
                let this = if super::call::is_static(&func) { class_value(&target) } else { target.clone() };
                return Ok(Found::Getter(func, this));
            }
            let found = self.named_property(&target, &name)?;
            if !matches!(found, Found::Missing) {
                return Ok(found);
            }
        }
        Ok(Found::Missing)
    }

    /// Sets such a property; the closure and the value are at `at` and go.
    pub(super) fn set_behind(&mut self, closure: &Rc<Closure>, at: usize, name: &Text) -> Step {
        let targets = behind(closure);
        self.world.charge(targets.len());
        let (object, value) = (self.f.stack.remove(at), self.top(1).clone());
        for target in &targets {
            if let (Value::Object(o), None) = (target, target.script_id())
                && let Some(func) = self.setter(&o.class, false, name, &value)?
            {
                let this = if super::call::is_static(&func) { class_value(target) } else { target.clone() };
                return self.call_function(func, this, None, at, at, Landing::Discard);
            }
            match self.store_named(target, name, &value) {
                Ok(None) => {}
                Ok(Some(flow)) => return Ok(flow),
                Err(fault) => {
                    self.f.stack.insert(at, object);
                    return Err(fault);
                }
            }
        }
        Err(self.world.missing_property(name, &first_behind(closure)))
    }
}
