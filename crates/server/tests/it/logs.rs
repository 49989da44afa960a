//! Logs of runs that are over lie in blobs, and nobody who reads them sees where they are.

use std::path::PathBuf;
use std::time::Duration;

use model::request::Reply;
use serde_json::{Value, json};
use wire::agent::{FromAgent, ToAgent};

use crate::agent::{Place, is_exec, line};
use crate::artifacts::files;

fn blobs(place: &Place) -> Vec<PathBuf> {
    files(&place.folder.path().join("blobs/logs"))
}

/// House is kept when a project is given its configuration. Until there are so many blobs.
async fn until(place: &Place, count: usize, keep: Option<u64>) -> Vec<PathBuf> {
    for _ in 0..1000 {
        let config = json!({ "source": { "folder": "/nowhere" }, "keep_runs": keep });
        place.ask("PUT", "/api/v1/projects/app", config).await;
        let found = blobs(place);
        if found.len() == count {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?} are not {count}", blobs(place));
}

#[tokio::test]
async fn a_log_is_read_where_it_lies() {
    let mut place = Place::new().await;
    let key = place.enrol("one").await;
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("node { sh 'make' }").await;
    let ToAgent::Perform { id: request, .. } = agent.work(is_exec).await else { panic!() };
    for at in 0..60 {
        let items = (0..100).map(|number| line(&format!("line {}", at * 100 + number))).collect();
        agent.say(&FromAgent::Report { lease, first: at * 100, items }).await;
    }
    agent.work(|message| matches!(message, ToAgent::Kept { reported: 6000, .. })).await;
    agent.answer(lease, request, Reply::Exited { code: 0, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    let lines = place.wait_for_end(id).await["lines"].as_u64().unwrap();

    let of_run = |from: u64| format!("/api/v1/runs/{id}/log?from={from}");
    let console = format!("/job/app/{}/consoleText", place.run(id).await["number"]);
    let live = format!("/api/v1/runs/{id}/log/live?from=5990");
    let read = async |place: &Place| {
        let mut all = Vec::new();
        for path in [of_run(0), of_run(5000), of_run(4321), console.clone(), live.clone()] {
            all.push(place.ask("GET", &path, Value::Null).await.as_str().unwrap().to_owned());
        }
        all
    };
    let before = read(&place).await;
    let found = until(&place, 1, None).await;
    assert!(found[0].starts_with(place.folder.path().join(format!("blobs/logs/{id}"))), "{found:?}");
    assert_eq!(read(&place).await, before);
    place.restart().await;
    assert_eq!(read(&place).await, before);
    assert_eq!(before[3].lines().count() as u64, lines);

    // Without its blob it is the log that cannot be had, and nothing else of the run.
    let elsewhere = place.folder.path().join("elsewhere");
    std::fs::rename(&found[0], &elsewhere).unwrap();
    let (status, said) = place.as_admin("GET", &of_run(0), &Value::Null).await;
    assert_eq!((status, said["error"].as_str().unwrap().contains("place for blobs")), (410, true), "{said}");
    let told = place.ask("GET", &live, Value::Null).await;
    let data = told.as_str().unwrap().strip_prefix("event: failed\ndata: ").expect("it says so, and ends");
    assert_eq!(serde_json::from_str::<Value>(data).unwrap(), said);
    assert_eq!(place.run(id).await["lines"], lines);
    std::fs::rename(&elsewhere, &found[0]).unwrap();
    assert_eq!(read(&place).await, before);

    // Where the place for blobs is away, it may be back: the stream ends, and who follows asks again.
    let folder = place.folder.path().join("blobs");
    std::fs::rename(&folder, &elsewhere).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    assert_eq!(place.as_admin("GET", &of_run(0), &Value::Null).await.0, 503);
    assert_eq!(place.ask("GET", &live, Value::Null).await, "");
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&elsewhere, &folder).unwrap();
    assert_eq!(read(&place).await, before);

    // It goes with its run.
    until(&place, 0, Some(0)).await;
}

/// A place that takes nothing costs no line.
#[tokio::test]
async fn a_log_stays_where_it_is_while_there_is_no_place_for_it() {
    let place = Place::new().await;
    let folder = place.folder.path().join("blobs");
    std::fs::remove_dir(&folder).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    let key = place.enrol("one").await;
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("echo 'said'").await;
    agent.give_back(lease).await;
    place.wait_for_end(id).await;
    // The second is asked for when the first has been looked at.
    for _ in 0..3 {
        place.ask("PUT", "/api/v1/projects/app", json!({ "source": { "folder": "/nowhere" } })).await;
        assert!(place.log(id).await.contains("said\n"));
    }
    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    until(&place, 1, None).await;
    assert!(place.log(id).await.contains("said\n"));
}

/// An agent that lies is not believed in the length of its lines, and who reads takes no more at once than is good for the server.
#[tokio::test]
async fn long_lines_are_cut_and_read_in_pieces() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let id = place.trigger().await;
    let lease = agent.take("node { sh 'make' }").await;
    let ToAgent::Perform { id: request, .. } = agent.work(is_exec).await else { panic!() };
    agent.say(&FromAgent::Report { lease, first: 0, items: vec![line(&"ä".repeat(2 << 20))] }).await;
    agent.work(|message| matches!(message, ToAgent::Kept { .. })).await;
    let log = place.log(id).await;
    let longest = log.lines().map(str::len).max().unwrap();
    assert!((60_000..70_000).contains(&longest), "{longest}");

    let (mut first, wide) = (1, line(&"x".repeat(64 << 10)));
    for _ in 0..8 {
        agent.say(&FromAgent::Report { lease, first, items: vec![wide.clone(); 50] }).await;
        first += 50;
        agent.work(|message| matches!(message, ToAgent::Kept { reported, .. } if *reported == first)).await;
    }
    agent.answer(lease, request, Reply::Exited { code: 0, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    place.wait_for_end(id).await;
    let whole = place.jenkins("GET", "/job/app/1/consoleText").await.text;
    assert!(whole.len() > 400 * (64 << 10), "all of it, piece by piece: {}", whole.len());
    let piece = place.jenkins("GET", "/job/app/1/logText/progressiveText?start=0").await;
    assert!(piece.more && piece.text.len() < 20 << 20, "{}", piece.text.len());
}
