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
        if let Some(line) = self.renderer.line(event) {
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    fn finish(&mut self, _at: Duration, _summary: &Summary) {}
}
