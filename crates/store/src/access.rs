//! Who may come in: agents and tokens. What is secret is kept as a digest only.

use serde_json::json;
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;

use crate::audit::record;
use crate::connect::count;
use crate::{Actor, Millis, Store, StoreError, signed, unsigned};

/// The digest that a secret is known by. Secrets here are long and random, so that a plain digest tells nothing of them.
pub fn digest(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Using the API.
    Api,
    /// Enrolling one agent, once.
    Enrol,
    /// Looking at pages, for a while.
    Session,
}

impl TokenKind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            TokenKind::Api => "api",
            TokenKind::Enrol => "enrol",
            TokenKind::Session => "session",
        }
    }
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRecord {
    /// Which.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// When it was heard of last.
    pub seen_at: Option<Millis>,
}

impl Store {
    /// Whether there is any token of the API.
    ///
    /// # Errors
    /// The database.
    pub async fn has_api_token(&self) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) FROM tokens WHERE kind = 'api'").fetch_one(&self.pool).await?;
        Ok(row.try_get::<i64, _>(0)? > 0)
    }

    /// Takes an agent in, by a token that is good for this once.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: the token is no good (any more). [`StoreError::Exists`]: there is an agent of that name.
    pub async fn enrol_agent(
        &self,
        token: &str,
        name: &str,
        key: &str,
        now: Millis,
    ) -> Result<AgentRecord, StoreError> {
        let mut tx = self.write().await?;
        let used = sqlx::query(
            "UPDATE tokens SET used_ms = $1 WHERE digest = $2 AND kind = 'enrol' AND used_ms IS NULL \
             AND (expires_ms IS NULL OR expires_ms > $1)",
        );
        if used.bind(signed(now)).bind(digest(token)).execute(&mut *tx).await?.rows_affected() != 1 {
            return Err(StoreError::Missing { what: "token to enrol an agent", name: String::new() });
        }
        let id = count(&mut tx, "agent").await?;
        let added = sqlx::query(
            "INSERT INTO agents (id, name, key_digest, created_ms, seen_ms) VALUES ($1, $2, $3, $4, $4) ON CONFLICT DO NOTHING",
        );
        let added = added.bind(id).bind(name).bind(digest(key)).bind(signed(now)).execute(&mut *tx).await?;
        if added.rows_affected() != 1 {
            return Err(StoreError::Exists { what: "agent", name: name.to_owned() });
        }
        record(&mut tx, now, &Actor(format!("agent:{name}")), "agent.enrol", name, &json!({ "id": id })).await?;
        tx.commit().await?;
        Ok(AgentRecord { id: unsigned(id), name: name.to_owned(), seen_at: Some(now) })
    }

    /// Which agent has that key. It was heard of now.
    ///
    /// # Errors
    /// The database.
    pub async fn agent_by_key(&self, key: &str, now: Millis) -> Result<Option<AgentRecord>, StoreError> {
        let row = sqlx::query("UPDATE agents SET seen_ms = $1 WHERE key_digest = $2 RETURNING id, name");
        let mut tx = self.write().await?;
        let row = row.bind(signed(now)).bind(digest(key)).fetch_optional(&mut *tx).await?;
        tx.commit().await?;
        let record = |row: sqlx::any::AnyRow| {
            Ok(AgentRecord { id: unsigned(row.try_get(0)?), name: row.try_get(1)?, seen_at: Some(now) })
        };
        row.map(record).transpose()
    }

    /// Whether there is such an agent still.
    ///
    /// # Errors
    /// The database.
    pub async fn is_agent(&self, id: u64) -> Result<bool, StoreError> {
        let query = sqlx::query("SELECT 1 FROM agents WHERE id = $1").bind(signed(id));
        Ok(query.fetch_optional(&self.pool).await?.is_some())
    }

    /// Takes its key from an agent, for good. False: there is none.
    ///
    /// # Errors
    /// The database.
    pub async fn remove_agent(&self, actor: &Actor, id: u64, now: Millis) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let row = sqlx::query("DELETE FROM agents WHERE id = $1 RETURNING name").bind(signed(id));
        let Some(row) = row.fetch_optional(&mut *tx).await? else {
            return tx.rollback().await.map(|()| false);
        };
        let name: String = row.try_get(0)?;
        record(&mut tx, now, actor, "agent.remove", &name, &json!({ "id": id })).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// All agents.
    ///
    /// # Errors
    /// The database.
    pub async fn agents(&self) -> Result<Vec<AgentRecord>, StoreError> {
        let rows = sqlx::query("SELECT id, name, seen_ms FROM agents ORDER BY name").fetch_all(&self.pool).await?;
        let record = |row: &sqlx::any::AnyRow| {
            let seen_at = row.try_get::<Option<i64>, _>(2)?.map(unsigned);
            Ok(AgentRecord { id: unsigned(row.try_get(0)?), name: row.try_get(1)?, seen_at })
        };
        rows.iter().map(record).collect()
    }
}
