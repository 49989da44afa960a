//! Who answers for a stranger's run answers for a commit and a plan, and gets no other.

use model::request::{AgentSpec, Failure, FailureKind, Request};
use model::rung::Rung;
use serde_json::{Value, json};
use wire::agent::{Definition, FromAgent, Lease, Offers, ToAgent};

use crate::agent::{Agent, Place};
use crate::herd::{Forge, commit};

const DEFINITION: &str = "node('a') { echo 'one' }\nnode('b') { echo 'two' }";
const PLACES: [&str; 2] = ["an agent with the label \"a\"", "an agent with the label \"b\""];

/// What comes of asking that, while an agent says what the plan is.
async fn asked(
    place: &Place,
    agent: &mut Agent,
    ask: (&str, String, Value),
    (definition, places): (&str, &[&str]),
) -> (u16, Value) {
    let (method, path, body) = ask;
    let (token, body) = (place.admin(), if body.is_null() { String::new() } else { body.to_string() });
    let request = place.as_who(&token, method, &path, &body);
    tokio::join!(request, agent.plan(definition, places)).0
}

/// A run of a fork's pull request that somebody has approved, with these places in its plan, and its lease.
async fn approved(place: &Place, of: (&Forge, u64), agent: &mut Agent, places: &[&str]) -> Lease {
    approved_of(place, of, agent, (DEFINITION, places)).await
}

async fn approved_of(
    place: &Place,
    (forge, number): (&Forge, u64),
    agent: &mut Agent,
    (definition, places): (&str, &[&str]),
) -> Lease {
    let request = (commit(number), "main".into(), "open".into(), true);
    forge.set(|repository| drop(repository.requests.insert(number, request)));
    let run = place.open(forge, number, &number.to_string()).await["run"].clone();
    let (status, plan) =
        asked(place, agent, ("GET", format!("/api/v1/runs/{run}/plan"), Value::Null), (definition, places)).await;
    assert_eq!((status, &plan["places"], &plan["stages"]), (200, &json!(places), &json!(["Build"])), "{plan}");
    assert_eq!((&plan["commit"], &plan["rung"]), (&json!(commit(number)), &json!("microvm")));
    let path = format!("/api/v1/runs/{run}/approve");
    let approve = |plan: &Value| ("POST", path.clone(), json!({ "plan": plan }));
    // Of another plan: somebody looked at it before something changed.
    let (status, said) = asked(place, agent, approve(&plan["plan"]), (definition, &["another"])).await;
    assert_eq!(status, 409, "{said}");
    let (status, said) = asked(place, agent, approve(&plan["plan"]), (definition, places)).await;
    assert_eq!((status, &said["id"]), (200, &run), "{said}");
    loop {
        let ToAgent::Lease { lease, .. } = agent.work(|message| matches!(message, ToAgent::Lease { .. })).await else {
            panic!()
        };
        if json!(lease.run.0) == run {
            return lease;
        }
    }
}

