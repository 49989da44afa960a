//! A run once more from one of its stages on.

use serde_json::{Value, json};

use crate::agent::Place;

/// A script would only say that it cannot begin in its middle: so it is said at once, and nothing is run.
#[tokio::test]
async fn only_a_declarative_pipeline_is_begun_in_its_middle() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let declarative = "pipeline { agent none; stages { stage('Build') { steps { echo 'built' } } stage('Test') { steps { error 'no' } } } }";
    let behind_a_script =
        format!("properties([disableConcurrentBuilds()])\nstage('Prepare') {{ unstable 'hm' }}\n{declarative}");
    for (text, is_declarative) in [
        ("stage('Build') { echo 'built' }\nstage('Test') { error 'no' }", false),
        ("properties([disableConcurrentBuilds()])\nstage('Test') { error 'no' }", false),
        (declarative, true),
        (behind_a_script.as_str(), true),
    ] {
        let id = place.trigger().await;
        let lease = agent.take(text).await;
        agent.give_back(lease).await;
        let ended = place.wait_for_end(id).await;
        assert_eq!(ended["outcome"], "FAILURE", "{text}: {ended}");
        let path = format!("/api/v1/runs/{id}/rerun");
        for body in [json!({ "failed": true }), json!({ "from": "Test" })] {
            let (status, said) = place.as_admin("POST", &path, &body).await;
            if !is_declarative {
                let why = said["error"].as_str().unwrap_or_default();
                assert!(status == 409 && why.contains(&format!("cofferdam rerun {id}")), "{text}: {status} {said}");
                continue;
            }
            assert_eq!(status, 201, "{text}: {said}");
            let cause = said["causes"][0]["description"].as_str().unwrap_or_default();
            assert!(cause.contains("stage \"Test\""), "{said}");
            let lease = agent.take(text).await;
            assert_eq!(said["id"], lease.run.0);
            agent.give_back(lease).await;
            let again = place.wait_for_end(lease.run.0).await;
            assert_eq!((&again["outcome"], &again["message"]), (&ended["outcome"], &ended["message"]), "{text}");
        }
    }
    // Without a stage, or with one elsewhere than at the top, but whole; and what was ended before it came to its pipeline, which only itself can tell.
    let ended_before = format!("stage('Prepare') {{ error 'no' }}\n{declarative}");
    for (text, status) in
        [("echo 'built'", 409), ("parallel a: { stage('Test') { echo 'a' } }", 409), (&ended_before, 201)]
    {
        let id = place.trigger().await;
        let lease = agent.take(text).await;
        agent.give_back(lease).await;
        place.wait_for_end(id).await;
        let said = place.as_admin("POST", &format!("/api/v1/runs/{id}/rerun"), &json!({ "from": "Test" })).await;
        assert_eq!(said.0, status, "{text}: {}", said.1);
    }
    let lease = agent.take(&ended_before).await;
    agent.give_back(lease).await;
    place.wait_for_end(lease.run.0).await;
    // Four of them, and of the declarative two again twice.
    let runs = place.ask("GET", "/api/v1/runs", Value::Null).await;
    assert_eq!(runs["runs"].as_array().unwrap().len(), 4 + 2 * 2 + 3 + 1);
}
