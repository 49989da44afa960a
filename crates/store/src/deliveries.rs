//! What has come before: each by a name, so that what comes twice is done once. Kept for ever, for nothing else tells what is old.

use sqlx::Row as _;

use crate::{Store, StoreError, digest};

impl Store {
    /// Whether something has come before, under this name.
    ///
    /// # Errors
    /// The database.
    pub async fn knows_delivery(&self, delivery: &str) -> Result<bool, StoreError> {
        let query = sqlx::query("SELECT COUNT(*) FROM deliveries WHERE digest = $1").bind(digest(delivery));
        Ok(query.fetch_one(&self.pool).await?.try_get::<i64, _>(0)? > 0)
    }

    /// What came under these names may come again.
    ///
    /// # Errors
    /// The database.
    pub async fn forget_deliveries(&self, names: &[String]) -> Result<(), StoreError> {
        for name in names {
            self.change(sqlx::query("DELETE FROM deliveries WHERE digest = $1").bind(digest(name))).await?;
        }
        Ok(())
    }

    /// From now on that has come, though no run is made of it.
    ///
    /// # Errors
    /// The database.
    pub async fn note_delivery(&self, delivery: &str) -> Result<(), StoreError> {
        let query = sqlx::query("INSERT INTO deliveries (digest, run_id) VALUES ($1, 0) ON CONFLICT DO NOTHING");
        self.change(query.bind(digest(delivery))).await.map(drop)
    }
}
