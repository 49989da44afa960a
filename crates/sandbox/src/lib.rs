//! Sandboxes: places where a hostile workload runs, made in milliseconds, used once, gone without a trace.
//!
//! A [`Driver`] makes and destroys places of one [rung](model::rung::Rung); everything that happens inside one goes over a
//! byte stream to `cofferdam-init`, its process 1, so that all drivers behave alike. The drivers here need no daemon: a small
//! single-threaded process (crate `launcher`, embedded in this one) makes the namespaces, the root file system and the
//! limits, and dies with whoever started it.
//!
//! Never: a shell, a path resolved inside a tree that a workload can write (the launcher does that, beneath the root), a
//! credential, a weaker rung than was asked for, a sandbox used twice.
//!
//! Start reading at [`Driver`], whose documentation is the specification of every driver, then [`SandboxSpec`].

pub mod conformance;
mod console;
mod driver;
mod ended;
mod error;
pub mod fake;
pub mod guest;
pub mod gvisor;
pub mod local;
pub mod microvm;
mod policy;
mod probe;
mod seal;
mod spec;

pub mod net;
pub mod records;
pub mod session;
pub mod warm;

pub use driver::{Driver, Pending, Sandbox, wait_ended};
pub use ended::{EndCause, Ended, LimitKind, LimitMet, Usage};
pub use error::{CreateError, DriverError};
pub use local::{check, init_program, tmpfs_within_limits};
pub use policy::root_capabilities;
pub use probe::{Check, Finding, Probe};
pub use spec::{
    Capabilities, Connected, Connector, EngineSpec, Ids, LayerSource, NetworkSource, OfferedImage, OfferedLayer,
    OfferedName, RootSpec, SandboxSpec, Tmpfs, User, Walls, Workspace,
};
