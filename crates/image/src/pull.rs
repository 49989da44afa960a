//! From a name to an image in the store: manifest, config, layers, records, in this order.

use std::collections::HashMap;

use crate::config::MAX_CONFIG_BYTES;
use crate::manifest::{ImageManifest, MAX_MANIFEST_BYTES, Manifest};
use crate::registry::{Endpoint, Fetched};
use crate::store::layer::{From, Wanted};
use crate::store::record::ImageRecord;
use crate::store::{FileLock, Mode};
use crate::{Digest, Image, ImageConfig, ImageError, Platform, Progress, PullEvent, Reference, Store};

/// Indexes inside indexes that are followed.
const MAX_INDEX_DEPTH: usize = 3;

/// An image manifest, and how we came to it.
struct Resolved {
    manifest: ImageManifest,
    bytes: Vec<u8>,
    digest: Digest,
    index: Option<Digest>,
    endpoint: usize,
}

pub(crate) async fn pull(
    store: &Store,
    reference: &Reference,
    platform: &Platform,
    progress: &dyn Progress,
) -> Result<Image, ImageError> {
    let registry = store.registry();
    let endpoints = registry.endpoints(reference);
    let resolved = resolve(store, reference, platform, &endpoints, progress).await?;
    let blob = resolved.manifest.config;
    let at = (endpoints.as_slice(), resolved.endpoint);
    let (config_bytes, _) =
        registry.small_object(reference.repository(), "blobs", blob, MAX_CONFIG_BYTES, at, progress).await?;
    let config = ImageConfig::parse(&config_bytes, &format!("config of {reference}"))?;
    check(reference, platform, &resolved, &config)?;
    progress.event(&PullEvent::Resolved {
        reference: reference.clone(),
        digest: resolved.digest,
        from: endpoints[resolved.endpoint].host.clone(),
        layers: config.diff_ids.len(),
        bytes: resolved.manifest.layers.iter().map(|layer| layer.blob.size).sum(),
    });
    // Held until the record is written, so that nobody removes the image or a layer in between.
    let lock = store.folders().lock("image", &resolved.digest);
    let _image = FileLock::take(&lock, Mode::Shared, || {}).await?;
    // The empty layer stands in many images several times.
    let mut distinct = HashMap::new();
    for (layer, diff_id) in resolved.manifest.layers.iter().zip(&config.diff_ids) {
        distinct.entry(*diff_id).or_insert(Wanted {
            diff_id: *diff_id,
            bytes: layer.blob.size,
            from: From::Registry {
                registry,
                repository: reference.repository(),
                endpoints: &endpoints,
                first: resolved.endpoint,
                blob: layer.blob,
            },
        });
    }
    let _layers = store.hold(distinct.into_values(), progress).await?;
    let record = ImageRecord::new(
        resolved.digest,
        text(resolved.bytes, "manifest")?,
        text(config_bytes, "config")?,
        config.diff_ids.clone(),
    );
    store.record(reference, &record, resolved.index, platform)
}

async fn resolve(
    store: &Store,
    reference: &Reference,
    platform: &Platform,
    endpoints: &[Endpoint],
    progress: &dyn Progress,
) -> Result<Resolved, ImageError> {
    let registry = store.registry();
    let Fetched { mut bytes, mut digest, mut content_type, endpoint } =
        registry.manifest(reference, endpoints, progress).await?;
    let mut index = None;
    for _ in 0..=MAX_INDEX_DEPTH {
        let what = format!("manifest {} of {reference}", digest.short());
        match Manifest::parse(&bytes, content_type.as_deref(), &what)? {
            Manifest::Image(manifest) => return Ok(Resolved { manifest, bytes, digest, index, endpoint }),
            Manifest::Index(list) => {
                index.get_or_insert(digest);
                let entry = list.select(platform, reference)?.manifest;
                let at = (endpoints, endpoint);
                (bytes, content_type) = registry
                    .small_object(reference.repository(), "manifests", entry, MAX_MANIFEST_BYTES, at, progress)
                    .await?;
                digest = entry.digest;
            }
        }
    }
    Err(ImageError::malformed(reference.to_string(), "its indexes are nested too deep"))
}

/// What manifest and config say must fit together.
fn check(
    reference: &Reference,
    platform: &Platform,
    resolved: &Resolved,
    config: &ImageConfig,
) -> Result<(), ImageError> {
    fits(&resolved.manifest, config, &reference.to_string())?;
    // Of an index, the entry has been chosen by platform; images in it are not always labelled right themselves.
    if resolved.index.is_none() && platform.rank(&config.platform).is_none() {
        return Err(ImageError::NoMatchingPlatform {
            reference: reference.to_string(),
            wanted: platform.to_string(),
            available: config.platform.to_string(),
        });
    }
    Ok(())
}

/// As many layers as digests of them, and at least one.
pub(crate) fn fits(manifest: &ImageManifest, config: &ImageConfig, what: &str) -> Result<(), ImageError> {
    let (layers, digests) = (manifest.layers.len(), config.diff_ids.len());
    if layers != digests {
        return Err(ImageError::malformed(what, format!("it has {layers} layers, but its config names {digests}")));
    }
    if layers == 0 {
        return Err(ImageError::malformed(what, "it has no layers, so there is nothing to run"));
    }
    Ok(())
}

pub(crate) fn text(bytes: Vec<u8>, what: &str) -> Result<String, ImageError> {
    String::from_utf8(bytes).map_err(|_| ImageError::malformed(what, "it is not UTF-8"))
}
