//! Changes: each a transaction of its own, or, in a file, one of several that are written to the disk together.
//!
//! SQLite has one writer at a time, and what takes time is the disk. So those who wait for their turn find the transaction of those before them open, and go
//! on in it, each behind a savepoint, so that one that fails takes back nothing of the others. Who has made its change asks for another turn, behind
//! all who were waiting, and whoever is first to get that one ends the transaction for all. Nobody hears that a change is made before it is on the disk.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Transaction, raw_sql};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use crate::StoreError;
use crate::audit::audit_is_at;
use crate::connect::PATIENCE;

/// Changes that are written to the disk together, at most: how long one waits for others is bounded.
const TOGETHER: usize = 64;

/// Where changes of a file wait for their turns.
pub(crate) type Turns = Arc<Mutex<Option<Group>>>;

/// A transaction with several changes.
#[derive(Debug)]
pub(crate) struct Group {
    tx: Transaction<'static, Any>,
    /// Who made them, and waits for them to be on the disk.
    members: Vec<oneshot::Sender<Result<(), Arc<sqlx::Error>>>>,
    /// How many savepoints there were.
    marks: u64,
    /// The last change is behind one that is there.
    is_marked: bool,
    /// The last row of the audit, where one was written in this.
    tip: Option<Tip>,
    /// The counter of these rows in the database is an older one.
    is_counter_old: bool,
    /// The last change was not made to its end: what there is of it is taken back.
    has_remains: bool,
}

/// The last row of the audit: its number, and the digest of all up to it.
pub(crate) type Tip = (i64, String);

/// A change that is being made: all of it is there when [`Change::commit`] says so, or nothing, as when this is dropped.
pub(crate) struct Change(Kind);

enum Kind {
    Alone(Transaction<'static, Any>),
    Turn(Turn),
}

impl Change {
    pub(crate) fn alone(tx: Transaction<'static, Any>) -> Change {
        Change(Kind::Alone(tx))
    }

    /// One of a group, when it is its turn.
    pub(crate) async fn in_turn(turns: &Turns, pool: &AnyPool) -> Result<Change, StoreError> {
        // Those before it may each wait as long, for a lock that another process has: nobody waits for all of them.
        let group = tokio::time::timeout(PATIENCE, Arc::clone(turns).lock_owned()).await;
        let mut group = group.map_err(|_| sqlx::Error::PoolTimedOut)?;
        if group.as_ref().is_some_and(|group| group.has_remains || group.members.len() >= TOGETHER) {
            group = tokio::spawn(ended(group)).await.map_err(gone)?;
        }
        if group.is_none() {
            let tx = pool.begin_with("BEGIN IMMEDIATE").await?;
            *group = Some(Group {
                tx,
                members: Vec::new(),
                marks: 0,
                is_marked: false,
                tip: None,
                is_counter_old: false,
                has_remains: false,
            });
        }
        let tip = group.as_ref().and_then(|group| group.tip.clone());
        let mut turn = Turn { turns: Arc::clone(turns), group: Some(group), tip, is_counter_old: false };
        if turn.is_behind_others() {
            let group = turn.group_mut();
            // The one before is of a change that is made: released with the next one, for each time that the database is asked counts. Each has a name of
            // its own, so that none is taken for another where this is given up.
            group.marks += 1;
            let (before, mark) = (group.marks - 1, group.marks);
            let released = if before > 0 { format!("RELEASE turn_{before}; ") } else { String::new() };
            group.is_marked = false;
            raw_sql(AssertSqlSafe(format!("{released}SAVEPOINT turn_{mark}"))).execute(&mut *group.tx).await?;
            group.is_marked = true;
        }
        Ok(Change(Kind::Turn(turn)))
    }

    /// The last row of the audit, where this knows it: nobody else adds any meanwhile.
    pub(crate) fn tip(&self) -> Option<Tip> {
        match &self.0 {
            Kind::Alone(_) => None,
            Kind::Turn(turn) => turn.tip.clone(),
        }
    }

    /// It has added that one. Where it knew the one before, it has counted nothing in the database: that is done once, at the end.
    pub(crate) fn is_at(&mut self, tip: Tip) {
        if let Kind::Turn(turn) = &mut self.0 {
            turn.is_counter_old |= turn.tip.is_some();
            turn.tip = Some(tip);
        }
    }

