//! Looks into the database itself, beside the server: also while there is none.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blob::Blobs;
use model::event::{Event, LogSource};
use model::ids::RunId;
use model::outcome::Outcome;
use model::run::RunEnd;
use store::{AuditRow, Gate, Run, Status, Store};
use tokio::runtime::{Builder, Runtime};
use wire::agent::LogLine;
use wire::engine::{Begin, Input, Said};

use crate::agent::read_tag;
use crate::deeds::Deeds;

/// Rows of the audit that are read at once.
const ROWS: u32 = 500;
/// Lines of a log that are read at once.
const LINES: usize = 5_000;
/// How the file of a definition is called where nobody says otherwise.
const FILE: &str = "Jenkinsfile";

pub(crate) struct Checker {
    runtime: Runtime,
    store: Store,
    blobs: Blobs,
    blobs_away: Arc<AtomicBool>,
}

/// What a run ended with when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    outcome: Option<Outcome>,
    message: Option<String>,
    ended_at: Option<u64>,
    lines: u64,
    /// Of its log, wherever that lies now.
    digest: u64,
    epoch: u64,
}

impl Checker {
    pub(crate) fn new(database: &str, (blobs, blobs_away): (Blobs, Arc<AtomicBool>)) -> Result<Checker, String> {
        let runtime = Builder::new_current_thread().enable_time().build().map_err(|error| error.to_string())?;
        let gate: Gate = Arc::new(|| Box::pin(std::future::ready(true)));
        let store = runtime.block_on(Store::open_in_turn(database, gate)).map_err(|error| error.to_string())?;
        Ok(Checker { runtime, store, blobs, blobs_away })
    }

    fn wait<T>(&self, asked: impl Future<Output = Result<T, store::StoreError>>) -> Result<T, String> {
        self.runtime.block_on(asked).map_err(|error| format!("the database: {error}"))
    }

    pub(crate) fn audit(&self, after: u64) -> Result<Vec<AuditRow>, String> {
        self.wait(self.store.audit(after, ROWS))
    }

    pub(crate) fn run(&self, id: RunId) -> Result<Option<Run>, String> {
        self.wait(self.store.run(id))
    }

    /// Something is done to a run behind the server's back.
    pub(crate) fn tamper<T>(
        &self,
        with: impl AsyncFnOnce(&Store) -> Result<T, store::StoreError>,
    ) -> Result<T, String> {
        self.wait(with(&self.store))
    }

    /// The chain of the audit, which has so many rows.
    pub(crate) fn verify_audit(&self, rows: u64) -> Result<(), String> {
        match self.wait(self.store.verify_audit())? {
            Ok(found) if found == rows => Ok(()),
            Ok(found) => Err(format!("the audit has {found} rows, and {rows} were read")),
            Err(broken) => Err(broken.to_string()),
        }
    }

    /// A run that has ended. `None`: it is forgotten.
    pub(crate) fn ended(&self, id: RunId) -> Result<Option<Ended>, String> {
        let Some(run) = self.run(id)? else { return Ok(None) };
        if run.status != Status::Done {
            return Err(format!("{id} had ended, and is {:?}", run.status));
        }
        let mut digest = DefaultHasher::new();
        for LogLine { at, text, .. } in self.log(id)? {
            (at, text).hash(&mut digest);
        }
        let Run { outcome, message, ended_at, lines, epoch, .. } = run;
        Ok(Some(Ended { outcome, message, ended_at, lines, digest: digest.finish(), epoch }))
    }

    /// All of a run's log.
    fn log(&self, id: RunId) -> Result<Vec<LogLine>, String> {
        // For whoever only looks, it is never away.
        let is_away = self.blobs_away.swap(false, Ordering::Relaxed);
        let mut lines = Vec::new();
        let read = loop {
            let more = server::read_log(&self.store, &self.blobs, id, lines.len() as u64, LINES);
            match self.runtime.block_on(more) {
                Ok(more) if more.is_empty() => break Ok(lines),
                Ok(more) => lines.extend(more),
                Err(error) => break Err(format!("the log of {id}: {error}")),
            }
        };
        self.blobs_away.store(is_away, Ordering::Relaxed);
        read
    }

    /// Everything that is known of a run that has ended is held against what its agents did, and against another evaluation of its
    /// journal.
    pub(crate) fn look_at(&self, id: RunId, deeds: &Deeds) -> Result<Option<Ended>, String> {
        let Some(run) = self.run(id)? else { return Ok(None) };
        let lines = self.log(id)?;
        if lines.len() as u64 != run.lines {
            return Err(format!("{id} has {} lines, and says {}", lines.len(), run.lines));
        }
        let (of_agents, others): (Vec<&LogLine>, Vec<&LogLine>) =
            lines.iter().partition(|line| read_tag(&line.text).is_some());
        agents_lines(id, &of_agents, deeds)?;
        self.evaluate_again(&run, &others)?;
        self.ended(id)
    }

