//! What runs archive and stash: on its way from agents to blobs, and from blobs to whoever asks.
//!
//! A blob is spare until its run has it ([`Store`](store::Store) says how), so a server that is killed at any moment leaves nothing behind
//! but what the next one sweeps.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use blob::{BlobError, Blobs, Key};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use model::limits::MAX_STASHES;
use store::{Artifact, ArtifactLimits, Holder, NotKept, Shelf, StoreError};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::app::App;
use crate::config::{BlobPlace, ServerConfig};
use crate::random::secret;

/// Uploads at once: each has some MiB in memory.
const MOST: usize = 16;
/// Of them of one agent: one that is slow, or does as if, holds up no other.
const MOST_OF_AGENT: usize = 8;
/// How long an upload waits for its turn.
const TURN: Duration = Duration::from_secs(60);
/// An upload that brings nothing for so long is none.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a place is waited for when the server starts.
const CHECK: Duration = Duration::from_secs(10);
/// Spare blobs that are looked at together.
const PAGE: u32 = 200;

/// Blobs, and what is on its way to them.
pub(crate) struct Artifacts {
    pub(crate) blobs: Blobs,
    places: Semaphore,
    /// Blobs that are being written: spare, and not to be swept.
    under_way: Mutex<HashSet<String>>,
    of_agents: Mutex<HashMap<u64, usize>>,
}

/// Why an artifact was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error(transparent)]
    NotKept(#[from] NotKept),
    #[error("a file has at most {most} bytes here, or what is left for its run")]
    TooLarge { most: u64 },
    #[error("too many files are on their way: once more, later")]
    Busy,
    #[error("it did not come to its end")]
    Broken,
    #[error(transparent)]
    Blob(BlobError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Artifacts {
    pub(crate) fn new(blobs: Blobs) -> Artifacts {
        Artifacts { blobs, places: Semaphore::new(MOST), under_way: Mutex::default(), of_agents: Mutex::default() }
    }

    fn under_way(&self) -> MutexGuard<'_, HashSet<String>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of_agents(&self) -> MutexGuard<'_, HashMap<u64, usize>> {
        self.of_agents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place among uploads, and a name that no blob has had.
    async fn turn(&self, shelf: Shelf, holder: Holder) -> Result<Turn<'_>, NotTaken> {
        {
            let mut of_agents = self.of_agents();
            let count = of_agents.entry(holder.agent).or_default();
            if *count >= MOST_OF_AGENT {
                return Err(NotTaken::Busy);
            }
            *count += 1;
        }
        let key = format!("{shelf}/{}/{}", holder.run.0, secret("b"));
        self.under_way().insert(key.clone());
        // From here on it is given back.
        let mut turn = Turn { artifacts: self, agent: holder.agent, key, _place: None };
        let place = tokio::time::timeout(TURN, self.places.acquire()).await;
        turn._place = Some(place.ok().and_then(Result::ok).ok_or(NotTaken::Busy)?);
        Ok(turn)
    }
}

/// Where blobs are.
///
/// # Errors
/// There is no such place, or it refuses. One that does not answer may do so later.
pub(crate) async fn open(config: &ServerConfig) -> Result<Blobs, BlobError> {
    let url = match &config.blobs {
        None => return Blobs::folder(&config.first_token.with_file_name("blobs")),
        Some(BlobPlace::Open(blobs)) => return Ok(blobs.clone()),
        Some(BlobPlace::Url(url)) => url,
    };
    let blobs = Blobs::open(url)?;
    match tokio::time::timeout(CHECK, blobs.check()).await {
        Ok(Err(error)) if !error.is_unavailable() => return Err(error),
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(_) => tracing::warn!(url, "the place for blobs does not answer for now"),
    }
    Ok(blobs)
}

/// An upload under way.
struct Turn<'a> {
    artifacts: &'a Artifacts,
    agent: u64,
    key: String,
    _place: Option<SemaphorePermit<'a>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.artifacts.under_way().remove(&self.key);
        let mut of_agents = self.artifacts.of_agents();
        if let Some(count) = of_agents.get_mut(&self.agent) {
            *count -= 1;
            if *count == 0 {
                of_agents.remove(&self.agent);
            }
        }
    }
}

