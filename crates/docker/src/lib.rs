//! Sandboxes on a Docker Engine, and on a Swarm: for hosts that are dedicated to builds.
//!
//! ```text
//!   Docker ── create, put init and folders in, attach, start ─────▶ engine ──▶ container: init, process 1
//!   Swarm  ── service of one task, which starts as a stub ────────▶ manager ─▶ some node's engine ──▶ container
//!      └───── find the task, attach there, send init to the stub ──────────────▶ the same node's engine
//!   caller ◀─ UnixStream ── bridge ◀── attached stream, multiplexed ───────────── either engine
//! ```
//!
//! Whoever may use an engine is root of its host, so the driver is trusted with that host, and the host with nothing else: an
//! engine on the control plane's own machine is refused unless the operator says that it is meant.
//!
//! Never: a privileged container, a namespace, folder or device of the host, an engine's socket inside a sandbox, an image by tag, a
//! secret (neither of the engine's nor of a Swarm's), a log of the engine's own.
//!
//! Not here, for an engine has no means: a limit of the writable layer (but see [`DockerConfig::disk_quota`]) and of its files, the
//! name of a met limit of processes, a workspace that two sandboxes share.
//!
//! Start reading at [`Docker`]; `body` is what an engine is asked for, `inside` what is put in, `living` how a sandbox ends, `sweep`
//! what becomes of left-overs.

#[cfg(test)]
mod answers;
mod body;
mod bridge;
mod config;
mod docker;
mod engine;
mod image;
mod inside;
mod living;
mod oom;
mod owner;
mod probe;
mod pulse;
mod refusal;
mod seen;
mod swarm;
mod sweep;
mod usage;

pub use config::{DockerConfig, Endpoint, SwarmConfig};
pub use docker::Docker;
pub use refusal::of_address as refused_by_address;
pub use swarm::Swarm;
