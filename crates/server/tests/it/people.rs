//! People, their passwords and their tokens, over HTTP.

use model::request::Request;
use serde_json::{Value, json};
use server::{Clock, Simulated};
use wire::agent::ToAgent;

use crate::agent::Place;

impl Place {
    /// Somebody who may this, and a token of theirs.
    pub async fn somebody(&self, name: &str, grants: &[&str]) -> String {
        self.ask("PUT", &format!("/api/v1/people/{name}"), json!({ "grants": grants, "password": PASSWORD })).await;
        let session = self.log_in(name, PASSWORD).await.expect("they can log in");
        assert!(session.starts_with("cfs_"));
        // A token for somebody else is made by nobody.
        let (status, made) = self.as_owner(name, PASSWORD, "POST", "/api/v1/tokens", json!({ "name": "one" })).await;
        assert_eq!(status, 201, "{made}");
        made["token"].as_str().unwrap().to_owned()
    }

    /// As somebody who says their password.
    async fn as_owner(&self, name: &str, password: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = self.request(method, path).basic_auth(name, Some(password));
        let request = if body.is_null() { request } else { request.header("content-type", "application/json") };
        let answer = request.body(body.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    /// All of a list, on pages of one each.
    pub async fn one_by_one(&self, path: &str, of: &str) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), String::new());
        let sign = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = self.ask("GET", &format!("{path}{sign}limit=1{after}"), Value::Null).await;
            let found = page[of].as_array().unwrap();
            assert!(found.len() <= 1, "{page}");
            all.extend(found.iter().cloned());
            match page["next_after"].as_str() {
                Some(next) => after = format!("&after={}", next.replace('/', "%2F")),
                None => return all,
            }
        }
    }
}

const PASSWORD: &str = "a password of some length";

#[tokio::test]
async fn a_token_may_no_more_than_who_made_it() {
    let place = Place::new().await;
    let token = place.somebody("dev", &["developer@team", "reader"]).await;
    let make = async |with: &str, body: Value| place.as_who(with, "POST", "/api/v1/tokens", &body.to_string()).await;
    let (status, said) = make(&token, json!({ "name": "more", "scopes": ["maintainer@team"] })).await;
    assert_eq!(status, 403, "{said}");
    let (status, said) = make(&token, json!({ "name": "less", "scopes": ["reader@team"], "days": 1 })).await;
    let less = said["token"].as_str().unwrap().to_owned();
    assert_eq!(status, 201);
    assert_eq!(place.as_who(&less, "GET", "/metrics", "").await.0, 403);
    assert_eq!(place.as_who(&less, "POST", "/api/v1/projects/team%2Fapp/runs", "{}").await.0, 403);
    // What is made with it is not more either, whether that is said or not.
    assert_eq!(make(&less, json!({ "name": "up", "scopes": ["developer@team"] })).await.0, 403);
    let same = make(&less, json!({ "name": "same" })).await.1["token"].as_str().unwrap().to_owned();
    assert_eq!(place.as_who(&same, "GET", "/metrics", "").await.0, 403);
    let me = place.as_who(&same, "GET", "/api/v1/me", "").await.1;
    assert_eq!((&me["name"], &me["scopes"]), (&json!("dev"), &json!(["reader@team"])));

    let listed = place.as_who(&token, "GET", "/api/v1/tokens", "").await.1;
    let listed = listed["tokens"].as_array().unwrap().clone();
    assert!(
        listed.iter().all(|token| token["owner"] == "dev")
            && !listed.iter().any(|one| one.to_string().contains("cft_"))
    );
    assert_eq!(place.as_who(&token, "GET", "/api/v1/tokens?all=true", "").await.0, 403);
    let id = |name: &str| listed.iter().find(|token| token["name"] == name).unwrap()["id"].as_str().unwrap().to_owned();
    let other = place.somebody("other", &["reader"]).await;
    let path = format!("/api/v1/tokens/{}", id("less"));
    assert_eq!(place.as_who(&other, "DELETE", &path, "").await.0, 404, "it is not theirs");
    assert_eq!(place.as_who(&token, "DELETE", &path, "").await.0, 204);
    assert_eq!(place.as_who(&less, "GET", "/api/v1/me", "").await.0, 401);
    // Who may not come in any more has no token either.
    place.ask("PUT", "/api/v1/people/dev", json!({ "disabled": true })).await;
    assert_eq!(place.as_who(&token, "GET", "/api/v1/me", "").await.0, 401);
    assert!(place.log_in("dev", PASSWORD).await.is_none());
}

