//! Fields: which of several of one name the running code means, and where they stand in an object.
//!
//! Source: `AsmClassGen.visitPropertyExpression`: in a method, a field that its class declares is read and set as it is; everywhere else,
//! in closures too, a name is a property, which getters and setters answer first.

use std::collections::HashMap;
use std::rc::Rc;

use indexmap::IndexMap;

use super::exec::{Flow, Step, Vm};
use super::fiber::Landing;
use super::need::Fault;
use super::property::accessor;
use crate::ast::{ClassKind, Text};
use crate::compile::{ClassPlan, FieldPlan, Function, FunctionKind, Op, Parameter, Type};
use crate::library;
use crate::machine::ScriptId;
use crate::value::{Class, FieldInfo, InitState, Map, Native, Object, ScriptClass, Seen, Value};

/// The name under which an object has a field that a class below hides.
fn hidden(owner: &str, name: &str) -> String {
    format!("${owner}.{name}")
}

/// How code names a property of the object whose method it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// `name`
    Alone,
    /// `this.name`
    OfThis,
}

impl FieldInfo {
    /// A field that no script declares.
    pub(super) fn mark(slot: usize) -> FieldInfo {
        FieldInfo { slot, ty: Type::Any, is_final: true, owner: "".into(), seen: Seen::Own, is_plain: true }
    }
}

/// The fields of the objects of a class, inherited ones first, and whether some of them are hidden.
pub(super) fn layout(
    plan: &ClassPlan,
    superclass: Option<&Class>,
    interfaces: &[Rc<Class>],
) -> (IndexMap<Text, FieldInfo>, bool) {
    let has_faces = interfaces.iter().any(|c| c.script.is_some());
    let mut fields: IndexMap<Text, FieldInfo> = IndexMap::new();
    let mut hides = false;
    let above = superclass.into_iter().chain(interfaces.iter().map(|c| &**c));
    for script in above.filter_map(|c| c.script.as_ref()) {
        hides |= script.hides;
        for (name, field) in &script.fields {
            let slot = fields.len();
            let is_plain = field.is_plain && !has_faces;
            fields.entry(name.clone()).or_insert_with(|| FieldInfo { slot, is_plain, ..field.clone() });
        }
    }
    let is_plain = !has_faces && superclass.is_none_or(|c| c.script.is_none());
    for field in plan.fields.iter().filter(|f| !f.is_static) {
        let (owner, slot) = (plan.name.clone(), fields.len());
        let own = FieldInfo { slot, ty: field.ty.clone(), is_final: field.is_final, owner, seen: field.seen, is_plain };
        match fields.get_mut(&field.name) {
            Some(same) if field.name.starts_with('$') => *same = FieldInfo { slot: same.slot, ..own },
            Some(before) => {
                let before = std::mem::replace(before, own);
                fields.insert(hidden(&before.owner, &field.name).into(), before);
                hides = true;
            }
            None => drop(fields.insert(field.name.clone(), own)),
        }
    }
    for method in &plan.methods {
        for name in accessed(&method.name) {
            if let Some(field) = fields.get_mut(&*name) {
                field.is_plain = false;
            }
        }
    }
    (fields, hides)
}

/// The names of what `getName` gets: `name` and `Name`.
pub(super) fn accessed(method: &str) -> Vec<String> {
    let rest = ["get", "set", "is"].into_iter().find_map(|prefix| method.strip_prefix(prefix)).unwrap_or_default();
    let mut chars = rest.chars();
    let Some(first) = chars.next() else { return Vec::new() };
    vec![rest.into(), first.to_lowercase().chain(chars).collect()]
}

/// The closure for a getter of an interface that is made of a map.
pub(super) fn given(class: &Class, map: &Map, name: &str) -> Option<Value> {
    let code = |prefix| map.get(&Value::str(accessor(prefix, name))).filter(|code| matches!(code, Value::Closure(_)));
    class.name.ends_with("$proxy").then(|| ["get", "is"].into_iter().find_map(code)).flatten()
}

