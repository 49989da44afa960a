//! Agents that lie, and such as talk nonsense.

use std::io::Read as _;
use std::process::Stdio;

use model::event::{Event, LogSource};
use model::ids::{JobId, RequestId, RunId, StageId};
use model::library::{FileContent, Library, LibraryFile};
use model::request::{FoundFile, Reply, Request};
use serde_json::Value;
use wire::agent::{Definition, FromAgent, Item, Lease, LogLine, Offers, ToAgent, VERSION};
use wire::engine::Said;

use crate::agent::Place;

/// Everything that can be said of a lease.
fn everything(lease: Lease) -> Vec<FromAgent> {
    let line = LogLine { at: 1, step: None, stage: None, source: LogSource::Stdout, text: "a lie".into() };
    let definition = Definition { text: "echo 'a lie'".into(), ..Definition::default() };
    vec![
        FromAgent::Found { lease, definition: Ok(definition) },
        FromAgent::Said { lease, engine: 1, said: vec![Said::Waits] },
        FromAgent::EngineLost { lease, engine: 1, reason: "a lie".into() },
        FromAgent::Answered { lease, id: RequestId(1), reply: Reply::Done },
        FromAgent::Report { lease, first: 0, items: vec![Item::Line(line)] },
        FromAgent::Released { lease },
    ]
}

#[tokio::test]
async fn an_agent_changes_nothing_of_what_it_does_not_have() {
    let place = Place::new().await;
    let (one, two) = (place.enrol("one").await, place.enrol("two").await);
    let id = place.trigger().await;
    let mut good = place.agent(&one, &[]).await;
    let lease = good.take("node { sh 'make' }").await;
    good.work(|message| matches!(message, ToAgent::Perform { .. })).await;
    let mut liar = place.agent(&two, &[]).await;
    let older = Lease { epoch: lease.epoch - 1, ..lease };
    let nobodys = Lease { run: RunId(999), epoch: 1 };
    for of in [lease, Lease { epoch: lease.epoch + 1, ..lease }, older, nobodys] {
        for message in everything(of) {
            liar.say(&message).await;
            assert_eq!(liar.hear().await, Some(ToAgent::Release { lease: of, forget: true }), "{message:?}");
        }
    }
    // Nor does the one that has it, of a lease that it had.
    for message in everything(older) {
        good.say(&message).await;
        good.work(|told| *told == ToAgent::Release { lease: older, forget: true }).await;
    }
    let run = place.run(id).await;
    assert_eq!((&run["status"], &run["agent"]), (&"running".into(), &1.into()), "{run}");
    assert!(!place.log(id).await.contains("a lie"));
}

#[tokio::test]
async fn nonsense_ends_its_own_connection() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    for text in [
        "nonsense",
        "{}",
        "{\"hello\":{\"version\":1}}",
        &"[".repeat(100_000),
        "{\"report\":{\"lease\":{\"run\":-1,\"epoch\":1},\"first\":0,\"items\":[]}}",
    ] {
        let mut agent = place.agent(&key, &[]).await;
        agent.say_text(text).await;
        assert_eq!(agent.hear().await, None, "{}", &text[..text.len().min(40)]);
    }
    let hello = |version| FromAgent::Hello {
        version,
        runs: 1,
        held: Vec::new(),
        labels: Vec::new(),
        offers: Offers::default(),
    };
    for message in [hello(VERSION + 1), FromAgent::Released { lease: Lease { run: RunId(1), epoch: 1 } }] {
        let mut agent = place.connect(&key).await;
        agent.say(&message).await;
        assert_eq!(agent.hear().await, None, "it has to greet: {message:?}");
    }
    let mut twice = place.agent(&key, &[]).await;
    twice.say(&hello(VERSION)).await;
    assert_eq!(twice.hear().await, None);
    // Who is there is not troubled by any of that.
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    agent.take("echo 'x'").await;
    assert_eq!(place.run(id).await["status"], "running");
}

