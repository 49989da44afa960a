//! Runs that have ended, one after the other, for whoever follows them: read from the audit behind a mark that stands in the store, so that
//! what ended while there was no server is followed by the next one.

use model::ids::RunId;
use store::{Run, StoreError};

use crate::app::App;

/// Rows of the audit that are read at once.
const PAGE: u32 = 500;

/// What has ended since, and where it was read to.
pub(crate) struct Ended {
    pub(crate) runs: Vec<Run>,
    /// For [`done`].
    pub(crate) at: u64,
}

/// The next of what has ended behind the mark of that name, if anything has happened since. Who is new begins with what ends from now on.
pub(crate) async fn next(app: &App, mark: &str) -> Result<Option<Ended>, StoreError> {
    let Some(at) = app.store.marked(mark).await? else {
        app.store.mark(mark, app.store.last_audit().await?).await?;
        return Ok(None);
    };
    let rows = app.store.audit(at, PAGE).await?;
    let Some(last) = rows.last() else { return Ok(None) };
    let mut runs = Vec::new();
    for row in rows.iter().filter(|row| row.action == "run.finish") {
        let id = row.object.strip_prefix("run-").and_then(|number| number.parse().ok()).map(RunId);
        if let Some(id) = id {
            // One that is forgotten already is followed by nobody.
            runs.extend(app.store.run(id).await?);
        }
    }
    Ok(Some(Ended { runs, at: last.seq }))
}

/// Everything of it was followed.
pub(crate) async fn done(app: &App, mark: &str, ended: &Ended) -> Result<(), StoreError> {
    app.store.mark(mark, ended.at).await
}
