//! The parts of a syntax tree, one level at a time: a walk keeps its own stack, for a file may nest deeper than the native one allows.

use groovy::ast::{
    Arg, Closure, Expr, ExprKind, Local, LocalTarget, MapEntry, MapKey, Member, Script, Stmt, StmtKind, StrPart,
};

/// A part of a file.
#[derive(Clone, Copy)]
pub(super) enum Node<'a> {
    /// Statements behind each other.
    Block(&'a [Stmt]),
    Stmt(&'a Stmt),
    Expr(&'a Expr),
}

impl<'a> Node<'a> {
    /// The expression that it is.
    pub(super) fn expr(&self) -> Option<&'a Expr> {
        match self {
            Node::Expr(expr) => Some(expr),
            _ => None,
        }
    }
}

/// What code of a file stands in no other part of it. Methods of classes are other objects' code.
pub(super) fn roots(script: &Script) -> Vec<Node<'_>> {
    let mut nodes = vec![Node::Block(&script.body)];
    nodes.extend(script.methods.iter().filter_map(|m| m.body.as_ref()).map(|b| Node::Block(&b.stmts)));
    nodes
}

/// Every part of a file's code, whoever holds it before it.
pub(super) fn all(script: &Script) -> Vec<Node<'_>> {
    let (mut open, mut all) = (roots(script), Vec::new());
    while let Some(node) = open.pop() {
        all.push(node);
        parts(node, &mut open);
    }
    all
}

/// Adds the parts of a part, in the order of the text.
pub(super) fn parts<'a>(node: Node<'a>, to: &mut Vec<Node<'a>>) {
    match node {
        Node::Block(stmts) => to.extend(stmts.iter().map(Node::Stmt)),
        Node::Stmt(stmt) => of_stmt(stmt, to),
        Node::Expr(expr) => of_expr(expr, to),
    }
}

fn of_stmt<'a>(stmt: &'a Stmt, to: &mut Vec<Node<'a>>) {
    match &stmt.kind {
        StmtKind::Expr(expr) | StmtKind::Throw(expr) => to.push(Node::Expr(expr)),
        StmtKind::Local(local) => of_local(local, to),
        StmtKind::If { cond, then, otherwise } => {
            to.extend([Node::Expr(cond), Node::Stmt(then)]);
            to.extend(otherwise.iter().map(|s| Node::Stmt(s)));
        }
        StmtKind::While { cond, body } => to.extend([Node::Expr(cond), Node::Stmt(body)]),
        StmtKind::ForIn { iterable, body, .. } => to.extend([Node::Expr(iterable), Node::Stmt(body)]),
        StmtKind::ForClassic { init, cond, step, body } => {
            to.push(Node::Block(init));
            to.extend(cond.iter().chain(step).map(Node::Expr));
            to.push(Node::Stmt(body));
        }
        StmtKind::Switch { subject, cases } => {
            to.push(Node::Expr(subject));
            for case in cases {
                to.extend(case.test.iter().map(Node::Expr));
                to.push(Node::Block(&case.body));
            }
        }
        StmtKind::Try { body, catches, finally } => {
            to.push(Node::Block(&body.stmts));
            to.extend(catches.iter().map(|c| &c.body).chain(finally).map(|b| Node::Block(&b.stmts)));
        }
        StmtKind::Return(value) => to.extend(value.iter().map(Node::Expr)),
        StmtKind::Assert { cond, message, .. } => to.extend([cond].into_iter().chain(message).map(Node::Expr)),
        StmtKind::Synchronized { lock, body } => to.extend([Node::Expr(lock), Node::Block(&body.stmts)]),
        StmtKind::Block(block) => to.push(Node::Block(&block.stmts)),
        StmtKind::Break(_) | StmtKind::Continue(_) | StmtKind::Empty => {}
    }
}

fn of_local<'a>(local: &'a Local, to: &mut Vec<Node<'a>>) {
    match &local.target {
        LocalTarget::Names(names) => to.extend(names.iter().filter_map(|n| n.init.as_ref()).map(Node::Expr)),
        LocalTarget::Tuple { init, .. } => to.push(Node::Expr(init)),
    }
}

fn of_args<'a>(args: &'a [Arg], to: &mut Vec<Node<'a>>) {
    for arg in args {
        match arg {
            Arg::Named(MapKey::Dynamic(key), value) => to.extend([Node::Expr(key), Node::Expr(value)]),
            Arg::Positional(e) | Arg::Named(_, e) | Arg::Spread(e) | Arg::SpreadMap(e) => to.push(Node::Expr(e)),
        }
    }
}

fn of_closure<'a>(closure: &'a Closure, to: &mut Vec<Node<'a>>) {
    to.extend(closure.params.iter().flatten().filter_map(|p| p.default.as_ref()).map(Node::Expr));
    to.push(Node::Block(&closure.body.stmts));
}