/// An engine that is none: what it says cannot be, and its run ends with that reason.
#[tokio::test]
async fn an_engine_that_lies_ends_its_run() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    for (said, reason) in [
        (vec![Said::Took { at: 1 }], "breaks its protocol"),
        (vec![Said::Diverged { reason: "no".into() }], "does not do again"),
        (vec![Said::Invalid { findings: Vec::new() }], "not valid"),
    ] {
        let id = place.trigger().await;
        let mut agent = place.agent(&key, &[]).await;
        let lease = agent.take("echo 'x'").await;
        agent.work(|message| matches!(message, ToAgent::Tell { .. })).await;
        agent.say(&FromAgent::Said { lease, engine: 1, said }).await;
        agent.work(|message| matches!(message, ToAgent::Release { .. })).await;
        let run = place.wait_for_end(id).await;
        assert_eq!(run["outcome"], "FAILURE", "{run}");
        assert!(run["message"].as_str().is_some_and(|message| message.contains(reason)), "{run}");
    }
}

/// A place that two have is the later one's.
#[tokio::test]
async fn the_same_key_twice_is_one_agent() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let mut first = place.agent(&key, &[]).await;
    let id = place.trigger().await;
    let lease = first.take("node { sh 'make' }").await;
    let mut second = place.agent(&key, &[lease]).await;
    // Words for the engine of the first one may be on their way; then it begins anew.
    while !matches!(second.hear().await.expect("it is there"), ToAgent::Lease { .. }) {}
    // Whatever was on its way to the first one, nothing more is.
    while first.hear().await.is_some() {}
    assert_ne!(place.run(id).await["status"], Value::from("done"));
}

/// Who goes on and on without being heard is cut off, before what waits is more than the server has room for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_does_not_wait_is_cut_off() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("node { sh 'make' }").await;
    agent.work(|message| matches!(message, ToAgent::Perform { .. })).await;
    // Nothing can be written down, and so nothing is heard.
    let hold = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None); db.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()";
    let mut holder = std::process::Command::new("python3");
    holder.args(["-c", hold]).arg(place.folder.path().join("db")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut held = [0; 5];
    holder.stdout.take().unwrap().read_exact(&mut held).unwrap();
    let text = "x".repeat(1 << 20);
    for first in 0..10 {
        let line = LogLine { at: 1, step: None, stage: None, source: LogSource::Stdout, text: text.clone() };
        agent.say(&FromAgent::Report { lease, first, items: vec![Item::Line(line)] }).await;
    }
    while agent.hear().await.is_some() {}
    drop(holder.stdin.take());
    holder.wait().unwrap();
    // Whoever comes in good order goes on with the run.
    let mut agent = place.agent(&key, &[lease]).await;
    let asked = agent.work(|message| matches!(message, ToAgent::Perform { .. })).await;
    assert!(matches!(asked, ToAgent::Perform { lease: of, .. } if of == lease));
    assert_eq!(place.run(id).await["status"], "running");
}

#[tokio::test]
async fn a_run_reads_only_so_much_into_its_pipeline() {
    let mib = || "x".repeat(1 << 20);
    let stdout = Reply::Exited { code: 0, stdout: Some(mib()), limit: None };
    let file = LibraryFile { path: "resources/x".to_owned(), content: FileContent::Text(mib()) };
    let library = Reply::Library(Library { files: vec![file], ..Library::default() });
    let found = FoundFile { path: "x".repeat(1 << 10), is_folder: false, bytes: 0, modified_s: 0 };
    let found = Reply::Found(vec![found; 1 << 10]);
    for (step, reply) in [
        ("sh(script: 'x', returnStdout: true)", stdout),
        ("library(\"tools${i}\")", library),
        ("findFiles(glob: \"*${i}\")", found),
    ] {
        let place = Place::new().await;
        let key = place.enrol("one").await;
        let id = place.trigger().await;
        let mut agent = place.agent(&key, &[]).await;
        let lease = agent.take(&format!("node {{ for (int i = 0; i < 9; i++) {{ {step} }} }}")).await;
        let mut count = 0;
        let reads = |request: &Request| {
            matches!(request, Request::Exec { .. } | Request::Library(_) | Request::FindFiles { .. })
        };
        let ends_turn = |message: &ToAgent| match message {
            ToAgent::Perform { request, .. } => reads(request),
            message => matches!(message, ToAgent::Release { .. }),
        };
        while let ToAgent::Perform { id, .. } = agent.work(ends_turn).await {
            count += 1;
            agent.answer(lease, id, reply.clone()).await;
        }
        agent.say(&FromAgent::Released { lease }).await;
        let ended = place.wait_for_end(id).await;
        assert!((4..=5).contains(&count) && ended["outcome"] == "FAILURE", "{step}: {count}, {ended}");
        assert!(ended["message"].as_str().unwrap().contains("more than 4 MiB into its pipeline"), "{step}: {ended}");
    }
}

