//! `docker save` archives: a `manifest.json` that lists configs and layers by file name.
//!
//! Such an archive holds no manifest as a registry has it, so one is made from what is there: the same archive always
//! gives the same digest.

use serde::Deserialize;
use serde_json::json;

use super::tree::Tree;
use super::{Found, FoundLayer, config};
use crate::config::MAX_LAYERS;
use crate::manifest::MAX_MANIFEST_BYTES;
use crate::store::layer::hash_all;
use crate::{Digest, ImageError, Reference};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

fn entries(tree: &Tree) -> Result<Vec<Entry>, ImageError> {
    let bytes = tree.read("manifest.json", MAX_MANIFEST_BYTES)?;
    serde_json::from_slice(&bytes).map_err(|error| ImageError::malformed(tree.shown("manifest.json"), error))
}

/// Names by the digest of the config they belong to, for archives that are an OCI layout too.
pub(super) fn names_by_config(tree: &Tree) -> Vec<(Digest, Reference)> {
    let mut names = Vec::new();
    for entry in entries(tree).unwrap_or_default() {
        let stem = entry.config.rsplit('/').next().unwrap_or_default();
        let Ok(digest) = Digest::from_hex(stem.strip_suffix(".json").unwrap_or(stem)) else { continue };
        let tags = entry.repo_tags.unwrap_or_default();
        names.extend(tags.iter().filter_map(|tag| tag.parse().ok()).map(|name| (digest, name)));
    }
    names
}

pub(super) fn read(tree: &Tree) -> Result<Vec<Found>, ImageError> {
    entries(tree)?.into_iter().map(|entry| image(tree, &entry)).collect()
}

fn image(tree: &Tree, entry: &Entry) -> Result<Found, ImageError> {
    if entry.layers.len() > MAX_LAYERS {
        return Err(ImageError::TooLarge {
            what: tree.shown("manifest.json"),
            limit: MAX_LAYERS as u64,
            unit: "layers",
        });
    }
    // The file is named after its digest; not every writer does that, so it is checked only where it looks like one.
    let stem = entry.config.rsplit('/').next().unwrap_or_default();
    let expected = Digest::from_hex(stem.strip_suffix(".json").unwrap_or(stem)).ok();
    let (config_bytes, config) = config(tree, &entry.config, expected)?;
    if entry.layers.is_empty() || entry.layers.len() != config.diff_ids.len() {
        return Err(ImageError::malformed(
            tree.shown("manifest.json"),
            format!("it lists {} layers, but the config names {}", entry.layers.len(), config.diff_ids.len()),
        ));
    }
    let mut layers = Vec::new();
    let mut descriptors = Vec::new();
    for (name, diff_id) in entry.layers.iter().zip(&config.diff_ids) {
        let section = tree.section(name)?;
        let mut start = [0; 4];
        let packed = std::os::unix::fs::FileExt::read_at(&*section.file, &mut start, section.offset).is_ok()
            && crate::unpack::Compression::of_magic(&start) != crate::unpack::Compression::Plain;
        let blob = match packed {
            false => *diff_id,
            true => hash_all(&mut section.clone()).map_err(|error| ImageError::malformed(tree.shown(name), error))?,
        };
        descriptors.push(json!({
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": blob,
            "size": section.len,
        }));
        layers.push(FoundLayer { section, blob: None });
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": Digest::of(&config_bytes),
            "size": config_bytes.len(),
        },
        "layers": descriptors,
    })
    .to_string();
    let tags = entry.repo_tags.iter().flatten();
    let names = tags.map(|tag| tag.parse()).collect::<Result<Vec<Reference>, _>>()?;
    let digest = Digest::of(manifest.as_bytes());
    Ok(Found { names, manifest, digest, config_bytes, config, layers })
}
