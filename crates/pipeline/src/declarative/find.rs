//! Where `pipeline { … }` stands in a file.

use std::rc::Rc;

use groovy::ast::{Block, Closure, Expr, ExprKind, Script, Stmt, StmtKind};
use groovy::diagnostic::Diagnostic;
use groovy::span::Span;

use crate::catalogue::Catalogue;

use super::parse::Reader;
use super::shape::{BlockCall, block_of};

/// The first `pipeline { … }` among the statements of a file: which one it is, its place and its block.
pub(crate) fn top_level_pipeline(script: &Script) -> Option<(usize, Span, Rc<Closure>)> {
    script.body.iter().enumerate().find_map(|(i, stmt)| {
        let block = pipeline_block(stmt)?;
        Some((i, stmt.span, block.body.clone()))
    })
}

/// The `pipeline { … }` blocks inside the method `call` of a library variable. Only one with `agent` or `stages` is
/// meant: a library may have its own method of that name.
pub(crate) fn pipeline_blocks_of_call(script: &Script) -> Vec<(Span, Rc<Closure>)> {
    let mut found = Vec::new();
    let methods = script.methods.iter().filter(|m| &*m.name == "call");
    let mut open: Vec<&Stmt> = methods.filter_map(|m| m.body.as_ref()).flat_map(|b| &b.stmts).collect();
    open.reverse();
    while let Some(stmt) = open.pop() {
        if let Some(block) = pipeline_block(stmt) {
            let has = |name: &str| block.stmts().any(|s| calls(s, name));
            if has("agent") || has("stages") {
                found.push((stmt.span, block.body.clone()));
                continue;
            }
        }
        let start = open.len();
        inner_statements(stmt, &mut open);
        open[start..].reverse();
    }
    found
}

/// Warns of what fails where it is reached: a second `pipeline { … }`, and one inside of `if` and its like.
pub(crate) fn misplaced_pipelines(script: &Script) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if script.methods.iter().any(|method| &*method.name == "pipeline") {
        return found;
    }
    let mut warn = |stmt: &Stmt, text: &str| found.push(Diagnostic::warning(stmt.span, text).of_rule("declarative"));
    let (mut is_second, mut open) = (false, Vec::new());
    for stmt in &script.body {
        if pipeline_block(stmt).is_some() {
            if std::mem::replace(&mut is_second, true) {
                warn(stmt, "only one `pipeline` block is executed in a run: this one fails");
            }
        } else if !matches!(stmt.kind, StmtKind::Expr(_)) {
            inner_statements(stmt, &mut open);
        }
    }
    while let Some(stmt) = open.pop() {
        if pipeline_block(stmt).is_some() {
            warn(stmt, "`pipeline` must stand at the top level of the file: here it fails where it is reached");
        } else {
            inner_statements(stmt, &mut open);
        }
    }
    found
}

/// Complains about every `pipeline { … }` that stands inside another block.
pub(crate) fn nested_pipelines(source: &str, script: &Script) -> Vec<Diagnostic> {
    let mut reader = Reader::new(source, Catalogue::get());
    for stmt in &script.body {
        reader.nested_pipelines(stmt);
    }
    reader.into_diagnostics()
}

fn pipeline_block(stmt: &Stmt) -> Option<BlockCall<'_>> {
    block_of(stmt).filter(|b| &**b.name == "pipeline" && b.args.is_empty())
}

fn calls(stmt: &Stmt, name: &str) -> bool {
    super::shape::call_of(stmt).is_some_and(|c| c.name.is_some_and(|n| &**n == name))
}

/// The statements directly inside a statement, closures of its call included.
fn inner_statements<'a>(stmt: &'a Stmt, into: &mut Vec<&'a Stmt>) {
    let mut block = |b: &'a Block| into.extend(&b.stmts);
    match &stmt.kind {
        StmtKind::Expr(expr) => closures(expr, into),
        StmtKind::If { then, otherwise, .. } => {
            into.push(then);
            into.extend(otherwise.as_deref());
        }
        StmtKind::While { body, .. } | StmtKind::ForIn { body, .. } | StmtKind::ForClassic { body, .. } => {
            into.push(body);
        }
        StmtKind::Switch { cases, .. } => into.extend(cases.iter().flat_map(|c| &c.body)),
        StmtKind::Try { body, catches, finally } => {
            block(body);
            catches.iter().for_each(|c| into.extend(&c.body.stmts));
            into.extend(finally.iter().flat_map(|b| &b.stmts));
        }
        StmtKind::Synchronized { body, .. } | StmtKind::Block(body) => block(body),
        _ => {}
    }
}

fn closures<'a>(expr: &'a Expr, into: &mut Vec<&'a Stmt>) {
    if let ExprKind::Call { args, .. } | ExprKind::CallValue { args, .. } = &*expr.kind {
        for arg in args {
            let (groovy::ast::Arg::Positional(value) | groovy::ast::Arg::Named(_, value)) = arg else { continue };
            if let ExprKind::Closure(closure) = &*value.kind {
                into.extend(&closure.body.stmts);
            }
        }
    }
}
