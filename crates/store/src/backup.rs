//! Everything that a database has, as text: from one kind to the other, and while a server has it.
//!
//! A line for each row, compressed, behind one that says which schema it is of. It has keys' digests, what runs have said, and
//! what projects were told in confidence as it lies in the database: sealed, with a key that is not in it.

use std::io::{BufRead, Write};

use futures_util::TryStreamExt as _;
use serde_json::{Map, Value, json};
use sqlx::any::{AnyRow, AnyTypeInfoKind};
use sqlx::{Column as _, Row as _, ValueRef as _};

use crate::connect::{Dialect, SCHEMA};
use crate::write::Change;
use crate::{Store, StoreError};

/// In the order in which they refer to each other, with what orders their rows.
const TABLES: [(&str, &str); 22] = [
    ("counters", "name"),
    ("projects", "id"),
    ("runs", "id"),
    ("deliveries", "digest"),
    ("contents", "digest"),
    ("inputs", "run_id, seq"),
    ("requests", "run_id, id"),
    ("elsewhere", "run_id, job"),
    ("locks", "run_id, request"),
    ("events", "run_id, seq"),
    ("log_chunks", "run_id, first_line"),
    ("artifacts", "run_id, path"),
    ("stashes", "run_id, path"),
    ("tests", "run_id, seq"),
    ("annotations", "run_id, seq"),
    ("properties", "project_id, branch"),
    ("project_people", "project_id, person"),
    ("spare_blobs", "key"),
    ("agents", "id"),
    ("people", "name"),
    ("tokens", "digest"),
    ("audit", "seq"),
];
/// As zstd counts.
const LEVEL: i32 = 6;

impl Store {
    /// Writes all of it, as it was at one moment. How many rows.
    ///
    /// # Errors
    /// The database, or whoever takes it.
    pub async fn backup(&self, out: impl Write) -> Result<u64, StoreError> {
        let mut out = zstd::Encoder::new(out, LEVEL).map_err(sqlx::Error::Io)?;
        let mut tx = self.pool.begin().await?;
        if self.dialect() == Dialect::Postgres {
            sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *tx).await?;
        }
        let mut line = |value: &Value| writeln!(out, "{value}").map_err(sqlx::Error::Io);
        line(&json!({ "cofferdam_backup": 1, "schema": SCHEMA }))?;
        let mut rows = 0;
        for (table, order) in TABLES {
            let text = format!("SELECT * FROM {table} ORDER BY {order}");
            let mut found = sqlx::query(sqlx::AssertSqlSafe(text)).fetch(&mut *tx);
            while let Some(row) = found.try_next().await? {
                line(&json!({ table: shown(&row)? }))?;
                rows += 1;
            }
        }
        out.finish().and_then(|mut out| out.flush()).map_err(sqlx::Error::Io)?;
        Ok(rows)
    }

    /// Fills an empty database with what was written. How many rows.
    ///
    /// # Errors
    /// It is not empty, or what is read is no backup, or one of a newer version: then nothing is changed.
    pub async fn restore(&self, text: impl BufRead) -> Result<u64, StoreError> {
        let damaged = |reason: String| StoreError::Damaged { what: "a backup", reason };
        let text = zstd::Decoder::with_buffer(text).map_err(|error| damaged(error.to_string()))?;
        let mut lines = std::io::BufReader::new(text).lines();
        let head = lines.next().transpose().map_err(|error| damaged(error.to_string()))?.unwrap_or_default();
        let head: Value = serde_json::from_str(&head).map_err(|error| damaged(error.to_string()))?;
        if head["cofferdam_backup"] != 1 {
            return Err(damaged("it does not begin as one".to_owned()));
        }
        let found = head["schema"].as_i64().unwrap_or(i64::MAX);
        if found > SCHEMA {
            return Err(StoreError::Newer { found, known: SCHEMA });
        }
        let mut tx = self.write().await?;
        for (table, _) in TABLES {
            let text = format!("SELECT COUNT(*) FROM {table}");
            let row = sqlx::query(sqlx::AssertSqlSafe(text)).fetch_one(&mut *tx).await?;
            if row.try_get::<i64, _>(0)? > 0 {
                return Err(StoreError::Exists { what: "database with", name: table.to_owned() });
            }
        }
        let mut rows = 0;
        for line in lines {
            let line = line.map_err(|error| damaged(error.to_string()))?;
            let line: Map<String, Value> = serde_json::from_str(&line).map_err(|error| damaged(error.to_string()))?;
            let (table, row) = line.iter().next().ok_or_else(|| damaged("an empty line".to_owned()))?;
            let known = TABLES.iter().find(|(known, _)| known == table);
            let (table, _) = known.ok_or_else(|| damaged(format!("a table {table:?}")))?;
            put(&mut tx, table, row.as_object().ok_or_else(|| damaged("a row that is none".to_owned()))?).await?;
            rows += 1;
        }
        tx.commit().await?;
        Ok(rows)
    }
}

/// Numbers and texts as they are, bytes in hexadecimal digits in a list; what is empty is left out.
fn shown(row: &AnyRow) -> Result<Map<String, Value>, StoreError> {
    let mut shown = Map::new();
    for column in row.columns() {
        let at = column.ordinal();
        let raw = row.try_get_raw(at)?;
        if raw.is_null() {
            continue;
        }
        // What a column of SQLite was declared as says nothing of a value.
        let value = match raw.type_info().kind() {
            AnyTypeInfoKind::Blob => {
                let bytes = row.try_get::<Vec<u8>, _>(at)?;
                json!([bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()])
            }
            AnyTypeInfoKind::Text => row.try_get::<String, _>(at)?.into(),
            _ => row.try_get::<i64, _>(at)?.into(),
        };
        shown.insert(column.name().to_owned(), value);
    }
    Ok(shown)
}

async fn put(tx: &mut Change, table: &str, row: &Map<String, Value>) -> Result<(), StoreError> {
    let damaged = |reason: String| StoreError::Damaged { what: "a backup", reason };
    let is_name = |name: &String| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if let Some(name) = row.keys().find(|name| !is_name(name)) {
        return Err(damaged(format!("a column {name:?}")));
    }
    let names: Vec<_> = row.keys().map(String::as_str).collect();
    let places: Vec<_> = (1..=names.len()).map(|number| format!("${number}")).collect();
    let text = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), places.join(", "));
    let mut query = sqlx::query(sqlx::AssertSqlSafe(text));
    for value in row.values() {
        query = match value {
            Value::Number(number) => query.bind(number.as_i64().ok_or_else(|| damaged(format!("a number {number}")))?),
            Value::String(text) => query.bind(text.clone()),
            Value::Array(parts) => {
                let digits = parts.first().and_then(Value::as_str).unwrap_or_default();
                query.bind(bytes(digits).ok_or_else(|| damaged("bytes that are none".to_owned()))?)
            }
            other => return Err(damaged(format!("a value {other}"))),
        };
    }
    query.execute(&mut **tx).await?;
    Ok(())
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}
