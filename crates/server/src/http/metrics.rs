//! `/metrics`, as Prometheus reads it, by the names that OpenTelemetry's conventions for CI/CD have.
//!
//! Numbers of runs are the store's; what is counted since the start of this process says so (`_total`, `_duration_seconds`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::response::IntoResponse;
use model::run::RunEnd;
use store::{Millis, Run, RunCounts};

use super::auth::User;
use super::error::Refused;
use crate::app::App;
use crate::conventions::result;
use crate::policy::Action;

/// Upper ends of the groups that durations are counted in, in seconds.
const ENDS: [f64; 12] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 10800.0, f64::INFINITY];

/// `cicd.pipeline.run.state`
const STATES: [&str; 2] = ["pending", "executing"];
/// Projects, each with each kind of end, that are counted by themselves; those that come later are counted together.
const MOST_PROJECTS: usize = 10_000;
/// What they are called.
const OTHERS: &str = "_other";

/// Of a project and a kind of end, or of those that are counted together.
fn entry<'a, T: Default>(
    all: &'a mut BTreeMap<(String, &'static str), T>,
    project: &str,
    kind: &'static str,
) -> &'a mut T {
    let own = (project.to_owned(), kind);
    let is_own = all.contains_key(&own) || all.len() < MOST_PROJECTS;
    all.entry(if is_own { own } else { (OTHERS.to_owned(), kind) }).or_default()
}

/// Durations, by group, and their sum in milliseconds.
#[derive(Clone, Default)]
struct Ended {
    groups: [u64; ENDS.len()],
    sum: u64,
}

