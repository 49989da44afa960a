//! What the store promises, on every database that it runs on.

mod artifacts;
mod cases;
mod contents;
mod elsewhere;
mod forward;
mod last_runs;
mod locks;
mod logs;
mod merges;
mod people;
mod postgres;
mod properties;
mod seals;
mod test_results;
mod tls;
mod turns;

use seals::open;
use store::Store;

/// The same cases over each database, each case on one of its own.
async fn conform(mut fresh: impl AsyncFnMut() -> Store) {
    cases::projects_and_runs(fresh().await).await;
    cases::a_lease_is_one_agents(fresh().await).await;
    cases::a_journal_is_as_it_was(fresh().await).await;
    logs::a_log_takes_no_line_twice(fresh().await).await;
    logs::a_log_goes_to_blobs(fresh().await).await;
    cases::who_may_come_in(fresh().await).await;
    merges::the_same_tree_has_one_verdict(fresh().await).await;
    merges::what_has_come_is_known(fresh().await).await;
    last_runs::a_run_knows_those_before_it(fresh().await).await;
    last_runs::what_ended_so_last_is_found(fresh().await).await;
    last_runs::a_project_stands_as_its_default_branch_does(fresh().await).await;
    people::tokens_are_somebodys(fresh().await).await;
    people::who_is_shut_out_is_out(fresh().await).await;
    cases::the_audit_is_a_chain(fresh().await).await;
    cases::many_at_once(fresh().await).await;
    turns::one_that_fails_takes_nothing_of_others_with_it(fresh().await).await;
    turns::one_that_is_given_up_leaves_nothing_open(fresh().await).await;
    cases::a_database_has_one_server(fresh().await).await;
    cases::what_is_backed_up_is_restored(fresh().await, fresh().await).await;
    contents::a_library_is_kept_once(fresh().await, fresh().await).await;
    contents::what_goes_comes_again(fresh().await).await;
    contents::the_steps_of_a_project_are_kept_once(fresh().await).await;
    cases::old_runs_are_forgotten(fresh().await).await;
    artifacts::files_are_their_runs(fresh().await).await;
    artifacts::stashes_are_for_later_jobs(fresh().await).await;
    artifacts::a_run_has_only_so_much(fresh().await).await;
    artifacts::only_who_has_a_run_adds_to_it(fresh().await).await;
    artifacts::files_go_with_their_runs(fresh().await, fresh().await).await;
    properties::a_branch_says_what_its_last_run_has_said(fresh().await, fresh().await).await;
    properties::a_branch_keeps_its_own_runs(fresh().await).await;
    properties::a_branch_that_is_gone_keeps_no_more_than_it_said(fresh().await).await;
    properties::a_request_keeps_its_own_runs(fresh().await).await;
    properties::a_branch_keeps_what_was_archived(fresh().await).await;
    test_results::tests_are_counted_and_found(fresh().await).await;
    test_results::remarks_are_cut_and_kept(fresh().await).await;
    test_results::a_test_has_a_history(fresh().await).await;
    seals::secrets_are_sealed(fresh().await).await;
    elsewhere::a_job_has_a_lease_of_its_own(fresh().await).await;
    elsewhere::what_is_elsewhere_goes_with_its_run(fresh().await, fresh().await).await;
    locks::a_lock_is_one_runs_at_a_time(fresh().await).await;
    locks::of_many_who_ask_at_once_one_has_it(fresh().await).await;
    locks::older_runs_do_not_overtake_newer_ones(fresh().await).await;
    cases::what_forges_are_to_hear(fresh().await).await;
    cases::what_is_held_is_given_to_nobody(fresh().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_of_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    conform(async || {
        number += 1;
        open(&format!("sqlite:{}/{number}.db", folder.path().display())).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_of_postgres() {
    let Some(postgres) = postgres::Postgres::start() else { return };
    conform(async || open(&postgres.database().await).await).await;
}

/// A server whose connections were cut has its database still, unless another one has come between: then it writes nothing any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_has_one_server_also_when_its_session_ends() {
    let Some(mut postgres) = postgres::Postgres::start() else { return };
    let url = postgres.database().await;
    let (one, other) = (Store::open(&url).await.unwrap(), Store::open(&url).await.unwrap());
    let mut claim = one.claim().await.unwrap();
    one.mark("x", 1).await.unwrap();
    postgres.crash();
    assert!(one.mark("x", 2).await.unwrap_err().is_unavailable());
    assert!(claim.is_held().await.unwrap_err().is_unavailable());
    postgres.come_back();
    // It is there before it answers.
    while let Err(error) = claim.is_held().await {
        assert!(error.is_unavailable(), "{error}");
    }
    postgres::cut(&url).await;
    assert!(claim.is_held().await.unwrap());
    one.mark("x", 2).await.unwrap();
    assert!(matches!(other.claim().await, Err(store::StoreError::InUse)), "it was claimed again");

    // Sessions that are ended end soon.
    let mut theirs = loop {
        postgres::cut(&url).await;
        match other.claim().await {
            Ok(claim) => break claim,
            Err(store::StoreError::InUse) => {}
            Err(error) => panic!("{error}"),
        }
    };
    for _ in 0..2 {
        assert!(matches!(one.mark("x", 3).await, Err(store::StoreError::InUse)));
        let grants = serde_json::json!([]);
        let person = store::Person { name: "eve".into(), password: None, subject: None, grants, disabled: false };
        let put = one.put_person(&store::Actor::server(), &person, 1).await;
        assert!(matches!(put, Err(store::StoreError::InUse)), "{put:?}");
        assert!(!claim.is_held().await.unwrap());
    }
    other.mark("x", 4).await.unwrap();
    assert!(theirs.is_held().await.unwrap());
    assert_eq!(one.marked("x").await.unwrap(), Some(4));
    // The number counts, also for whoever still has the session.
    postgres::run_sql(&url, "UPDATE server_epoch SET value = value + 1").await;
    assert!(!theirs.is_held().await.unwrap());
    assert!(matches!(other.agent_by_key("none", 1).await, Err(store::StoreError::InUse)));
}

#[tokio::test]
async fn a_database_is_opened_again_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/a b.db", folder.path().display());
    let first = open(&url).await;
    cases::put(&first, "app").await;
    first.close().await;
    let again = open(&url).await;
    assert_eq!(again.projects().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/new.db", folder.path().display());
    Store::open(&url).await.unwrap().close().await;
    postgres::run_sql(&url, "INSERT INTO schema_version (version) VALUES (99)").await;
    let error = Store::open(&url).await.unwrap_err();
    assert!(error.to_string().contains("newer version"), "{error}");
    for wrong in ["mysql://x", "nothing", ""] {
        assert!(Store::open(wrong).await.unwrap_err().to_string().contains("no address of a database"));
    }
}