#[tokio::test]
async fn a_run_gets_what_was_approved_and_no_more() {
    let forge = Forge::default();
    let place = Place::with_forge(&forge, json!({ "approve_strangers": true })).await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let found = |lease, text: &str| {
        let definition = Definition { text: text.into(), ..Definition::default() };
        FromAgent::Found { lease, definition: Ok(definition) }
    };

    let lease = approved(&place, (&forge, 7), &mut agent, &PLACES).await;
    agent.say(&found(lease, DEFINITION)).await;
    agent.give_back(lease).await;
    assert_eq!(place.wait_for_end(lease.run.0).await["outcome"], "SUCCESS");

    // What was in no plan is asked of nobody.
    let lease = approved(&place, (&forge, 8), &mut agent, &PLACES[..1]).await;
    agent.say(&found(lease, DEFINITION)).await;
    let mut labels = Vec::new();
    agent
        .work(|message| {
            if let ToAgent::Perform { request: Request::Allocate { agent: AgentSpec::Label(label), .. }, .. } = message
            {
                labels.push(label.clone());
            }
            matches!(message, ToAgent::Release { lease: of, .. } if *of == lease)
        })
        .await;
    agent.say(&FromAgent::Released { lease }).await;
    let ended = place.wait_for_end(lease.run.0).await;
    assert_eq!((labels, &ended["outcome"]), (vec!["a".to_owned()], &json!("FAILURE")));
    let message = ended["message"].as_str().unwrap();
    assert!(message.contains("label \"b\"") && message.contains("not in the plan"), "{message}");

    // Once more it gets no more either.
    let again = place.ask("POST", &format!("/api/v1/runs/{}/rerun", lease.run.0), Value::Null).await["id"].clone();
    let ToAgent::Lease { lease, .. } = agent.work(|message| matches!(message, ToAgent::Lease { .. })).await else {
        panic!()
    };
    assert_eq!(json!(lease.run.0), again);
    agent.say(&found(lease, DEFINITION)).await;
    agent.give_back(lease).await;
    assert_eq!(place.wait_for_end(lease.run.0).await["outcome"], "FAILURE");

    // Another definition (or commit) waits for somebody, and so does what is run again of it meanwhile.
    let lease = approved(&place, (&forge, 9), &mut agent, &PLACES).await;
    agent.say(&found(lease, "node('a') { echo 'other' }")).await;
    agent.work(|message| matches!(message, ToAgent::Release { lease: of, forget: true } if *of == lease)).await;
    let again = place.ask("POST", &format!("/api/v1/runs/{}/rerun", lease.run.0), Value::Null).await;
    for run in [place.run(lease.run.0).await, again] {
        let waits = run["waits"].as_str().unwrap_or_default();
        assert!(run["status"] == "queued" && waits.contains("not the one that was approved"), "{run}");
    }
}

/// What an agent lacks is not waited for elsewhere, where nobody has answered for it.
#[tokio::test]
async fn what_was_not_approved_is_not_waited_for() {
    let forge = Forge::default();
    let place = Place::with_forge(&forge, json!({ "approve_strangers": true })).await;
    let offers = Offers { rungs: vec![Rung::Microvm], ..Offers::default() };
    let mut agent = place.agent_that_offers("one", 1, &[], offers).await;
    let text = "node { sh 'docker build .' }";
    let lease = approved_of(&place, (&forge, 7), &mut agent, (text, &["any agent"])).await;
    let definition = Definition { text: text.into(), ..Definition::default() };
    agent.say(&FromAgent::Found { lease, definition: Ok(definition) }).await;
    agent.give_back(lease).await;
    let ended = place.wait_for_end(lease.run.0).await;
    assert!(ended["message"].as_str().unwrap().contains("Docker Engine of its own"), "{ended}");
}

/// Who is held for another reason than who they are is bound to nothing, and needs no agent that reads for them.
#[tokio::test]
async fn what_a_forge_has_not_confirmed_is_approved_without_a_plan() {
    let forge = Forge::default();
    let place = Place::with_forge(&forge, json!({ "approve_strangers": true })).await;
    forge.set(|repository| repository.away = true);
    let run = place.push("main", &commit(4), "a").await["run"].clone();
    let plan = place.ask("GET", &format!("/api/v1/runs/{run}/plan"), Value::Null).await;
    assert_eq!((&plan["definition"], &plan["commit"]), (&Value::Null, &json!(commit(4))));
    let said = place.ask("POST", &format!("/api/v1/runs/{run}/approve"), json!({ "plan": plan["plan"] })).await;
    assert!(!said["waits"].as_str().unwrap_or_default().contains("approve"), "{said}");
}

