//! What is forgotten: old runs, with their logs and what they archived. What was done to them stays in the audit.

use serde_json::json;
use sqlx::Row as _;

use crate::audit::record;
use crate::projects::ProjectId;
use crate::{Actor, Millis, Store, StoreError, signed};

/// Tables with rows of a run. What asked for it stays known, so that it does not ask for another.
const OF_RUNS: [&str; 5] = ["inputs", "requests", "events", "log_chunks", "tests"];

fn within(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Store {
    /// Forgets runs of a project that ended before `before`, and those that are not among its last `most`; at most `limit` at once, the
    /// oldest first. How many.
    ///
    /// # Errors
    /// The database.
    pub async fn forget_runs(
        &self,
        project: ProjectId,
        before: Option<Millis>,
        most: Option<u64>,
        limit: u32,
        now: Millis,
    ) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let text = "SELECT r.id, r.number FROM runs r JOIN projects p ON p.id = r.project_id \
             WHERE r.project_id = $1 AND r.status = 'done' AND r.report IS NULL AND (r.ended_ms < $2 OR r.number <= p.last_number - $3) ORDER BY r.id LIMIT $4";
        let rows = sqlx::query(text)
            .bind(signed(project.0))
            .bind(before.map_or(-1, within))
            .bind(most.map_or(i64::MAX, within))
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await?;
        let mut numbers = Vec::with_capacity(rows.len());
        for row in &rows {
            let id: i64 = row.try_get(0)?;
            crate::artifacts::forget(&mut tx, id, now).await?;
            for table in OF_RUNS {
                let text = format!("DELETE FROM {table} WHERE run_id = $1");
                sqlx::query(sqlx::AssertSqlSafe(text)).bind(id).execute(&mut *tx).await?;
            }
            sqlx::query("DELETE FROM runs WHERE id = $1").bind(id).execute(&mut *tx).await?;
            numbers.push(row.try_get::<i64, _>(1)?);
        }
        if !numbers.is_empty() {
            let detail = json!({ "runs": numbers });
            record(&mut tx, now, &Actor::server(), "run.forget", &format!("project {}", project.0), &detail).await?;
        }
        tx.commit().await?;
        Ok(numbers.len() as u64)
    }
}
