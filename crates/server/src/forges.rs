//! Tells forges how runs of their commits go.
//!
//! What is to be told stands in the store until the forge has heard it, so nothing is lost with the server; a forge that is away
//! hears it later, and what has changed meanwhile instead.
//!
//! Never: waits for a forge anywhere else, tells a token to anybody but the address that an operator gave with it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use model::ids::RunId;
use model::test_result::{TestCase, TestCounts, TestStatus};
use reqwest::StatusCode;
use scm::{Annotation, CheckId, CheckRun, Level, MAX_ANNOTATIONS, Method, Post, Report, State};
use store::{Run, Status, StoreError};
use tokio::time::Instant;

use crate::app::App;
use crate::config::{ProjectConfig, ReportConfig};
use crate::forge::{Silent, answer, with};
use crate::github_app;

/// How often is looked where nobody has told of anything new.
const LOOK: Duration = Duration::from_secs(2);
/// Told at the same time.
const AT_ONCE: usize = 8;
/// Looked at in one turn, and told of.
const MOST: (u32, usize) = (100_000, 200);
/// Between two turns, however much happens.
const REST: Duration = Duration::from_millis(100);
/// The first pause after a failure, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Failures in a row after which nobody waits for that forge to hear of a run: some hours.
const MOST_FAILURES: u32 = 60;
/// Failed tests that a check names.
const MOST_TESTS: u32 = 20;

/// Failures in a row of telling of a run.
#[derive(Clone, Copy)]
struct Failed {
    times: u32,
    again_at: Instant,
}

/// Until the server ends.
pub(crate) async fn tell(app: Arc<App>) {
    let teller = Teller { page: app.url(), app };
    let mut changes = teller.app.changed.subscribe();
    let mut failed = HashMap::new();
    loop {
        if let Err(error) = teller.turn(&mut failed).await {
            tracing::warn!(%error, "what forges are to be told cannot be read");
        }
        let _ = tokio::time::timeout(LOOK, changes.recv()).await;
        tokio::time::sleep(REST).await;
        // One look, which comes next, is enough for all of them.
        changes = changes.resubscribe();
    }
}

struct Teller {
    app: Arc<App>,
    page: String,
}

impl Teller {
    async fn turn(&self, failed: &mut HashMap<RunId, Failed>) -> Result<(), StoreError> {
        let now = Instant::now();
        let waiting = self.app.store.to_report(MOST.0).await?;
        let known: HashSet<_> = waiting.iter().map(|(id, _)| *id).collect();
        failed.retain(|id, _| known.contains(id));
        // Those of a forge that is away hold up no others.
        let is_due = |id: &RunId| failed.get(id).is_none_or(|failed: &Failed| failed.again_at <= now);
        let mut due = Vec::new();
        for (id, word) in waiting.into_iter().filter(|(id, _)| is_due(id)).take(MOST.1) {
            due.extend(self.app.store.run(id).await?.map(|run| (run, word)));
        }
        for group in due.chunks(AT_ONCE) {
            let told = futures_util::future::join_all(group.iter().map(|(run, word)| self.tell_one(run, word))).await;
            for ((run, word), told) in group.iter().zip(told) {
                let times = failed.get(&run.id).map_or(0, |failed| failed.times) + 1;
                match told {
                    Err(Trouble::Passing(reason)) if times < MOST_FAILURES => {
                        tracing::info!(run = %run.id, reason, "a forge was not told");
                        let pause = PAUSE.0.saturating_mul(1 << (times - 1).min(16)).min(PAUSE.1);
                        failed.insert(run.id, Failed { times, again_at: Instant::now() + pause });
                        continue;
                    }
                    Err(Trouble::Passing(reason) | Trouble::Lasting(reason)) => {
                        tracing::warn!(run = %run.id, project = run.project_name, reason, "a forge is not told");
                    }
                    Ok(()) => {}
                }
                failed.remove(&run.id);
                self.app.store.reported_state(run.id, word, self.app.now()).await?;
            }
        }
        Ok(())
    }

