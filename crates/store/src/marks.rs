//! Numbers that outlive a server.

use sqlx::Row as _;

use crate::write::Change;
use crate::{Store, StoreError, signed, unsigned};

impl Store {
    /// A number that was marked.
    ///
    /// # Errors
    /// The database.
    pub async fn marked(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let row = sqlx::query("SELECT value FROM counters WHERE name = $1").bind(format!("mark {name}"));
        let row = row.fetch_optional(&self.pool).await?;
        row.map(|row| Ok(unsigned(row.try_get(0)?))).transpose()
    }

    /// Marks a number.
    ///
    /// # Errors
    /// The database.
    pub async fn mark(&self, name: &str, value: u64) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        mark(&mut tx, name, value).await?;
        tx.commit().await
    }
}

/// The same, within the change that it belongs to.
pub(crate) async fn mark(tx: &mut Change, name: &str, value: u64) -> Result<(), StoreError> {
    let text = "INSERT INTO counters (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2";
    sqlx::query(text).bind(format!("mark {name}")).bind(signed(value)).execute(&mut **tx).await?;
    Ok(())
}
