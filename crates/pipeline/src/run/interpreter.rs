//! What all parts of a declarative run share.

use std::rc::Rc;

use groovy::ast::{Closure, Constant, Expr, ExprKind};
use groovy::machine::ScriptId;
use groovy::span::Span;
use groovy::value::Value;

use super::Spot;
use super::closures::Closures;
use super::options::RootOptions;
use crate::declarative::model::{Call, Pipeline};
use crate::engine::Core;
use crate::engine::body::Body;
use crate::engine::executor::LocalFuture;
use crate::engine::fault::{Fault, NO_NODE};
use crate::engine::scope::Scope;
use crate::engine::values;

/// What is said of a step that needs a node, where the pipeline has said `agent none`.
const NO_AGENT: &str = "Attempted to execute a step that requires a node context while ‘agent none’ was specified. Be sure to specify your own ‘node { ... }’ blocks when using ‘agent none’.";

/// One declarative pipeline that runs.
pub(crate) struct Interpreter {
    /// The run.
    pub(super) core: Rc<Core>,
    /// What was written.
    pub(super) model: Rc<Pipeline>,
    /// Its options.
    pub(super) options: RootOptions,
    script: ScriptId,
    closures: Rc<Closures>,
    parts: Vec<Value>,
}

impl Interpreter {
    /// Of a pipeline that stands in `script`; `parts` are the closures that the script gave to `pipeline`.
    pub(super) fn new(
        core: Rc<Core>,
        script: ScriptId,
        (model, closures): (Rc<Pipeline>, Rc<Closures>),
        parts: Vec<Value>,
    ) -> Self {
        Interpreter { core, model, options: RootOptions::default(), script, closures, parts }
    }

    /// Where something of the pipeline stands.
    pub(super) fn spot(&self, span: Span) -> Spot {
        Spot { script: self.script, start: span.start }
    }

    /// The value of an expression.
    pub(super) async fn eval(&self, scope: &Scope, expr: &Expr) -> Result<Value, Fault> {
        if let ExprKind::Constant(constant) = &*expr.kind
            && let Some(value) = plain(constant)
        {
            return Ok(value);
        }
        let value = self.call_part(scope, self.closures.value(expr)).await.map_err(|f| f.at(expr.span))?;
        self.put_together(scope, value).await
    }

    /// A text that was put together is one, whatever it is made of.
    async fn put_together(&self, scope: &Scope, value: Value) -> Result<Value, Fault> {
        match value {
            Value::GString(_) => self.core.told(scope, value).await,
            other => Ok(other),
        }
    }

    /// The text of an expression.
    pub(super) async fn text(&self, scope: &Scope, expr: &Expr) -> Result<String, Fault> {
        let value = self.eval(scope, expr).await?;
        Ok(self.core.told(scope, value).await?.to_text())
    }

    /// The truth of an expression; text counts as Java's `Boolean.valueOf` reads it.
    pub(super) async fn flag(&self, scope: &Scope, expr: Option<&Expr>) -> Result<bool, Fault> {
        let Some(expr) = expr else { return Ok(false) };
        let value = self.eval(scope, expr).await?;
        Ok(if value.is_text() { value.to_text().eq_ignore_ascii_case("true") } else { value.truth() })
    }

    /// Runs a body of steps (or an `expression`).
    pub(super) async fn run(&self, scope: &Scope, closure: &Closure) -> Result<Value, Fault> {
        // Source: `catchRequiredContextForNode` of `ModelInterpreter.groovy`.
        let nowhere = scope.node.is_none() && self.model.agent.is_none();
        let words = |fault: Fault| match nowhere && fault.class() == NO_NODE {
            true => fault.place().map_or_else(|| Fault::abort(NO_AGENT), |place| Fault::abort(NO_AGENT).at(place)),
            false => fault,
        };
        self.call_part(scope, self.closures.body(closure)).await.map_err(words)
    }

    /// The arguments of a call: the named ones, and the others.
    pub(super) async fn arguments(
        &self,
        scope: &Scope,
        call: &Call,
    ) -> Result<(Vec<(String, Value)>, Vec<Value>), Fault> {
        let both = self.call_part(scope, self.closures.arguments(call)).await.map_err(|f| f.at(call.span))?;
        let mut both = both.items().unwrap_or_default().into_iter();
        let mut named = both.next().as_ref().and_then(values::entries).unwrap_or_default();
        let mut others = both.next().and_then(|v| v.items()).unwrap_or_default();
        for value in named.iter_mut().map(|(_, value)| value).chain(&mut others) {
            *value = self.put_together(scope, std::mem::take(value)).await?;
        }
        Ok((named, others))
    }

    async fn call_part(&self, scope: &Scope, index: Option<usize>) -> Result<Value, Fault> {
        let part = index.and_then(|i| self.parts.get(i)).cloned();
        let part = part
            .ok_or_else(|| Fault::abort("A part of the pipeline was not compiled; this is a mistake in Cofferdam"))?;
        let core = &self.core;
        core.start_body(&core.deeper(scope)?, Body::Script(part), Vec::new()).wait(&core.executor).await
    }
}

/// A body that runs a part of the interpreter.
pub(super) fn body<C: 'static>(context: &Rc<C>, run: fn(Rc<C>, Scope) -> LocalFuture<Result<Value, Fault>>) -> Body {
    let context = Rc::clone(context);
    Body::native(move |scope| run(Rc::clone(&context), scope))
}

/// Constants need no fiber.
pub(super) fn plain(constant: &Constant) -> Option<Value> {
    Some(match constant {
        Constant::Null => Value::Null,
        Constant::Bool(b) => Value::Bool(*b),
        Constant::Int(n) => Value::Int(*n),
        Constant::Long(n) => Value::Long(*n),
        Constant::Str(text) => values::text(text),
        _ => return None,
    })
}
