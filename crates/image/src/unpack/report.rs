//! What a conversion found: the part that the children report, and what the parent adds that it saw itself.

use confine::Walls;
use serde::{Deserialize, Serialize};

use super::{Compression, Sha256Digest};

/// Result of a conversion whose digests, where expected ones were given, are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// How the blob was compressed.
    pub compression: Compression,
    /// Digest of the blob as it was read.
    pub blob: Sha256Digest,
    /// Bytes of the blob.
    pub blob_bytes: u64,
    /// Digest of the uncompressed tar stream, computed by the trusted side over exactly what the converter was fed.
    pub diff_id: Sha256Digest,
    /// Bytes of the uncompressed tar stream.
    pub tar_bytes: u64,
    /// What the converter says about the layer. It comes from the confined child: good for people, not for decisions
    /// about anything but this layer.
    pub layer: LayerReport,
}

/// Facts about the layer, from the converter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Entries of the archive.
    pub entries: u64,
    /// Files of all kinds in the result.
    pub inodes: u64,
    /// Bytes of the EROFS file (its apparent size); 0 for a folder.
    pub image_bytes: u64,
    /// The layer hides everything in the root of the layers below. Overlay has no mark for that: the reader of this
    /// report must leave the lower layers out.
    pub root_opaque: bool,
    /// What was left out or changed because it has no business in a layer.
    pub neutralised: Neutralised,
    /// Which walls stood around the converter.
    pub walls: Walls,
}

/// Counts of what was neutralised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neutralised {
    /// Block and character devices, left out.
    pub devices: u64,
    /// Entries below `/dev`, `/proc` or `/sys`, or in their place: left out, or made an empty directory.
    pub reserved: u64,
    /// Absolute names, taken as relative to the root of the layer.
    pub absolute: u64,
    /// Entries whose parent was reached through a symbolic link, resolved within the layer.
    pub through_links: u64,
    /// Extended attributes that mean something to the kernel or to overlay (`security.*`, `trusted.*`,
    /// `system.*`, `user.overlay.*`), left out.
    pub xattrs: u64,
    /// Entries that replaced an earlier one of the same name.
    pub replaced: u64,
    /// Bookkeeping entries of AUFS (`.wh..wh.*`), left out.
    pub aufs: u64,
    /// Bytes after the end of the archive that were not zero: ignored, though part of the digest.
    pub trailing_bytes: u64,
    /// Owners outside the range of ids that a folder may hold, stored as `nobody`.
    pub owners: u64,
}
