//! What the store remembers, as small JSON files. A file that cannot be read, or that promises what is not there, counts
//! as absent: the next pull makes it anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::folders::Folders;
use super::{Layer, LayerForm, LayerKind};
use crate::{Digest, ImageConfig, ImageError, Platform, Reference};

const VERSION: u32 = 1;

/// An image that is complete in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    version: u32,
    /// Of `manifest`.
    pub(crate) digest: Digest,
    /// As received.
    pub(crate) manifest: String,
    /// As received.
    pub(crate) config: String,
    /// Uncompressed layers, bottom first, repetitions included.
    pub(crate) layers: Vec<Digest>,
}

/// A name that leads to an image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NameRecord {
    version: u32,
    pub(crate) reference: Reference,
    pub(crate) digest: Digest,
    /// The index that led to the image, where there was one.
    pub(crate) index: Option<Digest>,
    pub(crate) platform: Platform,
}

/// A layer that is complete in the store, if the file or folder beside this record is as it says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LayerRecord {
    version: u32,
    pub(crate) diff_id: Digest,
    folder: bool,
    /// On disk; for a folder, an estimate.
    pub(crate) bytes: u64,
    /// Length of the file; a shorter one is what a power failure left.
    file_length: u64,
    pub(crate) entries: u64,
    /// It hides everything below it.
    pub(crate) root_opaque: bool,
}

impl ImageRecord {
    pub(crate) fn new(digest: Digest, manifest: String, config: String, layers: Vec<Digest>) -> Self {
        Self { version: VERSION, digest, manifest, config, layers }
    }

    fn path(folders: &Folders, digest: &Digest) -> PathBuf {
        folders.images().join(format!("{}.json", digest.hex()))
    }

    pub(crate) fn read(folders: &Folders, digest: &Digest) -> Option<Self> {
        let record: Self = read(&Self::path(folders, digest))?;
        (record.version == VERSION && record.digest == *digest).then_some(record)
    }

    pub(crate) fn write(&self, folders: &Folders) -> Result<(), ImageError> {
        write(folders, &Self::path(folders, &self.digest), self)
    }

    pub(crate) fn remove(folders: &Folders, digest: &Digest) -> Result<(), ImageError> {
        folders.discard(&Self::path(folders, digest))
    }

    /// All image digests that have a record file, readable or not.
    pub(crate) fn all(folders: &Folders) -> Result<Vec<Digest>, ImageError> {
        Ok(names(&folders.images())?
            .iter()
            .filter_map(|name| Digest::from_hex(name.strip_suffix(".json")?).ok())
            .collect())
    }

    pub(crate) fn parsed_config(&self) -> Result<ImageConfig, ImageError> {
        ImageConfig::parse(self.config.as_bytes(), &format!("config of {}", self.digest))
    }

