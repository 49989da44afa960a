//! Which run is the last of its kind, however many of other kinds are newer.

use model::outcome::Outcome;

use crate::projects::ProjectId;
use crate::run::Run;
use crate::runs::{SELECT, run};
use crate::{Store, StoreError, signed};

/// Runs of the same tree that are looked at for a verdict, the newest.
const VERDICTS: u32 = 20;

/// That a run says how its project stands, in SQL: it is of the branch that is built where nobody says otherwise (`$2`, by its reference `$3`), and neither
/// a tag's of that name, nor a pull request's, nor a stranger's.
const IS_OWN: &str = "(r.revision IS NULL OR r.revision IN ($2, $3)) AND r.trust <> 'stranger' AND r.facts NOT LIKE '%[\"CHANGE_ID\",\"%'";

/// A branch, and its reference.
fn names_of(branch: Option<&str>) -> [Option<String>; 2] {
    [branch.map(str::to_owned), branch.map(|branch| format!("refs/heads/{branch}"))]
}

impl Store {
    /// The last run that has ended of the branch of a project that is built where nobody says otherwise; `None`: it has no branches. Those of pull
    /// requests and of strangers are none.
    ///
    /// # Errors
    /// The database.
    pub async fn last_of_default(&self, project: ProjectId, branch: Option<&str>) -> Result<Option<Run>, StoreError> {
        // A run is of no branch where its project had none that is a job of its own.
        let newest = |of: &str| {
            format!(
                "(SELECT r.id FROM runs r WHERE r.project_id = $1 AND {of} AND r.status = 'done' AND {IS_OWN} ORDER BY r.id DESC LIMIT 1)"
            )
        };
        let (named, unnamed) = (newest("r.branch = $2"), newest("r.branch IS NULL"));
        let text = format!("{SELECT} WHERE r.id IN ({named}, {unnamed}) ORDER BY r.id DESC LIMIT 1");
        let [short, whole] = names_of(branch);
        let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(signed(project.0)).bind(short).bind(whole);
        query.fetch_optional(&self.pool).await?.as_ref().map(run).transpose()
    }

    /// Whether an agent has such a run.
    ///
    /// # Errors
    /// The database.
    pub async fn default_is_running(&self, project: ProjectId, branch: Option<&str>) -> Result<bool, StoreError> {
        // Of what is under way there is less than a project may have: a term is no column, and so nothing that databases begin with.
        let text = format!(
            "SELECT r.id FROM runs r WHERE r.status <> 'done' AND r.status = 'running' AND r.project_id + 0 = $1 \
             AND (r.branch = $2 OR r.branch IS NULL) AND {IS_OWN} ORDER BY r.id DESC LIMIT 1"
        );
        let [short, whole] = names_of(branch);
        let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(signed(project.0)).bind(short).bind(whole);
        Ok(query.fetch_optional(&self.pool).await?.is_some())
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
        let of_branch = if branch.is_some() { " AND r.branch = $2" } else { "" };
        let outcomes = outcomes.iter().map(|outcome| format!(", '{}'", outcome.name())).collect::<String>();
        let text = format!(
            "{SELECT} WHERE r.project_id = $1{of_branch} AND r.outcome IN (''{outcomes}) ORDER BY r.id DESC LIMIT 1"
        );
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
