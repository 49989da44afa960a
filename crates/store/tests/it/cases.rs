//! The cases. Each takes a database with nothing in it.

use model::event::{Event, LogSource};
use model::ids::{JobId, RequestId, RunId};
use model::outcome::Outcome;
use model::request::{AgentSpec, Reply, Request};
use model::run::{BuildCause, RunEnd, RunFacts};
use model::rung::{Needs, Rung, Trust};
use model::test_result::TestStatus;
use serde_json::json;
use store::{
    Act, Actor, Approved, NewRun, NewToken, Old, Project, Run, RunFilter, Status, Store, StoreError, TokenKind,
};
use wire::agent::{Definition, Item, LogLine};
use wire::engine::{Entry, Input};

use crate::logs;
use crate::people;
use crate::test_results;

fn definition(text: &str, commit: Option<&str>) -> Definition {
    Definition { text: text.into(), commit: commit.map(str::to_owned), ..Definition::default() }
}

pub fn alice() -> Actor {
    Actor("user:alice".into())
}

pub async fn put(store: &Store, name: &str) -> Project {
    let (config, told) = (json!({ "url": "https://example.org/app.git", "secret": "s3cret" }), json!({ "url": "…" }));
    store.put_project(&alice(), name, &config, &told, 10).await.unwrap()
}

pub async fn create(store: &Store, project: &str) -> Run {
    let cause = BuildCause { class: "x".into(), description: "by hand".into(), user: Some("alice".into()) };
    let facts = RunFacts { causes: vec![cause], has_scm: true, ..RunFacts::default() };
    store
        .create_run(&alice(), project, NewRun { facts, revision: Some("main".into()), ..NewRun::default() }, 20)
        .await
        .unwrap()
}

async fn enrol(store: &Store, name: &str, secret: &str, expires_at: Option<u64>) {
    let token = NewToken { kind: TokenKind::Enrol, name, owner: None, scopes: None, expires_at };
    store.add_token(&alice(), &token, secret, 10).await.unwrap();
}

pub fn end(outcome: Outcome) -> RunEnd {
    RunEnd { outcome, failure: None, timed_out: false, aborted: false, message: Some("why".into()) }
}

pub async fn projects_and_runs(store: Store) {
    let app = put(&store, "folder/app").await;
    assert_eq!(put(&store, "folder/app").await, app, "the same once more changes nothing");
    put(&store, "other").await;
    let names: Vec<_> = store.projects().await.unwrap().into_iter().map(|project| project.name).collect();
    assert_eq!(names, ["folder/app", "other"]);
    assert!(store.project("none").await.unwrap().is_none());
    assert!(matches!(
        store.create_run(&alice(), "none", NewRun::default(), 1).await,
        Err(StoreError::Missing { what: "project", .. })
    ));

    let mut ids = Vec::new();
    for number in 1..=5 {
        let run = create(&store, "folder/app").await;
        assert_eq!((run.number, run.facts.build_number, run.status), (number, number, Status::Queued));
        assert_eq!((run.facts.job_name.as_str(), run.project_name.as_str()), ("folder/app", "folder/app"));
        ids.push(run.id);
    }
    create(&store, "other").await;
    let page = |before, limit| RunFilter { projects: Some(vec![app.id]), before, limit, ..RunFilter::default() };
    let first = store.runs(&page(None, 2)).await.unwrap();
    let second = store.runs(&page(Some(first[1].id), 9)).await.unwrap();
    let numbers = |runs: &[Run]| runs.iter().map(|run| run.number).collect::<Vec<_>>();
    assert_eq!((numbers(&first), numbers(&second)), (vec![5, 4], vec![3, 2, 1]));
    assert_eq!(store.run_of("folder/app", 2).await.unwrap().unwrap().id, ids[1]);

    assert!(store.finish_run(ids[4], &end(Outcome::Unstable), 50).await.unwrap());
    assert!(!store.finish_run(ids[4], &end(Outcome::Success), 60).await.unwrap(), "a run ends once");
    let run = store.run(ids[4]).await.unwrap().unwrap();
    assert_eq!((run.status, run.outcome, run.ended_at), (Status::Done, Some(Outcome::Unstable), Some(50)));
    let after = create(&store, "folder/app").await;
    assert_eq!((after.facts.previous, after.facts.previous_number), (Some(Outcome::Unstable), Some(run.number)));
    let unfinished = RunFilter { unfinished: true, limit: 100, ..RunFilter::default() };
    assert_eq!(store.runs(&unfinished).await.unwrap().len(), 6);
    assert!(!store.abort_run(&alice(), ids[4], "late", 70).await.unwrap());
    assert!(store.abort_run(&alice(), ids[0], "enough", 70).await.unwrap());
    assert_eq!(store.run(ids[0]).await.unwrap().unwrap().abort_reason.as_deref(), Some("enough"));
    assert!(store.run(RunId(999)).await.unwrap().is_none());
    // What asks twice gets one run.
    let twice = || NewRun { delivery: Some("delivery 1".into()), trust: Some(Trust::Stranger), ..NewRun::default() };
    let first = store.create_run(&alice(), "other", twice(), 80).await.unwrap();
    assert_eq!(
        (store.create_run(&alice(), "other", twice(), 81).await.unwrap().id, first.trust),
        (first.id, Trust::Stranger)
    );
    assert_eq!(create(&store, "other").await.number, first.number + 1, "no number is lost");
}