/// The head of a message is enough to see that it is too long: its ten gigabytes need not come.
#[tokio::test]
async fn messages_that_are_too_long_end_their_connection() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    for bytes in [10 << 30, u64::MAX >> 1, wire::agent::MAX_MESSAGE_BYTES as u64 + 1] {
        let mut agent = place.agent(&key, &[]).await;
        // Source: RFC 6455, 5.2. A text, masked, of so many bytes.
        let head = [&[0x81, 0xff], &bytes.to_be_bytes()[..], &[0; 4], b"{"].concat();
        agent.say_bytes(&head).await;
        assert_eq!(agent.hear().await, None, "{bytes}");
    }
    let mut agent = place.agent(&key, &[]).await;
    let id = place.trigger().await;
    agent.take("echo 'x'").await;
    assert_eq!(place.run(id).await["status"], "running");
}

/// Whatever an agent calls things, pages show it as text.
#[tokio::test]
async fn names_are_text() {
    const SCRIPT: &str = "<script>alert(1)</script>";
    let place = Place::new().await;
    place.trigger().await;
    let mut agent = place.agent_that_offers("one", 1, &[SCRIPT], crate::agent::everything()).await;
    let lease = agent.take("node { sh 'make' }").await;
    agent.work(|message| matches!(message, ToAgent::Perform { .. })).await;
    let events = [
        Event::StageStarted { stage: StageId(50), parent: None, name: SCRIPT.into(), branch: false },
        Event::StageSkipped { stage: StageId(51), reason: SCRIPT.into() },
        Event::JobRequested { job: JobId(9), stage: None, agent: SCRIPT.into() },
    ];
    let line = LogLine { at: u64::MAX, step: None, stage: None, source: LogSource::Stdout, text: SCRIPT.into() };
    // Times before 1970 cannot be said; this one is in the year 292 million.
    let items = events.map(|event| Item::Event { at: u64::MAX, event }).into_iter().chain([Item::Line(line)]).collect();
    agent.say(&FromAgent::Report { lease, first: 0, items }).await;
    agent.work(|message| matches!(message, ToAgent::Kept { reported: 4, .. })).await;
    for (path, shows) in [("/".to_owned(), false), (format!("/runs/{}", lease.run.0), true)] {
        let page = place.ask("GET", &path, Value::Null).await.to_string();
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;") == shows, "{path}: {page}");
    }
}

/// Much of what an agent says is answered; one that does not listen to that is cut off, before what it has not read is more than the server has
/// room for.
#[tokio::test]
async fn an_agent_that_does_not_listen_is_cut_off() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let agent = place.agent(&key, &[]).await;
    let (mut out, back) = futures_util::StreamExt::split(agent.socket);
    let lie = serde_json::to_string(&FromAgent::Released { lease: Lease { run: RunId(999), epoch: 1 } }).unwrap();
    let mut said = 0;
    // As much as lies in sockets on the way comes on top of what the server remembers.
    while said < 3_000_000 {
        let message = tokio_tungstenite::tungstenite::Message::text(lie.clone());
        if futures_util::SinkExt::send(&mut out, message).await.is_err() {
            break;
        }
        said += 1;
    }
    assert!(said < 3_000_000, "it was never cut off");
    drop(back);
    // And greets no more with more than an agent can have.
    let mut agent = place.connect(&key).await;
    let held = vec![Lease { run: RunId(999), epoch: 1 }; 10_001];
    let (runs, labels, offers) = (1, Vec::new(), Offers::default());
    agent.say(&FromAgent::Hello { version: VERSION, runs, held, labels, offers }).await;
    assert_eq!(agent.hear().await, None);
}
