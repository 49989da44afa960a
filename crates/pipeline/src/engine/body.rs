//! What a block step runs: a closure of the script, or a part of a declarative pipeline. Steps do not care which.

use std::rc::Rc;

use groovy::value::Value;

use super::executor::LocalFuture;
use super::fault::Fault;
use super::scope::Scope;

/// The body of a block step; it may run more than once.
#[derive(Clone)]
pub(crate) enum Body {
    /// `{ … }` of the script.
    Script(Value),
    /// A part of the declarative interpreter.
    Native(Rc<NativeBody>),
}

/// Runs in the scope that the step gives.
pub(crate) type NativeBody = dyn Fn(Scope) -> LocalFuture<Result<Value, Fault>>;

impl Body {
    /// A body from Rust.
    pub(crate) fn native(run: impl Fn(Scope) -> LocalFuture<Result<Value, Fault>> + 'static) -> Self {
        Body::Native(Rc::new(run))
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Body::Script(_) => "Script",
            Body::Native(_) => "Native",
        })
    }
}
