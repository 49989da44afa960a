//! Why a layer was not converted.

use std::io;

use serde::{Deserialize, Serialize};

use super::{Compression, Sha256Digest};

/// Why a conversion failed. Nothing of the output may be used then.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Reading the blob failed: the network, the disk, or the caller who cancelled.
    #[error("cannot read the layer blob")]
    Source(#[source] io::Error),
    /// The blob has no bytes.
    #[error("the layer blob is empty")]
    Empty,
    /// The first bytes are not what the media type promised.
    #[error("the media type says {promised}, the blob is {found}")]
    CompressionMismatch {
        /// What the media type says.
        promised: Compression,
        /// What the first bytes say.
        found: Compression,
    },
    /// The blob has more or fewer bytes than its descriptor says.
    #[error("the blob has {found} bytes, its descriptor says {expected}")]
    BlobSize {
        /// Size in the descriptor.
        expected: u64,
        /// Bytes read.
        found: u64,
    },
    /// The blob is not the one that was asked for.
    #[error("the blob has digest {found}, expected {expected}")]
    BlobDigest {
        /// Digest in the descriptor.
        expected: Sha256Digest,
        /// Digest of what was read.
        found: Sha256Digest,
    },
    /// The uncompressed layer is not the one that the image configuration names.
    #[error("the uncompressed layer has digest {found}, the image configuration says {expected}")]
    DiffId {
        /// Digest in the image configuration.
        expected: Sha256Digest,
        /// Digest of the tar stream.
        found: Sha256Digest,
    },
    /// The layer is larger than allowed.
    #[error("the uncompressed layer exceeds the limit of {limit} bytes")]
    TarTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The layer unpacks to suspiciously much.
    #[error("the layer unpacks to more than {limit} times its size: taken for a decompression bomb")]
    Ratio {
        /// The limit, as a factor.
        limit: u64,
    },
    /// The archive was refused for what is in it.
    #[error("the layer was refused: {0}")]
    Refused(#[from] Refusal),
    /// Writing the result failed: disk full, no permission.
    #[error("cannot write the unpacked layer: {0}")]
    Output(String),
    /// The child exceeded its memory limit.
    #[error("the {child} exceeded its memory limit of {limit} bytes")]
    ChildMemory {
        /// Which child.
        child: &'static str,
        /// The limit in bytes.
        limit: u64,
    },
    /// The child exceeded its processor time.
    #[error("the {child} exceeded its limit of {limit} s of processor time")]
    ChildTime {
        /// Which child.
        child: &'static str,
        /// The limit in seconds.
        limit: u64,
    },
    /// The child made a system call outside its list: a sign that the archive took it over.
    #[error("the {child} was stopped by its system call filter: the layer may have taken it over")]
    ChildForbidden {
        /// Which child.
        child: &'static str,
    },
    /// The child was killed from outside.
    #[error("the {child} was killed by signal {signal}")]
    ChildKilled {
        /// Which child.
        child: &'static str,
        /// Number of the signal.
        signal: i32,
    },
    /// The child failed in a way that it should not.
    #[error("the {child} failed (status {status}): {message}")]
    ChildFailed {
        /// Which child.
        child: &'static str,
        /// Exit status.
        status: i32,
        /// What it said.
        message: String,
    },
    /// The child could not raise its walls; it did not read a byte.
    #[error("cannot confine the {child}: {message}")]
    Confine {
        /// Which child.
        child: &'static str,
        /// What failed.
        message: String,
    },
    /// A child could not be started.
    #[error("cannot start the {child}")]
    Spawn {
        /// Which child.
        child: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The mapping of subordinate ids for a folder failed.
    #[error("cannot map the subordinate ids: {0}")]
    IdMap(String),
}

/// Why an archive was refused. Names are shown escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// A name with a `..` component.
    #[error("the name `{0}` climbs out of its directory with `..`")]
    ParentInName(String),
    /// A name or link target that holds a NUL byte.
    #[error("the name `{0}` holds a NUL byte")]
    NulInName(String),
    /// A name without a last component where one is needed.
    #[error("an entry has no name")]
    NoName,
    /// A name or path that no system call can express.
    #[error("the name `{0}` is too long")]
    NameTooLong(String),
    /// More directories above an entry than allowed.
    #[error("`{0}` is nested too deep")]
    TooDeep(String),
    /// A component of the path is there and is not a directory.
    #[error("`{0}` lies below something that is not a directory")]
    NotADirectory(String),
    /// Symbolic links that lead in circles, or through too many steps.
    #[error("`{0}` leads through too many symbolic links")]
    LinkLoop(String),
    /// The root of the layer as something else than a directory.
    #[error("the root of the layer is not a directory")]
    RootNotADirectory,
    /// A hard link to something that this layer does not hold.
    #[error("`{name}` is a hard link to `{target}`, which is not a file of this layer")]
    HardLinkOutside {
        /// Name of the link.
        name: String,
        /// What it points at.
        target: String,
    },
    /// A whiteout that hides nothing that has a name.
    #[error("`{0}` is no valid whiteout")]
    BadWhiteout(String),
    /// A symbolic link without a target, or with one that is too long.
    #[error("the symbolic link `{0}` has an empty or too long target")]
    BadLinkTarget(String),
    /// An entry of a kind that no layer has.
    #[error("`{name}` is of the unknown kind {kind}")]
    UnknownKind {
        /// Name of the entry.
        name: String,
        /// Its type flag.
        kind: u8,
    },
    /// A header whose checksum is wrong: not a tar archive, or a damaged one.
    #[error("a header at byte {0} of the archive has a wrong checksum")]
    Checksum(u64),
    /// A header that breaks the format.
    #[error("a header at byte {at} of the archive is malformed: {what}")]
    Malformed {
        /// Offset in the archive.
        at: u64,
        /// Which rule it breaks.
        what: String,
    },
    /// The archive ends within an entry.
    #[error("the archive is cut off")]
    Truncated,
    /// The compressed stream is damaged, cut off, or followed by garbage.
    #[error("the compressed stream is damaged: {0}")]
    Compressed(String),
    /// A sparse file whose map contradicts itself, its size or its data.
    #[error("the sparse file `{0}` lies about its map")]
    SparseLie(String),
    /// Extended attributes larger than allowed.
    #[error("the extended attributes of `{0}` are too large")]
    XattrTooLarge(String),
    /// More entries than allowed.
    #[error("more than {0} entries")]
    TooManyEntries(u64),
    /// Files that claim more than allowed.
    #[error("the files claim more than {0} bytes")]
    ContentTooLarge(u64),
    /// More names, links and attributes than allowed.
    #[error("the metadata exceeds {0} bytes")]
    MetadataTooLarge(u64),
}