/// The accessors of properties that a class declares where those above it have methods of these names: Groovy writes them for each property,
/// and here they are there wherever another method would be found in their place.
pub(super) fn overriding<'c, A: Iterator<Item = &'c Class>>(
    class: &Text,
    script: ScriptId,
    fields: &[FieldPlan],
    own: &HashMap<Text, Vec<Rc<Function>>>,
    above: &impl Fn() -> A,
) -> Vec<Function> {
    let mut all = Vec::new();
    if !above().any(|c| c.script.is_some()) {
        return all;
    }
    let is_property = |f: &&FieldPlan| f.seen == Seen::Own && !f.name.starts_with('$');
    for field in fields.iter().filter(is_property) {
        let is_boolean = field.ty == Type::Primitive("boolean");
        for (prefix, takes) in [("get", 0), ("is", 0), ("set", 1)] {
            let name = accessor(prefix, &field.name);
            let wanted = match prefix {
                "is" => is_boolean,
                "set" => !field.is_final,
                _ => true,
            };
            let has_own = own.get(&*name).is_some_and(|all| all.iter().any(|f| f.params.len() == takes));
            if !wanted || has_own || !above().any(|c| c.has_method(&name)) {
                continue;
            }
            let code = match (takes, field.is_static) {
                (0, false) => vec![Op::This, Op::Attr(0), Op::Return],
                (0, true) => vec![Op::Static(0), Op::Return],
                (_, false) => vec![Op::This, Op::Load(0), Op::SetAttr(0), Op::Null, Op::Return],
                (_, true) => vec![Op::Load(0), Op::SetStatic(0), Op::Null, Op::Return],
            };
            let value = Parameter { name: "value".into(), ty: field.ty.clone(), has_default: false };
            all.push(Function {
                script,
                class: Some(class.clone()),
                kind: FunctionKind::Method { is_static: field.is_static },
                stepwise: false,
                around: None,
                is_test: prefix == "is",
                params: if takes == 1 { vec![value] } else { Vec::new() },
                plain_params: field.ty == Type::Any,
                locals: takes as u16,
                names: vec![field.name.clone()],
                ..super::prelude::bare_function(&name, code)
            });
        }
    }
    all
}

/// The static fields of a class that a static getter or setter of it goes before.
pub(super) fn accessed_statics(plan: &ClassPlan) -> Vec<Text> {
    let methods = plan.methods.iter().filter(|m| super::call::is_static(m));
    let named: std::collections::HashSet<String> = methods.flat_map(|m| accessed(&m.name)).collect();
    plan.fields.iter().filter(|f| f.is_static && named.contains(&*f.name)).map(|f| f.name.clone()).collect()
}

/// The getter among the methods of a class and its ancestors.
fn getter_among(methods: impl Fn(&str) -> Vec<Rc<Function>>, name: &str) -> Option<Rc<Function>> {
    ["get", "is"].into_iter().find_map(|prefix| {
        let fits = |f: &Rc<Function>| f.params.iter().all(|p| p.has_default) && (prefix == "get" || f.is_test);
        methods(&accessor(prefix, name)).into_iter().find(fits)
    })
}

/// The getter that a class or an ancestor of it declares. Of a property that is no `boolean`, `isName` is none: Groovy writes `getName`.
pub(super) fn getter(class: &Class, name: &str) -> Option<Rc<Function>> {
    let found = getter_among(|accessor| class.methods(accessor), name)?;
    let field = class.script.as_ref().and_then(|s| s.fields.get(name));
    let is_other = |seen, ty: &Type| seen == Seen::Own && *ty != Type::Primitive("boolean");
    let has_other = || match field {
        Some(field) => is_other(field.seen, &field.ty),
        None => class.static_owner(name).and_then(|c| c.static_field(name)).is_some_and(|f| is_other(f.seen, &f.ty)),
    };
    (found.name.starts_with("get") || !has_other()).then_some(found)
}

/// The same of what one class declares itself.
fn own_methods(script: &ScriptClass, name: &str) -> Vec<Rc<Function>> {
    script.methods.get(name).map(|all| all.iter().filter(|f| !f.is_abstract).cloned().collect()).unwrap_or_default()
}

/// The field that one class of an object's lineage declares.
fn declared<'o>(object: &'o Object, owner: &Class, name: &str) -> Option<&'o FieldInfo> {
    let script = object.class.script.as_ref()?;
    let of = |field: &&FieldInfo| field.owner == owner.name;
    script.fields.get(name).filter(of).or_else(|| script.fields.get(&*hidden(&owner.name, name)))
}

