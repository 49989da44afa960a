//! `stage('name') { … }`.

use std::collections::HashSet;

use groovy::ast::{Closure, Constant, ExprKind, Stmt, Text};
use groovy::span::Span;

use crate::catalogue::nearest;
use crate::declarative::messages;
use crate::declarative::model::{Directives, Stage, StageContent};
use crate::declarative::shape::{Called, Given, block_call, block_of, call_of, expr_of, stmts, word_of};
use crate::lint::did_you_mean;

use super::Reader;
use super::steps::StageSteps;

/// What came out of a statement in `stages`: the name even where the stage is not valid.
#[derive(Default)]
pub(super) struct StageRead {
    /// It is a call of `stage` with a block.
    pub is_stage: bool,
    pub name: Option<(Text, Span)>,
    pub stage: Option<Stage>,
}

/// The content sections of a stage; a valid one has exactly one of them.
#[derive(Default)]
struct Contents {
    found: Vec<StageContent>,
    /// Sections that are there, whether or not they could be read.
    count: usize,
    /// Where `parallel`, `matrix` or several branches stand.
    parallel: Option<Span>,
    /// `agent` and `tools`, which a stage with parallel content may not have.
    agent: Option<Span>,
    tools: Option<Span>,
    fail_fast: bool,
}

impl Reader<'_> {
    pub(super) fn stage(&mut self, stmt: &Stmt, in_parallel: bool) -> StageRead {
        let Some(block) = block_of(stmt).filter(|b| &**b.name == "stage") else {
            self.error(stmt.span, messages::expected_stage());
            return StageRead::default();
        };
        let Some(first) = block.args.first() else {
            // `stage { … }`: the block stands where the name belongs.
            self.error(block.body.body.span, messages::expected_string());
            self.error(stmt.span, messages::stage_without_block());
            return StageRead { is_stage: true, ..StageRead::default() };
        };
        let (name, name_span) = self.stage_name(first);
        let mut read = StageRead { is_stage: true, name: name.clone().map(|n| (n, name_span)), stage: None };
        if block.args.len() > 1 {
            self.error(stmt.span, messages::stage_without_block());
            return read;
        }
        let name = name.unwrap_or_else(|| "error".into());
        let mut directives = Directives::default();
        let contents = self.stage_sections(block.body, in_parallel, &mut directives);
        self.check_stage(&name, stmt.span, &contents, in_parallel);
        read.stage = contents.found.into_iter().next().map(|content| Stage {
            name,
            name_span,
            directives,
            fail_fast: contents.fail_fast,
            content,
            span: stmt.span,
        });
        read
    }

    fn stage_name(&mut self, given: &Given<'_>) -> (Option<Text>, Span) {
        let span = given.span();
        let word = match given {
            Given::One(expr) => word_of(expr),
            Given::Map(..) => None,
        };
        if word.is_none() {
            self.error(span, messages::expected_string());
        }
        (word.cloned(), span)
    }

    fn stage_sections(&mut self, body: &Closure, in_parallel: bool, directives: &mut Directives) -> Contents {
        let mut contents = Contents::default();
        let mut seen = HashSet::new();
        for stmt in stmts(body) {
            if self.is_full() {
                break;
            }
            let Some(called) = call_of(stmt) else {
                self.error(stmt.span, messages::invalid_stage_section(self.text(stmt.span)));
                continue;
            };
            let Some(name) = self.name_of(&called) else { continue };
            let again = !seen.insert(name);
            if again {
                self.error(stmt.span, messages::multiple_of_section(name));
            }
            match name {
                "agent" => contents.agent = Some(stmt.span),
                "tools" => contents.tools = Some(stmt.span),
                _ => {}
            }
            if self.directive(name, stmt, directives) {
                continue;
            }
            match name {
                "failFast" => contents.fail_fast = self.boolean(&called) == Some(true),
                "steps" | "stages" | "parallel" | "matrix" if again => {}
                "steps" | "stages" | "parallel" | "matrix" => self.content(name, stmt, in_parallel, &mut contents),
                _ => {
                    let mut text = did_you_mean(&nearest(name, STAGE_SECTIONS.iter().copied()));
                    if text.is_none() && self.catalogue.step(name).is_some() {
                        text = Some(format!("steps stand in braces of their own: steps {{ {name} … }}"));
                    }
                    self.error_with_hint(stmt.span, messages::unknown_stage_section(name), text);
                }
            }
        }
        contents
    }

    /// Reads a directive that a stage and a matrix share; says whether it was one.
    pub(super) fn directive(&mut self, name: &str, stmt: &Stmt, directives: &mut Directives) -> bool {
        match name {
            "agent" => directives.agent = self.agent(stmt),
            "when" => directives.when = self.when(stmt),
            "post" => directives.post = self.post(stmt),
            "options" => directives.options = self.options(stmt, true),
            "input" => directives.input = self.input(stmt),
            "tools" => directives.tools = self.tools(stmt),
            "environment" => directives.environment = self.environment(stmt),
            _ => return false,
        }
        true
    }

    fn content(&mut self, name: &str, stmt: &Stmt, in_parallel: bool, contents: &mut Contents) {
        contents.count += 1;
        match name {
            "stages" => contents.found.extend(self.stages("stages", stmt, in_parallel).map(StageContent::Stages)),
            "parallel" => {
                contents.parallel = Some(stmt.span);
                contents.found.extend(self.stages("parallel", stmt, true).map(StageContent::Parallel));
            }
            "matrix" => {
                contents.parallel = Some(stmt.span);
                let matrix = self.matrix(stmt).map(Box::new);
                contents.found.extend(matrix.map(StageContent::Matrix));
            }
            _ => match self.stage_steps(stmt) {
                StageSteps::Nothing => contents.count -= 1,
                StageSteps::Invalid => {}
                StageSteps::One(steps) => contents.found.push(StageContent::Steps(steps)),
                StageSteps::Branches(steps) => {
                    // A stage inside `parallel` may not branch again, in the old spelling either.
                    if in_parallel {
                        contents.parallel = Some(stmt.span);
                    }
                    contents.found.push(StageContent::Steps(steps));
                }
            },
        }
    }

    fn check_stage(&mut self, name: &str, span: Span, contents: &Contents, in_parallel: bool) {
        if let (true, Some(span)) = (in_parallel, contents.parallel) {
            self.error(span, messages::nested_parallel());
        } else if contents.count > 1 {
            self.error(span, messages::two_of_content(name));
        } else if contents.count == 0 {
            self.error(span, messages::nothing_for_stage(name));
        } else if contents.parallel.is_some() {
            if let Some(span) = contents.agent {
                self.error(span, messages::agent_in_nested(name));
            }
            if let Some(span) = contents.tools {
                self.error(span, messages::tools_in_nested(name));
            }
        }
    }

    /// The literal boolean that a call such as `failFast true` has.
    pub(super) fn boolean(&mut self, called: &Called<'_>) -> Option<bool> {
        if let Some(Given::One(expr)) = called.args.first()
            && let ExprKind::Constant(Constant::Bool(value)) = &*expr.kind
        {
            return Some(*value);
        }
        let name = called.name.map(|n| &**n).unwrap_or_default();
        self.error(called.name_span, messages::expected_boolean(name));
        None
    }

    /// `pipeline { … }` inside another block: Jenkins looks for it through blocks only.
    pub(in crate::declarative) fn nested_pipelines(&mut self, stmt: &Stmt) {
        let mut open: Vec<&Stmt> = vec![stmt];
        while let Some(stmt) = open.pop() {
            let Some(block) = expr_of(stmt).and_then(block_call) else { continue };
            if &**block.name == "pipeline" {
                self.error(stmt.span, messages::pipeline_not_at_top());
            }
            open.extend(block.stmts());
        }
    }
}

pub(crate) const STAGE_SECTIONS: [&str; 12] = [
    "agent",
    "environment",
    "failFast",
    "input",
    "matrix",
    "options",
    "parallel",
    "post",
    "stages",
    "steps",
    "tools",
    "when",
];
