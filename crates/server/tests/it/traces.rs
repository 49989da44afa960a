//! Traces of runs, as a collector of OpenTelemetry gets them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use model::event::Event;
use model::ids::{JobId, RequestId};
use model::request::Reply;
use model::rung::Rung;
use serde_json::{Value, json};
use server::OtlpConfig;
use wire::agent::{FromAgent, Item, ToAgent};

use crate::agent::{Place, is_exec};

/// Takes traces; the first is not taken.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Value>>>);

async fn collect(
    State(collector): State<Collector>,
    uri: Uri,
    headers: HeaderMap,
    Json(document): Json<Value>,
) -> StatusCode {
    assert_eq!((uri.path(), &headers["x-key"]), ("/v1/traces", &"k".parse().unwrap()));
    let mut taken = collector.0.lock().unwrap();
    taken.push(document);
    if taken.len() == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

impl Collector {
    async fn wait_for(&self, count: usize) -> Vec<Value> {
        for _ in 0..1000 {
            let taken = self.0.lock().unwrap().clone();
            if taken.len() >= count {
                return taken;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} traces of {count}", self.0.lock().unwrap().len());
    }
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a str {
    let found = span["attributes"].as_array().unwrap().iter().find(|attribute| attribute["key"] == key);
    found.and_then(|attribute| attribute["value"]["stringValue"].as_str()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_a_trace() {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(collect).with_state(collector.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut place = Place::on_nothing(None);
    place.otlp = Some(OtlpConfig { endpoint, headers: vec![("x-key".into(), "k".into())] });
    place.start().await;
    place.ask("PUT", "/api/v1/projects/app", json!({ "source": { "folder": "/nowhere" } })).await;
    let key = place.enrol("one").await;
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("node { stage('Build') { sh 'a secret word' } }").await;
    let ToAgent::Perform { id: request, .. } = agent.work(is_exec).await else { panic!() };
    let started = Event::JobStarted {
        job: JobId(1),
        rung: Rung::Container,
        driver: "container".into(),
        why: String::new(),
        image: None,
        took_us: Vec::new(),
    };
    let items = vec![Item::Event { at: 1, event: started }];
    agent.say(&FromAgent::Report { lease, first: 0, items }).await;
    agent.answer(lease, RequestId(request.0), Reply::Exited { code: 3, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "FAILURE");

    let taken = collector.wait_for(2).await;
    assert_eq!(taken[0], taken[1], "what was not taken comes again, and is the same trace");
    let resource = &taken[1]["resourceSpans"][0];
    assert_eq!(attribute(&resource["resource"], "service.name"), "cofferdam");
    let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
    let named: BTreeMap<_, _> = spans.iter().map(|span| (span["name"].as_str().unwrap(), span)).collect();
    let parent =
        |name: &str| spans.iter().find(|span| span["spanId"] == named[name]["parentSpanId"]).map(|span| &span["name"]);
    assert_eq!(named["RUN app"]["parentSpanId"], "");
    assert_eq!(
        (parent("queue"), parent("Build"), parent("sh")),
        (Some(&json!("RUN app")), Some(&json!("RUN app")), Some(&json!("Build")))
    );
    assert_eq!(attribute(named["RUN app"], "cicd.pipeline.result"), "failure");
    assert_eq!(attribute(named["Build"], "cicd.pipeline.task.run.result"), "failure");
    let error = |name: &str| attribute(named[name], "error.type");
    assert_eq!((error("RUN app"), error("sh"), error("queue")), ("workload", "_OTHER", ""));
    assert_eq!(attribute(named["sandbox"], "cofferdam.rung"), "container");
    assert_eq!((&named["RUN app"]["status"]["code"], &named["queue"]["status"]), (&json!(2), &json!({})));
    let number = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u128>().unwrap();
    for span in spans {
        assert_eq!(
            (span["traceId"].as_str().unwrap().len(), span["spanId"].as_str().unwrap().len()),
            (32, 16),
            "{span}"
        );
        assert!(number(span, "startTimeUnixNano") <= number(span, "endTimeUnixNano"), "{span}");
    }
    assert!(!taken[1].to_string().contains("secret"), "no text of the workload");
}
