//! The machine monitors Firecracker and Cloud Hypervisor, as far as a sandbox needs them: what they are asked, and how.
//!
//! ```text
//!   Machine ──▶ Monitor ──▶ Requests ──▶ Api (HTTP, unix socket) ──▶ monitor, in its jail
//!                                                                      │ vsock
//!   caller ◀──────────────── stream ◀── vsock::connect ◀───────────────┘
//! ```
//!
//! Never: starts a process, makes a file, believes what a monitor says. A monitor runs in a jail without files; whatever it is to
//! open has a path in [`machine::descriptor`]'s form, so that the same number means a fresh file in every machine, those restored
//! from a snapshot too.
//!
//! Start reading at [`Monitor`].

pub mod cloud_hypervisor;
pub mod firecracker;
pub mod http;
pub mod machine;
pub mod monitor;
mod socket;
pub mod vmlinux;
pub mod vsock;

pub use http::Api;
pub use machine::Machine;
pub use monitor::{Monitor, Request, Unfit};
