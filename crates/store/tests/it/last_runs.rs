//! Which run is the last of its kind, whatever is newer. Each case takes a database with nothing in it.

use model::event::Event;
use model::ids::RunId;
use model::outcome::Outcome;
use model::run::{MAX_PAST_CHARS, MAX_PAST_RUNS, PastRun, RunFacts};
use model::rung::Trust;
use store::{Act, NewRun, Store};

use crate::cases::{alice, end, put};

/// A run of `app` with these variables.
async fn run(store: &Store, env: &[(&str, &str)], revision: Option<&str>, trust: Trust) -> RunId {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let facts = RunFacts { env, ..RunFacts::default() };
    let new = NewRun { facts, revision: revision.map(str::to_owned), trust: Some(trust), ..NewRun::default() };
    store.create_run(&alice(), "app", new, 20).await.unwrap().id
}

pub async fn what_ended_so_last_is_found(store: Store) {
    let (app, other) = (put(&store, "app").await, put(&store, "other").await);
    let mut ids = Vec::new();
    for (branch, outcome) in [
        ("main", Outcome::Success),
        ("main", Outcome::Unstable),
        ("topic", Outcome::Failure),
        ("main", Outcome::Aborted),
    ] {
        let id = run(&store, &[("BRANCH_NAME", branch)], None, Trust::Member).await;
        assert!(store.finish_run(id, &end(outcome), 30).await.unwrap());
        ids.push(id);
    }
    for _ in 0..110 {
        run(&store, &[("BRANCH_NAME", "PR-7"), ("CHANGE_ID", "7")], None, Trust::Stranger).await;
    }
    let last = async |branch: Option<&str>, outcomes: &[Outcome]| {
        store.last_ended(app.id, branch, outcomes).await.unwrap().map(|run| run.id)
    };
    assert_eq!(last(None, &[Outcome::Success]).await, Some(ids[0]));
    assert_eq!(last(None, &[Outcome::Success, Outcome::Unstable]).await, Some(ids[1]));
    assert_eq!(last(None, &[Outcome::Failure, Outcome::Success]).await, Some(ids[2]));
    assert_eq!(last(Some("main"), &[Outcome::Failure, Outcome::Success]).await, Some(ids[0]));
    assert_eq!(last(Some("main"), &[Outcome::Aborted, Outcome::Failure]).await, Some(ids[3]));
    assert_eq!(last(Some("topic"), &[Outcome::Failure]).await, Some(ids[2]));
    let there_is_none: [(Option<&str>, &[Outcome]); 5] = [
        (None, &[Outcome::NotBuilt]),
        (None, &[]),
        (Some("topic"), &[Outcome::Success]),
        (Some("PR-7"), &[Outcome::Success, Outcome::Aborted]),
        (Some("none"), &[Outcome::Success]),
    ];
    for (branch, outcomes) in there_is_none {
        assert_eq!(last(branch, outcomes).await, None, "{branch:?}: {outcomes:?}");
    }
    assert!(store.last_ended(other.id, None, &[Outcome::Success]).await.unwrap().is_none());
}

/// Each run knows of those of its branch that were over when it was asked for: the last ten, and the last good one.
pub async fn a_run_knows_those_before_it(store: Store) {
    put(&store, "app").await;
    let history = async |branch: &str| {
        let env = vec![("BRANCH_NAME".to_owned(), branch.to_owned())];
        let new = NewRun { facts: RunFacts { env, ..RunFacts::default() }, ..NewRun::default() };
        let facts = store.create_run(&alice(), "app", new, 20).await.unwrap().facts;
        assert_eq!(facts.previous_number, facts.history.first().map(|past| past.number));
        assert_eq!(facts.previous, facts.history.first().map(|past| past.outcome));
        facts.history
    };
    let main: &[(&str, &str)] = &[("BRANCH_NAME", "main")];
    let numbers = |history: &[PastRun]| history.iter().map(|past| past.number).collect::<Vec<_>>();
    assert!(history("main").await.is_empty());
    let first = run(&store, main, None, Trust::Member).await;
    let (name, description) = (Some("1.0".to_owned()), Some("ä".repeat(MAX_PAST_CHARS + 1)));
    let described = [Act::Event(Event::RunDescribed { name, description })];
    store.lease_run(first, 0, 1, 25).await.unwrap();
    store.heard(first, (1, 1), &described, 26).await.unwrap();
    store.finish_run(first, &end(Outcome::Success), 1025).await.unwrap();
    let expect = PastRun {
        number: 2,
        outcome: Outcome::Success,
        display_name: Some("1.0".to_owned()),
        description: Some("ä".repeat(MAX_PAST_CHARS)),
        started_at_ms: 25,
        duration_ms: 1000,
    };
    assert_eq!(history("main").await, [expect]);
    assert!(history("topic").await.is_empty());
    for _ in 0..MAX_PAST_RUNS {
        let id = run(&store, main, None, Trust::Member).await;
        store.finish_run(id, &end(Outcome::Failure), 30).await.unwrap();
    }
    let known = history("main").await;
    assert_eq!(numbers(&known), [14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 2]);
    assert_eq!((known[0].started_at_ms, known[0].duration_ms, &known[0].display_name), (20, 10, &None));
    let id = run(&store, main, None, Trust::Member).await;
    store.finish_run(id, &end(Outcome::Success), 30).await.unwrap();
    assert_eq!(numbers(&history("main").await), [16, 14, 13, 12, 11, 10, 9, 8, 7, 6], "that one is good");
}

