//! What runs have reported of tests.

use model::annotation::{Annotation, Level, MAX_OF_RUN};
use model::event::Event;
use model::ids::StepId;
use model::test_result::{MAX_DETAIL_CHARS, TestCase, TestCounts, TestStatus};
use store::{Actor, NewRun, Run, Store};
use wire::agent::{Item, Merge};

use crate::cases::{alice, put};

pub fn case(name: &str, status: TestStatus) -> TestCase {
    let message = (status == TestStatus::Failed).then(|| "expected 1".to_owned());
    TestCase { class: "a.B".into(), name: name.into(), status, ms: 12, message, detail: None }
}

async fn run_at(store: &Store, commit: &str) -> Run {
    let new = NewRun { revision: Some("main".into()), commit: Some(commit.into()), ..NewRun::default() };
    store.create_run(&Actor::server(), "app", new, 20).await.unwrap()
}

pub async fn report(store: &Store, run: &Run, first: u64, cases: Vec<TestCase>) {
    let event = Event::TestsReported { step: StepId(1), cases };
    store.report(run.id, first, &[Item::Event { at: 30, event }]).await.unwrap();
}

pub async fn remarks_are_cut_and_kept(store: Store) {
    put(&store, "app").await;
    let run = run_at(&store, "c1").await;
    let remark = |line: u32, message: &str| Annotation {
        path: "src/a.c".into(),
        first_line: line,
        last_line: 0,
        columns: Some((1, 2)),
        level: Level::Failure,
        title: Some("t\0".into()),
        message: message.into(),
    };
    let say = async |first, annotations| {
        let event = Event::Annotated { step: StepId(1), annotations };
        store.report(run.id, first, &[Item::Event { at: 30, event }]).await.unwrap();
    };
    say(0, vec![remark(0, &"x".repeat(10_000)), remark(7, "one")]).await;
    say(1, (0..2000).map(|line| remark(line, "many")).collect()).await;
    let kept = store.annotations(run.id, 5000).await.unwrap();
    assert_eq!(kept.len(), MAX_OF_RUN, "the first ones");
    assert_eq!((kept[0].first_line, kept[0].last_line, kept[0].message.len()), (1, 1, 4000));
    assert_eq!((kept[1].last_line, kept[1].title.as_deref()), (7, Some("t\u{fffd}")));
    assert_eq!(store.annotations(run.id, 2).await.unwrap(), kept[..2]);
}

pub async fn tests_are_counted_and_found(store: Store) {
    use TestStatus::{Failed, Passed, Skipped};
    put(&store, "app").await;
    let run = run_at(&store, "c1").await;
    let long = TestCase { detail: Some("x\0".repeat(MAX_DETAIL_CHARS)), ..case("long", Failed) };
    report(&store, &run, 0, vec![case("one", Passed), case("two", Failed)]).await;
    report(&store, &run, 1, vec![case("three", Skipped), long]).await;
    // An agent that has not heard says it again.
    report(&store, &run, 1, vec![case("three", Skipped)]).await;
    let counts = store.run(run.id).await.unwrap().unwrap().tests;
    assert_eq!(counts, TestCounts { failed: 2, skipped: 1, passed: 1 });
    let names = async |status, after, limit| {
        let found = store.tests(run.id, status, after, limit).await.unwrap();
        found.into_iter().map(|test| (test.seq, test.case.name)).collect::<Vec<_>>()
    };
    let named = |list: &[(u64, &str)]| list.iter().map(|(seq, name)| (*seq, (*name).to_owned())).collect::<Vec<_>>();
    assert_eq!(names(None, 0, 9).await, named(&[(1, "one"), (2, "two"), (3, "three"), (4, "long")]));
    assert_eq!(names(None, 2, 1).await, named(&[(3, "three")]));
    assert_eq!(names(Some(Failed), 0, 9).await, named(&[(2, "two"), (4, "long")]));
    let kept = store.tests(run.id, None, 3, 1).await.unwrap().remove(0).case;
    let detail = kept.detail.unwrap();
    assert!(detail.chars().count() == MAX_DETAIL_CHARS + 1 && !detail.contains('\0'));
    assert!(store.events(run.id, 0, 9).await.unwrap().is_empty(), "they are kept once");
}

pub async fn a_test_has_a_history(store: Store) {
    use TestStatus::{Failed, Passed};
    put(&store, "app").await;
    let project = store.project("app").await.unwrap().unwrap().id;
    for (commit, steady, flaky) in
        [("c1", Passed, Passed), ("c1", Passed, Failed), ("c2", Failed, Passed), ("c3", Failed, Passed)]
    {
        let run = run_at(&store, commit).await;
        report(&store, &run, 0, vec![case("steady", steady), case("flaky", flaky)]).await;
    }
    let past = store.test_history(project, "a.B", "flaky", None, 3).await.unwrap();
    let seen: Vec<_> = past.iter().map(|past| (past.number, past.status, past.commit.as_deref())).collect();
    assert_eq!(seen, [(4, Passed, Some("c3")), (3, Passed, Some("c2")), (2, Failed, Some("c1"))]);
    let rest = past.last().map(|last| (last.run, last.seq));
    let rest = store.test_history(project, "a.B", "flaky", rest, 3).await.unwrap();
    assert_eq!(rest.iter().map(|past| past.number).collect::<Vec<_>>(), [1]);
    assert!(store.test_history(project, "a.B", "unknown", None, 3).await.unwrap().is_empty());
    let flaky = store.flaky_tests(project, 9).await.unwrap();
    assert_eq!(flaky.len(), 1, "{flaky:?}");
    let found = &flaky[0];
    assert_eq!((&*found.name, found.runs, found.failed, found.flips, found.at_one_commit), ("flaky", 4, 1, 2, true));
    // A pull request whose target has broken it.
    let other = put(&store, "other").await.id;
    for (target, status) in [("t1", Passed), ("t2", Failed)] {
        let merge = Some(Merge { reference: "refs/heads/main".into(), commit: target.into() });
        let new = NewRun { commit: Some("c1".into()), merge, ..NewRun::default() };
        let run = store.create_run(&alice(), "other", new, 10).await.unwrap();
        report(&store, &run, 0, vec![case("merged", status)]).await;
    }
    assert!(store.flaky_tests(other, 9).await.unwrap().is_empty());
}
