//! What runs have reported of tests, and how a test has done before.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use maud::{Markup, html};
use model::ids::RunId;
use model::test_result::{TestCase, TestCounts, TestStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{FlakyTest, PastResult, Project, Run, TestResult};
use utoipa::{IntoParams, ToSchema};
use wire::artifact::encoded;

use super::auth::{User, Viewer};
use super::error::Refused;
use crate::app::App;
use crate::policy::Action;

/// Tests in one answer.
const PAGE: u32 = 500;
/// Failed tests on a run's page.
const ON_PAGE: u32 = 100;
/// Results of one test, from the latest on, where nobody says how many.
const PAST: u32 = 50;
/// Flaky tests of a project.
const MOST_FLAKY: usize = 100;

/// How many tests there were.
#[derive(Serialize, ToSchema)]
#[schema(as = TestCounts)]
pub(super) struct Counts {
    failed: u64,
    skipped: u64,
    passed: u64,
}

impl From<TestCounts> for Counts {
    fn from(TestCounts { failed, skipped, passed }: TestCounts) -> Counts {
        Counts { failed, skipped, passed }
    }
}

/// Which tests of a run.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct Wanted {
    /// `failed`, `skipped` or `passed`; all, where it is not there.
    status: Option<String>,
    /// `next_after` of the page before.
    after: u64,
}

/// Tests of a run.
#[derive(Serialize, ToSchema)]
pub(super) struct Tests {
    counts: Counts,
    /// At most 500.
    tests: Vec<Test>,
    /// Where the next page goes on.
    next_after: Option<u64>,
}

/// A test.
#[derive(Serialize, ToSchema)]
pub(super) struct Test {
    /// In its run, from 1.
    number: u64,
    /// Whatever its tests are grouped by.
    class: String,
    name: String,
    /// `failed`, `skipped` or `passed`.
    status: &'static str,
    ms: u64,
    /// What went wrong, or why it was not run.
    message: Option<String>,
    /// More of that: where it went wrong.
    detail: Option<String>,
}

impl From<TestResult> for Test {
    fn from(TestResult { seq, case }: TestResult) -> Test {
        let TestCase { class, name, status, ms, message, detail } = case;
        Test { number: seq, class, name, status: status.word(), ms, message, detail }
    }
}

/// What a run has reported of tests.
#[utoipa::path(get, path = "/api/v1/runs/{id}/tests", tag = "tests", params(("id" = u64, Path), Wanted),
    responses((status = 200, body = Tests)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<u64>,
    Query(Wanted { status, after }): Query<Wanted>,
) -> Result<Json<Tests>, Refused> {
    let (run, _) = super::runs::find(&app, &user, Action::SeeProject, id).await?;
    let wanted = status.as_deref().map(|word| {
        TestStatus::of(word).ok_or_else(|| Refused::bad(format!("status {word:?}: it is failed, skipped or passed")))
    });
    let tests = app.store.tests(run.id, wanted.transpose()?, after, PAGE).await?;
    let next_after = tests.last().filter(|_| tests.len() == PAGE as usize).map(|last| last.seq);
    Ok(Json(Tests { counts: run.tests.into(), tests: tests.into_iter().map(Test::from).collect(), next_after }))
}

/// Which test.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Named {
    /// Its class.
    #[serde(default)]
    class: String,
    /// Its name.
    name: String,
    /// `next_after` of the page before.
    after: Option<String>,
    /// At most 500; 50 where it is not there.
    limit: Option<u32>,
}

/// How a test has done.
#[derive(Serialize, ToSchema)]
pub(super) struct History {
    /// The latest first.
    results: Vec<Past>,
    /// Where the next page goes on.
    next_after: Option<String>,
}

/// How a test did in a run.
#[derive(Serialize, ToSchema)]
pub(super) struct Past {
    /// Which run.
    run: u64,
    /// Its number in its project.
    number: u64,
    /// Branch, tag or commit of it.
    revision: Option<String>,
    commit: Option<String>,
    queued_at: u64,
    /// `failed`, `skipped` or `passed`.
    status: &'static str,
    ms: u64,
    message: Option<String>,
}

impl From<PastResult> for Past {
    fn from(past: PastResult) -> Past {
        let PastResult { run, seq: _, number, revision, commit, queued_at, status, ms, message } = past;
        Past { run: run.0, number, revision, commit, queued_at, status: status.word(), ms, message }
    }
}

/// How a test has done in the runs of its project.
#[utoipa::path(get, path = "/api/v1/projects/{name}/tests/history", tag = "tests",
    params(("name" = String, Path, description = "Of the project. A slash is `%2F`."), Named), responses((status = 200, body = History)))]
pub(super) async fn history(
    State(app): State<Arc<App>>,
    user: User,
    Path(project): Path<String>,
    Query(Named { class, name, after, limit }): Query<Named>,
) -> Result<Json<History>, Refused> {
    let project = of(&app, &user, &project).await?;
    let after =
        after.map(|after| place(&after).ok_or_else(|| Refused::bad(format!("after {after:?}: it is no page's"))));
    let limit = limit.unwrap_or(PAST).clamp(1, PAGE);
    let results = app.store.test_history(project.id, &class, &name, after.transpose()?, limit).await?;
    let last = results.last().filter(|_| results.len() == limit as usize);
    let next_after = last.map(|last| format!("{}-{}", last.run.0, last.seq));
    Ok(Json(History { results: results.into_iter().map(Past::from).collect(), next_after }))
}

/// A result of a test: of a run, and its number there.
fn place(name: &str) -> Option<(RunId, u64)> {
    let (run, seq) = name.split_once('-')?;
    Some((RunId(run.parse().ok()?), seq.parse().ok()?))
}

