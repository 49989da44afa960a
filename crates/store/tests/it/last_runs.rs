//! Which run is the last of its kind, whatever is newer. Each case takes a database with nothing in it.

use model::ids::RunId;
use model::outcome::Outcome;
use model::run::RunFacts;
use model::rung::Trust;
use store::{NewRun, Store};

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
