//! What becomes of pull requests whose target has moved, and who is given what waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use hmac::{Hmac, KeyInit as _, Mac as _};
use model::rung::Rung;
use serde_json::{Value, json};
use sha2::Sha256;
use wire::agent::{Definition, FromAgent, Lease, Merge, Offers, Source, ToAgent};

use crate::agent::{Agent, Place, everything, is_exec};

pub const SECRET: &str = "a secret of the hook";

/// A GitHub with one repository.
#[derive(Clone, Default)]
pub struct Forge(pub Arc<Mutex<Repository>>);

#[derive(Default)]
pub struct Repository {
    pub branches: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    /// Number: commit, target, state, whether it comes from a fork.
    pub requests: BTreeMap<u64, (String, String, String, bool)>,
    pub away: bool,
    /// How many answers it has given.
    pub answers: u32,
    /// So many answers more it is away.
    pub fails: u32,
    /// Whoever asks is not let in, and not told so: as of a repository that is private.
    pub shut: bool,
}

pub fn commit(number: u64) -> String {
    format!("{number:040x}")
}

pub fn request(number: u64, (head, target, state, fork): &(String, String, String, bool)) -> Value {
    let repo = |id: u64| json!({ "id": id, "full_name": "org/app" });
    json!({
        "number": number, "state": state, "merged": false, "title": "t", "draft": false,
        "html_url": format!("https://forge.example/pulls/{number}"), "user": { "login": "alice" },
        "head": { "sha": head, "ref": format!("topic-{number}"), "repo": repo(1 + u64::from(*fork)), "label": "alice:topic" },
        "base": { "ref": target, "sha": commit(0), "repo": repo(1) },
    })
}

async fn answer(State(Forge(repository)): State<Forge>, uri: Uri) -> (StatusCode, Json<Value>) {
    let mut repository = repository.lock().unwrap();
    repository.answers += 1;
    let fails = repository.fails > 0;
    repository.fails = repository.fails.saturating_sub(1);
    if repository.away || fails {
        return (StatusCode::BAD_GATEWAY, Json(Value::Null));
    }
    if repository.shut {
        return (StatusCode::NOT_FOUND, Json(json!({ "message": "Not Found" })));
    }
    let path = uri.path().strip_prefix("/repos/org/app/").unwrap_or_default();
    let found = match path.split('/').collect::<Vec<_>>().as_slice() {
        ["branches"] => {
            let all = repository.branches.iter();
            Some(
                all.map(|(name, commit)| json!({ "name": name, "commit": { "sha": commit }, "protected": false }))
                    .collect(),
            )
        }
        ["tags"] => {
            let all = repository.tags.iter();
            Some(all.map(|(name, commit)| json!({ "name": name, "commit": { "sha": commit } })).collect())
        }
        ["commits", tag] => match repository.tags.get(tag.strip_prefix("tags%2F").unwrap_or_default()) {
            Some(commit) => Some(json!({ "sha": commit })),
            None => return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "message": "No commit found for SHA" }))),
        },
        ["branches", name] => repository
            .branches
            .get(*name)
            .map(|commit| json!({ "name": name, "commit": { "sha": commit }, "protected": false })),
        ["pulls"] => {
            // Pages of thirty, as if there were no more room.
            let page: usize = uri.query().unwrap_or_default().rsplit("&page=").next().unwrap().parse().unwrap_or(1);
            let open = repository.requests.iter().filter(|(_, of)| of.2 == "open");
            let some: Vec<_> =
                open.skip((page.max(1) - 1) * 30).take(30).map(|(number, of)| request(*number, of)).collect();
            Some(json!(some))
        }
        ["pulls", number] => {
            number.parse().ok().and_then(|number: u64| Some(request(number, repository.requests.get(&number)?)))
        }
        ["statuses", _] => return (StatusCode::CREATED, Json(json!({}))),
        _ => None,
    };
    match found {
        Some(found) => (StatusCode::OK, Json(found)),
        None => (StatusCode::NOT_FOUND, Json(json!({ "message": "Not Found" }))),
    }
}

