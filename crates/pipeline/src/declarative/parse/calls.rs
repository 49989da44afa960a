//! The directives that are lists of calls: `options`, `parameters`, `triggers`, `tools`, `libraries`; and `input`.

use std::collections::HashSet;

use groovy::ast::{Expr, Stmt};

use crate::catalogue::{Entry, Kind};
use crate::declarative::messages;
use crate::declarative::model::{Call, Input, OptionCall, OptionKind, Tool};
use crate::declarative::shape::{BlockCall, Given, block_of, call_of, expr_of};
use crate::declarative::values::{DirectiveCall, is_map};
use crate::lint::did_you_mean;

use super::Reader;

/// How a list of calls names itself in messages.
struct Listing {
    /// `options`, `parameters`, `triggers`
    section: &'static str,
    /// In front of "cannot be defined as maps".
    plural: &'static str,
    /// Where a line is no call.
    expected: fn() -> String,
}

const OPTIONS: Listing = Listing { section: "options", plural: "Options", expected: || messages::expected_option() };
const TRIGGERS: Listing =
    Listing { section: "triggers", plural: "Triggers", expected: || messages::expected_trigger() };
const PARAMETERS: Listing =
    Listing { section: "parameters", plural: "Build parameters", expected: || messages::expected_parameter() };

