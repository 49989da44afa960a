//! What definitions say of the projects that they are run for, branch by branch.

use model::ids::RunId;
use model::properties::Properties;
use serde_json::json;
use sqlx::Row as _;

use crate::audit::record;
use crate::projects::ProjectId;
use crate::retention::of_request;
use crate::write::Change;
use crate::{Actor, Millis, Store, StoreError, signed, unsigned};

/// What a branch has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchProperties {
    /// Of which project.
    pub project: ProjectId,
    /// Which branch; `refs/…` where it is none.
    pub branch: String,
    /// The run that said it.
    pub run: RunId,
    /// It.
    pub properties: Properties,
}

fn read(row: &sqlx::any::AnyRow) -> Result<BranchProperties, StoreError> {
    let said: String = row.try_get(3)?;
    Ok(BranchProperties {
        project: ProjectId(unsigned(row.try_get(0)?)),
        branch: row.try_get(1)?,
        run: RunId(unsigned(row.try_get(2)?)),
        properties: serde_json::from_str(&said).map_err(StoreError::damaged("properties"))?,
    })
}

/// A run has said it of its branch, within the change that it belongs to. What a later run has said stands.
pub(crate) async fn set(
    tx: &mut Change,
    run: RunId,
    branch: &str,
    properties: &Properties,
    now: Millis,
) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT project_id FROM runs WHERE id = $1").bind(signed(run.0)).fetch_one(&mut **tx).await?;
    let project: i64 = row.try_get(0)?;
    let found =
        sqlx::query("SELECT project_id, branch, run_id, said FROM properties WHERE project_id = $1 AND branch = $2");
    let found = found.bind(project).bind(branch.to_owned()).fetch_optional(&mut **tx).await?;
    let found = found.as_ref().map(read).transpose()?;
    // Most branches never say anything.
    let is_nothing = found.is_none() && *properties == Properties::default();
    if is_nothing || found.as_ref().is_some_and(|found| found.run > run) {
        return Ok(());
    }
    let said = serde_json::to_value(properties).map_err(StoreError::damaged("properties"))?;
    let put = "INSERT INTO properties (project_id, branch, run_id, said) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (project_id, branch) DO UPDATE SET run_id = $3, said = $4, gone_ms = NULL WHERE properties.run_id <= $3";
    let put = sqlx::query(put).bind(project).bind(branch.to_owned()).bind(signed(run.0)).bind(said.to_string());
    put.execute(&mut **tx).await?;
    let before = found.map(|found| found.properties).unwrap_or_default();
    if before != *properties {
        // What it may be told is nobody's deed.
        let said = Properties { parameters: Vec::new(), ..properties.clone() };
        let detail = json!({ "branch": branch, "run": run.0, "properties": said });
        record(tx, now, &Actor::server(), "project.properties", &format!("project {project}"), &detail).await?;
    }
    Ok(())
}

impl Store {
    /// What a branch has said last.
    ///
    /// # Errors
    /// The database.
    pub async fn properties(&self, project: ProjectId, branch: &str) -> Result<Option<Properties>, StoreError> {
        let text = "SELECT project_id, branch, run_id, said FROM properties WHERE project_id = $1 AND branch = $2 AND gone_ms IS NULL";
        let row = sqlx::query(text).bind(signed(project.0)).bind(branch.to_owned()).fetch_optional(&self.pool).await?;
        Ok(row.as_ref().map(read).transpose()?.map(|said| said.properties))
    }

    /// What the branches of a project have said, or those of all projects.
    ///
    /// # Errors
    /// The database.
    pub async fn all_properties(&self, project: Option<ProjectId>) -> Result<Vec<BranchProperties>, StoreError> {
        let text = "SELECT project_id, branch, run_id, said FROM properties \
             WHERE (project_id = $1 OR $1 = -1) AND gone_ms IS NULL ORDER BY project_id, branch";
        let rows = sqlx::query(text).bind(project.map_or(-1, |id| signed(id.0))).fetch_all(&self.pool).await?;
        rows.iter().map(read).collect()
    }

    /// What branches that are gone have said of how long their runs are kept.
    ///
    /// # Errors
    /// The database.
    pub async fn properties_of_gone(&self) -> Result<Vec<BranchProperties>, StoreError> {
        let text = "SELECT project_id, branch, run_id, said FROM properties WHERE gone_ms IS NOT NULL ORDER BY project_id, branch";
        sqlx::query(text).fetch_all(&self.pool).await?.iter().map(read).collect()
    }

    /// Forgets that of those of which there is no run any more.
    ///
    /// # Errors
    /// The database.
    pub async fn forget_gone(&self) -> Result<(), StoreError> {
        let number = "' || REPLACE(REPLACE(properties.branch, 'refs/pull-requests/', ''), '/from', '') || '";
        let text = format!(
            "DELETE FROM properties WHERE gone_ms IS NOT NULL AND NOT EXISTS (SELECT 1 FROM runs r \
             WHERE r.project_id = properties.project_id AND (r.revision IN (properties.branch, 'refs/heads/' || properties.branch) \
             OR properties.branch LIKE 'refs/pull-requests/%' AND r.facts LIKE '{}'))",
            of_request(number)
        );
        self.change(sqlx::query(sqlx::AssertSqlSafe(text))).await.map(drop)
    }

    /// A branch is gone, and says nothing any more but how long its runs are kept; as `run` has found, unless a later one has said something.
    ///
    /// # Errors
    /// The database.
    pub async fn forget_properties(
        &self,
        project: ProjectId,
        branch: &str,
        run: Option<RunId>,
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let found = sqlx::query(
            "SELECT project_id, branch, run_id, said FROM properties \
             WHERE project_id = $1 AND branch = $2 AND run_id <= $3 AND gone_ms IS NULL",
        );
        let run = run.map_or(i64::MAX, |run| signed(run.0));
        let found = found.bind(signed(project.0)).bind(branch.to_owned()).bind(run).fetch_optional(&mut *tx).await?;
        if let Some(found) = found.as_ref().map(read).transpose()? {
            let keep = Properties { keep: found.properties.keep, ..Properties::default() };
            let said = serde_json::to_string(&keep).map_err(StoreError::damaged("properties"))?;
            let change = match keep.keep {
                Some(_) => "UPDATE properties SET gone_ms = $3, said = $4 WHERE project_id = $1 AND branch = $2",
                // The parameters have to be there.
                None => "DELETE FROM properties WHERE project_id = $1 AND branch = $2 AND $3 >= 0 AND $4 <> ''",
            };
            let change = sqlx::query(change).bind(signed(project.0)).bind(branch.to_owned());
            change.bind(signed(now)).bind(said).execute(&mut *tx).await?;
            let detail = json!({ "branch": branch });
            let object = format!("project {}", project.0);
            record(&mut tx, now, &Actor::server(), "project.properties", &object, &detail).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