/// Takes a file of `length` bytes from who says that it has the run. Not to be dropped in the middle.
pub(crate) async fn take<E>(
    app: &App,
    shelf: Shelf,
    holder: Holder,
    path: &str,
    length: u64,
    content: impl Stream<Item = Result<Bytes, E>>,
) -> Result<Artifact, NotTaken>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let limits = match shelf {
        Shelf::Artifacts => app.config.artifacts,
        Shelf::Stashes => ArtifactLimits { run_files: MAX_STASHES as u64, ..app.config.artifacts },
    };
    if length > limits.file_bytes {
        return Err(NotTaken::TooLarge { most: limits.file_bytes });
    }
    let turn = app.artifacts.turn(shelf, holder).await?;
    let most = app.store.begin_file(shelf, holder, &turn.key, &limits, app.now()).await??;
    let key = Key::new(turn.key.as_str()).ok_or(NotTaken::Broken)?;
    let taken = async {
        if length > most {
            return Err(NotTaken::TooLarge { most });
        }
        let kept = app.artifacts.blobs.put(&key, attentive(content), length).await.map_err(|error| match error {
            BlobError::TooLarge { most } => NotTaken::TooLarge { most },
            BlobError::Content(_) => NotTaken::Broken,
            other => NotTaken::Blob(other),
        })?;
        if kept.bytes != length {
            return Err(NotTaken::Broken);
        }
        let (path, key, at) = (path.to_owned(), turn.key.clone(), app.now());
        let new = Artifact { path, bytes: kept.bytes, sha256: kept.sha256, key, at };
        app.store.keep_file(shelf, holder, &new, &limits).await??;
        Ok(new)
    };
    let taken = taken.await;
    // Where the store has not answered, nobody knows, and whoever sweeps finds out.
    if taken.as_ref().is_err_and(|error| !matches!(error, NotTaken::Store(_))) {
        let removed = remove(app, &key).await;
        removed.unwrap_or_else(|error| tracing::warn!(%error, "a blob is left for now"));
    }
    taken
}

/// Ends where nothing comes for too long.
fn attentive<E>(
    content: impl Stream<Item = Result<Bytes, E>>,
) -> impl Stream<Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    stream::unfold(Some(Box::pin(content)), |content| async {
        let mut content = content?;
        match tokio::time::timeout(SILENCE, content.next()).await {
            Ok(Some(Ok(piece))) => Some((Ok(piece), Some(content))),
            Ok(Some(Err(error))) => Some((Err(error.into()), None)),
            Ok(None) => None,
            Err(late) => Some((Err(late.into()), None)),
        }
    })
}

/// Why spare blobs are still there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSwept {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a blob cannot be removed")]
    Blob(#[from] BlobError),
}

async fn remove(app: &App, key: &Key) -> Result<(), NotSwept> {
    app.artifacts.blobs.delete(key).await?;
    app.store.blob_is_gone(key.as_str()).await?;
    Ok(())
}

/// Removes what no run has, or is about to have.
pub(crate) async fn sweep(app: &App) -> Result<(), NotSwept> {
    let mut after = String::new();
    loop {
        let keys = app.store.spare_blobs(&after, PAGE).await?;
        let Some(last) = keys.last() else { return Ok(()) };
        after.clone_from(last);
        for key in keys {
            // In this order: one that is neither on its way any more nor spare still has become a run's.
            if app.artifacts.under_way().contains(&key) || !app.store.is_spare(&key).await? {
                continue;
            }
            match Key::new(key.as_str()) {
                Some(key) => remove(app, &key).await?,
                None => app.store.blob_is_gone(&key).await?,
            }
        }
    }
}
