//! How a blob is compressed: what its first bytes say, and what its media type promised.

use serde::{Deserialize, Serialize};

/// Compression of a layer blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// A plain tar archive.
    Plain,
    /// Gzip, possibly of several members.
    Gzip,
    /// Zstandard, possibly of several frames, skippable ones among them.
    Zstd,
}

impl Compression {
    /// What the media type of a layer promises; `None` if it is not one of a layer that we know.
    pub fn of_media_type(media_type: &str) -> Option<Compression> {
        let bare = media_type.split(';').next().unwrap_or_default().trim();
        Some(match bare {
            "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar"
            | "application/vnd.docker.image.rootfs.diff.tar" => Compression::Plain,
            "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => Compression::Gzip,
            "application/vnd.oci.image.layer.v1.tar+zstd"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
            | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Compression::Zstd,
            _ => return None,
        })
    }

    /// What the first bytes (four are enough) of a blob are.
    pub fn of_magic(first: &[u8]) -> Compression {
        match first {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::Plain,
        }
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Compression::Plain => "plain tar",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_and_magic() {
        assert_eq!(
            Compression::of_media_type("application/vnd.oci.image.layer.v1.tar+zstd; x=1"),
            Some(Compression::Zstd)
        );
        assert_eq!(Compression::of_media_type("application/json"), None);
        assert_eq!(Compression::of_magic(&[0x1f, 0x8b, 8, 0]), Compression::Gzip);
        assert_eq!(Compression::of_magic(&[0x5a, 0x2a, 0x4d, 0x18]), Compression::Zstd);
        assert_eq!(Compression::of_magic(b"etc/"), Compression::Plain);
        assert_eq!(Compression::of_magic(b""), Compression::Plain);
    }
}
