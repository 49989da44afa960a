//! What a command says when it cannot do its work: kind, message, hint. The kind alone decides the exit code.

use std::fmt;

use model::request::FailureKind;

/// Exit codes, as the help of the command lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything went well.
    Success = 0,
    /// The pipeline failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The run is unstable.
    Unstable = 3,
    /// No permission, or a credential is missing.
    Auth = 4,
    /// The definition is invalid.
    Invalid = 5,
    /// A policy forbids it.
    Policy = 6,
    /// Not the workload's fault.
    Infrastructure = 7,
    /// A time limit ended it.
    Timeout = 124,
    /// Ctrl-C, or a termination signal.
    Interrupted = 130,
}

impl From<FailureKind> for Exit {
    fn from(kind: FailureKind) -> Exit {
        match kind {
            FailureKind::Workload => Exit::Failed,
            FailureKind::Usage => Exit::Usage,
            FailureKind::Policy => Exit::Policy,
            FailureKind::Auth => Exit::Auth,
            FailureKind::Infrastructure => Exit::Infrastructure,
        }
    }
}

/// Why a command ended without doing its work.
#[derive(Debug)]
pub struct CommandFailure {
    /// Decides the exit code.
    pub exit: Exit,
    /// One sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl CommandFailure {
    /// A failure without a hint.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        CommandFailure { exit, message: message.into(), hint: None }
    }

    /// A mistake on the command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds what to do about it.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A file operation that failed: which file, and the system's reason.
    pub fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let exit = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Exit::Auth,
            std::io::ErrorKind::NotFound | std::io::ErrorKind::IsADirectory => Exit::Usage,
            _ => Exit::Infrastructure,
        };
        Self::new(exit, format!("cannot {what} {}: {error}", path.display()))
    }
}

impl From<agent::ScmError> for CommandFailure {
    fn from(error: agent::ScmError) -> Self {
        CommandFailure { exit: Exit::Infrastructure, message: agent::explain(&error), hint: error.hint() }
    }
}

impl From<agent::Trouble> for CommandFailure {
    fn from(agent::Trouble(failure): agent::Trouble) -> Self {
        CommandFailure { exit: Exit::from(failure.kind), message: failure.message, hint: failure.hint }
    }
}

impl fmt::Display for CommandFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}
