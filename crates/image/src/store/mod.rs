//! The image store: one folder, shared by every process of one user, safe to be killed at any moment.
//!
//! ```text
//! ROOT/layers/<diffid>.erofs | <diffid>.dir   a layer, complete and verified; made in tmp/ and renamed
//! ROOT/layers/<diffid>.json                   its size and form; written before the layer appears
//! ROOT/images/<manifest digest>.json          manifest and config as received, and the layers they name
//! ROOT/refs/<hash of the name>.json           name → manifest digest
//! ROOT/locks/…                                empty files to hold flock(2) on
//! ROOT/tmp/…                                  unfinished work, locked by whoever does it
//! ```
//!
//! Rules: a file appears by `rename` only, complete. An image record appears after all its layers, a name after its
//! image. Who makes a layer or fetches a name holds its lock exclusively; who uses an image or relies on a layer holds it
//! shared. Locks die with their process, so whatever in `tmp/` is not locked is rubbish.

mod folders;
mod gc;
mod ids;
pub(crate) mod layer;
mod lock;
pub(crate) mod record;
mod types;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::try_join_all;
use tokio::sync::{Semaphore, mpsc};

pub(crate) use folders::Folders;
pub(crate) use lock::{FileLock, Mode};
pub use types::{
    ContentLayer, Contents, GcReport, Image, ImageSummary, Layer, LayerForm, LayerKind, PullOptions, StoreOptions,
};

use crate::auth::Credential;
use crate::registry::Registry;
use crate::{Digest, ImageError, Platform, Progress, PullEvent, Reference};
use record::{ImageRecord, LayerRecord, NameRecord};

/// The store. Cloning gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folders: Folders,
    form: LayerForm,
    registry: Registry,
    permits: Semaphore,
}

impl Store {
    /// `$COFFERDAM_HOME`, else `/var/lib/cofferdam` for root, else `$XDG_DATA_HOME/cofferdam` or `~/.local/share/cofferdam`.
    pub fn default_root() -> PathBuf {
        let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(home) = var("COFFERDAM_HOME") {
            return home;
        }
        let uid = rustix::process::geteuid();
        if uid.is_root() {
            return PathBuf::from("/var/lib/cofferdam");
        }
        var("XDG_DATA_HOME")
            .or_else(|| var("HOME").map(|home| home.join(".local/share")))
            .unwrap_or_else(|| std::env::temp_dir().join(format!("cofferdam-{}", uid.as_raw())))
            .join("cofferdam")
    }

