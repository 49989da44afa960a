//! Runs that the clock starts.
//!
//! When was last looked stands in the store, so that what came due while there was no server is run once by the next one; and a moment of a
//! project is one run, however often it is looked at.

use std::sync::Arc;
use std::time::Duration;

use cron::Schedule;
use model::run::{BuildCause, RunFacts};
use store::{Actor, Millis, NewRun, StoreError};

use crate::app::App;
use crate::config::ProjectConfig;

/// How often is looked: a schedule names minutes.
const LOOK: Duration = Duration::from_secs(5);
/// What came due longer ago is not run any more, in milliseconds: a day.
const LONGEST: u64 = 24 * 60 * 60 * 1000;
/// The store's name for when was last looked.
const MARK: &str = "cron";

/// Until the server ends.
pub(crate) async fn watch(app: Arc<App>) {
    loop {
        if let Err(error) = turn(&app, app.now()).await {
            tracing::warn!(%error, "schedules cannot be looked at");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Starts what has come due since the last turn.
async fn turn(app: &App, until: Millis) -> Result<(), StoreError> {
    let since = app.store.marked(MARK).await?.unwrap_or(until);
    // A clock that was set back has its time twice, and its runs once; one that was far ahead starts anew.
    if since >= until {
        let far = since - until > LONGEST;
        return app.store.mark(MARK, if far { until } else { since }).await;
    }
    let since = since.max(until.saturating_sub(LONGEST));
    for project in app.store.projects().await? {
        let config = serde_json::from_value::<ProjectConfig>(project.config.clone());
        let Some((text, reports)) = config.ok().and_then(|config| Some((config.cron?, config.report.is_some()))) else {
            continue;
        };
        let due = match Schedule::parse(&text, &project.name) {
            Ok(schedule) => schedule.due(since, until),
            Err(error) => {
                tracing::warn!(project = project.name, %error, "a schedule cannot be read");
                continue;
            }
        };
        if let Some(moment) = due {
            let cause = BuildCause {
                class: "hudson.triggers.TimerTrigger$TimerTriggerCause".into(),
                description: "Started by timer".into(),
                user: None,
            };
            let facts = RunFacts { causes: vec![cause], has_scm: true, ..RunFacts::default() };
            let delivery = Some(format!("cron {} {moment}", project.name));
            let new = NewRun { facts, delivery, reports, ..NewRun::default() };
            match app.store.create_run(&Actor("timer".into()), &project.name, new, app.now()).await {
                Ok(run) => app.changed(run.id),
                // It was run, and that is forgotten.
                Err(StoreError::Exists { .. }) => {}
                Err(error) => return Err(error),
            }
            app.hub.wake();
        }
    }
    app.store.mark(MARK, until).await
}