/// Variables, a revision, and whose code it is.
type Asked<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>, Trust);

pub async fn a_project_stands_as_its_default_branch_does(store: Store) {
    let (app, other) = (put(&store, "app").await, put(&store, "other").await);
    let last = async |branch: Option<&str>| store.last_of_default(app.id, branch).await.unwrap().map(|run| run.id);
    let is_running_in = async |project, branch: Option<&str>| {
        let running = store.running().await.unwrap();
        running.iter().any(|of| of.project == project && of.is_of_default(branch))
    };
    let is_running = async |branch: Option<&str>| is_running_in(app.id, branch).await;
    let main: &[_] = &[("BRANCH_NAME", "main")];
    let finish = async |id, outcome| assert!(store.finish_run(id, &end(outcome), 30).await.unwrap());
    let is_leased = async |id| assert_eq!(store.lease_run(id, 0, 1, 25).await.unwrap(), 1);
    assert_eq!(last(Some("main")).await, None);
    // Of when it had no branches.
    let first = run(&store, &[], None, Trust::Protected).await;
    assert_eq!(last(Some("main")).await, None, "it has not ended");
    finish(first, Outcome::Success).await;
    assert_eq!((last(Some("main")).await, last(None).await), (Some(first), Some(first)));
    let second = run(&store, main, None, Trust::Protected).await;
    finish(second, Outcome::Failure).await;
    let says_nothing: [Asked; 7] = [
        (&[("BRANCH_NAME", "main"), ("TAG_NAME", "main")], Some("refs/tags/main"), Trust::Member),
        (main, Some("refs/heads/main"), Trust::Stranger),
        (&[("BRANCH_NAME", "topic")], Some("topic"), Trust::Member),
        (&[("BRANCH_NAME", "PR-7"), ("CHANGE_ID", "7")], Some("refs/heads/main"), Trust::Member),
        (&[("BRANCH_NAME", "main"), ("CHANGE_ID", "7")], Some("refs/heads/main"), Trust::Member),
        (&[("CHANGE_ID", "7")], None, Trust::Member),
        (&[], Some("0123456789abcdef0123456789abcdef01234567"), Trust::Member),
    ];
    for (env, revision, trust) in says_nothing {
        let id = run(&store, env, revision, trust).await;
        is_leased(id).await;
        assert!(!is_running(Some("main")).await, "{env:?} {revision:?}");
        finish(id, Outcome::Success).await;
        assert_eq!(last(Some("main")).await, Some(second), "{env:?} {revision:?}");
    }
    for _ in 0..30 {
        run(&store, &[("BRANCH_NAME", "PR-8"), ("CHANGE_ID", "8")], None, Trust::Member).await;
    }
    assert_eq!((last(Some("main")).await, last(None).await), (Some(second), Some(first)));
    for revision in [None, Some("main"), Some("refs/heads/main")] {
        let id = run(&store, main, revision, Trust::Member).await;
        assert!(!is_running(Some("main")).await, "it waits");
        is_leased(id).await;
        assert!(is_running(Some("main")).await && !is_running(None).await && !is_running(Some("topic")).await);
        assert!(!is_running_in(other.id, Some("main")).await);
        finish(id, Outcome::Unstable).await;
        assert_eq!((last(Some("main")).await, is_running(Some("main")).await), (Some(id), false));
    }
    assert!(store.last_of_default(other.id, Some("main")).await.unwrap().is_none());
    // What somebody calls a parameter makes no pull request of it.
    let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let facts = RunFacts { env: pair("BRANCH_NAME", "main"), params: pair("CHANGE_ID", "7"), ..RunFacts::default() };
    let new = NewRun { facts, trust: Some(Trust::Member), ..NewRun::default() };
    let with_parameter = store.create_run(&alice(), "app", new, 20).await.unwrap().id;
    finish(with_parameter, Outcome::Failure).await;
    assert_eq!(last(Some("main")).await, Some(with_parameter));
}
