//! `when { … }`.

use groovy::ast::{Expr, Stmt, Text};
use groovy::span::Span;

use crate::catalogue::{Entry, Kind};
use crate::declarative::messages;
use crate::declarative::model::{Condition, ConditionKind, When, WhenTest};
use crate::declarative::pattern;
use crate::declarative::shape::{BlockCall, Called, Given, block_of, call_of};
use crate::declarative::values::{Args, Literal};

use super::Reader;

impl Reader<'_> {
    pub(super) fn when(&mut self, stmt: &Stmt) -> Option<When> {
        let Some(block) = block_of(stmt) else {
            self.error(stmt.span, messages::expected_block_for("when"));
            return None;
        };
        let (mut before_agent, mut before_input, mut before_options) = (false, false, false);
        let mut conditions = Vec::new();
        let mut empty = true;
        for stmt in block.stmts() {
            let Some(called) = call_of(stmt) else {
                self.error(stmt.span, messages::expected_when());
                continue;
            };
            match called.name.map(|n| &**n) {
                Some("beforeAgent") => before_agent = self.boolean(&called) == Some(true),
                Some("beforeInput") => before_input = self.boolean(&called) == Some(true),
                Some("beforeOptions") => before_options = self.boolean(&called) == Some(true),
                _ => {
                    empty = false;
                    conditions.extend(self.condition(stmt));
                }
            }
        }
        if empty {
            self.error(stmt.span, messages::empty_when());
        }
        Some(When { conditions, before_agent, before_input, before_options, span: stmt.span })
    }

    fn condition(&mut self, stmt: &Stmt) -> Option<Condition> {
        let Some(called) = call_of(stmt) else {
            self.error(stmt.span, messages::expected_when());
            return None;
        };
        let name = self.name_of(&called)?;
        let block = block_of(stmt);
        if name == "expression" {
            let Some(block) = block else {
                self.error(stmt.span, messages::step_without_block("When"));
                return None;
            };
            return Some(Condition { kind: ConditionKind::Expression(block.body.clone()), span: stmt.span });
        }
        let Some(entry) = self.catalogue.find(Kind::When, name) else {
            let names = self.catalogue.names(Kind::When).collect::<Vec<_>>().join(", ");
            let hint = self.did_you_mean(name, Kind::When);
            self.error_with_hint(stmt.span, messages::unknown_when(name, names), hint);
            return None;
        };
        let kind = match name {
            "allOf" | "anyOf" | "not" => self.nested_condition(name, block.as_ref(), stmt.span)?,
            _ => self.test(entry, &called, block.as_ref(), stmt.span)?,
        };
        Some(Condition { kind, span: stmt.span })
    }

    fn nested_condition(&mut self, name: &str, block: Option<&BlockCall<'_>>, span: Span) -> Option<ConditionKind> {
        let mut children = Vec::new();
        let mut count = 0;
        for stmt in block.iter().flat_map(|b| b.stmts()) {
            count += 1;
            children.extend(self.condition(stmt));
        }
        if block.is_none_or(|b| !b.args.is_empty()) {
            self.error(span, messages::nested_when_arguments(name));
            return None;
        }
        if name == "not" {
            if count != 1 {
                self.error(span, messages::nested_when_wrong_count(name, 1));
            }
            return children.pop().map(|c| ConditionKind::Not(Box::new(c)));
        }
        if count == 0 {
            self.error(span, messages::nested_when_without_children(name));
        }
        Some(if name == "allOf" { ConditionKind::AllOf(children) } else { ConditionKind::AnyOf(children) })
    }

    fn test(
        &mut self,
        entry: &Entry,
        called: &Called<'_>,
        block: Option<&BlockCall<'_>>,
        span: Span,
    ) -> Option<ConditionKind> {
        if block.is_some() {
            self.error(span, messages::no_nested_when(entry.name));
            return None;
        }
        let args = self.arguments(&called.args);
        self.check_arguments(entry, &args, span);
        if entry.name == "changelog" {
            self.check_changelog(&args, span);
        }
        Some(ConditionKind::Test { test: test_named(entry.name)?, args: named_arguments(entry, &called.args) })
    }

    fn check_changelog(&mut self, args: &Args<'_>, span: Span) {
        let value = match args {
            Args::Single(value) => Some(value),
            Args::Named(named) => {
                named.iter().find(|(p, _)| p.name().is_some_and(|n| &**n == "pattern")).map(|(_, v)| v)
            }
            Args::Positional => return,
        };
        let Some(value) = value else {
            self.error(span, messages::changelog_without_pattern());
            return;
        };
        if let Some(Literal::Str(text)) = &value.literal
            && let Err(why) = pattern::check(text)
        {
            self.error(span, messages::changelog_bad_pattern(text, why));
        }
    }
}

/// The arguments by name; a single one without a name gets the name of the required one.
fn named_arguments(entry: &Entry, given: &[Given<'_>]) -> Vec<(Text, Expr)> {
    match given {
        [Given::Map(pairs, _)] => pairs.iter().filter_map(|p| Some((p.name()?.clone(), p.value.clone()))).collect(),
        [Given::One(expr)] => {
            entry.sole_required().map(|p| (Text::from(p.name), (*expr).clone())).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn test_named(name: &str) -> Option<WhenTest> {
    Some(match name {
        "branch" => WhenTest::Branch,
        "buildingTag" => WhenTest::BuildingTag,
        "changelog" => WhenTest::Changelog,
        "changeset" => WhenTest::Changeset,
        "changeRequest" => WhenTest::ChangeRequest,
        "environment" => WhenTest::Environment,
        "equals" => WhenTest::Equals,
        "isRestartedRun" => WhenTest::IsRestartedRun,
        "tag" => WhenTest::Tag,
        "triggeredBy" => WhenTest::TriggeredBy,
        _ => return None,
    })
}
