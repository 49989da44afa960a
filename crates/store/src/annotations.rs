//! Remarks of runs on lines of files. They come from workloads: each is cut, and of too many the first are kept.

use model::annotation::{Annotation, MAX_OF_RUN};
use model::ids::RunId;
use sqlx::Row as _;

use crate::write::Change;
use crate::{Store, StoreError, signed};

/// Adds some within the change that they belong to.
pub(crate) async fn add(tx: &mut Change, run: RunId, annotations: &[Annotation]) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT COUNT(*) FROM annotations WHERE run_id = $1").bind(signed(run.0));
    let has: i64 = row.fetch_one(&mut **tx).await?.try_get(0)?;
    let room = MAX_OF_RUN.saturating_sub(usize::try_from(has).unwrap_or(usize::MAX));
    let bounded = annotations.iter().filter_map(|annotation| annotation.clone().bounded());
    for (seq, annotation) in (has + 1..).zip(bounded.take(room)) {
        let text = serde_json::to_string(&annotation).map_err(StoreError::damaged("an annotation"))?;
        let add = sqlx::query("INSERT INTO annotations (run_id, seq, annotation) VALUES ($1, $2, $3)");
        add.bind(signed(run.0)).bind(seq).bind(text).execute(&mut **tx).await?;
    }
    Ok(())
}

impl Store {
    /// The first `most` remarks of a run, in the order in which they were made.
    ///
    /// # Errors
    /// The database.
    pub async fn annotations(&self, run: RunId, most: usize) -> Result<Vec<Annotation>, StoreError> {
        let query = sqlx::query("SELECT annotation FROM annotations WHERE run_id = $1 ORDER BY seq LIMIT $2");
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = query.bind(signed(run.0)).bind(most).fetch_all(&self.pool).await?;
        let read = |text: String| serde_json::from_str(&text).map_err(StoreError::damaged("an annotation"));
        rows.iter().map(|row| read(row.try_get(0)?)).collect()
    }
}
