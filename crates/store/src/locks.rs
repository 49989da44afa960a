//! What runs have that no other may have meanwhile, and who waits for it (`lock`); and how far runs of a branch have come (`milestone`).

use std::collections::BTreeSet;

use model::ids::{RequestId, RunId};
use model::lock::{LockWish, Waiting, pass_on};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::write::Change;
use crate::{Millis, Store, StoreError, signed, unsigned};

/// A run, and the request by which it has a lock or waits for one.
pub type Claimant = (RunId, RequestId);

/// How many locks a run has asked for that it has not given back, and how many of them it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockCounts {
    /// With those that it waits for.
    pub all: u64,
    /// Those that it has.
    pub held: u64,
}

/// Nothing of a run is locked any more, within the change that says so.
pub(crate) async fn forget(tx: &mut Change, run: RunId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM locks WHERE run_id = $1").bind(signed(run.0)).execute(&mut **tx).await?;
    Ok(())
}

/// Nobody else takes or leaves a lock until this change is made.
async fn alone(tx: &mut Change) -> Result<(), StoreError> {
    let text = "INSERT INTO counters (name, value) VALUES ('locks', 1) ON CONFLICT (name) DO UPDATE SET value = counters.value + 1";
    sqlx::query(text).execute(&mut **tx).await?;
    Ok(())
}

fn wish(row: &AnyRow, index: usize) -> Result<LockWish, StoreError> {
    serde_json::from_str(&row.try_get::<String, _>(index)?).map_err(StoreError::damaged("a lock"))
}

fn claimant(row: &AnyRow) -> Result<Claimant, StoreError> {
    Ok((RunId(unsigned(row.try_get(0)?)), RequestId(unsigned(row.try_get(1)?))))
}

/// What is not free.
async fn held(tx: &mut Change, space: &str) -> Result<BTreeSet<String>, StoreError> {
    let query = sqlx::query("SELECT wish FROM locks WHERE space = $1 AND held = 1").bind(space.to_owned());
    let mut names = BTreeSet::new();
    for row in query.fetch_all(&mut **tx).await? {
        names.extend(wish(&row, 0)?.names);
    }
    Ok(names)
}

/// Gives what is free to those who wait for it.
async fn pass(tx: &mut Change, space: &str) -> Result<Vec<Claimant>, StoreError> {
    let text =
        "SELECT run_id, request, wish FROM locks WHERE space = $1 AND held = 0 ORDER BY asked_ms, run_id, request";
    let rows = sqlx::query(text).bind(space.to_owned()).fetch_all(&mut **tx).await?;
    let mut waiting = Vec::with_capacity(rows.len());
    for row in &rows {
        waiting.push(Waiting { who: claimant(row)?, wish: wish(row, 2)? });
    }
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let have = pass_on(&held(tx, space).await?, &waiting);
    for (run, request) in &have {
        let change = sqlx::query("UPDATE locks SET held = 1 WHERE run_id = $1 AND request = $2");
        change.bind(signed(run.0)).bind(signed(request.0)).execute(&mut **tx).await?;
    }
    Ok(have)
}

