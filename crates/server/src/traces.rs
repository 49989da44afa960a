//! Traces of runs that have ended, for a collector of OpenTelemetry: the run, its stages, their steps, and the sandboxes that were waited for.
//!
//! They are made of what the store has of a run, in the encoding of OTLP over HTTP with JSON (<https://opentelemetry.io/docs/specs/otlp/>),
//! with names of the conventions for CI/CD (<https://opentelemetry.io/docs/specs/semconv/cicd/>). A run that is sent twice is the same trace.
//!
//! Never: text of logs, values of parameters, labels of steps (they are lines of scripts).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::event::Event;
use model::outcome::Outcome;
use serde_json::{Value, json};
use store::{Millis, Run, StoreError};

use crate::app::App;
use crate::conventions::{OTHER_ERROR, result};
use crate::ended;

/// The store's name for how far runs were sent.
const MARK: &str = "traces";
/// How often is looked where nobody has told of anything new, and how long a collector that does not take is left alone.
const LOOK: Duration = Duration::from_secs(5);
/// Between two turns, however much happens.
const REST: Duration = Duration::from_millis(200);
/// How long a collector may take for its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Spans of one run; the later ones are left out.
const MOST_SPANS: usize = 5000;
/// Events that are read at once.
const PAGE: u32 = 1000;
/// `SPAN_KIND_INTERNAL`, `SPAN_KIND_SERVER`.
const KINDS: (u8, u8) = (1, 2);
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// Where traces go.
#[derive(Clone, PartialEq, Eq)]
pub struct OtlpConfig {
    /// Where the collector's paths begin: `http://collector:4318`.
    pub endpoint: String,
    /// Headers that it wants, with their values; they may be secrets.
    pub headers: Vec<(String, String)>,
}

impl std::fmt::Debug for OtlpConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OtlpConfig").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Until the server ends.
pub(crate) async fn watch(app: Arc<App>) {
    let Some(config) = app.config.otlp.clone() else { return };
    let mut changes = app.changed.subscribe();
    loop {
        if let Err(error) = turn(&app, &config).await {
            tracing::warn!(error, "traces are sent later");
            tokio::time::sleep(LOOK).await;
        }
        let _ = tokio::time::timeout(LOOK, changes.recv()).await;
        tokio::time::sleep(REST).await;
        changes = changes.resubscribe();
    }
}

/// Sends what has ended since the last turn.
async fn turn(app: &App, config: &OtlpConfig) -> Result<(), String> {
    let store = |error: StoreError| error.to_string();
    while let Some(ended) = ended::next(app, MARK).await.map_err(store)? {
        for run in &ended.runs {
            let mut events = Vec::new();
            loop {
                let after = events.last().map_or(0, |(seq, ..): &(u64, Millis, Event)| *seq);
                let page = app.store.events(run.id, after, PAGE).await.map_err(store)?;
                if page.is_empty() || events.len() > 4 * MOST_SPANS {
                    break;
                }
                events.extend(page);
            }
            send(app, config, &document(run, &events, app.config.url.as_deref())).await?;
        }
        ended::done(app, MARK, &ended).await.map_err(store)?;
    }
    Ok(())
}

async fn send(app: &App, config: &OtlpConfig, document: &Value) -> Result<(), String> {
    let url = format!("{}/v1/traces", config.endpoint.trim_end_matches('/'));
    let mut request = app.http.post(url).timeout(PATIENCE).json(document);
    for (name, value) in &config.headers {
        request = request.header(name, value);
    }
    let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        // Source: the specification, "Failures": these may pass, others never do.
        status if matches!(status.as_u16(), 429 | 502..=504) => Err(format!("the collector answers {status}")),
        status => {
            tracing::warn!(%status, "a collector does not take a trace");
            Ok(())
        }
    }
}

/// An id of so many bytes, as OTLP's JSON has it: the same of the same.
fn id(bytes: usize, of: &str) -> String {
    store::digest(of).chars().take(2 * bytes).collect()
}

