//! Runs compiled scripts: fibers with explicit stacks, limits for everything, and a host for what is not the language's.
//!
//! ```text
//!            start_script / start_call / start_method
//!                      │
//!                      ▼
//!   ┌──────────▶ runnable ──run──▶ Finished | Threw | Limit   (the fiber is gone)
//!   │                │  ▲
//!   │        Call    │  │ Slice
//!   │                ▼  └──────
//! resume ◀──── waiting ──interrupt──▶ runnable, with an exception at the call
//! ```
//!
//! Only [`Machine::run`] moves a fiber; nothing here knows time, files or other threads.

mod behind;
mod bind;
mod call;
mod category;
mod classes;
mod construct;
mod convert;
mod exec;
mod fiber;
mod fields;
mod host;
mod iterate;
mod limits;
mod marks;
mod missing;
mod name;
mod need;
mod operate;
mod overload;
mod plain;
mod prelude;
mod property;
mod ready;
mod shape;
mod shims;
mod statics;
mod taken;
mod texts;
mod unqualified;
mod unwind;
mod world;

pub(crate) use convert::element_name;
pub use host::{Host, HostCall, Stepped, Thrown};
pub(crate) use iterate::{item as iterated, size as iterated_size};
pub use limits::{LimitExceeded, LimitKind, MachineLimits};
pub(crate) use need::Fault;
pub(crate) use operate::binary_name;
pub use plain::{PlainOutcome, run_plain};
pub(crate) use property::accessor;
pub(crate) use shims::{is_shim, shim_names};
pub(crate) use world::{Ctx, World};

use std::rc::Rc;

use exec::Vm;
use fiber::{Fiber, Start};

use crate::ast;
use crate::compile::{self, Code};
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::value::{Closure, ClosureCode, Native, Throwable, Value};

/// A script that was loaded into a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScriptId(pub u32);

/// A file of a library.
#[derive(Clone, Copy, Debug)]
pub struct LibraryFile<'a> {
    /// Its text, parsed.
    pub script: &'a ast::Script,
    /// Name of the file without folder and ending.
    pub class: &'a str,
    /// The name under which every script knows it, where it is a variable of the library.
    pub global: Option<&'a str>,
}

/// A thread of execution in a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FiberId(pub u32);

/// Scripts, their variables, and the fibers that run them.
pub struct Machine {
    world: World,
    fibers: std::collections::BTreeMap<u32, Box<Fiber>>,
    next_fiber: u32,
}

impl Machine {
    /// An empty machine.
    pub fn new(limits: MachineLimits) -> Machine {
        Machine { world: World::new(limits), fibers: std::collections::BTreeMap::new(), next_fiber: 0 }
    }

    /// Scripts that are loaded from now on run as Jenkins runs pipelines.
    pub fn as_pipeline(mut self) -> Machine {
        self.world.mode = compile::Mode::Pipeline;
        self
    }

    /// Compiles a script. Its classes and methods are known from then on. `name` is the name of its file: the class of
    /// the script is called after it (`Jenkinsfile`: `WorkflowScript`).
    pub fn load(&mut self, script: &ast::Script, name: &str) -> Result<ScriptId, Vec<Diagnostic>> {
        self.world.meter.make_current();
        let id = ScriptId(self.world.scripts.len() as u32);
        self.load_as(id, script, name)?;
        Ok(id)
    }

    fn load_as(&mut self, id: ScriptId, script: &ast::Script, name: &str) -> Result<(), Vec<Diagnostic>> {
        let class_name = classes::script_class_name(name);
        let (program, scope) = compile::compile_script(script, id, &class_name, &self.world.index, self.world.mode)?;
        self.world.link(program, scope, id)
    }

    /// Compiles a script once more, before anything of it has run: names of classes that libraries have brought mean those now.
    ///
    /// # Errors
    /// As [`Machine::load`].
    pub fn load_again(&mut self, id: ScriptId, script: &ast::Script, name: &str) -> Result<(), Vec<Diagnostic>> {
        self.world.meter.make_current();
        self.load_as(id, script, name)
    }

