//! `new`.

use std::rc::Rc;

use super::convert::default_value;
use super::exec::{Flow, Step, Vm};
use super::fiber::Landing;
use super::need::Fault;
use crate::ast::{ClassKind, Text};
use crate::compile::{Capture, Function, Site, Type};
use crate::library;
use crate::value::{Class, List, ListKind, Map, MapKind, Native, OUTER, Object, Throwable, Value};

/// The method of a class with `@Immutable` that puts copies in the place of what can be changed (`compile::immutable`).
const DEFEND: &str = "$defend";

impl Vm<'_> {
    pub(super) fn new_site(&mut self, site: &Site) -> Step {
        self.with_arguments(site, |vm, base| vm.new_object(site, base - 1, base))
    }

    fn new_object(&mut self, site: &Site, at: usize, base: usize) -> Step {
        let name = &site.name;
        match self.world.class(name).or_else(|| self.inherited_class(name)) {
            Some(class) if class.script.is_some() => {
                self.construct(class, (at, base), site.named, &site.shares, Landing::Push)
            }
            Some(class) => {
                let depth = self.f.frames.len();
                let mut ctx = super::Ctx {
                    world: self.world,
                    host: self.host,
                    memo: &self.f.memo,
                    memo_at: &self.f.memo_at,
                    depth,
                };
                if let Some(value) = library::construct::java(&mut ctx, &class, &self.f.stack[base..])? {
                    self.f.stack.truncate(at);
                    self.f.stack.push(value);
                    return Ok(Flow::Next);
                }
                self.construct_by_host(name, at, base)
            }
            None => self.construct_by_host(name, at, base),
        }
    }

    fn construct_by_host(&mut self, name: &str, at: usize, base: usize) -> Step {
        match self.host.construct(name, &self.f.stack[base..]) {
            Some(Ok(value)) => {
                self.f.stack.truncate(at);
                self.f.stack.push(value);
                Ok(Flow::Next)
            }
            Some(Err(exception)) => Err(Fault::Throw(exception)),
            None => {
                let class = "org.codehaus.groovy.control.MultipleCompilationErrorsException";
                if self.world.class(name).is_some() {
                    let args: Vec<String> = self.f.stack[base..].iter().map(Value::type_name).collect();
                    let message = format!("Could not find matching constructor for: {name}({})", args.join(", "));
                    return Err(self.world.fail("groovy.lang.GroovyRuntimeException", message));
                }
                Err(self.world.fail(class, format!("unable to resolve class {name}")))
            }
        }
    }

    /// Makes an instance of a script class. Receiver slot and arguments are at `at` and `base`; the fields of `shares` are variables of the
    /// code that runs.
    pub(super) fn construct(
        &mut self,
        class: Rc<Class>,
        (at, base): (usize, usize),
        named: bool,
        shares: &[(Text, Capture)],
        landing: Landing,
    ) -> Step {
        self.ready(&class)?;
        let Some(script) = &class.script else { return Ok(Flow::Next) };
        if script.is_abstract {
            let kind = if script.kind == ClassKind::Interface { "interface" } else { "abstract class" };
            let message = format!("You cannot create an instance from the {kind} '{}'.", class.name);
            return Err(self.world.fail("java.lang.InstantiationException", message));
        }
        if class
            .enumeration()
            .is_some_and(|of| self.f.frames.last().is_none_or(|f| f.func.class.as_ref() != Some(&of.name)))
        {
            let message = format!("Enum constructor calls are only allowed inside the enum class {}", class.name);
            return Err(self.world.fail("groovy.lang.GroovyRuntimeException", message));
        }
        let made = |of: &&Text| script.statics.borrow().get(*of).is_some_and(|one| !one.is_null());
        if let Some(property) = script.singleton.as_ref().filter(made) {
            let message = format!("Can't instantiate singleton {0}. Use {0}.{property}", class.name);
            return Err(self.world.fail("java.lang.RuntimeException", message));
        }
        let outer = if script.is_inner { self.outer_for(&class, base) } else { Value::Null };
        let constructor = self.world.select(&script.constructors, &self.f.stack[base..])?;
        let count = self.f.stack.len() - base;
        let object = Rc::new(blank(&class));
        if let Some(slot) = object.slot(OUTER) {
            object.fields.borrow_mut()[slot] = outer;
        }
        for (name, from) in shares {
            if let Some(variable) = self.captured(*from) {
                object.share(name, variable);
            }
        }
        let value = Value::Object(object.clone());
        match constructor {
            Some(func) => match landing {
                Landing::Push => self.run_constructor(func, &object, &class, (at, base), value)?,
                other => drop(self.call_function(func, value, None, at, base, other)?),
            },
            None if count == 0 && script.constructors.is_empty() && !class.has_method(DEFEND) => {
                self.finish_plain(at, value);
                self.make_without_arguments(&object, Some(class))?;
            }
            // A map stands for properties, whether it was written as one or as named arguments.
            None if count == 1 && (named || self.takes_properties(&class, base)?) => {
                let map = self.pop();
                self.finish_plain(at, value.clone());
                self.set_named(&value, map)?;
                self.make_without_arguments(&object, Some(class))?;
            }
            None => {
                let args = self.f.stack[base..].to_vec();
                if let Some(map) = tuple(script, &args) {
                    self.finish_plain(at, value.clone());
                    self.set_named(&value, map)?;
                    self.make_plain(&object, &class)?;
                    return Ok(Flow::Switch);
                }
                if !self.implicit_constructor(&class, &object, &args)? {
                    let types: Vec<String> = args.iter().map(Value::type_name).collect();
                    let message =
                        format!("Could not find matching constructor for: {}({})", class.name, types.join(", "));
                    return Err(self.world.fail("groovy.lang.GroovyRuntimeException", message));
                }
                self.finish_plain(at, value);
                let mut next = Some(class);
                while let Some(class) = next {
                    self.run_initialisers(&object, &class)?;
                    next = class.superclass.clone();
                }
            }
        }
        Ok(Flow::Switch)
    }

    /// The object around one that is made of an inner class: the one whose code runs or one around that, or else the first argument.
    fn outer_for(&mut self, class: &Class, base: usize) -> Value {
        let Some(outer) = class.script.as_ref().and_then(|s| s.outer.clone()) else {
            return self.f.frames.last().map(|f| f.this.clone()).unwrap_or_default();
        };
        if let Some(found) = self.around_this(&outer) {
            return found;
        }
        match self.f.stack.get(base) {
            Some(Value::Object(first)) if first.class.is_a(&outer) => self.f.stack.remove(base),
            _ => Value::Null,
        }
    }

    fn finish_plain(&mut self, at: usize, value: Value) {
        self.f.stack.truncate(at);
        self.f.stack.push(value);
    }

    /// Runs a constructor that a class has, or inherits; `answer` takes the place of what is on the stack from `at`, where its
    /// arguments begin at `base`. The initialisers of the classes that inherit it run behind it.
    fn run_constructor(
        &mut self,
        func: Rc<Function>,
        object: &Rc<Object>,
        class: &Rc<Class>,
        (at, base): (usize, usize),
        answer: Value,
    ) -> Result<(), Fault> {
        let this = Value::Object(object.clone());
        if func.class.as_ref() == Some(&class.name) {
            self.call_function(func, this, None, at, base, Landing::Give(answer))?;
            return Ok(());
        }
        let args = self.f.stack.split_off(base);
        self.finish_plain(at, answer);
        let mut next = Some(class.clone());
        while let Some(class) = next.filter(|c| func.class.as_ref() != Some(&c.name)) {
            self.run_initialisers(object, &class)?;
            next = class.superclass.clone();
        }
        let top = self.f.stack.len();
        self.f.stack.extend(args);
        self.call_function(func, this, None, top, top, Landing::Discard)?;
        Ok(())
    }

    /// Makes what a class and those above it have of an object, each by its constructor without arguments, or else by its initialisers.
    /// Frames are pushed in the opposite order: what is farthest above runs first.
    fn make_without_arguments(&mut self, object: &Rc<Object>, class: Option<Rc<Class>>) -> Result<(), Fault> {
        let mut next = class;
        while let Some(class) = next {
            let constructors = class.script.as_ref().map(|script| &script.constructors).filter(|c| !c.is_empty());
            if let Some(constructors) = constructors
                && let Some(func) = self.world.select(constructors, &[])?
            {
                let top = self.f.stack.len();
                let this = Value::Object(object.clone());
                if func.class.as_ref() == Some(&class.name) {
                    self.call_function(func, this, None, top, top, Landing::Discard)?;
                    return Ok(());
                }
            }
            self.run_initialisers(object, &class)?;
            next = class.superclass.clone();
        }
        Ok(())
    }

    /// The same, without a constructor of the class itself.
    fn make_plain(&mut self, object: &Rc<Object>, class: &Class) -> Result<(), Fault> {
        self.run_initialisers(object, class)?;
        self.make_without_arguments(object, class.superclass.clone())
    }

    /// Whether the argument is a map, and the class can be made without one.
    fn takes_properties(&mut self, class: &Class, base: usize) -> Result<bool, Fault> {
        let Some(script) = class.script.as_ref().filter(|_| matches!(self.f.stack.get(base), Some(Value::Map(_))))
        else {
            return Ok(false);
        };
        Ok(script.constructors.is_empty() || self.world.select(&script.constructors, &[])?.is_some())
    }

    /// Named arguments set properties, after the initialisers: a library function does it on a frame of its own.
    fn set_named(&mut self, value: &Value, map: Value) -> Result<(), Fault> {
        // What has a constructor for all of its fields sets them, also where nobody else may.
        let whole = matches!(value, Value::Object(o) if o.slot("$tuple").is_some());
        let defends = matches!(value, Value::Object(o) if o.class.has_method(DEFEND));
        let name = match (whole, defends) {
            (true, true) => "$constructDefended",
            (true, false) => "$construct",
            _ => "$setAll",
        };
        let Some(func) = self.world.prelude_function(&Value::Null, name, 1) else { return Ok(()) };
        let at = self.f.stack.len();
        self.f.stack.extend([value.clone(), map]);
        self.push_frame(func, Value::Null, None, at, at, u64::MAX, Landing::Discard)
    }

    /// What Java gives without a constructor in the script: exceptions take message and cause, classes with
    /// `@Canonical` and the like take their fields in order, anonymous classes what their parent takes.
    fn implicit_constructor(&mut self, class: &Rc<Class>, object: &Rc<Object>, args: &[Value]) -> Result<bool, Fault> {
        if class.is_throwable() {
            *object.native.borrow_mut() = Native::Throwable(library::construct::throwable(&mut self.ctx(), args)?);
            return Ok(true);
        }
        if let Some(own) = object.as_map() {
            let given = match args {
                [Value::Map(map)] => Some(map.clone()),
                [Value::Object(other)] => other.as_map(),
                _ => None,
            };
            if let Some(given) = given {
                for (key, value) in given.entries().iter() {
                    own.put(key.0.clone(), value.clone());
                }
            }
            return Ok(true);
        }
        if let Some(own) = object.as_list() {
            let given = args.first().map(|given| library::sequence(&mut self.ctx(), given)).transpose()?.flatten();
            given.into_iter().flatten().for_each(|item| own.push(item));
            return Ok(true);
        }
        let Some(script) = &class.script else { return Ok(false) };
        let tuple = script.fields.contains_key("$tuple");
        let names: Vec<Text> = script.fields.keys().filter(|n| !n.starts_with('$')).cloned().collect();
        if !tuple || args.len() > names.len() {
            return Ok(false);
        }
        for (name, arg) in names.iter().zip(args) {
            self.set_field(object, name, arg)?;
        }
        Ok(true)
    }

    /// Makes the object that a variable of a library is, before the instruction that wants it runs again.
    pub(super) fn make_global(&mut self, name: Text, class: &Rc<Class>) -> Step {
        let object = Rc::new(blank(class));
        let value = Value::Object(object.clone());
        self.world.globals.insert(name, value.clone());
        let constructors = class.script.as_ref().map(|script| script.constructors.clone()).unwrap_or_default();
        match self.world.select(&constructors, &[])? {
            Some(func) if func.class.as_ref() == Some(&class.name) => {
                let at = self.f.stack.len();
                self.call_function(func, value, None, at, at, Landing::Again)?;
            }
            _ => self.make_without_arguments(&object, Some(class.clone()))?,
        }
        Ok(Flow::Switch)
    }

    /// `closures as AbstractClass`: the value on the stack becomes an object of the class, of which closures are the missing methods.
    pub(super) fn stand_in(&mut self, closures: &Value, class: Rc<Class>) -> Step {
        self.ready(&class)?;
        let constructors = class.script.as_ref().map(|script| script.constructors.clone()).unwrap_or_default();
        if !constructors.is_empty() && self.world.select(&constructors, &[])?.is_none() {
            let message = format!("Error casting map to {}, Reason: null", class.name);
            return Err(self.world.fail("org.codehaus.groovy.runtime.typehandling.GroovyCastException", message));
        }
        let native = super::convert::code_of(closures, &class);
        let object = Rc::new(Object::new(Rc::new(super::fields::stand_in(class)), native));
        let value = Value::Object(object.clone());
        self.replace(1, value);
        self.make_without_arguments(&object, Some(object.class.clone()))?;
        Ok(Flow::Switch)
    }

    /// Runs the field initialisers of a class and of the traits that it brings.
    fn run_initialisers(&mut self, object: &Rc<Object>, class: &Class) -> Result<(), Fault> {
        let own = |c: &Class| c.script.as_ref().and_then(|script| script.init.clone());
        let inits: Vec<Rc<Function>> = if class.interfaces.is_empty() {
            own(class).into_iter().collect()
        } else {
            let above = class.superclass.as_ref().map(|above| above.lineage()).unwrap_or_default();
            let brings = |c: &&Class| !above.iter().any(|a| a.name == c.name);
            class.lineage().into_iter().filter(brings).filter_map(own).collect()
        };
        for init in inits {
            let at = self.f.stack.len();
            let this = Value::Object(object.clone());
            self.push_frame(init, this, None, at, at, u64::MAX, Landing::Discard)?;
        }
        Ok(())
    }

    /// Runs the initialisers of the class whose constructor runs: what is above that class is made.
    pub(super) fn initialise_object(&mut self, func: &Function) -> Step {
        if let Some(Value::Object(object)) = self.f.frames.last().map(|frame| frame.this.clone()) {
            let mut next = Some(&object.class);
            while let Some(class) = next.filter(|c| func.class.as_ref() != Some(&c.name)) {
                next = class.superclass.as_ref();
            }
            if let Some(class) = next {
                self.run_initialisers(&object, class)?;
            }
        }
        Ok(Flow::Switch)
    }

    /// The one constructor that takes so many arguments: `this(…)` and `super(…)` are compiled as a call of it, and what they give is cast.
    ///
    /// Source: `InvocationWriter.getMatchingConstructor`.
    fn only_one_taking(&mut self, constructors: &[Rc<Function>], base: usize) -> Result<Option<Rc<Function>>, Fault> {
        let count = self.f.stack.len() - base;
        let direct = |f: &&Rc<Function>| super::shape::shapes(f, count).any(|shape| !shape.into_array);
        let mut fitting = constructors.iter().filter(direct);
        let (Some(only), None) = (fitting.next(), fitting.next()) else { return Ok(None) };
        let Some(shape) = super::shape::shapes(only, count).find(|shape| !shape.into_array) else { return Ok(None) };
        // What goes into its array is one item of that.
        let last = shape.given.last().filter(|_| count > 0).map(|at| &only.params[*at].ty);
        if matches!(last, Some(Type::Array(_))) && self.top(1).items().is_none() && !self.top(1).is_null() {
            return Ok(None);
        }
        for (n, at) in shape.given.iter().enumerate() {
            let value = self.f.stack[base + n].clone();
            self.f.stack[base + n] = self.cast(&value, &only.params[*at].ty)?;
        }
        Ok(Some(only.clone()))
    }

    /// `this(…)` and `super(…)` in a constructor; `this` is below the arguments.
    pub(super) fn call_constructor_site(&mut self, site: &Site, is_super: bool, func: &Function) -> Step {
        let own = func.class.as_ref().and_then(|c| self.world.class(c));
        self.with_arguments(site, |vm, base| {
            let at = base - 1;
            let this = vm.f.stack[at].clone();
            let class = if is_super { own.as_ref().and_then(|c| c.superclass.clone()) } else { own.clone() };
            let (Value::Object(object), Some(class)) = (&this, class) else {
                vm.f.stack.truncate(at);
                vm.f.stack.push(Value::Null);
                return Ok(Flow::Next);
            };
            let constructors = class.script.as_ref().map(|script| &*script.constructors).unwrap_or_default();
            let only = if site.spread { None } else { vm.only_one_taking(constructors, base)? };
            let constructor = match only {
                Some(only) => Some(only),
                None => vm.world.select(constructors, &vm.f.stack[base..])?,
            };
            if let Some(func) = constructor {
                vm.run_constructor(func, object, &class, (at, base), Value::Null)?;
                return Ok(Flow::Switch);
            }
            let args = vm.f.stack[base..].to_vec();
            let fields = class.script.as_ref().and_then(|script| tuple(script, &args)).filter(|_| !args.is_empty());
            if !args.is_empty() && fields.is_none() && !vm.implicit_constructor(&class, object, &args)? {
                let types: Vec<String> = args.iter().map(Value::type_name).collect();
                let message = format!("Could not find matching constructor for: {}({})", class.name, types.join(", "));
                return Err(vm.world.fail("groovy.lang.GroovyRuntimeException", message));
            }
            vm.finish_plain(at, Value::Null);
            if let Some(map) = fields {
                vm.set_named(&this, map)?;
            }
            vm.make_plain(object, &class)?;
            Ok(Flow::Switch)
        })
    }
}

