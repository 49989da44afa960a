//! What is forgotten: old runs, with their logs and what they archived. What was done to them stays in the audit.

use serde_json::json;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::artifacts::Shelf;
use crate::audit::record;
use crate::projects::ProjectId;
use crate::write::Change;
use crate::{Actor, Millis, Store, StoreError, signed};

/// Tables with rows of a run. What asked for it stays known, so that it does not ask for another.
const OF_RUNS: [&str; 7] = ["inputs", "requests", "elsewhere", "events", "log_chunks", "tests", "annotations"];

/// The runs of one branch.
#[derive(Clone, Copy, Debug)]
pub struct BranchRuns<'a> {
    /// Its name.
    pub name: &'a str,
    /// Runs for which nobody has said of what are of it, too.
    pub is_default: bool,
    /// It is no more: its last good run is as old as any other.
    pub is_gone: bool,
    /// It is a pull request of this number that may be fetched by its branch: its runs are those of the request then, and none of the branch.
    pub request: Option<u64>,
}

/// What of an old run is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forget {
    /// All of it.
    Runs,
    /// What it has archived.
    Artifacts,
    /// What it has stashed. Runs that are under way are none of the last here: what they go on from is kept until they end.
    Stashes,
}

/// Which runs are old.
#[derive(Clone, Copy, Debug, Default)]
pub struct Old {
    /// Those that ended before.
    pub before: Option<Millis>,
    /// Those that are not among so many of the last.
    pub beyond: Option<u64>,
}

fn within(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Store {
    /// Forgets old runs of a project, at most `limit` at once, the oldest first. How many.
    ///
    /// # Errors
    /// The database.
    pub async fn forget_runs(&self, project: ProjectId, old: Old, limit: u32, now: Millis) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let text = "SELECT r.id, r.number FROM runs r JOIN projects p ON p.id = r.project_id \
             WHERE r.project_id = $1 AND r.status = 'done' AND r.report IS NULL AND (r.ended_ms < $2 OR r.number <= p.last_number - $3) ORDER BY r.id LIMIT $4";
        let rows = sqlx::query(text)
            .bind(signed(project.0))
            .bind(old.before.map_or(-1, within))
            .bind(old.beyond.map_or(i64::MAX, within))
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await?;
        let forgotten = forget(&mut tx, project, Forget::Runs, &rows, now).await?;
        tx.commit().await?;
        Ok(forgotten)
    }

    /// The same for the runs of a branch, or for what they have archived: they stay then. The last one that succeeded is never old, nor the last
    /// one that did so with findings, as long as there is that branch.
    ///
    /// # Errors
    /// The database.
    pub async fn forget_of(
        &self,
        project: ProjectId,
        branch: BranchRuns<'_>,
        what: Forget,
        old: Old,
        limit: u32,
        now: Millis,
    ) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let rows = old_runs(&mut tx, project, branch, what, old, limit).await?;
        let forgotten = forget(&mut tx, project, what, &rows, now).await?;
        tx.commit().await?;
        Ok(forgotten)
    }
}

/// What the facts of a run of that pull request are like, in SQL: `CHANGE_ID` among its variables.
pub(crate) fn of_request(number: &str) -> String {
    format!("%[\"CHANGE_ID\",\"{number}\"]%")
}

