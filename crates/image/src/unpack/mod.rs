//! From a layer blob to one read-only EROFS file, or to a plain folder where the kernel of an unprivileged user mounts
//! no EROFS.
//!
//! A layer is hostile input. No entry of it is ever created as a file on the host by a process that could reach
//! anything: two children do the work, each confined to its own standard streams (Landlock, seccomp, limits, no
//! environment, no descriptors).
//!
//! ```text
//!   blob ──> parent ──> A: decompressor ──> parent ──> B: converter ──> output file
//!            sha256(blob)                   sha256(tar)
//! ```
//!
//! The parent never parses anything. It hashes what goes into A and what goes into B, so that neither a hostile gzip
//! stream nor a hostile archive can pass for another layer: a decompressor that was taken over can only choose the
//! bytes that are then hashed, and a converter that was taken over writes only the file that belongs to those bytes.
//!
//! Start with [`Converter`]; the rules for names, links and whiteouts stand in [`layer`], the formats in [`tar`] and [`erofs`].

mod child;
mod compression;
mod converter;
mod decompress;
mod digest;
pub mod erofs;
mod error;
mod fault;
pub mod folder;
pub mod layer;
mod limits;
pub mod probe;
mod process;
mod relay;
mod report;
pub mod tar;

pub use child::{child_main, convert};
pub use compression::Compression;
pub use confine::Walls;
pub use converter::{Converter, Expected};
pub use digest::{NotASha256, Sha256Digest};
pub use error::{Refusal, UnpackError};
pub use fault::Fault;
pub use folder::{IdMap, IdRange};
pub use limits::UnpackLimits;
pub use report::{LayerReport, Neutralised, Unpacked};
