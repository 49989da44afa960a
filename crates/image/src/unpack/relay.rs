//! Bytes from the blob through the children, hashed by the way.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use super::process::Confined;
use super::{Compression, Expected, Sha256Digest, UnpackError, UnpackLimits};

/// What goes through at once.
const BUFFER: usize = 256 * 1024;

/// A blob whose first bytes were looked at.
pub(super) struct Source<R> {
    pub(super) compression: Compression,
    blob: R,
    first: Vec<u8>,
    /// More bytes than promised are not read.
    most: u64,
    /// Somebody wants to know the digest even if the blob is refused.
    digest_matters: bool,
}

impl<R: Read> Source<R> {
    pub(super) fn open(mut blob: R, expected: &Expected) -> Result<Source<R>, UnpackError> {
        let mut first = vec![];
        // Enough for every magic number.
        blob.by_ref().take(4).read_to_end(&mut first).map_err(UnpackError::Source)?;
        if first.is_empty() {
            return Err(UnpackError::Empty);
        }
        let compression = Compression::of_magic(&first);
        if let Some(promised) = expected.compression.filter(|promised| *promised != compression) {
            return Err(UnpackError::CompressionMismatch { promised, found: compression });
        }
        let most = expected.blob_bytes.map_or(u64::MAX, |bytes| bytes.saturating_add(1));
        Ok(Source { compression, blob, first, most, digest_matters: expected.blob.is_some() })
    }
}

/// Digest and size of a stream.
#[derive(Clone, Copy)]
pub(super) struct Hashed {
    pub(super) digest: Sha256Digest,
    pub(super) bytes: u64,
}

/// How a relay ended.
pub(super) struct Relayed {
    pub(super) blob: Hashed,
    pub(super) tar: Hashed,
    /// What the parent itself found wrong: the source, or a limit.
    pub(super) verdict: Result<(), UnpackError>,
}

/// A hash that counts.
struct Hasher {
    state: Sha256,
    bytes: u64,
}

impl Hasher {
    fn new() -> Hasher {
        Hasher { state: Sha256::new(), bytes: 0 }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn finish(self) -> Hashed {
        Hashed { digest: Sha256Digest(self.state.finalize().into()), bytes: self.bytes }
    }
}

/// Feeds the blob through `decompressor`, if there is one, to `converter`. A child that takes no more ends the relay
/// without an error; it says itself why.
pub(super) fn relay<R: Read + Send>(
    source: Source<R>,
    decompressor: Option<&mut Confined>,
    converter: &mut Confined,
    limits: &UnpackLimits,
) -> Relayed {
    let (to_converter, _) = converter.take_pipes();
    let Some(decompressor) = decompressor else {
        let mut most = Limit { tar_bytes: limits.tar_bytes, ratio: None };
        let (blob, verdict) = feed(source, to_converter, |_, total| most.check(total));
        return Relayed { blob, tar: blob, verdict };
    };
    let (to_decompressor, from_decompressor) = decompressor.take_pipes();
    let fed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let feeder = scope.spawn(|| {
            feed(source, to_decompressor, |_, total| {
                fed.store(total, Ordering::Relaxed);
                Ok(())
            })
        });
        let mut most = Limit { tar_bytes: limits.tar_bytes, ratio: Some((limits, &fed)) };
        let (tar, tar_verdict) = pump(from_decompressor, to_converter, |total| most.check(total));
        if tar_verdict.is_err() {
            // Its input breaks then, which ends the feeder unless a digest is still wanted.
            decompressor.stop();
        }
        let (blob, blob_verdict) = feeder.join().unwrap_or_else(|_| {
            let error = io::Error::other("the feeding thread failed");
            (Hasher::new().finish(), Err(UnpackError::Source(error)))
        });
        Relayed { blob, tar, verdict: blob_verdict.and(tar_verdict) }
    })
}

/// What the uncompressed stream is held to.
struct Limit<'a> {
    tar_bytes: u64,
    ratio: Option<(&'a UnpackLimits, &'a AtomicU64)>,
}

impl Limit<'_> {
    fn check(&mut self, total: u64) -> Result<(), UnpackError> {
        if total > self.tar_bytes {
            return Err(UnpackError::TarTooLarge { limit: self.tar_bytes });
        }
        if let Some((limits, fed)) = self.ratio
            && total > limits.ratio_free_bytes
            && total / limits.ratio > fed.load(Ordering::Relaxed)
        {
            return Err(UnpackError::Ratio { limit: limits.ratio });
        }
        Ok(())
    }
}

/// Blob to a child. Goes on hashing after the child takes no more, if the digest matters.
fn feed<R: Read>(
    mut source: Source<R>,
    mut to: Option<impl Write>,
    mut check: impl FnMut(&[u8], u64) -> Result<(), UnpackError>,
) -> (Hashed, Result<(), UnpackError>) {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; BUFFER];
    let mut ready = source.first.len();
    buffer[..ready].copy_from_slice(&source.first);
    loop {
        let piece = &buffer[..ready];
        hasher.take(piece);
        if let Err(error) = check(piece, hasher.bytes) {
            return (hasher.finish(), Err(error));
        }
        if to.as_mut().is_some_and(|to| to.write_all(piece).is_err()) {
            to = None;
        }
        let left = source.most.saturating_sub(hasher.bytes);
        if left == 0 || (to.is_none() && !source.digest_matters) {
            return (hasher.finish(), Ok(()));
        }
        let room = left.min(BUFFER as u64) as usize;
        ready = match read(&mut source.blob, &mut buffer[..room]) {
            Ok(0) => return (hasher.finish(), Ok(())),
            Ok(count) => count,
            Err(error) => return (hasher.finish(), Err(UnpackError::Source(error))),
        };
    }
}

/// From one child to the other.
fn pump(
    from: Option<impl Read>,
    to: Option<impl Write>,
    mut check: impl FnMut(u64) -> Result<(), UnpackError>,
) -> (Hashed, Result<(), UnpackError>) {
    let mut hasher = Hasher::new();
    let (Some(mut from), Some(mut to)) = (from, to) else { return (hasher.finish(), Ok(())) };
    let mut buffer = vec![0; BUFFER];
    loop {
        match read(&mut from, &mut buffer) {
            Ok(count) if count > 0 => {
                hasher.take(&buffer[..count]);
                if let Err(error) = check(hasher.bytes) {
                    return (hasher.finish(), Err(error));
                }
                if to.write_all(&buffer[..count]).is_err() {
                    return (hasher.finish(), Ok(()));
                }
            }
            _ => return (hasher.finish(), Ok(())),
        }
    }
}

fn read(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
