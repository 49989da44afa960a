//! Who may do what, asked over HTTP.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::agent::Place;
use crate::described::Described;

/// What is asked, and what each role hears.
type Row = (&'static str, &'static str, &'static str, [&'static str; 4]);

/// What each role may, where it is held: on everything, on the folder of the project, elsewhere. `.`: yes; `f`: it is forbidden; `-`: there
/// is no such thing for them; `m`: they may, and what they ask for is not there.
const EXPECT: &[Row] = &[
    // What is asked:                                                          reader developer maintainer admin
    ("GET", "/api/v1/projects", "", ["...", "...", "...", "..."]),
    ("GET", "/api/v1/projects/team%2Fapp", "", ["..-", "..-", "..-", "..-"]),
    ("PUT", "/api/v1/projects/team%2Fapp", r#"{"source":{"folder":"/nowhere"}}"#, ["ff-", "ff-", "..-", "..-"]),
    ("GET", "/api/v1/projects/team%2Fapp/branches", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/api/v1/projects/team%2Fapp/tests/history?name=x", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/api/v1/projects/team%2Fapp/tests/flaky", "", ["..-", "..-", "..-", "..-"]),
    ("POST", "/api/v1/projects/team%2Fapp/runs", "{}", ["ff-", "..-", "..-", "..-"]),
    ("GET", "/api/v1/runs", "", ["...", "...", "...", "..."]),
    ("GET", "/api/v1/runs?project=team/app", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/api/v1/runs/live", "", ["...", "...", "...", "..."]),
    ("GET", "/api/v1/runs/live?project=team/app", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/api/v1/queue", "", ["...", "...", "...", "..."]),
    ("GET", "/api/v1/queue?project=team/app", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/api/v1/runs/RUN", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/api/v1/runs/RUN/log", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/api/v1/runs/RUN/log/live", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/api/v1/runs/RUN/events", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/api/v1/runs/RUN/events/live", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/api/v1/runs/RUN/annotations", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/api/v1/runs/RUN/tests", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/api/v1/runs/RUN/artifacts", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/api/v1/runs/RUN/artifacts/a/b", "", ["mm-", "mm-", "mm-", "mm-"]),
    ("GET", "/api/v1/runs/RUN/questions", "", ["..-", "..-", "..-", "..-"]),
    ("POST", "/api/v1/runs/RUN/questions/1", r#"{"proceed":true}"#, ["ff-", "mm-", "mm-", "mm-"]),
    ("GET", "/api/v1/runs/RUN/plan", "", ["ff-", "ff-", "..-", "..-"]),
    ("POST", "/api/v1/runs/RUN/approve", "{}", ["ff-", "ff-", "..-", "..-"]),
    ("POST", "/api/v1/runs/RUN/rerun", "", ["ff-", "..-", "..-", "..-"]),
    ("GET", "/api/v1/agents", "", ["...", "...", "...", "..."]),
    ("POST", "/api/v1/agents/tokens", "", ["fff", "fff", "fff", ".ff"]),
    ("DELETE", "/api/v1/agents/999", "", ["fff", "fff", "fff", "mff"]),
    ("GET", "/api/v1/audit", "", ["fff", "fff", "fff", ".ff"]),
    ("GET", "/api/v1/people", "", ["fff", "fff", "fff", ".ff"]),
    ("PUT", "/api/v1/people/mallory", r#"{"grants":["admin"]}"#, ["fff", "fff", "fff", ".ff"]),
    ("GET", "/api/v1/me", "", ["...", "...", "...", "..."]),
    (
        "POST",
        "/api/v1/me/password",
        r#"{"old":"a password of some length","new":"a password of some length"}"#,
        ["...", "...", "...", "..."],
    ),
    ("GET", "/api/v1/tokens", "", ["...", "...", "...", "..."]),
    ("GET", "/api/v1/tokens?all=true", "", ["fff", "fff", "fff", ".ff"]),
    ("POST", "/api/v1/tokens", r#"{"name":"more"}"#, ["...", "...", "...", "..."]),
    // Of somebody else: who may not take it back hears nothing of it.
    ("DELETE", "/api/v1/tokens/TOKEN", "", ["mmm", "mmm", "mmm", ".mm"]),
    ("GET", "/metrics", "", [".ff", ".ff", ".ff", ".ff"]),
    // As Jenkins has it.
    ("GET", "/job/team/job/app/api/json", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/job/team/job/app/1/api/json", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/job/team/job/app/lastBuild/api/json", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/job/team/job/app/1/artifact/a/b", "", ["mm-", "mm-", "mm-", "mm-"]),
    ("GET", "/job/team/job/app/1/consoleText", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/job/team/job/app/badge/icon", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/buildStatus/icon?job=team/app", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/queue/item/RUN/api/json", "", ["..-", "..-", "..-", "..-"]),
    ("POST", "/job/team/job/app/build", "", ["ff-", "..-", "..-", "..-"]),
    // Pages.
    ("GET", "/", "", ["...", "...", "...", "..."]),
    ("GET", "/queue", "", ["...", "...", "...", "..."]),
    ("GET", "/agents", "", ["...", "...", "...", "..."]),
    ("GET", "/account", "", ["...", "...", "...", "..."]),
    ("GET", "/runs/RUN", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/runs/RUN/log", "", ["..-", "..-", "..-", "..-"]),
    ("GET", "/runs/RUN/artifacts/a/b", "", ["mm-", "mm-", "mm-", "mm-"]),
    ("GET", "/tests?project=team/app&name=x", "", ["mm-", "mm-", "mm-", "mm-"]),
    // At last, for then it has ended.
    ("POST", "/api/v1/runs/RUN/abort", "{}", ["ff-", "..-", "..-", "..-"]),
    ("POST", "/job/team/job/app/1/stop", "", ["ff-", "..-", "..-", "..-"]),
];
/// Operations of the API that are for everybody.
const OPEN: [&str; 0] = [];
const ROLES: [&str; 4] = ["reader", "developer", "maintainer", "admin"];
const PLACES: [&str; 3] = ["", "@team", "@other"];

/// What somebody hears, as one letter.
async fn told(place: &Place, token: &str, (method, path, body): (&str, &str, &str)) -> char {
    // A stream goes on until its run ends.
    let (status, said) = match path.contains("/live") {
        false => place.as_who(token, method, path, body).await,
        true => {
            let answer = place.request(method, path).bearer_auth(token).send().await.unwrap();
            match answer.status().as_u16() {
                200 => (200, Value::Null),
                status => (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap()),
            }
        }
    };
    let why = said["error"].as_str().unwrap_or_default();
    let hides = ["", "there is no such project", "there is no such run", "there is no such job"];
    match status {
        // Who hears that it cannot be done now may do it.
        200..300 | 409 => '.',
        403 => 'f',
        404 if hides.contains(&why) => '-',
        404 => 'm',
        other => panic!("{method} {path}: {other} {said}"),
    }
}

#[tokio::test]
async fn each_role_may_what_the_policy_says() {
    let place = Place::new().await;
    place.ask("PUT", "/api/v1/projects/team%2Fapp", json!({ "source": { "folder": "/nowhere" } })).await;
    let run = place.ask("POST", "/api/v1/projects/team%2Fapp/runs", json!({})).await["id"].to_string();
    place.ask("POST", "/api/v1/tokens", json!({ "name": "of another" })).await;
    let listed = place.ask("GET", "/api/v1/tokens", Value::Null).await["tokens"].as_array().unwrap().clone();
    let other = listed.iter().find(|token| token["name"] == "of another").unwrap()["id"].as_str().unwrap();
    let mut tokens = Vec::new();
    for role in ROLES {
        for (number, on) in PLACES.iter().enumerate() {
            tokens.push(place.somebody(&format!("{role}{number}"), &[&format!("{role}{on}")]).await);
        }
    }
    for (method, path, body, expect) in EXPECT {
        let path = path.replace("RUN", &run).replace("TOKEN", other);
        let mut found = Vec::new();
        for tokens in tokens.chunks(PLACES.len()) {
            let mut of_role = String::new();
            for token in tokens {
                of_role.push(told(&place, token, (*method, path.as_str(), *body)).await);
            }
            found.push(of_role);
        }
        assert_eq!(found, *expect, "{method} {path}");
    }
    // What somebody does not see is in no list.
    let lists =
        [("/api/v1/runs", "runs"), ("/api/v1/projects", "projects"), ("/api/json", "jobs"), ("/api/v1/queue", "queue")];
    for (path, of) in lists {
        let sees =
            |answer: Value| answer[of].as_array().unwrap().iter().any(|one| one.to_string().contains("team/app"));
        assert!(sees(place.as_who(&tokens[1], "GET", path, "").await.1), "{path}");
        assert!(!sees(place.as_who(&tokens[2], "GET", path, "").await.1), "{path}");
    }
    let monitor = async |token: &str| place.request("GET", "/cc.xml").bearer_auth(token).send().await.unwrap().text();
    assert!(monitor(&tokens[1]).await.await.unwrap().contains("team/app"));
    assert!(!monitor(&tokens[2]).await.await.unwrap().contains("team/app"));
}

/// Whoever adds one says who may.
#[tokio::test]
async fn no_operation_is_forgotten() {
    let place = Place::new().await;
    let described = Described::new(place.description().await);
    let known: BTreeSet<_> = EXPECT.iter().filter_map(|(method, path, ..)| described.id_of(method, path)).collect();
    let left: Vec<_> = described.ids().filter(|id| !known.contains(id) && !OPEN.contains(id)).collect();
    assert!(left.is_empty(), "who may that? {left:?}");
    // Without a token nobody may anything.
    for (method, path, body, _) in EXPECT {
        let Some(id) = described.id_of(method, path).filter(|id| !OPEN.contains(id)) else { continue };
        let path = path.replace("RUN", "1");
        let sent = place.request(method, &path).header("content-type", "application/json").body(*body);
        assert_eq!(sent.send().await.unwrap().status(), 401, "{id}: {method} {path}");
    }
}
