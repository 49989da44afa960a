//! Bitbucket Data Center: what its webhooks say is asked for, and it is told what came of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use serde_json::{Value, json};

use crate::agent::Place;
use crate::herd::{Forge, SECRET, commit};

#[tokio::test]
async fn data_center_is_asked_and_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&told);
    let answer = async move |method: Method, uri: Uri, body: String| {
        let rest = uri.path().strip_prefix("/rest/api/latest/projects/TEAM/repos/app/").unwrap_or_default();
        let query = uri.query().unwrap_or_default();
        let repository = |id: u64| json!({ "id": id });
        let found = match (method, rest, query) {
            (Method::GET, "commits", "until=refs%2Fheads%2Fmain&limit=1") => {
                json!({ "values": [{ "id": commit(2) }], "isLastPage": false, "nextPageStart": 1 })
            }
            (Method::GET, "pull-requests/7", _) => json!({ "id": 7, "state": "OPEN", "title": "t",
                "author": { "user": { "name": "eve" } },
                "fromRef": { "displayId": "topic", "latestCommit": commit(7), "repository": repository(2) },
                "toRef": { "displayId": "main", "latestCommit": commit(2), "repository": repository(1) } }),
            (Method::POST, path, _) if path.ends_with("/builds") => {
                let said: Value = serde_json::from_str(&body).unwrap();
                hears.lock().unwrap().push((path.to_owned(), said["state"].as_str().unwrap().to_owned()));
                return (StatusCode::NO_CONTENT, Json(Value::Null));
            }
            _ => return (StatusCode::NOT_FOUND, Json(json!({ "errors": [] }))),
        };
        (StatusCode::OK, Json(found))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = format!("http://{}/rest/api/latest", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    let forge = "bitbucket_data_center";
    let more = json!({
        "hook": { "forge": forge, "secret": SECRET },
        "report": { "forge": forge, "api": api, "repository": "TEAM/app", "token": "t" },
    });
    let place = Place::with_forge(&Forge::default(), more).await;
    let change = |name: &str| json!({ "ref": { "id": format!("refs/heads/{name}") }, "toHash": commit(1) });
    let push = json!({ "actor": { "name": "ada" }, "changes": [change("main"), change("gone")] });
    let said = place.sent_by_bitbucket("repo:refs_changed", "a", &push).await;
    let run = place.run(said["several"][0]["run"].as_u64().unwrap()).await;
    assert_eq!((&run["commit"], &run["trust"]), (&commit(2).into(), &"protected".into()), "it has gone on");
    assert_eq!(said["several"][1]["ignored"], "the forge knows of no branch gone");
    // The webhook says that it is none of a fork.
    let request = json!({ "pullRequest": { "id": 7, "title": "t",
        "fromRef": { "displayId": "topic", "latestCommit": commit(7), "repository": { "id": 1 } },
        "toRef": { "displayId": "main", "repository": { "id": 1 } } } });
    let said = place.sent_by_bitbucket("pr:opened", "b", &request).await;
    assert_eq!(said["trust"], "stranger", "{said}");
    for _ in 0..1000 {
        let said = told.lock().unwrap().clone();
        let is_told = |number| said.contains(&(format!("commits/{}/builds", commit(number)), "INPROGRESS".to_owned()));
        if is_told(2) && is_told(7) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?}", told.lock().unwrap());
}
