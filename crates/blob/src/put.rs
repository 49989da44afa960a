//! Writing.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use crate::{BlobError, Blobs, Key};

/// Services want parts of equal size, at least 5 MiB each. Of one blob two are in memory: one is sent while the next one comes.
const PART: usize = 5 << 20;
/// The smallest room that is made for what comes, in bytes.
const ROOM: usize = 16 << 10;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its size.
    pub bytes: u64,
    /// Its digest, in hexadecimal digits.
    pub sha256: String,
}

impl Blobs {
    /// Writes a blob as it comes, at most `most` bytes of it; an older one of that name is replaced when all of it is there. Whoever drops
    /// this in the middle may leave parts of it at a service.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`], [`BlobError::Content`], or it cannot be written: nothing of it is kept.
    pub async fn put<E>(
        &self,
        key: &Key,
        content: impl Stream<Item = Result<Bytes, E>>,
        most: u64,
    ) -> Result<Kept, BlobError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut content = pin!(content);
        let (mut digest, mut bytes) = (Sha256::new(), 0_u64);
        let mut parts =
            Parts { blobs: self, at: self.at(key.as_str()), part: BytesMut::new(), upload: None, sending: None };
        let taken = async {
            while let Some(piece) = content.next().await {
                let piece = piece.map_err(|error| BlobError::Content(error.into()))?;
                bytes += piece.len() as u64;
                if bytes > most {
                    return Err(BlobError::TooLarge { most });
                }
                digest.update(&piece);
                parts.add(&piece).await?;
            }
            parts.finish().await
        };
        if let Err(error) = taken.await {
            parts.abort().await;
            return Err(error);
        }
        let sha256 = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Kept { bytes, sha256 })
    }
}

/// A blob on its way.
struct Parts<'a> {
    blobs: &'a Blobs,
    at: Path,
    /// What has come and is not sent.
    part: BytesMut,
    /// There is one from the second part on: what is smaller is written at once.
    upload: Option<Box<dyn MultipartUpload>>,
    sending: Option<JoinHandle<Result<(), object_store::Error>>>,
}

impl Parts<'_> {
    async fn add(&mut self, mut piece: &[u8]) -> Result<(), BlobError> {
        while !piece.is_empty() {
            if self.part.len() == PART {
                self.send().await?;
            }
            if self.part.capacity() == self.part.len() {
                let more = self.part.len().max(ROOM).max(piece.len());
                self.part.reserve(more.min(PART - self.part.len()));
            }
            let (now, later) = piece.split_at(piece.len().min(PART - self.part.len()));
            self.part.extend_from_slice(now);
            piece = later;
        }
        Ok(())
    }

    /// Sends what has come, once the part before it is there.
    async fn send(&mut self) -> Result<(), BlobError> {
        self.sent().await?;
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(self.blobs.store.put_multipart(&self.at).await.map_err(BlobError::of_place)?),
        };
        let part = std::mem::take(&mut self.part).freeze();
        self.sending = Some(tokio::spawn(upload.put_part(PutPayload::from(part))));
        Ok(())
    }

    async fn sent(&mut self) -> Result<(), BlobError> {
        match self.sending.take() {
            Some(sending) => {
                sending.await.map_err(object_store::Error::from).and_then(|sent| sent).map_err(BlobError::of_place)
            }
            None => Ok(()),
        }
    }

    async fn finish(&mut self) -> Result<(), BlobError> {
        if self.upload.is_none() {
            let whole = std::mem::take(&mut self.part).freeze();
            return self
                .blobs
                .store
                .put(&self.at, PutPayload::from(whole))
                .await
                .map(drop)
                .map_err(BlobError::of_place);
        }
        self.send().await?;
        self.sent().await?;
        match &mut self.upload {
            Some(upload) => upload.complete().await.map(drop).map_err(BlobError::of_place),
            None => Ok(()),
        }
    }

    /// Leaves nothing.
    async fn abort(&mut self) {
        // What is on its way would come after the end.
        let _ = self.sent().await;
        if let Some(mut upload) = self.upload.take()
            && let Err(error) = upload.abort().await
        {
            tracing::warn!(%error, at = %self.at, "parts of a blob may be left");
        }
    }
}
