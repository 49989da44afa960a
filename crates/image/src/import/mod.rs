//! Images from files: OCI layouts and `docker save` archives. Which of the two it is, the content says.
//!
//! An archive is indexed, never unpacked: names in it are looked up in the index and nowhere else, and layers are read
//! straight out of it by the converter.

mod docker;
mod oci;
mod tree;

use std::collections::HashMap;
use std::path::Path;

use crate::config::MAX_CONFIG_BYTES;
use crate::store::layer::{From, Section, Wanted};
use crate::store::record::ImageRecord;
use crate::store::{FileLock, Mode};
use crate::{Digest, Image, ImageConfig, ImageError, Platform, Progress, PullEvent, Reference, Store};
use tree::Tree;

/// One image found in an archive.
pub(crate) struct Found {
    /// Names the archive gives it.
    names: Vec<Reference>,
    manifest: String,
    digest: Digest,
    config_bytes: Vec<u8>,
    config: ImageConfig,
    /// As many as the config names.
    layers: Vec<FoundLayer>,
}

/// A layer in an archive. Without a digest of its own where the archive names none; the uncompressed one is checked in
/// any case.
pub(crate) struct FoundLayer {
    section: Section,
    blob: Option<Digest>,
}

pub(crate) async fn import(
    store: &Store,
    path: &Path,
    name: Option<&Reference>,
    progress: &dyn Progress,
) -> Result<Vec<Image>, ImageError> {
    let opened = path.to_owned();
    let found = match tokio::task::spawn_blocking(move || read(&opened)).await {
        Ok(found) => found?,
        Err(error) => return Err(ImageError::malformed(path.display().to_string(), error)),
    };
    let mut images = Vec::new();
    match (name, found.as_slice()) {
        (None, _) => {
            for image in &found {
                if image.names.is_empty() {
                    return Err(nameless(path));
                }
                for name in &image.names {
                    images.push(take_in(store, image, name, progress).await?);
                }
            }
        }
        (Some(name), [image]) => images.push(take_in(store, image, name, progress).await?),
        (Some(name), several) => {
            return Err(ImageError::malformed(
                path.display().to_string(),
                format!("it holds {} images, so they cannot all be called {}", several.len(), name.familiar()),
            ));
        }
    }
    Ok(images)
}

fn nameless(path: &Path) -> ImageError {
    ImageError::malformed(path.display().to_string(), "an image in it has no name; say what to call it")
}

fn read(path: &Path) -> Result<Vec<Found>, ImageError> {
    let tree = Tree::open(path)?;
    let found = match (tree.has("oci-layout") && tree.has("index.json"), tree.has("manifest.json")) {
        // Newer `docker save` archives are both; the OCI half keeps the manifest that the registry had.
        (true, _) => oci::read(&tree)?,
        (false, true) => docker::read(&tree)?,
        (false, false) => {
            return Err(ImageError::malformed(
                path.display().to_string(),
                "it is neither an OCI layout (no oci-layout and index.json) nor a `docker save` archive (no manifest.json)",
            ));
        }
    };
    if found.is_empty() {
        return Err(ImageError::malformed(path.display().to_string(), "it holds no image for this machine"));
    }
    Ok(found)
}

async fn take_in(store: &Store, found: &Found, name: &Reference, progress: &dyn Progress) -> Result<Image, ImageError> {
    let host = Platform::host();
    if host.rank(&found.config.platform).is_none() {
        return Err(ImageError::NoMatchingPlatform {
            reference: name.to_string(),
            wanted: host.to_string(),
            available: found.config.platform.to_string(),
        });
    }
    let total = found.layers.iter().map(|layer| layer.section.len).sum();
    progress.event(&PullEvent::Resolved {
        reference: name.clone(),
        digest: found.digest,
        from: "archive".to_owned(),
        layers: found.layers.len(),
        bytes: total,
    });
    let lock = store.folders().lock("image", &found.digest);
    let _image = FileLock::take(&lock, Mode::Shared, || {}).await?;
    let mut distinct = HashMap::new();
    for (layer, diff_id) in found.layers.iter().zip(&found.config.diff_ids) {
        distinct.entry(*diff_id).or_insert(Wanted {
            diff_id: *diff_id,
            bytes: layer.section.len,
            from: From::Archive { section: &layer.section, blob: layer.blob },
        });
    }
    let _layers = store.hold(distinct.into_values(), progress).await?;
    let config = crate::pull::text(found.config_bytes.clone(), "config")?;
    let record = ImageRecord::new(found.digest, found.manifest.clone(), config, found.config.diff_ids.clone());
    store.record(name, &record, None, &found.config.platform)
}

/// Reads and checks a config.
fn config(tree: &Tree, name: &str, expected: Option<Digest>) -> Result<(Vec<u8>, ImageConfig), ImageError> {
    let bytes = tree.read(name, MAX_CONFIG_BYTES)?;
    verify(tree, name, &bytes, expected)?;
    let config = ImageConfig::parse(&bytes, &tree.shown(name))?;
    Ok((bytes, config))
}

fn verify(tree: &Tree, name: &str, bytes: &[u8], expected: Option<Digest>) -> Result<(), ImageError> {
    let got = Digest::of(bytes);
    match expected.filter(|expected| *expected != got) {
        Some(expected) => Err(ImageError::DigestMismatch { what: tree.shown(name), expected, got }),
        None => Ok(()),
    }
}
