//! What follows from webhooks: what a forge confirms, where one can be asked, and what has not come before.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use wire::agent::{Definition, FromAgent, ToAgent};

use crate::agent::Place;
use crate::herd::{Forge, SECRET, commit, found, leased, request};

#[tokio::test]
async fn a_webhook_is_acted_upon_as_its_forge_confirms() {
    let forge = Forge::default();
    forge.set(|repository| drop(repository.branches.insert("main".into(), commit(2))));
    let place = Place::with_forge(&forge, json!({})).await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    // It comes late: the branch has gone on.
    let told = place.push("main", &commit(1), "a").await;
    assert_eq!(told["trust"], "protected", "{told}");
    let (lease, of, _) = leased(&mut agent).await;
    assert_eq!(of, Some(commit(2)));
    found(&mut agent, lease, None).await;
    // What comes for the commit that was run already is no other run.
    assert_eq!(place.push("main", &commit(2), "b").await["run"], told["run"]);
    assert!(place.push("gone", &commit(1), "c").await["ignored"].as_str().unwrap().contains("no branch gone"));
    assert!(place.open(&forge, 7, "d").await["ignored"].as_str().unwrap().contains("no pull request 7"));
    // A forge says whether it is a fork, and whether it is open, whatever the webhook says.
    forge.set(|repository| drop(repository.requests.insert(7, (commit(3), "main".into(), "open".into(), true))));
    let hook =
        json!({ "action": "opened", "pull_request": request(7, &(commit(3), "main".into(), "open".into(), false)) });
    assert_eq!(place.hook("pull_request", "e", &hook).await["trust"], "stranger");
    forge.set(|repository| "closed".clone_into(&mut repository.requests.get_mut(&7).unwrap().2));
    assert!(place.hook("pull_request", "f", &hook).await["ignored"].as_str().unwrap().contains("not open"));
    // One that is away confirms nothing: nothing is lost, and nothing done.
    forge.set(|repository| repository.away = true);
    let held = place.push("main", &commit(4), "g").await;
    assert!(held["held"].as_str().unwrap().contains("has not confirmed"), "{held}");
    let id = held["run"].as_u64().unwrap();
    place.ask("POST", &format!("/api/v1/runs/{id}/approve"), Value::Null).await;
    loop {
        let (lease, _, _) = leased(&mut agent).await;
        if lease.run.0 == id {
            break;
        }
        found(&mut agent, lease, None).await;
    }
}

#[tokio::test]
async fn what_is_gone_is_ended() {
    let forge = Forge::default();
    forge.set(|repository| {
        repository.branches.insert("topic".into(), commit(1));
        repository.requests.insert(5, (commit(2), "main".into(), "open".into(), false));
    });
    let place = Place::with_forge(&forge, json!({})).await;
    let branch = place.push("topic", &commit(1), "a").await["run"].as_u64().unwrap();
    let opened = place.open(&forge, 5, "b").await["run"].as_u64().unwrap();
    let deleted =
        json!({ "ref": "refs/heads/topic", "after": "0".repeat(40), "deleted": true, "sender": { "login": "a" } });
    let of = (commit(2), "main".to_owned(), "closed".to_owned(), false);
    let closed = json!({ "action": "closed", "pull_request": request(5, &of) });
    // A forge that knows better, or that is away, has nothing ended.
    for is_away in [false, true] {
        forge.set(|repository| repository.away = is_away);
        for (event, body) in [("push", &deleted), ("pull_request", &closed)] {
            let said = place.hook(event, "c", body).await;
            assert!(said["ignored"].is_string(), "{said}");
        }
        for run in [branch, opened] {
            assert_eq!(place.run(run).await["abort_reason"], Value::Null);
        }
    }
    forge.set(|repository| {
        repository.away = false;
        repository.branches.remove("topic");
        "closed".clone_into(&mut repository.requests.get_mut(&5).unwrap().2);
    });
    place.hook("push", "c", &deleted).await;
    let run = place.wait_for_end(branch).await;
    assert!(run["outcome"] == "ABORTED" && run["message"].as_str().unwrap().contains("was removed"), "{run}");
    place.hook("pull_request", "d", &closed).await;
    let run = place.wait_for_end(opened).await;
    assert!(run["message"].as_str().unwrap().contains("Pull request 5 was closed"), "{run}");
}