    async fn tell_one(&self, run: &Run, word: &str) -> Result<(), Trouble> {
        let project = self.app.store.project(&run.project_name).await;
        let config = project?.and_then(|project| serde_json::from_value::<ProjectConfig>(project.config).ok());
        let report = config.and_then(|config| config.report).filter(|report| !report.silent);
        let report = report.ok_or_else(|| Trouble::Lasting("the project tells nobody any more".to_owned()))?;
        if report.app.is_some() {
            return self.check(&report, run, word).await;
        }
        let post = self.post(&report, run, word).ok_or_else(no_commit)?;
        let request = with(self.app.http.post(post.url).json(&post.body), &post.headers);
        let answer = request.send().await.map_err(|error| Trouble::Passing(error.without_url().to_string()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(Trouble::of(status)),
        }
    }

    /// Makes GitHub's check of a run, or changes the one that was made for it.
    async fn check(&self, report: &ReportConfig, run: &Run, word: &str) -> Result<(), Trouble> {
        let token = github_app::token(&self.app, report).await?.unwrap_or_default();
        let made = self.app.store.check_of(run.id).await?;
        let (name, url) = (name_of(run), self.page_of(run));
        let (state, what) = state(word);
        // Once, with the last word: GitHub adds them to those that it has.
        let remarks = match run.status {
            Status::Done => self.app.store.annotations(run.id, MAX_ANNOTATIONS).await?,
            _ => Vec::new(),
        };
        let annotations: Vec<_> = remarks.iter().map(remark).collect();
        let mut said = CheckRun {
            repository: &report.repository,
            commit: run.commit.as_deref().ok_or_else(no_commit)?,
            name: &name,
            progress: state.into(),
            title: &format!("#{} {what}", run.number),
            summary: &self.summary(run).await?,
            annotations: &annotations,
            url: &url,
            external_id: &run.id.0.to_string(),
        };
        let api = report.api().unwrap_or_default();
        let tell = async |said: &CheckRun<'_>| {
            let check = match made {
                Some(id) => scm::update_check(api, &token, CheckId(id), said),
                None => scm::create_check(api, &token, said),
            };
            let request = match check.method {
                Method::Post => self.app.http.post(check.url),
                Method::Patch => self.app.http.patch(check.url),
            };
            answer(with(request.json(&check.body), &check.headers)).await
        };
        let mut told = tell(&said).await;
        // It takes no remark of several where one is none. How the run has ended is to be heard all the same.
        if matches!(told, Err(Silent::Status(StatusCode::UNPROCESSABLE_ENTITY))) && !annotations.is_empty() {
            said.annotations = &[];
            told = tell(&said).await;
        }
        let made = match told {
            Ok((_, told)) => Some(scm::read_check(&told).map_err(Silent::from)?.0),
            // It is gone, and the next try makes another.
            Err(Silent::Missing) => None,
            Err(Silent::Status(StatusCode::UNAUTHORIZED)) => {
                self.app.tokens.forget(report);
                return Err(Trouble::Passing("the app's token was not taken".to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        self.app.store.has_check(run.id, made, self.app.now()).await?;
        for more in made.iter().flat_map(|id| scm::annotate_check(api, &token, CheckId(*id), &said)) {
            let request = with(self.app.http.patch(more.url).json(&more.body), &more.headers);
            // Who tries again tells the first ones twice.
            if let Err(error) = answer(request).await {
                tracing::warn!(run = %run.id, ?error, "a forge has not heard all remarks of a run");
                break;
            }
        }
        made.map(drop).ok_or_else(|| Trouble::of(StatusCode::NOT_FOUND))
    }

    /// What came of a run, in Markdown: what ended it, and the tests that failed.
    async fn summary(&self, run: &Run) -> Result<String, Trouble> {
        let mut lines: Vec<String> = run.message.iter().cloned().collect();
        if run.tests.total() > 0 {
            let TestCounts { failed, skipped, passed } = run.tests;
            lines.push(format!("Tests: {failed} failed, {skipped} skipped, {passed} passed"));
            let told = self.app.store.tests(run.id, Some(TestStatus::Failed), 0, MOST_TESTS).await?;
            let list: Vec<_> = told.iter().map(|test| format!("* {}", in_code(&test.case))).collect();
            lines.extend((!list.is_empty()).then(|| list.join("\n")));
        }
        Ok(lines.join("\n\n"))
    }

    fn page_of(&self, run: &Run) -> String {
        format!("{}/runs/{}", self.page, run.id.0)
    }

    fn post(&self, report: &ReportConfig, run: &Run, word: &str) -> Option<Post> {
        let (state, what) = state(word);
        let name = name_of(run);
        let message = run.message.as_ref().filter(|_| state == State::Failure || state == State::Aborted);
        let description = match message {
            Some(message) => format!("#{} {what}: {message}", run.number),
            None => format!("#{} {what}", run.number),
        };
        let url = self.page_of(run);
        let said = Report {
            repository: &report.repository,
            commit: run.commit.as_deref()?,
            state,
            name: &name,
            description: &description,
            url: &url,
        };
        Some(scm::post(report.forge, report.api()?, &report.token, &said))
    }
}

fn remark(annotation: &model::annotation::Annotation) -> Annotation<'_> {
    let level = match annotation.level {
        model::annotation::Level::Notice => Level::Notice,
        model::annotation::Level::Warning => Level::Warning,
        model::annotation::Level::Failure => Level::Failure,
    };
    Annotation {
        path: &annotation.path,
        first_line: annotation.first_line,
        last_line: annotation.last_line,
        columns: annotation.columns,
        level,
        title: annotation.title.as_deref(),
        message: &annotation.message,
    }
}

/// A test in a line that nothing in it can break out of: a workload wrote it, and Markdown could call people by their names.
fn in_code(case: &TestCase) -> String {
    let message = case.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    let text = format!("{} {}{message}", case.class, case.name);
    let plain = |c: char| if c == '`' || c.is_control() { '\'' } else { c };
    format!("`{}`", text.trim().chars().map(plain).collect::<String>())
}

/// Why a forge was not told.
enum Trouble {
    /// It may be told later.
    Passing(String),
    /// It will not take it.
    Lasting(String),
}

impl Trouble {
    /// Of an answer that is no success.
    fn of(status: StatusCode) -> Trouble {
        if is_passing(status) { Trouble::Passing(status.to_string()) } else { Trouble::Lasting(status.to_string()) }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        Trouble::Passing(error.to_string())
    }
}

impl From<Silent> for Trouble {
    fn from(error: Silent) -> Trouble {
        match error {
            Silent::Missing => Trouble::of(StatusCode::NOT_FOUND),
            Silent::Status(status) => Trouble::of(status),
            Silent::Away(reason) => Trouble::Passing(reason),
            Silent::Answer(_) => Trouble::Lasting(error.to_string()),
        }
    }
}

fn no_commit() -> Trouble {
    Trouble::Lasting("it has no commit".to_owned())
}

/// What a run is to a forge: the next one of the same project and commit replaces it there.
fn name_of(run: &Run) -> String {
    format!("cofferdam/{}", run.project_name)
}

/// Of a server that is away or busy, or does not know of the commit yet.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT, StatusCode::NOT_FOUND].contains(&status)
}

/// The state of a run by the store's word for it, and a word for people.
fn state(word: &str) -> (State, &'static str) {
    match word {
        "queued" => (State::Queued, "waits"),
        "running" => (State::Running, "runs"),
        "SUCCESS" => (State::Success, "succeeded"),
        "UNSTABLE" => (State::Failure, "is unstable"),
        "ABORTED" => (State::Aborted, "was aborted"),
        "NOT_BUILT" => (State::Aborted, "was not built"),
        _ => (State::Failure, "failed"),
    }
}