pub async fn a_lease_is_one_agents(store: Store) {
    put(&store, "app").await;
    let run = create(&store, "app").await;
    let first = store.lease_run(run.id, run.epoch, 1, 30).await.unwrap();
    assert_eq!(first, 1);
    // Who has not heard of that is too late.
    assert!(matches!(store.lease_run(run.id, run.epoch, 2, 31).await, Err(StoreError::Stale { .. })));
    assert_eq!(store.lease_run(run.id, first, 2, 32).await.unwrap(), 2);
    let run = store.run(run.id).await.unwrap().unwrap();
    assert_eq!((run.status, run.agent, run.started_at), (Status::Running, Some(2), Some(30)));
    store.set_definition(run.id, &definition("echo 1", Some("c0ffee")), None, 30).await.unwrap();
    store.set_definition(run.id, &definition("echo 1", None), None, 31).await.unwrap();
    assert!(
        store.set_definition(run.id, &definition("echo 2", None), None, 32).await.is_err(),
        "a run has one definition"
    );
    assert_eq!(store.run(run.id).await.unwrap().unwrap().commit.as_deref(), Some("c0ffee"));
    // What its agent had is answered, and it waits again, in one change.
    let answers = [Input::Answer { id: RequestId(1), reply: Reply::Done }];
    assert!(store.requeue_run(run.id, 1, &answers, None, 35).await.is_err(), "of an older lease");
    store.requeue_run(run.id, 2, &answers, Some(90), 35).await.unwrap();
    assert_eq!(store.queued(10).await.unwrap().iter().map(|run| run.epoch).collect::<Vec<_>>(), [3]);
    let run = store.run(run.id).await.unwrap().unwrap();
    assert_eq!(store.journal(&run, "echo 1", "").await.unwrap().entries().len(), 1);
    assert_eq!(run.wakes_at, Some(90));
    assert_eq!(store.lease_run(run.id, 3, 2, 36).await.unwrap(), 4);
    assert_eq!(store.run(run.id).await.unwrap().unwrap().wakes_at, None, "it has what it waited for");
    // It turns out to need more than its agent has.
    let needs = Needs { engine: true, label: Some("a && b".into()), ..Needs::of_rung(Rung::Microvm) };
    assert!(
        matches!(store.move_run(run.id, 3, &needs, None, 37).await, Err(StoreError::Stale { .. })),
        "of an older lease"
    );
    store.move_run(run.id, 4, &needs, Some(38), 37).await.unwrap();
    let moved = store.run(run.id).await.unwrap().unwrap();
    assert_eq!((moved.status, moved.agent, moved.epoch, moved.needs), (Status::Queued, None, 5, Some(needs)));
    assert_eq!(store.lease_run(run.id, 5, 2, 38).await.unwrap(), 6);
    assert_eq!(store.run(run.id).await.unwrap().unwrap().wakes_at, Some(38), "it was time");
    store.heard(run.id, (0, 0), &[Act::Stay], 39).await.unwrap();
    assert_eq!(store.run(run.id).await.unwrap().unwrap().wakes_at, None, "it has heard that");
    store.finish_run(run.id, &end(Outcome::Success), 40).await.unwrap();
    assert!(store.lease_run(run.id, 6, 3, 50).await.is_err(), "it has ended");
}

