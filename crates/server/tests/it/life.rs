//! The life of a run, at an agent that keeps its word.

use model::request::Reply;
use serde_json::{Value, json};
use wire::agent::{FromAgent, ToAgent};

use crate::agent::{Place, is_exec, line};

#[tokio::test]
async fn a_run_from_its_lease_to_its_end() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("node { sh 'make'; echo 'said' }").await;
    assert_eq!((lease.run.0, lease.epoch), (id, 1));
    let asked = agent.work(is_exec).await;
    assert_eq!(place.run(id).await["status"], "running");
    let ToAgent::Perform { id: request, .. } = asked else { panic!() };
    agent.say(&FromAgent::Report { lease, first: 0, items: vec![line("of make")] }).await;
    agent.answer(lease, request, Reply::Exited { code: 0, stdout: None, limit: None }).await;
    agent.work(|message| matches!(message, ToAgent::Release { .. })).await;
    // Its last words come before its end.
    agent.say(&FromAgent::Report { lease, first: 1, items: vec![line("at last")] }).await;
    agent.say(&FromAgent::Released { lease }).await;
    let ended = place.wait_for_end(id).await;
    assert_eq!(ended["outcome"], "SUCCESS", "{ended}");
    let log = place.log(id).await;
    let at = |text: &str| log.lines().position(|line| line == text).unwrap_or_else(|| panic!("{text} is not in {log}"));
    assert!(at("of make") < at("said") && at("said") < at("at last"), "{log}");
}

/// The same agent comes back: it is asked again for what is not answered, and its engine begins anew.
#[tokio::test]
async fn a_connection_may_break_and_a_server_be_another() {
    let mut place = Place::new().await;
    let key = place.enrol("one").await;
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("node { sh 'first'; sh 'second' }").await;
    let ToAgent::Perform { id: first, .. } = agent.work(is_exec).await else { panic!() };
    agent.say(&FromAgent::Report { lease, first: 0, items: vec![line("line 1"), line("line 2")] }).await;
    agent.work(|message| matches!(message, ToAgent::Kept { reported: 2, .. })).await;
    for round in 0..3 {
        drop(agent);
        if round > 0 {
            place.restart().await;
        }
        agent = place.agent(&key, &[lease]).await;
        let again = agent.work(is_exec).await;
        assert!(matches!(again, ToAgent::Perform { id, .. } if id == first), "round {round}: {again:?}");
        // What was not acknowledged is said again, and kept once.
        agent.say(&FromAgent::Report { lease, first: 1, items: vec![line("line 2")] }).await;
    }
    let done = Reply::Exited { code: 0, stdout: None, limit: None };
    agent.answer(lease, first, done.clone()).await;
    let second = agent.work(|message| matches!(message, ToAgent::Perform { id, .. } if *id > first)).await;
    let ToAgent::Perform { id: second, .. } = second else { panic!() };
    // An answer that comes twice is one.
    agent.answer(lease, second, done.clone()).await;
    agent.answer(lease, second, done).await;
    agent.give_back(lease).await;
    let log = place.log(id).await;
    assert_eq!((log.matches("line 1\n").count(), log.matches("line 2\n").count()), (1, 1), "{log}");
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
}

/// That a step is to end was heard by a server that is no more; the next one knows it.
#[tokio::test]
async fn a_cancellation_outlives_its_server() {
    let mut place = Place::new().await;
    let key = place.enrol("one").await;
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("node { timeout(time: 1, unit: 'SECONDS') { sh 'sleep 600' } }").await;
    let ToAgent::Perform { id: long, .. } = agent.work(is_exec).await else { panic!() };
    agent.work(|message| matches!(message, ToAgent::Cancel { id, .. } if *id == long)).await;
    drop(agent);
    place.restart().await;
    let mut agent = place.agent(&key, &[lease]).await;
    agent.work(|message| matches!(message, ToAgent::Cancel { id, .. } if *id == long)).await;
    agent.answer(lease, long, Reply::Cancelled).await;
    agent.give_back(lease).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "ABORTED");
}

