//! Runs of commits that are merged first. Each case takes a database with nothing in it.

use model::outcome::Outcome;
use model::request::FailureKind;
use model::run::{RunEnd, RunFacts};
use model::rung::Trust;
use store::{NewRun, Run, Store};
use wire::agent::{Definition, Merge};

use crate::cases::{alice, put};

async fn run(store: &Store, trust: Trust, held: Option<&str>) -> Run {
    let merge = Merge { reference: "refs/heads/main".into(), commit: "b".repeat(40) };
    let commit = Some("a".repeat(40));
    let held = held.map(str::to_owned);
    let new = NewRun { merge: Some(merge), commit, trust: Some(trust), held, ..NewRun::default() };
    store.create_run(&alice(), "app", new, 10).await.unwrap()
}

/// It ends, as of this tree and by this definition.
async fn end(store: &Store, run: &Run, (tree, text): (&str, &str), (outcome, failure): (Outcome, Option<FailureKind>)) {
    found(store, run, tree, text).await;
    let end = RunEnd { outcome, failure, timed_out: false, aborted: false, message: None };
    assert!(store.finish_run(run.id, &end, 30).await.unwrap());
}

async fn found(store: &Store, run: &Run, tree: &str, text: &str) {
    store.lease_run(run.id, run.epoch, 1, 20).await.unwrap();
    let found = Definition { text: text.into(), commit: None, tree: Some(tree.into()), ..Definition::default() };
    store.set_definition(run.id, &found, None, 20).await.unwrap();
}

pub async fn the_same_tree_has_one_verdict(store: Store) {
    const ONE: (&str, &str) = ("tree 1", "make");
    const FAILED: (Outcome, Option<FailureKind>) = (Outcome::Failure, None);
    put(&store, "app").await;
    put(&store, "other").await;
    let first = run(&store, Trust::Member, None).await;
    assert_eq!(store.run(first.id).await.unwrap().unwrap().merge, first.merge);
    assert!(first.merge.is_some() && store.let_go(first.project, &"a".repeat(40)).await.unwrap().is_none());
    // What a run of these would be told, which then is none.
    let verdict = async |project: &str, trust, (tree, text): (&str, &str), params: &[(&str, &str)]| {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let facts = RunFacts { params, ..RunFacts::default() };
        let new = NewRun { facts, trust: Some(trust), ..NewRun::default() };
        let asks = store.create_run(&alice(), project, new, 10).await.unwrap();
        found(&store, &asks, tree, text).await;
        let same = store.verdict_on(&asks).await.unwrap().map(|run| run.id);
        store.finish_run(asks.id, &RunEnd::aborted("it has asked"), 30).await.unwrap();
        same
    };
    assert_eq!(verdict("app", Trust::Member, ONE, &[]).await, None);
    end(&store, &first, ONE, FAILED).await;
    assert_eq!(store.run(first.id).await.unwrap().unwrap().failure.as_deref(), Some("workload"));
    assert_eq!(verdict("app", Trust::Member, ONE, &[]).await, Some(first.id));
    assert_eq!(verdict("app", Trust::Stranger, ONE, &[]).await, None, "it was run as somebody else's");
    assert_eq!(verdict("app", Trust::Member, ("tree 2", "make"), &[]).await, None);
    assert_eq!(verdict("app", Trust::Member, ("tree 1", "make all"), &[]).await, None, "by another definition");
    assert_eq!(verdict("app", Trust::Member, ONE, &[("A", "1")]).await, None, "with other parameters");
    assert_eq!(verdict("other", Trust::Member, ONE, &[]).await, None);
    assert!(store.let_go(first.project, &"a".repeat(40)).await.unwrap().is_some());
    // What was ended before it could say is no verdict, nor is what was nobody's fault who wrote it.
    let failed = |kind| (Outcome::Failure, Some(kind));
    let others = [(Outcome::Aborted, None), failed(FailureKind::Usage), failed(FailureKind::Infrastructure)];
    for how in others.into_iter().chain([failed(FailureKind::Auth), failed(FailureKind::Policy)]) {
        let second = run(&store, Trust::Member, None).await;
        end(&store, &second, ("tree 2", "make"), how).await;
        assert_eq!(verdict("app", Trust::Member, ("tree 2", "make"), &[]).await, None, "{how:?}");
    }
    // Nor is that of a part of it.
    let facts = RunFacts { restart_from: Some("Deploy".into()), ..RunFacts::default() };
    let new = NewRun { facts, trust: Some(Trust::Member), ..NewRun::default() };
    let part = store.create_run(&alice(), "app", new, 10).await.unwrap();
    end(&store, &part, ONE, (Outcome::Success, None)).await;
    assert_eq!(verdict("app", Trust::Member, ONE, &[]).await, Some(first.id));
}

pub async fn what_has_come_is_known(store: Store) {
    put(&store, "app").await;
    assert!(!store.knows_delivery("one").await.unwrap());
    store.note_delivery("one").await.unwrap();
    store.note_delivery("one").await.unwrap();
    assert!(store.knows_delivery("one").await.unwrap() && !store.knows_delivery("two").await.unwrap());
    let new = NewRun { delivery: Some("two".into()), ..NewRun::default() };
    store.create_run(&alice(), "app", new, 10).await.unwrap();
    assert!(store.knows_delivery("two").await.unwrap());
}
