//! Archives that a run makes and takes apart.

use serde::{Deserialize, Serialize};

/// What an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArchiveFormat {
    /// ZIP; files are deflated.
    Zip,
    /// A tar stream. Whether one that is unpacked is compressed with gzip shows at its beginning.
    Tar,
    /// A tar stream that is compressed with gzip.
    TarGz,
}

/// What an archive is taken apart for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unpacking {
    /// Files are made of it.
    Extract {
        /// They are not named.
        is_quiet: bool,
        /// They have the permissions that the archive says.
        keep_permissions: bool,
    },
    /// Their text is wanted; none is made.
    Read,
    /// To see whether it could be.
    Test,
}

/// What came of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacked {
    /// How many files there were.
    pub count: u64,
    /// The first of them, or all where their text was wanted: path in the archive, and text.
    pub files: Vec<(String, String)>,
    /// Why it cannot be taken apart, where that was to be seen.
    pub flaw: Option<String>,
}
