//! The protocol with the process that evaluates one run (`cofferdam engine`): a line of JSON for each message.
//!
//! ```text
//!   keeper                                     engine
//!    |  Word::Begin  -------------------------> |
//!    | <--------------- Said::Begun | Invalid   |
//!    | <--------------- Said::Request *         |   and what happened; `Waits` when nothing goes on by itself
//!    |  Word::Input  -------------------------> |
//!    | <--------------- Said::Took { at }       |   before anything that came of it
//!    | <--------------- Said::Ended             |   its last word
//! ```
//!
//! An engine is deterministic: the same beginning and the same inputs, each taken after the same number of turns, bring the same
//! words. So a [`Journal`] of the inputs is enough to put a new engine in the place of a lost one.
//!
//! The engine is hostile to its keeper: it evaluates what strangers wrote.

mod journal;
mod lines;

use model::event::Event;
use model::ids::{RequestId, StepId};
use model::request::{Reply, Request};
use model::run::{RunEnd, RunFacts};
use serde::{Deserialize, Serialize};

pub use journal::{Entry, Heard, Journal, JournalError};
pub use lines::{LineError, Lines, encode, fits};

/// Time of a processor that an engine may compute for in one turn, in seconds. Then `SIGVTALRM` ends it, and another would end there as well.
pub const TURN_SECONDS: u32 = 30;

/// What is said of such a run: nobody's loss, and the definition's failure.
pub fn turn_too_long() -> String {
    format!(
        "limit reached: one step of the script computed for {TURN_SECONDS} s without an end (an expression that looks ahead or back again and again, or a \
         method on something very long)"
    )
}

/// The signal that ends an engine after [`TURN_SECONDS`].
pub const TURN_SIGNAL: i32 = 26;

/// The longest message in bytes: what a step captures of a program's output has to fit, as JSON writes it: up to six bytes for one.
pub const MAX_LINE_BYTES: usize = 7 * model::limits::MAX_CAPTURE_BYTES;

/// To an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The first word.
    Begin(Box<Begin>),
    /// What came in.
    Input {
        /// To be taken after so many turns, as it once was; `None`: at once.
        at: Option<u64>,
        /// It.
        input: Input,
    },
}

/// What a run depends on besides its inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// Text of the definition.
    pub source: String,
    /// Its name for messages: `Jenkinsfile`.
    pub file_name: String,
    /// Facts about the run.
    pub facts: RunFacts,
}

/// What an engine is told while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The answer to a request.
    Answer {
        /// Which.
        id: RequestId,
        /// What came of it.
        reply: Reply,
    },
    /// A process of that step wrote something.
    OutputSeen {
        /// Which.
        step: StepId,
    },
    /// The run is to end.
    Abort {
        /// Why, for its log.
        reason: String,
    },
}

/// From an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// The definition is valid.
    Begun {
        /// What is odd in it.
        warnings: Vec<Finding>,
    },
    /// The definition is not; its last word.
    Invalid {
        /// Everything that was found.
        findings: Vec<Finding>,
    },
    /// To be done, and answered under that id.
    Request {
        /// The id: ascending from 1.
        id: RequestId,
        /// What.
        request: Request,
    },
    /// That request is to end early; it is answered all the same.
    Cancel {
        /// Which.
        id: RequestId,
    },
    /// It happened.
    Event(Event),
    /// The oldest input that was not taken yet was taken, after so many turns.
    Took {
        /// How many.
        at: u64,
    },
    /// Nothing goes on before the next input.
    Waits,
    /// An input that was to be taken at a certain turn cannot be: this is another engine, or another definition. Its last word.
    Diverged {
        /// In words.
        reason: String,
    },
    /// The run is over; its last word.
    Ended(RunEnd),
}

/// What was found in a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The definition is rejected for it.
    pub is_error: bool,
    /// Byte offset of its begin.
    pub start: u32,
    /// Byte offset behind its end.
    pub end: u32,
    /// What, in one sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}
