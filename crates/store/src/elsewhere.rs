//! Jobs of a run that are at another agent than the run itself, each under a lease of its own.

use model::ids::{JobId, RunId};
use model::rung::Needs;
use serde_json::json;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::audit::record;
use crate::write::Change;
use crate::{Actor, Millis, Store, StoreError, signed, unsigned};

/// A job that is at another agent than its run.
#[derive(Clone, Debug, PartialEq)]
pub struct Elsewhere {
    /// Which.
    pub job: JobId,
    /// Under whose lease it is: its own, or that of the job whose workspace it shares.
    pub root: JobId,
    /// What that needs of an agent.
    pub needs: Needs,
    /// Where it is; `None`: it waits for a place.
    pub agent: Option<u64>,
    /// That agent did not come back: nothing is done for it any more.
    pub is_lost: bool,
    /// Nothing is done for it any more, because its run has let go of it.
    pub is_over: bool,
    /// How much was reported under its lease.
    pub reported: u64,
}

fn elsewhere(row: &AnyRow) -> Result<Elsewhere, StoreError> {
    let needs: String = row.try_get(2)?;
    Ok(Elsewhere {
        job: JobId(unsigned(row.try_get(0)?)),
        root: JobId(unsigned(row.try_get(1)?)),
        needs: serde_json::from_str(&needs).map_err(StoreError::damaged("a job"))?,
        agent: row.try_get::<Option<i64>, _>(3)?.map(unsigned),
        is_lost: row.try_get::<i64, _>(4)? != 0,
        is_over: row.try_get::<i64, _>(5)? != 0,
        reported: unsigned(row.try_get(6)?),
    })
}

/// A job is to be at another agent, within the change in which it was asked for.
pub(crate) async fn put(tx: &mut Change, run: RunId, job: JobId, root: JobId, needs: &Needs) -> Result<(), StoreError> {
    let text = serde_json::to_string(needs).map_err(StoreError::damaged("a job"))?;
    let add = sqlx::query(
        "INSERT INTO elsewhere (run_id, job, root, needs, is_lost, is_over, reported) VALUES ($1, $2, $3, $4, 0, 0, 0)",
    );
    add.bind(signed(run.0)).bind(signed(job.0)).bind(signed(root.0)).bind(text).execute(&mut **tx).await?;
    Ok(())
}

/// A job has no sandbox any more, or got none, within the change in which that was answered.
pub(crate) async fn over(tx: &mut Change, run: RunId, job: JobId) -> Result<(), StoreError> {
    let change = sqlx::query("UPDATE elsewhere SET is_over = 1 WHERE run_id = $1 AND job = $2");
    change.bind(signed(run.0)).bind(signed(job.0)).execute(&mut **tx).await?;
    Ok(())
}

/// Nothing of a run is elsewhere any more, within the change that says so.
pub(crate) async fn forget(tx: &mut Change, run: RunId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM elsewhere WHERE run_id = $1").bind(signed(run.0)).execute(&mut **tx).await?;
    Ok(())
}

impl Store {
    /// Those of a run, by their numbers.
    ///
    /// # Errors
    /// The database.
    pub async fn elsewhere(&self, run: RunId) -> Result<Vec<Elsewhere>, StoreError> {
        let text = "SELECT job, root, needs, agent_id, is_lost, is_over, reported FROM elsewhere WHERE run_id = $1 ORDER BY job";
        let rows = sqlx::query(text).bind(signed(run.0)).fetch_all(&self.pool).await?;
        rows.iter().map(elsewhere).collect()
    }

    /// An agent has the job.
    ///
    /// # Errors
    /// One has it already, or nobody wants it any more.
    pub async fn lease_job(&self, run: RunId, job: JobId, agent: u64, now: Millis) -> Result<(), StoreError> {
        let change =
            "UPDATE elsewhere SET agent_id = $3 WHERE run_id = $1 AND job = $2 AND agent_id IS NULL AND is_over = 0";
        self.change_job(run, job, (change, Some(agent)), ("run.lease_job", now)).await
    }

    /// Its agent does not come back. What is open of it is answered by whoever asks.
    ///
    /// # Errors
    /// Nobody wants it any more.
    pub async fn lose_job(&self, run: RunId, job: JobId, now: Millis) -> Result<(), StoreError> {
        let change = "UPDATE elsewhere SET is_lost = 1 WHERE run_id = $1 AND job = $2";
        self.change_job(run, job, (change, None), ("run.lose_job", now)).await
    }

    /// It is over, with all that was under its lease, and has said all that it had to say.
    ///
    /// # Errors
    /// It is over already.
    pub async fn end_job(&self, run: RunId, job: JobId, now: Millis) -> Result<(), StoreError> {
        let change = "DELETE FROM elsewhere WHERE run_id = $1 AND root = $2";
        self.change_job(run, job, (change, None), ("run.end_job", now)).await
    }

    async fn change_job(
        &self,
        run: RunId,
        job: JobId,
        (change, agent): (&'static str, Option<u64>),
        (action, now): (&'static str, Millis),
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let change = sqlx::query(change).bind(signed(run.0)).bind(signed(job.0));
        let change = match agent {
            Some(agent) => change.bind(signed(agent)),
            None => change,
        };
        if change.execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(StoreError::Stale { what: format!("{job} of {run}") });
        }
        let detail = json!({ "job": job.0, "agent": agent });
        record(&mut tx, now, &Actor::server(), action, &run.to_string(), &detail).await?;
        tx.commit().await?;
        Ok(())
    }
}
