//! The sections of a declarative pipeline, and where each may stand.
//!
//! `descriptions/sections.txt` is read like this:
//!
//! ```text
//! section NAME in PLACE[!] …    where it may stand; `!` where it has to; `file` is top level
//!   What it says.
//!   > an example, line by line
//! ```

use std::sync::OnceLock;

/// A section.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// The sections that it may stand in, and whether it has to.
    pub places: Vec<(&'static str, bool)>,
    /// What it says.
    pub summary: &'static str,
    /// An example, line by line.
    pub example: Vec<&'static str>,
}

/// All sections, those that hold others first.
pub fn sections() -> &'static [Section] {
    static ALL: OnceLock<Vec<Section>> = OnceLock::new();
    ALL.get_or_init(|| read(include_str!("descriptions/sections.txt")))
}

/// A line that is not understood ends in a panic: the file is part of the program, and a test reads it.
fn read(text: &'static str) -> Vec<Section> {
    let mut found: Vec<Section> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        if let Some(head) = line.strip_prefix("section ") {
            let (name, places) = head.split_once(" in ").unwrap_or_else(|| panic!("catalogue: no place: {line}"));
            let place = |word: &'static str| (word.trim_end_matches('!'), word.ends_with('!'));
            let places = places.split(' ').map(place).collect();
            found.push(Section { name, places, summary: "", example: Vec::new() });
            continue;
        }
        let last = found.last_mut().unwrap_or_else(|| panic!("catalogue: nothing is described: {line}"));
        match line.strip_prefix("  > ") {
            Some(example) => last.example.push(example),
            None => last.summary = line.trim(),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declarative::{PIPELINE_SECTIONS, STAGE_SECTIONS};

    #[test]
    fn the_sections_that_are_described_are_those_that_are_read() {
        let within = |place: &str| {
            let mut names: Vec<_> =
                sections().iter().filter(|s| s.places.iter().any(|(p, _)| *p == place)).map(|s| s.name).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(within("pipeline"), PIPELINE_SECTIONS);
        assert_eq!(within("stage"), STAGE_SECTIONS);
        assert!(sections().iter().all(|section| section.summary.ends_with('.')));
    }

    #[test]
    fn the_example_of_a_pipeline_is_one() {
        let pipeline = sections().iter().find(|section| section.name == "pipeline").unwrap().example.join("\n");
        assert!(crate::lint::lint(&pipeline).is_empty());
        for section in sections().iter().filter(|section| !section.example.is_empty()) {
            let example = section.example.join("\n");
            let source = match section.places[0].0 {
                "pipeline" if !["agent", "stages"].contains(&section.name) => {
                    format!("pipeline {{\nagent any\n{example}\nstages {{ stage('x') {{ steps {{ echo 'x' }} }} }}\n}}")
                }
                "stage" if !["steps", "parallel", "matrix", "failFast"].contains(&section.name) => format!(
                    "pipeline {{\nagent any\nstages {{ stage('x') {{\n{example}\nsteps {{ echo 'x' }} }} }}\n}}"
                ),
                "stage" if section.name != "failFast" => {
                    format!("pipeline {{\nagent any\nstages {{ stage('x') {{\n{example}\n}} }}\n}}")
                }
                _ => continue,
            };
            let errors = crate::definition::analyse(&source, &crate::definition::Surroundings::default());
            assert_eq!(errors.errors().count(), 0, "{source}\n{:?}", errors.diagnostics);
        }
    }
}
