//! Runs: what was asked for, where it is, and how it ended.

use std::collections::BTreeMap;

use model::event::LogSource;
use model::ids::RunId;
use model::run::{RunEnd, RunFacts, job_name};
use model::rung::Trust;
use model::test_result::TestCounts;
use serde_json::json;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use wire::agent::{Definition, LogLine};

use crate::access::digest;
use crate::artifacts::take_over;
use crate::audit::record;
use crate::connect::count;
use crate::contents::{Content, Given, keep};
use crate::logs::append;
use crate::past::before;
use crate::projects::ProjectId;
use crate::run::{NewRun, Run, RunCounts, RunFilter, Status};
use crate::write::Change;
use crate::{Actor, Millis, Store, StoreError, signed, unsigned};

pub(crate) const SELECT: &str = "SELECT r.id, r.project_id, p.name, r.number, r.status, r.outcome, r.message, r.facts, r.revision, r.definition, \
     r.abort_reason, r.epoch, r.agent_id, r.queued_ms, r.started_ms, r.ended_ms, r.lines, r.trust, r.commit_id, r.held, r.merge, r.needs, \
     r.tests_failed, r.tests_skipped, r.tests_passed, r.display_name, r.description, r.approved, r.leaves, r.wakes_ms, r.priority, r.failure \
     FROM runs r JOIN projects p ON p.id = r.project_id";

/// The same of a row that is added, whose project is called so.
fn columns(project: &str) -> String {
    let list = SELECT.strip_prefix("SELECT ").and_then(|select| select.split_once(" FROM ")).unwrap_or_default().0;
    list.replace("r.", "").replace("p.name", project)
}

pub(crate) fn run(row: &AnyRow) -> Result<Run, StoreError> {
    let (facts, merge, needs): (String, Option<String>, Option<String>) =
        (row.try_get(7)?, row.try_get(20)?, row.try_get(21)?);
    let (approved, leaves): (Option<String>, Option<String>) = (row.try_get(27)?, row.try_get(28)?);
    let outcome: Option<String> = row.try_get(5)?;
    let outcome = outcome.map(|word| serde_json::from_value(word.into()));
    let tests = TestCounts {
        failed: unsigned(row.try_get(22)?),
        skipped: unsigned(row.try_get(23)?),
        passed: unsigned(row.try_get(24)?),
    };
    let number = |index: usize| Ok::<_, StoreError>(row.try_get::<Option<i64>, _>(index)?.map(unsigned));
    Ok(Run {
        id: RunId(unsigned(row.try_get(0)?)),
        project: ProjectId(unsigned(row.try_get(1)?)),
        project_name: row.try_get(2)?,
        number: unsigned(row.try_get(3)?),
        status: Status::read(&row.try_get::<String, _>(4)?)?,
        outcome: outcome.transpose().map_err(StoreError::damaged("a run"))?,
        failure: row.try_get(31)?,
        message: row.try_get(6)?,
        facts: serde_json::from_str(&facts).map_err(StoreError::damaged("a run"))?,
        revision: row.try_get(8)?,
        definition: row.try_get(9)?,
        abort_reason: row.try_get(10)?,
        epoch: unsigned(row.try_get(11)?),
        agent: number(12)?,
        queued_at: unsigned(row.try_get(13)?),
        started_at: number(14)?,
        ended_at: number(15)?,
        lines: unsigned(row.try_get(16)?),
        wakes_at: number(29)?,
        priority: row.try_get::<Option<i64>, _>(30)?.and_then(|priority| i32::try_from(priority).ok()),
        commit: row.try_get(18)?,
        held: row.try_get(19)?,
        tests,
        display_name: row.try_get(25)?,
        description: row.try_get(26)?,
        merge: merge.map(|text| serde_json::from_str(&text)).transpose().map_err(StoreError::damaged("a run"))?,
        needs: needs.map(|text| serde_json::from_str(&text)).transpose().map_err(StoreError::damaged("a run"))?,
        leaves: leaves.map(|text| serde_json::from_str(&text)).transpose().map_err(StoreError::damaged("a run"))?,
        approved: approved.map(|text| serde_json::from_str(&text)).transpose().map_err(StoreError::damaged("a run"))?,
        trust: serde_json::from_value(row.try_get::<String, _>(17)?.into()).map_err(StoreError::damaged("a run"))?,
    })
}

