//! What happens, told as it happens.

use model::request::Reply;
use reqwest::Response;
use serde_json::{Value, json};
use wire::agent::ToAgent;

use crate::agent::{Place, is_exec};

/// Events of a stream, one after the other: kind, id, data.
struct Stream(Response, String);

impl Place {
    async fn follow(&self, path: &str, token: &str, last: Option<&str>) -> Stream {
        let request = self.request("GET", path).bearer_auth(token);
        let request = last.iter().fold(request, |request, last| request.header("last-event-id", *last));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        Stream(response, String::new())
    }
}

impl Stream {
    /// `None`: it has ended.
    async fn next(&mut self) -> Option<(String, String, Value)> {
        // What only says that it is alive tells nothing.
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), self.told());
        next.await.expect("it goes on")
    }

    async fn told(&mut self) -> Option<(String, String, Value)> {
        loop {
            if let Some((event, rest)) = self.1.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().trim_start_matches(':').trim().to_owned()
                };
                let found = (field("event"), field("id"), serde_json::from_str(&field("data")).unwrap_or_default());
                let is_comment = event.starts_with(':');
                self.1 = rest.to_owned();
                if !is_comment {
                    return Some(found);
                }
                continue;
            }
            self.1 += std::str::from_utf8(&self.0.chunk().await.unwrap()?).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_followed() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("stage('Build') { node { sh 'make' } }; stage('Test') { echo 'tests' }").await;
    let ToAgent::Perform { id: make, .. } = agent.work(is_exec).await else { panic!() };
    let path = format!("/api/v1/runs/{id}/events/live");
    let token = place.admin();
    let mut stream = place.follow(&path, &token, None).await;
    let stage = |happened: &Value| {
        let event = &happened["event"];
        let name = event["name"].as_str().filter(|_| event["event"] == "stage_started");
        name.map(str::to_owned)
    };
    let mut last = String::new();
    while let Some((_, number, event)) = stream.next().await {
        last = number;
        if let Some(name) = stage(&event) {
            assert_eq!(name, "Build", "what has begun is told of at once, and nothing else");
            break;
        }
    }
    agent.answer(lease, make, Reply::Exited { code: 0, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    // Another goes on where that one was, and is told of the end.
    let mut stream = place.follow(&path, &token, Some(&last)).await;
    let (mut seen, mut ends) = (Vec::new(), Vec::new());
    while let Some((kind, _, event)) = stream.next().await {
        seen.extend(stage(&event));
        ends.extend((kind == "end").then_some(event["outcome"].clone()));
    }
    assert_eq!((seen, ends), (vec!["Test".to_owned()], vec![json!("SUCCESS")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_runs_are_followed_by_who_sees_them() {
    let place = Place::new().await;
    let source = json!({ "folder": "/nowhere" });
    place.ask("PUT", "/api/v1/projects/other", json!({ "source": source })).await;
    let reader = json!({ "grants": ["reader@app"], "password": "a long enough password" });
    place.ask("PUT", "/api/v1/people/reader", reader).await;
    let made = place.request("POST", "/api/v1/tokens").basic_auth("reader", Some("a long enough password"));
    let made = made.header("content-type", "application/json").body("{\"name\":\"one\"}").send().await.unwrap();
    let made: Value = serde_json::from_str(&made.text().await.unwrap()).unwrap();
    let token = made["token"].as_str().unwrap();
    let mut of_reader = place.follow("/api/v1/runs/live", token, None).await;
    let mut of_app = place.follow("/api/v1/runs/live?project=app", &place.admin(), None).await;
    let mut of_all = place.follow("/api/v1/runs/live", &place.admin(), None).await;
    place.ask("POST", "/api/v1/projects/other/runs", json!({})).await;
    let id = place.trigger().await;
    place.ask("POST", &format!("/api/v1/runs/{id}/abort"), json!({})).await;
    for stream in [&mut of_reader, &mut of_app, &mut of_all] {
        let mut projects = std::collections::BTreeSet::new();
        loop {
            let (kind, _, run) = stream.next().await.expect("it goes on");
            assert_eq!(kind, "run");
            projects.insert(run["project"].as_str().unwrap().to_owned());
            if run["id"] == id && run["outcome"] == "ABORTED" {
                break;
            }
        }
        stream.1 = projects.into_iter().collect::<Vec<_>>().join(" ");
    }
    assert_eq!((of_reader.1.as_str(), of_app.1.as_str(), of_all.1.as_str()), ("app", "app", "app other"));
    let answer = place.request("GET", "/api/v1/runs/live?project=other").bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 404);
}