/// Where no forge can be asked, what comes again is old, whatever number it is given: that is not signed.
#[tokio::test]
async fn a_webhook_that_comes_again_is_no_other() {
    let place = Place::with_forge(&Forge::default(), json!({ "report": null })).await;
    let pushed = place.push("main", &commit(1), "a").await;
    assert_eq!(place.push("main", &commit(1), "b").await["run"], pushed["run"]);
    assert_ne!(place.push("main", &commit(2), "a").await["run"], pushed["run"], "a number says nothing");
    let request = |action: &str, head: u64| {
        let of = (commit(head), "main".to_owned(), "open".to_owned(), false);
        json!({ "action": action, "pull_request": request(7, &of) })
    };
    let opened = place.hook("pull_request", "c", &request("opened", 7)).await["run"].as_u64().unwrap();
    place.hook("pull_request", "d", &request("closed", 7)).await;
    assert_eq!(place.wait_for_end(opened).await["outcome"], "ABORTED");
    let reopened = place.hook("pull_request", "e", &request("reopened", 7)).await["run"].as_u64().unwrap();
    let said = place.hook("pull_request", "f", &request("closed", 7)).await;
    assert_eq!(
        (&said["ignored"], place.run(reopened).await["abort_reason"].is_null()),
        (&json!("that pull request 7 was closed is no news, or not so"), true)
    );
    let gone =
        json!({ "ref": "refs/heads/main", "after": "0".repeat(40), "deleted": true, "sender": { "login": "a" } });
    place.hook("push", "g", &gone).await;
    assert_eq!(place.wait_for_end(pushed["run"].as_u64().unwrap()).await["outcome"], "ABORTED");
    let pushed = place.push("main", &commit(3), "h").await["run"].as_u64().unwrap();
    place.hook("push", "i", &gone).await;
    assert!(place.run(pushed).await["abort_reason"].is_null());
}

/// A tag is where its forge says that it is.
#[tokio::test]
async fn a_tag_is_confirmed() {
    let forge = Forge::default();
    let place = Place::with_forge(&forge, json!({})).await;
    let tag = json!({ "ref": "refs/tags/v1", "after": commit(1), "sender": { "login": "alice" } });
    assert_eq!(place.hook("push", "a", &tag).await["ignored"], "the forge knows of no tag v1");
    forge.set(|repository| drop(repository.tags.insert("v1".into(), commit(2))));
    let run = place.hook("push", "b", &tag).await["run"].as_u64().unwrap();
    assert_eq!(place.run(run).await["commit"], commit(2));
}

/// Those who have a webhook to send and do not send it are in nobody's way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_webhooks_hold_up_no_other() {
    use std::io::Write as _;
    let place = Place::with_forge(&Forge::default(), json!({ "report": null })).await;
    let address = place.server.as_ref().unwrap().address;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "POST /hooks/app HTTP/1.1\r\nhost: x\r\ncontent-length: 20000000\r\n\r\n").unwrap();
        // As if it were a large one.
        stream.write_all(&vec![b' '; 300 << 10]).unwrap();
        slow.push(stream);
    }
    // One as large, which has to wait for a turn among them.
    let push = json!({ "ref": "refs/heads/main", "after": commit(1), "sender": { "login": "a" }, "more": "x".repeat(400 << 10) });
    let said = tokio::time::timeout(Duration::from_secs(15), place.hook("push", "a", &push)).await;
    assert!(said.expect("it is heard").get("run").is_some());
}

/// Where those that nobody has vouched for have all the room, a further one is told to come again, before anything of it is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_without_room_comes_again() {
    let mut place = Place::on_nothing(None);
    place.unvouched_bytes = 36 << 20;
    place.start().await;
    let config = json!({
        "source": { "git": { "url": "http://127.0.0.1:9/app.git" } },
        "hook": { "forge": "github", "secret": SECRET },
    });
    place.ask("PUT", "/api/v1/projects/app", config).await;
    let address = place.server.as_ref().unwrap().address;
    // It is told to go on by who reads on.
    let begin = async |length: usize| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head =
            format!("POST /hooks/app HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"\r\n\r\n") {
            said.push(stream.read_u8().await.unwrap());
        }
        (stream, String::from_utf8(said).unwrap())
    };
    let (mut first, said) = begin(25 << 20).await;
    assert!(said.starts_with("HTTP/1.1 100 "), "{said}");
    // As fast as it has to be, for some time.
    first.write_all(&vec![b' '; 10 << 20]).await.unwrap();
    let (_, said) = begin(10 << 20).await;
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("\r\nretry-after: 10\r\n"), "{said}");
    assert!(place.push("main", &commit(1), "a").await.get("run").is_some(), "a small one is in another room");
    drop(first);
    let (_, said) = begin(10 << 20).await;
    assert!(said.starts_with("HTTP/1.1 100 "), "what has gone has no room: {said}");
}

