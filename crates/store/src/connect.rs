//! Opening, and bringing the schema to what this version knows.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::any::{AnyArguments, AnyPoolOptions, install_default_drivers};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Row as _};

use crate::write::{Change, Turns};
use crate::{Keys, StoreError};

/// Steps of the schema, in their order; only forward.
const MIGRATIONS: [&str; 25] = [
    include_str!("../migrations/0001.sql"),
    include_str!("../migrations/0002.sql"),
    include_str!("../migrations/0003.sql"),
    include_str!("../migrations/0004.sql"),
    include_str!("../migrations/0005.sql"),
    include_str!("../migrations/0006.sql"),
    include_str!("../migrations/0007.sql"),
    include_str!("../migrations/0008.sql"),
    include_str!("../migrations/0009.sql"),
    include_str!("../migrations/0010.sql"),
    include_str!("../migrations/0011.sql"),
    include_str!("../migrations/0012.sql"),
    include_str!("../migrations/0013.sql"),
    include_str!("../migrations/0014.sql"),
    include_str!("../migrations/0015.sql"),
    include_str!("../migrations/0016.sql"),
    include_str!("../migrations/0017.sql"),
    include_str!("../migrations/0018.sql"),
    include_str!("../migrations/0019.sql"),
    include_str!("../migrations/0020.sql"),
    include_str!("../migrations/0021.sql"),
    include_str!("../migrations/0022.sql"),
    include_str!("../migrations/0023.sql"),
    include_str!("../migrations/0024.sql"),
    include_str!("../migrations/0025.sql"),
];
/// The schema that this version knows.
pub(crate) const SCHEMA: i64 = MIGRATIONS.len() as i64;
/// How long a connection is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a turn is waited for: who gave up would close the connection.
const TURN: Duration = Duration::from_secs(24 * 60 * 60);
/// Connections: readers beside one writer.
const CONNECTIONS: u32 = 8;
/// What PostgreSQL calls the lock of those who bring the schema up: any number, the same for all.
const MIGRATION_LOCK: i64 = 0x00c0_ffe1;

/// The kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// Waited for before each use of a database that is used in turn. False: its disk is full now.
pub type Gate = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: AnyPool,
    dialect: Dialect,
    /// Its file, where it is one.
    pub(crate) path: Option<PathBuf>,
    /// Where changes wait that are written to the disk together; none: each is for itself.
    turns: Option<Turns>,
    /// Which server of this database has claimed it through this; 0: none. Source: `claim`.
    pub(crate) epoch: Arc<AtomicI64>,
    /// With which it opens what is confidential, once somebody has given them.
    pub(crate) keys: Arc<OnceLock<Arc<Keys>>>,
}

impl Store {
    /// Opens it (`sqlite:PATH`, `postgres://…`), making and upgrading what has to be.
    ///
    /// # Errors
    /// There is none, or a newer version has written to it.
    pub async fn open(url: &str) -> Result<Store, StoreError> {
        let mut store = Store::connect(url, several()).await?;
        store.migrate().await?;
        store.turns = (store.dialect == Dialect::Sqlite).then(Turns::default);
        Ok(store)
    }

    /// The same with one connection, so that everything is done in the order in which it was asked for, and one thing at a time: what a
    /// simulation needs to come out the same each time. `gate` is waited for before each use.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_in_turn(url: &str, gate: Gate) -> Result<Store, StoreError> {
        // Nothing of it depends on how long something takes, and no round trip is made that nobody asked for.
        let options = AnyPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let options = options.acquire_timeout(TURN);
        let had_room = Arc::new(AtomicBool::new(true));
        let options = options.test_before_acquire(false).before_acquire(move |connection, _| {
            let (passed, had_room) = (gate(), Arc::clone(&had_room));
            Box::pin(async move {
                let has_room = passed.await;
                if is_stuck(connection) {
                    // Whatever is being taken back is, then.
                    connection.ping().await?;
                    if is_stuck(connection) {
                        had_room.store(true, Ordering::Relaxed);
                        return Ok(false);
                    }
                }
                if had_room.swap(has_room, Ordering::Relaxed) != has_room {
                    // No database grows beyond that, and none is made smaller by it.
                    let most = if has_room { i32::MAX } else { 1 };
                    sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {most}")))
                        .execute(&mut *connection)
                        .await?;
                }
                Ok(true)
            })
        });
        let store = Store::connect(url, options).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Nobody waits for the database.
    pub fn is_idle(&self) -> bool {
        self.pool.size() as usize == self.pool.num_idle()
    }

