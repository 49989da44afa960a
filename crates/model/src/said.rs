//! Arguments of a call as data: what a step was asked for that only keeps it.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Result};

use serde::{Deserialize, Serialize};

/// The longest text in it, in characters; the rest is cut.
pub const MAX_TEXT_CHARS: usize = 2000;
/// All texts of one call together, in characters. A message to people has some hundred.
pub const MAX_ALL_CHARS: usize = 16_000;
/// Values of one call, with those in lists and maps.
pub const MAX_VALUES: usize = 500;
/// Calls of one run that are kept so. A loop may make a million of them, and nobody reads these.
pub const MAX_OF_RUN: u32 = 2000;
/// How deep lists and maps may stand in each other.
pub const MAX_DEPTH: usize = 8;

/// A value that was said. In JSON it is itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Said {
    /// `null`
    Nothing,
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A text, and whatever is none of the others.
    Text(String),
    /// Several.
    List(Vec<Said>),
    /// Several with names.
    Map(BTreeMap<String, Said>),
}

impl Said {
    /// All text in it.
    pub fn each_text(&mut self, change: &mut impl FnMut(&mut String)) {
        // No deeper than `MAX_DEPTH` where it was made, and than a reader of JSON goes where it was read.
        match self {
            Said::Text(text) => change(text),
            Said::List(items) => items.iter_mut().for_each(|item| item.each_text(change)),
            Said::Map(entries) => {
                let changed = std::mem::take(entries).into_iter().map(|(mut name, mut value)| {
                    change(&mut name);
                    value.each_text(change);
                    (name, value)
                });
                *entries = changed.collect();
            }
            Said::Nothing | Said::Flag(_) | Said::Number(_) => {}
        }
    }
}

impl Display for Said {
    /// As Groovy writes it, on one line: `[channel: '#ci', lines: 3]`.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Said::Nothing => f.write_str("null"),
            Said::Flag(flag) => write!(f, "{flag}"),
            Said::Number(number) => write!(f, "{number}"),
            Said::Text(text) => write!(f, "'{}'", text.replace(char::is_control, " ")),
            Said::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Said::Map(entries) => {
                f.write_str(if entries.is_empty() { "[:" } else { "[" })?;
                for (index, (name, value)) in entries.iter().enumerate() {
                    write!(f, "{}{name}: {value}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_on_one_line_and_all_its_text_can_be_changed() {
        let text = |text: &str| Said::Text(text.to_owned());
        let inner = Said::Map([("tok".to_owned(), text("a\nb"))].into());
        let mut said = Said::List(vec![Said::Nothing, Said::Flag(true), Said::Number(-3), inner, Said::Map([].into())]);
        assert_eq!(said.to_string(), "[null, true, -3, [tok: 'a b'], [:]]");
        said.each_text(&mut |text| *text = text.to_uppercase());
        assert_eq!(said.to_string(), "[null, true, -3, [TOK: 'A B'], [:]]");
    }
}
