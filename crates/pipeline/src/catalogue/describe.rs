//! What the entries of the tables are for, in words: the one source of `cofferdam steps` and of the reference in `docs/reference`.
//!
//! The files in `descriptions/` are read like this:
//!
//! ```text
//! @ PLUGIN                      which of Jenkins' plugins what follows stems from
//! KIND NAME                     as in the tables; `step` for those of steps.table
//!   What it does.
//!   - PARAMETER [DEFAULT]: What it says. `No effect.` where Cofferdam takes it and does nothing with it.
//!   > an example, line by line (a line that is not indented begins another)
//!   ! What is different from Jenkins.
//! ```

use std::collections::HashMap;
use std::sync::OnceLock;

use super::{Entry, Kind};

/// What an entry is for.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// Which of Jenkins' plugins it stems from; `core` for Jenkins itself.
    pub plugin: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// What parameters say.
    pub parameters: Vec<ParameterText>,
    /// Examples; an indented line belongs to the one before it.
    pub example: Vec<&'static str>,
    /// What is different from Jenkins.
    pub differs: Option<&'static str>,
}

/// What a parameter says.
#[derive(Clone, Copy, Debug)]
pub struct ParameterText {
    /// Its name.
    pub name: &'static str,
    /// What holds where it is left out.
    pub default: Option<&'static str>,
    /// What it says.
    pub text: &'static str,
}

impl Description {
    /// What a parameter says.
    pub fn parameter(&self, name: &str) -> Option<&ParameterText> {
        self.parameters.iter().find(|p| p.name == name)
    }
}

const FILES: [&str; 3] = [
    include_str!("descriptions/core.txt"),
    include_str!("descriptions/plugins.txt"),
    include_str!("descriptions/directives.txt"),
];

type All = HashMap<(Kind, &'static str), Description>;

pub(super) fn all() -> &'static All {
    static ALL: OnceLock<All> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = All::new();
        for (key, description) in FILES.iter().flat_map(|text| read(text)) {
            assert!(all.insert(key, description).is_none(), "catalogue: {key:?} is described twice");
        }
        all
    })
}

impl Entry {
    /// What it is for, where somebody has written it down.
    pub fn description(&self) -> Option<&'static Description> {
        all().get(&(self.kind, self.name))
    }
}

/// A line that is not understood ends in a panic: the files are part of the program, and a test reads them.
fn read(text: &'static str) -> Vec<((Kind, &'static str), Description)> {
    let mut found: Vec<((Kind, &'static str), Description)> = Vec::new();
    let mut plugin = "";
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("@ ") {
            plugin = name;
            continue;
        }
        let Some(line) = line.strip_prefix("  ") else {
            let (kind, name) = line.split_once(' ').unwrap_or_else(|| panic!("catalogue: no name: {line}"));
            found.push(((Kind::named(kind), name), Description { plugin, ..Description::default() }));
            continue;
        };
        let (_, last) = found.last_mut().unwrap_or_else(|| panic!("catalogue: nothing is described: {line}"));
        match line.split_at_checked(2) {
            Some(("- ", rest)) => last.parameters.push(parameter(rest)),
            Some(("> ", rest)) => last.example.push(rest),
            Some(("! ", rest)) => last.differs = Some(rest),
            _ => last.summary = line,
        }
    }
    found
}

fn parameter(text: &'static str) -> ParameterText {
    let (head, text) = text.split_once(": ").unwrap_or_else(|| panic!("catalogue: no text: {text}"));
    match head.split_once(" [") {
        Some((name, default)) => ParameterText { name, default: default.strip_suffix(']'), text },
        None => ParameterText { name: head, default: None, text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Catalogue, Support};

    #[test]
    fn what_is_described_is_in_the_tables_and_what_runs_is_described() {
        let catalogue = Catalogue::get();
        for ((kind, name), description) in all() {
            let entry = catalogue.find(*kind, name).unwrap_or_else(|| panic!("{kind:?} {name} is in no table"));
            assert!(description.summary.ends_with('.'), "{name}: {}", description.summary);
            for of in &description.parameters {
                let known = entry.open || entry.parameter(of.name).is_some();
                assert!(known && of.text.ends_with('.'), "{name}: {}", of.name);
                let required = entry.parameter(of.name).is_some_and(|p| p.required);
                let leaves_out =
                    entry.sole_required().is_some_and(|p| p.ty == crate::catalogue::ParameterType::Boolean);
                // `git` has a default that its constructor does not know of.
                assert!(!required || of.default.is_none() || leaves_out, "{name}: {} is required", of.name);
            }
        }
        for entry in catalogue.entries().filter(|entry| entry.support == Support::Runs && !entry.fixture) {
            let description = entry.description();
            assert!(description.is_some(), "{:?} {} runs, and nothing describes it", entry.kind, entry.name);
            for parameter in &entry.parameters {
                let text = description.and_then(|d| d.parameter(parameter.name));
                assert!(text.is_some(), "{:?} {}: nothing describes {}", entry.kind, entry.name, parameter.name);
            }
        }
        let examples = all().values().filter(|description| !description.example.is_empty()).count();
        assert!(examples >= 60, "{examples}");
    }
}