/// A class without methods of its own below an abstract one.
pub(super) fn stand_in(class: Rc<Class>) -> Class {
    let script = class.script.as_ref().map(|above| ScriptClass {
        script: above.script,
        kind: ClassKind::Class,
        is_abstract: false,
        methods: Default::default(),
        constructors: Vec::new(),
        fields: above.fields.clone(),
        hides: above.hides,
        answers: above.answers,
        stands_in: true,
        intercepts: above.intercepts,
        readable: Vec::new(),
        statics: Default::default(),
        accessed: Vec::new(),
        static_fields: Vec::new(),
        singleton: None,
        is_inner: above.is_inner,
        init: None,
        static_init: None,
        state: std::cell::Cell::new(InitState::Done),
        outer: above.outer.clone(),
    });
    let name = format!("{}$proxy", class.name).into();
    Class { name, superclass: Some(class), interfaces: Vec::new(), script }
}

/// The classes that `super` looks through in the code of a class: those above it. In a trait they are the ones that it extends, those that
/// the class which has it names before it, and then what is above that class.
pub(super) fn above<'c>(this: &'c Value, own: &'c Class) -> Vec<&'c Class> {
    let is_trait = |c: &Class| c.script.as_ref().is_some_and(|s| s.kind == ClassKind::Trait);
    let superclasses = |c: &'c Class| c.superclass.iter().flat_map(|c| c.lineage());
    if !is_trait(own) {
        return superclasses(own).collect();
    }
    let mut next = if let Value::Object(object) = this { Some(&*object.class) } else { None };
    while let Some(class) = next {
        let named = class.interfaces.iter().position(|c| c.name == own.name);
        if let Some(at) = named.or_else(|| class.interfaces.iter().position(|c| c.is_a(&own.name))) {
            let traits = class.interfaces[..at].iter().rev().map(|c| &**c).filter(|c| is_trait(c));
            let extended = own.lineage().into_iter().skip(1).filter(|c| is_trait(c));
            return extended.chain(traits).chain(superclasses(class)).collect();
        }
        next = class.superclass.as_deref();
    }
    own.lineage().into_iter().skip(1).collect()
}

/// What `super.name` is.
enum Above {
    Field(FieldInfo),
    Method(Rc<Function>),
}

