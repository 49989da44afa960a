//! Runs fibers of the script: a call that the script does not define itself becomes a step, and the fiber goes on with
//! what the step returned or threw.

use std::rc::Rc;

use groovy::machine::{FiberId, HostCall, ScriptId, Stepped};
use groovy::span::Span;
use groovy::value::{Object, Value};
use model::limits::MAX_BLOCK_DEPTH;

use super::Core;
use super::body::Body;
use super::executor::{Join, LocalFuture};
use super::fault::Fault;
use super::host::FiberHost;
use super::interrupt::Interruption;
use super::scope::Scope;
use super::values;

use crate::run::library;
use crate::{globals, steps};

/// How many calls a fiber makes before other tasks (and an abort) get their turn: steps that need no answer never wait.
const CALLS_PER_TURN: u32 = 64;
/// How many exceptions are remembered as more than their text.
const KNOWN_FAULTS: usize = 64;

/// The whole run: the body of the script.
pub(crate) async fn root(core: Rc<Core>) -> Result<(), Fault> {
    let scope = Scope::default();
    library::load_first(&core, &scope).await?;
    core.mark(&scope, "Start of Pipeline");
    if core.facts.restart_from.is_some() && !core.program.is_declarative {
        return Err(Fault::abort("Only a declarative pipeline can be restarted from a stage"));
    }
    let fiber = core.machine.borrow_mut().start_script(core.script);
    drive(&core, &scope, fiber).await.map(drop)
}

impl Core {
    /// Starts a body in a task of its own.
    pub(crate) fn start_body(
        self: &Rc<Self>,
        scope: &Scope,
        body: Body,
        args: Vec<Value>,
    ) -> Join<Result<Value, Fault>> {
        let (core, scope) = (Rc::clone(self), scope.clone());
        match body {
            Body::Native(run) => self.executor.spawn(async move { run(scope).await }),
            Body::Script(closure) => self.executor.spawn(async move {
                let fiber = core.machine.borrow_mut().start_call(closure, args);
                drive(&core, &scope, fiber).await
            }),
        }
    }

    /// Runs a body to its end.
    pub(crate) async fn call_body(
        self: &Rc<Self>,
        scope: &Scope,
        body: Body,
        args: Vec<Value>,
    ) -> Result<Value, Fault> {
        self.start_body(scope, body, args).wait(&self.executor).await
    }

    /// The value, or its text where only methods of the script know that.
    pub(crate) async fn told(self: &Rc<Self>, scope: &Scope, value: Value) -> Result<Value, Fault> {
        if !value.asks_text() {
            return Ok(value);
        }
        let (core, scope) = (Rc::clone(self), scope.clone());
        let task = self.executor.spawn(async move {
            let fiber = core.machine.borrow_mut().start_method(value, "toString", Vec::new());
            drive(&core, &scope, fiber).await
        });
        task.wait(&self.executor).await
    }

    /// Runs the body of a script that was loaded.
    pub(crate) async fn run_script(self: &Rc<Self>, scope: &Scope, script: ScriptId) -> Result<Value, Fault> {
        let (core, scope) = (Rc::clone(self), scope.clone());
        let task = self.executor.spawn(async move {
            let fiber = core.machine.borrow_mut().start_script(script);
            drive(&core, &scope, fiber).await
        });
        task.wait(&self.executor).await
    }

    /// One level further in.
    pub(crate) fn deeper(&self, scope: &Scope) -> Result<Scope, Fault> {
        if scope.depth >= MAX_BLOCK_DEPTH {
            return Err(Fault::abort(format!("Blocks of steps are nested deeper than {MAX_BLOCK_DEPTH}")));
        }
        Ok(scope.with(|s| s.depth += 1))
    }

    /// The exception object that the script sees.
    pub(crate) fn throwable(&self, fault: &Fault, span: Span) -> Value {
        if let Some(value) = fault.value() {
            return value;
        }
        let value = self.made(fault, span);
        if fault.interruption().is_some() || fault.failure_kind().is_some() || fault.hint().is_some() {
            let mut known = self.run.known_faults.borrow_mut();
            if known.len() >= KNOWN_FAULTS {
                known.remove(0);
            }
            known.push((value.clone(), fault.clone()));
        }
        value
    }

