//! Plain lines for pipes and files: the path of the stage before each line of output.

use std::io::Write as _;
use std::time::Duration;

use model::event::{Event, LogSource};
use model::outcome::Outcome;
use model::rung::Rung;

use super::stages::Stages;
use super::{Show, Style, Summary, duration, for_terminal, tools_of};

/// See the module.
#[derive(Debug)]
pub struct PrefixedLines {
    stages: Stages,
    style: Style,
    quiet: bool,
    /// The pipeline asked for `timestamps`.
    timestamps: bool,
}

impl PrefixedLines {
    /// Every line.
    pub fn new(style: Style) -> Self {
        PrefixedLines { stages: Stages::default(), style, quiet: false, timestamps: false }
    }

    /// Only the summary.
    pub fn only_the_end(style: Style) -> Self {
        PrefixedLines { stages: Stages::default(), style, quiet: true, timestamps: false }
    }

    fn print(&self, line: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }
}

impl Show for PrefixedLines {
    fn event(&mut self, at: Duration, event: &Event) {
        self.stages.apply(at, event);
        let style = self.style;
        match event {
            Event::TimestampsSwitched { on } => self.timestamps = *on,
            Event::Log { source: LogSource::Pipeline, .. } => {}
            Event::Log { stage, text, source, .. } => {
                let prefix = match (source, self.stages.path(*stage)) {
                    (LogSource::System, _) => "cofferdam".to_owned(),
                    (_, path) => path,
                };
                let text = if style.colors { for_terminal(text) } else { text.clone() };
                let text = if self.timestamps { format!("{} {text}", clock(at)) } else { text };
                if prefix.is_empty() {
                    self.print(&text);
                } else {
                    self.print(&format!("{} {text}", style.cyan(&format!("[{prefix}]"))));
                }
            }
            Event::StageSkipped { stage, reason } => {
                self.print(&format!("{} {reason}", style.cyan(&format!("[{}]", self.stages.path(Some(*stage))))));
            }
            Event::StageFinished { stage, outcome } => {
                let took = self.stages.stage(*stage).map_or(Duration::ZERO, |s| at.saturating_sub(s.started));
                let silent = self.stages.stage(*stage).is_some_and(|s| s.skipped || s.is_hidden());
                if !silent {
                    self.print(&format!(
                        "{} {} {} in {}",
                        style.cyan(&format!("[{}]", self.stages.path(Some(*stage)))),
                        style.sign(*outcome),
                        style.outcome(*outcome, outcome.name()),
                        duration(took)
                    ));
                }
            }
            Event::JobStarted { job, rung, driver, why, image, took_us } => {
                let parts: Vec<_> = took_us
                    .iter()
                    .map(|(what, us)| format!("{what} {}", duration(Duration::from_micros(*us))))
                    .collect();
                let image = image.as_deref().unwrap_or_else(|| tools_of(*rung));
                self.print(&style.dim(&format!(
                    "[cofferdam] {job}: {} sandbox with {image} ready: {}",
                    rung.name(),
                    parts.join(", ")
                )));
                if *rung > Rung::Container || driver != rung.name() {
                    self.print(&style.dim(&format!("[cofferdam] {job}: driver {driver}, because {why}")));
                }
            }
            Event::JobFinished { job, limit: Some(limit) } => {
                self.print(&format!("[cofferdam] {job}: met the {limit}"))
            }
            _ => {}
        }
    }

    fn finish(&mut self, at: Duration, summary: &Summary) {
        let outcome = Outcome::from_name(&summary.outcome);
        for (name, value) in &summary.facts {
            self.print(&self.style.dim(&format!("[cofferdam] {name}: {value}")));
        }
        let name = outcome.map_or(summary.outcome.clone(), |o| self.style.outcome(o, o.name()));
        let _ = writeln!(std::io::stdout(), "Finished: {name} in {}", duration(at));
    }
}

/// Time since the start of the run, as `timestamps` shows it: `00:01:02.345`.
fn clock(at: Duration) -> String {
    let s = at.as_secs();
    format!("{:02}:{:02}:{:02}.{:03}", s / 3600, s / 60 % 60, s % 60, at.subsec_millis())
}
