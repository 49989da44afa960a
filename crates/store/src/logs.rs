//! Logs: lines in chunks, compressed, found by their number.

use std::cell::RefCell;

use model::event::LogSource;
use model::ids::{JobId, RunId};
use sqlx::{Any, Row as _, Transaction};
use wire::agent::{Item, LogLine};
use zstd::bulk::Compressor;

use crate::journal::happened;
use crate::{Store, StoreError, signed, unsigned};

/// As zstd counts: what comes in keeps up with what programs write.
const LEVEL: i32 = 1;
/// A chunk that has so many bytes is full.
const CHUNK_BYTES: usize = 1 << 20;
/// The most that a chunk may hold when it is unpacked, in bytes: a full one and the longest line.
const MOST_BYTES: usize = 2 * CHUNK_BYTES + wire::engine::MAX_LINE_BYTES;

/// Lines that are packed.
struct Chunk {
    lines: i64,
    content: Vec<u8>,
}

thread_local! {
    /// What packs, and room for what is packed: both are large, and are used time and again.
    static PACKER: RefCell<(Compressor<'static>, Vec<u8>)> = RefCell::default();
}

/// One line at least in each chunk, and then no more than can be read again at once.
fn packed<'a>(lines: impl Iterator<Item = &'a LogLine>) -> Result<Vec<Chunk>, StoreError> {
    PACKER.with_borrow_mut(|(compressor, bytes)| {
        compressor.set_compression_level(LEVEL).map_err(damaged)?;
        let mut chunks = Vec::new();
        let mut lines = lines.peekable();
        while lines.peek().is_some() {
            bytes.clear();
            let mut count = 0;
            for LogLine { at, step, stage, source, text } in lines.by_ref() {
                // As postcard has the whole line, but that it copies text byte by byte.
                let head = (at, step, stage, source, text.len());
                *bytes = postcard::to_extend(&head, std::mem::take(bytes)).map_err(damaged)?;
                bytes.extend_from_slice(text.as_bytes());
                count += 1;
                if bytes.len() > CHUNK_BYTES {
                    break;
                }
            }
            chunks.push(Chunk { lines: count, content: compressor.compress(bytes).map_err(damaged)? });
            // Of a line that is longer than a chunk nothing stays.
            bytes.shrink_to(2 * CHUNK_BYTES);
        }
        Ok(chunks)
    })
}

fn damaged(error: impl ToString) -> StoreError {
    StoreError::Damaged { what: "a chunk of a log", reason: error.to_string() }
}

/// Adds lines to a log within the change that they belong to.
pub(crate) async fn append(
    tx: &mut Transaction<'static, Any>,
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
async fn insert(
    tx: &mut Transaction<'static, Any>,
    run: RunId,
    mut first: i64,
    chunks: Vec<Chunk>,
) -> Result<(), StoreError> {
    for Chunk { lines, content } in chunks {
        sqlx::query("INSERT INTO log_chunks (run_id, first_line, lines, content, format) VALUES ($1, $2, $3, $4, 1)")
            .bind(signed(run.0))
            .bind(first)
            .bind(lines)
            .bind(content)
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

    /// Lines from number `from` on, at least one and about `most` of them, if there are any.
    ///
    /// # Errors
    /// The database, or a chunk is damaged.
    pub async fn log(&self, run: RunId, from: u64, most: usize) -> Result<Vec<LogLine>, StoreError> {
        let mut lines = Vec::new();
        let mut next = from;
        while lines.len() < most {
            let row = sqlx::query(
                "SELECT first_line, content, format FROM log_chunks WHERE run_id = $1 AND first_line <= $2 AND first_line + lines > $2",
            );
            let Some(row) = row.bind(signed(run.0)).bind(signed(next)).fetch_optional(&self.pool).await? else { break };
            let (mut first, packed) = (unsigned(row.try_get(0)?), row.try_get::<Vec<u8>, _>(1)?);
            let content = zstd::bulk::decompress(&packed, MOST_BYTES).map_err(damaged)?;
            for line in unpacked(&content, row.try_get(2)?)? {
                if first == next {
                    lines.push(line);
                    next += 1;
                }
                first += 1;
            }
        }
        lines.truncate(most);
        Ok(lines)
    }
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
