//! What is thrown: by a step, by the script, by an interruption, by a limit.

use std::rc::Rc;

use groovy::machine::{LimitExceeded, ScriptId, Thrown};
use groovy::span::Span;
use groovy::value::Value;
use model::outcome::Outcome;
use model::request::{Failure, FailureKind};

use super::interrupt::Interruption;

/// Java's name of the exception that a failing step throws.
pub(crate) const ABORT: &str = "hudson.AbortException";
/// … that an interrupted step throws.
pub(crate) const INTERRUPTED: &str = "org.jenkinsci.plugins.workflow.steps.FlowInterruptedException";
/// … that steps throw whose credentials are not there, or of another kind.
pub(crate) const NO_CREDENTIAL: &str = "org.jenkinsci.plugins.credentialsbinding.impl.CredentialNotFoundException";
/// … that a step throws which needs a node where there is none.
pub(crate) const NO_NODE: &str = "org.jenkinsci.plugins.workflow.steps.MissingContextVariableException";
/// … where the script gives the run more to keep than there is room for.
pub(crate) const LIMIT: &str = "java.lang.Error";
/// … for wrong arguments.
pub(crate) const ILLEGAL_ARGUMENT: &str = "java.lang.IllegalArgumentException";

/// A place in one of the scripts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourcePlace {
    /// `None`: the definition itself.
    pub(crate) script: Option<ScriptId>,
    /// Where in it.
    pub(crate) span: Span,
}

impl From<Span> for SourcePlace {
    fn from(span: Span) -> Self {
        SourcePlace { script: None, span }
    }
}

impl From<(ScriptId, Span)> for SourcePlace {
    fn from((script, span): (ScriptId, Span)) -> Self {
        SourcePlace { script: Some(script), span }
    }
}

/// An exception on its way up.
#[derive(Clone, Debug)]
pub(crate) struct Fault(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: Kind,
    /// The innermost call of the script that it came through.
    place: Option<SourcePlace>,
    /// What to do about it.
    hint: Option<String>,
    /// The class of a failed request, where it is a more precise one than the usual one.
    class: Option<&'static str>,
    /// What was thrown beside it, by other branches of a `parallel`.
    suppressed: Rc<[Fault]>,
    /// Another try would find the same.
    lasts: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    Raised { class: String, message: String },
    Script(Rc<Thrown>),
    Interrupted(Rc<Interruption>),
    Failed(Failure),
    Limit(String),
}

impl Fault {
    fn new(kind: Kind) -> Self {
        Fault(Box::new(Inner { kind, place: None, hint: None, class: None, suppressed: Rc::default(), lasts: false }))
    }

    /// An exception of a Java class.
    pub(crate) fn raised(class: &str, message: impl Into<String>) -> Self {
        Self::new(Kind::Raised { class: class.to_owned(), message: message.into() })
    }

    /// A step failed, and the message says it all.
    pub(crate) fn abort(message: impl Into<String>) -> Self {
        Self::raised(ABORT, message)
    }

    /// Wrong arguments.
    pub(crate) fn illegal(message: impl Into<String>) -> Self {
        Self::raised(ILLEGAL_ARGUMENT, message)
    }

    /// The script threw, and nothing in it caught.
    pub(crate) fn script(thrown: Thrown) -> Self {
        let place = thrown.trace.first().map_or((thrown.script, thrown.span), |line| (line.script, line.span));
        Self::new(Kind::Script(Rc::new(thrown))).at(place)
    }

    /// An interruption arrived.
    pub(crate) fn interrupted(interruption: Rc<Interruption>) -> Self {
        Self::new(Kind::Interrupted(interruption))
    }

    /// A request could not be done.
    pub(crate) fn failed(failure: Failure) -> Self {
        let hint = failure.hint.clone();
        let mut fault = Self::new(Kind::Failed(failure));
        fault.0.hint = hint;
        fault
    }

    /// A limit of the evaluator was met.
    pub(crate) fn limit(limit: LimitExceeded) -> Self {
        Self::new(Kind::Limit(limit.to_string())).at((limit.script, limit.span))
    }

    /// A limit of the run was met.
    pub(crate) fn exhausted(limit: String) -> Self {
        Self::new(Kind::Limit(limit))
    }

    /// The same; a failed request is of this kind of [`ABORT`].
    pub(crate) fn of_class(mut self, class: &'static str) -> Self {
        self.0.class = Some(class);
        self
    }