/// That a run is of one of these.
fn of_projects(projects: &[ProjectId]) -> String {
    let ids = projects.iter().map(|project| format!(", {}", project.0)).collect::<String>();
    format!(" AND r.project_id IN (0{ids})")
}

/// The same of runs of which there are fewer than each project may have: a term is no column, and so nothing that databases begin with.
fn of_unfinished(projects: &[ProjectId]) -> String {
    of_projects(projects).replace("r.project_id", "r.project_id + 0")
}

impl Store {
    /// Puts a run into the queue.
    ///
    /// # Errors
    /// There is no such project.
    pub async fn create_run(&self, actor: &Actor, project: &str, new: NewRun, now: Millis) -> Result<Run, StoreError> {
        let mut tx = self.write().await?;
        let row =
            sqlx::query("UPDATE projects SET last_number = last_number + 1 WHERE name = $1 RETURNING id, last_number")
                .bind(project)
                .fetch_optional(&mut *tx)
                .await?;
        let row = row.ok_or_else(|| StoreError::Missing { what: "project", name: project.to_owned() })?;
        if let Some(delivery) = &new.delivery {
            let known = sqlx::query("SELECT run_id FROM deliveries WHERE digest = $1").bind(digest(delivery));
            if let Some(row) = known.fetch_optional(&mut *tx).await? {
                // The number that was counted above is given back.
                let run = maybe(&mut tx, row.try_get(0)?).await?;
                tx.rollback().await?;
                let name = "it was run once, and that run is forgotten".to_owned();
                return run.ok_or(StoreError::Exists { what: "delivery", name });
            }
        }
        // Whose code it is was not said: then it may be anybody's.
        let trust = new.trust.unwrap_or(Trust::Stranger);
        let (project_id, number): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let branch = new.facts.branch().map(str::to_owned);
        let is_change_request = new.facts.env.iter().any(|(name, _)| name == "CHANGE_ID");
        let before = before(&mut tx, project_id, branch.as_deref(), is_change_request).await?;
        let last = before.history.first();
        let facts = RunFacts {
            job_name: job_name(project, branch.as_deref()),
            build_number: unsigned(number),
            started_at_ms: now,
            previous: last.map(|last| last.outcome),
            previous_number: last.map(|last| last.number),
            previous_commit: before.last_commit,
            first_commit: before.first_commit,
            history: before.history,
            ..new.facts
        };
        let id = count(&mut tx, "run").await?;
        let text = serde_json::to_string(&facts).map_err(StoreError::damaged("a run"))?;
        let insert = format!(
            "INSERT INTO runs (id, project_id, number, status, facts, revision, trust, commit_id, epoch, queued_ms, heard, digest, lines, events, reported, reports, report, held, merge, approved, places, branch, priority) \
             VALUES ($1, $2, $3, 'queued', $4, $5, $7, $8, 0, $6, 0, 0, 0, 0, 0, $9, CASE WHEN $9 = 1 THEN 'queued' END, $10, $11, $12, 0, $13, $14) RETURNING {}",
            columns("CAST($15 AS TEXT)")
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(insert))
            .bind(id)
            .bind(project_id)
            .bind(number)
            .bind(text)
            .bind(&new.revision)
            .bind(signed(now))
            .bind(trust.name())
            .bind(&new.commit)
            .bind(i64::from(new.reports))
            .bind(&new.held)
            .bind(new.merge.as_ref().map(serde_json::to_string).transpose().map_err(StoreError::damaged("a run"))?)
            .bind(new.approved.as_ref().map(serde_json::to_string).transpose().map_err(StoreError::damaged("a run"))?)
            .bind(branch)
            .bind(new.priority.map(i64::from))
            .bind(project)
            .fetch_one(&mut *tx)
            .await?;
        let made = run(&row)?;
        if let Some(delivery) = &new.delivery {
            let add = sqlx::query("INSERT INTO deliveries (digest, run_id) VALUES ($1, $2)");
            add.bind(digest(delivery)).bind(id).execute(&mut *tx).await?;
        }
        if let Some(also) = &new.also {
            let add = sqlx::query("INSERT INTO deliveries (digest, run_id) VALUES ($1, $2) ON CONFLICT DO NOTHING");
            add.bind(digest(also)).bind(id).execute(&mut *tx).await?;
        }
        if let Some(from) = new.stashes_of {
            take_over(&mut tx, id, from).await?;
        }
        let causes: Vec<_> = facts.causes.iter().map(|cause| &cause.description).collect();
        let detail = json!({ "number": number, "revision": new.revision, "causes": causes, "trust": trust });
        record(&mut tx, now, actor, "run.create", &format!("{project}#{number}"), &detail).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// A run.
    ///
    /// # Errors
    /// The database.
    pub async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let text = format!("{SELECT} WHERE r.id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(signed(id.0)).fetch_optional(&self.pool).await?;
        row.as_ref().map(run).transpose()
    }

    /// A run by its project and number.
    ///
    /// # Errors
    /// The database.
    pub async fn run_of(&self, project: &str, number: u64) -> Result<Option<Run>, StoreError> {
        let text = format!("{SELECT} WHERE p.name = $1 AND r.number = $2");
        let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(project).bind(signed(number));
        query.fetch_optional(&self.pool).await?.as_ref().map(run).transpose()
    }

    /// Whether a branch of a project had a run of this commit; where the project had no branches that are jobs of their own, the project.
    ///
    /// # Errors
    /// The database.
    pub async fn has_run_at(&self, project: ProjectId, branch: &str, commit: &str) -> Result<bool, StoreError> {
        let text =
            "SELECT 1 FROM runs WHERE project_id = $1 AND commit_id = $2 AND (branch = $3 OR branch IS NULL) LIMIT 1";
        let query = sqlx::query(text).bind(signed(project.0)).bind(commit.to_owned()).bind(branch.to_owned());
        let found = query.fetch_optional(&self.pool).await?;
        Ok(found.is_some())
    }

    /// The last run at a commit of each branch, tag and pull request of a project, of those that its forge hears of; the oldest first.
    ///
    /// # Errors
    /// The database.
    pub async fn last_at(&self, project: ProjectId, commit: &str, limit: u32) -> Result<Vec<Run>, StoreError> {
        let text = format!(
            "{SELECT} WHERE r.id IN (SELECT MAX(id) FROM runs WHERE project_id = $1 AND commit_id = $2 AND reports = 1 GROUP BY branch) \
             ORDER BY r.branch LIMIT $3"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(signed(project.0)).bind(commit.to_owned());
        query.bind(i64::from(limit)).fetch_all(&self.pool).await?.iter().map(run).collect()
    }

    /// Whose code a commit is, by the branches that have had it; `None`: none is known.
    ///
    /// # Errors
    /// The database, or what stands there is none.
    pub async fn trust_of_commit(&self, project: ProjectId, commit: &str) -> Result<Option<Trust>, StoreError> {
        let query = sqlx::query(
            "SELECT trust FROM runs WHERE project_id = $1 AND commit_id = $2 AND merge IS NULL AND (revision IS NULL OR revision LIKE 'refs/heads/%') \
             ORDER BY CASE trust WHEN 'protected' THEN 0 WHEN 'member' THEN 1 ELSE 2 END LIMIT 1",
        );
        let query = query.bind(signed(project.0)).bind(commit.to_owned());
        let Some(row) = query.fetch_optional(&self.pool).await? else { return Ok(None) };
        let trust = serde_json::from_value(row.try_get::<String, _>(0)?.into());
        trust.map(Some).map_err(StoreError::damaged("a run"))
    }

    /// Runs, the newest first.
    ///
    /// # Errors
    /// The database.
    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        let mut text = format!("{SELECT} WHERE r.id < $1");
        let before = filter.before.map_or(i64::MAX, |before| signed(before.0));
        if filter.unfinished {
            text.push_str(" AND r.status <> 'done'");
        }
        if let Some(projects) = &filter.projects {
            let is_of_few = filter.unfinished && filter.revision.is_none();
            text.push_str(&if is_of_few { of_unfinished(projects) } else { of_projects(projects) });
        }
        if filter.revision.is_some() {
            text.push_str(" AND r.revision = $3");
        }
        if filter.branch.is_some() {
            text.push_str(if filter.revision.is_some() { " AND r.branch = $4" } else { " AND r.branch = $3" });
        }
        text.push_str(" ORDER BY r.id DESC LIMIT $2");
        let mut query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(before).bind(i64::from(filter.limit));
        for name in [&filter.revision, &filter.branch].into_iter().flatten() {
            query = query.bind(name.clone());
        }
        query.fetch_all(&self.pool).await?.iter().map(run).collect()
    }

    /// Runs that wait, for an agent or for somebody to approve them, the oldest first, of these projects (`None`: of all) and behind that run.
    ///
    /// # Errors
    /// The database.
    pub async fn waiting(
        &self,
        projects: Option<&[ProjectId]>,
        after: RunId,
        limit: u32,
    ) -> Result<Vec<Run>, StoreError> {
        let of_projects = projects.map(of_unfinished).unwrap_or_default();
        let text = format!("{SELECT} WHERE r.status = 'queued' AND r.id > $1{of_projects} ORDER BY r.id LIMIT $2");
        let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(signed(after.0)).bind(i64::from(limit));
        query.fetch_all(&self.pool).await?.iter().map(run).collect()
    }

    /// Runs that wait for an agent, the oldest first.
    ///
    /// # Errors
    /// The database.
    pub async fn queued(&self, limit: u32) -> Result<Vec<Run>, StoreError> {
        self.queued_after(RunId(0), limit).await
    }

    /// How many runs have not ended.
    ///
    /// # Errors
    /// The database.
    pub async fn run_counts(&self) -> Result<RunCounts, StoreError> {
        Ok(self.run_counts_by_project().await?.into_values().fold(RunCounts::default(), RunCounts::with))
    }

    /// The same of each project that has any.
    ///
    /// # Errors
    /// The database.
    pub async fn run_counts_by_project(&self) -> Result<BTreeMap<String, RunCounts>, StoreError> {
        let text = "SELECT r.status, COUNT(*), MIN(r.queued_ms), p.name FROM runs r JOIN projects p ON p.id = r.project_id \
             WHERE r.status <> 'done' GROUP BY r.status, p.name";
        let mut all = BTreeMap::<String, RunCounts>::new();
        for row in sqlx::query(text).fetch_all(&self.pool).await? {
            let (status, count, oldest) = (row.try_get::<String, _>(0)?, unsigned(row.try_get(1)?), row.try_get(2)?);
            let counts = all.entry(row.try_get(3)?).or_default();
            match Status::read(&status)? {
                Status::Queued => (counts.queued, counts.oldest_queued_at) = (count, Some(unsigned(oldest))),
                Status::Running => counts.running = count,
                Status::Done => {}
            }
        }
        Ok(all)
    }

    /// Runs newer than this one that wait for an agent, the oldest first.
    ///
    /// # Errors
    /// The database.
    pub async fn queued_after(&self, after: RunId, limit: u32) -> Result<Vec<Run>, StoreError> {
        let text =
            format!("{SELECT} WHERE r.status = 'queued' AND r.held IS NULL AND r.id > $1 ORDER BY r.id LIMIT $2");
        let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(signed(after.0)).bind(i64::from(limit));
        query.fetch_all(&self.pool).await?.iter().map(run).collect()
    }

    /// Remembers the text of a run's definition, and the commit that it is of; with it what else the run starts with, where something was found.
    ///
    /// # Errors
    /// There is another text already.
    pub async fn set_definition(
        &self,
        id: RunId,
        found: &Definition,
        facts: Option<&RunFacts>,
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        // As it was, where it is found again: by the next agent, say.
        let row = sqlx::query("SELECT definition FROM runs WHERE id = $1").bind(signed(id.0)).fetch_optional(&mut *tx);
        let known = row.await?.map(|row| row.try_get::<Option<String>, _>(0)).transpose()?.flatten();
        let pods = facts.map(|facts| facts.pods.clone()).unwrap_or_default();
        if let Some(facts) = facts.filter(|_| known.is_none()) {
            let facts = RunFacts { pods: Vec::new(), ..facts.clone() };
            let facts = serde_json::to_string(&facts).map_err(StoreError::damaged("a run"))?;
            let change = sqlx::query("UPDATE runs SET facts = $1 WHERE id = $2").bind(facts).bind(signed(id.0));
            change.execute(&mut *tx).await?;
        }
        let change = sqlx::query(
            "UPDATE runs SET definition = $1, commit_id = COALESCE($3, commit_id), tree = COALESCE($4, tree) WHERE id = $2 AND (definition IS NULL OR definition = $1)",
        );
        let change = change.bind(&found.text).bind(signed(id.0)).bind(&found.commit).bind(&found.tree);
        if change.execute(&mut *tx).await?.rows_affected() != 1 {
            return Err(StoreError::Stale { what: id.to_string() });
        }
        let given = Given { steps: found.steps.clone(), pods };
        if known.is_none() && !given.is_empty() {
            let content = Content::of(&given)?;
            keep(&mut tx, &content).await?;
            let change = sqlx::query("UPDATE runs SET steps = $1 WHERE id = $2").bind(content.digest);
            change.bind(signed(id.0)).execute(&mut *tx).await?;
        }
        if known.is_none() {
            let detail = json!({ "commit": found.commit, "tree": found.tree, "definition": digest(&found.text) });
            record(&mut tx, now, &Actor::server(), "run.define", &id.to_string(), &detail).await?;
        }
        tx.commit().await
    }

    /// Somebody wants a run to end. False: it has.
    ///
    /// # Errors
    /// The database.
    pub async fn abort_run(&self, actor: &Actor, id: RunId, reason: &str, now: Millis) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let change = sqlx::query(
            "UPDATE runs SET abort_reason = $1 WHERE id = $2 AND status <> 'done' AND abort_reason IS NULL",
        );
        let changed = change.bind(clean(reason)).bind(signed(id.0)).execute(&mut *tx).await?.rows_affected() == 1;
        if changed {
            record(&mut tx, now, actor, "run.abort", &id.to_string(), &json!({ "reason": reason })).await?;
        }
        tx.commit().await?;
        Ok(changed)
    }

