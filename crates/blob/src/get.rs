//! Reading.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::{Error, GetOptions, GetRange, GetResultPayload};

use crate::{BlobError, Blobs, Key};

/// Read of a file at once, in bytes.
const PIECE: usize = 256 << 10;

/// A blob, or a part of it, as it comes.
pub struct Content {
    /// Size of the whole blob.
    pub bytes: u64,
    /// What of it this is.
    pub range: Range<u64>,
    /// It.
    pub stream: BoxStream<'static, Result<Bytes, BlobError>>,
}

impl Blobs {
    /// Reads a blob, or the part of it that is asked for, which must begin within it. A connection that breaks is opened again, behind
    /// what has come.
    ///
    /// # Errors
    /// There is none, or it cannot be had.
    pub async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Content, BlobError> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let got = self.store.get_opts(&self.at(key.as_str()), options).await;
        let got = got.map_err(|error| match BlobError::of(error) {
            BlobError::Missing { .. } => BlobError::Missing { key: key.to_string() },
            other => other,
        })?;
        let (bytes, range) = (got.meta.size, got.range.clone());
        let stream = match got.payload {
            GetResultPayload::File(file, _) => pieces(file, range.clone()),
            GetResultPayload::Stream(stream) => stream.map_err(BlobError::of).boxed(),
        };
        Ok(Content { bytes, range, stream })
    }
}

/// A part of a file, in pieces that are worth a thread each.
fn pieces(file: File, range: Range<u64>) -> BoxStream<'static, Result<Bytes, BlobError>> {
    let failed = |source: std::io::Error| BlobError::Away(Error::Generic { store: "folder", source: Box::new(source) });
    let pieces = stream::try_unfold((file, range), move |(mut file, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || {
            let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            let mut piece = vec![0; left.min(PIECE)];
            file.seek(SeekFrom::Start(range.start))?;
            file.read_exact(&mut piece)?;
            let next = range.start + piece.len() as u64..range.end;
            Ok((Bytes::from(piece), (file, next)))
        });
        match read.await {
            Ok(read) => read.map(Some).map_err(failed),
            Err(error) => Err(failed(std::io::Error::other(error))),
        }
    });
    pieces.boxed()
}
