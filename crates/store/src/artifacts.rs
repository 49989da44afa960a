//! Files that runs have archived or stashed: what there is, and which blob each is.
//!
//! A blob and its row cannot be made in one change, so every blob is spare before it is written and until its row is there, and again from
//! the change on that takes its row away. Whoever removes the spare ones loses nothing, and leaves nothing, whenever the server is killed.

use model::ids::RunId;
use serde_json::json;
use sqlx::{AnyConnection, Row as _};
use wire::agent::Lease;

use crate::audit::record;
use crate::write::Change;
use crate::{Actor, Millis, Store, StoreError, signed, unsigned};

/// What files of a run are kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    /// People, and other programs.
    Artifacts,
    /// Later jobs of the run, wherever they are. Their paths are the names of the stashes.
    Stashes,
}

/// As it is called, and its table.
impl std::fmt::Display for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Shelf::Artifacts => "artifacts",
            Shelf::Stashes => "stashes",
        })
    }
}

/// A file that a run has archived, or stashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its path, relative: data, and no path of any machine.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its digest, in hexadecimal digits.
    pub sha256: String,
    /// Name of its blob.
    pub key: String,
    /// When it came.
    pub at: Millis,
}

/// An agent that says that it has a run, or a job of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Which run.
    pub run: RunId,
    /// The epoch of its lease.
    pub epoch: u64,
    /// Which agent.
    pub agent: u64,
}

/// What a run's artifacts may come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArtifactLimits {
    /// Size of one file.
    pub file_bytes: u64,
    /// Size of all files of a run.
    pub run_bytes: u64,
    /// How many files.
    pub run_files: u64,
}

/// Why an agent may not add a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// There is none.
    #[error("there is no such run")]
    NoRun,
    /// It is not this agent's.
    #[error("this agent does not have this run")]
    NotItsOwn,
    /// It was this agent's.
    #[error("the lease of this run is over")]
    Over,
    /// The run would have more than it may.
    #[error("a run has at most {files} {what} with {bytes} bytes")]
    TooMuch {
        /// Of what.
        what: Shelf,
        /// So many.
        files: u64,
        /// So large, all together.
        bytes: u64,
    },
}

fn artifact(row: &sqlx::any::AnyRow) -> Result<Artifact, StoreError> {
    Ok(Artifact {
        path: row.try_get(0)?,
        bytes: unsigned(row.try_get(1)?),
        sha256: row.try_get(2)?,
        key: row.try_get(3)?,
        at: unsigned(row.try_get(4)?),
    })
}