#[tokio::test]
async fn tokens_come_page_by_page() {
    let place = Place::new().await;
    for name in ["alice", "bob"] {
        place.somebody(name, &["reader"]).await;
        place.ask("POST", "/api/v1/tokens", json!({ "name": name })).await;
    }
    for (path, count) in [("/api/v1/tokens", 3), ("/api/v1/tokens?all=true", 5)] {
        let all = place.ask("GET", path, Value::Null).await;
        let all = all["tokens"].as_array().unwrap();
        assert_eq!(all.len(), count);
        assert!(all.is_sorted_by_key(|token| token["created_at"].as_u64()), "{all:?}");
        assert_eq!(&place.one_by_one(path, "tokens").await, all, "{path}");
    }
}

#[tokio::test]
async fn passwords_are_guessed_by_nobody() {
    let place = Place::new().await;
    place.somebody("alice", &["reader"]).await;
    let short = place.as_who(&place.admin(), "PUT", "/api/v1/people/alice", r#"{"password":"short"}"#).await;
    assert_eq!(short.0, 400, "{short:?}");
    let session = place.log_in("alice", PASSWORD).await.unwrap();
    let page = place.page("/", Some(&session)).await;
    assert!(page.0 == 200 && page.1.contains("Runs"), "{page:?}");
    assert_eq!(place.page("/", None).await.0, 303);
    assert_eq!(place.page("/", Some("cfs_nonsense")).await.0, 303);
    // A session is good for pages only.
    assert_eq!(place.as_who(&session, "GET", "/api/v1/me", "").await.0, 401);
    assert!(place.log_in("alice", "not the password").await.is_none());
    assert!(place.log_in("nobody", PASSWORD).await.is_none());
    place.request("POST", "/logout").header("cookie", format!("cofferdam={session}")).send().await.unwrap();
    assert_eq!(place.page("/", Some(&session)).await.0, 303);
    for _ in 0..6 {
        assert!(place.log_in("alice", "not the password").await.is_none());
    }
    assert!(place.log_in("alice", PASSWORD).await.is_none(), "now even the right one has to wait");
    // Nobody shuts the last one out who may take people in.
    let last = place.as_who(&place.admin(), "PUT", "/api/v1/people/admin", r#"{"disabled":true}"#).await;
    assert_eq!(last.0, 409, "{last:?}");
}

/// Who has a password, or only a browser, comes by a token without anybody's help, and by nothing else.
#[tokio::test]
async fn who_has_no_token_makes_one() {
    let place = Place::new().await;
    place.somebody("alice", &["developer@team"]).await;
    let wanted = json!({ "name": "ci", "scopes": ["reader@team"] });
    let (status, said) = place.as_owner("alice", "not the password", "POST", "/api/v1/tokens", wanted.clone()).await;
    assert_eq!(status, 401, "{said}");
    assert_eq!(place.as_owner("nobody", PASSWORD, "POST", "/api/v1/tokens", wanted.clone()).await.0, 401);
    assert_eq!(place.as_owner("alice", PASSWORD, "GET", "/api/v1/me", Value::Null).await.1["name"], "alice");
    // A password is good for what is one's own.
    for path in ["/api/v1/runs", "/api/v1/people", "/api/v1/projects"] {
        assert_eq!(place.as_owner("alice", PASSWORD, "GET", path, Value::Null).await.0, 401, "{path}");
    }
    let change = json!({ "old": PASSWORD, "new": "another password of hers" });
    assert_eq!(place.as_owner("alice", PASSWORD, "POST", "/api/v1/me/password", change).await.0, 204);
    assert_eq!(place.as_owner("alice", PASSWORD, "GET", "/api/v1/me", Value::Null).await.0, 401);

    // In a browser, with forms.
    let session = place.log_in("alice", "another password of hers").await.unwrap();
    let (status, page) = place.page("/account", Some(&session)).await;
    assert!(status == 200 && page.contains("developer@team") && page.contains(">one<"), "{page}");
    assert_eq!(place.page("/account", None).await.0, 303);
    let form = async |path: &str, body: &'static str| {
        let request = place.request("POST", path).header("cookie", format!("cofferdam={session}"));
        let answer =
            request.header("content-type", "application/x-www-form-urlencoded").body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, page) = form("/account/tokens", "name=mine&scopes=reader%40team&days=3").await;
    let token = page.split("<pre>").nth(1).and_then(|rest| rest.split("</pre>").next()).unwrap_or_default();
    assert!(status == 200 && token.starts_with("cft_"), "{page}");
    let me = place.as_who(token, "GET", "/api/v1/me", "").await.1;
    assert_eq!((&me["name"], &me["scopes"]), (&json!("alice"), &json!(["reader@team"])));
    let (status, page) = form("/account/tokens", "name=more&scopes=admin&days=").await;
    assert_eq!(status, 403, "{page}");
    let listed = place.as_who(token, "GET", "/api/v1/tokens", "").await.1["tokens"].as_array().unwrap().clone();
    let id = listed.iter().find(|token| token["name"] == "mine").unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(form(&format!("/account/tokens/{id}/remove"), "").await.0, 303);
    assert_eq!(place.as_who(token, "GET", "/api/v1/me", "").await.0, 401);
}

/// Many guesses at once are no more than one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_that_come_together_are_counted_too() {
    let mut place = Place::on_nothing(None);
    let clock = Simulated::from(1_800_000_000_000);
    place.clock = Clock::Simulated(clock.clone());
    place.start().await;
    place.somebody("alice", &["reader"]).await;
    let wrong = (0..20).map(|_| place.log_in("alice", "not the password"));
    assert!(futures_util::future::join_all(wrong).await.iter().all(Option::is_none));
    // However long that took: the wait is not over.
    clock.jump(-600_000);
    assert!(place.log_in("alice", PASSWORD).await.is_none(), "the name has to wait");
    clock.jump(1_200_000);
    assert!(place.log_in("alice", PASSWORD).await.is_some());
}

