//! Runs a plain script from text to result, with nothing around it: what `cofferdam groovy FILE` does.

use super::{Host, LimitExceeded, Machine, MachineLimits, Stepped, Thrown};
use crate::diagnostic::{Diagnostic, Severity};
use crate::value::Value;

/// How a plain script ended.
#[derive(Debug)]
pub enum PlainOutcome {
    /// It ran to its end.
    Finished {
        /// Value of the last expression.
        value: Value,
        /// Its text (Groovy's `toString()`).
        text: String,
    },
    /// It was not understood: nothing ran.
    Rejected(Vec<Diagnostic>),
    /// An exception that nothing caught.
    Threw(Thrown),
    /// It used up a limit.
    Limit(LimitExceeded),
}

/// A host that has nothing but a place to print to.
struct Plain<'p> {
    print: &'p mut dyn FnMut(&str),
}

impl Host for Plain<'_> {
    fn print(&mut self, text: &str) {
        (self.print)(text);
    }
}

/// Parses, compiles and runs `source`. `args` is the variable of that name; `print` gets what the script prints.
pub fn run_plain(
    source: &str,
    name: &str,
    args: &[String],
    limits: MachineLimits,
    print: &mut dyn FnMut(&str),
) -> PlainOutcome {
    let parsed = crate::parser::parse(source);
    if parsed.diagnostics.iter().any(|d| d.severity == Severity::Error) {
        return PlainOutcome::Rejected(parsed.diagnostics);
    }
    let mut machine = Machine::new(limits);
    let script = match machine.load(&parsed.script, name) {
        Ok(script) => script,
        Err(diagnostics) => return PlainOutcome::Rejected(diagnostics),
    };
    let args = args.iter().map(|a| Value::str(a.as_str())).collect();
    machine.binding_set("args", Value::array(args, "java.lang.String"));
    let mut host = Plain { print };
    let fiber = machine.start_script(script);
    let value = match drive(&mut machine, fiber, &mut host) {
        Ok(value) => value,
        Err(outcome) => return outcome,
    };
    let fiber = machine.start_method(value.clone(), "toString", Vec::new());
    match drive(&mut machine, fiber, &mut host) {
        Ok(text) => PlainOutcome::Finished { value, text: text.to_text() },
        Err(outcome) => outcome,
    }
}

fn drive(machine: &mut Machine, fiber: super::FiberId, host: &mut Plain<'_>) -> Result<Value, PlainOutcome> {
    loop {
        match machine.run(fiber, host) {
            Stepped::Finished(value) => return Ok(value),
            Stepped::Threw(thrown) => return Err(PlainOutcome::Threw(thrown)),
            Stepped::Limit(limit) => return Err(PlainOutcome::Limit(limit)),
            Stepped::Slice => {}
            // The host claims no method, so there is no call; where there is one all the same it gets null.
            Stepped::Call(_) => machine.resume(fiber, Ok(Value::Null)),
        }
    }
}
