//! Names that are not local variables: where they are looked for, and in what order.
//!
//! In a method: `this`. In a closure: its owner and delegate in the order of its strategy, where an owner that is a
//! closure stands for *its* owner and delegate. A script stands for its binding, its fields, and the host's globals.

use std::rc::Rc;

use super::exec::{Flow, Step, Vm};
use super::fiber::Landing;
use super::fields::Named;
use super::missing::of_all_properties;
use super::need::Fault;
use super::property::Found;
use crate::ast::Text;
use crate::library;
use crate::value::{Class, Closure, Native, OUTER, Object, Strategy, Value};

/// Closures looked through for one name; owners and delegates may form circles.
const TARGETS_MAX: usize = 200;

/// Objects around an object that are looked through: more than anybody nests classes.
const AROUND_MAX: usize = 8;

impl Vm<'_> {
    /// The objects in which the current frame looks for names, first choice first.
    pub(super) fn targets(&self) -> Vec<Value> {
        let Some(frame) = self.f.frames.last() else { return Vec::new() };
        let Some(closure) = &frame.closure else {
            let mut out: Vec<Value> = Vec::new();
            push_with_outer(&mut out, frame.this.clone());
            return out;
        };
        behind(closure)
    }

    /// The same for one name that is looked for: more than owner and delegate are more work than an instruction.
    pub(super) fn looked_through(&mut self) -> Vec<Value> {
        let targets = self.targets();
        self.world.charge(targets.len().saturating_sub(2) * 4);
        targets
    }

    fn first_target(&self) -> Option<Value> {
        let frame = self.f.frames.last()?;
        let alone = |this: &Value| Some(this.clone()).filter(|this| outer_of(this).is_none());
        let Some(closure) = &frame.closure else { return alone(&frame.this) };
        // Nearly always nothing was set on the way out.
        let mut next: &Rc<Closure> = closure;
        loop {
            if next.delegate.borrow().is_some() || next.strategy.get() != Strategy::OwnerFirst {
                return None;
            }
            match &next.owner {
                Value::Closure(c) => next = c,
                other => return alone(other),
            }
        }
    }

    /// `Outer.this`: the object of that class around the one whose code runs.
    pub(super) fn around_this(&self, class: &str) -> Option<Value> {
        let mut next = Some(self.f.frames.last()?.this.clone());
        for _ in 0..AROUND_MAX {
            let Value::Object(object) = next.as_ref()? else { return None };
            if object.class.is_a(class) {
                return next;
            }
            next = outer_of(next.as_ref()?);
        }
        None
    }

    pub(super) fn load_name(&mut self, name: &Text) -> Step {
        if let Some(value) = self.closure_word(name) {
            self.f.stack.push(value);
            return Ok(Flow::Next);
        }
        if let Some(value) = self.own_field(name) {
            self.f.stack.push(value);
            return Ok(Flow::Next);
        }
        let targets = match self.first_target() {
            Some(one) => vec![one],
            None => self.looked_through(),
        };
        for (at, target) in targets.iter().enumerate() {
            let has_own = match target {
                Value::Map(_) => true,
                Value::Object(o) if &*o.class.name == "groovy.util.Expando" => true,
                other => other.script_id().is_some_and(|id| self.world.variable(id, name).is_some()),
            };
            if !self.f.used.is_empty()
                && !has_own
                && let Some(method) = self.of_category(target, &super::property::accessor("get", name), &[])?
            {
                let at = self.f.stack.len();
                self.f.stack.push(target.clone());
                return self.call_category(method, at, at + 1, Landing::Push);
            }
            if let Some(step) = self.answered(target, name, &targets[at + 1..]) {
                return step;
            }
            match self.named_property(target, name)? {
                Found::Value(value) => {
                    self.f.stack.push(value);
                    return Ok(Flow::Next);
                }
                Found::Getter(func, this) => {
                    let at = self.f.stack.len();
                    return self.call_function(func, this, None, at, at, Landing::Push);
                }
                Found::Missing => {}
            }
            if let Some(step) = self.gotten(target, name).or_else(|| self.made_up(target, name, &targets[at + 1..])) {
                return step;
            }
        }
        if let Some(class) = self.world.class(name).or_else(|| self.inherited_class(name)) {
            self.f.stack.push(Value::Class(class));
            return Ok(Flow::Next);
        }
        self.missing_name(name, &targets)
    }

    /// The field that a name is in a method of the class that declares it.
    fn own_field(&self, name: &str) -> Option<Value> {
        let Value::Object(this) = &self.f.frames.last()?.this else { return None };
        let (field, direct) = self.field_named(this, name, Named::Alone)?;
        (direct && !matches!(*this.native.borrow(), Native::Script(_))).then(|| this.at(field.slot))
    }

    /// What the `getProperty` of an object makes of a name in a closure: each name but that of a class is one of its own. What such a
    /// method of the script does not know, the other places are asked for.
    fn answered(&mut self, target: &Value, name: &Text, others: &[Value]) -> Option<Step> {
        let Value::Object(object) = target else { return None };
        let frame = self.f.frames.last().filter(|frame| !frame.func.library)?;
        let in_closure = frame.closure.is_some();
        let func = self.own_access(object, "getProperty", 1, name).filter(|f| f.library || in_closure)?;
        if self.names_class(name) {
            return None;
        }
        let at = self.f.stack.len();
        if func.library {
            self.f.stack.push(Value::str(&**name));
            return Some(self.call_function(func, target.clone(), None, at, at, Landing::Push));
        }
        self.tried(target, name, others)
    }

    /// Whether a name is that of a class to the compiler, whatever objects have of that name. What begins with a small letter is one of its
    /// own file alone, and those of other files may be variables of a library.
    fn names_class(&self, name: &str) -> bool {
        name.starts_with(char::is_uppercase) && self.world.class(name).is_some()
    }

    /// What the `get(String)` of an object makes of a name that it lacks.
    fn gotten(&mut self, target: &Value, name: &Text) -> Option<Step> {
        let Value::Object(object) = target else { return None };
        let func = of_all_properties(&object.class, "get", 1).filter(|_| !self.names_class(name))?;
        let at = self.f.stack.len();
        self.f.stack.push(Value::str(&**name));
        Some(self.call_function(func, target.clone(), None, at, at, Landing::Push))
    }

    /// What the `propertyMissing` of an object makes of a name in a closure, before those behind it are asked.
    fn made_up(&mut self, target: &Value, name: &Text, others: &[Value]) -> Option<Step> {
        let Value::Object(object) = target else { return None };
        let in_closure = !others.is_empty() && self.in_closure() && target.script_id().is_none();
        let makes = || object.class.methods("propertyMissing").iter().any(|f| f.params.len() == 1);
        if !in_closure || !makes() || self.names_class(name) {
            return None;
        }
        self.tried(target, name, others)
    }

    /// Asks an object for a name, and the others where it throws that it has none.
    fn tried(&mut self, target: &Value, name: &Text, others: &[Value]) -> Option<Step> {
        let at = self.f.stack.len();
        let func = self.world.prelude_function(target, "$named", 2)?;
        self.f.stack.extend([target.clone(), Value::str(&**name), Value::list(others.to_vec())]);
        Some(self.call_function(func, Value::Null, None, at, at, Landing::Push))
    }

    /// A class inside of one of the classes above the one whose code runs.
    pub(super) fn inherited_class(&self, name: &str) -> Option<Rc<Class>> {
        let mut around = self.f.frames.last()?.func.class.as_ref().and_then(|class| self.world.class(class));
        while let Some(class) = around {
            let above = class.lineage().into_iter().skip(1);
            let mut inside = above.filter_map(|ancestor| self.world.class(&format!("{}${name}", ancestor.name)));
            if let Some(found) = inside.next() {
                return Some(found);
            }
            around = class.script.as_ref().and_then(|s| s.outer.as_ref()).and_then(|outer| self.world.class(outer));
        }
        None
    }

    /// `propertyMissing`, or the exception.
    fn missing_name(&mut self, name: &str, targets: &[Value]) -> Step {
        for target in targets {
            let Value::Object(o) = target else { continue };
            let mut handlers = o.class.methods("propertyMissing");
            if target.script_id().is_none() {
                handlers.extend(o.class.methods("getProperty"));
            }
            if let Some(func) = handlers.into_iter().find(|f| f.params.len() == 1) {
                let at = self.f.stack.len();
                self.f.stack.push(Value::str(name));
                return self.call_function(func, target.clone(), None, at, at, Landing::Push);
            }
        }
        if let Some(value) = self.host.unknown_name(name) {
            self.f.stack.push(value);
            return Ok(Flow::Next);
        }
        let last = targets.iter().rev().find(|t| matches!(t, Value::Object(_) | Value::Class(_)));
        let class = match last {
            Some(Value::Class(c)) => c.name.to_string(),
            Some(other) => other.type_name(),
            None => "java.lang.Object".into(),
        };
        Err(self.world.missing_property(name, &class))
    }

    /// `owner`, `delegate` and `thisObject` inside a closure.
    fn closure_word(&self, name: &str) -> Option<Value> {
        let closure = self.f.frames.last()?.closure.as_ref()?;
        Some(match name {
            "owner" => closure.owner.clone(),
            "delegate" => closure.delegate(),
            "thisObject" => closure.this.clone(),
            "resolveStrategy" => Value::Int(closure.strategy.get() as i32),
            _ => return None,
        })
    }

    /// What a name is to one object.
    pub(super) fn named_property(&mut self, target: &Value, name: &Text) -> Result<Found, Fault> {
        let Value::Object(object) = target else {
            if let Value::Class(class) = target {
                let found = self.static_name(class, name)?;
                return match found {
                    Found::Missing => self.class_property(class, name),
                    found => Ok(found),
                };
            }
            return self.find_property(target, name);
        };
        if let Some(id) = target.script_id() {
            if let Some(value) = self.world.variable(id, name) {
                return Ok(Found::Value(value.clone()));
            }
            // That is a property of what holds the variables, which stands for the script elsewhere.
            let of_binding = &**name == "variables"
                && !object.class.has_method("getVariables")
                && object.class.script.as_ref().is_none_or(|s| !s.fields.contains_key(name));
            let found =
                if of_binding { Found::Missing } else { self.object_property(target, object, name, Named::Alone)? };
            if !matches!(found, Found::Missing) {
                return Ok(found);
            }
            if let Some(global) = self.world.global(name)? {
                return Ok(Found::Value(global));
            }
            return match self.host.property(None, name) {
                Some(Ok(value)) => Ok(Found::Value(value)),
                Some(Err(exception)) => Err(Fault::Throw(exception)),
                // What holds the variables is the script itself.
                None if &**name == "binding" => Ok(Found::Value(target.clone())),
                None => Ok(Found::Missing),
            };
        }
        let found = self.object_property(target, object, name, Named::Alone)?;
        if matches!(found, Found::Missing) {
            return self.static_name(&object.class.clone(), name);
        }
        Ok(found)
    }

    /// Static fields of a class and of the classes around it.
    fn static_name(&mut self, class: &Rc<Class>, name: &str) -> Result<Found, Fault> {
        let mut next = Some(class.clone());
        while let Some(class) = next {
            self.ready(&class)?;
            let found = self.class_member(&class, name)?;
            if !matches!(found, Found::Missing) {
                return Ok(found);
            }
            next = class.script.as_ref().and_then(|s| s.outer.as_ref()).and_then(|o| self.world.class(o));
        }
        Ok(Found::Missing)
    }

    pub(super) fn store_name(&mut self, name: &Text) -> Step {
        if let Some(closure) = self.f.frames.last().and_then(|f| f.closure.clone())
            && matches!(&**name, "delegate" | "resolveStrategy")
        {
            let value = self.pop();
            library::closures::set_property(&closure, name, &value);
            return Ok(Flow::Next);
        }
        let targets = match self.first_target() {
            Some(one) => vec![one],
            None => self.looked_through(),
        };
        let value = self.top(1).clone();
        for target in &targets {
            if let Some(flow) = self.store_named(target, name, &value)? {
                return Ok(flow);
            }
        }
        let readonly = targets.iter().find_map(|target| match target {
            Value::Object(o) if o.slot(name).is_some() || super::fields::getter(&o.class, name).is_some() => Some(o),
            _ => None,
        });
        if let Some(object) = readonly {
            return Err(self.readonly(&object.class, name));
        }
        let last = targets.first().map(Value::type_name).unwrap_or_default();
        Err(self.world.missing_property(name, &last))
    }

    fn in_closure(&self) -> bool {
        self.f.frames.last().is_some_and(|frame| frame.closure.is_some())
    }

    /// Sets a name on one object, where it is a place for it.
    pub(super) fn store_named(&mut self, target: &Value, name: &Text, value: &Value) -> Result<Option<Flow>, Fault> {
        match target {
            Value::Object(object) if let Some(id) = target.script_id() => {
                if object.slot(name).is_some() {
                    self.set_field(object, name, value)?;
                    self.pop();
                    return Ok(Some(Flow::Next));
                }
                match self.host.set_property(None, name, value) {
                    Some(Ok(())) => {}
                    Some(Err(exception)) => return Err(Fault::Throw(exception)),
                    None => self.world.set_variable(id, name.clone(), value.clone()),
                }
                self.pop();
                Ok(Some(Flow::Next))
            }
            Value::Object(object) => {
                // A field by its name: in methods of its class no setter is called.
                let field = self.field_named(object, name, Named::Alone);
                let takes_all = || self.in_closure() && self.own_access(object, "setProperty", 2, name).is_some();
                if let Some((field, direct)) = field
                    && (direct || field.is_plain && !field.is_final && !takes_all())
                {
                    self.set_slot(object, field, value)?;
                    self.pop();
                    return Ok(Some(Flow::Next));
                }
                let takes_others = field.is_none() && self.own_access(object, "setProperty", 2, name).is_some();
                let has_setter = takes_others || takes_all() || self.has_setter(target, name);
                if !has_setter && let Some((field, _)) = field {
                    // What is final may be a name of the next one.
                    if field.is_final {
                        return Ok(None);
                    }
                    self.set_slot(object, field, value)?;
                    self.pop();
                    return Ok(Some(Flow::Next));
                }
                let class = object.class.clone();
                if !has_setter && self.set_static(&class, name, value)? {
                    self.pop();
                    return Ok(Some(Flow::Next));
                }
                let takes_others = || {
                    class.methods("propertyMissing").iter().any(|method| method.params.len() == 2)
                        || of_all_properties(&class, "set", 2).is_some()
                };
                if has_setter || takes_others() {
                    let at = self.f.stack.len() - 1;
                    self.f.stack.insert(at, target.clone());
                    return self.set_property_named(at, name, Named::Alone).map(Some);
                }
                Ok(None)
            }
            Value::Class(class) => {
                if let Some(func) = self.setter(class, true, name, value)? {
                    let at = self.f.stack.len() - 1;
                    return self.call_function(func, target.clone(), None, at, at, Landing::Discard).map(Some);
                }
                if self.set_static(class, name, value)? {
                    self.pop();
                    return Ok(Some(Flow::Next));
                }
                Ok(None)
            }
            Value::Map(map) => {
                let target = Value::Map(map.clone());
                library::set_property(&mut self.ctx(), &target, name, value)?;
                self.pop();
                Ok(Some(Flow::Next))
            }
            Value::Host(_) => {
                let at = self.f.stack.len() - 1;
                self.f.stack.insert(at, target.clone());
                self.set_property_at(at, name).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// The objects in which a closure looks for names, first choice first.
pub(super) fn behind(closure: &Rc<Closure>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    let mut work = vec![Value::Closure(closure.clone())];
    for _ in 0..TARGETS_MAX {
        let Some(value) = work.pop() else { break };
        let Value::Closure(c) = &value else {
            push_with_outer(&mut out, value);
            continue;
        };
        work.extend(closure_order(c));
    }
    out
}

/// The object around one of an inner class.
pub(super) fn outer_of(value: &Value) -> Option<Value> {
    let Value::Object(object) = value else { return None };
    let is_inner = object.class.script.as_ref().is_some_and(|s| s.is_inner);
    is_inner.then(|| object.field(OUTER)).flatten().filter(|outer| !outer.is_null())
}

/// An object, and those around it.
fn push_with_outer(out: &mut Vec<Value>, value: Value) {
    let mut next = Some(value);
    for _ in 0..AROUND_MAX {
        let Some(value) = next.filter(|_| out.len() < TARGETS_MAX) else { return };
        next = outer_of(&value);
        if !out.iter().any(|o| o.same(&value)) {
            out.push(value);
        }
    }
}

/// What a closure looks through, last first (it goes on a stack).
fn closure_order(c: &Closure) -> Vec<Value> {
    let (owner, delegate) = (c.owner.clone(), c.delegate());
    let same = owner.same(&delegate);
    match c.strategy.get() {
        Strategy::OwnerFirst if same => vec![owner],
        Strategy::OwnerFirst => vec![delegate, owner],
        Strategy::DelegateFirst if same => vec![owner],
        Strategy::DelegateFirst => vec![owner, delegate],
        Strategy::OwnerOnly => vec![owner],
        Strategy::DelegateOnly => vec![delegate],
        Strategy::ToSelf => Vec::new(),
    }
}

/// What every script has, and no builder takes.
const PRINTS: [&str; 5] = ["print", "println", "printf", "sprintf", "use"];

/// An object with a `methodMissing` that names mean before they mean the script, and so the host; or a builder of the library, wherever it
/// stands: what its closures call is to be built.
pub(super) fn taker_of_names<'t>(targets: &'t [Value], name: &str) -> Option<&'t Value> {
    let sets = |o: &Object| {
        let property = library::getter_of(&name.replacen("set", "get", 1));
        property.is_some_and(|property| o.slot(&property).is_some())
    };
    // Few objects have one: the rest is asked of those alone.
    let takes = |t: &&Value, library: bool| match t {
        Value::Object(o) if o.class.has_method("methodMissing") => {
            let leaves = || sets(o) || PRINTS.contains(&name) || o.class.is_a("groovy.util.Expando");
            o.class.methods("methodMissing").iter().any(|f| f.library || !library) && !(library && leaves())
        }
        _ => false,
    };
    let mut before = targets.iter().take_while(|t| t.script_id().is_none()).filter(|t| takes(t, false));
    before.next().or_else(|| targets.iter().find(|t| takes(t, true)))
}

/// An `Expando` that has code of that name.
pub(super) fn expando_with<'t>(targets: &'t [Value], name: &str) -> Option<&'t Value> {
    let has = |o: &Object| match o.field("$all") {
        Some(Value::Map(all)) => matches!(all.get(&Value::str(name)), Some(Value::Closure(_))),
        _ => false,
    };
    let is_one = |t: &&Value| matches!(t, Value::Object(o) if has(o) && o.class.is_a("groovy.util.Expando"));
    targets.iter().find(is_one)
}

/// The class of an object; a class itself.
pub(super) fn class_value(target: &Value) -> Value {
    match target {
        Value::Object(o) => Value::Class(o.class.clone()),
        other => other.clone(),
    }
}
