//! Logs: lines in chunks, compressed, found by their number. What comes is in rows; [`log_blobs`](crate::log_blobs) takes it from there.

use std::cell::RefCell;
use std::ops::Range;

use model::event::LogSource;
use model::ids::{JobId, RunId};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use wire::agent::{Item, LogLine};
use zstd::bulk::Compressor;

use crate::journal::happened;
use crate::write::Change;
use crate::{Store, StoreError, signed, unsigned};

/// As zstd counts: what comes in keeps up with what programs write.
const LEVEL: i32 = 1;
/// A chunk that has so many bytes is full.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// How lines are packed now; 0: a line of JSON for each.
pub(crate) const FORMAT: i64 = 1;
/// The most that a chunk may hold when it is unpacked, in bytes: a full one and the longest line.
const MOST_BYTES: usize = 2 * CHUNK_BYTES + wire::engine::MAX_LINE_BYTES;

/// Lines that are packed.
struct Packed {
    lines: i64,
    content: Vec<u8>,
}

/// Some lines of a log, and where they are.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Number of its first line.
    pub first: u64,
    /// How many lines it has.
    pub count: u64,
    /// Where its content is.
    pub place: ChunkPlace,
    format: i64,
}

/// Where the content of a chunk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkPlace {
    /// Here.
    Row(Vec<u8>),
    /// In a blob.
    Blob {
        /// Its name.
        key: String,
        /// Which of its bytes.
        range: Range<u64>,
    },
}

impl Chunk {
    /// Its lines, of its content.
    ///
    /// # Errors
    /// That is damaged.
    pub fn lines(&self, content: &[u8]) -> Result<Vec<LogLine>, StoreError> {
        unpacked(&bare(content)?, self.format)
    }

    /// Its lines as they are packed together, of its content.
    pub(crate) fn plain(&self, content: &[u8]) -> Result<Vec<u8>, StoreError> {
        let bare = bare(content)?;
        if self.format == FORMAT { Ok(bare) } else { plain(unpacked(&bare, self.format)?.iter()) }
    }
}

fn bare(content: &[u8]) -> Result<Vec<u8>, StoreError> {
    zstd::bulk::decompress(content, MOST_BYTES).map_err(damaged)
}

fn plain<'a>(lines: impl Iterator<Item = &'a LogLine>) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    for line in lines {
        write_line(&mut bytes, line)?;
    }
    Ok(bytes)
}

/// As postcard has the whole line, but that it copies text byte by byte.
fn write_line(bytes: &mut Vec<u8>, line: &LogLine) -> Result<(), StoreError> {
    let LogLine { at, step, stage, source, text } = line;
    *bytes = postcard::to_extend(&(at, step, stage, source, text.len()), std::mem::take(bytes)).map_err(damaged)?;
    bytes.extend_from_slice(text.as_bytes());
    Ok(())
}

thread_local! {
    /// What packs, and room for what is packed: both are large, and are used time and again.
    static PACKER: RefCell<(Compressor<'static>, Vec<u8>)> = RefCell::default();
}

/// One line at least in each chunk, and then no more than can be read again at once.
fn packed<'a>(lines: impl Iterator<Item = &'a LogLine>) -> Result<Vec<Packed>, StoreError> {
    PACKER.with_borrow_mut(|(compressor, bytes)| {
        compressor.set_compression_level(LEVEL).map_err(damaged)?;
        let mut chunks = Vec::new();
        let mut lines = lines.peekable();
        while lines.peek().is_some() {
            bytes.clear();
            let mut count = 0;
            for line in lines.by_ref() {
                write_line(bytes, line)?;
                count += 1;
                if bytes.len() > CHUNK_BYTES {
                    break;
                }
            }
            chunks.push(Packed { lines: count, content: compressor.compress(bytes).map_err(damaged)? });
            // Of a line that is longer than a chunk nothing stays.
            bytes.shrink_to(2 * CHUNK_BYTES);
        }
        Ok(chunks)
    })
}

pub(crate) fn damaged(error: impl ToString) -> StoreError {
    StoreError::Damaged { what: "a chunk of a log", reason: error.to_string() }
}

/// Adds lines to a log within the change that they belong to.
pub(crate) async fn append(
    tx: &mut Change,
    run: RunId,
    lines: impl Iterator<Item = &LogLine>,
) -> Result<(), StoreError> {
    let chunks = packed(lines)?;
    let count: i64 = chunks.iter().map(|chunk| chunk.lines).sum();
    if count == 0 {
        return Ok(());
    }
    let row =
        sqlx::query("UPDATE runs SET lines = lines + $1 WHERE id = $2 RETURNING lines").bind(count).bind(signed(run.0));
    let row = row.fetch_optional(&mut **tx).await?;
    let row = row.ok_or_else(|| StoreError::Missing { what: "run", name: run.to_string() })?;
    insert(tx, run, row.try_get::<i64, _>(0)? - count, chunks).await
}

/// Adds chunks behind the lines that there are.
async fn insert(tx: &mut Change, run: RunId, mut first: i64, chunks: Vec<Packed>) -> Result<(), StoreError> {
    for Packed { lines, content } in chunks {
        sqlx::query("INSERT INTO log_chunks (run_id, first_line, lines, content, format) VALUES ($1, $2, $3, $4, $5)")
            .bind(signed(run.0))
            .bind(first)
            .bind(lines)
            .bind(content)
            .bind(FORMAT)
            .execute(&mut **tx)
            .await?;
        first += lines;
    }
    Ok(())
}

impl Store {
    /// Adds what an agent reports, of which it has reported `first` before. What is there already is not added again, so a report may come
    /// twice. How much of it there is now.
    ///
    /// # Errors
    /// There is no such run.
    pub async fn report(&self, run: RunId, first: u64, items: &[Item]) -> Result<u64, StoreError> {
        self.report_of(run, None, first, items).await
    }

