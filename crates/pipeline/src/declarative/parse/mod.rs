//! Syntax tree → declarative model. Each section has one function, which reports what is wrong in it and goes on, so
//! that all errors of a file come out at once; a model comes out only where there was none.

mod agent;
mod calls;
mod environment;
mod matrix;
mod post;
mod stage;
mod steps;
mod when;

use std::collections::HashSet;
use std::rc::Rc;

use groovy::ast::{Block, Closure, Expr, Stmt};
use groovy::diagnostic::{Diagnostic, Fix, Severity};
use groovy::span::Span;

use crate::catalogue::{Catalogue, Kind};

use super::messages;
use super::model::{Agent, Call, Environment, OptionCall, Pipeline, Post, Stage, Tool};
use super::shape::{block_of, call_of};
use super::unroll::unroll;

#[cfg(test)]
pub(crate) use stage::STAGE_SECTIONS;

/// Reads the block of a `pipeline { … }`. `span` is the place of the whole statement.
///
/// The model is there only where no diagnostic is an error.
pub fn pipeline(
    source: &str,
    closure: &Rc<Closure>,
    span: Span,
    catalogue: &'static Catalogue,
) -> (Option<Pipeline>, Vec<Diagnostic>) {
    let (pipeline, diagnostics, _) = pipeline_and_steps(source, closure, span, catalogue, &OwnNames::default());
    (pipeline, diagnostics)
}

/// The same, and where the names of the steps begin whose arguments were looked at: the steps of `steps { … }`, not those in code.
pub(crate) fn pipeline_and_steps<'s>(
    source: &'s str,
    closure: &Rc<Closure>,
    span: Span,
    catalogue: &'static Catalogue,
    own: &OwnNames<'s>,
) -> (Option<Pipeline>, Vec<Diagnostic>, Vec<u32>) {
    let mut reader = Reader { own: own.clone(), ..Reader::new(source, catalogue) };
    let pipeline = reader.pipeline(&unroll(source, closure).body, span);
    let checked = std::mem::take(&mut reader.checked);
    let diagnostics = reader.into_diagnostics();
    let valid = !diagnostics.iter().any(|d| d.severity == Severity::Error);
    (pipeline.filter(|_| valid), diagnostics, checked)
}

/// Names that a file, or a library, gives a meaning of its own: they may be those of steps that somebody else's Jenkins has.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnNames<'n> {
    /// Methods of the file, variables of libraries that are known.
    pub(crate) names: HashSet<&'n str>,
    /// A library that is not known may have any.
    pub(crate) any: bool,
}

/// After so many errors a file is not read further.
const MAX_DIAGNOSTICS: usize = 500;

/// How much of a wrong text a message repeats.
const MAX_QUOTED_CHARS: usize = 1000;

/// What the functions of this folder share: the text that they read, and what they found wrong in it.
pub(super) struct Reader<'s> {
    source: &'s str,
    pub(super) catalogue: &'static Catalogue,
    own: OwnNames<'s>,
    diagnostics: Vec<Diagnostic>,
    /// Where the names of the steps begin whose arguments were looked at.
    checked: Vec<u32>,
}

