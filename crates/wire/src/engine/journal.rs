//! What a run's keeper remembers of it, so that a new engine goes on where a lost one was.
//!
//! Sans-io: whoever keeps it says what the engine said and what comes in, is told what to write down, and writes it down *before* it
//! acts. Then nothing is acted upon that a new engine would not say again:
//!
//! * an input is written down before an engine is given it, so no answer is lost;
//! * where it was taken is written down before what came of it is acted upon, so a new engine takes it at the same place;
//! * how much was heard is written down with what is acted upon, so nothing is acted upon twice, and an input whose place nobody knows
//!   is taken behind everything that was heard.

use model::event::Event;
use model::ids::RequestId;
use model::request::Request;
use model::run::RunEnd;
use serde::{Deserialize, Serialize};

use super::{Begin, Finding, Input, Said, Word};

/// One input of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// It.
    pub input: Input,
    /// After how many turns it was taken; `None`: nobody knows that it was.
    pub at: Option<u64>,
}

/// All inputs of a run in their order, and how much of what came of them was heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    begin: Begin,
    entries: Vec<Entry>,
    /// Requests, cancellations and events that were heard, of whatever engine.
    heard: u64,
    /// A digest of them, in their order.
    digest: u64,
    /// Of the engine that runs now: what it has said again, and the digest of that.
    #[serde(skip)]
    again: (u64, u64),
    /// Entries that it has taken.
    #[serde(skip)]
    taken: usize,
    /// Entries that it was given.
    #[serde(skip)]
    given: usize,
}

/// Something to act upon, after it was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The definition is valid.
    Begun(Vec<Finding>),
    /// It is not.
    Invalid(Vec<Finding>),
    /// Do this.
    Request(RequestId, Request),
    /// End that early.
    Cancel(RequestId),
    /// It happened.
    Event(Event),
    /// It waits for an input.
    Waits,
    /// The run is over.
    Ended(RunEnd),
    /// The place of that entry is known now: to be written down, and nothing else.
    Took(usize),
    /// It is saying again what was heard before: nothing to act upon.
    Nothing,
}

/// An engine that is none for this run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// It does not do again what was done.
    #[error("the engine does not do again what it did: {reason}")]
    Diverged {
        /// In words.
        reason: String,
    },
    /// It says what no engine says.
    #[error("the engine breaks its protocol: {reason}")]
    Offence {
        /// In words.
        reason: String,
    },
}

impl Journal {
    /// Of a run that has not begun.
    pub fn new(begin: Begin) -> Journal {
        Journal { begin, entries: Vec::new(), heard: 0, digest: START, again: (0, START), taken: 0, given: 0 }
    }

    /// As it was written down.
    pub fn restored(begin: Begin, entries: Vec<Entry>, heard: u64, digest: u64) -> Journal {
        Journal { entries, heard, digest, ..Journal::new(begin) }
    }

    /// How much was heard, and its digest: to be written down with what is acted upon.
    pub fn heard(&self) -> (u64, u64) {
        (self.heard, self.digest)
    }

    /// All inputs.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// There is a new engine, which knows nothing. Its first words.
    pub fn restart(&mut self) -> Vec<Word> {
        self.again = (0, START);
        (self.taken, self.given) = (0, 0);
        let mut words = vec![Word::Begin(Box::new(self.begin.clone()))];
        words.extend(self.next_words());
        words
    }

    /// Something came in, and has been written down. What the engine is told now, if there is one.
    pub fn add(&mut self, input: Input) -> Vec<Word> {
        self.entries.push(Entry { input, at: None });
        self.next_words()
    }

    /// Inputs whose place is known are told at once. Others wait until everything that was heard has been said again.
    fn next_words(&mut self) -> Vec<Word> {
        let mut words = Vec::new();
        while let Some(entry) = self.entries.get(self.given).filter(|entry| entry.at.is_some() || self.is_caught_up()) {
            words.push(Word::Input { at: entry.at, input: entry.input.clone() });
            self.given += 1;
        }
        words
    }

    fn is_caught_up(&self) -> bool {
        self.again.0 == self.heard
    }

    /// What the engine said, and what it is told now.
    ///
    /// # Errors
    /// It is to be ended.
    pub fn hear(&mut self, said: Said) -> Result<(Heard, Vec<Word>), JournalError> {
        let heard = match said {
            Said::Begun { .. } if self.heard > 0 => Heard::Nothing,
            Said::Begun { warnings } => Heard::Begun(warnings),
            Said::Invalid { findings } if self.heard == 0 => Heard::Invalid(findings),
            Said::Took { at } => self.took(at)?,
            Said::Waits => Heard::Waits,
            Said::Ended(end) if self.is_caught_up() => Heard::Ended(end),
            Said::Diverged { reason } => return Err(JournalError::Diverged { reason }),
            Said::Request { .. } | Said::Cancel { .. } | Said::Event(_) => return self.repeated_or_new(said),
            other => return Err(JournalError::Offence { reason: format!("not now: {}", short(&other)) }),
        };
        if matches!(heard, Heard::Waits) && !self.is_caught_up() {
            // Everything that it was given, it has taken: what it has not said again by now, it never will.
            let left = self.heard - self.again.0;
            return match self.taken >= self.given {
                true => {
                    Err(JournalError::Diverged { reason: format!("it waits before {left} words that it once said") })
                }
                false => Ok((Heard::Nothing, Vec::new())),
            };
        }
        Ok((heard, Vec::new()))
    }

    fn took(&mut self, at: u64) -> Result<Heard, JournalError> {
        let index = self.taken;
        let Some(entry) = self.entries.get_mut(index).filter(|_| index < self.given) else {
            return Err(JournalError::Offence { reason: format!("it took input {index}, which it was not given") });
        };
        self.taken += 1;
        match entry.at {
            None => {
                entry.at = Some(at);
                Ok(Heard::Took(index))
            }
            Some(before) if before == at => Ok(Heard::Nothing),
            Some(before) => {
                Err(JournalError::Diverged { reason: format!("input {index} was taken at {before}, and now at {at}") })
            }
        }
    }

    fn repeated_or_new(&mut self, said: Said) -> Result<(Heard, Vec<Word>), JournalError> {
        let digest = chain(self.again.1, &said);
        if self.is_caught_up() {
            (self.heard, self.digest) = (self.heard + 1, digest);
            self.again = (self.heard, digest);
            let heard = match said {
                Said::Request { id, request } => Heard::Request(id, request),
                Said::Cancel { id } => Heard::Cancel(id),
                Said::Event(event) => Heard::Event(event),
                _ => Heard::Nothing,
            };
            return Ok((heard, Vec::new()));
        }
        self.again = (self.again.0 + 1, digest);
        if self.is_caught_up() && self.again.1 != self.digest {
            return Err(JournalError::Diverged { reason: format!("of {} words, some are others now", self.heard) });
        }
        let words = self.next_words();
        Ok((Heard::Nothing, words))
    }
}

/// The digest of nothing (FNV-1a, 64 bits). It shows mistakes; there is nobody to be deceived, for an engine that wants to do otherwise can
/// do so from its first word on.
const START: u64 = 0xcbf2_9ce4_8422_2325;

fn chain(digest: u64, said: &Said) -> u64 {
    let text = serde_json::to_vec(said).unwrap_or_default();
    text.iter().fold(digest, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn short(said: &Said) -> String {
    let text = format!("{said:?}");
    text.chars().take(80).collect()
}
