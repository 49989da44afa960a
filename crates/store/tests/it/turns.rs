//! Changes that are written to the disk together: each is whole or not there, whatever becomes of its neighbours.

use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use store::{NewRun, RunFilter, Store};

use crate::cases::{alice, put};
use crate::seals::open;

const EACH: usize = 30;

fn of_delivery(name: String) -> NewRun {
    NewRun { delivery: Some(name), ..NewRun::default() }
}

/// Its runs have the numbers from 1, each once.
async fn check(store: &Store, made: &[u64]) {
    let filter = RunFilter { limit: 10_000, ..RunFilter::default() };
    let mut there: Vec<_> = store.runs(&filter).await.unwrap().iter().map(|run| run.number).collect();
    there.sort_unstable();
    assert_eq!(there, (1..=there.len() as u64).collect::<Vec<_>>(), "a change was taken back in part, or made twice");
    assert!(made.iter().all(|number| there.contains(number)), "what was said to be written is gone");
    assert!(store.verify_audit().await.unwrap().is_ok());
}

/// Of those that come together every other one is known already, and takes back what it has begun: its count of the project's runs.
pub async fn one_that_fails_takes_nothing_of_others_with_it(store: Store) {
    put(&store, "app").await;
    store.create_run(&alice(), "app", of_delivery("known".into()), 1).await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut made = Vec::new();
                for turn in 0..EACH {
                    let name = if (writer + turn) % 2 == 0 { "known".into() } else { format!("{writer} {turn}") };
                    made.push(store.create_run(&alice(), "app", of_delivery(name), 2).await.unwrap().number);
                }
                made
            })
        })
        .collect();
    let mut made = Vec::new();
    for task in tasks {
        made.extend(task.await.unwrap());
    }
    check(&store, &made).await;
    let known = made.iter().filter(|number| **number == 1).count();
    assert_eq!((known, made.len()), (8 * EACH, 16 * EACH));
}

/// Of those that come together every other one is given up somewhere on its way.
pub async fn one_that_is_given_up_leaves_nothing_open(store: Store) {
    put(&store, "app").await;
    let others_go_on = Arc::new(AtomicBool::new(true));
    let others: Vec<_> = (0..4)
        .map(|_| {
            let (store, go_on) = (store.clone(), Arc::clone(&others_go_on));
            tokio::spawn(async move {
                let mut made = Vec::new();
                while go_on.load(Ordering::Relaxed) {
                    made.push(store.create_run(&alice(), "app", NewRun::default(), 2).await.unwrap().number);
                }
                made
            })
        })
        .collect();
    for polls in 0..400 {
        give_up(&store, polls * 10).await;
    }
    others_go_on.store(false, Ordering::Relaxed);
    let mut made = Vec::new();
    for task in others {
        made.extend(task.await.unwrap());
    }
    // Nobody comes after these, who would end what they have begun.
    for polls in 0..200 {
        give_up(&store, polls * 10).await;
    }
    check(&store, &made).await;
}

/// Another connection can write when nobody is writing: SQLite's lock is not held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lock_of_a_file_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("db").display());
    let (one, two) = (open(&url).await, open(&url).await);
    put(&one, "app").await;
    for polls in 0..100 {
        give_up(&one, polls * 10).await;
    }
    two.create_run(&alice(), "app", NewRun::default(), 3).await.unwrap();
}

/// Begins to make a run, and is interested no more when it was asked that often how it goes.
async fn give_up(store: &Store, polls: usize) {
    let actor = alice();
    let mut change = pin!(store.create_run(&actor, "app", NewRun::default(), 2));
    for _ in 0..polls {
        if change.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}
