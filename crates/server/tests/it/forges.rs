//! What forges are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::annotation::{Annotation, Level};
use model::event::Event;
use model::ids::{RequestId, StepId};
use model::request::Reply;
use model::test_result::{TestCase, TestStatus};
use rustls::pki_types::PrivatePkcs1KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use wire::agent::{FromAgent, Item, Lease, ToAgent};

use crate::agent::{Agent, Place, is_exec};

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

const COMMIT: &str = "0123456789012345678901234567890123456789";

/// Has a run of that commit come to its step.
async fn runs_step(agent: &mut Agent) -> (Lease, RequestId) {
    let lease = agent.take_at("node { sh 'make' }", Some(COMMIT)).await;
    let ToAgent::Perform { id, .. } = agent.work(is_exec).await else { panic!() };
    (lease, id)
}

/// It is away for a while, the server is another one for the end: it hears of the end all the same.
#[tokio::test]
async fn a_forge_hears_how_a_run_goes() {
    let forge = Forge { away: Arc::new(Mutex::new(2)), ..Forge::default() };
    let mut place = place(&forge.start().await).await;
    let key = place.enrol("one").await;
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let (lease, request) = runs_step(&mut agent).await;
    forge.wait_for(COMMIT, "pending").await;
    drop(agent);
    place.restart().await;
    let mut agent = place.agent(&key, &[lease]).await;
    agent.work(is_exec).await;
    agent.answer(lease, request, Reply::Exited { code: 3, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "FAILURE");
    forge.wait_for(COMMIT, "failure").await;
    let told = forge.told();
    let (path, last) = told.last().unwrap();
    assert_eq!(path, &format!("/repos/org/app/statuses/{COMMIT}"));
    assert_eq!(last["context"], "cofferdam/app");
    assert!(last["description"].as_str().unwrap().starts_with("#1 failed"), "{last}");
    assert!(last["target_url"].as_str().unwrap().ends_with(&format!("/runs/{id}")), "{last}");
}

/// One that is only asked is told nothing.
#[tokio::test]
async fn a_forge_may_be_told_nothing() {
    let forge = Forge::default();
    let place = place(&forge.start().await).await;
    let told = place.ask("GET", "/api/v1/projects/app", Value::Null).await["config"].clone();
    let mut silent = told.clone();
    (silent["report"]["silent"], silent["report"]["token"]) = (json!(true), json!("s3cret"));
    let silent = place.ask("PUT", "/api/v1/projects/app", silent).await;
    assert_eq!(silent["config"]["report"]["silent"], true);
    let mut other = told;
    other["report"]["token"] = json!("s3cret");
    place.ask("PUT", "/api/v1/projects/other", other).await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    for (project, commit) in [("app", "1".repeat(40)), ("other", "2".repeat(40))] {
        let run = place.ask("POST", &format!("/api/v1/projects/{project}/runs"), json!({})).await;
        let lease = agent.take_at("echo 'done'", Some(&commit)).await;
        agent.give_back(lease).await;
        place.wait_for_end(run["id"].as_u64().unwrap()).await;
    }
    forge.wait_for(&"2".repeat(40), "success").await;
    assert_eq!(forge.count(&"1".repeat(40), "success") + forge.count(&"1".repeat(40), "pending"), 0);
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
        agent.give_back(lease).await;
        place.wait_for_end(id).await;
        forge.wait_for(&commit, "success").await;
    }
    // Longer than the pause before what is told once more.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for commit in ["1".repeat(40), "2".repeat(40)] {
        assert_eq!(forge.count(&commit, "success"), 1, "{:?}", forge.told());
    }
}

/// A key for tests, which all the world knows.
const APP_KEY: &str = include_str!("../data/github-app.pem");

/// What GitHub says to an app. Its first token is not taken, and its first check is gone when it is to be changed.
#[derive(Clone)]
struct Github {
    /// As `signature` verifies.
    public: Arc<Vec<u8>>,
    /// What it has done as it was asked.
    heard: Arc<Mutex<Vec<(String, Value)>>>,
    tokens: Arc<Mutex<u32>>,
}

impl Github {
    fn said(&self) -> Vec<(String, Value)> {
        self.heard.lock().unwrap().clone()
    }

    async fn wait_for(&self, field: &str, word: &str) -> Value {
        for _ in 0..1000 {
            if let Some((_, body)) = self.said().into_iter().find(|(_, body)| body[field] == word) {
                return body;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it did not hear of {field} {word}: {:?}", self.said());
    }
}

async fn github(
    State(github): State<Github>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let bearer = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    if uri.path() == "/app/installations/7/access_tokens" {
        // Source: RFC 7515, 5.2.
        let (signed, signature) = bearer.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let kind = &ring::signature::RSA_PKCS1_2048_8192_SHA256;
        let key = ring::signature::UnparsedPublicKey::new(kind, github.public.as_slice());
        key.verify(signed.as_bytes(), &signature).expect("signed by the app");
        let claims = BASE64_URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&claims).unwrap()["iss"], "Iv1.app");
        assert_eq!(body["repositories"], json!(["app"]));
        let mut tokens = github.tokens.lock().unwrap();
        *tokens += 1;
        return (StatusCode::CREATED, Json(json!({ "token": format!("ghs_{tokens}") })));
    }
    if bearer == "ghs_1" {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "message": "Bad credentials" })));
    }
    let request = format!("{method} {}", uri.path());
    if request == "PATCH /repos/org/app/check-runs/1" {
        return (StatusCode::NOT_FOUND, Json(json!({ "message": "Not Found" })));
    }
    let mut heard = github.heard.lock().unwrap();
    heard.push((request, body));
    let made = heard.iter().filter(|(request, _)| request.starts_with("POST")).count();
    (StatusCode::OK, Json(json!({ "id": made })))
}