/// Two changes of somebody at once are both made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_somebody_undoes_no_other() {
    let place = Place::new().await;
    for round in 0..5 {
        let name = format!("alice{round}");
        place.somebody(&name, &["reader"]).await;
        let change = json!({ "old": PASSWORD, "new": "another password of hers" });
        let own = place.as_owner(&name, PASSWORD, "POST", "/api/v1/me/password", change);
        let admin = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            place.ask("PUT", &format!("/api/v1/people/{name}"), json!({ "disabled": true })).await
        };
        let _ = tokio::join!(own, admin);
        let people = place.ask("GET", "/api/v1/people", Value::Null).await;
        let alice = people["people"].as_array().unwrap().iter().find(|one| one["name"] == *name).unwrap().clone();
        assert_eq!(alice["disabled"], true, "{alice}");
    }
}

/// One that is sent away is away, and its key is worth nothing.
#[tokio::test]
async fn an_agent_is_sent_away() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let id = place.trigger().await;
    agent.take("node { sh 'make' }").await;
    let listed = place.ask("GET", "/api/v1/agents", Value::Null).await["agents"][0].clone();
    let path = format!("/api/v1/agents/{}", listed["id"]);
    let reader = place.somebody("reader", &["reader"]).await;
    assert_eq!(place.as_who(&reader, "DELETE", &path, "").await.0, 403);
    assert_eq!(place.as_who(&place.admin(), "DELETE", &path, "").await.0, 204);
    assert_eq!(place.as_who(&place.admin(), "DELETE", &path, "").await.0, 404);
    while agent.hear().await.is_some() {}
    let request = place.request("GET", "/agent/v1/connect").bearer_auth(&key).header("connection", "upgrade");
    let request = request.header("upgrade", "websocket").header("sec-websocket-version", "13");
    assert_eq!(request.header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==").send().await.unwrap().status(), 401);
    // What it had is another's, under a key of its own, and that may have its name.
    let key = place.enrol("one").await;
    let mut other = place.agent(&key, &[]).await;
    let lease = other.take("node { sh 'make' }").await;
    assert!(lease.run.0 == id && lease.epoch > 1, "{lease:?}");
}

