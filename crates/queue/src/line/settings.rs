//! What an operator may set.

use crate::pool::SettingsError;

use super::event::Terms;

/// How places are shared. Checked by [`super::Line::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct LineSettings {
    /// What a project has had counts half after so many milliseconds; at least 1.
    pub half_life_ms: u64,
    /// A place counts as had for at least so many milliseconds, however short the run: a sandbox has a price.
    pub least_ms: u64,
    /// After an agent has given so many places in a row to interactive work, background work that fits it goes first;
    /// at least 1.
    pub interactive_in_a_row: u32,
    /// What a project may have of which nothing else was said.
    pub terms: Terms,
}

impl Default for LineSettings {
    fn default() -> Self {
        LineSettings {
            // Yesterday's herd is forgotten, that of the morning not yet.
            half_life_ms: 60 * 60 * 1000,
            least_ms: 1000,
            interactive_in_a_row: 7,
            terms: Terms::default(),
        }
    }
}

impl LineSettings {
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let fields = [
            ("half_life_ms", self.half_life_ms),
            ("least_ms", self.least_ms),
            ("interactive_in_a_row", self.interactive_in_a_row.into()),
        ];
        match fields.into_iter().find(|(_, value)| *value == 0) {
            Some((field, _)) => Err(SettingsError::Zero { field }),
            None => Ok(()),
        }
    }
}
