//! Projects: where a pipeline comes from, and how it is run.

use serde_json::Value;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::audit::record;
use crate::connect::count;
use crate::{Actor, Millis, Store, StoreError, signed, unsigned};

/// Which project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(pub u64);

/// A project.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// Which.
    pub id: ProjectId,
    /// Full name: `folder/app`.
    pub name: String,
    /// How it is run; the server knows what stands there.
    pub config: Value,
    /// Number of its last run.
    pub last_number: u64,
}

const COLUMNS: &str = "id, name, config, last_number";

fn project(row: &AnyRow) -> Result<Project, StoreError> {
    let config: String = row.try_get(2)?;
    Ok(Project {
        id: ProjectId(unsigned(row.try_get(0)?)),
        name: row.try_get(1)?,
        config: serde_json::from_str(&config).map_err(StoreError::damaged("a project"))?,
        last_number: unsigned(row.try_get(3)?),
    })
}

impl Store {
    /// Makes a project, or gives one of that name another configuration. `told` is what the audit has of it: it may have secrets.
    ///
    /// # Errors
    /// The database.
    pub async fn put_project(
        &self,
        actor: &Actor,
        name: &str,
        config: &Value,
        told: &Value,
        now: Millis,
    ) -> Result<Project, StoreError> {
        let mut tx = self.write().await?;
        let found =
            sqlx::query("SELECT config FROM projects WHERE name = $1").bind(name).fetch_optional(&mut *tx).await?;
        let text = config.to_string();
        match found {
            Some(row) if row.try_get::<String, _>(0)? == text => {}
            Some(_) => {
                let change = sqlx::query("UPDATE projects SET config = $1 WHERE name = $2");
                change.bind(text).bind(name).execute(&mut *tx).await?;
                record(&mut tx, now, actor, "project.change", name, told).await?;
            }
            None => {
                let id = count(&mut tx, "project").await?;
                sqlx::query(
                    "INSERT INTO projects (id, name, config, last_number, created_ms) VALUES ($1, $2, $3, 0, $4)",
                )
                .bind(id)
                .bind(name)
                .bind(text)
                .bind(signed(now))
                .execute(&mut *tx)
                .await?;
                record(&mut tx, now, actor, "project.create", name, told).await?;
            }
        }
        let row = sqlx::query("SELECT id, name, config, last_number FROM projects WHERE name = $1");
        let made = project(&row.bind(name).fetch_one(&mut *tx).await?)?;
        tx.commit().await?;
        Ok(made)
    }

    /// All projects by name.
    ///
    /// # Errors
    /// The database.
    pub async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM projects ORDER BY name");
        let rows = sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(&self.pool).await?;
        rows.iter().map(project).collect()
    }

    /// A project by its name.
    ///
    /// # Errors
    /// The database.
    pub async fn project(&self, name: &str) -> Result<Option<Project>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM projects WHERE name = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(name).fetch_optional(&self.pool).await?;
        row.as_ref().map(project).transpose()
    }
}
