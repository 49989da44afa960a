//! What of a run may be written down: nothing that it must not show, and no line of any length.

use model::event::Event;
use model::limits::MAX_LOG_LINE_BYTES;
use model::request::Request;
use model::run::RunEnd;
use secrets::Masker;
use store::Act;
use wire::agent::Item;

use super::Keeper;

/// The longest line that is believed, in bytes: one that was cut, with what says so.
const MOST_LINE_BYTES: usize = MAX_LOG_LINE_BYTES + 200;

/// The secrets that a run was given.
#[derive(Default)]
pub(super) struct RunSecrets {
    values: Vec<String>,
    masker: Masker,
}

impl RunSecrets {
    /// These too: what it had before stays one.
    pub(super) fn add<'a>(&mut self, values: impl Iterator<Item = &'a str>) {
        let known = self.values.len();
        for value in values {
            if !self.values.iter().any(|known| known == value) {
                self.values.push(value.to_owned());
            }
        }
        if self.values.len() > known {
            self.masker = Masker::new(self.values.iter().map(String::as_str));
        }
    }

    /// What an agent reports, as it may be written down.
    pub(super) fn clean(&self, items: &mut [Item]) {
        for item in items {
            // An honest agent has cut it already.
            if let Item::Line(line) = item
                && line.text.len() > MOST_LINE_BYTES
            {
                line.text.truncate(line.text.floor_char_boundary(MOST_LINE_BYTES));
            }
            match item {
                // Where an agent has cut it.
                Item::Line(line) if line.text.ends_with("KiB]") => self.masker.clean_cut(&mut line.text),
                Item::Line(line) => self.masker.clean(&mut line.text),
                Item::Event { event, .. } => self.clean_event(event),
            }
        }
    }

    pub(super) fn clean_event(&self, event: &mut Event) {
        event.each_text(&mut |text| self.masker.clean_cut(text));
    }

    /// A text without them.
    pub(super) fn mask(&self, text: &str) -> String {
        self.masker.mask(text).into_owned()
    }

    /// How it ends.
    pub(super) fn cleaned(&self, mut end: RunEnd) -> RunEnd {
        end.message.iter_mut().for_each(|text| self.masker.clean_cut(text));
        end
    }
}

impl Keeper {
    /// What it says are passwords is shown to nobody from then on.
    pub(super) fn said_of_parameters(&mut self, acts: &mut Vec<Act>) {
        let mut are_more = false;
        for act in acts.iter() {
            if let Act::Event(Event::PropertiesSet { properties }) = act {
                are_more |= self.run.facts.hide(&properties.parameters);
            }
        }
        self.keep_secrets(are_more, acts);
    }

    /// What it says is shown to nobody: that is known of the run, and written down nowhere else. False: it is too much.
    pub(super) fn said_in_confidence(&mut self, acts: &mut Vec<Act>) -> bool {
        let mut are_more = false;
        for act in acts.iter_mut() {
            let Act::Request(_, Request::Mask { values }) = act else { continue };
            let Some(new) = self.run.facts.confide(values) else { return false };
            are_more |= new;
            values.retain(|value| !Masker::finds(value));
            // Only how many they are.
            values.iter_mut().for_each(String::clear);
        }
        self.keep_secrets(are_more, acts);
        true
    }

    /// From now on masked, also by the next server.
    fn keep_secrets(&mut self, are_more: bool, acts: &mut Vec<Act>) {
        if are_more {
            self.secrets.add(self.run.facts.secrets());
            acts.push(Act::Facts(Box::new(self.run.facts.clone())));
        }
    }
}
