//! Why what a pipeline asks for is not done.

use serde::{Deserialize, Serialize};

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose fault.
    pub kind: FailureKind,
    /// One sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Whose fault a failure is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// The author's (no such file, empty stash): the step fails.
    Workload,
    /// Of whoever started the run: a parameter that the definition does not take.
    Usage,
    /// A policy forbids it.
    Policy,
    /// A credential is missing or wrong.
    Auth,
    /// The system's (driver, registry, disk).
    Infrastructure,
}