    /// The lines of its engine are those that another engine says, and it ends as that one does.
    fn evaluate_again(&self, run: &Run, lines: &[&LogLine]) -> Result<(), String> {
        let id = run.id;
        // What the server says by itself: that a job goes elsewhere.
        let is_its_own = |line: &LogLine| {
            line.source == LogSource::System && line.text.contains(" goes to another agent, which has ")
        };
        let texts: Vec<&str> = lines.iter().filter(|line| !is_its_own(line)).map(|line| line.text.as_str()).collect();
        let Some(definition) = run.definition.clone() else {
            return if texts.iter().all(|text| text.starts_with("ERROR: ")) {
                Ok(())
            } else {
                Err(format!("{id} has no definition, and says {texts:?}"))
            };
        };
        let journal = self.wait(self.store.journal(run, &definition, FILE))?;
        let begin = Begin { source: definition, file_name: FILE.into(), facts: run.facts.clone() };
        let (session, _) = engine::Session::begin(begin);
        let (mut said, mut answered) = (Vec::new(), std::collections::BTreeSet::new());
        if let Some(mut session) = session {
            for entry in journal.entries() {
                if let Input::Answer { id: request, .. } = &entry.input
                    && !answered.insert(*request)
                {
                    return Err(format!("{request} of {id} is answered twice"));
                }
                if entry.at.is_some() {
                    session.give(entry.at, entry.input.clone());
                }
            }
            while !session.is_over() && !session.waits() {
                said.extend(session.turn());
            }
        }
        let mut end: Option<RunEnd> = None;
        let mut expected = Vec::new();
        for said in said {
            match said {
                Said::Event(Event::Log { text, .. } | Event::StageSkipped { reason: text, .. }) => expected.push(text),
                Said::Ended(ended) => end = Some(ended),
                Said::Diverged { reason } => return Err(format!("{id} cannot be evaluated again: {reason}")),
                _ => {}
            }
        }
        let message = |end: &RunEnd| end.message.as_deref().map(|text| text.replace('\0', "\u{fffd}"));
        if end.as_ref().is_some_and(|end| run.outcome == Some(end.outcome) && run.message == message(end))
            && texts == expected
        {
            return Ok(());
        }
        // Whoever ends a run without its engine says so in the last line, but for one that waits.
        let reason = format!("ERROR: {}", run.message.as_deref().unwrap_or_default());
        let heard = texts.strip_suffix(&[reason.as_str()]);
        let in_queue = || matches!(run.outcome, Some(Outcome::Aborted | Outcome::NotBuilt)).then_some(texts.as_slice());
        match heard.or_else(in_queue) {
            Some(heard) if expected.iter().map(String::as_str).take(heard.len()).eq(heard.iter().copied()) => Ok(()),
            _ => Err(format!(
                "{id} ends as {:?} {:?} and says {texts:?}; its engine ends as {end:?} and says {expected:?}",
                run.outcome, run.message
            )),
        }
    }
}

/// What agents were told is kept is there, once and in its order; and nothing that they did not say.
fn agents_lines(id: RunId, lines: &[&LogLine], deeds: &Deeds) -> Result<(), String> {
    let mut found: std::collections::BTreeMap<u64, Vec<usize>> = std::collections::BTreeMap::new();
    for line in lines {
        let (epoch, number) = read_tag(&line.text).unwrap_or_default();
        found.entry(epoch).or_default().push(number);
    }
    for (epoch, items) in deeds.of_run(id) {
        let stored = found.remove(&epoch).unwrap_or_default();
        let said: Vec<usize> = (0..items.is_line.len()).filter(|number| items.is_line[*number]).collect();
        let kept = said.iter().filter(|number| **number < items.kept).count();
        if stored.len() < kept {
            return Err(format!(
                "{id} epoch {epoch}: {kept} lines were acknowledged, and {} are there: {stored:?}",
                stored.len()
            ));
        }
        if said.get(..stored.len()) != Some(&stored[..]) {
            return Err(format!("{id} epoch {epoch}: {stored:?} are there, and {said:?} were said"));
        }
    }
    match found.first_key_value() {
        Some((epoch, _)) => Err(format!("{id} has lines of epoch {epoch}, in which nobody said any")),
        None => Ok(()),
    }
}
