//! What definitions say of their projects: how runs live with each other, what is kept, when they are run.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{StatusCode, Uri};
use model::request::Reply;
use serde_json::{Value, json};
use server::{Clock, Simulated};
use wire::agent::ToAgent;

use crate::agent::{Agent, Place, is_exec};
use crate::herd::{Forge, commit};

const SAYS: &str = "pipeline {
    agent none
    options { disableConcurrentBuilds(); buildDiscarder(logRotator(numToKeepStr: '2', artifactNumToKeepStr: '1')) }
    triggers { cron('* * * * *'); pollSCM('* * * * *') }
    parameters { string(name: 'WHO', defaultValue: 'you', description: 'who it is'); choice(name: 'WHERE', choices: ['a', 'b']) }
    stages { stage('s') { steps { echo 'done' } } }
}";
const SAYS_NOTHING: &str = "pipeline { agent none; stages { stage('s') { steps { echo 'done' } } } }";
const ALONE: &str = "properties([disableConcurrentBuilds(abortPrevious: true)])";
const POLLS: &str = "properties([pipelineTriggers([pollSCM('* * * * *')])])";

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

impl Place {
    async fn branches(&self) -> Vec<Value> {
        let answer = self.ask("GET", "/api/v1/projects/app/branches", Value::Null).await;
        answer["branches"].as_array().unwrap().clone()
    }

    async fn trigger_at(&self, revision: &str) -> u64 {
        let asked = self.ask("POST", "/api/v1/projects/app/runs", json!({ "revision": revision })).await;
        asked["id"].as_u64().unwrap()
    }

