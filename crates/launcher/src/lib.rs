//! The launcher: a small single-threaded process that makes sandboxes with plain system calls, and dies with whoever
//! started it.
//!
//! It is a program of its own because creating processes in new namespaces wants one thread, no allocator locks held, no
//! descriptors to leak and little memory to copy; the `sandbox` crate embeds it and starts it from a sealed memory file,
//! so that no file on the host can be replaced through `/proc/<pid>/exe` (the mechanism of CVE-2019-5736).
//!
//! Never: async, threads, a secret, a decision. What to make arrives as a [`protocol::Request`]; policy lists arrive compiled.
//!
//! Start reading at [`protocol`].

pub mod protocol;
