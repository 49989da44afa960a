//! What one layer may cost. Every number is a refusal with a name, never a slow death.

use serde::{Deserialize, Serialize};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Limits of one conversion. The defaults admit every public image known to us with a wide margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpackLimits {
    /// Bytes of the uncompressed tar stream.
    pub tar_bytes: u64,
    /// Sum of the sizes that files claim, holes included: bounds the size of the result.
    pub content_bytes: u64,
    /// Entries of the archive, extension headers not counted.
    pub entries: u64,
    /// Bytes of names, link targets, attributes and small files kept in memory until the metadata is written.
    pub metadata_bytes: u64,
    /// Length of one path in bytes; longer ones cannot be named in a system call.
    pub path_bytes: u32,
    /// Directories above one entry. Bounds recursion and open descriptors.
    pub depth: u32,
    /// Bytes of names and values of the extended attributes of one entry.
    pub xattr_bytes: u32,
    /// Uncompressed bytes for one compressed byte, once more than `ratio_free_bytes` have come out. Text and zeros
    /// compress well, so small layers are not judged.
    pub ratio: u64,
    /// Uncompressed bytes from which on `ratio` counts.
    pub ratio_free_bytes: u64,
    /// Processor seconds of each confined child.
    pub cpu_seconds: u64,
    /// Address space of the converting child, in bytes.
    pub memory_bytes: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        UnpackLimits {
            tar_bytes: 32 * GIB,
            content_bytes: 32 * GIB,
            entries: 1_000_000,
            metadata_bytes: 512 * MIB,
            path_bytes: 4096,
            depth: 255,
            xattr_bytes: 64 * 1024,
            ratio: 200,
            ratio_free_bytes: GIB,
            cpu_seconds: 900,
            memory_bytes: 2 * GIB,
        }
    }
}
