//! What can go wrong.

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, or refuses.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// There is one of that name.
    #[error("there is a {what} {name:?} already")]
    Exists {
        /// Of what kind.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// There is none.
    #[error("there is no {what} {name:?}")]
    Missing {
        /// Of what kind.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Somebody else has changed it meanwhile.
    #[error("{what}: somebody else has changed it meanwhile")]
    Stale {
        /// What.
        what: String,
    },
    /// What was read is not what is written there.
    #[error("{what} in the database is damaged: {reason}")]
    Damaged {
        /// What.
        what: &'static str,
        /// In words.
        reason: String,
    },
    /// A newer version has written to this database.
    #[error("the database has schema {found}, and this program knows {known}: it was used by a newer version")]
    Newer {
        /// Of the database.
        found: i64,
        /// Of this program.
        known: i64,
    },
    /// Another version has written to this database, or none.
    #[error("the database has schema {found}, and this program's is {known}: use the version that has it")]
    Other {
        /// Of the database.
        found: i64,
        /// Of this program.
        known: i64,
    },
    /// Another server has this database.
    #[error("another server has this database")]
    InUse,
    /// It names no database.
    #[error("no address of a database: sqlite:PATH or postgres://USER@HOST/NAME")]
    Url,
}

impl StoreError {
    pub(crate) fn damaged(what: &'static str) -> impl FnOnce(serde_json::Error) -> StoreError {
        move |error| StoreError::Damaged { what, reason: error.to_string() }
    }

    /// The database is away, rather than the request wrong: worth another try.
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            StoreError::Database(
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed
            )
        )
    }
}
