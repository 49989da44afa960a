//! A log of 1 GB, through masking and the store into blobs: how soon its pages are there, and what a reader of all of it gets a second.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use model::outcome::Outcome;
use model::run::RunEnd;
use secrets::Masker;
use sqlx::{Connection as _, Row as _};
use store::{Actor, NewRun, Store};
use wire::agent::Item;

use super::ingest::lines;
use super::measure::{Table, milliseconds};
use super::server::{Process, answers, free_port, resident, start, until};

const BYTES: usize = 1_000_000_000;
const ROUNDS: usize = 20;

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("a log of 1 GB");
    if let Err(error) = fill(&mut table, &scratch.join("large-log")) {
        table.notes.push(format!("skipped: {error}"));
    }
    table
}

fn serve(data: &Path) -> Result<(Process, u16), String> {
    let port = free_port()?;
    let server = start(&["server", "--listen", &format!("127.0.0.1:{port}")], data)?;
    until("the server answers", || answers(port))?;
    Ok((server, port))
}

fn fill(table: &mut Table, data: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let (server, port) = serve(data)?;
    let token = std::fs::read_to_string(data.join("admin-token")).map_err(text)?;
    let bearer = format!("Authorization: Bearer {}", token.trim());
    let config = r#"{"source":{"folder":"/nowhere"}}"#;
    ask(port, "PUT /api/v1/projects/app", &bearer, "application/json", config).map_err(text)?;
    drop(server);

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(text)?;
    let url = format!("sqlite://{}", data.join("cofferdam.db").display());
    let (took, count) = runtime.block_on(put(&url)).map_err(|error| error.to_string())?;
    table.push("through masking into the store", "MB/s", vec![BYTES as f64 / 1e6 / took.as_secs_f64()]);

    let (server, port) = serve(data)?;
    let began = Instant::now();
    until("the log is in blobs", || {
        std::thread::sleep(Duration::from_millis(100));
        runtime.block_on(is_moved(&url)).unwrap_or(false)
    })?;
    table.notes.push(format!("into blobs within {:.1} s of the server's start", began.elapsed().as_secs_f64()));
    let form = format!("token={}", token.trim());
    let answer =
        ask(port, "POST /login", "Accept: text/html", "application/x-www-form-urlencoded", &form).map_err(text)?;
    let session =
        answer.lines().find_map(|line| line.to_ascii_lowercase().starts_with("set-cookie:").then(|| line.to_owned()));
    let session = session.and_then(|line| Some(line.split_once(": ")?.1.split(';').next()?.to_owned()));
    let cookie = format!("Cookie: {}", session.ok_or("nobody was logged in")?);
    for (what, path) in [
        ("the page of its run, with its last lines", "/runs/1".to_owned()),
        ("a page of it, from the middle", format!("/runs/1/log?from={}", count / 2)),
    ] {
        let mut took = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let page = ask(port, &format!("GET {path}"), &cookie, "text/plain", "").map_err(text)?;
            took.push(milliseconds(began.elapsed()));
            if page.matches("[INFO] Downloading").count() < 1000 {
                return Err(format!("{path}: {page:.300}"));
            }
        }
        table.push(what, "ms", took);
    }
    let began = Instant::now();
    let read = drain(port, "/job/app/1/consoleText", &bearer).map_err(text)?;
    if read < BYTES as u64 {
        return Err(format!("of the log {read} bytes were read"));
    }
    table.push("all of it, as text", "MB/s", vec![read as f64 / 1e6 / began.elapsed().as_secs_f64()]);
    table.push("resident memory of the server, after that", "MB", vec![resident(server.id())]);
    Ok(())
}

async fn put(url: &str) -> Result<(Duration, u64), store::StoreError> {
    let store = Store::open(url).await?;
    let run = store.create_run(&Actor::server(), "app", NewRun::default(), 1).await?;
    let masker = Masker::new(["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "correct-horse-battery"]);
    let (mut kept, mut bytes, mut took) = (0, 0, Duration::ZERO);
    while bytes < BYTES {
        let mut report = lines(kept as usize);
        let began = Instant::now();
        for item in &mut report {
            if let Item::Line(line) = item {
                masker.clean(&mut line.text);
                bytes += line.text.len() + 1;
            }
        }
        kept = store.report(run.id, kept, &report).await?;
        took += began.elapsed();
    }
    let end = RunEnd::failed(Outcome::Success, None, "");
    store.finish_run(run.id, &end, 2).await?;
    Ok((took, kept))
}

/// Nothing of it is in rows any more.
async fn is_moved(url: &str) -> Result<bool, sqlx::Error> {
    sqlx::any::install_default_drivers();
    let mut database = sqlx::AnyConnection::connect(url).await?;
    let row = sqlx::query("SELECT COUNT(*) FROM log_chunks WHERE key IS NULL").fetch_one(&mut database).await?;
    Ok(row.try_get::<i64, _>(0)? == 0)
}

fn send(port: u16, what: &str, header: &str, kind: &str, body: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let length = body.len();
    write!(
        stream,
        "{what} HTTP/1.1\r\nHost: x\r\n{header}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    Ok(stream)
}

fn ask(port: u16, what: &str, header: &str, kind: &str, body: &str) -> std::io::Result<String> {
    let mut answer = String::new();
    send(port, what, header, kind, body)?.read_to_string(&mut answer)?;
    Ok(answer)
}

/// How many bytes an answer has.
fn drain(port: u16, path: &str, header: &str) -> std::io::Result<u64> {
    std::io::copy(&mut send(port, &format!("GET {path}"), header, "text/plain", "")?, &mut std::io::sink())
}