    /// Is it a step that failed, whose message says it all?
    pub(crate) fn is_abort(&self) -> bool {
        matches!(&*self.class(), ABORT | NO_CREDENTIAL)
    }

    /// Does the log have its message alone, without what was thrown beside it?
    pub(crate) fn is_said_shortly(&self) -> bool {
        self.is_abort() || self.is_limit() || self.interruption().is_some()
    }

    /// The same, with advice.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same; another try would find it again.
    pub(crate) fn lasting(mut self) -> Self {
        self.0.lasts = true;
        self
    }

    /// Would another try find the same?
    pub(crate) fn lasts(&self) -> bool {
        self.0.lasts
    }

    /// The same, with what was thrown beside it.
    pub(crate) fn beside(mut self, others: Vec<Fault>) -> Self {
        self.0.suppressed = others.into();
        self
    }

    /// What was thrown beside it.
    pub(crate) fn suppressed(&self) -> &[Fault] {
        &self.0.suppressed
    }

    /// The same, thrown at this call, unless a call further in is known.
    pub(crate) fn at(mut self, place: impl Into<SourcePlace>) -> Self {
        self.0.place.get_or_insert(place.into());
        self
    }

    /// Where it was thrown in the script.
    pub(crate) fn place(&self) -> Option<SourcePlace> {
        self.0.place
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The result of whatever it ends.
    pub(crate) fn outcome(&self) -> Outcome {
        match &self.0.kind {
            Kind::Interrupted(i) => i.outcome(),
            Kind::Script(thrown) if matches!(&*thrown.class(), INTERRUPTED | "java.lang.InterruptedException") => {
                let result = thrown.fact("result").and_then(|result| Outcome::from_name(&result.to_text()));
                result.unwrap_or(Outcome::Aborted)
            }
            _ => Outcome::Failure,
        }
    }

    /// The interruption that it is.
    pub(crate) fn interruption(&self) -> Option<&Rc<Interruption>> {
        match &self.0.kind {
            Kind::Interrupted(i) => Some(i),
            _ => None,
        }
    }

    /// Is it an interruption, or what a script throws as one?
    pub(crate) fn interrupts(&self) -> bool {
        self.class() == INTERRUPTED
    }

    /// Does it end more than what it came from? Then `retry` does not try again, and not all that catches errors catches it.
    pub(crate) fn is_actual_interruption(&self) -> bool {
        match &self.0.kind {
            Kind::Interrupted(i) => i.is_actual(),
            Kind::Script(thrown) => {
                self.interrupts() && thrown.fact("actualInterruption").is_none_or(|actual| actual.truth())
            }
            _ => false,
        }
    }

    /// Whose fault it is, where a request failed.
    pub(crate) fn failure_kind(&self) -> Option<FailureKind> {
        match &self.0.kind {
            Kind::Failed(failure) => Some(failure.kind),
            _ => None,
        }
    }

    /// May the script not catch it?
    pub(crate) fn is_final(&self) -> bool {
        match &self.0.kind {
            Kind::Limit(_) => true,
            Kind::Interrupted(i) => i.forced,
            _ => false,
        }
    }

    /// Did a limit of the evaluator end it?
    pub(crate) fn is_limit(&self) -> bool {
        matches!(self.0.kind, Kind::Limit(_))
    }

    /// Java's class name.
    pub(crate) fn class(&self) -> String {
        match &self.0.kind {
            Kind::Raised { class, .. } => class.clone(),
            Kind::Script(thrown) => thrown.class(),
            Kind::Interrupted(_) => INTERRUPTED.to_owned(),
            Kind::Failed(_) => self.0.class.unwrap_or(ABORT).to_owned(),
            Kind::Limit(_) => LIMIT.to_owned(),
        }
    }

    /// The message, as `e.getMessage()` gives it (`null` is empty).
    pub(crate) fn message(&self) -> String {
        match &self.0.kind {
            Kind::Raised { message, .. } => message.clone(),
            Kind::Script(thrown) => thrown.message(),
            Kind::Interrupted(i) => i.description(),
            Kind::Failed(failure) => failure.message.clone(),
            Kind::Limit(limit) => limit.clone(),
        }
    }

    /// The exception object that the script itself threw.
    pub(crate) fn thrown(&self) -> Option<&Rc<Thrown>> {
        match &self.0.kind {
            Kind::Script(thrown) => Some(thrown),
            _ => None,
        }
    }

    /// The exception object, where the script made it.
    pub(crate) fn value(&self) -> Option<Value> {
        self.thrown().map(|t| t.value.clone())
    }
}
