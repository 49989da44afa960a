//! Words of OpenTelemetry's conventions for CI/CD, the same in metrics and traces. Source: <https://opentelemetry.io/docs/specs/semconv/cicd/>.

use model::outcome::Outcome;

/// `error.type` of what has failed for a reason that has no word.
pub(crate) const OTHER_ERROR: &str = "_OTHER";

/// `cicd.pipeline.result`, of a run in which that went wrong ([`model::run::RunEnd::error`]).
pub(crate) fn result(outcome: Outcome, error: Option<&str>) -> &'static str {
    match (outcome, error) {
        (_, Some("timeout")) => "timeout",
        (Outcome::Failure, Some("infrastructure")) => "error",
        (Outcome::Success, _) => "success",
        (Outcome::Unstable | Outcome::Failure, _) => "failure",
        (Outcome::NotBuilt, _) => "skip",
        (Outcome::Aborted, _) => "cancellation",
    }
}