    /// The fault with what was thrown beside it, by other branches.
    pub(crate) fn suppressing(&self, fault: Fault, others: Vec<Fault>) -> Fault {
        let Some(Value::Object(object)) = fault.value() else { return fault.beside(others) };
        self.suppress(&object, &others, Span::default());
        fault
    }

    fn suppress(&self, object: &Rc<Object>, others: &[Fault], span: Span) {
        for other in others.iter().map(|other| other.value().unwrap_or_else(|| self.made(other, span))) {
            if !matches!(&other, Value::Object(other) if Rc::ptr_eq(other, object)) {
                object.suppress(other);
            }
        }
    }

    /// A new object of a fault that the script has not thrown itself.
    fn made(&self, fault: &Fault, span: Span) -> Value {
        let machine = self.machine.borrow();
        let value = match fault.interruption() {
            Some(interruption) => {
                let (class, description) = (interruption.class(), interruption.description());
                let mut facts = vec![("shortDescription", values::text(&description))];
                if let Some(by) = interruption.by() {
                    let about = ["id", "fullName", "displayName"].map(|name| (name, values::text(by)));
                    facts.push(("user", machine.throwable_with_facts("hudson.model.User", by, about.into())));
                }
                let cause = machine.throwable_with_facts(class, &description, facts);
                let result = globals::result::of(interruption.outcome());
                let facts = vec![
                    ("causes", Value::list(vec![cause])),
                    ("result", result),
                    ("actualInterruption", Value::Bool(interruption.is_actual())),
                ];
                machine.throwable_with_facts(&fault.class(), &fault.message(), facts)
            }
            None => machine.throwable(&fault.class(), &fault.message(), span),
        };
        drop(machine);
        if let Value::Object(object) = &value {
            self.suppress(object, fault.suppressed(), span);
        }
        value
    }

    /// The fault of an exception that the script let through.
    fn fault_of(&self, thrown: groovy::machine::Thrown) -> Fault {
        let known = self.run.known_faults.borrow();
        match known.iter().rev().find(|(value, _)| value.same(&thrown.value)) {
            Some((_, fault)) => fault.clone().at((thrown.script, thrown.span)),
            None => Fault::script(thrown),
        }
    }
}

/// Runs one fiber to its end.
async fn drive(core: &Rc<Core>, scope: &Scope, fiber: FiberId) -> Result<Value, Fault> {
    let mut calls = 0;
    loop {
        if calls >= CALLS_PER_TURN || core.says_much() {
            calls = 0;
            core.executor.yield_now().await;
        }
        if let Some(interruption) = core.executor.take_pending() {
            interrupt(core, fiber, interruption)?;
        }
        let stepped = core.machine.borrow_mut().run(fiber, &mut FiberHost { core, scope });
        match stepped {
            Stepped::Finished(value) => return Ok(value),
            Stepped::Threw(thrown) => return Err(core.fault_of(thrown)),
            Stepped::Limit(limit) => return Err(Fault::limit(limit)),
            Stepped::Slice => core.executor.yield_now().await,
            Stepped::Call(call) => {
                calls += 1;
                let (script, span) = (call.script, call.span);
                let answer = dispatch(core, scope, call).await.map_err(|f| f.at((script, span)));
                if let Err(fault) = &answer
                    && fault.is_final()
                {
                    core.machine.borrow_mut().discard(fiber);
                    return Err(fault.clone());
                }
                let answer = answer.map_err(|fault| core.throwable(&fault, span));
                core.machine.borrow_mut().resume(fiber, answer);
            }
        }
    }
}

/// Throws an interruption into a fiber that is between two calls.
fn interrupt(core: &Core, fiber: FiberId, interruption: Rc<Interruption>) -> Result<(), Fault> {
    let fault = Fault::interrupted(interruption);
    if fault.is_final() {
        core.machine.borrow_mut().discard(fiber);
        return Err(fault);
    }
    let value = core.throwable(&fault, Span::default());
    core.machine.borrow_mut().interrupt(fiber, value);
    Ok(())
}

/// What a call of the script does that the script does not define itself.
fn dispatch(core: &Rc<Core>, scope: &Scope, call: HostCall) -> LocalFuture<Result<Value, Fault>> {
    match &call.receiver {
        None => steps::call(core, scope, call),
        Some(host) if host.kind == globals::STEPS => steps::call(core, scope, call),
        Some(_) => globals::call(core, scope, call),
    }
}