/// It is signed, and true; nobody reads on where it is longer than any forge's.
#[tokio::test]
async fn a_huge_webhook_is_none() {
    let place = Place::with_forge(&Forge::default(), json!({ "report": null })).await;
    let push = |more: usize| json!({ "ref": "refs/heads/main", "after": commit(1), "sender": { "login": "a" }, "more": "x".repeat(more) });
    if let Ok(answer) = place.sent("push", "a", &push(25 << 20)).send().await {
        assert_eq!(answer.status(), 400);
    }
    let runs = place.ask("GET", "/api/v1/runs", json!(null)).await;
    assert_eq!(runs["runs"].as_array().unwrap().len(), 0, "{runs}");
    assert!(place.hook("push", "b", &push(1 << 20)).await.get("run").is_some());
}

/// What Bitbucket's pull requests are fetched by is their branch: it has runs of its own, and may have other requests.
#[tokio::test]
async fn a_request_ends_its_own_runs_alone() {
    let hook = json!({ "forge": "bitbucket", "secret": SECRET });
    let place = Place::with_forge(&Forge::default(), json!({ "report": null, "hook": hook })).await;
    let target = |commit: &str| json!({ "hash": commit });
    let new = json!({ "type": "branch", "name": "topic", "target": target(&commit(1)) });
    let of_branch = place.bitbucket("repo:push", "a", &json!({ "push": { "changes": [{ "new": new }] } })).await;
    let repository = json!({ "uuid": "{1}" });
    let request = async |id: u64, into: &str, delivery: &str| {
        let source =
            json!({ "repository": repository, "branch": { "name": "topic" }, "commit": target(&commit(1)[..12]) });
        let destination = json!({ "repository": repository, "branch": { "name": into } });
        let of = json!({ "id": id, "source": source, "destination": destination, "title": delivery });
        place.bitbucket("pullrequest:updated", delivery, &json!({ "pullrequest": of })).await
    };
    let first = request(1, "main", "b").await;
    let other = request(2, "release", "c").await;
    let again = request(1, "main", "d").await;
    let ended = place.wait_for_end(first).await;
    assert!(ended["message"].as_str().unwrap().contains("Superseded"), "{ended}");
    for run in [of_branch, other, again] {
        assert_eq!(place.run(run).await["status"], "queued");
    }
}

/// Bitbucket Cloud has commits of forks in the forks alone.
#[tokio::test]
async fn a_request_that_cannot_be_fetched_says_so() {
    let hook = json!({ "forge": "bitbucket", "secret": SECRET });
    let place = Place::with_forge(&Forge::default(), json!({ "report": null, "hook": hook })).await;
    let side = |repository: &str, branch: &str| json!({ "repository": { "uuid": repository }, "branch": { "name": branch }, "commit": { "hash": &commit(1)[..12] } });
    let of = json!({ "id": 7, "source": side("{2}", "topic"), "destination": side("{1}", "main"), "title": "t" });
    let said = place.sent_by_bitbucket("pullrequest:created", "a", &json!({ "pullrequest": of })).await;
    assert!(said["ignored"].as_str().is_some_and(|why| why.contains("of a fork")), "{said}");
    assert_eq!(place.ask("GET", "/api/v1/runs", Value::Null).await["runs"], json!([]));
}

