//! Making sure that one layer is in the store, whoever makes it.
//!
//! ```text
//! shared lock, present ──────────────────────────────> held
//!      │ absent
//!      v
//! exclusive lock, still absent: download | convert ──> rename ──> shared lock, present ──> held
//! ```
//!
//! Whoever holds the exclusive lock waits for no other lock, so pulls that need the same layers in different orders
//! cannot block each other.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, mpsc};

use super::LayerForm;
use super::folders::{Folders, Temp};
use super::lock::{FileLock, Mode};
use super::record::LayerRecord;
use crate::manifest::Descriptor;
use crate::registry::{BlobReader, Endpoint, Registry, Source, blob_channel};
use crate::unpack::{Expected, Sha256Digest, UnpackError, Unpacked};
use crate::{Digest, ImageError, Progress, PullEvent};

/// How often to look again when somebody comes between two locks.
const MAX_ROUNDS: usize = 20;

/// A layer that is in the store and stays there while this lives.
#[derive(Debug)]
pub(crate) struct Held {
    _lock: FileLock,
}

/// A layer that is wanted, and where its bytes are.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) diff_id: Digest,
    /// Compressed size in bytes.
    pub(crate) bytes: u64,
    pub(crate) from: From<'a>,
}

/// Where the bytes of a layer are.
#[derive(Clone, Copy)]
pub(crate) enum From<'a> {
    /// At one of these hosts.
    Registry { registry: &'a Registry, repository: &'a str, endpoints: &'a [Endpoint], first: usize, blob: Descriptor },
    /// In a file of this machine.
    Archive { section: &'a Section, blob: Option<Digest> },
}

/// A piece of a file.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) file: Arc<File>,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Read for Section {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.len).unwrap_or(usize::MAX).min(out.len());
        let count = self.file.read_at(&mut out[..most], self.offset)?;
        if count == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut off"));
        }
        self.offset += count as u64;
        self.len -= count as u64;
        Ok(count)
    }
}

/// What layers are made with.
pub(crate) struct Workshop<'a> {
    pub(crate) folders: &'a Folders,
    pub(crate) form: LayerForm,
    pub(crate) permits: &'a Semaphore,
    pub(crate) progress: &'a dyn Progress,
    /// A copy in every conversion, so that [`Workshop::close`] knows when the last has ended.
    pub(crate) running: mpsc::Sender<()>,
}

/// Told when a workshop is empty.
pub(crate) type Ended = mpsc::Receiver<()>;

