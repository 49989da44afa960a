//! What is gone, and what was not heard of it: found when somebody looks, and nothing of what is there is ended.

use serde_json::{Value, json};

use crate::agent::Place;
use crate::herd::{Forge, SECRET, commit};

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
    open.set(|repository| drop(repository.branches.remove("topic")));
    place.start().await;
    assert_eq!(place.wait_for_end(of_other).await["outcome"], "ABORTED");
    assert!(place.is_under_way(topic).await);
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