/// The sections of `pipeline`, as far as they were read.
#[derive(Default)]
struct Sections {
    agent: Option<Agent>,
    has_agent: bool,
    stages: Option<Vec<Stage>>,
    environment: Option<Environment>,
    post: Option<Post>,
    tools: Vec<Tool>,
    options: Vec<OptionCall>,
    parameters: Vec<Call>,
    triggers: Vec<Call>,
    libraries: Vec<Expr>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s str, catalogue: &'static Catalogue) -> Self {
        Reader { source, catalogue, own: OwnNames::default(), diagnostics: Vec::new(), checked: Vec::new() }
    }

    /// What was found, by place, each once.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let mut diagnostics = self.diagnostics;
        diagnostics.sort_by_key(|d| (d.span.start, d.span.end));
        let mut seen = HashSet::new();
        diagnostics.retain(|d| seen.insert((d.span, d.message.clone())));
        diagnostics
    }

    pub(super) fn error(&mut self, span: Span, message: String) {
        self.error_with_hint(span, message, None);
    }

    /// Whether so much is wrong that reading on has no use.
    pub(super) fn is_full(&self) -> bool {
        self.diagnostics.len() >= MAX_DIAGNOSTICS
    }

    pub(super) fn error_with_hint(&mut self, span: Span, message: String, hint: Option<String>) {
        if !self.is_full() {
            let rule = messages::rule(&message);
            self.diagnostics.push(Diagnostic { hint, ..Diagnostic::error(span, message).of_rule(rule) });
        }
    }

    /// Says what would put the last finding right, if that is of this place.
    pub(super) fn fix_last(&mut self, span: Span, text: &str) {
        if let Some(last) = self.diagnostics.last_mut().filter(|last| last.span == span) {
            last.fix = Some(Fix { span, text: text.to_owned() });
        }
    }

    /// Notes that the arguments of a step are looked at here.
    pub(super) fn note_checked(&mut self, name: Span) {
        self.checked.push(name.start);
    }

    /// The source text of a place, cut where it is longer than anyone reads.
    pub(super) fn text(&self, span: Span) -> &'s str {
        let text = self.source.get(span.start as usize..span.end as usize).unwrap_or_default().trim();
        text.char_indices().nth(MAX_QUOTED_CHARS).map_or(text, |(end, _)| &text[..end])
    }

    /// "Did you mean": the names nearest to one that is not known.
    pub(super) fn did_you_mean(&self, name: &str, kind: Kind) -> Option<String> {
        crate::lint::did_you_mean(&crate::catalogue::nearest(name, self.catalogue.names(kind)))
    }

    fn pipeline(&mut self, block: &Block, span: Span) -> Option<Pipeline> {
        let mut sections = Sections::default();
        let mut seen = HashSet::new();
        for stmt in &block.stmts {
            if self.is_full() {
                break;
            }
            let Some(called) = call_of(stmt) else {
                self.error(stmt.span, messages::invalid_section(self.text(stmt.span)));
                continue;
            };
            let Some(name) = self.name_of(&called) else { continue };
            if !seen.insert(name) {
                self.error(stmt.span, messages::multiple_of_section(name));
            }
            self.section(name, stmt, &mut sections);
        }
        if sections.stages.is_none() && !seen.contains("stages") {
            self.error(span, messages::required_section("stages"));
        }
        if !sections.has_agent {
            self.error(span, messages::required_section("agent"));
        }
        Some(Pipeline {
            agent: sections.agent?,
            stages: sections.stages?,
            environment: sections.environment,
            post: sections.post,
            tools: sections.tools,
            options: sections.options,
            parameters: sections.parameters,
            triggers: sections.triggers,
            libraries: sections.libraries,
            span,
        })
    }

    fn section(&mut self, name: &str, stmt: &Stmt, sections: &mut Sections) {
        match name {
            "stages" => sections.stages = self.stages("stages", stmt, false),
            "environment" => sections.environment = self.environment(stmt),
            "post" => sections.post = self.post(stmt),
            "agent" => {
                sections.has_agent = true;
                sections.agent = self.agent(stmt);
            }
            "tools" => sections.tools = self.tools(stmt),
            "options" => sections.options = self.options(stmt, false),
            "parameters" => sections.parameters = self.parameters(stmt, true),
            "triggers" => sections.triggers = self.triggers(stmt),
            "libraries" => sections.libraries = self.libraries(stmt),
            "properties" => self.error(stmt.span, messages::renamed_properties()),
            "wrappers" => self.error(stmt.span, messages::renamed_wrappers()),
            "jobProperties" => self.error(stmt.span, messages::renamed_job_properties()),
            "notifications" => self.error(stmt.span, messages::renamed_notifications()),
            "postBuild" => self.error(stmt.span, messages::renamed_post_build()),
            _ => {
                let known = PIPELINE_SECTIONS.iter().copied();
                let hint = crate::lint::did_you_mean(&crate::catalogue::nearest(name, known));
                self.error_with_hint(stmt.span, messages::undefined_section(name), hint);
            }
        }
    }

    /// `stages { … }` or `parallel { … }`.
    fn stages(&mut self, section: &str, stmt: &Stmt, in_parallel: bool) -> Option<Vec<Stage>> {
        let Some(block) = block_of(stmt) else {
            self.error(stmt.span, messages::expected_block_for(section));
            return None;
        };
        let mut stages = Vec::new();
        let mut names = HashSet::new();
        let mut empty = true;
        for stmt in block.stmts() {
            if self.is_full() {
                return None;
            }
            let read = self.stage(stmt, in_parallel);
            empty &= !read.is_stage;
            if let Some((name, span)) = read.name
                && !names.insert(name.clone())
            {
                self.error(span, messages::duplicate_stage(&name));
            }
            stages.extend(read.stage);
        }
        if empty {
            self.error(stmt.span, messages::no_stages());
        }
        Some(stages)
    }
}

pub(crate) const PIPELINE_SECTIONS: [&str; 9] =
    ["agent", "environment", "libraries", "options", "parameters", "post", "stages", "tools", "triggers"];
