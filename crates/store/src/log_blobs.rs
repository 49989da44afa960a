//! Logs that are moved from rows to blobs: those of runs that are over, and what has grown large of the others.
//!
//! A blob has many chunks, one behind the other, each fuller than what agents report at once; a row for each says where. As with files of
//! runs ([`artifacts`](crate::artifacts)), a blob is spare until the rows are there, and the rows that it replaces go in the same change: a
//! line is in one place or the other whenever the server is killed.

use std::ops::Range;

use model::ids::RunId;
use serde_json::json;
use sqlx::Row as _;
use zstd::bulk::Compressor;

use crate::artifacts::spare;
use crate::audit::record;
use crate::logs::{CHUNK_BYTES, Chunk, FORMAT, chunk, damaged};
use crate::write::Change;
use crate::{Actor, ChunkPlace, Millis, Store, StoreError, signed, unsigned};

/// As zstd counts: these are kept for long.
const LEVEL: i32 = 3;

/// A chunk as it is in a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Number of its first line.
    pub first: u64,
    /// How many lines it has.
    pub count: u64,
    /// Which bytes of the blob it is.
    pub range: Range<u64>,
}

/// Packs chunks of rows anew, for a blob.
pub struct Repacker {
    compressor: Compressor<'static>,
    plain: Vec<u8>,
    /// Lines that are in `plain`, and the number of the first.
    first: u64,
    count: u64,
    at: u64,
    moved: Vec<Moved>,
}

impl Repacker {
    /// One for a blob.
    ///
    /// # Errors
    /// No room.
    pub fn new() -> Result<Repacker, StoreError> {
        let mut compressor = Compressor::new(LEVEL).map_err(damaged)?;
        compressor.include_checksum(true).map_err(damaged)?;
        Ok(Repacker { compressor, plain: Vec::new(), first: 0, count: 0, at: 0, moved: Vec::new() })
    }

    /// Takes the next chunk of rows. What the blob goes on with, if that has become enough.
    ///
    /// # Errors
    /// The chunk is damaged.
    pub fn add(&mut self, chunk: &Chunk) -> Result<Option<Vec<u8>>, StoreError> {
        let ChunkPlace::Row(content) = &chunk.place else { return Ok(None) };
        let plain = chunk.plain(content)?;
        let is_next = self.first + self.count == chunk.first;
        let full = (!is_next || self.plain.len() + plain.len() > CHUNK_BYTES).then(|| self.rest()).transpose()?;
        if self.count == 0 {
            self.first = chunk.first;
        }
        self.count += chunk.count;
        self.plain.extend_from_slice(&plain);
        Ok(full.flatten())
    }

    /// What the blob ends with, if anything is left.
    ///
    /// # Errors
    /// No room.
    pub fn rest(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        if self.count == 0 {
            return Ok(None);
        }
        let content = self.compressor.compress(&self.plain).map_err(damaged)?;
        let range = self.at..self.at + content.len() as u64;
        self.at = range.end;
        self.moved.push(Moved { first: self.first, count: std::mem::take(&mut self.count), range });
        self.plain.clear();
        Ok(Some(content))
    }

    /// What the blob has: its chunks.
    pub fn moved(self) -> Vec<Moved> {
        self.moved
    }
}

/// The blobs of a run's log are spare, within the change that forgets it.
pub(crate) async fn forget(tx: &mut Change, run: i64, now: Millis) -> Result<(), StoreError> {
    let text = "INSERT INTO spare_blobs (key, at_ms) SELECT DISTINCT key, CAST($2 AS BIGINT) FROM log_chunks WHERE run_id = $1 AND key IS NOT NULL";
    sqlx::query(text).bind(run).bind(signed(now)).execute(&mut **tx).await?;
    Ok(())
}

impl Store {
    /// Runs behind that one that have lines in rows, and are over, or have more than so many bytes there.
    ///
    /// # Errors
    /// The database.
    pub async fn logs_in_rows(&self, after: RunId, most_bytes: u64, limit: u32) -> Result<Vec<RunId>, StoreError> {
        // Beginning with the rows, of which there are few.
        let text = "SELECT c.run_id FROM log_chunks c CROSS JOIN runs r WHERE r.id = c.run_id AND c.key IS NULL AND c.run_id > $1 \
             GROUP BY c.run_id HAVING MAX(r.status) = 'done' OR SUM(LENGTH(c.content)) > $2 ORDER BY c.run_id LIMIT $3";
        let query = sqlx::query(text).bind(signed(after.0)).bind(signed(most_bytes)).bind(i64::from(limit));
        query.fetch_all(&self.pool).await?.iter().map(|row| Ok(RunId(unsigned(row.try_get(0)?)))).collect()
    }

    /// Chunks of a log that are in rows, from this line on, by their lines.
    ///
    /// # Errors
    /// The database.
    pub async fn chunks_in_rows(&self, run: RunId, from: u64, limit: u32) -> Result<Vec<Chunk>, StoreError> {
        let text = "SELECT first_line, lines, content, format, key, at_byte, bytes FROM log_chunks \
             WHERE run_id = $1 AND first_line >= $2 AND key IS NULL ORDER BY first_line LIMIT $3";
        let query = sqlx::query(text).bind(signed(run.0)).bind(signed(from)).bind(i64::from(limit));
        query.fetch_all(&self.pool).await?.iter().map(chunk).collect()
    }

    /// A blob is to come, which nothing has yet.
    ///
    /// # Errors
    /// The database.
    pub async fn begin_blob(&self, key: &str, now: Millis) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        spare(&mut tx, key, now).await?;
        tx.commit().await
    }

    /// These lines are in that blob now, and in rows no more. False: they were not there any more, and the blob stays spare.
    ///
    /// # Errors
    /// The database.
    pub async fn log_is_moved(&self, run: RunId, key: &str, moved: &[Moved], now: Millis) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        for Moved { first, count, range } in moved {
            let text = "DELETE FROM log_chunks WHERE run_id = $1 AND first_line >= $2 AND first_line < $3 AND key IS NULL RETURNING lines";
            let gone = sqlx::query(text).bind(signed(run.0)).bind(signed(*first)).bind(signed(first + count));
            let gone = gone.fetch_all(&mut *tx).await?;
            let lines: Result<Vec<i64>, _> = gone.iter().map(|row| row.try_get(0)).collect();
            if lines?.iter().sum::<i64>() != signed(*count) {
                return Ok(false);
            }
            let text = "INSERT INTO log_chunks (run_id, first_line, lines, content, format, key, at_byte, bytes) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
            sqlx::query(text)
                .bind(signed(run.0))
                .bind(signed(*first))
                .bind(signed(*count))
                .bind(Vec::new())
                .bind(FORMAT)
                .bind(key.to_owned())
                .bind(signed(range.start))
                .bind(signed(range.end - range.start))
                .execute(&mut *tx)
                .await?;
        }
        let used = sqlx::query("DELETE FROM spare_blobs WHERE key = $1").bind(key.to_owned());
        if used.execute(&mut *tx).await?.rows_affected() != 1 {
            return Ok(false);
        }
        let lines: u64 = moved.iter().map(|moved| moved.count).sum();
        let detail = json!({ "blob": key, "lines": lines });
        record(&mut tx, now, &Actor::server(), "log.move", &run.to_string(), &detail).await?;
        tx.commit().await?;
        Ok(true)
    }
}