/// An object of a class before anything has run: fields of primitive types have their zero.
fn blank(class: &Rc<Class>) -> Object {
    let object = Object::new(class.clone(), native_part(class));
    let fields = class.script.iter().flat_map(|script| script.fields.values());
    for field in fields.filter(|f| matches!(f.ty, Type::Primitive(_))) {
        object.fields.borrow_mut()[field.slot] = default_value(&field.ty);
    }
    object
}

/// The fields that positional arguments set, of a class that has a constructor for all of them (`@Canonical`).
fn tuple(script: &crate::value::ScriptClass, args: &[Value]) -> Option<Value> {
    let names: Vec<&Text> = script.fields.keys().filter(|n| !n.starts_with('$')).collect();
    if !script.fields.contains_key("$tuple") || args.len() > names.len() {
        return None;
    }
    Some(Value::map(names.iter().zip(args).map(|(name, arg)| (Value::str(&***name), arg.clone()))))
}

/// What Java holds of an instance of a script class.
fn native_part(class: &Class) -> Native {
    if class.is_throwable() {
        return Native::Throwable(Throwable::default());
    }
    if class.is_a("java.util.Map") {
        let kind = match () {
            () if class.is_a("java.util.TreeMap") => MapKind::Tree,
            () if class.is_a("java.util.HashMap") && !class.is_a("java.util.LinkedHashMap") => MapKind::Hash,
            () => MapKind::Linked,
        };
        return Native::Map(Rc::new(Map::new(kind)));
    }
    let lists = [
        ("java.util.Stack", ListKind::Stack),
        ("java.util.Vector", ListKind::Array),
        ("java.util.LinkedList", ListKind::Linked),
        ("java.util.ArrayList", ListKind::Array),
    ];
    if let Some((_, kind)) = lists.into_iter().find(|(name, _)| class.is_a(name)) {
        return Native::List(Rc::new(List::new(Vec::new(), kind)));
    }
    match &class.script {
        Some(script) if class.is_a("groovy.lang.Script") => Native::Script(script.script),
        _ => Native::None,
    }
}