fn of_expr<'a>(expr: &'a Expr, to: &mut Vec<Node<'a>>) {
    let member = |member: &'a Member, to: &mut Vec<Node<'a>>| {
        if let Member::Dynamic(expr) = member {
            to.push(Node::Expr(expr));
        }
    };
    match &*expr.kind {
        ExprKind::GString(parts) => parts.iter().for_each(|part| match part {
            StrPart::Text(_) => {}
            StrPart::Expr(expr) => to.push(Node::Expr(expr)),
            StrPart::Closure(closure) => of_closure(closure, to),
        }),
        ExprKind::List(args) => of_args(args, to),
        ExprKind::Map(entries) => entries.iter().for_each(|entry| match entry {
            MapEntry::Pair(MapKey::Dynamic(key), value) => to.extend([Node::Expr(key), Node::Expr(value)]),
            MapEntry::Pair(_, value) | MapEntry::Spread(value) => to.push(Node::Expr(value)),
        }),
        ExprKind::Property { object, member: name, .. } | ExprKind::MethodPointer { object, member: name } => {
            to.push(Node::Expr(object));
            member(name, to);
        }
        ExprKind::Index { object, index } => {
            to.push(Node::Expr(object));
            of_args(index, to);
        }
        ExprKind::Call { object, callee, args, .. } => {
            to.extend(object.iter().map(Node::Expr));
            member(callee, to);
            of_args(args, to);
        }
        ExprKind::CallValue { callee, args } => {
            to.push(Node::Expr(callee));
            of_args(args, to);
        }
        ExprKind::New { args, .. } => of_args(args, to),
        ExprKind::NewArray { sizes, init, .. } => to.extend(sizes.iter().chain(init.iter().flatten()).map(Node::Expr)),
        ExprKind::Closure(closure) => of_closure(closure, to),
        ExprKind::Declaration(local) => of_local(local, to),
        ExprKind::Range { from: a, to: b, .. }
        | ExprKind::Binary { left: a, right: b, .. }
        | ExprKind::Assign { target: a, value: b, .. }
        | ExprKind::Elvis { value: a, otherwise: b } => to.extend([Node::Expr(a), Node::Expr(b)]),
        ExprKind::Unary { operand: e, .. }
        | ExprKind::IncDec { target: e, .. }
        | ExprKind::As { value: e, .. }
        | ExprKind::Cast { value: e, .. }
        | ExprKind::InstanceOf { value: e, .. } => to.push(Node::Expr(e)),
        ExprKind::Ternary { cond, then, otherwise } => {
            to.extend([Node::Expr(cond), Node::Expr(then), Node::Expr(otherwise)]);
        }
        ExprKind::Constant(_)
        | ExprKind::Name(_)
        | ExprKind::TypeLiteral(_)
        | ExprKind::Annotation(_)
        | ExprKind::Error => {}
    }
}

/// A call of a name on nobody, `this` or `steps`.
pub(super) struct NamedCall<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Where the name stands.
    pub(super) span: groovy::span::Span,
    /// Its arguments.
    pub(super) args: &'a [Arg],
}

impl<'a> NamedCall<'a> {
    /// The call that an expression is.
    pub(super) fn of(expr: &'a Expr) -> Option<NamedCall<'a>> {
        let ExprKind::Call { object, callee: Member::Name(name, span), args, .. } = &*expr.kind else { return None };
        let plain = object
            .as_ref()
            .is_none_or(|o| matches!(&*o.kind, ExprKind::Name(n) if matches!(&**n, "this" | "steps" | "script")));
        plain.then_some(NamedCall { name, span: *span, args })
    }

    /// The argument of that name.
    pub(super) fn named(&self, wanted: &str) -> Option<&'a Expr> {
        self.args.iter().find_map(|arg| match arg {
            Arg::Named(MapKey::Constant(groovy::ast::Constant::Str(name), _), expr) if &**name == wanted => Some(expr),
            _ => None,
        })
    }

    /// The first argument without a name.
    pub(super) fn first(&self) -> Option<&'a Expr> {
        self.args.iter().find_map(|arg| match arg {
            Arg::Positional(expr) => Some(expr),
            _ => None,
        })
    }

    /// The block.
    pub(super) fn block(&self) -> Option<&'a Closure> {
        match self.args.last()? {
            Arg::Positional(expr) => match &*expr.kind {
                ExprKind::Closure(closure) => Some(closure),
                _ => None,
            },
            _ => None,
        }
    }

    /// Every argument is written out: no map or list of a variable.
    pub(super) fn is_plain(&self) -> bool {
        self.args.iter().all(|arg| match arg {
            Arg::Named(key, _) => matches!(key, MapKey::Constant(..)),
            Arg::Positional(expr) => {
                matches!(&*expr.kind, ExprKind::Constant(_) | ExprKind::GString(_) | ExprKind::Closure(_))
            }
            Arg::Spread(_) | Arg::SpreadMap(_) => false,
        })
    }
}

/// The text that stands there.
pub(super) fn literal(expr: &Expr) -> Option<&str> {
    match &*expr.kind {
        ExprKind::Constant(groovy::ast::Constant::Str(text)) => Some(text),
        _ => None,
    }
}

/// Whether a declaration at top level has that annotation (`@Library('x') _`).
pub(super) fn has_annotation(script: &Script, name: &str) -> bool {
    let locals = script.body.iter().filter_map(|stmt| match &stmt.kind {
        StmtKind::Local(local) => Some(local),
        _ => None,
    });
    locals.flat_map(|local| &local.modifiers.annotations).any(|annotation| &*annotation.name == name)
}