    /// Opens the store, makes its folders where missing, and clears away what killed processes left.
    pub fn open(root: impl Into<PathBuf>, options: StoreOptions) -> Result<Self, ImageError> {
        let folders =
            Folders { root: root.into(), converter: options.converter, ids: options.ids.unwrap_or_else(ids::detect) };
        folders.prepare()?;
        folders.sweep()?;
        let inner = Inner {
            folders,
            form: options.layer_form.unwrap_or_else(LayerForm::detect),
            registry: Registry::new(options.registry),
            permits: Semaphore::new(options.parallel_layers.max(1)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.inner.folders.root
    }

    /// From now on this value of a store logs in at that registry (`docker.io`, `registry.example:5000`) with these, whatever Docker's
    /// configuration says. They stay in memory.
    pub fn log_in(&self, registry: &str, user: String, password: String) {
        self.inner.registry.log_in(registry, Credential::Password { user, password });
    }

    /// How it stores layers.
    pub fn layer_form(&self) -> LayerForm {
        self.inner.form
    }

    pub(crate) fn folders(&self) -> &Folders {
        &self.inner.folders
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// Makes sure that all layers are in the store and held. After a failure nothing of it is going on any more.
    pub(crate) async fn hold(
        &self,
        layers: impl Iterator<Item = layer::Wanted<'_>>,
        progress: &dyn Progress,
    ) -> Result<Vec<layer::Held>, ImageError> {
        let (running, ended) = mpsc::channel(1);
        let workshop = layer::Workshop {
            folders: self.folders(),
            form: self.inner.form,
            permits: &self.inner.permits,
            progress,
            running,
        };
        let held = try_join_all(layers.map(|wanted| workshop.hold(wanted))).await;
        workshop.close(ended).await;
        held
    }

    /// The image of that name: from the store where it has it (unless `always_pull`), else from its registry.
    ///
    /// Of several pulls of one name at once, by whatever processes, one does the work and the others wait for it. May be
    /// dropped at any moment.
    pub async fn pull(
        &self,
        reference: &Reference,
        options: &PullOptions,
        progress: &dyn Progress,
    ) -> Result<Image, ImageError> {
        let platform = options.platform.clone().unwrap_or_else(Platform::host);
        if !options.always_pull
            && let Some(image) = self.local(reference, Some(&platform), progress)?
        {
            return Ok(image);
        }
        let begun = SystemTime::now();
        let path = self.folders().lock("name", &NameRecord::key(reference));
        let lock = FileLock::take(&path, Mode::Exclusive, || {
            progress.event(&PullEvent::Waiting { what: format!("image {}", reference.familiar()) });
        })
        .await?;
        // Whoever was waited for may have done the work; for those who insist on the registry's word, only if it asked
        // after we did.
        let fresh = !options.always_pull || NameRecord::written(self.folders(), reference) >= Some(begun);
        let local = if fresh { self.local(reference, Some(&platform), progress)? } else { None };
        let image = match local {
            Some(image) => Ok(image),
            None => crate::pull::pull(self, reference, &platform, progress).await,
        };
        // Under the lock: those who wait for it see that the file is gone and make a new one.
        if let Err(error) = self.folders().discard(&path) {
            tracing::debug!(%error, "cannot remove a lock file");
        }
        drop(lock);
        image
    }

    fn local(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        progress: &dyn Progress,
    ) -> Result<Option<Image>, ImageError> {
        let image = match self.name(reference)? {
            Some(name) if platform.is_none_or(|wanted| wanted.rank(&name.platform).is_some()) => {
                self.image(reference, &name.digest)?
            }
            _ => None,
        };
        if let Some(image) = &image {
            progress.event(&PullEvent::Present { reference: reference.clone(), digest: image.digest });
        }
        Ok(image)
    }

    /// What a name leads to: itself, or for a digest any name of the same repository that leads to that digest. Not a
    /// name of another repository: knowing a digest is no permission to read what another registry guards.
    fn name(&self, reference: &Reference) -> Result<Option<NameRecord>, ImageError> {
        if let Some(record) = NameRecord::read(self.folders(), reference) {
            return Ok(Some(record));
        }
        let Some(digest) = reference.digest() else { return Ok(None) };
        let same = |record: &NameRecord| {
            record.reference.registry() == reference.registry()
                && record.reference.repository() == reference.repository()
                && (record.digest == digest || record.index == Some(digest))
        };
        Ok(NameRecord::all(self.folders())?.into_iter().find(same))
    }

    /// The image of that digest under a name, if it is there completely; held against removal.
    pub(crate) fn image(&self, reference: &Reference, digest: &Digest) -> Result<Option<Image>, ImageError> {
        let folders = self.folders();
        // Who has it exclusively is removing it.
        let Some(lock) = FileLock::try_take(&folders.lock("image", digest), Mode::Shared)? else { return Ok(None) };
        let Some(record) = ImageRecord::read(folders, digest) else { return Ok(None) };
        let present = |diff_id| LayerRecord::present(folders, diff_id, self.inner.form);
        let Some(layers) = record.layers.iter().map(present).collect::<Option<Vec<_>>>() else { return Ok(None) };
        let config = record.parsed_config()?;
        ImageRecord::touch(folders, digest);
        // A layer that hides everything below makes the lower ones invisible; overlay has no mark for that on a root.
        let first = layers.iter().rposition(|layer| layer.root_opaque).unwrap_or(0);
        let layers = layers[first..].iter().map(|layer| layer.to_layer(folders)).collect();
        Ok(Some(Image { reference: reference.clone(), digest: *digest, config, layers, lease: Some(Arc::new(lock)) }))
    }

    /// The image of that name, if it is in the store. Counts as use.
    pub fn resolve(&self, reference: &Reference) -> Result<Option<Image>, ImageError> {
        self.local(reference, None, &())
    }

    /// What a container engine has to know of an image of this store.
    ///
    /// # Errors
    /// Its record or one of its layers is gone.
    pub fn contents(&self, image: &Image) -> Result<Contents, ImageError> {
        let folders = self.folders();
        let gone = || ImageError::Store { path: self.root().to_owned(), reason: format!("{} is gone", image.digest) };
        let record = ImageRecord::read(folders, &image.digest).ok_or_else(gone)?;
        let blobs = record.blobs();
        let present = |diff_id| LayerRecord::present(folders, diff_id, self.inner.form);
        let layers = record.layers.iter().map(present).collect::<Option<Vec<_>>>().ok_or_else(gone)?;
        let layers = layers.iter().enumerate().map(|(index, layer)| ContentLayer {
            layer: layer.to_layer(folders),
            blob: blobs.get(index).copied().filter(|_| blobs.len() == layers.len()),
            hides_all: layer.root_opaque,
        });
        let names: Vec<_> = NameRecord::all(folders)?.into_iter().filter(|name| name.digest == image.digest).collect();
        let mut digests: Vec<_> = names.iter().filter_map(|name| name.index).chain([image.digest]).collect();
        digests.sort();
        digests.dedup();
        let names = names.into_iter().map(|name| name.reference).collect();
        Ok(Contents { layers: layers.collect(), config: record.config, names, digests })
    }

    /// What is in the store, last used first.
    pub fn list(&self) -> Result<Vec<ImageSummary>, ImageError> {
        let folders = self.folders();
        let names = NameRecord::all(folders)?;
        let mut list = Vec::new();
        for digest in ImageRecord::all(folders)? {
            let Some(record) = ImageRecord::read(folders, &digest) else { continue };
            let present = |diff_id| LayerRecord::present(folders, diff_id, self.inner.form);
            let Some(layers) = record.layers.iter().map(present).collect::<Option<Vec<_>>>() else { continue };
            let last_used = ImageRecord::last_used(folders, &digest).duration_since(UNIX_EPOCH).unwrap_or_default();
            let lock = folders.lock("image", &digest);
            let mut distinct: Vec<(Digest, u64)> = layers.iter().map(|layer| (layer.diff_id, layer.bytes)).collect();
            distinct.sort();
            distinct.dedup();
            list.push(ImageSummary {
                digest,
                references: names.iter().filter(|n| n.digest == digest).map(|n| n.reference.clone()).collect(),
                platform: record.parsed_config()?.platform,
                bytes: distinct.iter().map(|(_, bytes)| bytes).sum(),
                layers: layers.len(),
                last_used: last_used.as_secs(),
                in_use: lock.exists() && FileLock::try_take(&lock, Mode::Exclusive)?.is_none(),
            });
        }
        list.sort_by(|a, b| b.last_used.cmp(&a.last_used).then_with(|| a.references.cmp(&b.references)));
        Ok(list)
    }

    /// Takes away a name (and the image, where it was the last name) or, given the beginning of a digest, an image with
    /// all its names.
    pub fn remove(&self, name: &str) -> Result<GcReport, ImageError> {
        gc::remove(self, name)
    }

    /// Takes away layers that belong to no image, then images that were not used for longest until at most `limit_bytes`
    /// are taken. What is in use stays.
    pub fn gc(&self, limit_bytes: u64) -> Result<GcReport, ImageError> {
        gc::gc(self, limit_bytes)
    }

    /// Bytes that all layers take on disk.
    pub fn used_bytes(&self) -> Result<u64, ImageError> {
        gc::total(self.folders())
    }

    /// Takes in the images of an OCI layout (folder or tar) or a `docker save` archive. `name` replaces the names in it
    /// and must stand where there are none.
    pub async fn import(
        &self,
        path: &Path,
        name: Option<&Reference>,
        progress: &dyn Progress,
    ) -> Result<Vec<Image>, ImageError> {
        crate::import::import(self, path, name, progress).await
    }

    /// Writes down an image whose layers are all held, and its name.
    pub(crate) fn record(
        &self,
        reference: &Reference,
        record: &ImageRecord,
        index: Option<Digest>,
        platform: &Platform,
    ) -> Result<Image, ImageError> {
        let folders = self.folders();
        record.write(folders)?;
        NameRecord::write(folders, reference, record.digest, index, platform)?;
        self.image(reference, &record.digest)?.ok_or_else(|| ImageError::Store {
            path: folders.root.clone(),
            reason: format!("image {} was removed while it was being stored", record.digest),
        })
    }
}