    /// The same under the lease of a job that is at another agent than its run: that counts for itself.
    ///
    /// # Errors
    /// There is no such run, or no such job of it any more.
    pub async fn report_of(
        &self,
        run: RunId,
        job: Option<JobId>,
        first: u64,
        items: &[Item],
    ) -> Result<u64, StoreError> {
        // As nearly always; and while nobody waits for the database.
        let mut chunks = packed(lines(items))?;
        let mut tx = self.write().await?;
        // Holds the run for this transaction.
        let row = sqlx::query("UPDATE runs SET reported = reported WHERE id = $1 RETURNING reported, lines");
        let row = row.bind(signed(run.0)).fetch_optional(&mut *tx).await?;
        let row = row.ok_or_else(|| StoreError::Missing { what: "run", name: run.to_string() })?;
        let (of_run, first_line) = (unsigned(row.try_get(0)?), row.try_get::<i64, _>(1)?);
        let has = match job {
            None => of_run,
            Some(job) => {
                let row = sqlx::query("SELECT reported FROM elsewhere WHERE run_id = $1 AND job = $2");
                let row = row.bind(signed(run.0)).bind(signed(job.0)).fetch_optional(&mut *tx).await?;
                let row = row.ok_or_else(|| StoreError::Missing { what: "job", name: format!("{job} of {run}") })?;
                unsigned(row.try_get(0)?)
            }
        };
        // What an older state of the database had is gone; the log says so, and goes on.
        let lost = first.saturating_sub(has);
        let note = (lost > 0).then(|| LogLine {
            at: first_time(items),
            step: None,
            stage: None,
            source: LogSource::System,
            text: format!("{lost} lines and events are missing here: the server's store has lost them"),
        });
        let has = has + lost;
        let known = has - first;
        let new = items.get(usize::try_from(known).unwrap_or(usize::MAX)..).unwrap_or_default();
        if lost > 0 || known > 0 {
            chunks = packed(note.iter().chain(lines(new)))?;
        }
        let lines = first_line + chunks.iter().map(|chunk| chunk.lines).sum::<i64>();
        insert(&mut tx, run, first_line, chunks).await?;
        for item in new {
            if let Item::Event { at, event } = item {
                happened(&mut tx, run, *at, event).await?;
            }
        }
        let total = has + new.len() as u64;
        let change = sqlx::query("UPDATE runs SET reported = $1, lines = $2 WHERE id = $3");
        let total_of_run = if job.is_some() { of_run } else { total };
        change.bind(signed(total_of_run)).bind(lines).bind(signed(run.0)).execute(&mut *tx).await?;
        if let Some(job) = job {
            let change = sqlx::query("UPDATE elsewhere SET reported = $1 WHERE run_id = $2 AND job = $3");
            change.bind(signed(total)).bind(signed(run.0)).bind(signed(job.0)).execute(&mut *tx).await?;
        }
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

    /// The chunk that has this line, if there is one.
    ///
    /// # Errors
    /// The database.
    pub async fn chunk(&self, run: RunId, line: u64) -> Result<Option<Chunk>, StoreError> {
        let row = sqlx::query(
            "SELECT first_line, lines, content, format, key, at_byte, bytes FROM log_chunks \
             WHERE run_id = $1 AND first_line <= $2 AND first_line + lines > $2 ORDER BY first_line DESC LIMIT 1",
        );
        let row = row.bind(signed(run.0)).bind(signed(line)).fetch_optional(&self.pool).await?;
        row.as_ref().map(chunk).transpose()
    }
}

/// A chunk of these columns.
pub(crate) fn chunk(row: &AnyRow) -> Result<Chunk, StoreError> {
    let (at, bytes) = (unsigned(row.try_get(5)?), unsigned(row.try_get(6)?));
    let place = match row.try_get::<Option<String>, _>(4)? {
        Some(key) => ChunkPlace::Blob { key, range: at..at.saturating_add(bytes) },
        None => ChunkPlace::Row(row.try_get(2)?),
    };
    Ok(Chunk { first: unsigned(row.try_get(0)?), count: unsigned(row.try_get(1)?), place, format: row.try_get(3)? })
}

/// What a chunk holds. Those of before `format` was are of 0.
fn unpacked(content: &[u8], format: i64) -> Result<Vec<LogLine>, StoreError> {
    if format == 0 {
        let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        return lines.map(|line| serde_json::from_slice(line).map_err(StoreError::damaged("a line"))).collect();
    }
    let (mut lines, mut rest) = (Vec::new(), content);
    while !rest.is_empty() {
        let (line, after) = postcard::take_from_bytes::<LogLine>(rest).map_err(damaged)?;
        lines.push(line);
        rest = after;
    }
    Ok(lines)
}

fn lines(items: &[Item]) -> impl Iterator<Item = &LogLine> {
    items.iter().filter_map(|item| if let Item::Line(line) = item { Some(line) } else { None })
}

fn first_time(items: &[Item]) -> u64 {
    items.first().map_or(0, |item| match item {
        Item::Line(line) => line.at,
        Item::Event { at, .. } => *at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_before_are_read() {
        let line =
            |text: &str| LogLine { at: 7, step: None, stage: None, source: LogSource::Stdout, text: text.into() };
        let all = [line("one"), line("two")];
        let before: String = all.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
        assert_eq!(unpacked(before.as_bytes(), 0).unwrap(), all);
        let chunk = packed(all.iter()).unwrap().remove(0);
        let now = zstd::bulk::decompress(&chunk.content, MOST_BYTES).unwrap();
        assert_eq!((chunk.lines, unpacked(&now, 1).unwrap()), (2, all.to_vec()));
    }
}
