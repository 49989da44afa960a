//! What forges are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use model::request::{Reply, Request};
use serde_json::{Value, json};
use wire::agent::{FromAgent, ToAgent};

use crate::agent::Place;

/// A forge that remembers what it was told, and is away so many times before.
#[derive(Clone, Default)]
struct Forge {
    told: Arc<Mutex<Vec<(String, Value)>>>,
    away: Arc<Mutex<u32>>,
    refuses: bool,
}

impl Forge {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(hear).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    fn told(&self) -> Vec<(String, Value)> {
        self.told.lock().unwrap().clone()
    }

    fn count(&self, path: &str, state: &str) -> usize {
        self.told().iter().filter(|(other, body)| other.ends_with(path) && body["state"] == state).count()
    }

    async fn wait_for(&self, path: &str, state: &str) {
        for _ in 0..1000 {
            if self.count(path, state) > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it was not told of {state}: {:?}", self.told());
    }
}

async fn hear(State(forge): State<Forge>, uri: Uri, headers: HeaderMap, Json(body): Json<Value>) -> StatusCode {
    assert_eq!(headers["authorization"], "token s3cret");
    {
        let mut away = forge.away.lock().unwrap();
        if *away > 0 {
            *away -= 1;
            return StatusCode::BAD_GATEWAY;
        }
    }
    forge.told.lock().unwrap().push((uri.path().to_owned(), body));
    if forge.refuses { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::CREATED }
}

async fn place(api: &str) -> Place {
    let place = Place::new().await;
    let report = json!({ "forge": "gitea", "api": api, "repository": "org/app", "token": "s3cret" });
    let told =
        place.ask("PUT", "/api/v1/projects/app", json!({ "source": { "folder": "/nowhere" }, "report": report })).await;
    assert_eq!(told["config"]["report"]["token"], "…", "{told}");
    place
}

fn is_exec(message: &ToAgent) -> bool {
    matches!(message, ToAgent::Perform { request: Request::Exec { .. }, .. })
}

/// It is away for a while, the server is another one for the end: it hears of the end all the same.
#[tokio::test]
async fn a_forge_hears_how_a_run_goes() {
    let forge = Forge { away: Arc::new(Mutex::new(2)), ..Forge::default() };
    let mut place = place(&forge.start().await).await;
    let key = place.enrol("one").await;
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let commit = "0123456789012345678901234567890123456789";
    let lease = agent.take_at("node { sh 'make' }", Some(commit)).await;
    let ToAgent::Perform { id: request, .. } = agent.work(is_exec).await else { panic!() };
    forge.wait_for(commit, "pending").await;
    drop(agent);
    place.restart().await;
    let mut agent = place.agent(&key, &[lease]).await;
    agent.work(is_exec).await;
    agent.answer(lease, request, Reply::Exited { code: 3, stdout: None, limit: None }).await;
    agent.work(|message| matches!(message, ToAgent::Release { .. })).await;
    agent.say(&FromAgent::Released { lease }).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "FAILURE");
    forge.wait_for(commit, "failure").await;
    let told = forge.told();
    let (path, last) = told.last().unwrap();
    assert_eq!(path, &format!("/repos/org/app/statuses/{commit}"));
    assert_eq!(last["context"], "cofferdam/app");
    assert!(last["description"].as_str().unwrap().starts_with("#1 failed"), "{last}");
    assert!(last["target_url"].as_str().unwrap().ends_with(&format!("/runs/{id}")), "{last}");
}

/// What a forge does not take it is not told for ever, and other runs are not held up by it.
#[tokio::test]
async fn a_forge_that_refuses_is_not_asked_again() {
    let forge = Forge { refuses: true, ..Forge::default() };
    let place = place(&forge.start().await).await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    for number in 1..=2 {
        let id = place.trigger().await;
        let commit = number.to_string().repeat(40);
        let lease = agent.take_at("echo 'done'", Some(&commit)).await;
        agent.work(|message| matches!(message, ToAgent::Release { .. })).await;
        agent.say(&FromAgent::Released { lease }).await;
        place.wait_for_end(id).await;
        forge.wait_for(&commit, "success").await;
    }
    // Longer than the pause before what is told once more.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for commit in ["1".repeat(40), "2".repeat(40)] {
        assert_eq!(forge.count(&commit, "success"), 1, "{:?}", forge.told());
    }
}
