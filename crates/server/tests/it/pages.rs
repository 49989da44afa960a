//! Pages without JavaScript: what waits and why, who is there, and all of a list, however long it is.

use serde_json::{Value, json};
use wire::agent::{FromAgent, ToAgent};

use crate::agent::{Place, is_exec, line};

async fn session(place: &Place) -> String {
    let request = place.request("POST", "/login").header("content-type", "application/x-www-form-urlencoded");
    let answer = request.body(format!("token={}", place.admin())).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    cookie.strip_prefix("cofferdam=").unwrap().split(';').next().unwrap().to_owned()
}

/// Where a page leads to with this word.
fn link(page: &str, rel: &str) -> Option<String> {
    let before = page.split(&format!("\" rel=\"{rel}\"")).next().filter(|before| before.len() < page.len())?;
    Some(before.rsplit("href=\"").next()?.replace("&amp;", "&"))
}

#[tokio::test]
async fn what_waits_is_on_pages() {
    let place = Place::new().await;
    place.ask("PUT", "/api/v1/projects/other", json!({ "source": { "folder": "/nowhere" } })).await;
    for _ in 0..60 {
        place.trigger().await;
    }
    place.ask("POST", "/api/v1/projects/other/runs", json!({})).await;
    let session = session(&place).await;
    // All of it, page by page, in both orders.
    for (first, rel, of_first) in [("/queue", "next", "app #1<"), ("/", "next", "other #1<")] {
        let (mut path, mut found) = (Some(first.to_owned()), Vec::new());
        while let Some(at) = path {
            let (status, page) = place.page(&at, Some(&session)).await;
            assert_eq!(status, 200, "{page}");
            if found.is_empty() {
                assert!(page.contains(of_first), "{page}");
            }
            found.extend(page.split("href=\"/runs/").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
            path = link(&page, rel);
        }
        assert_eq!(found.len(), 61, "{first}");
    }
    let (_, page) = place.page("/queue", Some(&session)).await;
    assert!(page.contains("no agent is connected") && page.contains("61 runs wait"), "{page}");
    // And over the API, of what one sees.
    let answer = place.ask("GET", "/api/v1/queue?limit=50", Value::Null).await;
    let rest = place.ask("GET", &format!("/api/v1/queue?after={}", answer["next_after"]), Value::Null).await;
    let count = |answer: &Value| answer["queue"].as_array().unwrap().len();
    assert_eq!((count(&answer), count(&rest), &rest["next_after"]), (50, 11, &Value::Null));
    let of_other = place.ask("GET", "/api/v1/queue?project=other&limit=1", Value::Null).await;
    assert_eq!((count(&of_other), &of_other["queue"][0]["project"]), (1, &json!("other")));

    let key = place.enrol("one").await;
    let (_, page) = place.page("/agents", Some(&session)).await;
    assert!(page.contains(">one<") && page.contains(">away<"), "{page}");
    let _agent = place.agent(&key, &[]).await;
    place.waits_for(60, "taken").await;
    let (_, page) = place.page("/agents", Some(&session)).await;
    assert!(page.contains(">connected<") && page.contains("microvm"), "{page}");
}

/// What `BUILD_URL` leads to is the page of the run, with all of its log.
#[tokio::test]
async fn a_run_is_found_where_jenkins_would_have_it() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("node { sh 'make' }").await;
    agent.work(is_exec).await;
    let items = (0..4500).map(|number| line(&format!("line {number}"))).collect();
    agent.say(&FromAgent::Report { lease, first: 0, items }).await;
    agent.work(|message| matches!(message, ToAgent::Kept { reported: 4500, .. })).await;
    let session = session(&place).await;
    let (_, page) = place.page(&format!("/runs/{id}"), Some(&session)).await;
    assert!(page.contains("Code: <b>protected</b>") && page.contains("Started by user admin"), "{page}");
    for path in ["/job/app/1/", "/job/app/1/console", "/job/app/1/display/redirect"] {
        let request = place.request("GET", path).header("cookie", format!("cofferdam={session}"));
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()), (303, "/runs/1"));
        let (status, _) = place.page(path, None).await;
        assert_eq!(status, 303, "to log in");
    }
    let (_, page) = place.page(&format!("/runs/{id}"), Some(&session)).await;
    assert!(page.contains("line 4499\n") && !page.contains("line 1000\n") && page.contains("/runs/1/log"), "{page}");
    let (mut path, mut log) = (Some("/runs/1/log".to_owned()), String::new());
    while let Some(at) = path {
        let (_, page) = place.page(&at, Some(&session)).await;
        log += page.split("<pre>").nth(1).unwrap().split("</pre>").next().unwrap();
        path = link(&page, "next");
    }
    let of_agent: Vec<_> = log.lines().filter(|line| line.starts_with("line ")).collect();
    assert_eq!((of_agent.len(), of_agent[4321]), (4500, "line 4321"));
}