#[tokio::test]
async fn github_hears_by_checks_of_an_app() {
    let der = PrivatePkcs1KeyDer::from_pem_slice(APP_KEY.as_bytes()).unwrap();
    let pair = ring::signature::RsaKeyPair::from_der(der.secret_pkcs1_der()).unwrap();
    let public = ring::signature::KeyPair::public_key(&pair).as_ref().to_vec();
    let forge = Github { public: Arc::new(public), heard: Arc::default(), tokens: Arc::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(github).with_state(forge.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let place = Place::new().await;
    let config = |key: &str, forge: &str| {
        let app = json!({ "id": "Iv1.app", "installation": 7, "key": key });
        let report = json!({ "forge": forge, "api": api, "repository": "org/app", "app": app });
        json!({ "source": { "folder": "/nowhere" }, "report": report })
    };
    for (key, forge, why) in
        [("no key", "github", "RSA key"), (APP_KEY, "gitlab", "only GitHub"), ("…", "github", "secret")]
    {
        let (status, answer) = place.as_admin("PUT", "/api/v1/projects/app", &config(key, forge)).await;
        assert!(status == 400 && answer.to_string().contains(why), "{status} {answer}");
    }
    let told = place.ask("PUT", "/api/v1/projects/app", config(APP_KEY, "github")).await;
    assert_eq!(
        (&told["config"]["report"]["app"]["key"], &told["config"]["report"]["token"]),
        (&json!("…"), &json!(""))
    );

    let key = place.enrol("one").await;
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let (lease, request) = runs_step(&mut agent).await;
    let made = forge.wait_for("head_sha", COMMIT).await;
    assert_eq!((&made["name"], &made["external_id"]), (&json!("cofferdam/app"), &json!(id.to_string())));
    assert!(made["details_url"].as_str().unwrap().ends_with(&format!("/runs/{id}")), "{made}");
    let test = TestCase {
        class: "a.B".into(),
        name: "breaks".into(),
        status: TestStatus::Failed,
        ms: 0,
        message: Some("`@all` <b>".into()),
        detail: None,
    };
    let tests = Event::TestsReported { step: StepId(1), cases: vec![test] };
    let remark = |line| Annotation {
        path: "src/a.c".into(),
        first_line: line,
        last_line: line,
        columns: None,
        level: Level::Warning,
        title: None,
        message: "unused <b>".into(),
    };
    let remarks = Event::Annotated { step: StepId(1), annotations: (1..=60).map(remark).collect() };
    let items = [tests, remarks].map(|event| Item::Event { at: 30, event });
    agent.say(&FromAgent::Report { lease, first: 0, items: items.into() }).await;
    agent.answer(lease, request, Reply::Exited { code: 3, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "FAILURE");
    let last = forge.wait_for("conclusion", "failure").await;
    let summary = last["output"]["summary"].as_str().unwrap();
    assert!(summary.ends_with("Tests: 1 failed, 0 skipped, 0 passed\n\n* `a.B breaks: '@all' <b>`"), "{summary}");
    assert!(last["output"]["title"].as_str().unwrap().starts_with("#1 failed"), "{last}");
    let said = forge.said();
    let of_remarks = |body: &Value| body["output"]["annotations"].as_array().map(Vec::len).filter(|count| *count > 0);
    let sent = || forge.said().iter().filter_map(|(_, body)| of_remarks(body)).collect::<Vec<_>>();
    for _ in 0..1000 {
        if sent().len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(sent(), [50, 10], "each once");
    let known = place.ask("GET", &format!("/api/v1/runs/{id}/annotations"), Value::Null).await;
    assert_eq!(
        (known["annotations"].as_array().unwrap().len(), &known["annotations"][2]["first_line"]),
        (60, &json!(3))
    );
    let person = json!({ "password": "a long enough password", "grants": ["reader"] });
    place.ask("PUT", "/api/v1/people/reader", person).await;
    let reader = place.log_in("reader", "a long enough password").await;
    let (_, page) = place.page(&format!("/runs/{id}"), reader.as_deref()).await;
    assert!(page.contains("<code>src/a.c:3</code> warning") && page.contains("unused &lt;b&gt;"), "{page}");
    let made = said.iter().filter(|(request, _)| request == "POST /repos/org/app/check-runs").count();
    assert_eq!(made, 2, "another for the one that was gone: {said:?}");
    assert_eq!(*forge.tokens.lock().unwrap(), 2, "a token is used again while it is good");
}
