//! A server with a client, and an agent by hand.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use engine::Session;
use futures_util::{SinkExt as _, StreamExt as _};
use model::event::LogSource;
use model::ids::RequestId;
use model::request::{Allocated, Reply, Request};
use model::rung::Rung;
use serde_json::{Value, json};
use server::{ArtifactLimits, Clock, Keys, OidcConfig, OtlpConfig, SealingKey, Server, ServerConfig, ServerError};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wire::agent::{
    Check, Checked, Definition, FromAgent, Item, Lease, LeaseToken, LogLine, Offers, Plan, ToAgent, VERSION,
};
use wire::engine::{Said, Word};

use crate::described::Described;

/// How long something may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Place {
    pub folder: tempfile::TempDir,
    pub server: Option<Server>,
    /// `None`: a file in the folder.
    pub database: Option<String>,
    pub url: Option<String>,
    pub oidc: Option<OidcConfig>,
    pub otlp: Option<OtlpConfig>,
    pub clock: Clock,
    /// Folder with files of projects.
    pub projects: Option<std::path::PathBuf>,
    /// For webhooks that nobody has vouched for.
    pub unvouched_bytes: usize,
    http: reqwest::Client,
    described: tokio::sync::OnceCell<Described>,
}

/// Of the servers of tests.
pub fn keys() -> Keys {
    Keys::new(SealingKey::parse(&format!("cfs_{:064}", 1)).unwrap(), Vec::new())
}

impl Place {
    pub async fn new() -> Place {
        Place::on(None).await
    }

    /// On this database.
    pub async fn on(database: Option<String>) -> Place {
        let mut place = Place::on_nothing(database);
        place.start().await;
        place.ask("PUT", "/api/v1/projects/app", json!({ "source": { "folder": "/nowhere" } })).await;
        place
    }

    /// Without a server.
    pub fn on_nothing(database: Option<String>) -> Place {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let none = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().no_proxy().redirect(none).build().unwrap();
        Place {
            folder,
            server: None,
            database,
            url: None,
            oidc: None,
            otlp: None,
            clock: Clock::Machine,
            projects: None,
            unvouched_bytes: 256 << 20,
            http,
            described: Default::default(),
        }
    }

    pub async fn start(&mut self) {
        self.try_start().await.unwrap();
    }

    pub async fn try_start(&mut self) -> Result<(), ServerError> {
        let path = |name: &str| self.folder.path().join(name);
        let database = self.database.clone().unwrap_or_else(|| format!("sqlite:{}", path("db").display()));
        let artifacts = ArtifactLimits { file_bytes: 8 << 20, run_bytes: 16 << 20, run_files: 50 };
        let config = ServerConfig::new("127.0.0.1:0".parse().unwrap(), database, keys(), path("token"));
        let (url, oidc, agent_patience) = (self.url.clone(), self.oidc.clone(), Duration::from_secs(2));
        let otlp = self.otlp.clone();
        let (projects, clock) = (self.projects.clone(), self.clock.clone());
        let (agent_backlog_bytes, run_read_bytes) = (4 << 20, 4 << 20);
        let unvouched_bytes = self.unvouched_bytes;
        let config = ServerConfig { agent_backlog_bytes, run_read_bytes, unvouched_bytes, otlp, clock, ..config };
        let config = ServerConfig { agent_patience, url, oidc, projects, artifacts, ..config };
        self.server = Some(Server::start(config).await?);
        Ok(())
    }

    /// Another server on the same database.
    pub async fn restart(&mut self) {
        self.server.take().unwrap().stop().await;
        self.start().await;
    }

    fn address(&self) -> std::net::SocketAddr {
        self.server.as_ref().unwrap().address
    }

