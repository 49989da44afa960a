//! Blobs: bytes under a name, in a folder or at a service (S3, Google Cloud Storage, Azure), by URL.
//!
//! A blob is there whole or not at all: one that is too large, or whose content breaks off, leaves nothing. What fails in passing is tried
//! again, a bounded number of times. However large a blob is, a few MiB of it are in memory.
//!
//! Never: a name that a stranger has made ([`Key`]), a decision about what is kept and how long.
//!
//! Start reading at [`Blobs`].

mod client;
mod error;
mod get;
mod key;
mod memory;
mod open;
mod put;

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};

pub use error::BlobError;
pub use get::Content;
pub use key::Key;
pub use open::Patience;
pub use put::Kept;

/// Where it is tried whether blobs can be kept. No key: nobody's blob is there.
const CHECK: &str = "Check";

/// A blob that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub key: Key,
    /// Its size.
    pub bytes: u64,
}

/// A place for blobs.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Where that is on this machine, if it is.
    folder: Option<PathBuf>,
}

impl std::fmt::Debug for Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blobs({}, {})", self.store, self.prefix)
    }
}

impl Blobs {
    fn of(store: Arc<dyn ObjectStore>, prefix: Path) -> Blobs {
        Blobs { store, prefix, folder: None }
    }

    fn at(&self, name: &str) -> Path {
        self.prefix.parts().chain(Path::from(name).parts()).collect()
    }

    /// Whether blobs can be kept at all, by keeping one: for who wants to know before somebody needs it.
    ///
    /// # Errors
    /// They cannot.
    pub async fn check(&self) -> Result<(), BlobError> {
        let at = self.at(CHECK);
        self.store.put(&at, PutPayload::from_static(b"")).await.map_err(BlobError::of_place)?;
        self.store.delete(&at).await.map_err(BlobError::of)
    }

    /// Removes a blob that nobody is writing, and what who was killed in the middle of it has left in a folder. One that is not there is as
    /// good.
    ///
    /// # Errors
    /// It may still be there.
    pub async fn delete(&self, key: &Key) -> Result<(), BlobError> {
        if let Some(folder) = &self.folder {
            let at = folder.join(key.as_str());
            let given_up = tokio::task::spawn_blocking(move || give_up(&at)).await;
            let given_up = given_up.unwrap_or_else(|error| Err(std::io::Error::other(error)));
            given_up.map_err(|source| BlobError::Folder { path: folder.clone(), source })?;
        }
        match self.store.delete(&self.at(key.as_str())).await.map_err(BlobError::of) {
            Err(BlobError::Missing { .. }) => Ok(()),
            done => done,
        }
    }

    /// Blobs whose keys begin with these parts (`artifacts/12`: none of run 123), at most so many, in no order.
    ///
    /// # Errors
    /// The place does not answer.
    pub async fn list(&self, prefix: &str, most: usize) -> Result<Vec<Listed>, BlobError> {
        let from = self.at(prefix);
        let all = self.store.list(Some(&from)).map_err(BlobError::of_place);
        let known = all.try_filter_map(|meta| {
            let parts = meta.location.prefix_match(&self.prefix);
            let name = parts.map(|parts| parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"));
            // What else lies there is not ours.
            let key = name.and_then(Key::new);
            std::future::ready(Ok(key.map(|key| Listed { key, bytes: meta.size })))
        });
        known.take(most).try_collect().await
    }
}

/// Removes what was begun of a blob, `NAME#NUMBER` beside it, and its folder if there is nothing more in it.
fn give_up(blob: &std::path::Path) -> std::io::Result<()> {
    let (Some(folder), Some(name)) = (blob.parent(), blob.file_name().and_then(std::ffi::OsStr::to_str)) else {
        return Ok(());
    };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry
            .file_name()
            .to_str()
            .and_then(|other| other.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('#'))
        {
            std::fs::remove_file(entry.path())?;
        }
    }
    // Where there is something more, it stays.
    let _ = std::fs::remove_dir(folder);
    Ok(())
}