pub async fn a_journal_is_as_it_was(store: Store) {
    put(&store, "app").await;
    let run = create(&store, "app").await;
    let empty = store.journal(&run, "echo 1", "Jenkinsfile").await.unwrap();
    assert_eq!((empty.entries().len(), empty.heard().0), (0, 0));
    let request = |id: u64| {
        let (job, agent) = (JobId(id), AgentSpec::Any);
        Act::Request(RequestId(id), Request::Allocate { job, agent, engine: None, shares: None })
    };
    let log = Event::Log { step: None, stage: None, source: LogSource::Step, text: "said \u{0} \"so\"".into() };
    store.heard(run.id, (3, u64::MAX), &[request(1), Act::Event(log), request(2)], 30).await.unwrap();
    let outstanding = store.outstanding(run.id).await.unwrap();
    assert_eq!(outstanding.iter().map(|one| one.id.0).collect::<Vec<_>>(), [1, 2]);
    assert!(store.events(run.id, 0, 10).await.unwrap().is_empty(), "a line is in the log");
    let said = logs::log(&store, run.id, 0, 10).await;
    assert_eq!((said.len(), said[0].text.as_str(), said[0].at), (1, "said \u{0} \"so\"", 30));
    let finished = Event::RunFinished { outcome: Outcome::Success };
    store.heard(run.id, (4, u64::MAX), &[Act::Event(finished.clone())], 31).await.unwrap();
    assert_eq!(store.events(run.id, 0, 10).await.unwrap(), [(1, 31, finished)]);

    let answer = Input::Answer { id: RequestId(1), reply: Reply::Done };
    store.add_input(run.id, 0, &answer).await.unwrap();
    let again = store.add_input(run.id, 0, &Input::Abort { reason: "x".into() }).await;
    assert!(matches!(again, Err(StoreError::Stale { .. })), "one place has one input");
    store.add_input(run.id, 1, &Input::Abort { reason: "x".into() }).await.unwrap();
    assert_eq!(store.outstanding(run.id).await.unwrap().len(), 1);
    store.heard(run.id, (5, u64::MAX), &[Act::Took(0, 7), Act::Cancel(RequestId(2))], 32).await.unwrap();
    assert!(
        store.outstanding(run.id).await.unwrap()[0].is_cancelled,
        "it is wanted to end, whoever keeps the run then"
    );
    let journal = store.journal(&run, "echo 1", "Jenkinsfile").await.unwrap();
    let abort = Input::Abort { reason: "x".into() };
    assert_eq!(journal.entries(), [Entry { input: answer, at: Some(7) }, Entry { input: abort, at: None }]);
    assert_eq!(journal.heard(), (5, u64::MAX));
    store.finish_run(run.id, &end(Outcome::Success), 40).await.unwrap();
    assert!(store.outstanding(run.id).await.unwrap().is_empty());
}

