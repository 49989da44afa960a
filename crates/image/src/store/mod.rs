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

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::registry::RegistryOptions;
use crate::{Digest, ImageConfig, ImageError, Platform, Progress, Reference};

/// How layers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerForm {
    /// One read-only EROFS file per layer.
    Erofs,
    /// A folder per layer, written inside a user namespace, for users whose kernel mounts no EROFS for them.
    Dir,
}

/// Where a layer lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// An EROFS file system image.
    Erofs(PathBuf),
    /// A folder in overlay form (whiteouts as overlayfs writes them).
    Dir(PathBuf),
}

/// One layer of an image in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Digest of the uncompressed archive it was made of.
    pub diff_id: Digest,
    /// Where it lies.
    pub kind: LayerKind,
    /// What it takes on disk.
    pub bytes: u64,
}

/// An image in the store. As long as a clone of it lives, neither `remove` nor `gc` touches its layers.
#[derive(Clone, Debug)]
pub struct Image {
    /// The name it was asked for by.
    pub reference: Reference,
    /// Digest of its manifest.
    pub digest: Digest,
    /// How to run it.
    pub config: ImageConfig,
    /// Bottom first.
    pub layers: Vec<Layer>,
}

/// One line of `image ls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSummary {
    /// Digest of its manifest.
    pub digest: Digest,
    /// Names that lead to it, in alphabetical order.
    pub references: Vec<Reference>,
    /// What it was built for.
    pub platform: Platform,
    /// Layers together, in bytes on disk, those shared with other images included.
    pub bytes: u64,
    /// Number of layers.
    pub layers: usize,
    /// Seconds since 1970 when it was last asked for.
    pub last_used: u64,
    /// A sandbox uses it now.
    pub in_use: bool,
}

/// What `gc` and `remove` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Images taken away.
    pub removed_images: Vec<Digest>,
    /// Layers taken away.
    pub removed_layers: usize,
    /// Bytes freed.
    pub freed_bytes: u64,
    /// Bytes that layers take now.
    pub kept_bytes: u64,
    /// Images kept only because they are in use.
    pub in_use: usize,
}

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Mirrors, credentials, timeouts.
    pub registry: RegistryOptions,
    /// `None`: EROFS for root where the kernel has it, else folders.
    pub layer_form: Option<LayerForm>,
    /// Layers downloaded and converted at once by one pull.
    pub parallel_layers: usize,
}

/// One pull.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// Ask the registry although the name is in the store.
    pub always_pull: bool,
    /// `None`: this machine's.
    pub platform: Option<Platform>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { registry: RegistryOptions::default(), layer_form: None, parallel_layers: 3 }
    }
}

/// The store. Cloning gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    options: StoreOptions,
}

fn unfinished<T>(store: &Store) -> Result<T, ImageError> {
    Err(ImageError::Store { path: store.inner.root.clone(), reason: "not connected yet".to_owned() })
}

impl Store {
    /// `$COFFERDAM_HOME`, else `/var/lib/cofferdam` for root, else `$XDG_DATA_HOME/cofferdam` or `~/.local/share/cofferdam`.
    pub fn default_root() -> PathBuf {
        let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(home) = var("COFFERDAM_HOME") {
            return home;
        }
        if rustix::process::geteuid().is_root() {
            return PathBuf::from("/var/lib/cofferdam");
        }
        var("XDG_DATA_HOME")
            .or_else(|| var("HOME").map(|home| home.join(".local/share")))
            .unwrap_or_else(|| std::env::temp_dir().join(format!("cofferdam-{}", rustix::process::geteuid().as_raw())))
            .join("cofferdam")
    }

    /// Opens the store, makes its folders where missing, and clears away what killed processes left.
    pub fn open(root: impl Into<PathBuf>, options: StoreOptions) -> Result<Self, ImageError> {
        let root = root.into();
        std::fs::create_dir_all(&root).map_err(|error| ImageError::io("create", &root, error))?;
        Ok(Self { inner: Arc::new(Inner { root, options }) })
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// The image of that name: from the store where it has it (unless `always_pull`), else from its registry.
    pub async fn pull(
        &self,
        reference: &Reference,
        options: &PullOptions,
        progress: &dyn Progress,
    ) -> Result<Image, ImageError> {
        let _ = (reference, options, progress, &self.inner.options);
        unfinished(self)
    }

    /// The image of that name, if it is in the store. Counts as use.
    pub fn resolve(&self, reference: &Reference) -> Result<Option<Image>, ImageError> {
        let _ = reference;
        unfinished(self)
    }

    /// What is in the store, last used first.
    pub fn list(&self) -> Result<Vec<ImageSummary>, ImageError> {
        unfinished(self)
    }

    /// Takes away a name (and the image, where it was the last name) or, given the beginning of a digest, an image with
    /// all its names.
    pub fn remove(&self, name: &str) -> Result<GcReport, ImageError> {
        let _ = name;
        unfinished(self)
    }

    /// Takes away layers that belong to no image, then images that were not used for longest until at most `limit_bytes`
    /// are taken. What is in use stays.
    pub fn gc(&self, limit_bytes: u64) -> Result<GcReport, ImageError> {
        let _ = limit_bytes;
        unfinished(self)
    }

    /// Takes in the images of an OCI layout (folder or tar) or a `docker save` archive. `name` replaces the names in it
    /// and must stand where there are none.
    pub async fn import(
        &self,
        path: &Path,
        name: Option<&Reference>,
        progress: &dyn Progress,
    ) -> Result<Vec<Image>, ImageError> {
        let _ = (path, name, progress);
        unfinished(self)
    }
}
