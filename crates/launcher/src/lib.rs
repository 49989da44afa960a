//! The launcher: a small single-threaded process that makes sandboxes with plain system calls, and dies with whoever
//! started it.
//!
//! It is a program of its own because creating processes in new namespaces wants one thread, no allocator locks held, no
//! descriptors to leak and little memory to copy; the `sandbox` crate embeds it and starts it from a sealed memory file,
//! so that no file on the host can be replaced through `/proc/<pid>/exe` (the mechanism of CVE-2019-5736).
//!
//! How a sandbox comes to be:
//!
//! ```text
//!   launcher (own mount namespace: `stage`)            child
//!     begin: clone3 into all namespaces  ------------>  waits for its plan        `embryo`
//!       writes its id maps, puts it into its cgroups
//!     hatch: sends plan, stream, layers  ------------>  builds its root           `child`
//!     <------------------ made (or fault), fds -------  gives up all power, becomes init
//!     waits for its end, counts, clears                                           `living`
//! ```
//!
//! `begin` is done ahead, while there is time; each child is used once.
//!
//! Never: async, threads, a secret, a decision. What to make arrives as a [`protocol::Request`]; policy lists arrive compiled.
//!
//! Start reading at [`protocol`], then `server`.

pub mod accounts;
mod census;
mod cgroup;
pub mod channel;
mod child;
mod embryo;
mod fault;
pub mod guest;
mod hierarchies;
mod ids;
mod layers;
mod living;
pub mod protocol;
mod role;
mod rootless;
mod server;
mod stage;
mod stall;
mod sys;
mod tools;

pub use server::serve;
