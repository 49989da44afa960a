//! Jobs that are at another agent than their run.

use model::event::LogSource;
use model::ids::{JobId, RequestId};
use model::outcome::Outcome;
use model::request::{AgentSpec, Allocated, Reply, Request};
use model::run::RunEnd;
use model::rung::{Needs, Rung};
use store::{Act, Actor, Elsewhere, Holder, NewRun, NotKept, Run, Shelf, Store, StoreError};
use wire::agent::{Item, Lease, LogLine};
use wire::engine::Input;

use crate::cases::put;

fn needs() -> Needs {
    Needs { label: Some("arm".into()), ..Needs::of_rung(Rung::Container) }
}

/// A run at agent 1, whose second and third jobs are to be elsewhere, the third in the second's workspace.
async fn run(store: &Store) -> Run {
    put(store, "app").await;
    let run = store.create_run(&Actor::server(), "app", NewRun::default(), 20).await.unwrap();
    store.lease_run(run.id, 0, 1, 30).await.unwrap();
    let ask = |job| {
        let (id, job) = (RequestId(job), JobId(job));
        Act::Request(id, Request::Allocate { job, agent: AgentSpec::Any, engine: None, shares: None })
    };
    let acts = [
        ask(1),
        ask(2),
        Act::Elsewhere(JobId(2), JobId(2), needs()),
        ask(3),
        Act::Elsewhere(JobId(3), JobId(2), needs()),
    ];
    store.heard(run.id, (3, 3), &acts, 40).await.unwrap();
    store.run(run.id).await.unwrap().unwrap()
}

fn line(text: &str) -> Item {
    Item::Line(LogLine { at: 5, step: None, stage: None, source: LogSource::Stdout, text: text.into() })
}

async fn root(store: &Store, run: &Run) -> Elsewhere {
    store.elsewhere(run.id).await.unwrap().into_iter().find(|job| job.job == job.root).unwrap()
}

pub async fn a_job_has_a_lease_of_its_own(store: Store) {
    let run = run(&store).await;
    let (id, job) = (run.id, JobId(2));
    let found = store.elsewhere(id).await.unwrap();
    assert_eq!(
        found.iter().map(|job| (job.job.0, job.root.0, job.agent)).collect::<Vec<_>>(),
        [(2, 2, None), (3, 2, None)]
    );
    let holder = |agent| Holder { run: id, epoch: Lease::of_job(id, job).epoch, agent };
    assert_eq!(store.own_file(Shelf::Stashes, holder(2), "s").await.unwrap(), Err(NotKept::Over), "nobody has it");
    store.lease_job(id, job, 2, 50).await.unwrap();
    assert!(matches!(store.lease_job(id, job, 3, 51).await, Err(StoreError::Stale { .. })), "once");
    assert_eq!(store.own_file(Shelf::Stashes, holder(2), "s").await.unwrap(), Ok(None));
    assert_eq!(
        store.own_file(Shelf::Stashes, holder(1), "s").await.unwrap(),
        Err(NotKept::NotItsOwn),
        "the run's agent has not its jobs"
    );
    let of_run = Holder { run: id, epoch: run.epoch, agent: 2 };
    assert_eq!(
        store.own_file(Shelf::Stashes, of_run, "s").await.unwrap(),
        Err(NotKept::NotItsOwn),
        "nor the other way round"
    );

    // Each counts for itself.
    assert_eq!(store.report(id, 0, &[line("a"), line("b")]).await.unwrap(), 2);
    for _ in 0..2 {
        assert_eq!(store.report_of(id, Some(job), 0, &[line("c")]).await.unwrap(), 1);
    }
    assert_eq!((store.reported(id).await.unwrap(), root(&store, &run).await.reported), (2, 1));
    assert_eq!(crate::logs::log(&store, id, 0, 9).await.len(), 3);
    assert!(store.report_of(id, Some(JobId(9)), 0, &[line("d")]).await.is_err());

    // What a run lets go of is over with the answer, whenever the server is killed.
    let answer = |id, reply| Input::Answer { id: RequestId(id), reply };
    store.add_input(id, 0, &answer(2, Reply::Allocated(Allocated::default()))).await.unwrap();
    assert!(!root(&store, &run).await.is_over);
    store.heard(id, (4, 4), &[Act::Request(RequestId(4), Request::Release { job })], 60).await.unwrap();
    store.add_input(id, 1, &answer(4, Reply::Done)).await.unwrap();
    assert!(root(&store, &run).await.is_over);
    store.end_job(id, job, 70).await.unwrap();
    assert!(store.elsewhere(id).await.unwrap().is_empty(), "with what was in its workspace");
    assert!(matches!(store.end_job(id, job, 71).await, Err(StoreError::Stale { .. })));
    assert_eq!(store.verify_audit().await.unwrap().map_err(|broken| broken.to_string()).map(|rows| rows > 3), Ok(true));
}

pub async fn what_is_elsewhere_goes_with_its_run(store: Store, other: Store) {
    let run = run(&store).await;
    store.lease_job(run.id, JobId(2), 2, 50).await.unwrap();
    let mut written = Vec::new();
    store.backup(&mut written).await.unwrap();
    other.restore(written.as_slice()).await.unwrap();
    assert_eq!(other.elsewhere(run.id).await.unwrap(), store.elsewhere(run.id).await.unwrap());
    // Its agent is lost, or that of the run.
    other.lose_job(run.id, JobId(2), 60).await.unwrap();
    let of_job = Lease::of_job(run.id, JobId(2));
    let holder = Holder { run: run.id, epoch: of_job.epoch, agent: 2 };
    assert_eq!(other.own_file(Shelf::Stashes, holder, "s").await.unwrap(), Err(NotKept::Over));
    assert!(root(&other, &run).await.is_lost);
    other.requeue_run(run.id, run.epoch, &[], None, 70).await.unwrap();
    assert!(other.elsewhere(run.id).await.unwrap().is_empty());
    let end = RunEnd { outcome: Outcome::Success, failure: None, timed_out: false, aborted: false, message: None };
    store.finish_run(run.id, &end, 80).await.unwrap();
    assert!(store.elsewhere(run.id).await.unwrap().is_empty());
}
