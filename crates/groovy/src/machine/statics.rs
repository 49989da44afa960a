//! Static fields: as the methods of their class have them, and through the accessors that Groovy writes for those that are properties.

use std::rc::Rc;

use super::bind::UNFIT;
use super::exec::Vm;
use super::need::Fault;
use crate::ast::Text;
use crate::compile::{Function, FunctionKind, Type};
use crate::value::{Class, Seen, Value};

/// The class above another, or that class itself, with this name.
fn above<'c>(class: &'c Rc<Class>, name: &str) -> Option<&'c Rc<Class>> {
    let mut next = Some(class);
    while let Some(class) = next.filter(|c| *c.name != *name) {
        next = class.superclass.as_ref();
    }
    next
}

impl Vm<'_> {
    /// The class whose method runs.
    fn running_class(&self, func: &Function) -> Result<Rc<Class>, Fault> {
        let name = func.class.as_deref().unwrap_or_default();
        let found = match self.f.frames.last().map(|frame| &frame.this) {
            Some(Value::Object(this)) => above(&this.class, name),
            Some(Value::Class(this)) => above(this, name),
            _ => None,
        };
        match found.cloned().or_else(|| self.world.class(name)) {
            Some(class) => self.ready(&class).map(|()| class),
            None => Err(self.world.fail("java.lang.NoClassDefFoundError", name)),
        }
    }

    /// A static field in a method of the class that declares it.
    pub(super) fn load_static(&mut self, name: &Text, func: &Function) -> Result<(), Fault> {
        let class = self.running_class(func)?;
        let value = class.script.as_ref().and_then(|s| s.statics.borrow().get(name).cloned());
        self.f.stack.push(value.unwrap_or_default());
        Ok(())
    }

    /// Sets it.
    pub(super) fn store_static(&mut self, name: &Text, func: &Function) -> Result<(), Fault> {
        let class = self.running_class(func)?;
        let is_final = class.static_field(name).is_some_and(|f| f.is_final);
        if is_final && func.kind != FunctionKind::Init {
            return Err(self.readonly(&class, name));
        }
        let value = self.top(1).clone();
        self.put_static(&class, name, &value)?;
        self.drop_top(1);
        Ok(())
    }

    /// Puts a value into a static field that a class declares.
    pub(super) fn put_static(&mut self, owner: &Class, name: &Text, value: &Value) -> Result<(), Fault> {
        let value = match owner.static_field(name) {
            Some(field) if field.ty != Type::Any => self.cast(value, &field.ty)?,
            _ => value.clone(),
        };
        let before = owner.script.as_ref().and_then(|s| s.statics.borrow_mut().insert(name.clone(), value));
        drop(before);
        Ok(())
    }

    /// Sets a static field of a class, of those above it and around it; `false`: none has it.
    pub(super) fn set_static(&mut self, class: &Rc<Class>, name: &Text, value: &Value) -> Result<bool, Fault> {
        let mut next = Some(class.clone());
        while let Some(class) = next {
            if let Some(owner) = class.static_owner(name) {
                if owner.static_field(name).is_some_and(|f| f.is_final) {
                    return Err(self.readonly(&class, name));
                }
                self.put_static(owner, name, value)?;
                return Ok(true);
            }
            next = class.script.as_ref().and_then(|s| s.outer.as_ref()).and_then(|o| self.world.class(o));
        }
        Ok(false)
    }

    /// What a call answers that is `getName()`, `isName()` or `setName(value)` of a static property, where nobody has written such a method.
    pub(super) fn static_accessor(&mut self, target: &Value, name: &str, base: usize) -> Result<Option<Value>, Fault> {
        let (prefix, given) = match (name.get(..3), &self.f.stack[base..]) {
            (Some("get"), []) => ("get", None),
            (Some("set"), []) => ("set", Some(Value::Null)),
            (Some("set"), [value]) => ("set", Some(value.clone())),
            (Some(other), []) if other.starts_with("is") => ("is", None),
            _ => return Ok(None),
        };
        let mut next = match target {
            Value::Object(o) => Some(o.class.clone()),
            Value::Class(class) => Some(class.clone()),
            _ => None,
        };
        while let Some(class) = next.filter(|class| class.script.is_some()) {
            for property in super::fields::accessed(name) {
                // Nobody writes `getALong` of `aLong`: that is `getaLong`.
                let keeps = property.chars().nth(1).is_some_and(char::is_uppercase);
                if keeps && !name.ends_with(&property) {
                    continue;
                }
                let Some(owner) = class.static_owner(&property) else { continue };
                // A method of an object is in its place.
                let takes = usize::from(prefix == "set");
                let own = owner.script.as_ref().and_then(|s| s.methods.get(name));
                if own.is_some_and(|all| all.iter().any(|f| f.params.len() == takes)) {
                    continue;
                }
                let Some(field) =
                    owner.static_field(&property).filter(|f| f.seen == Seen::Own || f.seen == Seen::Trait)
                else {
                    continue;
                };
                self.ready(&class)?;
                self.ready_owner(owner)?;
                match &given {
                    None if prefix == "get" || field.ty == Type::Primitive("boolean") => {
                        return Ok(owner.script.as_ref().and_then(|s| s.statics.borrow().get(&*property).cloned()));
                    }
                    Some(value) if !field.is_final && self.world.distance(&field.ty, value) != UNFIT => {
                        let value = self.cast(value, &field.ty)?;
                        self.put_static(owner, &field.name, &value)?;
                        return Ok(Some(Value::Null));
                    }
                    _ => {}
                }
            }
            // A class within another has what that has.
            next = class.script.as_ref().and_then(|s| s.outer.as_ref()).and_then(|o| self.world.class(o));
        }
        Ok(None)
    }
}