/// Tests that fail now and then.
#[derive(Serialize, ToSchema)]
pub(super) struct Flaky {
    /// Those that do so most first, at most 100.
    tests: Vec<FlakyOne>,
}

/// A test that fails now and then.
#[derive(Serialize, ToSchema)]
#[schema(as = FlakyTest)]
pub(super) struct FlakyOne {
    class: String,
    name: String,
    /// In so many of the last runs it passed or failed.
    runs: u64,
    /// In so many it failed.
    failed: u64,
    /// So often its result was another than that of the run before on the same branch.
    flips: u64,
    /// It has failed and passed at one commit.
    at_one_commit: bool,
}

impl From<FlakyTest> for FlakyOne {
    fn from(FlakyTest { class, name, runs, failed, flips, at_one_commit }: FlakyTest) -> FlakyOne {
        FlakyOne { class, name, runs, failed, flips, at_one_commit }
    }
}

/// Tests of a project that fail now and then: in its last 30 runs with tests they failed and passed at one commit, or changed three times on
/// one branch. That is found anew each time, and the 100 that do so most are told: there are no further pages.
#[utoipa::path(get, path = "/api/v1/projects/{name}/tests/flaky", tag = "tests",
    params(("name" = String, Path, description = "Of the project. A slash is `%2F`.")), responses((status = 200, body = Flaky)))]
pub(super) async fn flaky(
    State(app): State<Arc<App>>,
    user: User,
    Path(project): Path<String>,
) -> Result<Json<Flaky>, Refused> {
    let project = of(&app, &user, &project).await?;
    let tests = app.store.flaky_tests(project.id, MOST_FLAKY).await?;
    Ok(Json(Flaky { tests: tests.into_iter().map(FlakyOne::from).collect() }))
}

/// A project whose runs somebody may look at.
async fn of(app: &App, user: &User, name: &str) -> Result<Project, Refused> {
    user.may(Action::SeeProject, Some(name))?;
    app.store.project(name).await?.ok_or_else(|| Refused::missing("project"))
}

/// In a line; `None`: there are none.
fn in_words(TestCounts { failed, skipped, passed }: TestCounts) -> Option<String> {
    (failed + skipped + passed > 0).then(|| format!("{failed} failed, {skipped} skipped, {passed} passed"))
}

/// For the page of a run: how many, and those that failed.
pub(super) async fn of_run(app: &App, run: &Run) -> Result<Markup, Refused> {
    let Some(counts) = in_words(run.tests) else { return Ok(Markup::default()) };
    let failed = app.store.tests(run.id, Some(TestStatus::Failed), 0, ON_PAGE).await?;
    Ok(html! {
        h2 { "Tests" }
        p { (counts) }
        @for TestResult { case, .. } in &failed {
            details {
                summary {
                    (case.class) " " strong { (case.name) }
                    @if let Some(message) = &case.message { ": " (message) }
                }
                @if let Some(detail) = &case.detail { pre { (detail) } }
                p {
                    a href=(format!("/tests?project={}&class={}&name={}",
                        encoded(&run.project_name), encoded(&case.class), encoded(&case.name))) { "In other runs" }
                }
            }
        }
        @if run.tests.failed > u64::from(ON_PAGE) {
            p { "There are more: " code { "cofferdam tests " (run.id.0) " --failed" } }
        }
    })
}

/// Which test of which project.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    project: String,
    #[serde(default)]
    class: String,
    name: String,
}

/// `GET /tests?project=…&class=…&name=…`: how a test has done.
pub(super) async fn page(
    State(app): State<Arc<App>>,
    Viewer(user): Viewer,
    Query(Asked { project, class, name }): Query<Asked>,
) -> Result<Markup, Refused> {
    let project = of(&app, &user, &project).await?;
    let results = app.store.test_history(project.id, &class, &name, None, PAST).await?;
    if results.is_empty() {
        return Err(Refused(StatusCode::NOT_FOUND, "there is no such test".into()));
    }
    Ok(super::pages::page(
        &name,
        &html! {
            p { a href="/" { "Runs" } }
            h1 { (class) " " (name) }
            table {
                tr { th { "Run" } th { "Branch" } th { "Result" } th { "ms" } th { "" } }
                @for past in &results {
                    tr {
                        td { a href=(format!("/runs/{}", past.run.0)) { (project.name) " #" (past.number) } }
                        td { (past.revision.as_deref().unwrap_or_default()) }
                        td class=(if past.status == TestStatus::Failed { "failure" } else { "success" }) { (past.status.word()) }
                        td { (past.ms) }
                        td { (past.message.as_deref().unwrap_or_default()) }
                    }
                }
            }
        },
    ))
}

/// `testReport/api/json` of Jenkins: as many tests as are told at once, those that did not pass first.
pub(super) async fn as_jenkins(app: &App, run: &Run) -> Result<Json<Value>, Refused> {
    if run.tests.total() == 0 {
        return Err(Refused::missing("test report"));
    }
    let mut cases = Vec::new();
    for status in [TestStatus::Failed, TestStatus::Skipped, TestStatus::Passed] {
        for TestResult { case, .. } in app.store.tests(run.id, Some(status), 0, PAGE).await? {
            cases.push(json!({
                "className": case.class,
                "name": case.name,
                "status": status.word().to_uppercase(),
                "skipped": status == TestStatus::Skipped,
                "duration": case.ms as f64 / 1000.0,
                "errorDetails": case.message,
                "errorStackTrace": case.detail,
            }));
        }
    }
    let TestCounts { failed, skipped, passed } = run.tests;
    Ok(Json(json!({
        "_class": "hudson.tasks.junit.TestResult",
        "failCount": failed,
        "skipCount": skipped,
        "passCount": passed,
        "suites": [{ "name": run.project_name, "cases": cases }],
    })))
}
