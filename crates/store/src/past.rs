//! What a run is told of those before it, of its branch or, where it has none, of its project.

use model::outcome::Outcome;
use model::run::{MAX_PAST_CHARS, MAX_PAST_RUNS, PastRun};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use crate::{StoreError, unsigned};

/// What came before.
pub(crate) struct Before {
    /// The last runs that are over, the newest first, and the last that succeeded.
    pub(crate) history: Vec<PastRun>,
    /// The commit of the last one of those that have come to one.
    pub(crate) last_commit: Option<String>,
    /// The same of the first one, of a pull request.
    pub(crate) first_commit: Option<String>,
}

/// Asks for all of it, within the change that makes the run.
pub(crate) async fn before(
    tx: &mut AnyConnection,
    project: i64,
    branch: Option<&str>,
    is_change_request: bool,
) -> Result<Before, StoreError> {
    let mut found = Found { tx, project, branch };
    let mut history = found.history("", MAX_PAST_RUNS).await?;
    if history.len() == MAX_PAST_RUNS && history.iter().all(|past| past.outcome != Outcome::Success) {
        history.extend(found.history("AND outcome = 'SUCCESS'", 1).await?);
    }
    let last_commit = found.commit("DESC").await?;
    let first_commit = if is_change_request { found.commit("ASC").await? } else { None };
    Ok(Before { history, last_commit, first_commit })
}

struct Found<'a> {
    tx: &'a mut AnyConnection,
    project: i64,
    branch: Option<&'a str>,
}

impl Found<'_> {
    /// Rows of runs that are over.
    async fn rows(&mut self, columns: &str, and: &str) -> Result<Vec<AnyRow>, StoreError> {
        // The parameters have to be there.
        let of_branch = if self.branch.is_some() { "branch = $2" } else { "branch IS NULL AND $2 = ''" };
        let text =
            format!("SELECT {columns} FROM runs WHERE project_id = $1 AND {of_branch} AND outcome IS NOT NULL {and}");
        let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(self.project);
        Ok(query.bind(self.branch.unwrap_or_default().to_owned()).fetch_all(&mut *self.tx).await?)
    }

    async fn history(&mut self, and: &str, limit: usize) -> Result<Vec<PastRun>, StoreError> {
        let columns = "number, outcome, display_name, description, started_ms, queued_ms, ended_ms";
        let rows = self.rows(columns, &format!("{and} ORDER BY id DESC LIMIT {limit}")).await?;
        // An outcome that is none stands for nothing.
        Ok(rows.iter().map(past).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    async fn commit(&mut self, order: &str) -> Result<Option<String>, StoreError> {
        let rows = self.rows("commit_id", &format!("AND commit_id IS NOT NULL ORDER BY id {order} LIMIT 1")).await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
    }
}

fn past(row: &AnyRow) -> Result<Option<PastRun>, StoreError> {
    let text = |at: usize| {
        let text = row.try_get::<Option<String>, _>(at)?;
        Ok::<_, StoreError>(text.map(|text| text.chars().take(MAX_PAST_CHARS).collect::<String>()))
    };
    let time = |at: usize| Ok::<_, StoreError>(row.try_get::<Option<i64>, _>(at)?.map(unsigned));
    let Some(outcome) = Outcome::from_name(&row.try_get::<String, _>(1)?) else { return Ok(None) };
    let queued_at = time(5)?.unwrap_or_default();
    let started_at_ms = time(4)?.unwrap_or(queued_at);
    let duration_ms = time(6)?.unwrap_or(started_at_ms).saturating_sub(started_at_ms);
    let number = unsigned(row.try_get(0)?);
    Ok(Some(PastRun { number, outcome, display_name: text(2)?, description: text(3)?, started_at_ms, duration_ms }))
}
