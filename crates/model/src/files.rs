//! Files of a sandbox: which are meant, and what was found.

use serde::{Deserialize, Serialize};

/// Files below a folder, by Ant patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSet {
    /// Absolute folder.
    pub dir: String,
    /// Comma-separated Ant patterns; empty means `**`.
    pub includes: String,
    /// As `includes`; empty means none.
    pub excludes: String,
    /// Ant's default excludes (`.git`, `*~` …).
    pub default_excludes: bool,
    /// Match letter case.
    pub case_sensitive: bool,
}

/// How a digest is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DigestAlgorithm {
    /// MD5, for what still asks for it: no protection from anybody.
    Md5,
    /// SHA-1, likewise.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// A file or folder that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundFile {
    /// Below the folder of the set, without a slash at its end.
    pub path: String,
    /// It is a folder.
    pub is_folder: bool,
    /// Its size.
    pub bytes: u64,
    /// When it was changed, in seconds since 1970.
    pub modified_s: i64,
}