impl Store {
    /// A run wants a lock, which excludes others of its space: true where it has it, and else it waits, unless it does not want to.
    ///
    /// # Errors
    /// The database.
    pub async fn want_lock(
        &self,
        space: &str,
        (run, request): Claimant,
        wish: &LockWish,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        alone(&mut tx).await?;
        let known = sqlx::query("SELECT held FROM locks WHERE run_id = $1 AND request = $2");
        let known = known.bind(signed(run.0)).bind(signed(request.0)).fetch_optional(&mut *tx).await?;
        if let Some(row) = known {
            let has_it = row.try_get::<i64, _>(0)? != 0;
            tx.rollback().await?;
            return Ok(has_it);
        }
        let held = held(&mut tx, space).await?;
        let is_free = wish.names.iter().all(|name| !held.contains(name));
        if is_free || !wish.skips {
            let text = serde_json::to_string(wish).map_err(StoreError::damaged("a lock"))?;
            let add = sqlx::query(
                "INSERT INTO locks (space, run_id, request, wish, asked_ms, held) VALUES ($1, $2, $3, $4, $5, $6)",
            );
            let add = add.bind(space.to_owned()).bind(signed(run.0)).bind(signed(request.0)).bind(text);
            add.bind(signed(now)).bind(i64::from(is_free)).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(is_free)
    }

    /// A run has a lock no more, or does not wait for it any more. Who has it now.
    ///
    /// # Errors
    /// The database.
    pub async fn leave_lock(&self, (run, request): Claimant) -> Result<Vec<Claimant>, StoreError> {
        let mut tx = self.write().await?;
        alone(&mut tx).await?;
        let change = sqlx::query("DELETE FROM locks WHERE run_id = $1 AND request = $2 RETURNING space");
        let left = change.bind(signed(run.0)).bind(signed(request.0)).fetch_optional(&mut *tx).await?;
        let have = match left {
            Some(row) => pass(&mut tx, &row.try_get::<String, _>(0)?).await?,
            None => Vec::new(),
        };
        tx.commit().await?;
        Ok(have)
    }

    /// What a run has locked and waits for.
    ///
    /// # Errors
    /// The database.
    pub async fn locks_of(&self, run: RunId) -> Result<LockCounts, StoreError> {
        let text = "SELECT COUNT(*), COUNT(CASE WHEN held = 1 THEN 1 END) FROM locks WHERE run_id = $1";
        let row = sqlx::query(text).bind(signed(run.0)).fetch_one(&self.pool).await?;
        Ok(LockCounts { all: unsigned(row.try_get(0)?), held: unsigned(row.try_get(1)?) })
    }

    /// What runs had that have ended goes to those who wait for it. All who have something and may not have heard of that: their requests are not
    /// answered.
    ///
    /// # Errors
    /// The database.
    pub async fn pass_locks(&self) -> Result<Vec<Claimant>, StoreError> {
        let waited = "SELECT DISTINCT space FROM locks WHERE held = 0";
        let spaces = sqlx::query(waited).fetch_all(&self.pool).await?;
        for row in &spaces {
            let mut tx = self.write().await?;
            alone(&mut tx).await?;
            pass(&mut tx, &row.try_get::<String, _>(0)?).await?;
            tx.commit().await?;
        }
        let unheard = "SELECT l.run_id, l.request FROM locks l JOIN requests r ON r.run_id = l.run_id AND r.id = l.request \
                       WHERE l.held = 1 ORDER BY l.run_id, l.request";
        let unheard = sqlx::query(unheard).fetch_all(&self.pool).await?;
        unheard.iter().map(claimant).collect()
    }

    /// A run has come so far, and the older ones of its branch that have not are to end; or else the number of a newer one that has.
    ///
    /// # Errors
    /// The database.
    pub async fn pass_milestone(&self, run: RunId, ordinal: i64) -> Result<Result<Vec<RunId>, u64>, StoreError> {
        let mut tx = self.write().await?;
        let newer = format!("SELECT MAX(r.number) {SAME} AND r.id > o.id AND r.milestone >= $2");
        let newer = sqlx::query(sqlx::AssertSqlSafe(newer)).bind(signed(run.0)).bind(ordinal);
        if let Some(newer) = newer.fetch_one(&mut *tx).await?.try_get::<Option<i64>, _>(0)? {
            tx.rollback().await?;
            return Ok(Err(unsigned(newer)));
        }
        let change = sqlx::query("UPDATE runs SET milestone = $2 WHERE id = $1 AND status <> 'done'");
        change.bind(signed(run.0)).bind(ordinal).execute(&mut *tx).await?;
        let older = format!("SELECT r.id {SAME} {OLDER} AND (r.milestone IS NULL OR r.milestone < $2)");
        let older = sqlx::query(sqlx::AssertSqlSafe(older)).bind(signed(run.0)).bind(ordinal);
        let older = older.fetch_all(&mut *tx).await?.iter().map(id).collect::<Result<_, _>>()?;
        tx.commit().await?;
        Ok(Ok(older))
    }

    /// The older runs of its branch that are to end because a run has, which has passed a milestone: those that have passed none behind its last.
    ///
    /// # Errors
    /// The database.
    pub async fn superseded_by_end(&self, run: RunId) -> Result<Vec<RunId>, StoreError> {
        let text = format!(
            "SELECT r.id {SAME} {OLDER} AND o.status = 'done' AND o.milestone IS NOT NULL AND (r.milestone IS NULL OR r.milestone <= o.milestone)"
        );
        let found = sqlx::query(sqlx::AssertSqlSafe(text)).bind(signed(run.0)).fetch_all(&self.pool).await?;
        found.iter().map(id).collect()
    }
}

/// Runs of the branch of a run, and of the same trust: no stranger's ends another.
///
/// A term is no column: else databases begin with all runs of the project.
const SAME: &str = "FROM runs o JOIN runs r ON r.project_id + 0 = o.project_id AND r.trust = o.trust AND COALESCE(r.branch, '') = COALESCE(o.branch, '') WHERE o.id = $1";
/// Those of them that are older and not over, nor wait for people.
const OLDER: &str = "AND r.id < o.id AND r.status <> 'done' AND r.held IS NULL";

fn id(row: &AnyRow) -> Result<RunId, StoreError> {
    Ok(RunId(unsigned(row.try_get(0)?)))
}
