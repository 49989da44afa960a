//! Everything that can be said about a Jenkinsfile without running it.

mod arguments;
mod asks;
mod blocks;
mod calls;
mod classes;
mod code;
mod directives;
pub(crate) mod engine;
mod members;
mod model;
pub(crate) mod names;
mod objects;
mod pods;
mod refused;
pub mod rules;
mod secrets;
mod shell;
mod shell_script;
mod tree;
mod variables;
mod walk;
mod windows;
mod words;

use std::collections::HashSet;

use groovy::ast::Script;
use groovy::diagnostic::{Diagnostic, Severity};
use groovy::span::LineIndex;

pub use asks::{Asked, Asks, asks};

use crate::declarative::model::{EnvironmentValue, Pipeline, StageContent};
use crate::declarative::{pipeline_blocks_of_call, top_level_pipeline};
use crate::definition::{Definition, DefinitionKind, Surroundings, analyse};

/// Reads a Jenkinsfile and says what is wrong in it, by place: syntax, declarative rules, steps that nobody knows
/// (errors), what Cofferdam cannot run, and what runs and does not do what is meant (warnings). [`rules`] lists all of it.
pub fn lint(source: &str) -> Vec<Diagnostic> {
    lint_in(source, &Surroundings::default())
}

/// The same where more is known of its surroundings.
pub fn lint_in(source: &str, surroundings: &Surroundings) -> Vec<Diagnostic> {
    let definition = analyse(source, surroundings);
    // The walks keep their own stacks; the tree is dropped where there is room.
    groovy::stack::with_room(|| {
        let found = beyond(source, &definition, surroundings);
        finish(source, definition, found)
    })
}

/// The same for a file of a library (`vars/NAME.groovy`, `src/…`): syntax and names. `variables` are those of the library.
pub fn lint_library(source: &str, variables: &[String], surroundings: &Surroundings) -> Vec<Diagnostic> {
    let names = [variables, &surroundings.library_names].concat();
    let surroundings = Surroundings { library_names: names, unknown_library: true, ..surroundings.clone() };
    let definition = analyse(source, &surroundings);
    groovy::stack::with_room(|| finish(source, definition, Vec::new()))
}

fn finish(source: &str, definition: Definition, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut all = definition.diagnostics;
    all.extend(found);
    // What cannot be compiled does not begin to run.
    if all.iter().all(|finding| finding.severity != Severity::Error) {
        all.extend(groovy::compile::check(&definition.script));
    }
    for finding in all.iter_mut().filter(|finding| finding.rule.is_none()) {
        finding.rule = Some("syntax");
    }
    all.sort_by_key(|d| (d.span.start, d.span.end));
    let told: HashSet<_> = all.iter().filter(|d| d.rule != Some(names::REFUSED)).map(|d| d.span).collect();
    all.retain(|d| d.rule != Some(names::REFUSED) || !told.contains(&d.span));
    let mut seen = HashSet::new();
    all.retain(|d| seen.insert((d.span, d.rule, d.message.clone())));
    if source.contains(ALLOW) {
        let lines = LineIndex::new(source);
        all.retain(|finding| finding.severity == Severity::Error || !is_allowed(source, &lines, finding));
    }
    all
}

/// `// cofferdam: allow RULE`, on the line of a finding or the one before.
const ALLOW: &str = "cofferdam: allow ";

fn is_allowed(source: &str, lines: &LineIndex, finding: &Diagnostic) -> bool {
    let line = lines.place(source, finding.span.start).line;
    [line, line.saturating_sub(1)].into_iter().any(|line| {
        let rules = lines.line_text(source, line).split_once(ALLOW).map(|(_, rules)| rules).unwrap_or_default();
        rules.split([' ', ',']).any(|rule| finding.rule == Some(rule.trim()))
    })
}

/// What is only said to who asks: it keeps nothing from running.
fn beyond(source: &str, definition: &Definition, surroundings: &Surroundings) -> Vec<Diagnostic> {
    let syntax = |d: &Diagnostic| d.severity == Severity::Error && d.rule.is_none();
    if definition.diagnostics.iter().any(syntax) {
        return Vec::new();
    }
    let script = &definition.script;
    let all = tree::all(script);
    let defined = code::defined(script, &all);
    let scripted = match &definition.kind {
        DefinitionKind::Scripted => true,
        DefinitionKind::Declarative(_) => false,
        DefinitionKind::Invalid => top_level_pipeline(script).is_none() && pipeline_blocks_of_call(script).is_empty(),
    };
    let mut found = code::check(source, script, &all, &defined, scripted);
    let mut environment = Vec::new();
    let has_library = surroundings.unknown_library || !surroundings.library_names.is_empty();
    let mut library = has_library || asks_for_library(script);
    if let Some(pipeline) = &definition.pipeline {
        library |= !pipeline.libraries.is_empty();
        found.extend(model::check(source, &all, pipeline, &defined, library));
        environment = credentials(pipeline);
    }
    found.extend(directives::check(definition.pipeline.as_deref(), &all, &surroundings.tools));
    found.extend(windows::check(script, &all, &defined));
    found.extend(pods::check(&all, &defined, library));
    found.extend(secrets::check(source, &all, &environment));
    let mut told = HashSet::new();
    for (words, span) in definition.engine.words() {
        if told.insert(words) {
            let text = format!("{words} wants a Docker Engine: this job runs in a virtual machine with one of its own");
            found.push(Diagnostic::warning(*span, text).of_rule("host-docker"));
        }
    }
    found
}

pub(crate) fn asks_for_library(script: &Script) -> bool {
    let annotated = script.imports.iter().flat_map(|i| &i.annotations).any(|a| &*a.name == "Library");
    annotated || tree::has_annotation(script, "Library")
}

/// Variables of all `environment { … }` that are credentials.
fn credentials(pipeline: &Pipeline) -> Vec<String> {
    let mut environments: Vec<_> = pipeline.environment.iter().collect();
    let mut open: Vec<_> = pipeline.stages.iter().collect();
    while let Some(stage) = open.pop() {
        environments.extend(&stage.directives.environment);
        match &stage.content {
            StageContent::Steps(_) => {}
            StageContent::Stages(stages) | StageContent::Parallel(stages) => open.extend(stages),
            StageContent::Matrix(matrix) => {
                environments.extend(&matrix.directives.environment);
                open.extend(&matrix.stages);
            }
        }
    }
    let entries = environments.into_iter().flat_map(|environment| &environment.entries);
    let secret = entries.filter(|entry| matches!(entry.value, EnvironmentValue::Credentials(_)));
    secret.map(|entry| entry.name.to_string()).collect()
}

/// `did you mean "a" or "b"?`, where there is a name to offer.
pub(crate) fn did_you_mean(names: &[&str]) -> Option<String> {
    let quoted: Vec<String> = names.iter().map(|n| format!("\"{n}\"")).collect();
    match quoted.split_last() {
        None => None,
        Some((only, [])) => Some(format!("did you mean {only}?")),
        Some((last, others)) => Some(format!("did you mean {} or {last}?", others.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn names_are_offered_in_a_sentence() {
        assert_eq!(did_you_mean(&[]), None);
        assert_eq!(did_you_mean(&["a"]).as_deref(), Some("did you mean \"a\"?"));
        assert_eq!(did_you_mean(&["a", "b", "c"]).as_deref(), Some("did you mean \"a\", \"b\" or \"c\"?"));
    }
}
