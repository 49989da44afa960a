//! How a run looks: a live tree on a terminal, prefixed lines in a pipe, the log as Jenkins prints it, JSON events, or only
//! the end. All are made from the same events; none of them decides anything.

mod jenkins;
mod json;
mod lines;
pub mod stages;
mod style;
mod tree;

pub use style::Style;

use std::time::Duration;

use model::event::Event;
use model::rung::Rung;

use crate::args::{OutputFormat, Progress, RunArgs};

/// What a job without an image runs with.
pub fn tools_of(rung: Rung) -> &'static str {
    if rung >= Rung::Microvm { "the engine's tools" } else { "host tools" }
}

/// Something that shows a run while it happens.
pub trait Show {
    /// An event happened, `at` after the start of the run.
    fn event(&mut self, at: Duration, event: &Event);
    /// Time has passed; only a live view cares.
    fn tick(&mut self, _at: Duration) {}
    /// Give the terminal back for a moment (an interactive shell, an error report).
    fn pause(&mut self) {}
    /// The run is over. `note` is the last line: where artifacts are, what took how long.
    fn finish(&mut self, at: Duration, summary: &Summary);
}

/// What is said at the end.
#[derive(Debug, Default)]
pub struct Summary {
    /// `SUCCESS`, or why it did not.
    pub outcome: String,
    /// Lines of facts: how long each part took, where artifacts are.
    pub facts: Vec<(String, String)>,
}

/// The view that the flags ask for. `interactive` says whether standard output is a terminal that can be redrawn.
pub fn choose(args: &RunArgs, interactive: bool, style: Style) -> Box<dyn Show> {
    if args.output == OutputFormat::Json {
        return Box::new(json::JsonEvents::default());
    }
    match args.progress {
        Progress::Tree => Box::new(tree::LiveTree::new(style)),
        Progress::Auto if interactive => Box::new(tree::LiveTree::new(style)),
        Progress::Auto | Progress::Plain => Box::new(lines::PrefixedLines::new(style)),
        Progress::Jenkins => Box::new(jenkins::JenkinsLog::default()),
        Progress::Quiet => Box::new(lines::PrefixedLines::only_the_end(style)),
    }
}

/// `1.234 s`, `2 min 3 s`: how long something took, for people.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 0.01 => format!("{:.1} ms", s * 1000.0),
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{} min {} s", s as u64 / 60, s as u64 % 60),
        s => format!("{} h {} min", s as u64 / 3600, s as u64 / 60 % 60),
    }
}

/// Text of a stranger, made safe for a terminal: escape sequences other than colours and control characters are taken out.
pub fn for_terminal(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\t' => safe.push_str("    "),
            '\u{1b}' => {
                if rest.peek() == Some(&'[') {
                    let mut sequence = String::from("\u{1b}[");
                    rest.next();
                    let last = loop {
                        match rest.next() {
                            Some(c @ ('0'..='9' | ';' | ':' | '?')) if sequence.len() < 64 => sequence.push(c),
                            last => break last,
                        }
                    };
                    if last == Some('m') {
                        safe.push_str(&sequence);
                        safe.push('m');
                    }
                }
            }
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {}
            c => safe.push(c),
        }
    }
    if safe.contains('\u{1b}') {
        safe.push_str("\u{1b}[0m");
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_pass_and_other_sequences_do_not() {
        assert_eq!(for_terminal("\u{1b}[1;31mred\u{1b}[0m"), "\u{1b}[1;31mred\u{1b}[0m\u{1b}[0m");
        assert_eq!(for_terminal("a\u{1b}[2Jb"), "ab");
        assert_eq!(for_terminal("a\u{1b}]52;c;x\u{7}b"), "a]52;c;xb");
        assert_eq!(for_terminal("a\rb\u{8}c"), "abc");
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!(duration(Duration::from_micros(2300)), "2.3 ms");
        assert_eq!(duration(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(duration(Duration::from_secs(125)), "2 min 5 s");
    }
}