impl Forge {
    pub async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(answer).with_state(self.clone());
        let link =
            axum::middleware::from_fn(|request: axum::extract::Request, next: axum::middleware::Next| async move {
                let query = request.uri().query().unwrap_or_default().to_owned();
                let is_list = request.uri().path().ends_with("/pulls");
                let page: u64 = query.rsplit("&page=").next().and_then(|page| page.parse().ok()).unwrap_or(1);
                let mut response = next.run(request).await;
                if is_list && page < 40 {
                    let link = format!("<http://elsewhere.invalid/x?state=open&page={}>; rel=\"next\"", page + 1);
                    response.headers_mut().insert("link", link.parse().unwrap());
                }
                response
            });
        let router = router.layer(link);
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    pub fn set(&self, change: impl FnOnce(&mut Repository)) {
        change(&mut self.0.lock().unwrap());
    }
}

impl Place {
    pub async fn with_forge(forge: &Forge, more: Value) -> Place {
        Place::with_forge_on(forge, more, Place::new().await).await
    }

    pub async fn with_forge_on(forge: &Forge, more: Value, place: Place) -> Place {
        let mut config = json!({
            "source": { "git": { "url": "http://127.0.0.1:9/app.git" } },
            "hook": { "forge": "github", "secret": SECRET },
            "report": { "forge": "github", "api": forge.start().await, "repository": "org/app", "token": "t" },
        });
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        place.ask("PUT", "/api/v1/projects/app", config).await;
        place
    }