/// Whether a run is this holder's, or a job of it, by the run's status, epoch and agent.
async fn holds(
    connection: &mut AnyConnection,
    of: Holder,
    row: &sqlx::any::AnyRow,
) -> Result<Result<(), NotKept>, StoreError> {
    let (status, epoch, agent): (String, i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (epoch, agent) = match (Lease { run: of.run, epoch: of.epoch }).job() {
        None => (unsigned(epoch), agent),
        Some(job) => {
            let text = "SELECT agent_id FROM elsewhere WHERE run_id = $1 AND job = $2 AND agent_id IS NOT NULL AND is_lost = 0";
            let row = sqlx::query(text).bind(signed(of.run.0)).bind(signed(job.0));
            let Some(row) = row.fetch_optional(connection).await? else { return Ok(Err(NotKept::Over)) };
            (of.epoch, row.try_get(0)?)
        }
    };
    Ok(match agent {
        Some(agent) if unsigned(agent) != of.agent => Err(NotKept::NotItsOwn),
        None if epoch == 0 => Err(NotKept::NotItsOwn),
        _ if epoch != of.epoch || status != "running" => Err(NotKept::Over),
        _ => Ok(()),
    })
}

/// Whether the run is this holder's, and how many files and bytes it has there. Holds the run for this transaction.
async fn held(tx: &mut Change, of: Holder, shelf: Shelf) -> Result<Result<(u64, u64), NotKept>, StoreError> {
    let row = sqlx::query(
        "UPDATE runs SET reported = reported WHERE id = $1 RETURNING status, epoch, agent_id, artifact_files, artifact_bytes",
    );
    let Some(row) = row.bind(signed(of.run.0)).fetch_optional(&mut **tx).await? else { return Ok(Err(NotKept::NoRun)) };
    if let Err(reason) = holds(tx, of, &row).await? {
        return Ok(Err(reason));
    }
    if shelf == Shelf::Artifacts {
        return Ok(Ok((unsigned(row.try_get(3)?), unsigned(row.try_get(4)?))));
    }
    let text = "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM stashes WHERE run_id = $1";
    let row = sqlx::query(text).bind(signed(of.run.0)).fetch_one(&mut **tx).await?;
    Ok(Ok((unsigned(row.try_get(0)?), unsigned(row.try_get(1)?))))
}

pub(crate) async fn spare(tx: &mut Change, key: &str, now: Millis) -> Result<(), StoreError> {
    let add = sqlx::query("INSERT INTO spare_blobs (key, at_ms) VALUES ($1, $2)");
    add.bind(key.to_owned()).bind(signed(now)).execute(&mut **tx).await?;
    Ok(())
}

/// What a run has there is spare, within the change that forgets it, but for what another run has too.
pub(crate) async fn forget(tx: &mut Change, shelf: Shelf, run: i64, now: Millis) -> Result<(), StoreError> {
    alone(tx, shelf, run).await?;
    let text = format!(
        "INSERT INTO spare_blobs (key, at_ms) SELECT f.key, $2 FROM {shelf} f WHERE f.run_id = $1 \
         AND NOT EXISTS (SELECT 1 FROM {shelf} o WHERE o.key = f.key AND o.run_id <> $1)"
    );
    sqlx::query(sqlx::AssertSqlSafe(text)).bind(run).bind(signed(now)).execute(&mut **tx).await?;
    let text = format!("DELETE FROM {shelf} WHERE run_id = $1");
    sqlx::query(sqlx::AssertSqlSafe(text)).bind(run).execute(&mut **tx).await?;
    Ok(())
}

/// Nobody else lets go of these blobs, or takes them over, until this change is made: else two of those who have one could each leave it
/// to the other.
async fn alone(tx: &mut Change, shelf: Shelf, run: i64) -> Result<(), StoreError> {
    if shelf == Shelf::Stashes {
        let text = "UPDATE stashes SET bytes = bytes WHERE key IN (SELECT key FROM stashes WHERE run_id = $1)";
        sqlx::query(text).bind(run).execute(&mut **tx).await?;
    }
    Ok(())
}

/// A run has what another one had stashed, within the change that makes it.
pub(crate) async fn take_over(tx: &mut Change, run: i64, from: RunId) -> Result<(), StoreError> {
    alone(tx, Shelf::Stashes, signed(from.0)).await?;
    let text = "INSERT INTO stashes (run_id, path, bytes, sha256, key, at_ms) \
         SELECT $1, path, bytes, sha256, key, at_ms FROM stashes WHERE run_id = $2";
    sqlx::query(text).bind(run).bind(signed(from.0)).execute(&mut **tx).await?;
    Ok(())
}

impl Store {
    /// A file is to come, as this blob. How many bytes it may have.
    ///
    /// # Errors
    /// The database; within: why it is not to come.
    pub async fn begin_file(
        &self,
        shelf: Shelf,
        of: Holder,
        key: &str,
        limits: &ArtifactLimits,
        now: Millis,
    ) -> Result<Result<u64, NotKept>, StoreError> {
        let mut tx = self.write().await?;
        let most = match held(&mut tx, of, shelf).await? {
            Ok((_, bytes)) => limits.file_bytes.min(limits.run_bytes.saturating_sub(bytes)),
            Err(reason) => return tx.rollback().await.map(|()| Err(reason)),
        };
        spare(&mut tx, key, now).await?;
        tx.commit().await?;
        Ok(Ok(most))
    }

    /// A file has come: it is the run's, in the place of an earlier one with that path.
    ///
    /// # Errors
    /// The database; within: why it is not kept.
    pub async fn keep_file(
        &self,
        shelf: Shelf,
        of: Holder,
        new: &Artifact,
        limits: &ArtifactLimits,
    ) -> Result<Result<(), NotKept>, StoreError> {
        let mut tx = self.write().await?;
        let (mut files, mut bytes) = match held(&mut tx, of, shelf).await? {
            Ok(has) => has,
            Err(reason) => return tx.rollback().await.map(|()| Err(reason)),
        };
        alone(&mut tx, shelf, signed(of.run.0)).await?;
        let old = format!("DELETE FROM {shelf} WHERE run_id = $1 AND path = $2 RETURNING key, bytes");
        let old = sqlx::query(sqlx::AssertSqlSafe(old)).bind(signed(of.run.0)).bind(new.path.clone());
        if let Some(row) = old.fetch_optional(&mut *tx).await? {
            files -= 1;
            bytes -= unsigned(row.try_get(1)?);
            let key: String = row.try_get(0)?;
            let others = format!("SELECT 1 FROM {shelf} WHERE key = $1 LIMIT 1");
            let others = sqlx::query(sqlx::AssertSqlSafe(others)).bind(key.clone());
            if others.fetch_optional(&mut *tx).await?.is_none() {
                spare(&mut tx, &key, new.at).await?;
            }
        }
        (files, bytes) = (files + 1, bytes.saturating_add(new.bytes));
        if files > limits.run_files || bytes > limits.run_bytes {
            tx.rollback().await?;
            return Ok(Err(NotKept::TooMuch { what: shelf, files: limits.run_files, bytes: limits.run_bytes }));
        }
        let add =
            format!("INSERT INTO {shelf} (run_id, path, bytes, sha256, key, at_ms) VALUES ($1, $2, $3, $4, $5, $6)");
        sqlx::query(sqlx::AssertSqlSafe(add))
            .bind(signed(of.run.0))
            .bind(new.path.clone())
            .bind(signed(new.bytes))
            .bind(new.sha256.clone())
            .bind(new.key.clone())
            .bind(signed(new.at))
            .execute(&mut *tx)
            .await?;
        if shelf == Shelf::Artifacts {
            let change = sqlx::query("UPDATE runs SET artifact_files = $1, artifact_bytes = $2 WHERE id = $3");
            change.bind(signed(files)).bind(signed(bytes)).bind(signed(of.run.0)).execute(&mut *tx).await?;
        }
        let used = sqlx::query("DELETE FROM spare_blobs WHERE key = $1").bind(new.key.clone());
        if used.execute(&mut *tx).await?.rows_affected() != 1 {
            // Somebody has removed the blob meanwhile.
            return tx.rollback().await.map(|()| Err(NotKept::Over));
        }
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// What a run has there under that path, for who has the run.
    ///
    /// # Errors
    /// The database; within: why it is not told.
    pub async fn own_file(
        &self,
        shelf: Shelf,
        of: Holder,
        path: &str,
    ) -> Result<Result<Option<Artifact>, NotKept>, StoreError> {
        if let Err(reason) = self.is_held(of).await? {
            return Ok(Err(reason));
        }
        let text = format!("SELECT path, bytes, sha256, key, at_ms FROM {shelf} WHERE run_id = $1 AND path = $2");
        let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(signed(of.run.0)).bind(path.to_owned());
        Ok(Ok(query.fetch_optional(&self.pool).await?.as_ref().map(artifact).transpose()?))
    }

    /// What a run has archived behind that path, for who has the run.
    ///
    /// # Errors
    /// The database; within: why it is not told.
    pub async fn own_artifacts(
        &self,
        of: Holder,
        after: &str,
        limit: u32,
    ) -> Result<Result<Vec<Artifact>, NotKept>, StoreError> {
        match self.is_held(of).await? {
            Ok(()) => self.artifacts(of.run, after, limit).await.map(Ok),
            Err(reason) => Ok(Err(reason)),
        }
    }

    /// Whether somebody has a run.
    ///
    /// # Errors
    /// The database; within: why not.
    pub async fn is_held(&self, of: Holder) -> Result<Result<(), NotKept>, StoreError> {
        let row = sqlx::query("SELECT status, epoch, agent_id FROM runs WHERE id = $1").bind(signed(of.run.0));
        let mut connection = self.pool.acquire().await?;
        let Some(row) = row.fetch_optional(&mut *connection).await? else { return Ok(Err(NotKept::NoRun)) };
        holds(&mut connection, of, &row).await
    }

    /// Runs that are over and have stashes still, behind that one.
    ///
    /// # Errors
    /// The database.
    pub async fn ended_with_stashes(&self, after: RunId, limit: u32) -> Result<Vec<RunId>, StoreError> {
        // By the stashes, of which there are few, and not by the runs.
        let text = "SELECT DISTINCT s.run_id FROM stashes s JOIN runs r ON r.id = s.run_id \
             WHERE s.run_id > $1 AND r.status = 'done' ORDER BY s.run_id LIMIT $2";
        let rows = sqlx::query(text).bind(signed(after.0)).bind(i64::from(limit)).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(RunId(unsigned(row.try_get(0)?)))).collect()
    }

    /// Forgets what a run that is over has stashed.
    ///
    /// # Errors
    /// The database.
    pub async fn forget_stashes(&self, run: RunId, now: Millis) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let over = sqlx::query("SELECT id FROM runs WHERE id = $1 AND status = 'done'").bind(signed(run.0));
        if over.fetch_optional(&mut *tx).await?.is_some() {
            forget(&mut tx, Shelf::Stashes, signed(run.0), now).await?;
            record(&mut tx, now, &Actor::server(), "stashes.forget", &run.to_string(), &json!({})).await?;
        }
        tx.commit().await
    }

    /// Files of a run behind that path, by their paths.
    ///
    /// # Errors
    /// The database.
    pub async fn artifacts(&self, run: RunId, after: &str, limit: u32) -> Result<Vec<Artifact>, StoreError> {
        let text = "SELECT path, bytes, sha256, key, at_ms FROM artifacts WHERE run_id = $1 AND path > $2 ORDER BY path LIMIT $3";
        let query = sqlx::query(text).bind(signed(run.0)).bind(after.to_owned()).bind(i64::from(limit));
        query.fetch_all(&self.pool).await?.iter().map(artifact).collect()
    }

    /// A file of a run.
    ///
    /// # Errors
    /// The database.
    pub async fn artifact(&self, run: RunId, path: &str) -> Result<Option<Artifact>, StoreError> {
        let text = "SELECT path, bytes, sha256, key, at_ms FROM artifacts WHERE run_id = $1 AND path = $2";
        let query = sqlx::query(text).bind(signed(run.0)).bind(path.to_owned());
        query.fetch_optional(&self.pool).await?.as_ref().map(artifact).transpose()
    }

    /// Blobs that may be there and that nothing refers to, behind that key; those that are being written too.
    ///
    /// # Errors
    /// The database.
    pub async fn spare_blobs(&self, after: &str, limit: u32) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query("SELECT key FROM spare_blobs WHERE key > $1 ORDER BY key LIMIT $2");
        let rows = query.bind(after.to_owned()).bind(i64::from(limit)).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Whether a blob is spare still.
    ///
    /// # Errors
    /// The database.
    pub async fn is_spare(&self, key: &str) -> Result<bool, StoreError> {
        let query = sqlx::query("SELECT key FROM spare_blobs WHERE key = $1").bind(key.to_owned());
        Ok(query.fetch_optional(&self.pool).await?.is_some())
    }

    /// A spare blob is there no more.
    ///
    /// # Errors
    /// The database.
    pub async fn blob_is_gone(&self, key: &str) -> Result<(), StoreError> {
        self.change(sqlx::query("DELETE FROM spare_blobs WHERE key = $1").bind(key.to_owned())).await.map(drop)
    }
}
