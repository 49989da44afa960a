//! A database of the first version, with something in it: it is brought forward, and has what it had.

use model::rung::Trust;
use serde_json::json;
use store::{NewRun, RunFilter, Status, Store, StoreError, TokenKind};
use wire::engine::Entry;

use crate::cases::alice;
use crate::contents::library;
use crate::postgres::run_sql;
use crate::seals;

const FIRST: &str = include_str!("../../migrations/0001.sql");
const BY_SOMEBODY: &str =
    r#"[{"class":"hudson.model.Cause$UserIdCause","description":"Started by user alice","user":"alice"}]"#;

/// A project and three runs of it, as that version wrote them: one has ended, one was begun, one was asked for by somebody and waits.
async fn as_it_was(url: &str) {
    let made = FIRST.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
    let version =
        "CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version (version) VALUES (1)";
    for statement in [made.as_str(), version].iter().flat_map(|text| text.split(';')) {
        if !statement.trim().is_empty() {
            run_sql(url, statement).await;
        }
    }
    for (name, value) in [("project", 1), ("run", 3), ("agent", 1)] {
        run_sql(url, &format!("INSERT INTO counters (name, value) VALUES ('{name}', {value})")).await;
    }
    let config = json!({ "source": { "folder": "/srv/app" }, "hook": { "forge": "github", "secret": "a secret of some length" } });
    run_sql(url, &format!("INSERT INTO projects VALUES (1, 'app', '{config}', 3, 10)")).await;
    let facts = |number: u64, causes: &str| {
        format!(
            r#"{{"job_name":"app","build_number":{number},"started_at_ms":10,"previous":null,"planning":false,"has_scm":true,"causes":{causes},"env":[],"params":[]}}"#
        )
    };
    let runs = [
        (1, "done", "'SUCCESS'", "NULL", facts(1, "[]"), "'echo 1'", 2, 3),
        (2, "running", "NULL", "'main'", facts(2, "[]"), "'echo 2'", 1, 0),
        (3, "queued", "NULL", "'refs/pull/7/head'", facts(3, BY_SOMEBODY), "NULL", 0, 0),
    ];
    for (id, status, outcome, revision, facts, definition, epoch, lines) in runs {
        let (agent, ended) =
            (if status == "running" { "1" } else { "NULL" }, if status == "done" { "30" } else { "NULL" });
        run_sql(url, &format!(
            "INSERT INTO runs (id, project_id, number, status, outcome, facts, revision, trust, definition, epoch, agent_id, queued_ms, started_ms, \
             ended_ms, heard, digest, lines, events, reported) VALUES ({id}, 1, {id}, '{status}', {outcome}, '{facts}', {revision}, 'protected', \
             {definition}, {epoch}, {agent}, 10, 20, {ended}, 0, 0, {lines}, 0, 0)"
        )).await;
    }
    let digest = store::digest;
    run_sql(url, &format!("INSERT INTO deliveries VALUES ('{}', 1)", digest("one"))).await;
    run_sql(url, &format!("INSERT INTO agents VALUES (1, 'linux', '{}', 10, NULL)", digest("cfk_1"))).await;
    run_sql(url, &format!("INSERT INTO tokens VALUES ('{}', 'api', 'admin', 10, NULL, NULL)", digest("cft_1"))).await;
    // It had all that it was told in its row.
    let told = serde_json::to_string(&library(1, "c1", "it is")).unwrap();
    run_sql(url, &format!("INSERT INTO inputs VALUES (2, 0, 7, '{told}')")).await;
    run_sql(url, "INSERT INTO requests VALUES (2, 1, '{\"sleep\":{\"seconds\":1}}', 20, 0)").await;
}

async fn is_there(url: &str) -> Result<(), StoreError> {
    as_it_was(url).await;
    let store = seals::open(url).await;
    let app = store.project("app").await?.unwrap();
    assert_eq!((app.last_number, &app.config["hook"]["secret"]), (3, &json!("a secret of some length")));
    let filter = RunFilter { limit: 10, ..RunFilter::default() };
    let runs = store.runs(&filter).await?;
    let seen: Vec<_> = runs.iter().map(|run| (run.id.0, run.status, run.trust, run.definition.as_deref())).collect();
    assert_eq!(
        seen,
        [
            // Whoever had asked for it answered for nothing by that.
            (3, Status::Queued, Trust::Stranger, None),
            (2, Status::Running, Trust::Protected, Some("echo 2")),
            (1, Status::Done, Trust::Protected, Some("echo 1")),
        ]
    );
    assert_eq!((runs[1].agent, runs[1].epoch, runs[1].wakes_at), (Some(1), 1, None));
    let journal = store.journal(&runs[1], "echo 2", "Jenkinsfile").await?;
    assert_eq!(journal.entries(), [Entry { input: library(1, "c1", "it is"), at: Some(7) }]);
    assert_eq!(store.agent_by_key("cfk_1", 50).await?.map(|agent| agent.id), Some(1));
    // What came once does not come again, and what there is goes on.
    let again = NewRun { delivery: Some("one".into()), ..NewRun::default() };
    assert_eq!(store.create_run(&alice(), "app", again, 50).await?.id, runs[2].id);
    assert_eq!(store.create_run(&alice(), "app", NewRun::default(), 50).await?.number, 4);
    assert_eq!(store.lease_run(runs[0].id, 0, 1, 60).await?, 1);
    // Its token is somebody's, who is taken in by the server that comes.
    let listed = store.tokens(None).await?;
    assert_eq!(listed.iter().map(|token| token.owner.as_str()).collect::<Vec<_>>(), ["admin"]);
    assert!(store.known(TokenKind::Api, "cft_1", 50).await?.is_none());
    store.close().await;
    // And once more, as it is now.
    assert_eq!(Store::open(url).await?.runs(&filter).await?.len(), 4);
    Ok(())
}

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_forward() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    std::fs::File::create(&path).unwrap();
    is_there(&format!("sqlite:{}", path.display())).await.unwrap();
}

#[tokio::test]
async fn a_postgres_of_the_first_version_is_brought_forward() {
    let Some(postgres) = crate::postgres::Postgres::start() else { return };
    is_there(&postgres.database().await).await.unwrap();
}
