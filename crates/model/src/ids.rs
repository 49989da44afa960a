//! Typed ids. No bare integer or string that names something crosses a function border.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    )*};
}

ids! {
    /// One execution of a pipeline.
    RunId = "run-";
    /// A stage or parallel branch of a run.
    StageId = "stage-";
    /// A step of a run.
    StepId = "step-";
    /// One `agent {}` or `node {}` block: one lease, one sandbox.
    JobId = "job-";
    /// A request of the evaluated pipeline, answered once.
    RequestId = "request-";
    /// A sandbox made by a driver.
    SandboxId = "sandbox-";
    /// A process started inside a sandbox.
    ExecId = "exec-";
}
