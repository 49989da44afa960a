//! The live view: the tree of stages with durations and, below each running step, its last lines. Redrawn in place; what is
//! final scrolls up and stays.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use model::event::{Event, LogSource};
use model::outcome::Outcome;

use super::stages::{Stage, Stages};
use super::{Show, Style, Summary, duration, for_terminal};

/// See the module.
#[derive(Debug)]
pub struct LiveTree {
    stages: Stages,
    style: Style,
    drawn_lines: usize,
    /// The latest word of cofferdam itself (`pulling maven:3 …`), shown below the tree.
    notice: String,
    /// Everything that was logged by a step that failed, kept for the end.
    failures: Vec<String>,
    log: Vec<(Option<model::ids::StepId>, String)>,
}

/// Log lines kept so that the output of a failed step can be shown whole at the end.
const KEPT_LINES: usize = 400;
const SPINNER: [&str; 8] = ["⠋", "⠙", "⠸", "⠴", "⠦", "⠧", "⠇", "⠏"];

impl LiveTree {
    /// An empty tree.
    pub fn new(style: Style) -> Self {
        LiveTree {
            stages: Stages::default(),
            style,
            drawn_lines: 0,
            notice: String::new(),
            failures: Vec::new(),
            log: Vec::new(),
        }
    }

    fn erase(&mut self) {
        if self.drawn_lines > 0 {
            print!("\u{1b}[{}A\u{1b}[J", self.drawn_lines);
            self.drawn_lines = 0;
        }
    }

    fn draw(&mut self, at: Duration) {
        let (columns, rows) = size();
        let mut lines: Vec<String> = Vec::new();
        for stage in self.stages.iter() {
            lines.push(self.stage_line(stage, at));
            if stage.ended.is_none() {
                self.step_lines(Some(stage.id), self.stages.depth(stage.id), at, &mut lines);
            }
        }
        self.step_lines(None, 0, at, &mut lines);
        if !self.notice.is_empty() {
            lines.push(self.style.dim(&self.notice));
        }
        // A tree that is taller than the terminal cannot be redrawn: keep its end.
        let hidden = lines.len().saturating_sub(rows.saturating_sub(1));
        let mut text = String::new();
        for line in &lines[hidden..] {
            let _ = writeln!(text, "{}", fit(line, columns));
        }
        self.erase();
        print!("{text}");
        let _ = std::io::stdout().flush();
        self.drawn_lines = lines.len() - hidden;
    }

    fn stage_line(&self, stage: &Stage, at: Duration) -> String {
        let indent = "  ".repeat(self.stages.depth(stage.id));
        let (sign, took) = match stage.ended {
            Some(_) if stage.skipped => (self.style.dim("–"), "skipped".to_owned()),
            Some((ended, outcome)) => (self.style.sign(outcome), duration(ended.saturating_sub(stage.started))),
            None => {
                let frame = (at.as_millis() / 100) as usize % SPINNER.len();
                (self.style.cyan(SPINNER[frame]), duration(at.saturating_sub(stage.started)))
            }
        };
        format!("{indent}{sign} {} {}", self.style.bold(&for_terminal(&stage.name)), self.style.dim(&took))
    }

    fn step_lines(&self, stage: Option<model::ids::StageId>, depth: usize, at: Duration, lines: &mut Vec<String>) {
        let mut steps: Vec<_> = self.stages.running.iter().filter(|(_, s)| s.stage == stage).collect();
        steps.sort_by_key(|(id, _)| **id);
        let indent = "  ".repeat(depth + 1);
        for (_, step) in steps {
            let took = duration(at.saturating_sub(step.started));
            lines.push(format!("{indent}{} {}", for_terminal(&step.title), self.style.dim(&took)));
            lines
                .extend(step.tail.iter().map(|line| format!("{indent}{} {}", self.style.dim("│"), for_terminal(line))));
        }
    }

    fn keep_log(&mut self, event: &Event) {
        match event {
            Event::Log { source: LogSource::Pipeline, .. } => {}
            Event::Log { source: LogSource::System, text, .. } => self.notice = text.clone(),
            Event::Log { step, text, .. } => {
                if self.log.len() >= KEPT_LINES {
                    self.log.drain(..KEPT_LINES / 4);
                }
                self.log.push((*step, text.clone()));
            }
            Event::StepFinished { step, outcome: Outcome::Failure, message } => {
                let around = message.as_ref().is_some_and(|message| self.failures.last() == Some(message));
                let own = self.log.iter().filter(|(s, _)| !around && *s == Some(*step));
                self.failures.extend(own.map(|(_, text)| text.clone()));
                // The steps around it end with the same message.
                self.failures.extend(message.clone().filter(|message| self.failures.last() != Some(message)));
            }
            _ => {}
        }
    }
}

impl Show for LiveTree {
    fn event(&mut self, at: Duration, event: &Event) {
        self.stages.apply(at, event);
        self.keep_log(event);
        if let Event::JobStarted { .. } = event {
            self.notice.clear();
        }
    }

    fn tick(&mut self, at: Duration) {
        self.draw(at);
    }

    fn pause(&mut self) {
        self.erase();
    }

    fn finish(&mut self, at: Duration, summary: &Summary) {
        self.notice.clear();
        self.draw(at);
        for line in &self.failures {
            println!("{} {}", self.style.red("│"), for_terminal(line));
        }
        let unstaged = self.stages.iter().next().is_none();
        for (_, line) in self.log.iter().filter(|_| unstaged && self.failures.is_empty()) {
            println!("{}", for_terminal(line));
        }
        for (name, value) in &summary.facts {
            println!("{}", self.style.dim(&format!("{name}: {value}")));
        }
        let outcome = Outcome::from_name(&summary.outcome);
        let name = outcome.map_or(summary.outcome.clone(), |o| self.style.outcome(o, o.name()));
        println!("Finished: {name} in {}", duration(at));
    }
}

fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(rustix::stdio::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col as usize, size.ws_row as usize),
        _ => (80, 24),
    }
}

/// Cuts a line with colours to that many columns (characters of double width count as one: a line may wrap by a few).
fn fit(line: &str, columns: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            out.push(c);
            for c in rest.by_ref() {
                out.push(c);
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        } else if used + 1 >= columns {
            out.push('…');
            out.push_str("\u{1b}[0m");
            return out;
        } else {
            out.push(c);
            used += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_and_its_colour_ends() {
        assert_eq!(fit("abc", 10), "abc");
        assert_eq!(fit("\u{1b}[31mabcdef", 4), "\u{1b}[31mabc…\u{1b}[0m");
    }
}
