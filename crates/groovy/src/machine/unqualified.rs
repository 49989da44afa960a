//! Calls of a name alone: who has it, among `this`, owner and delegate of a closure, the script and the host.

use std::rc::Rc;

use super::call::is_static;
use super::exec::{Flow, Step, Vm};
use super::fiber::Landing;
use super::need::Fault;
use crate::ast::Text;
use crate::compile::{Function, Site};
use crate::library;
use crate::value::{Closure, Strategy, Value};

/// Methods of closures that their own code may call by name alone, and how many arguments they take.
const OF_CLOSURES: [(&str, usize); 11] = [
    ("curry", 1),
    ("equals", 1),
    ("getClass", 0),
    ("getDelegate", 0),
    ("getMaximumNumberOfParameters", 0),
    ("getOwner", 0),
    ("getParameterTypes", 0),
    ("getResolveStrategy", 0),
    ("getThisObject", 0),
    ("hashCode", 0),
    ("toString", 0),
];

impl Vm<'_> {
    /// An unqualified call. The slot below the arguments is free for the receiver that is found.
    pub(super) fn call_name_site(&mut self, site: &Site) -> Step {
        self.with_arguments(site, |vm, base| {
            if site.dynamic {
                return vm.call_computed_name(base, site.named);
            }
            if !site.casts.is_empty() {
                for target in vm.targets() {
                    vm.f.stack[base - 1] = target;
                    if let Some(step) = vm.call_cast(base - 1, base, site) {
                        return step;
                    }
                }
                vm.f.stack[base - 1] = Value::Null;
            }
            vm.call_name(base, &site.name, site.named)
        })
    }

    /// An unqualified call whose name is a value, `"$name"(args)`: it stands between the free slot and the arguments.
    fn call_computed_name(&mut self, base: usize, named: bool) -> Step {
        let value = self.f.stack[base - 1].clone();
        let name: Text = self.ctx().text(&value)?.into();
        self.f.stack.remove(base - 1);
        let step = self.call_name(base - 1, &name, named);
        if let Err(Fault::Need(_) | Fault::Init(_) | Fault::Fields(_) | Fault::Global(..)) = step {
            self.f.stack.insert(base - 1, value);
        }
        step
    }

    fn call_name(&mut self, base: usize, name: &Text, named: bool) -> Step {
        let at = base - 1;
        // What closures have themselves goes before what is around one.
        let own = self.f.frames.last().filter(|frame| !frame.func.library).and_then(|frame| frame.closure.clone());
        let is_own = |c: &Rc<Closure>| {
            OF_CLOSURES.contains(&(&**name, self.f.stack.len() - base))
                && !(&**name == "curry" && c.strategy.get() == Strategy::DelegateOnly)
        };
        if let Some(closure) = own.clone().filter(is_own)
            && let Some(flow) = self.library_method(at, base, name, &[Value::Closure(closure)])?
        {
            return Ok(flow);
        }
        let targets = self.looked_through();
        let delegate_first = self.asks_delegate_first();
        // A method of one of them.
        for (index, target) in targets.iter().enumerate() {
            // What a class in use has for it goes first.
            if !self.f.used.is_empty() {
                let args = self.f.stack[base..].to_vec();
                if let Some(method) = self.of_category(target, name, &args)? {
                    self.f.stack[at] = target.clone();
                    return self.call_category(method, at, base, Landing::Push);
                }
            }
            if self.takes(target, name) {
                return self.call_taken(target.clone(), at, base, name.clone(), Landing::Push);
            }
            if self.intercepts(target, name) {
                self.f.stack[at] = target.clone();
                return self.call_missing(target.clone(), at, base, name, Landing::Push);
            }
            if let Some(func) = self.method_of(target, base, name)? {
                let this = if is_static(&func) { super::name::class_value(target) } else { target.clone() };
                return self.call_function(func, this, None, at, base, Landing::Push);
            }
            if let Some(value) = self.static_accessor(target, name, base)? {
                return self.result(at, Landing::Push, value);
            }
            if let Value::Host(host) = target
                && self.host.has_method(Some(host), name)
            {
                return self.call_host(Some(host.clone()), at, base, name.clone(), named, Landing::Push);
            }
            if self.is_of_library(target, name)
                && let Some(flow) = self.library_method(at, base, name, std::slice::from_ref(target))?
            {
                return Ok(flow);
            }
            if index == 0 && delegate_first {
                if let Some(step) = self.call_taker(at, base, name, &targets[..1]) {
                    return step;
                }
                if matches!(target, Value::Object(o) if o.class.has_method("invokeMethod"))
                    && target.script_id().is_none()
                {
                    self.f.stack[at] = target.clone();
                    return self.call_missing(target.clone(), at, base, name, Landing::Push);
                }
            }
        }
        if let Some((class, func)) = self.beside_in_category(base, name)? {
            return self.call_function(func, Value::Class(class), None, at, base, Landing::Push);
        }
        // A closure in a property of one of them.
        for target in &targets {
            let in_binding = match target.script_id().and_then(|id| self.world.variable(id, name)) {
                Some(Value::Closure(c)) => Some(c.clone()),
                _ => None,
            };
            if let Some(closure) = in_binding.or_else(|| self.closure_in_property(target, name)) {
                self.f.stack[at] = Value::Closure(closure.clone());
                return self.call_closure(closure, at, base, Landing::Push);
            }
        }
        if let Some(step) = self.call_variable(at, base, name, &targets)? {
            return Ok(step);
        }
        // A closure that calls itself.
        if let Some(closure) = own.filter(|_| &**name == "call") {
            self.f.stack[at] = Value::Closure(closure.clone());
            return self.call_closure(closure, at, base, Landing::Push);
        }
        if let Some(step) = self.call_taker(at, base, name, &targets) {
            return step;
        }
        // What the library calls by its name is never the host's.
        let by_library = self.f.frames.last().is_some_and(|frame| frame.func.library);
        let categories = &**name == "use"
            && matches!(&self.f.stack[base..], [Value::Class(_) | Value::List(_), .., Value::Closure(_)]);
        if !by_library && !categories && self.host.has_method(None, name) {
            // Of a script the host's names are all there are; other objects have methods of their own.
            if !self.host.goes_first(name) {
                if let Some(target) = super::name::expando_with(&targets, name) {
                    self.f.stack[at] = target.clone();
                    return self.call_missing(target.clone(), at, base, name, Landing::Push);
                }
                let objects: Vec<_> = targets.iter().filter(|target| target.script_id().is_none()).cloned().collect();
                if let Some(flow) = self.library_method(at, base, name, &objects)? {
                    return Ok(flow);
                }
            }
            return self.call_host(None, at, base, name.clone(), named, Landing::Push);
        }
        self.call_name_library(at, base, name, &targets)
    }

    /// Whether what a list, text or map has itself goes before what the next target has; the host's names are the host's.
    fn is_of_library(&self, target: &Value, name: &Text) -> bool {
        let is_plain =
            !matches!(target, Value::Object(_) | Value::Class(_) | Value::Host(_) | Value::Closure(_) | Value::Null);
        is_plain && target.script_id().is_none() && !(self.host.has_method(None, name) && self.host.goes_first(name))
    }

    /// What an object makes of a name that nobody before it has.
    fn call_taker(&mut self, at: usize, base: usize, name: &Text, targets: &[Value]) -> Option<Step> {
        let target = super::name::taker_of_names(targets, name)?;
        // `getClass()`: what every object has is not missing.
        let is_hosts = self.host.has_method(None, name) && self.host.goes_first(name);
        if !is_hosts {
            match self.library_method(at, base, name, std::slice::from_ref(target)) {
                Ok(None) => {}
                Ok(Some(flow)) => return Some(Ok(flow)),
                Err(fault) => return Some(Err(fault)),
            }
        }
        Some(self.call_missing_of(target, targets, at, base, name))
    }

    /// `methodMissing` of an object in a closure, and where that throws that there is no such method, of those behind it.
    ///
    /// Source: `ClosureMetaClass.invokeMethod`.
    fn call_missing_of(&mut self, target: &Value, targets: &[Value], at: usize, base: usize, name: &Text) -> Step {
        let makes =
            |t: &&Value| matches!(t, Value::Object(o) if o.class.methods("methodMissing").iter().any(|f| !f.library));
        let behind = targets.iter().skip_while(|t| !t.same(target)).skip(1);
        let others: Vec<Value> = behind.filter(makes).cloned().collect();
        let in_closure = self.f.frames.last().is_some_and(|frame| frame.closure.is_some());
        if in_closure
            && makes(&target)
            && !others.is_empty()
            && let Some(func) = self.world.prelude_function(&Value::Null, "$missing", 3)
        {
            let args = Value::array(self.f.stack.split_off(base), "java.lang.Object");
            self.f.stack.truncate(at);
            self.f.stack.extend([target.clone(), Value::str(&**name), args, Value::list(others)]);
            return self.call_function(func, Value::Null, None, at, at, Landing::Push);
        }
        self.f.stack[at] = target.clone();
        self.call_missing(target.clone(), at, base, name, Landing::Push)
    }

    /// Whether the delegate of the running closure is asked for all, before what is around the closure, which is one itself.
    fn asks_delegate_first(&self) -> bool {
        let closure = self.f.frames.last().and_then(|frame| frame.closure.as_ref());
        closure.is_some_and(|c| c.strategy.get() == Strategy::DelegateFirst && matches!(c.owner, Value::Closure(_)))
    }

    /// A binding variable or host global with a `call` method (`foo(x)` where `foo` is a script or class object).
    fn call_variable(&mut self, at: usize, base: usize, name: &Text, targets: &[Value]) -> Result<Option<Flow>, Fault> {
        let mut scripts = targets.iter().filter_map(Value::script_id).peekable();
        let global = if scripts.peek().is_some() { self.world.global(name)? } else { None };
        let own = scripts.find_map(|id| self.world.variable(id, name));
        let Some(value) = own.cloned().or(global) else { return Ok(None) };
        let callable = match &value {
            Value::Object(o) => o.class.has_method("call") || self.closure_in_property(&value, "call").is_some(),
            Value::Host(h) => self.host.has_method(Some(h), "call"),
            _ => false,
        };
        if !callable {
            return Ok(None);
        }
        self.f.stack[at] = value;
        self.call_value(at, base, Landing::Push).map(Some)
    }

    /// The library's methods of the objects in question (`with` on `this`, `push` on a delegate).
    fn library_method(
        &mut self,
        at: usize,
        base: usize,
        name: &Text,
        targets: &[Value],
    ) -> Result<Option<Flow>, Fault> {
        let depth = self.f.frames.len();
        for target in targets {
            let mut ctx =
                super::Ctx { world: self.world, host: self.host, memo: &self.f.memo, memo_at: &self.f.memo_at, depth };
            let found = library::unqualified(&mut ctx, target, name, &self.f.stack[base..])?;
            if let Some(value) = found {
                return self.result(at, Landing::Push, value).map(Some);
            }
            let count = self.f.stack.len() - base;
            if let Some(func) = self.world.prelude_function(target, name, count) {
                self.f.stack[at] = target.clone();
                return self.call_function(func, Value::Null, None, at, at, Landing::Push).map(Some);
            }
        }
        Ok(None)
    }

    /// The same, or what an object makes of what it has not.
    fn call_name_library(&mut self, at: usize, base: usize, name: &Text, targets: &[Value]) -> Step {
        if let Some(flow) = self.library_method(at, base, name, targets)? {
            return Ok(flow);
        }
        let Some(first) =
            targets.iter().rev().find(|t| matches!(t, Value::Object(_) | Value::Class(_))).or(targets.first())
        else {
            return Err(self.world.missing_method(name, "java.lang.Object", false, &self.f.stack[base..]));
        };
        let first = first.clone();
        for target in targets {
            if let Value::Object(o) = target
                && (o.class.has_method("methodMissing") || o.class.has_method("invokeMethod"))
            {
                return self.call_missing_of(target, targets, at, base, name);
            }
        }
        self.f.stack[at] = first.clone();
        self.call_missing(first, at, base, name, Landing::Push)
    }

    /// A static method of the class with `@Category` whose code runs: `this` is something else there.
    fn beside_in_category(&mut self, base: usize, name: &str) -> Result<Option<super::category::Method>, Fault> {
        if self.f.used.is_empty() {
            return Ok(None);
        }
        let own = self.f.frames.last().and_then(|frame| frame.func.class.clone());
        let Some(class) = own.and_then(|own| self.world.class(&own)) else { return Ok(None) };
        if class.static_owner("$category").is_none() {
            return Ok(None);
        }
        let mut methods = class.methods(name);
        methods.retain(|f| is_static(f));
        Ok(self.select_or_spread(&methods, base)?.map(|func| (class, func)))
    }

    /// The method of a script class that an unqualified call means.
    fn method_of(&mut self, target: &Value, base: usize, name: &str) -> Result<Option<Rc<Function>>, Fault> {
        let class = match target {
            Value::Object(o) => o.class.clone(),
            Value::Class(c) => c.clone(),
            _ => return Ok(None),
        };
        if class.script.as_ref().is_some_and(|s| s.stands_in) && self.closure_in_property(target, name).is_some() {
            return Ok(None);
        }
        let own = self.unoverridden(&class, name, true);
        if !own.is_empty()
            && let Some(func) = self.select_or_spread(&own, base)?
        {
            return Ok(Some(func));
        }
        let (mut next, mut own) = (Some(class), true);
        while let Some(class) = next {
            let mut methods = class.methods(name);
            if !std::mem::take(&mut own) {
                // What is no static method is one of the object around, which is asked itself.
                methods.retain(|f| is_static(f));
            }
            if !methods.is_empty()
                && let Some(func) = self.select_or_spread(&methods, base)?
            {
                return Ok(Some(func));
            }
            // Static methods of the classes around a nested class.
            next = class.script.as_ref().and_then(|s| s.outer.as_ref()).and_then(|o| self.world.class(o));
        }
        Ok(None)
    }
}
