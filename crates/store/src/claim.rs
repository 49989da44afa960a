//! A database has one server at a time.

use std::fs::{File, TryLockError};
use std::path::PathBuf;

use sqlx::{AnyConnection, Row as _};

use crate::{Store, StoreError};

/// What PostgreSQL calls the lock of a database's server: any number, the same for all.
const SERVER_LOCK: i64 = 0x00c0_ffe2;

/// Held by the server that has a database; given back when it is dropped, or its process ends.
#[derive(Debug)]
pub struct Claim {
    _file: Option<File>,
    /// A session of its own: it has the lock as long as it lives.
    _session: Option<AnyConnection>,
}

impl Store {
    /// Takes the database for one server.
    ///
    /// # Errors
    /// [`StoreError::InUse`]: another server has it.
    pub async fn claim(&self) -> Result<Claim, StoreError> {
        let Some(path) = &self.path else {
            let mut session = self.pool.acquire().await?.detach();
            let row = sqlx::query("SELECT pg_try_advisory_lock($1)").bind(SERVER_LOCK).fetch_one(&mut session).await?;
            return match row.try_get::<bool, _>(0)? {
                true => Ok(Claim { _file: None, _session: Some(session) }),
                false => Err(StoreError::InUse),
            };
        };
        let lock = PathBuf::from(format!("{}.lock", path.display()));
        let file = File::options().create(true).truncate(false).write(true).open(lock).map_err(sqlx::Error::Io)?;
        match file.try_lock() {
            Ok(()) => Ok(Claim { _file: Some(file), _session: None }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
            Err(TryLockError::Error(error)) => Err(StoreError::Database(sqlx::Error::Io(error))),
        }
    }
}
