//! A server with a million runs that have ended: how soon a page of them is there, over HTTP.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use model::run::RunFacts;
use sqlx::Connection as _;

use super::measure::{Table, milliseconds};
use super::server::{answers, free_port, resident, start, until};

const RUNS: u64 = 1_000_000;
const PROJECTS: u64 = 100;
const ROUNDS: usize = 50;

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("a server with 1,000,000 finished runs");
    if let Err(error) = fill(&mut table, &scratch.join("listing")) {
        table.notes.push(format!("skipped: {error}"));
    }
    table
}

fn fill(table: &mut Table, data: &Path) -> Result<(), String> {
    let port = free_port()?;
    let listen = format!("127.0.0.1:{port}");
    // One that makes its tables, and one that finds them full.
    drop(start(&["server", "--listen", &listen], data).and_then(|server| {
        until("the server answers", || answers(port))?;
        Ok(server)
    })?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let put = runtime.map_err(|error| error.to_string())?.block_on(put_runs(&data.join("cofferdam.db")));
    put.map_err(|error| error.to_string())?;
    // And one that seals what projects were told, which is done once.
    drop(start(&["server", "--listen", &listen], data).and_then(|server| {
        until("the server answers", || answers(port))?;
        Ok(server)
    })?);
    let began = Instant::now();
    let server = start(&["server", "--listen", &listen], data)?;
    until("the server answers", || answers(port))?;
    table.push("start, to its first answer", "ms", vec![milliseconds(began.elapsed())]);
    let token = std::fs::read_to_string(data.join("admin-token")).map_err(|error| error.to_string())?;
    let middle = format!("/api/v1/runs?limit=50&before={}", RUNS / 2);
    for (what, path) in [
        ("the newest 50", "/api/v1/runs?limit=50"),
        ("50 from the middle", middle.as_str()),
        ("the newest 50 of a project", "/api/v1/runs?limit=50&project=project-7"),
    ] {
        let mut took = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let answer = get(port, token.trim(), path).map_err(|error| error.to_string())?;
            took.push(milliseconds(began.elapsed()));
            let count = answer.matches("\"queued_at\"").count();
            if count != 50 {
                return Err(format!("{path}: {count} runs: {answer:.300}"));
            }
        }
        table.push(what, "ms", took);
    }
    table.push("resident memory", "MB", vec![resident(server.id())]);
    Ok(())
}

fn get(port: u16, token: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// In a few statements: asked for one by one, they would take the night.
async fn put_runs(file: &Path) -> Result<(), sqlx::Error> {
    sqlx::any::install_default_drivers();
    let mut database = sqlx::AnyConnection::connect(&format!("sqlite://{}", file.display())).await?;
    let config = serde_json::json!({ "source": { "folder": "/nowhere" } }).to_string();
    let facts = serde_json::to_string(&RunFacts::default()).unwrap_or_default();
    let numbers =
        |most: u64| format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})");
    let each = RUNS / PROJECTS;
    for text in [
        format!(
            "INSERT INTO projects (id, name, config, last_number, created_ms) {} SELECT i, 'project-' || i, '{config}', {each}, 1 FROM n",
            numbers(PROJECTS)
        ),
        format!(
            "INSERT INTO runs (id, project_id, number, status, outcome, facts, trust, epoch, queued_ms, started_ms, ended_ms, heard, digest, lines, events, reported) \
             {} SELECT i, 1 + i % {PROJECTS}, (i - 1) / {PROJECTS} + 1, 'done', 'SUCCESS', '{facts}', 'protected', 1, i, i, i + 1, 0, 0, 10, 0, 0 FROM n",
            numbers(RUNS)
        ),
        format!("INSERT INTO counters (name, value) VALUES ('run', {RUNS}), ('project', {PROJECTS})"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(text)).execute(&mut database).await?;
    }
    database.close().await
}
