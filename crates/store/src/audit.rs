//! Who did what: a chain, in which every row has the digest of all before it.

use sha2::{Digest as _, Sha256};
use sqlx::{AnyConnection, Row as _};

use crate::connect::count;
use crate::write::Change;
use crate::{Actor, Millis, Store, StoreError, signed, unsigned};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number, from 1 without a gap.
    pub seq: u64,
    /// When.
    pub at: Millis,
    /// Who.
    pub actor: String,
    /// `run.create`
    pub action: String,
    /// What it was done to.
    pub object: String,
    /// More of it, as JSON.
    pub detail: String,
    /// The digest of this row and all before it.
    pub hash: String,
}

/// A chain that is none: somebody has changed, removed or added a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit is broken at row {seq}")]
pub struct Broken {
    /// Where.
    pub seq: u64,
}

fn link(before: &str, row: &AuditRow) -> String {
    let mut digest = Sha256::new();
    // Each with its length, so that no two rows read the same.
    let numbers = [row.seq.to_string(), row.at.to_string()];
    let fields = [before, &numbers[0], &numbers[1], &row.actor, &row.action, &row.object, &row.detail];
    for field in fields {
        digest.update((field.len() as u64).to_le_bytes());
        digest.update(field.as_bytes());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Adds a row to the change that it is about.
pub(crate) async fn record(
    tx: &mut Change,
    at: Millis,
    actor: &Actor,
    action: &str,
    object: &str,
    detail: &serde_json::Value,
) -> Result<(), StoreError> {
    let (seq, before) = match tx.tip() {
        Some((last, before)) => (last + 1, before),
        None => {
            // Counting holds the last row for this transaction.
            let seq = count(tx, "audit").await?;
            let before = sqlx::query("SELECT hash FROM audit WHERE seq = $1").bind(seq - 1);
            let before = before.fetch_optional(&mut **tx).await?;
            (seq, before.map_or(Ok(String::new()), |row| row.try_get(0))?)
        }
    };
    let mut row = AuditRow {
        seq: unsigned(seq),
        at,
        actor: actor.0.clone(),
        action: action.to_owned(),
        object: object.to_owned(),
        detail: detail.to_string(),
        hash: String::new(),
    };
    row.hash = link(&before, &row);
    sqlx::query(
        "INSERT INTO audit (seq, at_ms, actor, action, object, detail, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(seq)
    .bind(signed(at))
    .bind(row.actor)
    .bind(row.action)
    .bind(row.object)
    .bind(row.detail)
    .bind(&row.hash)
    .execute(&mut **tx)
    .await?;
    tx.is_at((seq, row.hash));
    Ok(())
}

/// So many rows there are, if they are there.
pub(crate) async fn audit_is_at(connection: &mut AnyConnection, seq: i64) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "UPDATE counters SET value = $1 WHERE name = 'audit' AND EXISTS (SELECT 1 FROM audit WHERE seq = $1)",
    )
    .bind(seq);
    query.execute(connection).await.map(drop)
}

impl Store {
    /// Rows behind `after`, in their order.
    ///
    /// # Errors
    /// The database.
    pub async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, at_ms, actor, action, object, detail, hash FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2",
        )
        .bind(signed(after))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(AuditRow {
                    seq: unsigned(row.try_get(0)?),
                    at: unsigned(row.try_get(1)?),
                    actor: row.try_get(2)?,
                    action: row.try_get(3)?,
                    object: row.try_get(4)?,
                    detail: row.try_get(5)?,
                    hash: row.try_get(6)?,
                })
            })
            .collect()
    }

    /// The number of the last row; 0: there is none.
    ///
    /// # Errors
    /// The database.
    pub async fn last_audit(&self) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT COALESCE(MAX(seq), 0) FROM audit").fetch_one(&self.pool).await?;
        Ok(unsigned(row.try_get(0)?))
    }

    /// Reads the whole chain. How many rows it has.
    ///
    /// # Errors
    /// The database; within: where the chain is broken.
    pub async fn verify_audit(&self) -> Result<Result<u64, Broken>, StoreError> {
        let (mut before, mut seq) = (String::new(), 0);
        loop {
            let rows = self.audit(seq, 1000).await?;
            if rows.is_empty() {
                let row = sqlx::query("SELECT COALESCE(MAX(value), 0) FROM counters WHERE name = 'audit'");
                let counted: i64 = row.fetch_one(&self.pool).await?.try_get(0)?;
                // The last rows are gone.
                return Ok(if unsigned(counted) == seq { Ok(seq) } else { Err(Broken { seq: seq + 1 }) });
            }
            for row in rows {
                if row.seq != seq + 1 || link(&before, &row) != row.hash {
                    return Ok(Err(Broken { seq: seq + 1 }));
                }
                (seq, before) = (row.seq, row.hash);
            }
        }
    }
}
