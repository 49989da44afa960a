//! Lines that agents report, into the store: taken once each, packed, on the disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use model::event::LogSource;
use model::ids::StepId;
use secrets::Masker;
use store::{Actor, Keys, NewRun, SealingKey, Store};
use wire::agent::{Item, LogLine, MAX_REPORT};

use super::measure::Table;

/// Of one round.
const REPORTS: usize = 100;
const ROUNDS: usize = 5;

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("lines of logs into the store (SQLite), one run");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let filled = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let file = scratch.join("ingest.db");
        runtime.block_on(fill(&mut table, &format!("sqlite:{}", file.display()))).map_err(|error| error.to_string())
    });
    if let Err(error) = filled {
        table.notes.push(format!("skipped: {error}"));
    }
    table
}

/// Like those of a build: no two the same, and alike.
pub fn lines(from: usize) -> Vec<Item> {
    let line = |number: usize| {
        let text = format!(
            "[INFO] Downloading from central: https://repo.example.org/maven2/org/example/part-{}/1.{}/part-{number}.jar ({} kB)",
            number % 97,
            number % 13,
            number * 7919 % 10_007
        );
        Item::Line(LogLine { at: number as u64, step: Some(StepId(1)), stage: None, source: LogSource::Stdout, text })
    };
    (from..from + MAX_REPORT).map(line).collect()
}

/// With a key that nobody needs again.
pub async fn opened(url: &str) -> Result<Store, store::StoreError> {
    let store = Store::open(url).await?;
    let key = SealingKey::parse(&SealingKey::generate()).ok_or(store::StoreError::Locked)?;
    store.unlock(Arc::new(Keys::new(key, Vec::new())), 1).await?;
    Ok(store)
}

async fn fill(table: &mut Table, url: &str) -> Result<(), store::StoreError> {
    let store = opened(url).await?;
    let config = serde_json::json!({ "source": { "folder": "/nowhere" } });
    store.put_project(&Actor::server(), "app", &config, &config, 1).await?;
    let run = store.create_run(&Actor::server(), "app", NewRun::default(), 1).await?;
    let mut reports: Vec<_> = (0..REPORTS).map(|number| lines(number * MAX_REPORT)).collect();
    let bytes: usize =
        reports.iter().flatten().map(|item| if let Item::Line(line) = item { line.text.len() + 1 } else { 0 }).sum();
    // As a token, a password and a key in hex would be.
    let secrets = ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "correct-horse-battery", &"3f9a".repeat(16)];
    let maskers = [Masker::default(), Masker::new(secrets)];
    let (mut rates, mut kept) = ([const { Vec::new() }; 2], 0);
    for round in 0..=ROUNDS {
        for (masker, rates) in maskers.iter().zip(&mut rates) {
            let began = Instant::now();
            for report in &mut reports {
                for item in report.iter_mut() {
                    if let Item::Line(line) = item {
                        masker.clean(&mut line.text);
                    }
                }
                kept = store.report(run.id, kept, report).await?;
            }
            if round > 0 {
                rates.push(bytes as f64 / 1e6 / began.elapsed().as_secs_f64());
            }
        }
    }
    let [bare, masked] = rates;
    table.push("text of lines", "MB/s", bare);
    table.push("text of lines of a run with three secrets", "MB/s", masked);
    Ok(())
}
