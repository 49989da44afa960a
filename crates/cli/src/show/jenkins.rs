//! The log as Jenkins prints it, for tools that read that.

use std::io::Write as _;
use std::time::Duration;

use model::event::Event;
use pipeline::log::LogRenderer;

use super::{Show, Summary};

/// See the module.
#[derive(Debug, Default)]
pub struct JenkinsLog {
    renderer: LogRenderer,
}

impl Show for JenkinsLog {
    fn event(&mut self, _at: Duration, event: &Event) {
        let Some(line) = self.renderer.line(event) else { return };
        let mut out = std::io::stdout().lock();
        let _ = if self.renderer.timestamps() {
            // As the timestamper plugin writes it into the log of a pipeline.
            writeln!(out, "[{}] {line}", jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ"))
        } else {
            writeln!(out, "{line}")
        };
    }

    fn finish(&mut self, _at: Duration, _summary: &Summary) {}
}
