//! What a run in the small world has left.

use std::collections::BTreeMap;

use model::event::Event;
use model::outcome::Outcome;
use model::request::Request;
use pipeline::engine::RunEnd;

/// A run that is over.
pub struct Ran {
    pub end: RunEnd,
    pub log: String,
    pub archived: BTreeMap<String, String>,
    pub requests: Vec<Request>,
    pub events: Vec<Event>,
    pub stashes: Stashes,
}

/// Path and content of what was stashed, by the name of the stash.
pub type Stashes = BTreeMap<String, Vec<(String, Vec<u8>)>>;

impl Ran {
    pub fn outcome(&self) -> Outcome {
        self.end.outcome
    }

    #[track_caller]
    pub fn has(&self, text: &str) -> &Self {
        assert!(self.log.contains(text), "no {text:?} in:\n{}", self.log);
        self
    }

    #[track_caller]
    pub fn has_once(&self, text: &str) -> &Self {
        assert_eq!(self.log.matches(text).count(), 1, "{text:?} in:\n{}", self.log);
        self
    }

    #[track_caller]
    pub fn lacks(&self, text: &str) -> &Self {
        assert!(!self.log.contains(text), "{text:?} in:\n{}", self.log);
        self
    }

    #[track_caller]
    pub fn is(&self, outcome: Outcome) -> &Self {
        assert_eq!(self.end.outcome, outcome, "log:\n{}", self.log);
        self
    }
}