pub async fn who_may_come_in(store: Store) {
    enrol(&store, "one", "once", Some(100)).await;
    assert!(store.known(TokenKind::Api, "once", 11).await.unwrap().is_none(), "it is for agents");
    let agent = store.enrol_agent("once", "one", "key", 11).await.unwrap();
    assert!(store.enrol_agent("once", "two", "key2", 12).await.is_err(), "it was good once");
    enrol(&store, "two", "late", Some(100)).await;
    assert!(store.enrol_agent("late", "two", "key2", 100).await.is_err(), "it has expired");
    enrol(&store, "two", "more", None).await;
    assert!(matches!(store.enrol_agent("more", "one", "key2", 13).await, Err(StoreError::Exists { .. })));
    assert_eq!(store.enrol_agent("more", "two", "key2", 14).await.unwrap().id, agent.id + 1, "that cost no token");
    assert_eq!(store.agent_by_key("key", 30).await.unwrap().unwrap().name, "one");
    assert!(store.agent_by_key("once", 30).await.unwrap().is_none());
    let agents = store.agents().await.unwrap();
    assert_eq!(
        agents.iter().map(|agent| (agent.name.as_str(), agent.seen_at)).collect::<Vec<_>>(),
        [("one", Some(30)), ("two", Some(14))]
    );
}

pub async fn the_audit_is_a_chain(store: Store) {
    put(&store, "app").await;
    put(&store, "app").await;
    let run = create(&store, "app").await;
    store.lease_run(run.id, 0, 1, 30).await.unwrap();
    store.abort_run(&alice(), run.id, "enough", 40).await.unwrap();
    store.abort_run(&alice(), run.id, "again", 41).await.unwrap();
    store.finish_run(run.id, &end(Outcome::Aborted), 50).await.unwrap();
    let rows = store.audit(0, 100).await.unwrap();
    let actions: Vec<_> =
        rows.iter().map(|row| (row.actor.as_str(), row.action.as_str(), row.object.as_str())).collect();
    let id = run.id.to_string();
    let expect = [
        ("user:alice", "project.create", "app"),
        ("user:alice", "run.create", "app#1"),
        ("server", "run.lease", id.as_str()),
        ("user:alice", "run.abort", id.as_str()),
        ("server", "run.finish", id.as_str()),
    ];
    assert_eq!(actions, expect, "what changes nothing has no row");
    assert_eq!(store.verify_audit().await.unwrap(), Ok(5));
    assert!(!rows.iter().any(|row| row.detail.contains("s3cret")), "{rows:?}");
    // What fails leaves no row.
    assert!(store.create_run(&alice(), "none", NewRun::default(), 60).await.is_err());
    assert_eq!(store.verify_audit().await.unwrap(), Ok(5));
}

/// Numbers have no gap and the chain has no fork, whoever writes at the same time.
pub async fn many_at_once(store: Store) {
    put(&store, "app").await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut numbers = Vec::new();
                for _ in 0..6 {
                    numbers.push(create(&store, "app").await.number);
                }
                numbers
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.extend(task.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=96).collect::<Vec<_>>());
    assert_eq!(store.verify_audit().await.unwrap(), Ok(97));
    // Of many who want one run, one gets it.
    let run = store.run_of("app", 1).await.unwrap().unwrap();
    let tasks: Vec<_> = (0..16_u64)
        .map(|agent| {
            let store = store.clone();
            tokio::spawn(async move { store.lease_run(run.id, 0, agent, 30).await.is_ok() })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        winners += u32::from(task.await.unwrap());
    }
    assert_eq!(winners, 1);
}

pub async fn a_database_has_one_server(store: Store) {
    let claim = store.claim().await.unwrap();
    assert!(matches!(store.claim().await, Err(StoreError::InUse)));
    drop(claim);
    // A session of PostgreSQL ends a moment after its connection.
    let mut again = store.claim().await;
    for _ in 0..100 {
        if again.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        again = store.claim().await;
    }
    assert!(again.is_ok(), "{again:?}");
}

