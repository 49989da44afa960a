//! `copyArtifacts`: what another run has archived, and who has it.

use model::copy::{CopyWish, WhichRun};
use model::ids::{RequestId, RunId};
use model::request::{Reply, Request};
use serde_json::{Value, json};
use wire::agent::{FromAgent, Lease, ToAgent};
use wire::artifact::{LEASE_TOKEN, Page, artifact, artifact_of, artifacts};

use crate::agent::{Agent, Place, is_exec};
use crate::herd::{Forge, commit};

const COPIES: &str = "node { copyArtifacts projectName: 'NAME', filter: '*.jar', flatten: true, selector: SELECTOR }";

fn is_copy(message: &ToAgent) -> bool {
    matches!(message, ToAgent::Perform { request: Request::Copy { .. }, .. })
}

/// Of a project.
async fn trigger(place: &Place, project: &str, revision: Value) -> u64 {
    let path = format!("/api/v1/projects/{project}/runs");
    place.ask("POST", &path, json!({ "revision": revision })).await["id"].as_u64().unwrap()
}

/// Asks as who has that lease.
async fn get(place: &Place, key: &str, agent: &Agent, lease: Lease, at: String) -> (u16, Vec<u8>) {
    let response = place.request("GET", &at).bearer_auth(key).header(LEASE_TOKEN, agent.tokens[&lease].0.clone());
    let response = response.send().await.unwrap();
    (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
}

/// A run that archives one file, and ends.
async fn archives(place: &Place, (key, agent): (&str, &mut Agent), content: &str) {
    let lease = agent.take("node { sh 'make' }").await;
    let ToAgent::Perform { id, request, .. } = agent.work(is_exec).await else { unreachable!() };
    let put = place.request("PUT", &artifact(lease, "out/a.jar")).bearer_auth(key);
    let put = put.header(LEASE_TOKEN, agent.tokens[&lease].0.clone()).header("content-length", content.len());
    assert_eq!(put.body(content.to_owned()).send().await.unwrap().status().as_u16(), 201);
    agent.answer(lease, id, crate::agent::reply(&request)).await;
    agent.give_back(lease).await;
    place.wait_for_end(lease.run.0).await;
}

/// What a run that copies from there (`app/main`, or `app/main#1`: its run of that number) asks its agent for; or why it fails.
async fn copies(
    place: &Place,
    agent: &mut Agent,
    run: u64,
    name: &str,
) -> Result<(Lease, RequestId, CopyWish), String> {
    let (name, selector) = match name.split_once('#') {
        Some((name, number)) => (name, format!("specific('{number}')")),
        None => (name, "lastSuccessful()".to_owned()),
    };
    let lease = agent.take(&COPIES.replace("NAME", name).replace("SELECTOR", &selector)).await;
    let is_end = |message: &ToAgent| is_copy(message) || matches!(message, ToAgent::Release { .. });
    match agent.work(is_end).await {
        ToAgent::Perform { id, request: Request::Copy { wish, .. }, .. } => Ok((lease, id, wish)),
        _ => {
            agent.say(&FromAgent::Released { lease }).await;
            Err(place.wait_for_end(run).await["message"].as_str().unwrap().to_owned())
        }
    }
}

#[tokio::test]
async fn a_project_says_whose_runs_have_its_artifacts() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let put = async |name: &str, by: &[&str]| {
        let config = json!({ "source": { "folder": "/nowhere" }, "copied_by": by });
        place.ask("PUT", &format!("/api/v1/projects/{name}"), config).await;
    };
    put("library", &[]).await;
    put("secret", &[]).await;
    let mut agent = place.agent(&key, &[]).await;
    let library = trigger(&place, "library", Value::Null).await;
    archives(&place, (&key, &mut agent), "of the library").await;
    let secret = trigger(&place, "secret", Value::Null).await;
    archives(&place, (&key, &mut agent), "nobody's").await;

    let run = trigger(&place, "app", Value::Null).await;
    let refused = copies(&place, &mut agent, run, "library").await.unwrap_err();
    assert!(refused.contains("Unable to find project for artifact copy: library"), "{refused}");

    put("library", &["app"]).await;
    let run = trigger(&place, "app", Value::Null).await;
    let (lease, _, wish) = copies(&place, &mut agent, run, "library").await.unwrap();
    assert_eq!((wish.which, wish.flatten), (WhichRun::LastSuccessful, true));
    assert_eq!(wish.of.map(|of| (of.run, of.number)), Some((RunId(library), 1)));
    let at = |run| artifact_of(lease, RunId(run), "out/a.jar");
    assert_eq!(get(&place, &key, &agent, lease, at(library)).await, (200, b"of the library".to_vec()));
    let (status, page) = get(&place, &key, &agent, lease, artifacts(lease, Some(RunId(library)), "")).await;
    let page: Page = serde_json::from_slice(&page).unwrap();
    assert_eq!((status, page.artifacts.len(), &*page.artifacts[0].path), (200, 1, "out/a.jar"));
    // Whoever has a run asks for any: it has what its run may have.
    for other in [secret, run, 99] {
        assert_eq!(get(&place, &key, &agent, lease, at(other)).await.0, 404, "{other}");
        let listed = artifacts(lease, Some(RunId(other)), "");
        assert_eq!(get(&place, &key, &agent, lease, listed).await.0, 404, "{other}");
    }
    put("library", &["another"]).await;
    assert_eq!(get(&place, &key, &agent, lease, at(library)).await.0, 404, "it says otherwise now");
}

/// What is not protected has what its own branch has, and what is protected nothing of that.
#[tokio::test]
async fn what_strangers_made_comes_to_no_protected_branch_and_nothing_of_one_to_strangers() {
    let forge = Forge::default();
    let place = Place::with_forge(&forge, json!({})).await;
    forge.set(|repository| drop(repository.branches.insert("topic".into(), commit(2))));
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let mut first = Vec::new();
    for branch in ["main", "topic"] {
        first.push(trigger(&place, "app", json!(branch)).await);
        archives(&place, (&key, &mut agent), branch).await;
    }
    for (branch, name, is_had) in [
        // Of all that it may have, whatever came last.
        ("main", "app", Some(first[0])),
        ("main", "app/main#1", Some(first[0])),
        ("topic", "app/topic", Some(first[1])),
        ("topic", "app/main", None),
        ("main", "app/topic", None),
    ] {
        let run = trigger(&place, "app", json!(branch)).await;
        let asked = copies(&place, &mut agent, run, name).await;
        let had = asked.as_ref().ok().and_then(|(.., wish)| wish.of).map(|of| of.run.0);
        assert_eq!(had, is_had, "{branch} {name}: {asked:?}");
        let Ok((lease, id, wish)) = asked else { continue };
        let at = artifact_of(lease, wish.of.unwrap().run, "out/a.jar");
        assert_eq!(get(&place, &key, &agent, lease, at).await, (200, branch.as_bytes().to_vec()));
        agent.answer(lease, id, Reply::Copied { count: 1, number: 1 }).await;
        agent.give_back(lease).await;
        place.wait_for_end(run).await;
    }
}