fn nanoseconds(at: Millis) -> String {
    (u128::from(at) * 1_000_000).to_string()
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// A span under way.
struct Span {
    name: String,
    key: String,
    parent: String,
    kind: u8,
    start: Millis,
    end: Option<Millis>,
    outcome: Option<Outcome>,
    attributes: Vec<Value>,
}

/// A trace of a run, whose events are in their order.
fn document(run: &Run, events: &[(u64, Millis, Event)], url: Option<&str>) -> Value {
    let of_run = format!("{} {} {}", run.project_name, run.id.0, run.queued_at);
    let ended = run.ended_at.unwrap_or(run.queued_at);
    let mut attributes = vec![
        text("cicd.pipeline.name", &run.project_name),
        text("cicd.pipeline.run.id", &run.id.0.to_string()),
        text("cicd.pipeline.action.name", "RUN"),
        text("cicd.pipeline.result", run.outcome.map_or("error", |outcome| result(outcome, run.failure.as_deref()))),
    ];
    attributes.extend(url.map(|url| text("cicd.pipeline.run.url.full", &format!("{url}/runs/{}", run.id.0))));
    attributes.extend(run.revision.as_ref().map(|name| text("vcs.ref.head.name", name)));
    attributes.extend(run.commit.as_ref().map(|commit| text("vcs.ref.head.revision", commit)));
    let mut spans = vec![Span {
        name: format!("RUN {}", run.project_name),
        key: "run".into(),
        parent: String::new(),
        kind: KINDS.1,
        start: run.queued_at,
        end: Some(ended),
        outcome: run.outcome,
        attributes,
    }];
    if let Some(started) = run.started_at {
        spans.push(inner("queue", "queue", "run", run.queued_at, Vec::new()).ended(started, None));
    }
    let mut places = HashMap::new();
    for (_, at, event) in events {
        tell(&mut spans, &mut places, *at, event);
    }
    let trace = id(16, &of_run);
    let span_id = |key: &str| if key.is_empty() { String::new() } else { id(8, &format!("{of_run} {key}")) };
    let spans = spans.into_iter().take(MOST_SPANS).map(|mut span| {
        let end = span.end.unwrap_or(ended).max(span.start);
        let failed = span.outcome == Some(Outcome::Failure);
        let error = run.failure.as_deref().filter(|_| span.key == "run").or(failed.then_some(OTHER_ERROR));
        span.attributes.extend(error.map(|error| text("error.type", error)));
        let status = if failed { json!({ "code": ERROR }) } else { json!({}) };
        json!({
            "traceId": trace, "spanId": span_id(&span.key), "parentSpanId": span_id(&span.parent), "name": span.name, "kind": span.kind,
            "startTimeUnixNano": nanoseconds(span.start), "endTimeUnixNano": nanoseconds(end),
            "attributes": span.attributes, "status": status,
        })
    });
    let spans: Vec<Value> = spans.collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": [text("service.name", "cofferdam"), text("service.version", env!("CARGO_PKG_VERSION"))] },
        "scopeSpans": [{ "scope": { "name": "cofferdam" }, "spans": spans }],
    }] })
}

fn inner(name: &str, key: &str, parent: &str, start: Millis, attributes: Vec<Value>) -> Span {
    let (name, key, parent) = (name.to_owned(), key.to_owned(), parent.to_owned());
    Span { name, key, parent, kind: KINDS.0, start, end: None, outcome: None, attributes }
}

impl Span {
    fn ended(mut self, at: Millis, outcome: Option<Outcome>) -> Span {
        (self.end, self.outcome) = (Some(at), outcome);
        self
    }
}

fn tell(spans: &mut Vec<Span>, places: &mut HashMap<String, usize>, at: Millis, event: &Event) {
    let of_stage =
        |stage: &Option<model::ids::StageId>| stage.map_or("run".to_owned(), |stage| format!("stage {}", stage.0));
    let mut begin = |span: Span| {
        places.insert(span.key.clone(), spans.len());
        spans.push(span);
    };
    let (key, outcome) = match event {
        Event::StageStarted { stage, parent, name, .. } => {
            let (key, attributes) = (format!("stage {}", stage.0), vec![text("cicd.pipeline.task.name", name)]);
            return begin(inner(name, &key, &of_stage(parent), at, attributes));
        }
        Event::StepStarted { step, stage, name, .. } => {
            return begin(inner(name, &format!("step {}", step.0), &of_stage(stage), at, Vec::new()));
        }
        Event::JobRequested { job, stage, agent } => {
            let attributes = vec![text("cofferdam.agent", agent)];
            return begin(inner("sandbox", &format!("job {}", job.0), &of_stage(stage), at, attributes));
        }
        Event::JobStarted { job, rung, driver, image, .. } => {
            let key = format!("job {}", job.0);
            if let Some(span) = places.get(&key).and_then(|index| spans.get_mut(*index)) {
                span.attributes.push(text("cofferdam.rung", rung.name()));
                span.attributes.push(text("cofferdam.driver", driver));
                span.attributes.extend(image.as_ref().map(|image| text("container.image.name", image)));
            }
            (key, None)
        }
        Event::StageFinished { stage, outcome } => (format!("stage {}", stage.0), Some(*outcome)),
        Event::StepFinished { step, outcome, .. } => (format!("step {}", step.0), Some(*outcome)),
        _ => return,
    };
    if let Some(span) = places.get(&key).and_then(|index| spans.get_mut(*index)).filter(|span| span.end.is_none()) {
        (span.end, span.outcome) = (Some(at), outcome);
        if key.starts_with("stage") {
            span.attributes.extend(outcome.map(|outcome| text("cicd.pipeline.task.run.result", result(outcome, None))));
        }
    }
}
