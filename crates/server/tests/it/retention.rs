//! What is forgotten, and when not.

use std::time::Duration;

use serde_json::{Value, json};
use server::{Clock, Simulated};

use crate::agent::Place;

const DAY: i64 = 24 * 60 * 60_000;

/// What is forgotten by its age goes by a clock that somebody may set: not at once, then.
#[tokio::test]
async fn a_clock_that_jumps_has_nothing_forgotten_by_its_age() {
    let clock = Simulated::from(1_800_000_000_000);
    let mut place = Place::on_nothing(None);
    place.clock = Clock::Simulated(clock.clone());
    place.start().await;
    let ended = async |project: &str| {
        let path = format!("/api/v1/projects/{project}");
        place.ask("PUT", &path, json!({ "source": { "folder": "/nowhere" } })).await;
        let id = place.ask("POST", &format!("{path}/runs"), json!({})).await["id"].as_u64().unwrap();
        place.ask("POST", &format!("/api/v1/runs/{id}/abort"), Value::Null).await;
        place.wait_for_end(id).await;
        id
    };
    let keep = async |project: &str, more: Value| {
        let mut config = json!({ "source": { "folder": "/nowhere" } });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        place.ask("PUT", &format!("/api/v1/projects/{project}"), config).await;
    };
    let is_there =
        async |id: u64| place.request("GET", &format!("/api/v1/runs/{id}")).bearer_auth(place.admin()).send().await;
    let wait_until_gone = async |id: u64| {
        for _ in 0..500 {
            if is_there(id).await.unwrap().status() == 404 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{id} is there");
    };
    let [by_age, by_number, later] = [ended("a").await, ended("b").await, ended("c").await];
    keep("c", json!({ "keep_runs": 0 })).await;
    wait_until_gone(later).await;
    // What has looked now knows what time it is. Projects are looked at by their names.
    clock.jump(60 * DAY);
    keep("a", json!({ "keep_days": 30 })).await;
    keep("b", json!({ "keep_runs": 0 })).await;
    wait_until_gone(by_number).await;
    assert_eq!(is_there(by_age).await.unwrap().status(), 200);
    // It is set right, and days go by as they do.
    clock.jump(-60 * DAY);
    for turn in 1..=36 {
        clock.jump(20 * DAY / 24);
        let seen = ended("b").await;
        keep("b", json!({ "keep_runs": 0 })).await;
        wait_until_gone(seen).await;
        assert_eq!(
            is_there(by_age).await.unwrap().status(),
            if turn < 36 { 200 } else { 404 },
            "after {turn} times 20 hours"
        );
    }
}
