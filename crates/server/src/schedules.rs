//! Runs that the clock starts: as a project's configuration says, and as the definitions of its branches do.
//!
//! When was last looked stands in the store, so that what came due while there was no server is run once by the next one; and a moment of a
//! project is one run, however often it is looked at.

use std::sync::Arc;
use std::time::Duration;

use cron::Schedule;
use model::run::{BuildCause, RunFacts};
use model::rung::Trust;
use scm::{Push, Reference};
use store::{Actor, Millis, NewRun, StoreError};

use crate::app::App;
use crate::changes::of_push;
use crate::config::ProjectConfig;
use crate::properties::{self, Said};
use crate::scan::{At, Wanted};

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
    let projects = app.store.projects().await?;
    for project in &projects {
        let config = serde_json::from_value::<ProjectConfig>(project.config.clone());
        if let Some((text, config)) = config.ok().and_then(|config| Some((config.cron.clone()?, config)))
            && let Some(moment) = due(&text, &project.name, since, until)
        {
            let new = NewRun { reports: config.reports(), ..of_default() };
            start(app, &project.name, new, format!("cron {} {moment}", project.name)).await?;
        }
    }
    for said in properties::all(app, &projects).await? {
        if !properties::is_branch(&said.branch) {
            continue;
        }
        let name = said.name();
        if let Some(moment) = said.properties.crons().find_map(|text| due(text, &name, since, until)) {
            start(
                app,
                &said.project.name,
                of_branch(&said),
                format!("cron {} {} {moment}", said.project.name, said.branch),
            )
            .await?;
        }
        // A folder is what it is.
        if !said.branch.is_empty() && said.properties.polls().any(|text| due(text, &name, since, until).is_some()) {
            // Nobody need look.
            let _ = app.scan.send(Wanted { project: said.project.name, at: At::Branch(said.branch) });
        }
    }
    app.store.mark(MARK, until).await
}

/// The moment between these two for which a schedule has a run begin.
fn due(text: &str, name: &str, since: Millis, until: Millis) -> Option<Millis> {
    match Schedule::parse(text, name) {
        Ok(schedule) => schedule.due(since, until),
        Err(error) => {
            tracing::warn!(project = name, %error, "a schedule cannot be read");
            None
        }
    }
}

/// Of what is built where nobody says otherwise.
fn of_default() -> NewRun {
    let facts = RunFacts { has_scm: true, ..RunFacts::default() };
    NewRun { facts, trust: Some(Trust::Protected), ..NewRun::default() }
}

/// Of a branch that has asked for it.
pub(crate) fn of_branch(said: &Said) -> NewRun {
    let reports = said.config.reports();
    if said.branch.is_empty() {
        return NewRun { reports, ..of_default() };
    }
    let push = Push { reference: Reference::Branch(said.branch.clone()), commit: String::new(), by: None };
    NewRun { reports, ..of_push(&said.config, push) }
}

async fn start(app: &App, project: &str, mut new: NewRun, delivery: String) -> Result<(), StoreError> {
    new.facts.causes = vec![BuildCause {
        class: "hudson.triggers.TimerTrigger$TimerTriggerCause".into(),
        description: "Started by timer".into(),
        user: None,
    }];
    new.delivery = Some(delivery);
    match app.create_run(&Actor("timer".into()), project, new).await {
        Ok(run) => app.changed(run.id),
        // It was run, and that is forgotten.
        Err(StoreError::Exists { .. }) => {}
        Err(error) => return Err(error),
    }
    app.hub.wake();
    Ok(())
}