    /// A run that no agent has had ends in the queue. False: an agent has it.
    ///
    /// # Errors
    /// The database.
    pub async fn end_queued(&self, id: RunId, end: &RunEnd, now: Millis) -> Result<bool, StoreError> {
        self.end_run(id, end, now, "AND status = 'queued'", None).await
    }

    /// A run has ended. False: it had already.
    ///
    /// # Errors
    /// The database.
    pub async fn finish_run(&self, id: RunId, end: &RunEnd, now: Millis) -> Result<bool, StoreError> {
        self.end_run(id, end, now, "AND status <> 'done'", None).await
    }

    /// The same of a run whose engine says nothing of it: the reason is the last line of its log.
    ///
    /// # Errors
    /// The database.
    pub async fn break_run(&self, id: RunId, end: &RunEnd, now: Millis) -> Result<bool, StoreError> {
        let text = format!("ERROR: {}", end.message.as_deref().unwrap_or("no reason is known"));
        let line = LogLine { at: now, step: None, stage: None, source: LogSource::System, text };
        self.end_run(id, end, now, "AND status <> 'done'", Some(&line)).await
    }

    async fn end_run(
        &self,
        id: RunId,
        end: &RunEnd,
        now: Millis,
        only: &str,
        last: Option<&LogLine>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let word = serde_json::to_value(end.outcome).map_err(StoreError::damaged("an outcome"))?;
        let text = format!(
            "UPDATE runs SET status = 'done', outcome = $1, message = $2, ended_ms = $3, failure = $5, report = CASE WHEN reports = 1 AND commit_id IS NOT NULL THEN $1 END WHERE id = $4 {only} \
             RETURNING artifact_files, artifact_bytes"
        );
        let change = sqlx::query(sqlx::AssertSqlSafe(text));
        let change = change
            .bind(word.as_str().map(str::to_owned))
            .bind(end.message.as_deref().map(clean))
            .bind(signed(now))
            .bind(signed(id.0))
            .bind(end.error());
        let row = change.fetch_optional(&mut *tx).await?;
        if let Some(row) = &row {
            append(&mut tx, id, last.into_iter()).await?;
            sqlx::query("DELETE FROM requests WHERE run_id = $1").bind(signed(id.0)).execute(&mut *tx).await?;
            crate::elsewhere::forget(&mut tx, id).await?;
            crate::locks::forget(&mut tx, id).await?;
            // In sum: of each file a row, and who archives the same one again and again would fill the audit.
            let (files, bytes) = (row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?);
            let mut detail = json!({ "outcome": end.outcome, "message": end.message });
            if files > 0 {
                detail["artifacts"] = json!({ "files": files, "bytes": bytes });
            }
            record(&mut tx, now, &Actor::server(), "run.finish", &id.to_string(), &detail).await?;
        }
        tx.commit().await?;
        Ok(row.is_some())
    }
}

async fn maybe(tx: &mut Change, id: i64) -> Result<Option<Run>, StoreError> {
    let text = format!("{SELECT} WHERE r.id = $1");
    sqlx::query(sqlx::AssertSqlSafe(text)).bind(id).fetch_optional(&mut **tx).await?.as_ref().map(run).transpose()
}

/// Text that every database takes: PostgreSQL has no NUL.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
