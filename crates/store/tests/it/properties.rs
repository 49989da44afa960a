//! What definitions say of their projects, and what is forgotten because of that.

use model::outcome::Outcome;
use model::properties::{Alone, Keep, Properties, Trigger};
use model::run::{RunEnd, RunFacts};
use store::{Act, Artifact, ArtifactLimits, BranchRuns, Forget, Holder, NewRun, Old, Run, RunFilter, Shelf, Store};

use crate::cases::{alice, put};

async fn run_of(store: &Store, revision: Option<&str>, outcome: Option<Outcome>) -> Run {
    let new = NewRun { revision: revision.map(str::to_owned), ..NewRun::default() };
    let run = store.create_run(&alice(), "app", new, 20).await.unwrap();
    if let Some(outcome) = outcome {
        let end = RunEnd { outcome, failure: None, timed_out: false, aborted: false, message: None };
        store.finish_run(run.id, &end, 100 + run.number).await.unwrap();
    }
    run
}

async fn say(store: &Store, run: &Run, branch: &str, said: &Properties) {
    store.heard(run.id, (1, 1), &[Act::Properties(branch.into(), said.clone())], 30).await.unwrap();
}

pub async fn a_branch_says_what_its_last_run_has_said(store: Store, other: Store) {
    let app = put(&store, "app").await;
    put(&store, "other").await;
    let nightly = Properties { triggers: vec![Trigger::Cron("@daily".into())], ..Properties::default() };
    let alone = Properties { alone: Some(Alone { abort_previous: true }), ..Properties::default() };
    let first = run_of(&store, Some("main"), None).await;
    let second = run_of(&store, Some("main"), None).await;
    assert_eq!(store.properties(app.id, "main").await.unwrap(), None);
    say(&store, &second, "main", &nightly).await;
    say(&store, &first, "main", &alone).await;
    assert_eq!(store.properties(app.id, "main").await.unwrap(), Some(nightly.clone()), "the later run counts");
    say(&store, &second, "side", &alone).await;
    let all = store.all_properties(None).await.unwrap();
    let names: Vec<_> = all.iter().map(|said| (said.branch.as_str(), said.run, said.project)).collect();
    assert_eq!(names, [("main", second.id, app.id), ("side", second.id, app.id)]);
    let of_other = store.project("other").await.unwrap().unwrap().id;
    assert!(store.all_properties(Some(of_other)).await.unwrap().is_empty());
    let rows = async || {
        let rows = store.audit(0, 100).await.unwrap();
        rows.iter().filter(|row| row.action == "project.properties").count()
    };
    assert_eq!(rows().await, 2);
    say(&store, &second, "side", &alone).await;
    assert_eq!(rows().await, 2, "the same again is no change");
    let third = run_of(&store, Some("main"), None).await;
    say(&store, &third, "main", &nightly).await;
    say(&store, &second, "main", &alone).await;
    assert_eq!(
        store.properties(app.id, "main").await.unwrap(),
        Some(nightly.clone()),
        "nor is what was said before it"
    );

    let mut written = Vec::new();
    store.backup(&mut written).await.unwrap();
    other.restore(written.as_slice()).await.unwrap();
    assert_eq!(other.all_properties(None).await.unwrap(), store.all_properties(None).await.unwrap());

    store.forget_properties(app.id, "main", Some(first.id), 40).await.unwrap();
    assert!(store.properties(app.id, "main").await.unwrap().is_some(), "an earlier run knows nothing of it");
    store.forget_properties(app.id, "main", Some(third.id), 40).await.unwrap();
    store.forget_properties(app.id, "main", None, 40).await.unwrap();
    assert_eq!((store.properties(app.id, "main").await.unwrap(), rows().await), (None, 3));
}

