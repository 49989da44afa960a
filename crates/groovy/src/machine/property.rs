//! `a.b` and `a.b = c`.

use std::rc::Rc;

use super::exec::{Flow, Step, Vm};
use super::fiber::Landing;
use super::fields::{Named, getter};
use super::missing::of_all_properties;
use super::need::Fault;
use crate::ast::Text;
use crate::compile::Function;
use crate::library;
use crate::outside;
use crate::value::{Class, ListKind, MapKind, Native, Object, Value};

/// What a property turned out to be.
pub(super) enum Found {
    Value(Value),
    /// A method of the script answers it, called on this object.
    Getter(Rc<Function>, Value),
    Missing,
}

/// `getName` of `name`.
pub(crate) fn accessor(prefix: &str, name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => format!("{prefix}{}{}", first.to_uppercase(), chars.as_str()),
        None => prefix.into(),
    }
}

impl Vm<'_> {
    pub(super) fn load_property(&mut self, name: &Text) -> Step {
        let at = self.f.stack.len() - 1;
        let object = self.f.stack[at].clone();
        if let Value::Object(o) = &object
            && self.f.used.is_empty()
            && let Some((field, direct)) = self.field_named(o, name, Named::OfThis)
            && (direct || field.is_plain)
            && o.class.script.as_ref().is_some_and(|s| direct || !s.answers)
        {
            self.f.stack[at] = o.at(field.slot);
            return Ok(Flow::Next);
        }
        if let Value::Object(o) = &object
            && let Some(func) = self.own_access(o, "getProperty", 1, name)
        {
            self.f.stack.push(Value::str(&**name));
            return self.call_function(func, object.clone(), None, at, at + 1, Landing::Push);
        }
        if !self.f.used.is_empty() && self.of_category(&object, &accessor("get", name), &[])?.is_some() {
            return self.call_method(at, at + 1, &accessor("get", name), false, Landing::Push);
        }
        match self.find_property(&object, name)? {
            Found::Value(value) => {
                self.f.stack[at] = value;
                Ok(Flow::Next)
            }
            Found::Getter(func, this) => self.call_function(func, this, None, at, at + 1, Landing::Push),
            Found::Missing => self.property_missing(object, at, name),
        }
    }

    /// The `getProperty` or `setProperty` of a class of the script, which all its properties go through; within the class its
    /// fields are still fields.
    pub(super) fn own_access(
        &self,
        object: &Rc<Object>,
        method: &str,
        params: usize,
        name: &str,
    ) -> Option<Rc<Function>> {
        let class = &object.class;
        if class.script.as_ref().is_none_or(|s| !s.answers) || name == "metaClass" {
            return None;
        }
        // What the library hides in an object is no property.
        let is_direct = self.field_of(object, name).is_some_and(|(_, direct)| direct || name.starts_with('$'));
        if is_direct || matches!(*object.native.borrow(), Native::Script(_)) {
            return None;
        }
        class.methods(method).into_iter().find(|f| f.params.len() == params)
    }

    fn property_missing(&mut self, object: Value, at: usize, name: &str) -> Step {
        if object.is_null() {
            return Err(self.world.null_pointer(format!("Cannot get property '{name}' on null object")));
        }
        if let Value::Object(o) = &object {
            let makes = of_all_properties(&o.class, "get", 1);
            let makes = makes.or_else(|| o.class.methods("propertyMissing").into_iter().find(|f| f.params.len() == 1));
            if let Some(func) = makes {
                self.f.stack.push(Value::str(name));
                return self.call_function(func, object.clone(), None, at, at + 1, Landing::Push);
            }
            if matches!(*o.native.borrow(), Native::Script(_)) {
                let global = self.world.global(name)?;
                self.f.stack.truncate(at);
                if let Some(global) = global {
                    self.f.stack.push(global);
                    return Ok(Flow::Next);
                }
                return match self.host.property(None, name) {
                    Some(Ok(value)) => {
                        self.f.stack.push(value);
                        Ok(Flow::Next)
                    }
                    Some(Err(exception)) => Err(Fault::Throw(exception)),
                    None => Err(self.world.missing_property(name, &object.type_name())),
                };
            }
        }
        // A property of a collection is the list of that property of its items.
        if matches!(object, Value::List(_) | Value::Set(_) | Value::Range(_))
            && let Some(func) = self.world.prelude_function(&object, "$spread", 1)
        {
            self.f.stack.push(Value::str(name));
            return self.call_function(func, Value::Null, None, at, at, Landing::Push);
        }
        if let Value::Class(class) = &object {
            let fault = self.unresolved(class);
            return Err(fault.unwrap_or_else(|| self.world.missing_property(name, &class.name)));
        }
        if let Value::Closure(closure) = &object {
            return Err(self.world.missing_property(name, &super::behind::first_behind(closure)));
        }
        Err(self.world.missing_property(name, &object.type_name()))
    }

    pub(super) fn find_property(&mut self, object: &Value, name: &str) -> Result<Found, Fault> {
        match object {
            Value::Object(o) => {
                let package = match &*o.native.borrow() {
                    Native::Package(package) => Some(package.clone()),
                    _ => None,
                };
                if let Some(package) = package {
                    return Ok(Found::Value(self.world.member_of_package(&package, name)));
                }
                let found = self.object_property(object, o, name, Named::OfThis)?;
                if matches!(found, Found::Missing)
                    && let Some(id) = object.script_id()
                    && let Some(value) = self.world.variable(id, name)
                {
                    return Ok(Found::Value(value.clone()));
                }
                Ok(found)
            }
            Value::Class(class) => {
                self.ready(class)?;
                self.class_property(&class.clone(), name)
            }
            Value::Host(host) if let Some(getter) = self.host.asks(host, name) => {
                Ok(Found::Value(self.ctx().ask(object, getter, &[])?))
            }
            Value::Host(host) => match self.host.property(Some(host), name) {
                Some(Ok(value)) => Ok(Found::Value(value)),
                Some(Err(exception)) => Err(Fault::Throw(exception)),
                None => library_property(self, object, name),
            },
            Value::Map(map) if map.default().is_some() && !map.has(&Value::str(name)) => {
                // A map that sorts its keys may find it all the same.
                if map.kind() == MapKind::Tree {
                    let key = library::sets::key(&mut self.ctx(), map, &Value::str(name))?;
                    map.forget_place();
                    if let Some(value) = map.get(&key) {
                        return Ok(Found::Value(value));
                    }
                }
                match self.world.prelude_function(object, "$defaulted", 1) {
                    // The function takes (map, key): it is entered like a getter that has its arguments bound.
                    Some(_) => Ok(Found::Value(self.ctx().ask(object, "$defaulted", &[Value::str(name)])?)),
                    None => Ok(Found::Missing),
                }
            }
            Value::Closure(closure) => match library_property(self, object, name)? {
                Found::Missing => self.property_behind(closure, name),
                found => Ok(found),
            },
            _ => library_property(self, object, name),
        }
    }

    /// A property of an instance: getter, field, what Java would hold.
    pub(super) fn object_property(
        &mut self,
        value: &Value,
        object: &Rc<Object>,
        name: &str,
        how: Named,
    ) -> Result<Found, Fault> {
        let field = self.field_named(object, name, how);
        if let Some((field, direct)) = field
            && (direct || field.is_plain)
        {
            return Ok(Found::Value(object.at(field.slot)));
        }
        if object.class.script.is_some()
            && !name.starts_with('$')
            && let Some(func) = getter(&object.class, name)
        {
            let this = if super::call::is_static(&func) { Value::Class(object.class.clone()) } else { value.clone() };
            return Ok(Found::Getter(func, this));
        }
        if let Some((field, _)) = field {
            return Ok(Found::Value(object.at(field.slot)));
        }
        if let Some(map) = object.as_map() {
            if let Some(code) = super::fields::given(&object.class, &map, name) {
                return Ok(Found::Value(self.ctx().ask(&code, "call", &[])?));
            }
            let own = object.class.has_method("get").then(|| self.ctx().ask(value, "get", &[Value::str(name)]));
            return own.unwrap_or_else(|| Ok(map.get(&Value::str(name)).unwrap_or_default())).map(Found::Value);
        }
        let class = object.class.clone();
        if class.static_owner(name).is_some() {
            return self.class_property(&class, name);
        }
        library_property(self, value, name)
    }

    /// Static fields and getters, enum constants, nested classes, properties of `java.lang.Class`.
    pub(super) fn class_property(&mut self, class: &Rc<Class>, name: &str) -> Result<Found, Fault> {
        match self.class_member(class, name)? {
            Found::Missing => {
                if let Some(outside) = outside::of_field(&class.name, name)
                    && let Some(func) = self.f.frames.last().map(|frame| &frame.func)
                    && !func.library
                    && self.world.is_of_definition(func.script)
                {
                    let what = format!("staticField {} {name}", class.name);
                    return Err(self.ctx().refuse(&what, outside));
                }
                library_property(self, &Value::Class(class.clone()), name)
            }
            found => Ok(found),
        }
    }

    /// The same without the properties of `java.lang.Class`, which an object of the class does not have.
    pub(super) fn class_member(&mut self, class: &Rc<Class>, name: &str) -> Result<Found, Fault> {
        // `Outer.this` inside of an inner class.
        if name == "this"
            && let Some(found) = self.around_this(&class.name)
        {
            return Ok(Found::Value(found));
        }
        if let Some(owner) = class.static_owner(name)
            && let Some(script) = &owner.script
        {
            self.ready_owner(owner)?;
            // A getter may also stand in a class below the one with the field.
            if (owner.name != class.name || script.accessed.iter().any(|n| **n == *name))
                && let Some(func) = getter(class, name).filter(|f| super::call::is_static(f))
            {
                return Ok(Found::Getter(func, Value::Class(class.clone())));
            }
            let value = script.statics.borrow().get(name).cloned();
            return Ok(Found::Value(value.unwrap_or_default()));
        }
        if class.script.is_some() {
            if let Some(func) = getter(class, name).filter(|f| super::call::is_static(f)) {
                return Ok(Found::Getter(func, Value::Class(class.clone())));
            }
            if matches!(name, "MIN_VALUE" | "MAX_VALUE") && class.static_owner("$VALUES").is_some() {
                let all = library::sequence(&mut self.ctx(), &Value::Class(class.clone()))?.unwrap_or_default();
                let end = if name == "MIN_VALUE" { all.first() } else { all.last() };
                return Ok(Found::Value(end.cloned().unwrap_or_default()));
            }
            if let Some(nested) = self.world.class(&format!("{}${name}", class.name)) {
                return Ok(Found::Value(Value::Class(nested)));
            }
        }
        let nested = || self.world.class(&format!("{}${name}", class.name));
        if name.starts_with(char::is_uppercase)
            && class.script.is_none()
            && let Some(nested) = nested()
        {
            return Ok(Found::Value(Value::Class(nested)));
        }
        Ok(Found::Missing)
    }

    pub(super) fn load_dynamic_property(&mut self) -> Step {
        let name = self.top(1).clone();
        if matches!(name, Value::Closure(_)) {
            return Err(self.world.illegal("a closure is no property name"));
        }
        let name: Text = self.ctx().text(&name)?.into();
        let key = self.pop();
        let step = self.load_property(&name);
        if matches!(step, Err(Fault::Need(_) | Fault::Init(_))) {
            self.f.stack.push(key);
        }
        step
    }

    /// A class by its full name. What nothing declares may be the host's; else every use of it fails.
    pub(super) fn class_ref(&mut self, name: &Text) -> Result<(), Fault> {
        let value = match self.world.class(name) {
            Some(class) => Value::Class(class),
            None => match self.host.property(None, name) {
                Some(Ok(value)) => value,
                Some(Err(exception)) => return Err(Fault::Throw(exception)),
                None => Value::Class(Rc::new(Class::named(name, None))),
            },
        };
        self.f.stack.push(value);
        Ok(())
    }

    /// The exception for a class that nobody knows.
    pub(super) fn unresolved(&self, class: &Class) -> Option<Fault> {
        let known = class.script.is_some() || self.world.class(&class.name).is_some();
        let error = "org.codehaus.groovy.control.MultipleCompilationErrorsException";
        (!known).then(|| self.world.fail(error, format!("unable to resolve class {}", class.name)))
    }

    pub(super) fn load_attribute(&mut self, name: &Text) -> Result<(), Fault> {
        let object = self.top(1).clone();
        let value = match &object {
            Value::List(l) if *l.kind() == ListKind::Nodes => {
                Some(self.ctx().ask(&object, "$attribute", &[Value::str(&**name)])?)
            }
            Value::Object(o) if o.class.has_method("$attribute") => {
                Some(self.ctx().ask(&object, "$attribute", &[Value::str(&**name)])?)
            }
            Value::Object(o) => match self.field_of(o, name) {
                Some((field, _)) => Some(o.at(field.slot)),
                None => self.static_attribute(&o.class, name)?,
            },
            Value::Class(c) => self.static_attribute(c, name)?,
            Value::Null => return Err(self.world.null_pointer(format!("Cannot get property '{name}' on null object"))),
            other => match library_property(self, other, name)? {
                Found::Value(v) => Some(v),
                _ => None,
            },
        };
        let Some(value) = value else {
            let message = format!("No such field: {name} for class: {}", object.type_name());
            return Err(self.world.fail("groovy.lang.MissingFieldException", message));
        };
        self.replace(1, value);
        Ok(())
    }

    fn static_attribute(&self, class: &Class, name: &str) -> Result<Option<Value>, Fault> {
        let Some(owner) = class.static_owner(name) else { return Ok(None) };
        self.ready_owner(owner)?;
        Ok(owner.script.as_ref().and_then(|s| s.statics.borrow().get(name).cloned()))
    }

    pub(super) fn store_attribute(&mut self, name: &Text) -> Result<(), Fault> {
        let (object, value) = (self.top(2).clone(), self.top(1).clone());
        match &object {
            Value::Object(o) if o.class.has_method("$setAttribute") => {
                self.ctx().ask(&object, "$setAttribute", &[Value::str(&**name), value])?;
            }
            Value::Object(o) if o.is_settled(name) => {
                return Err(self.world.missing_property(name, &o.class.name));
            }
            Value::Object(o) if o.slot(name).is_some() => self.set_field(o, name, &value)?,
            Value::Object(o) => {
                let class = o.class.clone();
                if !self.set_static(&class, name, &value)? {
                    return Err(self.world.missing_property(name, &class.name));
                }
            }
            Value::Class(class) => {
                let owner = class.static_owner(name).unwrap_or(class);
                self.put_static(owner, name, &value)?;
            }
            Value::Null => return Err(self.world.null_pointer(format!("Cannot set property '{name}' on null object"))),
            other => return Err(self.world.missing_property(name, &other.type_name())),
        }
        self.drop_top(2);
        Ok(())
    }

    pub(super) fn store_property(&mut self, name: &Text) -> Step {
        let at = self.f.stack.len() - 2;
        self.set_property_at(at, name)
    }

    pub(super) fn store_dynamic_property(&mut self) -> Step {
        let name = self.top(2).clone();
        let name: Text = self.ctx().text(&name)?.into();
        let at = self.f.stack.len() - 3;
        let key = self.f.stack.remove(at + 1);
        let step = self.set_property_at(at, &name);
        if matches!(step, Err(Fault::Need(_) | Fault::Init(_))) {
            self.f.stack.insert(at + 1, key);
        }
        step
    }

    /// Sets a property; object and value are at `at` and go.
    pub(super) fn set_property_at(&mut self, at: usize, name: &Text) -> Step {
        self.set_property_named(at, name, Named::OfThis)
    }

    pub(super) fn set_property_named(&mut self, at: usize, name: &Text, how: Named) -> Step {
        let (object, value) = (self.f.stack[at].clone(), self.f.stack[at + 1].clone());
        match &object {
            Value::Null => return Err(self.world.null_pointer(format!("Cannot set property '{name}' on null object"))),
            Value::Object(o) => {
                if let Some(func) = self.own_access(o, "setProperty", 2, name) {
                    self.f.stack[at + 1] = Value::str(&**name);
                    self.f.stack.push(value);
                    return self.call_function(func, object.clone(), None, at, at + 1, Landing::Discard);
                }
                let field = self.field_named(o, name, how);
                if !field.is_some_and(|(field, direct)| direct || field.is_plain)
                    && let Some(func) = self.setter(&o.class, false, name, &value)?
                {
                    let is_static = super::call::is_static(&func);
                    let this = if is_static { Value::Class(o.class.clone()) } else { object.clone() };
                    return self.call_function(func, this, None, at, at + 1, Landing::Discard);
                }
                match field {
                    // Nobody renames a constant of an enum, or counts it anew.
                    Some(_) if o.is_settled(name) => return Err(self.world.missing_property(name, &o.class.name)),
                    Some((field, direct)) if !direct && field.is_final => return Err(self.readonly(&o.class, name)),
                    Some((field, _)) => self.set_slot(o, field, &value)?,
                    None => return self.set_on_object(o, at, name, &value),
                }
            }
            Value::Class(class) => {
                self.ready(class)?;
                if let Some(func) = self.setter(class, true, name, &value)? {
                    return self.call_function(func, object.clone(), None, at, at + 1, Landing::Discard);
                }
                if !self.set_static(class, name, &value)? && &**name != "metaClass" {
                    return Err(self.world.missing_property(name, &class.name));
                }
            }
            Value::Host(host) => match self.set_on_host(host, name, &value)? {
                Some(Ok(())) => {}
                Some(Err(exception)) => return Err(Fault::Throw(exception)),
                None => return Err(self.world.missing_property(name, host.kind)),
            },
            Value::Closure(closure) if !library::closures::set_property(closure, name, &value) => {
                return self.set_behind(closure, at, name);
            }
            other => library::set_property(&mut self.ctx(), other, name, &value)?,
        }
        self.f.stack.truncate(at);
        Ok(Flow::Next)
    }

    /// A property that is no field: of the map an object is, of a script, or for `propertyMissing`.
    fn set_on_object(&mut self, o: &Rc<Object>, at: usize, name: &Text, value: &Value) -> Step {
        let script = match &*o.native.borrow() {
            Native::Script(id) => Some(*id),
            _ => None,
        };
        let class = o.class.clone();
        if let Some(map) = o.as_map() {
            library::index::put(&mut self.ctx(), o, &map, Value::str(&**name), value)?;
        } else if let Some(id) = script {
            match self.host.set_property(None, name, value) {
                Some(Ok(())) => {}
                Some(Err(exception)) => return Err(Fault::Throw(exception)),
                None => self.world.set_variable(id, name.clone(), value.clone()),
            }
        } else if let Some(func) = of_all_properties(&class, "set", 2)
            .or_else(|| class.methods("propertyMissing").into_iter().find(|f| f.params.len() == 2))
        {
            let value = self.pop();
            self.f.stack.extend([Value::str(&**name), value]);
            return self.call_function(func, Value::Object(o.clone()), None, at, at + 1, Landing::Discard);
        } else if o.java().is_some()
            && library::method(
                &mut self.ctx(),
                &Value::Object(o.clone()),
                &accessor("set", name),
                std::slice::from_ref(value),
            )?
            .is_some()
        {
            // `format.timeZone = zone`
        } else if !self.set_static(&class, name, value)? {
            if getter(&class, name).is_some() {
                return Err(self.readonly(&class, name));
            }
            return Err(self.world.missing_property(name, &class.name));
        }
        self.f.stack.truncate(at);
        Ok(Flow::Next)
    }
}

fn library_property(vm: &mut Vm<'_>, object: &Value, name: &str) -> Result<Found, Fault> {
    match library::property(&mut vm.ctx(), object, name)? {
        Some(value) => Ok(Found::Value(value)),
        None => Ok(Found::Missing),
    }
}
