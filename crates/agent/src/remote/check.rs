//! Definitions that are to be read, and not run: each by an engine of its own, behind the same walls.

use std::sync::Arc;
use std::time::Duration;

use model::run::RunFacts;
use tokio::sync::{Semaphore, mpsc};
use wire::engine::{Begin, Finding, Said, Word as EngineWord};

use super::Word;
use crate::engine::{EngineProgram, Process};

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// So many are read at once.
pub(super) const MOST: usize = 2;

/// Reads one in a task of its own, and tells what was found.
pub(super) fn start(
    program: EngineProgram,
    (id, text): (u64, String),
    turns: Arc<Semaphore>,
    inbox: mpsc::UnboundedSender<Word>,
) {
    tokio::spawn(async move {
        let read = async {
            let _turn = turns.acquire().await.map_err(|error| error.to_string())?;
            read(&program, text).await
        };
        let late = |_| Err(format!("it was not read within {} s", PATIENCE.as_secs()));
        let findings = tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(late);
        let _ = inbox.send(Word::Checked(id, findings));
    });
}

async fn read(program: &EngineProgram, text: String) -> Result<Vec<Finding>, String> {
    let mut process = Process::start(program).map_err(|trouble| trouble.0.message)?;
    let facts = RunFacts { planning: true, ..RunFacts::default() };
    let begin = Begin { source: text, file_name: "Jenkinsfile".to_owned(), facts };
    let mut bytes = Vec::new();
    wire::engine::encode(&EngineWord::Begin(begin), &mut bytes).map_err(|error| error.to_string())?;
    // One that is gone says nothing, which is heard next.
    let _ = process.input().send(bytes);
    match process.hear(1).await?.and_then(|said| said.into_iter().next()) {
        Some(Said::Begun { warnings }) => Ok(warnings),
        Some(Said::Invalid { findings }) => Ok(findings),
        Some(_) => Err("the engine does not say what it has found".to_owned()),
        None => Err(format!("the engine was lost: {}", process.ending().await)),
    }
}