pub async fn a_branch_keeps_its_own_runs(store: Store) {
    let app = put(&store, "app").await;
    let mut ids = Vec::new();
    for outcome in [Outcome::Failure, Outcome::Success, Outcome::Failure, Outcome::Failure, Outcome::Failure] {
        ids.push(run_of(&store, Some("refs/heads/main"), Some(outcome)).await.id);
    }
    ids.push(run_of(&store, None, Some(Outcome::Failure)).await.id);
    ids.push(run_of(&store, Some("main"), None).await.id);
    let of_side = run_of(&store, Some("side"), Some(Outcome::Failure)).await.id;
    let branch = |is_default| BranchRuns { name: "main", is_default, is_gone: false, request: None };
    let forget =
        async |is_default, old| store.forget_of(app.id, branch(is_default), Forget::Runs, old, 2, 500).await.unwrap();
    let left = async || {
        let runs = store.runs(&RunFilter { limit: 20, ..RunFilter::default() }).await.unwrap();
        runs.iter().rev().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(forget(true, Old::default()).await, 0, "who says nothing keeps all");
    let ended = |number: u64| Old { before: Some(100 + number), ..Old::default() };
    assert_eq!(forget(true, ended(2)).await, 1);
    let beyond = |most| Old { beyond: Some(most), ..Old::default() };
    assert_eq!(forget(false, beyond(4)).await, 0, "the one that nobody has said anything of is none of it");
    assert_eq!(forget(true, beyond(4)).await, 0, "one that waits is none of the last");
    store.lease_run(ids[6], 0, 1, 30).await.unwrap();
    assert_eq!(forget(true, beyond(4)).await, 1, "the last four, and the last that was well");
    assert_eq!(left().await, [ids[1], ids[3], ids[4], ids[5], ids[6], of_side]);
    assert_eq!(forget(true, beyond(0)).await, 2, "no more than so many at once");
    assert_eq!((forget(true, beyond(0)).await, forget(true, beyond(0)).await), (1, 0));
    assert_eq!(left().await, [ids[1], ids[6], of_side], "nor one that is under way");
    assert!(store.verify_audit().await.unwrap().is_ok());
}

/// Which of its runs are kept is all that it has said still; then its last good one goes too, and with the last one of all that is forgotten.
pub async fn a_branch_that_is_gone_keeps_no_more_than_it_said(store: Store) {
    let app = put(&store, "app").await;
    let keep = Properties { keep: Some(Keep { days: Some(1), ..Keep::default() }), ..Properties::default() };
    let said = Properties { alone: Some(Alone::default()), ..keep.clone() };
    let good = run_of(&store, Some("refs/heads/topic"), Some(Outcome::Success)).await;
    say(&store, &good, "topic", &said).await;
    say(&store, &good, "side", &Properties { keep: None, ..said.clone() }).await;
    for branch in ["topic", "side"] {
        store.forget_properties(app.id, branch, None, 40).await.unwrap();
        assert_eq!(store.properties(app.id, branch).await.unwrap(), None);
    }
    assert!(store.all_properties(None).await.unwrap().is_empty());
    let gone = async || {
        store.forget_gone().await.unwrap();
        let all = store.properties_of_gone().await.unwrap();
        all.into_iter().map(|said| (said.branch, said.properties)).collect::<Vec<_>>()
    };
    assert_eq!(gone().await, [("topic".to_owned(), keep.clone())]);
    // It comes back, and goes again: said twice is no news.
    say(&store, &good, "topic", &said).await;
    assert_eq!((store.properties(app.id, "topic").await.unwrap(), gone().await), (Some(said), vec![]));
    for _ in 0..2 {
        store.forget_properties(app.id, "topic", None, 50).await.unwrap();
    }
    assert_eq!(gone().await.len(), 1);
    let forget = async |is_gone| {
        let (branch, old) = (
            BranchRuns { name: "topic", is_default: false, is_gone, request: None },
            Old { before: Some(500), beyond: None },
        );
        store.forget_of(app.id, branch, Forget::Runs, old, 9, 500).await.unwrap()
    };
    assert_eq!((forget(false).await, forget(true).await), (0, 1));
    assert!(gone().await.is_empty(), "there is nothing left of it");
}

/// Where a pull request is fetched by its branch: neither has the other's runs.
pub async fn a_request_keeps_its_own_runs(store: Store) {
    let app = put(&store, "app").await;
    let of_branch = run_of(&store, Some("refs/heads/topic"), Some(Outcome::Failure)).await;
    let mut of_request = Vec::new();
    for number in ["7", "77"] {
        let facts = RunFacts { env: vec![("CHANGE_ID".into(), number.into())], ..RunFacts::default() };
        let new = NewRun { revision: Some("refs/heads/topic".into()), facts, ..NewRun::default() };
        let run = store.create_run(&alice(), "app", new, 20).await.unwrap();
        store.finish_run(run.id, &RunEnd::failed(Outcome::Failure, None, "no"), 100).await.unwrap();
        of_request.push(run);
    }
    let keep = Properties { keep: Some(Keep { days: Some(1), ..Keep::default() }), ..Properties::default() };
    let name = "refs/pull-requests/7/from";
    say(&store, &of_request[0], name, &keep).await;
    store.forget_properties(app.id, name, None, 40).await.unwrap();
    store.forget_gone().await.unwrap();
    assert_eq!(store.properties_of_gone().await.unwrap().len(), 1, "it has a run still");
    let forget = async |name: &str, request| {
        let branch = BranchRuns { name, is_default: false, is_gone: true, request };
        store.forget_of(app.id, branch, Forget::Runs, Old { before: Some(500), beyond: None }, 9, 500).await.unwrap()
    };
    assert_eq!(forget(name, Some(7)).await, 1);
    assert!(store.run(of_request[0].id).await.unwrap().is_none());
    store.forget_gone().await.unwrap();
    assert!(store.properties_of_gone().await.unwrap().is_empty());
    assert_eq!(forget("topic", None).await, 1);
    assert!(store.run(of_branch.id).await.unwrap().is_none());
    assert!(store.run(of_request[1].id).await.unwrap().is_some(), "it is neither");
}

pub async fn a_branch_keeps_what_was_archived(store: Store) {
    let app = put(&store, "app").await;
    let limits = ArtifactLimits { file_bytes: 9, run_bytes: 9, run_files: 9 };
    let mut ids = Vec::new();
    for number in 1..=3_u64 {
        let run = run_of(&store, Some("main"), None).await;
        let epoch = store.lease_run(run.id, 0, 1, 30).await.unwrap();
        let holder = Holder { run: run.id, epoch, agent: 1 };
        let key = format!("k{number}");
        store.begin_file(Shelf::Artifacts, holder, &key, &limits, 35).await.unwrap().unwrap();
        let file = Artifact { path: "a".into(), bytes: 1, sha256: String::new(), key, at: 40 };
        store.keep_file(Shelf::Artifacts, holder, &file, &limits).await.unwrap().unwrap();
        let outcome = if number == 1 { Outcome::Success } else { Outcome::Failure };
        let end = RunEnd { outcome, failure: None, timed_out: false, aborted: false, message: None };
        store.finish_run(run.id, &end, 100).await.unwrap();
        ids.push(run.id);
    }
    let old = Old { beyond: Some(1), ..Old::default() };
    let branch = BranchRuns { name: "main", is_default: true, is_gone: false, request: None };
    assert_eq!(store.forget_of(app.id, branch, Forget::Artifacts, old, 9, 500).await.unwrap(), 1);
    assert_eq!(store.forget_of(app.id, branch, Forget::Artifacts, old, 9, 500).await.unwrap(), 0);
    let mut has = Vec::new();
    for id in ids {
        has.push(store.artifacts(id, "", 9).await.unwrap().len());
    }
    assert_eq!(has, [1, 0, 1], "those of the last, and of the last that was well");
}
