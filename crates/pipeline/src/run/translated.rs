//! What Jenkins makes of the values of `environment { … }` before it compiles them.
//!
//! A name that nothing knows is null, and `?.` is `.`.
//!
//! Source: `translateEnvironmentValue` of `RuntimeASTTransformer.groovy`, `getScriptPropOrParam` of `Utils.groovy`.

use std::rc::Rc;

use groovy::ast::{Access, Arg, Closure, Expr, ExprKind, MapEntry, MapKey, Member, Stmt, StmtKind, StrPart, Text};

/// A value as Jenkins compiles it.
pub(super) fn translated(value: &Expr) -> Expr {
    let mut root = value.clone();
    each(&mut root, |kind| {
        if let ExprKind::Call { access, .. } | ExprKind::Property { access, .. } = kind
            && *access == Access::Safe
        {
            *access = Access::Dot;
        }
    });
    root
}

/// The names in a value, in the order written: those of variables, and those of `env.NAME`.
pub(super) struct Names {
    /// `NAME`
    pub(super) bare: Vec<Text>,
    /// `NAME` and `env.NAME`
    pub(super) all: Vec<Text>,
}

/// The names in a value.
pub(super) fn names(value: &Expr) -> Names {
    let mut found = Names { bare: Vec::new(), all: Vec::new() };
    each(&mut value.clone(), |kind| match kind {
        ExprKind::Name(name) => {
            found.bare.push(name.clone());
            found.all.push(name.clone());
        }
        ExprKind::Property { object, member: Member::Name(name, _), .. } if is_env(object) => {
            found.all.push(name.clone());
        }
        _ => {}
    });
    found
}

fn is_env(expr: &Expr) -> bool {
    matches!(&*expr.kind, ExprKind::Name(name) if &**name == "env")
}

/// Looks at an expression and at all in it, as far as values of variables are written, in the order written.
fn each(root: &mut Expr, mut look: impl FnMut(&mut ExprKind)) {
    let mut stack = vec![root];
    while let Some(expr) = stack.pop() {
        look(&mut expr.kind);
        let mut inner = inner(&mut expr.kind);
        inner.reverse();
        stack.extend(inner);
    }
}

/// The expressions directly inside one.
fn inner(kind: &mut ExprKind) -> Vec<&mut Expr> {
    match kind {
        ExprKind::GString(parts) => parts.iter_mut().flat_map(part).collect(),
        ExprKind::List(args) | ExprKind::New { args, .. } => args.iter_mut().flat_map(arg).collect(),
        ExprKind::Map(entries) => entries
            .iter_mut()
            .flat_map(|e| match e {
                MapEntry::Pair(MapKey::Dynamic(key), value) => vec![key, value],
                MapEntry::Pair(_, value) | MapEntry::Spread(value) => vec![value],
            })
            .collect(),
        ExprKind::Property { object, .. } | ExprKind::MethodPointer { object, .. } => vec![object],
        ExprKind::Index { object, index } => std::iter::once(object).chain(index.iter_mut().flat_map(arg)).collect(),
        ExprKind::Call { object, args, .. } => object.iter_mut().chain(args.iter_mut().flat_map(arg)).collect(),
        ExprKind::CallValue { callee, args } => std::iter::once(callee).chain(args.iter_mut().flat_map(arg)).collect(),
        ExprKind::Closure(closure) => statements(closure),
        ExprKind::Binary { left, right, .. } | ExprKind::Range { from: left, to: right, .. } => vec![left, right],
        ExprKind::Ternary { cond, then, otherwise } => vec![cond, then, otherwise],
        ExprKind::Elvis { value, otherwise } => vec![value, otherwise],
        ExprKind::Unary { operand: value, .. }
        | ExprKind::As { value, .. }
        | ExprKind::Cast { value, .. }
        | ExprKind::InstanceOf { value, .. } => vec![value],
        _ => Vec::new(),
    }
}

fn arg(arg: &mut Arg) -> Vec<&mut Expr> {
    match arg {
        Arg::Named(MapKey::Dynamic(key), value) => vec![key, value],
        Arg::Positional(e) | Arg::Named(_, e) | Arg::Spread(e) | Arg::SpreadMap(e) => vec![e],
    }
}

fn part(part: &mut StrPart) -> Vec<&mut Expr> {
    match part {
        StrPart::Text(_) => Vec::new(),
        StrPart::Expr(expr) => vec![expr],
        StrPart::Closure(closure) => statements(closure),
    }
}

fn statements(closure: &mut Rc<Closure>) -> Vec<&mut Expr> {
    Rc::make_mut(closure).body.stmts.iter_mut().flat_map(of_statement).collect()
}

fn of_statement(statement: &mut Stmt) -> Vec<&mut Expr> {
    match &mut statement.kind {
        StmtKind::Expr(expr) | StmtKind::Return(Some(expr)) => vec![expr],
        StmtKind::If { cond, then, otherwise } => {
            let branches = std::iter::once(then).chain(otherwise).flat_map(|branch| of_statement(branch));
            std::iter::once(cond).chain(branches).collect()
        }
        StmtKind::While { cond: head, body } | StmtKind::ForIn { iterable: head, body, .. } => {
            std::iter::once(head).chain(of_statement(body)).collect()
        }
        StmtKind::Try { body, catches, finally } => {
            let catches = catches.iter_mut().map(|catch| &mut catch.body);
            let blocks = std::iter::once(body).chain(catches).chain(finally);
            blocks.flat_map(|block| block.stmts.iter_mut().flat_map(of_statement)).collect()
        }
        StmtKind::Block(block) => block.stmts.iter_mut().flat_map(of_statement).collect(),
        _ => Vec::new(),
    }
}
