//! Calls. Receiver (or callee) and arguments are on the stack: `at` is the receiver, `base` the first argument; between
//! them stands the name of a dynamic call. Nothing on the stack changes before the call is certain to happen.

use std::rc::Rc;

use super::ScriptId;
use super::exec::{Flow, Step, Vm};
use super::fiber::Landing;
use super::need::Fault;
use super::property::Found;
use crate::ast::Text;
use crate::compile::{Function, FunctionKind, Site};
use crate::library;
use crate::value::{Class, Closure, ClosureCode, Value};

impl Vm<'_> {
    /// Runs `f` with the arguments of a site on the stack. A spread site has them in one list, which is put back where
    /// the instruction has to run again.
    pub(super) fn with_arguments(&mut self, site: &Site, f: impl FnOnce(&mut Self, usize) -> Step) -> Step {
        if !site.spread {
            let base = self.f.stack.len() - site.count as usize;
            return f(self, base);
        }
        let list = self.pop();
        let base = self.f.stack.len();
        self.f.stack.extend(list.items().unwrap_or_default());
        let step = f(self, base);
        if matches!(step, Err(Fault::Need(_) | Fault::Init(_))) {
            self.f.stack.truncate(base);
            self.f.stack.push(list);
        }
        step
    }

    pub(super) fn call_site(&mut self, site: &Site) -> Step {
        self.with_arguments(site, |vm, base| {
            if !site.casts.is_empty()
                && let Some(step) = vm.call_cast(base - 1, base, site)
            {
                return step;
            }
            if !site.dynamic {
                return vm.call_method(base - 1, base, &site.name, site.named, Landing::Push);
            }
            let name = vm.f.stack[base - 1].clone();
            if let Value::Closure(_) = name {
                // `a.(closure)(x)`: the closure is called.
                return vm.call_value(base - 1, base, Landing::Push).map(|flow| vm.drop_receiver(flow, base - 2));
            }
            let name: Text = vm.ctx().text(&name)?.into();
            vm.call_method(base - 2, base, &name, site.named, Landing::Push)
        })
    }

    fn drop_receiver(&mut self, flow: Flow, at: usize) -> Flow {
        if matches!(flow, Flow::Next) {
            self.f.stack.remove(at);
        } else if let Some(frame) = self.f.frames.last_mut() {
            frame.bottom = at;
        }
        flow
    }

    pub(super) fn call_value_site(&mut self, site: &Site) -> Step {
        self.with_arguments(site, |vm, base| vm.call_value(base - 1, base, Landing::Push))
    }

    /// Puts a result in the place of receiver and arguments.
    pub(super) fn result(&mut self, at: usize, landing: Landing, value: Value) -> Step {
        self.f.stack.truncate(at);
        match landing {
            Landing::Push => {
                self.f.stack.push(value);
                Ok(Flow::Next)
            }
            other => self.deliver(other, value),
        }
    }

    /// Pushes a frame for a function of a script.
    pub(super) fn call_function(
        &mut self,
        func: Rc<Function>,
        this: Value,
        closure: Option<Rc<Closure>>,
        at: usize,
        base: usize,
        landing: Landing,
    ) -> Step {
        let given = self.arrange(&func, base);
        self.push_frame(func, this, closure, base, at, given, landing)?;
        Ok(Flow::Switch)
    }

    /// `receiver.name(args)`.
    pub(super) fn call_method(&mut self, at: usize, base: usize, name: &str, named: bool, landing: Landing) -> Step {
        let receiver = self.f.stack[at].clone();
        if self.takes(&receiver, name) {
            return self.call_taken(receiver, at, base, name.into(), landing);
        }
        if matches!(name, "$use" | "$unuse" | "$standIn" | "$typedFields")
            && let Some(step) = self.category_word(at, base, name, Landing::Push)
        {
            return step;
        }
        if !self.f.used.is_empty() {
            let args = self.f.stack[base..].to_vec();
            if let Some(found) = self.of_category(&receiver, name, &args)? {
                return self.call_category(found, at, base, landing);
            }
        }
        match &receiver {
            Value::Closure(closure) => match name {
                "call" | "doCall" => return self.call_closure(closure.clone(), at, base, landing),
                "$entry" | "$entryIndex" | "$entryInto" => {
                    library::maps::spread_entry(&mut self.f.stack, base, name, closure);
                    return self.call_closure(closure.clone(), at, base, landing);
                }
                _ => {}
            },
            Value::Object(object) => {
                if self.intercepts(&receiver, name) {
                    return self.call_missing(receiver, at, base, name, landing);
                }
                if (name == "toString" || object.class.script.is_some())
                    && object.class.is_of_code()
                    && let Some(closure) = self.closure_in_property(&receiver, name)
                {
                    self.f.stack.drain(at + 1..base);
                    return self.call_closure(closure, at, at + 1, landing);
                }
                let own = self.unoverridden(&object.class, name, false);
                if !own.is_empty()
                    && let Some(func) = self.select_or_spread(&own, base)?
                {
                    return self.call_function(func, receiver.clone(), None, at, base, landing);
                }
                let methods = object.class.methods(name);
                if !methods.is_empty()
                    && let Some(func) = self.select_or_spread(&methods, base)?
                {
                    let this = if is_static(&func) { Value::Class(object.class.clone()) } else { receiver.clone() };
                    return self.call_function(func, this, None, at, base, landing);
                }
                if let Some(value) = self.static_accessor(&receiver, name, base)? {
                    return self.result(at, landing, value);
                }
                if let Some(id) = receiver.script_id() {
                    return self.call_script(id, at, base, name, named, landing);
                }
            }
            Value::Class(class) => {
                if let Some(step) = self.call_static(class, at, base, name)? {
                    return self.call_function(step, receiver.clone(), None, at, base, landing);
                }
                if let Some(value) = self.static_accessor(&receiver, name, base)? {
                    return self.result(at, landing, value);
                }
                if matches!(name, "new" | "newInstance") && class.script.is_some() {
                    return self.construct(class.clone(), (at, base), named, &[], landing);
                }
            }
            Value::Host(host) if self.host.has_method(Some(host), name) => {
                return self.call_host(Some(host.clone()), at, base, name.into(), named, landing);
            }
            _ => {}
        }
        self.call_library(receiver, at, base, name, landing)
    }

    fn call_static(
        &mut self,
        class: &Rc<Class>,
        _at: usize,
        base: usize,
        name: &str,
    ) -> Result<Option<Rc<Function>>, Fault> {
        if class.script.is_none() {
            return Ok(None);
        }
        self.ready(class)?;
        let methods: Vec<Rc<Function>> = class.methods(name).into_iter().filter(|f| is_static(f)).collect();
        self.select_or_spread(&methods, base)
    }

    /// Methods of Java and Groovy: native ones, then those written in Groovy, then closures in properties.
    fn call_library(&mut self, receiver: Value, at: usize, base: usize, name: &str, landing: Landing) -> Step {
        if let (Value::Map(_) | Value::Closure(_), "asType", [Value::Class(class)]) =
            (&receiver, name, &self.f.stack[base..])
        {
            let class = class.clone();
            return self.as_type(&class, at, landing);
        }
        if super::missing::lacks(&receiver, name, &self.f.stack[base..]) {
            return self.call_missing(receiver, at, base, name, landing);
        }
        let depth = self.f.frames.len();
        let mut ctx =
            super::Ctx { world: self.world, host: self.host, memo: &self.f.memo, memo_at: &self.f.memo_at, depth };
        if let Some(value) = library::method(&mut ctx, &receiver, name, &self.f.stack[base..])? {
            return self.result(at, landing, value);
        }
        let count = self.f.stack.len() - base;
        if let Some(func) = self.world.prelude_function(&receiver, name, count) {
            // The receiver is the first parameter; a dynamic name between them goes.
            self.f.stack.drain(at + 1..base);
            return self.call_function(func, Value::Null, None, at, at, landing);
        }
        if let Some(closure) = self.closure_in_property(&receiver, name) {
            self.f.stack.drain(at + 1..base);
            self.f.stack[at] = Value::Closure(closure.clone());
            return self.call_closure(closure, at, at + 1, landing);
        }
        // `Op.PLUS(1, 2)`: what the static property is, is called.
        if let Value::Class(class) = &receiver
            && class.static_owner(name).is_some()
            && let Found::Value(callee @ (Value::Object(_) | Value::Closure(_))) =
                self.class_property(&class.clone(), name)?
        {
            self.f.stack.drain(at + 1..base);
            self.f.stack[at] = callee;
            let step = self.call_value(at, at + 1, landing);
            if let Err(Fault::Need(_) | Fault::Init(_)) = step {
                self.f.stack[at] = receiver;
            }
            return step;
        }
        if let Some(items) = self.iterated_for(&receiver, name)? {
            self.f.stack[at] = items.clone();
            let step = self.call_library(items, at, base, name, landing);
            if let Err(Fault::Need(_) | Fault::Init(_)) = step {
                self.f.stack[at] = receiver;
            }
            return step;
        }
        if let Value::Closure(closure) = &receiver
            && let Some(target) = self.behind_with(closure, name)
        {
            self.f.stack[at] = target;
            let step = self.call_method(at, base, name, false, landing);
            if let Err(Fault::Need(_) | Fault::Init(_)) = step {
                self.f.stack[at] = receiver;
            }
            return step;
        }
        self.call_missing(receiver, at, base, name, landing)
    }

    /// A method called on a script object that it does not declare: a closure in the binding, or the host's.
    fn call_script(&mut self, id: ScriptId, at: usize, base: usize, name: &str, named: bool, landing: Landing) -> Step {
        let receiver = self.f.stack[at].clone();
        let closure = match self.world.variable(id, name) {
            Some(Value::Closure(c)) => Some(c.clone()),
            _ => self.closure_in_property(&receiver, name),
        };
        if let Some(closure) = closure {
            return self.call_closure(closure, at, base, landing);
        }
        if let Some(global) = self.world.global(name)? {
            self.f.stack[at] = global;
            return self.call_value(at, base, landing);
        }
        if self.host.has_method(None, name) {
            return self.call_host(None, at, base, name.into(), named, landing);
        }
        self.call_library(receiver, at, base, name, landing)
    }

    /// Calls a value: a closure, or an object with a `call` method.
    pub(super) fn call_value(&mut self, at: usize, base: usize, landing: Landing) -> Step {
        match self.f.stack[at].clone() {
            Value::Closure(closure) => self.call_closure(closure, at, base, landing),
            _ => self.call_method(at, base, "call", false, landing),
        }
    }

    pub(super) fn call_closure(&mut self, closure: Rc<Closure>, at: usize, base: usize, landing: Landing) -> Step {
        let before = match &closure.code {
            ClosureCode::Function(_) => Vec::new(),
            _ => self.f.stack[at..].to_vec(),
        };
        if let ClosureCode::Method { .. } | ClosureCode::Curried { .. } = &closure.code {
            self.spread_array(base);
        }
        let step = self.call_made_closure(closure, at, base, landing);
        // What runs again finds its own arguments, and not those of what it calls.
        if matches!(step, Err(Fault::Need(_) | Fault::Init(_))) && !before.is_empty() {
            self.f.stack.truncate(at);
            self.f.stack.extend(before);
        }
        step
    }

    /// An array is all arguments of a closure that has no code of its own, where a script calls it.
    fn spread_array(&mut self, base: usize) {
        if self.f.frames.last().is_some_and(|f| f.func.library) {
            return;
        }
        if let [Value::List(list)] = &self.f.stack[base..]
            && list.is_object_array()
        {
            let items = list.snapshot();
            self.world.charge(items.len() / 8);
            self.f.stack.truncate(base);
            self.f.stack.extend(items);
        }
    }

    fn call_made_closure(&mut self, mut closure: Rc<Closure>, at: usize, base: usize, mut landing: Landing) -> Step {
        loop {
            let next = match &closure.code {
                ClosureCode::Function(func) => {
                    let func = func.clone();
                    return self.enter_closure(closure, func, at, base, landing);
                }
                ClosureCode::Method { target, name } => {
                    let (target, name) = (target.clone(), name.clone());
                    return self.call_pointer(target, &name, at, base, landing);
                }
                ClosureCode::Curried { inner, args, at: position } => {
                    let count = self.f.stack.len() - base;
                    let offset = if *position >= 0 {
                        (*position as usize).min(count)
                    } else {
                        (count + args.len()).saturating_sub(position.unsigned_abs() as usize).min(count)
                    };
                    let tail = self.f.stack.split_off(base + offset);
                    self.f.stack.extend(args.iter().cloned().chain(tail));
                    closure.lent(inner)
                }
                ClosureCode::Composed { first, then } => {
                    landing = match landing {
                        Landing::Push => Landing::Then(vec![closure.lent(then)]),
                        Landing::Then(mut closures) => {
                            closures.push(closure.lent(then));
                            Landing::Then(closures)
                        }
                        // An answer or the like: the rest runs when the composition is done.
                        other => return self.call_composed(closure.clone(), at, base, other),
                    };
                    closure.lent(first)
                }
            };
            // Each turn is work: a chain of closures as long as the memory allows must still end.
            self.world.charge(1);
            match next {
                Value::Closure(c) => closure = c,
                other => {
                    self.f.stack[at] = other;
                    return self.call_method(at, base, "call", false, landing);
                }
            }
        }
    }

    /// A composition whose result does not go to the stack: a frame that returns it stands in between.
    fn call_composed(&mut self, closure: Rc<Closure>, at: usize, base: usize, landing: Landing) -> Step {
        let args = self.f.stack.split_off(base);
        self.f.stack.truncate(at);
        let func = self.world.prelude.identity();
        self.push_frame(func, Value::Null, None, at, at, u64::MAX, landing)?;
        let at = self.f.stack.len();
        self.f.stack.push(Value::Closure(closure.clone()));
        self.f.stack.extend(args);
        self.call_closure(closure, at, at + 1, Landing::Push)
    }

    fn call_pointer(&mut self, target: Value, name: &str, at: usize, base: usize, landing: Landing) -> Step {
        let before = std::mem::replace(&mut self.f.stack[at], target);
        let step = self.call_method(at, base, name, false, landing);
        if let Err(Fault::Need(_) | Fault::Init(_)) = step {
            self.f.stack[at] = before;
        }
        step
    }

    fn enter_closure(
        &mut self,
        closure: Rc<Closure>,
        func: Rc<Function>,
        at: usize,
        base: usize,
        landing: Landing,
    ) -> Step {
        let count = self.f.stack.len() - base;
        let wanted = func.params.len();
        if count != wanted || !func.plain_params {
            // One list for several parameters is taken apart.
            if count == 1
                && func.params.iter().filter(|p| !p.has_default).count() > 1
                && !func.varargs
                && let Some(list) = self.f.stack[base].as_list()
                && (func.stepwise || !list.is_array())
            {
                let items = list.snapshot();
                if self.world.select(std::slice::from_ref(&func), &items)?.is_some() {
                    self.f.stack.truncate(base);
                    self.f.stack.extend(items);
                }
            }
            if func.stepwise && !func.varargs {
                let needed = func.params.iter().filter(|p| !p.has_default).count();
                let count = (self.f.stack.len() - base).clamp(needed, wanted);
                self.f.stack.resize(base + count, Value::Null);
            } else if self.world.select(std::slice::from_ref(&func), &self.f.stack[base..])?.is_none() {
                // Groovy's own methods call `doCall`, as its messages show.
                let by_library = self.f.frames.last().is_some_and(|f| f.func.library);
                let name = if by_library { "doCall" } else { "call" };
                return Err(self.world.missing_method(name, &func.name, false, &self.f.stack[base..]));
            }
        }
        let this = closure.this.clone();
        self.call_function(func, this, Some(closure), at, base, landing)
    }

    /// `super.name(args)`, or where `of` is a class or trait, `of.super.name(args)`.
    pub(super) fn call_super_site(&mut self, site: &Site, func: &Function, of: Option<Rc<Class>>) -> Step {
        let own = func.class.as_ref().and_then(|c| self.world.class(c));
        self.with_arguments(site, |vm, base| {
            let at = base - if site.dynamic { 2 } else { 1 };
            let this = vm.f.stack[at].clone();
            let computed = vm.f.stack[base - 1].clone();
            let name: Text = if site.dynamic { vm.ctx().text(&computed)?.into() } else { site.name.clone() };
            let mut methods = Vec::new();
            let ancestors = match (&of, &own) {
                (Some(of), _) => of.lineage(),
                (None, Some(own)) => super::fields::above(&this, own),
                (None, None) => Vec::new(),
            };
            for script in ancestors.into_iter().filter_map(|c| c.script.as_ref()) {
                methods.extend(script.methods.get(&name).into_iter().flatten().filter(|f| !f.is_abstract).cloned());
            }
            if let Some(func) = vm.world.select(&methods, &vm.f.stack[base..])? {
                return vm.call_function(func, this, None, at, base, Landing::Push);
            }
            let depth = vm.f.frames.len();
            let mut ctx =
                super::Ctx { world: vm.world, host: vm.host, memo: &vm.f.memo, memo_at: &vm.f.memo_at, depth };
            match library::super_method(&mut ctx, &this, &name, &vm.f.stack[base..])? {
                Some(value) => vm.result(at, Landing::Push, value),
                None => vm.call_super_of_library((at, base), &name, &this),
            }
        })
    }
}

impl Vm<'_> {
    /// What every object has, `super.with { … }`: the object at `at`, below the arguments, is its receiver.
    fn call_super_of_library(&mut self, (at, base): (usize, usize), name: &str, this: &Value) -> Step {
        if let ("asType", [Value::Class(class)]) = (name, &self.f.stack[base..]) {
            let ty = super::convert::element_type(&class.name);
            let value = self.converted(this, &ty)?;
            return self.result(at, Landing::Push, value);
        }
        match self.world.prelude_function(this, name, self.f.stack.len() - base) {
            Some(func) => {
                // A name that is a value stands between them.
                self.f.stack.drain(at + 1..base);
                self.call_function(func, Value::Null, None, at, at, Landing::Push)
            }
            None => Err(self.world.missing_method(name, &this.type_name(), false, &self.f.stack[base..])),
        }
    }
}

pub(super) fn is_static(func: &Function) -> bool {
    matches!(func.kind, FunctionKind::Method { is_static: true })
}