    /// What is said to a webhook.
    pub async fn hook(&self, event: &str, id: &str, body: &Value) -> Value {
        let answer = self.sent(event, id, body).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// The same of Bitbucket; its run.
    pub async fn bitbucket(&self, event: &str, id: &str, body: &Value) -> u64 {
        let answer = self.sent_by_bitbucket(event, id, body).await;
        answer["run"].as_u64().unwrap_or_else(|| panic!("{answer}"))
    }

    /// What is answered.
    pub async fn sent_by_bitbucket(&self, event: &str, id: &str, body: &Value) -> Value {
        let sent = self.signed(body).header("x-event-key", event).header("x-request-uuid", id).send().await.unwrap();
        serde_json::from_str(&sent.text().await.unwrap()).unwrap()
    }

    /// A webhook of GitHub.
    pub fn sent(&self, event: &str, id: &str, body: &Value) -> reqwest::RequestBuilder {
        self.signed(body).header("x-github-event", event).header("x-github-delivery", id)
    }

    fn signed(&self, body: &Value) -> reqwest::RequestBuilder {
        let body = body.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        // Each forge has its own name for it.
        let names = ["x-hub-signature-256", "x-hub-signature"];
        let sent = self.request("POST", "/hooks/app").body(body);
        names.into_iter().fold(sent, |sent, name| sent.header(name, format!("sha256={digits}")))
    }

    pub async fn push(&self, branch: &str, commit: &str, id: &str) -> Value {
        let body = json!({ "ref": format!("refs/heads/{branch}"), "after": commit, "sender": { "login": "alice" } });
        self.hook("push", id, &body).await
    }

    pub async fn open(&self, forge: &Forge, number: u64, id: &str) -> Value {
        let of = forge.0.lock().unwrap().requests.get(&number).cloned().unwrap_or((
            commit(9),
            "main".into(),
            "open".into(),
            false,
        ));
        self.hook("pull_request", id, &json!({ "action": "opened", "pull_request": request(number, &of) })).await
    }

    pub async fn runs(&self) -> Vec<Value> {
        let mut runs = self.ask("GET", "/api/v1/runs?limit=200", Value::Null).await["runs"].as_array().unwrap().clone();
        runs.reverse();
        runs
    }

    pub async fn wait_for_runs(&self, count: usize) -> Vec<Value> {
        // Each is a change of the database, and each change is on the disk before the next.
        for _ in 0..6000 {
            let runs = self.runs().await;
            if runs.len() >= count {
                return runs;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} runs of {count}", self.runs().await.len());
    }
}

/// The next lease, and what it is of.
pub async fn leased(agent: &mut Agent) -> (Lease, Option<String>, Option<Merge>) {
    loop {
        match agent.hear().await {
            Some(ToAgent::Lease { lease, source: Source::Git { commit, merge, .. }, .. }) => {
                return (lease, commit, merge);
            }
            // Of one before, which nobody keeps any more.
            Some(ToAgent::Release { forget: true, .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

const DEFINITION: &str = "echo 'it is run'";

async fn approve(place: &Place, agent: &mut Agent, run: &Value) {
    let path = format!("/api/v1/runs/{run}/approve");
    tokio::join!(place.ask("POST", &path, Value::Null), agent.plan(DEFINITION, &[]));
}

pub async fn found(agent: &mut Agent, lease: Lease, tree: Option<&str>) {
    let definition =
        Definition { text: DEFINITION.into(), commit: None, tree: tree.map(str::to_owned), ..Definition::default() };
    agent.say(&FromAgent::Found { lease, definition: Ok(definition) }).await;
    agent.give_back(lease).await;
}

/// A stranger's code has a kernel of its own, and is given to nobody who has none for it.
#[tokio::test]
async fn a_strangers_run_waits_for_machines() {
    let forge = Forge::default();
    forge.set(|repository| {
        repository.branches.insert("main".into(), commit(1));
        repository.requests.insert(7, (commit(3), "main".into(), "open".into(), true));
    });
    let place = Place::with_forge(&forge, json!({})).await;
    let containers = Offers { rungs: vec![Rung::Process, Rung::Container], ..Offers::default() };
    let _plain = place.agent_that_offers("plain", 1, &[], containers).await;
    let told = place.open(&forge, 7, "a").await;
    assert_eq!(told["trust"], "stranger", "{told}");
    let id = told["run"].as_u64().unwrap();
    let why = place.waits_for(id, "rung:microvm").await;
    assert!(!why.contains("engine"), "{why}");
    let mut machines = place.agent_that_offers("machines", 1, &[], everything()).await;
    let lease = leased(&mut machines).await.0;
    assert_eq!(lease.run.0, id);
    // And it is not for a stranger to choose an agent: its name is a label.
    let _named = place.agent_that_offers("named", 1, &[], everything()).await;
    let definition =
        Definition { text: "node('named') { sh 'make' }".into(), commit: Some(commit(3)), ..Definition::default() };
    machines.say(&FromAgent::Found { lease, definition: Ok(definition) }).await;
    let next = machines.work(|message| is_exec(message) || matches!(message, ToAgent::Release { .. })).await;
    assert!(is_exec(&next), "{next:?}");
}

/// Fifty pull requests, whose target moves, again and again: each pair of commits is one run, the same tree has one verdict, and what somebody
/// waits for goes first.
#[tokio::test]
async fn a_target_that_moves_has_its_pull_requests_run_again() {
    const REQUESTS: u64 = 50;
    let forge = Forge::default();
    forge.set(|repository| {
        repository.branches.insert("main".into(), commit(1));
        for number in 1..=REQUESTS {
            repository.requests.insert(number, (commit(1000 + number), "main".into(), "open".into(), false));
        }
        repository.requests.insert(99, (commit(1099), "other".into(), "open".into(), false));
        repository.branches.insert("other".into(), commit(8));
    });
    let place = Place::with_forge(&forge, json!({ "merge_requests": true })).await;
    // Found at the first look, as merged with what the target is now.
    let first = place.wait_for_runs(51).await;
    let of_pr = |runs: &[Value], number: u64| {
        let description = format!("Pull request {number} of alice");
        runs.iter().filter(|run| run["causes"][0]["description"].as_str().unwrap().starts_with(&description)).count()
    };
    assert_eq!((first.len(), of_pr(&first, 7), of_pr(&first, 99)), (51, 1, 1));
    // What a webhook says of them afterwards is known.
    assert_eq!(
        place.open(&forge, 7, "known").await["run"],
        first.iter().find(|run| { run["causes"][0]["description"] == "Pull request 7 of alice" }).unwrap()["id"]
    );

    forge.set(|repository| drop(repository.branches.insert("main".into(), commit(2))));
    for id in ["x", "y", "x"] {
        place.push("main", &commit(2), id).await;
    }
    let runs = place.wait_for_runs(51 + 1 + REQUESTS as usize).await;
    assert_eq!((runs.len(), of_pr(&runs, 7), of_pr(&runs, 99)), (102, 2, 1));
    // It moves again before any of them was given out: those of the commit before are of no use, the ones that somebody waits for stay.
    forge.set(|repository| drop(repository.branches.insert("main".into(), commit(3))));
    place.push("main", &commit(3), "z").await;
    place.wait_for_runs(102 + 1 + REQUESTS as usize).await;
    let mut ended = Vec::new();
    for _ in 0..1000 {
        ended = place.runs().await.into_iter().filter(|run| run["outcome"] == "NOT_BUILT").collect();
        if ended.len() == REQUESTS as usize {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ended.len(), REQUESTS as usize);
    let is_again = |run: &Value| run["causes"][0]["description"].as_str().unwrap().ends_with("main has moved");
    assert!(ended.iter().all(is_again), "{ended:?}");

    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let (mut background, mut interactive) = (0, 0);
    let mut verdicts = 0;
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 51 + 2 + REQUESTS as usize {
        let (lease, of, merge) = leased(&mut agent).await;
        assert!(seen.insert(lease.run), "{} is given out twice", lease.run);
        let run = place.run(lease.run.0).await;
        let is_again = run["causes"][0]["description"].as_str().unwrap().ends_with("has moved");
        let Some(merge) = merge else {
            found(&mut agent, lease, None).await;
            interactive += 1;
            continue;
        };
        let of = u64::from_str_radix(&of.unwrap(), 16).unwrap();
        assert_eq!(merge.reference, if of == 1099 { "refs/heads/other" } else { "refs/heads/main" });
        match is_again {
            true => {
                assert_eq!(merge.commit, commit(3));
                background += 1;
                // Every second one comes to the tree of the one before.
                let tree = format!("{:040x}", (of - 1) / 2);
                let definition =
                    Definition { text: "echo 'it is run'".into(), tree: Some(tree), ..Definition::default() };
                agent.say(&FromAgent::Found { lease, definition: Ok(definition) }).await;
                agent.give_back(lease).await;
                let ended = place.wait_for_end(lease.run.0).await;
                assert_eq!(ended["outcome"], "SUCCESS", "{ended}");
                verdicts +=
                    u64::from(ended["message"].as_str().is_some_and(|said| said.contains("has run the same tree")));
            }
            false => {
                interactive += 1;
                found(&mut agent, lease, Some(&format!("{:040x}", 1_000_000 + of))).await;
            }
        }
    }
    assert_eq!((background, verdicts), (REQUESTS, REQUESTS / 2), "{interactive}");
}

/// A thousand pull requests wait for one agent: whoever else wants something gets it next, and each of the thousand is still what it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_pull_requests_are_in_nobodys_way() {
    const REQUESTS: u64 = 1000;
    let forge = Forge::default();
    forge.set(|repository| {
        repository.branches.insert("main".into(), commit(1));
        for number in 1..=REQUESTS {
            repository.requests.insert(number, (commit(1000 + number), "main".into(), "open".into(), false));
        }
    });
    let place = Place::with_forge(&forge, json!({ "merge_requests": true })).await;
    place.ask("PUT", "/api/v1/projects/other", json!({ "source": { "folder": "/nowhere" } })).await;
    let waiting = async || place.ask("GET", "/api/v1/queue?limit=1", Value::Null).await["waiting"].as_u64().unwrap();
    let until = async |count: u64| {
        // Each is a change of the database, and each change is on the disk before the next.
        for _ in 0..9000 {
            if waiting().await >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} of {count} wait", waiting().await);
    };
    until(REQUESTS).await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let first = leased(&mut agent).await.0;
    // The target moves: each of them once more, behind everything that somebody waits for.
    forge.set(|repository| drop(repository.branches.insert("main".into(), commit(2))));
    place.push("main", &commit(2), "a").await;
    until(2 * REQUESTS).await;

    let asked = place.ask("POST", "/api/v1/projects/other/runs", json!({})).await["id"].as_u64().unwrap();
    let of_other = place.ask("GET", "/api/v1/queue?project=other", Value::Null).await["queue"].clone();
    assert_eq!((of_other.as_array().unwrap().len(), &of_other[0]["id"]), (1, &json!(asked)), "seen among them all");
    // The oldest of the thousand has a new commit: what waits for the one before is ended, wherever it is in the line.
    let of_request = |number: u64| format!("refs/pull/{number}/head");
    let runs = async |number: u64| {
        let mut found = Vec::new();
        let mut before = String::new();
        loop {
            let page = place.ask("GET", &format!("/api/v1/runs?project=app&limit=200{before}"), Value::Null).await;
            found.extend(page["runs"].as_array().unwrap().clone());
            match page["next_before"].as_u64() {
                Some(last) => before = format!("&before={last}"),
                None => break,
            }
        }
        found.retain(|run| run["revision"] == of_request(number).as_str());
        found
    };
    for number in [2, 900] {
        forge.set(|repository| commit(5000 + number).clone_into(&mut repository.requests.get_mut(&number).unwrap().0));
        let new = place.open(&forge, number, &number.to_string()).await["run"].clone();
        for run in runs(number).await {
            let is_ended = run["id"] == new || run["outcome"] == "NOT_BUILT" || run["id"] == first.run.0;
            assert!(is_ended, "{run}");
        }
    }
    found(&mut agent, first, None).await;
    let next = agent.work(|message| matches!(message, ToAgent::Lease { .. })).await;
    assert!(
        matches!(next, ToAgent::Lease { lease, .. } if lease.run.0 == asked),
        "who has had nothing goes first: {next:?}"
    );
}

/// What GitHub says when somebody wants a check once more.
fn wanted(run: &Value) -> Value {
    json!({ "action": "rerequested", "check_run": { "external_id": run.to_string() }, "sender": { "login": "alice" } })
}

#[tokio::test]
async fn a_check_is_run_once_more() {
    let forge = Forge::default();
    forge.set(|repository| drop(repository.branches.insert("main".into(), commit(1))));
    let place = Place::with_forge(&forge, json!({ "merge_requests": true, "approve_strangers": true })).await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let first = place.push("main", &commit(1), "a").await;
    let (lease, of, _) = leased(&mut agent).await;
    found(&mut agent, lease, None).await;
    place.wait_for_end(lease.run.0).await;
    let again = place.hook("check_run", "b", &wanted(&first["run"])).await;
    assert_eq!((&again["number"], &again["held"]), (&json!(2), &Value::Null));
    assert_eq!(place.hook("check_run", "b", &wanted(&first["run"])).await["run"], again["run"], "it comes twice");
    let (lease, once_more, _) = leased(&mut agent).await;
    assert_eq!((lease.run.0, once_more), (again["run"].as_u64().unwrap(), of));
    found(&mut agent, lease, None).await;
    place.wait_for_end(lease.run.0).await;

    // A stranger's code waits again, and is run as merged again, though its tree was run before.
    let request = (commit(7), "main".into(), "open".into(), true);
    forge.set(|repository| drop(repository.requests.insert(7, request)));
    let stranger = place.open(&forge, 7, "c").await;
    approve(&place, &mut agent, &stranger["run"]).await;
    let (lease, _, merge) = leased(&mut agent).await;
    assert!(merge.is_some());
    found(&mut agent, lease, Some("tree")).await;
    place.wait_for_end(lease.run.0).await;
    let again = place.hook("check_run", "d", &wanted(&stranger["run"])).await;
    assert!(again["held"].as_str().is_some_and(|held| held.contains("stranger")), "{again}");
    approve(&place, &mut agent, &again["run"]).await;
    let (lease, _, once_more) = leased(&mut agent).await;
    assert_eq!((json!(lease.run.0), once_more), (again["run"].clone(), merge));
    found(&mut agent, lease, Some("tree")).await;
    let ended = place.wait_for_end(lease.run.0).await;
    assert_eq!((&ended["outcome"], &ended["message"]), (&json!("SUCCESS"), &Value::Null), "{ended}");

    for odd in [json!("x"), json!(9999)] {
        let said = place.hook("check_run", &format!("e {odd}"), &wanted(&odd)).await;
        assert_eq!(said["ignored"], "it is no check of this project");
    }
}
