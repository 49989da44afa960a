//! `environment { NAME = value }`.

use std::collections::HashSet;

use groovy::ast::{BinaryOp, Constant, Expr, ExprKind, LocalTarget, Stmt, StmtKind, Text};
use groovy::span::Span;

use crate::declarative::messages;
use crate::declarative::model::{Environment, EnvironmentEntry, EnvironmentValue};
use crate::declarative::shape::{Given, block_of, called, is_variable_name, word_of};

use super::Reader;

/// `left = right` as Groovy sees it; a declaration is one too.
struct Assignment<'a> {
    name: Option<&'a Text>,
    name_span: Span,
    value: &'a Expr,
}

impl Reader<'_> {
    pub(super) fn environment(&mut self, stmt: &Stmt) -> Option<Environment> {
        let Some(block) = block_of(stmt) else {
            self.error(stmt.span, messages::expected_block_for("environment"));
            self.error(stmt.span, messages::no_variables());
            return None;
        };
        let mut entries: Vec<EnvironmentEntry> = Vec::new();
        let mut names = HashSet::new();
        let mut read = 0;
        let mut strange = false;
        for line in block.stmts() {
            let Some(assignment) = assignment(line) else {
                strange = true;
                self.not_an_assignment(line);
                continue;
            };
            let name = match assignment.name {
                Some(name) => name.clone(),
                None => {
                    self.error(assignment.name_span, messages::expected_string());
                    "error".into()
                }
            };
            if self.is_full() {
                break;
            }
            if names.contains(&name) {
                self.error(assignment.name_span, messages::duplicate_variable(&name));
                continue;
            }
            let Some(value) = self.environment_value(assignment.value) else { continue };
            read += 1;
            if assignment.name.is_some() && !is_variable_name(&name) {
                self.error(assignment.name_span, messages::invalid_variable_name(&name));
            }
            names.insert(name.clone());
            entries.push(EnvironmentEntry { name, name_span: assignment.name_span, value });
        }
        if strange {
            self.error(stmt.span, messages::expected_pairs());
        }
        if read == 0 {
            self.error(stmt.span, messages::no_variables());
        }
        Some(Environment { entries, span: stmt.span })
    }

    fn not_an_assignment(&mut self, line: &Stmt) {
        if !matches!(line.kind, StmtKind::Expr(_)) {
            return;
        }
        let text = self.text(line.span);
        match text.split_once('=') {
            Some((name, _)) => self.error(line.span, messages::invalid_variable_name(name.trim())),
            None => self.error(line.span, messages::invalid_environment_expression(text)),
        }
    }

    fn environment_value(&mut self, expr: &Expr) -> Option<EnvironmentValue> {
        match &*expr.kind {
            ExprKind::Constant(_) | ExprKind::GString(_) => {
                self.value(expr);
                Some(EnvironmentValue::Expr(expr.clone()))
            }
            ExprKind::Call { .. } | ExprKind::CallValue { .. } => self.environment_call(expr),
            ExprKind::Binary { op: BinaryOp::Add, .. } => {
                self.joined(expr).then(|| EnvironmentValue::Expr(expr.clone()))
            }
            ExprKind::Binary { .. } | ExprKind::Assign { .. } => {
                self.error(expr.span, messages::invalid_environment_operation());
                None
            }
            _ => {
                self.error(expr.span, messages::invalid_environment_value());
                None
            }
        }
    }

    fn environment_call(&mut self, expr: &Expr) -> Option<EnvironmentValue> {
        let call = called(expr)?;
        if call.name.is_none_or(|n| &**n != "credentials") {
            self.value(expr);
            return Some(EnvironmentValue::Expr(expr.clone()));
        }
        let mut id = None;
        for given in &call.args {
            match given {
                Given::One(arg) if matches!(&*arg.kind, ExprKind::Constant(_) | ExprKind::GString(_)) => {
                    id = id.or(Some(*arg));
                }
                _ => self.error(expr.span, messages::invalid_function_argument()),
            }
        }
        Some(match id {
            Some(id) => EnvironmentValue::Credentials(id.clone()),
            None => EnvironmentValue::Expr(expr.clone()),
        })
    }

    /// `'a' + "b" + 'c'`: only texts, only joined; says whether the operators were right.
    fn joined(&mut self, expr: &Expr) -> bool {
        let mut rest = expr;
        loop {
            match &*rest.kind {
                ExprKind::Binary { op: BinaryOp::Add, left, right } => {
                    self.joined_part(right);
                    rest = left;
                }
                ExprKind::Binary { .. } => {
                    self.error(rest.span, messages::invalid_environment_operation());
                    return false;
                }
                _ => {
                    self.joined_part(rest);
                    return true;
                }
            }
        }
    }

    fn joined_part(&mut self, expr: &Expr) {
        match &*expr.kind {
            ExprKind::Constant(Constant::BigInt(_)) => {
                self.value(expr);
            }
            ExprKind::Constant(_) | ExprKind::GString(_) => {}
            _ => self.error(expr.span, messages::invalid_environment_concat()),
        }
    }
}

fn assignment(stmt: &Stmt) -> Option<Assignment<'_>> {
    match &stmt.kind {
        StmtKind::Expr(expr) => match &*expr.kind {
            ExprKind::Assign { target, op: None, value } => {
                Some(Assignment { name: word_of(target), name_span: target.span, value })
            }
            _ => None,
        },
        StmtKind::Local(local) => match &local.target {
            LocalTarget::Names(names) => match names.as_slice() {
                [only] => Some(Assignment { name: Some(&only.name), name_span: only.span, value: only.init.as_ref()? }),
                _ => None,
            },
            LocalTarget::Tuple { .. } => None,
        },
        _ => None,
    }
}