/// Its agent does not come back: what it had is answered, and another one goes on.
#[tokio::test]
async fn a_run_goes_on_at_another_agent() {
    let place = Place::new().await;
    let (one, two) = (place.enrol("one").await, place.enrol("two").await);
    let id = place.trigger().await;
    let mut agent = place.agent(&one, &[]).await;
    let definition = "try { node { sh 'first' } } catch (e) { echo \"caught ${e.message}\" }\nnode { sh 'second' }";
    let lease = agent.take(definition).await;
    agent.work(is_exec).await;
    drop(agent);
    let mut other = place.agent(&two, &[]).await;
    let next = other.take(definition).await;
    assert_eq!((next.run, next.epoch > lease.epoch), (lease.run, true));
    // The first one is late: it has nothing any more.
    let mut late = place.agent(&one, &[lease]).await;
    let told = late.hear().await;
    assert_eq!(told, Some(ToAgent::Release { lease, forget: true }));
    other.give_back(next).await;
    let ended = place.wait_for_end(id).await;
    let log = place.log(id).await;
    assert!(ended["outcome"] == "SUCCESS" && log.contains("the agent that had this was lost"), "{ended}\n{log}");
}

/// The end of a run was heard by a server that is no more, and its agent has put everything away: another engine says the end again.
#[tokio::test]
async fn an_end_outlives_the_server_that_heard_it() {
    let mut place = Place::new().await;
    let key = place.enrol("one").await;
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let definition = "node { sh 'make' }";
    let lease = agent.take(definition).await;
    let is_release = |message: &ToAgent| matches!(message, ToAgent::Release { .. });
    agent.work(is_release).await;
    drop(agent);
    place.restart().await;
    let mut agent = place.agent(&key, &[lease]).await;
    agent.work(|message| matches!(message, ToAgent::Tell { .. })).await;
    agent.say(&FromAgent::Released { lease }).await;
    let is_next = |message: &ToAgent| matches!(message, ToAgent::Lease { lease: next, .. } if next.epoch > lease.epoch);
    let ToAgent::Lease { lease: next, .. } = agent.work(is_next).await else { panic!() };
    agent.work(is_release).await;
    agent.say(&FromAgent::Released { lease: next }).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
}

/// On the page of a run, by whoever may; what a page shows is text, whoever wrote it.
#[tokio::test]
async fn a_question_is_answered_on_the_page() {
    let place = Place::new().await;
    for (name, grants) in [("reader", "reader"), ("dev", "developer")] {
        let person = json!({ "grants": [grants], "password": "a long enough password" });
        place.ask("PUT", &format!("/api/v1/people/{name}"), person).await;
    }
    let mut agent = place.agent(&place.enrol("one").await, &[]).await;
    let id = place.trigger().await;
    let lease = agent
        .take("def x = input message: '<b>Where?</b>', ok: 'Go', parameters: [choice(name: 'ENV', choices: ['dev', 'prod'])]; echo \"to ${x}\"")
        .await;
    let reader = place.log_in("reader", "a long enough password").await.unwrap();
    let dev = place.log_in("dev", "a long enough password").await.unwrap();
    let asks =
        async |place: &Place| place.page(&format!("/runs/{id}"), Some(&reader)).await.1.contains("&lt;b&gt;Where?");
    let working = agent.give_back(lease);
    tokio::pin!(working);
    let asked = async {
        while !asks(&place).await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = &mut working => panic!("it does not ask"),
        () = asked => {}
    }
    let number =
        place.ask("GET", &format!("/api/v1/runs/{id}/questions"), Value::Null).await["questions"][0]["number"].clone();
    let form = async |session: &str, body: &str| {
        let request = place.request("POST", &format!("/runs/{id}/questions/{number}"));
        let request = request.header("cookie", format!("cofferdam={session}"));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned());
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(form("cfs_nobody", "proceed=true").await, 303, "to the login");
    assert!(asks(&place).await);
    assert_eq!(form(&reader, "proceed=true").await, 403);
    assert_eq!(form(&dev, "proceed=true&of-ENV=mars").await, 400);
    assert_eq!(form(&dev, "proceed=true&of-ENV=prod").await, 303);
    working.await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
    assert!(place.log(id).await.contains("Approved by dev\n") && place.log(id).await.contains("to prod"));
    assert_eq!(form(&dev, "proceed=true").await, 404, "it is answered");
}

