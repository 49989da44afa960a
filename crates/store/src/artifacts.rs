//! Files that runs have archived: what there is, and which blob each is.
//!
//! A blob and its row cannot be made in one change, so every blob is spare before it is written and until its row is there, and again from
//! the change on that takes its row away. Whoever removes the spare ones loses nothing, and leaves nothing, whenever the server is killed.

use model::ids::RunId;
use sqlx::{Any, Row as _, Transaction};

use crate::{Millis, Store, StoreError, signed, unsigned};

/// A file that a run has archived.
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

/// An agent that says that it has a run.
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
    #[error("a run has at most {files} artifacts with {bytes} bytes")]
    TooMuch {
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

/// Whether the run is this holder's, and how many files and bytes it has. Holds the run for this transaction.
async fn held(tx: &mut Transaction<'static, Any>, of: Holder) -> Result<Result<(u64, u64), NotKept>, StoreError> {
    let row = sqlx::query(
        "UPDATE runs SET reported = reported WHERE id = $1 RETURNING status, epoch, agent_id, artifact_files, artifact_bytes",
    );
    let Some(row) = row.bind(signed(of.run.0)).fetch_optional(&mut **tx).await? else { return Ok(Err(NotKept::NoRun)) };
    let (status, epoch, agent): (String, i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(match agent {
        Some(agent) if unsigned(agent) != of.agent => Err(NotKept::NotItsOwn),
        None if unsigned(epoch) == 0 => Err(NotKept::NotItsOwn),
        _ if unsigned(epoch) != of.epoch || status != "running" => Err(NotKept::Over),
        _ => Ok((unsigned(row.try_get(3)?), unsigned(row.try_get(4)?))),
    })
}

async fn spare(tx: &mut Transaction<'static, Any>, key: &str, now: Millis) -> Result<(), StoreError> {
    let add = sqlx::query("INSERT INTO spare_blobs (key, at_ms) VALUES ($1, $2)");
    add.bind(key.to_owned()).bind(signed(now)).execute(&mut **tx).await?;
    Ok(())
}

/// What a run has archived is spare, within the change that forgets the run.
pub(crate) async fn forget(tx: &mut Transaction<'static, Any>, run: i64, now: Millis) -> Result<(), StoreError> {
    let text = "INSERT INTO spare_blobs (key, at_ms) SELECT key, $2 FROM artifacts WHERE run_id = $1";
    sqlx::query(text).bind(run).bind(signed(now)).execute(&mut **tx).await?;
    sqlx::query("DELETE FROM artifacts WHERE run_id = $1").bind(run).execute(&mut **tx).await?;
    Ok(())
}

impl Store {
    /// A file is to come, as this blob. How many bytes it may have.
    ///
    /// # Errors
    /// The database; within: why it is not to come.
    pub async fn begin_artifact(
        &self,
        of: Holder,
        key: &str,
        limits: &ArtifactLimits,
        now: Millis,
    ) -> Result<Result<u64, NotKept>, StoreError> {
        let mut tx = self.write().await?;
        let most = match held(&mut tx, of).await? {
            Ok((_, bytes)) => limits.file_bytes.min(limits.run_bytes.saturating_sub(bytes)),
            Err(reason) => return Ok(Err(reason)),
        };
        spare(&mut tx, key, now).await?;
        tx.commit().await?;
        Ok(Ok(most))
    }

    /// A file has come: it is the run's, in the place of an earlier one with that path.
    ///
    /// # Errors
    /// The database; within: why it is not kept.
    pub async fn keep_artifact(
        &self,
        of: Holder,
        new: &Artifact,
        limits: &ArtifactLimits,
    ) -> Result<Result<(), NotKept>, StoreError> {
        let mut tx = self.write().await?;
        let (mut files, mut bytes) = match held(&mut tx, of).await? {
            Ok(has) => has,
            Err(reason) => return Ok(Err(reason)),
        };
        let old = sqlx::query("DELETE FROM artifacts WHERE run_id = $1 AND path = $2 RETURNING key, bytes");
        if let Some(row) = old.bind(signed(of.run.0)).bind(new.path.clone()).fetch_optional(&mut *tx).await? {
            files -= 1;
            bytes -= unsigned(row.try_get(1)?);
            spare(&mut tx, &row.try_get::<String, _>(0)?, new.at).await?;
        }
        (files, bytes) = (files + 1, bytes.saturating_add(new.bytes));
        if files > limits.run_files || bytes > limits.run_bytes {
            return Ok(Err(NotKept::TooMuch { files: limits.run_files, bytes: limits.run_bytes }));
        }
        let add = "INSERT INTO artifacts (run_id, path, bytes, sha256, key, at_ms) VALUES ($1, $2, $3, $4, $5, $6)";
        sqlx::query(add)
            .bind(signed(of.run.0))
            .bind(new.path.clone())
            .bind(signed(new.bytes))
            .bind(new.sha256.clone())
            .bind(new.key.clone())
            .bind(signed(new.at))
            .execute(&mut *tx)
            .await?;
        let change = sqlx::query("UPDATE runs SET artifact_files = $1, artifact_bytes = $2 WHERE id = $3");
        change.bind(signed(files)).bind(signed(bytes)).bind(signed(of.run.0)).execute(&mut *tx).await?;
        let used = sqlx::query("DELETE FROM spare_blobs WHERE key = $1").bind(new.key.clone());
        if used.execute(&mut *tx).await?.rows_affected() != 1 {
            // Somebody has removed the blob meanwhile.
            return Ok(Err(NotKept::Over));
        }
        tx.commit().await?;
        Ok(Ok(()))
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
