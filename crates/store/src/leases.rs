//! Which agent has a run: given to one, taken from it, and when one that waits goes to any.

use model::ids::RunId;
use model::rung::Needs;
use serde_json::json;
use sqlx::Row as _;
use wire::engine::Input;

use crate::audit::record;
use crate::journal::put_input;
use crate::{Actor, Millis, Store, StoreError, signed, unsigned};

impl Store {
    /// Gives a run to an agent, or to another one. The epoch of its lease. When it wakes is known of it only where it does so now: because it is time, or
    /// because somebody wants it to end.
    ///
    /// # Errors
    /// It has ended, or has another epoch than `epoch`: somebody else was faster.
    pub async fn lease_run(&self, id: RunId, epoch: u64, agent: u64, now: Millis) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let row = sqlx::query(
            "UPDATE runs SET epoch = epoch + 1, agent_id = $1, status = 'running', started_ms = COALESCE(started_ms, $2), \
             wakes_ms = CASE WHEN abort_reason IS NOT NULL THEN 0 WHEN wakes_ms <= $2 THEN wakes_ms END, report = CASE WHEN reports = 1 THEN 'running' END \
             WHERE id = $3 AND epoch = $4 AND status <> 'done' RETURNING epoch, wakes_ms",
        )
        .bind(signed(agent))
        .bind(signed(now))
        .bind(signed(id.0))
        .bind(signed(epoch))
        .fetch_optional(&mut *tx)
        .await?;
        let row = row.ok_or_else(|| StoreError::Stale { what: id.to_string() })?;
        let (epoch, wakes_at) = (unsigned(row.try_get(0)?), row.try_get::<Option<i64>, _>(1)?);
        record(
            &mut tx,
            now,
            &Actor::server(),
            "run.lease",
            &id.to_string(),
            &json!({ "agent": agent, "epoch": epoch, "wakes_at": wakes_at }),
        )
        .await?;
        tx.commit().await?;
        Ok(epoch)
    }

    /// Takes a run from its agent, answers what nobody answers any more, and puts it into the queue again, where it goes to any agent from
    /// `wakes_at` on.
    ///
    /// # Errors
    /// It has ended, or has another epoch.
    pub async fn requeue_run(
        &self,
        id: RunId,
        epoch: u64,
        answers: &[Input],
        wakes_at: Option<Millis>,
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let change = sqlx::query(
            "UPDATE runs SET epoch = epoch + 1, agent_id = NULL, status = 'queued', wakes_ms = $3 \
             WHERE id = $1 AND epoch = $2 AND status = 'running'",
        );
        let change = change.bind(signed(id.0)).bind(signed(epoch)).bind(wakes_at.map(signed));
        if change.execute(&mut *tx).await?.rows_affected() != 1 {
            return Err(StoreError::Stale { what: id.to_string() });
        }
        let row =
            sqlx::query("SELECT COUNT(*) FROM inputs WHERE run_id = $1").bind(signed(id.0)).fetch_one(&mut *tx).await?;
        let first: i64 = row.try_get(0)?;
        for (seq, answer) in (first..).zip(answers) {
            put_input(&mut tx, id, seq, answer).await?;
        }
        crate::elsewhere::forget(&mut tx, id).await?;
        record(&mut tx, now, &Actor::server(), "run.requeue", &id.to_string(), &json!({ "epoch": epoch + 1 })).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A run for which nothing is done leaves its agent, which has not what it needs, and waits for another; from `wakes_at` on for any.
    ///
    /// # Errors
    /// Its lease is another one.
    pub async fn move_run(
        &self,
        id: RunId,
        epoch: u64,
        needs: &Needs,
        wakes_at: Option<Millis>,
        now: Millis,
    ) -> Result<(), StoreError> {
        let text = serde_json::to_string(needs).map_err(StoreError::damaged("a run"))?;
        let detail = json!({ "epoch": epoch + 1, "needs": needs });
        self.take_back(id, epoch, ("needs = $3", &text), wakes_at, ("run.move", &detail), now).await
    }

    /// Takes a run for which nothing is done from its agent, and puts it back into the queue with something changed: `$3` of what is set is the value.
    pub(crate) async fn take_back(
        &self,
        id: RunId,
        epoch: u64,
        (set, value): (&'static str, &str),
        wakes_at: Option<Millis>,
        (action, detail): (&'static str, &serde_json::Value),
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let text = format!(
            "UPDATE runs SET epoch = epoch + 1, agent_id = NULL, status = 'queued', leaves = NULL, wakes_ms = $4, {set} WHERE id = $1 AND epoch = $2 AND status = 'running'"
        );
        let change = sqlx::query(sqlx::AssertSqlSafe(text)).bind(signed(id.0)).bind(signed(epoch)).bind(value);
        let change = change.bind(wakes_at.map(signed));
        if change.execute(&mut *tx).await?.rows_affected() != 1 {
            return Err(StoreError::Stale { what: id.to_string() });
        }
        crate::elsewhere::forget(&mut tx, id).await?;
        record(&mut tx, now, &Actor::server(), action, &id.to_string(), detail).await?;
        tx.commit().await?;
        Ok(())
    }
}
