//! How errors read in the log, and how a run ends.

use groovy::value::Value;
use model::event::{Event, LogSource};
use model::limits::MAX_LOG_LINE_BYTES;
use model::outcome::Outcome;

use super::fault::Fault;
use super::interrupt::Cause;
use super::scope::Scope;
use super::waiting::cut;
use super::{Core, RunEnd};

/// Most lines of a stack trace that are shown.
const TRACE_LINES: usize = 20;
/// Most causes of an error that are shown, and most of what was thrown beside one.
const MAX_CAUSES: usize = 20;
/// Longest source line that is shown, in characters.
const LONGEST_SHOWN: usize = 500;

/// `class: message`
fn head(class: &str, message: &str) -> String {
    if message.is_empty() { class.to_owned() } else { format!("{class}: {message}") }
}

/// What stands before it: what it was thrown for, the first cause first, what was thrown beside each, and the word behind which it stands.
///
/// Source: `hudson.Functions.printStackTrace`.
fn before(fault: &Fault) -> String {
    let throwable = |value: &Value| match value {
        Value::Object(object) => object.throwable().map(|thrown| (object.class.name.to_string(), thrown)),
        _ => None,
    };
    let words = |value: &Value| {
        let Some((class, thrown)) = throwable(value) else { return String::new() };
        let message = Some(thrown.message).filter(|message| !message.is_null());
        let mut text = message.map(|message| message.to_text()).unwrap_or_default();
        // There may be many of one message.
        text.truncate(text.floor_char_boundary(MAX_LOG_LINE_BYTES));
        head(&class, &text)
    };
    let cause = |value: &Value| throwable(value).map(|(_, thrown)| thrown.cause).filter(|cause| !cause.is_null());
    let all: Vec<_> = std::iter::successors(fault.value(), cause).take(MAX_CAUSES + 1).collect();
    let (mut text, mut room) = (String::new(), MAX_CAUSES);
    for (at, value) in all.iter().enumerate().rev() {
        let beside = throwable(value).and_then(|(_, thrown)| thrown.suppressed());
        for other in beside.map(|list| list.snapshot()).unwrap_or_default().iter().take(room) {
            text += &format!("Also:   {}\n", words(other));
            room -= 1;
        }
        text += if at + 1 < all.len() { "Caused: " } else { "" };
        text += &if at > 0 { words(value) + "\n" } else { String::new() };
    }
    text
}

impl Core {
    /// Writes a fault that does not (or not yet) end the run.
    pub(crate) fn say_fault(&self, scope: &Scope, fault: &Fault) {
        self.log(scope, LogSource::Step, &self.words(fault));
    }

    /// Writes a fault with its class, whatever it is.
    ///
    /// Source: `Functions.printThrowable`.
    pub(crate) fn say_printed(&self, scope: &Scope, fault: &Fault) {
        let text = match fault.is_abort() {
            true => self.printed(fault),
            false => self.words(fault),
        };
        self.log(scope, LogSource::Step, &text);
    }

    fn printed(&self, fault: &Fault) -> String {
        before(fault) + &head(&fault.class(), &fault.message()) + &self.trace(fault)
    }

    /// What a fault is, for the log: one line for what a step says itself, with its place in the script otherwise.
    fn words(&self, fault: &Fault) -> String {
        let mut text = match fault {
            _ if fault.interruption().is_some() => fault.message(),
            _ if fault.is_abort() => format!("ERROR: {}", fault.message()),
            _ if fault.is_limit() => format!("ERROR: {}{}", fault.message(), self.trace(fault)),
            _ => self.printed(fault),
        };
        if let Some(hint) = fault.hint() {
            text += &format!("\nhint: {hint}");
        }
        text
    }

    /// `\tat WorkflowScript.run(WorkflowScript:3)`, and the source line with a caret.
    fn trace(&self, fault: &Fault) -> String {
        let mut text = String::new();
        let lines = fault.thrown().map(|t| t.trace.as_slice()).unwrap_or_default();
        for line in lines.iter().take(TRACE_LINES) {
            if let Some((name, place)) = self.program.place(Some(line.script), line.span) {
                text += &format!("\n\tat {name}.{}({name}:{})", line.function, place.line);
            }
        }
        let Some(at) = fault.place().filter(|p| p.span.end > p.span.start) else { return text };
        let Some((name, place)) = self.program.place(at.script, at.span) else { return text };
        if lines.is_empty() {
            text += &format!("\n\tat {name}.run({name}:{})", place.line);
        }
        let source = self.program.line(at.script, place.line).replace('\t', " ");
        let margin = place.line.to_string();
        let caret = " ".repeat(place.column.saturating_sub(1) as usize);
        if source.chars().count() < LONGEST_SHOWN {
            text += &format!("\n{margin} | {source}\n{} | {caret}^", " ".repeat(margin.len()));
        }
        text
    }

    /// Ends the run: the last lines of its log, its result.
    pub(crate) fn finish(&self, result: Result<(), Fault>) -> RunEnd {
        let scope = Scope::default();
        self.mark(&scope, "End of Pipeline");
        let set = self.run.result().unwrap_or(Outcome::Success);
        let end = match &result {
            // Something like `catchError` has caught the interruption, and kept what it means.
            Ok(()) => {
                let timed_out = set == Outcome::Aborted && self.run.timed_out.get();
                RunEnd { outcome: set, failure: None, timed_out, aborted: false, message: None }
            }
            Err(fault) => {
                self.say_fault(&scope, fault);
                let cause = fault.interruption().map(|i| &i.cause);
                RunEnd {
                    outcome: set.worst(fault.outcome()),
                    failure: fault.failure_kind(),
                    timed_out: matches!(cause, Some(Cause::Timeout(_))),
                    aborted: matches!(cause, Some(Cause::Abort(_))),
                    message: Some(cut(&fault.message()).into_owned()),
                }
            }
        };
        // Whatever a script made of it: who aborts a run gets an aborted run.
        let end = match self.run.aborted.get() {
            Some(outcome) => {
                RunEnd { outcome: end.outcome.worst(outcome), aborted: true, timed_out: false, failure: None, ..end }
            }
            None => end,
        };
        self.event(Event::RunFinished { outcome: end.outcome });
        end
    }
}
