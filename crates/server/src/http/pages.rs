//! Pages that need no JavaScript.

use std::sync::Arc;

use axum::extract::{Path, State};
use maud::{DOCTYPE, Markup, html};
use store::{Run, RunFilter, Status};
use wire::agent::Offers;

use super::auth::Viewer;
use super::error::Refused;
use crate::app::App;
use crate::logs;
use crate::policy::Action;

/// How often the page of a run that is under way is asked for again, in seconds.
const REFRESH: u32 = 3;
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
    table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd}\
    pre{background:#f6f6f6;padding:1rem;overflow:auto}a{color:#0550ae}.success{color:#116329}.failure{color:#a40e26}\
    @media(prefers-color-scheme:dark){body{color:#ddd;background:#111}pre{background:#1c1c1c}td,th{border-color:#333}a{color:#6cb6ff}\
    .success{color:#57ab5a}.failure{color:#f47067}}";

pub(super) async fn health(State(app): State<Arc<App>>) -> Result<&'static str, Refused> {
    app.store.has_api_token().await?;
    Ok("ok\n")
}

pub(super) fn page(title: &str, body: &Markup) -> Markup {
    page_that_refreshes(title, None, body)
}

/// A page that a browser asks for again after so many seconds.
fn page_that_refreshes(title: &str, seconds: Option<u32>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                @if let Some(seconds) = seconds { meta http-equiv="refresh" content=(seconds); }
                title { (title) " · Cofferdam" }
                style { (maud::PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
}

fn state(run: &Run) -> (String, &'static str) {
    match (run.status, run.outcome) {
        (Status::Queued, _) => ("queued".into(), "queued"),
        (Status::Running, _) => ("running".into(), "running"),
        (Status::Done, Some(outcome)) if outcome == model::outcome::Outcome::Success => {
            (outcome.name().to_lowercase(), "success")
        }
        (Status::Done, outcome) => (outcome.map_or("done".into(), |outcome| outcome.name().to_lowercase()), "failure"),
    }
}

pub(super) async fn home(State(app): State<Arc<App>>, Viewer(user): Viewer) -> Result<Markup, Refused> {
    let projects = user.visible(&app).await?;
    let runs = app.store.runs(&RunFilter { projects, limit: 50, ..RunFilter::default() }).await?;
    let agents = app.store.agents().await?;
    Ok(page(
        "Runs",
        &html! {
            h1 { "Runs" }
            table {
                tr { th { "Run" } th { "State" } th { "Why" } }
                @for run in &runs {
                    @let (word, class) = state(run);
                    tr {
                        td {
                            a href=(format!("/runs/{}", run.id.0)) { (run.project_name) " #" (run.number) }
                            @if let Some(name) = &run.display_name { " " (name) }
                        }
                        td class=(class) { (word) @if let Some(waits) = super::runs::waits(&app, run) { ": " (waits) } }
                        td { (run.facts.causes.first().map(|cause| cause.description.as_str()).unwrap_or_default()) }
                    }
                }
            }
            h2 { "Agents" }
            table {
                tr { th { "Agent" } th { "State" } th { "Sandboxes" } }
                @for agent in &agents {
                    @let offers = app.hub.offers_of(agent.id);
                    tr {
                        td { (agent.name) }
                        td { @if offers.is_some() { "connected" } @else { "away" } }
                        td { (offers.map(in_words).unwrap_or_default()) }
                    }
                }
            }
        },
    ))
}

/// What an agent has.
fn in_words(offers: Offers) -> String {
    let rungs = offers.rungs.iter().map(|rung| rung.name());
    rungs.chain(offers.engine.then_some("Docker Engine")).collect::<Vec<_>>().join(", ")
}

pub(super) async fn run(
    State(app): State<Arc<App>>,
    Viewer(user): Viewer,
    Path(id): Path<u64>,
) -> Result<Markup, Refused> {
    let (run, _) = super::runs::find(&app, &user, Action::SeeProject, id).await?;
    let events = app.store.events(run.id, 0, 10_000).await?;
    let lines = logs::read(&app, run.id, run.lines.saturating_sub(2000), 2000).await.map_err(Refused::from);
    let artifacts = super::artifacts::of_run(&app, &run, "").await?;
    let questions = super::questions::of_run(&app, &run).await?;
    let annotations = super::annotations::of_run(&app, &run).await?;
    let tests = super::test_results::of_run(&app, &run).await?;
    let (word, class) = state(&run);
    let name = run.display_name.clone().unwrap_or_else(|| format!("#{}", run.number));
    // One that asks is answered in a form, which is not to be taken away from under somebody's hands.
    let refresh = (run.status != Status::Done && questions.is_empty()).then_some(REFRESH);
    Ok(page_that_refreshes(
        &format!("{} {name}", run.project_name),
        refresh,
        &html! {
            p { a href="/" { "Runs" } }
            h1 { (run.project_name) " " (name) " " span class=(class) { (word) } }
            @if let Some(waits) = super::runs::waits(&app, &run) { p { (waits) } }
            @if let Some(message) = &run.message { p { (message) } }
            @for question in &questions { (super::questions::page(&run, question)) }
            @if let Some(description) = &run.description { p { (description) } }
            h2 { "Stages" }
            (super::stages::graph(&events, app.now()))
            (tests)
            (annotations)
            (super::artifacts::listed(run.id, &artifacts))
            h2 { "Log" }
            @match &lines {
                Ok(lines) => {
                    @if run.lines > 2000 { p { "The last 2000 of " (run.lines) " lines." } }
                    pre { @for line in lines { (line.text) "\n" } }
                }
                // All else of the run is there.
                Err(Refused(_, reason)) => p { "It cannot be read: " (reason) },
            }
        },
    ))
}