    /// It is on the disk.
    ///
    /// # Errors
    /// The database. Nothing of it is there, if it did answer.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self.0 {
            Kind::Alone(tx) => Ok(tx.commit().await?),
            // A task of its own: who gives up here leaves nothing open.
            Kind::Turn(turn) => tokio::spawn(turn.commit(true)).await.map_err(gone)?,
        }
    }

    /// Nothing of it is there, and what it has read is on the disk: for an answer that rests on that.
    ///
    /// # Errors
    /// The database.
    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        match self.0 {
            Kind::Alone(tx) => Ok(tx.rollback().await?),
            Kind::Turn(turn) => tokio::spawn(turn.commit(false)).await.map_err(gone)?,
        }
    }
}

impl Deref for Change {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        match &self.0 {
            Kind::Alone(tx) => tx,
            Kind::Turn(turn) => &turn.group().tx,
        }
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        match &mut self.0 {
            Kind::Alone(tx) => tx,
            Kind::Turn(turn) => &mut turn.group_mut().tx,
        }
    }
}

/// Whose turn it is.
struct Turn {
    turns: Turns,
    /// None: its change is made.
    group: Option<OwnedMutexGuard<Option<Group>>>,
    tip: Option<Tip>,
    is_counter_old: bool,
}

impl Turn {
    fn group(&self) -> &Group {
        self.group.as_ref().and_then(|group| group.as_ref()).expect("a turn has a group until it is over")
    }

    fn group_mut(&mut self) -> &mut Group {
        self.group.as_mut().and_then(|group| group.as_mut()).expect("a turn has a group until it is over")
    }

    fn is_behind_others(&self) -> bool {
        !self.group().members.is_empty()
    }

    /// To its end, with what was changed or without.
    async fn commit(mut self, is_kept: bool) -> Result<(), StoreError> {
        match (is_kept, self.is_behind_others()) {
            (true, _) => {
                let (tip, is_counter_old) = (self.tip.take(), self.is_counter_old);
                let group = self.group_mut();
                group.is_counter_old |= is_counter_old;
                group.tip = tip;
            }
            (false, false) => return Ok(()),
            (false, true) => {
                let group = self.group_mut();
                raw_sql(rolled_back(group.marks)).execute(&mut *group.tx).await?;
            }
        }
        let (tell, mut told) = oneshot::channel();
        self.group_mut().members.push(tell);
        self.group = None;
        let answer = tokio::select! {
            biased;
            answer = &mut told => answer,
            group = Arc::clone(&self.turns).lock_owned() => {
                // Somebody may have ended it just now.
                if let Ok(answer) = told.try_recv() {
                    Ok(answer)
                } else {
                    drop(ended(group).await);
                    told.await
                }
            }
        };
        let answer = answer.map_err(gone)?;
        answer.map_err(StoreError::shared)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(mut group) = self.group.take() else { return };
        match group.as_mut() {
            // Each of them has a task that ends it.
            Some(open) if !open.members.is_empty() => open.has_remains = true,
            _ => *group = None,
        }
    }
}

/// Ends the transaction of a group, and tells its members. To its end: whoever has others' changes in its hands gives up nothing.
async fn ended(mut group: OwnedMutexGuard<Option<Group>>) -> OwnedMutexGuard<Option<Group>> {
    let Some(mut open) = group.take() else { return group };
    let members = std::mem::take(&mut open.members);
    let ended = end(open).await.map_err(Arc::new);
    for member in members {
        let _ = member.send(ended.clone());
    }
    group
}

async fn end(group: Group) -> Result<(), sqlx::Error> {
    let Group { mut tx, marks, is_marked, tip, is_counter_old, has_remains, .. } = group;
    if has_remains {
        let taken_back = raw_sql(rolled_back(marks)).execute(&mut *tx).await;
        // Where nobody has heard of a savepoint, there may be none yet, and nothing behind it.
        if is_marked && taken_back.is_err() {
            return Err(lost());
        }
    }
    if let Some((seq, _)) = tip.filter(|_| is_counter_old) {
        audit_is_at(&mut tx, seq).await?;
    }
    tx.commit().await.map_err(|error| match &error {
        // SQLITE_ERROR: there is no transaction any more.
        sqlx::Error::Database(said) if said.code().as_deref() == Some("1") => lost(),
        _ => error,
    })
}

/// To where that savepoint is.
fn rolled_back(mark: u64) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!("ROLLBACK TO turn_{mark}"))
}

/// SQLite takes a whole transaction back by itself where it has no room, or its disk fails: then nothing was wrong with the others that were in it.
fn lost() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::other(
        "another change has failed, and the database has taken back all that were made with it",
    ))
}