    /// Until runs are as `fits` wants them.
    async fn until_runs(&self, what: &str, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        for _ in 0..1500 {
            let runs = self.runs().await;
            if fits(&runs) {
                return runs;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{what}: {:?}", self.runs().await);
    }
}

/// Has the next run, of this definition, end.
async fn ends(place: &Place, agent: &mut Agent, text: &str) -> Value {
    let lease = agent.take(text).await;
    agent.give_back(lease).await;
    place.wait_for_end(lease.run.0).await
}

#[tokio::test]
async fn a_definition_says_how_its_project_is_run() {
    let clock = Simulated::from(now());
    let mut place = Place::on_nothing(None);
    place.clock = Clock::Simulated(clock.clone());
    place.start().await;
    place.ask("PUT", "/api/v1/projects/app", json!({ "source": { "folder": "/nowhere" } })).await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let first = place.trigger().await;
    ends(&place, &mut agent, SAYS).await;
    let said = place.branches().await;
    assert_eq!(said.len(), 1);
    let of = &said[0];
    assert_eq!(
        (&of["name"], &of["run"], &of["alone"], &of["abort_previous"]),
        (&"".into(), &first.into(), &true.into(), &false.into())
    );
    assert_eq!((&of["keep_runs"], &of["keep_artifact_runs"], &of["keep_days"]), (&2.into(), &1.into(), &Value::Null));
    assert_eq!(of["cron"], json!(["* * * * *"]));
    assert!(of["next_at"].as_u64().is_some_and(|at| at > now() && at <= now() + 60_000), "{of}");
    assert_eq!(of["parameters"][1]["choices"], json!(["a", "b"]));
    let job = place.jenkins("GET", "/job/app/api/json").await.body;
    let defined = &job["property"][0]["parameterDefinitions"][0];
    assert_eq!((&defined["name"], &defined["defaultParameterValue"]["value"]), (&"WHO".into(), &"you".into()), "{job}");

    // One at a time from now on, of this branch.
    let (second, third, other) = (place.trigger().await, place.trigger().await, place.trigger_at("side").await);
    let lease = agent.take("node { sh 'make' }").await;
    assert_eq!(lease.run.0, second);
    let mut more = place.agent_with("two", 4, &[]).await;
    let of_side = more.take(SAYS_NOTHING).await;
    assert_eq!(of_side.run.0, other, "a branch has nothing to do with another");
    more.give_back(of_side).await;
    let why = place.waits_for(third, "alone there").await;
    assert!(why.contains(&format!("run-{second}")), "{why}");
    agent.give_back(lease).await;
    place.wait_for_end(second).await;
    drop(more);

    // The clock, once.
    let due = ends(&place, &mut agent, "echo 'third'").await;
    assert_eq!(due["id"], third);
    clock.jump(61_000);
    let by_timer = ends(&place, &mut agent, "echo 'on time'").await;
    assert_eq!(by_timer["causes"][0]["description"], "Started by timer");
    assert_eq!(place.branches().await.len(), 1, "a folder is polled by nobody, and not gone because of that");

    // What is kept: the last two, when somebody looks.
    place.ask("PUT", "/api/v1/projects/app", json!({ "source": { "folder": "/nowhere" } })).await;
    let left = place
        .until_runs("old runs are forgotten", |runs| runs.iter().filter(|run| run["revision"].is_null()).count() == 2)
        .await;
    assert!(left.iter().any(|run| run["id"] == other), "those of another branch have not said so: {left:?}");

    // Who says nothing any more wants nothing any more.
    place.trigger().await;
    ends(&place, &mut agent, SAYS_NOTHING).await;
    let of = place.branches().await.remove(0);
    assert_eq!((&of["alone"], &of["cron"], &of["keep_runs"]), (&false.into(), &json!([]), &Value::Null));
}

#[tokio::test]
async fn a_new_run_ends_those_before_it() {
    let mut place = Place::new().await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    place.trigger().await;
    ends(&place, &mut agent, ALONE).await;
    drop(agent);
    // Also after a restart, by which somebody may have asked already.
    let (old, of_side) = (place.trigger().await, place.trigger_at("side").await);
    place.restart().await;
    let new = place.trigger().await;
    let ended = place.wait_for_end(old).await;
    assert_eq!(ended["outcome"], "NOT_BUILT");
    assert!(ended["message"].as_str().unwrap().contains("Superseded by #4"), "{ended}");
    assert_eq!(
        (&place.run(new).await["status"], &place.run(of_side).await["status"]),
        (&"queued".into(), &"queued".into())
    );
}

#[tokio::test]
async fn a_stranger_says_nothing_of_a_project() {
    let forge = Forge::default();
    forge.set(|repository| {
        repository.branches.insert("main".into(), commit(2));
        repository.requests.insert(7, (commit(7), "main".into(), "open".into(), true));
        repository.requests.insert(8, (commit(8), "main".into(), "open".into(), false));
    });
    let place = Place::with_forge(&forge, json!({})).await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    assert_eq!(place.open(&forge, 7, "one").await["trust"], "stranger");
    ends(&place, &mut agent, SAYS).await;
    assert!(place.branches().await.is_empty());
    // A colleague does, of the pull request: but nothing begins because of that.
    assert_eq!(place.open(&forge, 8, "two").await["trust"], "member");
    ends(&place, &mut agent, SAYS).await;
    place.push("main", &commit(2), "three").await;
    ends(&place, &mut agent, SAYS).await;
    let names: Vec<_> = place.branches().await.iter().map(|of| of["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["main", "refs/pull/8/head"]);
    let paged = place.one_by_one("/api/v1/projects/app/branches", "branches").await;
    assert_eq!(paged.iter().map(|of| of["name"].as_str().unwrap()).collect::<Vec<_>>(), names);
    // A branch that is gone has said nothing.
    let gone =
        json!({ "ref": "refs/heads/main", "after": "0".repeat(40), "deleted": true, "sender": { "login": "alice" } });
    assert_eq!(place.hook("push", "four", &gone).await["ignored"], "that something was removed is no news, or not so");
    assert_eq!(place.branches().await.len(), 2, "its forge knows better");
    forge.set(|repository| drop(repository.branches.remove("main")));
    place.hook("push", "four", &gone).await;
    assert_eq!(place.branches().await.len(), 1);
}

/// Where nothing is known but a repository, it is asked itself.
#[tokio::test]
async fn a_repository_is_asked_what_is_new() {
    let refs = Arc::new(Mutex::new(format!("{}\trefs/heads/main\n{}\trefs/tags/v1\n", commit(1), commit(2))));
    let said = Arc::clone(&refs);
    let answer = async move |uri: Uri| match uri.path() {
        "/app.git/info/refs" => (StatusCode::OK, said.lock().unwrap().clone()),
        _ => (StatusCode::NOT_FOUND, String::new()),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/app.git", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    let clock = Simulated::from(now());
    let mut place = Place::on_nothing(None);
    place.clock = Clock::Simulated(clock.clone());
    place.start().await;
    place.ask("PUT", "/api/v1/projects/app", json!({ "source": { "git": { "url": url } }, "poll_minutes": 60 })).await;
    let runs = place.wait_for_runs(2).await;
    let seen = |run: &Value| (run["revision"].as_str().unwrap().to_owned(), run["commit"].as_str().unwrap().to_owned());
    let seen: Vec<_> = runs.iter().map(seen).collect();
    assert_eq!(seen, [("refs/heads/main".to_owned(), commit(1)), ("refs/tags/v1".to_owned(), commit(2))]);
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    ends(&place, &mut agent, POLLS).await;
    ends(&place, &mut agent, SAYS_NOTHING).await;
    assert_eq!(place.branches().await[0]["poll"], json!(["* * * * *"]));
    // At a commit that had a run there is nothing to be done; at another there is.
    clock.jump(61_000);
    *refs.lock().unwrap() = format!("{}\trefs/heads/main\n", commit(3));
    let run = place.wait_for_runs(3).await.remove(2);
    assert_eq!((&run["commit"], &run["trust"]), (&commit(3).into(), &"protected".into()));
    assert_eq!(ends(&place, &mut agent, POLLS).await["id"], run["id"]);
    // Gone is gone.
    *refs.lock().unwrap() = format!("{}\trefs/heads/other\n", commit(3));
    clock.jump(61_000);
    for _ in 0..1000 {
        if place.branches().await.iter().all(|of| of["name"] != "main") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?}", place.branches().await);
}

/// What it calls itself is seen wherever it is named, as text.
#[tokio::test]
async fn a_run_says_what_it_is() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let id = place.trigger().await;
    let says = "pipeline { agent none; stages { stage('Build') { parallel { stage('a') { steps {
        script { currentBuild.displayName = 'v1 <b>'; currentBuild.description = \"of ${1 + 1}\" } } }
        stage('b') { steps { echo 'b' } } } } } }";
    ends(&place, &mut agent, says).await;
    let run = place.run(id).await;
    assert_eq!((&run["display_name"], &run["description"]), (&"v1 <b>".into(), &"of 2".into()));
    let build = place.jenkins("GET", "/job/app/1/api/json").await.body;
    assert_eq!((&build["displayName"], &build["description"]), (&"v1 <b>".into(), &"of 2".into()));
    let person = json!({ "grants": ["reader"], "password": "a long enough password" });
    place.ask("PUT", "/api/v1/people/reader", person).await;
    let session = place.log_in("reader", "a long enough password").await;
    let session = session.as_deref();
    let (_, page) = place.page(&format!("/runs/{id}"), session).await;
    assert!(page.contains("v1 &lt;b&gt;") && page.contains("of 2") && !page.contains("http-equiv"), "{page}");
    assert!(page.contains("<ul class=\"branches\"><li>a <span class=\"success\">"), "{page}");
    // Of one that is under way a browser asks again.
    let waits = place.trigger().await;
    let (_, page) = place.page(&format!("/runs/{waits}"), session).await;
    assert!(page.contains("http-equiv=\"refresh\""), "{page}");
    assert!(place.page("/", session).await.1.contains("v1 &lt;b&gt;"));
}

/// Once is enough: who is asked twice to end does not do any more what it does at its end.
#[tokio::test]
async fn who_is_superseded_ends_in_good_order() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    place.trigger().await;
    ends(&place, &mut agent, ALONE).await;
    let old = place.trigger().await;
    let lease = agent.take("node { try { sh 'make' } finally { sh 'clean'; echo 'cleaned' } }").await;
    let ToAgent::Perform { id: make, .. } = agent.work(is_exec).await else { panic!() };
    let _free = place.agent_with("two", 4, &[]).await;
    let new = place.trigger().await;
    agent.work(|message| matches!(message, ToAgent::Cancel { id, .. } if *id == make)).await;
    agent.answer(lease, make, Reply::Cancelled).await;
    let ToAgent::Perform { id: clean, .. } = agent.work(is_exec).await else { panic!() };
    // The new one is seen again, as after every change of the project.
    place.ask("PUT", "/api/v1/projects/app", json!({ "source": { "folder": "/nowhere" }, "priority": 1 })).await;
    place.waits_for(new, "alone there").await;
    agent.answer(lease, clean, Reply::Exited { code: 0, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    assert_eq!(place.wait_for_end(old).await["outcome"], "NOT_BUILT");
    assert!(place.log(old).await.contains("cleaned"), "{}", place.log(old).await);
}
