//! Logs: read where their lines are, and moved from the database to blobs.
//!
//! What agents report is in the database, for it is acknowledged when that has it. From there a log is moved when its run is over, or when
//! much of it has come; a place for blobs that is away costs nobody a line, and nobody waits for it but who reads what lies there.

use blob::{BlobError, Blobs, Key};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use model::ids::RunId;
use store::{ChunkPlace, Repacker, Store, StoreError};
use wire::agent::LogLine;

use crate::app::App;
use crate::random::secret;

/// Bytes of a run's log that stay in the database while it goes on.
const MOST_IN_ROWS: u64 = 16 << 20;
/// Runs that are looked for together.
const RUNS: u32 = 100;
/// Runs whose logs are moved at once: a service takes its time for each.
const AT_ONCE: usize = 8;
/// Chunks that are read together.
const CHUNKS: u32 = 16;

/// Why lines cannot be read, or not be moved.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The place for blobs.
    #[error("the place for blobs")]
    Blob(#[from] BlobError),
}

impl LogError {
    /// Worth another try, later.
    fn is_unavailable(&self) -> bool {
        match self {
            LogError::Store(error) => error.is_unavailable(),
            LogError::Blob(error) => error.is_unavailable(),
        }
    }
}

/// Text of a log that is read at once, in bytes; a chunk is read whole.
const MOST_READ_BYTES: usize = 16 << 20;

/// Lines from number `from` on, at least one and at most `most` of them, if there are any; fewer where they are long.
///
/// # Errors
/// The store, or the place for blobs, does not answer or has not what it should.
pub async fn read_log(
    store: &Store,
    blobs: &Blobs,
    run: RunId,
    from: u64,
    most: usize,
) -> Result<Vec<LogLine>, LogError> {
    let (mut lines, mut bytes, mut next) = (Vec::<LogLine>::new(), 0, from);
    while lines.len() < most
        && bytes < MOST_READ_BYTES
        && let Some(mut chunk) = store.chunk(run, next).await?
    {
        let content = match &mut chunk.place {
            ChunkPlace::Row(content) => std::mem::take(content),
            ChunkPlace::Blob { key, range } => {
                let missing = || BlobError::Missing { key: key.clone() };
                let found = blobs.get(&Key::new(key.as_str()).ok_or_else(missing)?, Some(range.clone())).await?;
                let add = |mut all: Vec<u8>, piece: bytes::Bytes| async move {
                    all.extend_from_slice(&piece);
                    Ok(all)
                };
                found.stream.try_fold(Vec::new(), add).await?
            }
        };
        let skipped = usize::try_from(next - chunk.first).unwrap_or(usize::MAX);
        let before = lines.len();
        lines.extend(chunk.lines(&content)?.into_iter().skip(skipped));
        if lines.len() == before {
            break;
        }
        bytes += lines[before..].iter().map(|line| line.text.len()).sum::<usize>();
        next = from + lines.len() as u64;
    }
    lines.truncate(most);
    Ok(lines)
}

/// The same of a server's own.
pub(crate) async fn read(app: &App, run: RunId, from: u64, most: usize) -> Result<Vec<LogLine>, LogError> {
    read_log(&app.store, &app.artifacts.blobs, run, from, most).await
}

/// Moves to blobs what is to be moved. Not beside [`sweep`](crate::artifacts::sweep), which would remove what is on its way.
pub(crate) async fn move_all(app: &App) -> Result<(), LogError> {
    let (mut after, mut failed) = (RunId(0), None);
    loop {
        let runs = app.store.logs_in_rows(after, MOST_IN_ROWS, RUNS).await?;
        let Some(last) = runs.last() else { return failed.map_or(Ok(()), Err) };
        after = *last;
        // Each to its end, whatever becomes of the others: what is dropped in the middle may be written after all, when nobody looks for it.
        let mut moves = stream::iter(runs).map(|run| move_one(app, run)).buffer_unordered(AT_ONCE);
        while let Some(moved) = moves.next().await {
            failed = failed.or(moved.err());
        }
        // A place that is away need not be told of by every run.
        if let Some(error) = failed.take_if(|error| error.is_unavailable()) {
            return Err(error);
        }
    }
}

/// One that is damaged is in nobody's way.
async fn move_one(app: &App, run: RunId) -> Result<(), LogError> {
    if app.damaged_logs().contains(&run) {
        return Ok(());
    }
    match move_log(app, run).await {
        Err(LogError::Store(error @ StoreError::Damaged { .. })) => {
            tracing::error!(%error, run = run.0, "a log stays in the database");
            app.damaged_logs().insert(run);
            Ok(())
        }
        moved => moved,
    }
}

async fn move_log(app: &App, run: RunId) -> Result<(), LogError> {
    let name = format!("logs/{}/{}", run.0, secret("b"));
    let Some(key) = Key::new(name.as_str()) else { return Ok(()) };
    app.store.begin_blob(&name, app.now()).await?;
    // Whatever fails from here on, the blob is spare, and whoever sweeps finds it.
    let mut repacker = Repacker::new()?;
    let packed = stream::try_unfold((&mut repacker, Some(0)), |(repacker, from)| async move {
        let Some(mut from) = from else { return Ok(None) };
        loop {
            let chunks = app.store.chunks_in_rows(run, from, CHUNKS).await?;
            let Some(last) = chunks.last() else {
                return Ok::<_, StoreError>(repacker.rest()?.map(|rest| (bytes::Bytes::from(rest), (repacker, None))));
            };
            from = last.first + last.count;
            let mut out = Vec::new();
            for chunk in &chunks {
                out.extend(repacker.add(chunk)?.unwrap_or_default());
            }
            if !out.is_empty() {
                return Ok(Some((out.into(), (repacker, Some(from)))));
            }
        }
    });
    match app.artifacts.blobs.put(&key, packed, u64::MAX).await {
        Ok(_) => {}
        Err(BlobError::Content(error)) => {
            return Err(match error.downcast::<StoreError>() {
                Ok(error) => LogError::Store(*error),
                Err(error) => LogError::Blob(BlobError::Content(error)),
            });
        }
        Err(error) => return Err(error.into()),
    }
    app.store.log_is_moved(run, &name, &repacker.moved(), app.now()).await?;
    Ok(())
}
