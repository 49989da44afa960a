//! Image manifests and indexes: OCI and Docker version 2 schema 2. Nothing here does I/O.
//!
//! Both kinds are JSON with a `mediaType` that may be missing; a document that could be read as either kind is refused,
//! so that nobody can sign one thing and have us run another (CVE-2021-41190).

use serde::Deserialize;

use crate::config::MAX_LAYERS;
use crate::unpack::Compression;
use crate::{Digest, ImageError, Platform, Reference};

/// Largest manifest or index in bytes: what registries accept.
pub const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;
/// Largest compressed layer in bytes.
pub const MAX_LAYER_BYTES: u64 = 64 * 1024 * 1024 * 1024;
/// Most entries of an index.
const MAX_INDEX_ENTRIES: usize = 2000;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1";

/// The `Accept` header of a manifest request.
pub const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// A manifest or an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// One image.
    Image(ImageManifest),
    /// Images for several platforms.
    Index(Index),
}

/// One image: its config and its layers, bottom first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageManifest {
    /// The config.
    pub config: Descriptor,
    /// The layers.
    pub layers: Vec<LayerDescriptor>,
}

/// Images for several platforms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// In the index's order.
    pub entries: Vec<IndexEntry>,
}

/// A blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Of its bytes.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
}

/// A layer's blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerDescriptor {
    /// The blob.
    pub blob: Descriptor,
    /// What the media type claims.
    pub compression: Compression,
}

/// One image of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Its manifest.
    pub manifest: Descriptor,
    /// What it is for; absent in the indexes of archives.
    pub platform: Option<Platform>,
    /// `org.opencontainers.image.ref.name` or containerd's full name, in archives.
    pub name: Option<String>,
    /// It is an index itself.
    pub nested: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManifest {
    schema_version: Option<u64>,
    media_type: Option<String>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    manifests: Option<Vec<RawDescriptor>>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
    platform: Option<RawPlatform>,
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct RawPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
}

impl Manifest {
    /// Reads and checks a manifest or an index. `content_type` is the header it came with; `what` names it in errors.
    pub fn parse(bytes: &[u8], content_type: Option<&str>, what: &str) -> Result<Self, ImageError> {
        if bytes.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(ImageError::TooLarge { what: what.to_owned(), limit: MAX_MANIFEST_BYTES, unit: "bytes" });
        }
        let stated = content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
        if let Some(old) = stated.filter(|text| text.starts_with(SCHEMA_1)) {
            return Err(schema_1(what, old));
        }
        let raw: RawManifest = serde_json::from_slice(bytes).map_err(|error| ImageError::malformed(what, error))?;
        if raw.schema_version == Some(1) || raw.fs_layers.is_some() {
            return Err(schema_1(what, raw.media_type.as_deref().unwrap_or(SCHEMA_1)));
        }
        if raw.schema_version != Some(2) {
            return Err(ImageError::malformed(what, "its `schemaVersion` is not 2"));
        }
        let is_index = kind(&raw, stated, what)?;
        match is_index {
            true => index(raw, what).map(Self::Index),
            false => image(raw, what).map(Self::Image),
        }
    }
}

fn schema_1(what: &str, media_type: &str) -> ImageError {
    ImageError::UnsupportedMediaType {
        what: what.to_owned(),
        media_type: media_type.escape_debug().to_string(),
        reason:
            "schema 1 manifests cannot be verified and were retired in 2019; push the image again with a current client"
                .to_owned(),
    }
}

/// Whether it is an index: by its own `mediaType`, which must agree with the header and with its fields.
fn kind(raw: &RawManifest, stated: Option<&str>, what: &str) -> Result<bool, ImageError> {
    let known = |text: &str| match text {
        OCI_MANIFEST | DOCKER_MANIFEST => Some(false),
        OCI_INDEX | DOCKER_LIST => Some(true),
        _ => None,
    };
    let own = match raw.media_type.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => Some(known(text).ok_or_else(|| ImageError::UnsupportedMediaType {
            what: what.to_owned(),
            media_type: text.escape_debug().to_string(),
            reason: "it is neither an OCI nor a Docker image".to_owned(),
        })?),
        None => None,
    };
    let header = stated.and_then(known);
    let fields = match (raw.manifests.is_some(), raw.layers.is_some() || raw.config.is_some()) {
        (true, false) => true,
        (false, true) => false,
        (true, true) => return Err(ImageError::malformed(what, "it is a manifest and an index at once")),
        (false, false) => return Err(ImageError::malformed(what, "it has neither `layers` nor `manifests`")),
    };
    match own.is_none_or(|own| own == fields) && header.is_none_or(|header| header == fields) {
        true => Ok(fields),
        false => Err(ImageError::malformed(what, "its media type and its fields disagree about what it is")),
    }
}

