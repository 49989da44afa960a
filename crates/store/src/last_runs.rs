//! Which run is the last of its kind, however many of other kinds are newer.

use model::outcome::Outcome;
use model::run::RunFacts;
use model::rung::Trust;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::projects::ProjectId;
use crate::run::Run;
use crate::runs::{SELECT, run};
use crate::{Store, StoreError, signed, unsigned};

/// Runs of the same tree that are looked at for a verdict, the newest.
const VERDICTS: u32 = 20;

/// Runs of a branch that are looked at for one that is its own, the newest.
const NEWEST: u32 = 50;

/// What a run is of.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its project.
    pub project: ProjectId,
    branch: Option<String>,
    revision: Option<String>,
    trust: Trust,
    facts: RunFacts,
}

impl Standing {
    fn of(run: &Run) -> Standing {
        let (branch, revision) = (run.facts.branch().map(str::to_owned), run.revision.clone());
        Standing { project: run.project, branch, revision, trust: run.trust, facts: run.facts.clone() }
    }

    /// It says how its project stands: it is of the branch that is built where nobody says otherwise (`None`: there are no branches), and neither a tag's of
    /// that name, nor a pull request's, nor a stranger's.
    pub fn is_of_default(&self, default: Option<&str>) -> bool {
        let is_named = |name: &str| Some(name.strip_prefix("refs/heads/").unwrap_or(name)) == default;
        // A run is of no branch where its project had none that is a job of its own.
        self.branch.as_deref().is_none_or(|branch| Some(branch) == default)
            && self.revision.as_deref().is_none_or(is_named)
            && self.trust != Trust::Stranger
            && !self.facts.env.iter().any(|(name, _)| name == "CHANGE_ID")
    }
}

impl Store {
    /// The last run that has ended of the branch of a project that is built where nobody says otherwise; `None`: it has no branches. Those of pull
    /// requests and of strangers are none.
    ///
    /// # Errors
    /// The database.
    pub async fn last_of_default(&self, project: ProjectId, branch: Option<&str>) -> Result<Option<Run>, StoreError> {
        let newest = |of: &str| {
            format!(
                "SELECT id FROM (SELECT id FROM runs WHERE project_id = $1 AND {of} AND outcome IS NOT NULL AND trust <> 'stranger' ORDER BY id DESC LIMIT {NEWEST}) AS newest"
            )
        };
        let (named, unnamed) = (newest("branch = $2"), newest("branch IS NULL"));
        let text = format!("{SELECT} WHERE r.id IN ({named} UNION ALL {unnamed}) ORDER BY r.id DESC");
        let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(signed(project.0)).bind(branch.map(str::to_owned));
        let found = query.fetch_all(&self.pool).await?;
        let mut found = found.iter().map(run);
        found.find(|found| found.as_ref().map_or(true, |found| Standing::of(found).is_of_default(branch))).transpose()
    }

    /// What the runs are of that agents have.
    ///
    /// # Errors
    /// The database.
    pub async fn running(&self) -> Result<Vec<Standing>, StoreError> {
        let text =
            "SELECT project_id, branch, revision, trust, facts FROM runs WHERE status <> 'done' AND status = 'running'";
        let standing = |row: &AnyRow| {
            Ok(Standing {
                project: ProjectId(unsigned(row.try_get(0)?)),
                branch: row.try_get(1)?,
                revision: row.try_get(2)?,
                trust: serde_json::from_value(row.try_get::<String, _>(3)?.into())
                    .map_err(StoreError::damaged("a run"))?,
                facts: serde_json::from_str(&row.try_get::<String, _>(4)?).map_err(StoreError::damaged("a run"))?,
            })
        };
        sqlx::query(text).fetch_all(&self.pool).await?.iter().map(standing).collect()
    }

    /// The last run of a project, or of one of its branches, tags and pull requests, that ended in one of these ways.
    ///
    /// # Errors
    /// The database.
    pub async fn last_ended(
        &self,
        project: ProjectId,
        branch: Option<&str>,
        outcomes: &[Outcome],
    ) -> Result<Option<Run>, StoreError> {
        self.last_of(project, branch, outcomes, "").await
    }

    /// The same, of runs whose code is trusted so.
    ///
    /// # Errors
    /// The database.
    pub async fn last_trusted(
        &self,
        project: ProjectId,
        branch: Option<&str>,
        outcomes: &[Outcome],
        trust: Trust,
    ) -> Result<Option<Run>, StoreError> {
        self.last_of(project, branch, outcomes, &format!(" AND trust = '{}'", trust.name())).await
    }

    async fn last_of(
        &self,
        project: ProjectId,
        branch: Option<&str>,
        outcomes: &[Outcome],
        and: &str,
    ) -> Result<Option<Run>, StoreError> {
        let of_branch = if branch.is_some() { " AND branch = $2" } else { "" };
        // Those that are rare have an index; of what is not, one of the last is one.
        let last = |outcome: &Outcome| {
            let is_rare = if *outcome == Outcome::Success { "" } else { " AND outcome <> 'SUCCESS'" };
            let name = outcome.name();
            format!(
                ", (SELECT MAX(id) FROM runs WHERE project_id = $1{of_branch} AND outcome = '{name}'{is_rare}{and})"
            )
        };
        let outcomes = outcomes.iter().map(last).collect::<String>();
        let text = format!("{SELECT} WHERE r.id IN (0{outcomes}) ORDER BY r.id DESC LIMIT 1");
        let mut query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(signed(project.0));
        if let Some(branch) = branch {
            query = query.bind(branch.to_owned());
        }
        query.fetch_optional(&self.pool).await?.as_ref().map(run).transpose()
    }

    /// The last run of each branch, tag and pull request of a project, those of the newest first.
    ///
    /// # Errors
    /// The database.
    pub async fn last_of_branches(&self, project: ProjectId, limit: u32) -> Result<Vec<Run>, StoreError> {
        let text = format!(
            "{SELECT} WHERE r.id IN (SELECT MAX(id) FROM runs WHERE project_id = $1 AND branch IS NOT NULL GROUP BY branch) ORDER BY r.id DESC LIMIT $2"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(signed(project.0)).bind(i64::from(limit));
        query.fetch_all(&self.pool).await?.iter().map(run).collect()
    }

    /// Another run of this one's tree, by the same definition with the same parameters and of code that is trusted as much, that has come to a verdict on
    /// all of it: not one that began with a later stage, nor one that has failed for another reason than what it runs.
    ///
    /// # Errors
    /// The database.
    pub async fn verdict_on(&self, same: &Run) -> Result<Option<Run>, StoreError> {
        let text = format!(
            "{SELECT} JOIN runs o ON o.id = $1 WHERE r.project_id = o.project_id AND r.tree = o.tree AND r.trust = o.trust AND r.definition = o.definition \
             AND r.id <> o.id AND r.started_ms IS NOT NULL AND (r.outcome IN ('SUCCESS', 'UNSTABLE') OR (r.outcome = 'FAILURE' AND r.failure = 'workload')) \
             AND r.facts NOT LIKE '%\"restart_from\":\"%' ORDER BY r.id DESC LIMIT $2"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(signed(same.id.0)).bind(i64::from(VERDICTS));
        let found = query.fetch_all(&self.pool).await?;
        let mut found = found.iter().map(run);
        found.find(|other| other.as_ref().map_or(true, |other| other.facts.params == same.facts.params)).transpose()
    }
}
