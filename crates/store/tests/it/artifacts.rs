//! Files that runs have archived.

use model::ids::RunId;
use model::outcome::Outcome;
use model::run::RunEnd;
use store::{Actor, Artifact, ArtifactLimits, Holder, NewRun, NotKept, Old, Run, Shelf, Store};

use crate::cases::put;

const LIMITS: ArtifactLimits = ArtifactLimits { file_bytes: 100, run_bytes: 250, run_files: 3 };

fn file(path: &str, bytes: u64, key: &str) -> Artifact {
    Artifact { path: path.into(), bytes, sha256: format!("digest of {key}"), key: key.into(), at: 50 }
}

/// A run that agent 1 has, and its holder.
async fn leased(store: &Store) -> (Run, Holder) {
    put(store, "app").await;
    let run = store.create_run(&Actor::server(), "app", NewRun::default(), 20).await.unwrap();
    let epoch = store.lease_run(run.id, run.epoch, 1, 30).await.unwrap();
    let holder = Holder { run: run.id, epoch, agent: 1 };
    (run, holder)
}

async fn begin(store: &Store, of: Holder, key: &str) -> Result<u64, NotKept> {
    store.begin_file(Shelf::Artifacts, of, key, &LIMITS, 40).await.unwrap()
}

async fn keep(store: &Store, of: Holder, new: &Artifact) -> Result<(), NotKept> {
    store.keep_file(Shelf::Artifacts, of, new, &LIMITS).await.unwrap()
}

async fn spare(store: &Store) -> Vec<String> {
    store.spare_blobs("", 100).await.unwrap()
}

pub async fn files_are_their_runs(store: Store) {
    let (run, holder) = leased(&store).await;
    for (name, key) in [("b/c d", "k2"), ("a", "k1")] {
        assert_eq!(begin(&store, holder, key).await, Ok(100));
        assert_eq!(spare(&store).await, [key], "until it is the run's");
        keep(&store, holder, &file(name, 60, key)).await.unwrap();
    }
    let all = [file("a", 60, "k1"), file("b/c d", 60, "k2")];
    assert_eq!(store.artifacts(run.id, "", 9).await.unwrap(), all);
    assert_eq!(store.artifacts(run.id, "a", 9).await.unwrap(), all[1..]);
    assert_eq!(store.artifacts(run.id, "", 1).await.unwrap(), all[..1]);
    assert_eq!(store.artifact(run.id, "b/c d").await.unwrap().as_ref(), Some(&all[1]));
    assert_eq!(store.artifact(run.id, "b").await.unwrap(), None);
    assert!(spare(&store).await.is_empty());
    // The same path once more: the older one is spare.
    begin(&store, holder, "k3").await.unwrap();
    keep(&store, holder, &file("a", 90, "k3")).await.unwrap();
    assert_eq!(store.artifact(run.id, "a").await.unwrap().unwrap().key, "k3");
    assert_eq!(spare(&store).await, ["k1"]);
    assert!(store.is_spare("k1").await.unwrap() && !store.is_spare("k3").await.unwrap());
    store.blob_is_gone("k1").await.unwrap();
    store.blob_is_gone("k1").await.unwrap();
    assert!(spare(&store).await.is_empty());
    // What was taken for left meanwhile is not the run's.
    begin(&store, holder, "k4").await.unwrap();
    store.blob_is_gone("k4").await.unwrap();
    assert_eq!(keep(&store, holder, &file("x", 1, "k4")).await, Err(NotKept::Over));
    assert_eq!(store.artifact(run.id, "x").await.unwrap(), None);
}

pub async fn a_run_has_only_so_much(store: Store) {
    let (run, holder) = leased(&store).await;
    for (name, key) in [("a", "k1"), ("b", "k2")] {
        begin(&store, holder, key).await.unwrap();
        keep(&store, holder, &file(name, 100, key)).await.unwrap();
    }
    assert_eq!(begin(&store, holder, "k3").await, Ok(50), "what is left for it");
    let too_much = Err(NotKept::TooMuch { what: Shelf::Artifacts, files: 3, bytes: 250 });
    assert_eq!(keep(&store, holder, &file("c", 51, "k3")).await, too_much);
    assert_eq!(spare(&store).await, ["k3"]);
    // What is replaced makes room.
    keep(&store, holder, &file("a", 10, "k3")).await.unwrap();
    begin(&store, holder, "k4").await.unwrap();
    keep(&store, holder, &file("c", 100, "k4")).await.unwrap();
    assert_eq!(begin(&store, holder, "k5").await, Ok(40));
    assert_eq!(keep(&store, holder, &file("d", 1, "k5")).await, too_much, "three files");
    assert_eq!(store.artifacts(run.id, "", 9).await.unwrap().len(), 3);
}

