//! Directives on one line: `agent any stages { … }`.
//!
//! Groovy reads two sections without a line break between them as a chain of calls, `agent(any).stages({ … })`, and
//! Jenkins then rejects the file. What is meant is plain, so here each link of such a chain is a line of its own. Code
//! (`steps`, `script`, `expression`, the branches of `post`) is left as it is.

use std::rc::Rc;

use groovy::ast::{Access, Arg, Block, Closure, Expr, ExprKind, Member, Stmt, StmtKind};
use groovy::span::Span;

use super::model::PostCondition;

/// The block of a directive with every chain in it, at any depth, taken apart. Shares what needs no change.
pub(crate) fn unroll(source: &str, closure: &Rc<Closure>) -> Rc<Closure> {
    let unrolled = has_chain(source, closure, false).then(|| block(source, closure, false)).flatten();
    unrolled.unwrap_or_else(|| closure.clone())
}

/// Whether there is a chain to take apart: nearly no file has one.
fn has_chain(source: &str, closure: &Closure, in_post: bool) -> bool {
    let calls = closure.body.stmts.iter().filter_map(|stmt| match &stmt.kind {
        StmtKind::Expr(expr) => match &*expr.kind {
            ExprKind::Call { object, callee: Member::Name(name, span), args, .. } => Some((object, name, *span, args)),
            _ => None,
        },
        _ => None,
    });
    calls.into_iter().any(|(object, name, span, args)| match object {
        Some(before) => is_chained(source, before, span),
        None if is_code(name, in_post) => false,
        None => args.iter().any(|arg| match arg {
            Arg::Positional(value) => match &*value.kind {
                ExprKind::Closure(inner) => has_chain(source, inner, &**name == "post"),
                _ => false,
            },
            _ => false,
        }),
    })
}

/// Whether the block of that section is code.
fn is_code(name: &str, in_post: bool) -> bool {
    matches!(name, "steps" | "script" | "expression") || in_post && PostCondition::from_name(name).is_some()
}

/// The new closure, where something in it changed.
fn block(source: &str, closure: &Closure, in_post: bool) -> Option<Rc<Closure>> {
    let mut changed = false;
    let mut stmts = Vec::new();
    for stmt in &closure.body.stmts {
        let StmtKind::Expr(expr) = &stmt.kind else {
            stmts.push(stmt.clone());
            continue;
        };
        let links = links(source, expr);
        changed |= links.len() > 1;
        for link in links {
            let (link, deeper) = content(source, link, in_post);
            changed |= deeper;
            let span = link.span;
            stmts.push(Stmt { labels: stmt.labels.clone(), kind: StmtKind::Expr(link), span });
        }
    }
    let body = Block { stmts, span: closure.body.span };
    changed.then(|| Rc::new(Closure { params: closure.params.clone(), body }))
}

/// The calls of a chain that has no dots, in order; the expression itself where it is none.
fn links(source: &str, expr: &Expr) -> Vec<Expr> {
    let mut links = Vec::new();
    let mut rest = expr;
    loop {
        if let ExprKind::Call { object, callee: Member::Name(name, name_span), access: Access::Dot, args, command } =
            &*rest.kind
            && let Some(before) = object
            && is_chained(source, before, *name_span)
        {
            let kind = ExprKind::Call {
                object: None,
                callee: Member::Name(name.clone(), *name_span),
                access: Access::Dot,
                args: args.clone(),
                command: *command,
            };
            links.push(Expr { kind: Box::new(kind), span: Span::new(name_span.start, rest.span.end) });
            rest = before;
            continue;
        }
        links.push(rest.clone());
        links.reverse();
        return links;
    }
}

/// Whether only blanks stand between a call and the name that follows it.
fn is_chained(source: &str, before: &Expr, name: Span) -> bool {
    let between = source.get(before.span.end as usize..name.start as usize);
    matches!(&*before.kind, ExprKind::Call { .. }) && between.is_some_and(|b| b.trim().is_empty())
}

/// A call with the blocks in its arguments unrolled, and whether that changed anything.
fn content(source: &str, mut expr: Expr, in_post: bool) -> (Expr, bool) {
    let mut changed = false;
    if let ExprKind::Call { object: None, callee: Member::Name(name, _), args, .. } = &mut *expr.kind
        && !is_code(name, in_post)
    {
        let post = &**name == "post";
        for arg in args {
            if let Arg::Positional(value) = arg
                && let ExprKind::Closure(closure) = &mut *value.kind
                && let Some(unrolled) = block(source, closure, post)
            {
                *closure = unrolled;
                changed = true;
            }
        }
    }
    (expr, changed)
}
