//! Projects: where a pipeline comes from, and how it is run.

use std::sync::Arc;

use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::audit::record;
use crate::connect::{Dialect, count};
use crate::{Actor, Keys, Millis, Store, StoreError, signed, unsigned};

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

/// Where the configuration of a project lies, for its seal.
fn place_of(id: i64) -> String {
    format!("projects/{id}")
}

impl Store {
    /// Uses these keys for what is confidential, from now on. What is not sealed yet, or with a former key, is sealed anew. How many projects that
    /// was of.
    ///
    /// # Errors
    /// The database, or something is sealed with none of these keys: then nothing is changed.
    pub async fn unlock(&self, keys: Arc<Keys>, now: Millis) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let rows = sqlx::query("SELECT id, config FROM projects ORDER BY id").fetch_all(&mut *tx).await?;
        let mut renewed = Vec::new();
        for row in &rows {
            let id = row.try_get::<i64, _>(0)?;
            renewed.extend(keys.renew(&place_of(id), &row.try_get::<String, _>(1)?)?.map(|config| (id, config)));
        }
        let is_sqlite = self.dialect() == Dialect::Sqlite;
        if !renewed.is_empty() {
            if is_sqlite {
                // What was there before is overwritten, and does not stay in the file.
                sqlx::query("PRAGMA secure_delete = ON").execute(&mut *tx).await?;
            }
            for (id, config) in &renewed {
                let change = sqlx::query("UPDATE projects SET config = $1 WHERE id = $2").bind(config).bind(id);
                change.execute(&mut *tx).await?;
            }
            let told = json!({ "key": keys.id(), "projects": renewed.len() });
            record(&mut tx, now, &Actor::server(), "project.seal", "", &told).await?;
            if is_sqlite {
                sqlx::query("PRAGMA secure_delete = OFF").execute(&mut *tx).await?;
            }
        }
        tx.commit().await?;
        if is_sqlite && !renewed.is_empty() {
            // Nor in the log of changes, as far as nobody reads there at this moment.
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await?;
        }
        // Whoever had some before goes on with those: of one process all have the same.
        let _ = self.keys.set(keys);
        Ok(renewed.len() as u64)
    }

    fn keys(&self) -> Result<&Keys, StoreError> {
        self.keys.get().map(AsRef::as_ref).ok_or(StoreError::Locked)
    }

    fn project_of(&self, row: &AnyRow) -> Result<Project, StoreError> {
        let id = row.try_get(0)?;
        let config = self.keys()?.open(&place_of(id), &row.try_get::<String, _>(2)?)?;
        Ok(Project {
            id: ProjectId(unsigned(id)),
            name: row.try_get(1)?,
            config: serde_json::from_str(&config).map_err(StoreError::damaged("a project"))?,
            last_number: unsigned(row.try_get(3)?),
        })
    }

    /// Makes a project, or gives one of that name another configuration. `told` is what the audit has of it: it may have secrets, and is sealed
    /// as a whole, so that nothing of it can be forgotten.
    ///
    /// # Errors
    /// The database, or there are no keys ([`Store::unlock`]).
    pub async fn put_project(
        &self,
        actor: &Actor,
        name: &str,
        config: &Value,
        told: &Value,
        now: Millis,
    ) -> Result<Project, StoreError> {
        let mut tx = self.write().await?;
        let text = format!("SELECT {COLUMNS} FROM projects WHERE name = $1");
        let found = sqlx::query(sqlx::AssertSqlSafe(text.clone())).bind(name).fetch_optional(&mut *tx).await?;
        let sealed = |id: i64| self.keys()?.seal(&place_of(id), &config.to_string());
        match found.as_ref().map(|row| self.project_of(row)).transpose()? {
            Some(project) if project.config == *config => {}
            Some(project) => {
                let id = signed(project.id.0);
                let change = sqlx::query("UPDATE projects SET config = $1 WHERE id = $2");
                change.bind(sealed(id)?).bind(id).execute(&mut *tx).await?;
                record(&mut tx, now, actor, "project.change", name, told).await?;
            }
            None => {
                let id = count(&mut tx, "project").await?;
                sqlx::query(
                    "INSERT INTO projects (id, name, config, last_number, created_ms) VALUES ($1, $2, $3, 0, $4)",
                )
                .bind(id)
                .bind(name)
                .bind(sealed(id)?)
                .bind(signed(now))
                .execute(&mut *tx)
                .await?;
                record(&mut tx, now, actor, "project.create", name, told).await?;
            }
        }
        let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(name).fetch_one(&mut *tx).await?;
        let made = self.project_of(&row)?;
        tx.commit().await?;
        Ok(made)
    }

    /// All projects by name.
    ///
    /// # Errors
    /// The database, or there are no keys.
    pub async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM projects ORDER BY name");
        let rows = sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(&self.pool).await?;
        rows.iter().map(|row| self.project_of(row)).collect()
    }

    /// A project by its name.
    ///
    /// # Errors
    /// The database, or there are no keys.
    pub async fn project(&self, name: &str) -> Result<Option<Project>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM projects WHERE name = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(name).fetch_optional(&self.pool).await?;
        row.as_ref().map(|row| self.project_of(row)).transpose()
    }
}
