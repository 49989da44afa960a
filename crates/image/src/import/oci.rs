//! OCI image layouts.

use serde::Deserialize;

use super::tree::Tree;
use super::{Found, FoundLayer, config, docker, verify};
use crate::manifest::{Descriptor, Index, IndexEntry, MAX_MANIFEST_BYTES, Manifest};
use crate::{Digest, ImageError, Platform, Reference};

const MAX_DEPTH: usize = 3;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layout {
    image_layout_version: String,
}

pub(super) fn read(tree: &Tree) -> Result<Vec<Found>, ImageError> {
    let layout: Layout = serde_json::from_slice(&tree.read("oci-layout", 4096)?)
        .map_err(|error| ImageError::malformed(tree.shown("oci-layout"), error))?;
    if !layout.image_layout_version.starts_with("1.") {
        let version: String = layout.image_layout_version.chars().take(20).collect();
        return Err(ImageError::malformed(
            tree.shown("oci-layout"),
            format!("version `{}` is not supported", version.escape_debug()),
        ));
    }
    let bytes = tree.read("index.json", MAX_MANIFEST_BYTES)?;
    let Manifest::Index(index) = Manifest::parse(&bytes, None, &tree.shown("index.json"))? else {
        return Err(ImageError::malformed(tree.shown("index.json"), "it is not an index"));
    };
    let also = docker::names_by_config(tree);
    let mut found: Vec<Found> = Vec::new();
    for entry in runnable(&index) {
        let names = entry.name.as_deref().and_then(name).into_iter().collect();
        let Some(mut image) = image(tree, entry, names, 0)? else { continue };
        if image.names.is_empty() {
            let digest = Digest::of(&image.config_bytes);
            image.names = also.iter().filter(|(config, _)| *config == digest).map(|(_, name)| name.clone()).collect();
        }
        match found.iter_mut().find(|other| other.digest == image.digest) {
            // One image under several names has several entries.
            Some(other) => other.names.append(&mut image.names),
            None => found.push(image),
        }
    }
    Ok(found)
}

/// Entries that may be images for this machine. Where platforms are given, those of others are left out.
fn runnable(index: &Index) -> Vec<&IndexEntry> {
    let host = Platform::host();
    index.entries.iter().filter(|entry| entry.platform.as_ref().is_none_or(|p| host.rank(p).is_some())).collect()
}

/// A complete name. Many writers put only the tag there, which names nothing.
fn name(text: &str) -> Option<Reference> {
    if !text.contains(['/', ':', '@']) {
        return None;
    }
    text.parse().ok()
}

fn image(tree: &Tree, entry: &IndexEntry, names: Vec<Reference>, depth: usize) -> Result<Option<Found>, ImageError> {
    let blob = path(&entry.manifest);
    if !tree.has(&blob) && depth > 0 {
        // `docker save` writes the whole index, but only the images that it has.
        return Ok(None);
    }
    let bytes = tree.read(&blob, MAX_MANIFEST_BYTES)?;
    verify(tree, &blob, &bytes, Some(entry.manifest.digest))?;
    match Manifest::parse(&bytes, None, &tree.shown(&blob))? {
        Manifest::Image(manifest) => {
            let (config_bytes, config) = config(tree, &path(&manifest.config), Some(manifest.config.digest))?;
            crate::pull::fits(&manifest, &config, &tree.shown(&blob))?;
            let layers = manifest.layers.iter().map(|layer| {
                let section = tree.section(&path(&layer.blob))?;
                if section.len != layer.blob.size {
                    let what = tree.shown(&path(&layer.blob));
                    return Err(ImageError::SizeMismatch { what, expected: layer.blob.size, got: section.len });
                }
                Ok(FoundLayer { section, blob: Some(layer.blob.digest) })
            });
            let layers = layers.collect::<Result<_, _>>()?;
            let manifest = crate::pull::text(bytes, "manifest")?;
            Ok(Some(Found { names, manifest, digest: entry.manifest.digest, config_bytes, config, layers }))
        }
        Manifest::Index(_) if depth >= MAX_DEPTH => {
            Err(ImageError::malformed(tree.shown(&blob), "its indexes are nested too deep"))
        }
        Manifest::Index(inner) => {
            let mut entries = runnable(&inner);
            let host = Platform::host();
            entries.sort_by_key(|entry| entry.platform.as_ref().and_then(|p| host.rank(p)).unwrap_or(u8::MAX));
            for inner in entries {
                if let Some(found) = image(tree, inner, names.clone(), depth + 1)? {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        }
    }
}

fn path(blob: &Descriptor) -> String {
    format!("blobs/sha256/{}", blob.digest.hex())
}
