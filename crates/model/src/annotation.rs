//! Remarks on lines of a project's files.

use serde::{Deserialize, Serialize};

/// Of one run, so many are kept.
pub const MAX_OF_RUN: usize = 1000;
/// The longest path, in bytes; what is longer of a title and a message is cut, in characters.
const MAX_CHARS: (usize, usize, usize) = (500, 250, 4000);

/// How bad a remark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Not at all.
    Notice,
    /// Somewhat.
    Warning,
    /// Very.
    Failure,
}

impl Level {
    /// `warning`
    pub fn word(self) -> &'static str {
        match self {
            Level::Notice => "notice",
            Level::Warning => "warning",
            Level::Failure => "failure",
        }
    }
}

/// A remark on lines of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// Within the project: `src/main.rs`.
    pub path: String,
    /// The first line, from 1.
    pub first_line: u32,
    /// The last line.
    pub last_line: u32,
    /// The first and the last column, from 1.
    pub columns: Option<(u32, u32)>,
    /// How bad.
    pub level: Level,
    /// A few words.
    pub title: Option<String>,
    /// The remark.
    pub message: String,
}

impl Annotation {
    /// All text in it.
    pub(crate) fn each_text(&mut self, change: &mut impl FnMut(&mut String)) {
        [&mut self.path, &mut self.message].into_iter().chain(&mut self.title).for_each(change);
    }

    /// No longer than is kept, and lines from 1 in their order: whoever says it is not believed. `None`: its path is longer than that, and a part
    /// of it would be another one.
    pub fn bounded(self) -> Option<Annotation> {
        let clip = |text: String, most: usize| text.replace('\0', "\u{fffd}").chars().take(most).collect::<String>();
        let (path, title, message) = MAX_CHARS;
        // As others count.
        let number = |it: u32| it.clamp(1, i32::MAX.unsigned_abs());
        let first_line = number(self.first_line);
        (self.path.len() <= path).then(|| Annotation {
            path: self.path.replace(char::is_control, "\u{fffd}"),
            first_line,
            last_line: number(self.last_line).max(first_line),
            columns: self.columns.map(|(first, last)| (number(first), number(last))),
            level: self.level,
            title: self.title.map(|text| clip(text, title).replace(char::is_control, " ")),
            message: clip(self.message, message),
        })
    }
}

impl std::fmt::Display for Annotation {
    /// As compilers write it, on one line: `src/main.rs:3: warning: unused`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first = self.message.lines().next().unwrap_or_default();
        write!(f, "{}:{}: {}: ", self.path, self.first_line, self.level.word())?;
        match &self.title {
            Some(title) => write!(f, "{title}: {first}"),
            None => f.write_str(first),
        }
    }
}