fn image(raw: RawManifest, what: &str) -> Result<ImageManifest, ImageError> {
    let config = raw.config.ok_or_else(|| ImageError::malformed(what, "it has no `config`"))?;
    const CONFIGS: [&str; 4] = [
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
        "application/octet-stream",
        "",
    ];
    if !CONFIGS.contains(&config.media_type.as_str()) {
        return Err(ImageError::UnsupportedMediaType {
            what: what.to_owned(),
            media_type: config.media_type.escape_debug().to_string(),
            reason: "it is an artifact (a chart, a signature, a plugin), not a container image".to_owned(),
        });
    }
    let layers = raw.layers.unwrap_or_default();
    if layers.len() > MAX_LAYERS {
        return Err(ImageError::TooLarge { what: what.to_owned(), limit: MAX_LAYERS as u64, unit: "layers" });
    }
    let layers = layers.iter().map(|layer| self::layer(layer, what)).collect::<Result<_, _>>()?;
    Ok(ImageManifest { config: Descriptor { digest: config.digest, size: config.size }, layers })
}

fn layer(raw: &RawDescriptor, what: &str) -> Result<LayerDescriptor, ImageError> {
    let what = || format!("layer {} of {what}", raw.digest);
    let compression = Compression::of_media_type(&raw.media_type).ok_or_else(|| ImageError::UnsupportedMediaType {
        what: what(),
        media_type: raw.media_type.escape_debug().to_string(),
        reason: match raw.media_type.ends_with("+encrypted") {
            true => "encrypted layers need a key that we have no place for".to_owned(),
            false => "layers are tar archives, plain or packed with gzip or zstd".to_owned(),
        },
    })?;
    if raw.size > MAX_LAYER_BYTES {
        return Err(ImageError::TooLarge { what: what(), limit: MAX_LAYER_BYTES, unit: "bytes" });
    }
    Ok(LayerDescriptor { blob: Descriptor { digest: raw.digest, size: raw.size }, compression })
}

fn index(raw: RawManifest, what: &str) -> Result<Index, ImageError> {
    let entries = raw.manifests.unwrap_or_default();
    if entries.len() > MAX_INDEX_ENTRIES {
        return Err(ImageError::TooLarge { what: what.to_owned(), limit: MAX_INDEX_ENTRIES as u64, unit: "entries" });
    }
    let entries = entries.into_iter().map(|entry| {
        let annotations = entry.annotations.unwrap_or_default();
        IndexEntry {
            manifest: Descriptor { digest: entry.digest, size: entry.size },
            platform: entry.platform.map(|p| Platform { os: p.os, architecture: p.architecture, variant: p.variant }),
            name: ["io.containerd.image.name", "org.opencontainers.image.ref.name"]
                .iter()
                .find_map(|key| annotations.get(*key).cloned()),
            nested: entry.media_type == OCI_INDEX || entry.media_type == DOCKER_LIST,
        }
    });
    Ok(Index { entries: entries.collect() })
}

impl Index {
    /// The entry that serves `wanted` best. An index whose only entry names no platform is taken at its word; the
    /// image's config is not asked then: it is not always labelled right.
    pub fn select(&self, wanted: &Platform, reference: &Reference) -> Result<&IndexEntry, ImageError> {
        let ranked = self.entries.iter().filter_map(|entry| Some((wanted.rank(entry.platform.as_ref()?)?, entry)));
        if let Some((_, entry)) = ranked.min_by_key(|(rank, _)| *rank) {
            return Ok(entry);
        }
        if let [only] = self.entries.as_slice()
            && only.platform.is_none()
        {
            return Ok(only);
        }
        let mut available: Vec<String> = self.entries.iter().filter_map(|e| e.platform.as_ref()).map(shown).collect();
        // Attestations hide in indexes under this name; they are nothing to run.
        available.retain(|platform| platform != "unknown/unknown");
        available.sort();
        available.dedup();
        Err(ImageError::NoMatchingPlatform {
            reference: reference.to_string(),
            wanted: wanted.to_string(),
            available: if available.is_empty() { "none".to_owned() } else { available.join(", ") },
        })
    }
}

fn shown(platform: &Platform) -> String {
    platform.to_string().chars().take(60).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
