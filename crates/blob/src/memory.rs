//! Memory in the place of a service: for tests, and for simulations in which it is away at times.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::Blobs;

#[derive(Debug)]
struct Memory {
    store: InMemory,
    is_away: Arc<AtomicBool>,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

impl Memory {
    fn there(&self) -> Result<&InMemory> {
        match self.is_away.load(Ordering::Relaxed) {
            true => Err(Error::Generic { store: "memory", source: "it is away".into() }),
            false => Ok(&self.store),
        }
    }
}

#[async_trait]
impl ObjectStore for Memory {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.there()?.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.there()?.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.there()?.get_opts(at, options).await
    }

    fn delete_stream(&self, all: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.there() {
            Ok(store) => store.delete_stream(all),
            Err(_) => {
                all.and_then(|_| async { Err(Error::Generic { store: "memory", source: "it is away".into() }) }).boxed()
            }
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.there() {
            Ok(store) => store.list(prefix),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.there()?.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.there()?.copy_opts(from, to, options).await
    }
}

impl Blobs {
    /// Blobs that are gone with the process.
    pub fn memory() -> Blobs {
        Blobs::memory_that_may_be_away().0
    }

    /// The same, and what has them refuse everything while it is set.
    pub fn memory_that_may_be_away() -> (Blobs, Arc<AtomicBool>) {
        let is_away = Arc::<AtomicBool>::default();
        let store = Memory { store: InMemory::new(), is_away: Arc::clone(&is_away) };
        (Blobs::of(Arc::new(store), Path::default()), is_away)
    }
}