impl Workshop<'_> {
    /// Waits until the threads of conversions that failed or were given up have removed what they began.
    pub(crate) async fn close(self, mut ended: Ended) {
        drop(self.running);
        while ended.recv().await.is_some() {}
    }

    /// Returns when the layer is in the store.
    pub(crate) async fn hold(&self, wanted: Wanted<'_>) -> Result<Held, ImageError> {
        let diff_id = wanted.diff_id;
        let path = self.folders.lock("layer", &diff_id);
        let tell = || self.progress.event(&PullEvent::Waiting { what: format!("layer {}", diff_id.short()) });
        let mut made = false;
        for _ in 0..MAX_ROUNDS {
            let shared = FileLock::take(&path, Mode::Shared, tell).await?;
            if self.present(&diff_id).is_some() {
                if !made {
                    self.progress.event(&PullEvent::LayerPresent { diff_id });
                }
                return Ok(Held { _lock: shared });
            }
            drop(shared);
            let exclusive = FileLock::take(&path, Mode::Exclusive, tell).await?;
            if self.present(&diff_id).is_none() {
                self.make(wanted).await?;
                made = true;
            }
            let shared = exclusive.share().map_err(|error| ImageError::io("lock", &path, error.into()))?;
            if made && self.present(&diff_id).is_some() {
                return Ok(Held { _lock: shared });
            }
        }
        Err(ImageError::Layer { diff_id, reason: "it disappears from the store as soon as it is there".to_owned() })
    }

    fn present(&self, diff_id: &Digest) -> Option<LayerRecord> {
        LayerRecord::present(self.folders, diff_id, self.form)
    }

    async fn make(&self, wanted: Wanted<'_>) -> Result<(), ImageError> {
        let _permit = self.permits.acquire().await;
        let Wanted { diff_id, bytes, .. } = wanted;
        self.progress.event(&PullEvent::LayerStarted { diff_id, bytes });
        let record = match wanted.from {
            From::Archive { section, blob } => self.make_from_archive(wanted, section, blob).await?,
            From::Registry { registry, repository, endpoints, first, blob } => {
                let mut step = 0;
                loop {
                    let source = Source { repository, endpoints, first: first + step };
                    match self.make_from_registry(wanted, registry, source, blob).await {
                        Ok(record) => break record,
                        // A mirror that lies must not stop us while the registry itself has not been asked.
                        Err(error @ (ImageError::DigestMismatch { .. } | ImageError::SizeMismatch { .. }))
                            if step + 1 < endpoints.len() =>
                        {
                            step += 1;
                            let what = format!("layer {}", diff_id.short());
                            self.progress.event(&PullEvent::Retrying { what, reason: error.to_string() });
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        };
        self.progress.event(&PullEvent::LayerDone { diff_id, bytes, stored_bytes: record.bytes });
        Ok(())
    }

    async fn make_from_registry(
        &self,
        wanted: Wanted<'_>,
        registry: &Registry,
        source: Source<'_>,
        blob: Descriptor,
    ) -> Result<LayerRecord, ImageError> {
        let Wanted { diff_id, bytes, .. } = wanted;
        let (sink, reader) = blob_channel();
        let on_bytes = |received| self.progress.event(&PullEvent::LayerProgress { diff_id, received, bytes });
        let on_retry = |reason| {
            self.progress.event(&PullEvent::Retrying { what: format!("layer {}", diff_id.short()), reason });
        };
        let job = Conversion::new(self, wanted, Some(blob));
        let convert = spawn(move || job.run(reader));
        let download = registry.download(source, blob, sink, &on_bytes, &on_retry);
        let (downloaded, converted) = tokio::join!(download, convert);
        match (downloaded, converted) {
            // The reader saw only that the bytes stopped.
            (Err(error), Err(Failed::Unpack(_)) | Ok(_)) => Err(error),
            (_, Ok(record)) => Ok(record),
            (_, Err(Failed::Ours(error))) => Err(error),
            (Ok(host), Err(Failed::Unpack(error))) => {
                let what = format!("layer blob of {} from {host}", source.repository);
                let error = explain(error, &what, diff_id, &self.folders.root);
                if !matches!(error, ImageError::Layer { .. }) {
                    return Err(error);
                }
                // A damaged blob breaks the decompressor or the archive reader before its digest is known. Whose fault
                // it is matters, so the blob is read once more and only hashed.
                let got = fetch_digest(registry, source, blob).await?;
                match got == blob.digest {
                    true => Err(error),
                    false => Err(ImageError::DigestMismatch { what, expected: blob.digest, got }),
                }
            }
        }
    }

    async fn make_from_archive(
        &self,
        wanted: Wanted<'_>,
        section: &Section,
        blob: Option<Digest>,
    ) -> Result<LayerRecord, ImageError> {
        let expected = blob.map(|digest| Descriptor { digest, size: section.len });
        let job = Conversion::new(self, wanted, expected);
        let reader = section.clone();
        match spawn(move || job.run(reader)).await {
            Ok(record) => Ok(record),
            Err(Failed::Ours(error)) => Err(error),
            Err(Failed::Unpack(error)) => {
                Err(explain(error, "layer in the archive", wanted.diff_id, &self.folders.root))
            }
        }
    }
}

/// The part of the work that blocks a thread.
struct Conversion {
    folders: Folders,
    form: LayerForm,
    diff_id: Digest,
    expected: Expected,
    _running: mpsc::Sender<()>,
}

enum Failed {
    Unpack(UnpackError),
    Ours(ImageError),
}

impl Conversion {
    fn new(workshop: &Workshop<'_>, wanted: Wanted<'_>, blob: Option<Descriptor>) -> Self {
        let expected = Expected {
            // Some registries and builders state a wrong one; the bytes say what they are, and both digests are checked.
            compression: None,
            blob: blob.map(|blob| sha256(blob.digest)),
            blob_bytes: blob.map(|blob| blob.size),
            diff_id: Some(sha256(wanted.diff_id)),
        };
        Self {
            folders: workshop.folders.clone(),
            form: workshop.form,
            diff_id: wanted.diff_id,
            expected,
            _running: workshop.running.clone(),
        }
    }

    fn run(self, blob: impl Read + Send) -> Result<LayerRecord, Failed> {
        let converter = &self.folders.converter;
        let (temp, unpacked) = match self.form {
            LayerForm::Erofs => {
                let temp = self.folders.temp_file().map_err(Failed::Ours)?;
                let unpacked = converter.to_erofs(blob, &self.expected, &temp.file).map_err(Failed::Unpack)?;
                (temp, unpacked)
            }
            LayerForm::Dir => {
                let temp = self.folders.temp_folder().map_err(Failed::Ours)?;
                let ids = &self.folders.ids;
                let unpacked = converter.to_folder(blob, &self.expected, &temp.path, ids).map_err(Failed::Unpack)?;
                (temp, unpacked)
            }
        };
        self.keep(temp, &unpacked).map_err(Failed::Ours)
    }

    fn keep(&self, temp: Temp, unpacked: &Unpacked) -> Result<LayerRecord, ImageError> {
        // The converter has checked both; a layer under a wrong name would poison every image that shares it, so the
        // last step before it gets that name does not rely on that.
        let (got, expected) = (Digest::from_bytes(unpacked.diff_id.0), self.diff_id);
        if got != expected {
            return Err(ImageError::DigestMismatch { what: "uncompressed layer".to_owned(), expected, got });
        }
        let (bytes, length) = match self.form {
            LayerForm::Dir => (unpacked.tar_bytes, 0),
            LayerForm::Erofs => {
                let about = temp.file.metadata().map_err(|error| ImageError::io("look at", &temp.path, error))?;
                (std::os::unix::fs::MetadataExt::blocks(&about) * 512, about.len())
            }
        };
        let layer = &unpacked.layer;
        let record = LayerRecord::new(expected, self.form, bytes, length, layer.entries, layer.root_opaque);
        let other = match self.form {
            LayerForm::Dir => LayerForm::Erofs,
            LayerForm::Erofs => LayerForm::Dir,
        };
        self.folders.discard(&LayerRecord::place(&self.folders, &expected, other))?;
        record.write(&self.folders)?;
        temp.keep_as(&LayerRecord::place(&self.folders, &expected, self.form))?;
        Ok(record)
    }
}

async fn spawn(work: impl FnOnce() -> Result<LayerRecord, Failed> + Send + 'static) -> Result<LayerRecord, Failed> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failed::Ours(ImageError::malformed("layer conversion", error))),
    }
}

fn sha256(digest: Digest) -> Sha256Digest {
    Sha256Digest(digest.bytes())
}

/// A failed conversion in the words of a pull.
fn explain(error: UnpackError, what: &str, diff_id: Digest, root: &std::path::Path) -> ImageError {
    let what = what.to_owned();
    match error {
        UnpackError::BlobDigest { expected, found } => ImageError::DigestMismatch {
            what,
            expected: Digest::from_bytes(expected.0),
            got: Digest::from_bytes(found.0),
        },
        UnpackError::DiffId { expected, found } => ImageError::DigestMismatch {
            what: format!("uncompressed {what}"),
            expected: Digest::from_bytes(expected.0),
            got: Digest::from_bytes(found.0),
        },
        UnpackError::BlobSize { expected, found } => ImageError::SizeMismatch { what, expected, got: found },
        UnpackError::Output(text) if says_disk_full(&text) => {
            ImageError::DiskFull { path: root.to_owned(), source: io::Error::from_raw_os_error(libc::ENOSPC) }
        }
        other => {
            let mut reason = other.to_string();
            let mut source = std::error::Error::source(&other);
            while let Some(inner) = source {
                let text = inner.to_string();
                if !reason.contains(&text) {
                    reason.push_str(": ");
                    reason.push_str(&text);
                }
                source = inner.source();
            }
            ImageError::Layer { diff_id, reason }
        }
    }
}

/// The converter is another process: its error arrives as text.
fn says_disk_full(text: &str) -> bool {
    ["No space left on device", "Disk quota exceeded", "File too large"].iter().any(|words| text.contains(words))
}

async fn fetch_digest(registry: &Registry, source: Source<'_>, blob: Descriptor) -> Result<Digest, ImageError> {
    let (sink, mut reader) = blob_channel();
    let hash = tokio::task::spawn_blocking(move || hash(&mut reader));
    let (downloaded, hashed) = tokio::join!(registry.download(source, blob, sink, &|_| {}, &|_| {}), hash);
    downloaded?;
    match hashed {
        Ok(Ok(digest)) => Ok(digest),
        _ => Err(ImageError::malformed("layer blob", "it cannot be read a second time")),
    }
}

fn hash(reader: &mut BlobReader) -> io::Result<Digest> {
    hash_all(reader)
}

/// The digest of everything that a reader has.
pub(crate) fn hash_all(reader: &mut impl Read) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(Digest::from_hasher(hasher)),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
