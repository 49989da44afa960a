//! What follows from pull requests that come back, that go elsewhere, and from those that a forge cannot tell of.

use serde_json::{Value, json};
use wire::agent::Merge;

use crate::agent::{Agent, Place};
use crate::herd::{Forge, commit, found, leased, request};

/// A forge with two branches and pull request 7 for `main`, and a project that merges.
async fn place(forge: &Forge) -> Place {
    forge.set(|repository| {
        repository.branches.insert("main".into(), commit(1));
        repository.branches.insert("release".into(), commit(5));
        repository.requests.insert(7, (commit(9), "main".into(), "open".into(), false));
    });
    Place::with_forge(forge, json!({ "merge_requests": true })).await
}

fn said(forge: &Forge, action: &str) -> Value {
    let of = forge.0.lock().unwrap().requests[&7].clone();
    json!({ "action": action, "pull_request": request(7, &of) })
}

/// The next run: what it is, and what it is merged with.
async fn next(agent: &mut Agent) -> (u64, Option<Merge>) {
    let (lease, _, merge) = leased(agent).await;
    found(agent, lease, None).await;
    (lease.run.0, merge)
}

fn with(name: &str, of: u64) -> Option<Merge> {
    Some(Merge { reference: format!("refs/heads/{name}"), commit: commit(of) })
}

/// Its commit was run, but not with what its target is now.
#[tokio::test]
async fn a_request_is_run_with_what_its_target_is() {
    let forge = Forge::default();
    let place = place(&forge).await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let first = place.open(&forge, 7, "a").await["run"].clone();
    assert_eq!(next(&mut agent).await, (first.as_u64().unwrap(), with("main", 1)));
    // Nobody has said that this has moved.
    forge.set(|repository| drop(repository.branches.insert("main".into(), commit(2))));
    let second = place.open(&forge, 7, "b").await["run"].clone();
    assert_ne!(second, first);
    assert_eq!(next(&mut agent).await, (second.as_u64().unwrap(), with("main", 2)));
    assert_eq!(place.open(&forge, 7, "c").await["run"], second, "the same two commits are one run");
}

/// Which branch it is for is its forge's to say, and another one is another run.
#[tokio::test]
async fn a_request_may_be_for_another_branch() {
    let forge = Forge::default();
    let place = place(&forge).await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    // Found when the server looks for itself.
    let found = place.wait_for_runs(1).await[0]["id"].as_u64().unwrap();
    assert_eq!(next(&mut agent).await, (found, with("main", 1)));
    forge.set(|repository| repository.requests.get_mut(&7).unwrap().0 = commit(10));
    let late = said(&forge, "synchronize");
    forge.set(|repository| "release".clone_into(&mut repository.requests.get_mut(&7).unwrap().1));
    let first = place.hook("pull_request", "a", &late).await["run"].as_u64().unwrap();
    assert_eq!(next(&mut agent).await, (first, with("release", 5)));
    forge.set(|repository| "main".clone_into(&mut repository.requests.get_mut(&7).unwrap().1));
    let mut edited = said(&forge, "edited");
    assert!(place.hook("pull_request", "b", &edited).await["ignored"].is_string(), "its title, say");
    edited["changes"] = json!({ "base": { "ref": { "from": "release" } } });
    let second = place.hook("pull_request", "c", &edited).await["run"].as_u64().unwrap();
    assert_eq!(next(&mut agent).await, (second, with("main", 1)));
}

/// One that was closed in the middle of its run is run when it is opened again.
#[tokio::test]
async fn a_request_that_comes_back_is_run() {
    for merges in [true, false] {
        let forge = Forge::default();
        let place = place(&forge).await;
        let mut config = place.ask("GET", "/api/v1/projects/app", Value::Null).await["config"].clone();
        config["hook"]["secret"] = json!(crate::herd::SECRET);
        config["report"]["token"] = json!("t");
        config["merge_requests"] = json!(merges);
        place.ask("PUT", "/api/v1/projects/app", config).await;
        let first = place.open(&forge, 7, "a").await["run"].as_u64().unwrap();
        forge.set(|repository| "closed".clone_into(&mut repository.requests.get_mut(&7).unwrap().2));
        place.hook("pull_request", "b", &said(&forge, "closed")).await;
        assert_eq!(place.wait_for_end(first).await["outcome"], "ABORTED");
        forge.set(|repository| "open".clone_into(&mut repository.requests.get_mut(&7).unwrap().2));
        let second = place.hook("pull_request", "c", &said(&forge, "reopened")).await["run"].as_u64().unwrap();
        assert!(second != first && place.run(second).await["outcome"].is_null(), "{merges}");
        assert_eq!(place.hook("pull_request", "d", &said(&forge, "reopened")).await["run"], second);
    }
}

/// One whose target is gone keeps no other from its run.
#[tokio::test]
async fn a_request_for_no_branch_hides_no_other() {
    let forge = Forge::default();
    forge.set(|repository| {
        repository.requests.insert(1, (commit(8), "gone".into(), "open".into(), false));
        repository.requests.insert(2, ("abbreviated".into(), "main".into(), "open".into(), false));
    });
    let place = place(&forge).await;
    let runs = place.wait_for_runs(1).await;
    assert!(runs[0]["causes"][0]["description"].as_str().unwrap().starts_with("Pull request 7"), "{runs:?}");
    // The look went on to its end: what is gone is found.
    forge.set(|repository| "closed".clone_into(&mut repository.requests.get_mut(&7).unwrap().2));
    let mut place = place;
    place.restart().await;
    assert_eq!(place.wait_for_end(runs[0]["id"].as_u64().unwrap()).await["outcome"], "ABORTED");
}

/// A push that its forge could not confirm when it came has the pull requests for its branch run again all the same.
#[tokio::test]
async fn a_push_that_was_not_confirmed_moves_its_branch() {
    let forge = Forge::default();
    let place = place(&forge).await;
    place.wait_for_runs(1).await;
    forge.set(|repository| {
        repository.branches.insert("main".into(), commit(2));
        repository.fails = 1;
    });
    let held = place.push("main", &commit(2), "a").await;
    assert!(held["held"].as_str().unwrap().contains("has not confirmed"), "{held}");
    let runs = place.wait_for_runs(3).await;
    let why = |run: &Value| run["causes"][0]["description"].as_str().unwrap().to_owned();
    assert!(runs.iter().any(|run| why(run).ends_with("main has moved")), "{runs:?}");
}