/// What is counted since the start.
#[derive(Default)]
pub(crate) struct Counted {
    /// Of each project and result, in each state ([`STATES`]).
    ended: Mutex<BTreeMap<(String, &'static str), [Ended; 2]>>,
    /// Of each project and kind of failure, how many runs have ended with one.
    errors: Mutex<BTreeMap<(String, &'static str), u64>>,
    /// Runs whose agent was lost.
    lost: AtomicU64,
    waited_ms: AtomicU64,
    taken: AtomicU64,
}

impl Counted {
    /// A run ends now.
    pub(crate) fn ended(&self, run: &Run, end: &RunEnd, now: Millis) {
        let pending = run.started_at.unwrap_or(now).saturating_sub(run.queued_at);
        // None: no agent has had it.
        let executing = run.started_at.map(|at| now.saturating_sub(at));
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let states = entry(&mut ended, &run.project_name, result(end.outcome, end.error()));
        for (Ended { groups, sum }, ms) in states.iter_mut().zip([Some(pending), executing]) {
            let Some(ms) = ms else { continue };
            let group = ENDS.iter().position(|end| ms as f64 / 1000.0 <= *end).unwrap_or(ENDS.len() - 1);
            groups[group] += 1;
            *sum += ms;
        }
        drop(ended);
        if let Some(kind) = end.error() {
            let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
            *entry(&mut errors, &run.project_name, kind) += 1;
        }
    }

    /// The agent of a run was lost.
    pub(crate) fn lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// A run has got its first place, after so many milliseconds in the queue.
    pub(crate) fn taken(&self, waited_ms: u64) {
        self.waited_ms.fetch_add(waited_ms, Ordering::Relaxed);
        self.taken.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) async fn show(State(app): State<Arc<App>>, user: User) -> Result<impl IntoResponse, Refused> {
    user.may(Action::SeeMetrics, None)?;
    let by_project = app.store.run_counts_by_project().await?;
    let counts = by_project.values().copied().fold(RunCounts::default(), RunCounts::with);
    let ended = app.counted.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let errors = app.counted.errors.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // One that has no run any more is told of as long as it is remembered: a gauge that goes away says nothing.
    let names: BTreeSet<_> = by_project.keys().chain(ended.keys().map(|(name, _)| name)).collect();
    let places = app.hub.places(app.waiting.taken());
    let mut text = String::new();
    let mut page = Page(&mut text);
    page.head("cicd_pipeline_run_active", "gauge", "Runs that have not ended.");
    for name in names {
        let of = by_project.get(name).copied().unwrap_or_default();
        for (state, count) in [("pending", of.queued), ("executing", of.running)] {
            let labels = format!("{},cicd_pipeline_run_state=\"{state}\"", named(name));
            page.line("cicd_pipeline_run_active", &labels, count);
        }
    }
    page.head("cofferdam_queue_oldest_seconds", "gauge", "How long the oldest run in the queue has waited.");
    let oldest = counts.oldest_queued_at.map_or(0.0, |at| app.now().saturating_sub(at) as f64 / 1000.0);
    page.line("cofferdam_queue_oldest_seconds", "", oldest);
    page.head("cicd_worker_count", "gauge", "Places for runs at connected agents.");
    page.line("cicd_worker_count", "cicd_worker_state=\"busy\"", places.taken);
    page.line("cicd_worker_count", "cicd_worker_state=\"available\"", places.free);
    page.head("cofferdam_jobs_elsewhere", "gauge", "Jobs that have places at other agents than their runs.");
    page.line("cofferdam_jobs_elsewhere", "", app.waiting.taken_by_jobs());
    page.head("cofferdam_agents_connected", "gauge", "Agents that are connected.");
    page.line("cofferdam_agents_connected", "", places.agents);
    page.head("cofferdam_queue_wait_seconds", "summary", "Time from a run's request to its first place.");
    page.line("cofferdam_queue_wait_seconds_sum", "", app.counted.waited_ms.load(Ordering::Relaxed) as f64 / 1000.0);
    page.line("cofferdam_queue_wait_seconds_count", "", app.counted.taken.load(Ordering::Relaxed));
    page.head("cicd_pipeline_run_duration_seconds", "histogram", "How long runs that have ended were in each state.");
    for ((name, result), states) in &ended {
        for (state, Ended { groups, sum }) in
            STATES.iter().zip(states).filter(|(_, ended)| ended.groups != [0; ENDS.len()])
        {
            let labels =
                format!("{},cicd_pipeline_result=\"{result}\",cicd_pipeline_run_state=\"{state}\"", named(name));
            let mut all = 0;
            for (end, count) in ENDS.iter().zip(groups) {
                all += count;
                let end = if end.is_finite() { end.to_string() } else { "+Inf".to_owned() };
                page.line("cicd_pipeline_run_duration_seconds_bucket", &format!("{labels},le=\"{end}\""), all);
            }
            page.line("cicd_pipeline_run_duration_seconds_sum", &labels, *sum as f64 / 1000.0);
            page.line("cicd_pipeline_run_duration_seconds_count", &labels, all);
        }
    }
    page.head("cicd_pipeline_run_errors_total", "counter", "Runs that have ended with an error, by its kind.");
    for ((name, kind), count) in &errors {
        page.line("cicd_pipeline_run_errors_total", &format!("{},error_type=\"{kind}\"", named(name)), count);
    }
    page.head(
        "cicd_system_errors_total",
        "counter",
        "What went wrong with the system itself: runs whose agent was lost.",
    );
    let lost = app.counted.lost.load(Ordering::Relaxed);
    page.line("cicd_system_errors_total", "cicd_system_component=\"agent\",error_type=\"lost\"", lost);
    if let Some(bytes) = resident_bytes() {
        page.head("process_resident_memory_bytes", "gauge", "Memory of this process.");
        page.line("process_resident_memory_bytes", "", bytes);
    }
    Ok(([("content-type", "text/plain; version=0.0.4; charset=utf-8")], text))
}

/// What has the name of a project, which may have any character.
fn named(project: &str) -> String {
    let value = project.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("cicd_pipeline_name=\"{value}\"")
}

fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// Text that grows.
struct Page<'a>(&'a mut String);

impl Page<'_> {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}