impl Reader<'_> {
    pub(super) fn options(&mut self, stmt: &Stmt, in_stage: bool) -> Vec<OptionCall> {
        let mut seen = HashSet::new();
        let mut options = Vec::new();
        for call in self.listed(stmt, &OPTIONS, true) {
            if self.is_full() {
                break;
            }
            if !seen.insert(call.name) {
                self.error(call.called.span, messages::duplicate_option(call.name));
            }
            if call.mixes() {
                self.error(call.called.span, messages::mixed_parameters());
            }
            match call.name {
                "parameters" => self.error(call.called.span, messages::parameters_in_options()),
                "triggers" => self.error(call.called.span, messages::triggers_in_options()),
                _ => {}
            }
            let entry = self.catalogue.option(call.name, in_stage);
            self.check_call(&call, entry);
            match entry {
                Some(entry) => options.push(OptionCall { call: model(&call), kind: option_kind(entry) }),
                None => {
                    let names = self.catalogue.option_names(in_stage);
                    let hint = self.option_hint(call.name, in_stage, &names);
                    let text = messages::invalid_type("option", call.name, messages::list(names));
                    self.error_with_hint(call.called.span, text, hint);
                }
            }
        }
        options
    }

    fn option_hint(&self, name: &str, in_stage: bool, names: &[&'static str]) -> Option<String> {
        if in_stage && self.catalogue.option(name, false).is_some() {
            return Some(format!("{name} belongs in the options of the pipeline, not of a stage"));
        }
        did_you_mean(&crate::catalogue::nearest(name, names.iter().copied()))
    }

    pub(super) fn triggers(&mut self, stmt: &Stmt) -> Vec<Call> {
        let mut seen = HashSet::new();
        let mut triggers = Vec::new();
        for call in self.listed(stmt, &TRIGGERS, true) {
            if self.is_full() {
                break;
            }
            if !seen.insert(call.name) {
                self.error(call.called.span, messages::duplicate_trigger(call.name));
            }
            triggers.extend(self.typed_call(&call, Kind::Trigger, "trigger"));
        }
        triggers
    }

    /// `parameters { … }`; those of `input` may be empty.
    pub(super) fn parameters(&mut self, stmt: &Stmt, required: bool) -> Vec<Call> {
        let listed = self.listed(stmt, &PARAMETERS, required);
        let mut parameters = Vec::new();
        for call in &listed {
            if self.is_full() {
                break;
            }
            parameters.extend(self.typed_call(call, Kind::Parameter, "parameter"));
        }
        parameters
    }

    fn typed_call(&mut self, call: &DirectiveCall<'_>, kind: Kind, word: &str) -> Option<Call> {
        let entry = self.catalogue.find(kind, call.name);
        self.check_call(call, entry);
        if entry.is_none() {
            let names = messages::list(self.catalogue.names(kind));
            let hint = self.did_you_mean(call.name, kind);
            self.error_with_hint(call.called.span, messages::invalid_type(word, call.name, names), hint);
        }
        entry.map(|_| model(call))
    }

    /// The calls of a directive, each read with its arguments.
    fn listed<'a>(&mut self, stmt: &'a Stmt, listing: &Listing, required: bool) -> Vec<DirectiveCall<'a>> {
        let Some(block) = block_of(stmt) else {
            self.error(stmt.span, messages::expected_block_for(listing.section));
            if required {
                self.error(stmt.span, messages::empty_section(listing.section));
            }
            return Vec::new();
        };
        let mut calls = Vec::new();
        let mut empty = true;
        for line in block.stmts() {
            empty = false;
            let Some(called) = call_of(line) else {
                let text = match expr_of(line) {
                    Some(expr) if is_map(expr) => messages::map_not_allowed(listing.plural),
                    _ => (listing.expected)(),
                };
                self.error(line.span, text);
                continue;
            };
            if block_of(line).is_some() {
                self.error(line.span, messages::cannot_have_blocks(listing.plural));
                continue;
            }
            if called.name.is_none() {
                self.name_of(&called);
                continue;
            }
            calls.push(self.directive_call(called));
        }
        if empty && required {
            self.error(stmt.span, messages::empty_section(listing.section));
        }
        calls
    }

    pub(super) fn tools(&mut self, stmt: &Stmt) -> Vec<Tool> {
        let Some(block) = block_of(stmt) else {
            self.error(stmt.span, messages::expected_block_for("tools"));
            self.error(stmt.span, messages::no_tools());
            return Vec::new();
        };
        let mut tools: Vec<Tool> = Vec::new();
        for line in block.stmts() {
            if self.is_full() {
                break;
            }
            let Some(called) = call_of(line) else {
                self.error(line.span, messages::expected_tool());
                continue;
            };
            let Some(kind) = called.name else {
                self.name_of(&called);
                continue;
            };
            let name = match called.args.as_slice() {
                [] => {
                    self.error(called.name_span, messages::no_argument_for_tool(kind));
                    continue;
                }
                [Given::One(expr)] => {
                    self.value(expr);
                    (*expr).clone()
                }
                _ => {
                    self.error(called.name_span, messages::too_many_for_tool(kind));
                    continue;
                }
            };
            // A tool may also be named by its Java class.
            if self.catalogue.find(Kind::Tool, kind).is_none() && !kind.contains('.') {
                let names = messages::list(self.catalogue.names(Kind::Tool));
                let hint = self.did_you_mean(kind, Kind::Tool);
                self.error_with_hint(called.name_span, messages::invalid_type("tool", kind, names), hint);
                continue;
            }
            // The last of several wins, as in a map.
            let tool = Tool { kind: kind.clone(), kind_span: called.name_span, name };
            match tools.iter().position(|t| t.kind == *kind) {
                Some(known) => tools[known] = tool,
                None if tools.len() < MAX_TOOLS => tools.push(tool),
                None => {
                    self.error(line.span, format!("There are at most {MAX_TOOLS} tools"));
                    break;
                }
            }
        }
        if block.stmts().next().is_none() {
            self.error(stmt.span, messages::no_tools());
        }
        tools
    }

    pub(super) fn libraries(&mut self, stmt: &Stmt) -> Vec<Expr> {
        let Some(block) = block_of(stmt) else {
            self.error(stmt.span, messages::expected_block_for("libraries"));
            self.error(stmt.span, messages::empty_section("libraries"));
            return Vec::new();
        };
        let libraries: Vec<Expr> = block.stmts().filter_map(|line| self.library(line)).collect();
        if libraries.is_empty() {
            self.error(stmt.span, messages::empty_section("libraries"));
        }
        libraries
    }

    fn library(&mut self, line: &Stmt) -> Option<Expr> {
        let Some(called) = call_of(line).filter(|c| c.name.is_some_and(|n| &**n == "lib")) else {
            self.error(line.span, messages::expected_library(self.text(line.span)));
            return None;
        };
        if block_of(line).is_some() {
            self.error(line.span, messages::cannot_have_blocks("Libraries"));
            return None;
        }
        if let [Given::One(expr)] = called.args.as_slice()
            && call_of_value(expr).is_none()
        {
            self.value(expr);
            return Some((*expr).clone());
        }
        self.error(line.span, messages::expected_library(self.text(line.span)));
        None
    }

    pub(super) fn input(&mut self, stmt: &Stmt) -> Option<Input> {
        let Some(block) = block_of(stmt) else {
            self.error(stmt.span, messages::expected_block_for("input"));
            self.error(stmt.span, messages::missing_message());
            return None;
        };
        let mut fields = InputFields::default();
        self.input_fields(&block, &mut fields);
        if !fields.has_message {
            self.error(stmt.span, messages::missing_message());
        }
        Some(Input {
            message: fields.message?,
            id: fields.id,
            ok: fields.ok,
            submitter: fields.submitter,
            submitter_parameter: fields.submitter_parameter,
            parameters: fields.parameters,
            span: stmt.span,
        })
    }

    fn input_fields(&mut self, block: &BlockCall<'_>, fields: &mut InputFields) {
        let mut seen = HashSet::new();
        for line in block.stmts() {
            let Some(called) = call_of(line) else {
                self.error(line.span, messages::invalid_section(self.text(line.span)));
                continue;
            };
            let Some(name) = self.name_of(&called) else { continue };
            if !seen.insert(name) {
                self.error(line.span, messages::multiple_of_section(name));
            }
            let given = match called.args.as_slice() {
                [] => {
                    self.error(called.name_span, messages::no_argument_for_field(name));
                    continue;
                }
                [given] => given,
                _ => {
                    self.error(called.name_span, messages::too_many_for_field(name));
                    continue;
                }
            };
            if name == "parameters" {
                fields.parameters = self.parameters(line, false);
                continue;
            }
            let value = match given {
                Given::One(expr) => {
                    self.value(expr);
                    Some((*expr).clone())
                }
                Given::Map(..) => None,
            };
            match name {
                "message" => {
                    fields.has_message = true;
                    fields.message = value;
                }
                "id" => fields.id = value,
                "ok" => fields.ok = value,
                "submitter" => fields.submitter = value,
                "submitterParameter" => fields.submitter_parameter = value,
                _ => {
                    let hint = did_you_mean(&crate::catalogue::nearest(name, INPUT_FIELDS.into_iter()));
                    self.error_with_hint(called.name_span, messages::invalid_input_field(name), hint);
                }
            }
        }
    }
}

/// More tools than this are an attack: there are not so many kinds.
const MAX_TOOLS: usize = 1000;

const INPUT_FIELDS: [&str; 6] = ["message", "id", "ok", "submitter", "submitterParameter", "parameters"];

#[derive(Default)]
struct InputFields {
    has_message: bool,
    message: Option<Expr>,
    id: Option<Expr>,
    ok: Option<Expr>,
    submitter: Option<Expr>,
    submitter_parameter: Option<Expr>,
    parameters: Vec<Call>,
}

fn call_of_value(expr: &Expr) -> Option<()> {
    crate::declarative::shape::called(expr).map(|_| ())
}

fn option_kind(entry: &Entry) -> OptionKind {
    match entry.kind {
        Kind::Option => OptionKind::Declarative,
        Kind::Step => OptionKind::Wrapper,
        _ => OptionKind::JobProperty,
    }
}

fn model(call: &DirectiveCall<'_>) -> Call {
    Call {
        name: call.name.into(),
        name_span: call.called.name_span,
        args: call.called.written.to_vec(),
        span: call.called.span,
    }
}
