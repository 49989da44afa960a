//! Logs: lines in chunks, compressed, found by their number.

use model::event::LogSource;
use model::ids::RunId;
use sqlx::{Any, Row as _, Transaction};
use wire::agent::{Item, LogLine};

use crate::journal::happened;
use crate::{Store, StoreError, signed, unsigned};

/// As zstd counts: fast, and small enough.
const LEVEL: i32 = 3;
/// A chunk that has so many bytes is full.
const CHUNK_BYTES: usize = 1 << 20;
/// The most that a chunk may hold when it is unpacked, in bytes: a full one and the longest line.
const MOST_BYTES: usize = 2 * CHUNK_BYTES + wire::engine::MAX_LINE_BYTES;

/// Adds lines to a log within the change that they belong to.
pub(crate) async fn append(
    tx: &mut Transaction<'static, Any>,
    run: RunId,
    lines: impl Iterator<Item = &LogLine>,
) -> Result<(), StoreError> {
    let (mut text, mut count) = (Vec::new(), 0_i64);
    for line in lines {
        serde_json::to_writer(&mut text, line).map_err(StoreError::damaged("a line"))?;
        text.push(b'\n');
        count += 1;
        // One line at least, and then no more than can be read again at once.
        if text.len() > CHUNK_BYTES {
            chunk(tx, run, &text, count).await?;
            text.clear();
            count = 0;
        }
    }
    if count > 0 { chunk(tx, run, &text, count).await } else { Ok(()) }
}

async fn chunk(tx: &mut Transaction<'static, Any>, run: RunId, text: &[u8], count: i64) -> Result<(), StoreError> {
    let packed = zstd::bulk::compress(text, LEVEL)
        .map_err(|error| StoreError::Damaged { what: "a chunk of a log", reason: error.to_string() })?;
    let row =
        sqlx::query("UPDATE runs SET lines = lines + $1 WHERE id = $2 RETURNING lines").bind(count).bind(signed(run.0));
    let row = row.fetch_optional(&mut **tx).await?;
    let row = row.ok_or_else(|| StoreError::Missing { what: "run", name: run.to_string() })?;
    sqlx::query("INSERT INTO log_chunks (run_id, first_line, lines, content) VALUES ($1, $2, $3, $4)")
        .bind(signed(run.0))
        .bind(row.try_get::<i64, _>(0)? - count)
        .bind(count)
        .bind(packed)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

impl Store {
    /// Adds what an agent reports, of which it has reported `first` before. What is there already is not added again, so a report may come
    /// twice. How much of it there is now.
    ///
    /// # Errors
    /// There is no such run.
    pub async fn report(&self, run: RunId, first: u64, items: &[Item]) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        // Holds the run for this transaction.
        let row = sqlx::query("UPDATE runs SET reported = reported WHERE id = $1 RETURNING reported");
        let row = row.bind(signed(run.0)).fetch_optional(&mut *tx).await?;
        let row = row.ok_or_else(|| StoreError::Missing { what: "run", name: run.to_string() })?;
        let has = unsigned(row.try_get(0)?);
        // What an older state of the database had is gone; the log says so, and goes on.
        let lost = first.saturating_sub(has);
        if lost > 0 {
            let (at, source) = (first_time(items), LogSource::System);
            let text = format!("{lost} lines and events are missing here: the server's store has lost them");
            append(&mut tx, run, std::iter::once(&LogLine { at, step: None, stage: None, source, text })).await?;
        }
        let has = has + lost;
        let known = has - first;
        let new = items.get(usize::try_from(known).unwrap_or(usize::MAX)..).unwrap_or_default();
        append(&mut tx, run, new.iter().filter_map(|item| if let Item::Line(line) = item { Some(line) } else { None }))
            .await?;
        for item in new {
            if let Item::Event { at, event } = item {
                happened(&mut tx, run, *at, event).await?;
            }
        }
        let total = has + new.len() as u64;
        let change = sqlx::query("UPDATE runs SET reported = $1 WHERE id = $2");
        change.bind(signed(total)).bind(signed(run.0)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(total)
    }

    /// How much of a run was reported by its agents.
    ///
    /// # Errors
    /// The database.
    pub async fn reported(&self, run: RunId) -> Result<u64, StoreError> {
        let row =
            sqlx::query("SELECT reported FROM runs WHERE id = $1").bind(signed(run.0)).fetch_one(&self.pool).await?;
        Ok(unsigned(row.try_get(0)?))
    }

    /// Lines from number `from` on, at least one and about `most` of them, if there are any.
    ///
    /// # Errors
    /// The database, or a chunk is damaged.
    pub async fn log(&self, run: RunId, from: u64, most: usize) -> Result<Vec<LogLine>, StoreError> {
        let mut lines = Vec::new();
        let mut next = from;
        while lines.len() < most {
            let row = sqlx::query(
                "SELECT first_line, content FROM log_chunks WHERE run_id = $1 AND first_line <= $2 AND first_line + lines > $2",
            );
            let Some(row) = row.bind(signed(run.0)).bind(signed(next)).fetch_optional(&self.pool).await? else { break };
            let (first, packed) = (unsigned(row.try_get(0)?), row.try_get::<Vec<u8>, _>(1)?);
            let text = zstd::bulk::decompress(&packed, MOST_BYTES)
                .map_err(|error| StoreError::Damaged { what: "a chunk of a log", reason: error.to_string() })?;
            let skip = usize::try_from(next - first).unwrap_or(usize::MAX);
            for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).skip(skip) {
                lines.push(serde_json::from_slice(line).map_err(StoreError::damaged("a line"))?);
                next += 1;
            }
        }
        lines.truncate(most);
        Ok(lines)
    }
}

fn first_time(items: &[Item]) -> u64 {
    items.first().map_or(0, |item| match item {
        Item::Line(line) => line.at,
        Item::Event { at, .. } => *at,
    })
}
