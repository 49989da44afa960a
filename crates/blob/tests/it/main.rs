//! What blobs promise, in memory, in a folder and at services (S3, Google Cloud Storage's protocol, Azure); at one also with a line that is bad.

mod between;
mod cases;
mod service;

use std::time::Duration;

use blob::{BlobError, Blobs, Patience};

use between::{Between, Fault};
use service::Service;

async fn conform(mut fresh: impl AsyncFnMut() -> Blobs) {
    cases::what_is_put_is_got(&fresh().await).await;
    cases::parts_are_got(&fresh().await).await;
    cases::what_is_put_again_is_replaced(&fresh().await).await;
    cases::what_is_gone_is_gone(&fresh().await).await;
    cases::what_is_too_large_leaves_nothing(&fresh().await).await;
    cases::what_breaks_off_leaves_nothing(&fresh().await).await;
    cases::names_begin_with_whole_parts(&fresh().await).await;
    cases::many_at_once(&fresh().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_of_memory() {
    conform(async || Blobs::memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    conform(async || {
        number += 1;
        Blobs::folder(&folder.path().join(number.to_string())).unwrap()
    })
    .await;
    // Nothing half written lies about either.
    let begun = std::process::Command::new("find").arg(folder.path()).args(["-name", "*#*"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&begun.stdout), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_of_s3() {
    let Some(service) = Service::start() else { return };
    let mut number = 0;
    conform(async || {
        number += 1;
        service.blobs(service.address, &format!("prefix/{number}"), Patience::default())
    })
    .await;
    assert_eq!(service.uploads_under_way(), 0, "parts of what is not kept are gone too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_of_google() {
    let Some(service) = Service::start() else { return };
    let mut number = 0;
    conform(async || {
        number += 1;
        service.google_blobs(&format!("prefix/{number}"))
    })
    .await;
    assert_eq!(service.uploads_under_way(), 0, "parts of what is not kept are gone too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_of_azure() {
    let folder = tempfile::tempdir().unwrap();
    let Some(service) = Service::start_azure(folder.path()) else { return };
    let mut number = 0;
    conform(async || {
        number += 1;
        service.azure_blobs(&format!("prefix/{number}"))
    })
    .await;
}

#[tokio::test]
async fn what_was_begun_by_who_was_killed_goes_with_its_blob() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::folder(folder.path()).unwrap();
    let at = |name: &str| folder.path().join(name);
    blobs.put(&cases::key("a/b"), cases::content(b"x"), 10).await.unwrap();
    for begun in ["a/b#1", "a/b#22", "a/bc#1"] {
        std::fs::write(at(begun), "half").unwrap();
    }
    blobs.delete(&cases::key("a/b")).await.unwrap();
    assert!(!at("a/b").exists() && !at("a/b#1").exists() && !at("a/b#22").exists() && at("a/bc#1").exists());
    blobs.delete(&cases::key("a/bc")).await.unwrap();
    assert!(!at("a").exists(), "nor a folder with nothing in it");
}

/// Short, for a test.
const QUICK: Patience = Patience {
    tries: 4,
    first_pause: Duration::from_millis(10),
    longest_pause: Duration::from_millis(100),
    silence: Duration::from_millis(700),
};

/// Whatever happens on the way a few times, what is kept is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_line_is_overcome() {
    let Some(service) = Service::start() else { return };
    let faults = [
        Fault::CutAtOnce,
        Fault::CutAfter { up: 1 << 20, down: u64::MAX },
        Fault::CutAfter { up: u64::MAX, down: 300_000 },
        Fault::Answer("503 Slow Down", "<Error><Code>SlowDown</Code></Error>"),
        Fault::Answer("500 Internal Server Error", "<Error><Code>InternalError</Code></Error>"),
        Fault::Silent,
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        let between = Between::start(service.address, fault, 3).await;
        let blobs = service.blobs(between.address, &format!("bad/{number}"), QUICK);
        cases::large_and_small(&blobs).await;
        assert!(between.faults() > 0, "{fault:?} never happened");
    }
    // One that is slow is waited for.
    let between = Between::start(service.address, Fault::Slow(Duration::from_millis(200)), usize::MAX).await;
    cases::large_and_small(&service.blobs(between.address, "slow", QUICK)).await;
}

/// And where it does not end, it is said, in a bounded time, and nothing is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_away_is_not_asked_for_ever() {
    let Some(service) = Service::start() else { return };
    for fault in [Fault::CutAtOnce, Fault::Silent, Fault::Answer("503 Slow Down", "")] {
        let between = Between::start(service.address, fault, usize::MAX).await;
        let blobs = service.blobs(between.address, "away", QUICK);
        let error = blobs.put(&cases::key("a"), cases::content(b"x"), 10).await.unwrap_err();
        assert!(matches!(error, BlobError::Away(_)) && error.is_unavailable(), "{fault:?}: {error:?}");
        // Fewer where the time for all of them is over first, on a machine that is busy.
        assert!((2..=QUICK.tries + 1).contains(&between.faults()), "{fault:?}: {}", between.faults());
        assert!(blobs.get(&cases::key("a"), None).await.is_err_and(|error| error.is_unavailable()));
        assert!(blobs.check().await.is_err_and(|error| error.is_unavailable()));
    }
    // Who is refused does not ask again.
    for answer in ["403 Forbidden", "401 Unauthorized"] {
        let between = Between::start(service.address, Fault::Answer(answer, ""), usize::MAX).await;
        let blobs = service.blobs(between.address, "away", QUICK);
        let error = blobs.put(&cases::key("a"), cases::content(b"x"), 10).await.unwrap_err();
        assert!(matches!(error, BlobError::Refused(_)), "{answer}: {error:?}");
        assert_eq!(between.faults(), 1, "{answer}");
    }
    let none = service.blobs_of("no-such-bucket", service.address, "", QUICK);
    let error = none.check().await.unwrap_err();
    assert!(matches!(error, BlobError::Refused(_)), "{error:?}");
    assert!(service.blobs(service.address, "away", QUICK).list("", 10).await.unwrap().is_empty());
}
