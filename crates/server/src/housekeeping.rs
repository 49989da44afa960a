//! Forgets what projects do not keep, and removes what nothing refers to any more.

use std::sync::Arc;
use std::time::Duration;

use store::{Project, StoreError};

use crate::app::App;
use crate::artifacts;
use crate::config::ProjectConfig;

/// How often is looked.
const LOOK: Duration = Duration::from_secs(60);
/// Forgotten in one change: others want to write too.
const AT_ONCE: u32 = 100;
const DAY: u64 = 24 * 60 * 60 * 1000;

/// Until the server ends.
pub(crate) async fn keep_house(app: Arc<App>) {
    loop {
        if let Err(error) = turn(&app).await {
            tracing::warn!(%error, "old runs cannot be forgotten");
        }
        if let Err(error) = artifacts::sweep(&app).await {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(%error, cause, "what was archived by runs that are forgotten is removed later");
        }
        // Looked at early, where somebody has said that there may be something.
        let _ = tokio::time::timeout(LOOK, app.house.notified()).await;
    }
}

async fn turn(app: &App) -> Result<(), StoreError> {
    for project in app.store.projects().await? {
        let Ok(config) = serde_json::from_value::<ProjectConfig>(project.config.clone()) else { continue };
        while forget(app, &project, &config).await? == u64::from(AT_ONCE) {}
    }
    Ok(())
}

async fn forget(app: &App, project: &Project, config: &ProjectConfig) -> Result<u64, StoreError> {
    if config.keep_days.is_none() && config.keep_runs.is_none() {
        return Ok(0);
    }
    let before = config.keep_days.map(|days| app.now().saturating_sub(days.saturating_mul(DAY)));
    app.store.forget_runs(project.id, before, config.keep_runs, AT_ONCE, app.now()).await
}
