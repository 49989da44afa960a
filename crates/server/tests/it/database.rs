//! A database that goes, comes back, and is somebody else's then.

use std::time::Duration;

use model::request::Reply;
use serde_json::{Value, json};
use wire::agent::{FromAgent, ToAgent};

use crate::agent::{Place, is_exec, line};
use crate::postgres::{self, Postgres};

/// It crashes in the middle of a run. Who asks is told so; what the agent has said meanwhile is not lost, for it says it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_loses_no_run() {
    let Some(mut database) = Postgres::start() else { return };
    let mut place = Place::on(Some(database.database().await)).await;
    let key = place.enrol("one").await;
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("node { sh 'first'; sh 'second' }").await;
    let ToAgent::Perform { id: first, .. } = agent.work(is_exec).await else { panic!() };

    database.crash();
    agent.say(&FromAgent::Report { lease, first: 0, items: vec![line("line 1")] }).await;
    agent.answer(lease, first, Reply::Exited { code: 0, stdout: None, limit: None }).await;
    for (method, path) in [("GET", "/api/v1/runs"), ("POST", "/api/v1/projects/app/runs"), ("GET", "/healthz")] {
        let (status, answer) = place.as_admin(method, path, &json!({})).await;
        assert_eq!(status, 503, "{answer}");
        assert!(answer.to_string().contains("database"), "{answer}");
    }

    database.come_back();
    // The claim is looked after by whoever has started the server.
    let mut server = place.server.take().unwrap();
    let lost = tokio::time::timeout(Duration::from_secs(5), server.lost()).await;
    assert!(lost.is_err(), "nobody else has it");
    place.server = Some(server);
    // It is told how much is kept: nothing.
    let told = agent.work(|message| matches!(message, ToAgent::Lease { .. })).await;
    assert!(matches!(told, ToAgent::Lease { reported: 0, .. }), "{told:?}");
    agent.say(&FromAgent::Report { lease, first: 0, items: vec![line("line 1")] }).await;
    let again = agent.work(is_exec).await;
    assert!(matches!(again, ToAgent::Perform { id, .. } if id == first), "{again:?}");
    agent.answer(lease, first, Reply::Exited { code: 0, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    let ended = place.wait_for_end(id).await;
    assert_eq!(ended["outcome"], "SUCCESS", "{ended}");
    assert_eq!(place.ask("GET", "/healthz", Value::Null).await, "ok\n");
    assert_eq!(place.log(id).await.lines().filter(|line| *line == "line 1").count(), 1);
}

/// Whoever watches over a server need be nobody to hear whether it can do its work.
#[tokio::test]
async fn a_server_is_as_well_as_its_database() {
    let mut place = Place::new().await;
    let server = place.server.take().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/healthz", listener.local_addr().unwrap());
    let router = server.router();
    let serves = tokio::spawn(async move { axum::serve(listener, router).await });
    let asked = async || {
        let answer = place.anywhere("GET", &url).send().await.unwrap();
        let later = answer.headers().get("retry-after").map(|later| later.to_str().unwrap().to_owned());
        (answer.status().as_u16(), later)
    };
    assert_eq!(asked().await, (200, None));
    // It closes its store, as if the database were away.
    server.stop().await;
    assert_eq!(asked().await, (503, Some("10".to_owned())));
    serves.abort();
}

/// Whoever was cut off from it and replaced meanwhile hears so, and changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_replaced_knows_it() {
    let Some(database) = Postgres::start() else { return };
    let url = database.database().await;
    let mut old = Place::on(Some(url.clone())).await;
    let mut new = Place::on_nothing(Some(url.clone()));
    assert!(new.try_start().await.is_err(), "a database has one server");
    for _ in 0..50 {
        postgres::cut(&url).await;
        if new.try_start().await.is_ok() {
            break;
        }
    }
    // The token of the API was written by the one that made it.
    let (status, answer) = old.as_admin("POST", "/api/v1/projects/app/runs", &json!({})).await;
    assert_eq!(status, 503, "{answer}");
    assert!(answer.to_string().contains("another server"), "{answer}");
    let mut server = old.server.take().unwrap();
    tokio::time::timeout(Duration::from_secs(20), server.lost()).await.expect("it hears so");
    server.stop().await;
    std::fs::copy(old.folder.path().join("token"), new.folder.path().join("token")).unwrap();
    assert_eq!(new.ask("GET", "/api/v1/runs", Value::Null).await["runs"], json!([]));
}