/// Runs of a branch that are over and old.
async fn old_runs(
    tx: &mut Change,
    project: ProjectId,
    branch: BranchRuns<'_>,
    what: Forget,
    old: Old,
    limit: u32,
) -> Result<Vec<AnyRow>, StoreError> {
    let with = match what {
        Forget::Runs => "1 = 1",
        Forget::Artifacts => "r.artifact_files > 0",
        Forget::Stashes => "EXISTS (SELECT 1 FROM stashes s WHERE s.run_id = r.id)",
    };
    let is_counted = if what == Forget::Stashes { "k.status = 'done'" } else { "k.status <> 'queued'" };
    let of = |runs: &str| {
        let unnamed = if branch.is_default { format!(" OR {runs}.revision IS NULL") } else { String::new() };
        let (or, and) = match branch.request {
            Some(number) => (format!(" OR {runs}.facts LIKE '{}'", of_request(&number.to_string())), String::new()),
            None if branch.name.starts_with("refs/") => (String::new(), String::new()),
            None => (String::new(), format!(" AND {runs}.facts NOT LIKE '{}'", of_request("%"))),
        };
        format!("{runs}.project_id = $1 AND ({runs}.revision IN ($2, $3){unnamed}{or}){and}")
    };
    // Before the first of those that are kept.
    let beyond = match old.beyond {
        Some(0) => "$6 = 0".to_owned(),
        Some(_) => {
            let newest = format!(
                "SELECT k.id FROM runs k WHERE {} AND {is_counted} ORDER BY k.id DESC LIMIT 1 OFFSET $6",
                of("k")
            );
            format!("r.id < ({newest})")
        }
        // The parameter has to be there.
        None => "$6 < 0".to_owned(),
    };
    let last = |outcomes: &str| {
        format!("COALESCE((SELECT MAX(g.id) FROM runs g WHERE {} AND g.outcome IN ({outcomes})), -1)", of("g"))
    };
    let but = match branch.is_gone {
        true => String::new(),
        false => format!(" AND r.id NOT IN ({}, {})", last("'SUCCESS'"), last("'SUCCESS', 'UNSTABLE'")),
    };
    let text = format!(
        "SELECT r.id, r.number FROM runs r WHERE {} AND r.status = 'done' AND r.report IS NULL AND {with} \
         AND (r.ended_ms < $4 OR {beyond}){but} ORDER BY r.id LIMIT $5",
        of("r"),
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(signed(project.0))
        .bind(branch.name.to_owned())
        .bind(format!("refs/heads/{}", branch.name))
        .bind(old.before.map_or(-1, within))
        .bind(i64::from(limit))
        .bind(old.beyond.map_or(0, |most| within(most.saturating_sub(1))));
    Ok(rows.fetch_all(&mut **tx).await?)
}

/// Forgets this of these, within the change that it belongs to. How many.
async fn forget(
    tx: &mut Change,
    project: ProjectId,
    what: Forget,
    rows: &[AnyRow],
    now: Millis,
) -> Result<u64, StoreError> {
    let mut numbers = Vec::with_capacity(rows.len());
    for row in rows {
        let id: i64 = row.try_get(0)?;
        for shelf in match what {
            Forget::Runs => &[Shelf::Artifacts, Shelf::Stashes][..],
            Forget::Artifacts => &[Shelf::Artifacts],
            Forget::Stashes => &[Shelf::Stashes],
        } {
            crate::artifacts::forget(tx, *shelf, id, now).await?;
        }
        match what {
            Forget::Runs => forget_run(tx, id, now).await?,
            Forget::Stashes => {}
            Forget::Artifacts => {
                let none = sqlx::query("UPDATE runs SET artifact_files = 0, artifact_bytes = 0 WHERE id = $1");
                none.bind(id).execute(&mut **tx).await?;
            }
        }
        numbers.push(row.try_get::<i64, _>(1)?);
    }
    if !numbers.is_empty() {
        let action = match what {
            Forget::Runs => "run.forget",
            Forget::Artifacts => "artifacts.forget",
            Forget::Stashes => "stashes.forget",
        };
        let (object, detail) = (format!("project {}", project.0), json!({ "runs": numbers }));
        record(tx, now, &Actor::server(), action, &object, &detail).await?;
    }
    Ok(numbers.len() as u64)
}

/// Forgets a run whose files are forgotten.
async fn forget_run(tx: &mut Change, id: i64, now: Millis) -> Result<(), StoreError> {
    crate::log_blobs::forget(tx, id, now).await?;
    crate::contents::forget(tx, id).await?;
    for table in OF_RUNS {
        let text = format!("DELETE FROM {table} WHERE run_id = $1");
        sqlx::query(sqlx::AssertSqlSafe(text)).bind(id).execute(&mut **tx).await?;
    }
    sqlx::query("DELETE FROM runs WHERE id = $1").bind(id).execute(&mut **tx).await?;
    Ok(())
}