async fn filled(store: &Store) -> Run {
    put(store, "app").await;
    let run = create(store, "app").await;
    let lines: Vec<_> = (0..3000)
        .map(|number| {
            let text = format!("line {number} \u{1f600}");
            Item::Line(LogLine { at: 5, step: None, stage: None, source: LogSource::Stdout, text })
        })
        .collect();
    store.lease_run(run.id, 0, 1, 25).await.unwrap();
    store.report(run.id, 0, &lines).await.unwrap();
    let case = |number: u32| test_results::case(&format!("test {number}"), TestStatus::Passed);
    test_results::report(store, &run, 3000, (0..2500).map(case).collect()).await;
    store.finish_run(run.id, &end(Outcome::Success), 40).await.unwrap();
    people::take_in(store, "ci").await;
    people::give(store, TokenKind::Api, "ci", "cft_secret", None).await;
    run
}

/// Into an empty database, of either kind, and into no other.
pub async fn what_is_backed_up_is_restored(store: Store, other: Store) {
    let run = filled(&store).await;
    let mut written = Vec::new();
    let rows = store.backup(&mut written).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sqlite = crate::open(&format!("sqlite:{}/restored.db", folder.path().display())).await;
    for target in [&other, &sqlite] {
        assert_eq!(target.restore(written.as_slice()).await.unwrap(), rows);
        assert_eq!(target.run(run.id).await.unwrap(), store.run(run.id).await.unwrap());
        assert_eq!(logs::log(target, run.id, 0, 5000).await, logs::log(&store, run.id, 0, 5000).await);
        let tests = target.tests(run.id, None, 0, 5000).await.unwrap();
        assert_eq!((tests.len(), tests), (2500, store.tests(run.id, None, 0, 5000).await.unwrap()));
        assert_eq!(target.verify_audit().await.unwrap(), store.verify_audit().await.unwrap());
        assert_eq!(target.known(TokenKind::Api, "cft_secret", 60).await.unwrap().unwrap().owner, "ci");
        // Numbers go on where they were.
        assert_eq!(create(target, "app").await.number, 2);
        assert!(matches!(target.restore(written.as_slice()).await, Err(StoreError::Exists { .. })));
    }
    let empty = crate::open(&format!("sqlite:{}/empty.db", folder.path().display())).await;
    for wrong in [&b""[..], b"no backup", &written[..written.len() / 2]] {
        assert!(empty.restore(wrong).await.is_err());
        assert_eq!(empty.projects().await.unwrap().len(), 0, "half a backup is none");
    }
}

pub async fn old_runs_are_forgotten(store: Store) {
    let app = put(&store, "app").await;
    let mut ids = Vec::new();
    for at in 0..6 {
        let run = create(&store, "app").await;
        if at < 5 {
            store.finish_run(run.id, &end(Outcome::Success), 100 + at * 10).await.unwrap();
        }
        ids.push(run.id);
    }
    let forget = async |before, beyond| store.forget_runs(app.id, Old { before, beyond }, 2, 500).await.unwrap();
    assert_eq!(forget(None, None).await, 0, "who says nothing keeps all");
    assert_eq!(forget(Some(130), None).await, 2, "no more than so many at once");
    assert_eq!(forget(Some(130), None).await, 1);
    assert_eq!(forget(Some(130), None).await, 0);
    assert_eq!(forget(None, Some(2)).await, 1, "of the last two, one runs");
    let left = store.runs(&RunFilter { limit: 10, ..RunFilter::default() }).await.unwrap();
    assert_eq!(left.iter().map(|run| run.id).collect::<Vec<_>>(), [ids[5], ids[4]]);
    assert!(logs::log(&store, ids[0], 0, 10).await.is_empty());
    assert!(store.verify_audit().await.unwrap().is_ok());
    assert_eq!(create(&store, "app").await.number, 7);

    // What a forge is still to hear is kept, and what came once does not come again when its run is forgotten.
    let new =
        || NewRun { delivery: Some("one".into()), commit: Some("c".repeat(40)), reports: true, ..NewRun::default() };
    let run = store.create_run(&alice(), "app", new(), 600).await.unwrap();
    store.finish_run(run.id, &end(Outcome::Success), 610).await.unwrap();
    assert_eq!(forget(Some(700), None).await, 1, "the other one that has ended");
    assert!(store.run(run.id).await.unwrap().is_some());
    store.reported_state(run.id, "SUCCESS", 60).await.unwrap();
    assert_eq!(forget(Some(700), None).await, 1);
    assert!(matches!(store.create_run(&alice(), "app", new(), 800).await, Err(StoreError::Exists { .. })));
}