/// *Re-run all checks* at a commit: each branch and pull request that had a run there has another one.
#[tokio::test]
async fn all_checks_of_a_commit_are_run_once_more() {
    let forge = Forge::default();
    forge.set(|repository| {
        repository.branches.insert("topic".into(), commit(1));
        repository.requests.insert(5, (commit(1), "main".into(), "open".into(), false));
    });
    let place = Place::with_forge(&forge, json!({})).await;
    let branch = place.push("topic", &commit(1), "a").await["run"].as_u64().unwrap();
    let request = place.open(&forge, 5, "b").await["run"].as_u64().unwrap();
    let suite = |action: &str, at: u64| json!({ "action": action, "check_suite": { "head_sha": commit(at) }, "sender": { "login": "alice" } });
    let said = place.hook("check_suite", "c", &suite("rerequested", 1)).await;
    let runs: Vec<_> = said["several"].as_array().unwrap().iter().map(|told| told["run"].as_u64().unwrap()).collect();
    assert_eq!(runs.len(), 2, "{said}");
    for (run, of) in runs.iter().zip([request, branch]) {
        let (run, of) = (place.run(*run).await, place.run(of).await);
        assert_ne!(run["id"], of["id"]);
        for same in ["revision", "commit", "trust"] {
            assert_eq!(run[same], of[same], "{run}");
        }
    }
    // It comes twice, and meanwhile somebody has one of them run again.
    place.ask("POST", &format!("/api/v1/runs/{request}/rerun"), json!({})).await;
    assert_eq!(place.hook("check_suite", "d", &suite("rerequested", 1)).await, said);
    assert_eq!(place.runs().await.len(), 5);
    let said = place.hook("check_suite", "e", &suite("rerequested", 9)).await;
    assert_eq!(said["several"], json!([{ "ignored": "it is no check of this project" }]));
    assert_eq!(place.hook("check_suite", "f", &suite("completed", 1)).await["ignored"], "checks completed");
}

/// Each of them is run, once, and what was removed with them is gone.
#[tokio::test]
async fn a_push_of_several_references_is_several() {
    let hook = json!({ "forge": "bitbucket", "secret": SECRET });
    let place = Place::with_forge(&Forge::default(), json!({ "report": null, "hook": hook })).await;
    let new =
        |name: &str, at: u64| json!({ "new": { "type": "branch", "name": name, "target": { "hash": commit(at) } } });
    let push = |changes: Value| json!({ "push": { "changes": changes } });
    let old = place.bitbucket("repo:push", "a", &push(json!([new("old", 1)]))).await;
    let gone = json!({ "old": { "type": "branch", "name": "old" }, "new": null });
    let all = push(json!([new("main", 2), new("topic", 3), gone]));
    let several = place.sent_by_bitbucket("repo:push", "b", &all).await;
    let told = several["several"].as_array().unwrap();
    let runs: Vec<_> = told.iter().filter_map(|told| told["run"].as_u64()).collect();
    assert_eq!((told.len(), runs.len()), (3, 2), "{several}");
    for (run, name) in runs.iter().zip(["refs/heads/main", "refs/heads/topic"]) {
        assert_eq!(place.run(*run).await["revision"], name);
    }
    assert_eq!(place.wait_for_end(old).await["outcome"], "ABORTED");
    // It comes again, with another number.
    assert_eq!(place.sent_by_bitbucket("repo:push", "c", &all).await["several"][1]["run"], runs[1]);
}

/// What Jenkins says of branches and tags before their pipelines, whoever asks for them.
#[tokio::test]
async fn a_pipeline_knows_its_branch_or_tag() {
    let place = Place::with_forge(&Forge::default(), json!({ "report": null })).await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let text = "echo \"${env.BRANCH_NAME} ${env.BRANCH_IS_PRIMARY} ${env.TAG_NAME} ${env.TAG_UNIXTIME} ${env.TAG_TIMESTAMP} ${env.TAG_DATE}\"";
    for (revision, tagged_at, expect) in [
        ("main", None, "main true null null null null"),
        ("refs/heads/topic/x", None, "topic/x null null null null null"),
        // No branch is a tag, whatever an agent says.
        ("topic", Some(1), "topic null null null null null"),
        ("refs/tags/v1", None, "v1 null v1 null null null"),
        ("refs/tags/v1", Some(1_700_000_000), "v1 null v1 1700000000 1700000000000 Tue Nov 14 22:13:20 UTC 2023"),
        ("refs/tags/v1", Some(u64::MAX), "v1 null v1 null null null"),
    ] {
        let asked = place.ask("POST", "/api/v1/projects/app/runs", json!({ "revision": revision })).await;
        let run = asked["id"].as_u64().unwrap();
        let lease = leased(&mut agent).await.0;
        let definition = Definition { text: text.into(), tagged_at, ..Definition::default() };
        agent.say(&FromAgent::Found { lease, definition: Ok(definition) }).await;
        agent.work(|message| matches!(message, ToAgent::Release { .. })).await;
        agent.say(&FromAgent::Released { lease }).await;
        assert_eq!(place.wait_for_end(run).await["outcome"], "SUCCESS");
        let log = place.log(run).await;
        assert!(log.lines().any(|line| line == expect), "{revision}: {log}");
    }
}
