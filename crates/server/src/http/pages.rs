//! Pages that need no JavaScript.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use maud::{DOCTYPE, Markup, html};
use model::ids::RunId;
use model::rung::Trust;
use serde::Deserialize;
use store::{Run, RunFilter, Status};
use wire::agent::Offers;

use super::auth::Viewer;
use super::error::Refused;
use crate::app::App;
use crate::logs;
use crate::policy::Action;

/// Runs on one page.
const PAGE: u32 = 50;
/// Lines of a log on one page.
const LINES: usize = 2000;
/// Events that stages are drawn from.
const EVENTS: u32 = 50_000;
/// How often the page of a run that is under way is asked for again, in seconds.
const REFRESH: u32 = 3;
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
    table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd}\
    pre{background:#f6f6f6;padding:1rem;overflow:auto}a{color:#0550ae}.success{color:#116329}.failure{color:#a40e26}\
    ul.branches{display:flex;flex-wrap:wrap;gap:.3rem 2rem;list-style:none;padding-left:1rem}ul.branches>li{border-left:3px solid #ddd;padding-left:.6rem}\
    @media(prefers-color-scheme:dark){body{color:#ddd;background:#111}pre{background:#1c1c1c}td,th,ul.branches>li{border-color:#333}a{color:#6cb6ff}\
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
            body {
                nav { a href="/" { "Runs" } " · " a href="/queue" { "Queue" } " · " a href="/agents" { "Agents" } " · " a href="/account" { "Account" } }
                (body)
            }
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

/// A moment, in words.
pub(super) fn moment(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default()
}

/// Where a list goes on.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct From {
    /// Older runs than this one.
    before: Option<u64>,
    /// Behind that one in the queue.
    after: u64,
}

fn link(run: &Run) -> Markup {
    html! {
        a href=(format!("/runs/{}", run.id.0)) { (run.project_name) " #" (run.number) }
        @if let Some(name) = &run.display_name { " " (name) }
    }
}

fn cause(run: &Run) -> &str {
    run.facts.causes.first().map(|cause| cause.description.as_str()).unwrap_or_default()
}

/// Whose code it is, where that is from, and who wanted it.
fn whose(run: &Run) -> Markup {
    let whose = match run.trust {
        Trust::Protected => "protected",
        Trust::Member => "a member's",
        Trust::Stranger => "a stranger's",
    };
    html! {
        "Code: " b { (whose) }
        @if let Some(revision) = &run.revision { " · " (revision) }
        @if let Some(commit) = &run.commit { " · " code { (commit.chars().take(12).collect::<String>()) } }
        @if !cause(run).is_empty() { " · " (cause(run)) }
    }
}

pub(super) async fn home(
    State(app): State<Arc<App>>,
    Viewer(user): Viewer,
    Query(From { before, .. }): Query<From>,
) -> Result<Markup, Refused> {
    let projects = user.visible(&app).await?;
    let filter = RunFilter { projects, before: before.map(RunId), limit: PAGE, ..RunFilter::default() };
    let runs = app.store.runs(&filter).await?;
    Ok(page(
        "Runs",
        &html! {
            h1 { "Runs" }
            table {
                tr { th { "Run" } th { "State" } th { "Why" } }
                @for run in &runs {
                    @let (word, class) = state(run);
                    tr {
                        td { (link(run)) }
                        td class=(class) { (word) @if let Some(waits) = super::runs::waits(&app, run) { ": " (waits) } }
                        td { (cause(run)) }
                    }
                }
            }
            @if let Some(last) = runs.last().filter(|_| runs.len() == PAGE as usize) {
                p { a href=(format!("/?before={}", last.id.0)) rel="next" { "Older runs" } }
            }
        },
    ))
}

/// What waits, and why.
pub(super) async fn queue(
    State(app): State<Arc<App>>,
    Viewer(user): Viewer,
    Query(From { after, .. }): Query<From>,
) -> Result<Markup, Refused> {
    user.may(Action::SeeAgents, None)?;
    let projects = user.visible(&app).await?;
    let runs = app.store.waiting(projects.as_deref(), RunId(after), PAGE).await?;
    let all = app.store.run_counts().await?.queued;
    Ok(page(
        "Queue",
        &html! {
            h1 { "Queue" }
            p { (all) @if all == 1 { " run waits." } @else { " runs wait." } }
            table {
                tr { th { "Run" } th { "Waits" } th { "Since" } th { "Why it was started" } }
                @for run in &runs {
                    tr {
                        td { (link(run)) }
                        td { (super::runs::why(&app, run)) }
                        td { (moment(run.queued_at)) }
                        td { (cause(run)) }
                    }
                }
            }
            @if let Some(last) = runs.last().filter(|_| runs.len() == PAGE as usize) {
                p { a href=(format!("/queue?after={}", last.id.0)) rel="next" { "Those behind them" } }
            }
        },
    ))
}

pub(super) async fn agents(State(app): State<Arc<App>>, Viewer(user): Viewer) -> Result<Markup, Refused> {
    user.may(Action::SeeAgents, None)?;
    let agents = app.store.agents().await?;
    Ok(page(
        "Agents",
        &html! {
            h1 { "Agents" }
            table {
                tr { th { "Agent" } th { "State" } th { "Last seen" } th { "Sandboxes" } th { "Images" } }
                @for agent in &agents {
                    @let offers = app.hub.offers_of(agent.id);
                    tr {
                        td { (agent.name) }
                        td { @if offers.is_some() { "connected" } @else { "away" } }
                        td { (agent.seen_at.map(moment).unwrap_or_default()) }
                        @let offers = offers.unwrap_or_default();
                        td { (in_words(&offers)) }
                        td { (offers.images.len()) }
                    }
                }
            }
        },
    ))
}

/// What an agent has.
fn in_words(offers: &Offers) -> String {
    let rungs = offers.rungs.iter().map(|rung| rung.name());
    rungs.chain(offers.engine.then_some("Docker Engine")).collect::<Vec<_>>().join(", ")
}

pub(super) async fn run(
    State(app): State<Arc<App>>,
    Viewer(user): Viewer,
    Path(id): Path<u64>,
) -> Result<Markup, Refused> {
    let (run, _) = super::runs::find(&app, &user, Action::SeeProject, id).await?;
    let events = app.store.stage_events(run.id, EVENTS).await?;
    let first = run.lines.saturating_sub(LINES as u64);
    let lines = logs::read(&app, run.id, first, LINES).await.map_err(Refused::from);
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
            h1 { (run.project_name) " " (name) " " span class=(class) { (word) } }
            p { (whose(&run)) }
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
                    @if first > 0 {
                        p { "The last of " (run.lines) " lines: " a href=(format!("/runs/{}/log", run.id.0)) { "all of them" } "." }
                    }
                    pre { @for line in lines { (line.text) "\n" } }
                }
                // All else of the run is there.
                Err(Refused(_, reason)) => p { "It cannot be read: " (reason) },
            }
        },
    ))
}

/// Where a log goes on.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    from: u64,
}

/// A log, page by page.
pub(super) async fn log(
    State(app): State<Arc<App>>,
    Viewer(user): Viewer,
    Path(id): Path<u64>,
    Query(Line { from }): Query<Line>,
) -> Result<Markup, Refused> {
    let (run, _) = super::runs::find(&app, &user, Action::SeeProject, id).await?;
    let lines = logs::read(&app, run.id, from, LINES).await?;
    let (next, at) = (from + lines.len() as u64, |from: u64| format!("/runs/{id}/log?from={from}"));
    let title = format!("Log of {} #{}", run.project_name, run.number);
    Ok(page(
        &title,
        &html! {
            h1 { (title) }
            p { a href=(format!("/runs/{id}")) { "The run" } " · lines " (from) " to " (next) " of " (run.lines) }
            pre { @for line in &lines { (line.text) "\n" } }
            p {
                @if from > 0 { a href=(at(from.saturating_sub(LINES as u64))) rel="prev" { "Before" } " " }
                @if next < run.lines { a href=(at(next)) rel="next" { "Further" } }
            }
        },
    ))
}
