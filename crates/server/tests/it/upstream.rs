//! Runs that follow from the ends of others.

use serde_json::{Value, json};

use crate::agent::{Agent, Place};

impl Place {
    async fn follows(&self, name: &str, upstream: Value) -> u16 {
        let config = json!({ "source": { "folder": "/nowhere" }, "upstream": upstream });
        self.as_admin("PUT", &format!("/api/v1/projects/{name}"), &config).await.0
    }

    async fn runs_of(&self, name: &str) -> Vec<Value> {
        let answer = self.ask("GET", &format!("/api/v1/runs?project={name}"), Value::Null).await;
        answer["runs"].as_array().unwrap().clone()
    }
}

/// Has the next run, of this definition, end.
async fn ends(place: &Place, agent: &mut Agent, text: &str) -> Value {
    let lease = agent.take(text).await;
    agent.give_back(lease).await;
    place.wait_for_end(lease.run.0).await
}

/// Once, whichever server sees it.
#[tokio::test]
async fn a_project_is_run_after_another() {
    let mut place = Place::new().await;
    assert_eq!(place.follows("after", json!({ "projects": ["app"] })).await, 200);
    assert_eq!(place.follows("whatever", json!({ "projects": ["after", "app"], "threshold": "FAILURE" })).await, 200);
    let key = place.enrol("one").await;
    place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    assert_eq!(ends(&place, &mut agent, "echo 'done'").await["project"], "app");
    // One for each of the two, and one after the first of these.
    let mut ran = Vec::new();
    for _ in 0..3 {
        let run = ends(&place, &mut agent, "error 'no'").await;
        let cause = run["causes"][0]["description"].as_str().unwrap().to_owned();
        ran.push((run["project"].as_str().unwrap().to_owned(), cause));
    }
    ran.sort();
    let expect = [
        ("after", "Started by upstream project \"app\" build number 1"),
        ("whatever", "Started by upstream project \"after\" build number 1"),
        ("whatever", "Started by upstream project \"app\" build number 1"),
    ];
    assert_eq!(ran, expect.map(|(project, cause)| (project.to_owned(), cause.to_owned())));
    // A failure is not well enough for the one.
    place.trigger().await;
    ends(&place, &mut agent, "error 'no'").await;
    place.restart().await;
    let mut agent = place.agent(&key, &[]).await;
    assert_eq!(ends(&place, &mut agent, "echo 'done'").await["project"], "whatever");
    assert_eq!((place.runs_of("after").await.len(), place.runs_of("whatever").await.len()), (1, 3));
}

#[tokio::test]
async fn what_nothing_follows_from() {
    let place = Place::new().await;
    assert_eq!(place.follows("app", json!({ "projects": ["app"] })).await, 400);
    assert_eq!(place.follows("after", json!({ "projects": ["app"] })).await, 200);
    assert_eq!(place.follows("app", json!({ "projects": ["after"] })).await, 400, "a circle");
    assert_eq!(place.follows("app", json!({ "projects": ["after"], "threshold": "GOOD" })).await, 400);
}

/// What a definition says of its own project is in nobody else's way.
#[tokio::test]
async fn a_definition_follows_but_closes_no_circle() {
    let place = Place::new().await;
    place.ask("PUT", "/api/v1/projects/lib", json!({ "source": { "folder": "/nowhere" } })).await;
    assert_eq!(place.follows("after", json!({ "projects": ["app"] })).await, 200);
    let mut agent = place.agent(&place.enrol("one").await, &[]).await;
    place.trigger().await;
    ends(&place, &mut agent, "properties([pipelineTriggers([upstream('lib, after')])])").await;
    let after = ends(&place, &mut agent, "echo 'after'").await;
    assert_eq!(after["project"], "after", "as its configuration says");
    assert_eq!(place.follows("after", json!({ "projects": ["app"] })).await, 200, "and may say again");
    // It would follow from itself, and is not run after that.
    place.trigger().await;
    assert_eq!(ends(&place, &mut agent, "properties([pipelineTriggers([upstream('lib')])])").await["project"], "app");
    assert_eq!(ends(&place, &mut agent, "echo 'after'").await["project"], "after");
    place.ask("POST", "/api/v1/projects/lib/runs", json!({})).await;
    assert_eq!(ends(&place, &mut agent, "echo 'lib'").await["project"], "lib");
    let run = ends(&place, &mut agent, "echo 'app'").await;
    assert_eq!(run["project"], "app");
    assert_eq!(run["causes"][0]["description"], "Started by upstream project \"lib\" build number 1");
    assert_eq!(place.runs_of("app").await.len(), 3);
}
