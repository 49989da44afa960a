//! What a store gives and takes.

use std::path::PathBuf;
use std::sync::Arc;

use super::lock::FileLock;
use crate::registry::RegistryOptions;
use crate::unpack::{Converter, IdMap};
use crate::{Digest, ImageConfig, Platform, Reference};

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
    pub(super) lease: Option<Arc<FileLock>>,
}

impl Image {
    /// An image that no store holds: for those who bring their own layers.
    pub fn of_parts(reference: Reference, digest: Digest, config: ImageConfig, layers: Vec<Layer>) -> Self {
        Self { reference, digest, config, layers, lease: None }
    }

    /// Whether a store keeps it from being removed.
    pub fn is_held(&self) -> bool {
        self.lease.is_some()
    }
}

/// Everything that a container engine has to know of an image to take it for one of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The configuration, as received; its digest is the image's id for Docker.
    pub config: String,
    /// Names that lead to it.
    pub names: Vec<Reference>,
    /// Digests that a name may have instead of a tag: of the manifest, and of the index that led to it.
    pub digests: Vec<Digest>,
    /// All layers, bottom first.
    pub layers: Vec<ContentLayer>,
}

/// A layer of [`Contents`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentLayer {
    /// Where it lies, and its digest.
    pub layer: Layer,
    /// Digest of the compressed archive.
    pub blob: Option<Digest>,
    /// It hides everything below it.
    pub hides_all: bool,
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
    /// Makes layers, in processes of its own.
    pub converter: Converter,
    /// `None`: EROFS for root where the kernel has it, else folders.
    pub layer_form: Option<LayerForm>,
    /// Owners of files in folder layers; `None`: as they are for root, else the user's subordinate ids.
    pub ids: Option<IdMap>,
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

impl StoreOptions {
    /// The defaults, with that converter.
    pub fn new(converter: Converter) -> Self {
        Self { registry: RegistryOptions::default(), converter, layer_form: None, ids: None, parallel_layers: 3 }
    }
}

impl LayerForm {
    /// The form that this user's kernel can mount: EROFS needs root of the initial user namespace.
    pub fn detect() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let initial = read("/proc/self/uid_map").split_whitespace().eq(["0", "0", "4294967295"]);
        if !rustix::process::geteuid().is_root() || !initial {
            return Self::Dir;
        }
        let known = read("/proc/filesystems").lines().any(|line| line.trim() == "erofs");
        // A module that is not loaded yet is loaded by the first mount.
        let loadable = || {
            let release = read("/proc/sys/kernel/osrelease");
            read(&format!("/lib/modules/{}/modules.dep", release.trim())).contains("/erofs.ko")
        };
        if known || loadable() { Self::Erofs } else { Self::Dir }
    }
}
