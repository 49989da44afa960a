//! Which run goes where, and why another waits.

use serde_json::{Value, json};
use wire::agent::{FromAgent, Lease, ToAgent, VERSION};

use crate::agent::{Agent, Place};

impl Place {
    async fn put(&self, name: &str, more: Value) {
        let mut config = json!({ "source": { "folder": "/nowhere" } });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ask("PUT", &format!("/api/v1/projects/{name}"), config).await;
    }

    async fn trigger_of(&self, name: &str) -> u64 {
        self.ask("POST", &format!("/api/v1/projects/{name}/runs"), json!({})).await["id"].as_u64().unwrap()
    }

    async fn waits(&self, id: u64) -> String {
        self.run(id).await["waits"].as_str().unwrap_or_default().to_owned()
    }

    async fn agent_with(&self, name: &str, runs: u32, labels: &[&str]) -> Agent {
        let mut agent = self.connect(&self.enrol(name).await).await;
        let labels = labels.iter().map(ToString::to_string).collect();
        agent.say(&FromAgent::Hello { version: VERSION, runs, held: Vec::new(), labels }).await;
        agent
    }
}

/// Has a run end; its lease.
async fn whole_run(place: &Place, agent: &mut Agent) -> Lease {
    let lease = agent.take("echo 'done'").await;
    agent.give_back(lease).await;
    place.wait_for_end(lease.run.0).await;
    lease
}

#[tokio::test]
async fn a_herd_of_one_project_holds_up_no_other() {
    let place = Place::new().await;
    place.put("other", json!({})).await;
    let mut herd = Vec::new();
    for _ in 0..20 {
        herd.push(place.trigger().await);
    }
    let single = place.trigger_of("other").await;
    let mut agent = place.agent_with("one", 1, &[]).await;
    let first = whole_run(&place, &mut agent).await;
    assert_eq!(first.run.0, herd[0], "the oldest of equals");
    let second = whole_run(&place, &mut agent).await;
    assert_eq!(second.run.0, single, "who has had nothing goes before a herd");
    let third = agent.take("echo 'done'").await;
    assert_eq!(third.run.0, herd[1]);
    let why = place.waits(herd[2]).await;
    assert!(why.contains("taken") && why.contains("app"), "{why}");
}

#[tokio::test]
async fn a_label_finds_its_agents() {
    let place = Place::new().await;
    let unfit = json!({ "source": { "folder": "/nowhere" }, "label": "linux &&" });
    assert_eq!(place.as_admin("PUT", "/api/v1/projects/app", &unfit).await.0, 400);
    place.put("app", json!({ "label": "gpu && !arm" })).await;
    let id = place.trigger().await;
    let _plain = place.agent_with("plain", 1, &["linux"]).await;
    let mut why = String::new();
    for _ in 0..1000 {
        why = place.waits(id).await;
        if why.contains("gpu") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(why.contains("gpu"), "{why}");
    let mut fits = place.agent_with("fits", 1, &["gpu"]).await;
    assert_eq!(whole_run(&place, &mut fits).await.run.0, id);
}

#[tokio::test]
async fn limits_of_a_project_hold_and_can_be_changed() {
    let place = Place::new().await;
    place.put("app", json!({ "at_once": 1 })).await;
    let (first, second) = (place.trigger().await, place.trigger().await);
    let mut agent = place.agent_with("one", 4, &[]).await;
    let one = agent.take("node { sh 'make' }").await;
    assert_eq!(one.run.0, first);
    let why = place.waits(second).await;
    assert!(why.contains("at once") || why.contains("limit"), "{why}");
    place.put("app", json!({ "at_once": 2 })).await;
    let is_second = |message: &ToAgent| matches!(message, ToAgent::Lease { lease, .. } if lease.run.0 == second);
    agent.work(is_second).await;
}

/// A server that is another one knows who has which place.
#[tokio::test]
async fn places_outlive_a_server() {
    let mut place = Place::new().await;
    let (first, second) = (place.trigger().await, place.trigger().await);
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("node { sh 'make' }").await;
    assert_eq!(lease.run.0, first);
    agent.work(|message| matches!(message, ToAgent::Perform { .. })).await;
    drop(agent);
    place.restart().await;
    let mut agent = place.agent(&key, &[lease]).await;
    agent.work(|message| matches!(message, ToAgent::Perform { .. })).await;
    let why = place.waits(second).await;
    assert!(why.contains("taken"), "the only place is: {why}");
    assert_eq!(place.run(second).await["status"], "queued");
}
