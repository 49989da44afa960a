//! Changes: each a transaction of its own, or, in a file, one of several that are written to the disk together.
//!
//! SQLite has one writer at a time, and what takes time is the disk. So those who wait for their turn find the transaction of those before them open, and go
//! on in it, each behind a savepoint, so that one that fails takes back nothing of the others. Who has made its change asks for another turn, behind
//! all who were waiting, and whoever is first to get that one ends the transaction for all. Nobody hears that a change is made before it is on the disk.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::{Any, AnyConnection, AnyPool, Transaction, raw_sql};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use crate::StoreError;

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
    /// The last change was not made to its end: what there is of it is taken back.
    has_remains: bool,
}

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
        let mut group = Arc::clone(turns).lock_owned().await;
        if group.as_ref().is_some_and(|group| group.has_remains || group.members.len() >= TOGETHER) {
            end(&mut group).await;
        }
        if group.is_none() {
            let tx = pool.begin_with("BEGIN IMMEDIATE").await?;
            *group = Some(Group { tx, members: Vec::new(), has_remains: false });
        }
        let mut turn = Turn { turns: Arc::clone(turns), group: Some(group) };
        if turn.is_behind_others() {
            raw_sql("SAVEPOINT turn").execute(&mut *turn.group_mut().tx).await?;
        }
        Ok(Change(Kind::Turn(turn)))
    }

    /// It is on the disk.
    ///
    /// # Errors
    /// The database. Nothing of it is there, if it did answer.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self.0 {
            Kind::Alone(tx) => Ok(tx.commit().await?),
            // A task of its own: who gives up here leaves nothing open.
            Kind::Turn(turn) => tokio::spawn(turn.commit()).await.map_err(|_| sqlx::Error::WorkerCrashed)?,
        }
    }

    /// Nothing of it is there.
    ///
    /// # Errors
    /// The database.
    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        match self.0 {
            Kind::Alone(tx) => Ok(tx.rollback().await?),
            Kind::Turn(_) => Ok(()),
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

    async fn commit(mut self) -> Result<(), StoreError> {
        if self.is_behind_others() {
            raw_sql("RELEASE turn").execute(&mut *self.group_mut().tx).await?;
        }
        let (tell, mut told) = oneshot::channel();
        self.group_mut().members.push(tell);
        self.group = None;
        let answer = tokio::select! {
            biased;
            answer = &mut told => answer,
            mut group = Arc::clone(&self.turns).lock_owned() => {
                // Somebody may have ended it just now.
                if let Ok(answer) = told.try_recv() {
                    Ok(answer)
                } else {
                    end(&mut group).await;
                    drop(group);
                    told.await
                }
            }
        };
        // Ended without an answer is a task that panicked, or a runtime that ends.
        let answer = answer.map_err(|_| sqlx::Error::WorkerCrashed)?;
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

/// Ends the transaction of a group, and tells its members.
async fn end(group: &mut Option<Group>) {
    let Some(Group { mut tx, members, has_remains }) = group.take() else { return };
    if has_remains {
        // Where there is no such savepoint, there was none yet; or SQLite has taken all back for itself, which COMMIT says.
        let _ = raw_sql("ROLLBACK TO turn").execute(&mut *tx).await;
    }
    let ended = tx.commit().await.map_err(Arc::new);
    for member in members {
        let _ = member.send(ended.clone());
    }
}
