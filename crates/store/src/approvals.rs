//! Runs that are held, and who answers for them.

use model::ids::RunId;
use serde_json::json;
use sqlx::Row as _;

use crate::audit::record;
use crate::projects::ProjectId;
use crate::runs::clean;
use crate::{Actor, Approved, Millis, Store, StoreError, signed};

impl Store {
    /// A run that has begun nothing leaves its agent, and waits until somebody answers for what it is now.
    ///
    /// # Errors
    /// Its lease is another one.
    pub async fn hold_run(&self, id: RunId, epoch: u64, reason: &str, now: Millis) -> Result<(), StoreError> {
        let detail = json!({ "epoch": epoch + 1, "reason": reason });
        self.take_back(id, epoch, ("held = $3, approved = NULL", &clean(reason)), None, ("run.hold", &detail), now)
            .await
    }

    /// Somebody answers for a run that was held: for this commit, and for what is approved of it where that counts. False: it was not held, or is
    /// of another commit.
    ///
    /// # Errors
    /// The database.
    pub async fn approve_run(
        &self,
        actor: &Actor,
        id: RunId,
        (commit, approved): (Option<&str>, Option<&Approved>),
        now: Millis,
    ) -> Result<bool, StoreError> {
        let text = approved.map(serde_json::to_string).transpose().map_err(StoreError::damaged("what is approved"))?;
        let mut tx = self.write().await?;
        let change = sqlx::query(
            "UPDATE runs SET held = NULL, queued_ms = $2, commit_id = $3, approved = $4 WHERE id = $1 AND held IS NOT NULL \
             AND status = 'queued' AND (commit_id IS NULL OR commit_id = $3)",
        );
        let change = change.bind(signed(id.0)).bind(signed(now)).bind(commit.map(str::to_owned)).bind(text);
        let is_done = change.execute(&mut *tx).await?.rows_affected() == 1;
        if is_done {
            let detail = json!({ "commit": commit, "approved": approved });
            record(&mut tx, now, actor, "run.approve", &id.to_string(), &detail).await?;
        }
        tx.commit().await?;
        Ok(is_done)
    }

    /// Whether a run of this commit was let go, and what somebody has answered for then, of the last one that was.
    ///
    /// # Errors
    /// The database, or what stands there is none.
    pub async fn let_go(&self, project: ProjectId, commit: &str) -> Result<Option<Option<Approved>>, StoreError> {
        let query = sqlx::query(
            "SELECT approved FROM runs WHERE project_id = $1 AND commit_id = $2 AND held IS NULL AND started_ms IS NOT NULL \
             ORDER BY id DESC LIMIT 1",
        );
        let row = query.bind(signed(project.0)).bind(commit).fetch_optional(&self.pool).await?;
        let approved = row.map(|row| row.try_get::<Option<String>, _>(0)).transpose()?;
        let read = |text: String| serde_json::from_str(&text).map_err(StoreError::damaged("a run"));
        approved.map(|text| text.map(read).transpose()).transpose()
    }
}
