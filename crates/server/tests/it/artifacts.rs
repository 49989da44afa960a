//! What agents archive: taken from who has the run, whole or not at all, and handed out as files.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::ids::RunId;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use wire::agent::{Lease, ToAgent};
use wire::artifact::{LEASE_TOKEN, Page, artifact, artifacts, encoded, stash};

use crate::agent::{Agent, Place, keys, reply};

/// What this test's servers take of one run, in bytes; of one file half of it.
const MOST: usize = 16 << 20;

/// A run that an agent has.
struct Held {
    place: Place,
    key: String,
    agent: Agent,
    lease: Lease,
    /// What it is to do, and has not done yet.
    asked: ToAgent,
}

impl Held {
    async fn new() -> Held {
        let place = Place::new().await;
        let key = place.enrol("one").await;
        place.trigger().await;
        let mut agent = place.agent(&key, &[]).await;
        let lease = agent.take("node { sh 'make' }").await;
        let asked = agent.work(|message| matches!(message, ToAgent::Perform { .. })).await;
        Held { place, key, agent, lease, asked }
    }

    /// What its agent was told with its lease.
    fn token(&self) -> String {
        self.agent.tokens[&self.lease].0.clone()
    }

    async fn put(&self, path: &str, content: Vec<u8>) -> (StatusCode, Value) {
        self.put_as((&self.key, &self.token()), self.lease, path, content).await
    }

    async fn put_as(
        &self,
        (key, token): (&str, &str),
        lease: Lease,
        path: &str,
        content: Vec<u8>,
    ) -> (StatusCode, Value) {
        let url = format!("http://{}{}", self.place.server.as_ref().unwrap().address, artifact(lease, path));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.put(url).bearer_auth(key).header(LEASE_TOKEN, token);
        let request = request.header("content-length", content.len());
        let response = request.body(content).send().await.unwrap();
        (response.status(), response.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let url = format!("http://{}{path}", self.place.server.as_ref().unwrap().address);
        let token = std::fs::read_to_string(self.place.folder.path().join("token")).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.request(Method::GET, url).bearer_auth(token.trim());
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
    }

    fn at(&self, path: &str) -> String {
        format!("/api/v1/runs/{}/artifacts/{}", self.lease.run.0, encoded(path))
    }

    async fn paths(&self) -> Vec<String> {
        let listed = self.place.ask("GET", &format!("/api/v1/runs/{}/artifacts", self.lease.run.0), Value::Null).await;
        listed["artifacts"].as_array().unwrap().iter().map(|it| it["path"].as_str().unwrap().to_owned()).collect()
    }

    /// Sends this as it is; how the answer begins.
    fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.place.server.as_ref().unwrap().address).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = vec![0; 64 << 10];
        let read = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    fn head(&self, path: &str, more: &str) -> String {
        let (Lease { run, epoch }, key, token) = (self.lease, &self.key, self.token());
        format!(
            "PUT /agent/v1/runs/{}/artifacts/{path}?epoch={epoch} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n{LEASE_TOKEN}: {token}\r\nconnection: close\r\n{more}\r\n\r\n",
            run.0
        )
    }

    /// Of artifacts and stashes.
    fn blobs(&self) -> Vec<PathBuf> {
        ["artifacts", "stashes"]
            .iter()
            .flat_map(|shelf| files(&self.place.folder.path().join("blobs").join(shelf)))
            .collect()
    }

