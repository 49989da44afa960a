//! Projects: where a pipeline comes from, and how it is run.

use std::sync::Arc;

use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::audit::record;
use crate::connect::{Dialect, count};
use crate::marks::mark;
use crate::seal::is_sealed;
use crate::write::Change;
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

/// Marked with 1: secrets may lie in the file as they were.
const PLAIN: &str = "plain secrets";

/// Where the configuration of a project lies, for its seal.
fn place_of(id: i64) -> String {
    format!("projects/{id}")
}

impl Store {
    /// Uses these keys for what is confidential, from now on. What is not sealed yet, or with a former key, is sealed anew. How many projects that
    /// was of. Where some were not sealed, [`Store::sweep_plain`] has something to do.
    ///
    /// # Errors
    /// The database, or something is sealed with none of these keys: then nothing is changed.
    pub async fn unlock(&self, keys: Arc<Keys>, now: Millis) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let rows = sqlx::query("SELECT id, config FROM projects ORDER BY id").fetch_all(&mut *tx).await?;
        let (mut renewed, mut were_plain) = (Vec::new(), false);
        for row in &rows {
            let (id, config) = (row.try_get::<i64, _>(0)?, row.try_get::<String, _>(1)?);
            were_plain |= !is_sealed(&config);
            renewed.extend(keys.renew(&place_of(id), &config)?.map(|config| (id, config)));
        }
        if were_plain {
            mark(&mut tx, PLAIN, 1).await?;
        }
        if !renewed.is_empty() {
            for (id, config) in &renewed {
                let change = sqlx::query("UPDATE projects SET config = $1 WHERE id = $2").bind(config).bind(id);
                change.execute(&mut *tx).await?;
            }
            let told = json!({ "key": keys.id(), "projects": renewed.len() });
            record(&mut tx, now, &Actor::server(), "project.seal", "", &told).await?;
        }
        tx.commit().await?;
        // Whoever had some before goes on with those: of one process all have the same.
        let _ = self.keys.set(keys);
        Ok(renewed.len() as u64)
    }

    /// Writes the file of a database anew that had secrets in it as they were: older states of a row stay there until something else is written in
    /// their place. Once; a server that is killed meanwhile does it again.
    ///
    /// # Errors
    /// The database, which may have no room for this.
    pub async fn sweep_plain(&self) -> Result<(), StoreError> {
        if self.marked(PLAIN).await? != Some(1) {
            return Ok(());
        }
        let statements: &[&'static str] = match self.dialect() {
            // And the log of changes, which has been all of it.
            Dialect::Sqlite => &["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"],
            Dialect::Postgres => &["VACUUM FULL projects"],
        };
        for statement in statements {
            sqlx::query(*statement).execute(&self.pool).await?;
        }
        self.mark(PLAIN, 0).await
    }

    pub(crate) fn keys(&self) -> Result<&Keys, StoreError> {
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
    /// as a whole, so that nothing of it can be forgotten. Of the configuration `people` is read, names with roles: what each of them may do
    /// here, beside what they are granted otherwise.
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
                write_people(&mut tx, id, config).await?;
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
                write_people(&mut tx, id, config).await?;
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

/// Who may do what to a project, within the change that says so.
async fn write_people(tx: &mut Change, id: i64, config: &Value) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM project_people WHERE project_id = $1").bind(id).execute(&mut **tx).await?;
    for (person, role) in config["people"].as_object().into_iter().flatten() {
        let Some(role) = role.as_str() else { continue };
        let add = sqlx::query("INSERT INTO project_people (project_id, person, role) VALUES ($1, $2, $3)");
        add.bind(id).bind(person.clone()).bind(role.to_owned()).execute(&mut **tx).await?;
    }
    Ok(())
}
