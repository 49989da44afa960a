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
}

impl Interruption {
    /// The result that it stands for.
    pub(crate) fn outcome(&self) -> Outcome {
        Outcome::Aborted
    }

    /// One line for the log.
    pub(crate) fn description(&self) -> String {
        match &self.cause {
            Cause::Timeout(_) => "Timeout has been exceeded".to_owned(),
            Cause::FailFast(branch) => format!("Failed in branch {branch}"),
            Cause::Abort(reason) => reason.clone(),
        }
    }

    /// Is it a person (or a limit) that ends the run, rather than a step that ends its own body? Then `retry` does not
    /// try again.
    pub(crate) fn is_actual(&self) -> bool {
        !matches!(self.cause, Cause::Timeout(_))
    }
}