pub async fn only_who_has_a_run_adds_to_it(store: Store) {
    let (run, holder) = leased(&store).await;
    let queued = store.create_run(&Actor::server(), "app", NewRun::default(), 20).await.unwrap();
    begin(&store, holder, "k1").await.unwrap();
    for (of, reason) in [
        (Holder { agent: 2, ..holder }, NotKept::NotItsOwn),
        (Holder { epoch: holder.epoch + 1, ..holder }, NotKept::Over),
        (Holder { epoch: holder.epoch - 1, ..holder }, NotKept::Over),
        (Holder { run: RunId(999), ..holder }, NotKept::NoRun),
        (Holder { run: queued.id, epoch: 0, agent: 1 }, NotKept::NotItsOwn),
    ] {
        assert_eq!(begin(&store, of, "lie").await, Err(reason.clone()), "{of:?}");
        assert_eq!(keep(&store, of, &file("a", 1, "k1")).await, Err(reason), "{of:?}");
    }
    assert_eq!(spare(&store).await, ["k1"], "nothing of what was refused");
    begin(&store, holder, "own").await.unwrap();
    keep(&store, holder, &file("z", 1, "own")).await.unwrap();
    let own = async |of| store.own_artifacts(of, "", 9).await.unwrap();
    assert_eq!(own(holder).await, Ok(vec![file("z", 1, "own")]));
    assert_eq!(store.own_file(Shelf::Artifacts, holder, "z").await.unwrap(), Ok(Some(file("z", 1, "own"))));
    assert_eq!(own(Holder { agent: 2, ..holder }).await, Err(NotKept::NotItsOwn));
    // Its own, once it has lost it, or the run has ended.
    store.requeue_run(run.id, holder.epoch, &[], None, 60).await.unwrap();
    assert_eq!(own(holder).await, Err(NotKept::Over));
    assert_eq!(keep(&store, holder, &file("a", 1, "k1")).await, Err(NotKept::Over));
    let epoch = store.lease_run(run.id, holder.epoch + 1, 1, 70).await.unwrap();
    let again = Holder { epoch, ..holder };
    keep(&store, again, &file("a", 1, "k1")).await.unwrap();
    let end = RunEnd { outcome: Outcome::Success, failure: None, timed_out: false, aborted: false, message: None };
    store.finish_run(run.id, &end, 80).await.unwrap();
    assert_eq!(begin(&store, again, "k2").await, Err(NotKept::Over));
    assert_eq!(store.artifacts(run.id, "", 9).await.unwrap().len(), 2, "what it had, it has");
}

/// What is backed up names the blobs; what is forgotten leaves them to be removed.
pub async fn files_go_with_their_runs(store: Store, other: Store) {
    let (run, holder) = leased(&store).await;
    begin(&store, holder, "k1").await.unwrap();
    keep(&store, holder, &file("a", 60, "k1")).await.unwrap();
    begin(&store, holder, "begun").await.unwrap();
    let mut written = Vec::new();
    store.backup(&mut written).await.unwrap();
    other.restore(written.as_slice()).await.unwrap();
    assert_eq!(other.artifacts(run.id, "", 9).await.unwrap(), [file("a", 60, "k1")]);
    assert_eq!(spare(&other).await, ["begun"]);
    assert_eq!(begin(&other, holder, "k2").await, Ok(100));
    let end = RunEnd { outcome: Outcome::Success, failure: None, timed_out: false, aborted: false, message: None };
    store.finish_run(run.id, &end, 80).await.unwrap();
    assert_eq!(store.forget_runs(run.project, Old { before: None, beyond: Some(0) }, 9, 90).await.unwrap(), 1);
    assert_eq!(spare(&store).await, ["begun", "k1"]);
    assert!(store.artifacts(run.id, "", 9).await.unwrap().is_empty());
    assert_eq!(store.artifact(run.id, "a").await.unwrap(), None);
}

