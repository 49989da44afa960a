//! What agents report of tests, as people and tools see it.

use model::event::Event;
use model::ids::StepId;
use model::test_result::{TestCase, TestStatus};
use serde_json::{Value, json};
use wire::agent::{FromAgent, Item, ToAgent};

use crate::agent::Place;

fn case(class: &str, name: &str, status: TestStatus, message: Option<&str>) -> TestCase {
    let detail = message.map(|message| format!("{message}\n at line 7"));
    TestCase { class: class.into(), name: name.into(), status, ms: 1500, message: message.map(Into::into), detail }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tests_of_runs_are_seen() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("node { sh 'make' }").await;
    agent.work(|message| matches!(message, ToAgent::Perform { .. })).await;
    let script = "<script>alert(1)</script>";
    let cases = vec![
        case("a.B", "works", TestStatus::Passed, None),
        case("a.B", script, TestStatus::Failed, Some("expected <1>")),
        case("", "later", TestStatus::Skipped, None),
        case("a.B", "works", TestStatus::Passed, None),
    ];
    let items = vec![Item::Event { at: 30, event: Event::TestsReported { step: StepId(1), cases } }];
    agent.say(&FromAgent::Report { lease, first: 0, items }).await;
    agent.work(|message| matches!(message, ToAgent::Kept { reported: 1, .. })).await;

    let run = lease.run.0;
    let get = async |path: &str| place.ask("GET", path, Value::Null).await;
    let shown = get(&format!("/api/v1/runs/{run}")).await;
    assert_eq!(shown["tests"], json!({ "failed": 1, "skipped": 1, "passed": 2 }));
    let all = get(&format!("/api/v1/runs/{run}/tests")).await;
    let names: Vec<_> = all["tests"].as_array().unwrap().iter().map(|test| test["name"].clone()).collect();
    assert_eq!(names, ["works", script, "later", "works"]);
    let failed = get(&format!("/api/v1/runs/{run}/tests?status=failed")).await;
    assert_eq!(failed["tests"][0]["message"], "expected <1>");
    assert_eq!(failed["tests"].as_array().unwrap().len(), 1);
    let token = std::fs::read_to_string(place.folder.path().join("token")).unwrap().trim().to_owned();
    let (status, _) = place.as_who(&token, "GET", &format!("/api/v1/runs/{run}/tests?status=odd"), "").await;
    assert_eq!(status, 400);

    let history = get("/api/v1/projects/app/tests/history?class=a.B&name=works").await;
    assert_eq!(history["results"].as_array().unwrap().len(), 2, "{history}");
    assert_eq!((&history["results"][0]["status"], &history["next_after"]), (&json!("passed"), &Value::Null));
    // A page may end within a run, which has had it twice.
    let found = place.one_by_one("/api/v1/projects/app/tests/history?class=a.B&name=works", "results").await;
    assert_eq!(&found, history["results"].as_array().unwrap());
    let odd = "/api/v1/projects/app/tests/history?name=works&after=odd";
    assert_eq!(place.as_who(&token, "GET", odd, "").await.0, 400);
    assert_eq!(get("/api/v1/projects/app/tests/flaky").await, json!({ "tests": [] }));
    let (status, _) = place.as_who(&token, "GET", "/api/v1/projects/none/tests/flaky", "").await;
    assert_eq!(status, 404);

    let jenkins = get("/job/app/1/testReport/api/json").await;
    assert_eq!(jenkins["failCount"], 1);
    assert_eq!(jenkins["suites"][0]["cases"][0]["errorDetails"], "expected <1>");

    let page = get(&format!("/runs/{run}")).await.to_string();
    assert!(page.contains("1 failed, 1 skipped, 2 passed") && page.contains("&lt;script&gt;"), "{page}");
    assert!(!page.contains("<script>"), "{page}");
    let page = get("/tests?project=app&class=a.B&name=works").await.to_string();
    assert!(page.contains("app #1") && page.contains("passed"), "{page}");
}