    /// The compressed archives of its layers, bottom first, as the manifest names them.
    pub(crate) fn blobs(&self) -> Vec<Digest> {
        let manifest: serde_json::Value = serde_json::from_str(&self.manifest).unwrap_or_default();
        let layers = manifest["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
        layers.iter().filter_map(|layer| layer["digest"].as_str()?.parse().ok()).collect()
    }

    /// Says that it was used now.
    pub(crate) fn touch(folders: &Folders, digest: &Digest) {
        let now = SystemTime::now();
        let touched = fs::File::options()
            .append(true)
            .open(Self::path(folders, digest))
            .and_then(|file| file.set_times(fs::FileTimes::new().set_modified(now)));
        if let Err(error) = touched {
            tracing::debug!(%digest, %error, "cannot note the use of an image");
        }
    }

    /// When it was used last.
    pub(crate) fn last_used(folders: &Folders, digest: &Digest) -> SystemTime {
        fs::metadata(Self::path(folders, digest)).and_then(|about| about.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

impl NameRecord {
    /// What a name's file and lock are called by.
    pub(crate) fn key(reference: &Reference) -> Digest {
        Digest::of(reference.canonical().as_bytes())
    }

    fn path(folders: &Folders, key: &Digest) -> PathBuf {
        folders.refs().join(format!("{}.json", key.hex()))
    }

    pub(crate) fn read(folders: &Folders, reference: &Reference) -> Option<Self> {
        let record: Self = read(&Self::path(folders, &Self::key(reference)))?;
        (record.version == VERSION && record.reference.canonical() == reference.canonical()).then_some(record)
    }

    /// When the name was last given.
    pub(crate) fn written(folders: &Folders, reference: &Reference) -> Option<SystemTime> {
        fs::metadata(Self::path(folders, &Self::key(reference))).and_then(|about| about.modified()).ok()
    }

    pub(crate) fn write(
        folders: &Folders,
        reference: &Reference,
        digest: Digest,
        index: Option<Digest>,
        platform: &Platform,
    ) -> Result<(), ImageError> {
        let record = Self { version: VERSION, reference: reference.clone(), digest, index, platform: platform.clone() };
        write(folders, &Self::path(folders, &Self::key(reference)), &record)
    }

    pub(crate) fn remove(&self, folders: &Folders) -> Result<(), ImageError> {
        folders.discard(&Self::path(folders, &Self::key(&self.reference)))
    }

    pub(crate) fn all(folders: &Folders) -> Result<Vec<Self>, ImageError> {
        let folder = folders.refs();
        let mut records: Vec<Self> = names(&folder)?.iter().filter_map(|name| read(&folder.join(name))).collect();
        records.retain(|record| record.version == VERSION);
        records.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(records)
    }
}

impl LayerRecord {
    pub(crate) fn new(
        diff_id: Digest,
        form: LayerForm,
        bytes: u64,
        file_length: u64,
        entries: u64,
        root_opaque: bool,
    ) -> Self {
        Self { version: VERSION, diff_id, folder: form == LayerForm::Dir, bytes, file_length, entries, root_opaque }
    }

    fn path(folders: &Folders, diff_id: &Digest) -> PathBuf {
        folders.layers().join(format!("{}.json", diff_id.hex()))
    }

    /// Where a layer of that form lies. Named without a colon, because overlay separates paths by colons.
    pub(crate) fn place(folders: &Folders, diff_id: &Digest, form: LayerForm) -> PathBuf {
        let suffix = match form {
            LayerForm::Erofs => "erofs",
            LayerForm::Dir => "dir",
        };
        folders.layers().join(format!("{}.{suffix}", diff_id.hex()))
    }

    /// The layer, if it is there, whole, and of the form that is wanted.
    pub(crate) fn present(folders: &Folders, diff_id: &Digest, form: LayerForm) -> Option<Self> {
        let record: Self = read(&Self::path(folders, diff_id))?;
        if record.version != VERSION || record.diff_id != *diff_id || record.folder != (form == LayerForm::Dir) {
            return None;
        }
        let about = fs::symlink_metadata(Self::place(folders, diff_id, form)).ok()?;
        let whole = if record.folder { about.is_dir() } else { about.is_file() && about.len() == record.file_length };
        whole.then_some(record)
    }

    pub(crate) fn write(&self, folders: &Folders) -> Result<(), ImageError> {
        write(folders, &Self::path(folders, &self.diff_id), self)
    }

    pub(crate) fn to_layer(&self, folders: &Folders) -> Layer {
        let kind = match self.folder {
            true => LayerKind::Dir(Self::place(folders, &self.diff_id, LayerForm::Dir).join("fs")),
            false => LayerKind::Erofs(Self::place(folders, &self.diff_id, LayerForm::Erofs)),
        };
        Layer { diff_id: self.diff_id, kind, bytes: self.bytes }
    }

    /// All layers that have left any trace, and the bytes that each is known to take.
    pub(crate) fn all(folders: &Folders) -> Result<Vec<(Digest, u64)>, ImageError> {
        let stem = |name: &String| Digest::from_hex(name.split('.').next().unwrap_or_default()).ok();
        let mut all: Vec<Digest> = names(&folders.layers())?.iter().filter_map(stem).collect();
        all.sort();
        all.dedup();
        let bytes = |diff_id: &Digest| {
            let record = read::<Self>(&Self::path(folders, diff_id));
            record.map_or_else(
                || fs::metadata(Self::place(folders, diff_id, LayerForm::Erofs)).map_or(0, |about| about.len()),
                |record| record.bytes,
            )
        };
        Ok(all.into_iter().map(|diff_id| (diff_id, bytes(&diff_id))).collect())
    }

    /// Removes every trace of a layer: its record first, so that nobody trusts the rest.
    pub(crate) fn remove(folders: &Folders, diff_id: &Digest) -> Result<(), ImageError> {
        folders.discard(&Self::path(folders, diff_id))?;
        folders.discard(&Self::place(folders, diff_id, LayerForm::Erofs))?;
        folders.discard(&Self::place(folders, diff_id, LayerForm::Dir))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn write<T: Serialize>(folders: &Folders, path: &Path, record: &T) -> Result<(), ImageError> {
    let bytes = serde_json::to_vec(record).map_err(|error| ImageError::malformed(path.display().to_string(), error))?;
    folders.write(path, &bytes)
}

fn names(folder: &Path) -> Result<Vec<String>, ImageError> {
    let read = |error| ImageError::io("read", folder, error);
    fs::read_dir(folder)
        .map_err(read)?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()).map_err(read))
        .collect()
}