async fn stash(store: &Store, of: Holder, new: &Artifact) -> Result<(), NotKept> {
    store.begin_file(Shelf::Stashes, of, &new.key, &LIMITS, 40).await.unwrap()?;
    store.keep_file(Shelf::Stashes, of, new, &LIMITS).await.unwrap()
}

/// Ends a run.
async fn end(store: &Store, of: Holder) {
    let end = RunEnd::failed(Outcome::Failure, None, "no");
    assert!(store.finish_run(of.run, &end, 60).await.unwrap());
}

pub async fn stashes_are_for_later_jobs(store: Store) {
    let (run, holder) = leased(&store).await;
    for (name, key) in [("a", "k1"), ("b", "k2"), ("c", "k3")] {
        stash(&store, holder, &file(name, 60, key)).await.unwrap();
    }
    let too_much = Err(NotKept::TooMuch { what: Shelf::Stashes, files: 3, bytes: 250 });
    assert_eq!(stash(&store, holder, &file("d", 1, "k4")).await, too_much);
    // Artifacts are something else, and have room of their own.
    assert_eq!(store.artifacts(run.id, "", 9).await.unwrap(), []);
    begin(&store, holder, "k5").await.unwrap();
    keep(&store, holder, &file("a", 100, "k5")).await.unwrap();
    assert_eq!(store.own_file(Shelf::Stashes, holder, "b").await.unwrap(), Ok(Some(file("b", 60, "k2"))));
    assert_eq!(store.own_file(Shelf::Stashes, holder, "x").await.unwrap(), Ok(None));
    // Only who has the run is told.
    let others = [(Holder { agent: 2, ..holder }, NotKept::NotItsOwn), (Holder { epoch: 9, ..holder }, NotKept::Over)];
    for (other, reason) in others {
        assert_eq!(store.own_file(Shelf::Stashes, other, "b").await.unwrap(), Err(reason));
    }
    assert_eq!(store.ended_with_stashes(RunId(0), 9).await.unwrap(), [], "it is under way");
    store.forget_stashes(run.id, 50).await.unwrap();
    assert!(store.own_file(Shelf::Stashes, holder, "b").await.unwrap().unwrap().is_some(), "it is under way");

    // A run that begins in its middle has them, and has them still when the first is forgotten.
    end(&store, holder).await;
    assert_eq!(store.ended_with_stashes(RunId(0), 9).await.unwrap(), [run.id]);
    let new = NewRun { stashes_of: Some(run.id), ..NewRun::default() };
    let second = store.create_run(&Actor::server(), "app", new, 70).await.unwrap();
    let epoch = store.lease_run(second.id, second.epoch, 1, 80).await.unwrap();
    let later = Holder { run: second.id, epoch, agent: 1 };
    for key in spare(&store).await {
        store.blob_is_gone(&key).await.unwrap();
    }
    store.forget_stashes(run.id, 90).await.unwrap();
    assert_eq!(store.ended_with_stashes(RunId(0), 9).await.unwrap(), []);
    assert_eq!(spare(&store).await, [""; 0], "the second one has them");
    assert_eq!(store.own_file(Shelf::Stashes, later, "b").await.unwrap(), Ok(Some(file("b", 60, "k2"))));
    // What it stashes anew is its own, and nobody has the older one any more.
    stash(&store, later, &file("b", 70, "k6")).await.unwrap();
    assert_eq!(spare(&store).await, ["k2"]);
    end(&store, later).await;
    store.forget_stashes(second.id, 100).await.unwrap();
    assert_eq!(spare(&store).await, ["k1", "k2", "k3", "k6"]);
    // The artifacts are there until their run is forgotten.
    assert_eq!(store.artifacts(run.id, "", 9).await.unwrap().len(), 1);
    // What was kept is known in sum, and what was forgotten.
    let rows = store.audit(0, 100).await.unwrap();
    let of = |action: &str| rows.iter().filter(|row| row.action == action).collect::<Vec<_>>();
    assert_eq!(of("stashes.forget").len(), 2);
    let ended: Vec<_> =
        of("run.finish").iter().map(|row| row.detail.contains(r#""artifacts":{"bytes":100,"files":1}"#)).collect();
    assert_eq!(ended, [true, false]);
    assert!(store.verify_audit().await.unwrap().is_ok());
}