/// It stands there until it is heard; what has changed meanwhile is told instead.
pub async fn what_forges_are_to_hear(store: Store) {
    put(&store, "app").await;
    let new = NewRun { commit: Some("c".repeat(40)), reports: true, ..NewRun::default() };
    let run = store.create_run(&alice(), "app", new, 20).await.unwrap();
    create(&store, "app").await;
    let told = async || store.to_report(10).await.unwrap();
    assert_eq!(told().await, [(run.id, "queued".to_owned())]);
    store.lease_run(run.id, 0, 1, 30).await.unwrap();
    store.reported_state(run.id, "queued", 60).await.unwrap();
    assert_eq!(told().await, [(run.id, "running".to_owned())], "what was heard late is not the last word");
    store.reported_state(run.id, "running", 60).await.unwrap();
    assert_eq!(told().await, []);
    store.finish_run(run.id, &end(Outcome::Unstable), 40).await.unwrap();
    assert_eq!(told().await, [(run.id, "UNSTABLE".to_owned())]);

    assert_eq!(store.check_of(run.id).await.unwrap(), None);
    for number in [Some(1 << 40), None] {
        store.has_check(run.id, number, 60).await.unwrap();
        assert_eq!(store.check_of(run.id).await.unwrap(), number);
    }
    // What was told is known; what nobody told is not.
    let rows = store.audit(0, 100).await.unwrap();
    let of = |action: &str| {
        rows.iter().filter(|row| row.action == action).map(|row| row.detail.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of("run.report"), ["{\"state\":\"running\"}"]);
    assert_eq!(of("run.check"), ["{\"check\":1099511627776}", "{\"check\":null}"]);
}

pub async fn what_is_held_is_given_to_nobody(store: Store) {
    put(&store, "app").await;
    let held = NewRun { held: Some("a stranger's".into()), commit: Some("c".repeat(40)), ..NewRun::default() };
    let run = store.create_run(&alice(), "app", held, 20).await.unwrap();
    let free = create(&store, "app").await;
    let queued = async || store.queued(10).await.unwrap().iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(queued().await, [free.id]);
    let (commit, other) = ("c".repeat(40), "d".repeat(40));
    let places = vec!["a container of \"maven:3\"".to_owned()];
    let approved = Approved { definition: store::digest("echo 1"), places };
    let approve =
        async |id, commit: &str| store.approve_run(&alice(), id, (Some(commit), Some(&approved)), 30).await.unwrap();
    assert!(!approve(free.id, &commit).await && !approve(run.id, &other).await);
    assert!(approve(run.id, &commit).await);
    assert!(!approve(run.id, &commit).await, "once");
    assert_eq!(store.run(run.id).await.unwrap().unwrap().approved, Some(approved));
    assert_eq!(queued().await, [run.id, free.id]);
    let rows = store.audit(0, 100).await.unwrap();
    let last = rows.last().unwrap();
    assert!(last.action == "run.approve" && last.detail.contains(&commit), "{last:?}");
    assert!(last.detail.contains("maven:3") && last.detail.contains(&store::digest("echo 1")), "{last:?}");
}
