//! `steps { … }` and the steps in it: only calls stand there.

use std::collections::HashSet;

use groovy::ast::{Closure, Constant, ExprKind, MapKey, Stmt};
use groovy::span::Span;

use crate::catalogue::{Entry, Support};
use crate::declarative::messages;
use crate::declarative::model::Steps;
use crate::declarative::shape::{BlockCall, Called, Given, block_of, call_of, closure_of, stmts};

use super::Reader;

/// What `steps { … }` of a stage is.
pub(super) enum StageSteps {
    /// Steps one after the other.
    One(Steps),
    /// The old spelling of parallel branches: `parallel(a: { … }, b: { … })` alone.
    Branches(Steps),
    /// `parallel()` without branches, which is as if nothing stood there.
    Nothing,
    /// There is a diagnostic.
    Invalid,
}

impl Reader<'_> {
    pub(super) fn stage_steps(&mut self, stmt: &Stmt) -> StageSteps {
        let Some(block) = block_of(stmt) else {
            self.error(stmt.span, messages::expected_block_for("steps"));
            return StageSteps::Invalid;
        };
        let mut content = block.stmts();
        if let (Some(only), None) = (content.next(), content.next())
            && let Some(called) = call_of(only).filter(|c| c.name.is_some_and(|n| &**n == "parallel"))
        {
            return match self.branches(&called) {
                0 => StageSteps::Nothing,
                1 => StageSteps::One(steps(&block)),
                _ => StageSteps::Branches(steps(&block)),
            };
        }
        self.branch(block.body);
        StageSteps::One(steps(&block))
    }

    /// The branches of `parallel(a: { … }, failFast: true)`; says how many there are.
    fn branches(&mut self, called: &Called<'_>) -> usize {
        let [Given::Map(pairs, _)] = called.args.as_slice() else { return 0 };
        let mut names: HashSet<&str> = HashSet::new();
        let mut count = 0;
        for pair in pairs {
            let name = pair.name().map(|n| &**n);
            if name == Some("failFast") {
                if !matches!(&*pair.value.kind, ExprKind::Constant(Constant::Bool(_))) {
                    self.error(pair.key_span(), messages::expected_boolean("failFast"));
                }
                continue;
            }
            let Some(body) = closure_of(pair.value) else {
                self.error(pair.key_span(), messages::expected_closure_or_fail_fast());
                continue;
            };
            count += 1;
            match (name, pair.key) {
                (Some(name), _) => {
                    if !names.insert(name) {
                        self.error(pair.key_span(), messages::duplicate_branch(name));
                    }
                }
                // `(name): { … }` with a plain variable reads as that word.
                (None, MapKey::Dynamic(expr)) if matches!(&*expr.kind, ExprKind::Name(_)) => {}
                (None, _) => self.error(pair.key_span(), messages::expected_string()),
            }
            self.branch(body);
        }
        count
    }

    /// The steps of a branch, a stage or a post condition.
    pub(super) fn branch(&mut self, body: &Closure) {
        let mut empty = true;
        for stmt in stmts(body) {
            empty = false;
            if self.is_full() {
                break;
            }
            self.step(stmt);
        }
        if empty {
            self.error(body.body.span, messages::no_steps());
        }
    }

    fn step(&mut self, stmt: &Stmt) {
        let Some(called) = call_of(stmt) else {
            self.error_with_hint(stmt.span, messages::expected_step(), hint_for_code(stmt));
            return;
        };
        let Some(name) = self.name_of(&called) else { return };
        let block = block_of(stmt);
        match name {
            "script" => return self.code_block(block.is_some(), stmt.span, "Script"),
            "expression" => return self.code_block(block.is_some(), stmt.span, "When"),
            _ => {}
        }
        let given = block.as_ref().map_or(&called.args, |b| &b.args);
        let args = self.arguments(given);
        // A step that does not run here is one where its plugin is; what the file or a library has of that name is not.
        let is_own = |entry: &Entry| entry.support != Support::Runs && (self.own.any || self.own.names.contains(name));
        let entry = self.catalogue.step(name).filter(|entry| !is_own(entry));
        if entry.is_some() || self.catalogue.step(name).is_none() {
            self.note_checked(called.name_span);
        }
        if let Some(entry) = entry
            && name != "parallel"
        {
            self.check_arguments(entry, &args, stmt.span);
        }
        if let Some(text) = messages::blocked(name, false) {
            self.error(stmt.span, text);
        }
        for stmt in block.iter().flat_map(BlockCall::stmts) {
            self.step(stmt);
        }
    }

    fn code_block(&mut self, has_block: bool, span: Span, what: &str) {
        if !has_block {
            self.error(span, messages::step_without_block(what));
        }
    }
}

/// The closure of a block as steps.
pub(super) fn steps(block: &BlockCall<'_>) -> Steps {
    Steps { body: block.body.clone(), span: block.span }
}

fn hint_for_code(stmt: &Stmt) -> Option<String> {
    use groovy::ast::StmtKind as Kind;
    let code = matches!(
        stmt.kind,
        Kind::Local(_)
            | Kind::If { .. }
            | Kind::While { .. }
            | Kind::ForIn { .. }
            | Kind::ForClassic { .. }
            | Kind::Switch { .. }
            | Kind::Try { .. }
            | Kind::Throw(_)
            | Kind::Return(_)
    ) || matches!(&stmt.kind, Kind::Expr(e) if matches!(&*e.kind, ExprKind::Assign { .. } | ExprKind::IncDec { .. }));
    code.then(|| "Groovy code other than steps stands in script { … }".to_owned())
}
