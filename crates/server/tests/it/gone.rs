//! What is gone, and what was not heard of it: found when somebody looks, and nothing of what is there is ended.

use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::Place;
use crate::herd::{Forge, SECRET, commit};
use crate::postgres::Postgres;

impl Place {
    async fn is_under_way(&self, run: u64) -> bool {
        let run = self.run(run).await;
        run["status"] != "done" && run["abort_reason"].is_null()
    }

    async fn names_of_branches(&self) -> Vec<String> {
        let answer = self.ask("GET", "/api/v1/projects/app/branches", Value::Null).await;
        answer["branches"].as_array().unwrap().iter().map(|of| of["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// Of a project whose forge only tells, and of one that is looked at.
#[tokio::test]
async fn what_nobody_heard_is_found_gone() {
    for more in [json!({}), json!({ "merge_requests": true }), json!({ "poll_minutes": 60 })] {
        let forge = Forge::default();
        forge.set(|repository| {
            for name in ["main", "topic", "stays"] {
                repository.branches.insert(name.into(), commit(1));
            }
            repository.tags.insert("v1".into(), commit(4));
            for number in [5, 6] {
                repository.requests.insert(number, (commit(number), "main".into(), "open".into(), false));
            }
        });
        let mut place = Place::with_forge(&forge, more.clone()).await;
        let topic = place.push("topic", &commit(1), "a").await["run"].as_u64().unwrap();
        let stays = place.push("stays", &commit(1), "b").await["run"].as_u64().unwrap();
        let closed = place.open(&forge, 5, "c").await["run"].as_u64().unwrap();
        let open = place.open(&forge, 6, "d").await["run"].as_u64().unwrap();
        let tag = json!({ "ref": "refs/tags/v1", "after": commit(4), "sender": { "login": "a" } });
        let tag = place.hook("push", "e", &tag).await["run"].as_u64().unwrap();
        let by_hand = place.ask("POST", "/api/v1/projects/app/runs", json!({ "revision": "other" })).await;
        place.server.take().unwrap().stop().await;
        forge.set(|repository| {
            repository.branches.remove("topic");
            repository.tags.remove("v1");
            "closed".clone_into(&mut repository.requests.get_mut(&5).unwrap().2);
        });
        place.start().await;
        for (run, why) in [(topic, "topic was removed"), (closed, "Pull request 5 was closed"), (tag, "v1 was removed")]
        {
            let ended = place.wait_for_end(run).await;
            assert!(ended["message"].as_str().unwrap().contains(why), "{more}: {ended}");
            assert_eq!(ended["outcome"], "ABORTED");
        }
        for run in [stays, open, by_hand["id"].as_u64().unwrap()] {
            assert!(place.is_under_way(run).await, "{more}: {run}");
        }
    }
}

/// What a forge does not show any more, to a token that may no longer see it, say, is not gone because of that.
#[tokio::test]
async fn who_is_not_let_in_ends_nothing() {
    let (shut, open) = (Forge::default(), Forge::default());
    for forge in [&shut, &open] {
        forge.set(|repository| {
            repository.branches = [("main".into(), commit(1)), ("topic".into(), commit(1))].into();
        });
    }
    let mut place = Place::with_forge(&shut, json!({})).await;
    let report = json!({ "forge": "github", "api": open.start().await, "repository": "org/app", "token": "t" });
    // Looked at after the other one.
    let config = json!({ "source": { "git": { "url": "http://127.0.0.1:9/app.git" } }, "report": report });
    place.ask("PUT", "/api/v1/projects/zed", config).await;
    let topic = place.push("topic", &commit(1), "a").await["run"].as_u64().unwrap();
    let asked = json!({ "revision": "refs/heads/topic" });
    let of_other = place.ask("POST", "/api/v1/projects/zed/runs", asked).await["id"].as_u64().unwrap();
    place.server.take().unwrap().stop().await;
    shut.set(|repository| repository.shut = true);
    let before = shut.0.lock().unwrap().answers;
    open.set(|repository| drop(repository.branches.remove("topic")));
    place.start().await;
    assert_eq!(place.wait_for_end(of_other).await["outcome"], "ABORTED");
    // It is asked for its branches, and says that it has no such repository.
    wait_until(|| shut.0.lock().unwrap().answers > before).await;
    assert!(place.is_under_way(topic).await);
}

async fn wait_until(is_so: impl Fn() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not come about");
}

/// One that takes connections and says nothing holds up nobody else.
#[tokio::test]
async fn a_forge_that_hangs_holds_up_no_other() {
    let forge = Forge::default();
    forge.set(|repository| repository.branches = [("main".into(), commit(1)), ("topic".into(), commit(1))].into());
    let mut place = Place::with_forge(&forge, json!({})).await;
    let topic = place.push("topic", &commit(1), "a").await["run"].as_u64().unwrap();
    let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = format!("http://{}", hangs.local_addr().unwrap());
    let report = json!({ "forge": "github", "api": api, "repository": "org/app", "token": "t" });
    let config = json!({ "source": { "git": { "url": "http://127.0.0.1:9/app.git" } }, "report": report });
    // Before that one by their names, and by the time that they wait.
    for name in ["a1", "a2", "a3"] {
        place.ask("PUT", &format!("/api/v1/projects/{name}"), config.clone()).await;
        let asked = json!({ "revision": "refs/heads/topic" });
        place.ask("POST", &format!("/api/v1/projects/{name}/runs"), asked).await;
    }
    place.server.take().unwrap().stop().await;
    forge.set(|repository| drop(repository.branches.remove("topic")));
    place.start().await;
    let held = async {
        let mut held = Vec::new();
        while held.len() < 3 {
            held.push(hangs.accept().await.unwrap().0);
        }
        held
    };
    let (held, ended) = tokio::join!(held, place.wait_for_end(topic));
    assert_eq!(ended["outcome"], "ABORTED");
    // None of these was given up meanwhile.
    for stream in held {
        let mut bytes = [0; 4096];
        while stream.try_read(&mut bytes).is_ok_and(|read| read > 0) {}
        let end = stream.try_read(&mut bytes).map_err(|error| error.kind());
        assert_eq!(end, Err(std::io::ErrorKind::WouldBlock));
    }
}

/// What has gone on while nobody heard is run when somebody looks: of what was run before, that is, and not all that there is.
#[tokio::test]
async fn what_nobody_heard_is_run() {
    let forge = Forge::default();
    forge.set(|repository| {
        repository.branches = [("topic".into(), commit(1)), ("old".into(), commit(2))].into();
        repository.requests.insert(5, (commit(5), "main".into(), "open".into(), false));
        repository.requests.insert(6, (commit(6), "main".into(), "open".into(), false));
    });
    let mut place = Place::with_forge(&forge, json!({})).await;
    place.push("topic", &commit(1), "a").await;
    place.open(&forge, 5, "b").await;
    for turn in 0..2 {
        place.server.take().unwrap().stop().await;
        forge.set(|repository| {
            // Where a pull request was.
            repository.branches.insert("topic".into(), commit(5));
            repository.branches.insert("new".into(), commit(9));
            repository.requests.get_mut(&5).unwrap().0 = commit(15);
        });
        let before = forge.0.lock().unwrap().answers;
        place.start().await;
        let runs = place.wait_for_runs(4).await;
        let commits: Vec<_> = runs.iter().map(|run| run["commit"].as_str().unwrap().to_owned()).collect();
        assert_eq!(commits[..2], [commit(1), commit(5)]);
        assert!(
            commits.len() == 4 && commits[2..].contains(&commit(5)) && commits[2..].contains(&commit(15)),
            "{turn}: {commits:?}"
        );
        wait_until(|| forge.0.lock().unwrap().answers > before + 2).await;
    }
    assert_eq!(place.runs().await.len(), 4);
}

/// A webhook that could not be taken does not come again from most forges: they are looked at when the database is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_while_the_database_was_away_is_run() {
    let Some(mut database) = Postgres::start() else { return };
    let forge = Forge::default();
    forge.set(|repository| repository.branches = [("main".into(), commit(1))].into());
    let place = Place::with_forge_on(&forge, json!({}), Place::on(Some(database.database().await)).await).await;
    place.push("main", &commit(1), "a").await;
    // The look after its start is over.
    wait_until(|| forge.0.lock().unwrap().answers >= 2).await;
    database.crash();
    forge.set(|repository| drop(repository.branches.insert("main".into(), commit(2))));
    let body = json!({ "ref": "refs/heads/main", "after": commit(2), "sender": { "login": "alice" } });
    assert_eq!(place.sent("push", "b", &body).send().await.unwrap().status(), 503);
    database.come_back();
    let runs = place.wait_for_runs(2).await;
    assert_eq!(runs[1]["commit"], commit(2));
}

/// Where a pull request is fetched by its branch, what it says is not said of that; and it is over with the request.
#[tokio::test]
async fn a_request_says_nothing_of_its_branch() {
    let hook = json!({ "forge": "bitbucket", "secret": SECRET });
    let place = Place::with_forge(&Forge::default(), json!({ "report": null, "hook": hook })).await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let repository = json!({ "uuid": "{1}" });
    let source =
        json!({ "repository": repository, "branch": { "name": "topic" }, "commit": { "hash": &commit(1)[..12] } });
    let destination = json!({ "repository": repository, "branch": { "name": "main" } });
    let request = json!({ "id": 7, "source": source, "destination": destination, "title": "t" });
    let run = place.bitbucket("pullrequest:created", "a", &json!({ "pullrequest": request })).await;
    let lease = agent.take("properties([disableConcurrentBuilds(), pipelineTriggers([cron('* * * * *')])])").await;
    agent.give_back(lease).await;
    assert_eq!(place.wait_for_end(run).await["outcome"], "SUCCESS");
    assert_eq!(place.names_of_branches().await, ["refs/pull-requests/7/from"]);
    let declined = json!({ "pullrequest": request, "actor": { "nickname": "a" } });
    place.sent_by_bitbucket("pullrequest:rejected", "b", &declined).await;
    assert!(place.names_of_branches().await.is_empty());
}