/// Only agents of a project read its definitions, and they say whose fault it is where they cannot.
#[tokio::test]
async fn an_agent_of_the_project_reads_its_definition() {
    let forge = Forge::default();
    let place = Place::with_forge(&forge, json!({ "approve_strangers": true, "label": "inside" })).await;
    let _outside = place.agent_with("outside", 1, &[]).await;
    let request = (commit(1), "main".into(), "open".into(), true);
    forge.set(|repository| drop(repository.requests.insert(1, request)));
    let run = place.open(&forge, 1, "1").await["run"].clone();
    let path = format!("/api/v1/runs/{run}/plan");
    let (status, said) = place.as_who(&place.admin(), "GET", &path, "").await;
    assert!(status == 503 && said["error"].as_str().unwrap().contains("no agent that may"), "{status} {said}");
    let mut inside = place.agent_with("inside", 0, &["inside"]).await;
    let token = place.admin();
    let refused = async {
        let is_check = |message: &ToAgent| matches!(message, ToAgent::Check { .. });
        let ToAgent::Check { id, .. } = inside.work(is_check).await else { panic!() };
        let failure = Failure { kind: FailureKind::Workload, message: "there is no Jenkinsfile".into(), hint: None };
        inside.say(&FromAgent::Checked { id, found: Err(failure) }).await;
    };
    let ((status, said), ()) = tokio::join!(place.as_who(&token, "GET", &path, ""), refused);
    assert_eq!((status, &said["error"]), (422, &json!("there is no Jenkinsfile")));
    let ask = ("GET", path, Value::Null);
    assert_eq!(asked(&place, &mut inside, ask, (DEFINITION, &PLACES)).await.0, 200);
}

/// Whose code a run is follows from what it is, and not from who asks for it.
#[tokio::test]
async fn who_asks_for_a_strangers_commit_gets_a_strangers_run() {
    let forge = Forge::default();
    let place = Place::with_forge(&forge, json!({ "approve_strangers": true, "protected": ["release"] })).await;
    let asked = async |revision: Value| {
        let run = place.ask("POST", "/api/v1/projects/app/runs", json!({ "revision": revision })).await;
        let is_held = run["waits"].as_str().unwrap_or_default().contains("a stranger's code");
        (run["trust"].as_str().unwrap().to_owned(), is_held, run["revision"].as_str().map(str::to_owned))
    };
    let stranger = |revision: &str| ("stranger".to_owned(), true, Some(revision.to_owned()));
    let trusted = |trust: &str, revision: &str| (trust.to_owned(), false, Some(revision.to_owned()));
    for revision in ["refs/pull/7/head", "refs/merge-requests/7/head", "refs/notes/x", "refs/heads", &commit(7)] {
        assert_eq!(asked(json!(revision)).await, stranger(revision));
    }
    // Names of branches and tags are those of who may write; and a tag is never what is protected.
    for (revision, trust) in [("topic", "member"), ("pull/7/head", "member"), ("refs/tags/main", "member")] {
        assert_eq!(asked(json!(revision)).await, trusted(trust, revision));
    }
    for (revision, name) in [("main", "refs/heads/main"), ("refs/heads/release", "refs/heads/release")] {
        assert_eq!(asked(json!(revision)).await, trusted("protected", name));
    }
    assert_eq!(asked(Value::Null).await, ("protected".to_owned(), false, None));
    // A commit that a branch has had is whose the branch is.
    forge.set(|repository| drop(repository.branches.insert("main".into(), commit(8))));
    place.push("main", &commit(8), "a").await;
    assert_eq!(asked(json!(commit(8))).await, trusted("protected", &commit(8)));
    // And nothing of that lets go what came of the pull request itself.
    let request = (commit(7), "main".into(), "open".into(), true);
    forge.set(|repository| drop(repository.requests.insert(7, request)));
    let run = place.open(&forge, 7, "7").await["run"].clone();
    let waits = place.run(run.as_u64().unwrap()).await["waits"].clone();
    assert!(waits.as_str().unwrap().contains("a stranger's code"), "{waits}");
}