/// A task that panicked, or a runtime that ends.
fn gone<E>(_: E) -> sqlx::Error {
    sqlx::Error::WorkerCrashed
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use sqlx::Row as _;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::Store;

    async fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}/db", folder.path().display())).await.unwrap();
        (folder, store)
    }

    async fn note(change: &mut Change, name: &str) -> Result<(), sqlx::Error> {
        let text = "INSERT INTO counters (name, value) VALUES ($1, 1)";
        sqlx::query(text).bind(name.to_owned()).execute(&mut **change).await.map(drop)
    }

    async fn is_noted(store: &Store, name: &str) -> bool {
        let query = sqlx::query("SELECT COUNT(*) FROM counters WHERE name = $1").bind(name.to_owned());
        query.fetch_one(&store.pool).await.unwrap().get::<i64, _>(0) == 1
    }

    /// Begins something that waits for its turn behind whoever has it.
    async fn behind<T: Send + 'static>(what: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        let task = tokio::spawn(what);
        // There is one thread: it has come as far as it can.
        tokio::task::yield_now().await;
        task
    }

    /// SQLite takes back all of them where one has no room. The others hear that it may be otherwise soon, and so it is.
    #[tokio::test]
    async fn one_without_room_is_no_fault_of_others() {
        let (_folder, store) = store().await;
        let most = async |pages: &str| {
            let mut all = Vec::new();
            for _ in 0..8 {
                let mut connection = store.pool.acquire().await.unwrap();
                let text = format!("PRAGMA max_page_count = {pages}");
                sqlx::query(AssertSqlSafe(text)).execute(&mut *connection).await.unwrap();
                all.push(connection);
            }
        };
        most("1").await;
        let mut first = store.write().await.unwrap();
        note(&mut first, "first").await.unwrap();
        let large = {
            let store = store.clone();
            behind(async move { note(&mut store.write().await.unwrap(), &"x".repeat(10 << 20)).await })
        };
        let large = large.await;
        let first = first.commit().await.unwrap_err();
        let full = StoreError::from(large.await.unwrap().unwrap_err());
        assert!(full.is_unavailable() && first.is_unavailable(), "{full} {first}");
        assert!(!is_noted(&store, "first").await);
        most("1000000").await;
        let mut again = store.write().await.unwrap();
        note(&mut again, "first").await.unwrap();
        again.commit().await.unwrap();
        assert!(is_noted(&store, "first").await);
    }

    /// Whoever comes behind one that has left something, and gives up while that is taken back, gives up nothing of others.
    #[tokio::test]
    async fn who_ends_a_group_ends_it() {
        let (_folder, store) = store().await;
        for polls in 0..300 {
            let mut first = store.write().await.unwrap();
            note(&mut first, &format!("first {polls}")).await.unwrap();
            let leaves = {
                let store = store.clone();
                behind(async move { note(&mut store.write().await.unwrap(), "left").await }).await
            };
            let second = store.clone();
            let gives_up = behind(async move {
                let mut change = pin!(second.write());
                for _ in 0..polls * 10 {
                    if change.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            });
            let gives_up = gives_up.await;
            first.commit().await.unwrap();
            leaves.await.unwrap().unwrap();
            gives_up.await.unwrap();
            assert!(is_noted(&store, &format!("first {polls}")).await && !is_noted(&store, "left").await);
        }
    }

    /// An answer that rests on what others have done is given when that is on the disk.
    #[tokio::test]
    async fn what_was_read_is_there() {
        let (_folder, store) = store().await;
        let mut first = store.write().await.unwrap();
        note(&mut first, "first").await.unwrap();
        let reader = store.clone();
        let reads = behind(async move {
            let mut change = reader.write().await.unwrap();
            let twice = note(&mut change, "first").await;
            note(&mut change, "second").await.unwrap();
            change.rollback().await.unwrap();
            (twice.is_err(), is_noted(&reader, "first").await, is_noted(&reader, "second").await)
        });
        let reads = reads.await;
        let first = tokio::spawn(first.commit());
        assert_eq!(reads.await.unwrap(), (true, true, false));
        first.await.unwrap().unwrap();
    }

    /// Nobody waits for ever.
    #[tokio::test]
    async fn a_turn_is_waited_for_so_long() {
        let (_folder, store) = store().await;
        let holds = store.write().await.unwrap();
        tokio::time::pause();
        let began = tokio::time::Instant::now();
        let all = futures_util::future::join_all((0..20).map(|_| store.write())).await;
        assert!(all.into_iter().all(|waited| waited.err().unwrap().is_unavailable()));
        assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs());
        drop(holds);
    }
}
