//! What can go wrong.

use std::sync::Arc;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, or refuses.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The same, of a transaction in which several changes were.
    #[error("database: {0}")]
    Shared(Arc<sqlx::Error>),
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
    /// Nobody has given the keys.
    #[error("what is confidential is sealed, and there is no key")]
    Locked,
    /// It is sealed with a key that is not among those given.
    #[error("what projects were told in confidence is sealed with the key {sealed}, and the one given is {given}")]
    Key {
        /// Of the database.
        sealed: String,
        /// Of this server.
        given: String,
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

    /// What several heard.
    pub(crate) fn shared(error: Arc<sqlx::Error>) -> StoreError {
        Arc::try_unwrap(error).map_or_else(StoreError::Shared, StoreError::Database)
    }

    /// The database is away, or has no room, rather than the request wrong: worth another try.
    pub fn is_unavailable(&self) -> bool {
        let error = match self {
            StoreError::Database(error) => error,
            StoreError::Shared(error) => error,
            _ => return false,
        };
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                true
            }
            sqlx::Error::Database(error) => error.code().is_some_and(|code| passes(&code)),
            _ => false,
        }
    }
}

/// Whether what a database says may be otherwise soon. Sources: PostgreSQL's appendix A (classes 08, 53, 57P, and 40P01, a deadlock), SQLite's "Result codes":
/// BUSY, LOCKED, IOERR, FULL, CANTOPEN in the low byte.
fn passes(code: &str) -> bool {
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => [5, 6, 10, 13, 14].contains(&(number & 0xff)),
        _ => ["08", "53", "57P", "40P01"].iter().any(|class| code.starts_with(class)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_otherwise_soon() {
        let soon = ["57P01", "57P03", "08006", "53100", "53300", "40P01", "13", "778", "5"];
        assert!(soon.iter().all(|code| passes(code)));
        let never = ["23505", "42P01", "40001", "1", "19", "2067", "11"];
        assert!(!never.iter().any(|code| passes(code)));
    }
}