/// What pods its definitions mean a project says, and each run is told.
#[tokio::test]
async fn a_run_is_told_of_templates_of_pods() {
    let place = Place::new().await;
    let config = |pods: Value| json!({ "source": { "folder": "/nowhere" }, "pod_templates": pods });
    let token = std::fs::read_to_string(place.folder.path().join("token")).unwrap();
    for (name, yaml, why) in [("a b", "x".to_owned(), "without blanks"), ("a", "x".repeat(200_000), "128 KiB")] {
        let wrong = config(json!([{ "name": name, "yaml": yaml }])).to_string();
        let (status, refused) = place.as_who(token.trim(), "PUT", "/api/v1/projects/app", &wrong).await;
        assert!(status == 400 && refused.to_string().contains(why), "{status} {refused}");
    }
    let yaml = "spec: { containers: [{ name: maven, image: 'maven:3', command: [cat] }] }";
    place.ask("PUT", "/api/v1/projects/app", config(json!([{ "name": "maven", "yaml": yaml }]))).await;
    let key = place.enrol("one").await;
    let run = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("node('maven') { container('maven') { sh 'mvn' } }").await;
    let asked = agent.work(is_exec).await;
    let ToAgent::Perform { id, .. } = &asked else { panic!("{asked:?}") };
    agent.answer(lease, *id, Reply::Exited { code: 0, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    assert_eq!(place.wait_for_end(run).await["outcome"], "SUCCESS");
}

/// Where its tools are a project says. What has no folder is refused.
#[tokio::test]
async fn a_run_is_told_of_tools() {
    let place = Place::new().await;
    let config = |tool: Value| json!({ "source": { "folder": "/nowhere" }, "tools": [tool] });
    let wrong = config(json!({ "name": "M3", "folder": "maven" })).to_string();
    let token = std::fs::read_to_string(place.folder.path().join("token")).unwrap();
    let (status, refused) = place.as_who(token.trim(), "PUT", "/api/v1/projects/app", &wrong).await;
    assert!(status == 400 && refused.to_string().contains("a folder that begins with `/`"), "{status} {refused}");
    let tool = json!({ "name": "M3", "kind": "maven", "folder": "/opt/maven" });
    place.ask("PUT", "/api/v1/projects/app", config(tool)).await;
    let key = place.enrol("one").await;
    let run = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("node { sh \"${tool 'M3'}/bin/mvn\" }").await;
    let asked = agent.work(is_exec).await;
    let ToAgent::Perform { id, .. } = &asked else { panic!() };
    assert!(format!("{asked:?}").contains("/opt/maven/bin/mvn"), "{asked:?}");
    agent.answer(lease, *id, Reply::Exited { code: 0, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    assert_eq!(place.wait_for_end(run).await["outcome"], "SUCCESS");
}

/// An engine that is lost is replaced; one that has computed for too long is not, for the next would as well.
#[tokio::test]
async fn a_turn_without_an_end_is_the_definitions_failure() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let run = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("node { sh 'make' }").await;
    agent.work(is_exec).await;
    agent.say(&FromAgent::EngineLost { lease, engine: 1, reason: "signal: 9".into() }).await;
    agent.say(&FromAgent::EngineLost { lease, engine: 2, reason: wire::engine::turn_too_long() }).await;
    agent.give_back(lease).await;
    let ended = place.wait_for_end(run).await;
    assert_eq!(ended["outcome"], "FAILURE");
    assert!(ended["message"].as_str().unwrap().contains("computed for 30 s without an end"), "{ended}");
}
