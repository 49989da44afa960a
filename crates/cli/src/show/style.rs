//! Colours, or none.

use model::outcome::Outcome;

/// Wraps text in ANSI colours where they are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Whether colours are wanted.
    pub colors: bool,
}

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colors { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Grey.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Bold.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Red.
    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// Green.
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Yellow.
    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Cyan.
    pub fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }

    /// Text in the colour of an outcome.
    pub fn outcome(self, outcome: Outcome, text: &str) -> String {
        match outcome {
            Outcome::Success => self.green(text),
            Outcome::Unstable => self.yellow(text),
            Outcome::Failure => self.red(text),
            Outcome::NotBuilt | Outcome::Aborted => self.dim(text),
        }
    }

    /// A sign for an outcome that does not depend on colour.
    pub fn sign(self, outcome: Outcome) -> String {
        let sign = match outcome {
            Outcome::Success => "✔",
            Outcome::Unstable => "!",
            Outcome::Failure => "✘",
            Outcome::NotBuilt => "–",
            Outcome::Aborted => "■",
        };
        self.outcome(outcome, sign)
    }
}
