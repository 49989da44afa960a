//! A database has one server at a time.
//!
//! Of a file the claim lasts as long as the process. Of PostgreSQL it is a lock of a session, which ends with the connection: so each claim has
//! a number, every change is made with it ([`Store::write`]), and a server whose session was cut off claims again ([`Claim::is_held`]), unless
//! another one has come between.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use sqlx::{Any, AnyConnection, Executor, Row as _};

use crate::{Store, StoreError};

/// What PostgreSQL calls the lock of a database's server: any number, the same for all.
const SERVER_LOCK: i64 = 0x00c0_ffe2;

/// Held by the server that has a database; given back when it is dropped, or its process ends.
#[derive(Debug)]
pub struct Claim {
    store: Store,
    _file: Option<File>,
    /// A session of its own: it has the lock as long as it lives.
    session: Option<AnyConnection>,
}

impl Store {
    /// Takes the database for one server.
    ///
    /// # Errors
    /// [`StoreError::InUse`]: another server has it.
    pub async fn claim(&self) -> Result<Claim, StoreError> {
        let store = self.clone();
        let Some(path) = &self.path else {
            let mut session = self.locked().await?.ok_or(StoreError::InUse)?;
            // Over the session that has the lock: one that is cut off counts nothing.
            let next = sqlx::query("UPDATE server_epoch SET value = value + 1 RETURNING value");
            let epoch = next.fetch_one(&mut session).await?.try_get(0)?;
            self.epoch.store(epoch, Ordering::Relaxed);
            return Ok(Claim { store, _file: None, session: Some(session) });
        };
        let lock = PathBuf::from(format!("{}.lock", path.display()));
        let file = File::options().create(true).truncate(false).write(true).open(lock).map_err(sqlx::Error::Io)?;
        match file.try_lock() {
            Ok(()) => Ok(Claim { store, _file: Some(file), session: None }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
            Err(TryLockError::Error(error)) => Err(StoreError::Database(sqlx::Error::Io(error))),
        }
    }

    /// A session that has the lock; `None`: another one has it.
    async fn locked(&self) -> Result<Option<AnyConnection>, StoreError> {
        let mut session = self.pool.acquire().await?.detach();
        let row = sqlx::query("SELECT pg_try_advisory_lock($1)").bind(SERVER_LOCK).fetch_one(&mut session).await?;
        Ok(row.try_get::<bool, _>(0)?.then_some(session))
    }

    /// Whether no server has claimed the database since this one.
    async fn is_last(&self, asked: impl Executor<'_, Database = Any>) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT value FROM server_epoch").fetch_one(asked).await?;
        Ok(row.try_get::<i64, _>(0)? == self.epoch.load(Ordering::Relaxed))
    }
}

impl Claim {
    /// Whether the database is still this server's; it is claimed again where the session was cut off. To be asked every few seconds.
    ///
    /// # Errors
    /// The database is away: it is this server's until another one has claimed it.
    pub async fn is_held(&mut self) -> Result<bool, StoreError> {
        if self.store.path.is_some() {
            return Ok(true);
        }
        if let Some(session) = &mut self.session {
            if let Ok(is_last) = self.store.is_last(session).await {
                return Ok(is_last);
            }
            self.session = None;
        }
        if !self.store.is_last(&self.store.pool).await? {
            return Ok(false);
        }
        // Where nobody has come between, who has the lock is a session of ours that the database has not missed yet.
        self.session = self.store.locked().await?;
        Ok(true)
    }
}
