//! Scripts that a script has as texts (`ConfigSlurper`): compiled within the machine, and run in it with its limits and host.

use std::rc::Rc;

use super::world::World;
use super::{Fault, ScriptId};
use crate::ast;
use crate::compile::{self, Code};
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::value::{Charge, Closure, ClosureCode, Value};

/// Bytes that the code of one byte of text is counted as.
const CODE_PER_BYTE: usize = 64;

/// Bytes that a script is counted as, however short it is.
const SCRIPT: usize = 4096;

/// The class of such a script.
const CLASS: &str = "ConfigScript";

impl World {
    /// The statements of a script as a closure, and the script object that has its methods. Its code stays with the machine, and counts
    /// as values do.
    pub(crate) fn closure_of_text(&mut self, text: &str) -> Result<(Value, Value), Fault> {
        self.pay(text.len())?;
        let bytes = text.len().saturating_mul(CODE_PER_BYTE).saturating_add(SCRIPT);
        if bytes > self.limits.heap_bytes.saturating_sub(self.meter.used()) {
            return Err(Fault::Limit(super::LimitKind::Heap));
        }
        let parsed = crate::parser::parse(text);
        if parsed.has_errors() {
            return Err(self.not_compiled(text, &parsed.diagnostics));
        }
        let id = ScriptId(self.scripts.len() as u32);
        let compiled = compile::compile_script(&parsed.script, id, CLASS, &self.index, self.mode);
        let (program, scope) = compiled.map_err(|found| self.not_compiled(text, &found))?;
        let block = ast::Block { stmts: parsed.script.body, span: Span::default() };
        let function = compile::compile_closure(&scope, Code::Block(&block));
        let function = function.map_err(|found| self.not_compiled(text, &found))?;
        self.bindings.push(Default::default());
        let linked = self.link_all(vec![(program, scope, id, self.bindings.len() - 1)]);
        linked.map_err(|found| self.not_compiled(text, &found))?;
        self.texts.push(Charge::new(bytes));
        let script = self.scripts.last().map(|s| s.object.clone()).unwrap_or_default();
        let closure = Closure::new(ClosureCode::Function(function), Vec::new(), script.clone(), script.clone());
        Ok((Value::Closure(Rc::new(closure)), script))
    }

    fn not_compiled(&self, text: &str, found: &[Diagnostic]) -> Fault {
        let first = found.first();
        let at = first.map_or(0, |d| d.span.start as usize);
        let line = text.get(..at.min(text.len())).unwrap_or(text).matches('\n').count() + 1;
        let what = first.map_or("it does not compile", |d| &*d.message);
        let message = format!("startup failed:\n{CLASS}.groovy: {line}: {what}\n\n1 error\n");
        self.fail("org.codehaus.groovy.control.MultipleCompilationErrorsException", message)
    }
}