    /// An answer: it has to be a good one.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let token = std::fs::read_to_string(self.folder.path().join("token")).unwrap();
        let url = format!("http://{}{path}", self.address());
        let request = self.http.request(method.parse().unwrap(), url).bearer_auth(token.trim());
        let request = if body.is_null() {
            request
        } else {
            request.header("content-type", "application/json").body(body.to_string())
        };
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {response:?}");
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        self.check(method, path, &body.to_string(), status, &text).await;
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    /// The status of an answer, and what it says.
    pub async fn as_who(&self, token: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = self.request(method, path).bearer_auth(token);
        let request = if body.is_empty() { request } else { request.header("content-type", "application/json") };
        let response = request.body(body.to_owned()).send().await.unwrap();
        let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
        self.check(method, path, body, status, &text).await;
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// An answer is as the API says that answers are.
    async fn check(&self, method: &str, path: &str, body: &str, status: u16, answer: &str) {
        let described = self.described.get_or_init(async || Described::new(self.description().await));
        described.await.check(method, path, body, status, answer);
    }

    /// What the API says of itself, which nobody need be somebody for.
    pub async fn description(&self) -> Value {
        let answer = self.request("GET", "/api/v1/openapi.json").send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// The same for who may do everything.
    pub async fn as_admin(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.as_who(&self.admin(), method, path, &body.to_string()).await
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("http://{}{path}", self.address()))
    }

    pub fn anywhere(&self, method: &str, url: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), url)
    }

    /// The token of who may do everything.
    pub fn admin(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("token")).unwrap().trim().to_owned()
    }

    /// A session, for the name and the password of somebody.
    pub async fn log_in(&self, name: &str, password: &str) -> Option<String> {
        let plain = |text: &str| text.replace(' ', "+");
        let form = format!("name={}&password={}", plain(name), plain(password));
        let request = self.request("POST", "/login").header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form).send().await.unwrap();
        let cookie = answer.headers().get("set-cookie")?.to_str().unwrap().to_owned();
        assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
        cookie.strip_prefix("cofferdam=").and_then(|rest| rest.split(';').next()).map(str::to_owned)
    }

    /// A page, for who has that session.
    pub async fn page(&self, path: &str, session: Option<&str>) -> (u16, String) {
        let request = self.request("GET", path);
        let request = match session {
            Some(session) => request.header("cookie", format!("x=y; cofferdam={session}")),
            None => request,
        };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Asks for a run; its id.
    pub async fn trigger(&self) -> u64 {
        self.ask("POST", "/api/v1/projects/app/runs", json!({})).await["id"].as_u64().unwrap()
    }

    pub async fn run(&self, id: u64) -> Value {
        self.ask("GET", &format!("/api/v1/runs/{id}"), Value::Null).await
    }

    pub async fn log(&self, id: u64) -> String {
        self.ask("GET", &format!("/api/v1/runs/{id}/log"), Value::Null).await.as_str().unwrap_or_default().to_owned()
    }

    pub async fn wait_for_end(&self, id: u64) -> Value {
        for _ in 0..1000 {
            let run = self.run(id).await;
            if run["status"] == "done" {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the run does not end: {}", self.run(id).await);
    }

    pub async fn enrol(&self, name: &str) -> String {
        let token = self.ask("POST", "/api/v1/agents/tokens", Value::Null).await;
        let answer = self.ask("POST", "/agent/v1/enrol", json!({ "token": token["token"], "name": name })).await;
        answer["key"].as_str().unwrap().to_owned()
    }

    /// Connects without a greeting.
    pub async fn connect(&self, key: &str) -> Agent {
        let mut request = format!("ws://{}/agent/v1/connect", self.address()).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        Agent {
            socket: connect_async(request).await.unwrap().0,
            engines: HashMap::new(),
            tokens: HashMap::new(),
            later: VecDeque::new(),
        }
    }

    /// Connects and greets.
    pub async fn agent(&self, key: &str, held: &[Lease]) -> Agent {
        let mut agent = self.connect(key).await;
        let (held, offers) = (held.to_vec(), everything());
        agent.say(&FromAgent::Hello { version: VERSION, runs: 1, held, labels: Vec::new(), offers }).await;
        agent
    }

    /// Why a run waits.
    pub async fn waits(&self, id: u64) -> String {
        self.run(id).await["waits"].as_str().unwrap_or_default().to_owned()
    }

    /// Until a run waits for this.
    pub async fn waits_for(&self, id: u64, word: &str) -> String {
        for _ in 0..1000 {
            let why = self.waits(id).await;
            if why.contains(word) {
                return why;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not wait for {word}: {}", self.run(id).await)
    }

    /// A new agent that has this.
    pub async fn agent_that_offers(&self, name: &str, runs: u32, labels: &[&str], offers: Offers) -> Agent {
        let mut agent = self.connect(&self.enrol(name).await).await;
        let labels = labels.iter().map(ToString::to_string).collect();
        agent.say(&FromAgent::Hello { version: VERSION, runs, held: Vec::new(), labels, offers }).await;
        agent
    }
}

/// What an agent has that nothing is too much for.
pub fn everything() -> Offers {
    Offers { rungs: vec![Rung::Process, Rung::Container, Rung::Microvm], engine: true, ..Offers::default() }
}

pub struct Agent {
    pub socket: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
    engines: HashMap<Lease, (u64, Session)>,
    /// With its leases.
    pub tokens: HashMap<Lease, LeaseToken>,
    /// What it was told while it looked for something else.
    later: VecDeque<ToAgent>,
}

impl Agent {
    pub async fn say(&mut self, message: &FromAgent) {
        self.say_text(&serde_json::to_string(message).unwrap()).await;
    }

    pub async fn say_text(&mut self, text: &str) {
        // A connection that was ended is seen where something is to be heard.
        let _ = self.socket.send(Message::text(text)).await;
    }

    /// As they are, below the protocol of messages.
    pub async fn say_bytes(&mut self, bytes: &[u8]) {
        let MaybeTlsStream::Plain(stream) = self.socket.get_mut() else { panic!("it is not plain") };
        tokio::io::AsyncWriteExt::write_all(stream, bytes).await.unwrap();
    }

    /// `None`: the connection was ended. What waits elsewhere is told at any time, and means nothing here; nor does that its engine was heard.
    pub async fn hear(&mut self) -> Option<ToAgent> {
        if let Some(message) = self.later.pop_front() {
            return Some(message);
        }
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("the server says something");
            match message {
                Some(Ok(Message::Text(text))) => match serde_json::from_str(&text).unwrap() {
                    ToAgent::Waiting { .. } | ToAgent::Heard { .. } => {}
                    message => {
                        if let ToAgent::Lease { lease, token, .. } = &message {
                            self.tokens.insert(*lease, token.clone());
                        }
                        return Some(message);
                    }
                },
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The lease of the next run, whose definition is this.
    pub async fn take(&mut self, definition: &str) -> Lease {
        self.take_at(definition, None).await
    }

    /// The same at this commit.
    pub async fn take_at(&mut self, definition: &str, commit: Option<&str>) -> Lease {
        let lease = loop {
            match self.hear().await {
                Some(ToAgent::Lease { lease, .. }) => break lease,
                // Of one before, which nobody keeps any more.
                Some(ToAgent::Release { forget: true, .. }) => {}
                other => panic!("no lease: {other:?}"),
            }
        };
        let definition =
            Definition { text: definition.into(), commit: commit.map(str::to_owned), ..Definition::default() };
        self.say(&FromAgent::Found { lease, definition: Ok(definition) }).await;
        lease
    }

    /// Gives an engine its words, and says what came of it.
    pub async fn evaluate(&mut self, lease: Lease, engine: u64, words: Vec<Word>) {
        let mut said = Vec::new();
        for word in words {
            match word {
                Word::Begin(begin) => {
                    let (session, begun) = Session::begin(*begin);
                    said.push(begun);
                    self.engines.insert(lease, (engine, session.unwrap()));
                }
                Word::Input { at, input } => self.engines.get_mut(&lease).unwrap().1.give(at, input),
            }
        }
        let (number, session) = self.engines.get_mut(&lease).unwrap();
        assert_eq!(*number, engine);
        loop {
            said.extend(session.turn());
            if session.is_over() || session.waits() {
                break;
            }
        }
        if !said.iter().all(|said| matches!(said, Said::Waits)) {
            self.say(&FromAgent::Said { lease, engine, said }).await;
        }
    }

    /// Works until it hears something that `stop` wants.
    pub async fn work(&mut self, mut stop: impl FnMut(&ToAgent) -> bool) -> ToAgent {
        loop {
            let message = self.hear().await.expect("the server is there");
            if stop(&message) {
                return message;
            }
            match message {
                ToAgent::Tell { lease, engine, words } => self.evaluate(lease, engine, words).await,
                ToAgent::Perform { lease, id, request } => self.answer(lease, id, reply(&request)).await,
                // What nobody wants to hear of is not answered.
                ToAgent::Release { lease, forget: false } => self.say(&FromAgent::Released { lease }).await,
                _ => {}
            }
        }
    }

    /// Says what a run of this definition would ask for, when it is asked for that.
    pub async fn plan(&mut self, text: &str, places: &[&str]) {
        let mut others = Vec::new();
        let id = loop {
            match self.hear().await.expect("the server is there") {
                ToAgent::Check { id, what: Check::Plan { .. } } => break id,
                other => others.push(other),
            }
        };
        // They are heard next.
        self.later.extend(others);
        let definition = Definition { text: text.into(), ..Definition::default() };
        let places = places.iter().map(|place| (*place).to_owned()).collect();
        let plan = Plan { definition, stages: vec!["Build".into()], places, incomplete: None };
        self.say(&FromAgent::Checked { id, found: Ok(Checked::Plan(plan)) }).await;
    }

    /// Works until this lease is to be given back, whatever is heard of those before it, and gives it back.
    pub async fn give_back(&mut self, lease: Lease) {
        self.work(|message| matches!(message, ToAgent::Release { lease: of, .. } if *of == lease)).await;
        self.say(&FromAgent::Released { lease }).await;
    }

    pub async fn answer(&mut self, lease: Lease, id: RequestId, reply: Reply) {
        self.say(&FromAgent::Answered { lease, id, reply }).await;
    }
}

/// A line of a log, as a workload says it.
pub fn line(text: &str) -> Item {
    Item::Line(LogLine { at: 1, step: None, stage: None, source: LogSource::Stdout, text: text.into() })
}

/// A step is to be run.
pub fn is_exec(message: &ToAgent) -> bool {
    matches!(message, ToAgent::Perform { request: Request::Exec { .. }, .. })
}

/// What came of a request that was done well.
pub fn reply(request: &Request) -> Reply {
    match request {
        Request::Allocate { .. } => Reply::Allocated(Allocated { workspace: "/w".into(), ..Allocated::default() }),
        Request::Exec { .. } => Reply::Exited { code: 0, stdout: None, limit: None },
        _ => Reply::Done,
    }
}
