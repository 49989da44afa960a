//! What a run must not show: it is taken out of all that it says before that is written down.

use model::event::Event;
use model::run::RunEnd;
use secrets::Masker;
use wire::agent::Item;

/// The secrets that a run was given.
#[derive(Default)]
pub(super) struct RunSecrets {
    values: Vec<String>,
    masker: Masker,
}

impl RunSecrets {
    pub(super) fn new<'a>(values: impl Iterator<Item = &'a str>) -> RunSecrets {
        let mut all = RunSecrets::default();
        all.add(values);
        all
    }

    /// More of them.
    pub(super) fn add<'a>(&mut self, values: impl Iterator<Item = &'a str>) {
        self.values.extend(values.map(str::to_owned));
        self.masker = Masker::new(self.values.iter().map(String::as_str));
    }

    /// What an agent reports.
    pub(super) fn clean(&self, items: &mut [Item]) {
        for item in items {
            match item {
                Item::Line(line) => self.masker.clean(&mut line.text),
                Item::Event { event, .. } => self.clean_event(event),
            }
        }
    }

    pub(super) fn clean_event(&self, event: &mut Event) {
        event.each_text(&mut |text| self.masker.clean(text));
    }

    /// How it ends.
    pub(super) fn cleaned(&self, mut end: RunEnd) -> RunEnd {
        end.message.iter_mut().for_each(|text| self.masker.clean(text));
        end
    }
}
