//! Errors of the crates below, as the failures that a pipeline sees.

use image::{ErrorKind, ImageError};
use model::docker_args::ArgsError;
use model::request::{Failure, FailureKind, Reply};
use sandbox::session::SessionError;
use sandbox::{CreateError, DriverError};

use crate::scm::ScmError;

/// Why a request failed, before it becomes a [`Reply`].
#[derive(Debug)]
pub struct Trouble(pub Failure);

impl Trouble {
    /// The author's fault.
    pub fn workload(message: impl Into<String>) -> Self {
        Trouble(Failure { kind: FailureKind::Workload, message: message.into(), hint: None })
    }

    /// Ours.
    pub fn infrastructure(message: impl Into<String>) -> Self {
        Trouble(Failure { kind: FailureKind::Infrastructure, message: message.into(), hint: None })
    }

    /// Forbidden.
    pub fn policy(message: impl Into<String>) -> Self {
        Trouble(Failure { kind: FailureKind::Policy, message: message.into(), hint: None })
    }

    /// Adds what to do about it.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }
}

impl From<Trouble> for Reply {
    fn from(trouble: Trouble) -> Reply {
        Reply::Failed(trouble.0)
    }
}

impl From<ImageError> for Trouble {
    fn from(error: ImageError) -> Trouble {
        let kind = match error.kind() {
            ErrorKind::Input | ErrorKind::NotFound => FailureKind::Workload,
            ErrorKind::Auth => FailureKind::Auth,
            ErrorKind::Unavailable | ErrorKind::Corrupt | ErrorKind::Local => FailureKind::Infrastructure,
        };
        Trouble(Failure { kind, message: explain(&error), hint: error.hint() })
    }
}

impl From<CreateError> for Trouble {
    fn from(error: CreateError) -> Trouble {
        let kind = match &error {
            CreateError::Spec { .. } | CreateError::UnknownUser { .. } => FailureKind::Workload,
            _ => FailureKind::Infrastructure,
        };
        let hint = match error {
            CreateError::Unsupported { .. } => Some("`cofferdam doctor` says what is missing".to_owned()),
            CreateError::Network(_) => Some("`--network none` runs without".to_owned()),
            _ => None,
        };
        Trouble(Failure { kind, message: explain(&error), hint })
    }
}

impl From<DriverError> for Trouble {
    fn from(error: DriverError) -> Trouble {
        Trouble::infrastructure(explain(&error))
    }
}

impl From<SessionError> for Trouble {
    fn from(error: SessionError) -> Trouble {
        match error {
            SessionError::Operation(_) | SessionError::TooLarge(_) => Trouble::workload(error.to_string()),
            _ => Trouble::infrastructure(explain(&error)),
        }
    }
}

impl From<ArgsError> for Trouble {
    fn from(error: ArgsError) -> Trouble {
        match &error {
            ArgsError::NeedsRung { rung, .. } => {
                let hint =
                    format!("take the option out of `args`, or run it where a driver offers rung `{}`", rung.name());
                Trouble::policy(error.to_string()).with_hint(hint)
            }
            ArgsError::Malformed(_) => Trouble::workload(error.to_string()),
        }
    }
}

impl From<ScmError> for Trouble {
    fn from(error: ScmError) -> Trouble {
        Trouble::infrastructure(explain(&error))
    }
}

/// The error and what caused it, each once.
pub fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = next.source();
    }
    text
}
