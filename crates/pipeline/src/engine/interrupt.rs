//! Why a body was interrupted, and what the script sees of it.

use model::outcome::Outcome;

use super::executor::TaskId;

/// An interruption on its way to whatever waits in a body.
#[derive(Clone, Debug)]
pub(crate) struct Interruption {
    /// Why.
    pub(crate) cause: Cause,
    /// The root of the tasks that it was meant for.
    pub(crate) target: TaskId,
    /// The script cannot catch it: it did not end when it was asked to.
    pub(crate) forced: bool,
    /// It has not yet reached the step that raised it. Until then `retry` does not try again.
    pub(crate) actual: bool,
}

/// Who interrupts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A `timeout` step; the number tells one from another.
    Timeout(u64),
    /// Another branch failed and `failFast` is on; the name of that branch.
    FailFast(String),
    /// Somebody ended the run; in words.
    Abort(String),
    /// Somebody said no to an `input`; who.
    Rejected(String),
    /// A run that was started and waited for did not end well; in words, and how it did.
    Downstream(String, Outcome),
    /// A newer run has got further; its number.
    Superseded(u64),
}

impl Interruption {
    /// The result that it stands for.
    pub(crate) fn outcome(&self) -> Outcome {
        match &self.cause {
            Cause::Downstream(_, outcome) => *outcome,
            Cause::Superseded(_) => Outcome::NotBuilt,
            _ => Outcome::Aborted,
        }
    }

    /// The class that Jenkins has for it.
    pub(crate) fn class(&self) -> &'static str {
        match &self.cause {
            Cause::Timeout(_) => "org.jenkinsci.plugins.workflow.steps.TimeoutStepExecution$ExceededTimeout",
            Cause::FailFast(_) => "org.jenkinsci.plugins.workflow.cps.steps.ParallelStep$FailFastCause",
            Cause::Abort(_) => "jenkins.model.CauseOfInterruption$UserInterruption",
            Cause::Rejected(_) => "org.jenkinsci.plugins.workflow.support.steps.input.Rejection",
            Cause::Downstream(..) => "org.jenkinsci.plugins.workflow.support.steps.build.DownstreamFailureCause",
            Cause::Superseded(_) => "org.jenkinsci.plugins.pipeline.milestone.CancelledCause",
        }
    }

    /// One line for the log.
    pub(crate) fn description(&self) -> String {
        match &self.cause {
            Cause::Timeout(_) => "Timeout has been exceeded".to_owned(),
            Cause::FailFast(branch) => format!("Failed in branch {branch}"),
            Cause::Abort(reason) => reason.clone(),
            Cause::Rejected(by) => format!("Rejected by {by}"),
            Cause::Downstream(text, _) => text.clone(),
            Cause::Superseded(by) => model::run::superseded(*by),
        }
    }

    /// Who it was, where somebody is known.
    pub(crate) fn by(&self) -> Option<&str> {
        match &self.cause {
            Cause::Rejected(by) => Some(by),
            Cause::Abort(reason) => reason.strip_prefix("Aborted by "),
            _ => None,
        }
    }

    /// Does it still end what it was meant for? Then `retry` does not try again. A `timeout` that has ended its own body is an
    /// error like others to what is around it.
    pub(crate) fn is_actual(&self) -> bool {
        self.actual
    }
}
