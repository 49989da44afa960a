//! Steps that a project or a host adds to those that are built in: a manifest, and the text of what is run.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Steps that are added to one run, at most.
pub const MAX_STEPS: usize = 200;
/// The longest text of one, in bytes: the same file in a library would be a large one.
pub const MAX_TEXT_BYTES: usize = 1024 * 1024;
/// All of them together, in bytes: they travel with what a run starts with.
pub const MAX_ALL_BYTES: usize = 4 * 1024 * 1024;
/// Parameters of one.
pub const MAX_PARAMETERS: usize = 100;
/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// The longest description, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 1000;

/// A file of a folder of steps: a manifest, or what one names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFile {
    /// Its name in the folder.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// A step that is none of the built-in ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedStep {
    /// What a pipeline calls.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What it takes.
    #[serde(default)]
    pub parameters: Vec<AddedParameter>,
    /// It takes a block.
    #[serde(default)]
    pub is_block: bool,
    /// What is run.
    pub code: StepCode,
}

/// What a step takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedParameter {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: AddedKind,
    /// Whether leaving it out is an error. A single required one may be given without its name.
    #[serde(default)]
    pub is_required: bool,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// What a parameter is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddedKind {
    /// A text.
    String,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// Several values.
    List,
    /// Several values with names.
    Map,
    /// Any of these.
    #[default]
    Any,
}

/// What a step runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepCode {
    /// A Groovy script whose `call` gets a map of the arguments, and the block where there is one.
    Groovy(String),
    /// A script that runs in the sandbox of the job.
    Program {
        /// Its text; the first line may name what reads it (`#!/usr/bin/env python3`).
        text: String,
        /// An image that it runs in, beside the workspace; none: where the step is called.
        #[serde(default)]
        image: Option<String>,
        /// What comes of its standard output.
        #[serde(default)]
        output: StepOutput,
    },
}

/// What comes of the standard output of a step's program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutput {
    /// It is the log's.
    #[default]
    Log,
    /// The step returns it as a text, without the line break at its end.
    Text,
    /// It is JSON, and the step returns what stands in it.
    Json,
}

impl AddedStep {
    /// Whether it can be added, whoever says it.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn check(&self) -> Result<(), String> {
        let name = &self.name;
        let of = |text: String| Err(format!("step {name}: {text}"));
        if !is_name(name) {
            return Err(format!(
                "{name:?} is no name of a step: letters, digits and _ are, of at most {MAX_NAME_BYTES}"
            ));
        }
        let (StepCode::Groovy(text) | StepCode::Program { text, .. }) = &self.code;
        if text.len() > MAX_TEXT_BYTES {
            return of(format!("what it runs is longer than {MAX_TEXT_BYTES} bytes"));
        }
        if self.is_block && matches!(self.code, StepCode::Program { .. }) {
            return of("a program has no use for a block: a Groovy script has".to_owned());
        }
        if self.parameters.len() > MAX_PARAMETERS {
            return of(format!("it has more than {MAX_PARAMETERS} parameters"));
        }
        let mut seen = BTreeSet::new();
        for parameter in &self.parameters {
            if !is_name(&parameter.name) || !seen.insert(&parameter.name) {
                return of(format!("{:?} is no name of a parameter, or stands twice", parameter.name));
            }
        }
        let all = self.parameters.iter().map(|parameter| &parameter.description).chain([&self.description]);
        match all.into_iter().any(|text| text.chars().count() > MAX_DESCRIPTION_CHARS) {
            true => of(format!("a description is longer than {MAX_DESCRIPTION_CHARS} characters")),
            false => Ok(()),
        }
    }
}

/// Whether all of them can be added to one run.
///
/// # Errors
/// What is wrong, in words.
pub fn check_all(steps: &[AddedStep]) -> Result<(), String> {
    if steps.len() > MAX_STEPS {
        return Err(format!("more than {MAX_STEPS} steps are added"));
    }
    let (mut names, mut bytes) = (BTreeSet::new(), 0);
    for step in steps {
        step.check()?;
        let (StepCode::Groovy(text) | StepCode::Program { text, .. }) = &step.code;
        bytes += text.len();
        if !names.insert(&step.name) {
            return Err(format!("step {} is added twice", step.name));
        }
    }
    if bytes > MAX_ALL_BYTES { Err(format!("added steps are longer than {MAX_ALL_BYTES} bytes")) } else { Ok(()) }
}

/// A name that Groovy takes for one.
fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    let is_first = characters.next().is_some_and(|first| first.is_ascii_alphabetic());
    is_first && name.len() <= MAX_NAME_BYTES && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_added_says_why() {
        let step = |name: &str| AddedStep {
            name: name.to_owned(),
            description: String::new(),
            parameters: Vec::new(),
            is_block: false,
            code: StepCode::Groovy(String::new()),
        };
        assert_eq!(check_all(&[step("tellTeam"), step("b2_x")]), Ok(()));
        for (steps, words) in [
            (vec![step("a-b")], "no name of a step"),
            (vec![step("")], "no name of a step"),
            (vec![step("a"), step("a")], "added twice"),
            (vec![AddedStep { description: "x".repeat(2000), ..step("a") }], "description is longer"),
            (vec![AddedStep { code: StepCode::Groovy("x".repeat(MAX_TEXT_BYTES + 1)), ..step("a") }], "longer than"),
        ] {
            let said = check_all(&steps).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }
}
