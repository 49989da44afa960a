//! Runs of commits that are merged first. Each case takes a database with nothing in it.

use model::outcome::Outcome;
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

async fn end(store: &Store, run: &Run, tree: &str, outcome: Outcome) {
    store.lease_run(run.id, run.epoch, 1, 20).await.unwrap();
    let found = Definition { text: "echo 1".into(), commit: None, tree: Some(tree.into()), tagged_at: None };
    store.set_definition(run.id, &found, None, 20).await.unwrap();
    let end = RunEnd { outcome, failure: None, timed_out: false, aborted: false, message: None };
    assert!(store.finish_run(run.id, &end, 30).await.unwrap());
}

pub async fn the_same_tree_has_one_verdict(store: Store) {
    let app = put(&store, "app").await;
    let other = put(&store, "other").await;
    let first = run(&store, Trust::Member, None).await;
    assert_eq!(store.run(first.id).await.unwrap().unwrap().merge, first.merge);
    assert!(first.merge.is_some() && store.let_go(app.id, &"a".repeat(40)).await.unwrap().is_none());
    let verdict = async |tree: &str, trust| store.verdict_of(app.id, tree, trust).await.unwrap().map(|run| run.id);
    assert_eq!(verdict("tree 1", Trust::Member).await, None);
    end(&store, &first, "tree 1", Outcome::Failure).await;
    assert_eq!(verdict("tree 1", Trust::Member).await, Some(first.id));
    assert_eq!(verdict("tree 1", Trust::Stranger).await, None, "it was run as somebody else's");
    assert_eq!(verdict("tree 2", Trust::Member).await, None);
    assert!(store.verdict_of(other.id, "tree 1", Trust::Member).await.unwrap().is_none());
    assert!(store.let_go(app.id, &"a".repeat(40)).await.unwrap().is_some());
    // What was ended before it could say is no verdict.
    let second = run(&store, Trust::Member, None).await;
    end(&store, &second, "tree 2", Outcome::Aborted).await;
    assert_eq!(verdict("tree 2", Trust::Member).await, None);
    // Nor is that of a part of it.
    let facts = RunFacts { restart_from: Some("Deploy".into()), ..RunFacts::default() };
    let new = NewRun { facts, trust: Some(Trust::Member), ..NewRun::default() };
    let part = store.create_run(&alice(), "app", new, 10).await.unwrap();
    end(&store, &part, "tree 1", Outcome::Success).await;
    assert_eq!(verdict("tree 1", Trust::Member).await, Some(first.id));
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
