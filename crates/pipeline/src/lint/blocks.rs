//! Steps that want a block and are called without one: `retry(3)`, `dir('x')`. Jenkins' rules let them pass, and its run ends where they are
//! reached, as ours.

use std::collections::HashSet;

use groovy::ast::{Arg, Expr, ExprKind, Member, Script, StmtKind};
use groovy::diagnostic::Diagnostic;

use crate::catalogue::{Catalogue, Support};

use super::calls::NameCall;
use super::tree::{self, Node};

/// Those that have a form without one, or rules of their own.
const WITHOUT: [&str; 3] = ["script", "stage", "wrap"];

/// Looks at a call.
pub(super) fn check(catalogue: &Catalogue, call: &NameCall<'_>) -> Option<Diagnostic> {
    let entry = catalogue.step(&call.name)?;
    let is_asked = entry.block && entry.support == Support::Runs && !WITHOUT.contains(&entry.name);
    // A variable may be a block.
    let is_plain = |expr: &Expr| {
        matches!(&*expr.kind, ExprKind::Constant(_) | ExprKind::GString(_) | ExprKind::List(_) | ExprKind::Map(_))
    };
    let lacks = call.args.iter().all(|arg| match arg {
        Arg::Named(_, value) => !matches!(&*value.kind, ExprKind::Closure(_)),
        Arg::Positional(value) => is_plain(value),
        Arg::Spread(_) | Arg::SpreadMap(_) => false,
    });
    (is_asked && lacks).then(|| {
        let text = format!("the step \"{}\" has no block: it fails where it is reached", entry.name);
        Diagnostic::warning(call.span, text).with_hint(format!("{}(…) {{ … }}", entry.name)).of_rule("missing-block")
    })
}

/// Where the names of calls begin that are statements: what is no statement may be a value of a step's name.
pub(super) fn statements(script: &Script) -> HashSet<u32> {
    let called = |expr: &Expr| match &*expr.kind {
        ExprKind::Call { callee: Member::Name(_, span), .. } => Some(span.start),
        _ => None,
    };
    let statement = |node: Node<'_>| match node {
        Node::Stmt(stmt) => match &stmt.kind {
            StmtKind::Expr(expr) => called(expr),
            _ => None,
        },
        Node::Block(_) | Node::Expr(_) => None,
    };
    tree::all(script).into_iter().filter_map(statement).collect()
}