    /// Compiles the files of a library. Their classes know one another, and each script has variables of its own; what names a global
    /// (a variable of the library) is known to all scripts under that name. For each file in their order: its script, or what is wrong.
    pub fn load_library(&mut self, files: &[LibraryFile<'_>]) -> Vec<Result<ScriptId, Vec<Diagnostic>>> {
        self.world.meter.make_current();
        let mut index = compile::ClassIndex::clone(&self.world.index);
        files.iter().filter(|file| file.global.is_none()).for_each(|file| index.add(file.script, file.class));
        self.world.index = Rc::new(index);
        let (mut programs, mut results) = (Vec::new(), Vec::new());
        for file in files {
            let id = ScriptId((self.world.scripts.len() + programs.len()) as u32);
            let compiled = compile::compile_script(file.script, id, file.class, &self.world.index, self.world.mode);
            results.push(compiled.map(|(program, scope)| {
                self.world.bindings.push(Default::default());
                programs.push((program, scope, id, self.world.bindings.len() - 1));
                id
            }));
        }
        let before = self.world.scripts.len();
        if let Err(found) = self.world.link_all(programs) {
            self.world.scripts.truncate(before);
            return results.into_iter().map(|result| result.and(Err(found.clone()))).collect();
        }
        for (file, result) in files.iter().zip(&results) {
            if let (Some(global), Ok(id)) = (file.global, result) {
                let own = || file.script.classes.iter().any(|class| *class.name == *file.class);
                let is_class = file.script.body.is_empty() && file.script.methods.is_empty() && own();
                let class = is_class.then(|| self.world.class(file.class)).flatten();
                let value = class.map_or_else(|| self.script_object(*id), Value::Class);
                self.world.globals.insert(global.into(), value);
            }
        }
        results
    }

    /// All packages of the libraries, as a value: `.org.acme.Tool` of it is that class.
    pub fn packages(&self) -> Value {
        self.world.package("")
    }

    /// The script object: what `this` is at its top level. Its methods can be called on it.
    pub fn script_object(&self, script: ScriptId) -> Value {
        self.world.scripts.get(script.0 as usize).map(|s| s.object.clone()).unwrap_or_default()
    }

    fn start(&mut self, start: Start) -> FiberId {
        let id = self.next_fiber;
        self.next_fiber += 1;
        self.fibers.insert(id, Box::new(Fiber::new(start)));
        FiberId(id)
    }

    /// A fiber that will run the body of a script.
    pub fn start_script(&mut self, script: ScriptId) -> FiberId {
        self.start(Start::Script(script))
    }

    /// A fiber that will call a closure (or any object with a `call` method).
    pub fn start_call(&mut self, callee: Value, args: Vec<Value>) -> FiberId {
        self.start(Start::Call { callee, args })
    }

    /// A fiber that will call a method of an object, for example of [`Machine::script_object`].
    pub fn start_method(&mut self, receiver: Value, name: &str, args: Vec<Value>) -> FiberId {
        self.start(Start::Method { receiver, name: name.into(), args })
    }

    /// A closure over the script's `this` from any block of its tree.
    pub fn closure_of(&mut self, script: ScriptId, body: &ast::Block) -> Result<Value, Vec<Diagnostic>> {
        self.closure(script, Code::Block(body))
    }

    /// A closure over the script's `this` that answers the value of an expression.
    pub fn closure_of_expr(&mut self, script: ScriptId, expr: &ast::Expr) -> Result<Value, Vec<Diagnostic>> {
        self.closure(script, Code::Expr(expr))
    }

    fn closure(&mut self, script: ScriptId, code: Code<'_>) -> Result<Value, Vec<Diagnostic>> {
        self.world.meter.make_current();
        let Some(loaded) = self.world.scripts.get(script.0 as usize) else {
            return Err(vec![Diagnostic::error(Span::default(), "no such script")]);
        };
        let (this, scope) = (loaded.object.clone(), loaded.scope.clone());
        let function = compile::compile_closure(&scope, code)?;
        let closure = Closure::new(ClosureCode::Function(function), Vec::new(), this.clone(), this);
        Ok(Value::Closure(Rc::new(closure)))
    }

    /// Runs a fiber until something happens.
    pub fn run(&mut self, fiber: FiberId, host: &mut dyn Host) -> Stepped {
        self.world.meter.make_current();
        let Some(mut running) = self.fibers.remove(&fiber.0) else {
            return Stepped::Finished(Value::Null);
        };
        if running.waiting && running.incoming.is_none() {
            // Asked to run while it waits: it still waits.
            self.fibers.insert(fiber.0, running);
            return Stepped::Slice;
        }
        let stepped = Vm { world: &mut self.world, host, f: &mut running }.run();
        if matches!(stepped, Stepped::Call(_) | Stepped::Slice) {
            self.fibers.insert(fiber.0, running);
        }
        stepped
    }

    /// Answers the call that a fiber waits for; `Err` throws that exception there.
    pub fn resume(&mut self, fiber: FiberId, with: Result<Value, Value>) {
        if let Some(f) = self.fibers.get_mut(&fiber.0) {
            f.incoming = Some(with);
        }
    }

    /// Throws an exception at the place where a fiber waits, or where it goes on next.
    pub fn interrupt(&mut self, fiber: FiberId, exception: Value) {
        self.resume(fiber, Err(exception));
    }

    /// Ends a fiber without running its `finally` blocks.
    pub fn discard(&mut self, fiber: FiberId) {
        self.fibers.remove(&fiber.0);
    }

    /// What is left.
    pub fn fuel(&self) -> u64 {
        self.world.fuel
    }

    /// A little fuel for what cleans up after a script that has none left. Given once.
    pub fn grant_reserve(&mut self) {
        let reserve = std::mem::take(&mut self.world.reserve);
        self.world.fuel = self.world.fuel.max(reserve);
    }

    /// A variable of the binding.
    pub fn binding_get(&self, name: &str) -> Option<Value> {
        self.world.bindings[0].get(name).cloned()
    }

    /// Sets a variable of the binding.
    pub fn binding_set(&mut self, name: &str, value: Value) {
        self.world.bindings[0].insert(name.into(), value);
    }

    /// An exception object of a Java class (`java.lang.RuntimeException`, `hudson.AbortException`), as if made at `span`.
    pub fn throwable(&self, class: &str, message: &str, span: Span) -> Value {
        let _ = span;
        self.world.throwable(class, Value::str(message))
    }

    /// The same with what else it knows: `getX()` and `.x` give the value named `x`.
    pub fn throwable_with_facts(&self, class: &str, message: &str, facts: Vec<(&str, Value)>) -> Value {
        let value = self.world.throwable(class, Value::str(message));
        if let Value::Object(o) = &value
            && let Native::Throwable(throwable) = &mut *o.native.borrow_mut()
        {
            throwable.facts = facts.into_iter().map(|(name, value)| (name.into(), value)).collect();
        }
        value
    }

    /// The same with a cause.
    pub fn throwable_with_cause(&self, class: &str, message: &str, cause: Value) -> Value {
        let value = self.world.throwable(class, Value::str(message));
        if let Value::Object(o) = &value {
            *o.native.borrow_mut() =
                Native::Throwable(Throwable { message: Value::str(message), cause, ..Throwable::default() });
        }
        value
    }

    /// Whether an exception is of a Java class (by its full name) or of a class below it.
    pub fn is_a(&self, value: &Value, class: &str) -> bool {
        self.world.class_of(value).is_a(class)
    }

    /// Bytes that values hold now.
    pub fn heap_used(&self) -> usize {
        self.world.meter.used()
    }

    /// Instructions that are left.
    pub fn fuel_left(&self) -> u64 {
        self.world.fuel
    }
}

impl Drop for Machine {
    /// Closures and objects that know each other would keep each other alive: what scripts can still reach is taken
    /// apart.
    fn drop(&mut self) {
        self.fibers.clear();
        self.world.take_apart();
    }
}
