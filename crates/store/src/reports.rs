//! What forges are to be told of runs: written down in the change that it is about, and gone when the forge has heard it.

use model::ids::RunId;
use serde_json::json;
use sqlx::Row as _;

use crate::audit::record;
use crate::{Actor, Millis, Store, StoreError, signed, unsigned};

impl Store {
    /// Runs of which a forge is to be told something, with the word of it, the oldest first. It is told of commits.
    ///
    /// # Errors
    /// The database.
    pub async fn to_report(&self, limit: u32) -> Result<Vec<(RunId, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, report FROM runs WHERE report IS NOT NULL AND commit_id IS NOT NULL ORDER BY id LIMIT $1",
        );
        let rows = rows.bind(i64::from(limit)).fetch_all(&self.pool).await?;
        let mut reports = Vec::with_capacity(rows.len());
        for row in rows {
            reports.push((RunId(unsigned(row.try_get(0)?)), row.try_get(1)?));
        }
        Ok(reports)
    }

    /// The forge has heard this, or will never hear it. What has happened meanwhile is still to be told.
    ///
    /// # Errors
    /// The database.
    pub async fn reported_state(&self, run: RunId, word: &str, now: Millis) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let change = sqlx::query("UPDATE runs SET report = NULL WHERE id = $1 AND report = $2");
        let change = change.bind(signed(run.0)).bind(word.to_owned());
        if change.execute(&mut *tx).await?.rows_affected() > 0 {
            let detail = json!({ "state": word });
            record(&mut tx, now, &Actor::server(), "run.report", &run.to_string(), &detail).await?;
        }
        tx.commit().await
    }

    /// The number of the check that GitHub has of a run.
    ///
    /// # Errors
    /// The database.
    pub async fn check_of(&self, run: RunId) -> Result<Option<u64>, StoreError> {
        let row = sqlx::query("SELECT check_id FROM runs WHERE id = $1").bind(signed(run.0));
        let row = row.fetch_optional(&self.pool).await?;
        let number = row.map(|row| row.try_get::<Option<i64>, _>(0)).transpose()?.flatten();
        Ok(number.map(unsigned))
    }

    /// GitHub has this check of a run, or none any more.
    ///
    /// # Errors
    /// The database.
    pub async fn has_check(&self, run: RunId, number: Option<u64>, now: Millis) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let change = sqlx::query("UPDATE runs SET check_id = $1 WHERE id = $2");
        let change = change.bind(number.map(signed)).bind(signed(run.0));
        if change.execute(&mut *tx).await?.rows_affected() > 0 {
            let detail = json!({ "check": number });
            record(&mut tx, now, &Actor::server(), "run.check", &run.to_string(), &detail).await?;
        }
        tx.commit().await
    }
}