    async fn wait_for_blobs(&self, count: usize) {
        for _ in 0..500 {
            if self.blobs().len() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{count} blobs are wanted: {:?}", self.blobs());
    }

    /// Says how many runs are kept; whoever tidies up is told.
    async fn keep_runs(&self, most: Option<u64>) {
        let config = json!({ "source": { "folder": "/nowhere" }, "keep_runs": most });
        self.place.ask("PUT", "/api/v1/projects/app", config).await;
    }
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flatten().flat_map(|entry| below(entry.path())).collect()
}

/// As the server makes them.
fn token_of(lease: Lease, agent: u64) -> String {
    keys().lease_token(lease, agent).unwrap().0
}

fn content(count: usize) -> Vec<u8> {
    (0..count).map(|number| (number * 31 % 251) as u8).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_archived_is_handed_out() {
    let mut held = Held::new().await;
    let large = content(6 << 20);
    for (path, bytes) in [("target/app.jar", large.clone()), ("ä b/%2e;.txt", b"hello".to_vec()), ("empty", Vec::new())]
    {
        let (status, received) = held.put(path, bytes.clone()).await;
        assert_eq!((status, &received["bytes"]), (StatusCode::CREATED, &json!(bytes.len())), "{path}: {received}");
        assert_eq!(held.get(&held.at(path), &[]).await.bytes().await.unwrap(), bytes, "{path}");
    }
    assert_eq!(held.paths().await, ["empty", "target/app.jar", "ä b/%2e;.txt"]);
    let listed = held.place.ask("GET", "/api/v1/runs/1/artifacts?after=empty", Value::Null).await;
    assert_eq!(listed["artifacts"].as_array().unwrap().len(), 2);
    // It is kept as a file, and never shown.
    let answer = held.get(&held.at("ä b/%2e;.txt"), &[]).await;
    let header = |name: &str| answer.headers()[name].to_str().unwrap();
    assert_eq!(header("content-disposition"), "attachment; filename=\"_2e_.txt\"; filename*=UTF-8''%252e%3B.txt");
    assert_eq!((header("content-type"), header("x-content-type-options")), ("application/octet-stream", "nosniff"));
    assert!(header("content-security-policy").contains("default-src 'none'"));
    let tag = header("etag").to_owned();
    // Parts of it.
    for (range, status, expect) in [
        ("bytes=1-3", 206, Some(("bytes 1-3/5", "ell"))),
        ("bytes=-2", 206, Some(("bytes 3-4/5", "lo"))),
        ("bytes=9-", 416, Some(("bytes */5", ""))),
        ("lines=1-3", 200, None),
    ] {
        let answer = held.get(&held.at("ä b/%2e;.txt"), &[("range", range)]).await;
        assert_eq!(answer.status(), status, "{range}");
        let told = answer.headers().get("content-range").map(|value| value.to_str().unwrap().to_owned());
        let body = answer.text().await.unwrap();
        let expect = expect.map_or((None, "hello"), |(told, body)| (Some(told.to_owned()), body));
        assert_eq!((told, body.as_str()), expect, "{range}");
    }
    let path = held.at("ä b/%2e;.txt");
    assert_eq!(held.get(&path, &[("if-none-match", &tag)]).await.status(), 304);
    assert_eq!(held.get(&path, &[("range", "bytes=1-3"), ("if-range", "\"other\"")]).await.status(), 200);
    assert_eq!(held.get(&path, &[("range", "bytes=1-3"), ("if-range", &tag)]).await.status(), 206);
    let last = held.get(&held.at("target/app.jar"), &[("range", "bytes=6000000-")]).await;
    assert!(last.bytes().await.unwrap() == large[6_000_000..]);
    assert_eq!(held.get(&held.at("none"), &[]).await.status(), 404);
    assert_eq!(held.get("/api/v1/runs/99/artifacts/empty", &[]).await.status(), 404);
    // As tools for Jenkins ask for it, and as people see it.
    let jenkins = held.get("/job/app/1/artifact/target/app.jar", &[]).await;
    assert_eq!((jenkins.status(), jenkins.content_length()), (StatusCode::OK, Some(6 << 20)));
    let build: Value = held.get("/job/app/1/api/json", &[]).await.json().await.unwrap();
    assert!(
        build["artifacts"]
            .as_array()
            .unwrap()
            .contains(&json!({ "displayPath": "app.jar", "fileName": "app.jar", "relativePath": "target/app.jar" }))
    );
    let page = held.get("/runs/1", &[]).await.text().await.unwrap();
    assert!(page.contains("href=\"/runs/1/artifacts/%C3%A4%20b/%252e%3B.txt\"") && page.contains("6.0 MiB"), "{page}");
    assert_eq!(held.get("/runs/1/artifacts/empty", &[]).await.status(), 200);
    for path in [&path, "/runs/1/artifacts/empty", "/job/app/1/artifact/empty"] {
        let answer = held.raw(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes());
        assert!(!answer.starts_with("HTTP/1.1 2") && !answer.contains("hello"), "{path}: {answer}");
    }
    // The same path once more is the later file, and the earlier one is nowhere.
    assert_eq!(held.put("empty", b"no more".to_vec()).await.0, StatusCode::CREATED);
    assert_eq!(held.get(&held.at("empty"), &[]).await.text().await.unwrap(), "no more");
    held.keep_runs(None).await;
    held.wait_for_blobs(3).await;
    // What a run had when it ended, it has until it is forgotten.
    let ToAgent::Perform { lease, id, request } = &held.asked else { panic!("{:?}", held.asked) };
    held.agent.answer(*lease, *id, reply(request)).await;
    held.agent.give_back(held.lease).await;
    held.place.wait_for_end(1).await;
    assert_eq!(held.put("late", b"x".to_vec()).await.0, StatusCode::CONFLICT);
    assert_eq!(held.paths().await.len(), 3);
    held.keep_runs(Some(0)).await;
    held.wait_for_blobs(0).await;
    assert_eq!(held.get("/api/v1/runs/1/artifacts", &[]).await.status(), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_lies_adds_nothing() {
    let held = Held::new().await;
    let other = held.place.enrol("two").await;
    let token = std::fs::read_to_string(held.place.folder.path().join("token")).unwrap();
    let lease = held.lease;
    let next = Lease { epoch: lease.epoch + 1, ..lease };
    for (key, lease, token, status) in [
        ("cfk_none", lease, token_of(lease, 1), 401),
        (token.trim(), lease, token_of(lease, 1), 401),
        // The one that has the run, with what is not this lease's.
        (&held.key, lease, String::new(), 403),
        (&held.key, lease, held.key.clone(), 403),
        (&held.key, lease, token_of(lease, 2), 403),
        (&held.key, lease, token_of(next, 1), 403),
        (&held.key, next, held.token(), 403),
        // One that has not, with whatever it can have.
        (&other, lease, held.token(), 403),
        (&other, lease, token_of(lease, 2), 403),
        // Of leases that are over, or never were.
        (&held.key, next, token_of(next, 1), 409),
        (
            &held.key,
            Lease { epoch: lease.epoch - 1, ..lease },
            token_of(Lease { epoch: lease.epoch - 1, ..lease }, 1),
            409,
        ),
        (&held.key, Lease { run: RunId(99), ..lease }, token_of(Lease { run: RunId(99), ..lease }, 1), 404),
    ] {
        let (said, answer) = held.put_as((key, &token), lease, "a", b"a lie".to_vec()).await;
        assert_eq!(said, status, "{lease:?}: {answer}");
    }
    // No path of any machine is made from these.
    let paths = [
        "..",
        "../a",
        "a/..",
        "a/../b",
        "%2e%2e/a",
        "a/%2E%2e/b",
        "a/%2f/b",
        "/a",
        "a//b",
        "a/",
        "%00",
        "a%0ab",
        "%ff",
        "%2fetc%2fpasswd",
        "a%2f..%2f..%2fb",
        ".",
        "./a",
    ];
    for path in paths {
        let answer = held.raw(format!("{}hello", held.head(path, "content-length: 5")).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
    let long = "a".repeat(1025);
    assert_eq!(held.put(&long, b"x".to_vec()).await.0, 400);
    let words = [("", "411"), ("content-length: x", "400"), ("transfer-encoding: chunked", "411")];
    for (more, status) in words {
        let answer = held.raw(format!("{}5\r\nhello\r\n0\r\n\r\n", held.head("a", more)).as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{more}: {answer}");
    }
    assert!(held.paths().await.is_empty());
    held.wait_for_blobs(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_not_kept() {
    let held = Held::new().await;
    // Said before it is sent, sent after all, and read by whoever sends: the answer comes either way.
    let (status, answer) = held.put("large", content(MOST / 2 + 1)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{answer}");
    let head = held.head("large", &format!("content-length: {}", u64::MAX / 2));
    assert!(held.raw(head.as_bytes()).starts_with("HTTP/1.1 413"));
    // All files of a run together.
    for path in ["a", "b"] {
        assert_eq!(held.put(path, content(MOST / 2)).await.0, StatusCode::CREATED);
    }
    let (status, answer) = held.put("c", b"x".to_vec()).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{answer}");
    assert!(answer["error"].as_str().is_some_and(|reason| reason.contains("at most")), "{answer}");
    assert_eq!(held.paths().await, ["a", "b"]);
    held.wait_for_blobs(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cut_off_is_not_kept() {
    let mut held = Held::new().await;
    let half = [held.head("a", "content-length: 7000000").as_bytes(), &content(6_000_000)].concat();
    let mut stream = TcpStream::connect(held.place.server.as_ref().unwrap().address).unwrap();
    stream.write_all(&half).unwrap();
    drop(stream);
    held.wait_for_blobs(0).await;
    assert!(held.paths().await.is_empty());
    // One that is under way when the server ends; the next one knows the lease, and leaves nothing.
    let mut stream = TcpStream::connect(held.place.server.as_ref().unwrap().address).unwrap();
    stream.write_all(&half).unwrap();
    held.place.restart().await;
    assert_eq!(held.put("a", b"whole".to_vec()).await.0, StatusCode::CREATED);
    assert_eq!(held.paths().await, ["a"]);
    drop(stream);
    held.keep_runs(None).await;
    held.wait_for_blobs(1).await;
}

/// One agent's slow uploads do not keep the others waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_has_only_so_many_on_their_way() {
    let held = Held::new().await;
    let mut slow = Vec::new();
    for number in 0..8 {
        let mut stream = TcpStream::connect(held.place.server.as_ref().unwrap().address).unwrap();
        let head = held.head(&format!("slow{number}"), "content-length: 5\r\nexpect: 100-continue");
        stream.write_all(head.as_bytes()).unwrap();
        // It has its place by the time that its content is asked for. Source: RFC 9110, 15.2.1.
        let mut asked = [0; 25];
        stream.read_exact(&mut asked).unwrap();
        assert_eq!(asked, *b"HTTP/1.1 100 Continue\r\n\r\n");
        slow.push(stream);
    }
    assert_eq!(held.put("more", b"x".to_vec()).await.0, StatusCode::TOO_MANY_REQUESTS);
    for stream in &mut slow {
        stream.write_all(b"hello").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
    assert_eq!(held.put("more", b"x".to_vec()).await.0, StatusCode::CREATED);
}

/// What a run has stashed is for who has the run, and nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stash_is_for_who_has_the_run() {
    let mut held = Held::new().await;
    let other = held.place.enrol("two").await;
    let url = |held: &Held, lease, name: &str| {
        format!("http://{}{}", held.place.server.as_ref().unwrap().address, stash(lease, name))
    };
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let put = async |held: &Held, key: &str, lease, name: &str, content: Vec<u8>| {
        let token = token_of(lease, if key == held.key { 1 } else { 2 });
        let request = http.put(url(held, lease, name)).bearer_auth(key).header(LEASE_TOKEN, token);
        let request = request.header("content-length", content.len());
        request.body(content).send().await.unwrap().status().as_u16()
    };
    let get = async |held: &Held, key: &str, lease, name: &str| {
        let token = token_of(lease, if key == held.key { 1 } else { 2 });
        let request = http.get(url(held, lease, name)).bearer_auth(key).header(LEASE_TOKEN, token);
        let response = request.send().await.unwrap();
        let (status, tag) = (response.status().as_u16(), response.headers().get("etag").cloned());
        (status, tag, response.bytes().await.unwrap())
    };
    let (key, lease) = (held.key.clone(), held.lease);
    let all = content(100_000);
    assert_eq!(put(&held, &key, lease, "what is built", all.clone()).await, 201);
    let (status, tag, found) = get(&held, &key, lease, "what is built").await;
    assert_eq!((status, &found[..]), (200, &all[..]));
    assert_eq!(tag.unwrap().len(), 66, "its digest, in quotes");
    let own = http.get(url(&held, lease, "what is built")).bearer_auth(&key).header("range", "bytes=99990-");
    let without = own.try_clone().unwrap();
    assert_eq!(without.send().await.unwrap().status(), 403, "the key alone is not enough");
    let part = own.header(LEASE_TOKEN, held.token());
    assert_eq!(part.send().await.unwrap().bytes().await.unwrap(), all[99_990..]);
    assert_eq!(get(&held, &key, lease, "another").await.0, 404);
    // People see artifacts, and these are none.
    assert!(held.paths().await.is_empty());
    let token = std::fs::read_to_string(held.place.folder.path().join("token")).unwrap();
    for (key, lease, status) in [
        ("cfk_none", lease, 401),
        (token.trim(), lease, 401),
        (&other, lease, 403),
        (&key, Lease { epoch: lease.epoch + 1, ..lease }, 409),
        (&key, Lease { run: RunId(99), ..lease }, 409),
    ] {
        assert_eq!(get(&held, key, lease, "what is built").await.0, status, "{lease:?}");
        let status = if lease.run.0 == 99 { 404 } else { status };
        assert_eq!(put(&held, key, lease, "what is built", b"a lie".to_vec()).await, status, "{lease:?}");
    }
    for name in ["..", ".hidden", "a/b", "a\\b", "a\nb", "", &"a".repeat(501)] {
        let status = put(&held, &key, lease, name, b"x".to_vec()).await;
        assert!((400..500).contains(&status), "{name:?}: {status}");
    }
    assert_eq!(put(&held, &key, lease, "large", content(MOST / 2 + 1)).await, 413);
    held.wait_for_blobs(1).await;
    // One that is there and has lost its bytes is not one that never was.
    let [path] = &held.blobs()[..] else { panic!("{:?}", held.blobs()) };
    std::fs::rename(path, held.place.folder.path().join("aside")).unwrap();
    assert_eq!(get(&held, &key, lease, "what is built").await.0, 410);
    std::fs::rename(held.place.folder.path().join("aside"), path).unwrap();
    // At its end nobody has it any more.
    let ToAgent::Perform { id, request, .. } = held.asked.clone() else { panic!("nothing is asked") };
    held.agent.answer(lease, id, reply(&request)).await;
    held.agent.give_back(lease).await;
    held.place.wait_for_end(lease.run.0).await;
    assert_eq!(get(&held, &key, lease, "what is built").await.0, 409);
    held.keep_runs(None).await;
    held.wait_for_blobs(0).await;
}

/// What a run has archived goes back to who has the run, and to nobody else with an agent's key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_archived_goes_back_to_who_has_the_run() {
    let mut held = Held::new().await;
    let other = held.place.enrol("two").await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |held: &Held, key: &str, lease, at: String| {
        let token = token_of(lease, if key == held.key { 1 } else { 2 });
        let url = format!("http://{}{at}", held.place.server.as_ref().unwrap().address);
        let response = http.get(url).bearer_auth(key).header(LEASE_TOKEN, token).send().await.unwrap();
        (response.status().as_u16(), response.bytes().await.unwrap())
    };
    let (key, lease) = (held.key.clone(), held.lease);
    let all = content(100_000);
    for path in ["out/a b", "x"] {
        assert_eq!(held.put(path, all.clone()).await.0, 201);
    }
    let paths = async |held: &Held, after: &str| {
        let (status, page) = get(held, &key, lease, artifacts(lease, None, after)).await;
        assert_eq!(status, 200);
        let page: Page = serde_json::from_slice(&page).unwrap();
        (page.artifacts.into_iter().map(|listed| listed.path).collect::<Vec<_>>(), page.next_after)
    };
    assert_eq!(paths(&held, "").await, (vec!["out/a b".to_owned(), "x".to_owned()], None));
    assert_eq!(paths(&held, "out/a b").await, (vec!["x".to_owned()], None));
    assert_eq!(get(&held, &key, lease, artifact(lease, "out/a b")).await, (200, all.into()));
    assert_eq!(get(&held, &key, lease, artifact(lease, "another")).await.0, 404);
    let token = std::fs::read_to_string(held.place.folder.path().join("token")).unwrap();
    for (key, lease, status) in [
        (token.trim(), lease, 401),
        (&other, lease, 403),
        (&key, Lease { epoch: lease.epoch + 1, ..lease }, 409),
        (&key, Lease { run: RunId(99), ..lease }, 409),
    ] {
        assert_eq!(get(&held, key, lease, artifact(lease, "x")).await.0, status, "{lease:?}");
        assert_eq!(get(&held, key, lease, artifacts(lease, None, "")).await.0, status, "{lease:?}");
    }
    let ToAgent::Perform { id, request, .. } = held.asked.clone() else { panic!("nothing is asked") };
    held.agent.answer(lease, id, reply(&request)).await;
    held.agent.give_back(lease).await;
    held.place.wait_for_end(lease.run.0).await;
    assert_eq!(get(&held, &key, lease, artifact(lease, "x")).await.0, 409, "at its end nobody has it");
}
