//! Events as JSON, one object a line, on standard output.

use std::io::Write as _;
use std::time::Duration;

use model::event::Event;
use serde::Serialize;

use super::{Show, Summary};

/// See the module.
#[derive(Debug, Default)]
pub struct JsonEvents {
    closed: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    /// Milliseconds since the run began.
    at_ms: u64,
    #[serde(flatten)]
    event: &'a Event,
}

impl Show for JsonEvents {
    fn event(&mut self, at: Duration, event: &Event) {
        let line = Line { at_ms: at.as_millis() as u64, event };
        // A reader that went away (`| head`) is no reason to fail the run.
        if let Ok(text) = serde_json::to_string(&line)
            && !self.closed
        {
            self.closed = writeln!(std::io::stdout(), "{text}").is_err();
        }
    }

    fn finish(&mut self, at: Duration, summary: &Summary) {
        let facts: serde_json::Map<_, _> =
            summary.facts.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        let line = serde_json::json!({ "at_ms": at.as_millis() as u64, "event": "summary", "outcome": summary.outcome, "facts": facts });
        if !self.closed {
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }
}
