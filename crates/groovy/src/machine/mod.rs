//! Runs compiled scripts: fibers with explicit stacks, limits for everything, and a host for what is not the language's.
//!
//! ```text
//!            start_script / start_call
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

mod host;
mod limits;

pub use host::{Host, HostCall, Stepped, Thrown};
pub use limits::{LimitExceeded, LimitKind, MachineLimits};

use crate::ast;
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::value::{Meter, Value};

/// A script that was loaded into a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScriptId(pub u32);

/// A thread of execution in a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FiberId(pub u32);

/// Scripts, their variables, and the fibers that run them.
pub struct Machine {
    meter: Meter,
}

impl Machine {
    /// An empty machine.
    pub fn new(limits: MachineLimits) -> Machine {
        let _ = limits;
        let meter = Meter::default();
        meter.make_current();
        Machine { meter }
    }

    /// Compiles a script. Its classes and methods are known from then on. `name` stands in stack traces; a script named
    /// `Jenkinsfile` calls its class `WorkflowScript`.
    pub fn load(&mut self, script: &ast::Script, name: &str) -> Result<ScriptId, Vec<Diagnostic>> {
        let _ = (script, name);
        Ok(ScriptId(0))
    }

    /// The script object: what `this` is at its top level. Its methods can be called on it.
    pub fn script_object(&self, script: ScriptId) -> Value {
        let _ = script;
        Value::Null
    }

    /// A fiber that will run the body of a script.
    pub fn start_script(&mut self, script: ScriptId) -> FiberId {
        let _ = script;
        FiberId(0)
    }

    /// A fiber that will call a closure (or any object with a `call` method).
    pub fn start_call(&mut self, callee: Value, args: Vec<Value>) -> FiberId {
        let _ = (callee, args);
        FiberId(0)
    }

    /// A fiber that will call a method of an object, for example of [`Machine::script_object`].
    pub fn start_method(&mut self, receiver: Value, name: &str, args: Vec<Value>) -> FiberId {
        let _ = (receiver, name, args);
        FiberId(0)
    }

    /// A closure over the script's `this` from any block of its tree.
    pub fn closure_of(&mut self, script: ScriptId, body: &ast::Block) -> Result<Value, Vec<Diagnostic>> {
        let _ = (script, body);
        Ok(Value::Null)
    }

    /// A closure over the script's `this` that answers the value of an expression.
    pub fn closure_of_expr(&mut self, script: ScriptId, expr: &ast::Expr) -> Result<Value, Vec<Diagnostic>> {
        let _ = (script, expr);
        Ok(Value::Null)
    }

    /// Runs a fiber until something happens.
    pub fn run(&mut self, fiber: FiberId, host: &mut dyn Host) -> Stepped {
        let _ = (fiber, host);
        Stepped::Finished(Value::Null)
    }

    /// Answers the call that a fiber waits for; `Err` throws that exception there.
    pub fn resume(&mut self, fiber: FiberId, with: Result<Value, Value>) {
        let _ = (fiber, with);
    }

    /// Throws an exception at the place where a fiber waits, or where it goes on next.
    pub fn interrupt(&mut self, fiber: FiberId, exception: Value) {
        let _ = (fiber, exception);
    }

    /// Ends a fiber without running its `finally` blocks.
    pub fn discard(&mut self, fiber: FiberId) {
        let _ = fiber;
    }

    /// A variable of the binding.
    pub fn binding_get(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }

    /// Sets a variable of the binding.
    pub fn binding_set(&mut self, name: &str, value: Value) {
        let _ = (name, value);
    }

    /// An exception object of a Java class (`java.lang.RuntimeException`, `hudson.AbortException`), as if made at `span`.
    pub fn throwable(&self, class: &str, message: &str, span: Span) -> Value {
        let _ = (class, message, span);
        Value::Null
    }

    /// Bytes that values hold now.
    pub fn heap_used(&self) -> usize {
        self.meter.used()
    }
}