impl Vm<'_> {
    /// The setter of an object's property; of a class it is a static one.
    pub(super) fn setter(
        &mut self,
        class: &Class,
        of_class: bool,
        name: &str,
        value: &Value,
    ) -> Result<Option<Rc<Function>>, Fault> {
        let mut methods = class.methods(&accessor("set", name));
        methods.retain(|f| !of_class || super::call::is_static(f));
        let found = self.world.select(&methods, std::slice::from_ref(value))?;
        if found.is_some() {
            return Ok(found);
        }
        methods.retain(|method| method.params.len() == 1);
        let Some(first) = methods.first() else { return Ok(None) };
        // The only one there is takes what is cast to its type; one that is overridden is there twice.
        if methods.iter().all(|method| method.params[0].ty == first.params[0].ty) {
            return Ok(Some(Rc::clone(first)));
        }
        let name = accessor("set", name);
        Err(self.ctx().missing_method(&name, &class.name, false, std::slice::from_ref(value)))
    }

    pub(super) fn has_setter(&self, target: &Value, name: &str) -> bool {
        match target {
            Value::Object(o) => {
                let takes_all = || o.class.methods("setProperty").iter().any(|f| f.library && f.params.len() == 2);
                o.as_map().is_some() || o.class.has_method(&accessor("set", name)) || takes_all()
            }
            _ => false,
        }
    }

    /// A field of an object by its name, and whether the running code is to have it as it is.
    pub(super) fn field_of<'o>(&self, object: &'o Object, name: &str) -> Option<(&'o FieldInfo, bool)> {
        let script = object.class.script.as_ref()?;
        let field = script.fields.get(name)?;
        let frame = self.f.frames.last()?;
        let is_its = matches!(&frame.this, Value::Object(this) if std::ptr::eq(&**this, object));
        let Some(code) = frame.func.class.as_ref().filter(|_| is_its) else {
            // `@Field` of a script, whose code is in no class.
            let of_script =
                is_its && frame.func.class.is_none() && matches!(*object.native.borrow(), Native::Script(_));
            return Some((field, of_script && frame.closure.is_none()));
        };
        // Closures of a trait are as its methods are.
        let direct = |field: &FieldInfo| frame.closure.is_none() || field.seen == Seen::Trait;
        if *code == field.owner {
            return Some((field, direct(field)));
        }
        let own = if script.hides { script.fields.get(&*hidden(code, name)) } else { None };
        Some(own.filter(|own| direct(own)).map_or((field, false), |own| (own, true)))
    }

    /// The same in code that Jenkins runs step by step: there a field is a property also of the class that declares it, except where an
    /// accessor of the other kind tells that this would never end.
    ///
    /// Source: `CpsTransformer.visitPropertyExpression` and `visitVariableExpression`, which look at the class as it is written.
    pub(super) fn field_named<'o>(&self, object: &'o Object, name: &str, how: Named) -> Option<(&'o FieldInfo, bool)> {
        let found = self.field_of(object, name)?;
        let (frame, script) = (self.f.frames.last()?, object.class.script.as_ref()?);
        let is_its = matches!(&frame.this, Value::Object(this) if std::ptr::eq(&**this, object));
        if !frame.func.stepwise || frame.closure.is_some() || !is_its || found.0.is_plain && !script.hides {
            return Some(found);
        }
        if found.0.seen == Seen::Trait || name.starts_with('$') || matches!(*object.native.borrow(), Native::Script(_))
        {
            return Some(found);
        }
        let is_own = found.1 || found.0.seen == Seen::Below;
        let direct = is_own && self.never_ends_as_property(&frame.func, name, how);
        let field = if direct { found.0 } else { script.fields.get(name)? };
        Some((field, direct))
    }

    /// Whether the class whose method runs, or one above it, is written with what makes Jenkins take a name for the field.
    fn never_ends_as_property(&self, func: &Function, name: &str, how: Named) -> bool {
        // Within an accessor of the property itself there is no other way either.
        if ["get", "is", "set"].iter().any(|prefix| *func.name == *accessor(prefix, name)) {
            return true;
        }
        let (method, count) = match how {
            Named::Alone => (accessor("get", name), 0),
            Named::OfThis => (accessor("set", name), 1),
        };
        let mut next = func.class.as_ref().and_then(|class| self.world.class(class));
        while let Some(class) = next {
            let methods = class.script.as_ref().and_then(|script| script.methods.get(&*method));
            if methods.is_some_and(|all| all.iter().any(|f| f.params.len() == count)) {
                return true;
            }
            next = class.superclass.clone();
        }
        false
    }

    /// Makes sure that the interface or trait with a static field has it set: nothing else makes them ready.
    pub(super) fn ready_owner(&self, owner: &Class) -> Result<(), Fault> {
        let pending = |c: &Class| c.script.as_ref().is_some_and(|s| s.state.get() == InitState::Pending);
        match self.world.class(&owner.name).filter(|class| pending(owner) && pending(class)) {
            Some(class) => Err(Fault::Init(class)),
            None => Ok(()),
        }
    }

    pub(super) fn set_field(&mut self, object: &Object, name: &str, value: &Value) -> Result<(), Fault> {
        match self.field_of(object, name) {
            Some((field, _)) => self.set_slot(object, field, value),
            None => Ok(()),
        }
    }

    pub(super) fn set_slot(&mut self, object: &Object, field: &FieldInfo, value: &Value) -> Result<(), Fault> {
        let value = self.cast(value, &field.ty)?;
        if let Some(variable) = object.shared_at(field.slot) {
            drop(variable.0.replace(value));
            return Ok(());
        }
        let before = object.fields.borrow_mut().get_mut(field.slot).map(|f| std::mem::replace(f, value));
        drop(before);
        Ok(())
    }

    /// Sets fields that nobody else may, to what a map has for them.
    pub(super) fn put_fields(&mut self, at: usize, base: usize, landing: Landing) -> Step {
        let (Value::Object(object), Some(Value::Map(given))) =
            (self.f.stack[at].clone(), self.f.stack.get(base).cloned())
        else {
            return self.result(at, landing, Value::Null);
        };
        self.world.charge(given.len());
        let entries: Vec<(String, Value)> = given.entries().iter().map(|(k, v)| (k.0.to_text(), v.clone())).collect();
        for (name, value) in entries {
            let fields = object.class.script.as_ref().map(|script| &script.fields);
            let Some(field) = fields.and_then(|all| all.get(&*name)).filter(|_| !name.starts_with('$')) else {
                return Err(self.world.missing_property(&name, &object.class.name));
            };
            if !value.is_null() {
                self.set_slot(&object, field, &value)?;
            } else {
                let before = object.fields.borrow_mut().get_mut(field.slot).map(|f| std::mem::replace(f, value));
                drop(before);
            }
        }
        self.result(at, landing, Value::Null)
    }

    /// The exception for what has a getter or a final field of that name, and cannot be set.
    pub(super) fn readonly(&self, class: &Class, name: &str) -> Fault {
        let message = format!("Cannot set readonly property: {name} for class: {}", class.name);
        self.world.fail("groovy.lang.ReadOnlyPropertyException", message)
    }

    /// What `super.name` is: a field that the superclass shows those below it, else what the nearest ancestor with an accessor or a field
    /// of that name has.
    fn found_above(
        &self,
        this: &Value,
        func: &Function,
        name: &str,
        accessor: impl Fn(&ScriptClass) -> Option<Rc<Function>>,
    ) -> Option<Above> {
        let Value::Object(object) = this else { return None };
        let class = self.world.class(func.class.as_ref()?)?;
        for (steps, ancestor) in above(this, &class).into_iter().enumerate() {
            let Some(script) = &ancestor.script else { continue };
            let field = declared(object, ancestor, name);
            if let Some(field) = field.filter(|f| steps == 0 && f.seen == Seen::Below) {
                return Some(Above::Field(field.clone()));
            }
            if let Some(method) = accessor(script) {
                return Some(Above::Method(method));
            }
            if let Some(field) = field {
                return Some(Above::Field(field.clone()));
            }
        }
        None
    }

    /// `super.name`
    pub(super) fn super_property(&mut self, name: &Text, func: &Function) -> Step {
        let at = self.f.stack.len() - 1;
        let this = self.f.stack[at].clone();
        let found =
            self.found_above(&this, func, name, |script| getter_among(|accessor| own_methods(script, accessor), name));
        match (found, &this) {
            (Some(Above::Method(getter)), _) => {
                return self.call_function(getter, this, None, at, at + 1, Landing::Push);
            }
            (Some(Above::Field(field)), Value::Object(object)) => {
                self.f.stack[at] = object.at(field.slot);
                return Ok(Flow::Next);
            }
            _ => {}
        }
        // What Java has, past the getter that the class itself may have.
        match library::super_method(&mut self.ctx(), &this, &accessor("get", name), &[])? {
            Some(value) => {
                self.f.stack[at] = value;
                Ok(Flow::Next)
            }
            None => self.load_property(name),
        }
    }

    /// `super.name = value`
    pub(super) fn set_super_property(&mut self, name: &Text, func: &Function) -> Step {
        let at = self.f.stack.len() - 2;
        let (this, value) = (self.f.stack[at].clone(), self.f.stack[at + 1].clone());
        let Value::Object(object) = &this else { return self.set_property_at(at, name) };
        let setter = accessor("set", name);
        let takes_one = |script: &ScriptClass| own_methods(script, &setter).into_iter().find(|f| f.params.len() == 1);
        match self.found_above(&this, func, name, takes_one) {
            Some(Above::Method(setter)) => self.call_function(setter, this, None, at, at + 1, Landing::Discard),
            Some(Above::Field(field)) => {
                self.set_slot(object, &field, &value)?;
                self.f.stack.truncate(at);
                Ok(Flow::Next)
            }
            None => self.set_property_at(at, name),
        }
    }

    /// The methods of a name that nothing below the class whose method runs overrides: its private ones; of those called by their name
    /// alone the static ones, too.
    ///
    /// Source: `MetaClassImpl.getMethodWithCaching`, which looks methods up for the class that calls.
    pub(super) fn unoverridden(&self, class: &Class, name: &str, alone: bool) -> Vec<Rc<Function>> {
        let Some(frame) = self.f.frames.last() else { return Vec::new() };
        let own = frame.func.class.as_ref().filter(|own| frame.closure.is_none() && **own != class.name);
        let Some(own) = own.and_then(|own| self.world.class(own)) else { return Vec::new() };
        let counts = |f: &&Rc<Function>| f.is_private || alone && super::call::is_static(f);
        let script = own.script.as_ref();
        let found: Vec<_> =
            script.and_then(|s| s.methods.get(name)).into_iter().flatten().filter(counts).cloned().collect();
        if found.is_empty() || !class.is_a(&own.name) { Vec::new() } else { found }
    }
}