    /// Opens it as it is: a server of another version may have it.
    ///
    /// # Errors
    /// There is none, or its schema is not the one that this version knows.
    pub async fn open_unchanged(url: &str) -> Result<Store, StoreError> {
        let store = Store::connect(url, several()).await?;
        match store.version().await? {
            SCHEMA => Ok(store),
            found => Err(StoreError::Other { found, known: SCHEMA }),
        }
    }

    async fn connect(url: &str, options: AnyPoolOptions) -> Result<Store, StoreError> {
        install_default_drivers();
        let (dialect, path, address) = match url.split_once(':') {
            Some(("sqlite", path)) => {
                let path = path.trim_start_matches("//");
                (Dialect::Sqlite, Some(PathBuf::from(path)), format!("sqlite://{path}?mode=rwc"))
            }
            Some(("postgres" | "postgresql", _)) => (Dialect::Postgres, None, url.to_owned()),
            _ => return Err(StoreError::Url),
        };
        let options = options.after_connect(move |connection, _| {
            Box::pin(async move {
                if dialect == Dialect::Sqlite {
                    // What was acknowledged is not lost with the machine: agents forget it then. Many readers beside one writer.
                    for pragma in [
                        "PRAGMA busy_timeout = 10000",
                        "PRAGMA journal_mode = WAL",
                        "PRAGMA synchronous = FULL",
                        "PRAGMA foreign_keys = ON",
                    ] {
                        sqlx::query(pragma).execute(&mut *connection).await?;
                    }
                }
                Ok(())
            })
        });
        let store = Store {
            pool: options.connect(&address).await?,
            dialect,
            path,
            turns: None,
            epoch: Arc::default(),
            keys: Arc::default(),
        };
        Ok(store)
    }

    async fn version(&self) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT COALESCE(MAX(version), 0) FROM schema_version").fetch_one(&self.pool).await?;
        Ok(row.try_get(0)?)
    }

    /// A transaction that may write: of SQLite's there is one at a time; of PostgreSQL's none of a server that has lost its claim.
    pub(crate) async fn write(&self) -> Result<Change, StoreError> {
        if let Some(turns) = &self.turns {
            return Change::in_turn(turns, &self.pool).await;
        }
        if self.dialect == Dialect::Sqlite {
            return Ok(Change::alone(self.pool.begin_with("BEGIN IMMEDIATE").await?));
        }
        let mut tx = self.pool.begin().await?;
        let own = self.epoch.load(Ordering::Relaxed);
        if own != 0 {
            // The next claim waits for this transaction, or this one sees it.
            let row = sqlx::query("SELECT value FROM server_epoch FOR SHARE").fetch_one(&mut *tx).await?;
            if row.try_get::<i64, _>(0)? != own {
                return Err(StoreError::InUse);
            }
        }
        Ok(Change::alone(tx))
    }

    /// One change, as in [`Store::write`]: how many rows it was of.
    pub(crate) async fn change(&self, change: Query<'_, Any, AnyArguments>) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let changed = change.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(changed)
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        if self.dialect == Dialect::Postgres {
            // Two servers that start at once.
            sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(&mut *tx).await?;
        }
        sqlx::query("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)").execute(&mut *tx).await?;
        let row = sqlx::query("SELECT COALESCE(MAX(version), 0) FROM schema_version").fetch_one(&mut *tx).await?;
        let (found, known) = (row.try_get::<i64, _>(0)?, SCHEMA);
        if found > known {
            return Err(StoreError::Newer { found, known });
        }
        for (version, text) in (1_i64..).zip(MIGRATIONS).skip(usize::try_from(found).unwrap_or(0)) {
            let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
            for statement in lines.join("\n").split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
                sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut *tx).await?;
            }
            sqlx::query("INSERT INTO schema_version (version) VALUES ($1)").bind(version).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Readers beside one writer.
fn several() -> AnyPoolOptions {
    let options = AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
    options.before_acquire(|connection, _| Box::pin(async move { Ok(!is_stuck(connection)) }))
}

/// SQLite itself takes a transaction back for which there was no room. Then sqlx has none to take back, and believes for ever that one is open: such a
/// connection is replaced.
fn is_stuck(connection: &AnyConnection) -> bool {
    connection.is_in_transaction()
}

/// The next number of a kind, from 1.
pub(crate) async fn count(tx: &mut Change, name: &str) -> Result<i64, StoreError> {
    let row = sqlx::query(
        "INSERT INTO counters (name, value) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value",
    )
    .bind(name)
    .fetch_one(&mut **tx)
    .await?;
    Ok(row.try_get(0)?)
}