/// A run that a role has begun does what it does: no role of its own goes along with it.
#[tokio::test]
async fn who_asked_is_in_the_audit_and_in_the_cause() {
    let place = Place::new().await;
    let token = place.somebody("dev", &["developer"]).await;
    let key = place.enrol("one").await;
    let (status, run) = place.as_who(&token, "POST", "/api/v1/projects/app/runs", "{}").await;
    assert_eq!((status, &run["causes"][0]["description"]), (201, &json!("Started by user dev")));
    let mut agent = place.agent(&key, &[]).await;
    agent.take("node { sh 'make' }").await;
    agent.work(|message| matches!(message, ToAgent::Perform { request: Request::Exec { .. }, .. })).await;
}

/// What a project says of people is theirs there, and nowhere else; and it says no more than who has said it may.
#[tokio::test]
async fn a_project_says_who_may_do_what() {
    let place = Place::new().await;
    let source = json!({ "folder": "/nowhere" });
    let put = async |token: &str, name: &str, people: Value| {
        let config = json!({ "source": source, "people": people }).to_string();
        place.as_who(token, "PUT", &format!("/api/v1/projects/{name}"), &config).await.0
    };
    let admin = place.admin();
    assert_eq!(put(&admin, "team%2Fapp", json!({})).await, 200);
    assert_eq!(put(&admin, "team%2Fother", json!({})).await, 200);
    // A name that nobody has is nobody's: who takes it first would have what is said of it.
    assert_eq!(put(&admin, "team", json!({ "alice": "maintainer" })).await, 400);
    let alice = place.somebody("alice", &["reader@elsewhere"]).await;
    // What is called as a folder is none because of that.
    assert_eq!(put(&admin, "team", json!({ "alice": "maintainer" })).await, 200);
    let lead = place.somebody("lead", &["maintainer@team/app"]).await;
    let may = async |token: &str, project: &str| {
        let see = place.as_who(token, "GET", &format!("/api/v1/projects/{project}"), "").await.0;
        (see, place.as_who(token, "POST", &format!("/api/v1/projects/{project}/runs"), "{}").await.0)
    };
    assert_eq!(may(&alice, "team%2Fapp").await, (404, 404));
    assert_eq!(put(&lead, "team%2Fapp", json!({ "alice": "developer", "lead": "maintainer" })).await, 200);
    assert_eq!(may(&alice, "team%2Fapp").await, (200, 201), "at once, with the token that she has");
    assert_eq!(may(&alice, "team%2Fother").await, (404, 404));
    let me = place.as_who(&alice, "GET", "/api/v1/me", "").await.1;
    assert!(me["grants"].to_string().contains("developer@team/app"), "{me}");
    // With her password as with a token, and with a token no more than that.
    let (status, made) = place
        .as_owner("alice", PASSWORD, "POST", "/api/v1/tokens", json!({ "name": "r", "scopes": ["reader@team/app"] }))
        .await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(may(made["token"].as_str().unwrap(), "team%2Fapp").await, (200, 403));
    // Nobody makes anybody what they are not themselves.
    assert_eq!(put(&alice, "team%2Fapp", json!({ "alice": "maintainer" })).await, 403);
    assert_eq!(put(&lead, "team%2Fapp", json!({ "lead": "admin" })).await, 403);
    assert_eq!(put(&admin, "team%2Fapp", json!({ "lead": "admin" })).await, 400);
    assert_eq!(put(&admin, "team%2Fapp", json!({ "alice": "owner" })).await, 400);
    // Everybody who may come in; and what is said no more is no more.
    let bob = place.somebody("bob", &["reader@elsewhere"]).await;
    assert_eq!(put(&lead, "team%2Fapp", json!({ "*": "reader" })).await, 200);
    assert_eq!([may(&alice, "team%2Fapp").await, may(&bob, "team%2Fapp").await], [(200, 403); 2]);
    assert_eq!(place.as_who("cft_nobody", "GET", "/api/v1/projects/team%2Fapp", "").await.0, 401);
    assert_eq!(put(&lead, "team%2Fapp", json!({})).await, 200);
    assert_eq!(may(&bob, "team%2Fapp").await, (404, 404));
}
