//! What runs lock, and how far they have come.

use model::ids::{RequestId, RunId};
use model::lock::LockWish;
use model::outcome::Outcome;
use model::request::{Reply, Request};
use model::rung::Trust;
use store::{Act, Actor, LockCounts, NewRun, Store};

use wire::engine::Input;

use crate::cases::{end, put};

fn wish(names: &[&str]) -> LockWish {
    LockWish { names: names.iter().map(|name| (*name).to_owned()).collect(), ..LockWish::default() }
}

async fn runs(store: &Store, count: u64, new: impl Fn(u64) -> NewRun) -> Vec<RunId> {
    put(store, "app").await;
    let mut runs = Vec::new();
    for number in 0..count {
        runs.push(store.create_run(&Actor::server(), "app", new(number), 20).await.unwrap().id);
    }
    runs
}

pub async fn a_lock_is_one_runs_at_a_time(store: Store) {
    let runs = runs(&store, 4, |_| NewRun::default()).await;
    let of = |run: usize| (runs[run], RequestId(7));
    assert!(store.want_lock("app", of(0), &wish(&["a", "b"]), 1).await.unwrap());
    assert!(store.want_lock("app", of(0), &wish(&["a", "b"]), 1).await.unwrap(), "asked again, after a restart");
    assert!(store.want_lock("others", (runs[1], RequestId(8)), &wish(&["a"]), 1).await.unwrap());
    assert_eq!(store.locks_of(runs[0]).await.unwrap(), LockCounts { all: 1, held: 1 });
    // Who does not want to wait does not.
    assert!(!store.want_lock("app", of(3), &LockWish { skips: true, ..wish(&["b"]) }, 2).await.unwrap());
    assert!(!store.want_lock("app", of(1), &wish(&["a"]), 3).await.unwrap());
    assert!(!store.want_lock("app", of(2), &wish(&["b"]), 4).await.unwrap());
    assert!(!store.want_lock("app", of(3), &wish(&["a"]), 5).await.unwrap());
    assert!(!store.want_lock("app", of(1), &wish(&["a"]), 9).await.unwrap(), "it waits as before");
    assert_eq!(store.leave_lock(of(0)).await.unwrap(), [of(1), of(2)]);
    assert!(store.want_lock("app", of(1), &wish(&["a"]), 9).await.unwrap(), "it has it");
    assert_eq!(store.leave_lock(of(0)).await.unwrap(), [], "once");
    // A run that ends leaves what it has. Who has it now is told until it has heard.
    assert_eq!(store.locks_of(runs[3]).await.unwrap(), LockCounts { all: 1, held: 0 });
    store.heard(runs[3], (1, 1), &[Act::Request(RequestId(7), Request::Lock(wish(&["a"])))], 6).await.unwrap();
    assert!(store.finish_run(runs[1], &end(Outcome::Success), 10).await.unwrap());
    for _ in 0..2 {
        assert_eq!(store.pass_locks().await.unwrap(), [of(3)]);
    }
    let answer = Input::Answer { id: RequestId(7), reply: Reply::Done };
    store.add_input(runs[3], 0, &answer).await.unwrap();
    assert_eq!(store.pass_locks().await.unwrap(), []);
    // Who waits no more is passed by.
    assert!(!store.want_lock("app", of(0), &wish(&["a"]), 11).await.unwrap());
    assert_eq!(store.leave_lock(of(0)).await.unwrap(), []);
    assert_eq!(store.leave_lock(of(3)).await.unwrap(), []);
}

/// Those who ask at the same time are not all told that it is free.
pub async fn of_many_who_ask_at_once_one_has_it(store: Store) {
    let runs = runs(&store, 8, |_| NewRun::default()).await;
    let asked = runs.iter().map(|run| {
        let (store, run) = (store.clone(), *run);
        tokio::spawn(async move { store.want_lock("app", (run, RequestId(1)), &wish(&["a"]), 1).await.unwrap() })
    });
    let mut have = 0;
    for asked in asked.collect::<Vec<_>>() {
        have += usize::from(asked.await.unwrap());
    }
    assert_eq!(have, 1);
}

pub async fn older_runs_do_not_overtake_newer_ones(store: Store) {
    let trust = |number| if number == 0 { Trust::Stranger } else { Trust::Protected };
    let runs = runs(&store, 5, |number| NewRun { trust: Some(trust(number)), ..NewRun::default() }).await;
    assert_eq!(store.pass_milestone(runs[1], 1).await.unwrap(), Ok(vec![]));
    assert_eq!(store.pass_milestone(runs[2], 1).await.unwrap(), Ok(vec![]), "the other one is as far");
    // A newer one: the second has not come so far, nor the third; the stranger's is nobody's.
    assert_eq!(store.pass_milestone(runs[3], 2).await.unwrap(), Ok(vec![runs[1], runs[2]]));
    assert_eq!(store.pass_milestone(runs[2], 2).await.unwrap(), Err(4));
    assert_eq!(store.pass_milestone(runs[4], 1).await.unwrap(), Ok(vec![]), "an older one may be further");
    // At its end, those that are no further than it was.
    assert_eq!(store.superseded_by_end(runs[4]).await.unwrap(), [], "it has not ended");
    store.finish_run(runs[4], &end(Outcome::Success), 10).await.unwrap();
    assert_eq!(store.superseded_by_end(runs[4]).await.unwrap(), [runs[1], runs[2]]);
    assert_eq!(store.pass_milestone(runs[3], 3).await.unwrap(), Ok(vec![runs[1], runs[2]]));
    store.finish_run(runs[3], &end(Outcome::Failure), 11).await.unwrap();
    assert_eq!(store.pass_milestone(runs[2], 3).await.unwrap(), Err(4), "also when it has ended");
    assert_eq!(store.superseded_by_end(runs[0]).await.unwrap(), [], "it has passed none");
}
